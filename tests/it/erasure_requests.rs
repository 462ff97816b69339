//! The life of an erasure request, from the command line.

use std::fs;

use serde_json::Value;

use crate::killed::{meanwhile, start};
use crate::support::events::{ADA, BOB, bucket, event, lines, raw_key, small_lake};
use crate::support::lake::LAKE_BUCKET;
use crate::support::server::Request;
use crate::support::{Lake, NOW, Server, tables, traces};

fn listed(lake: &Lake, now: &str) -> Vec<Value> {
    let listed = lake
        .command(now, &["erase", "list", "--output", "json"])
        .json();
    listed.as_array().unwrap().clone()
}

fn shown(lake: &Lake, id: &str) -> Value {
    lake.command(NOW, &["erase", "show", id, "--output", "json"])
        .json()[0]
        .clone()
}

#[test]
fn a_request_lives_from_received_to_certified() {
    let lake = small_lake();
    let id = lake.request_erasure(NOW, &format!("user_id={ADA}"));
    lake.run(NOW);
    let history = shown(&lake, &id)["details"]["history"].clone();
    let states: Vec<&Value> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["state"])
        .collect();
    let begin = ["received", "planned", "erased"];
    assert!(
        states
            .iter()
            .zip(begin)
            .all(|(state, expected)| *state == expected),
        "{history}"
    );
    assert_eq!(states.last().unwrap().as_str(), Some("certified"));
}

#[test]
fn a_held_request_waits_and_goes_on_when_it_is_released() {
    let lake = small_lake();
    lake.run(NOW);
    let id = lake.request_erasure(NOW, &format!("user_id={ADA}"));
    let hold = ["erase", "hold", &id, "--reason", "a court asked"];
    lake.command(NOW, &hold).expect_exit(0);
    let before = tables::all_rows(&lake);
    lake.expect_nothing_to_do(NOW);
    lake.run(NOW);
    assert_eq!(tables::all_rows(&lake), before);
    assert_eq!(
        shown(&lake, &id)["details"]["decision"]["reason"],
        "a court asked"
    );
    lake.command(NOW, &hold).expect_exit(2);
    lake.command(NOW, &["erase", "release", &id]).expect_exit(0);
    lake.run(NOW);
    assert_eq!(lake.request_states(NOW), ["certified"]);
}

#[test]
fn a_cancelled_or_rejected_request_keeps_nothing_of_the_subject_and_erases_nothing() {
    for verb in ["cancel", "reject"] {
        let lake = small_lake();
        lake.run(NOW);
        let before = tables::all_rows(&lake);
        let id = lake.request_erasure(NOW, &format!("user_id={ADA}"));
        let file = lake.lake_file(&format!("system/erasure/requests/{id}.json"));
        let open: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let sealed = open["sealed"].as_str().unwrap().to_owned();
        let close = ["erase", verb, &id, "--reason", "Art. 17(3)(b): tax law"];
        lake.command(NOW, &close).expect_exit(0);
        assert!(traces::mentioning(&lake.s3(), &sealed).is_empty(), "{verb}");
        lake.expect_nothing_to_do(NOW);
        assert_eq!(tables::all_rows(&lake), before);
        lake.command(NOW, &close).expect_exit(2);
    }
}

#[test]
fn what_has_begun_cannot_be_cancelled() {
    let lake = small_lake();
    let id = lake.request_erasure(NOW, &format!("user_id={ADA}"));
    lake.run(NOW);
    let cancel = lake.command(NOW, &["erase", "cancel", &id, "--reason", "too late"]);
    cancel.expect_exit(2);
    assert!(cancel.stderr.contains("certified"), "{}", cancel.stderr);
}

