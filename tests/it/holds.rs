//! Holds win over every rule, are shown everywhere, and end only when a person lifts them.

use lakewarden::demo::BUCKETS;

use crate::killed::{meanwhile, start};
use crate::support::events::{ADA, BOB, bucket, event, lines, raw_key};
use crate::support::lake::LAKE_BUCKET;
use crate::support::server::Request;
use crate::support::{Lake, NOW, Server, tables, traces};

const NEXT_NIGHT: &str = "2026-11-21T03:00:00Z";
const BECAUSE: [&str; 6] = [
    "--reason",
    "litigation 4711",
    "--owner",
    "Legal",
    "--review",
    "2027-01-31",
];

/// Ada's and Bob's events on each of these days, in all datasets, and a night on them.
fn lake_of(days: &[&str]) -> Lake {
    let lake = Lake::empty();
    let store = lake.store(NOW);
    for (dataset, _) in BUCKETS {
        for (number, day) in (0..).zip(days) {
            let of = |user| event(dataset, user, &format!("{day}T12:00:00Z"));
            let key = raw_key(dataset, 0, number * 2);
            store.put(bucket(dataset), &key, lines(&[of(ADA), of(BOB)]));
        }
    }
    drop(store);
    lake.run(NOW);
    lake
}

/// Places a hold; its id.
fn hold(lake: &Lake, scope: &[&str]) -> String {
    let arguments = [&["hold", "add", "--output", "json"], scope, &BECAUSE].concat();
    let placed = lake.command(NOW, &arguments).json();
    placed[0]["id"].as_str().unwrap().to_owned()
}

fn lift(lake: &Lake, id: &str) {
    let arguments = ["hold", "lift", id, "--reason", "settled"];
    lake.command(NOW, &arguments).expect_exit(0);
}

fn days(lake: &Lake, dataset: &str) -> Vec<String> {
    let rows = tables::rows(lake, dataset);
    let mut days: Vec<String> = rows.iter().map(|row| row.day.to_string()).collect();
    days.dedup();
    days
}

#[test]
fn what_is_held_stays_when_its_time_is_over_and_goes_when_the_hold_is_lifted() {
    let all = ["2024-11-20", "2024-11-21", "2024-11-22", "2026-11-19"];
    let lake = lake_of(&all);
    let scope = [
        "--table",
        "cart",
        "--from",
        "2024-11-21",
        "--until",
        "2024-11-21",
    ];
    let id = hold(&lake, &scope);
    let long_after = "2026-12-24T03:00:00Z";
    let plan = lake.plan(long_after);
    assert_eq!(plan["holds"][0]["id"], id.as_str());
    let report = lake.run(long_after);
    assert_eq!(report["holds"][0]["reason"], "litigation 4711");
    assert_eq!(days(&lake, "cart"), ["2024-11-21", "2026-11-19"]);
    assert_eq!(days(&lake, "payment"), ["2026-11-19"]);
    let raw = |dataset| {
        let versions = lake.store(long_after).versions(bucket(dataset), "");
        versions
            .into_iter()
            .map(|version| version.key)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        raw("cart"),
        [raw_key("cart", 0, 2)],
        "the object of the held day"
    );
    assert_eq!(raw("payment"), [""; 0]);
    lake.expect_nothing_to_do(long_after);
    let text = lake.command(long_after, &["plan"]).stdout;
    assert!(
        text.contains("on cart, 2024-11-21 to 2024-11-21: litigation 4711 (owner Legal"),
        "{text}"
    );

    lift(&lake, &id);
    lake.run(long_after);
    assert_eq!(days(&lake, "cart"), ["2026-11-19"]);
    assert_eq!(raw("cart"), [""; 0]);
    lake.expect_nothing_to_do(long_after);
}

#[test]
fn an_object_that_straddles_held_days_is_left_alone() {
    let lake = Lake::empty();
    let on = |day| event("cart", BOB, &format!("{day}T12:00:00Z"));
    let body = lines(&[on("2024-11-20"), on("2024-11-25"), on("2026-11-19")]);
    let key = raw_key("cart", 0, 0);
    lake.store(NOW).put(bucket("cart"), &key, body.clone());
    lake.run(NOW);
    let id = hold(&lake, &["--until", "2024-11-20"]);
    lake.run(NEXT_NIGHT);
    assert_eq!(lake.store(NOW).current(bucket("cart"), &key), Some(body));
    assert_eq!(tables::rows(&lake, "cart").len(), 3);
    lift(&lake, &id);
    lake.run(NEXT_NIGHT);
    let rest = lines(&[on("2024-11-25"), on("2026-11-19")]);
    assert_eq!(lake.store(NOW).current(bucket("cart"), &key), Some(rest));
}

