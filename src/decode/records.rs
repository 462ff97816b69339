//! The records of one object, one after the other, in memory that does not grow with the object.
//!
//! The quick way reads event after event while all is in order: one scan both finds where an event ends
//! and says what it consists of. Where anything is out of the ordinary, [`Framer`] looks at the data
//! from there on, and the quick way goes on behind. Both decide by the same rules, so objects up to
//! [`Limits::reach`] come out as if they had been framed as wholes.
//!
//! Hazards: a decision that depends on what follows must not be taken at the end of the window; an array
//! or a record may be larger than any window. Keeps invariants 1 and 2.

use std::collections::VecDeque;
use std::io::{self, Read};

use super::codec::DataReader;
use super::frame::{
    Framer, Span, UnbrokenLine, ends_cleanly, skip_blank, skip_separators, unreadable,
};
use super::resync::Skimmer;
use super::scan::{end_of_value, skip_white_space};
use super::tape::Tape;
use super::window::Window;
use super::{Codec, Document, Limits, Reason};

const CHUNK: usize = 256 * 1024;

/// A piece of an object that stands for one event, understood or not.
#[derive(Debug)]
pub struct FramedRecord<'window> {
    /// Counts the records of the object from 0, broken ones too.
    pub ordinal: u64,
    /// Where the record starts in the decompressed object, in bytes.
    pub offset: u64,
    /// How long the record is, in bytes.
    pub length: u64,
    /// The record without the white space around it. Cut at the limit where it is too large for a window.
    pub bytes: &'window [u8],
    /// The event, or why the record goes to quarantine.
    pub content: Result<&'window Document, Reason>,
}

/// A record as it is found in the window.
struct Found {
    offset: u64,
    length: u64,
    start: usize,
    end: usize,
    /// Whether `document` is the event, or why not.
    content: Result<(), Reason>,
}

/// Reads an object record by record.
pub struct Records<Source> {
    window: Window<Source>,
    limits: Limits,
    reach: usize,
    tape: Tape,
    document: Document,
    /// Where in the window the next record is looked for.
    position: usize,
    /// Records that were found on the way.
    spans: VecDeque<Span>,
    /// Within a top-level array that is too large for a window.
    in_array: bool,
    count: u64,
    is_begun: bool,
    /// Up to here there is no line break in what was framed last, and what stands there last.
    line_to: u64,
    line_last: u8,
}

impl<Source: Read> Records<Source> {
    /// `source` gives the object's bytes as stored; how they are compressed is told by their first bytes,
    /// which are read at once.
    pub fn new(source: Source, limits: &Limits) -> Self {
        Self::over(DataReader::new(source, limits), limits, CHUNK)
    }

    /// The same, with a window that moves on by `chunk` bytes: what comes out does not depend on it.
    pub fn with_chunk(source: Source, limits: &Limits, chunk: usize) -> Self {
        Self::over(DataReader::new(source, limits), limits, chunk)
    }

    /// `source` gives the object's data, which is not compressed whatever its first bytes are.
    pub(super) fn of_data(source: Source, limits: &Limits) -> Self {
        Self::over(DataReader::plain(source, limits), limits, CHUNK)
    }

    fn over(data: DataReader<Source>, limits: &Limits, chunk: usize) -> Self {
        let reach = usize::try_from(limits.reach()).unwrap_or(usize::MAX);
        Self {
            window: Window::new(data, chunk, reach),
            limits: *limits,
            reach,
            tape: Tape::default(),
            document: Document::default(),
            position: 0,
            spans: VecDeque::new(),
            in_array: false,
            count: 0,
            is_begun: false,
            line_to: 0,
            line_last: 0,
        }
    }

