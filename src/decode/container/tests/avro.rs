//! Avro: every type by its bytes as the specification gives them, and files of another writer.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Schema;
use arrow_avro::compression::CompressionCodec;
use arrow_avro::reader::ReaderBuilder;
use arrow_avro::writer::WriterBuilder;
use arrow_avro::writer::format::AvroOcfFormat;

use super::super::{RawFormat, avro};
use super::{lines, outline, without};
use crate::decode::Limits;

pub const SYNC: &[u8; 16] = b"sixteen sync byt";

pub fn long(value: i64) -> Vec<u8> {
    let mut folded = ((value << 1) ^ (value >> 63)).cast_unsigned();
    let mut bytes = Vec::new();
    while folded > 0x7f {
        bytes.push((folded & 0x7f) as u8 | 0x80);
        folded >>= 7;
    }
    bytes.push(folded as u8);
    bytes
}

pub fn text(text: &str) -> Vec<u8> {
    bytes(text.as_bytes())
}

fn bytes(bytes: &[u8]) -> Vec<u8> {
    [long(i64::try_from(bytes.len()).unwrap()), bytes.to_vec()].concat()
}

pub fn header(schema: &str, codec: &str) -> Vec<u8> {
    let entries = [
        long(3),
        text("avro.schema"),
        text(schema),
        text("avro.codec"),
        text(codec),
        text("written.by"),
        text("a consumer"),
        long(0),
    ];
    [b"Obj\x01".to_vec(), entries.concat(), SYNC.to_vec()].concat()
}

pub fn block(records: i64, stored: &[u8]) -> Vec<u8> {
    [long(records), bytes(stored), SYNC.to_vec()].concat()
}

/// A file of one block, uncompressed.
fn file(schema: &str, records: &[Vec<u8>]) -> Vec<u8> {
    let (count, data) = (i64::try_from(records.len()).unwrap(), records.concat());
    [header(schema, "null"), block(count, &data)].concat()
}

