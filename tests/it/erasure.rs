//! A request to be erased: nothing of the subject is left, nothing of anybody else is missing, and a
//! certificate says so without naming the subject.

use std::fs;
use std::path::PathBuf;

use lakewarden::demo::{BUCKETS, SUBJECT_SAMPLE};
use serde_json::{Value, json};

use crate::support::events::{
    ADA, BOB, bucket, event, gzip, lines, raw_key, small_lake, small_lake_without_versions,
};
use crate::support::lake::LAKE_BUCKET;
use crate::support::{Lake, NOW, tables, traces};

const NOWHERE: [PathBuf; 0] = [];
const NEXT_NIGHT: &str = "2026-11-21T03:00:00Z";

#[test]
fn a_subject_leaves_every_file_and_nobody_else_leaves() {
    let lake = Lake::after_a_night();
    let before = tables::all_rows(&lake);
    assert!(traces::mentioning(&lake.s3(), SUBJECT_SAMPLE).len() > 40);
    let id = lake.request_erasure(NOW, &format!("user_id={SUBJECT_SAMPLE}"));
    let outcome = lake.command(NOW, &["run"]);
    outcome.expect_exit(0).does_not_mention(SUBJECT_SAMPLE);

    assert_eq!(traces::mentioning(&lake.s3(), SUBJECT_SAMPLE), NOWHERE);
    let after = tables::all_rows(&lake);
    let mut erased = 0;
    for (name, rows) in before {
        let (subject, others): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| row.is_of(SUBJECT_SAMPLE));
        assert_eq!(after[name], others, "{name}");
        erased += subject.len();
    }
    let certificate = certificate(&lake, &id);
    assert_eq!(certificate["erased"]["rows"], erased);
    assert_eq!(certificate["certified_at"], NOW);
    assert_eq!(certificate["received"], NOW);
    assert_eq!(certificate["deadline"], "2026-12-20T03:00:00Z");
    assert_eq!(certificate["verification"]["traces"], json!([]));
    assert_eq!(certificate["scope"].as_array().unwrap().len(), 5);
    let outside = certificate["outside"].to_string();
    assert!(outside.contains("Kafka") && outside.contains("Snowflake"));
    tables::expect_funnel_to_fit(&lake);
    lake.expect_nothing_to_do(NOW);
}

#[test]
fn a_certified_request_keeps_no_sealed_identifier() {
    let lake = small_lake();
    let id = lake.request_erasure(NOW, &format!("user_id={ADA}"));
    let file = lake.lake_file(&format!("system/erasure/requests/{id}.json"));
    let open: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert!(open["sealed"].is_string());
    let sealed = open["sealed"].as_str().unwrap();
    lake.run(NOW);
    assert_eq!(lake.request_states(NOW), ["certified"]);
    let closed: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(closed["sealed"], Value::Null);
    assert_eq!(traces::mentioning(&lake.s3(), sealed), NOWHERE);
}

#[test]
fn an_identifier_on_standard_input_is_not_repeated_anywhere() {
    let lake = small_lake();
    let arguments = ["erase", "add", "--identifier", "-"];
    let line = format!("\n  user_id={ADA}  \n");
    lake.command_with(NOW, &arguments, &line)
        .expect_exit(0)
        .does_not_mention(ADA);
    let requests = lake.lake_file("system/erasure");
    assert_eq!(traces::mentioning(&requests, ADA), NOWHERE);
    lake.command(NOW, &["erase", "list"])
        .expect_exit(0)
        .does_not_mention(ADA);
    lake.command(NOW, &["plan"])
        .expect_exit(0)
        .does_not_mention(ADA);
    lake.run(NOW);
    assert_eq!(traces::mentioning(&lake.s3(), ADA), NOWHERE);
    for (dataset, _) in BUCKETS {
        let rows = tables::rows(&lake, dataset);
        assert_eq!(rows.len(), 3, "{dataset}");
        assert!(rows.iter().all(|row| row.is_of(BOB)), "{dataset}");
    }
}

