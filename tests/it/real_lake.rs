//! A real lake: the first run on it deletes and rewrites nothing that cannot be brought back, unless a person
//! said yes to that very plan; from that day on the nights need nobody.

use std::fs;

use serde_json::{Value, json};

use crate::support::events::{ADA, BOB, bucket, event, lines, raw_key, small_lake};
use crate::support::{Lake, NOW, Server, tables, traces};

const NEXT_NIGHT: &str = "2026-11-21T03:00:00Z";

/// A lake with nothing that is too old or broken, served.
fn lake_of_bob() -> (Lake, Server) {
    let lake = Lake::empty();
    let store = lake.store(NOW);
    for (dataset, bucket) in lakewarden::demo::BUCKETS {
        let records = ["2026-11-18", "2026-11-19"]
            .map(|day| event(dataset, BOB, &format!("{day}T10:00:00Z")));
        store.put(bucket, &raw_key(dataset, 0, 0), lines(&records));
    }
    drop(store);
    let server = Server::of(&lake, NOW);
    (lake, server)
}

fn digest(plan: &Value) -> &str {
    plan["digest"].as_str().unwrap()
}

#[test]
fn compacting_and_curating_need_nobodys_consent() {
    let (lake, server) = lake_of_bob();
    let report = server.real(&lake, NOW, &["run", "--output", "json"]).json();
    assert_eq!(report["failures"], json!([]));
    for (dataset, _) in lakewarden::demo::BUCKETS {
        assert_eq!(report["datasets"][dataset]["written"], 2, "{dataset}");
        assert_eq!(tables::rows(&lake, dataset).len(), 2, "{dataset}");
    }
    tables::expect_funnel_to_fit(&lake);
    let deleting = |request: &&crate::support::server::Request| {
        request.method == "DELETE" || request.path.contains("?delete")
    };
    assert_eq!(server.mutations().iter().find(deleting), None);
}

#[test]
fn a_first_run_that_erases_waits_for_the_digest_of_its_plan() {
    let (lake, server) = lake_of_bob();
    let identifier = format!("user_id={BOB}");
    server
        .real(&lake, NOW, &["erase", "add", "--identifier", &identifier])
        .expect_exit(0);
    let before = tables::all_rows(&lake);

    let plan = server
        .real(&lake, NOW, &["plan", "--output", "json"])
        .json();
    let digest = digest(&plan);
    let said = format!("--confirm {digest}");
    server
        .real(&lake, NOW, &["run"])
        .refused(5, &[&said, "erase 1 subject(s) from cart"])
        .does_not_mention(BOB);
    let other = digest.replace(['a', 'b', 'c'], "0");
    server
        .real(&lake, NOW, &["run", "--confirm", &other])
        .refused(5, &["names another plan", digest]);
    assert_eq!(
        tables::all_rows(&lake),
        before,
        "a refused run changes nothing"
    );
    assert!(!traces::mentioning(&lake.s3(), BOB).is_empty());

    server
        .real(&lake, NOW, &["run", "--confirm", digest])
        .expect_exit(0);
    drop(server);
    assert!(tables::all_rows(&lake).values().all(Vec::is_empty));
    assert_eq!(
        traces::mentioning(&lake.s3(), BOB),
        Vec::<std::path::PathBuf>::new()
    );
}

#[test]
fn an_erasure_on_a_lake_that_is_looked_after_needs_nobody_at_night() {
    let (lake, server) = lake_of_bob();
    let plan = server
        .real(&lake, NOW, &["plan", "--output", "json"])
        .json();
    let confirmed = ["run", "--confirm", digest(&plan)];
    server.real(&lake, NOW, &confirmed).expect_exit(0);
    let identifier = format!("user_id={BOB}");
    server
        .real(&lake, NOW, &["erase", "add", "--identifier", &identifier])
        .expect_exit(0);
    server.real(&lake, NOW, &["run"]).expect_exit(0);
    drop(server);
    assert_eq!(lake.request_states(NOW), ["certified"]);
    assert!(tables::all_rows(&lake).values().all(Vec::is_empty));
}

#[test]
fn the_digest_of_yesterday_is_no_consent_for_today() {
    let (lake, server) = lake_of_bob();
    server.real(&lake, NOW, &["run"]).expect_exit(0);
    let identifier = format!("user_id={ADA}");
    server
        .real(&lake, NOW, &["erase", "add", "--identifier", &identifier])
        .expect_exit(0);
    let plan = server
        .real(&lake, NOW, &["plan", "--output", "json"])
        .json();
    drop(server);
    let new = lines(&[event("cart", ADA, "2026-11-19T10:00:00Z")]);
    lake.store(NOW)
        .put(bucket("cart"), &raw_key("cart", 0, 2), new);
    let server = Server::of(&lake, NOW);
    server
        .real(&lake, NOW, &["run", "--confirm", digest(&plan)])
        .refused(5, &["names another plan"]);
}

