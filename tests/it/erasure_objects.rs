//! Raw objects: what a rewrite keeps of them, what may not go yet, and what is archived.

use std::collections::BTreeMap;

use crate::support::events::{ADA, BOB, bucket, event, lines, raw_key, small_lake};
use crate::support::lake::LAKE_BUCKET;
use crate::support::{NOW, tables, traces};

const NEXT_NIGHT: &str = "2026-11-21T03:00:00Z";

fn both() -> Vec<u8> {
    let of = |user| event("cart", user, "2026-11-19T10:00:00Z");
    lines(&[of(ADA), of(BOB)])
}

#[test]
fn a_rewritten_object_keeps_what_its_service_gave_it() {
    let lake = small_lake();
    let (cart, key) = (bucket("cart"), raw_key("cart", 4, 0));
    let store = lake.store(NOW);
    store.put_dressed(cart, &key, both());
    let before = store.dress(cart, &key);
    drop(store);
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    lake.run(NOW);
    assert_eq!(lake.request_states(NOW), ["certified"]);
    let store = lake.store(NOW);
    let bobs = lines(&[event("cart", BOB, "2026-11-19T10:00:00Z")]);
    assert_eq!(store.current(cart, &key), Some(bobs));
    assert_eq!(store.dress(cart, &key), before);
    let told: BTreeMap<&str, &str> = before
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    for (name, value) in [
        ("tag team", "cart + more"),
        ("metadata origin", "connect"),
        ("storage class", "STANDARD_IA"),
        ("encryption", "AES256"),
        ("content type", "application/x-ndjson"),
        ("cache control", "no-store"),
    ] {
        assert_eq!(told.get(name), Some(&value), "{told:?}");
    }
}

#[test]
fn a_tag_that_holds_the_subject_withholds_the_certificate() {
    let lake = small_lake();
    let (cart, key) = (bucket("cart"), raw_key("cart", 4, 0));
    let others = lines(&[event("cart", BOB, "2026-11-19T10:00:00Z")]);
    lake.store(NOW)
        .put_tagged(cart, &key, others, &format!("owner={ADA}"));
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    let report = lake.run(NOW);
    assert_eq!(lake.request_states(NOW), ["received"]);
    assert!(
        report["findings"].to_string().contains("metadata"),
        "{}",
        report["findings"]
    );
}

#[test]
fn a_locked_version_is_told_with_the_day_on_which_it_can_go_and_the_request_stays_open() {
    for mode in ["GOVERNANCE", "COMPLIANCE"] {
        let lake = small_lake();
        let (cart, key) = (bucket("cart"), raw_key("cart", 4, 0));
        lake.store(NOW)
            .put_locked(cart, &key, both(), mode, "2026-11-25T00:00:00Z");
        lake.request_erasure(NOW, &format!("user_id={ADA}"));
        let report = lake.run(NOW);
        let findings = report["findings"].to_string();
        assert!(
            findings.contains("can go from 2026-11-25 00:00 UTC on"),
            "{findings}"
        );
        assert!(findings.contains(&mode.to_lowercase()), "{findings}");
        assert_ne!(lake.request_states(NOW), ["certified"]);
        let report = lake.run(NEXT_NIGHT);
        assert!(report["findings"].to_string().contains("2026-11-25"));
        lake.run("2026-11-25T03:00:00Z");
        assert_eq!(lake.request_states(NOW), ["certified"], "{mode}");
        assert!(traces::mentioning(&lake.s3(), ADA).is_empty());
    }
}

#[test]
fn an_archived_version_keeps_the_request_open_until_it_is_restored() {
    let lake = small_lake();
    let (cart, key) = (bucket("cart"), raw_key("cart", 4, 0));
    lake.store(NOW).put_of_class(cart, &key, both(), "GLACIER");
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    let report = lake.run(NOW);
    let findings = report["findings"].to_string();
    assert!(
        findings.contains("restore the object from its archive"),
        "{findings}"
    );
    assert_ne!(lake.request_states(NOW), ["certified"]);
    lake.store(NOW).remove_all(cart, &key);
    lake.run(NEXT_NIGHT);
    assert_eq!(lake.request_states(NEXT_NIGHT), ["certified"]);
}

#[test]
fn nothing_is_called_purged_while_a_lock_keeps_a_table_file() {
    let lake = small_lake();
    lake.run(NOW);
    let root = lake.lake_file("");
    let store = lake.store(NOW);
    for file in tables::live_files(&lake.lake_file("events/cart")).into_keys() {
        let key = file.strip_prefix(&root).unwrap().to_str().unwrap();
        let bytes = std::fs::read(&file).unwrap();
        store.put_locked(
            LAKE_BUCKET,
            key,
            bytes,
            "GOVERNANCE",
            "2026-11-25T00:00:00Z",
        );
    }
    drop(store);
    let id = lake.request_erasure(NOW, &format!("user_id={ADA}"));
    let history = || {
        let show = ["erase", "show", &id, "--output", "json"];
        let shown = lake.command(NOW, &show).json();
        shown[0]["details"]["history"].to_string()
    };
    let report = lake.run(NOW);
    let findings = report["findings"].to_string();
    assert!(
        findings.contains("can go from 2026-11-25 00:00 UTC on"),
        "{findings}"
    );
    assert!(history().contains("erased"), "{}", history());
    assert!(!history().contains("purged"), "{}", history());
    lake.run("2026-11-25T03:00:00Z");
    assert_eq!(lake.request_states(NOW), ["certified"]);
    assert!(history().contains("purged"), "{}", history());
}
