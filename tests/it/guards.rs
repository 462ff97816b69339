//! Guards: each stops a run with nothing deleted, says why, and lets it go on for whoever has read the plan.

use serde_json::Value;

use crate::support::events::{BOB, bucket, event, lines, raw_key, small_lake};
use crate::support::lake::LAKE_BUCKET;
use crate::support::{Lake, NOW, Server, tables};

const NEXT_NIGHT: &str = "2026-11-21T03:00:00Z";

/// A lake that a run has been on, with an event a day: the oldest days are the next to leave.
fn looked_after() -> Lake {
    let lake = Lake::empty();
    let store = lake.store(NOW);
    let old = (20..30).map(|day| format!("2024-11-{day}T12:00:00Z"));
    let new = (1..=18).map(|day| format!("2026-11-{day:02}T12:00:00Z"));
    let events: Vec<String> = old
        .chain(new)
        .map(|time| event("cart", BOB, &time))
        .collect();
    store.put(bucket("cart"), &raw_key("cart", 0, 0), lines(&events));
    drop(store);
    confirm(&lake, NOW);
    lake
}

/// Runs at `now` what is planned then, by its digest.
fn confirm(lake: &Lake, now: &str) {
    let server = Server::of(lake, now);
    let plan = server.real(lake, now, &["plan", "--output", "json"]).json();
    let confirmed = ["run", "--confirm", plan["digest"].as_str().unwrap()];
    server.real(lake, now, &confirmed).expect_exit(0);
}

/// Runs at `now`: the guard stops it, saying `words`, and nothing is deleted. Then by the plan's digest.
fn stopped_then_confirmed(lake: &Lake, now: &str, kind: &str, words: &[&str]) {
    let server = Server::of(lake, now);
    let before = tables::all_rows(lake);
    let plan = server.real(lake, now, &["plan", "--output", "json"]).json();
    let kinds: Vec<&Value> = plan["guards"].as_array().unwrap().iter().collect();
    assert!(
        kinds.iter().any(|guard| guard["guard"] == kind),
        "{kinds:?}"
    );
    server.real(lake, now, &["run"]).refused(5, words);
    let lease = |path: &str| path.contains("lease.json");
    let changed = server.mutations();
    assert!(
        changed.iter().all(|request| lease(&request.path)),
        "{changed:?}"
    );
    assert_eq!(&tables::all_rows(lake), &before);
    let digest = plan["digest"].as_str().unwrap();
    let confirmed = ["run", "--confirm", digest];
    server.real(lake, now, &confirmed).expect_exit(0);
}

fn days(lake: &Lake) -> usize {
    tables::rows(lake, "cart").len()
}

#[test]
fn an_ordinary_night_needs_nobody() {
    let lake = looked_after();
    let server = Server::of(&lake, NEXT_NIGHT);
    server.real(&lake, NEXT_NIGHT, &["run"]).expect_exit(0);
    assert_eq!(days(&lake), 27);
}

#[test]
fn a_first_run_on_a_lake_that_is_there() {
    let lake = looked_after();
    lake.store(NOW)
        .remove_all(LAKE_BUCKET, "system/last_run.json");
    // A file that no commit names, old enough to be purged.
    let orphan = "events/cart/event_date=2026-11-01/part-0.zstd.parquet";
    lake.store(NOW).put(LAKE_BUCKET, orphan, "left behind");
    stopped_then_confirmed(
        &lake,
        "2026-11-22T03:00:00Z",
        "first_run",
        &["no run has been on this lake before"],
    );
}

#[test]
fn more_of_a_table_than_its_share() {
    let lake = looked_after();
    lake.change_policy("lake.yaml", "key:", "guards: { max_percent: 3 }\nkey:");
    // One day of 28.
    stopped_then_confirmed(
        &lake,
        NEXT_NIGHT,
        "cap",
        &["1 of the 28 rows of cart", "`max_percent` (3 %)"],
    );
    assert_eq!(days(&lake), 27);
}

