//! Consumers and customers who come back: objects written again, versions replaced before the night, events
//! after a request.

use crate::support::command::{lakewarden_with, text};
use crate::support::events::{ADA, BOB, bucket, event, lines, raw_key, small_lake};
use crate::support::{Lake, NOW, Server, tables, traces};

const NEXT_NIGHT: &str = "2026-11-21T03:00:00Z";
const NOWHERE: [std::path::PathBuf; 0] = [];

/// A small lake from which Ada was erased.
fn lake_without_ada() -> Lake {
    let lake = small_lake();
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    lake.run(NOW);
    lake
}

#[test]
fn an_unknown_access_key_is_told_as_wrong_credentials() {
    let lake = Lake::empty();
    let server = Server::of(&lake, NOW);
    let dir = lake.dir();
    let arguments = ["plan", "--dir", text(&dir), "--endpoint", &server.endpoint];
    lakewarden_with(&arguments, &[("AWS_ACCESS_KEY_ID", "somebody")], "")
        .refused(4, &["hint: set AWS_ACCESS_KEY_ID"]);
}

#[test]
fn an_object_that_its_consumer_writes_again_does_not_bring_the_subject_back() {
    let lake = small_lake();
    let (cart, key) = (bucket("cart"), raw_key("cart", 0, 0));
    let original = lake.store(NOW).current(cart, &key).unwrap();
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    lake.run(NOW);
    lake.store(NEXT_NIGHT).put(cart, &key, original);
    lake.run(NEXT_NIGHT);
    assert_eq!(traces::mentioning(&lake.s3(), ADA), NOWHERE);
}

#[test]
fn a_late_event_in_a_version_that_was_replaced_before_the_night_goes_too() {
    let lake = lake_without_ada();
    let (cart, key) = (bucket("cart"), raw_key("cart", 0, 3));
    let store = lake.store(NEXT_NIGHT);
    store.put(
        cart,
        &key,
        lines(&[event("cart", ADA, "2026-11-19T13:00:00Z")]),
    );
    store.put(
        cart,
        &key,
        lines(&[event("cart", BOB, "2026-11-19T13:00:00Z")]),
    );
    drop(store);
    lake.run(NEXT_NIGHT);
    assert_eq!(traces::mentioning(&lake.s3(), ADA), NOWHERE);
}

#[test]
fn a_too_old_event_in_a_version_that_was_replaced_goes_too() {
    let lake = Lake::empty();
    let (cart, key) = (bucket("cart"), raw_key("cart", 0, 3));
    let store = lake.store(NOW);
    let new = event("cart", BOB, "2026-11-19T13:00:00Z");
    store.put(
        cart,
        &key,
        lines(&[event("cart", BOB, "2024-11-19T13:00:00Z"), new.clone()]),
    );
    store.put(cart, &key, lines(&[new]));
    drop(store);
    lake.run(NOW);
    let versions = lake.store(NOW).versions(cart, &key);
    assert_eq!(
        versions.len(),
        1,
        "the older one holds an event from two years and a day ago"
    );
}

#[test]
fn an_event_from_between_the_request_and_the_night_stays() {
    let lake = small_lake();
    let returned = lines(&[event("cart", ADA, "2026-11-20T09:00:00Z")]);
    lake.store(NOW)
        .put(bucket("cart"), &raw_key("cart", 0, 3), returned);
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    lake.run(NEXT_NIGHT);
    let rows = tables::rows(&lake, "cart");
    assert_eq!(rows.iter().filter(|row| row.is_of(ADA)).count(), 1);
}

#[test]
fn positions_survive_the_erasure_from_an_object_that_waits() {
    let lake = small_lake();
    lake.run(NOW);
    lake.change_policy(
        "datasets/cart.yaml",
        "on_new_field: add",
        "on_new_field: fail",
    );
    let of_bob = event("cart", BOB, "2026-11-19T13:00:00Z").replacen('{', "{\"voucher\": 1, ", 1);
    let both = lines(&[event("cart", ADA, "2026-11-19T13:00:00Z"), of_bob.clone()]);
    lake.store(NOW)
        .put(bucket("cart"), &raw_key("cart", 0, 3), both);
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    lake.run(NOW);
    lake.change_policy(
        "datasets/cart.yaml",
        "on_new_field: fail",
        "on_new_field: add",
    );
    lake.run(NOW);
    let rows = tables::rows(&lake, "cart");
    let of_voucher = rows
        .iter()
        .find(|row| row.event.contains("voucher"))
        .unwrap();
    assert_eq!(of_voucher.position, "cart/0/4");
    // So what the consumer delivers again is recognised.
    lake.store(NEXT_NIGHT)
        .put(bucket("cart"), &raw_key("cart", 0, 4), lines(&[of_bob]));
    lake.run(NEXT_NIGHT);
    let rows = tables::rows(&lake, "cart");
    assert_eq!(
        rows.iter()
            .filter(|row| row.event.contains("voucher"))
            .count(),
        1
    );
}
