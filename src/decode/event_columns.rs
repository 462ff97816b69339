//! Events → a record batch: the payload columns and `_rescued`.
//!
//! Hazard: whatever is not in a column has to be in `_rescued`; see the encoding in the module
//! documentation of `decode`. Keeps invariant 2.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;

use super::columns::{StructColumn, has_room};
use super::names::{RESCUED, is_reserved};
use super::rescued::Trail;
use super::{Document, Json};

/// Why events could not be made a batch.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    #[error("decoding event {0} of a batch: it is not a JSON object; quarantine it instead")]
    NotAnObject(usize),
    #[error("decoding a batch: more than 2 GiB of text in `_rescued`; decode fewer events at once")]
    TooLarge,
    #[error("decoding a batch into the table's columns: {0}; every column has to be nullable")]
    Arrow(#[from] ArrowError),
}

/// Builders for the payload columns of a schema, and `_rescued`.
pub struct EventColumns {
    fields: Fields,
    columns: StructColumn,
    rescued: StringBuilder,
    trail: Trail,
    is_too_large: bool,
}

impl EventColumns {
    /// Columns of the table's own ([`is_reserved`]) are left out.
    pub fn new(schema: &SchemaRef) -> Self {
        let payload = schema
            .fields()
            .iter()
            .filter(|field| !is_reserved(field.name()));
        let fields: Fields = payload.cloned().collect();
        Self {
            columns: StructColumn::new(&fields, true),
            fields,
            rescued: StringBuilder::new(),
            trail: Trail::default(),
            is_too_large: false,
        }
    }

    /// Adds a row.
    pub fn append(&mut self, event: &Document) {
        self.columns.append(&event.members(), None, &mut self.trail);
        let text = self.trail.take_row();
        match text {
            Some(text) if has_room(&self.rescued, text) => self.rescued.append_value(text),
            _ => self.rescued.append_null(),
        }
        self.is_too_large |= text.is_some_and(|text| !has_room(&self.rescued, text));
    }

    /// Whether an appended event had, where there is no column, a value that says something about a type:
    /// learning from the appended events could add a column.
    pub fn brings_new_fields(&self) -> bool {
        self.trail.brings_new_fields
    }

    /// How many events were appended.
    pub fn rows(&self) -> usize {
        self.columns.rows()
    }

    /// The payload columns in the schema's order, then `_rescued`.
    pub fn finish(mut self) -> Result<RecordBatch, BatchError> {
        if self.is_too_large {
            return Err(BatchError::TooLarge);
        }
        let mut arrays = self.columns.finish_columns()?;
        let rescued: ArrayRef = Arc::new(self.rescued.finish());
        arrays.push(rescued);
        let rescued_field = Arc::new(Field::new(RESCUED, DataType::Utf8, true));
        let all_fields: Fields = self.fields.iter().cloned().chain([rescued_field]).collect();
        Ok(RecordBatch::try_new(
            Arc::new(Schema::new(all_fields)),
            arrays,
        )?)
    }
}

/// The same for events as trees.
pub fn to_batch(schema: &SchemaRef, events: &[&Json]) -> Result<RecordBatch, BatchError> {
    let mut columns = EventColumns::new(schema);
    for (position, event) in events.iter().enumerate() {
        let document = Document::of(event).map_err(|_| BatchError::NotAnObject(position))?;
        columns.append(&document);
    }
    columns.finish()
}
