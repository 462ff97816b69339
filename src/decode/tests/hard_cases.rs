//! The rows of the list of hard cases that are the decoder's business, each with its real bytes, all the
//! way: bytes as stored → records → columns → what is rebuilt of them.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type};
use chrono::{DateTime, FixedOffset, Utc};

use super::json;
use crate::decode::{
    Codec, Document, EventColumns, FieldPath, Learning, Limits, NewFields, Reason, Records,
    SchemaRules, TimeRule, TimeUnit, compress, fingerprint, fingerprints, rebuild,
    semantically_equal,
};

/// What a night makes of an object.
struct Night {
    /// A record a line: the event, or `Q`, the reason and the bytes.
    fates: Vec<String>,
    batch: RecordBatch,
    damage: Option<Reason>,
    codec: Codec,
}

impl Night {
    fn of(stored: &[u8]) -> Self {
        Self::with(stored, &Limits::default(), 1000)
    }

    /// Every event has come back from its row before this returns.
    fn with(stored: &[u8], limits: &Limits, max_columns: usize) -> Self {
        let (fates, events, damage, codec) = read(stored, limits);
        let mut learning = Learning::default();
        for event in &events {
            learning.observe(event);
        }
        let rules = SchemaRules {
            types: std::collections::BTreeMap::new(),
            identifying: std::collections::BTreeSet::new(),
            on_new_field: NewFields::Add,
            max_columns,
        };
        let mut columns = EventColumns::new(&learning.conclude(None, &rules).schema);
        for event in &events {
            columns.append(event);
        }
        let batch = columns.finish().unwrap();
        let of_rows = fingerprints(&batch).unwrap();
        for (row, event) in events.iter().enumerate() {
            let rebuilt = rebuild(&batch, row).unwrap();
            assert!(semantically_equal(&rebuilt, &event.to_json()), "{rebuilt}");
            assert_eq!(
                (of_rows[row], fingerprint(&rebuilt)),
                (event.fingerprint(), event.fingerprint())
            );
        }
        Self {
            fates,
            batch,
            damage,
            codec,
        }
    }

    fn rescued(&self) -> Vec<Option<&str>> {
        let texts = self.batch.column_by_name("_rescued").unwrap();
        texts.as_string::<i32>().iter().collect()
    }

    fn columns(&self) -> Vec<String> {
        let schema = self.batch.schema();
        let names = schema.fields().iter().map(|field| field.name().clone());
        names.filter(|name| name != "_rescued").collect()
    }

    fn integers(&self, column: &str) -> Vec<Option<i64>> {
        let column = self.batch.column_by_name(column).unwrap();
        column.as_primitive::<Int64Type>().iter().collect()
    }

    fn texts(&self, column: &str) -> Vec<Option<&str>> {
        let column = self.batch.column_by_name(column).unwrap();
        column.as_string::<i32>().iter().collect()
    }
}

fn read(stored: &[u8], limits: &Limits) -> (Vec<String>, Vec<Document>, Option<Reason>, Codec) {
    let mut records = Records::new(stored, limits);
    let (mut fates, mut events) = (Vec::new(), Vec::new());
    while let Some(record) = records.next_record() {
        match record.content {
            Ok(event) => {
                fates.push(event.to_json().to_string());
                events.push(event.clone());
            }
            Err(reason) => {
                let bytes = String::from_utf8_lossy(record.bytes);
                fates.push(format!("Q {}: {bytes}", reason.code()));
            }
        }
    }
    (fates, events, records.damage(), records.codec())
}

const GOOD: &str = r#"{"n":1}"#;

/// A broken record between two good ones, as lines.
fn between_good_lines(broken: &[u8]) -> Vec<String> {
    let lines = [b"{\"n\":1}\n", broken, b"\n{\"n\":1}\n"].concat();
    Night::of(&lines).fates
}