#[test]
fn an_erasure_takes_what_is_not_held_and_stays_open_for_the_rest() {
    let lake = lake_of(&["2026-11-17", "2026-11-18", "2026-11-19"]);
    let id = hold(
        &lake,
        &[
            "--table",
            "cart",
            "--from",
            "2026-11-18",
            "--until",
            "2026-11-18",
        ],
    );
    let request = lake.request_erasure(NOW, &format!("user_id={ADA}"));
    let of_ada = |dataset| {
        let rows = tables::rows(&lake, dataset);
        let hers = rows.iter().filter(|row| row.is_of(ADA));
        hers.map(|row| row.day.to_string()).collect::<Vec<_>>()
    };
    for night in [NOW, NEXT_NIGHT] {
        let report = lake.run(night);
        assert_eq!(of_ada("cart"), ["2026-11-18"]);
        assert_eq!(of_ada("payment"), [""; 0]);
        let findings = report["findings"].to_string();
        let waits = format!("erasure request {request} stays open:");
        assert!(findings.contains(&waits), "{findings}");
        assert_eq!(lake.request_states(night), ["held"]);
        lake.expect_nothing_to_do(night);
    }
    let plan = lake.plan(NEXT_NIGHT);
    let findings = plan["findings"].to_string();
    let waits = format!("{request} stays open: hold {id} keeps the rest");
    assert!(findings.contains(&waits), "{findings}");
    lift(&lake, &id);
    lake.run(NEXT_NIGHT);
    assert_eq!(lake.request_states(NEXT_NIGHT), ["certified"]);
    assert_eq!(tables::rows(&lake, "cart").len(), 3, "Bob's");
    assert!(traces::mentioning(&lake.s3(), ADA).is_empty());
}

#[test]
fn a_hold_says_what_it_is_on_why_who_answers_and_until_when() {
    let lake = lake_of(&["2026-11-19"]);
    let add = |scope: &[&str]| {
        let arguments = [&["hold", "add"], scope, &BECAUSE].concat();
        lake.command(NOW, &arguments)
    };
    add(&["--table", "carts"]).refused(2, &["no dataset or curated table `carts`"]);
    add(&["--from", "2026-11-02", "--until", "2026-11-01"]).refused(2, &["no day lies between"]);
    let nothing = [
        "hold",
        "add",
        "--reason",
        " ",
        "--owner",
        "Legal",
        "--review",
        "2027-01-31",
    ];
    lake.command(NOW, &nothing)
        .refused(2, &["`--reason` says nothing"]);
    lake.command(NOW, &["hold", "lift", "x", "--reason", "y"])
        .refused(2, &["no hold `x` is in force"]);
    let id = hold(&lake, &["--table", "booking_funnel_daily"]);
    let plan = lake.plan("2027-02-01T03:00:00Z");
    let findings = plan["findings"].to_string();
    assert!(
        findings.contains("its review was due on 2027-01-31; ask Legal"),
        "{findings}"
    );
    lift(&lake, &id);
    let listed = lake
        .command(NOW, &["hold", "list", "--output", "json"])
        .json();
    assert_eq!(listed[0]["lifted"]["reason"], "settled");
    assert_eq!(lake.plan(NOW)["holds"], serde_json::json!([]));
    lake.command(NOW, &["hold", "lift", &id, "--reason", "again"])
        .expect_exit(2);
}

#[test]
fn a_held_day_of_a_curated_table_is_neither_deleted_nor_made_anew() {
    let lake = lake_of(&["2024-11-20", "2026-11-18", "2026-11-19"]);
    let funnel = |day: &str| {
        let mut rows = tables::funnel(&lake);
        rows.retain(|row| row["event_date"] == day);
        rows
    };
    let [old, young] = ["2024-11-20", "2026-11-19"].map(funnel);
    assert!(!old.is_empty() && !young.is_empty());
    let table = ["--table", "booking_funnel_daily"];
    let days = |day| [&table[..], &["--from", day, "--until", day]].concat();
    let holds = [
        hold(&lake, &days("2024-11-20")),
        hold(&lake, &days("2026-11-19")),
    ];
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    lake.run(NEXT_NIGHT);
    assert_eq!(funnel("2024-11-20"), old, "its events are gone");
    assert_eq!(
        funnel("2026-11-19"),
        young,
        "made with an erased person's events"
    );
    lake.expect_nothing_to_do(NEXT_NIGHT);
    for id in holds {
        lift(&lake, &id);
    }
    lake.run(NEXT_NIGHT);
    tables::expect_funnel_to_fit(&lake);
    assert_eq!(funnel("2024-11-20"), []);
    assert_ne!(funnel("2026-11-19"), young);
    lake.expect_nothing_to_do(NEXT_NIGHT);
}

