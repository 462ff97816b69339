//! Raw objects are looked for where they turn up, and nothing is overlooked for long.

use serde_json::Value;

use crate::support::events::{ADA, BOB, bucket, event, lines};
use crate::support::server::Request;
use crate::support::{Lake, NOW, Server, tables};

const NEXT_NIGHT: &str = "2026-11-21T03:00:00Z";
const DATES: &str = "dates: \"year=%Y/month=%m/day=%d/hour=%H/\"";

/// An empty lake whose cart policy has this under `discovery`.
fn lake_with(discovery: &str) -> Lake {
    let lake = Lake::empty();
    let keep = "  keep: 30 days after compaction\n";
    let more = format!("{keep}  discovery: {{ {discovery} }}\n");
    lake.change_policy("datasets/cart.yaml", keep, &more);
    lake
}

/// A key that the writer dates so.
fn dated(day: &str, offset: u64) -> String {
    let (year, rest) = day.split_once('-').unwrap();
    let (month, day) = rest.split_once('-').unwrap();
    format!("topics/cart/year={year}/month={month}/day={day}/hour=10/cart+0+{offset:010}.json")
}

fn body(time: &str) -> Vec<u8> {
    lines(&[event("cart", BOB, time)])
}

/// Puts an object with one event.
fn put(lake: &Lake, key: &str, time: &str) {
    lake.store(NOW).put(bucket("cart"), key, body(time));
}

/// The prefixes by which the versions of the cart's bucket were listed.
fn listed(requests: &[Request]) -> Vec<String> {
    let of_cart = format!("/{}?", bucket("cart"));
    let of_cart = requests
        .iter()
        .filter(|request| request.path.replace("/?", "?").starts_with(&of_cart));
    let mut prefixes: Vec<String> = of_cart
        .filter(|request| request.path.contains("versions"))
        .map(|request| {
            let (_, rest) = request.path.split_once("prefix=").unwrap();
            let prefix = rest.split('&').next().unwrap();
            prefix
                .replace("%2F", "/")
                .replace("%3D", "=")
                .replace("%2B", "+")
        })
        .collect();
    prefixes.sort();
    prefixes
}

fn looked_at(plan: &Value) -> &Value {
    &plan["coverage"]["cart"]["looked_at"]
}

fn compacted(report: &Value) -> &Value {
    &report["datasets"]["cart"]["objects"]
}

#[test]
fn what_a_hold_kept_is_looked_for_again_once_it_is_lifted() {
    let lake = lake_with(DATES);
    let key = dated("2026-09-01", 0);
    put(&lake, &key, "2024-11-21T09:00:00Z");
    put(&lake, &dated("2026-11-20", 1), "2026-11-19T09:00:00Z");
    lake.run(NOW);
    let because = ["--reason", "x", "--owner", "y", "--review", "2027-01-01"];
    let add = [&["hold", "add", "--output", "json"][..], &because].concat();
    let held = lake.command(NOW, &add).json();
    let nights = [22, 23].map(|day| format!("2026-11-{day}T03:00:00Z"));
    for night in &nights {
        put(&lake, &dated("2026-11-21", 2), "2026-11-21T09:00:00Z");
        lake.run(night);
        assert!(lake.store(night).current(bucket("cart"), &key).is_some());
    }
    let id = held[0]["id"].as_str().unwrap();
    let lift = ["hold", "lift", id, "--reason", "settled"];
    lake.command(&nights[1], &lift).expect_exit(0);
    lake.run(&nights[1]);
    assert_eq!(lake.store(&nights[1]).current(bucket("cart"), &key), None);
}

