//! Invariant 2 for arbitrary events against arbitrary schemas.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use proptest::collection::vec;
use proptest::prelude::*;

use super::generators::{cases, event, name, reordered, value};
use crate::decode::{
    Document, Json, Limits, NewFields, SchemaRules, fingerprint, fingerprints, learn, rebuild,
    semantically_equal, to_batch,
};

const RULES: SchemaRules = SchemaRules {
    on_new_field: NewFields::Add,
    max_columns: 1000,
    types: BTreeMap::new(),
    identifying: BTreeSet::new(),
};

fn check(schema: &SchemaRef, events: &[Json]) -> Result<(), TestCaseError> {
    let events: Vec<&Json> = events.iter().collect();
    let batch = to_batch(schema, &events).unwrap();
    check_rows(&batch, &events)?;
    check_rows(&with_views(&batch), &events)
}

fn check_rows(batch: &RecordBatch, events: &[&Json]) -> Result<(), TestCaseError> {
    let by_column = fingerprints(batch).unwrap();
    for (row, event) in events.iter().enumerate() {
        let rebuilt = rebuild(batch, row).unwrap();
        prop_assert!(
            semantically_equal(&rebuilt, event),
            "{event}\nbecame\n{rebuilt}\nrescued {:?}",
            batch
                .column_by_name("_rescued")
                .unwrap()
                .as_string_opt::<i32>()
                .map(|texts| texts.value(row))
        );
        prop_assert_eq!(fingerprint(&rebuilt), fingerprint(event));
        prop_assert_eq!(by_column.get(row), Some(&fingerprint(event)));
        let document = Document::parse(event.to_string().as_bytes(), &Limits::default()).unwrap();
        prop_assert_eq!(document.fingerprint(), fingerprint(event));
        prop_assert_eq!(&document.to_json(), *event);
    }
    Ok(())
}

/// As query engines hand it back: top-level text as views.
fn with_views(batch: &RecordBatch) -> RecordBatch {
    let columns = batch
        .schema()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, array)| {
            let array: ArrayRef = match array.data_type() {
                DataType::Utf8 => cast(array, &DataType::Utf8View).unwrap(),
                _ => Arc::clone(array),
            };
            (field.name().clone(), array, true)
        })
        .collect::<Vec<_>>();
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn foreign_type() -> impl Strategy<Value = DataType> {
    let leaf = prop::sample::select(vec![
        DataType::Boolean,
        DataType::Int64,
        DataType::Float64,
        DataType::Utf8,
        DataType::LargeUtf8,
        DataType::Utf8View,
        DataType::Int32,
        DataType::Date32,
        DataType::Null,
    ]);
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            inner
                .clone()
                .prop_map(|element| DataType::new_list(element, true)),
            inner
                .clone()
                .prop_map(|element| DataType::new_large_list(element, true)),
            vec((name(), inner), 0..4).prop_map(|fields| DataType::Struct(
                fields
                    .into_iter()
                    .map(|(name, data_type)| Field::new(name, data_type, true))
                    .collect()
            )),
        ]
    })
}

fn foreign_schema() -> impl Strategy<Value = SchemaRef> {
    vec((name(), foreign_type()), 0..6).prop_map(|fields| {
        let fields: Fields = fields
            .into_iter()
            .map(|(name, data_type)| Field::new(name, data_type, true))
            .collect();
        Arc::new(Schema::new(fields))
    })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn events_come_back_from_columns_learned_from_them(events in vec(event(), 1..5)) {
        let learned = learn(None, events.iter(), &RULES);
        check(&learned.schema, &events)?;
    }

    #[test]
    fn events_come_back_from_columns_learned_from_others(
        others in vec(event(), 0..5), events in vec(event(), 1..4), max_columns in 0_usize..12,
    ) {
        let rules = SchemaRules { max_columns, ..RULES };
        let learned = learn(None, others.iter(), &rules);
        check(&learned.schema, &events)?;
        let learned = learn(Some(&learned.schema), events.iter(), &rules);
        check(&learned.schema, &events)?;
    }

    #[test]
    fn events_come_back_from_foreign_columns(schema in foreign_schema(), events in vec(event(), 1..4)) {
        check(&schema, &events)?;
        let learned = learn(Some(&schema), events.iter(), &RULES);
        check(&learned.schema, &events)?;
    }

    #[test]
    fn learning_changes_no_existing_column(others in vec(event(), 0..4), events in vec(event(), 1..4)) {
        let before = learn(None, others.iter(), &RULES);
        let old_batch = to_batch(&before.schema, &others.iter().collect::<Vec<_>>()).unwrap();
        let after = learn(Some(&before.schema), events.iter(), &RULES);
        for (old, new) in before.schema.fields().iter().zip(after.schema.fields()) {
            prop_assert_eq!(old.name(), new.name());
            prop_assert!(old.data_type().is_nested() || old.data_type() == new.data_type());
        }
        let wide_batch = to_batch(&after.schema, &others.iter().collect::<Vec<_>>()).unwrap();
        for name in before.schema.fields().iter().map(|field| field.name()) {
            prop_assert_eq!(
                old_batch.column_by_name(name).unwrap().null_count() >= wide_batch.column_by_name(name).unwrap().null_count(),
                true
            );
        }
    }

    #[test]
    fn learning_does_not_depend_on_the_order_of_events(mut events in vec(event(), 1..6)) {
        let forwards = learn(None, events.iter(), &RULES);
        events.reverse();
        let backwards = learn(None, events.iter(), &RULES);
        prop_assert_eq!(forwards.schema, backwards.schema);
        prop_assert_eq!(forwards.added, backwards.added);
    }

    #[test]
    fn text_of_a_value_reads_as_that_value(value in value()) {
        prop_assert_eq!(Json::parse(value.to_string().as_bytes()), Ok(value));
    }

    #[test]
    fn key_order_means_nothing(value in value()) {
        prop_assert!(semantically_equal(&value, &reordered(&value)));
        prop_assert_eq!(fingerprint(&value), fingerprint(&reordered(&value)));
    }

    #[test]
    fn fingerprints_are_equal_exactly_if_values_are(one in value(), other in value()) {
        prop_assert_eq!(fingerprint(&one) == fingerprint(&other), semantically_equal(&one, &other));
    }
}
