//! An identifier of several fields is found where its parts stand together, and nowhere else.

use arrow::array::{ArrayRef, StructArray};
use arrow::datatypes::Field;

use super::table_files::{CURATED, EVENTS, file, integers, list, texts, times};
use super::{ADA, CLUB, EARLIER, LAKE, LATER, NUMBER, RAW, coverage_of, event, forms};
use crate::erasure::verify::Coverage;

const FIELD: &str = "value at an identifier field";

fn assert_nothing(coverage: &Coverage, what: &str) {
    assert!(coverage.is_clean(), "{what}: {coverage:?}");
    assert_eq!(coverage.mentions, 0, "{what}");
}

#[tokio::test]
async fn in_one_object_of_an_event() {
    for together in [
        r#", "club": "gold", "number": 17"#,
        r#", "number": "17", "x": {"number": 3}, "club": ["gold"]"#,
        r#", "cards": [{"club": "tin", "number": 1}, {"club": "gold", "number": 17.0}]"#,
        r#", "cards": {"number": [3, [17]], "club": "gold"}"#,
    ] {
        let coverage = coverage_of(RAW, "cart/a.json", event("1", EARLIER, together)).await;
        assert_eq!(forms(&coverage), [FIELD], "{together}");
        let coverage = coverage_of(RAW, "cart/a.json", event("1", LATER, together)).await;
        assert_nothing(&coverage, together);
        assert_eq!(coverage.later_events, 1, "{together}");
    }
    for apart in [
        r#", "club": "gold", "number": 18"#,
        r#", "club": "gold", "x": {"number": 17}"#,
        r#", "club": 17, "number": "gold""#,
        r#", "club": "gold", "cards": [{"number": 17}]"#,
        r#", "cards": [{"club": "gold", "number": 18}, {"club": "tin", "number": 17}]"#,
        r#", "note": "gold 17""#,
    ] {
        let coverage = coverage_of(RAW, "cart/a.json", event("1", EARLIER, apart)).await;
        assert_nothing(&coverage, apart);
    }
}

#[tokio::test]
async fn in_two_records_it_is_nobodys() {
    let one = event("1", EARLIER, r#", "club": "gold""#);
    let other = event("1", EARLIER, r#", "number": 17"#);
    let coverage = coverage_of(RAW, "cart/a.json", format!("{one}\n{other}\n")).await;
    assert_nothing(&coverage, "two records");
}

#[tokio::test]
async fn in_a_broken_record() {
    let broken = r#"{"club": "gold", "number": 17, "userId": "#;
    let coverage = coverage_of(RAW, "cart/a.json", broken).await;
    assert_eq!(forms(&coverage), ["broken record"]);
    let coverage = coverage_of(RAW, "cart/a.json", broken.replace("17", "18")).await;
    assert_nothing(&coverage, "one part");
    let line = serde_json::json!({"reason": "x", "record": broken}).to_string();
    let coverage = coverage_of(LAKE, "quarantine/cart/a.jsonl", line).await;
    assert_eq!(forms(&coverage), ["broken record"]);
}

#[tokio::test]
async fn in_the_columns_of_a_row() {
    let rows = |clubs: [&str; 2], time: &str| {
        file(vec![
            ("club", texts(&clubs.map(Some))),
            ("number", integers(&[17, 3])),
            ("_event_time", times(&[time, EARLIER])),
        ])
    };
    let coverage = coverage_of(LAKE, EVENTS, rows([CLUB, "tin"], EARLIER)).await;
    assert_eq!(forms(&coverage), [FIELD]);
    let coverage = coverage_of(LAKE, EVENTS, rows([CLUB, "tin"], LATER)).await;
    assert_nothing(&coverage, "later");
    assert_eq!(coverage.later_events, 1);
    let coverage = coverage_of(LAKE, EVENTS, rows(["tin", CLUB], EARLIER)).await;
    assert_nothing(&coverage, "another row");
    let coverage = coverage_of(LAKE, CURATED, rows([CLUB, "tin"], EARLIER)).await;
    assert_eq!(forms(&coverage), [FIELD]);
}

#[tokio::test]
async fn in_one_element_of_a_list_column() {
    // The first row has one card, the second two.
    let cards = |clubs: [&str; 3], numbers: [i64; 3]| {
        let (clubs, numbers) = (texts(&clubs.map(Some)), integers(&numbers));
        let field = |name: &str, of: &ArrayRef| Field::new(name, of.data_type().clone(), true);
        let fields = vec![field("club", &clubs), field("number", &numbers)];
        let cards = StructArray::new(fields.into(), vec![clubs, numbers], None);
        file(vec![
            ("cards", list(std::sync::Arc::new(cards), &[0, 1, 3])),
            ("_event_time", times(&[EARLIER, EARLIER])),
        ])
    };
    let together = cards(["tin", "tin", CLUB], [17, 3, 17]);
    let coverage = coverage_of(LAKE, EVENTS, together).await;
    assert_eq!(forms(&coverage), [FIELD]);
    let apart = cards(["tin", CLUB, "tin"], [17, 3, 17]);
    let coverage = coverage_of(LAKE, EVENTS, apart).await;
    assert_nothing(&coverage, "two elements");
}

#[tokio::test]
async fn in_what_was_rescued() {
    let rows = |club: &str, rescued: &str| {
        file(vec![
            ("club", texts(&[Some(club)])),
            ("_rescued", texts(&[Some(rescued)])),
            ("_event_time", times(&[EARLIER])),
        ])
    };
    for (club, rescued) in [
        (CLUB, r#"{"/number": [17]}"#),
        ("x", r#"{"/number": ["17"], "/club": [["gold"]]}"#),
        (
            "x",
            r#"{"/cards/0/number": [17], "/cards/0/club": ["gold"]}"#,
        ),
    ] {
        let coverage = coverage_of(LAKE, EVENTS, rows(club, rescued)).await;
        assert_eq!(forms(&coverage), [FIELD], "{rescued}");
    }
    let coverage = coverage_of(LAKE, EVENTS, rows("tin", r#"{"/number": [17]}"#)).await;
    assert_nothing(&coverage, "one part");
}

#[tokio::test]
async fn beside_what_is_anybodys() {
    let names = [
        (
            "system/reports/gold.json",
            "{\"club\": \"gold\", \"number\": 17}".to_owned(),
        ),
        ("other/note.txt", format!("club={CLUB} number={NUMBER}")),
    ];
    for (key, body) in names {
        assert_nothing(&coverage_of(LAKE, key, body).await, key);
    }
    // The other identifiers are looked for all the same.
    let both = event(ADA, EARLIER, r#", "club": "gold", "number": 17"#);
    assert_eq!(forms(&coverage_of(RAW, "cart/a.json", both).await), [FIELD]);
}
