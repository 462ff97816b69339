//! Who belongs to a subject: events before log-in, records that hold only a payment's id, identifiers in
//! every spelling; and who does not.

use serde_json::Value;

use crate::support::events::{ADA, BOB, bucket, lines, raw_key, small_lake};
use crate::support::lake::LAKE_BUCKET;
use crate::support::{Lake, NOW, tables, traces};

const AT: &str = "2026-11-19T10:00:00Z";

fn of(fields: &str) -> String {
    format!(r#"{{"timestamp": "{AT}", {fields}}}"#)
}

fn put(lake: &Lake, dataset: &str, start: u64, events: &[String]) {
    let key = raw_key(dataset, 7, start);
    lake.store(NOW).put(bucket(dataset), &key, lines(events));
}

fn events(lake: &Lake, dataset: &str) -> Vec<String> {
    let rows = tables::rows(lake, dataset);
    let ours = rows.into_iter().filter(|row| row.position.contains("/7/"));
    ours.map(|row| row.event).collect()
}

#[test]
fn links_lead_to_events_before_log_in_and_to_what_holds_only_a_payments_id() {
    let lake = small_lake();
    let before_log_in = of(r#""sessionId": "s-ada", "items": []"#);
    let of_nobody = of(r#""sessionId": "s-none", "items": []"#);
    let bobs_in_her_session = of(&format!(r#""userId": "{BOB}", "sessionId": "s-ada""#));
    put(
        &lake,
        "product",
        0,
        &[before_log_in, of_nobody, bobs_in_her_session],
    );
    let hers = of(&format!(
        r#""userId": "{ADA}", "sessionId": "s-ada", "cartId": "c-ada""#
    ));
    put(&lake, "cart", 0, &[hers]);
    let paid = of(r#""cartId": "c-ada", "paymentId": "p-ada""#);
    let others = of(r#""cartId": "c-none", "paymentId": "p-none""#);
    put(&lake, "payment", 0, &[paid, others]);
    let receipt = of(r#""paymentId": "p-ada", "receiptId": "r-ada""#);
    put(&lake, "post_purchase", 0, &[receipt]);
    lake.run(NOW);
    let id = lake.request_erasure(NOW, &format!("user_id={ADA}"));

    let plan = lake.command(NOW, &["plan"]);
    plan.expect_exit(0).does_not_mention("s-ada");
    assert!(plan.stdout.contains("linked ids"), "{}", plan.stdout);
    lake.run(NOW);
    assert_eq!(lake.request_states(NOW), ["certified"]);
    assert_eq!(events(&lake, "product").len(), 2, "Bob's, and nobody's");
    assert_eq!(events(&lake, "cart").len(), 0);
    assert_eq!(events(&lake, "payment").len(), 1);
    assert_eq!(events(&lake, "post_purchase").len(), 0);
    for trace in ["c-ada", "p-ada", "r-ada"] {
        assert!(traces::mentioning(&lake.s3(), trace).is_empty(), "{trace}");
    }
    let shown = lake
        .command(NOW, &["erase", "show", &id, "--output", "json"])
        .json();
    // Two sessions and one of the small lake's; the cart, the payment, the receipt.
    assert!(
        shown[0]["details"]["linked_ids"].as_u64().unwrap() >= 4,
        "{shown}"
    );
}

#[test]
fn what_comes_tonight_links_too() {
    let lake = small_lake();
    lake.run(NOW);
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    // Both arrive together: what links them is not in a table when the night is planned.
    put(
        &lake,
        "cart",
        0,
        &[of(&format!(r#""userId": "{ADA}", "cartId": "c-new""#))],
    );
    put(
        &lake,
        "payment",
        0,
        &[of(r#""cartId": "c-new", "paymentId": "p-new""#)],
    );
    lake.run(NOW);
    assert_eq!(lake.request_states(NOW), ["certified"]);
    assert!(traces::mentioning(&lake.s3(), "c-new").is_empty());
    assert!(traces::mentioning(&lake.s3(), "p-new").is_empty());
}

#[test]
fn an_identifier_is_found_in_every_spelling_and_place() {
    let lake = small_lake();
    lake.change_policy(
        "datasets/cart.yaml",
        "user_id: [userId]",
        "user_id: [userId, guests.userId, payer.id]\n    email: [contact.email]",
    );
    lake.change_policy(
        "lake.yaml",
        "key:",
        "erasure: { compare: { user_id: number, email: ignore_case } }\nkey:",
    );
    let hers = [
        of(r#""userId": 12345"#),
        of(r#""userId": "12345""#),
        of(r#""userId": 12345.0"#),
        of(r#""userId": "0012345""#),
        of(r#""userId": "\u00312345""#),
        of(r#""userId": "7", "userId": "12345""#),
        of(r#""guests": [{"userId": "6"}, {"userId": "12345"}]"#),
        of(r#""payer": {"id": "12345"}"#),
        of(r#""contact": {"email": "Ada@Example.ORG"}"#),
        of(r#""contact": {"email": [" ada@example.org "]}"#),
        // Broken, so it goes to the quarantine.
        r#"{"userId": "12345", "#.to_owned(),
    ];
    let others = [
        of(r#""userId": 123456"#),
        of(r#""userId": 0"#),
        of(r#""userId": """#),
        of(r#""userId": null, "note": "12345 steps""#),
        of(r#""contact": {"email": "ada@example.org.uk"}"#),
    ];
    put(&lake, "cart", 0, &others);
    put(&lake, "cart", 100, &hers);
    lake.run(NOW);
    let before = events(&lake, "cart");
    assert_eq!(before.len(), 15);
    let both = [
        "erase",
        "add",
        "--identifier",
        "user_id=12345",
        "--identifier",
        "email=ADA@example.org",
    ];
    lake.command(NOW, &both).expect_exit(0);
    lake.run(NOW);
    let after = events(&lake, "cart");
    assert_eq!(after.len(), 5, "{after:#?}");
    assert!(after.iter().all(|event| before.contains(event)));
    assert!(traces::mentioning(&lake.s3(), "Example.ORG").is_empty());
}

#[test]
fn zero_is_a_customer_and_nothing_is_not() {
    let lake = small_lake();
    let events_of_cart = [
        of(r#""userId": 0"#),
        of(r#""userId": "0""#),
        of(r#""userId": """#),
        of("\"a\": 1"),
    ];
    put(&lake, "cart", 0, &events_of_cart);
    lake.run(NOW);
    lake.command(NOW, &["erase", "add", "--identifier", "user_id="])
        .expect_exit(2);
    lake.request_erasure(NOW, "user_id=0");
    lake.run(NOW);
    assert_eq!(events(&lake, "cart").len(), 2);
}

#[test]
fn an_identifier_that_many_share_waits_for_a_person() {
    let lake = small_lake();
    lake.change_policy(
        "lake.yaml",
        "key:",
        "erasure: { max_rows_per_subject: 5 }\nkey:",
    );
    lake.run(NOW);
    let before = tables::all_rows(&lake);
    let add = ["erase", "add", "--identifier", &format!("user_id={BOB}")];
    let refused = lake.command(NOW, &add);
    refused.expect_exit(5).does_not_mention(BOB);
    assert!(
        refused.stderr.contains("12 rows, more than 5"),
        "{}",
        refused.stderr
    );
    assert_eq!(lake.request_states(NOW), [""; 0]);

    // From a file it is filed, and no run touches it before somebody confirms it.
    let file = format!("user_id,reference\n{BOB},T-1\n");
    lake.command_with(NOW, &["erase", "add", "--file", "-"], &file)
        .expect_exit(0);
    let report = lake.run(NOW);
    assert!(
        report["findings"]
            .to_string()
            .contains("12 rows, more than 5")
    );
    assert_eq!(tables::all_rows(&lake), before);
    let listed = lake
        .command(NOW, &["erase", "list", "--output", "json"])
        .json();
    let id = listed[0]["id"].as_str().unwrap();
    assert_eq!(listed[0]["reference"], "T-1");
    lake.command(NOW, &["erase", "confirm", id, "--rows", "12"])
        .expect_exit(0);
    lake.run(NOW);
    assert_eq!(lake.request_states(NOW), ["certified"]);
}

#[test]
fn links_that_lead_to_too_many_ids_wait_for_a_person() {
    let lake = small_lake();
    lake.change_policy("lake.yaml", "key:", "erasure: { max_linked_ids: 1 }\nkey:");
    lake.run(NOW);
    lake.command(
        NOW,
        &["erase", "add", "--identifier", &format!("user_id={ADA}")],
    )
    .expect_exit(5)
    .does_not_mention(ADA);
}

#[test]
fn a_request_shows_beforehand_what_it_hits() {
    let lake = small_lake();
    lake.run(NOW);
    let add = [
        "erase",
        "add",
        "--preview",
        "--identifier",
        &format!("user_id={ADA}"),
    ];
    let preview = lake.command(NOW, &add);
    preview.expect_exit(0).does_not_mention(ADA);
    assert!(
        preview
            .stdout
            .contains("cart: 2 rows on 2 day(s) from 2026-11-18 to 2026-11-19"),
        "{}",
        preview.stdout
    );
    assert_eq!(lake.request_states(NOW), [""; 0], "nothing was filed");
}

#[test]
fn a_curated_table_that_carries_an_identifier_loses_the_rows() {
    let lake = small_lake();
    let policy = "version: 1\ntable: visits\npartition_by: event_date\nincremental: by_partition\n\
                  retention: { keep: 2 years }\npii: { identifiers: { user_id: [user_id] } }\n";
    std::fs::write(lake.policy("curated/visits.yaml"), policy).unwrap();
    let query = "SELECT event_date, userId AS user_id, count(*) AS events FROM cart GROUP BY event_date, userId\n";
    std::fs::write(lake.policy("curated/visits.sql"), query).unwrap();
    lake.run(NOW);
    let visits = lake.lake_file("curated/visits");
    let users = || -> Vec<String> {
        let mut users = Vec::new();
        for file in tables::live_files(&visits).into_keys() {
            for batch in tables::read(&file) {
                users.extend((0..batch.num_rows()).map(|row| tables::cell(&batch, "user_id", row)));
            }
        }
        users
    };
    assert!(users().contains(&ADA.to_owned()));
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    let plan = lake.plan(NOW);
    assert!(plan["steps"].to_string().contains("erase-visits"));
    let report = lake.run(NOW);
    assert_eq!(report["curated"]["visits"]["erased_rows"], 2);
    assert_eq!(users(), [BOB, BOB, BOB]);
    assert_eq!(lake.request_states(NOW), ["certified"]);
    assert!(traces::mentioning(&lake.s3(), ADA).is_empty());
}

#[test]
fn requests_that_another_system_drops_into_the_lake_are_carried_out_the_same_night() {
    let lake = small_lake();
    lake.run(NOW);
    let inbox = "system/erasure/inbox/portal.jsonl";
    let dropped =
        format!("{{\"user_id\": {ADA}, \"reference\": \"P-7\", \"received\": \"2026-11-20\"}}\n");
    lake.store(NOW).put(LAKE_BUCKET, inbox, dropped);
    let bad = format!("user_id,colour\n{BOB},red\n");
    lake.store(NOW)
        .put(LAKE_BUCKET, "system/erasure/inbox/bad.csv", bad);
    lake.command(NOW, &["plan"])
        .expect_exit(0)
        .does_not_mention(ADA)
        .does_not_mention(BOB);
    let report = lake.run(NOW);
    let findings = report["findings"].to_string();
    assert!(
        findings.contains("erasure inbox, the file of 2026-11-20 03:00:00 UTC: line 1"),
        "{findings}"
    );
    let listed = lake
        .command(NOW, &["erase", "list", "--output", "json"])
        .json();
    let told: Vec<&Value> = vec![
        &listed[0]["state"],
        &listed[0]["reference"],
        &listed[0]["received"],
    ];
    assert_eq!(told, ["certified", "P-7", NOW]);
    assert!(traces::mentioning(&lake.s3(), ADA).is_empty());
    assert_eq!(tables::rows(&lake, "cart").len(), 3);
}

#[test]
fn events_within_the_grace_after_a_request_are_still_the_subjects() {
    let lake = small_lake();
    lake.change_policy("lake.yaml", "key:", "erasure: { late_grace: 2 h }\nkey:");
    lake.run(NOW);
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    lake.run(NOW);
    let at = |time: &str| format!(r#"{{"timestamp": "{time}", "userId": "{ADA}"}}"#);
    let arrived = [at("2026-11-20T05:00:00Z"), at("2026-11-20T05:00:01Z")];
    let next_night = "2026-11-21T03:00:00Z";
    lake.store(next_night)
        .put(bucket("cart"), &raw_key("cart", 7, 0), lines(&arrived));
    let report = lake.run(next_night);
    assert_eq!(report["datasets"]["cart"]["suppressed"], 1);
    let left = events(&lake, "cart");
    assert_eq!(left.len(), 1);
    assert!(left[0].contains("05:00:01"), "{left:?}");
}

#[test]
fn an_identifier_of_two_fields_is_both_in_one_object() {
    let lake = small_lake();
    lake.change_policy(
        "datasets/cart.yaml",
        "user_id: [userId]",
        "user_id: [userId]\n    member: [club and number, cards.club and cards.number]",
    );
    let hers = [
        of(r#""club": "gold", "number": 17"#),
        of(r#""cards": [{"club": "tin", "number": 3}, {"club": "gold", "number": "17"}]"#),
    ];
    let others = [
        of(r#""club": "gold", "number": 18"#),
        of(r#""club": "gold", "other": {"number": 17}"#),
        of(r#""cards": [{"club": "gold", "number": 3}, {"club": "tin", "number": 17}]"#),
    ];
    put(&lake, "cart", 0, &others);
    put(&lake, "cart", 100, &hers);
    lake.run(NOW);
    let before = events(&lake, "cart");
    assert_eq!(before.len(), 5);
    let id = lake.request_erasure(NOW, "member=gold and 17");
    let verify = ["erase", "verify", &id, "--identifier", "-"];
    let found = lake.command_with(NOW, &verify, "member=gold and 17\n");
    found.expect_exit(1);
    assert!(
        found.stdout.contains("value at an identifier field"),
        "{}",
        found.stdout
    );

    lake.run(NOW);
    assert_eq!(lake.request_states(NOW), ["certified"]);
    let after = events(&lake, "cart");
    assert_eq!(after.len(), 3, "{after:#?}");
    assert!(after.iter().all(|event| before.contains(event)));
    let nothing = lake.command_with(NOW, &verify, "member=gold and 17\n");
    nothing.expect_exit(0);
    assert!(
        nothing.stdout.contains("nothing found"),
        "{}",
        nothing.stdout
    );
}

/// An event with a map that is keyed by mail addresses.
fn keyed(time: &str, addresses: &[&str]) -> String {
    let members: Vec<String> = addresses
        .iter()
        .map(|address| format!(r#""{address}": {{"tickets": 2}}"#))
        .collect();
    format!(
        r#"{{"timestamp": "{time}", "guests": {{"count": 1, {}}}}}"#,
        members.join(", ")
    )
}

#[test]
fn people_by_whom_a_map_is_keyed_are_found_and_become_no_columns() {
    let lake = small_lake();
    let (hers, his) = ("ada.lovelace@example.org", "bob@example.org");
    let events_of_cart = [
        keyed("2026-11-18T10:00:00Z", &[hers]),
        keyed("2026-11-18T11:00:00Z", &[his]),
        keyed("2026-11-19T10:00:00Z", &[his, "Ada.Lovelace@Example.org"]),
    ];
    put(&lake, "cart", 0, &events_of_cart);
    lake.run(NOW);
    let logs = lake.lake_file("events/cart/_delta_log");
    let has_columns = |name: &str| !traces::mentioning(&logs, name).is_empty();
    assert!(has_columns("guests") && !has_columns("example.org"));
    let identifiers = "user_id: [userId]";
    lake.change_policy(
        "datasets/cart.yaml",
        identifiers,
        &format!("{identifiers}\n    email: [guests]"),
    );
    let compare = "erasure: { compare: { email: ignore_case } }\nkey:";
    lake.change_policy("lake.yaml", "key:", compare);
    let before = events(&lake, "cart");
    lake.request_erasure(NOW, &format!("email={hers}"));
    lake.run(NOW);
    assert_eq!(lake.request_states(NOW), ["certified"]);
    let mut left = before;
    left.retain(|event| !event.to_lowercase().contains(hers));
    assert_eq!(events(&lake, "cart"), left);
    assert!(left.iter().any(|event| event.contains(his)));
    assert!(traces::mentioning(&lake.s3(), "ada.lovelace").is_empty());
}

#[test]
fn a_person_is_told_what_to_do_about_a_field_that_no_policy_names() {
    let lake = small_lake();
    let hers = "ada.lovelace@example.org";
    let by_mail = format!(r#""byMail": {{"{hers}": 1}}, "userId": "{BOB}""#);
    put(&lake, "cart", 0, &[of(&by_mail)]);
    lake.run(NOW);
    let identifiers = "user_id: [userId]";
    let with = |field: &str| format!("{identifiers}\n    email: [{field}]");
    lake.change_policy("datasets/cart.yaml", identifiers, &with("contact.email"));
    lake.request_erasure(NOW, &format!("email={hers}"));
    let findings = lake.run(NOW)["findings"].to_string();
    let told = "to do: list the field that it stands in under `identifiers`";
    assert!(findings.contains(told), "{findings}");
    assert_eq!(lake.request_states(NOW), ["received"]);
    lake.change_policy(
        "datasets/cart.yaml",
        "[contact.email]",
        "[contact.email, byMail]",
    );
    lake.run(NOW);
    assert_eq!(lake.request_states(NOW), ["certified"]);
    assert!(traces::mentioning(&lake.s3(), hers).is_empty());
}

#[test]
fn a_curated_row_of_a_customer_who_came_back_the_same_day_stays() {
    let lake = small_lake();
    let policy = "version: 1\ntable: visits\npartition_by: event_date\nincremental: by_partition\n\
                  retention: { keep: 2 years }\npii: { identifiers: { user_id: [visitor] } }\n";
    std::fs::write(lake.policy("curated/visits.yaml"), policy).unwrap();
    let query = "SELECT event_date, userId AS visitor, count(*) AS events FROM cart GROUP BY event_date, userId\n";
    std::fs::write(lake.policy("curated/visits.sql"), query).unwrap();
    lake.run(NOW);
    let visits = lake.lake_file("curated/visits");
    let hers = || {
        let files = tables::live_files(&visits).into_keys();
        let batches: Vec<_> = files.flat_map(|file| tables::read(&file)).collect();
        let visitors = batches
            .iter()
            .flat_map(|batch| (0..batch.num_rows()).map(|row| tables::cell(batch, "visitor", row)));
        visitors.filter(|visitor| visitor == ADA).count()
    };
    assert_eq!(hers(), 2);
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    let back = format!(r#"{{"timestamp": "2026-11-20T12:00:00Z", "userId": "{ADA}"}}"#);
    put(&lake, "cart", 0, &[back]);
    let night = "2026-11-21T03:00:00Z";
    lake.run(night);
    assert_eq!(lake.request_states(night), ["certified"]);
    assert_eq!((events(&lake, "cart").len(), hers()), (1, 1));
    // Another request of hers, from before she came back, takes nothing of that day, nor does it lose it.
    let ada = format!("user_id={ADA}");
    let asked = [
        "erase",
        "add",
        "--received",
        "2026-11-19",
        "--identifier",
        &ada,
    ];
    lake.command(night, &asked).expect_exit(0);
    lake.run(night);
    assert_eq!(lake.request_states(night), ["certified", "certified"]);
    assert_eq!(hers(), 1);
}
