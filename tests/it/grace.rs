//! `readers_grace`: replaced files stay for those who still read them, and no certificate comes before
//! they are gone.

use std::collections::BTreeSet;
use std::path::PathBuf;

use lakewarden::demo::{BUCKETS, SUBJECT_ERASED};

use crate::support::{Lake, NOW, tables, traces};

const A_DAY_LATER: &str = "2026-11-21T02:59:59Z";
const AN_HOUR_MORE: &str = "2026-11-21T04:00:00Z";

#[test]
fn a_certificate_waits_until_the_replaced_files_are_gone() {
    let lake = Lake::prepared();
    let grace = ("readers_grace: 0 h", "readers_grace: 24 h");
    lake.change_policy("lake.yaml", grace.0, grace.1);
    let report = lake.run(NOW);
    assert_eq!(report["requests"][0]["state"], "erased");
    assert_eq!(report["purged"], 0);
    assert_eq!(lake.request_states(NOW), ["erased"]);

    // Readers of the new tables see nothing of the subject, those of the old ones can read on.
    let replaced = replaced_files(&lake);
    assert!(replaced.len() >= 4, "{replaced:?}");
    for (dataset, _) in BUCKETS {
        let rows = tables::rows(&lake, dataset);
        assert!(
            !rows.iter().any(|row| row.is_of(SUBJECT_ERASED)),
            "{dataset}"
        );
    }
    let left: BTreeSet<PathBuf> = traces::mentioning(&lake.s3().join("acme-lake"), SUBJECT_ERASED)
        .into_iter()
        .collect();
    assert!(left.is_subset(&replaced), "{left:?}");
    assert!(!left.is_empty());

    let plan = lake.plan(NOW);
    assert_eq!(plan["steps"], serde_json::json!([]));
    let due = plan["due"].to_string();
    assert!(due.contains("certify erasure request"), "{due}");
    assert!(due.contains("2026-11-21T03:00:00Z"), "{due}");

    lake.run(A_DAY_LATER);
    assert_eq!(lake.request_states(A_DAY_LATER), ["erased"]);
    assert!(
        replaced.is_subset(&replaced_files(&lake)),
        "one second too early"
    );

    let report = lake.run(AN_HOUR_MORE);
    assert_eq!(report["requests"][0]["state"], "certified");
    assert!(report["purged"].as_u64().unwrap() >= replaced.len() as u64);
    assert!(replaced.is_disjoint(&replaced_files(&lake)));
    assert_eq!(
        traces::mentioning(&lake.s3(), SUBJECT_ERASED),
        Vec::<PathBuf>::new()
    );
}

/// Files that lie in tables' folders and that no table names any more.
fn replaced_files(lake: &Lake) -> BTreeSet<PathBuf> {
    let mut replaced = BTreeSet::new();
    let events = BUCKETS.map(|(dataset, _)| tables::table(lake, dataset));
    for table in events.into_iter().chain([tables::curated(lake)]) {
        let live = tables::live_files(&table);
        let stored = tables::stored_files(&table);
        replaced.extend(stored.into_iter().filter(|file| !live.contains_key(file)));
    }
    replaced
}