/// What a field of `of` becomes, for each of its encodings.
#[track_caller]
fn expect(of: &str, encodings: &[(Vec<u8>, &str)]) {
    let schema = format!(r#"{{"type":"record","name":"e","fields":[{{"name":"v","type":{of}}}]}}"#);
    let records: Vec<Vec<u8>> = encodings.iter().map(|(bytes, _)| bytes.clone()).collect();
    let converted = avro::to_json_lines(&file(&schema, &records), &Limits::default());
    let expected: Vec<String> = encodings
        .iter()
        .map(|(_, value)| format!(r#"{{"v":{value}}}"#))
        .collect();
    assert_eq!(lines(&converted), expected);
}

#[test]
fn plain_types() {
    expect(r#""boolean""#, &[(vec![0], "false"), (vec![1], "true")]);
    expect(
        r#""int""#,
        &[
            (vec![0x00], "0"),
            (vec![0x01], "-1"),
            (vec![0x80, 0x01], "64"),
            (long(i32::MIN.into()), "-2147483648"),
        ],
    );
    expect(
        r#""long""#,
        &[
            (long(i64::MAX), "9223372036854775807"),
            (long(i64::MIN), "-9223372036854775808"),
        ],
    );
    expect(
        r#""float""#,
        &[
            (0.1f32.to_le_bytes().to_vec(), "0.1"),
            (60f32.to_le_bytes().to_vec(), "60.0"),
        ],
    );
    expect(
        r#""double""#,
        &[
            (0.1f64.to_le_bytes().to_vec(), "0.1"),
            ((-0.0f64).to_le_bytes().to_vec(), "-0.0"),
            (1e300f64.to_le_bytes().to_vec(), "1e300"),
        ],
    );
    expect(
        r#""string""#,
        &[(text(""), r#""""#), (text("a\"b\\\n🎟"), r#""a\"b\\\n🎟""#)],
    );
    expect(r#""bytes""#, &[(bytes(&[0xff, 0x00]), r#""/wA=""#)]);
}

#[test]
fn types_with_names_and_types_of_types() {
    expect(
        r#"{"type":"enum","name":"colour","symbols":["RED","BLUE"]}"#,
        &[(vec![0], r#""RED""#), (vec![2], r#""BLUE""#)],
    );
    expect(
        r#"{"type":"fixed","name":"pair","size":2}"#,
        &[(vec![0xff, 0x00], r#""/wA=""#)],
    );
    expect(
        r#"{"type":"array","items":"int"}"#,
        &[
            (vec![0], "[]"),
            (vec![4, 2, 4, 0], "[1,2]"),
            // Two blocks, the second with its size in bytes.
            (vec![2, 2, 1, 2, 4, 0], "[1,2]"),
        ],
    );
    expect(
        r#"{"type":"map","values":"long"}"#,
        &[
            (vec![0], "{}"),
            (
                [vec![4], text("a"), long(1), text("b"), long(2), vec![0]].concat(),
                r#"{"a":1,"b":2}"#,
            ),
        ],
    );
    expect(
        r#"["null","string",{"type":"array","items":"int"}]"#,
        &[
            (vec![0], "null"),
            ([vec![2], text("x")].concat(), r#""x""#),
            (vec![4, 2, 6, 0], "[3]"),
        ],
    );
    expect(
        r#"{"type":"record","name":"inner","fields":[{"name":"a","type":"int"},{"name":"b","type":"null"}]}"#,
        &[(vec![2], r#"{"a":1,"b":null}"#)],
    );
}

#[test]
fn logical_types() {
    let of =
        |kind: &str, logical: &str| format!(r#"{{"type":"{kind}","logicalType":"{logical}"}}"#);
    expect(
        r#"{"type":"bytes","logicalType":"decimal","precision":40,"scale":2}"#,
        &[
            (bytes(&[0x17, 0x70]), "60.00"),
            (bytes(&[0xff]), "-0.01"),
            (bytes(&[]), "0.00"),
            (bytes(&[0x80]), "-1.28"),
            // 2 to the power of 127, beyond any integer type.
            (
                bytes(&[vec![0, 0x80], vec![0; 15]].concat()),
                "1701411834604692317316873037158841057.28",
            ),
        ],
    );
    expect(
        r#"{"type":"fixed","name":"f","size":3,"logicalType":"decimal","precision":6}"#,
        &[(vec![0xff, 0xff, 0xfe], "-2")],
    );
    expect(
        &of("int", "date"),
        &[
            (long(0), r#""1970-01-01""#),
            (long(19_782), r#""2024-02-29""#),
            (long(-1), r#""1969-12-31""#),
        ],
    );
    expect(
        &of("int", "time-millis"),
        &[(long(86_399_999), r#""23:59:59.999""#)],
    );
    expect(
        &of("long", "time-micros"),
        &[(long(1), r#""00:00:00.000001""#)],
    );
    expect(
        &of("long", "timestamp-millis"),
        &[
            (long(1_795_143_600_000), r#""2026-11-20T03:00:00.000Z""#),
            (long(-1), r#""1969-12-31T23:59:59.999Z""#),
            (long(253_402_300_799_999), r#""9999-12-31T23:59:59.999Z""#),
        ],
    );
    expect(
        &of("long", "timestamp-micros"),
        &[(
            long(1_795_143_600_000_001),
            r#""2026-11-20T03:00:00.000001Z""#,
        )],
    );
    expect(
        &of("long", "timestamp-nanos"),
        &[(
            long(1_795_143_600_000_000_001),
            r#""2026-11-20T03:00:00.000000001Z""#,
        )],
    );
    expect(
        &of("long", "local-timestamp-micros"),
        &[(
            long(1_795_143_600_000_000),
            r#""2026-11-20T03:00:00.000000""#,
        )],
    );
    expect(
        &of("string", "uuid"),
        &[(
            text("f81d4fae-7dec-11d0-a765-00a0c91e6bf6"),
            r#""f81d4fae-7dec-11d0-a765-00a0c91e6bf6""#,
        )],
    );
    let uuid = [
        0xf8, 0x1d, 0x4f, 0xae, 0x7d, 0xec, 0x11, 0xd0, 0xa7, 0x65, 0x00, 0xa0, 0xc9, 0x1e, 0x6b,
        0xf6,
    ];
    expect(
        r#"{"type":"fixed","name":"f","size":16,"logicalType":"uuid"}"#,
        &[(uuid.to_vec(), r#""f81d4fae-7dec-11d0-a765-00a0c91e6bf6""#)],
    );
    expect(
        r#"{"type":"fixed","name":"f","size":12,"logicalType":"duration"}"#,
        &[(
            vec![1, 0, 0, 0, 0, 1, 0, 0, 3, 0, 0, 0],
            r#"{"months":1,"days":256,"milliseconds":3}"#,
        )],
    );
    // What does not fit the type below, or is not known, is passed over.
    expect(&of("string", "date"), &[(text("x"), r#""x""#)]);
    expect(&of("long", "since-easter"), &[(long(7), "7")]);
}

#[test]
fn names_are_found_in_their_namespace_and_schemas_may_be_recursive() {
    let schema = r#"{"type":"record","name":"node","namespace":"org.example","fields":[
        {"name":"kind","type":{"type":"enum","name":"kind","symbols":["A","B"]}},
        {"name":"again","type":"org.example.kind"},
        {"name":"next","type":["null","node"]}]}"#;
    let nested = vec![vec![0, 2, 2, 2, 2, 0]];
    let converted = avro::to_json_lines(&file(schema, &nested), &Limits::default());
    let expected = r#"{"kind":"A","again":"B","next":{"kind":"B","again":"B","next":null}}"#;
    assert_eq!(lines(&converted), [expected]);
}

const EVENT: &str = r#"{"type":"record","name":"event","fields":[
    {"name":"user","type":"string"},{"name":"amount","type":["null","long"]}]}"#;

fn event(user: &str, amount: i64) -> Vec<u8> {
    [text(user), vec![2], long(amount)].concat()
}

#[test]
fn empty_containers_hold_nothing() {
    for raw in [
        header(EVENT, "deflate"),
        [header(EVENT, "null"), block(0, b"")].concat(),
    ] {
        let converted = avro::to_json_lines(&raw, &Limits::default());
        assert_eq!(lines(&converted), Vec::<&str>::new());
        assert!(converted.broken.is_empty());
    }
}

#[test]
fn records_leave_and_everything_else_stays_byte_for_byte() {
    let first = block(2, &[event("ada", 1), event("bob", 2)].concat());
    let second = block(1, &event("ada", 3));
    let third = block(2, &[event("bob", 4), event("eve", 5)].concat());
    let raw = [header(EVENT, "null"), first, second, third.clone()].concat();
    let left = without(&raw, RawFormat::Avro, &[0, 2]).unwrap();
    let expected = [header(EVENT, "null"), block(1, &event("bob", 2)), third].concat();
    assert_eq!(left, expected);
}

/// Through every codec: what this program compresses anew it reads again, and so does another reader.
#[test]
fn every_codec_is_read_and_written() {
    use super::super::avro::codec::BlockCodec;
    let records = [event("ada", 1), event("bob", 2), event("eve", 3)].concat();
    for name in ["null", "deflate", "snappy", "zstandard", "bzip2", "xz"] {
        let codec = BlockCodec::named(Some(name.as_bytes())).unwrap();
        let stored = codec.compress(&records).unwrap();
        let raw = [header(EVENT, name), block(3, &stored)].concat();
        let left = without(&raw, RawFormat::Avro, &[1]).unwrap();
        let expected = [
            r#"0 {"user":"ada","amount":1}"#,
            r#"1 {"user":"eve","amount":3}"#,
        ];
        assert_eq!(outline(&left, RawFormat::Avro), expected, "{name}");
        assert!(left.starts_with(&header(EVENT, name)), "{name}");
        assert!(!left.windows(3).any(|window| window == b"bob"), "{name}");
    }
}

fn batch() -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "user",
            Arc::new(StringArray::from(vec![Some("ada"), None, Some("eve")])),
        ),
        (
            "amount",
            Arc::new(Int64Array::from(vec![Some(1), Some(2), None])),
        ),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn written_by_another(codec: Option<CompressionCodec>) -> Vec<u8> {
    let batch = batch();
    let fields = batch.schema().fields().clone();
    let schema = Schema::new_with_metadata(fields, HashMap::from([("team".into(), "cart".into())]));
    let builder = WriterBuilder::new(schema.clone()).with_compression(codec);
    let mut writer = builder.build::<_, AvroOcfFormat>(Vec::new()).unwrap();
    writer
        .write(&batch.with_schema(Arc::new(schema)).unwrap())
        .unwrap();
    writer.finish().unwrap();
    writer.into_inner()
}

#[test]
fn files_of_another_writer_are_read_and_read_by_another_after_a_rewrite() {
    let codecs = [
        None,
        Some(CompressionCodec::Deflate),
        Some(CompressionCodec::Snappy),
        Some(CompressionCodec::ZStandard),
    ];
    for codec in codecs {
        let raw = written_by_another(codec);
        let all = avro::to_json_lines(&raw, &Limits::default());
        let expected = [
            r#"{"user":"ada","amount":1}"#,
            r#"{"user":null,"amount":2}"#,
            r#"{"user":"eve","amount":null}"#,
        ];
        assert_eq!(lines(&all), expected);
        let left = without(&raw, RawFormat::Avro, &[0]).unwrap();
        let mut reader = ReaderBuilder::new().build(left.as_slice()).unwrap();
        let read = reader.next().unwrap().unwrap();
        assert!(reader.next().is_none());
        let rest = batch().slice(1, 2);
        assert_eq!(read.columns(), rest.columns());
    }
}
