use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;

use super::*;
use crate::policy::PiiPolicy;

fn json(text: &str) -> Json {
    Json::parse(text.as_bytes()).unwrap()
}

fn path(dotted: &str) -> FieldPath {
    dotted.parse().unwrap()
}

fn person(kind: &str, text: &str) -> Subject {
    Subject {
        named: BTreeSet::from([Identifier::written(kind, text, Compare::Text)]),
        linked: BTreeSet::new(),
        until: DateTime::UNIX_EPOCH,
    }
}

fn users(paths: &[&str]) -> PiiPolicy {
    let paths = paths.iter().map(|dotted| path(dotted)).collect();
    PiiPolicy {
        identifiers: BTreeMap::from([("user_id".to_owned(), paths)]),
        ..PiiPolicy::default()
    }
}

#[test]
fn numbers_and_strings_are_one_customer() {
    let canonical = |text: &str| canonical(&json(text), Compare::Text);
    assert_eq!(canonical("12345").as_deref(), Some("12345"));
    assert_eq!(canonical("\"12345\"").as_deref(), Some("12345"));
    assert_eq!(canonical("12345.0").as_deref(), Some("12345"));
    assert_eq!(canonical("12345e0").as_deref(), Some("12345"));
    assert_eq!(canonical("0").as_deref(), Some("0"));
    assert_eq!(canonical("\"\"").as_deref(), Some(""));
    assert_eq!(canonical("1.5"), None);
    assert_eq!(canonical("true"), None);
    assert_eq!(canonical("[1]"), None);
}

#[test]
fn text_may_be_declared_to_be_a_number() {
    for text in ["7", "007", "+7", " 7 ", "7.0", "7.000", "0.7e1", "007.0"] {
        assert_eq!(canonical_text(text, Compare::Number), "7", "{text}");
    }
    for text in ["0", "000", "0.0", "-0", "0e5"] {
        assert_eq!(canonical_text(text, Compare::Number), "0", "{text}");
    }
    for text in ["", "-", "+", ".", "7a", "0x7", "7.5", "guest", "1 2"] {
        assert_eq!(canonical_text(text, Compare::Number), text, "{text}");
    }
    assert_eq!(canonical_text("-012", Compare::Number), "-12");
    assert_eq!(canonical_text("007", Compare::Text), "007");
}

#[test]
fn an_address_may_be_declared_to_have_no_case() {
    let fold = |text| canonical_text(text, Compare::IgnoreCase);
    assert_eq!(fold(" Ada@Example.ORG "), "ada@example.org");
    assert_eq!(fold("ÄDA@example.org"), "äda@example.org");
}

