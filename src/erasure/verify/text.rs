//! Plain text that comes in pieces, searched window by window: JSON as records, anything else as bytes.
//!
//! Records are framed by `serde_json`, which skips values without building them. Most of them are skipped
//! only: a record is looked into ([`Walk`]) if its bytes hold a spelling of a term, a backslash, or a number
//! with an exponent. That shortcut is sound, because
//!
//! - a JSON string without a backslash is, decoded, the bytes that stand in the text;
//! - a JSON number without an exponent that is equal to an integer is spelled with the integer's digits,
//!   perhaps followed by `.000`, for there are no leading zeros: the digits are there as bytes;
//! - with an exponent (`1.2345e4`) the digits may be elsewhere, so such records are looked into.
//!
//! Framing after a broken record: what begins a line with `{` or `[` is a record again; a part of a broken,
//! pretty-printed document is indented and does not. All that lies between is one broken record.

use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use memchr::{memchr, memchr_iter};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::coverage::Form;
use super::event::Findings;
use super::fields::{Fields, Role};
use super::search::{Hits, Searcher};
use super::walk::Walk;
use super::wide;

/// Text that is looked at together.
const WINDOW: usize = 4 * 1024 * 1024;
/// A record that is longer is searched as bytes.
const LONGEST_RECORD: usize = 64 * 1024 * 1024;
/// What windows share of text that is searched as bytes, at least.
const LEAST_OVERLAP: usize = 256;

/// What a text is.
#[derive(Debug, Clone)]
pub(super) enum Reading {
    /// Events of a dataset.
    Events(Arc<Fields>),
    /// Lines that keep broken records, and the fields of the events that those were to be.
    Quarantine(Arc<Fields>, Arc<Fields>),
    /// JSON of the program's own, or of a table's log.
    Own(Arc<Fields>),
    /// Anything else.
    Bytes,
}

/// Looks at a text that is written to it.
pub(super) struct TextLook {
    searcher: Arc<Searcher>,
    reading: Reading,
    window: Vec<u8>,
    /// The window is looked at when it has so many bytes.
    look_at: usize,
    /// Whether the window begins within a broken record.
    in_broken: bool,
    pub findings: Findings,
}

impl TextLook {
    pub fn new(searcher: Arc<Searcher>, reading: Reading) -> Self {
        Self {
            searcher,
            reading,
            window: Vec::new(),
            look_at: WINDOW,
            in_broken: false,
            findings: Findings::default(),
        }
    }

    /// Whether it is text of some kind, and not just bytes.
    pub fn is_text(&self) -> bool {
        !matches!(self.reading, Reading::Bytes)
    }

    /// Looks at what is left.
    pub fn finish(mut self) -> Findings {
        self.look(true);
        self.findings
    }

    fn look(&mut self, is_last: bool) {
        let window = std::mem::take(&mut self.window);
        let done = match self.reading {
            Reading::Bytes => self.look_at_bytes(&window, is_last),
            _ => self.look_at_records(&window, is_last),
        };
        self.window = window;
        self.window.drain(..done.min(self.window.len()));
        // What is left is a record's beginning: it is not looked at again before there is much more of it.
        self.look_at = WINDOW.max(self.window.len() * 2);
    }

    /// Answers how many bytes are done with.
    fn look_at_bytes(&mut self, window: &[u8], is_last: bool) -> usize {
        bytes(
            &self.searcher,
            window,
            false,
            Form::Bytes,
            &mut self.findings,
        );
        if is_last {
            return window.len();
        }
        window.len().saturating_sub(self.overlap())
    }

    fn overlap(&self) -> usize {
        // Escaped, a sign takes six bytes.
        LEAST_OVERLAP.max(self.searcher.longest * 6)
    }

