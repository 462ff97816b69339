//! Events → columns of a known schema.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::{BatchError, Document, Json, NewFields, SchemaRules, learn, to_batch};

/// Builders for the payload columns of a schema, and `_rescued`.
pub struct EventColumns {
    payload: SchemaRef,
    events: Vec<Json>,
}

impl EventColumns {
    /// Columns of the table's own ([`super::is_reserved`]) are left out.
    pub fn new(payload: &SchemaRef) -> Self {
        Self {
            payload: payload.clone(),
            events: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn append(&mut self, event: &Document) {
        self.events.push(event.to_json());
    }

    /// Whether an appended event had, where there is no column, a value that says something about a type:
    /// learning from the appended events could add a column.
    pub fn brings_new_fields(&self) -> bool {
        let rules = SchemaRules {
            on_new_field: NewFields::Add,
            max_columns: usize::MAX,
            types: std::collections::BTreeMap::new(),
        };
        let learned = learn(Some(&self.payload), self.events.iter(), &rules);
        !learned.added.is_empty()
    }

    /// How many events were appended.
    pub fn rows(&self) -> usize {
        self.events.len()
    }

    /// The payload columns in the schema's order, then `_rescued`.
    pub fn finish(self) -> Result<RecordBatch, BatchError> {
        to_batch(&self.payload, &self.events.iter().collect::<Vec<_>>())
    }
}
