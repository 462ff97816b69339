//! A dry run changes nothing, says what the run does, and after a run there is nothing left to say.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::support::events::{ADA, small_lake};
use crate::support::{Lake, NOW, Server, tables, traces};

#[test]
fn a_dry_run_sends_nothing_that_could_change_anything() {
    let lake = Lake::prepared();
    let server = Server::of(&lake, NOW);
    let plan = server
        .command(&lake, NOW, &["plan", "--output", "json"])
        .json();
    assert_eq!(plan["steps"].as_array().unwrap().len(), 20);
    assert!(server.requests().len() > 20);
    assert_eq!(server.mutations(), []);
    server
        .command(&lake, NOW, &["erase", "list"])
        .expect_exit(0);
    assert_eq!(server.mutations(), []);
}

#[test]
fn a_dry_run_leaves_every_byte_as_it_was() {
    let lake = Lake::prepared();
    let before = snapshot(&lake);
    lake.plan(NOW);
    assert_eq!(snapshot(&lake), before);
}

#[test]
fn the_run_does_what_the_dry_run_said() {
    let lake = small_lake();
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    let plan = lake.plan(NOW);
    assert_eq!(
        lake.plan(NOW)["digest"],
        plan["digest"],
        "equal lakes, equal plans"
    );
    let report = lake.run(NOW);
    assert_eq!(report["plan"], plan["digest"]);
    let steps = plan["steps"].as_array().unwrap().len();
    assert_eq!(report["actions"], steps);
}

#[test]
fn right_after_a_run_there_is_nothing_to_do() {
    let lake = Lake::after_a_night();
    lake.expect_nothing_to_do(NOW);
    let before = snapshot(&lake);
    let report = lake.run(NOW);
    assert_eq!(report["actions"], 0);
    assert_eq!(report["purged"], 0);
    for dataset in report["datasets"].as_object().unwrap().values() {
        assert_eq!(dataset["read"], 0);
        assert_eq!(dataset["actions"], 0);
    }
    let mut changed = snapshot(&lake);
    changed.retain(|path, bytes| before.get(path) != Some(bytes));
    let lease = |path: &PathBuf| path.ends_with("acme-lake/system/lease.json");
    changed.retain(|path, _| !path.starts_with(".s3") && !lease(path));
    assert_eq!(
        changed,
        BTreeMap::new(),
        "only the lease was taken and given back"
    );
}

#[test]
fn every_commit_names_its_run_and_nothing_else_of_us() {
    let lake = Lake::after_a_night();
    let run = Lake::report_of_the_night()["run"].clone();
    for dataset in ["product", "cart", "payment", "post_purchase"] {
        let commits = tables::commits(&tables::table(&lake, dataset));
        let texts = commits
            .iter()
            .map(|commit| fs::read_to_string(commit).unwrap());
        let told: Vec<_> = texts
            .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
            .map(|line| serde_json::from_str::<serde_json::Value>(&line).unwrap())
            .filter_map(|action| action.get("commitInfo").cloned())
            .map(|info| info["lakewarden"].clone())
            .collect();
        assert!(told.contains(&json!({ "run": run })), "{dataset}: {told:?}");
    }
}

/// All files of the folder with their bytes.
fn snapshot(lake: &Lake) -> BTreeMap<PathBuf, Vec<u8>> {
    let root = lake.s3();
    let named = traces::files(&root).into_iter().map(|file| {
        let name = file.strip_prefix(&root).unwrap().to_owned();
        (name, fs::read(file).unwrap())
    });
    named.collect()
}
