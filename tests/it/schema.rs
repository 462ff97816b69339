//! The table owns its schema: what becomes of it shows in the plan before it happens.

use serde_json::{Value, json};

use crate::support::events::{BOB, bucket, event, lines, raw_key, small_lake};
use crate::support::{Lake, NOW, Server, tables};

const NEXT_NIGHT: &str = "2026-11-20T22:00:00Z";

/// A small lake after a night, and what the cart brings before the next: two events with a voucher, one
/// of them in a map that somebody keyed by customer.
fn lake_with_new_fields() -> Lake {
    let lake = small_lake();
    lake.run(NOW);
    let plain = event("cart", BOB, "2026-11-19T08:00:00Z");
    let with = |fields: &str| plain.replacen('{', &format!("{{{fields}, "), 1);
    let records = [
        with(r#""voucher": "SUMMER""#),
        with(r#""voucher": "WINTER", "visits": {"5550001": 3}"#),
        plain.clone(),
    ];
    let store = lake.store(NEXT_NIGHT);
    store.put(bucket("cart"), &raw_key("cart", 3, 0), lines(&records));
    drop(store);
    lake
}

fn plan_text(lake: &Lake) -> String {
    let outcome = lake.command(NEXT_NIGHT, &["plan"]);
    outcome.expect_exit(0);
    outcome.does_not_mention("5550001");
    outcome.stdout
}

#[test]
fn a_plan_tells_new_columns_before_they_come() {
    let lake = lake_with_new_fields();
    let text = plan_text(&lake);
    let expected = "
  schema of cart (from a sample of 3 events in 1 of 1 object):
    + voucher: text   (in 2 events)
    ~ visits: stays in _rescued, names in it look like values that a map is keyed by; if they identify people, \
         list it under `identifiers`
";
    assert!(text.contains(expected), "{text}");
    assert!(!text.contains("schema of payment"), "{text}");
    let report = lake.run(NEXT_NIGHT);
    assert_eq!(
        report["datasets"]["cart"]["columns_added"],
        json!(["voucher: text"])
    );
    assert_eq!(report["datasets"]["payment"]["columns_added"], json!([]));
    assert_eq!(lake.plan(NEXT_NIGHT)["schema"], json!({}));
}

#[test]
fn a_plan_tells_what_stays_out() {
    for (rule, expected) in [
        (
            "rescue",
            "    ~ voucher: stays in _rescued, the policy says `on_new_field: rescue`\n",
        ),
        (
            "fail",
            "    ! voucher: objects that bring it are refused, the policy says `on_new_field: fail`\n",
        ),
    ] {
        let lake = lake_with_new_fields();
        let to = format!("on_new_field: {rule}");
        lake.change_policy("datasets/cart.yaml", "on_new_field: add", &to);
        let text = plan_text(&lake);
        assert!(text.contains(expected), "{text}");
        let report = lake.run(NEXT_NIGHT);
        assert_eq!(report["datasets"]["cart"]["columns_added"], json!([]));
    }
}

#[test]
fn of_a_first_night_the_number_of_columns_is_told() {
    let lake = small_lake();
    let text = lake.command(NOW, &["plan"]).stdout;
    // eventType, timestamp, userId, sessionId, items.{itemName, totalPrice, isInsuranceAdded}, deviceDetails.
    let expected = "\n  schema of cart (from a sample of 5 events in 2 of 2 objects): a new table of 8 columns\n";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn what_cannot_be_read_is_passed_over() {
    let lake = lake_with_new_fields();
    let server = Server::of(&lake, NEXT_NIGHT);
    let planned = server.command(&lake, NEXT_NIGHT, &["plan", "--output", "json"]);
    let whole = planned.json();
    assert_eq!(server.mutations(), []);
    drop(server);
    // Another content under the same entity tag does not exist; a broken one is enough.
    let store = lake.store(NEXT_NIGHT);
    store.put(bucket("cart"), &raw_key("cart", 4, 0), "{\"broken\": ");
    drop(store);
    let plan = lake.plan(NEXT_NIGHT);
    assert_eq!(plan["schema"]["cart"]["objects"], 2);
    assert_eq!(
        plan["schema"]["cart"]["fields"],
        whole["schema"]["cart"]["fields"]
    );
}

#[test]
fn declared_types_hold_from_the_first_sight_on() {
    let lake = small_lake();
    let types =
        "on_new_field: add\n  types: { userId: integer, items.totalPrice: text, voucher: text }";
    lake.change_policy("datasets/cart.yaml", "on_new_field: add", types);
    lake.run(NOW);
    let before = tables::rows(&lake, "cart");
    assert_eq!(before.len(), 5);
    let schema = schema_of(&lake);
    assert_eq!(schema["userId"], "long");
    assert_eq!(
        schema["items"]["elementType"]["fields"]
            .as_array()
            .unwrap()
            .iter()
            .find(|field| field["name"] == "totalPrice")
            .unwrap()["type"],
        "string"
    );

    // Another mind, another type: the table stays as it is, and a person is told.
    lake.change_policy("datasets/cart.yaml", "userId: integer", "userId: text");
    let findings = lake.plan(NEXT_NIGHT)["findings"].to_string();
    assert!(
        findings.contains("the event table of cart has `userId` as integer"),
        "{findings}"
    );
    lake.expect_nothing_to_do(NEXT_NIGHT);
    lake.run(NEXT_NIGHT);
    assert_eq!(tables::rows(&lake, "cart"), before);
    assert_eq!(schema_of(&lake)["userId"], "long");
}

/// The types of the cart's columns by name, as its log says.
fn schema_of(lake: &Lake) -> Value {
    let mut schema = Value::Null;
    for commit in tables::commits(&tables::table(lake, "cart")) {
        let text = std::fs::read_to_string(commit).unwrap();
        for line in text.lines() {
            let action: Value = serde_json::from_str(line).unwrap();
            if let Some(text) = action["metaData"]["schemaString"].as_str() {
                schema = serde_json::from_str(text).unwrap();
            }
        }
    }
    let fields = schema["fields"].as_array().unwrap().iter();
    fields
        .map(|field| {
            (
                field["name"].as_str().unwrap().to_owned(),
                field["type"].clone(),
            )
        })
        .collect::<serde_json::Map<_, _>>()
        .into()
}
