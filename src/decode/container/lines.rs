//! JSON text, a record a line, written piece by piece and no further than the limits.
//!
//! A record that turns out to be none is taken back, and `null` stands in its place: so every line is
//! either an object, whole and sound, or `null`, and framing cannot see it in another way.

use std::collections::BTreeMap;

use super::{Broken, Converted};
use crate::decode::json::MAX_DEPTH;
use crate::decode::{Limits, Reason};

pub(super) struct Lines {
    max_object_bytes: usize,
    max_record_bytes: usize,
    max_depth: usize,
    text: Vec<u8>,
    /// Where the record begins that is being written.
    start: usize,
    depth: usize,
    /// The first thing that is wrong with the record being written.
    flaw: Option<Reason>,
    ordinal: u64,
    broken: BTreeMap<u64, Broken>,
    room_for_broken: usize,
}

impl Lines {
    pub fn new(limits: &Limits) -> Self {
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            max_object_bytes: size(limits.max_object_bytes),
            max_record_bytes: size(limits.max_record_bytes),
            max_depth: limits.max_depth.min(MAX_DEPTH - 2),
            text: Vec::new(),
            start: 0,
            depth: 0,
            flaw: None,
            ordinal: 0,
            broken: BTreeMap::new(),
            room_for_broken: size(limits.max_object_bytes),
        }
    }

    /// The ordinal of the record being written.
    pub fn ordinal(&self) -> u64 {
        self.ordinal
    }

    pub fn max_object_bytes(&self) -> usize {
        self.max_object_bytes
    }

    pub fn max_record_bytes(&self) -> usize {
        self.max_record_bytes
    }

    /// Says that the record being written is none.
    pub fn flaw(&mut self, reason: Reason) {
        self.flaw.get_or_insert(reason);
    }

    /// Adds text as it is; past the limit of a record nothing is added any more.
    pub fn raw(&mut self, text: &[u8]) {
        let length = self.text.len() - self.start;
        if length > self.max_record_bytes {
            return self.flaw(Reason::RecordTooLarge);
        }
        let room = self.max_record_bytes + 1 - length;
        self.text
            .extend_from_slice(text.get(..room).unwrap_or(text));
    }

    /// Opens an object or an array.
    pub fn open(&mut self, bracket: u8) {
        self.depth += 1;
        if self.depth > self.max_depth {
            self.flaw(Reason::TooDeep);
        }
        self.raw(&[bracket]);
    }

    /// Closes an object or an array.
    pub fn close(&mut self, bracket: u8) {
        self.depth = self.depth.saturating_sub(1);
        self.raw(&[bracket]);
    }

    /// Adds a string. Bytes that are no text stay as they are, for a person to look at.
    pub fn string(&mut self, bytes: &[u8]) {
        let Ok(text) = str::from_utf8(bytes) else {
            self.flaw(Reason::NotUtf8);
            self.raw(b"\"");
            self.raw(bytes);
            return self.raw(b"\"");
        };
        self.raw(&quoted(text));
    }

    /// Adds a map's key: what `write` adds, in quotes if it has none.
    pub fn key(&mut self, write: impl FnOnce(&mut Self)) {
        let start = self.text.len();
        write(self);
        match self.text.get(start) {
            Some(b'"') => {}
            Some(b'{' | b'[') => self.flaw(Reason::ContainerSchema),
            _ => {
                self.text.insert(start, b'"');
                self.raw(b"\"");
            }
        }
    }

    /// Ends the record being written. Answers whether there is room for more.
    pub fn finish(&mut self, offset: u64) -> bool {
        let record = self.text.get(self.start..).unwrap_or_default();
        if record.len() > self.max_record_bytes {
            self.flaw(Reason::RecordTooLarge);
        } else if record.first() != Some(&b'{') {
            self.flaw(Reason::NotAnObject);
        }
        if self.text.len() > self.max_object_bytes {
            return false;
        }
        if let Some(reason) = self.flaw {
            self.push_broken(Broken {
                reason,
                offset,
                bytes: self.text.get(self.start..).unwrap_or_default().to_vec(),
                stands_for: Some(1),
            });
            return true;
        }
        self.end_line();
        true
    }

    /// Puts something broken in place of the record being written. Of its bytes no more is kept than a
    /// record may have, and of all such bytes no more than an object may have.
    pub fn push_broken(&mut self, mut broken: Broken) {
        broken
            .bytes
            .truncate(self.max_record_bytes.min(self.room_for_broken));
        self.room_for_broken -= broken.bytes.len();
        self.text.truncate(self.start);
        self.text.extend_from_slice(b"null");
        self.broken.insert(self.ordinal, broken);
        self.end_line();
    }

    fn end_line(&mut self) {
        self.text.push(b'\n');
        self.start = self.text.len();
        self.depth = 0;
        self.flaw = None;
        self.ordinal += 1;
    }

    pub fn conclude(mut self, damage: Option<Reason>, metadata: Vec<u8>) -> Converted {
        self.text.truncate(self.start);
        Converted {
            lines: self.text,
            broken: self.broken,
            damage,
            metadata,
        }
    }
}

/// A string as JSON text.
pub(super) fn quoted(text: &str) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(text.len() + 2);
    if let Err(error) = serde_json::to_writer(&mut quoted, text) {
        unreachable!("writing text to memory does not fail: {error}");
    }
    quoted
}
