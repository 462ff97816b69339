//! Data of a raw object → records, in order.
//!
//! JSON values follow one another in any layout: one a line, several a line (`}{`), pretty-printed
//! over many lines, or as elements of a top-level array. While values are whole, the grammar alone
//! says where each ends. Where it breaks, [`super::resync`] says how far the broken record goes.
//!
//! Hazards: a part of a broken document must not pass for an event, and good neighbours must not
//! go with the broken one. So a value counts only if what stands around it allows it
//! ([`ends_cleanly`]), and how far a broken record goes depends on its own bytes first and on what
//! follows only where they cannot tell; so removing one record leaves the others as they are.
//!
//! Every byte that is not white space, a byte order mark, or a bracket or comma of a top-level
//! array belongs to exactly one record (invariants 1 and 2).

use super::resync::{end_of_broken, end_of_broken_element, trim_end};
use super::scan::{end_of_value, is_white_space, skip_white_space};
use super::tape::Tape;
use super::{Document, Json, Limits, Reason};

pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const ZSTD_MAGIC: &[u8] = b"\x28\xb5\x2f\xfd";

/// Bytes that stand for one event, understood or not.
#[derive(Debug)]
pub struct Record<'data> {
    /// Counts the records of the object from 0, broken ones too.
    pub ordinal: u64,
    /// Where `bytes` start in the decompressed data.
    pub offset: u64,
    /// Without the white space around it.
    pub bytes: &'data [u8],
    /// A JSON object, or why the record goes to quarantine.
    pub content: Result<Json, Reason>,
}

/// Cuts data into records. UTF-16, UTF-32 and unsupported compression come back as one broken record.
pub fn frame<'data>(data: &'data [u8], limits: &Limits) -> Vec<Record<'data>> {
    let mut framer = Framer {
        data,
        max_record_bytes: limits.max_record_bytes,
        max_depth: limits.depth(),
        records: Vec::new(),
    };
    if let Some(reason) = unreadable(data) {
        framer.push(0, data.len(), Some(reason));
        return framer.records;
    }
    let mut position = skip_blank(data, 0);
    while position < data.len() {
        position = skip_blank(data, framer.next_document(position));
    }
    framer.records
}

struct Framer<'data> {
    data: &'data [u8],
    max_record_bytes: u64,
    max_depth: usize,
    records: Vec<Record<'data>>,
}

impl Framer<'_> {
    /// Takes the value or the broken record at `start`; returns where it ends.
    fn next_document(&mut self, start: usize) -> usize {
        let outcome = match end_of_value(self.data, start, self.max_depth) {
            Ok(end) if ends_cleanly(self.data, start, end) => Ok(end),
            Ok(end) => Err((Reason::TrailingText, end)),
            Err(reason) => Err((reason, start)),
        };
        let is_array = self.data.get(start) == Some(&b'[');
        match outcome {
            Ok(end) if is_array => self.elements(start, end),
            Ok(end) => self.push(start, end, None),
            Err(_) if is_array && self.opens_array_of_objects(start) => {
                self.elements(start, self.end_of_broken_array(start))
            }
            Err((reason, at_least)) => {
                let end = end_of_broken(self.data, start, at_least, self.max_depth);
                self.push(start, end, Some(reason))
            }
        }
    }

    /// Takes the elements of the top-level array at `start`, whole or broken, up to its bracket or
    /// `limit`; returns where the array ends.
    fn elements(&mut self, start: usize, limit: usize) -> usize {
        let data = self.data.get(..limit).unwrap_or(self.data);
        let mut position = start + 1;
        loop {
            while data
                .get(position)
                .is_some_and(|byte| *byte == b',' || is_white_space(*byte))
            {
                position += 1;
            }
            match data.get(position) {
                None => return limit,
                Some(b']') => return position + 1,
                Some(_) => position = self.element(data, position),
            }
        }
    }

    fn element(&mut self, data: &[u8], start: usize) -> usize {
        let outcome = end_of_value(data, start, self.max_depth);
        let reason = match outcome {
            Ok(end) => match data.get(skip_white_space(data, end)) {
                None | Some(b',' | b']') => return self.push(start, end, None),
                Some(_) => Reason::TrailingText,
            },
            Err(reason) => reason,
        };
        let end = end_of_broken_element(data, start, self.max_depth);
        self.push(start, end, Some(reason))
    }

    /// Whether the broken text at `start` is the beginning of an array of events all the same.
    fn opens_array_of_objects(&self, start: usize) -> bool {
        self.data.get(skip_white_space(self.data, start + 1)) == Some(&b'{')
    }

    /// A broken array whose first line leaves the array open goes on; any other is one line of many.
    fn end_of_broken_array(&self, start: usize) -> usize {
        let line_end = end_of_line(self.data, start);
        let line = self.data.get(start..line_end).unwrap_or_default();
        match trim_end(line).last() {
            Some(b'[' | b'{' | b',') => self.data.len(),
            _ => line_end,
        }
    }

    /// Adds `start..end` as a record, parsed unless it is known to be broken; returns `end`.
    fn push(&mut self, start: usize, end: usize, broken: Option<Reason>) -> usize {
        let bytes = self.data.get(start..end).unwrap_or_default();
        let content = match broken {
            _ if bytes.len() as u64 > self.max_record_bytes => Err(Reason::RecordTooLarge),
            Some(reason) => Err(reason),
            None => Document::value(bytes, self.max_depth, &mut Tape::default())
                .map(|value| value.to_json()),
        };
        self.records.push(Record {
            ordinal: self.records.len() as u64,
            offset: start as u64,
            bytes,
            content: match content {
                Ok(json) if !matches!(json, Json::Object(_)) => Err(Reason::NotAnObject),
                content => content,
            },
        });
        end
    }
}

