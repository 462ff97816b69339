//! Types that the policy declares.

use std::collections::BTreeMap;

use arrow::datatypes::DataType;

use super::columns_of::{RULES, batch, column, learn_on, rescued};
use crate::decode::{ColumnType, Learned, NewFields, RescueCause, SchemaRules};

fn rules(types: &[(&str, ColumnType)]) -> SchemaRules {
    let types = types
        .iter()
        .map(|(path, declared)| (path.parse().unwrap(), *declared));
    SchemaRules {
        types: types.collect::<BTreeMap<_, _>>(),
        ..RULES
    }
}

fn learned(types: &[(&str, ColumnType)], events: &[&str]) -> Learned {
    let learned = learn_on(None, events, &rules(types));
    // Nothing is lost, whatever the columns are.
    batch(&learned.schema, events);
    learned
}

#[test]
fn a_declared_field_gets_its_type_whatever_comes() {
    let types = [
        ("id", ColumnType::Text),
        ("price", ColumnType::Decimal),
        ("flag", ColumnType::Boolean),
        ("count", ColumnType::Integer),
    ];
    let events = [
        r#"{"id":7,"price":5,"flag":"True","count":{"x":1}}"#,
        r#"{"id":8,"price":"free","flag":true,"count":2}"#,
    ];
    let learned = learned(&types, &events);
    assert_eq!(
        learned.added,
        [
            "count: integer",
            "flag: boolean",
            "id: text",
            "price: decimal"
        ]
    );
    assert_eq!(
        rescued(&batch(&learned.schema, &events)),
        [
            Some(r#"{"/id":[7],"/flag":["True"],"/count":[{"x":1}]}"#),
            Some(r#"{"/id":[8],"/price":["free"]}"#),
        ]
    );
}

#[test]
fn lists_add_no_name_and_stay_lists() {
    let types = [
        ("items.price", ColumnType::Decimal),
        ("tags", ColumnType::Text),
    ];
    let learned = learned(
        &types,
        &[
            r#"{"items":[{"price":5,"n":1}],"tags":[[1],[2]]}"#,
            r#"{"items":"none","tags":["x"]}"#,
            r#"{"tags":3}"#,
        ],
    );
    assert_eq!(
        learned.added,
        ["items.n: integer", "items.price: decimal", "tags: text"]
    );
    let tags = learned.schema.field_with_name("tags").unwrap();
    let inner = DataType::new_list(DataType::Utf8, true);
    assert_eq!(tags.data_type(), &DataType::new_list(inner, true));
}

#[test]
fn a_field_with_declared_ones_inside_is_no_scalar() {
    let types = [("items.price", ColumnType::Decimal)];
    let events = [
        r#"{"items":"a"}"#,
        r#"{"items":"b"}"#,
        r#"{"items":{"price":1}}"#,
    ];
    assert_eq!(learned(&types, &events).added, ["items.price: decimal"]);
    assert!(learned(&types, &events[..2]).added.is_empty());
}

#[test]
fn what_is_only_null_or_empty_waits() {
    let types = [("tags", ColumnType::Text)];
    let nothing = [
        r#"{"tags":null}"#,
        r#"{"tags":[]}"#,
        r#"{"tags":{}}"#,
        r#"{"tags":[null]}"#,
    ];
    assert!(learned(&types, &nothing).added.is_empty());
}

#[test]
fn an_existing_column_is_never_changed() {
    let existing = column("id", DataType::Int64);
    let learned = learn_on(
        Some(&existing),
        &[r#"{"id":"x"}"#],
        &rules(&[("id", ColumnType::Text)]),
    );
    assert_eq!(*learned.schema, existing);
}

#[test]
fn declared_fields_are_foreseen_and_others_follow_the_policy() {
    let existing = column("k", DataType::Int64);
    let events = [r#"{"id":1,"new":1}"#, r#"{"new":1}"#];
    let types = [("id", ColumnType::Text)];
    for (on_new_field, why) in [
        (NewFields::Rescue, RescueCause::Policy),
        (NewFields::Add, RescueCause::TooManyColumns),
    ] {
        let rules = SchemaRules {
            on_new_field,
            max_columns: 1,
            ..rules(&types)
        };
        let learned = learn_on(Some(&existing), &events, &rules);
        assert_eq!(learned.added, ["id: text"]);
        let kept_out: Vec<_> = learned.rescued_for_good.iter().collect();
        assert_eq!(kept_out.len(), 1);
        assert_eq!((kept_out[0].path.as_str(), kept_out[0].why), ("new", why));
    }
}

#[test]
fn the_declared_spelling_wins_over_a_more_frequent_one() {
    let events = [r#"{"userid":1}"#, r#"{"userid":2}"#, r#"{"userId":3}"#];
    let learned = learned(&[("userId", ColumnType::Text)], &events);
    assert_eq!(learned.added, ["userId: text"]);
    assert_eq!(
        learned.rescued_for_good[0].why,
        RescueCause::NameDiffersInCase
    );
}
