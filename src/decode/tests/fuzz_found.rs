//! What fuzzing found: each input as small as it still went wrong.

use crate::decode::{Limits, Reason, Records, decompress, frame, remove_records};

/// An object that is no UTF-8 text was cut at the record limit even where it is no larger than a window.
#[test]
fn an_unreadable_object_in_a_window_is_kept_whole() {
    let data = b"\xff\x00\x00\x00\x0a\x7d";
    let limits = Limits {
        max_record_bytes: 2,
        ..Limits::default()
    };
    let mut records = Records::new(&data[..], &limits);
    let record = records.next_record().unwrap();
    assert_eq!(
        (record.offset, record.length, record.bytes),
        (0, 6, &data[..])
    );
    assert_eq!(record.content.unwrap_err(), Reason::RecordTooLarge);
    assert!(records.next_record().is_none());
}

/// How many records of which length there are, in order.
fn runs_of_lengths(data: &[u8]) -> Vec<(usize, u64)> {
    let mut runs: Vec<(usize, u64)> = Vec::new();
    let mut records = Records::new(data, &Limits::default());
    while let Some(record) = records.next_record() {
        match runs.last_mut() {
            Some((count, length)) if *length == record.length => *count += 1,
            _ => runs.push((1, record.length)),
        }
    }
    runs
}

/// One line with many broken records was searched for its beginning or end once for every record: minutes
/// for a few megabytes.
#[test]
fn a_long_line_of_broken_records_costs_no_square() {
    const MANY: usize = 50_000;
    let documents = b"{\"a\" 1}{\"a\":10}".repeat(MANY);
    assert_eq!(runs_of_lengths(&documents).len(), 2 * MANY);
    let elements = b"{\"a\" 1},".repeat(MANY);
    let array = [b"[", &elements[..], b"{}]"].concat();
    assert_eq!(runs_of_lengths(&array), [(MANY, 7), (1, 2)]);
    let arrays = b"[{\"a\" 1}]".repeat(MANY);
    assert_eq!(runs_of_lengths(&arrays), [(MANY, 7)]);
    let found = b"[{\"a:1}e {\"a\0}]".repeat(MANY);
    assert_eq!(runs_of_lengths(&found), [(MANY, 13)]);
    let brackets = [b"[{\"a\" 1", &b"[".repeat(MANY)[..], &b"}".repeat(MANY)].concat();
    assert_eq!(runs_of_lengths(&brackets).len(), 1);
    let lines = b"[\nx{\"a\":1}\ny\n".repeat(MANY);
    assert_eq!(runs_of_lengths(&lines).len(), 3 * MANY);
}

/// How much came out of a damaged gzip file before its damage depended on how much was asked for at once.
#[test]
fn what_comes_before_damage_does_not_depend_on_the_window() {
    let object = b"\x1f\x8b\x08\x11-1.5E-7\x11\x11\x11\x11\x11\xff\xff\x01\x00\
        {\"n\x11\x11\x11\x11121,\"k10\n";
    let limits = Limits::default();
    let whole = decompress(object, &limits);
    assert_eq!(whole.damage, Some(Reason::CompressionCorrupt));
    let expected = frame(&whole.data, &limits).len();
    for chunk in [1, 33, 1024] {
        let mut records = Records::with_chunk(&object[..], &limits, chunk);
        let mut count = 0;
        while records.next_record().is_some() {
            count += 1;
        }
        assert_eq!(count, expected, "{chunk}");
        assert_eq!(records.damage(), whole.damage);
    }
}

/// A bracket was left behind, which is a broken record where there was none: such an object could not be
/// rewritten.
#[test]
fn an_array_that_never_ends_goes_with_its_last_element() {
    for array in [
        "[{\"b\":2}",
        "[ {\"b\":2} ,\n",
        "[\n{\"b\":2},\n{\"c\":3}\n",
    ] {
        let data = format!("{{\"a\":1}}\n{array}");
        let records = frame(data.as_bytes(), &Limits::default());
        let left = remove_records(data.as_bytes(), &records, &|ordinal| ordinal > 0);
        assert_eq!(left, b"{\"a\":1}\n", "{array}");
    }
}