#[test]
fn a_night_lists_the_window_and_not_the_past() {
    let lake = lake_with(DATES);
    let store = lake.store(NOW);
    for day in 1..=20 {
        let key = dated(&format!("2026-09-{day:02}"), day);
        store.put(bucket("cart"), &key, body("2026-11-18T09:00:00Z"));
    }
    drop(store);
    let first = lake.run(NOW);
    assert_eq!(looked_at(&first), "everything");
    assert_eq!(compacted(&first), 20);
    lake.expect_nothing_to_do(NOW);

    put(&lake, &dated("2026-11-20", 100), "2026-11-20T09:00:00Z");
    put(&lake, &dated("2026-11-17", 101), "2026-11-17T09:00:00Z");
    put(&lake, &dated("2026-11-01", 102), "2026-11-01T09:00:00Z");
    let server = Server::of(&lake, NEXT_NIGHT);
    let plan = server.command(&lake, NEXT_NIGHT, &["plan"]);
    assert_eq!(server.mutations(), [], "a dry run remembers nothing");
    // Three days before the last listing, and a day more on both sides.
    let days = [16, 17, 18, 19, 20, 21, 22];
    let window = days.map(|day| format!("topics/cart/year=2026/month=11/day={day}"));
    assert_eq!(listed(&server.requests()), window);
    let told = "raw objects of cart: listed from 2026-11-17 on, and what is due; all of them last as of \
                2026-11-20 03:00 UTC";
    assert!(plan.stdout.contains(told), "{}", plan.stdout);
    assert!(!plan.stdout.contains("raw objects of payment:"));
    drop(server);

    let report = lake.run(NEXT_NIGHT);
    assert_eq!(looked_at(&report), "new");
    assert_eq!(compacted(&report), 2, "the new one and the late one");
    lake.expect_nothing_to_do(NEXT_NIGHT);

    // A week after the last sweep comes the next.
    let report = lake.run("2026-11-27T02:59:59Z");
    assert_eq!(
        (looked_at(&report), compacted(&report)),
        (&"new".into(), &0.into())
    );
    let report = lake.run("2026-11-27T03:00:00Z");
    assert_eq!(looked_at(&report), "everything");
    assert_eq!(compacted(&report), 1, "what came under a day long past");
    assert_eq!(tables::rows(&lake, "cart").len(), 23);
    let plan = lake.plan("2026-11-27T03:00:00Z");
    assert_eq!(looked_at(&plan), "new");
    assert_eq!(plan["steps"], serde_json::json!([]));
}

#[test]
fn nights_that_did_not_take_place_narrow_no_window() {
    let lake = lake_with(DATES);
    put(&lake, &dated("2026-11-19", 1), "2026-11-19T09:00:00Z");
    lake.run(NOW);
    put(&lake, &dated("2026-11-18", 2), "2026-11-18T09:00:00Z");
    let report = lake.run("2026-11-26T03:00:00Z");
    assert_eq!(looked_at(&report), "new");
    assert_eq!(compacted(&report), 1);
}

#[test]
fn keys_that_do_not_follow_the_pattern_are_found_by_the_sweep() {
    let lake = lake_with(&format!("{DATES}, sweep: 2 days"));
    put(&lake, &dated("2026-11-19", 1), "2026-11-19T09:00:00Z");
    lake.run(NOW);
    put(
        &lake,
        "topics/cart/replayed/cart+0+0000000007.json",
        "2026-11-19T10:00:00Z",
    );
    assert_eq!(compacted(&lake.run(NEXT_NIGHT)), 0);
    assert_eq!(compacted(&lake.run("2026-11-22T03:00:00Z")), 1);
}

#[test]
fn keys_that_only_grow_are_listed_from_the_known_ones_on() {
    let lake = lake_with("order: ascending, late: 1 day");
    let key = |partition: u32, offset: u64| {
        format!("topics/cart/partition={partition}/cart+{partition}+{offset:010}.json")
    };
    for partition in 0..2 {
        for offset in [100, 200] {
            put(&lake, &key(partition, offset), "2026-11-19T09:00:00Z");
        }
    }
    lake.run(NOW);
    put(&lake, &key(0, 300), "2026-11-22T09:00:00Z");
    assert_eq!(compacted(&lake.run("2026-11-23T03:00:00Z")), 1);

    put(&lake, &key(1, 300), "2026-11-23T09:00:00Z");
    put(&lake, &key(7, 0), "2026-11-23T10:00:00Z");
    put(&lake, &key(0, 50), "2026-11-23T11:00:00Z");
    let night = "2026-11-24T03:00:00Z";
    let server = Server::of(&lake, night);
    let report = server
        .command(&lake, night, &["run", "--output", "json"])
        .json();
    assert_eq!(looked_at(&report), "new");
    assert_eq!(compacted(&report), 2, "the next one and the new partition");
    let listings = listed(&server.requests());
    assert_eq!(
        listings, ["topics/cart/"; 3],
        "a range before each partition, and the rest"
    );
    drop(server);
    assert_eq!(
        compacted(&lake.run("2026-11-27T03:00:00Z")),
        1,
        "by the sweep"
    );
}

