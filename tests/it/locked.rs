//! What cannot go yet is told with the date at which it can, and keeps nothing else; what fails is tried again.

use lakewarden::demo::BUCKETS;
use serde_json::{Value, json};

use crate::support::command::{Outcome, lakewarden, text};
use crate::support::denying::denying;
use crate::support::events::{BOB, bucket, event, lines, raw_key};
use crate::support::failing::failing;
use crate::support::lake::LAKE_BUCKET;
use crate::support::{Lake, NOW, Server, tables};

const NEXT_NIGHT: &str = "2026-11-21T03:00:00Z";
/// Raw objects of [`NOW`] go, 30 days after compaction.
const LAST_NIGHT: &str = "2026-12-20T03:00:00Z";

/// An object of the cart with one click of its own.
fn click(partition: u32) -> (String, Vec<u8>) {
    let time = format!("2026-11-19T08:00:{partition:02}Z");
    let body = lines(&[event("cart", BOB, &time)]);
    (raw_key("cart", partition, 0), body)
}

/// The partitions of the raw objects that are left, once for each version.
fn left(lake: &Lake) -> Vec<u32> {
    let versions = lake.store(NOW).versions(bucket("cart"), "topics/");
    let partition = |key: &str| key.rsplit('+').nth(1).unwrap().parse().unwrap();
    versions
        .iter()
        .map(|version| partition(&version.key))
        .collect()
}

/// What is due and `about` something, a line each.
fn due(told: &Value, about: &str) -> Vec<String> {
    let due = told["due"].as_array().unwrap().iter();
    let lines = due.map(|due| {
        let what = due["what"].as_str().unwrap();
        format!("{} {what}", due["at"].as_str().unwrap())
    });
    lines.filter(|line| line.contains(about)).collect()
}

fn findings(told: &Value) -> String {
    told["findings"].to_string()
}

#[test]
fn locked_objects_go_when_their_lock_ends_and_all_others_at_once() {
    let lake = Lake::empty();
    let (cart, store) = (bucket("cart"), lake.store(NOW));
    let put = |partition| {
        let (key, body) = click(partition);
        store.put(cart, &key, body);
        key
    };
    let put_locked = |partition, mode, until| {
        let (key, body) = click(partition);
        store.put_locked(cart, &key, body, mode, until);
    };
    put(0);
    put_locked(1, "GOVERNANCE", "2027-01-05T00:00:00Z");
    put_locked(2, "GOVERNANCE", "2027-01-05T02:00:00Z");
    put_locked(3, "COMPLIANCE", "2027-02-10T00:00:00Z");
    let held = put(4);
    store.set_legal_hold(cart, &held, "ON");
    // Its consumer wrote it again: the older version must not come to light.
    put_locked(5, "GOVERNANCE", "2027-01-05T00:00:00Z");
    put(5);
    // This lock is over.
    put_locked(6, "COMPLIANCE", "2026-12-20T03:00:00Z");
    drop(store);
    lake.run(NOW);

    let plan = lake.plan(LAST_NIGHT);
    let steps = plan["steps"].as_array().unwrap();
    assert_eq!(steps[0]["id"], "retain-cart", "{steps:#?}");
    let named = steps[0]["raw"].as_array().unwrap().iter();
    let named: Vec<&str> = named
        .map(|version| version["key"].as_str().unwrap())
        .collect();
    assert_eq!(named, [click(0).0, click(6).0]);
    let can_go = [
        "2027-01-05T00:00:00Z 1 raw object version of cart can go with an older one: locked (governance) until then",
        "2027-01-05T02:00:00Z 3 raw object versions of cart can go: locked (governance) until then",
        "2027-02-10T00:00:00Z 1 raw object version of cart can go: locked (compliance) until then",
    ];
    assert_eq!(due(&plan, " can go"), can_go);
    let lifted = "1 raw object version of cart can go once the legal hold is lifted";
    assert!(findings(&plan).contains(lifted), "{}", findings(&plan));

    let report = lake.run(LAST_NIGHT);
    assert_eq!(report["datasets"]["cart"]["raw_deleted"], 2);
    assert_eq!(due(&report, " can go"), can_go);
    assert!(findings(&report).contains(lifted), "{}", findings(&report));
    assert_eq!(left(&lake), [1, 2, 3, 4, 5, 5]);
    lake.expect_nothing_to_do(LAST_NIGHT);
    let said = lake.command(LAST_NIGHT, &["plan"]).stdout;
    assert!(said.starts_with("nothing to do\n"), "{said}");
    assert!(
        said.contains(
            "due 2027-02-10 00:00 UTC: 1 raw object version of cart can go: locked (compliance)"
        ),
        "{said}"
    );

    lake.run("2027-01-05T00:00:00Z");
    assert_eq!(left(&lake), [2, 3, 4]);
    lake.run("2027-01-05T02:00:00Z");
    assert_eq!(left(&lake), [3, 4]);
    lake.run("2027-02-10T00:00:00Z");
    assert_eq!(left(&lake), [4]);
    lake.store(NOW).set_legal_hold(cart, &held, "OFF");
    lake.run("2027-02-10T00:00:00Z");
    assert_eq!(left(&lake), [0; 0]);
    lake.expect_nothing_to_do("2027-02-10T00:00:00Z");
}

