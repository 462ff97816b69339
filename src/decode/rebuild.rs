//! A row of an event table → the event it was: the other half of invariant 2.
//!
//! Hazard: a row that cannot be rebuilt must say so and not come back as something smaller, so
//! every entry of `_rescued` has to find its place.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StructArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use arrow::error::ArrowError;

use super::names::{RESCUED, is_reserved};
use super::rescued::Rescued;
use super::{Json, Number};

/// Why a row could not be made an event again.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    #[error("rebuilding an event: the batch has no `_rescued` column; read it along")]
    NoRescuedColumn,
    #[error("rebuilding an event: the batch has {rows} rows, row {row} is not among them")]
    NoSuchRow { row: usize, rows: usize },
    #[error("rebuilding the event of row {0}: its `_rescued` is not in the documented form")]
    BadRescued(usize),
    #[error(
        "rebuilding the event of row {0}: `_rescued` names a place that the columns do not have"
    )]
    NoSuchPlace(usize),
    #[error("rebuilding an event: columns of type {0} hold no JSON value")]
    UnsupportedType(DataType),
    #[error("rebuilding an event: a number column holds an infinity or no number")]
    NotANumber,
    #[error("rebuilding an event from its columns: {0}")]
    Arrow(#[from] ArrowError),
}

/// The event in `row` of a batch of payload columns and `_rescued`. Other columns of the table's own
/// ([`is_reserved`]) are ignored.
pub fn rebuild(batch: &RecordBatch, row: usize) -> Result<Json, RebuildError> {
    let (event, rescued) = rebuild_rescuing(batch, row)?;
    if !rescued.is_empty() {
        return Err(RebuildError::NoSuchPlace(row));
    }
    Ok(event)
}

/// The event in `row` as far as the batch has its columns: some of the payload's, and `_rescued`.
pub fn rebuild_part(batch: &RecordBatch, row: usize) -> Result<Json, RebuildError> {
    rebuild_rescuing(batch, row).map(|(event, _)| event)
}

/// The event, and what is left of `_rescued` without a place in it.
fn rebuild_rescuing(batch: &RecordBatch, row: usize) -> Result<(Json, Rescued), RebuildError> {
    let rows = batch.num_rows();
    if row >= rows {
        return Err(RebuildError::NoSuchRow { row, rows });
    }
    let texts = batch
        .column_by_name(RESCUED)
        .ok_or(RebuildError::NoRescuedColumn)?;
    let mut rescued = match value_at(texts, row, None)? {
        None => Rescued::default(),
        Some(Json::String(text)) => Rescued::parse(&text).ok_or(RebuildError::BadRescued(row))?,
        Some(_) => return Err(RebuildError::BadRescued(row)),
    };
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns());
    let payload = columns.filter(|(field, _)| !is_reserved(field.name()));
    let named = payload.map(|(field, array)| (field.name().as_str(), array));
    let members = members(named, row, &mut rescued)?;
    Ok((Json::Object(members), rescued))
}

/// The members of an object; takes what it places out of `rescued`.
fn members<'batch>(
    columns: impl Iterator<Item = (&'batch str, &'batch ArrayRef)>,
    row: usize,
    rescued: &mut Rescued,
) -> Result<Vec<(String, Json)>, RebuildError> {
    let mut members = Vec::new();
    for (name, array) in columns {
        let instead = rescued.below.get_mut(name);
        if instead
            .as_ref()
            .is_some_and(|instead| instead.values.is_some())
        {
            continue;
        }
        if let Some(value) = value_at(array, row, instead)? {
            members.push((name.to_owned(), value));
        }
    }
    for (name, instead) in &mut rescued.below {
        let values = instead.values.take().unwrap_or_default();
        members.extend(values.into_iter().map(|value| (name.clone(), value)));
    }
    rescued.below.retain(|_, instead| !instead.is_empty());
    Ok(members)
}

/// The value of one cell, `None` for null. What is below the cell is taken out of `rescued`.
fn value_at(
    array: &ArrayRef,
    row: usize,
    rescued: Option<&mut Rescued>,
) -> Result<Option<Json>, RebuildError> {
    if array.is_null(row) {
        return Ok(None);
    }
    let mut nothing = Rescued::default();
    let rescued = rescued.unwrap_or(&mut nothing);
    let value = match array.data_type() {
        DataType::Null => return Ok(None),
        DataType::Boolean => Json::Bool(array.as_boolean().value(row)),
        DataType::Int64 => Json::Number(array.as_primitive::<Int64Type>().value(row).into()),
        DataType::Float64 => {
            let float = array.as_primitive::<Float64Type>().value(row);
            Json::Number(Number::from_f64(float).ok_or(RebuildError::NotANumber)?)
        }
        DataType::Utf8 => Json::String(array.as_string::<i32>().value(row).to_owned()),
        DataType::LargeUtf8 => Json::String(array.as_string::<i64>().value(row).to_owned()),
        DataType::Utf8View => Json::String(array.as_string_view().value(row).to_owned()),
        DataType::Dictionary(_, value_type) => {
            let plain = cast(&array.slice(row, 1), value_type)?;
            return value_at(&plain, 0, Some(rescued));
        }
        DataType::Struct(_) => object_at(array.as_struct(), row, rescued)?,
        DataType::List(_) => elements(&array.as_list::<i32>().value(row), rescued)?,
        DataType::LargeList(_) => elements(&array.as_list::<i64>().value(row), rescued)?,
        other => return Err(RebuildError::UnsupportedType(other.clone())),
    };
    Ok(Some(value))
}

fn object_at(array: &StructArray, row: usize, rescued: &mut Rescued) -> Result<Json, RebuildError> {
    let names = array.fields().iter().map(|field| field.name().as_str());
    members(names.zip(array.columns()), row, rescued).map(Json::Object)
}

fn elements(array: &Arc<dyn Array>, rescued: &mut Rescued) -> Result<Json, RebuildError> {
    let mut elements = Vec::with_capacity(array.len());
    for row in 0..array.len() {
        let index = row.to_string();
        let instead = rescued.below.get_mut(&index);
        let from_rescued = instead
            .as_ref()
            .and_then(|instead| instead.values.as_deref());
        let element = match from_rescued {
            Some([value]) => value.clone(),
            Some(_) => continue,
            None => value_at(array, row, instead)?.unwrap_or(Json::Null),
        };
        elements.push(element);
        if rescued
            .below
            .get(&index)
            .is_some_and(|left| left.values.is_some() || left.is_empty())
        {
            rescued.below.remove(&index);
        }
    }
    Ok(Json::Array(elements))
}
