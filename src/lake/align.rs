//! Rows of a file, laid out in the columns that the table has by now.
//!
//! A table's schema only grows: a file may lack columns, also inside structs, that came after it. They are
//! null in its rows. Hazard: a column that the table does not have would be dropped; it is an error
//! (invariant 2).

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, LargeListArray, ListArray, RecordBatch, StructArray, new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Fields, SchemaRef};
use arrow::error::ArrowError;

/// The rows of `batch` in the columns of `schema`.
pub fn align(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let rows = StructArray::from(batch.clone());
    let columns = align_fields(&rows, schema.fields())?;
    RecordBatch::try_new(Arc::clone(schema), columns)
}

fn align_fields(rows: &StructArray, fields: &Fields) -> Result<Vec<ArrayRef>, ArrowError> {
    let names = rows.fields().iter().map(|field| field.name());
    if let Some(unknown) = names
        .into_iter()
        .position(|name| fields.find(name).is_none())
    {
        let reason = format!("the table does not have column {unknown} of a file");
        return Err(ArrowError::SchemaError(reason));
    }
    fields
        .iter()
        .map(|field| match rows.column_by_name(field.name()) {
            Some(column) => align_array(column, field.data_type()),
            None => Ok(new_null_array(field.data_type(), rows.len())),
        })
        .collect()
}

fn align_array(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == data_type {
        return Ok(Arc::clone(array));
    }
    match (array.data_type(), data_type) {
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let rows = array.as_struct();
            let columns = align_fields(rows, fields)?;
            let nulls = rows.nulls().cloned();
            let aligned =
                StructArray::try_new_with_length(fields.clone(), columns, nulls, rows.len())?;
            Ok(Arc::new(aligned))
        }
        (DataType::List(_), DataType::List(element)) => {
            let list = array.as_list::<i32>();
            let values = align_array(list.values(), element.data_type())?;
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            let aligned = ListArray::try_new(Arc::clone(element), offsets, values, nulls)?;
            Ok(Arc::new(aligned))
        }
        (DataType::LargeList(_), DataType::LargeList(element)) => {
            let list = array.as_list::<i64>();
            let values = align_array(list.values(), element.data_type())?;
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            let aligned = LargeListArray::try_new(Arc::clone(element), offsets, values, nulls)?;
            Ok(Arc::new(aligned))
        }
        (found, wanted) if is_same_but_for_width(found, wanted) => cast(array, wanted),
        // The types of objects name their fields, which come from events.
        _ => Err(ArrowError::SchemaError(
            "a file has a column of another type than the table".into(),
        )),
    }
}

/// Texts and times whose values stay what they are.
fn is_same_but_for_width(found: &DataType, wanted: &DataType) -> bool {
    let is_text = |data_type: &DataType| {
        matches!(
            data_type,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
        )
    };
    let is_time = |data_type: &DataType| matches!(data_type, DataType::Timestamp(_, Some(_)));
    is_text(found) && is_text(wanted) || is_time(found) && is_time(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{self, Json, NewFields, SchemaRules};

    fn rules() -> SchemaRules {
        SchemaRules {
            on_new_field: NewFields::Add,
            max_columns: 100,
            types: std::collections::BTreeMap::new(),
        }
    }

    /// The rows of `old` events in the columns that the table has after `new` ones.
    fn aligned(old: &[&str], new: &[&str]) -> Result<RecordBatch, ArrowError> {
        let parse = |texts: &[&str]| -> Vec<Json> {
            let texts = texts.iter();
            texts
                .map(|text| Json::parse(text.as_bytes()).unwrap())
                .collect()
        };
        let (old, new) = (parse(old), parse(new));
        let before = decode::learn(None, old.iter(), &rules()).schema;
        let after = decode::learn(Some(&before), new.iter(), &rules()).schema;
        let lay_out = |schema, events: &[Json]| {
            decode::to_batch(schema, &events.iter().collect::<Vec<_>>()).unwrap()
        };
        let wanted = lay_out(&after, &new).schema();
        align(&lay_out(&before, &old), &wanted)
    }

    #[test]
    fn old_rows_say_the_same_in_new_columns() {
        let old = [
            r#"{"o":{"a":1},"l":[{"x":1},null,{"x":"odd"}],"m":[[{"y":true}]]}"#,
            r#"{"o":null,"l":[],"t":"text"}"#,
            r"{}",
        ];
        let new = [r#"{"o":{"b":{"c":"x"}},"l":[{"z":2.5}],"m":[[{"w":1}]],"n":[1]}"#];
        let batch = aligned(&old, &new).unwrap();
        assert_eq!(batch.num_rows(), 3);
        for (row, text) in old.iter().enumerate() {
            let event = Json::parse(text.as_bytes()).unwrap();
            let back = decode::rebuild(&batch, row).unwrap();
            assert!(decode::semantically_equal(&back, &event), "{back}");
        }
        assert!(batch.column_by_name("n").unwrap().is_null(0));
    }

    #[test]
    fn nothing_is_dropped_and_no_type_is_changed() {
        let batch = aligned(&[r#"{"a":1,"b":"x"}"#], &["{}"]).unwrap();
        let fields: Vec<_> = batch.schema().fields().iter().map(Arc::clone).collect();
        let fewer = arrow::datatypes::Schema::new(fields[1..].to_vec());
        assert!(align(&batch, &Arc::new(fewer)).is_err());
        let other = fields[0].as_ref().clone().with_data_type(DataType::Utf8);
        let mut fields = fields;
        fields[0] = Arc::new(other);
        let other = arrow::datatypes::Schema::new(fields);
        assert!(align(&batch, &Arc::new(other)).is_err());
    }
}