#[test]
fn row_1_byte_order_mark() {
    let night = Night::of(b"\xef\xbb\xbf{\"n\":1}\r\n{\"n\":2}\n");
    assert_eq!(night.fates, [r#"{"n":1}"#, r#"{"n":2}"#]);
}

#[test]
fn row_2_utf_16_and_utf_32() {
    let text = "{\"n\":1}\n{\"n\":2}\n";
    let utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf_32: Vec<u8> = text
        .chars()
        .flat_map(|character| u32::from(character).to_be_bytes())
        .collect();
    for data in [utf_16, utf_32] {
        let night = Night::of(&data);
        assert_eq!(night.fates.len(), 1);
        assert!(night.fates[0].starts_with("Q wide_encoding: "));
    }
}

#[test]
fn row_3_commas_quotes_and_comments() {
    for (broken, reason) in [
        (r#"{"a":1 "b":2}"#, "syntax"),
        (r#"{"a":1,}"#, "syntax"),
        ("{'a':1}", "syntax"),
        (r#"{"a":1} // why"#, "trailing_text"),
        (r#"{"a":1 /* why */}"#, "syntax"),
    ] {
        let expected = [GOOD, &format!("Q {reason}: {broken}"), GOOD];
        assert_eq!(between_good_lines(broken.as_bytes()), expected);
    }
}

#[test]
fn row_4_nan_and_infinity() {
    for broken in [r#"{"a":NaN}"#, r#"{"a":Infinity}"#] {
        let expected = [GOOD, &format!("Q bad_literal: {broken}"), GOOD];
        assert_eq!(between_good_lines(broken.as_bytes()), expected);
    }
}

#[test]
fn row_5_bytes_that_are_not_utf_8() {
    let fates = between_good_lines(b"{\"a\":\"Caf\xe9\"}");
    assert_eq!(fates, [GOOD, "Q not_utf8: {\"a\":\"Caf\u{fffd}\"}", GOOD]);
}

#[test]
fn row_6_duplicate_keys() {
    let night = Night::of(b"{\"a\":\"x\",\"a\":\"y\",\"b\":1}\n{\"a\":\"z\"}\n");
    assert_eq!(night.texts("a"), [Some("y"), Some("z")]);
    assert_eq!(night.rescued(), [Some(r#"{"/a":["x","y"]}"#), None]);
}

#[test]
fn row_7_names_that_differ_in_case() {
    let night =
        Night::of(b"{\"id\":1,\"o\":{\"x\":1}}\n{\"id\":2,\"Id\":3,\"o\":{\"x\":4,\"X\":5}}\n");
    assert_eq!(night.columns(), ["id", "o"]);
    assert_eq!(night.rescued(), [None, Some(r#"{"/Id":[3],"/o/X":[5]}"#)]);
}

#[test]
fn row_8_what_is_no_integer_where_integers_are() {
    let night = Night::of(b"{\"a\":7}\n{\"a\":8}\n{\"a\":9}\n{\"a\":\"007\"}\n");
    assert_eq!(night.integers("a"), [Some(7), Some(8), Some(9), None]);
    assert_eq!(night.rescued()[3], Some(r#"{"/a":["007"]}"#));
    let mut columns = EventColumns::new(&night.batch.schema());
    columns.append(&Document::parse(br#"{"a":1.9}"#, &Limits::default()).unwrap());
    let batch = columns.finish().unwrap();
    assert!(batch.column(0).is_null(0));
    assert_eq!(rebuild(&batch, 0).unwrap(), json(r#"{"a":1.9}"#));
}

#[test]
fn row_9_numbers_of_many_digits() {
    let night = Night::of(
        b"{\"a\":9223372036854775807,\"b\":0.5}\n{\"a\":9223372036854775808,\"b\":0.1234567890123456789}\n",
    );
    assert_eq!(night.integers("a"), [Some(i64::MAX), None]);
    assert_eq!(
        night.rescued()[1],
        Some(r#"{"/a":[9223372036854775808],"/b":[0.1234567890123456789]}"#)
    );
}

#[test]
fn row_10_scalars_and_containers_in_each_others_place() {
    let night = Night::of(
        b"{\"s\":{\"x\":1},\"t\":\"a\"}\n{\"s\":{\"x\":2},\"t\":\"b\"}\n{\"s\":3,\"t\":{\"y\":4}}\n{\"s\":[5],\"t\":[6]}\n",
    );
    assert_eq!(night.columns(), ["s", "t"]);
    assert_eq!(
        night.rescued()[2..],
        [
            Some(r#"{"/s":[3],"/t":[{"y":4}]}"#),
            Some(r#"{"/s":[[5]],"/t":[[6]]}"#)
        ]
    );
}

#[test]
fn row_11_always_empty_or_null() {
    let night = Night::of(b"{\"a\":{},\"b\":[],\"c\":null,\"n\":1}\n{\"n\":2}\n");
    assert_eq!(night.columns(), ["n"]);
    assert_eq!(
        night.rescued(),
        [Some(r#"{"/a":[{}],"/b":[[]],"/c":[null]}"#), None]
    );
    let typed = Night::of(b"{\"a\":{}}\n{\"a\":{\"x\":1}}\n{}\n{\"a\":null}\n");
    assert_eq!(typed.columns(), ["a"]);
    assert_eq!(
        typed.rescued(),
        [None, None, None, Some(r#"{"/a":[null]}"#)]
    );
}

fn time_of(event: &str, unit: TimeUnit, zone_hours: Option<i32>) -> Result<DateTime<Utc>, Reason> {
    let rule = TimeRule {
        path: FieldPath::from_names(["t"]),
        unit,
        zone: zone_hours.map(|hours| FixedOffset::east_opt(hours * 3600).unwrap()),
    };
    Document::parse(event.as_bytes(), &Limits::default())
        .unwrap()
        .time(&rule)
}

#[test]
fn row_13_times_by_declared_unit_and_zone() {
    let expected = Ok("2024-08-14T14:00:00Z".parse().unwrap());
    for (event, unit, zone) in [
        (r#"{"t":"2024-08-14T16:00:00"}"#, TimeUnit::Text, Some(2)),
        (r#"{"t":"2024-08-14T16:00:00+02:00"}"#, TimeUnit::Text, None),
        (r#"{"t":"2024-08-14T14:00:00Z"}"#, TimeUnit::Text, None),
        (r#"{"t":1723644000}"#, TimeUnit::EpochSeconds, None),
        (r#"{"t":1723644000000}"#, TimeUnit::EpochMilliseconds, None),
        (
            r#"{"t":1723644000000000}"#,
            TimeUnit::EpochMicroseconds,
            None,
        ),
    ] {
        assert_eq!(time_of(event, unit, zone), expected, "{event}");
    }
    let milliseconds = time_of(r#"{"t":1723644000000}"#, TimeUnit::EpochSeconds, None);
    assert_eq!(milliseconds, Err(Reason::TimeOutOfRange));
    // Other times without a zone are texts like any other.
    let night = Night::of(b"{\"ticketDate\":\"2024-09-06T10:00:00\"}\n");
    assert_eq!(night.texts("ticketDate"), [Some("2024-09-06T10:00:00")]);
}

#[test]
fn row_14_odd_but_real_times() {
    for text in [
        "9999-12-31T23:59:59Z",
        "2024-02-29T00:00:00Z",
        "2016-12-31T23:59:60Z",
    ] {
        let event = format!(r#"{{"t":"{text}"}}"#);
        let time = time_of(&event, TimeUnit::Text, None).unwrap();
        let with_z = time.to_rfc3339().replace("+00:00", "Z");
        assert_eq!(with_z, text);
        assert_eq!(Night::of(event.as_bytes()).texts("t"), [Some(text)]);
    }
}

#[test]
fn row_15_no_time_is_never_1970() {
    for (event, reason) in [
        ("{}", Reason::TimeMissing),
        (r#"{"t":null}"#, Reason::TimeMissing),
        (r#"{"t":"soon"}"#, Reason::TimeUnparsable),
        (r#"{"t":""}"#, Reason::TimeUnparsable),
        (r#"{"t":"2023-02-29T00:00:00Z"}"#, Reason::TimeUnparsable),
        (r#"{"t":{"$date":1}}"#, Reason::TimeUnparsable),
        (
            r#"{"t":"2024-08-14T14:00:00Z","t":"2024-08-14T14:00:00Z"}"#,
            Reason::TimeAmbiguous,
        ),
    ] {
        assert_eq!(
            time_of(event, TimeUnit::Text, Some(0)),
            Err(reason),
            "{event}"
        );
    }
}

#[test]
fn row_16_documents_without_lines() {
    let expected = [r#"{"a":1}"#, r#"{"b":{"c":2}}"#, r#"{"d":[3]}"#];
    for data in [
        "{\n  \"a\": 1\n}\n{\n  \"b\": {\n    \"c\": 2\n  }\n}\n{\n  \"d\": [\n    3\n  ]\n}\n",
        r#"{"a":1}{"b":{"c":2}}{"d":[3]}"#,
        r#"[{"a":1},{"b":{"c":2}},{"d":[3]}]"#,
        "[\n  {\"a\": 1},\n  {\"b\": {\"c\": 2}},\n  {\"d\": [3]}\n]\n",
    ] {
        assert_eq!(Night::of(data.as_bytes()).fates, expected, "{data}");
    }
}

#[test]
fn row_17_line_ends() {
    let data = "{\"a\":\"x\u{2028}y\"}\r\n\r\n\n{\"a\":\"z\"}";
    let night = Night::of(data.as_bytes());
    assert_eq!(night.texts("a"), [Some("x\u{2028}y"), Some("z")]);
    assert_eq!(night.fates.len(), 2);
}

#[test]
fn row_18_compression_by_magic_bytes() {
    let (one, other) = (b"{\"n\":1}\n", b"{\"n\":2}\n");
    for codec in [Codec::Gzip, Codec::Zstd] {
        let members = [compress(one, codec), compress(other, codec)].concat();
        let night = Night::of(&members);
        assert_eq!((night.codec, night.damage), (codec, None));
        assert_eq!(night.integers("n"), [Some(1), Some(2)]);
    }
    assert_eq!(Night::of(one).codec, Codec::Plain);
}

#[test]
fn row_19_truncated_streams() {
    let lines: Vec<String> = (0..20_000)
        .map(|count| format!("{{\"n\":{count},\"odd\":{}}}\n", count * 7919 % 10_007))
        .collect();
    let lines = lines.concat();
    for codec in [Codec::Gzip, Codec::Zstd] {
        let whole = compress(lines.as_bytes(), codec);
        let (fates, events, damage, _) = read(&whole[..whole.len() / 2], &Limits::default());
        assert_eq!(damage, Some(Reason::CompressionTruncated));
        assert!(events.len() > 1000, "{}", events.len());
        for (fate, line) in fates.iter().zip(lines.lines()) {
            assert!(fate == line || fate.starts_with("Q truncated: "), "{fate}");
        }
        assert!(fates.len() - events.len() <= 1);
    }
}

#[test]
fn row_20_compression_bombs() {
    let limits = Limits {
        max_object_bytes: 1_000_000,
        max_expansion: 20,
        ..Limits::default()
    };
    let bomb = b"{\"n\":1}\n".repeat(1_000_000);
    for codec in [Codec::Gzip, Codec::Zstd] {
        let (_, events, damage, _) = read(&compress(&bomb, codec), &limits);
        assert_eq!(damage, Some(Reason::ObjectTooLarge), "{codec:?}");
        assert!(
            (100_000..500_000).contains(&events.len()),
            "{}",
            events.len()
        );
    }
    let (_, events, damage, _) = read(&bomb[..2_000_000], &limits);
    assert_eq!((events.len(), damage), (250_000, None));
}

#[test]
fn row_22_half_a_surrogate_pair() {
    for broken in [
        r#"{"a":"\ud83d"}"#,
        r#"{"a":"\ude00\ud83d"}"#,
        r#"{"\udc00":1}"#,
    ] {
        let expected = [GOOD, &format!("Q bad_string: {broken}"), GOOD];
        assert_eq!(between_good_lines(broken.as_bytes()), expected);
    }
    assert_eq!(
        Night::of(br#"{"a":"\ud83d\ude00"}"#).texts("a"),
        [Some("😀")]
    );
}

#[test]
fn row_23_ten_thousand_levels() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{{\"a\":{}1{}}}", open.repeat(10_000), close.repeat(10_000));
        let expected = [GOOD, &format!("Q too_deep: {deep}"), GOOD];
        assert_eq!(between_good_lines(deep.as_bytes()), expected);
    }
}

#[test]
fn row_24_one_record_of_100_mb() {
    let mut data = b"{\"n\":1}\n{\"blob\":\"".to_vec();
    data.resize(100_000_000, b'x');
    data.extend_from_slice(b"\"}\n{\"n\":2}\n");
    let (fates, _, damage, _) = read(&data, &Limits::default());
    assert_eq!(fates.len(), 3);
    assert!(fates[1].starts_with("Q record_too_large: {\"blob\":\"xxx"));
    assert!(fates[1].len() < 40_000_000);
    assert_eq!((&*fates[0], &*fates[2], damage), (GOOD, r#"{"n":2}"#, None));
}

#[test]
fn row_25_fifty_thousand_keys() {
    let lines: Vec<String> = (0..50_000)
        .map(|key| format!("{{\"n\":1,\"key{key}\":{key}}}\n"))
        .collect();
    let night = Night::with(lines.concat().as_bytes(), &Limits::default(), 100);
    assert_eq!(night.columns().len(), 100);
    let rescued = night.rescued().iter().filter(|text| text.is_some()).count();
    assert_eq!(rescued, 50_000 - 99);
}

#[test]
fn row_26_odd_names() {
    let night = Night::of(
        "{\"a.b\":1,\"😀\":2,\"\":3,\"a b\":4,\"a,b\":5,\"a;b\":6,\"{\":7,\"}\":8,\"(\":9,\")\":10,\"=\":11,\"\\t\":12,\"\\n\":13}\n"
            .as_bytes(),
    );
    assert_eq!(night.columns(), ["a.b", "😀"]);
    assert_eq!(
        night.rescued(),
        [Some(
            r#"{"/":[3],"/a b":[4],"/a,b":[5],"/a;b":[6],"/{":[7],"/}":[8],"/(":[9],"/)":[10],"/=":[11],"/\t":[12],"/\n":[13]}"#
        )]
    );
    let price = Night::of(b"{\"a/b\":{},\"c~d\":{},\"price\":60.00}\n");
    assert_eq!(price.rescued(), [Some(r#"{"/a~1b":[{}],"/c~0d":[{}]}"#)]);
    let prices = price.batch.column_by_name("price").unwrap();
    assert_eq!(
        prices.as_primitive::<Float64Type>().value(0).to_bits(),
        60.0_f64.to_bits()
    );
}
