//! The part of an object's data that is looked at, and how it moves on.
//!
//! Hazards: an object may be larger than memory, so what was framed is dropped; but how far a broken
//! record goes depends on the indentation of its line, so of the line that is begun a sketch is kept.

use std::io::Read;

use super::codec::DataReader;
use super::frame::BYTE_ORDER_MARK;
use super::scan::is_white_space;

/// The data from some place on.
pub(super) struct Window<Source> {
    data: DataReader<Source>,
    pub bytes: Vec<u8>,
    /// So many bytes at the start are a sketch of what was dropped.
    sketch: usize,
    /// Where in the object's data the bytes after the sketch come from.
    offset: u64,
    /// How many bytes are read at once.
    chunk: usize,
    /// No more of a line's white space is kept than this.
    longest_margin: usize,
}

impl<Source: Read> Window<Source> {
    pub fn new(data: DataReader<Source>, chunk: usize, longest_margin: usize) -> Self {
        Self {
            data,
            bytes: Vec::new(),
            sketch: 0,
            offset: 0,
            chunk,
            longest_margin,
        }
    }

    pub fn data(&self) -> &DataReader<Source> {
        &self.data
    }

    /// Whether the window ends where the object does.
    pub fn is_last(&self) -> bool {
        self.data.is_at_end()
    }

    /// How many bytes there are from `position` on.
    pub fn ahead(&self, position: usize) -> usize {
        self.bytes.len().saturating_sub(position)
    }

    /// Where in the object's data a position of the window is.
    pub fn offset_of(&self, position: usize) -> u64 {
        self.offset + position.saturating_sub(self.sketch) as u64
    }

    /// Makes `wanted` bytes available from `position` on, or all there are. What is before it may go, so
    /// it moves.
    pub fn reach(&mut self, position: &mut usize, wanted: usize) {
        let missing = wanted.saturating_sub(self.ahead(*position));
        if missing == 0 || self.is_last() {
            return;
        }
        // Moving what stays costs no more than what goes did.
        let gone = position.saturating_sub(self.sketch);
        if gone >= self.ahead(*position).max(self.sketch) {
            self.drop_until(position);
        }
        self.data.read(&mut self.bytes, missing.max(self.chunk));
    }

    /// Makes more bytes available from `position` on: twice as many.
    pub fn grow(&mut self, position: &mut usize) {
        let ahead = self.ahead(*position);
        self.reach(position, 2 * ahead.max(1));
    }

    fn drop_until(&mut self, position: &mut usize) {
        let offset = self.offset_of(*position);
        let before = self.bytes.get(..*position).unwrap_or_default();
        let sketch = sketch_of(before, self.longest_margin);
        let length = sketch.len();
        self.bytes.splice(..*position, sketch);
        self.sketch = length;
        self.offset = offset;
        *position = length;
    }

    /// Drops the bytes from `start` on, and those of the object that follow, up to where `end_in` finds
    /// an end. Returns how many.
    pub fn skip(&mut self, start: usize, end_in: &mut dyn FnMut(&[u8]) -> Option<usize>) -> u64 {
        let mut skipped = 0;
        loop {
            let seen = self.bytes.get(start..).unwrap_or_default();
            let end = end_in(seen);
            let count = end.unwrap_or(seen.len());
            skipped += count as u64;
            self.bytes.drain(start..start + count);
            if end.is_some() || self.is_last() {
                break;
            }
            self.data.read(&mut self.bytes, self.chunk);
        }
        self.offset += skipped;
        skipped
    }
}

/// What framing may want to know of the bytes before a place: whether a line starts there, and how far
/// its line is indented.
fn sketch_of(before: &[u8], longest_margin: usize) -> Vec<u8> {
    if before == BYTE_ORDER_MARK {
        return before.to_vec();
    }
    let line_break = before.iter().rposition(|byte| *byte == b'\n');
    let line = before.get(line_break.unwrap_or(0)..).unwrap_or_default();
    let margin = line
        .iter()
        .take_while(|byte| is_white_space(**byte))
        .count();
    let mut sketch = line
        .get(..margin.min(longest_margin))
        .unwrap_or_default()
        .to_vec();
    if margin < line.len() {
        sketch.push(b'.');
    }
    sketch
}
