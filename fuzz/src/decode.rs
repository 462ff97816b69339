//! What must hold of the decoder for any bytes whatever.
//!
//! - Reading by windows gives what framing the whole gives, however small the windows.
//! - Every byte belongs to one record, or is white space, a byte order mark, or a bracket or comma of a
//!   top-level array.
//! - An event comes back from its columns, whether these were learned from it, from others, or not at all.
//! - The fingerprints of the record, the tree and the row are the same.
//! - A batch brings new fields if learning would add columns.

#![no_main]

#[allow(dead_code, unused_imports)]
#[path = "../../src/decode/mod.rs"]
mod decode;

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use decode::{
    Document, EventColumns, Json, Limits, NewFields, Reason, Record, Records, SchemaRules, decompress,
    fingerprint, fingerprints, frame, learn, rebuild, semantically_equal,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let limits = limits(data);
    let plain = decompress(data, &limits);
    let records = frame(&plain.data, &limits);
    windows_do_not_show(data, &limits, &records, plain.damage);
    no_byte_vanishes(&plain.data, &records);
    let events: Vec<&Json> = records.iter().filter_map(|record| record.content.as_ref().ok()).collect();
    events_come_back(&events, &limits);
});

/// Half of the inputs meet limits that are easy to reach.
fn limits(data: &[u8]) -> Limits {
    if data.len() % 2 == 0 {
        return Limits::default();
    }
    Limits {
        max_record_bytes: 60,
        max_depth: 5,
        ..Limits::default()
    }
}

fn windows_do_not_show(data: &[u8], limits: &Limits, whole: &[Record<'_>], damage: Option<Reason>) {
    let mut windows = Records::with_chunk(data, limits, 1 + data.len() % 61);
    for expected in whole {
        let found = windows.next_record().expect("a record too few");
        assert_eq!(found.ordinal, expected.ordinal);
        assert_eq!(found.offset, expected.offset);
        assert_eq!(found.length, expected.bytes.len() as u64);
        assert_eq!(found.bytes, expected.bytes);
        match (&found.content, &expected.content) {
            (Ok(found), Ok(expected)) => assert_eq!(found.to_json(), *expected),
            (Err(found), Err(expected)) => assert_eq!(found, expected),
            _ => panic!("an event by one way, broken by the other"),
        }
    }
    assert!(windows.next_record().is_none(), "a record too many");
    assert_eq!(windows.damage(), damage);
    assert!(windows.failure().is_none());
}

fn no_byte_vanishes(data: &[u8], records: &[Record<'_>]) {
    let mut end = 0;
    for record in records {
        let start = usize::try_from(record.offset).unwrap();
        assert!(!record.bytes.is_empty());
        assert_eq!(&data[start..start + record.bytes.len()], record.bytes);
        only_separators(&data[end..start]);
        end = start + record.bytes.len();
    }
    only_separators(&data[end..]);
}

fn only_separators(gap: &[u8]) {
    assert!(gap.iter().all(|byte| b" \t\r\n[],\xef\xbb\xbf".contains(byte)));
}

fn events_come_back(events: &[&Json], limits: &Limits) {
    const RULES: SchemaRules = SchemaRules {
        on_new_field: NewFields::Add,
        max_columns: 1000,
    };
    let few = &events[..events.len() / 2];
    let nothing = Arc::new(Schema::empty());
    let narrow = learn(None, few.iter().copied(), &SchemaRules { max_columns: 3, ..RULES }).schema;
    let wide = learn(Some(&narrow), events.iter().copied(), &RULES);
    let again = learn(Some(&wide.schema), events.iter().copied(), &RULES);
    assert!(again.added.is_empty());
    for schema in [&nothing, &narrow, &wide.schema] {
        let brings_new_fields = round_trip(schema, events, limits);
        let learned = learn(Some(schema), events.iter().copied(), &RULES);
        assert!(brings_new_fields || learned.added.is_empty());
    }
}

fn round_trip(schema: &SchemaRef, events: &[&Json], limits: &Limits) -> bool {
    let mut columns = EventColumns::new(schema);
    for event in events {
        // The text of the tree may be longer or shorter than the record.
        let generous = Limits { max_record_bytes: u64::MAX, ..*limits };
        let document = Document::parse(event.to_string().as_bytes(), &generous).unwrap();
        assert_eq!(document.to_json(), **event);
        assert_eq!(document.fingerprint(), fingerprint(event));
        columns.append(&document);
    }
    assert_eq!(columns.rows(), events.len());
    let brings_new_fields = columns.brings_new_fields();
    let batch = columns.finish().unwrap();
    let by_column = fingerprints(&batch).unwrap();
    for (row, event) in events.iter().enumerate() {
        assert!(semantically_equal(&rebuild(&batch, row).unwrap(), event));
        assert_eq!(by_column[row], fingerprint(event));
    }
    brings_new_fields
}
