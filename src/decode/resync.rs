//! How far a broken record goes.
//!
//! A record that starts with more than a bare bracket is taken for a line. A bare bracket opens a
//! pretty-printed document, which goes on while its lines are indented more deeply. Within those
//! bounds a `{` where no grammar allows one, at the start of a whole value, begins the next record.
//!
//! Hazards: an object inside a broken document must not be taken for the next event; one record after
//! the other may be broken, so nothing is looked at that lies far behind the end of a record, or garbage
//! would cost the square of its size.

use super::frame::{contains_line_break, ends_cleanly, is_line_start};
use super::scan::{end_of_value, is_white_space, skip_white_space};

/// Where the broken record at `start` ends, not before `at_least`; white space at its end left out.
pub(super) fn end_of_broken(data: &[u8], start: usize, at_least: usize, max_depth: usize) -> usize {
    let from = at_least.max(start + 1);
    let mut bound = Bound::of(data, start);
    let mut previous = data.get(from - 1).copied().unwrap_or_default();
    let mut end = data.len();
    for (position, byte) in data.iter().copied().enumerate().skip(start) {
        if let Some(limit) = bound.ends_at(data, position, byte) {
            end = limit.max(from);
            break;
        }
        if position < from || is_white_space(byte) {
            continue;
        }
        // A whole object where no grammar allows one is the next record.
        let out_of_place = byte == b'{' && !matches!(previous, b':' | b',' | b'[' | b'{');
        if out_of_place && begins_document(data, position, max_depth) {
            end = position;
            break;
        }
        previous = byte;
    }
    without_white_space_at_end(data, start, end)
}

fn begins_document(data: &[u8], position: usize, max_depth: usize) -> bool {
    // `{}` is no evidence: it stands inside strings and templates too.
    if data.get(skip_white_space(data, position + 1)) != Some(&b'"') {
        return false;
    }
    end_of_value(data, position, max_depth).is_ok_and(|end| ends_cleanly(data, position, end))
}

/// What a broken record cannot go beyond. It is read along with the record, because the next record may
/// begin long before.
enum Bound {
    /// The end of its line.
    Line,
    /// The end of the lines that are indented more deeply, and the bracket that closes the document.
    Indented(Lines),
    /// Where the brackets of a document without indentation balance, or a line that starts with a bracket
    /// where no grammar allows one.
    Flat(Outline, u8),
}

/// The lines of a pretty-printed document.
struct Lines {
    opener: u8,
    indentation: usize,
    /// How many line breaks there were.
    breaks: usize,
    line_start: usize,
    is_blank: bool,
}

impl Bound {
    fn of(data: &[u8], start: usize) -> Self {
        let next = skip_white_space(data, start + 1);
        let ends_line = next == data.len() || contains_line_break(data, start + 1, next);
        match data.get(start) {
            Some(opener @ (b'{' | b'[')) if ends_line => Self::Indented(Lines {
                opener: *opener,
                indentation: indentation_of_line_with(data, start),
                breaks: 0,
                line_start: start,
                is_blank: false,
            }),
            _ => Self::Line,
        }
    }

    /// Reads on; where the record ends at the latest, once that is known.
    fn ends_at(&mut self, data: &[u8], position: usize, byte: u8) -> Option<usize> {
        match self {
            Self::Line => (byte == b'\n').then_some(position),
            Self::Indented(lines) => {
                if !lines.outdents_at(position, byte) {
                    return None;
                }
                match byte {
                    b'}' | b']' => Some(end_of_closers(data, position)),
                    b'{' | b'[' => Some(lines.line_start),
                    _ if lines.breaks == 1 => {
                        let mut outline = Outline::default();
                        outline.read(lines.opener);
                        *self = Self::Flat(outline, lines.opener);
                        self.ends_at(data, position, byte)
                    }
                    _ => Some(lines.line_start),
                }
            }
            Self::Flat(outline, previous) => {
                let out_of_place = byte == b'{' && !matches!(previous, b':' | b',' | b'[');
                if out_of_place && is_line_start(data, position) {
                    return Some(position);
                }
                outline.read(byte);
                if !is_white_space(byte) {
                    *previous = byte;
                }
                let is_closed = outline.open.is_empty();
                is_closed.then(|| end_of_closers(data, position))
            }
        }
    }
}

impl Lines {
    /// Reads on; whether this byte begins a line's text and that is not indented more deeply.
    fn outdents_at(&mut self, position: usize, byte: u8) -> bool {
        if byte == b'\n' {
            self.breaks += 1;
            self.line_start = position + 1;
            self.is_blank = true;
        }
        if !self.is_blank || is_white_space(byte) {
            return false;
        }
        self.is_blank = false;
        position - self.line_start <= self.indentation
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

/// Where a broken element of a top-level array ends: before the comma or bracket of the array, or
/// before the next element. `data` ends where the array must.
pub(super) fn end_of_broken_element(data: &[u8], start: usize, max_depth: usize) -> usize {
    let column = column_of_first_on_line(data, start);
    let mut outline = Outline::default();
    let mut previous = b':';
    for (position, byte) in data.iter().copied().enumerate().skip(start) {
        if outline.is_outside_strings() {
            let ends_here = outline.open.is_empty() && byte == b',';
            let array_ends = byte == b']' && outline.arrays == 0;
            if position > start && (ends_here || array_ends) {
                return without_white_space_at_end(data, start, position);
            }
        }
        if byte == b'{' && position > start {
            let same_column = column.is_some_and(|column| starts_line_at(data, position, column));
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

/// How far what is at `position` is indented, if nothing else is before it on its line.
fn column_of_first_on_line(data: &[u8], position: usize) -> Option<usize> {
    let before = data.get(..position)?;
    let is_margin = |byte: &&u8| is_white_space(**byte) && **byte != b'\n';
    let margin = before.iter().rev().take_while(is_margin).count();
    let line_break = position.checked_sub(margin + 1)?;
    (data.get(line_break) == Some(&b'\n')).then_some(margin)
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
    /// How many of the open brackets are of each kind.
    arrays: usize,
    objects: usize,
    in_string: bool,
    escaped: bool,
}

impl Outline {
    fn is_outside_strings(&self) -> bool {
        !self.in_string
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
                *self.count(byte) += 1;
            }
            b'}' => self.close(b'{'),
            b']' => self.close(b'['),
            _ => {}
        }
    }

    /// Closes the nearest bracket of the kind and whatever was left open inside it.
    fn close(&mut self, opener: u8) {
        if *self.count(opener) == 0 {
            return;
        }
        while let Some(open) = self.open.pop() {
            *self.count(open) -= 1;
            if open == opener {
                return;
            }
        }
    }

    fn count(&mut self, opener: u8) -> &mut usize {
        match opener {
            b'[' => &mut self.arrays,
            _ => &mut self.objects,
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
