//! The nights after the first: what comes twice, what comes late, what was replaced meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use chrono::NaiveDate;
use lakewarden::demo::BUCKETS;
use serde_json::Value;

use crate::support::events::{ADA, BOB, bucket, event, lines, raw_key, small_lake};
use crate::support::{Lake, NOW, tables};

const NEXT_NIGHT: &str = "2026-11-20T22:00:00Z";

/// A small lake after its first night.
fn lake_after_a_night() -> Lake {
    let lake = small_lake();
    lake.run(NOW);
    lake
}

/// Puts an object of the cart's consumer into `lake` before the next night.
fn deliver(lake: &Lake, key: &str, records: &[String]) {
    lake.store(NEXT_NIGHT)
        .put(bucket("cart"), key, lines(records));
}

#[test]
fn what_is_delivered_again_another_night_counts_once() {
    let lake = lake_after_a_night();
    let before = tables::all_rows(&lake);
    let again = [
        event("cart", BOB, "2026-11-18T10:00:00Z"),
        event("cart", BOB, "2026-11-19T11:00:00Z"),
        event("cart", BOB, "2026-11-19T12:00:00Z"),
    ];
    // Offsets 1 and 2 were there, 3 is new.
    deliver(&lake, &raw_key("cart", 0, 1), &again);
    let told = &lake.run(NEXT_NIGHT)["datasets"]["cart"];
    assert_eq!(
        [&told["read"], &told["deduplicated"], &told["written"]],
        [3, 2, 1]
    );
    let mut after = tables::all_rows(&lake);
    let cart = after.get_mut("cart").unwrap();
    cart.retain(|row| row.position != "cart/0/3");
    assert_eq!(after, before);
    lake.expect_nothing_to_do(NEXT_NIGHT);
}

#[test]
fn one_position_with_two_contents_keeps_both_and_says_so() {
    let lake = lake_after_a_night();
    deliver(
        &lake,
        &raw_key("cart", 0, 2),
        &[event("cart", ADA, "2026-11-19T11:00:00Z")],
    );
    let report = lake.run(NEXT_NIGHT);
    assert_eq!(report["datasets"]["cart"]["written"], 1);
    let findings = report["findings"].to_string();
    assert!(
        findings.contains("cart: 1 events share the identity"),
        "{findings}"
    );
    let rows = tables::rows(&lake, "cart");
    let of_one = rows.iter().filter(|row| row.position == "cart/0/2");
    assert_eq!(of_one.count(), 2);
}

#[test]
fn objects_without_positions_are_told_apart_by_the_policys_fields() {
    let lake = lake_after_a_night();
    let pay = |payment: &str, amount: &str| {
        format!(
            r#"{{"eventType":"ProceedPaymentClicked","timestamp":"2026-11-19T20:00:00Z","userId":"{BOB}","paymentId":"{payment}","totalAmount":{amount}}}"#
        )
    };
    let put = |name: &str, records: &[String]| {
        let store = lake.store(NEXT_NIGHT);
        store.put(
            bucket("payment"),
            &format!("topics/payment/{name}"),
            lines(records),
        );
    };
    put(
        "export-1.json",
        &[pay("one", "60.00"), pay("two", "5"), pay("one", "60.0")],
    );
    let told = lake.run(NEXT_NIGHT)["datasets"]["payment"].clone();
    assert_eq!(
        [&told["read"], &told["deduplicated"], &told["written"]],
        [3, 1, 2]
    );
    put(
        "export-2.json",
        &[pay("two", "5.0"), pay("one", "61"), pay("three", "1")],
    );
    let report = lake.run(NEXT_NIGHT);
    let told = &report["datasets"]["payment"];
    assert_eq!(
        [&told["read"], &told["deduplicated"], &told["written"]],
        [3, 1, 2]
    );
    let findings = report["findings"].to_string();
    assert!(
        findings.contains("payment: 1 events share the identity"),
        "{findings}"
    );
    // Without fields to tell them apart nothing is dropped.
    let anonymous = event("cart", BOB, "2026-11-19T20:00:00Z");
    deliver(
        &lake,
        "topics/cart/export.json",
        &[anonymous.clone(), anonymous],
    );
    assert_eq!(lake.run(NEXT_NIGHT)["datasets"]["cart"]["written"], 2);
}

#[test]
fn a_late_event_touches_its_own_day_and_no_other() {
    let lake = lake_after_a_night();
    let its_day: NaiveDate = "2026-11-18".parse().unwrap();
    let curated_before = files_by_day(&tables::curated(&lake));
    let cart = tables::table(&lake, "cart");
    let events_before = tables::live_files(&cart);
    deliver(
        &lake,
        &raw_key("cart", 0, 3),
        &[event("cart", "5550003", "2026-11-18T23:59:59Z")],
    );
    let report = lake.run(NEXT_NIGHT);
    assert_eq!(report["curated"]["booking_funnel_daily"]["days"], 1);

    let mut events = tables::live_files(&cart);
    events.retain(|file, _| !events_before.contains_key(file));
    assert_eq!(events.into_values().collect::<Vec<_>>(), [its_day]);
    let live = tables::live_files(&cart);
    assert!(
        events_before.keys().all(|file| live.contains_key(file)),
        "appended, nothing rewritten"
    );

    let mut curated = files_by_day(&tables::curated(&lake));
    let (new, old) = (
        curated.remove(&its_day),
        curated_before.get(&its_day).cloned(),
    );
    assert_ne!(new, old);
    let mut others = curated_before;
    others.remove(&its_day);
    assert_eq!(curated, others);
    tables::expect_funnel_to_fit(&lake);
}