#[test]
fn a_request_of_which_only_a_broken_record_is_held_says_what_it_waits_for() {
    let lake = lake_of(&["2026-11-18"]);
    let broken = lines(&[format!("a broken record of user {ADA}")]);
    let key = raw_key("cart", 3, 0);
    lake.store(NOW).put(bucket("cart"), &key, broken.clone());
    lake.run(NOW);
    let scope = ["--table", "cart", "--until", "2024-12-31"];
    let id = hold(&lake, &scope);
    let request = lake.request_erasure(NOW, &format!("user_id={ADA}"));
    lake.run(NEXT_NIGHT);
    assert_eq!(tables::rows(&lake, "cart").len(), 1, "Bob's");
    assert_eq!(lake.store(NOW).current(bucket("cart"), &key), Some(broken));
    assert_eq!(lake.request_states(NEXT_NIGHT), ["held"]);
    lake.expect_nothing_to_do(NEXT_NIGHT);
    let findings = lake.plan(NEXT_NIGHT)["findings"].to_string();
    let waits = format!("{request} stays open: hold {id} keeps the rest");
    assert!(findings.contains(&waits), "{findings}");
    lift(&lake, &id);
    lake.run(NEXT_NIGHT);
    assert_eq!(lake.request_states(NEXT_NIGHT), ["certified"]);
    assert!(traces::mentioning(&lake.s3(), ADA).is_empty());
}

#[test]
fn a_hold_that_is_placed_while_a_run_is_at_work_is_heeded_by_what_is_left_of_it() {
    let lake = lake_of(&["2024-11-20", "2026-11-19"]);
    let body = lines(&[event("cart", BOB, "2026-11-19T22:00:00Z")]);
    lake.store(NOW)
        .put(bucket("cart"), &raw_key("cart", 5, 0), body);
    let server = Server::of(&lake, NEXT_NIGHT);
    let run = start(&lake, &server, NEXT_NIGHT);
    let compacts = |request: &Request| request.path.contains("/events/cart/");
    let exit = meanwhile(run, &server, compacts, || {
        let add = [&["hold", "add", "--table", "cart"][..], &BECAUSE].concat();
        server.command(&lake, NEXT_NIGHT, &add).expect_exit(0);
    });
    assert_eq!(exit, Some(1));
    drop(server);
    assert_eq!(days(&lake, "cart"), ["2024-11-20", "2026-11-19"]);
    assert!(
        lake.store(NEXT_NIGHT)
            .current(bucket("cart"), &raw_key("cart", 0, 0))
            .is_some()
    );
    lake.run(NEXT_NIGHT);
    assert_eq!(days(&lake, "cart"), ["2024-11-20", "2026-11-19"]);
    assert_eq!(days(&lake, "payment"), ["2026-11-19"]);
}

#[test]
fn unfinished_uploads_below_a_held_dataset_stay() {
    let lake = lake_of(&["2026-11-19"]);
    // Any of these may hold what is held: nobody can read them.
    let begun = lake.store("2026-11-10T12:00:00Z");
    begun.begin_upload(bucket("cart"), "topics/cart/a.json");
    begun.begin_upload(bucket("cart"), "topics/cart/b.json");
    begun.begin_upload(bucket("payment"), "topics/payment/a.json");
    begun.begin_upload(LAKE_BUCKET, "events/cart/given-up.parquet");
    drop(begun);
    let id = hold(&lake, &["--table", "cart"]);
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    let told =
        format!("2 unfinished uploads under s3://acme-cart-events/topics/cart/ stay: hold {id}");
    let findings = lake.plan(NEXT_NIGHT)["findings"].clone();
    let findings = findings.as_array().unwrap().iter();
    assert_eq!(
        findings
            .filter(|finding| **finding == told.as_str())
            .count(),
        1
    );
    lake.run(NEXT_NIGHT);
    let uploads = |bucket| lake.store(NEXT_NIGHT).uploads(bucket);
    assert_eq!(
        uploads(bucket("cart")),
        ["topics/cart/a.json", "topics/cart/b.json"]
    );
    assert_eq!(uploads(bucket("payment")), [""; 0]);
    assert_eq!(uploads(LAKE_BUCKET), [""; 0]);
    assert_ne!(lake.request_states(NEXT_NIGHT), ["certified"]);

    lift(&lake, &id);
    lake.run(NEXT_NIGHT);
    assert_eq!(uploads(bucket("cart")), [""; 0]);
    assert_eq!(lake.request_states(NEXT_NIGHT), ["certified"]);
}
