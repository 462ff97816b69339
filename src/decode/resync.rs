//! How far a broken record goes.
//!
//! A record that starts with more than a bare bracket is taken for a line. A bare bracket opens a
//! pretty-printed document, which goes on while its lines are indented more deeply. Within those
//! bounds a `{` where no grammar allows one, at the start of a whole value, begins the next record.
//!
//! Hazards: an object inside a broken document must not be taken for the next event; scanning
//! from every bracket must not cost the square of the data.

use super::frame::{contains_line_break, end_of_line, ends_cleanly, is_line_start};
use super::scan::{end_of_value, is_white_space, skip_white_space};

/// Where the broken record at `start` ends, not before `at_least`; white space at its end left out.
pub(super) fn end_of_broken(data: &[u8], start: usize, at_least: usize, max_depth: usize) -> usize {
    let from = at_least.max(start + 1);
    let is_line = !is_bare_bracket(data, start);
    let limit = match is_line {
        true if contains_line_break(data, start, from) => from,
        true => data.len(),
        false => end_of_pretty_document(data, start).max(from),
    };
    let end = end_or_next_document(data, from, limit, is_line, max_depth);
    without_white_space_at_end(data, start, end)
}

/// Whether nothing but a bracket stands on the line from `start` on.
fn is_bare_bracket(data: &[u8], start: usize) -> bool {
    let next = skip_white_space(data, start + 1);
    let is_last_of_line = next == data.len() || contains_line_break(data, start, next);
    matches!(data.get(start), Some(b'{' | b'[')) && is_last_of_line
}

/// The first place in `from..limit` where a whole object starts although no grammar allows one there, or
/// the line ends if the record `is_line`; else `limit`. It looks no further than that: a long line may hold
/// many broken records.
fn end_or_next_document(
    data: &[u8],
    from: usize,
    limit: usize,
    is_line: bool,
    max_depth: usize,
) -> usize {
    let before = from.checked_sub(1).and_then(|before| data.get(before));
    let mut previous = before.copied().unwrap_or_default();
    let searched = data.get(..limit).unwrap_or(data);
    for (position, byte) in searched.iter().copied().enumerate().skip(from) {
        if is_line && byte == b'\n' {
            return position;
        }
        if is_white_space(byte) {
            continue;
        }
        let out_of_place = byte == b'{' && !matches!(previous, b':' | b',' | b'[' | b'{');
        if out_of_place && begins_document(data, position, max_depth) {
            return position;
        }
        previous = byte;
    }
    limit
}

fn begins_document(data: &[u8], position: usize, max_depth: usize) -> bool {
    // `{}` is no evidence: it stands inside strings and templates too.
    if data.get(skip_white_space(data, position + 1)) != Some(&b'"') {
        return false;
    }
    end_of_value(data, position, max_depth).is_ok_and(|end| ends_cleanly(data, position, end))
}

/// Lines indented more deeply than the one that opens the document, and the bracket that closes it.
fn end_of_pretty_document(data: &[u8], start: usize) -> usize {
    let indentation = indentation_of_line_with(data, start);
    let mut line_start = end_of_line(data, start) + 1;
    loop {
        let text_start = skip_white_space(data, line_start);
        if text_start >= data.len() {
            return data.len();
        }
        // Blank lines are passed over at once.
        let blank = data.get(line_start..text_start).unwrap_or_default();
        let last_break = blank.iter().rposition(|byte| *byte == b'\n');
        line_start += last_break.map_or(0, |line_break| line_break + 1);
        if text_start - line_start <= indentation {
            return match data.get(text_start) {
                Some(b'}' | b']') => end_of_closers(data, text_start),
                Some(b'{' | b'[') => line_start,
                _ if line_start == end_of_line(data, start) + 1 => {
                    end_of_flat_document(data, start)
                }
                _ => line_start,
            };
        }
        line_start = end_of_line(data, text_start) + 1;
    }
}