#[test]
fn one_request_may_name_several_identifiers_and_several_requests_share_a_night() {
    let lake = small_lake();
    let put = |user: &str, start| {
        let body = lines(&[event("cart", user, "2026-11-19T08:00:00Z")]);
        lake.store(NOW)
            .put(bucket("cart"), &raw_key("cart", 2, start), body);
    };
    put("5550003", 0);
    put("5550004", 1);
    let both = [
        "erase",
        "add",
        "--identifier",
        "user_id=5550003",
        "--identifier",
        "user_id=5550004",
    ];
    lake.command(NOW, &both).expect_exit(0);
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    lake.run(NOW);
    assert_eq!(lake.request_states(NOW), ["certified", "certified"]);
    for user in [ADA, "5550003", "5550004"] {
        assert_eq!(traces::mentioning(&lake.s3(), user), NOWHERE, "{user}");
    }
    assert_eq!(tables::rows(&lake, "cart").len(), 3);
}

#[test]
fn the_month_starts_when_the_subject_asked() {
    let lake = small_lake();
    let asked = [
        "erase",
        "add",
        "--received",
        "2026-10-31",
        "--identifier",
        "user_id=1",
    ];
    lake.command(NOW, &asked).expect_exit(0);
    lake.request_erasure(NOW, "user_id=2");
    let listed = lake
        .command(NOW, &["erase", "list", "--output", "json"])
        .json();
    let deadlines: Vec<&Value> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["deadline"])
        .collect();
    // The most urgent first; received on 31 October means by its end.
    assert_eq!(deadlines, ["2026-11-30T23:59:59Z", "2026-12-20T03:00:00Z"]);
}

#[test]
fn older_versions_and_objects_of_nobody_else_go_too() {
    let lake = small_lake();
    let (cart, key) = (bucket("cart"), raw_key("cart", 2, 0));
    let of = |user| event("cart", user, "2026-11-19T08:00:00Z");
    let store = lake.store(NOW);
    store.put(cart, &key, lines(&[of(ADA), of(BOB)]));
    store.put(cart, &key, lines(&[of(BOB)]));
    let alone = raw_key("cart", 2, 10);
    store.put(cart, &alone, gzip(&lines(&[of(ADA), of(ADA)])));
    let deleted = raw_key("cart", 2, 20);
    store.put(cart, &deleted, lines(&[of(ADA)]));
    store.delete(cart, &deleted);
    drop(store);
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    lake.run(NOW);
    assert_eq!(lake.request_states(NOW), ["certified"]);
    assert_eq!(traces::mentioning(&lake.s3(), ADA), NOWHERE);
    let store = lake.store(NOW);
    let versions = store.versions(cart, &key);
    assert_eq!(
        versions.len(),
        1,
        "the version with Ada is gone, the other stays"
    );
    assert_eq!(versions[0].bytes, lines(&[of(BOB)]));
    assert_eq!(store.versions(cart, &alone), []);
    assert_eq!(store.versions(cart, &deleted), []);
}

#[test]
fn what_comes_late_from_before_the_request_is_not_admitted() {
    let lake = small_lake();
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    lake.run(NOW);
    let before = tables::rows(&lake, "cart");

    let (cart, key) = (bucket("cart"), raw_key("cart", 0, 3));
    let returned = event("cart", ADA, "2026-11-20T03:00:01Z");
    let others = event("cart", BOB, "2026-11-19T13:00:00Z");
    let delayed = event("cart", ADA, "2026-11-19T13:00:00Z");
    let body = lines(&[delayed, others.clone(), returned.clone()]);
    lake.store(NEXT_NIGHT).put(cart, &key, body);
    let report = lake.run(NEXT_NIGHT);
    let told = &report["datasets"]["cart"];
    assert_eq!(told["read"], 3);
    assert_eq!(told["suppressed"], 1);
    assert_eq!(told["written"], 2);
    assert_eq!(
        told["raw_trimmed"], 2,
        "it leaves the raw object the same night, and so does one that is too old by then"
    );

    let versions = lake.store(NEXT_NIGHT).versions(cart, &key);
    assert_eq!(versions.len(), 1);
    assert_eq!(versions[0].bytes, lines(&[others, returned]));
    let day = "2024-11-20".parse().unwrap();
    let mut expected = before.clone();
    expected.retain(|row| row.day > day);
    let after = tables::rows(&lake, "cart");
    let new: Vec<_> = after.iter().filter(|row| !expected.contains(row)).collect();
    let positions: Vec<&str> = new.iter().map(|row| &*row.position).collect();
    assert_eq!(positions, ["cart/0/4", "cart/0/5"]);
    assert!(new[1].is_of(ADA), "a customer who returns later is welcome");
    assert_eq!(after.len(), expected.len() + 2);
    lake.expect_nothing_to_do(NEXT_NIGHT);
}

