//! Builders that take JSON values for columns of a given type, exactly or not at all.
//!
//! Hazard: a builder that is kind to its input (1.9 as 1, "007" as 7) loses data. A value is
//! taken only if the column gives back an equal one; otherwise the column gets null and the
//! caller rescues the value. Keeps invariant 2.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, LargeListArray, ListArray,
    NullBufferBuilder, StringBuilder, StructArray, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Fields};
use arrow::error::ArrowError;

use super::Json;
use super::json::by_key;
use super::rescued::Trail;

/// One column that is being built.
pub(super) enum Column {
    Boolean(BooleanBuilder),
    Integer(Int64Builder),
    Decimal(Float64Builder),
    Text(StringBuilder, DataType),
    Struct(StructColumn),
    List(Box<ListColumn>),
    /// A type that no JSON value is put into: nulls only.
    Other(DataType, usize),
}

impl Column {
    pub fn new(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Int64 => Self::Integer(Int64Builder::new()),
            DataType::Float64 => Self::Decimal(Float64Builder::new()),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Self::Text(StringBuilder::new(), data_type.clone())
            }
            DataType::Struct(fields) => Self::Struct(StructColumn::new(fields)),
            DataType::List(element) => Self::List(Box::new(ListColumn::new(element, false))),
            DataType::LargeList(element) => Self::List(Box::new(ListColumn::new(element, true))),
            other => Self::Other(other.clone(), 0),
        }
    }

    /// Appends the value if it fits; otherwise appends null and returns false. Parts of an object
    /// or list that do not fit are rescued on the way.
    pub fn append(&mut self, value: &Json, trail: &mut Trail) -> bool {
        match (&mut *self, value) {
            (Self::Boolean(builder), Json::Bool(value)) => {
                builder.append_value(*value);
                return true;
            }
            (Self::Integer(builder), Json::Number(number)) => {
                builder.append_option(number.to_exact_i64());
                return number.to_exact_i64().is_some();
            }
            (Self::Decimal(builder), Json::Number(number)) => {
                builder.append_option(number.to_exact_f64());
                return number.to_exact_f64().is_some();
            }
            (Self::Text(builder, _), Json::String(text)) if has_room(builder, text) => {
                builder.append_value(text);
                return true;
            }
            (Self::Struct(column), Json::Object(members)) => {
                column.append(members, trail);
                return true;
            }
            (Self::List(column), Json::Array(elements)) => {
                column.append(elements, trail);
                return true;
            }
            _ => {}
        }
        self.append_null();
        false
    }

    pub fn append_null(&mut self) {
        match self {
            Self::Boolean(builder) => builder.append_null(),
            Self::Integer(builder) => builder.append_null(),
            Self::Decimal(builder) => builder.append_null(),
            Self::Text(builder, _) => builder.append_null(),
            Self::Struct(column) => column.append_null(),
            Self::List(column) => column.append_null(),
            Self::Other(_, length) => *length += 1,
        }
    }

    pub fn finish(self) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Boolean(mut builder) => Ok(Arc::new(builder.finish())),
            Self::Integer(mut builder) => Ok(Arc::new(builder.finish())),
            Self::Decimal(mut builder) => Ok(Arc::new(builder.finish())),
            Self::Text(mut builder, data_type) => cast(&builder.finish(), &data_type),
            Self::Struct(column) => column.finish(),
            Self::List(column) => column.finish(),
            Self::Other(data_type, length) => Ok(new_null_array(&data_type, length)),
        }
    }
}

/// Arrow's offsets into text are 32 bits wide; the builder panics beyond.
pub(super) fn has_room(builder: &StringBuilder, text: &str) -> bool {
    let length = builder.values_slice().len() + text.len();
    i32::try_from(length).is_ok()
}

/// A struct, or the row of an event itself.
pub(super) struct StructColumn {
    fields: Fields,
    columns: Vec<Column>,
    position_of: HashMap<String, usize>,
    present: NullBufferBuilder,
}

