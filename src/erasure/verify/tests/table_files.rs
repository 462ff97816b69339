//! Parquet files: what rows hold, and what is left of rows that are gone.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int64Array, ListArray, RecordBatch, StringArray, StructArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::Field;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use super::{ADA, EARLIER, LAKE, LATER, Lake, MAIL, RAW, SESSION, coverage_of, forms};
use crate::erasure::verify::Coverage;

pub(super) const EVENTS: &str = "events/cart/event_date=2026-11-19/a.parquet";
pub(super) const CURATED: &str = "curated/journeys/event_date=2026-11-19/a.parquet";

pub(super) fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

pub(super) fn integers(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

pub(super) fn times(values: &[&str]) -> ArrayRef {
    let micros = values.iter().map(|time| {
        let time: DateTime<Utc> = time.parse().unwrap();
        time.timestamp_micros()
    });
    Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
}

pub(super) fn file(columns: Vec<(&str, ArrayRef)>) -> Bytes {
    file_with(columns, WriterProperties::builder().build())
}

pub(super) fn list(values: ArrayRef, offsets: &[i32]) -> ArrayRef {
    let field = Arc::new(Field::new("item", values.data_type().clone(), true));
    let offsets = OffsetBuffer::new(offsets.to_vec().into());
    Arc::new(ListArray::new(field, offsets, values, None))
}

fn file_with(columns: Vec<(&str, ArrayRef)>, properties: WriterProperties) -> Bytes {
    let nullable = columns
        .into_iter()
        .map(|(name, values)| (name, values, true));
    let batch = RecordBatch::try_from_iter_with_nullable(nullable).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap().into()
}

/// Two rows, the first of which has this user, time, note and rescued text.
fn event_rows(user: &str, time: &str, note: &str, rescued: Option<&str>) -> Bytes {
    file(vec![
        ("userId", texts(&[Some(user), Some("1")])),
        ("note", texts(&[Some(note), Some("78")])),
        ("session", texts(&[Some("9456"), Some("x")])),
        ("_rescued", texts(&[rescued, None])),
        ("_event_time", times(&[time, EARLIER])),
        ("_offset", integers(&[789_456, 1])),
    ])
}

async fn events(user: &str, time: &str, note: &str, rescued: Option<&str>) -> Coverage {
    coverage_of(LAKE, EVENTS, event_rows(user, time, note, rescued)).await
}

#[tokio::test]
async fn rows_of_an_event_table_are_events() {
    let coverage = events("2", EARLIER, "x", None).await;
    assert!(
        coverage.is_clean() && coverage.mentions == 0,
        "{coverage:?}"
    );
    assert_eq!(coverage.rows, 2);
    let coverage = events(ADA, EARLIER, "x", None).await;
    assert_eq!(forms(&coverage), ["value at an identifier field"]);
    let coverage = events("2", EARLIER, "for ada@example.org", None).await;
    assert_eq!(forms(&coverage), ["token in an event"]);
    let coverage = events("2", EARLIER, "was 789456", None).await;
    assert_eq!((coverage.is_clean(), coverage.mentions), (true, 1));
    let coverage = events("1789456", EARLIER, "x", None).await;
    assert!(coverage.is_clean(), "{coverage:?}");
}

#[tokio::test]
async fn later_rows_may_stay_with_their_statistics_and_dictionaries() {
    let coverage = events(ADA, LATER, MAIL, None).await;
    assert!(coverage.is_clean(), "{coverage:?}");
    assert_eq!(coverage.later_events, 1);
    let columns = |user| {
        vec![
            ("userId", texts(&[user])),
            ("session", texts(&[Some(SESSION)])),
            ("_event_time", times(&[EARLIER])),
        ]
    };
    let others = coverage_of(LAKE, EVENTS, file(columns(Some("2")))).await;
    assert!(others.is_clean(), "{others:?}");
    let nobodys = coverage_of(LAKE, EVENTS, file(columns(None))).await;
    assert_eq!(forms(&nobodys), ["token in an event"]);
}

#[tokio::test]
async fn what_was_rescued_stands_where_its_pointer_says() {
    for rescued in [
        r#"{"/userId":["789456"]}"#,
        r#"{"/userId":[1, 7.89456e5]}"#,
        r#"{"/userId":["\u0037\u003894\u00356"]}"#,
        r#"{"/buyer/0/ids":[[789456]]}"#,
        r#"{"/buyer":[{"ids":789456}]}"#,
    ] {
        let coverage = events("", EARLIER, "x", Some(rescued)).await;
        assert_eq!(
            forms(&coverage),
            ["value at an identifier field"],
            "{rescued}"
        );
    }
    for rescued in [r#"{"/count":[789456]}"#, r#"{"/userId":["1789456"]}"#] {
        let coverage = events("", EARLIER, "x", Some(rescued)).await;
        assert!(coverage.is_clean(), "{rescued}");
    }
}

#[tokio::test]
async fn nested_columns_keep_their_path_and_row() {
    let ids = list(integers(&[5, 6, 789_456]), &[0, 1, 3]);
    let buyer = |name: &str| -> ArrayRef {
        let field = Arc::new(Field::new(name, ids.data_type().clone(), true));
        Arc::new(StructArray::new(
            vec![field].into(),
            vec![Arc::clone(&ids)],
            None,
        ))
    };
    let time = |second| times(&[EARLIER, second]);
    let rows =
        |name: &str, second| file(vec![("buyer", buyer(name)), ("_event_time", time(second))]);
    let coverage = coverage_of(LAKE, EVENTS, rows("ids", EARLIER)).await;
    assert_eq!(forms(&coverage), ["value at an identifier field"]);
    let coverage = coverage_of(LAKE, EVENTS, rows("ids", LATER)).await;
    assert_eq!((coverage.is_clean(), coverage.later_events), (true, 1));
    let coverage = coverage_of(LAKE, EVENTS, rows("counts", EARLIER)).await;
    assert_eq!((coverage.is_clean(), coverage.mentions), (true, 1));
}

#[tokio::test]
async fn curated_cells_count_by_the_columns_last_name() {
    let rows = |name: &'static str, values| file(vec![(name, values)]);
    let found = |name, values| coverage_of(LAKE, CURATED, rows(name, values));
    let field = ["value at an identifier field"];
    assert_eq!(forms(&found("userId", integers(&[789_456])).await), field);
    assert_eq!(forms(&found("ids", texts(&[Some(ADA)])).await), field);
    assert_eq!(
        forms(&found("customer", texts(&[Some(ADA)])).await),
        ["token in a text"]
    );
    let counted = found("revenue", integers(&[789_456])).await;
    assert_eq!((counted.is_clean(), counted.mentions), (true, 1));
    let later = "curated/journeys/event_date=2026-11-21/a.parquet";
    let coverage = coverage_of(LAKE, later, rows("userId", integers(&[789_456]))).await;
    assert_eq!((coverage.is_clean(), coverage.later_events), (true, 1));
}

#[tokio::test]
async fn a_raw_parquet_object_holds_events() {
    let rows = |time| {
        file(vec![
            ("userId", integers(&[789_456])),
            ("timestamp", texts(&[Some(time)])),
        ])
    };
    let coverage = coverage_of(RAW, "cart/a", rows(EARLIER)).await;
    assert_eq!(forms(&coverage), ["value at an identifier field"]);
    let coverage = coverage_of(RAW, "cart/a", rows(LATER)).await;
    assert_eq!((coverage.is_clean(), coverage.later_events), (true, 1));
}

/// Puts `new` in place of `old`, of the same length, everywhere or in the first place only.
fn replaced(file: &[u8], old: &str, new: &str, how_often: usize) -> Vec<u8> {
    let text = memchr::memmem::find_iter(file, old).take(how_often);
    let mut file = file.to_vec();
    for place in text.collect::<Vec<_>>() {
        file[place..place + new.len()].copy_from_slice(new.as_bytes());
    }
    file
}

#[tokio::test]
async fn a_dictionary_value_that_no_row_uses_is_a_trace() {
    // The values are in the dictionary in order of appearance; each row then has two bits or so for which
    // of them it means. Written without statistics, the only "789456" is the one in the dictionary.
    let properties = || {
        WriterProperties::builder()
            .set_statistics_enabled(parquet::file::properties::EnabledStatistics::None)
            .build()
    };
    let columns = |users: &[Option<&str>]| {
        vec![
            ("userId", texts(users)),
            ("_event_time", times(&vec![EARLIER; users.len()])),
        ]
    };
    let used = file_with(
        columns(&[Some(ADA), Some("111111"), Some("111111")]),
        properties(),
    );
    let coverage = coverage_of(LAKE, EVENTS, used.clone()).await;
    assert_eq!(forms(&coverage), ["value at an identifier field"]);
    // The indexes are one run of bits, 1-1-0 from the right: the first row's becomes 1 too.
    let unused = without_first_use(&used);
    let coverage = coverage_of(LAKE, EVENTS, unused).await;
    assert_eq!(forms(&coverage), ["dictionary value that no row uses"]);
}

/// The data page of `userId` ends in: bit width 1, one group of eight (3), the bits 0b110.
fn without_first_use(file: &[u8]) -> Vec<u8> {
    let mut file = file.to_vec();
    let place = memchr::memmem::find(&file, &[1, 3, 0b110]).unwrap();
    file[place + 2] = 0b111;
    file
}

#[tokio::test]
async fn statistics_of_rows_that_are_gone_are_a_trace() {
    let rows = file_with(
        vec![
            ("userId", texts(&[Some("789455"), Some("789455")])),
            ("_event_time", times(&[EARLIER, EARLIER])),
        ],
        WriterProperties::builder()
            .set_dictionary_enabled(false)
            .build(),
    );
    let clean = coverage_of(LAKE, EVENTS, rows.clone()).await;
    assert!(clean.is_clean());
    // Of the texts in the file all but the rows' own are statistics and page indexes.
    let of_rows = memchr::memmem::find_iter(&rows[..], b"\x06\x00\x00\x00789455");
    let of_rows: Vec<usize> = of_rows.map(|place| place + 4).collect();
    assert_eq!(of_rows.len(), 2);
    let mut left = replaced(&rows, "789455", ADA, usize::MAX);
    for place in of_rows {
        left[place..place + 6].copy_from_slice(b"789455");
    }
    let coverage = coverage_of(LAKE, EVENTS, left).await;
    assert_eq!(forms(&coverage), ["statistics of a Parquet file"]);
}

#[tokio::test]
async fn names_of_columns_and_notes_are_looked_at() {
    let named = file(vec![("ada@example.org", integers(&[1]))]);
    let schema = ["column name or metadata of a Parquet file"];
    assert_eq!(forms(&coverage_of(LAKE, CURATED, named).await), schema);
    let note = KeyValue::new("query".to_owned(), "where userId = 789456".to_owned());
    let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![note]));
    let noted = file_with(vec![("x", integers(&[1]))], properties.build());
    assert_eq!(forms(&coverage_of(LAKE, CURATED, noted).await), schema);
}

