//! Events: through columns and back, with the same meaning and the same fingerprint.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::SchemaRef;
use chrono::FixedOffset;

use crate::Switches;
use crate::decode::{
    ColumnType, Document, EventColumns, FieldPath, Json, Learning, Limits, NewFields, Records,
    SchemaRules, TimeRule, TimeUnit, event_time, fingerprint, fingerprints, learn, rebuild,
    semantically_equal, to_batch,
};

/// So many events are compared each with each.
const MOST_COMPARED: usize = 24;

/// An event as framing gave it, and as a tree.
struct Event {
    document: Document,
    json: Json,
}

pub fn check(data: &[u8], switches: Switches) {
    let events = events_of(data, &crate::limits());
    if events.is_empty() {
        return;
    }
    for event in &events {
        check_event(event);
    }
    check_fingerprints_differ(&events);
    let rules = rules(switches);
    let all = learned(events.iter(), &rules);
    let some = learned(
        (0..)
            .zip(&events)
            .filter(|(ordinal, _)| switches.chooses(*ordinal))
            .map(|(_, event)| event),
        &rules,
    );
    for schema in [all, some, Arc::clone(&FOREIGN)] {
        check_columns(&schema, &events);
    }
}

fn events_of(data: &[u8], limits: &Limits) -> Vec<Event> {
    let mut events = Vec::new();
    let mut records = Records::new(data, limits);
    while let Some(record) = records.next_record() {
        if let Ok(document) = record.content {
            let json = document.to_json();
            let document = document.clone();
            events.push(Event { document, json });
        }
    }
    events
}

/// What is known of an event without columns.
fn check_event(event: &Event) {
    let text = event.json.to_string();
    let again = Document::parse(text.as_bytes(), &Limits::default()).expect("an event's own text");
    assert_eq!(again.to_json(), event.json);
    let expected = fingerprint(&event.json);
    assert_eq!(event.document.fingerprint(), expected);
    assert_eq!(again.fingerprint(), expected);
    for rule in time_rules() {
        let expected = event_time(&event.json, &rule);
        assert_eq!(event.document.time(&rule), expected);
    }
    let path = FieldPath::from_names(["a", "b"]);
    let found: Vec<Json> = event.json.at(&path).into_iter().cloned().collect();
    assert_eq!(event.document.at(&path), found);
}

fn time_rules() -> Vec<TimeRule> {
    let units = [
        TimeUnit::Text,
        TimeUnit::EpochSeconds,
        TimeUnit::EpochMilliseconds,
        TimeUnit::EpochMicroseconds,
    ];
    units
        .map(|unit| TimeRule {
            path: FieldPath::from_names(["timestamp"]),
            unit,
            zone: FixedOffset::east_opt(3600),
        })
        .to_vec()
}

fn check_fingerprints_differ(events: &[Event]) {
    let compared = &events[..events.len().min(MOST_COMPARED)];
    for (position, one) in compared.iter().enumerate() {
        for other in &compared[position + 1..] {
            let means_the_same = semantically_equal(&one.json, &other.json);
            let same_fingerprint = one.document.fingerprint() == other.document.fingerprint();
            assert_eq!(means_the_same, same_fingerprint);
        }
    }
}

fn rules(switches: Switches) -> SchemaRules {
    let declared = [
        ("timestamp", ColumnType::Text),
        ("a", ColumnType::Integer),
        ("b.c", ColumnType::Decimal),
        ("items.price", ColumnType::Boolean),
    ];
    let count = usize::from(switches.amount % 5);
    let types: BTreeMap<FieldPath, ColumnType> = declared
        .into_iter()
        .take(count)
        .map(|(path, column_type)| (path.parse().expect("a path"), column_type))
        .collect();
    SchemaRules {
        on_new_field: NewFields::Add,
        max_columns: if switches.amount >= 128 { 3 } else { 1000 },
        types,
    }
}

fn learned<'events>(
    events: impl Iterator<Item = &'events Event>,
    rules: &SchemaRules,
) -> SchemaRef {
    let mut learning = Learning::default();
    for event in events {
        learning.observe(&event.document);
    }
    learning.conclude(None, rules).schema
}

/// Columns that other events brought.
static FOREIGN: LazyLock<SchemaRef> = LazyLock::new(|| {
    let event = r#"{"a":1,"b":{"c":0.5,"d":[{"e":"x","f":[[true]]}]},"l":["x"],"n":[1],"timestamp":"x",
        "items":[{"price":5.5,"tickets":{"quantity":1,"price":2.5}}],"z":{"y":{"x":true}}}"#;
    let event = Json::parse(event.as_bytes()).expect("an event");
    learn(None, std::iter::once(&event), &EVERY_FIELD).schema
});

const EVERY_FIELD: SchemaRules = SchemaRules {
    on_new_field: NewFields::Add,
    max_columns: usize::MAX,
    types: BTreeMap::new(),
};

fn check_columns(schema: &SchemaRef, events: &[Event]) {
    let mut columns = EventColumns::new(schema);
    let mut learning = Learning::default();
    for event in events {
        columns.append(&event.document);
        learning.observe(&event.document);
    }
    assert_eq!(columns.rows(), events.len());
    if !columns.brings_new_fields() {
        check_adds_nothing(schema, &learning);
    }
    let batch = columns.finish().expect("columns of events");
    let prints = fingerprints(&batch).expect("fingerprints of own columns");
    assert_eq!(prints.len(), events.len());
    for (row, event) in events.iter().enumerate() {
        let rebuilt = rebuild(&batch, row).expect("an event of own columns");
        assert!(semantically_equal(&rebuilt, &event.json), "a value is lost");
        assert_eq!(prints[row], event.document.fingerprint());
    }
    let trees: Vec<&Json> = events.iter().map(|event| &event.json).collect();
    let of_trees = to_batch(schema, &trees).expect("columns of trees");
    assert_eq!(of_trees, batch);
}

fn check_adds_nothing(schema: &SchemaRef, learning: &Learning) {
    let learned = learning.conclude(Some(schema), &EVERY_FIELD);
    assert_eq!(learned.added, Vec::<String>::new());
    assert_eq!(&learned.schema, schema);
}
