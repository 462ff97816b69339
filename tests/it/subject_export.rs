//! What the lake knows of a person, for that person: all of it, nothing of anybody else, and where it
//! came from.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::events::{ADA, BOB, bucket, event, lines, raw_key, small_lake};
use crate::support::{NOW, tables, traces};

fn known(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("subject.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_person_gets_all_that_an_erasure_would_take() {
    let lake = small_lake();
    lake.run(NOW);
    let waiting = event("cart", ADA, "2026-11-20T02:00:00Z");
    let others = event("cart", BOB, "2026-11-20T02:00:00Z");
    lake.store(NOW).put(
        bucket("cart"),
        &raw_key("cart", 3, 0),
        lines(&[waiting, others]),
    );
    let to = lake.dir().join("for-ada");
    let before = traces::files(&lake.s3());
    let export = [
        "subject",
        "export",
        "--identifier",
        "-",
        "--to",
        to.to_str().unwrap(),
    ];
    let outcome = lake.command_with(NOW, &export, &format!("user_id={ADA}\n"));
    outcome.expect_exit(0).does_not_mention(ADA);
    assert_eq!(
        traces::files(&lake.s3()),
        before,
        "nothing in the lake has changed"
    );

    let known = known(&to);
    let of_kind = |kind: &str| {
        known
            .iter()
            .filter(|one| one["kind"] == kind)
            .collect::<Vec<_>>()
    };
    let rows = of_kind("table");
    assert_eq!(rows.len(), 8, "two in each of four datasets");
    assert!(rows.iter().all(|one| one["event"]["userId"] == ADA));
    let places: Vec<&str> = rows
        .iter()
        .map(|one| one["kafka"].as_str().unwrap())
        .collect();
    assert!(
        places.contains(&"cart/0/0") && places.contains(&"cart/1/103"),
        "{places:?}"
    );
    let quarantined = of_kind("quarantine");
    assert_eq!(quarantined.len(), 4);
    assert!(
        quarantined
            .iter()
            .all(|one| one["record"].as_str().unwrap().contains(ADA))
    );
    let raw = of_kind("raw");
    assert_eq!(raw.len(), 1);
    assert_eq!(raw[0]["event"]["timestamp"], "2026-11-20T02:00:00Z");

    let batches = tables::read(&to.join("cart.parquet"));
    let users: Vec<String> = batches
        .iter()
        .flat_map(|batch| (0..batch.num_rows()).map(|row| tables::cell(batch, "userId", row)))
        .collect();
    assert_eq!(users, [ADA, ADA]);
    assert!(tables::cell(&batches[0], "_file", 0).starts_with("event_date=2026-11-1"));

    lake.command_with(NOW, &export, &format!("user_id={ADA}\n"))
        .expect_exit(2);
    let erased = lake.request_erasure(NOW, &format!("user_id={ADA}"));
    lake.run(NOW);
    let shown = lake
        .command(NOW, &["erase", "show", &erased, "--output", "json"])
        .json();
    assert_eq!(shown[0]["state"], "certified");
    let again = lake.dir().join("again");
    let export = [
        "subject",
        "export",
        "--identifier",
        "-",
        "--to",
        again.to_str().unwrap(),
    ];
    lake.command_with(NOW, &export, &format!("user_id={ADA}\n"))
        .expect_exit(0);
    assert_eq!(self::known(&again), Vec::<Value>::new());
}
