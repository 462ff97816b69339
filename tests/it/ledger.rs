//! The ledger forgets what is gone and too old to come again, and nothing counts twice for it.

use serde_json::{Value, json};

use crate::support::events::{ADA, BOB, bucket, event, lines, raw_key};
use crate::support::lake::LAKE_BUCKET;
use crate::support::{Lake, NOW, tables};

const FOLDER: &str = "system/ledger/cart/";
/// When the second object came.
const SECOND: &str = "2026-11-25T03:00:00Z";
/// When of the first object the last event is too old, and thirty days after its compaction.
const TOO_OLD: &str = "2026-12-20T02:59:59Z";
const SPAN_OVER: &str = "2026-12-20T03:00:00Z";

fn click(number: usize) -> String {
    let days = ["17", "18", "19", "24", "24"];
    event(
        "cart",
        BOB,
        &format!("2026-11-{}T10:0{number}:00Z", days[number]),
    )
}

fn put(lake: &Lake, now: &str, first: usize, clicks: &[String]) {
    let key = raw_key("cart", 0, first as u64);
    lake.store(now).put(bucket("cart"), &key, lines(clicks));
}

/// Names below the ledger's folder, those of rewrite records cut short.
fn names(lake: &Lake) -> Vec<String> {
    let versions = lake.store(NOW).versions(LAKE_BUCKET, FOLDER);
    let names = versions.iter().map(|version| {
        let name = version.key.strip_prefix(FOLDER).unwrap();
        let is_rewrite = name.starts_with("rewrites/");
        if is_rewrite { "rewrites/" } else { name }.to_owned()
    });
    names.collect()
}

/// Two objects of the cart, which keeps its events for thirty days: of the first one, three, one has been
/// trimmed already.
fn lake_with_two_objects() -> Lake {
    let lake = Lake::empty();
    let policies = ["datasets/cart.yaml", "curated/booking_funnel_daily.yaml"];
    for policy in policies {
        lake.change_policy(policy, "\n  keep: 2 years", "\n  keep: 30 days");
    }
    let keep = "keep: 30 days after compaction";
    lake.change_policy("datasets/cart.yaml", keep, "");
    put(&lake, NOW, 0, &[click(0), click(1), click(2)]);
    lake.run(NOW);
    put(&lake, SECOND, 3, &[click(3), click(4)]);
    lake.run(SECOND);
    lake.run("2026-12-19T03:00:00Z");
    let both = ["000000000001.json", "000000000002.json", "rewrites/"];
    assert_eq!(names(&lake), both);
    lake
}

#[test]
fn a_segment_goes_once_nothing_that_it_names_can_come_again() {
    let lake = lake_with_two_objects();
    let in_one_night = lake.another();
    let report = lake.run(TOO_OLD);
    assert_eq!(report["datasets"]["cart"]["raw_deleted"], 1);
    assert_eq!(names(&lake).len(), 3, "its span is not over");
    lake.run(SPAN_OVER);
    let left = ["000000000002.json", "begins/000000000002.json"];
    assert_eq!(names(&lake), left);
    lake.expect_nothing_to_do(SPAN_OVER);

    let report = in_one_night.run(SPAN_OVER);
    assert_eq!(report["datasets"]["cart"]["raw_deleted"], 1);
    assert_eq!(names(&in_one_night), left);
    in_one_night.expect_nothing_to_do(SPAN_OVER);
}

#[test]
fn what_a_forgotten_object_brings_again_is_expired() {
    let lake = lake_with_two_objects();
    lake.run(SPAN_OVER);
    let rows = tables::rows(&lake, "cart");
    assert_eq!(rows.len(), 2);

    // The same object, and one that overlaps what the ledger still knows.
    put(&lake, SPAN_OVER, 0, &[click(0), click(1), click(2)]);
    put(
        &lake,
        SPAN_OVER,
        1,
        &[click(1), click(2), click(3), click(4)],
    );
    let report = lake.run(SPAN_OVER);
    let cart = &report["datasets"]["cart"];
    let counts = ["read", "written", "expired", "deduplicated"].map(|count| cart[count].clone());
    assert_eq!(counts, [7, 0, 5, 2].map(Value::from));
    assert_eq!(tables::rows(&lake, "cart"), rows);
    lake.expect_nothing_to_do(SPAN_OVER);
}

#[test]
fn what_a_killed_run_left_of_a_forgotten_segment_goes_with_the_next() {
    let lake = lake_with_two_objects();
    let old = lake.store(NOW).versions(LAKE_BUCKET, FOLDER);
    lake.run(SPAN_OVER);
    for version in old.iter().filter(|version| !version.key.contains("0002")) {
        lake.store(SPAN_OVER)
            .put(LAKE_BUCKET, &version.key, version.bytes.clone());
    }
    let plan = lake.plan(SPAN_OVER);
    let steps = plan["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 1);
    assert_eq!(steps[0]["action"], "trim_ledger");
    lake.run(SPAN_OVER);
    let left = ["000000000002.json", "begins/000000000002.json"];
    assert_eq!(names(&lake), left);
    lake.expect_nothing_to_do(SPAN_OVER);
}

#[test]
fn an_object_that_is_still_there_keeps_its_segment_and_all_after_it() {
    let lake = Lake::empty();
    let policies = ["datasets/cart.yaml", "curated/booking_funnel_daily.yaml"];
    for policy in policies {
        lake.change_policy(policy, "\n  keep: 2 years", "\n  keep: 30 days");
    }
    // A damaged object stays.
    let mut damaged = crate::support::events::gzip(&lines(&[click(0), click(1)]));
    damaged.truncate(damaged.len() - 4);
    let key = raw_key("cart", 1, 0);
    lake.store(NOW).put(bucket("cart"), &key, damaged);
    lake.run(NOW);
    put(&lake, SECOND, 3, &[click(3), click(4)]);
    lake.run(SECOND);
    let last = "2027-03-01T03:00:00Z";
    put(
        &lake,
        last,
        9,
        &[event("cart", ADA, "2027-02-28T10:00:00Z")],
    );
    let report = lake.run(last);
    assert_eq!(report["datasets"]["cart"]["raw_deleted"], 1);
    assert_eq!(lake.plan(last)["steps"], json!([]));
    let all = [
        "000000000001.json",
        "000000000002.json",
        "000000000003.json",
    ];
    assert_eq!(names(&lake), all);
}
