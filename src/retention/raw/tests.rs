//! What is due by the ledger alone.

use super::*;
use crate::policy::Policies;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn policy(keep: &str) -> DatasetPolicy {
    let cart = format!(
        "version: 1\ndataset: cart\nraw: {{ location: s3://raw/t/{keep} }}\nevents: {{ time: at }}\n\
         table: {{ sort_by: [id] }}\nretention: {{ keep: 2 years }}\npii: none\n"
    );
    let lake = "version: 1\nlake: s3://lake/\nkey: { env: KEY }\n".to_owned();
    let files = [
        ("lake.yaml".to_owned(), lake),
        ("datasets/cart.yaml".to_owned(), cart),
    ];
    Policies::parse(&files).unwrap().datasets.remove(0)
}

#[test]
fn keys_are_due_once_from_the_moment_that_their_time_is_over() {
    let policy = policy(", keep: 30 days after compaction");
    let ledger = Ledger::of_objects(&[
        ("old", at("2026-10-01T03:00:00Z")),
        ("tonight", at("2026-10-22T03:00:00Z")),
        ("later", at("2026-10-23T03:00:00Z")),
    ]);
    let now = at("2026-11-21T03:00:00Z");
    let keys = |since: Option<&str>| due_keys(&policy, &ledger, since.map(at), now);
    assert_eq!(keys(None), ["old", "tonight"].map(str::to_owned).into());
    // "old" went on 31 October.
    assert_eq!(
        keys(Some("2026-10-31T02:59:59Z")),
        ["old", "tonight"].map(str::to_owned).into()
    );
    assert_eq!(
        keys(Some("2026-10-31T03:00:00Z")),
        ["tonight".to_owned()].into()
    );
    assert_eq!(keys(Some("2026-11-21T03:00:00Z")), BTreeSet::new());
}

#[test]
fn what_a_run_compacted_is_due_for_the_plan_after_it() {
    // Of a run's own time, two years back: it went into the table, and has to be trimmed.
    let run = at("2024-11-20T03:00:00Z");
    let ledger = Ledger::of_objects(&[("a", run)]);
    let (policy, now) = (policy(""), at("2026-11-21T03:00:00Z"));
    assert_eq!(
        due_keys(&policy, &ledger, Some(run), now),
        ["a".to_owned()].into()
    );
    let ledger = Ledger::of_objects(&[("a", at("2026-11-19T03:00:00Z"))]);
    assert_eq!(due_keys(&policy, &ledger, None, now), BTreeSet::new());
}
