//! Broken Avro files: what can be read is read, what cannot is one broken record, and nobody is lost
//! without being counted.

use super::super::{RawFormat, avro};
use super::avro::{SYNC, block, header, long, text};
use super::{outline, without};
use crate::decode::{Limits, Plain, Reason};

const EVENT: &str = r#"{"type":"record","name":"event","fields":[
    {"name":"user","type":"string"},{"name":"amount","type":"double"}]}"#;

fn event(user: &str, amount: f64) -> Vec<u8> {
    [text(user), amount.to_le_bytes().to_vec()].concat()
}

/// Two blocks of two records.
fn blocks() -> [Vec<u8>; 2] {
    [
        block(2, &[event("ada", 1.0), event("bob", 2.0)].concat()),
        block(2, &[event("eve", 3.0), event("joe", 4.0)].concat()),
    ]
}

fn damage(raw: &[u8]) -> Option<Reason> {
    avro::to_json_lines(raw, &Limits::default()).damage
}

#[test]
fn of_a_cut_file_complete_blocks_are_kept() {
    let [first, second] = blocks();
    for cut in [1, 2, 5, second.len() - 17, second.len() - 1] {
        let tail = &second[..cut];
        let raw = [&header(EVENT, "null"), &first, tail].concat();
        let told = outline(&raw, RawFormat::Avro);
        assert_eq!(told.len(), 3, "{told:?}");
        assert_eq!(told[0], r#"0 {"user":"ada","amount":1.0}"#);
        assert_eq!(told[1], r#"1 {"user":"bob","amount":2.0}"#);
        assert!(told[2].starts_with("2 container_truncated: "), "{told:?}");
        assert_eq!(damage(&raw), Some(Reason::ContainerTruncated));
        let plain = Plain::of(&raw, RawFormat::Avro, &Limits::default());
        assert_eq!(plain.records(&Limits::default())[2].bytes, tail);
        assert_eq!(plain.lost_tail, None, "the tail is a record already");
    }
}

#[test]
fn wherever_a_file_is_cut_or_bent_nothing_crashes_and_good_blocks_before_stay() {
    let [first, second] = blocks();
    let whole = [header(EVENT, "deflate"), first, second].concat();
    for length in 0..whole.len() {
        let told = outline(&whole[..length], RawFormat::Avro);
        assert!(told.len() <= 5);
    }
    for place in 0..whole.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bent = whole.clone();
            bent[place] ^= flip;
            outline(&bent, RawFormat::Avro);
        }
    }
}

#[test]
fn a_corrupt_block_costs_itself_and_the_places_behind_it_stay_right() {
    let [first, second] = blocks();
    let third = block(1, b"not deflated at all");
    let good = |data: &[u8]| {
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, data).unwrap();
        encoder.finish().unwrap()
    };
    let before = block(1, &good(&event("ada", 1.0)));
    let after = block(1, &good(&event("eve", 3.0)));
    let bad = block(40, b"\xff\xff\xff\xff");
    let raw = [header(EVENT, "deflate"), before, bad, after].concat();
    let told = outline(&raw, RawFormat::Avro);
    assert_eq!(told[0], r#"0 {"user":"ada","amount":1.0}"#);
    assert!(told[1].starts_with("1 container_corrupt: "));
    assert_eq!(told[2], r#"41 {"user":"eve","amount":3.0}"#);
    assert_eq!(damage(&raw), Some(Reason::ContainerCorrupt));
    assert_eq!(
        without(&raw, RawFormat::Avro, &[0]),
        None,
        "it would be lost"
    );

    // Where not even the block's frame is whole, nobody knows how many records it had.
    let mut bent = first.clone();
    bent[1] = 0x7f;
    let raw = [header(EVENT, "null"), bent, second].concat();
    let told = outline(&raw, RawFormat::Avro);
    assert!(told[0].starts_with("0 container_corrupt: "));
    assert_eq!(told[1], r#"? {"user":"eve","amount":3.0}"#);
    assert_eq!(told.len(), 3);

    let raw = [header(EVENT, "snappy"), third].concat();
    assert_eq!(damage(&raw), Some(Reason::ContainerCorrupt));
}

#[test]
fn a_bad_record_takes_the_rest_of_its_block_and_no_more() {
    let schema = r#"{"type":"record","name":"event","fields":[
        {"name":"user","type":"string"},{"name":"kind","type":["null","string"]}]}"#;
    let good = |user: &str| [text(user), vec![0]].concat();
    let no_such_branch = [text("bob"), vec![8]].concat();
    let first = block(3, &[good("ada"), no_such_branch, good("joe")].concat());
    let second = block(1, &good("eve"));
    let raw = [header(schema, "null"), first, second].concat();
    let told = outline(&raw, RawFormat::Avro);
    let expected = [
        r#"0 {"user":"ada","kind":null}"#,
        "1 container_corrupt: \u{6}bob\u{8}\u{6}joe\0",
        r#"3 {"user":"eve","kind":null}"#,
    ];
    assert_eq!(told, expected);
    // Its bytes are known, so the object can lose others.
    assert_eq!(damage(&raw), None);
    let left = without(&raw, RawFormat::Avro, &[0]).unwrap();
    let told = outline(&left, RawFormat::Avro);
    assert_eq!(told[0], "0 container_corrupt: \u{6}bob\u{8}\u{6}joe\0");
    assert_eq!(told[1], r#"2 {"user":"eve","kind":null}"#);
    let left = without(&raw, RawFormat::Avro, &[1]).unwrap();
    assert_eq!(
        outline(&left, RawFormat::Avro)[1],
        r#"1 {"user":"eve","kind":null}"#
    );
}

#[test]
fn values_that_json_cannot_say_cost_their_record() {
    let mut latin = text("caf\u{e9}");
    latin.truncate(latin.len() - 1);
    latin[0] = 8;
    let latin = [latin, 2.0f64.to_le_bytes().to_vec()].concat();
    let data = [
        event("ada", f64::NAN),
        event("bob", f64::NEG_INFINITY),
        latin,
        event("eve", 3.0),
    ];
    let raw = [header(EVENT, "null"), block(4, &data.concat())].concat();
    let expected = [
        r#"0 not_finite: {"user":"ada","amount":NaN}"#,
        r#"1 not_finite: {"user":"bob","amount":-inf}"#,
        "2 not_utf8: {\"user\":\"caf\u{fffd}\",\"amount\":2.0}",
        r#"3 {"user":"eve","amount":3.0}"#,
    ];
    assert_eq!(outline(&raw, RawFormat::Avro), expected);
    assert_eq!(damage(&raw), None);
}

#[test]
fn times_that_there_are_not_cost_their_record() {
    let schema = r#"{"type":"record","name":"event","fields":[
        {"name":"at","type":{"type":"int","logicalType":"time-millis"}}]}"#;
    let data = [long(86_400_000), long(0), long(-1)].concat();
    let raw = [header(schema, "null"), block(3, &data)].concat();
    let expected = [
        r#"0 time_out_of_range: {"at":86400000}"#,
        r#"1 {"at":"00:00:00.000"}"#,
        r#"2 time_out_of_range: {"at":-1}"#,
    ];
    assert_eq!(outline(&raw, RawFormat::Avro), expected);
}