#[test]
fn a_subject_is_found_wherever_the_policy_points() {
    let roster = Roster::new(&users(&["users", "buyer.id"]), &[person("user_id", "7")]);
    let hits = |text: &str| !roster.of_event(&json(text)).is_empty();
    assert!(hits(r#"{"users":["6","7"]}"#));
    assert!(hits(r#"{"users":[[7]]}"#));
    assert!(hits(r#"{"buyer":{"id":7}}"#));
    assert!(hits(r#"{"buyer":[{"id":1},{"id":"7"}]}"#));
    assert!(hits(r#"{"buyer":{"id":"1"},"buyer":{"id":"7"}}"#));
    assert!(!hits(r#"{"users":["77"],"seller":{"id":7}}"#));
}

#[test]
fn zero_is_somebody_and_nothing_is_nobody() {
    let zero = Roster::new(&users(&["userId"]), &[person("user_id", "0")]);
    assert_eq!(zero.of_event(&json(r#"{"userId":0}"#)), [0]);
    assert_eq!(zero.of_event(&json(r#"{"userId":"0"}"#)), [0]);
    assert!(zero.of_event(&json(r#"{"userId":""}"#)).is_empty());
    let empty = Roster::new(&users(&["userId"]), &[person("user_id", "")]);
    for event in [r#"{"userId":""}"#, r#"{"userId":null}"#, "{}"] {
        assert!(empty.of_event(&json(event)).is_empty(), "{event}");
    }
}

#[test]
fn fields_that_identify_only_together_have_to_be_in_one_object() {
    let both = vec![path("cards.programme"), path("cards.number")];
    let pii = PiiPolicy {
        composites: BTreeMap::from([("loyalty".to_owned(), vec![both])]),
        ..PiiPolicy::default()
    };
    let roster = Roster::new(&pii, &[person("loyalty", "GOLD and 12")]);
    let hits = |text: &str| !roster.of_event(&json(text)).is_empty();
    assert!(hits(r#"{"cards":{"programme":"GOLD","number":12}}"#));
    assert!(hits(
        r#"{"cards":[{"programme":"BLUE","number":1},{"number":"12","programme":"GOLD"}]}"#
    ));
    assert!(!hits(
        r#"{"cards":[{"programme":"GOLD","number":1},{"programme":"BLUE","number":12}]}"#
    ));
    assert!(!hits(r#"{"cards":{"programme":"GOLD"},"number":12}"#));
    assert!(!hits(r#"{"cards":{"number":12}}"#));
    assert_eq!(roster.mentioned(b"\"GOLD\" ... \"number\": 12,"), [0]);
    assert!(roster.mentioned(b"\"GOLD\" ... \"number\": 13,").is_empty());
}

/// Ada's session was used by Bob too, on a computer that they share.
#[test]
fn a_shared_id_does_not_make_another_persons_event_the_subjects() {
    let pii = PiiPolicy {
        links: BTreeMap::from([(path("userId"), vec![path("sessionId"), path("cartId")])]),
        owners: BTreeSet::from(["user_id".to_owned()]),
        ..users(&["userId"])
    };
    let mut ada = person("user_id", "ada");
    ada.linked
        .insert(Identifier::written("sessionId", "s1", Compare::Text));
    let roster = Roster::new(&pii, &[ada]);
    let of = |text: &str| roster.of_event(&json(text));
    assert_eq!(of(r#"{"userId":"ada","sessionId":"s2"}"#), [0]);
    assert_eq!(of(r#"{"sessionId":"s1"}"#), [0], "before log-in");
    assert_eq!(of(r#"{"userId":"","sessionId":"s1"}"#), [0]);
    assert_eq!(of(r#"{"userId":null,"sessionId":"s1"}"#), [0]);
    assert!(of(r#"{"userId":"bob","sessionId":"s1"}"#).is_empty());
    assert!(of(r#"{"sessionId":"s2"}"#).is_empty());
    let links = roster.links_in(&json(r#"{"userId":"ada","sessionId":"s2","cartId":9}"#));
    assert_eq!(
        links,
        [
            Identifier::written("cartId", "9", Compare::Text),
            Identifier::written("sessionId", "s2", Compare::Text)
        ]
    );
}

#[test]
fn many_subjects_are_told_apart_and_by_time() {
    let later = Subject {
        until: "2026-01-02T00:00:00Z".parse().unwrap(),
        ..person("user_id", "2")
    };
    let roster = Roster::new(
        &users(&["userId", "guest"]),
        &[person("user_id", "1"), later],
    );
    let both = json(r#"{"userId":1,"guest":2}"#);
    assert_eq!(roster.of_event(&both), [0, 1]);
    let at = |time: &str| roster.of_event_at(&both, Some(time.parse().unwrap()));
    assert_eq!(at("1970-01-01T00:00:00Z"), [0, 1]);
    assert_eq!(at("2026-01-02T00:00:00Z"), [1]);
    assert!(at("2026-01-02T00:00:01Z").is_empty());
    assert_eq!(roster.of_event_at(&both, None), [0, 1]);
    let mut mentioned = roster.mentioned(b"{\"userId\": 1, broken \"guest\": \"2\"");
    mentioned.sort_unstable();
    assert_eq!(mentioned, [0, 1]);
}