#[test]
fn a_trace_that_the_program_may_not_touch_withholds_the_certificate() {
    let lake = small_lake();
    let telling = format!("exports/{ADA}.csv");
    lake.store(NOW)
        .put(LAKE_BUCKET, &telling, "what an analyst left");
    let id = lake.request_erasure(NOW, &format!("user_id={ADA}"));
    let outcome = lake.command(NOW, &["run", "--output", "json"]);
    outcome.does_not_mention(ADA);
    let findings = outcome.json()["findings"].to_string();
    assert!(
        findings.contains(&id) && findings.contains("1 traces"),
        "{findings}"
    );
    assert_eq!(lake.request_states(NOW), ["received"]);
    let certificate = format!("system/erasure/certificates/{id}.json");
    assert!(!lake.lake_file(&certificate).exists());
    // Once a person has taken it away the next night is content.
    lake.store(NOW).remove_all(LAKE_BUCKET, &telling);
    lake.run(NEXT_NIGHT);
    assert_eq!(lake.request_states(NEXT_NIGHT), ["certified"]);
    assert!(lake.lake_file(&certificate).exists());
}

#[test]
fn buckets_without_versions_are_cleaned_as_well() {
    let lake = small_lake_without_versions();
    lake.run(NOW);
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    lake.run(NOW);
    assert_eq!(lake.request_states(NOW), ["certified"]);
    assert_eq!(traces::mentioning(&lake.s3(), ADA), NOWHERE);
    for (dataset, bucket) in BUCKETS {
        assert_eq!(tables::rows(&lake, dataset).len(), 3, "{dataset}");
        let raw = lake.store(NOW).current(bucket, &raw_key(dataset, 0, 0));
        let of_bob =
            ["2026-11-18T10:00:00Z", "2026-11-19T11:00:00Z"].map(|time| event(dataset, BOB, time));
        assert_eq!(raw, Some(lines(&of_bob)), "{dataset}");
    }
    lake.expect_nothing_to_do(NOW);
}

#[test]
fn an_unfinished_upload_from_before_the_request_is_aborted_once_nobody_can_be_at_work_on_it() {
    let lake = small_lake();
    let cart = bucket("cart");
    lake.change_policy(
        "lake.yaml",
        "uncommitted_grace: 0 h",
        "uncommitted_grace: 24 h",
    );
    let upload = "topics/cart/large.json";
    lake.store("2026-11-19T12:00:00Z")
        .begin_upload(cart, upload);
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    let later = "2026-11-20T09:00:00Z";
    let begun_later = "topics/cart/later.json";
    lake.store(later).begin_upload(cart, begun_later);
    let report = lake.run(later);
    assert_eq!(lake.request_states(NOW), ["received"]);
    let findings = report["findings"].to_string();
    assert!(findings.contains("1 unfinished uploads"), "{findings}");
    let due = lake.plan(later)["due"].to_string();
    assert!(
        due.contains("2026-11-20T12:00:00Z") && due.contains("unfinished upload"),
        "{due}"
    );
    lake.run(NEXT_NIGHT);
    assert_eq!(lake.request_states(NEXT_NIGHT), ["certified"]);
    let left = lake.store(NEXT_NIGHT).uploads(cart);
    assert_eq!(
        left,
        [begun_later],
        "an upload from after the request is somebody else's"
    );
}

