//! Input that breaks such jobs: the night goes on, broken records are kept whole with their reason, and
//! good neighbours are not harmed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::slice;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use crate::support::events::{BOB, bucket, event, gzip, lines, raw_key, small_lake};
use crate::support::{Lake, NOW, tables, traces};

/// One raw object, and what must come of it.
struct Case {
    name: &'static str,
    body: Vec<u8>,
    rows: u64,
    /// Reasons of what goes to quarantine, in order.
    broken: &'static [&'static str],
}

fn good() -> String {
    event("cart", BOB, "2026-11-19T08:00:00Z")
}

/// A good event, `text`, and another good event, a line each.
fn between(text: impl AsRef<[u8]>) -> Vec<u8> {
    let good = good();
    [good.as_bytes(), text.as_ref(), good.as_bytes(), b""].join(&b'\n')
}

/// A good event with a member more.
fn with(member: &str) -> String {
    good().replacen('{', &format!("{{{member}, "), 1)
}

fn at(time: &str) -> String {
    good().replace("\"2026-11-19T08:00:00Z\"", time)
}

fn utf16(text: &str) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xfe];
    bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    bytes
}

fn framing() -> Vec<Case> {
    let good = good();
    let pretty =
        serde_json::to_string_pretty(&serde_json::from_str::<Value>(&good).unwrap()).unwrap();
    let kept = |name, body, rows| Case {
        name,
        body,
        rows,
        broken: &[],
    };
    vec![
        kept(
            "byte-order-mark",
            [b"\xef\xbb\xbf", &*lines(slice::from_ref(&good))].concat(),
            1,
        ),
        kept("pretty", [&*pretty, &*pretty].join("\n").into_bytes(), 2),
        kept("no-breaks", good.repeat(3).into_bytes(), 3),
        kept("array", format!("[{good},\n{good}]").into_bytes(), 2),
        kept(
            "crlf-and-blanks",
            format!("{good}\r\n\r\n \n{good}").into_bytes(),
            2,
        ),
        kept(
            "line-separator",
            between(with("\"note\": \"a\u{2028}b\"")),
            3,
        ),
        kept("gzip-in-json", gzip(&between(&good)), 3),
        kept(
            "members",
            [
                gzip(&lines(slice::from_ref(&good))),
                gzip(&lines(slice::from_ref(&good))),
            ]
            .concat(),
            2,
        ),
        kept("plain.gz", lines(&[good]), 1),
    ]
}

