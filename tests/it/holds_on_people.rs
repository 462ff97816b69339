//! A hold on a person keeps what is theirs, everywhere, and nothing of anybody else.

use crate::support::events::{ADA, BOB, bucket, event, lines, raw_key};
use crate::support::lake::LAKE_BUCKET;
use crate::support::{Lake, NOW, tables, traces};

const NEXT_NIGHT: &str = "2026-11-21T03:00:00Z";
/// Two years and a month after the older events, a month after the younger ones.
const LONG_AFTER: &str = "2026-12-24T03:00:00Z";
const OLD: &str = "2024-11-20T12:00:00Z";
const YOUNG: &str = "2026-11-19T12:00:00Z";

/// Places a hold on whom standard input names; its id.
fn hold_on(lake: &Lake, user: &str) -> String {
    let arguments = [
        "hold",
        "add",
        "--identifier",
        "-",
        "--reason",
        "litigation 4711",
        "--owner",
        "Legal",
        "--review",
        "2027-01-31",
        "--output",
        "json",
    ];
    let input = format!("user_id={user}\n");
    let placed = lake.command_with(NOW, &arguments, &input);
    placed.does_not_mention(user);
    placed.json()[0]["id"].as_str().unwrap().to_owned()
}

fn lift(lake: &Lake, id: &str) {
    let arguments = ["hold", "lift", id, "--reason", "settled"];
    lake.command(NOW, &arguments).expect_exit(0);
}

/// Old events in one object, young ones in another, and one that straddles the line; a night on them.
fn lake_of_old_and_young() -> Lake {
    let lake = Lake::empty();
    let store = lake.store(NOW);
    for dataset in ["cart", "payment"] {
        let on = |user, time| event(dataset, user, time);
        let objects = [
            vec![on(ADA, OLD), on(BOB, OLD)],
            vec![on(ADA, YOUNG), on(BOB, YOUNG)],
            vec![on(ADA, OLD), on(BOB, OLD), on(BOB, YOUNG)],
            vec![on(BOB, OLD)],
        ];
        for (start, records) in (0..).step_by(10).zip(objects) {
            store.put(
                bucket(dataset),
                &raw_key(dataset, 0, start),
                lines(&records),
            );
        }
    }
    drop(store);
    lake.run("2026-11-19T23:00:00Z");
    lake
}

/// Whose rows of which time, in order.
fn rows(lake: &Lake, dataset: &str) -> Vec<String> {
    let rows = tables::rows(lake, dataset).into_iter();
    let mut told: Vec<String> = rows
        .map(|row| {
            let whose = if row.is_of(ADA) { "Ada's" } else { "Bob's" };
            format!("{whose} of {}", row.day)
        })
        .collect();
    told.sort();
    told
}

fn raw(lake: &Lake, dataset: &str, start: u64) -> Option<String> {
    let body = lake
        .store(NOW)
        .current(bucket(dataset), &raw_key(dataset, 0, start));
    body.map(|body| String::from_utf8(body).unwrap())
}

#[test]
fn rows_and_records_of_the_person_stay_and_all_others_go() {
    let lake = lake_of_old_and_young();
    let id = hold_on(&lake, ADA);
    lake.run(LONG_AFTER);
    for dataset in ["cart", "payment"] {
        assert_eq!(
            rows(&lake, dataset),
            [
                "Ada's of 2024-11-20",
                "Ada's of 2024-11-20",
                "Ada's of 2026-11-19",
                "Bob's of 2026-11-19",
                "Bob's of 2026-11-19"
            ]
        );
        let on = |user, time| event(dataset, user, time);
        let left = |start| raw(&lake, dataset, start);
        let hers = String::from_utf8(lines(&[on(ADA, OLD)])).unwrap();
        assert_eq!(left(0), Some(hers), "Bob's old event is gone");
        let young = String::from_utf8(lines(&[on(ADA, YOUNG), on(BOB, YOUNG)])).unwrap();
        assert_eq!(
            left(10),
            Some(young),
            "what she is in stays, though its time is over"
        );
        let straddling = String::from_utf8(lines(&[on(ADA, OLD), on(BOB, YOUNG)])).unwrap();
        assert_eq!(left(20), Some(straddling));
        assert_eq!(left(30), None);
    }
    lake.expect_nothing_to_do(LONG_AFTER);
    let plan = lake.command(LONG_AFTER, &["plan"]);
    plan.does_not_mention(ADA);
    let words = format!(
        "hold {id} on a person (user_id), 3 rows of cart, 3 rows of payment when it was placed"
    );
    assert!(plan.stdout.contains(&words), "{}", plan.stdout);

    lift(&lake, &id);
    lake.run(LONG_AFTER);
    for dataset in ["cart", "payment"] {
        let young = [
            "Ada's of 2026-11-19",
            "Bob's of 2026-11-19",
            "Bob's of 2026-11-19",
        ];
        assert_eq!(rows(&lake, dataset), young);
        assert_eq!(lake.store(LONG_AFTER).versions(bucket(dataset), ""), []);
    }
    lake.expect_nothing_to_do(LONG_AFTER);
}