#[tokio::test]
async fn checkpoints_of_logs_are_read_as_the_log_is() {
    let key = "events/cart/_delta_log/00000000000000000010.checkpoint.parquet";
    let stats = |text: &'static str| {
        file(vec![
            ("stats", texts(&[Some(text)])),
            ("size", integers(&[789_456])),
        ])
    };
    let coverage = coverage_of(
        LAKE,
        key,
        stats(r#"{"numRecords":789456,"minValues":{"userId":"5"}}"#),
    )
    .await;
    assert!(
        coverage.is_clean() && coverage.mentions == 0,
        "{coverage:?}"
    );
    let coverage = coverage_of(LAKE, key, stats(r#"{"minValues":{"userId":789456}}"#)).await;
    assert_eq!(forms(&coverage), ["value at an identifier field"]);
    let coverage = coverage_of(
        LAKE,
        key,
        stats(r#"{"maxValues":{"m":"\u0061da@example.org"}}"#),
    )
    .await;
    assert_eq!(forms(&coverage), ["token in a text"]);
}

#[tokio::test]
async fn large_files_are_read_row_group_by_row_group() {
    // Random enough not to be made small: 18 MiB of text in three groups, the subject in the last.
    let filler: Vec<String> = (0..300_000_u64)
        .map(|number| {
            format!(
                "{:064}",
                u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).pow(2)
            )
        })
        .collect();
    let mut users: Vec<Option<&str>> = vec![Some("1"); filler.len()];
    *users.last_mut().unwrap() = Some(ADA);
    let filler: Vec<Option<&str>> = filler.iter().map(|text| Some(text.as_str())).collect();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(100_000));
    let large = file_with(
        vec![("userId", texts(&users)), ("filler", texts(&filler))],
        properties.build(),
    );
    assert!(large.len() > 17 * 1024 * 1024);
    let lake = Lake::new().await;
    lake.put(LAKE, EVENTS, large).await;
    let coverage = lake.coverage().await;
    assert_eq!(coverage.rows, 300_000);
    assert_eq!(forms(&coverage), ["value at an identifier field"]);
}