#[test]
fn overdue_requests_come_first_and_a_deadline_can_be_extended_once() {
    let lake = small_lake();
    let later = "2026-12-01T00:00:00Z";
    let asked = [
        "erase",
        "add",
        "--received",
        "2026-10-31",
        "--identifier",
        "user_id=1",
    ];
    lake.request_erasure(NOW, "user_id=2");
    lake.command(NOW, &asked).expect_exit(0);
    let first = &listed(&lake, later)[0];
    assert_eq!(
        (&first["overdue"], &first["deadline"]),
        (&true.into(), &"2026-11-30T23:59:59Z".into())
    );
    let id = first["id"].as_str().unwrap();
    let extend = ["erase", "extend", id, "--reason", "three services at once"];
    lake.command(later, &extend).expect_exit(0);
    lake.command(later, &extend).expect_exit(2);
    let all = listed(&lake, later);
    assert_eq!(all[0]["deadline"], "2026-12-20T03:00:00Z");
    assert_eq!(all[1]["deadline"], "2027-01-31T23:59:59Z");
    assert!(all.iter().all(|one| one["overdue"] == false));
    let text = lake.command("2027-02-01T00:00:00Z", &["erase", "list"]);
    assert_eq!(text.stdout.matches("OVERDUE").count(), 2);
}

#[test]
fn who_said_what_is_kept_with_the_request() {
    let lake = small_lake();
    let add = [
        "erase",
        "add",
        "--identifier",
        "-",
        "--reference",
        "DSR-2026-117",
        "--identity-checked",
        "front desk",
        "--approved-by",
        "dpo",
    ];
    lake.command_with(NOW, &add, &format!("user_id={ADA}\n"))
        .expect_exit(0);
    let first = &listed(&lake, NOW)[0];
    assert_eq!(first["reference"], "DSR-2026-117");
    assert_eq!(first["identity_checked_by"], "front desk");
    assert_eq!(first["approved_by"], "dpo");
}

#[test]
fn a_file_with_a_bad_line_files_nothing() {
    let lake = small_lake();
    let file = format!("user_id\n{ADA}\n\"\"\n");
    let refused = lake.command_with(NOW, &["erase", "add", "--file", "-"], &file);
    refused.expect_exit(2).does_not_mention(ADA);
    assert!(refused.stderr.contains("line 3"), "{}", refused.stderr);
    assert_eq!(listed(&lake, NOW), Vec::<Value>::new());
    let file = format!("user_id\n{ADA}\n{BOB}\n");
    lake.command_with(NOW, &["erase", "add", "--file", "-"], &file)
        .expect_exit(0);
    assert_eq!(listed(&lake, NOW).len(), 2);
}

#[test]
fn another_key_than_the_one_that_sealed_is_noticed() {
    let lake = small_lake();
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    lake.run(NOW);
    fs::write(lake.dir().join("lakewarden.key"), "cd".repeat(32)).unwrap();
    // The request is certified, but the suppression list was hashed with the first key.
    let add = ["erase", "add", "--identifier", &format!("user_id={BOB}")];
    lake.command(NOW, &add).expect_exit(7).does_not_mention(BOB);
    lake.command(NOW, &["run"]).expect_exit(7);
    lake.command(NOW, &["plan"]).expect_exit(7);
    fs::remove_file(lake.dir().join("lakewarden.key")).unwrap();
    lake.command(NOW, &["run"]).expect_exit(7);
    lake.command(NOW, &["plan"]).expect_exit(7);
}

#[test]
fn every_plan_and_report_tells_open_requests_and_overdue_ones_first() {
    let lake = small_lake();
    lake.run(NOW);
    let held = lake.request_erasure(NOW, "user_id=7");
    lake.command(NOW, &["erase", "hold", &held, "--reason", "a court asked"])
        .expect_exit(0);
    let later = "2027-01-10T03:00:00Z";
    lake.request_erasure(later, &format!("user_id={ADA}"));
    let plan = lake.plan(later);
    let told = |requests: &Value| -> Vec<(String, bool)> {
        let requests = requests.as_array().unwrap().iter();
        requests
            .map(|one| {
                (
                    one["state"].as_str().unwrap().to_owned(),
                    one["overdue"] == true,
                )
            })
            .collect()
    };
    assert_eq!(
        told(&plan["requests"]),
        [("held".into(), true), ("received".into(), false)]
    );
    let text = lake.command(later, &["plan"]).stdout;
    assert!(
        text.contains("held (deadline 2026-12-20, OVERDUE)"),
        "{text}"
    );
    let report = lake.run(later);
    assert_eq!(
        told(&report["requests"]),
        [("held".into(), true), ("certified".into(), false)]
    );
}