#[test]
fn a_locked_file_that_no_table_uses_leaves_the_purge() {
    let lake = Lake::empty();
    let store = lake.store(NOW);
    let orphan = |day: u32| format!("events/cart/event_date=2026-11-{day:02}/part-0.zstd.parquet");
    let until = "2026-11-25T00:00:00Z";
    store.put_locked(LAKE_BUCKET, &orphan(1), b"a".to_vec(), "COMPLIANCE", until);
    store.put(LAKE_BUCKET, &orphan(2), "b");
    store.put(bucket("cart"), &click(0).0, click(0).1);
    drop(store);
    let report = lake.run(NOW);
    assert_eq!(report["purged"], 1);
    assert_eq!(
        due(&report, "cart"),
        ["2026-11-25T00:00:00Z 1 object version of cart can go: locked (compliance) until then"]
    );
    lake.expect_nothing_to_do(NOW);
    assert_eq!(lake.run(until)["purged"], 1);
    assert!(!lake.lake_file(&orphan(1)).exists());
}

#[test]
fn an_archived_object_is_not_trimmed_and_goes_whole_with_its_last_event() {
    let lake = Lake::empty();
    let (cart, key) = (bucket("cart"), raw_key("cart", 0, 0));
    let on = |day: &str| event("cart", BOB, &format!("{day}T08:00:00Z"));
    let body = lines(&[on("2024-11-20"), on("2024-11-25")]);
    lake.store(NOW).put(cart, &key, body.clone());
    lake.run(NOW);
    // As a lifecycle rule would: the same content in another class.
    let store = lake.store(NOW);
    store.remove_all(cart, &key);
    store.put_of_class(cart, &key, body, "GLACIER");
    drop(store);
    let told = [
        "2026-11-26T00:00:00Z 1 raw object of cart can go whole: archived, so nothing can be taken out before \
         unless restored",
    ];
    assert_eq!(due(&lake.plan(NEXT_NIGHT), "archived"), told);
    let report = lake.run(NEXT_NIGHT);
    assert_eq!(report["datasets"]["cart"]["retired_rows"], 1);
    assert!(!findings(&report).contains("topics/"));
    assert_eq!(due(&report, "archived"), told);
    lake.expect_nothing_to_do(NEXT_NIGHT);
    let report = lake.run("2026-11-26T00:00:00Z");
    assert_eq!(report["datasets"]["cart"]["raw_deleted"], 1);
    lake.expect_nothing_to_do("2026-11-26T00:00:00Z");
}

#[test]
fn a_straddling_object_under_a_lock_is_trimmed_when_it_ends() {
    let lake = Lake::empty();
    let (cart, key) = (bucket("cart"), raw_key("cart", 0, 0));
    let on = |day: &str| event("cart", BOB, &format!("{day}T08:00:00Z"));
    let body = lines(&[on("2024-11-20"), on("2026-11-19")]);
    let until = "2026-11-25T00:00:00Z";
    lake.store(NOW)
        .put_locked(cart, &key, body.clone(), "GOVERNANCE", until);
    lake.run(NOW);
    let report = lake.run(NEXT_NIGHT);
    assert_eq!(
        due(&report, "trimmed"),
        [
            "2026-11-25T00:00:00Z 1 raw object of cart can be trimmed: locked (governance) until then"
        ]
    );
    assert!(!findings(&report).contains("topics/"));
    assert_eq!(lake.store(NOW).current(cart, &key), Some(body));
    lake.expect_nothing_to_do(NEXT_NIGHT);
    lake.run(until);
    let versions = lake.store(NOW).versions(cart, &key);
    assert_eq!(versions.len(), 1);
    assert_eq!(versions[0].bytes, lines(&[on("2026-11-19")]));
}

