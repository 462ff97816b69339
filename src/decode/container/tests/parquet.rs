//! Parquet: every type by values written as they are stored, nesting as Arrow writes it.

use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ::parquet::basic::Compression;
use ::parquet::column::writer::ColumnWriter;
use ::parquet::data_type::{ByteArray, FixedLenByteArray, Int96};
use ::parquet::file::metadata::{ColumnChunkMetaData, KeyValue, RowGroupMetaData};
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;
use ::parquet::schema::printer::print_schema;
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use arrow::json::ReaderBuilder;
use bytes::Bytes;

use super::super::{RawFormat, parquet};
use super::{lines, outline, without};
use crate::decode::Limits;

/// The values of one column, as they are stored.
pub enum Stored<'a> {
    Bool(&'a [bool]),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    Int96(&'a [[u32; 3]]),
    Float(&'a [f32]),
    Double(&'a [f64]),
    Bytes(&'a [&'a [u8]]),
    Fixed(&'a [&'a [u8]]),
}

/// A file of one row group whose columns are all required.
pub fn file(schema: &str, columns: &[Stored<'_>]) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(&format!("message e {{ {schema} }}")).unwrap());
    let properties = Arc::new(WriterProperties::default());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for column in columns {
        let mut open = group.next_column().unwrap().unwrap();
        let written = match (open.untyped(), column) {
            (ColumnWriter::BoolColumnWriter(into), Stored::Bool(values)) => {
                into.write_batch(values, None, None)
            }
            (ColumnWriter::Int32ColumnWriter(into), Stored::Int32(values)) => {
                into.write_batch(values, None, None)
            }
            (ColumnWriter::Int64ColumnWriter(into), Stored::Int64(values)) => {
                into.write_batch(values, None, None)
            }
            (ColumnWriter::Int96ColumnWriter(into), Stored::Int96(values)) => {
                let values: Vec<Int96> = values.iter().map(|value| value.to_vec().into()).collect();
                into.write_batch(&values, None, None)
            }
            (ColumnWriter::FloatColumnWriter(into), Stored::Float(values)) => {
                into.write_batch(values, None, None)
            }
            (ColumnWriter::DoubleColumnWriter(into), Stored::Double(values)) => {
                into.write_batch(values, None, None)
            }
            (ColumnWriter::ByteArrayColumnWriter(into), Stored::Bytes(values)) => {
                let values: Vec<ByteArray> =
                    values.iter().map(|value| value.to_vec().into()).collect();
                into.write_batch(&values, None, None)
            }
            (ColumnWriter::FixedLenByteArrayColumnWriter(into), Stored::Fixed(values)) => {
                let values: Vec<FixedLenByteArray> = values
                    .iter()
                    .map(|value| ByteArray::from(value.to_vec()).into())
                    .collect();
                into.write_batch(&values, None, None)
            }
            _ => panic!("the values do not fit the schema"),
        };
        written.unwrap();
        open.close().unwrap();
    }
    group.close().unwrap();
    writer.into_inner().unwrap()
}

/// What the values of a column of `of` become.
#[track_caller]
fn expect(of: &str, stored: Stored<'_>, values: &[&str]) {
    let raw = file(&format!("required {of};"), &[stored]);
    let converted = parquet::to_json_lines(&raw, &Limits::default());
    let expected: Vec<String> = values
        .iter()
        .map(|value| format!(r#"{{"v":{value}}}"#))
        .collect();
    assert_eq!(lines(&converted), expected);
}

#[test]
fn plain_types() {
    expect(
        "boolean v",
        Stored::Bool(&[true, false]),
        &["true", "false"],
    );
    expect(
        "int32 v",
        Stored::Int32(&[i32::MIN, 0]),
        &["-2147483648", "0"],
    );
    expect(
        "int64 v",
        Stored::Int64(&[i64::MAX, i64::MIN]),
        &["9223372036854775807", "-9223372036854775808"],
    );
    expect("float v", Stored::Float(&[0.1, 60.0]), &["0.1", "60.0"]);
    expect("double v", Stored::Double(&[0.1, -0.0]), &["0.1", "-0.0"]);
    expect("binary v", Stored::Bytes(&[&[0xff, 0]]), &[r#""/wA=""#]);
    expect(
        "fixed_len_byte_array(2) v",
        Stored::Fixed(&[&[0xff, 0]]),
        &[r#""/wA=""#],
    );
}

#[test]
fn text_and_its_kin() {
    for of in ["STRING", "UTF8", "ENUM", "JSON"] {
        expect(
            &format!("binary v ({of})"),
            Stored::Bytes(&[b"a\"b", "🎟".as_bytes()]),
            &[r#""a\"b""#, r#""🎟""#],
        );
    }
    expect("binary v (BSON)", Stored::Bytes(&[&[5]]), &[r#""BQ==""#]);
    let uuid = [
        0xf8, 0x1d, 0x4f, 0xae, 0x7d, 0xec, 0x11, 0xd0, 0xa7, 0x65, 0x00, 0xa0, 0xc9, 0x1e, 0x6b,
        0xf6,
    ];
    expect(
        "fixed_len_byte_array(16) v (UUID)",
        Stored::Fixed(&[&uuid]),
        &[r#""f81d4fae-7dec-11d0-a765-00a0c91e6bf6""#],
    );
}

#[test]
fn numbers_without_sign_decimals_and_halves() {
    for of in ["UINT_32", "INTEGER(32,false)"] {
        expect(
            &format!("int32 v ({of})"),
            Stored::Int32(&[-1]),
            &["4294967295"],
        );
    }
    expect(
        "int64 v (UINT_64)",
        Stored::Int64(&[-1]),
        &["18446744073709551615"],
    );
    expect(
        "int32 v (DECIMAL(9,2))",
        Stored::Int32(&[6000, -1]),
        &["60.00", "-0.01"],
    );
    expect(
        "int64 v (DECIMAL(18,0))",
        Stored::Int64(&[123_456_789_012_345_678]),
        &["123456789012345678"],
    );
    expect(
        "binary v (DECIMAL(40,1))",
        Stored::Bytes(&[&[0x7f; 17], &[0xff, 0x38]]),
        &["4338533456209235813380876563459469839551.9", "-20.0"],
    );
    expect(
        "fixed_len_byte_array(2) v (DECIMAL(4,3))",
        Stored::Fixed(&[&[0x80, 0]]),
        &["-32.768"],
    );
    expect(
        "fixed_len_byte_array(2) v (FLOAT16)",
        Stored::Fixed(&[&[0x00, 0x3c], &[0x01, 0x00], &[0xff, 0xfb]]),
        &["1.0", "5.9604645e-8", "-65504.0"],
    );
}

#[test]
fn times() {
    expect(
        "int32 v (DATE)",
        Stored::Int32(&[0, 19_782, -1]),
        &[r#""1970-01-01""#, r#""2024-02-29""#, r#""1969-12-31""#],
    );
    expect(
        "int32 v (TIME_MILLIS)",
        Stored::Int32(&[86_399_999]),
        &[r#""23:59:59.999""#],
    );
    expect(
        "int64 v (TIME(NANOS,true))",
        Stored::Int64(&[1]),
        &[r#""00:00:00.000000001""#],
    );
    expect(
        "int64 v (TIMESTAMP_MILLIS)",
        Stored::Int64(&[1_795_143_600_000, 253_402_300_799_999]),
        &[
            r#""2026-11-20T03:00:00.000Z""#,
            r#""9999-12-31T23:59:59.999Z""#,
        ],
    );
    expect(
        "int64 v (TIMESTAMP(MICROS,true))",
        Stored::Int64(&[-1]),
        &[r#""1969-12-31T23:59:59.999999Z""#],
    );
    expect(
        "int64 v (TIMESTAMP(NANOS,false))",
        Stored::Int64(&[1_795_143_600_000_000_001]),
        &[r#""2026-11-20T03:00:00.000000001""#],
    );
    // Nanoseconds of the day, then the day: 2026-11-20 is day 2461365 of the Julian count.
    let nanoseconds: u64 = 10_800_000_000_001;
    expect(
        "int96 v",
        Stored::Int96(&[[nanoseconds as u32, (nanoseconds >> 32) as u32, 2_461_365]]),
        &[r#""2026-11-20T03:00:00.000000001""#],
    );
    expect(
        "fixed_len_byte_array(12) v (INTERVAL)",
        Stored::Fixed(&[&[1, 0, 0, 0, 0, 1, 0, 0, 3, 0, 0, 0]]),
        &[r#"{"months":1,"days":256,"milliseconds":3}"#],
    );
}

/// Events as Arrow's own JSON reader understands them, in row groups of two.
fn nested(events: &[&str]) -> Vec<u8> {
    let ticket = Fields::from(vec![
        Field::new("kind", DataType::Utf8, true),
        Field::new("prices", DataType::new_list(DataType::Int64, true), true),
    ]);
    let entry = Fields::from(vec![
        Field::new("keys", DataType::Utf8, false),
        Field::new("values", DataType::Int64, true),
    ]);
    let entries = Field::new("entries", DataType::Struct(entry), false);
    let schema = Arc::new(Schema::new(vec![
        Field::new("user", DataType::Utf8, true),
        Field::new(
            "items",
            DataType::new_list(DataType::Struct(ticket), true),
            true,
        ),
        Field::new("counts", DataType::Map(Arc::new(entries), false), true),
    ]));
    let mut reader = ReaderBuilder::new(schema.clone()).build_decoder().unwrap();
    reader.decode(events.join("\n").as_bytes()).unwrap();
    let batch = reader.flush().unwrap().unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(2))
        .set_compression(Compression::SNAPPY)
        .set_key_value_metadata(Some(vec![KeyValue::new("team".into(), "cart".to_owned())]))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

const NESTED: [&str; 5] = [
    r#"{"user":"ada","items":[{"kind":"adult","prices":[1,null,3]},null],"counts":{"a":1,"b":null}}"#,
    r#"{"user":null,"items":[],"counts":{}}"#,
    r#"{"user":"bob","items":null,"counts":null}"#,
    r#"{"user":"eve","items":[{"kind":null,"prices":[]},{"kind":"child","prices":null}],"counts":{"":7}}"#,
    r#"{"user":"ada","items":[{"kind":"adult","prices":[9]}],"counts":{"z":-1}}"#,
];

#[test]
fn nesting_comes_over_as_it_is() {
    let converted = parquet::to_json_lines(&nested(&NESTED), &Limits::default());
    assert_eq!(lines(&converted), NESTED);
    let described = String::from_utf8(converted.metadata).unwrap();
    assert!(described.contains("team\ncart\n"));
}

#[test]
fn keys_that_are_no_text_become_text() {
    let schema = "required group v (MAP) { repeated group key_value {
        required int32 key; required boolean value; } }";
    let schema = Arc::new(parse_message_type(&format!("message e {{ {schema} }}")).unwrap());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let levels = (&[1_i16, 1][..], &[0_i16, 1][..]);
    let mut keys = group.next_column().unwrap().unwrap();
    let typed = keys.typed::<::parquet::data_type::Int32Type>();
    typed
        .write_batch(&[7, 8], Some(levels.0), Some(levels.1))
        .unwrap();
    keys.close().unwrap();
    let mut flags = group.next_column().unwrap().unwrap();
    let typed = flags.typed::<::parquet::data_type::BoolType>();
    typed
        .write_batch(&[true, false], Some(levels.0), Some(levels.1))
        .unwrap();
    flags.close().unwrap();
    group.close().unwrap();
    let raw = writer.into_inner().unwrap();
    let converted = parquet::to_json_lines(&raw, &Limits::default());
    assert_eq!(lines(&converted), [r#"{"v":{"7":true,"8":false}}"#]);
}

#[test]
fn an_empty_file_holds_nothing() {
    for raw in [
        nested(&["{}"]),
        file("required int32 v;", &[Stored::Int32(&[])]),
    ] {
        let converted = parquet::to_json_lines(&raw, &Limits::default());
        let expected = r#"{"user":null,"items":null,"counts":null}"#;
        assert!(lines(&converted).iter().all(|line| *line == expected));
        assert!(converted.broken.is_empty());
    }
}

struct Described {
    schema: String,
    pairs: Vec<KeyValue>,
    compressions: Vec<Compression>,
}

fn described(raw: &[u8]) -> Described {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::copy_from_slice(raw)).unwrap();
    let file = reader.metadata().file_metadata();
    let mut schema = Vec::new();
    print_schema(&mut schema, file.schema_descr().root_schema());
    let groups = reader.metadata().row_groups().iter();
    let columns = groups.flat_map(RowGroupMetaData::columns);
    Described {
        schema: String::from_utf8(schema).unwrap(),
        pairs: file.key_value_metadata().cloned().unwrap_or_default(),
        compressions: columns.map(ColumnChunkMetaData::compression).collect(),
    }
}

#[test]
fn rows_leave_with_all_that_said_anything_of_them() {
    let raw = nested(&NESTED);
    let left = without(&raw, RawFormat::Parquet, &[0, 4]).unwrap();
    let converted = parquet::to_json_lines(&left, &Limits::default());
    assert_eq!(lines(&converted), NESTED[1..4]);
    // Another reader agrees.
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(left.clone())).unwrap();
    let rows: usize = reader
        .build()
        .unwrap()
        .map(|batch| batch.unwrap().num_rows())
        .sum();
    assert_eq!(rows, 3);
    let (before, after) = (described(&raw), described(&left));
    assert_eq!(
        (&after.schema, &after.pairs),
        (&before.schema, &before.pairs)
    );
    assert!(after.pairs.iter().any(|pair| pair.key == "team"));
    let is_snappy = |one: &Compression| *one == Compression::SNAPPY;
    assert!(after.compressions.iter().all(is_snappy));
    assert_eq!(
        after.compressions.len(),
        2 * 5,
        "the third row group is gone"
    );
    assert!(raw.windows(3).any(|window| window == b"ada"));
    assert!(!left.windows(3).any(|window| window == b"ada"));
}

#[test]
fn values_of_every_stored_type_are_copied() {
    let schema = "required boolean a; required int32 b (DATE); required int64 c (UINT_64);
        required int96 d; required float e; required double f; required binary g (STRING);
        required fixed_len_byte_array(12) h (INTERVAL);";
    let raw = file(
        schema,
        &[
            Stored::Bool(&[true, false]),
            Stored::Int32(&[1, 2]),
            Stored::Int64(&[-1, -2]),
            Stored::Int96(&[[0, 0, 2_440_588], [1, 0, 2_440_588]]),
            Stored::Float(&[f32::NAN, 0.5]),
            Stored::Double(&[1.0, f64::INFINITY]),
            Stored::Bytes(&[b"ada", b"b\xe9b"]),
            Stored::Fixed(&[&[0; 12], &[1; 12]]),
        ],
    );
    let told = outline(&raw, RawFormat::Parquet);
    let left = without(&raw, RawFormat::Parquet, &[0]).unwrap();
    let again = outline(&left, RawFormat::Parquet);
    assert_eq!(again, [told[1].replacen('1', "0", 1)]);
    assert!(again[0].contains("not_finite"));
    assert_eq!(described(&left).schema, described(&raw).schema);
}

#[test]
fn a_column_written_by_another_with_a_dictionary_loses_its_values_too() {
    let users: Vec<String> = (0..1000)
        .map(|row| format!("customer-{}", row % 10))
        .collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("user", Arc::new(StringArray::from(users))),
        ("row", Arc::new(Int64Array::from_iter_values(0..1000))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    let raw = writer.into_inner().unwrap();
    let dropped: Vec<u64> = (0..1000).filter(|row| row % 10 == 3).collect();
    let left = without(&raw, RawFormat::Parquet, &dropped).unwrap();
    let holds = |raw: &[u8]| raw.windows(10).any(|window| window == b"customer-3");
    assert!(holds(&raw) && !holds(&left));
    let told = outline(&left, RawFormat::Parquet);
    assert_eq!(told.len(), 900);
    assert_eq!(told[899], r#"899 {"user":"customer-9","row":999}"#);
}