/// What a command says of one request, on a line of its own.
fn line(lake: &Lake, arguments: &[&str], id: &str) -> String {
    let told = lake.command(NOW, arguments).stdout;
    let mut lines = told.lines();
    let line = lines.find(|line| line.contains(id) && line.contains("received"));
    line.unwrap_or_else(|| panic!("{told}")).to_owned()
}

#[test]
fn a_held_request_stops_others_for_the_same_person() {
    let lake = small_lake();
    lake.run(NOW);
    let before = tables::all_rows(&lake);
    let first = lake.request_erasure(NOW, &format!("user_id={ADA}"));
    let hold = ["erase", "hold", &first, "--reason", "is it really her?"];
    lake.command(NOW, &hold).expect_exit(0);
    let again = ["erase", "add", "--identifier", &format!("user_id={ADA}")];
    let told = lake.command(NOW, &again);
    told.expect_exit(0).does_not_mention(ADA);
    let why = format!("request {first} is on hold");
    assert!(told.stderr.contains(&why), "{}", told.stderr);
    lake.request_erasure(NOW, &format!("user_id={BOB}"));
    let second = listed(&lake, NOW)
        .iter()
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .find(|id| *id != first && told.stdout.contains(id))
        .unwrap();
    for command in [&["plan"][..], &["erase", "list"]] {
        let line = line(&lake, command, &second);
        assert!(line.contains("waits") && line.contains(&why), "{line}");
    }
    lake.run(NOW);
    let mut hers = before;
    for rows in hers.values_mut() {
        rows.retain(|row| row.is_of(ADA));
    }
    assert_eq!(tables::all_rows(&lake), hers);
    lake.command(NOW, &["erase", "release", &first])
        .expect_exit(0);
    let line = line(&lake, &["erase", "list"], &second);
    assert!(line.contains("the next run erases"), "{line}");
    lake.run(NOW);
    assert_eq!(lake.request_states(NOW), ["certified"; 3]);
}

#[test]
fn what_waits_for_a_person_says_so_and_what_it_would_hit() {
    let lake = small_lake();
    lake.run(NOW);
    let cap = "erasure: { max_rows_per_subject: 5 }\nkey:";
    lake.change_policy("lake.yaml", "key:", cap);
    let file = format!("user_id\n{BOB}\n");
    let filed = lake.command_with(NOW, &["erase", "add", "--file", "-"], &file);
    filed.expect_exit(0);
    let id = listed(&lake, NOW)[0]["id"].as_str().unwrap().to_owned();
    let why = "waits: it would hit 12 rows, more than 5";
    for command in [
        &["erase", "list"][..],
        &["erase", "show", &id],
        &["plan"],
        &["run"],
    ] {
        let line = line(&lake, command, &id);
        assert!(line.contains(why), "{line}");
    }
    let rows = |text: &str| text.contains("cart: 3 rows on") && !text.contains("no rows");
    assert!(rows(&filed.stdout), "{}", filed.stdout);
    let details = lake.command(NOW, &["erase", "show", &id]).stdout;
    assert!(rows(&details), "{details}");
    let confirmed = lake.command(NOW, &["erase", "confirm", &id, "--rows", "12"]);
    assert!(
        confirmed.stdout.contains("the next run erases"),
        "{}",
        confirmed.stdout
    );
    // What a run finds out is told as well.
    lake.change_policy("lake.yaml", "erasure: { ", "erasure: { max_linked_ids: 1, ");
    lake.run(NOW);
    let line = line(&lake, &["erase", "list"], &id);
    assert!(line.contains("waits: links lead to"), "{line}");
}