/// A lake on whose last night four raw objects go, and a quarantined record.
fn about_to_go() -> Lake {
    let lake = Lake::empty();
    let keep = ("  keep: 2 years", "  keep: 2 years\n  quarantine: 30 days");
    lake.change_policy("datasets/cart.yaml", keep.0, keep.1);
    let store = lake.store(NOW);
    for partition in 0..4 {
        let (key, mut body) = click(partition);
        if partition == 0 {
            body.extend_from_slice(b"{\"userId\": \n");
        }
        store.put(bucket("cart"), &key, body);
    }
    drop(store);
    lake.run(NOW);
    lake
}

fn run_by_way_of(endpoint: &str, lake: &Lake) -> Outcome {
    let dir = lake.dir();
    let place = ["--dir", text(&dir), "--endpoint", endpoint];
    let run = ["--now", LAST_NIGHT, "run", "--output", "json"];
    lakewarden(&[&place[..], &run].concat())
}

fn quarantined(lake: &Lake) -> usize {
    let store = lake.store(NOW);
    store.versions(LAKE_BUCKET, "quarantine/cart/").len()
}

#[test]
fn what_fails_for_a_moment_is_gone_the_same_night() {
    let lake = about_to_go();
    let server = Server::of(&lake, LAST_NIGHT);
    let endpoint = failing(&server, |key, before| {
        match (key.contains("topics/"), before) {
            (true, 0) if key.contains("cart+1") => Some("InternalError"),
            (true, 0 | 1) if key.contains("cart+2") => Some("SlowDown"),
            _ => None,
        }
    });
    let report = run_by_way_of(&endpoint, &lake).json();
    assert_eq!(report["failures"], json!([]));
    assert_eq!(report["datasets"]["cart"]["raw_deleted"], 4);
    drop(server);
    assert_eq!(left(&lake), [0; 0]);
    lake.expect_nothing_to_do(LAST_NIGHT);
}

#[test]
fn what_goes_on_failing_is_told_and_keeps_nothing_else() {
    let lake = about_to_go();
    let server = Server::of(&lake, LAST_NIGHT);
    let endpoint = failing(&server, |key, _| match key {
        _ if key.contains("topics/cart") && key.contains("cart+1") => Some("InternalError"),
        _ if key.contains("topics/cart") && key.contains("cart+2") => Some("AccessDenied"),
        _ => None,
    });
    let outcome = run_by_way_of(&endpoint, &lake);
    outcome.expect_exit(1);
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let failures = report["failures"].to_string();
    for words in [
        "1 raw object version of cart could not be deleted: InternalError; the next run tries again",
        "1 raw object version of cart could not be deleted: AccessDenied; grant s3:DeleteObjectVersion",
    ] {
        assert!(failures.contains(words), "{failures}");
    }
    assert_eq!(report["failures"].as_array().unwrap().len(), 2);
    assert_eq!(report["datasets"]["cart"]["raw_deleted"], 2);
    drop(server);
    assert_eq!(left(&lake), [1, 2]);
    assert_eq!(quarantined(&lake), 0, "the same step went on");
    lake.run(LAST_NIGHT);
    assert_eq!(left(&lake), [0; 0]);
    lake.expect_nothing_to_do(LAST_NIGHT);
}