impl StructColumn {
    pub fn new(fields: &Fields) -> Self {
        let names = fields.iter().enumerate().rev();
        Self {
            fields: fields.clone(),
            columns: fields
                .iter()
                .map(|field| Column::new(field.data_type()))
                .collect(),
            position_of: names
                .map(|(position, field)| (field.name().clone(), position))
                .collect(),
            present: NullBufferBuilder::new(0),
        }
    }

    pub fn append(&mut self, members: &[(String, Json)], trail: &mut Trail) {
        self.present.append_non_null();
        let mut seen = vec![false; self.columns.len()];
        for (key, values) in by_key(members) {
            let position = self.position_of.get(key).copied();
            let column = position.and_then(|position| {
                seen.get_mut(position).map(|seen| *seen = true)?;
                self.columns.get_mut(position)
            });
            trail.inside(key, |trail| append_member(column, &values, trail));
        }
        for (column, seen) in self.columns.iter_mut().zip(seen) {
            if !seen {
                column.append_null();
            }
        }
    }

    fn append_null(&mut self) {
        self.present.append_null();
        for column in &mut self.columns {
            column.append_null();
        }
    }

    pub fn finish_columns(self) -> Result<Vec<ArrayRef>, ArrowError> {
        self.columns.into_iter().map(Column::finish).collect()
    }

    fn finish(mut self) -> Result<ArrayRef, ArrowError> {
        let (fields, length, present) = (
            self.fields.clone(),
            self.present.len(),
            self.present.finish(),
        );
        let arrays = self.finish_columns()?;
        let array = StructArray::try_new_with_length(fields, arrays, present, length)?;
        Ok(Arc::new(array))
    }
}

/// All values that an object has under one key, into the key's column if there is one.
fn append_member(column: Option<&mut Column>, values: &[&Json], trail: &mut Trail) {
    let (Some(column), Some(last)) = (column, values.last()) else {
        trail.keep(values);
        return;
    };
    if values.len() > 1 {
        trail.silently(|trail| column.append(last, trail));
        trail.keep(values);
    } else if !column.append(last, trail) {
        trail.keep(values);
    }
}

pub(super) struct ListColumn {
    element: FieldRef,
    column: Column,
    lengths: Vec<usize>,
    present: NullBufferBuilder,
    is_large: bool,
}

impl ListColumn {
    fn new(element: &FieldRef, is_large: bool) -> Self {
        Self {
            element: Arc::clone(element),
            column: Column::new(element.data_type()),
            lengths: Vec::new(),
            present: NullBufferBuilder::new(0),
            is_large,
        }
    }

    fn append(&mut self, elements: &[Json], trail: &mut Trail) {
        self.present.append_non_null();
        self.lengths.push(elements.len());
        for (index, element) in elements.iter().enumerate() {
            if *element == Json::Null {
                self.column.append_null();
                continue;
            }
            trail.inside(&index.to_string(), |trail| {
                if !self.column.append(element, trail) {
                    trail.keep(&[element]);
                }
            });
        }
    }

    fn append_null(&mut self) {
        self.present.append_null();
        self.lengths.push(0);
    }

    fn finish(mut self) -> Result<ArrayRef, ArrowError> {
        let values = self.column.finish()?;
        let present = self.present.finish();
        if !self.is_large && i32::try_from(values.len()).is_err() {
            return Err(ArrowError::OffsetOverflowError(values.len()));
        }
        Ok(if self.is_large {
            let offsets = OffsetBuffer::from_lengths(self.lengths);
            Arc::new(LargeListArray::try_new(
                self.element,
                offsets,
                values,
                present,
            )?)
        } else {
            let offsets = OffsetBuffer::from_lengths(self.lengths);
            Arc::new(ListArray::try_new(self.element, offsets, values, present)?)
        })
    }
}