#[test]
fn a_request_for_somebody_under_a_hold_is_filed_and_says_that_it_waits() {
    let lake = small_lake();
    lake.run(NOW);
    let place = [
        "hold",
        "add",
        "--identifier",
        &format!("user_id={ADA}"),
        "--reason",
        "litigation",
        "--owner",
        "Legal",
        "--review",
        "2027-01-31",
        "--output",
        "json",
    ];
    let hold = lake.command(NOW, &place).json()[0]["id"].clone();
    let hold = hold.as_str().unwrap();
    let id = lake.request_erasure(NOW, &format!("user_id={ADA}"));
    let waits = format!("waits: hold {hold} is on the person");
    let told = line(&lake, &["erase", "show", &id], &id);
    assert!(told.contains(&waits), "{told}");
    let details = lake.command(NOW, &["erase", "show", &id]).stdout;
    assert!(details.contains("cart: 2 rows on 2 day(s)"), "{details}");
    let lift = ["hold", "lift", hold, "--reason", "settled"];
    lake.command(NOW, &lift).expect_exit(0);
    let told = line(&lake, &["erase", "list"], &id);
    assert!(told.contains("the next run erases"), "{told}");
}

#[test]
fn a_reason_does_not_name_the_subject() {
    let lake = small_lake();
    let id = lake.request_erasure(NOW, &format!("user_id={ADA}"));
    let reason = format!("a mail from {ADA}");
    for verb in ["hold", "extend", "cancel", "reject"] {
        let decide = ["erase", verb, &id, "--reason", &reason];
        let refused = lake.command(NOW, &decide);
        refused.expect_exit(2).does_not_mention(ADA);
        assert!(refused.stderr.contains("--reason"), "{}", refused.stderr);
    }
    assert_eq!(lake.request_states(NOW), ["received"]);
    assert!(traces::mentioning(&lake.s3().join(LAKE_BUCKET).join("system"), ADA).is_empty());
}

#[test]
fn a_request_that_is_held_while_a_run_is_at_work_is_left_alone_by_what_is_left_of_it() {
    let lake = small_lake();
    lake.run(NOW);
    let before = tables::all_rows(&lake);
    let id = lake.request_erasure(NOW, &format!("user_id={ADA}"));
    let server = Server::of(&lake, NOW);
    let run = start(&lake, &server, NOW);
    let suppresses = |request: &Request| request.path.contains("/erasure/suppression/");
    meanwhile(run, &server, suppresses, || {
        let hold = ["erase", "hold", &id, "--reason", "a court asked"];
        let told = server.command(&lake, NOW, &hold);
        told.expect_exit(0);
        assert!(told.stderr.contains("a run is at work"), "{}", told.stderr);
    });
    drop(server);
    assert_eq!(tables::all_rows(&lake)["product"], before["product"]);
    assert_eq!(lake.request_states(NOW), ["held"]);
    // What comes late of hers is not suppressed meanwhile.
    let old = event("product", ADA, "2026-11-18T20:00:00Z");
    let key = raw_key("product", 9, 0);
    lake.store(NOW).put(bucket("product"), &key, lines(&[old]));
    let report = lake.run(NOW);
    assert_eq!(report["datasets"]["product"]["suppressed"], 0);
    lake.command(NOW, &["erase", "release", &id]).expect_exit(0);
    lake.run(NOW);
    assert_eq!(lake.request_states(NOW), ["certified"]);
    assert!(traces::mentioning(&lake.s3(), ADA).is_empty());
}