fn broken() -> Vec<Case> {
    let one = |name, body, broken| Case {
        name,
        body,
        rows: 2,
        broken,
    };
    let cut = good();
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    vec![
        Case {
            name: "utf-16",
            body: utf16(&good()),
            rows: 0,
            broken: &["wide_encoding"],
        },
        one("trailing-comma", between(with("\"a\": [1,]")), &["syntax"]),
        one("single-quotes", between("{'userId': 'x'}"), &["syntax"]),
        one("comment", between(with("/* a */ \"a\": 1")), &["syntax"]),
        one("nan", between(with("\"a\": NaN")), &["bad_literal"]),
        one(
            "infinity",
            between(with("\"a\": -Infinity")),
            &["bad_number"],
        ),
        one(
            "latin-1",
            between(
                with("\"a\": \"x\"")
                    .replace('x', "\u{7f}")
                    .into_bytes()
                    .iter()
                    .map(|byte| if *byte == 0x7f { 0xe9 } else { *byte })
                    .collect::<Vec<u8>>(),
            ),
            &["not_utf8"],
        ),
        one(
            "surrogate",
            between(with(r#""a": "\ud83d""#)),
            &["bad_string"],
        ),
        one(
            "deep",
            between(with(&format!("\"a\": {deep}"))),
            &["too_deep"],
        ),
        one("cut", between(&cut[..60]), &["broken_string"]),
        one("cut-between", between(&cut[..cut.len() - 1]), &["syntax"]),
        one("scalar", between("17"), &["not_an_object"]),
        one("no-time", between(r#"{"userId": "x"}"#), &["time_missing"]),
        one(
            "bad-time",
            between(at("\"yesterday\"")),
            &["time_unparsable"],
        ),
        one(
            "naive-time",
            between(at("\"2026-11-19T08:00:00\"")),
            &["time_without_zone"],
        ),
        one(
            "far-ahead",
            between(at("\"2026-11-21T03:00:01Z\"")),
            &["time_ahead"],
        ),
        one(
            "year-9999",
            between(at("\"9999-12-31T23:59:59Z\"")),
            &["time_ahead"],
        ),
    ]
}

fn odd_but_good() -> Vec<Case> {
    let kept = |name, text: String| Case {
        name,
        body: between(text),
        rows: 3,
        broken: &[],
    };
    vec![
        kept(
            "duplicate-key",
            with(r#""currency": "GBP", "currency": "EUR""#),
        ),
        kept("case-clash", with(r#""ID": 1, "Id": 2, "id": 3"#)),
        kept(
            "beyond-64-bits",
            with("\"big\": 123456789012345678901234567890"),
        ),
        kept(
            "many-digits",
            with("\"exact\": 0.1234567890123456789012345"),
        ),
        kept("leading-zero-text", with(r#""amount": "007""#)),
        kept("number-again", with(r#""amount": 1.9"#)),
        kept("scalar-for-list", with(r#""items": "none""#)),
        kept(
            "odd-names",
            with(r#""a.b": 1, "": 2, "x y": 3, "a,b;c={}": 4, "🎟": 5"#),
        ),
        kept("empties", with(r#""e": {}, "l": [], "n": null"#)),
        kept("offset-time", at("\"2026-11-19T10:00:00+02:00\"")),
        kept("leap-second", at("\"2026-11-19T23:59:60Z\"")),
        kept(
            "own-names",
            with(r#""_topic": "mine", "event_date": "then", "_rescued": 1"#),
        ),
    ]
}

/// A night over `cases`, an object each, and what it must leave.
fn a_night_over(cases: &[Case]) {
    let lake = Lake::empty();
    let store = lake.store(NOW);
    for case in cases {
        store.put(bucket("cart"), &key(case), case.body.clone());
    }
    drop(store);
    let told = lake.run(NOW)["datasets"]["cart"].clone();
    let rows: u64 = cases.iter().map(|case| case.rows).sum();
    let broken: u64 = cases.iter().map(|case| case.broken.len() as u64).sum();
    let found = quarantine(&lake);
    let mut wrong = Vec::new();
    for case in cases {
        let lines = found.get(&key(case)).map_or(&[][..], Vec::as_slice);
        let reasons: Vec<&str> = lines
            .iter()
            .map(|line| line["reason"].as_str().unwrap())
            .collect();
        if reasons != case.broken {
            wrong.push((case.name, reasons));
        }
        for line in lines {
            expect_whole(line, case);
        }
    }
    assert_eq!(wrong, []);
    assert_eq!(told["written"], rows);
    assert_eq!(told["quarantined"], broken);
    assert_eq!(told["read"], rows + broken);
    assert_eq!(tables::rows(&lake, "cart").len() as u64, rows);
    lake.expect_nothing_to_do(NOW);
}

/// Not as Kafka Connect names objects, so that no two events are one.
fn key(case: &Case) -> String {
    format!("topics/cart/{}.json", case.name)
}

/// That the line of a broken record has its bytes, and says where they stood.
fn expect_whole(line: &Value, case: &Case) {
    let record = match (&line["record"], &line["record_base64"]) {
        (Value::String(text), Value::Null) => text.clone().into_bytes(),
        (Value::Null, Value::String(text)) => BASE64.decode(text).unwrap(),
        _ => panic!("{}: one of the two: {line}", case.name),
    };
    let offset = usize::try_from(line["offset"].as_u64().unwrap()).unwrap();
    let stood = case.body[offset..].starts_with(&record);
    assert!(stood && !record.is_empty(), "{}: {line}", case.name);
    assert!(
        !line["version"].as_str().unwrap().is_empty(),
        "{}",
        case.name
    );
    assert!(
        !line["explanation"].as_str().unwrap().is_empty(),
        "{}",
        case.name
    );
}

/// The lines of the cart's quarantine by raw object.
fn quarantine(lake: &Lake) -> BTreeMap<String, Vec<Value>> {
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for file in traces::files(&lake.lake_file("quarantine/cart")) {
        for line in fs::read_to_string(file).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let object = line["object"].as_str().unwrap().to_owned();
            found.entry(object).or_default().push(line);
        }
    }
    found
}

#[test]
fn every_framing_gives_its_records() {
    a_night_over(&framing());
}

#[test]
fn a_broken_record_goes_to_quarantine_alone() {
    a_night_over(&broken());
}

#[test]
fn odd_values_stay_in_their_row() {
    a_night_over(&odd_but_good());
}

#[test]
fn of_a_truncated_gzip_what_is_whole_is_kept_and_the_object_stays() {
    what_is_whole_is_kept("topics/cart/cut.json.gz", 400, gzip);
}

#[test]
fn of_a_truncated_zstd_what_is_whole_is_kept_and_the_object_stays() {
    // Its blocks are 128 KiB of data, and only whole ones can be had.
    what_is_whole_is_kept("topics/cart/cut.json.zst", 4000, |data| {
        zstd::encode_all(data, 3).unwrap()
    });
}

#[test]
fn what_only_looks_compressed_is_reported_and_stays() {
    let lake = Lake::empty();
    let (key, body) = ("topics/cart/odd.json", b"\x28\xb5\x2f\xfd not really");
    lake.store(NOW).put(bucket("cart"), key, body.to_vec());
    let report = lake.run(NOW);
    assert_eq!(report["datasets"]["cart"]["quarantined"], 1);
    assert_eq!(quarantine(&lake)[key][0]["reason"], "compression_corrupt");
    assert!(report["findings"].to_string().contains(key));
    lake.run("2027-03-01T03:00:00Z");
    let there = lake.store(NOW).current(bucket("cart"), key);
    assert_eq!(there, Some(body.to_vec()));
}

fn what_is_whole_is_kept(key: &str, count: u32, compress: impl Fn(&[u8]) -> Vec<u8>) {
    let lake = Lake::empty();
    // Incompressible enough that several records come before the cut.
    let records: Vec<String> = (0..count)
        .map(|number| {
            with(&format!(
                "\"hash\": \"{:x}\"",
                number.wrapping_mul(2_654_435_761)
            ))
        })
        .collect();
    let mut body = compress(&lines(&records));
    body.truncate(body.len() / 2);
    lake.store(NOW).put(bucket("cart"), key, body.clone());
    let report = lake.run(NOW);
    let told = &report["datasets"]["cart"];
    let rows = tables::rows(&lake, "cart");
    assert!(
        rows.len() > 50 && rows.len() < records.len(),
        "{}",
        rows.len()
    );
    let whole: Vec<Value> = records[..rows.len()]
        .iter()
        .map(|record| serde_json::from_str(record).unwrap())
        .collect();
    let hashes: BTreeSet<&str> = whole
        .iter()
        .map(|record| record["hash"].as_str().unwrap())
        .collect();
    for row in &rows {
        let event: Value = serde_json::from_str(&row.event).unwrap();
        assert!(hashes.contains(event["hash"].as_str().unwrap()), "{event}");
    }
    assert_eq!(told["written"], rows.len());
    let lines = &quarantine(&lake)[key];
    let reasons: Vec<&Value> = lines.iter().map(|line| &line["reason"]).collect();
    assert!(
        reasons.contains(&&Value::from("compression_truncated")),
        "{reasons:?}"
    );
    assert_eq!(told["quarantined"], lines.len());
    let findings = report["findings"].to_string();
    assert!(findings.contains(key), "{findings}");
    // Not even age takes what nobody could read.
    lake.run("2027-03-01T03:00:00Z");
    assert_eq!(lake.store(NOW).current(bucket("cart"), key), Some(body));
}

#[test]
fn a_flood_of_new_fields_is_capped_and_loses_nothing() {
    let lake = Lake::empty();
    lake.change_policy(
        "datasets/cart.yaml",
        "max_new_columns: 1000",
        "max_new_columns: 20",
    );
    let flood: Vec<String> = (0..300)
        .map(|number| with(&format!("\"field{number}\": {number}")))
        .collect();
    lake.store(NOW)
        .put(bucket("cart"), "topics/cart/flood.json", lines(&flood));
    lake.run(NOW);
    let rows = tables::rows(&lake, "cart");
    assert_eq!(rows.len(), 300);
    for number in 0..300 {
        let member = format!("\"field{number}\":{number},");
        assert!(
            rows.iter().any(|row| row.event.contains(&member)),
            "{member}"
        );
    }
    let files = tables::live_files(&tables::table(&lake, "cart"));
    let batch = tables::read(files.keys().next().unwrap()).remove(0);
    assert!(batch.num_columns() <= 20 + 5, "{}", batch.num_columns());
}

#[test]
fn a_night_of_broken_records_alone_leaves_curated_tables_as_they_are() {
    let lake = small_lake();
    lake.run(NOW);
    let funnel = tables::funnel(&lake);
    let broken = lines(&["no JSON".into()]);
    lake.store(NOW)
        .put(bucket("cart"), &raw_key("cart", 7, 0), broken);
    let report = lake.run(NOW);
    assert_eq!(report["datasets"]["cart"]["quarantined"], 1);
    assert_eq!(tables::funnel(&lake), funnel);
    lake.expect_nothing_to_do(NOW);
}