#[test]
fn an_upload_that_cannot_be_aborted_keeps_no_other() {
    let lake = about_to_go();
    let store = lake.store(NOW);
    for key in ["a.json", "b.json", "c.json"] {
        store.begin_upload(bucket("cart"), &format!("topics/cart/{key}"));
    }
    drop(store);
    let server = Server::of(&lake, LAST_NIGHT);
    let endpoint = failing(&server, |key, _| {
        let fails = key.contains("a.json") || key.contains("b.json");
        fails.then_some("AccessDenied")
    });
    let outcome = run_by_way_of(&endpoint, &lake);
    outcome.expect_exit(1);
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let failures = report["failures"].to_string();
    let told = "abort an unfinished upload in s3://acme-cart-events";
    assert_eq!(failures.matches(told).count(), 2, "{failures}");
    drop(server);
    let uploads = lake.store(LAST_NIGHT).uploads(bucket("cart"));
    assert_eq!(uploads, ["topics/cart/a.json", "topics/cart/b.json"]);
    lake.run(LAST_NIGHT);
    lake.expect_nothing_to_do(LAST_NIGHT);
}

#[test]
fn a_bucket_that_may_not_be_asked_for_locks_is_a_finding() {
    let lake = about_to_go();
    let server = Server::of(&lake, LAST_NIGHT);
    for (status, code, told) in [(403, "AccessDenied", 2), (501, "NotImplemented", 0)] {
        let endpoint = denying(&server, "object-lock", status, code);
        let dir = lake.dir();
        let place = ["--dir", text(&dir), "--endpoint", &endpoint];
        let plan = ["--now", LAST_NIGHT, "plan", "--output", "json"];
        let plan = lakewarden(&[&place[..], &plan].concat()).json();
        let findings = findings(&plan);
        let asked = findings.matches("ask for s3:GetBucketObjectLockConfiguration");
        assert_eq!(asked.count(), told, "{findings}");
        assert_eq!(plan["steps"][0]["raw"].as_array().unwrap().len(), 4);
    }
    // One request for each bucket that something leaves, and none for its objects.
    let plan = server.command(&lake, LAST_NIGHT, &["plan"]);
    plan.expect_exit(0);
    let asked = server.requests().into_iter();
    let asked = asked.filter(|request| request.path.contains("object-lock"));
    assert_eq!(asked.count(), 2);
    let looked = server.requests().into_iter();
    let raw = BUCKETS.map(|(_, bucket)| bucket);
    let looked = looked.filter(|request| {
        request.method == "HEAD" && raw.iter().any(|bucket| request.path.contains(bucket))
    });
    assert_eq!(looked.count(), 0);
}

#[test]
fn rows_that_leave_by_age_are_told_to_leave_snowflake_later() {
    let lake = Lake::empty();
    let rule = "snowflake: { time_travel: 1 day, fail_safe: 7 days }\nkey:";
    lake.change_policy("lake.yaml", "key:", rule);
    let old = lines(&[event("cart", BOB, "2024-11-20T08:00:00Z")]);
    lake.store(NOW)
        .put(bucket("cart"), &raw_key("cart", 0, 0), old);
    assert_eq!(due(&lake.run(NOW), "Snowflake"), [""; 0]);
    let planned = due(&lake.plan(NEXT_NIGHT), "Snowflake");
    let done = due(&lake.run(NEXT_NIGHT), "Snowflake");
    assert_eq!(planned, done);
    assert_eq!(planned.len(), 1);
    for words in [
        "2026-11-29T03:00:00Z rows of ",
        "cart",
        " that leave by age on 2026-11-21 are out of ",
    ] {
        assert!(planned[0].contains(words), "{planned:?}");
    }
    // It is told until then, by every plan and report.
    assert_eq!(due(&lake.plan(NEXT_NIGHT), "Snowflake"), planned);
    assert_eq!(due(&lake.run("2026-11-25T03:00:00Z"), "Snowflake"), planned);
    assert_eq!(
        due(&lake.plan("2026-11-29T03:00:00Z"), "Snowflake"),
        [""; 0]
    );
}

#[test]
fn a_lake_whose_bucket_locks_everything_for_a_while_is_kept_all_the_same() {
    let lake = Lake::empty();
    let store = lake.store(NOW);
    store.lock_by_default(LAKE_BUCKET, 3);
    let (key, body) = click(0);
    store.put(bucket("cart"), &key, body);
    drop(store);
    lake.run(NOW);
    let (key, body) = click(1);
    lake.store(NEXT_NIGHT).put(bucket("cart"), &key, body);
    lake.run(NEXT_NIGHT);
    assert_eq!(tables::rows(&lake, "cart").len(), 2);
}
