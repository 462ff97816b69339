//! A saved plan is a promise: it is carried out as it was read, or refused.

use std::fs;
use std::path::PathBuf;

use crate::support::command::text;
use crate::support::events::{ADA, BOB, bucket, event, gzip, lines, raw_key, small_lake};
use crate::support::{Lake, NOW, tables};

/// Saves the plan of right now.
fn save(lake: &Lake) -> PathBuf {
    let file = lake.dir().join("plan.json");
    let planned = lake.command(NOW, &["plan", "--output", "json"]);
    fs::write(&file, &planned.expect_exit(0).stdout).unwrap();
    file
}

fn apply(lake: &Lake, plan: &std::path::Path) -> crate::support::Outcome {
    lake.command(NOW, &["apply", text(plan), "--output", "json"])
}

#[test]
fn a_saved_plan_does_what_a_run_would_have_done() {
    let by_run = small_lake();
    by_run.request_erasure(NOW, &format!("user_id={ADA}"));
    by_run.run(NOW);

    let lake = small_lake();
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    let plan = save(&lake);
    let report = apply(&lake, &plan).json();
    assert_eq!(report["failures"], serde_json::json!([]));
    assert_eq!(tables::all_rows(&lake), tables::all_rows(&by_run));
    assert_eq!(tables::funnel(&lake), tables::funnel(&by_run));
    assert_eq!(lake.request_states(NOW), ["certified"]);
    lake.expect_nothing_to_do(NOW);
    apply(&lake, &plan).refused(6, &["the plan no longer fits the lake", "make a new plan"]);
}

#[test]
fn what_arrived_since_waits() {
    let lake = small_lake();
    let plan = save(&lake);
    let new = lines(&[event("cart", BOB, "2026-11-19T20:00:00Z")]);
    lake.store(NOW)
        .put(bucket("cart"), &raw_key("cart", 0, 3), new);
    let report = apply(&lake, &plan).json();
    assert_eq!(report["datasets"]["cart"]["objects"], 2);
    assert_eq!(tables::rows(&lake, "cart").len(), 5);
    assert_eq!(lake.run(NOW)["datasets"]["cart"]["written"], 1);
    assert_eq!(tables::rows(&lake, "cart").len(), 6);
}

#[test]
fn a_plan_for_an_object_that_was_replaced_is_refused() {
    let lake = small_lake();
    let plan = save(&lake);
    let key = raw_key("cart", 1, 100);
    let longer = gzip(&lines(&[event("cart", BOB, "2026-11-19T20:00:00Z")]));
    lake.store(NOW).put(bucket("cart"), &key, longer);
    apply(&lake, &plan).refused(6, &["the plan no longer fits the lake", &key]);
    assert!(!tables::table(&lake, "product").exists(), "all or nothing");
}

#[test]
fn a_plan_from_before_a_night_is_refused() {
    let lake = small_lake();
    let plan = save(&lake);
    lake.run(NOW);
    let before = tables::all_rows(&lake);
    apply(&lake, &plan).refused(6, &["table", "was not there"]);
    assert_eq!(tables::all_rows(&lake), before);
}

#[test]
fn a_plan_under_other_policies_is_refused() {
    let lake = small_lake();
    let plan = save(&lake);
    lake.change_policy("datasets/cart.yaml", "keep: 2 years", "keep: 3 years");
    apply(&lake, &plan).refused(6, &["the policies have changed"]);
}

#[test]
fn a_plan_that_was_edited_is_refused() {
    let lake = small_lake();
    let plan = save(&lake);
    let original = fs::read_to_string(&plan).unwrap();
    for (from, to) in [("2024-11-20", "2020-11-20"), ("cart+0+", "cart+9+")] {
        assert!(original.contains(from));
        fs::write(&plan, original.replace(from, to)).unwrap();
        apply(&lake, &plan).refused(1, &["was changed after it was made"]);
    }
    fs::write(&plan, "{}").unwrap();
    apply(&lake, &plan).refused(1, &["is not a plan"]);
    let missing = lake.dir().join("nowhere.json");
    apply(&lake, &missing).refused(1, &["could not read plan"]);
    fs::write(&plan, original).unwrap();
    apply(&lake, &plan).expect_exit(0);
}

#[test]
fn a_plan_from_before_a_hold_is_refused() {
    let lake = small_lake();
    let plan = save(&lake);
    let hold = [
        "hold",
        "add",
        "--reason",
        "litigation 4711",
        "--owner",
        "Legal",
        "--review",
        "2027-01-31",
    ];
    lake.command(NOW, &hold).expect_exit(0);
    apply(&lake, &plan).refused(
        6,
        &["the plan no longer fits the lake", "the holds have changed"],
    );
}

#[test]
fn a_plan_for_a_later_time_is_refused() {
    let lake = small_lake();
    lake.run(NOW);
    let before = tables::all_rows(&lake);
    let file = lake.dir().join("plan.json");
    // By then raw objects are due.
    let planned = lake.command("2026-12-24T03:00:00Z", &["plan", "--output", "json"]);
    fs::write(&file, &planned.expect_exit(0).stdout).unwrap();
    apply(&lake, &file).refused(
        6,
        &[
            "the plan no longer fits the lake",
            "it was made for a later time, 2026-12-24 03:00 UTC",
        ],
    );
    assert_eq!(tables::all_rows(&lake), before);
    let raw = lake.store(NOW).versions(bucket("cart"), "");
    assert!(!raw.is_empty());
    let then = lake.command("2026-12-24T03:00:00Z", &["apply", text(&file)]);
    then.expect_exit(0);
}