    /// The next record; `None` at the end, see then [`Self::damage`] and [`Self::failure`].
    pub fn next_record(&mut self) -> Option<FramedRecord<'_>> {
        let found = self.find()?;
        let ordinal = self.count;
        self.count += 1;
        Some(FramedRecord {
            ordinal,
            offset: found.offset,
            length: found.length,
            bytes: self
                .window
                .bytes
                .get(found.start..found.end)
                .unwrap_or_default(),
            content: found.content.map(|()| &self.document),
        })
    }

    /// Known after the end: why there may be more in the object than was read.
    pub fn damage(&self) -> Option<Reason> {
        self.window.data().damage()
    }

    /// Known after the end: why the source could not be read on. The object is not at fault; what was
    /// read of it may end in the midst of a record.
    pub fn failure(&self) -> Option<&io::Error> {
        self.window.data().failure()
    }

    /// How the object is compressed.
    pub fn codec(&self) -> Codec {
        self.window.data().codec()
    }

    fn find(&mut self) -> Option<Found> {
        if !self.is_begun {
            self.is_begun = true;
            self.window.reach(&mut self.position, 4);
            if let Some(reason) = unreadable(&self.window.bytes) {
                return Some(self.whole_object(reason));
            }
        }
        loop {
            if let Some(span) = self.spans.pop_front() {
                return Some(self.found(span));
            }
            if !self.go_to_next() {
                return None;
            }
            if let Some(found) = self.quick_event() {
                return Some(found);
            }
            if let Some(found) = self.look_closely() {
                return Some(found);
            }
        }
    }

    /// Moves to where the next record starts; false at the end of the object.
    fn go_to_next(&mut self) -> bool {
        loop {
            self.position = if self.in_array {
                skip_separators(&self.window.bytes, self.position)
            } else {
                skip_blank(&self.window.bytes, self.position)
            };
            // A byte order mark has three bytes.
            if self.window.ahead(self.position) >= 3 || self.window.is_last() {
                break;
            }
            self.window.reach(&mut self.position, 3);
        }
        if self.in_array && self.window.bytes.get(self.position) == Some(&b']') {
            self.in_array = false;
            self.position += 1;
            return self.go_to_next();
        }
        self.window.ahead(self.position) > 0
    }

    /// The event at the position, if all is in order there.
    fn quick_event(&mut self) -> Option<Found> {
        if self.window.bytes.get(self.position) != Some(&b'{') {
            return None;
        }
        let most = self.most_kept();
        loop {
            let data = self.window.bytes.get(self.position..)?;
            let data = data.get(..most).unwrap_or(data);
            match self.tape.read(data, self.limits.depth()) {
                Ok(length) => match self.stands_alone(self.position + length) {
                    Some(true) => return Some(self.event(length)),
                    Some(false) => return None,
                    None => {}
                },
                Err(Reason::Truncated) if data.len() < most && !self.window.is_last() => {}
                Err(_) => return None,
            }
            self.window.grow(&mut self.position);
        }
    }

    /// What framing may look at from the position on, and whether the object ends with it.
    fn seen(&self) -> (&[u8], bool) {
        let bytes = &self.window.bytes;
        match bytes.get(..self.position.saturating_add(self.reach)) {
            Some(seen) => (seen, self.window.is_last() && seen.len() == bytes.len()),
            None => (bytes, self.window.is_last()),
        }
    }

    /// Whether there is more that framing may look at.
    fn may_see_more(&self) -> bool {
        self.window.ahead(self.position) < self.reach && !self.window.is_last()
    }

    /// Whether the value from the position to `end` stands on its own; `None` if that depends on what
    /// follows the window.
    fn stands_alone(&self, end: usize) -> Option<bool> {
        let (bytes, _) = self.seen();
        let next = skip_blank(bytes, end);
        if next + 3 > bytes.len() && self.may_see_more() {
            return None;
        }
        if !self.in_array {
            return Some(ends_cleanly(bytes, self.position, end));
        }
        let next = bytes.get(skip_white_space(bytes, end));
        Some(matches!(next, None | Some(b',' | b']')))
    }

    /// The event that the tape holds, `length` bytes long.
    fn event(&mut self, length: usize) -> Found {
        let (start, end) = (self.position, self.position + length);
        let bytes = self.window.bytes.get(start..end).unwrap_or_default();
        let content = match str::from_utf8(bytes) {
            Ok(text) => self.document.judge(text, &mut self.tape),
            Err(_) => Err(Reason::NotUtf8),
        };
        self.position = end;
        Found {
            offset: self.window.offset_of(start),
            length: length as u64,
            start,
            end,
            content,
        }
    }

    fn found(&mut self, span: Span) -> Found {
        let content = span.content(&self.window.bytes, &self.limits, &mut self.tape);
        Found {
            offset: self.window.offset_of(span.start),
            length: (span.end - span.start) as u64,
            start: span.start,
            end: span.end,
            content: content.map(|event| self.document = event),
        }
    }

    /// Frames what is at the position: an array, or something broken. Gives a record only if it is too
    /// large for the window, and nothing if an array was entered.
    fn look_closely(&mut self) -> Option<Found> {
        let is_array = !self.in_array && self.window.bytes.get(self.position) == Some(&b'[');
        if !(is_array && self.has_whole_array()) {
            self.window.reach(&mut self.position, self.reach);
        }
        let known_line = self.known_line();
        let (bytes, is_last) = self.seen();
        let mut framer = Framer::new(bytes, self.limits.depth());
        framer.line = known_line;
        let enters_array = is_array && !is_last && framer.opens_endless_array(self.position);
        let end = if enters_array {
            self.position + 1
        } else if self.in_array {
            framer.element(bytes, self.position)
        } else {
            framer.next_document(self.position)
        };
        let goes_on = skip_white_space(bytes, end) == bytes.len() && !is_last;
        let (spans, line) = (framer.spans, framer.line);
        self.line_to = self.window.offset_of(line.to);
        self.line_last = line.last;
        if goes_on && (end - self.position) as u64 > self.limits.record_bytes() {
            return Some(self.too_large());
        }
        self.in_array |= enters_array;
        self.spans = spans.into();
        self.position = end;
        None
    }

    /// What was found out about the line that holds the position.
    fn known_line(&self) -> UnbrokenLine {
        let offset = self.window.offset_of(self.position);
        let known = usize::try_from(self.line_to.saturating_sub(offset)).unwrap_or(0);
        UnbrokenLine {
            from: self.position,
            to: self.position + known,
            last: self.line_last,
        }
    }

    /// Makes the window large enough for the array at the position, as far as that is possible.
    fn has_whole_array(&mut self) -> bool {
        loop {
            let (bytes, _) = self.seen();
            match end_of_value(bytes, self.position, self.limits.depth()) {
                Ok(end) => {
                    if let Some(stands_alone) = self.stands_alone(end) {
                        return stands_alone;
                    }
                }
                Err(Reason::Truncated) if self.may_see_more() => {}
                Err(_) => return false,
            }
            self.window.grow(&mut self.position);
        }
    }

    /// The record at the position, which goes beyond the window.
    fn too_large(&mut self) -> Found {
        let (bytes, _) = self.seen();
        let seen = bytes.get(self.position..).unwrap_or_default();
        let mut skimmer = Skimmer::new(seen, self.in_array);
        let kept = seen.get(..self.most_kept()).unwrap_or(seen);
        // Where the record seems to end within what framing took as a whole is no end.
        let _ = kept.iter().filter(|byte| skimmer.ends_at(**byte)).count();
        self.cut(Reason::RecordTooLarge, &mut |bytes| skimmer.end_in(bytes))
    }

    /// The whole object as one record that cannot be read.
    fn whole_object(&mut self, reason: Reason) -> Found {
        self.window.reach(&mut self.position, self.reach);
        if self.window.is_last() {
            let span = Span {
                start: self.position,
                end: self.window.bytes.len(),
                broken: Some(reason),
            };
            self.position = span.end;
            return self.found(span);
        }
        self.cut(reason, &mut |_| None)
    }

    fn most_kept(&self) -> usize {
        usize::try_from(self.limits.record_bytes()).unwrap_or(usize::MAX)
    }

    /// The record at the position, as much of it as is kept; the rest up to where `end_in` finds an end
    /// is passed over.
    fn cut(&mut self, reason: Reason, end_in: &mut dyn FnMut(&[u8]) -> Option<usize>) -> Found {
        let start = self.position;
        let offset = self.window.offset_of(start);
        let kept = self.window.ahead(start).min(self.most_kept());
        let length = kept as u64 + self.window.skip(start + kept, end_in);
        self.position = start + kept;
        Found {
            offset,
            length,
            start,
            end: start + kept,
            content: Err(if length > self.limits.record_bytes() {
                Reason::RecordTooLarge
            } else {
                reason
            }),
        }
    }
}