fn indentation_of_line_with(data: &[u8], position: usize) -> usize {
    let before = data.get(..position).unwrap_or_default();
    let line_start = before.iter().rposition(|byte| *byte == b'\n');
    let line_start = line_start.map_or(0, |line_break| line_break + 1);
    let line = data.get(line_start..position).unwrap_or_default();
    line.iter()
        .take_while(|byte| is_white_space(**byte))
        .count()
}

fn end_of_closers(data: &[u8], mut position: usize) -> usize {
    while matches!(data.get(position), Some(b'}' | b']' | b',')) {
        position += 1;
    }
    position
}

/// A document over many lines without indentation: up to where its brackets balance, or to a line
/// that starts with a bracket where no grammar allows one.
fn end_of_flat_document(data: &[u8], start: usize) -> usize {
    let mut outline = Outline::default();
    let mut previous = b':';
    for (position, byte) in data.iter().copied().enumerate().skip(start) {
        let out_of_place = byte == b'{' && !matches!(previous, b':' | b',' | b'[');
        if out_of_place && is_line_start(data, position) {
            return position;
        }
        outline.read(byte);
        if outline.is_closed() {
            return end_of_closers(data, position);
        }
        if !is_white_space(byte) {
            previous = byte;
        }
    }
    data.len()
}

/// Where a broken element of a top-level array ends: before the comma or bracket of the array, or
/// before the next element. `data` ends where the array must.
pub(super) fn end_of_broken_element(data: &[u8], start: usize, max_depth: usize) -> usize {
    let indentation = margin_before(data, start);
    let starts_line = data.get(start.wrapping_sub(indentation + 1)) == Some(&b'\n');
    let mut outline = Outline::default();
    let mut previous = b':';
    for (position, byte) in data.iter().copied().enumerate().skip(start) {
        if outline.is_outside_strings() {
            let ends_here = outline.open.is_empty() && byte == b',';
            let array_ends = byte == b']' && outline.lists == 0;
            if position > start && (ends_here || array_ends) {
                return without_white_space_at_end(data, start, position);
            }
        }
        if byte == b'{' && position > start {
            let same_column = starts_line && starts_line_at(data, position, indentation);
            let out_of_place = outline.open.last() == Some(&b'{') && previous != b':';
            if same_column || (out_of_place && begins_element(data, position, max_depth)) {
                return without_separator_at_end(data, start, position);
            }
        }
        outline.read(byte);
        if !is_white_space(byte) {
            previous = byte;
        }
    }
    without_white_space_at_end(data, start, data.len())
}

/// How much white space of the line stands right before `position`.
fn margin_before(data: &[u8], position: usize) -> usize {
    let before = data.get(..position).unwrap_or_default();
    let is_margin = |byte: &&u8| is_white_space(**byte) && **byte != b'\n';
    before.iter().rev().take_while(is_margin).count()
}

fn starts_line_at(data: &[u8], position: usize, indentation: usize) -> bool {
    let line_break = position.checked_sub(indentation + 1);
    line_break.is_some_and(|line_break| {
        data.get(line_break) == Some(&b'\n') && skip_white_space(data, line_break + 1) == position
    })
}

/// Whether a whole object starts here that the array's next object, or the array's end, follows.
fn begins_element(data: &[u8], position: usize, max_depth: usize) -> bool {
    let Ok(end) = end_of_value(data, position, max_depth) else {
        return false;
    };
    let next = skip_white_space(data, end);
    let after = data.get(skip_white_space(data, next + 1));
    match data.get(next) {
        Some(b',') => after == Some(&b'{'),
        Some(b']') => after.is_none(),
        _ => false,
    }
}

fn without_white_space_at_end(data: &[u8], start: usize, end: usize) -> usize {
    let record = data.get(start..end).unwrap_or_default();
    start + trim_end(record).len()
}

/// JSON's white space only: other control characters are part of the broken record.
pub(super) fn trim_end(text: &[u8]) -> &[u8] {
    let last = text.iter().rposition(|byte| !is_white_space(*byte));
    text.get(..last.map_or(0, |last| last + 1))
        .unwrap_or_default()
}

/// Leaves out the array's comma as well.
fn without_separator_at_end(data: &[u8], start: usize, end: usize) -> usize {
    let end = without_white_space_at_end(data, start, end);
    let record = data.get(start..end).unwrap_or_default();
    let record = record.strip_suffix(b",").unwrap_or(record);
    start + trim_end(record).len()
}