#[test]
fn more_partitions_than_usual() {
    let lake = looked_after();
    lake.change_policy("lake.yaml", "key:", "guards: { max_partitions: 2 }\nkey:");
    let three_nights_on = "2026-11-23T03:00:00Z";
    stopped_then_confirmed(
        &lake,
        three_nights_on,
        "cap",
        &["3 partitions of cart", "`max_partitions` (2)"],
    );
    assert_eq!(days(&lake), 25);
}

#[test]
fn more_objects_or_bytes_than_usual() {
    for (cap, words) in [
        ("max_objects: 1", "`max_objects` (1)"),
        ("max_bytes: 1 KB", "`max_bytes` (1 KB)"),
    ] {
        let lake = looked_after();
        let another = lines(&[event("cart", BOB, "2026-11-19T12:00:00Z")]);
        let store = lake.store(NOW);
        store.put(bucket("cart"), &raw_key("cart", 0, 500), another);
        drop(store);
        lake.run(NOW);
        lake.change_policy("lake.yaml", "key:", &format!("guards: {{ {cap} }}\nkey:"));
        // Both raw objects go, thirty days after they were compacted.
        stopped_then_confirmed(&lake, "2026-12-20T03:00:00Z", "cap", &[words]);
        assert!(lake.store(NOW).versions(bucket("cart"), "").is_empty());
    }
}

#[test]
fn a_policy_that_was_shortened_says_what_would_newly_go() {
    let lake = looked_after();
    lake.change_policy("datasets/cart.yaml", "keep: 2 years", "keep: 10 days");
    lake.change_policy(
        "curated/booking_funnel_daily.yaml",
        "keep: 2 years",
        "keep: 10 days",
    );
    let words = [
        "cart kept 2 years at the last run and keeps 10 days now: 19 rows of 19 days from 2024-11-21",
    ];
    stopped_then_confirmed(&lake, NEXT_NIGHT, "shorter_policy", &words);
    assert_eq!(days(&lake), 8);
    // Once agreed to it is the rule.
    let next = "2026-11-22T03:00:00Z";
    let server = Server::of(&lake, next);
    server.real(&lake, next, &["run"]).expect_exit(0);
    assert_eq!(days(&lake), 7);
}

#[test]
fn what_a_hold_keeps_is_not_told_to_go_newly() {
    let lake = looked_after();
    let server = Server::of(&lake, NOW);
    let words = |text: &'static str| text.split(' ');
    let hold = words("hold add --table cart --from 2024-11-21 --until 2024-11-24");
    let hold: Vec<&str> = hold
        .chain(words("--reason audit --owner Legal --review 2027-01-01"))
        .collect();
    server.real(&lake, NOW, &hold).expect_exit(0);
    drop(server);
    lake.change_policy("datasets/cart.yaml", "keep: 2 years", "keep: 1 years");
    lake.change_policy(
        "curated/booking_funnel_daily.yaml",
        "keep: 2 years",
        "keep: 1 years",
    );
    let words = [
        "cart kept 2 years at the last run and keeps 1 year now: 5 rows of 5 days from 2024-11-21",
    ];
    stopped_then_confirmed(&lake, NEXT_NIGHT, "shorter_policy", &words);
    assert_eq!(days(&lake), 18 + 4);
}

#[test]
fn raw_objects_that_a_killed_run_removed_are_not_missed() {
    let lake = looked_after();
    lake.store(NOW).remove_all(bucket("cart"), "");
    let asks = |now: &str| {
        let server = Server::of(&lake, now);
        let plan = server.real(&lake, now, &["plan", "--output", "json"]);
        plan.json()["guards"].to_string().contains("nothing_found")
    };
    assert!(asks("2026-12-20T02:59:59Z"));
    // Thirty days after they were compacted a run would have.
    assert!(!asks("2026-12-20T03:00:00Z"));
}

