//! A dataset whose rows a law wants kept: an erasure takes out of them what identifies the subject, and
//! the rows go when the law no longer wants them.

use serde_json::Value;

use crate::support::events::{ADA, BOB, bucket, event, lines, raw_key, small_lake};
use crate::support::{Lake, NOW, tables, traces};

const NEXT_NIGHT: &str = "2026-11-21T03:00:00Z";

/// Payments are kept for 90 days, whoever asks.
fn lake() -> Lake {
    let lake = small_lake();
    lake.change_policy(
        "datasets/payment.yaml",
        "\n  on_erasure: delete\n",
        "\n  on_erasure: redact\n  legal_minimum: { keep: 90 days, reason: chargebacks }\n  \
         redact: { userId: hash, sessionId: null, cartId: null, paymentId: null, link: constant erased }\n",
    );
    let old = event("payment", ADA, "2026-08-01T10:00:00Z");
    let linked = format!(
        r#"{{"timestamp": "2026-11-18T11:00:00Z", "userId": {ADA}, "link": "https://t.example/{ADA}", "amount": 5}}"#
    );
    lake.store(NOW).put(
        bucket("payment"),
        &raw_key("payment", 7, 0),
        lines(&[old, linked]),
    );
    lake.run(NOW);
    lake
}

fn payments(lake: &Lake) -> Vec<Value> {
    let rows = tables::rows(lake, "payment");
    rows.iter()
        .map(|row| serde_json::from_str(&row.event).unwrap())
        .collect()
}

fn redacted(lake: &Lake) -> Vec<Value> {
    let is_redacted = |event: &Value| event["userId"].as_str().is_some_and(|id| id.len() == 64);
    payments(lake).into_iter().filter(is_redacted).collect()
}

#[test]
fn rows_that_a_law_keeps_stay_without_the_subject_until_its_end() {
    let lake = lake();
    assert_eq!(payments(&lake).len(), 7);
    let id = lake.request_erasure(NOW, &format!("user_id={ADA}"));
    let report = lake.run(NOW);
    assert_eq!(lake.request_states(NOW), ["certified"]);
    assert!(traces::mentioning(&lake.s3(), ADA).is_empty());
    // Of Ada's four payments one is older than 90 days.
    assert_eq!(report["datasets"]["payment"]["erased_rows"], 4);
    assert_eq!(report["datasets"]["payment"]["redacted_rows"], 3);
    let kept = redacted(&lake);
    assert_eq!(kept.len(), 3);
    assert!(
        kept.iter()
            .all(|event| event["userId"] == kept[0]["userId"])
    );
    assert!(kept.iter().all(|event| event.get("sessionId").is_none()));
    assert!(
        kept.iter()
            .any(|event| event["link"] == "erased" && event["amount"] == 5)
    );
    let certificate = lake.lake_file(&format!("system/erasure/certificates/{id}.json"));
    let certificate: Value = serde_json::from_slice(&std::fs::read(certificate).unwrap()).unwrap();
    assert_eq!(certificate["erased"]["redacted"], 3);
    lake.expect_nothing_to_do(NOW);

    // The last day on which a law wants the payments of 18 November: 90 days later.
    let last = "2027-02-16T03:00:00Z";
    lake.run(last);
    assert_eq!(redacted(&lake).len(), 3);
    lake.run("2027-02-17T03:00:00Z");
    assert_eq!(redacted(&lake).len(), 1, "the one of 19 November");
    lake.run("2027-02-18T03:00:00Z");
    assert_eq!(redacted(&lake).len(), 0);
    let bobs = payments(&lake)
        .into_iter()
        .filter(|event| event["userId"] == BOB);
    assert_eq!(
        bobs.count(),
        2,
        "nobody else's go with them; one is too old by now"
    );
}

#[test]
fn a_late_event_of_an_erased_subject_is_redacted_at_compaction() {
    let lake = lake();
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    lake.run(NOW);
    let delayed = event("payment", ADA, "2026-11-19T23:00:00Z");
    let others = event("payment", BOB, "2026-11-19T23:00:00Z");
    let key = raw_key("payment", 8, 0);
    lake.store(NEXT_NIGHT)
        .put(bucket("payment"), &key, lines(&[delayed, others.clone()]));
    let report = lake.run(NEXT_NIGHT);
    let told = &report["datasets"]["payment"];
    assert_eq!(
        (&told["read"], &told["written"], &told["redacted"]),
        (&2.into(), &1.into(), &1.into())
    );
    assert_eq!(redacted(&lake).len(), 4);
    assert_eq!(
        lake.store(NEXT_NIGHT).current(bucket("payment"), &key),
        Some(lines(&[others])),
        "the raw object loses it the same night"
    );
    assert!(traces::mentioning(&lake.s3(), ADA).is_empty());
    let positions: Vec<String> = tables::rows(&lake, "payment")
        .into_iter()
        .map(|row| row.position)
        .collect();
    assert!(
        positions.contains(&"payment/8/0".to_owned()),
        "{positions:?}"
    );
    lake.expect_nothing_to_do(NEXT_NIGHT);
}

#[test]
fn redacted_rows_are_not_folded_with_others() {
    let lake = lake();
    let more: Vec<String> = (0..6)
        .map(|number| {
            event(
                "payment",
                &format!("55500{number}9"),
                "2026-11-18T10:00:00Z",
            )
        })
        .collect();
    for (number, event) in more.iter().enumerate() {
        let night = format!("2026-11-2{}T03:00:00Z", number + 1);
        let key = raw_key("payment", 9, number as u64);
        lake.store(&night)
            .put(bucket("payment"), &key, lines(std::slice::from_ref(event)));
        if number == 0 {
            lake.request_erasure(&night, &format!("user_id={ADA}"));
        }
        lake.run(&night);
    }
    let files = tables::live_files(&tables::table(&lake, "payment"));
    let names = files
        .keys()
        .map(|file| file.file_name().unwrap().to_str().unwrap());
    let redacted_files = names.filter(|name| name.starts_with("redacted-")).count();
    assert!(redacted_files >= 2, "one a day at least");
    assert_eq!(redacted(&lake).len(), 3);
}

#[test]
fn redacted_rows_go_at_the_end_of_their_time_whoever_else_is_taken_out_of_their_file() {
    let lake = lake();
    // A row of Ada's that also holds her number where no policy looks for it yet.
    let twice = format!(
        r#"{{"timestamp": "2026-11-19T11:00:00Z", "userId": {ADA}, "note": {{"of": "{ADA}"}}, "amount": 6}}"#
    );
    let store = lake.store(NOW);
    store.put(
        bucket("payment"),
        &raw_key("payment", 8, 0),
        lines(&[twice]),
    );
    drop(store);
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    lake.run(NOW);
    assert_eq!(redacted(&lake).len(), 4);
    let policy = "datasets/payment.yaml";
    lake.change_policy(policy, "user_id: [userId", "user_id: [note.of, userId");
    lake.change_policy(policy, "redact: { ", "redact: { note.of: null, ");
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    lake.run(NOW);
    assert_eq!(lake.request_states(NOW), ["certified", "certified"]);
    assert!(traces::mentioning(&lake.s3(), ADA).is_empty());
    assert_eq!(redacted(&lake).len(), 4);
    let is_young = |event: &&Value| event["timestamp"].as_str().unwrap() > "2026";
    let bobs = payments(&lake).iter().filter(is_young).count() - 4;
    // 90 days after the youngest of them.
    lake.run("2027-02-18T03:00:00Z");
    assert_eq!(redacted(&lake), [] as [Value; 0]);
    assert_eq!(payments(&lake).len(), bobs);
}
