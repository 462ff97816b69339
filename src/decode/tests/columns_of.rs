//! Columns and batches from events as text.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};

use super::json;
use crate::decode::{
    Json, Learned, NewFields, SchemaRules, learn, rebuild, semantically_equal, to_batch,
};

pub const RULES: SchemaRules = SchemaRules {
    on_new_field: NewFields::Add,
    max_columns: 1000,
    types: BTreeMap::new(),
    identifying: BTreeSet::new(),
};

pub fn learned(events: &[&str]) -> Learned {
    learn_on(None, events, &RULES)
}

pub fn learn_on(existing: Option<&Schema>, events: &[&str], rules: &SchemaRules) -> Learned {
    let events: Vec<Json> = events.iter().map(|event| json(event)).collect();
    learn(existing, events.iter(), rules)
}

/// Decodes events and checks that they come back.
pub fn batch(schema: &Schema, events: &[&str]) -> RecordBatch {
    let events: Vec<Json> = events.iter().map(|event| json(event)).collect();
    let batch = to_batch(
        &Arc::new(schema.clone()),
        &events.iter().collect::<Vec<_>>(),
    )
    .unwrap();
    for (row, event) in events.iter().enumerate() {
        assert!(semantically_equal(&rebuild(&batch, row).unwrap(), event));
    }
    batch
}

pub fn rescued(batch: &RecordBatch) -> Vec<Option<&str>> {
    batch
        .column_by_name("_rescued")
        .unwrap()
        .as_string::<i32>()
        .iter()
        .collect()
}

pub fn column(name: &str, data_type: DataType) -> Schema {
    Schema::new(vec![Field::new(name, data_type, true)])
}