#[test]
fn a_subject_in_text_of_another_encoding_withholds_the_certificate_or_goes() {
    let lake = small_lake();
    let text = event("cart", ADA, "2026-11-19T13:00:00Z");
    let mut body = vec![0xff, 0xfe];
    body.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    lake.store(NOW)
        .put(bucket("cart"), "topics/cart/wide.json", body.clone());
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    let report = lake.run(NOW);
    let there = lake
        .store(NOW)
        .current(bucket("cart"), "topics/cart/wide.json");
    let told = report["findings"].to_string().contains("wide.json");
    assert!(there.is_none() || told || lake.request_states(NOW) != ["certified"]);
}

fn certificate(lake: &Lake, id: &str) -> Value {
    let file = lake.lake_file(&format!("system/erasure/certificates/{id}.json"));
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// Runs a night on which these broken records come late; how many were suppressed, and what is left of the object.
fn late_and_broken(user: &str, records: &[&str]) -> (Value, Vec<u8>) {
    let lake = Lake::empty();
    let (cart, key) = (bucket("cart"), raw_key("cart", 0, 3));
    let first = lines(&[event("cart", BOB, "2026-11-19T13:00:00Z")]);
    lake.store(NOW).put(cart, &raw_key("cart", 0, 0), first);
    lake.request_erasure(NOW, &format!("user_id={user}"));
    lake.run(NOW);
    let records: Vec<String> = records.iter().map(|record| (*record).to_owned()).collect();
    lake.store(NEXT_NIGHT).put(cart, &key, lines(&records));
    let report = lake.run(NEXT_NIGHT);
    lake.expect_nothing_to_do(NEXT_NIGHT);
    let left = lake.store(NEXT_NIGHT).current(cart, &key);
    let suppressed = report["datasets"]["cart"]["suppressed"].clone();
    (suppressed, left.unwrap_or_default())
}

#[test]
fn a_broken_record_with_a_digit_that_is_nobodys_stays() {
    let record = r#"{"userId":"bob-5554443","seen":"at 0 of 7 o'clock","note":"keep", broken"#;
    let (suppressed, left) = late_and_broken("0", &[record]);
    assert_eq!(suppressed, 0);
    assert_eq!(left, lines(&[record.to_owned()]));
}

#[test]
fn late_broken_records_are_recognised_however_the_identifier_is_spelled() {
    let spellings = [
        ("Ann Example", r#"{"userId":"Ann Example", broken"#),
        ("josé-muñoz", r#"{"userId":"jos\u00e9-mu\u00f1oz", broken"#),
        ("o\"brien", r#"{"userId":"o\"brien", broken"#),
    ];
    for (user, record) in spellings {
        let (suppressed, left) = late_and_broken(user, &[record]);
        assert_eq!(suppressed, 1, "{user}");
        assert_eq!(left, b"", "{user}");
    }
}

#[test]
fn broken_records_go_however_the_identifier_is_spelled_and_names_may_hold_an_and() {
    let spellings = [
        ("josé-muñoz", r#"{"userId":"jos\u00e9-mu\u00f1oz", broken"#),
        (
            "Simon and Schuster",
            r#"{"userId":"Simon and Schuster","timestamp":"2026-11-19T13:00:00Z"}"#,
        ),
    ];
    for (user, record) in spellings {
        let lake = Lake::empty();
        let store = lake.store(NOW);
        store.put(
            bucket("cart"),
            &raw_key("cart", 0, 0),
            lines(&[record.to_owned()]),
        );
        drop(store);
        lake.run(NOW);
        lake.request_erasure(NOW, &format!("user_id={user}"));
        lake.run(NOW);
        assert_eq!(lake.request_states(NOW), ["certified"], "{user}");
    }
}

#[test]
fn a_file_in_the_inbox_that_holds_no_request_stays_and_is_told() {
    let lake = small_lake();
    let key = "system/erasure/inbox/from-crm.csv";
    lake.store(NOW).put(LAKE_BUCKET, key, "5551234\n");
    let report = lake.run(NOW);
    let findings = report["findings"].to_string();
    assert!(
        findings.contains("erasure inbox, the file of "),
        "{findings}"
    );
    assert!(lake.store(NOW).current(LAKE_BUCKET, key).is_some());
}