    fn look_at_records(&mut self, window: &[u8], is_last: bool) -> usize {
        let hits = self.searcher.find(window, false);
        let mut position = 0;
        loop {
            if !self.in_broken {
                position = skip_separators(window, position);
                if position >= window.len() {
                    return window.len();
                }
                match next_record(window, position) {
                    Framed::Record(end) => {
                        self.look_at_record(window, position..end, &hits);
                        position = end;
                        continue;
                    }
                    Framed::Cut if !is_last && window.len() - position <= LONGEST_RECORD => {
                        return position;
                    }
                    Framed::Cut | Framed::Broken => {}
                }
                self.findings.records += 1;
            }
            let next = next_start(window, position + usize::from(!self.in_broken));
            let end = next.unwrap_or(window.len());
            self.look_at_broken(window.get(position..end).unwrap_or_default());
            self.in_broken = next.is_none() && !is_last;
            if self.in_broken {
                return position.max(window.len().saturating_sub(self.overlap()));
            }
            position = end;
        }
    }

    fn look_at_record(&mut self, window: &[u8], record: Range<usize>, hits: &Hits) {
        self.findings.records += 1;
        let bytes = window.get(record.clone()).unwrap_or_default();
        let has_exponent = holds(&hits.exponents, |at| *at, &record);
        let has_hit = holds(&hits.hits, |hit| hit.range.end - 1, &record);
        if has_hit || has_exponent || memchr(b'\\', bytes).is_some() || self.hides_records(bytes) {
            self.walk(bytes, has_exponent);
        }
    }

    /// Whether base64 keeps anything from being found as bytes.
    fn hides_records(&self, bytes: &[u8]) -> bool {
        let is_quarantine = matches!(self.reading, Reading::Quarantine(..));
        is_quarantine && memchr::memmem::find(bytes, b"record_base64").is_some()
    }

    fn walk(&mut self, bytes: &[u8], has_exponent: bool) {
        let searcher = Arc::clone(&self.searcher);
        let (fields, form) = match &self.reading {
            Reading::Events(fields) => (Arc::clone(fields), Form::Event),
            Reading::Quarantine(fields, _) | Reading::Own(fields) => {
                (Arc::clone(fields), Form::Text)
            }
            Reading::Bytes => return,
        };
        let mut walk = Walk::new(&searcher, &fields, has_exponent);
        if walk.through(bytes, Fields::ROOT).is_err() {
            // Such as a surrogate without its other half, which skipping lets pass.
            return self.look_at_broken(bytes);
        }
        walk.event.judge(&searcher, form, &mut self.findings);
        let records = std::mem::take(&mut walk.records);
        for (role, text) in records {
            self.look_at_kept(role, text);
        }
    }

    /// A record that quarantine keeps: an event of which the time is wrong, or a broken one.
    fn look_at_kept(&mut self, role: Role, text: String) {
        let Reading::Quarantine(_, fields) = &self.reading else {
            return;
        };
        let record = match BASE64.decode(&text) {
            Ok(record) if role == Role::RecordInBase64 => record,
            _ => text.into_bytes(),
        };
        let record = wide::decoded(&record).unwrap_or(record);
        let mut walk = Walk::new(&self.searcher, fields, true);
        let is_object = record.trim_ascii_start().starts_with(b"{");
        if is_object && walk.through(&record, Fields::ROOT).is_ok() {
            walk.event
                .judge(&self.searcher, Form::Event, &mut self.findings);
        } else {
            self.look_at_broken(&record);
        }
    }

    fn look_at_broken(&mut self, record: &[u8]) {
        let (any_length, form) = match self.reading {
            Reading::Own(_) | Reading::Bytes => (false, Form::Bytes),
            Reading::Events(_) | Reading::Quarantine(..) => (true, Form::Broken),
        };
        bytes(&self.searcher, record, any_length, form, &mut self.findings);
    }
}