#[test]
fn records_that_are_no_objects_are_one_broken_record_each() {
    let data = [vec![4, 2, 4, 0], vec![0]].concat();
    let schema = r#"{"type":"array","items":"int"}"#;
    let raw = [header(schema, "null"), block(2, &data)].concat();
    let expected = ["0 not_an_object: [1,2]", "1 not_an_object: []"];
    assert_eq!(outline(&raw, RawFormat::Avro), expected);
}

#[test]
fn what_is_no_avro_or_of_an_unknown_kind_is_one_broken_record() {
    let whole = |raw: &[u8], code: &str, reason| {
        let expected = format!("0 {code}: {}", String::from_utf8_lossy(raw));
        assert_eq!(outline(raw, RawFormat::Avro), [expected]);
        assert_eq!(damage(raw), Some(reason));
    };
    whole(
        b"{\"a\":1}\n{\"a\":2}\n",
        "wrong_format",
        Reason::WrongFormat,
    );
    whole(b"PAR1", "wrong_format", Reason::WrongFormat);
    whole(
        &header(EVENT, "lzo"),
        "unknown_compression",
        Reason::UnknownCompression,
    );
    whole(
        &header(r#"{"type":"set"}"#, "null"),
        "container_schema",
        Reason::ContainerSchema,
    );
    whole(
        &header("{", "null"),
        "container_schema",
        Reason::ContainerSchema,
    );
    let header = header(EVENT, "null");
    whole(
        &header[..header.len() - 1],
        "container_truncated",
        Reason::ContainerTruncated,
    );
    whole(b"Obj", "container_truncated", Reason::ContainerTruncated);
}

#[test]
fn counts_that_a_block_cannot_keep_are_not_believed() {
    // A record more than there is.
    let raw = [header(EVENT, "null"), block(2, &event("ada", 1.0))].concat();
    assert_eq!(
        outline(&raw, RawFormat::Avro),
        [
            r#"0 {"user":"ada","amount":1.0}"#,
            "1 container_truncated: "
        ]
    );
    // Bytes behind the last record.
    let data = [event("ada", 1.0), b"rest".to_vec()].concat();
    let raw = [
        header(EVENT, "null"),
        block(1, &data),
        block(1, &event("eve", 2.0)),
    ]
    .concat();
    let expected = [
        r#"0 {"user":"ada","amount":1.0}"#,
        "1 container_corrupt: rest",
        r#"1 {"user":"eve","amount":2.0}"#,
    ];
    assert_eq!(outline(&raw, RawFormat::Avro), expected);
    // Records without a byte.
    let schema = r#"{"type":"record","name":"nothing","fields":[]}"#;
    let raw = [header(schema, "null"), block(1 << 60, b"")].concat();
    assert_eq!(damage(&raw), Some(Reason::ContainerCorrupt));
}

#[test]
fn a_schema_or_an_array_without_end_costs_the_block() {
    let endless = r#"{"type":"record","name":"node","fields":[{"name":"next","type":"node"}]}"#;
    let nulls = r#"{"type":"record","name":"e","fields":[
        {"name":"v","type":{"type":"array","items":"null"}}]}"#;
    let list =
        r#"{"type":"record","name":"node","fields":[{"name":"next","type":["null","node"]}]}"#;
    let many = [long(1 << 40), vec![0]].concat();
    let deep = [vec![2; 1_000_000], vec![0]].concat();
    for (schema, data) in [(endless, vec![0]), (nulls, many), (list, deep)] {
        let raw = [header(schema, "null"), block(1, &data)].concat();
        let converted = avro::to_json_lines(&raw, &Limits::default());
        assert_eq!(converted.lines, b"null\n");
        let reason = converted.broken[&0].reason;
        assert!(matches!(reason, Reason::TooDeep | Reason::RecordTooLarge));
    }
    // Deeper than the limit, but with an end: its neighbour stays.
    let data = [vec![2; 10_000], vec![0], vec![0]].concat();
    let raw = [header(list, "null"), block(2, &data)].concat();
    let told = outline(&raw, RawFormat::Avro);
    assert!(told[0].starts_with("0 too_deep: {\"next\":{"));
    assert_eq!(told[1], r#"1 {"next":null}"#);
}

