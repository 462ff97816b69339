//! `table_history`: a table's log does not grow for ever, and nothing that somebody needs goes from it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::killed::run_and_kill;
use crate::support::events::{BOB, bucket, event, lines, raw_key, small_lake};
use crate::support::lake::LAKE_BUCKET;
use crate::support::{Lake, NOW, Server, tables};

/// Nights until the log of the cart has a checkpoint, which is of a version of one of them.
const NIGHTS: usize = 9;
/// Thirty days after the last of them, to the second, the history begins with it.
const A_MONTH_LATER: &str = "2026-12-29T03:00:00Z";

fn night(number: usize) -> String {
    format!("2026-11-{:02}T03:00:00Z", 20 + number)
}

/// Late events every night: each brings a commit, and every third a fold. Files that were replaced stay for
/// sixty days, files that no commit names for none. Raw objects stay.
fn lake_with_a_long_log() -> Lake {
    let lake = small_lake();
    lake.change_policy("lake.yaml", "readers_grace: 0 h", "readers_grace: 60 days");
    let keep = "keep: 30 days after compaction";
    lake.change_policy("datasets/cart.yaml", keep, "");
    lake.run(NOW);
    for number in 1..=NIGHTS {
        let at = format!("2026-11-19T15:{number:02}:00Z");
        let body = lines(&[event("cart", BOB, &at)]);
        let key = raw_key("cart", 5, number as u64);
        lake.store(&night(number)).put(bucket("cart"), &key, body);
        lake.run(&night(number));
    }
    lake
}

fn log(lake: &Lake) -> PathBuf {
    tables::table(lake, "cart").join("_delta_log")
}

/// The versions of the commits and of the checkpoints in a log.
fn versions(log: &Path) -> (BTreeSet<u64>, BTreeSet<u64>) {
    let (mut commits, mut checkpoints) = (BTreeSet::new(), BTreeSet::new());
    for entry in std::fs::read_dir(log).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        match name.split_once('.') {
            Some((version, "json")) => commits.insert(version.parse().unwrap()),
            Some((version, "checkpoint.parquet")) => checkpoints.insert(version.parse().unwrap()),
            _ => {
                assert_eq!(name, "_last_checkpoint");
                true
            }
        };
    }
    (commits, checkpoints)
}

/// The steps that clean logs, by table.
fn clean_steps(plan: &Value) -> BTreeMap<&str, &Value> {
    let steps = plan["steps"].as_array().unwrap().iter();
    let clean = steps.filter(|step| step["action"] == "clean_log");
    clean
        .map(|step| (step["table"].as_str().unwrap(), step))
        .collect()
}

#[test]
fn what_the_log_says_of_versions_before_its_history_goes_and_nothing_else() {
    let lake = lake_with_a_long_log();
    let before = lake.another();
    let (commits, checkpoints) = versions(&log(&lake));
    let newest = *commits.last().unwrap();
    assert_eq!(commits, (0..=newest).collect());
    assert_eq!(checkpoints.len(), 1, "of {newest} versions");
    let checkpoint = *checkpoints.first().unwrap();
    let (rows, stored) = (
        tables::rows(&lake, "cart"),
        tables::stored_files(&tables::table(&lake, "cart")),
    );

    // The checkpoint is of a version that a night before the last one committed.
    let too_early = lake.plan("2026-12-20T03:00:00Z");
    assert_eq!(clean_steps(&too_early), BTreeMap::new());
    let plan = lake.plan(A_MONTH_LATER);
    let steps = clean_steps(&plan);
    let cleaned: Vec<&str> = steps.keys().copied().collect();
    assert_eq!(cleaned, ["booking_funnel_daily", "cart"]);
    let cart = steps["cart"];
    assert_eq!(cart["from"], checkpoint);
    assert_eq!(
        cart["versions"].as_array().unwrap().len() as u64,
        checkpoint
    );
    lake.run(A_MONTH_LATER);
    let (left, checkpoints_left) = versions(&log(&lake));
    assert_eq!(left.first(), Some(&checkpoint));
    assert_eq!(left, (checkpoint..=*left.last().unwrap()).collect());
    assert_eq!(checkpoints_left, checkpoints);
    let all = lake
        .store(NOW)
        .versions(LAKE_BUCKET, "events/cart/_delta_log/0");
    assert_eq!(
        all.len(),
        left.len() + checkpoints.len(),
        "no version of them is left"
    );

    // Nothing is compacted twice, and the files that folds replaced still wait for their readers.
    assert_eq!(tables::rows(&lake, "cart"), rows);
    lake.expect_nothing_to_do(A_MONTH_LATER);
    survives_kills(&before, &lake);
    assert!(stored.iter().all(|file| file.exists()));
    let live = tables::live_files(&tables::table(&lake, "cart"));
    assert!(stored.len() > live.len(), "nothing was folded");

    // As a second checkpoint would, somebody writes the file that names the last one.
    let named_last = "events/cart/_delta_log/_last_checkpoint";
    let store = lake.store(A_MONTH_LATER);
    let text = store.current(LAKE_BUCKET, named_last).unwrap();
    store.put(LAKE_BUCKET, named_last, text);
    assert_eq!(store.versions(LAKE_BUCKET, named_last).len(), 2);
    drop(store);
    lake.run("2027-03-01T03:00:00Z");
    assert_eq!(lake.store(NOW).versions(LAKE_BUCKET, named_last).len(), 1);
    let named: BTreeSet<PathBuf> = live.into_keys().collect();
    assert_eq!(tables::stored_files(&tables::table(&lake, "cart")), named);
    assert_eq!(tables::rows(&lake, "cart"), rows);
    tables::expect_funnel_to_fit(&lake);
}

/// Kills a night that cleans logs after each of its first requests that change something, and holds what the
/// next run makes of it against a night that was left alone.
fn survives_kills(before: &Lake, undisturbed: &Lake) {
    let mut killed = 0;
    for mutations in 1..=4 {
        let lake = before.another();
        let server = Server::of(&lake, A_MONTH_LATER);
        killed += usize::from(run_and_kill(&lake, &server, A_MONTH_LATER, mutations));
        let again = server.command(&lake, A_MONTH_LATER, &["run"]);
        again.expect_exit(0);
        drop(server);
        let rows = tables::rows(&lake, "cart");
        assert_eq!(rows, tables::rows(undisturbed, "cart"), "{mutations}");
        let left = versions(&log(&lake));
        assert_eq!(left, versions(&log(undisturbed)), "{mutations}");
        lake.expect_nothing_to_do(A_MONTH_LATER);
    }
    assert!(killed >= 2, "{killed} of 4 were killed");

    // Deleting is done in batches: half of them may be gone.
    let half = before.another();
    let first_ten = "events/cart/_delta_log/0000000000000000000";
    for version in 0..5 {
        let store = half.store(A_MONTH_LATER);
        store.remove_all(LAKE_BUCKET, &format!("{first_ten}{version}"));
    }
    half.run(A_MONTH_LATER);
    assert_eq!(versions(&log(&half)), versions(&log(undisturbed)));
    assert_eq!(
        tables::rows(&half, "cart"),
        tables::rows(undisturbed, "cart")
    );
}
