//! Small files that nights of late data leave are folded; nobody who reads the tables notices.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::killed::run_and_kill;
use crate::support::events::{ADA, BOB, bucket, event, lines, raw_key, small_lake};
use crate::support::{Lake, NOW, Server, tables};

/// Nights of the same day, one after the other.
const NIGHTS: [&str; 4] = [
    "2026-11-20T04:00:00Z",
    "2026-11-20T05:00:00Z",
    "2026-11-20T06:00:00Z",
    "2026-11-20T07:00:00Z",
];
const LATE_DAY: &str = "2026-11-18";

/// A late event of the cart before each of these nights, which then goes by; their reports. Every event
/// brings a field of its own, so no two files have the same columns.
fn late_nights(lake: &Lake, nights: &[&str]) -> Vec<Value> {
    let mut reports = Vec::new();
    for (index, night) in nights.iter().enumerate() {
        deliver_late(lake, night, index as u64);
        reports.push(lake.run(night));
    }
    reports
}

fn deliver_late(lake: &Lake, night: &str, index: u64) {
    let plain = event("cart", BOB, &format!("{LATE_DAY}T2{index}:00:00Z"));
    let extra = format!(r#"{{"extra{index}": {{"at": [{{"n": {index}}}]}}, "#);
    let record = plain.replacen('{', &extra, 1);
    let store = lake.store(night);
    store.put(bucket("cart"), &raw_key("cart", 5, index), lines(&[record]));
}

fn late_files(lake: &Lake) -> BTreeSet<PathBuf> {
    let live = tables::live_files(&tables::table(lake, "cart"));
    let day = LATE_DAY.parse().unwrap();
    let of_day = live.into_iter().filter(|(_, date)| *date == day);
    of_day.map(|(file, _)| file).collect()
}

fn fold_steps(plan: &Value) -> Vec<&Value> {
    let steps = plan["steps"].as_array().unwrap().iter();
    steps.filter(|step| step["action"] == "fold").collect()
}

#[test]
fn nights_of_late_data_are_folded_and_the_rows_stay() {
    let lake = small_lake();
    let unfolded = small_lake();
    for lake in [&lake, &unfolded] {
        lake.change_policy("lake.yaml", "readers_grace: 0 h", "readers_grace: 24 h");
        lake.run(NOW);
    }
    // Files of more than half the target are left alone: here that is any.
    let size = ("target_file_size: 256 MiB", "target_file_size: 1 KB");
    unfolded.change_policy("datasets/cart.yaml", size.0, size.1);
    late_nights(&unfolded, &NIGHTS);
    assert_eq!(late_files(&unfolded).len(), 5);

    let reports = late_nights(&lake, &NIGHTS[..2]);
    assert_eq!(late_files(&lake).len(), 3);
    for report in &reports {
        assert_eq!(report["datasets"]["cart"]["folded_files"], 0);
    }
    let before = late_files(&lake);
    deliver_late(&lake, NIGHTS[2], 2);
    let plan = lake.plan(NIGHTS[2]);
    let steps = fold_steps(&plan);
    assert_eq!(steps.len(), 1, "of one dataset");
    assert_eq!(steps[0]["after"], json!(["compact-cart-1"]));
    let report = lake.run(NIGHTS[2]);
    let cart = &report["datasets"]["cart"];
    assert_eq!(
        [
            &cart["folded_files"],
            &cart["folded_into"],
            &cart["written"]
        ],
        [4, 1, 1]
    );
    lake.expect_nothing_to_do(NIGHTS[2]);
    assert_eq!(late_files(&lake).len(), 1);

    // Whoever reads the older version can go on.
    assert!(before.iter().all(|file| file.exists()));
    assert!(before.is_disjoint(&late_files(&lake)));

    deliver_late(&lake, NIGHTS[3], 3);
    lake.run(NIGHTS[3]);
    assert_eq!(late_files(&lake).len(), 2, "two files are not worth it");
    lake.expect_nothing_to_do(NIGHTS[3]);
    assert_eq!(tables::rows(&lake, "cart"), tables::rows(&unfolded, "cart"));
    assert_eq!(tables::funnel(&lake), tables::funnel(&unfolded));
}

/// A lake whose next night has only a fold to do: the files were made under another target.
fn lake_to_fold() -> Lake {
    let lake = small_lake();
    let (large, small) = ("target_file_size: 256 MiB", "target_file_size: 1 KB");
    lake.change_policy("datasets/cart.yaml", large, small);
    lake.run(NOW);
    late_nights(&lake, &NIGHTS[..3]);
    lake.expect_nothing_to_do(NIGHTS[2]);
    lake.change_policy("datasets/cart.yaml", small, large);
    lake
}

#[test]
fn a_fold_changes_files_and_nothing_else() {
    let lake = lake_to_fold();
    let (rows, files) = (tables::rows(&lake, "cart"), late_files(&lake));
    let curated = tables::commits(&tables::curated(&lake));
    let plan = lake.plan(NIGHTS[3]);
    let steps = fold_steps(&plan);
    let whys: Vec<&Value> = steps.iter().map(|step| &step["why"]).collect();
    assert_eq!(whys.len(), 1);
    let why = whys[0].as_str().unwrap();
    assert!(
        why.starts_with("fold 4 small files of 1 day of cart into 1 ("),
        "{why}"
    );
    let actions: Vec<&Value> = plan["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| &step["action"])
        .collect();
    // Nobody is given time to read on, so the old files go the same night.
    assert_eq!(actions, ["fold", "purge"]);

    lake.run(NIGHTS[3]);
    assert_eq!(tables::rows(&lake, "cart"), rows);
    assert_eq!(tables::commits(&tables::curated(&lake)), curated);
    assert_eq!(late_files(&lake).len(), 1);
    assert!(files.iter().all(|file| !file.exists()));
    lake.expect_nothing_to_do(NIGHTS[3]);

    let commits = tables::commits(&tables::table(&lake, "cart"));
    let last = fs::read_to_string(commits.last().unwrap()).unwrap();
    let actions = last
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let changes: Vec<Value> = actions
        .filter_map(|action| action.get("add").or(action.get("remove")).cloned())
        .map(|file| file["dataChange"].clone())
        .collect();
    assert_eq!(changes, vec![json!(false); 5]);
}

#[test]
fn a_subject_is_erased_from_folded_files() {
    let lake = lake_to_fold();
    lake.request_erasure(NIGHTS[3], &format!("user_id={ADA}"));
    let expected = tables::rows(&lake, "cart");
    let expected: Vec<_> = expected.into_iter().filter(|row| !row.is_of(ADA)).collect();
    lake.run(NIGHTS[3]);
    assert_eq!(late_files(&lake).len(), 1);
    assert_eq!(tables::rows(&lake, "cart"), expected);
    assert_eq!(lake.request_states(NIGHTS[3]), ["certified"]);
    lake.expect_nothing_to_do(NIGHTS[3]);
}

#[test]
fn killed_at_any_moment_a_fold_loses_nothing() {
    let pattern = lake_to_fold();
    let rows = tables::rows(&pattern, "cart");
    let mut killed = 0;
    // The lease, the new file, the commit, the removal of the old ones, the report.
    for mutations in 1..=5 {
        let lake = pattern.another();
        let server = Server::of(&lake, NIGHTS[3]);
        killed += usize::from(run_and_kill(&lake, &server, NIGHTS[3], mutations));
        server.command(&lake, NIGHTS[3], &["run"]).expect_exit(0);
        drop(server);
        assert_eq!(tables::rows(&lake, "cart"), rows, "{mutations}");
        let table = tables::table(&lake, "cart");
        let live = tables::live_files(&table).into_keys().collect();
        assert_eq!(tables::stored_files(&table), live, "{mutations}");
        assert_eq!(late_files(&lake).len(), 1, "{mutations}");
        lake.expect_nothing_to_do(NIGHTS[3]);
    }
    assert!(killed >= 3, "{killed} of 5 were killed");
}

#[test]
fn a_saved_fold_is_refused_once_the_table_has_moved() {
    let lake = lake_to_fold();
    let file = lake.dir().join("plan.json");
    let planned = lake.command(NIGHTS[3], &["plan", "--output", "json"]);
    fs::write(&file, &planned.expect_exit(0).stdout).unwrap();
    lake.run(NIGHTS[3]);
    let path = file.to_str().unwrap();
    lake.command(NIGHTS[3], &["apply", path])
        .refused(6, &["the plan no longer fits the lake", "table cart"]);
}