/// Brackets and strings of text that is broken: no grammar, only what is open.
#[derive(Default)]
struct Outline {
    open: Vec<u8>,
    /// How many of `open` are lists.
    lists: usize,
    in_string: bool,
    escaped: bool,
    seen_bracket: bool,
}

impl Outline {
    fn is_outside_strings(&self) -> bool {
        !self.in_string
    }

    fn is_closed(&self) -> bool {
        self.seen_bracket && self.open.is_empty()
    }

    fn read(&mut self, byte: u8) {
        if self.in_string {
            // No string goes over a line break, so a quote too few costs a line at most.
            self.in_string = byte != b'\n' && (byte != b'"' || self.escaped);
            self.escaped = byte == b'\\' && !self.escaped;
            return;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                self.escaped = false;
            }
            b'{' | b'[' => {
                self.open.push(byte);
                self.lists += usize::from(byte == b'[');
                self.seen_bracket = true;
            }
            b'}' => self.close(b'{'),
            b']' => self.close(b'['),
            _ => {}
        }
    }

    /// Closes the nearest bracket of the kind and whatever was left open inside it.
    fn close(&mut self, opener: u8) {
        let is_open = match opener {
            b'[' => self.lists > 0,
            _ => self.lists < self.open.len(),
        };
        while is_open && let Some(open) = self.open.pop() {
            self.lists -= usize::from(open == b'[');
            if open == opener {
                return;
            }
        }
    }
}

/// Looks for the end of a record that is too large to be held: where its brackets balance; at the end of
/// its line if it is one; at a line that starts with a bracket where no grammar allows one; as an element
/// of an array, at the array's comma or bracket.
pub(super) struct Skimmer {
    piece: Piece,
    string: Option<StringPart>,
    depth: u64,
    previous: u8,
    is_line_start: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    Element,
    Line,
    Document,
}

/// What was last read of a string.
#[derive(Clone, Copy, PartialEq, Eq)]
enum StringPart {
    Character,
    Backslash,
}

impl Skimmer {
    /// `seen`: as much of the record as was looked at.
    pub fn new(seen: &[u8], in_array: bool) -> Self {
        let piece = if in_array {
            Piece::Element
        } else if seen.contains(&b'\n') {
            Piece::Document
        } else {
            Piece::Line
        };
        Self {
            piece,
            string: None,
            depth: 0,
            previous: b':',
            is_line_start: false,
        }
    }

    /// The position behind the record, if it ends here.
    pub fn end_in(&mut self, bytes: &[u8]) -> Option<usize> {
        bytes.iter().position(|byte| self.ends_at(*byte))
    }

    /// Reads on; true where the record ends before this byte.
    pub fn ends_at(&mut self, byte: u8) -> bool {
        let ends = self.ends_before(byte);
        self.is_line_start = byte == b'\n';
        self.string = match (self.string, byte) {
            (_, b'\n') | (Some(StringPart::Character), b'"') => None,
            (Some(StringPart::Character), b'\\') => Some(StringPart::Backslash),
            (Some(_), _) | (None, b'"') => Some(StringPart::Character),
            (None, _) => {
                self.read_outside_strings(byte);
                return ends;
            }
        };
        self.previous = b'"';
        ends
    }

    fn ends_before(&self, byte: u8) -> bool {
        let is_closed = self.depth == 0 && matches!(self.previous, b'}' | b']');
        let out_of_place = self.is_line_start && !matches!(self.previous, b':' | b',' | b'[');
        match (self.piece, byte) {
            (Piece::Element, b',' | b']') => self.string.is_none() && self.depth == 0,
            (Piece::Element, _) => false,
            (Piece::Line, b'\n') => true,
            (_, b'{' | b'[') => is_closed || out_of_place,
            _ => is_closed,
        }
    }

    fn read_outside_strings(&mut self, byte: u8) {
        match byte {
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        if !is_white_space(byte) {
            self.previous = byte;
        }
    }
}
