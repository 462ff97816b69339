//! The demo's first night, held against what its generator counted while it wrote the input.

use std::collections::BTreeMap;
use std::fs;

use chrono::{DateTime, Utc};
use lakewarden::demo::{BUCKETS, SUBJECT_ERASED};
use serde_json::Value;

use crate::support::events::{ADA, small_lake};
use crate::support::lake::generated;
use crate::support::{Lake, NOW, tables, traces};

#[test]
fn every_record_has_one_fate_and_the_report_tells_it() {
    let report = Lake::report_of_the_night();
    for (name, truth) in &generated().truth.datasets {
        let told = &report["datasets"][name];
        assert_eq!(told["read"], truth.records, "{name}");
        assert_eq!(told["written"], truth.kept, "{name}");
        assert_eq!(told["quarantined"], truth.broken, "{name}");
        assert_eq!(told["suppressed"], 0, "{name}");
        assert_eq!(told["objects"], truth.objects, "{name}");
        // A repeated record that is too old could be told as the one or as the other.
        let [expired, deduplicated] =
            ["expired", "deduplicated"].map(|count| told[count].as_u64().unwrap());
        assert_eq!(
            expired + deduplicated,
            truth.expired + truth.duplicates,
            "{name}"
        );
        assert!(expired >= truth.expired, "{name}");
    }
    assert_eq!(report["failures"], serde_json::json!([]));
}

#[test]
fn the_report_tells_what_was_erased_of_the_subject() {
    let report = Lake::report_of_the_night();
    for (name, truth) in &generated().truth.datasets {
        let told = &report["datasets"][name];
        let of_erased = &truth.of_erased;
        assert_eq!(told["erased_rows"], of_erased.kept, "{name}");
        assert_eq!(told["erased_quarantined"], of_erased.broken, "{name}");
        let in_raw = of_erased.kept + of_erased.broken + of_erased.duplicates + of_erased.expired;
        assert_eq!(told["erased_raw_records"], in_raw, "{name}");
    }
}

#[test]
fn the_report_in_the_lake_is_the_one_that_was_printed() {
    let lake = Lake::after_a_night();
    let printed = Lake::report_of_the_night();
    let run = printed["run"].as_str().unwrap();
    let kept = fs::read(lake.lake_file(&format!("system/reports/{run}.json"))).unwrap();
    let kept: Value = serde_json::from_slice(&kept).unwrap();
    for (name, value) in kept.as_object().unwrap() {
        assert_eq!(*value, printed[name], "{name}");
    }
}

#[test]
fn the_tables_hold_each_kept_event_once_and_on_its_day() {
    let lake = Lake::after_an_undisturbed_night();
    for (name, truth) in &generated().truth.datasets {
        let rows = tables::rows(&lake, name);
        assert_eq!(tables::count_by_day(&rows), truth.kept_by_day, "{name}");
        let mut positions: Vec<&String> = rows.iter().map(|row| &row.position).collect();
        positions.sort();
        positions.dedup();
        assert_eq!(
            positions.len(),
            rows.len(),
            "{name}: a Kafka position twice"
        );
    }
}

#[test]
fn the_erasure_takes_the_subject_and_nobody_else() {
    let before = Lake::after_an_undisturbed_night();
    let after = Lake::after_a_night();
    for (name, truth) in &generated().truth.datasets {
        let (subject, others): (Vec<_>, Vec<_>) = tables::rows(&before, name)
            .into_iter()
            .partition(|row| row.is_of(SUBJECT_ERASED));
        assert_eq!(subject.len() as u64, truth.of_erased.kept, "{name}");
        assert_eq!(tables::rows(&after, name), others, "{name}");
    }
    assert_eq!(
        traces::mentioning(&after.s3(), SUBJECT_ERASED),
        Vec::<std::path::PathBuf>::new()
    );
    // The search itself finds what is there.
    assert!(traces::mentioning(&before.s3(), SUBJECT_ERASED).len() > 40);
}

#[test]
fn the_funnel_is_the_one_that_was_counted() {
    let lake = Lake::after_a_night();
    let mut found: BTreeMap<(String, String, String), [String; 3]> = BTreeMap::new();
    for row in tables::funnel(&lake) {
        let key = ["event_date", "stage", "device_type"].map(|name| row[name].clone());
        let values = ["users", "sessions", "drop_off"].map(|name| row[name].clone());
        let twice = found.insert(key.into(), values);
        assert_eq!(twice, None, "{row:?}");
    }
    for expected in &generated().truth.funnel {
        let key = (
            expected.event_date.to_string(),
            expected.stage.to_owned(),
            expected.device_type.to_owned(),
        );
        let [users, sessions, drop_off] = found
            .remove(&key)
            .unwrap_or_else(|| panic!("{key:?} is missing"));
        assert_eq!(users, expected.users.to_string(), "{key:?}");
        assert_eq!(sessions, expected.sessions.to_string(), "{key:?}");
        match expected.drop_off {
            None => assert_eq!(drop_off, "", "{key:?}"),
            Some(share) => {
                let found: f64 = drop_off.parse().unwrap();
                assert!((found - share).abs() < 1e-9, "{key:?}: {found} for {share}");
            }
        }
    }
    assert_eq!(found, BTreeMap::new(), "rows that nobody counted");
}