#[test]
fn as_deep_as_the_limit_is_not_too_deep() {
    let list =
        r#"{"type":"record","name":"node","fields":[{"name":"next","type":["null","node"]}]}"#;
    let limits = Limits {
        max_depth: 3,
        ..Limits::default()
    };
    let data = [vec![2, 2, 0], vec![2, 2, 2, 0]].concat();
    let raw = [header(list, "null"), block(2, &data)].concat();
    let converted = avro::to_json_lines(&raw, &limits);
    assert_eq!(
        converted.lines,
        b"{\"next\":{\"next\":{\"next\":null}}}\nnull\n"
    );
    assert_eq!(converted.broken[&1].reason, Reason::TooDeep);
    // Framing draws the line at the same place.
    let most = Limits::default().max_depth;
    let data = [vec![2; most - 1], vec![0], vec![2; most], vec![0]].concat();
    let raw = [header(list, "null"), block(2, &data)].concat();
    let told = outline(&raw, RawFormat::Avro);
    assert!(told[0].starts_with("0 {") && told[1].starts_with("1 too_deep: {"));
}

#[test]
fn limits_hold_for_records_and_for_what_comes_out_of_a_file() {
    let limits = Limits {
        max_object_bytes: 2_000,
        max_record_bytes: 300,
        ..Limits::default()
    };
    let large = event(&"x".repeat(400), 1.0);
    let data = [event("ada", 1.0), large, event("bob", 2.0)].concat();
    let raw = [header(EVENT, "null"), block(3, &data)].concat();
    let converted = avro::to_json_lines(&raw, &limits);
    assert_eq!(
        str::from_utf8(&converted.lines).unwrap(),
        "{\"user\":\"ada\",\"amount\":1.0}\nnull\n{\"user\":\"bob\",\"amount\":2.0}\n"
    );
    assert_eq!(converted.broken[&1].reason, Reason::RecordTooLarge);
    assert!(converted.broken[&1].bytes.len() <= 300);
    assert_eq!(converted.damage, None);

    // A block that is much larger than it looks.
    let bomb = zstd::encode_all(&*vec![0; 1_000_000], 3).unwrap();
    let raw = [header(EVENT, "zstandard"), block(9, &bomb), block(9, &bomb)].concat();
    let converted = avro::to_json_lines(&raw, &limits);
    assert_eq!(converted.damage, Some(Reason::ObjectTooLarge));
    assert_eq!(converted.lines, b"null\n");

    // Names make the text larger than the bytes.
    let long_name = format!(
        r#"{{"type":"record","name":"e","fields":[{{"name":"{}","type":"int"}}]}}"#,
        "n".repeat(250)
    );
    let raw = [header(&long_name, "null"), block(100, &[2; 100])].concat();
    let converted = avro::to_json_lines(&raw, &limits);
    assert_eq!(converted.damage, Some(Reason::ObjectTooLarge));
    assert!(converted.lines.len() <= 2_000);
    assert_eq!(converted.broken.len(), 1);
}

#[test]
fn a_sync_marker_in_the_data_is_no_end() {
    let user = str::from_utf8(SYNC).unwrap();
    let raw = [header(EVENT, "null"), block(1, &event(user, 1.0))].concat();
    assert_eq!(
        outline(&raw, RawFormat::Avro),
        [format!(r#"0 {{"user":"{user}","amount":1.0}}"#)]
    );
}
