//! Events → a record batch: the payload columns and `_rescued`.
//!
//! Hazard: whatever is not in a column has to be in `_rescued`; see the encoding in the module
//! documentation of `decode`. Keeps invariant 2.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;

use super::Json;
use super::columns::{StructColumn, has_room};
use super::names::{RESCUED, is_reserved};
use super::rescued::Trail;

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

/// The payload columns of `schema` in order, then `_rescued`. Columns of the table's own
/// ([`is_reserved`]) are left out.
pub fn to_batch(schema: &SchemaRef, events: &[&Json]) -> Result<RecordBatch, BatchError> {
    let payload = schema
        .fields()
        .iter()
        .filter(|field| !is_reserved(field.name()));
    let fields: Fields = payload.cloned().collect();
    let mut row_columns = StructColumn::new(&fields);
    let mut rescued = StringBuilder::new();
    for (position, event) in events.iter().enumerate() {
        let Json::Object(members) = event else {
            return Err(BatchError::NotAnObject(position));
        };
        let mut trail = Trail::default();
        row_columns.append(members, &mut trail);
        let text = trail.into_text();
        if text
            .as_deref()
            .is_some_and(|text| !has_room(&rescued, text))
        {
            return Err(BatchError::TooLarge);
        }
        rescued.append_option(text);
    }
    let mut arrays = row_columns.finish_columns()?;
    let rescued: ArrayRef = Arc::new(rescued.finish());
    arrays.push(rescued);
    let rescued_field = Arc::new(Field::new(RESCUED, DataType::Utf8, true));
    let all_fields: Fields = fields.iter().cloned().chain([rescued_field]).collect();
    Ok(RecordBatch::try_new(
        Arc::new(Schema::new(all_fields)),
        arrays,
    )?)
}