#[test]
fn raw_objects_go_on_time_and_not_with_the_sweep() {
    let lake = lake_with(&format!("{DATES}, sweep: 3 months"));
    put(&lake, &dated("2026-05-01", 1), "2026-11-19T09:00:00Z");
    put(&lake, "topics/cart/odd.json", "2026-11-19T10:00:00Z");
    lake.run(NOW);
    lake.run("2026-12-20T02:59:59Z");
    assert_eq!(lake.store(NOW).versions(bucket("cart"), "").len(), 2);
    let plan = lake.plan("2026-12-20T02:59:59Z");
    let due = plan["due"].to_string();
    assert!(
        due.contains("raw objects of cart go, 30 days after compaction"),
        "{due}"
    );

    let report = lake.run("2026-12-20T03:00:00Z");
    assert_eq!(looked_at(&report), "new");
    assert_eq!(report["datasets"]["cart"]["raw_deleted"], 2);
    assert_eq!(lake.store(NOW).versions(bucket("cart"), ""), []);
    lake.expect_nothing_to_do("2026-12-20T03:00:00Z");

    // What went is not looked for again.
    let night = "2026-12-21T03:00:00Z";
    let server = Server::of(&lake, night);
    server.command(&lake, night, &["plan"]).expect_exit(0);
    let listings = listed(&server.requests());
    assert!(
        !listings.iter().any(|prefix| prefix.contains("month=05")),
        "{listings:?}"
    );
}

#[test]
fn events_leave_raw_objects_on_their_day() {
    let lake = lake_with(&format!("{DATES}, sweep: 3 months"));
    let (old, young) = ("2024-11-21T09:00:00Z", "2026-11-19T09:00:00Z");
    let events = [event("cart", BOB, old), event("cart", BOB, young)];
    let key = dated("2026-05-01", 1);
    lake.store(NOW).put(bucket("cart"), &key, lines(&events));
    lake.run(NOW);
    lake.run("2026-11-21T03:00:00Z");
    let current = || lake.store(NOW).current(bucket("cart"), &key).unwrap();
    assert_eq!(current(), lines(&events));
    let report = lake.run("2026-11-22T03:00:00Z");
    assert_eq!(looked_at(&report), "new");
    assert_eq!(current(), lines(&events[1..]));
    lake.expect_nothing_to_do("2026-11-22T03:00:00Z");
}

#[test]
fn an_open_erasure_request_sees_every_version() {
    let lake = lake_with(DATES);
    let hers = lines(&[event("cart", ADA, "2026-11-18T09:00:00Z")]);
    let key = dated("2026-05-01", 1);
    lake.store(NOW).put(bucket("cart"), &key, hers);
    put(&lake, &dated("2026-11-19", 2), "2026-11-19T09:00:00Z");
    lake.run(NOW);
    assert_eq!(looked_at(&lake.plan(NEXT_NIGHT)), "new");
    lake.request_erasure(NEXT_NIGHT, &format!("user_id={ADA}"));
    let report = lake.run(NEXT_NIGHT);
    assert_eq!(looked_at(&report), "everything");
    assert_eq!(lake.request_states(NEXT_NIGHT), ["certified"]);
    assert_eq!(lake.store(NOW).versions(bucket("cart"), &key), []);
    lake.expect_nothing_to_do(NEXT_NIGHT);
}

#[test]
fn after_a_change_of_the_policies_everything_is_looked_at() {
    let lake = lake_with(DATES);
    put(&lake, &dated("2026-11-19", 1), "2026-11-19T09:00:00Z");
    lake.run(NOW);
    assert_eq!(looked_at(&lake.plan(NEXT_NIGHT)), "new");
    lake.change_policy(
        "datasets/cart.yaml",
        "on_new_field: add",
        "on_new_field: rescue",
    );
    assert_eq!(looked_at(&lake.plan(NEXT_NIGHT)), "everything");
}

#[test]
fn a_saved_plan_is_held_against_what_it_names() {
    let lake = lake_with(DATES);
    put(&lake, &dated("2026-11-19", 1), "2026-11-19T09:00:00Z");
    lake.run(NOW);
    let outside = dated("2026-05-01", 2);
    put(&lake, &outside, "2026-11-19T10:00:00Z");
    let request = lake.request_erasure(NEXT_NIGHT, &format!("user_id={ADA}"));
    let file = lake.dir().join("plan.json");
    let plan = lake.plan(NEXT_NIGHT);
    assert_eq!(looked_at(&plan), "everything");
    std::fs::write(&file, plan.to_string()).unwrap();
    let cancel = ["erase", "cancel", &request, "--reason", "withdrawn"];
    lake.command(NEXT_NIGHT, &cancel).expect_exit(0);
    // Without a request, a listing of its own would not come by that object.
    assert_eq!(lake.plan(NEXT_NIGHT)["steps"], serde_json::json!([]));
    let apply = ["apply", file.to_str().unwrap(), "--output", "json"];
    assert_eq!(compacted(&lake.command(NEXT_NIGHT, &apply).json()), 1);
}
