//! Records: the two ways of framing agree, and no byte is lost.

use std::cell::Cell;
use std::io::{self, Read};

use crate::decode::{Codec, Json, Limits, Reason, Record, Records, decompress, frame};
use crate::{Switches, limits};

/// How much [`Records`] reads at once.
const CHUNK: usize = 256 * 1024;
/// How far beyond the largest record framing looks.
const LOOK_AHEAD: usize = 64 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads a stored object record by record and holds it against framing all its data at once.
pub fn check_whole(stored: &[u8], limits: &Limits) {
    check_by_windows(stored, limits, CHUNK);
}

fn check_by_windows(stored: &[u8], limits: &Limits, chunk: usize) {
    let decompressed = decompress(stored, limits);
    let expected = frame(&decompressed.data, limits);
    check_conservation(&decompressed.data, &expected);
    for record in &expected {
        check_against_serde(record);
    }
    let mut records = Records::with_chunk(stored, limits, chunk);
    for expected in &expected {
        let record = records.next_record().expect("a record is missing");
        assert_eq!(record.ordinal, expected.ordinal);
        assert_eq!(record.offset, expected.offset);
        assert_eq!(record.bytes, expected.bytes);
        assert_eq!(record.length, expected.bytes.len() as u64);
        let content = record.content.map(|event| event.to_json());
        assert_eq!(content, expected.content);
    }
    assert!(records.next_record().is_none(), "a record too many");
    assert!(records.next_record().is_none(), "a record behind the end");
    assert_eq!(records.damage(), decompressed.damage);
    assert_eq!(records.codec(), decompressed.codec);
    assert!(records.failure().is_none());
}

/// Small limits, of which most objects break one.
pub fn check_strict(data: &[u8], switches: Switches) {
    check_whole(data, &strict(switches));
}

fn strict(switches: Switches) -> Limits {
    Limits {
        max_object_bytes: u64::from(switches.choice) * 64,
        max_expansion: 0,
        max_record_bytes: u64::from(switches.amount),
        max_depth: usize::from(switches.choice % 16),
    }
}

/// The object again and again, larger than any window, with small limits.
pub fn check_long(data: &[u8], switches: Switches) {
    if data.is_empty() {
        return;
    }
    // Framing looks so far ahead for every record that is too large: much smaller ones cost the square.
    let limits = Limits {
        max_record_bytes: 1024 * (16 + u64::from(switches.amount)),
        max_object_bytes: 0,
        ..strict(switches)
    };
    let largest = limits.max_record_bytes as usize;
    let is_longest = switches.choice % 16 == 15;
    let beyond = if is_longest { 6 * CHUNK } else { 0 };
    let long = data.repeat((largest + LOOK_AHEAD + beyond) / data.len() + 3);
    let count = Cell::new(0);
    let mut records = Records::new(Counted::new(&long, &count), &limits);
    let mut end = 0;
    let mut ordinal = 0;
    let is_plain = records.codec() == Codec::Plain;
    while let Some(record) = records.next_record() {
        assert_eq!(record.ordinal, ordinal);
        assert!(record.offset >= end, "a record begins within another");
        assert!(record.length > 0 && record.bytes.len() as u64 <= record.length);
        let most = largest + LOOK_AHEAD + CHUNK;
        assert!(record.bytes.len() <= most, "more is held than is allowed");
        if record.content.is_ok() {
            assert!(record.length <= limits.max_record_bytes);
        }
        if is_plain {
            let gap = &long[end as usize..record.offset as usize];
            assert!(belongs_to_no_record(gap), "bytes are lost");
            let start = record.offset as usize;
            assert!(long[start..].starts_with(record.bytes));
            assert!(count.get() <= start + record.length as usize + 2 * most);
        }
        end = record.offset + record.length;
        ordinal += 1;
    }
    if is_plain {
        assert!(
            belongs_to_no_record(&long[end as usize..]),
            "bytes are lost"
        );
    }
}

/// In small steps: the window ends anywhere.
pub fn check_small_windows(stored: &[u8], switches: Switches) {
    let chunk = 1 + usize::from(switches.amount) / 2;
    check_by_windows(stored, &limits(), chunk);
    let few = Limits {
        max_record_bytes: 8 + u64::from(switches.choice),
        max_depth: 3 + usize::from(switches.choice % 8),
        ..limits()
    };
    check_by_windows(stored, &few, chunk);
}

/// Every byte belongs to one record, or is white space, a byte order mark, or a bracket or comma of a
/// top-level array.
fn check_conservation(data: &[u8], records: &[Record<'_>]) {
    let mut end = 0;
    for (ordinal, record) in (0..).zip(records) {
        assert_eq!(record.ordinal, ordinal);
        let start = record.offset as usize;
        assert!(start >= end, "a record begins within another");
        assert!(!record.bytes.is_empty());
        assert!(belongs_to_no_record(&data[end..start]), "bytes are lost");
        assert!(data[start..].starts_with(record.bytes));
        end = start + record.bytes.len();
    }
    assert!(belongs_to_no_record(&data[end..]), "bytes are lost");
}

fn belongs_to_no_record(mut gap: &[u8]) -> bool {
    while let Some((first, rest)) = gap.split_first() {
        gap = match first {
            b' ' | b'\t' | b'\r' | b'\n' | b'[' | b']' | b',' => rest,
            _ => match gap.strip_prefix(BYTE_ORDER_MARK) {
                Some(rest) => rest,
                None => return false,
            },
        };
    }
    true
}

/// Another parser takes the same records for events, with the same meaning as far as it keeps meaning.
fn check_against_serde(record: &Record<'_>) {
    let by_serde = serde_json::from_slice::<serde_json::Value>(record.bytes);
    match (&record.content, by_serde) {
        (Ok(event), Ok(value)) => assert_eq!(as_serde(event), Some(value)),
        (Ok(_), Err(error)) => {
            let message = error.to_string();
            let is_its_own = ["number out of range", "recursion limit"];
            assert!(
                is_its_own.iter().any(|limit| message.starts_with(limit)),
                "{message}"
            );
        }
        (Err(reason), Ok(value)) => {
            let by_what_follows = matches!(
                reason,
                Reason::TrailingText | Reason::TooDeep | Reason::RecordTooLarge
            );
            assert!(by_what_follows || !value.is_object(), "{reason}");
        }
        (Err(_), Err(_)) => {}
    }
}

fn as_serde(event: &Json) -> Option<serde_json::Value> {
    serde_json::from_str(&event.to_string()).ok()
}

/// Counts what is read of an object.
struct Counted<'object> {
    object: &'object [u8],
    count: &'object Cell<usize>,
}

impl<'object> Counted<'object> {
    fn new(object: &'object [u8], count: &'object Cell<usize>) -> Self {
        Self { object, count }
    }
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.object.read(buffer)?;
        self.count.set(self.count.get() + read);
        Ok(read)
    }
}