#[test]
fn quarantine_keeps_each_broken_record_whole_with_where_it_came_from() {
    let lake = Lake::after_an_undisturbed_night();
    let input = &generated().objects;
    for (name, truth) in &generated().truth.datasets {
        let lines = quarantined(&lake, name);
        assert_eq!(lines.len() as u64, truth.broken, "{name}");
        for line in lines {
            let key = line["object"].as_str().unwrap();
            let object = input.iter().find(|object| object.key == key).unwrap();
            let body = plain(&object.body);
            let record = record_of(&line);
            let offset = usize::try_from(line["offset"].as_u64().unwrap()).unwrap();
            assert!(body[offset..].starts_with(&record), "{line}");
            assert!(!record.is_empty(), "{line}");
            assert_eq!(
                body.get(offset + record.len()).map(u8::is_ascii_whitespace),
                Some(true),
                "{line}"
            );
            assert_ne!(line["reason"], "", "{line}");
            assert_ne!(line["version"], "", "{line}");
        }
    }
}

#[test]
fn raw_objects_keep_every_event_that_is_neither_too_old_nor_the_subjects() {
    let lake = Lake::after_a_night();
    for object in &generated().objects {
        let mut expected = records_of(&object.body);
        expected.retain(|record| !is_of_subject(record) && !is_too_old(record));
        let path = lake.s3().join(&object.bucket).join(&object.key);
        // An object of which nothing is left is gone; of a folder marker there is no plain file.
        let kept = fs::read(path).map_or(Vec::new(), |body| records_of(&body));
        assert_eq!(kept, expected, "{}", object.key);
    }
}

#[test]
fn the_text_that_people_see_names_datasets_counts_and_the_certificate() {
    let lake = small_lake();
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    let outcome = lake.command(NOW, &["run"]);
    outcome.expect_exit(0).does_not_mention(ADA);
    for (dataset, _) in BUCKETS {
        let mut lines = outcome.stdout.lines();
        let line = lines.find(|line| line.starts_with(&format!("{dataset} ")));
        let numbers: Vec<u64> = line
            .unwrap()
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        // Read = written + quarantined + suppressed + redacted + expired + deduplicated.
        assert_eq!(numbers[..7], [7, 5, 1, 0, 0, 1, 0], "{dataset}");
        let erased = format!("erased from {dataset}: 2 rows, 4 raw records, 1 quarantined records");
        assert!(outcome.stdout.contains(&erased), "{}", outcome.stdout);
    }
    assert!(outcome.stdout.contains(": certified (deadline 2026-12-20)"));
}

/// The lines of a dataset's quarantine.
fn quarantined(lake: &Lake, dataset: &str) -> Vec<Value> {
    let folder = lake.lake_file(&format!("quarantine/{dataset}"));
    let mut lines = Vec::new();
    for file in traces::files(&folder) {
        let text = fs::read_to_string(file).unwrap();
        lines.extend(
            text.lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap()),
        );
    }
    lines
}

fn record_of(line: &Value) -> Vec<u8> {
    use base64::Engine;
    match (&line["record"], &line["record_base64"]) {
        (Value::String(text), Value::Null) => text.clone().into_bytes(),
        (Value::Null, Value::String(text)) => base64::engine::general_purpose::STANDARD
            .decode(text)
            .unwrap(),
        _ => panic!("one of the two: {line}"),
    }
}

/// The records of a raw object as text, whatever its framing.
fn records_of(body: &[u8]) -> Vec<String> {
    let body = plain(body);
    let text = String::from_utf8_lossy(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body));
    if let Ok(Value::Array(elements)) = serde_json::from_str(&text) {
        return elements.iter().map(Value::to_string).collect();
    }
    let documents = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    if let Ok(documents) = documents.collect::<Result<Vec<_>, _>>() {
        return documents.iter().map(Value::to_string).collect();
    }
    // Broken records stand on lines of their own.
    let document = |line: &str| serde_json::from_str::<Value>(line).map(|value| value.to_string());
    let lines = text
        .lines()
        .map(|line| document(line).unwrap_or(line.to_owned()));
    lines.collect()
}

fn is_of_subject(record: &str) -> bool {
    let named = format!("\"{SUBJECT_ERASED}\"");
    let number = format!("\"userId\":{SUBJECT_ERASED}");
    record.contains(&named) || record.contains(&number)
}

fn is_too_old(record: &str) -> bool {
    let event: Value = serde_json::from_str(record).unwrap_or_default();
    let time = event["timestamp"].as_str().unwrap_or_default();
    let first_kept: DateTime<Utc> = "2024-11-20T00:00:00Z".parse().unwrap();
    DateTime::parse_from_rfc3339(time).is_ok_and(|time| time < first_kept)
}

fn plain(body: &[u8]) -> Vec<u8> {
    use std::io::Read;
    if !body.starts_with(&[0x1f, 0x8b]) {
        return body.to_vec();
    }
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(body)
        .read_to_end(&mut plain)
        .unwrap();
    plain
}