/// Why the object as a whole is no UTF-8 text.
fn unreadable(data: &[u8]) -> Option<Reason> {
    if data.starts_with(ZSTD_MAGIC) {
        return Some(Reason::UnknownCompression);
    }
    let is_wide = match data {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 0, 0xfe, 0xff, ..] => true,
        [0, 0, 0, last, ..] => *last != 0,
        [first, 0, 0, 0, ..] | [first, 0] | [0, first] => *first != 0,
        [0, second, 0, fourth, ..] => *second != 0 && *fourth != 0,
        [first, 0, third, 0, ..] => *first != 0 && *third != 0,
        _ => false,
    };
    is_wide.then_some(Reason::WideEncoding)
}

/// Past white space and byte order marks.
pub(super) fn skip_blank(data: &[u8], position: usize) -> usize {
    let mut position = skip_white_space(data, position);
    while data
        .get(position..)
        .is_some_and(|rest| rest.starts_with(BYTE_ORDER_MARK))
    {
        position = skip_white_space(data, position + BYTE_ORDER_MARK.len());
    }
    position
}

/// Whether a value at `start..end` stands on its own, judged by what follows it.
///
/// What lies inside a larger value is always followed by a comma, colon or closing bracket; so a
/// piece of a broken document does not pass. Only a value on a line of its own is left alone by
/// what stands on the next line.
pub(super) fn ends_cleanly(data: &[u8], start: usize, end: usize) -> bool {
    let next = skip_blank(data, end);
    let on_next_line = contains_line_break(data, end, next);
    match data.get(next) {
        None | Some(b'{') => true,
        Some(b'[') => on_next_line || data.get(start) == Some(&b'['),
        Some(b'}' | b']' | b',' | b':') => {
            on_next_line && is_line_start(data, start) && !contains_line_break(data, start, end)
        }
        Some(_) => on_next_line,
    }
}

pub(super) fn contains_line_break(data: &[u8], start: usize, end: usize) -> bool {
    data.get(start..end)
        .is_some_and(|between| between.contains(&b'\n'))
}

/// Whether `position` is the first of its line.
pub(super) fn is_line_start(data: &[u8], position: usize) -> bool {
    let before = data.get(..position).unwrap_or_default();
    matches!(before.last(), None | Some(b'\n')) || before == BYTE_ORDER_MARK
}

/// Where the line that holds `position` ends: at its line break or the end of the data.
pub(super) fn end_of_line(data: &[u8], position: usize) -> usize {
    let rest = data.get(position..).unwrap_or_default();
    let length = rest.iter().position(|byte| *byte == b'\n');
    position + length.unwrap_or(rest.len())
}