#[test]
fn raw_objects_that_are_newly_to_go() {
    let lake = looked_after();
    lake.change_policy(
        "datasets/cart.yaml",
        "keep: 30 days after",
        "keep: 1 days after",
    );
    let words = [
        "raw objects of cart, once compacted, were kept 30 days at the last run and are kept 1 day now: 1 object \
         version (",
        ") would newly go",
    ];
    stopped_then_confirmed(&lake, NEXT_NIGHT, "shorter_policy", &words);
    assert!(lake.store(NOW).versions(bucket("cart"), "").is_empty());
}

#[test]
fn what_is_not_events_and_is_kept_shorter() {
    let lake = looked_after();
    lake.change_policy("lake.yaml", "key:", "reports: 30 days\nkey:");
    let keep = "  keep: 2 years\n";
    let shorter = format!("{keep}  quarantine: 90 days\n");
    lake.change_policy("datasets/cart.yaml", keep, &shorter);
    let words = [
        "run reports were kept 2 years at the last run and are kept 30 days now",
        "broken records of cart were kept 2 years at the last run and are kept 90 days now",
    ];
    stopped_then_confirmed(&lake, NEXT_NIGHT, "shorter_policy", &words);
}

#[test]
fn a_clock_that_jumped_or_a_job_that_nobody_missed() {
    let lake = looked_after();
    let words = [
        "the last run was at 2026-11-20 03:00 UTC",
        "`max_pause` (31 days)",
    ];
    stopped_then_confirmed(&lake, "2026-12-22T03:00:00Z", "pause", &words);
    let server = Server::of(&lake, NOW);
    server
        .real(&lake, NOW, &["run"])
        .refused(6, &["the clock went back"]);
}

#[test]
fn nothing_where_there_was_something() {
    let lake = looked_after();
    let location = "s3://acme-cart-events/topics/cart/";
    lake.change_policy(
        "datasets/cart.yaml",
        location,
        "s3://acme-cart-events/topic/cart/",
    );
    let words = [
        "s3://acme-cart-events/topic/cart/ is empty",
        "it held raw objects of cart",
    ];
    stopped_then_confirmed(&lake, NEXT_NIGHT, "nothing_found", &words);

    let lake = looked_after();
    lake.store(NOW)
        .remove_all(LAKE_BUCKET, "events/cart/_delta_log/");
    let server = Server::of(&lake, NEXT_NIGHT);
    server
        .real(&lake, NEXT_NIGHT, &["run"])
        .refused(5, &["the table of cart is not there"]);
}

#[test]
fn a_clock_that_was_mended_after_a_run_that_was_stopped() {
    let lake = looked_after();
    let far = "2030-11-21T03:00:00Z";
    let server = Server::of(&lake, far);
    let stopped = server.real(&lake, far, &["run"]);
    stopped.refused(5, &["nothing was done", "is the clock right?"]);
    drop(server);
    let server = Server::of(&lake, NEXT_NIGHT);
    server.real(&lake, NEXT_NIGHT, &["run"]).expect_exit(0);
    assert_eq!(days(&lake), 27);
    // That one was let through.
    server
        .real(&lake, NOW, &["run"])
        .refused(6, &["the clock went back", "2026-11-21 03:00"]);
}

#[test]
fn a_rule_that_was_away_for_a_night_is_remembered() {
    let lake = small_lake();
    lake.run(NOW);
    let names = ["yaml", "sql"].map(|kind| format!("curated/booking_funnel_daily.{kind}"));
    let files = names.each_ref().map(|name| lake.policy(name));
    let texts = files
        .each_ref()
        .map(|file| std::fs::read_to_string(file).unwrap());
    for file in &files {
        std::fs::remove_file(file).unwrap();
    }
    let report = lake.run(NEXT_NIGHT);
    assert!(
        report["findings"]
            .to_string()
            .contains("booking_funnel_daily has no policy any more"),
        "{report:#}"
    );
    for (file, text) in files.iter().zip(texts) {
        std::fs::write(file, text.replace("keep: 2 years", "keep: 1 year")).unwrap();
    }
    stopped_then_confirmed(
        &lake,
        "2026-11-22T03:00:00Z",
        "shorter_policy",
        &["booking_funnel_daily kept 2 years at the last run and keeps 1 year"],
    );
}

