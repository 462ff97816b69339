//! Rows 7, 11, 12, 25, 26: which fields become columns.

use arrow::datatypes::DataType;
use proptest::collection::vec;
use proptest::prelude::*;

use super::columns_of::{RULES, batch, column, learn_on, learned, rescued};
use super::generators::{cases, event};
use crate::decode::{
    Document, EventColumns, Learned, Limits, NewFields, RescueCause, SchemaRules, learn,
};

#[test]
fn types_are_learned_from_what_is_seen() {
    let learned = learned(&[
        r#"{"flag":true,"n":1,"m":1,"t":"x","o":{"in":{"x":1}},"l":[[1]],"e":{},"f":[],"z":null,"w":{"v":{}},"big":1e400}"#,
        r#"{"m":2.5,"l":[[2.5],[]],"q":[null,{"y":"x"}],"r":[{}]}"#,
    ]);
    assert_eq!(
        learned.added,
        [
            "flag: boolean",
            "l: decimal",
            "m: decimal",
            "n: integer",
            "o.in.x: integer",
            "q.y: text",
            "t: text",
        ]
    );
    assert!(learned.rescued_for_good.is_empty());
    assert!(
        learned
            .schema
            .fields()
            .iter()
            .all(|field| field.is_nullable())
    );
}

#[test]
fn the_most_frequent_kind_wins_and_text_on_a_tie() {
    let kinds = |events: &[&str]| learned(events).added;
    assert_eq!(
        kinds(&[r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":"x"}"#]),
        ["a: integer"]
    );
    assert_eq!(kinds(&[r#"{"a":1}"#, r#"{"a":"x"}"#]), ["a: text"]);
    assert_eq!(
        kinds(&[r#"{"a":{}}"#, r#"{"a":{}}"#, r#"{"a":"x"}"#]),
        ["a: text"]
    );
    assert_eq!(
        kinds(&[r#"{"a":{"b":{}}}"#, r#"{"a":{"b":{}}}"#, r#"{"a":"x"}"#]),
        ["a: text"]
    );
}

#[test]
fn existing_columns_stay_and_grow_inside() {
    let before = learned(&[r#"{"z":1,"l":[{"a":1}]}"#]).schema;
    let after = learn_on(
        Some(&before),
        &[r#"{"z":"x","b":1,"l":[{"a":2.5,"c":"x"}],"a":true}"#],
        &RULES,
    );
    assert_eq!(after.added, ["a: boolean", "b: integer", "l.c: text"]);
    let names: Vec<_> = after
        .schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    assert_eq!(names, ["l", "z", "a", "b"]);
    assert_eq!(
        after.schema.field_with_name("z").unwrap().data_type(),
        &DataType::Int64
    );
    batch(
        &after.schema,
        &[r#"{"z":"x","b":1,"l":[{"a":2.5,"c":"x"}],"a":true}"#],
    );
}

#[test]
fn of_names_that_differ_in_case_one_is_a_column() {
    let column_names = |learned: &Learned| -> Vec<String> {
        learned
            .schema
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect()
    };
    let first = learned(&[
        r#"{"id":1,"Id":2,"o":{"x":1,"X":2}}"#,
        r#"{"id":1}"#,
        r#"{"o":{"x":1}}"#,
    ]);
    assert_eq!(column_names(&first), ["id", "o"]);
    assert_eq!(first.added, ["id: integer", "o.x: integer"]);
    assert_eq!(first.rescued_for_good.len(), 2);
    assert_eq!(first.rescued_for_good[0].path, "Id");
    assert_eq!(
        first.rescued_for_good[0].why,
        RescueCause::NameDiffersInCase
    );
    assert_eq!(column_names(&learned(&[r#"{"id":1,"Id":2}"#])), ["Id"]);
    let existing = column("ID", DataType::Int64);
    assert_eq!(
        column_names(&learn_on(
            Some(&existing),
            &[r#"{"id":1,"É":1}"#, r#"{"é":1}"#],
            &RULES
        )),
        ["ID", "É"]
    );
}

#[test]
fn names_that_no_column_may_have_are_rescued() {
    let event = r#"{"":1,"a b":1,"a,b":1,"a=b":1,"a\tb":1,"(":1,"_x":1,"event_date":1,"Event_Date":1,"a.b":1,"😀":1,"o":{"_in":1,"event_date":2,"a;":1}}"#;
    let learned = learned(&[event]);
    assert_eq!(
        learned.added,
        [
            "a.b: integer",
            "o._in: integer",
            "o.event_date: integer",
            "😀: integer"
        ]
    );
    assert_eq!(learned.rescued_for_good.len(), 10);
    batch(&learned.schema, &[event]);
}

#[test]
fn new_columns_are_capped_rarest_first() {
    let rules = SchemaRules {
        max_columns: 3,
        ..RULES
    };
    let existing = column("k", DataType::Int64);
    let events = [
        r#"{"a":1,"b":1,"o":{"c":1,"d":1}}"#,
        r#"{"b":2,"o":{"d":2}}"#,
        r#"{"o":{"d":3}}"#,
    ];
    let learned = learn_on(Some(&existing), &events, &rules);
    assert_eq!(learned.added, ["b: integer", "o.d: integer"]);
    let refused: Vec<_> = learned
        .rescued_for_good
        .iter()
        .map(|field| field.path.as_str())
        .collect();
    assert_eq!(refused, ["a", "o.c"]);
    assert!(
        learned
            .rescued_for_good
            .iter()
            .all(|field| field.why == RescueCause::TooManyColumns)
    );
    batch(&learned.schema, &events);
}

#[test]
fn fifty_thousand_keys_make_no_more_columns_than_allowed() {
    let keys: Vec<String> = (0..50_000)
        .map(|key| format!("{{\"key{key}\":{key}}}"))
        .collect();
    let events: Vec<&str> = keys.iter().map(String::as_str).collect();
    let learned = learned(&events);
    assert_eq!(learned.schema.fields().len(), 1000);
    assert_eq!(learned.rescued_for_good.len(), 49_000);
    batch(&learned.schema, &events[..100]);
}

#[test]
fn a_policy_may_admit_no_new_fields() {
    let rules = SchemaRules {
        on_new_field: NewFields::Rescue,
        ..RULES
    };
    let existing = column("k", DataType::Int64);
    let learned = learn_on(Some(&existing), &[r#"{"k":1,"n":{"x":1}}"#], &rules);
    assert_eq!(*learned.schema, existing);
    assert_eq!(learned.rescued_for_good[0].why, RescueCause::Policy);
    assert_eq!(
        rescued(&batch(&learned.schema, &[r#"{"k":1,"n":{"x":1}}"#])),
        [Some(r#"{"/n":[{"x":1}]}"#)]
    );
}

#[test]
fn deep_nesting_is_rescued_and_not_made_columns() {
    let event = format!("{}1{}", "{\"a\":[".repeat(60), "]}".repeat(60));
    let learned = learned(&[&event]);
    assert!(learned.schema.fields().is_empty());
    batch(&learned.schema, &[&event]);
}

/// Whether decoding an event into the columns of others says that there is something to learn.
fn brings_new_fields(known: &[&str], event: &str) -> bool {
    let mut columns = EventColumns::new(&learned(known).schema);
    columns.append(&Document::parse(event.as_bytes(), &Limits::default()).unwrap());
    columns.brings_new_fields()
}

#[test]
fn what_could_become_a_column_is_noticed() {
    let known = [r#"{"a":1,"s":{"x":1},"l":[{"y":[1]}]}"#];
    for new in [
        r#"{"b":true}"#,
        r#"{"b":"x","a":2}"#,
        r#"{"b":{"c":[null,0.5]}}"#,
        r#"{"s":{"x":1,"z":1}}"#,
        r#"{"l":[{"y":[]},{"z":"x"}]}"#,
        r#"{"s":{"z":1},"s":{"x":1}}"#,
    ] {
        assert!(brings_new_fields(&known, new), "{new}");
    }
    for nothing_new in [
        "{}",
        r#"{"a":"x","s":3,"l":{}}"#,
        r#"{"a":{"b":1}}"#,
        r#"{"b":null,"c":{},"d":[],"e":[{}],"f":{"g":null},"big":1e400}"#,
        r#"{"A":1,"b c":1,"_b":1,"event_date":1,"b":{"":1}}"#,
        r#"{"a":1,"a":2}"#,
    ] {
        assert!(!brings_new_fields(&known, nothing_new), "{nothing_new}");
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn nothing_is_learned_where_nothing_new_was_noticed(
        others in vec(event(), 0..3), events in vec(event(), 1..4),
    ) {
        let before = learn(None, others.iter(), &RULES).schema;
        let mut columns = EventColumns::new(&before);
        for event in &events {
            columns.append(&Document::parse(event.to_string().as_bytes(), &Limits::default()).unwrap());
        }
        let after = learn(Some(&before), events.iter(), &RULES);
        prop_assert!(columns.brings_new_fields() || after.added.is_empty(), "{:?}", after.added);
    }
}