#[test]
fn an_object_that_its_consumer_wrote_longer_brings_what_is_new() {
    let lake = small_lake();
    let first = event("cart", BOB, "2026-11-19T08:00:00Z");
    let second = event("cart", BOB, "2026-11-19T09:00:00Z");
    let key = raw_key("cart", 2, 50);
    lake.store(NOW)
        .put(bucket("cart"), &key, lines(std::slice::from_ref(&first)));
    lake.run(NOW);
    let before = tables::rows(&lake, "cart");
    deliver(&lake, &key, &[first, second]);
    let told = lake.run(NEXT_NIGHT)["datasets"]["cart"].clone();
    assert_eq!(
        [&told["read"], &told["deduplicated"], &told["written"]],
        [2, 1, 1]
    );
    let mut after = tables::rows(&lake, "cart");
    after.retain(|row| row.position != "cart/2/51");
    assert_eq!(after, before);
    lake.expect_nothing_to_do(NEXT_NIGHT);
}

#[test]
fn an_object_that_its_owner_deleted_stays_in_the_table() {
    let lake = lake_after_a_night();
    let before = tables::rows(&lake, "cart");
    lake.store(NEXT_NIGHT)
        .delete(bucket("cart"), &raw_key("cart", 0, 0));
    lake.expect_nothing_to_do(NEXT_NIGHT);
    lake.run(NEXT_NIGHT);
    assert_eq!(tables::rows(&lake, "cart"), before);
}

#[test]
fn a_new_field_becomes_a_column_and_old_rows_stay_as_they_were() {
    let lake = lake_after_a_night();
    let before = tables::rows(&lake, "cart");
    let told = |voucher: &str| {
        let plain = event("cart", BOB, "2026-11-19T08:00:00Z");
        plain.replacen('{', &format!(r#"{{"voucher": {voucher}, "#), 1)
    };
    deliver(
        &lake,
        &raw_key("cart", 3, 0),
        &[told(r#""SUMMER""#), told("7")],
    );
    lake.run(NEXT_NIGHT);
    let rows = tables::rows(&lake, "cart");
    let vouchers: Vec<Value> = rows
        .iter()
        .filter(|row| row.position.starts_with("cart/3/"))
        .map(|row| serde_json::from_str::<Value>(&row.event).unwrap()["voucher"].clone())
        .collect();
    assert_eq!(vouchers.len(), 2);
    assert!(
        vouchers.contains(&"SUMMER".into()) && vouchers.contains(&7.into()),
        "{vouchers:?}"
    );
    assert!(before.iter().all(|row| rows.contains(row)));
    // A reader of the whole table has one schema, which has the column.
    let log = tables::commits(&tables::table(&lake, "cart"));
    let last = std::fs::read_to_string(log.last().unwrap()).unwrap();
    assert!(last.contains(r#"\"voucher\""#), "{last}");
}

#[test]
fn rescued_or_refused_new_fields_follow_the_policy() {
    for (rule, written) in [("rescue", 1), ("fail", 0)] {
        let lake = lake_after_a_night();
        let to = format!("on_new_field: {rule}");
        lake.change_policy("datasets/cart.yaml", "on_new_field: add", &to);
        let plain = event("cart", BOB, "2026-11-19T08:00:00Z");
        let new = plain.replacen('{', r#"{"voucher": "SUMMER", "#, 1);
        deliver(&lake, &raw_key("cart", 3, 0), &[new]);
        let report = lake.run(NEXT_NIGHT);
        assert_eq!(report["datasets"]["cart"]["written"], written, "{rule}");
        let rows = tables::rows(&lake, "cart");
        let kept = rows.iter().filter(|row| row.event.contains("SUMMER"));
        assert_eq!(kept.count(), written, "{rule}");
        let refused = report["findings"]
            .to_string()
            .contains("on_new_field: fail");
        assert_eq!(refused, rule == "fail", "{report}");
    }
}

#[test]
fn nights_add_up_to_what_one_night_would_have_made() {
    let at_once = Lake::after_an_undisturbed_night();
    let lake = Lake::empty();
    let objects = &crate::support::lake::generated().objects;
    for half in 0..2 {
        let store = lake.store(NOW);
        for (index, object) in objects.iter().enumerate() {
            if index % 2 == half {
                store.put(&object.bucket, &object.key, object.body.clone());
            }
        }
        drop(store);
        lake.run(NOW);
    }
    for (dataset, _) in BUCKETS {
        let expected = tables::rows(&at_once, dataset);
        assert_eq!(tables::rows(&lake, dataset), expected, "{dataset}");
    }
    assert_eq!(tables::funnel(&lake), tables::funnel(&at_once));
}

fn files_by_day(table: &std::path::Path) -> BTreeMap<NaiveDate, BTreeSet<PathBuf>> {
    let mut days: BTreeMap<NaiveDate, BTreeSet<PathBuf>> = BTreeMap::new();
    for (file, day) in tables::live_files(table) {
        days.entry(day).or_default().insert(file);
    }
    days
}