#[test]
fn table_files_count_as_what_leaves() {
    let lake = looked_after();
    lake.change_policy("lake.yaml", "key:", "guards: { max_objects: 3 }\nkey:");
    // Three days at once: a file each, and the raw object that they came in is trimmed.
    stopped_then_confirmed(
        &lake,
        "2026-11-23T03:00:00Z",
        "cap",
        &["4 object versions would be deleted, more than `max_objects` (3)"],
    );
}

#[test]
fn a_bucket_in_which_only_deleted_objects_are_left() {
    let lake = looked_after();
    let store = lake.store(NEXT_NIGHT);
    store.delete(bucket("cart"), &raw_key("cart", 0, 0));
    drop(store);
    stopped_then_confirmed(
        &lake,
        NEXT_NIGHT,
        "nothing_found",
        &["is empty; at the last run it held raw objects of cart"],
    );
}

#[test]
fn a_span_that_was_taken_away_and_comes_back_asks() {
    let lake = looked_after();
    let keep = "  keep: 30 days after compaction\n";
    lake.change_policy("datasets/cart.yaml", keep, "");
    let server = Server::of(&lake, NEXT_NIGHT);
    server.real(&lake, NEXT_NIGHT, &["run"]).expect_exit(0);
    drop(server);
    lake.change_policy("datasets/cart.yaml", "raw:\n", &format!("raw:\n{keep}"));
    stopped_then_confirmed(
        &lake,
        "2026-11-22T03:00:00Z",
        "shorter_policy",
        &["raw objects of cart, once compacted, were kept forever at the last run"],
    );
}

#[test]
fn more_objects_with_events_that_come_too_old_than_usual() {
    for cap in ["max_objects: 3", "max_bytes: 1 KB"] {
        let lake = looked_after();
        lake.change_policy("lake.yaml", "key:", &format!("guards: {{ {cap} }}\nkey:"));
        let store = lake.store(NEXT_NIGHT);
        for start in (100..200).step_by(10) {
            let old = lines(&[event("payment", BOB, "2024-10-01T12:00:00Z")]);
            store.put(bucket("payment"), &raw_key("payment", 0, start), old);
        }
        drop(store);
        let raw = || lake.store(NOW).versions(bucket("payment"), "").len();
        let server = Server::of(&lake, NEXT_NIGHT);
        let run = server.real(&lake, NEXT_NIGHT, &["run"]);
        drop(server);
        // The plan itself takes a table file.
        assert!(run.exit == 0 || run.exit == 5, "{}", run.stderr);
        assert_eq!(raw(), 10, "{cap}");
    }
}

#[test]
fn more_rows_of_a_straddling_file_than_usual() {
    let lake = Lake::empty();
    let (keep, zone) = ("keep: 2 years", "keep: 2 years\n  zone: Pacific/Kiritimati");
    for dataset in ["cart", "payment", "post_purchase", "product"] {
        lake.change_policy(&format!("datasets/{dataset}.yaml"), keep, zone);
    }
    lake.change_policy("curated/booking_funnel_daily.yaml", keep, zone);
    // There the 21st begins at 10:00.
    let early = (0..20).map(|minute| format!("2024-11-20T01:{minute:02}:00Z"));
    let after = (0..3).map(|minute| format!("2024-11-20T23:{minute:02}:00Z"));
    let events: Vec<String> = early
        .chain(after)
        .map(|time| event("cart", BOB, &time))
        .collect();
    lake.store(NOW)
        .put(bucket("cart"), &raw_key("cart", 0, 0), lines(&events));
    confirm(&lake, "2026-11-19T12:00:00Z");
    assert_eq!(days(&lake), 23);
    let words = ["20 of the 23 rows of cart would leave by age"];
    stopped_then_confirmed(&lake, "2026-11-20T12:00:00Z", "cap", &words);
    assert_eq!(days(&lake), 3);
}

