//! The lake's own bucket does not fill up with what the program itself has replaced.

use std::collections::BTreeSet;

use crate::support::events::{ADA, BOB, bucket, event, lines, raw_key, small_lake};
use crate::support::lake::LAKE_BUCKET;
use crate::support::{Lake, NOW, tables};

/// Keys and version ids in the lake's bucket of what a newer version has replaced.
fn replaced(lake: &Lake, now: &str) -> BTreeSet<(String, String)> {
    let mut versions = lake.store(now).versions(LAKE_BUCKET, "");
    versions.retain(|version| !version.latest);
    versions
        .into_iter()
        .map(|version| (version.key, version.id))
        .collect()
}

/// A lake with a request that is carried out again and again, because an upload stands in its way, and with a
/// mark of discovery that every night writes anew.
fn restless_lake() -> Lake {
    let lake = small_lake();
    let graces = [
        ("readers_grace: 0 h", "readers_grace: 24 h"),
        (
            "uncommitted_grace: 0 h",
            "uncommitted_grace: 60 days\nunfinished_uploads: 60 days",
        ),
    ];
    for (from, to) in graces {
        lake.change_policy("lake.yaml", from, to);
    }
    let keep = "  keep: 30 days after compaction\n";
    let discovery =
        format!("{keep}  discovery: {{ order: ascending, late: 3 days, sweep: 7 days }}\n");
    lake.change_policy("datasets/cart.yaml", keep, &discovery);
    lake.store("2026-11-20T02:00:00Z")
        .begin_upload(bucket("cart"), "topics/cart/large.json");
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    lake
}

#[test]
fn table_files_tell_the_digests_of_their_row_groups() {
    let lake = small_lake();
    lake.run(NOW);
    let compacted = tables::digests(&lake, "cart");
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    lake.run(NOW);
    let erased = tables::digests(&lake, "cart");
    assert_ne!(compacted, erased);
    for (told, found) in compacted.iter().chain(&erased) {
        assert_eq!(told, found);
        assert!(found.len() >= 16, "{found}");
    }
}

#[test]
fn versions_that_the_program_has_replaced_do_not_pile_up() {
    let lake = restless_lake();
    let mut last_night = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for number in 0..6 {
        let now = format!("2026-11-{}T03:00:00Z", 20 + number);
        let body = lines(&[event("cart", BOB, &format!("2026-11-19T15:0{number}:00Z"))]);
        let key = raw_key("cart", 5, number);
        lake.store(&now).put(bucket("cart"), &key, body);
        lake.run(&now);
        assert_ne!(lake.request_states(&now), ["certified"]);
        // What the night before left was replaced 24 hours ago.
        let tonight = replaced(&lake, &now);
        let left: Vec<_> = tonight.intersection(&last_night).collect();
        assert!(left.is_empty(), "{now}: {left:?}");
        assert!(tonight.len() <= 8, "{now}: {tonight:?}");
        seen.extend(tonight.iter().map(|(key, _)| key.clone()));
        last_night = tonight;
        let plan = lake.plan(&now);
        let steps = plan["steps"].as_array().unwrap().iter();
        let ids: Vec<&str> = steps.map(|step| step["id"].as_str().unwrap()).collect();
        assert!(!ids.contains(&"purge-replaced"), "{now}: {ids:?}");
    }
    let in_place = |folder: &str| seen.iter().filter(|key| key.starts_with(folder)).count();
    assert_eq!(in_place("system/erasure/requests/"), 1, "{seen:?}");
    assert_eq!(in_place("system/erasure/suppression/"), 1, "{seen:?}");
    assert_eq!(in_place("system/discovery/"), 0, "it looks after its own");
    assert!(lake.lake_file("system/discovery/cart.json").exists());
}