#[test]
fn a_broken_record_that_names_the_person_stays() {
    let lake = Lake::empty();
    let store = lake.store(NOW);
    let hers = lines(&[format!("a broken record of user {ADA}")]);
    let nobodys = lines(&["nothing that anybody could read".into()]);
    store.put(bucket("cart"), &raw_key("cart", 0, 0), hers.clone());
    drop(store);
    lake.run(NOW);
    lake.store(NOW)
        .put(bucket("payment"), &raw_key("payment", 0, 0), nobodys);
    lake.run(NOW);
    let quarantined = |dataset: &str| {
        let versions = lake
            .store(NOW)
            .versions(LAKE_BUCKET, &format!("quarantine/{dataset}/"));
        versions.len()
    };
    assert_eq!((quarantined("cart"), quarantined("payment")), (1, 1));
    let id = hold_on(&lake, ADA);
    let after_two_years = "2028-11-23T03:00:00Z";
    lake.run(after_two_years);
    assert_eq!((quarantined("cart"), quarantined("payment")), (1, 0));
    assert_eq!(raw(&lake, "cart", 0), String::from_utf8(hers).ok());
    assert_eq!(raw(&lake, "payment", 0), None);
    lake.expect_nothing_to_do(after_two_years);
    lift(&lake, &id);
    lake.run(after_two_years);
    assert_eq!((quarantined("cart"), raw(&lake, "cart", 0)), (0, None));
}