impl Write for TextLook {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        for part in piece.chunks(WINDOW) {
            self.window.extend_from_slice(part);
            if self.window.len() >= self.look_at {
                self.look(false);
            }
        }
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Searches bytes as they are and, where they may be JSON of some kind, with its escapes resolved.
pub(super) fn bytes(
    searcher: &Searcher,
    bytes: &[u8],
    any_length: bool,
    form: Form,
    findings: &mut Findings,
) {
    let hits = searcher.find(bytes, false).hits;
    findings.add_hits(searcher, &hits, any_length, form);
    let mut escaped = unescaped(bytes);
    // JSON in JSON in JSON: a sign that is escaped thrice is read after three passes.
    for _ in 0..3 {
        let Some(text) = escaped else {
            return;
        };
        let hits = searcher.find(&text, false).hits;
        findings.add_hits(searcher, &hits, any_length, form);
        escaped = unescaped(&text);
    }
}

/// The bytes with JSON's escapes resolved; none if there are none.
pub(super) fn unescaped(bytes: &[u8]) -> Option<Vec<u8>> {
    memchr(b'\\', bytes)?;
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(escape) = memchr(b'\\', rest) {
        let (before, from_escape) = rest.split_at(escape);
        plain.extend_from_slice(before);
        let (sign, length) = escaped_sign(from_escape);
        let mut buffer = [0; 4];
        plain.extend_from_slice(sign.encode_utf8(&mut buffer).as_bytes());
        rest = from_escape.get(length..).unwrap_or_default();
    }
    plain.extend_from_slice(rest);
    Some(plain)
}

/// What the escape at the beginning of `bytes` stands for, and its length.
fn escaped_sign(bytes: &[u8]) -> (char, usize) {
    let unit = |at: usize| {
        let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    if let Some(first) = unit(0) {
        let pair = [first, unit(6).unwrap_or(0)];
        return match char::decode_utf16(pair).next() {
            Some(Ok(sign)) => (sign, if sign.len_utf16() == 2 { 12 } else { 6 }),
            _ => (char::REPLACEMENT_CHARACTER, 6),
        };
    }
    match bytes.get(1) {
        Some(b'n' | b'r' | b't' | b'b' | b'f') => (' ', 2),
        Some(sign) if sign.is_ascii() => (char::from(*sign), 2),
        // A backslash that escapes nothing; the sign behind it is copied as it is.
        _ => ('\\', 1),
    }
}

enum Framed {
    /// A JSON object that ends there.
    Record(usize),
    /// The text ends before the value does.
    Cut,
    Broken,
}

fn next_record(text: &[u8], start: usize) -> Framed {
    let rest = text.get(start..).unwrap_or_default();
    if rest.first() != Some(&b'{') {
        return Framed::Broken;
    }
    let mut parser = serde_json::Deserializer::from_slice(rest);
    match IgnoredAny::deserialize(&mut parser) {
        Ok(IgnoredAny) => {
            let length = parser.into_iter::<IgnoredAny>().byte_offset();
            Framed::Record(start + length)
        }
        Err(error) if error.is_eof() => Framed::Cut,
        Err(_) => Framed::Broken,
    }
}

/// Past white space, byte order marks, and the brackets and commas of a list of records.
fn skip_separators(text: &[u8], mut position: usize) -> usize {
    loop {
        let rest = text.get(position..).unwrap_or_default();
        match rest {
            [b' ' | b'\t' | b'\r' | b'\n' | b',' | b'[' | b']', ..] => position += 1,
            [0xef, 0xbb, 0xbf, ..] => position += 3,
            _ => return position,
        }
    }
}

/// Where the next line begins, at `from` or later, that begins with a bracket.
fn next_start(text: &[u8], from: usize) -> Option<usize> {
    let from = from.saturating_sub(1);
    let rest = text.get(from..)?;
    let begins = |at: &usize| matches!(text.get(*at), Some(b'{' | b'['));
    memchr_iter(b'\n', rest)
        .map(|line_break| from + line_break + 1)
        .find(begins)
}

/// Whether any of what is sorted by place lies in `range`.
fn holds<T>(sorted: &[T], place: impl Fn(&T) -> usize, range: &Range<usize>) -> bool {
    let first = sorted.partition_point(|one| place(one) < range.start);
    sorted.get(first).is_some_and(|one| place(one) < range.end)
}
