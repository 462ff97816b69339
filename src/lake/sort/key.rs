//! The key that rows are sorted by, as bytes that compare as the rows do.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, RecordBatch, StructArray,
};
use arrow::compute::{is_null, nullif};
use arrow::datatypes::{DataType, Date32Type, Schema, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};

use crate::decode::FieldPath;
use crate::lake::tables::{EVENT_TIME, PARTITION};

/// One key a row: the date, then each column of `sort_by` with a zero before a null and a one before a
/// value (so that rows of batches with and without a column compare), then the time.
pub fn keys(batch: &RecordBatch, sort_by: &[FieldPath]) -> Result<BinaryArray, ArrowError> {
    let missing = |name: &str| ArrowError::SchemaError(format!("rows to sort have no `{name}`"));
    let dates = batch
        .column_by_name(PARTITION)
        .and_then(|column| column.as_primitive_opt::<Date32Type>())
        .ok_or_else(|| missing(PARTITION))?;
    let times = batch
        .column_by_name(EVENT_TIME)
        .and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>())
        .ok_or_else(|| missing(EVENT_TIME))?;
    let columns: Vec<Option<Encoded>> = sort_by
        .iter()
        .map(|path| column_at(batch, path).map(Encoded::new).transpose())
        .collect::<Result<_, _>>()?;
    let mut builder = BinaryBuilder::with_capacity(batch.num_rows(), batch.num_rows() * 32);
    let mut key = Vec::with_capacity(64);
    for row in 0..batch.num_rows() {
        key.clear();
        key.extend((dates.value(row) ^ i32::MIN).to_be_bytes());
        for column in &columns {
            match column {
                Some(column) if column.values.is_valid(row) => {
                    key.push(1);
                    key.extend(column.rows.row(row).as_ref());
                }
                _ => key.push(0),
            }
        }
        key.extend((times.value(row) ^ i64::MIN).to_be_bytes());
        builder.append_value(&key);
    }
    Ok(builder.finish())
}

struct Encoded {
    values: ArrayRef,
    rows: Rows,
}

impl Encoded {
    fn new(values: ArrayRef) -> Result<Self, ArrowError> {
        let converter = RowConverter::new(vec![SortField::new(values.data_type().clone())])?;
        let rows = converter.convert_columns(&[Arc::clone(&values)])?;
        Ok(Self { values, rows })
    }
}

/// The column at a path through structs; `None` where there is none or a list stands in the way.
pub fn column_at(batch: &RecordBatch, path: &FieldPath) -> Option<ArrayRef> {
    let (first, rest) = path.names().split_first()?;
    let mut column = Arc::clone(batch.column_by_name(first)?);
    for segment in rest {
        let parent = column.as_any().downcast_ref::<StructArray>()?;
        let child = parent.column_by_name(segment)?;
        column = match parent.nulls() {
            Some(_) => nullif(child, &is_null(parent).ok()?).ok()?,
            None => Arc::clone(child),
        };
    }
    (!column.data_type().is_nested()).then_some(column)
}

/// Whether rows of this schema are sorted by the column at a path: it is there, a scalar, and no list
/// stands in the way.
pub fn is_sortable(schema: &Schema, path: &FieldPath) -> bool {
    let mut fields = schema.fields();
    let Some((last, above)) = path.names().split_last() else {
        return false;
    };
    for name in above {
        match fields.find(name).map(|(_, field)| field.data_type()) {
            Some(DataType::Struct(children)) => fields = children,
            _ => return false,
        }
    }
    fields
        .find(last)
        .is_some_and(|(_, field)| !field.data_type().is_nested())
}