#[test]
fn rows_that_came_too_old_leave_raw_objects_once_somebody_has_agreed() {
    let lake = small_lake();
    // Of a table of a few rows a day is much.
    lake.change_policy("lake.yaml", "key:", "guards: { max_percent: 50 }\nkey:");
    let server = Server::of(&lake, NOW);
    let report = server.real(&lake, NOW, &["run", "--output", "json"]).json();
    assert_eq!(report["datasets"]["cart"]["expired"], 1);
    assert_eq!(report["datasets"]["cart"]["raw_trimmed"], 0);
    drop(server);
    let (cart, key) = (bucket("cart"), raw_key("cart", 1, 100));
    let raw = lake.store(NOW).current(cart, &key).unwrap();

    let server = Server::of(&lake, NEXT_NIGHT);
    let words = [
        "nobody has agreed to a deletion on this lake yet",
        "raw objects of cart hold events that came too old, and were left as they are",
    ];
    server.real(&lake, NEXT_NIGHT, &["run"]).refused(5, &words);
    let plan = server.real(&lake, NEXT_NIGHT, &["plan", "--output", "json"]);
    let confirmed = ["run", "--confirm", digest(&plan.json())].map(str::to_owned);
    let confirmed: Vec<&str> = confirmed.iter().map(String::as_str).collect();
    server.real(&lake, NEXT_NIGHT, &confirmed).expect_exit(0);
    drop(server);
    let versions = lake.store(NEXT_NIGHT).versions(cart, &key);
    assert_eq!(
        versions.len(),
        1,
        "the version with the old record is gone for good"
    );
    assert_ne!(versions[0].bytes, raw);
}

#[test]
fn the_key_may_come_from_the_environment() {
    let (lake, server) = lake_of_bob();
    let key = fs::read_to_string(lake.dir().join("lakewarden.key")).unwrap();
    let policies = lake.dir().join("policies");
    let file = fs::read_to_string(lake.policy("lake.yaml")).unwrap();
    let (before, _) = file.split_once("  file:").unwrap();
    fs::write(
        lake.policy("lake.yaml"),
        format!("{before}  env: LAKEWARDEN_TEST_KEY\n"),
    )
    .unwrap();
    let identifier = format!("user_id={BOB}");
    let arguments = [
        "erase",
        "add",
        "--identifier",
        &identifier,
        "--policies",
        policies.to_str().unwrap(),
        "--endpoint",
        &server.endpoint,
    ];
    let with = |variables: &[(&str, &str)]| {
        crate::support::command::lakewarden_with(&arguments, variables, "")
    };
    with(&[]).refused(7, &["LAKEWARDEN_TEST_KEY"]);
    with(&[("LAKEWARDEN_TEST_KEY", key.trim())]).expect_exit(0);
}

#[test]
fn a_dataset_whose_events_nearly_all_come_too_old_waits_for_somebody() {
    let (lake, server) = lake_of_bob();
    let plan = server
        .real(&lake, NOW, &["plan", "--output", "json"])
        .json();
    let confirmed = ["run", "--confirm", digest(&plan)];
    server.real(&lake, NOW, &confirmed).expect_exit(0);
    drop(server);
    let old: Vec<String> = (10..20)
        .map(|day| event("cart", BOB, &format!("2023-01-{day}T10:00:00Z")))
        .collect();
    let (cart, key) = (bucket("cart"), raw_key("cart", 0, 50));
    lake.store(NOW).put(cart, &key, lines(&old));
    let server = Server::of(&lake, NEXT_NIGHT);
    server.real(&lake, NEXT_NIGHT, &["run"]).expect_exit(0);
    let words = ["1 raw objects of cart hold events that came too old"];
    server.real(&lake, NEXT_NIGHT, &["run"]).refused(5, &words);
    let plan = server
        .real(&lake, NEXT_NIGHT, &["plan", "--output", "json"])
        .json();
    drop(server);
    assert!(lake.store(NEXT_NIGHT).current(cart, &key).is_some());
    let server = Server::of(&lake, NEXT_NIGHT);
    let confirmed = ["run", "--confirm", digest(&plan)];
    server.real(&lake, NEXT_NIGHT, &confirmed).expect_exit(0);
    server.real(&lake, NEXT_NIGHT, &["run"]).expect_exit(0);
    drop(server);
    assert!(lake.store(NEXT_NIGHT).current(cart, &key).is_none());
}
