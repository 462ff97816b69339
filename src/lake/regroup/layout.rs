//! In which order the bytes of the new file lie, so that few of them have to be sent.
//!
//! Parquet finds column chunks by their absolute offsets, so clean ranges and new groups may lie in any
//! order; only the first four bytes and the footer have their place. A range of at least
//! [`SMALLEST_PART`] can be copied by the store. Everything else is sent: at the end, if the file can begin
//! with a copy, or else at the front, where it may take some bytes off a copy to be long enough.
//!
//! Hazard: a clean range may be cut into one stretch that is sent and one that is copied. They have to stay
//! neighbours, or a column chunk that lies across the cut would be torn.

use std::ops::Range;

use bytes::Bytes;

use crate::lake::s3::{ONE_REQUEST, SMALLEST_PART, Stretch};

/// What every Parquet file begins with.
pub const MAGIC: &[u8; 4] = b"PAR1";

/// The new file up to its page indexes and footer.
#[derive(Debug)]
pub struct Arrangement {
    /// In the file's order.
    pub stretches: Vec<Stretch>,
    /// Where our own bytes begin, in the order they were given in.
    pub own: Vec<u64>,
    /// Where they end, which is where the page indexes begin.
    pub end: u64,
    /// Ranges of the old file, each with where it begins in the new one.
    moved: Vec<(Range<u64>, u64)>,
}

impl Arrangement {
    /// Puts `clean` ranges of the old file, which neither touch nor overlap and are in order, and bytes of
    /// our `own` in order.
    pub fn new(clean: Vec<Range<u64>>, own: Vec<Bytes>) -> Self {
        let own_length: u64 = own.iter().map(|bytes| bytes.len() as u64).sum();
        let ranges = Ranges::choose(clean, own_length);
        let mut arrangement = Self {
            stretches: Vec::new(),
            own: Vec::new(),
            end: 0,
            moved: Vec::new(),
        };
        let own = own.into_iter();
        if ranges.begins_with_copy {
            ranges
                .copied
                .into_iter()
                .for_each(|range| arrangement.copy(range));
            ranges
                .sent
                .into_iter()
                .for_each(|range| arrangement.fetch(range));
            own.for_each(|bytes| arrangement.send(bytes));
        } else {
            arrangement.push(Stretch::Own(Bytes::from_static(MAGIC)));
            own.for_each(|bytes| arrangement.send(bytes));
            ranges
                .sent
                .into_iter()
                .for_each(|range| arrangement.fetch(range));
            ranges
                .copied
                .into_iter()
                .for_each(|range| arrangement.copy(range));
        }
        arrangement
    }

    /// Where a byte of a clean range lies in the new file.
    pub fn moved(&self, old: u64) -> Option<u64> {
        let (range, at) = self.moved.iter().find(|(range, _)| range.contains(&old))?;
        Some(at + (old - range.start))
    }

    fn copy(&mut self, range: Range<u64>) {
        self.moved.push((range.clone(), self.end));
        self.push(Stretch::Copied(range));
    }

    fn fetch(&mut self, range: Range<u64>) {
        self.moved.push((range.clone(), self.end));
        self.push(Stretch::Fetched(range));
    }

    fn send(&mut self, bytes: Bytes) {
        self.own.push(self.end);
        self.push(Stretch::Own(bytes));
    }

    fn push(&mut self, stretch: Stretch) {
        self.end += stretch.length();
        self.stretches.push(stretch);
    }
}

/// Which clean ranges are copied and which are sent, each in their order.
struct Ranges {
    copied: Vec<Range<u64>>,
    sent: Vec<Range<u64>>,
    /// The first copy begins with the old file's own first bytes.
    begins_with_copy: bool,
}

impl Ranges {
    fn choose(clean: Vec<Range<u64>>, own: u64) -> Self {
        let header = MAGIC.len() as u64;
        let total = header + own + clean.iter().map(length).sum::<u64>();
        if total <= ONE_REQUEST {
            return Self {
                copied: Vec::new(),
                sent: clean,
                begins_with_copy: false,
            };
        }
        let (copied, sent) = clean
            .into_iter()
            .partition(|range| length(range) >= SMALLEST_PART);
        let mut ranges = Self {
            copied,
            sent,
            begins_with_copy: false,
        };
        match ranges.copied.first_mut() {
            Some(first) if first.start == header => {
                first.start = 0;
                ranges.begins_with_copy = true;
            }
            _ => ranges.fill_front(header + own),
        }
        ranges
    }

    /// Sends as much more as the first part lacks, which has `front` bytes and the ranges that are sent.
    fn fill_front(&mut self, front: u64) {
        loop {
            let front = front + self.sent.iter().map(length).sum::<u64>();
            let missing = SMALLEST_PART.saturating_sub(front);
            if missing == 0 {
                return;
            }
            let long_enough = |range: &Range<u64>| length(range) >= missing + SMALLEST_PART;
            if let Some(index) = self.copied.iter().position(long_enough) {
                let mut rest = self.copied.remove(index);
                self.sent.push(rest.start..rest.start + missing);
                rest.start += missing;
                self.copied.insert(0, rest);
                return;
            }
            match self.copied.pop() {
                Some(range) => self.sent.push(range),
                None => return,
            }
        }
    }
}

fn length(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}
