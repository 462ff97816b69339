//! Events of an erased person that come later, and what only they link to that person.

use crate::support::events::{ADA, bucket, lines, raw_key, small_lake};
use crate::support::{NOW, tables, traces};

const NEXT_NIGHT: &str = "2026-11-21T03:00:00Z";
const NIGHT_AFTER: &str = "2026-11-22T03:00:00Z";

#[test]
fn ids_that_only_late_events_link_to_an_erased_person_are_followed() {
    let lake = small_lake();
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    lake.run(NOW);
    let before = tables::all_rows(&lake);
    let of = |fields: &str| format!(r#"{{"timestamp": "2026-11-18T09:00:00Z", {fields}}}"#);
    let linking = of(&format!(r#""userId": "{ADA}", "sessionId": "s-late-ada""#));
    let hers = of(r#""sessionId": "s-late-ada", "name": "Ada""#);
    let nobodys = of(r#""sessionId": "s-other""#);
    let after = r#"{"timestamp": "2026-11-20T09:00:00Z", "sessionId": "s-late-ada"}"#.to_owned();
    let store = lake.store(NEXT_NIGHT);
    let cart = lines(&[linking, hers.clone(), nobodys, after]);
    store.put(bucket("cart"), &raw_key("cart", 7, 0), cart);
    store.put(bucket("product"), &raw_key("product", 7, 0), lines(&[hers]));
    drop(store);
    let report = lake.run(NEXT_NIGHT);
    assert_eq!(report["datasets"]["cart"]["suppressed"], 1);
    let findings = report["findings"].to_string();
    assert!(
        findings.contains("late events link 1 more ids"),
        "{findings}"
    );
    assert!(!findings.contains("s-late-ada"), "{findings}");
    let open = lake.command(NEXT_NIGHT, &["erase", "list", "--open"]);
    assert!(
        open.stdout
            .contains("late events of people who were erased"),
        "{}",
        open.stdout
    );

    lake.run(NIGHT_AFTER);
    assert_eq!(lake.request_states(NIGHT_AFTER), ["certified", "certified"]);
    let mut rows = tables::all_rows(&lake);
    let mut product = before["product"].clone();
    product.retain(|row| row.day.to_string().as_str() > "2024-11-21");
    assert_eq!(rows["product"], product);
    let cart = rows.remove("cart").unwrap();
    let new: Vec<&str> = cart
        .iter()
        .filter(|row| !before["cart"].contains(row))
        .map(|row| row.event.as_str())
        .collect();
    // What came after the request is a new customer's.
    assert_eq!(new.len(), 2, "{new:?}");
    assert!(new.iter().any(|event| event.contains("s-other")), "{new:?}");
    assert!(traces::mentioning(&lake.s3(), "\"Ada\"").is_empty());
    lake.expect_nothing_to_do(NIGHT_AFTER);
}
