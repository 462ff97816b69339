//! Broken Parquet files: without a footer nothing can be read; a row group that is damaged costs itself.

use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::file::properties::WriterProperties;
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};

use super::super::{RawFormat, parquet};
use super::parquet::{Stored, file};
use super::{outline, without};
use crate::decode::{Limits, Reason};

/// Three row groups of two rows.
fn three_groups() -> Vec<u8> {
    let users = ["ada", "bob", "eve", "joe", "kim", "lou"];
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("user", Arc::new(StringArray::from(users.to_vec()))),
        ("row", Arc::new(Int64Array::from_iter_values(0..6))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(2))
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn damage(raw: &[u8]) -> Option<Reason> {
    parquet::to_json_lines(raw, &Limits::default()).damage
}

#[test]
fn without_its_footer_a_file_is_one_broken_record() {
    let whole = |raw: &[u8], code: &str, reason| {
        let expected = format!("0 {code}: {}", String::from_utf8_lossy(raw));
        assert_eq!(outline(raw, RawFormat::Parquet), [expected]);
        assert_eq!(damage(raw), Some(reason));
    };
    let raw = three_groups();
    for length in [4, 7, raw.len() / 2, raw.len() - 1] {
        whole(
            &raw[..length],
            "container_truncated",
            Reason::ContainerTruncated,
        );
    }
    whole(b"{\"a\":1}\n", "wrong_format", Reason::WrongFormat);
    whole(b"Obj\x01", "wrong_format", Reason::WrongFormat);
    whole(
        b"PAR1 nonsense PAR1",
        "container_corrupt",
        Reason::ContainerCorrupt,
    );
}

#[test]
fn a_damaged_row_group_costs_its_rows_and_the_places_behind_it_stay_right() {
    let mut raw = three_groups();
    let frames: Vec<usize> = (0..raw.len() - 4)
        .filter(|place| raw[*place..].starts_with(&[0x28, 0xb5, 0x2f, 0xfd]))
        .collect();
    // Every column of two rows has a page of its own, some a dictionary before it: break one in the middle.
    let middle = frames[frames.len() / 2];
    raw[middle] ^= 0xff;
    let told = outline(&raw, RawFormat::Parquet);
    let expected = [
        r#"0 {"user":"ada","row":0}"#,
        r#"1 {"user":"bob","row":1}"#,
        "2 container_corrupt: ",
        r#"4 {"user":"kim","row":4}"#,
        r#"5 {"user":"lou","row":5}"#,
    ];
    assert_eq!(told, expected);
    assert_eq!(damage(&raw), Some(Reason::ContainerCorrupt));
    assert_eq!(
        without(&raw, RawFormat::Parquet, &[0]),
        None,
        "it would be lost"
    );
}

#[test]
fn wherever_a_file_is_bent_nothing_crashes() {
    let whole = three_groups();
    for place in 0..whole.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bent = whole.clone();
            bent[place] ^= flip;
            outline(&bent, RawFormat::Parquet);
        }
    }
}

#[test]
fn values_that_json_cannot_say_cost_their_record() {
    let raw = file(
        "required binary user (STRING); required double amount; required int32 at (TIME_MILLIS);",
        &[
            Stored::Bytes(&[b"ada", b"caf\xe9", b"eve", b"joe"]),
            Stored::Double(&[f64::NAN, 1.0, 2.0, 3.0]),
            Stored::Int32(&[0, 0, 0, 86_400_000]),
        ],
    );
    let expected = [
        r#"0 not_finite: {"user":"ada","amount":NaN,"at":"00:00:00.000"}"#,
        "1 not_utf8: {\"user\":\"caf\u{fffd}\",\"amount\":1.0,\"at\":\"00:00:00.000\"}",
        r#"2 {"user":"eve","amount":2.0,"at":"00:00:00.000"}"#,
        r#"3 time_out_of_range: {"user":"joe","amount":3.0,"at":86400000}"#,
    ];
    assert_eq!(outline(&raw, RawFormat::Parquet), expected);
    assert_eq!(damage(&raw), None);
}

#[test]
fn an_int96_that_would_wrap_is_not_guessed() {
    let raw = file("required int96 v;", &[Stored::Int96(&[[0, 0, 5_373_484]])]);
    assert_eq!(outline(&raw, RawFormat::Parquet), ["0 container_corrupt: "]);
}

#[test]
fn bombs_are_refused_by_what_they_announce() {
    let limits = Limits {
        max_object_bytes: 20_000,
        max_record_bytes: 3_000,
        ..Limits::default()
    };
    // One long value, said a hundred times by its number in the dictionary.
    let long = vec![b'x'; 1_000];
    let raw = file(
        "required binary v (STRING);",
        &[Stored::Bytes(&[long.as_slice(); 100])],
    );
    assert!(raw.len() < 5_000);
    let converted = parquet::to_json_lines(&raw, &limits);
    assert_eq!(converted.damage, Some(Reason::ObjectTooLarge));
    assert!(converted.lines.len() <= 20_000 && converted.lines.len() > 15_000);
    assert_eq!(converted.broken.len(), 1);

    let raw = file("required int64 v;", &[Stored::Int64(&vec![7; 30_000])]);
    let converted = parquet::to_json_lines(&raw, &limits);
    assert_eq!(converted.damage, Some(Reason::ObjectTooLarge));
    assert_eq!(converted.lines, b"null\n");

    let large = vec![b'x'; 4_000];
    let raw = file(
        "required binary v (STRING);",
        &[Stored::Bytes(&[b"a", &large, b"b"])],
    );
    let converted = parquet::to_json_lines(&raw, &limits);
    assert_eq!(converted.lines, b"{\"v\":\"a\"}\nnull\n{\"v\":\"b\"}\n");
    assert_eq!(converted.broken[&1].reason, Reason::RecordTooLarge);
}