#[test]
fn what_links_lead_to_stays_too() {
    let lake = Lake::empty();
    let of = |fields: &str| format!(r#"{{"timestamp": "{OLD}", {fields}}}"#);
    let anonymous = of(r#""sessionId": "s-ada""#);
    let strangers = of(r#""sessionId": "s-none""#);
    let log_in = of(&format!(r#""sessionId": "s-ada", "userId": "{ADA}""#));
    let store = lake.store(NOW);
    store.put(
        bucket("product"),
        &raw_key("product", 0, 0),
        lines(&[anonymous, strangers]),
    );
    store.put(bucket("cart"), &raw_key("cart", 0, 0), lines(&[log_in]));
    drop(store);
    lake.run("2026-11-19T23:00:00Z");
    hold_on(&lake, ADA);
    lake.run(LONG_AFTER);
    let kept = tables::rows(&lake, "product");
    let events: Vec<&str> = kept.iter().map(|row| row.event.as_str()).collect();
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(events[0].contains("s-ada"), "{events:?}");
    lake.expect_nothing_to_do(LONG_AFTER);
}

#[test]
fn an_erasure_of_the_person_waits_and_others_do_not() {
    let lake = lake_of_old_and_young();
    let id = hold_on(&lake, ADA);
    let hers = lake.request_erasure(NOW, &format!("user_id={ADA}"));
    lake.request_erasure(NOW, &format!("user_id={BOB}"));
    for night in [NOW, NEXT_NIGHT] {
        let report = lake.run(night);
        let findings = report["findings"].to_string();
        let waits =
            format!("erasure request {hers} is not carried out: hold {id} is on the person");
        assert!(findings.contains(&waits), "{findings}");
        let mut states = lake.request_states(night);
        states.sort();
        assert_eq!(states, ["certified", "received"]);
    }
    assert!(traces::mentioning(&lake.s3(), BOB).is_empty());
    let all = [
        "Ada's of 2024-11-20",
        "Ada's of 2024-11-20",
        "Ada's of 2026-11-19",
    ];
    assert_eq!(rows(&lake, "cart"), all);
    lift(&lake, &id);
    lake.run(NEXT_NIGHT);
    assert_eq!(lake.request_states(NEXT_NIGHT), ["certified", "certified"]);
    assert!(traces::mentioning(&lake.s3(), ADA).is_empty());
}

#[test]
fn an_erasure_of_somebody_in_the_same_event_waits_too() {
    let lake = Lake::empty();
    let both = format!(r#"{{"timestamp": "{YOUNG}", "userId": "{BOB}", "sessionId": "s-1"}}"#);
    let linking = format!(r#"{{"timestamp": "{YOUNG}", "sessionId": "s-1", "cartId": "c-1"}}"#);
    let hers = format!(r#"{{"timestamp": "{YOUNG}", "userId": "{ADA}", "cartId": "c-1"}}"#);
    let store = lake.store(NOW);
    store.put(
        bucket("cart"),
        &raw_key("cart", 0, 0),
        lines(&[both, linking, hers]),
    );
    drop(store);
    lake.run(NOW);
    let id = hold_on(&lake, ADA);
    lake.request_erasure(NOW, &format!("user_id={BOB}"));
    let findings = lake.run(NOW)["findings"].to_string();
    assert!(
        findings.contains(&format!("is not carried out: hold {id} is on")),
        "{findings}"
    );
    assert_eq!(tables::rows(&lake, "cart").len(), 3);
}

#[test]
fn whom_it_is_on_is_sealed_and_gone_once_it_is_lifted() {
    let lake = lake_of_old_and_young();
    let id = hold_on(&lake, ADA);
    let plan = lake.command(NOW, &["plan", "--output", "json"]);
    plan.does_not_mention("sealed");
    lake.run(NEXT_NIGHT);
    let listed = lake.command(NOW, &["hold", "list", "--output", "json"]);
    listed.does_not_mention(ADA).does_not_mention("sealed");
    let file = format!("system/holds/{id}.json");
    let placed = std::fs::read_to_string(lake.lake_file(&file)).unwrap();
    assert!(
        placed.contains("\"sealed\"") && !placed.contains(ADA),
        "{placed}"
    );
    let reports = traces::mentioning(&lake.s3().join(LAKE_BUCKET).join("system"), ADA);
    assert!(reports.is_empty(), "{reports:?}");
    lift(&lake, &id);
    let versions = lake.store(NOW).versions(LAKE_BUCKET, &file);
    assert_eq!(versions.len(), 1);
    let after = std::fs::read_to_string(lake.lake_file(&file)).unwrap();
    assert!(!after.contains("\"sealed\""), "{after}");
}

#[test]
fn nothing_is_deleted_while_nobody_can_tell_whom_a_hold_is_on() {
    let lake = lake_of_old_and_young();
    hold_on(&lake, ADA);
    let before = tables::all_rows(&lake);
    std::fs::write(lake.dir().join("lakewarden.key"), "cd".repeat(32)).unwrap();
    lake.command(LONG_AFTER, &["run"]).expect_exit(7);
    assert_eq!(tables::all_rows(&lake), before);
}

#[test]
fn rows_of_a_curated_table_that_carries_an_identifier_stay_too() {
    let lake = Lake::empty();
    let policy = "version: 1\ntable: visits\npartition_by: event_date\nincremental: by_partition\n\
                  retention: { keep: 2 years }\npii: { identifiers: { user_id: [user_id] } }\n";
    std::fs::write(lake.policy("curated/visits.yaml"), policy).unwrap();
    let query = "SELECT event_date, userId AS user_id, count(*) AS events FROM cart GROUP BY event_date, userId\n";
    std::fs::write(lake.policy("curated/visits.sql"), query).unwrap();
    let body = lines(&[event("cart", ADA, OLD), event("cart", BOB, OLD)]);
    let store = lake.store(NOW);
    store.put(bucket("cart"), &raw_key("cart", 0, 0), body);
    drop(store);
    lake.run(NOW);
    let visits = lake.lake_file("curated/visits");
    let users = || -> Vec<String> {
        let files = tables::live_files(&visits).into_keys();
        let batches: Vec<_> = files.flat_map(|file| tables::read(&file)).collect();
        let users = |batch| {
            (0..arrow::array::RecordBatch::num_rows(batch))
                .map(|row| tables::cell(batch, "user_id", row))
        };
        batches.iter().flat_map(users).collect()
    };
    assert_eq!(users().len(), 2);
    let id = hold_on(&lake, ADA);
    lake.run(LONG_AFTER);
    assert_eq!(users(), [ADA]);
    assert_eq!(rows(&lake, "cart"), ["Ada's of 2024-11-20"]);
    lake.expect_nothing_to_do(LONG_AFTER);
    lift(&lake, &id);
    lake.run(LONG_AFTER);
    assert_eq!(users(), [""; 0]);
    lake.expect_nothing_to_do(LONG_AFTER);
}

#[test]
fn an_older_version_with_a_record_of_the_person_stays_with_all_others() {
    let lake = Lake::empty();
    let key = raw_key("cart", 0, 0);
    let store = lake.store(NOW);
    let on = |user, time| event("cart", user, time);
    store.put(bucket("cart"), &key, lines(&[on(ADA, YOUNG), on(BOB, OLD)]));
    store.put(bucket("cart"), &key, lines(&[on(BOB, YOUNG), on(BOB, OLD)]));
    drop(store);
    let versions = || lake.store(NOW).versions(bucket("cart"), "").len();
    let id = hold_on(&lake, ADA);
    for night in [NOW, NEXT_NIGHT, LONG_AFTER] {
        lake.run(night);
        assert_eq!(versions(), 2, "{night}");
        lake.expect_nothing_to_do(night);
    }
    lake.request_erasure(LONG_AFTER, &format!("user_id={BOB}"));
    lake.run(LONG_AFTER);
    assert_eq!(versions(), 2);
    lift(&lake, &id);
    lake.run(LONG_AFTER);
    assert_eq!(versions(), 0);
}

#[test]
fn unfinished_uploads_may_hold_a_held_person() {
    let lake = Lake::empty();
    lake.store("2026-11-10T12:00:00Z")
        .begin_upload(bucket("payment"), "topics/payment/a.json");
    let id = hold_on(&lake, ADA);
    let told = format!(
        "1 unfinished upload under s3://acme-payment-events/topics/payment/ stays: hold {id}"
    );
    let findings = lake.run(NOW)["findings"].to_string();
    assert!(findings.contains(&told), "{findings}");
    assert_eq!(lake.store(NOW).uploads(bucket("payment")).len(), 1);
    lift(&lake, &id);
    lake.run(NOW);
    assert_eq!(lake.store(NOW).uploads(bucket("payment")), [""; 0]);
}

#[test]
fn a_hold_that_names_its_person_or_has_no_review_to_come_is_refused() {
    let lake = lake_of_old_and_young();
    let person = format!("user_id={ADA}");
    let naming = format!("litigation about {ADA}");
    for (reason, review, told) in [
        (naming.as_str(), "2027-01-31", "an identifier of the person"),
        ("litigation", "2026-11-19", "would be over already"),
    ] {
        let words = ["hold", "add", "--owner", "Legal", "--identifier", &person];
        let add = [&words[..], &["--reason", reason, "--review", review]].concat();
        lake.command(NOW, &add)
            .refused(2, &[told])
            .does_not_mention(ADA);
    }
    assert_eq!(lake.command(NOW, &["hold", "list"]).stdout, "");
    let id = hold_on(&lake, ADA);
    let lift = ["hold", "lift", &id, "--reason", &naming];
    lake.command(NOW, &lift)
        .refused(2, &["nothing was changed"]);
}