#[test]
fn a_hold_that_vanished() {
    let lake = looked_after();
    let add =
        "hold add --table cart --reason audit --owner Legal --review 2027-01-01 --output json";
    let add: Vec<&str> = add.split(' ').collect();
    let server = Server::of(&lake, NOW);
    let placed = server.real(&lake, NOW, &add).json();
    drop(server);
    let id = placed[0]["id"].as_str().unwrap();
    lake.run(NEXT_NIGHT);
    lake.store(NOW)
        .remove_all(LAKE_BUCKET, &format!("system/holds/{id}.json"));
    let words = ["was in force at the last run", "nobody has lifted it"];
    stopped_then_confirmed(&lake, "2026-11-22T03:00:00Z", "nothing_found", &words);
    assert_eq!(days(&lake), 26);
}

#[test]
fn a_dataset_that_joins_with_something_in_it() {
    let lake = Lake::empty();
    let policy = lake.policy("datasets/payment.yaml");
    let text = std::fs::read_to_string(&policy).unwrap();
    std::fs::remove_file(&policy).unwrap();
    let curated = lake.policy("curated/booking_funnel_daily.yaml");
    std::fs::remove_file(curated).unwrap();
    std::fs::remove_file(lake.policy("curated/booking_funnel_daily.sql")).unwrap();
    let server = Server::of(&lake, NOW);
    server.real(&lake, NOW, &["run"]).expect_exit(0);
    drop(server);
    std::fs::write(&policy, text).unwrap();
    let store = lake.store(NEXT_NIGHT);
    let of = |time: &str| lines(&[event("payment", BOB, time)]);
    let old = ["2024-10-01T12:00:00Z", "2024-11-21T12:00:00Z"];
    for (start, time) in (0..).step_by(10).zip(old) {
        store.put(bucket("payment"), &raw_key("payment", 0, start), of(time));
    }
    for start in (20..80).step_by(10) {
        let young = of("2026-11-19T12:00:00Z");
        store.put(bucket("payment"), &raw_key("payment", 0, start), young);
    }
    drop(store);
    let raw = || lake.store(NOW).versions(bucket("payment"), "").len();
    let server = Server::of(&lake, NEXT_NIGHT);
    server.real(&lake, NEXT_NIGHT, &["run"]).expect_exit(0);
    drop(server);
    assert_eq!(raw(), 8);
    let words = ["nobody has agreed to a deletion of payment at s3://acme-payment-events/"];
    stopped_then_confirmed(&lake, "2026-11-22T03:00:00Z", "first_run", &words);
    assert_eq!(raw(), 6);
}

#[test]
fn other_spans_that_are_shortened() {
    let lake = Lake::empty();
    lake.change_policy("lake.yaml", "key:", "unfinished_uploads: 7 days\nkey:");
    lake.change_policy(
        "datasets/payment.yaml",
        "\n  on_erasure: delete\n",
        "\n  on_erasure: redact\n  legal_minimum: { keep: 90 days, reason: chargebacks }\n  redact: { userId: hash, sessionId: null, cartId: null, paymentId: null }\n",
    );
    let server = Server::of(&lake, NOW);
    server.real(&lake, NOW, &["run"]).expect_exit(0);
    drop(server);
    lake.change_policy("lake.yaml", "uploads: 7 days", "uploads: 1 days");
    lake.change_policy("datasets/payment.yaml", "keep: 90 days", "keep: 10 days");
    let words = [
        "unfinished uploads were kept 7 days at the last run and are kept 1 day now",
        "redacted rows of payment were kept 90 days at the last run and are kept 10 days now",
    ];
    stopped_then_confirmed(&lake, NEXT_NIGHT, "shorter_policy", &words);
    lake.change_policy(
        "datasets/payment.yaml",
        "on_erasure: redact\n  legal_minimum: { keep: 10 days, reason: chargebacks }\n  redact: { userId: hash, sessionId: null, cartId: null, paymentId: null }\n",
        "on_erasure: delete\n",
    );
    let words =
        ["redacted rows of payment were kept 10 days at the last run and are not kept any more"];
    stopped_then_confirmed(&lake, "2026-11-22T03:00:00Z", "shorter_policy", &words);
}
