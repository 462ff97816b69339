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

use super::records::Records;
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

/// Cuts data into records, as [`Records`] does. UTF-16, UTF-32 and unsupported compression come back
/// as one broken record.
pub fn frame<'data>(data: &'data [u8], limits: &Limits) -> Vec<Record<'data>> {
    if data.len() as u64 > limits.reach() {
        return frame_by_windows(data, limits);
    }
    let mut tape = Tape::default();
    let spans = Framer::new(data, limits.depth()).all();
    let records = (0..).zip(spans).map(|(ordinal, span)| Record {
        ordinal,
        offset: span.start as u64,
        bytes: data.get(span.start..span.end).unwrap_or_default(),
        content: span
            .content(data, limits, &mut tape)
            .map(|event| event.to_json()),
    });
    records.collect()
}

/// Data that is too large to look at as a whole: so that both ways of reading an object agree.
fn frame_by_windows<'data>(data: &'data [u8], limits: &Limits) -> Vec<Record<'data>> {
    let mut records = Vec::new();
    let mut framed = Records::of_data(data, limits);
    while let Some(record) = framed.next_record() {
        let start = usize::try_from(record.offset).unwrap_or(usize::MAX);
        let length = usize::try_from(record.length).unwrap_or(usize::MAX);
        records.push(Record {
            ordinal: record.ordinal,
            offset: record.offset,
            bytes: data
                .get(start..start.saturating_add(length))
                .unwrap_or_default(),
            content: record.content.map(Document::to_json),
        });
    }
    records
}

/// Where a record is, and why it is broken if that is known already.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub start: usize,
    pub end: usize,
    pub broken: Option<Reason>,
}

impl Span {
    /// The event that the record is, or why it is none.
    pub fn content(
        &self,
        data: &[u8],
        limits: &Limits,
        tape: &mut Tape,
    ) -> Result<Document, Reason> {
        let bytes = data.get(self.start..self.end).unwrap_or_default();
        match self.broken {
            _ if bytes.len() as u64 > limits.record_bytes() => Err(Reason::RecordTooLarge),
            Some(reason) => Err(reason),
            None => Document::parse_with(bytes, limits, tape),
        }
    }
}

/// Finds the records of data that is there as a whole.
pub(super) struct Framer<'data> {
    data: &'data [u8],
    max_depth: usize,
    pub spans: Vec<Span>,
    pub line: UnbrokenLine,
}

/// A stretch of data without a line break: of a long line, each part is looked at once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct UnbrokenLine {
    pub from: usize,
    pub to: usize,
    /// The last byte of it that is not white space.
    pub last: u8,
}

impl UnbrokenLine {
    /// Reads on to the end of the line that holds `position`: its line break or the end of the data.
    fn extend(&mut self, data: &[u8], position: usize) {
        if position < self.from || position > self.to {
            (self.from, self.to) = (position, position);
        }
        let end = end_of_line(data, self.to);
        let news = data.get(self.to..end).unwrap_or_default();
        if let Some(last) = trim_end(news).last() {
            self.last = *last;
        }
        self.to = end;
    }
}

impl<'data> Framer<'data> {
    pub fn new(data: &'data [u8], max_depth: usize) -> Self {
        Self {
            data,
            max_depth,
            spans: Vec::new(),
            line: UnbrokenLine::default(),
        }
    }

    fn all(mut self) -> Vec<Span> {
        if let Some(reason) = unreadable(self.data) {
            self.push(0, self.data.len(), Some(reason));
            return self.spans;
        }
        let mut position = skip_blank(self.data, 0);
        while position < self.data.len() {
            position = skip_blank(self.data, self.next_document(position));
        }
        self.spans
    }

    /// Takes the value or the broken record at `start`; returns where it ends.
    pub fn next_document(&mut self, start: usize) -> usize {
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
                let limit = self.end_of_broken_array(start);
                self.elements(start, limit)
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
            position = skip_separators(data, position);
            match data.get(position) {
                None => return limit,
                Some(b']') => return position + 1,
                Some(_) => position = self.element(data, position),
            }
        }
    }

    /// Takes the value or the broken record at `start`, an element of an array that ends with `data` at
    /// the latest; returns where it ends.
    pub fn element(&mut self, data: &[u8], start: usize) -> usize {
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
    fn end_of_broken_array(&mut self, start: usize) -> usize {
        self.line.extend(self.data, start);
        match self.line.last {
            b'[' | b'{' | b',' => self.data.len(),
            _ => self.line.to,
        }
    }

    /// Whether an array of events starts here that goes beyond the data, if the data goes on.
    pub fn opens_endless_array(&mut self, start: usize) -> bool {
        if !self.opens_array_of_objects(start) {
            return false;
        }
        match end_of_value(self.data, start, self.max_depth) {
            Ok(_) => false,
            Err(Reason::Truncated) => true,
            Err(_) => self.end_of_broken_array(start) == self.data.len(),
        }
    }

    /// Adds `start..end` as a record; returns `end`.
    fn push(&mut self, start: usize, end: usize, broken: Option<Reason>) -> usize {
        self.spans.push(Span { start, end, broken });
        end
    }
}

/// Why the object as a whole is no UTF-8 text; its first four bytes tell.
pub(super) fn unreadable(data: &[u8]) -> Option<Reason> {
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

/// Past white space and the commas between the elements of an array.
pub(super) fn skip_separators(data: &[u8], mut position: usize) -> usize {
    while data
        .get(position)
        .is_some_and(|byte| *byte == b',' || is_white_space(*byte))
    {
        position += 1;
    }
    position
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
