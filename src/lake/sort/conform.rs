//! Batches of one table whose schema has grown: what a batch does not have yet is null in it.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, GenericListArray, OffsetSizeTrait, RecordBatch, StructArray,
    new_null_array,
};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;

/// `batch` with exactly the columns of `schema`. The batch's own must be among them, down through structs
/// and lists.
pub fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    if batch.schema_ref() == schema {
        return Ok(batch.clone());
    }
    let names: Vec<&str> = batch
        .schema_ref()
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    let columns = conform_columns(&names, batch.columns(), schema.fields(), batch.num_rows())?;
    RecordBatch::try_new(Arc::clone(schema), columns)
}

fn conform_columns(
    names: &[&str],
    columns: &[ArrayRef],
    fields: &Fields,
    rows: usize,
) -> Result<Vec<ArrayRef>, ArrowError> {
    let mut taken = 0;
    let mut conforming = Vec::with_capacity(fields.len());
    for field in fields {
        let column = names
            .iter()
            .zip(columns)
            .find(|(name, _)| *name == field.name());
        conforming.push(match column {
            Some((_, column)) => {
                taken += 1;
                conform_array(column, field)?
            }
            None => new_null_array(field.data_type(), rows),
        });
    }
    if taken == names.len() {
        return Ok(conforming);
    }
    Err(ArrowError::SchemaError(
        "rows have columns that their table does not have".into(),
    ))
}

fn conform_array(array: &ArrayRef, field: &FieldRef) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == field.data_type() {
        return Ok(Arc::clone(array));
    }
    match (array.data_type(), field.data_type()) {
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let array = array.as_struct();
            let names: Vec<&str> = array.column_names();
            let columns = conform_columns(&names, array.columns(), fields, array.len())?;
            let nulls = array.nulls().cloned();
            let conforming =
                StructArray::try_new_with_length(fields.clone(), columns, nulls, array.len())?;
            Ok(Arc::new(conforming))
        }
        (DataType::List(_), DataType::List(element)) => {
            conform_list(array.as_list::<i32>(), element)
        }
        (DataType::LargeList(_), DataType::LargeList(element)) => {
            conform_list(array.as_list::<i64>(), element)
        }
        (found, wanted) => Err(ArrowError::SchemaError(format!(
            "a column of type {found} cannot become one of type {wanted}"
        ))),
    }
}

fn conform_list<Offset: OffsetSizeTrait>(
    list: &GenericListArray<Offset>,
    element: &FieldRef,
) -> Result<ArrayRef, ArrowError> {
    let values = conform_array(list.values(), element)?;
    Ok(Arc::new(GenericListArray::<Offset>::try_new(
        Arc::clone(element),
        list.offsets().clone(),
        values,
        list.nulls().cloned(),
    )?))
}

/// All columns of both, those of `known` first; where both have a column, its parts are those of both.
pub fn merge_schemas(known: &Schema, more: &Schema) -> Result<SchemaRef, ArrowError> {
    Ok(Arc::new(Schema::new(merge_fields(
        known.fields(),
        more.fields(),
    )?)))
}

fn merge_fields(known: &Fields, more: &Fields) -> Result<Fields, ArrowError> {
    let mut fields: Vec<FieldRef> = known.iter().cloned().collect();
    for field in more {
        match fields.iter_mut().find(|known| known.name() == field.name()) {
            Some(known) => *known = merge_field(known, field)?,
            None => fields.push(Arc::clone(field)),
        }
    }
    Ok(fields.into())
}

fn merge_field(known: &FieldRef, more: &FieldRef) -> Result<FieldRef, ArrowError> {
    let data_type = match (known.data_type(), more.data_type()) {
        (one, other) if one == other => return Ok(Arc::clone(known)),
        (DataType::Struct(one), DataType::Struct(other)) => {
            DataType::Struct(merge_fields(one, other)?)
        }
        (DataType::List(one), DataType::List(other)) => DataType::List(merge_field(one, other)?),
        (DataType::LargeList(one), DataType::LargeList(other)) => {
            DataType::LargeList(merge_field(one, other)?)
        }
        (one, other) => {
            return Err(ArrowError::SchemaError(format!(
                "the column `{}` is {one} in some rows and {other} in others",
                known.name()
            )));
        }
    };
    Ok(Arc::new(Field::clone(known).with_data_type(data_type)))
}