#[test]
fn a_broken_record_that_also_names_a_person_whose_request_is_held_stays() {
    let lake = small_lake();
    let broken = format!(r#"{{"timestamp": "never", "userId": "{ADA}", "sessionId": "{BOB}"}}"#);
    let key = raw_key("cart", 9, 0);
    lake.store(NOW).put(bucket("cart"), &key, lines(&[broken]));
    lake.run(NOW);
    let first = lake.request_erasure(NOW, &format!("user_id={ADA}"));
    let hold = ["erase", "hold", &first, "--reason", "a court asked"];
    lake.command(NOW, &hold).expect_exit(0);
    lake.request_erasure(NOW, &format!("user_id={BOB}"));
    let findings = lake.run(NOW)["findings"].to_string();
    assert!(
        findings.contains("for whom another request is on hold"),
        "{findings}"
    );
    assert!(lake.store(NOW).current(bucket("cart"), &key).is_some());
    let mut states = lake.request_states(NOW);
    states.sort();
    assert_eq!(states, ["held", "planned"]);
    lake.command(NOW, &["erase", "release", &first])
        .expect_exit(0);
    lake.run(NOW);
    assert_eq!(lake.request_states(NOW), ["certified", "certified"]);
}

#[test]
fn what_comes_tonight_counts_for_the_rows_that_a_request_may_hit() {
    let lake = small_lake();
    let cap = "erasure: { max_rows_per_subject: 13 }\nkey:";
    lake.change_policy("lake.yaml", "key:", cap);
    lake.run(NOW);
    let id = lake.request_erasure(NOW, &format!("user_id={BOB}"));
    let more = [20, 21].map(|hour| event("cart", BOB, &format!("2026-11-18T{hour}:00:00Z")));
    let key = raw_key("cart", 9, 0);
    lake.store(NOW).put(bucket("cart"), &key, lines(&more));
    let findings = lake.run(NOW)["findings"].to_string();
    assert!(
        findings.contains("it would hit 14 rows, more than 13"),
        "{findings}"
    );
    lake.command(NOW, &["erase", "confirm", &id, "--rows", "14"])
        .expect_exit(0);
    lake.run(NOW);
    assert_eq!(lake.request_states(NOW), ["certified"]);
}

#[test]
fn the_name_of_a_file_in_the_inbox_is_nowhere_told() {
    let lake = small_lake();
    let store = lake.store(NOW);
    let place = format!("system/erasure/inbox/for-{ADA}.csv");
    store.put(LAKE_BUCKET, &place, b"user_id\n\"\"\n".to_vec());
    drop(store);
    let plan = lake.command(NOW, &["plan"]);
    plan.does_not_mention(ADA);
    assert!(
        plan.stdout
            .contains("erasure inbox, the file of 2026-11-20 03:00:00 UTC: line 2"),
        "{}",
        plan.stdout
    );
    lake.command(NOW, &["run"]).does_not_mention(ADA);
    let reports = lake.s3().join(LAKE_BUCKET).join("system/reports");
    assert!(traces::mentioning(&reports, ADA).is_empty());
}

#[test]
fn a_preview_shows_what_would_have_to_be_confirmed() {
    let lake = small_lake();
    lake.change_policy(
        "lake.yaml",
        "key:",
        "erasure: { max_rows_per_subject: 5 }\nkey:",
    );
    lake.run(NOW);
    let identifier = format!("user_id={BOB}");
    let preview = ["erase", "add", "--preview", "--identifier", &identifier];
    let told = lake.command(NOW, &preview);
    told.expect_exit(0);
    assert!(told.stdout.contains("cart: 3 rows on"), "{}", told.stdout);
    assert!(
        told.stderr.contains("12 rows, more than 5"),
        "{}",
        told.stderr
    );
    assert_eq!(lake.request_states(NOW), [""; 0]);
}

#[test]
fn a_hold_on_a_person_takes_no_other_key_than_requests_have() {
    let lake = small_lake();
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    lake.run(NOW);
    fs::write(lake.dir().join("lakewarden.key"), "cd".repeat(32)).unwrap();
    let place = "hold add --reason x --owner y --review 2040-01-01 --identifier";
    let bob = format!("user_id={BOB}");
    let place: Vec<&str> = place.split(' ').chain([bob.as_str()]).collect();
    lake.command(NOW, &place).expect_exit(7);
}
