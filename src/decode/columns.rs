//! Builders that take JSON values for columns of a given type, exactly or not at all.
//!
//! Hazard: a builder that is kind to its input (1.9 as 1, "007" as 7) loses data. A value is
//! taken only if the column gives back an equal one; otherwise the column gets null and the
//! caller rescues the value. Keeps invariant 2.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayBuilder, ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, LargeListArray,
    ListArray, NullBufferBuilder, StringBuilder, StructArray, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Fields};
use arrow::error::ArrowError;

use super::document::{Elements, Members, Value};
use super::layout::{Gathered, Layout};
use super::number::{exact_f64, exact_i64};
use super::rescued::{Place, Trail};

/// One column that is being built.
pub(super) enum Column {
    Boolean(BooleanBuilder),
    Integer(Int64Builder),
    Decimal(Float64Builder),
    Text(StringBuilder, DataType),
    Struct(Box<StructColumn>),
    List(Box<ListColumn>),
    /// A type that no JSON value is put into: nulls only.
    Other(DataType, usize),
}

impl Column {
    fn new(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Int64 => Self::Integer(Int64Builder::new()),
            DataType::Float64 => Self::Decimal(Float64Builder::new()),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Self::Text(StringBuilder::new(), data_type.clone())
            }
            DataType::Struct(fields) => Self::Struct(Box::new(StructColumn::new(fields, false))),
            DataType::List(element) => Self::List(Box::new(ListColumn::new(element, false))),
            DataType::LargeList(element) => Self::List(Box::new(ListColumn::new(element, true))),
            other => Self::Other(other.clone(), 0),
        }
    }

    /// Appends the value as that of `row` if it fits; otherwise appends null and returns false. Parts of an
    /// object or list that do not fit are rescued on the way. Rows before that had nothing for the column
    /// get their nulls.
    fn append(
        &mut self,
        row: usize,
        value: Value<'_>,
        place: Place<'_>,
        trail: &mut Trail,
    ) -> bool {
        match self {
            Self::Boolean(builder) => {
                if builder.len() < row {
                    builder.append_nulls(row - builder.len());
                }
                let boolean = value.boolean();
                builder.append_option(boolean);
                boolean.is_some()
            }
            Self::Integer(builder) => {
                if builder.len() < row {
                    builder.append_nulls(row - builder.len());
                }
                let integer = value.number().and_then(exact_i64);
                builder.append_option(integer);
                integer.is_some()
            }
            Self::Decimal(builder) => {
                if builder.len() < row {
                    builder.append_nulls(row - builder.len());
                }
                let decimal = value.number().and_then(exact_f64);
                builder.append_option(decimal);
                decimal.is_some()
            }
            Self::Text(builder, _) => {
                if builder.len() < row {
                    builder.append_nulls(row - builder.len());
                }
                let text = value.text().filter(|text| has_room(builder, text));
                builder.append_option(text);
                text.is_some()
            }
            Self::Struct(column) => {
                column.append_nulls(row.saturating_sub(column.rows()));
                let members = value.members();
                match &members {
                    Some(members) => column.append(members, Some(&place), trail),
                    None => column.append_nulls(1),
                }
                members.is_some()
            }
            Self::List(column) => {
                column.append_nulls(row.saturating_sub(column.rows()));
                let elements = value.elements();
                match elements.clone() {
                    Some(elements) => column.append(elements, &place, trail),
                    None => column.append_nulls(1),
                }
                elements.is_some()
            }
            Self::Other(_, length) => {
                *length = row + 1;
                false
            }
        }
    }

    /// Whether there are structs in it, which could get more fields.
    fn has_fields(&self) -> bool {
        match self {
            Self::Struct(_) => true,
            Self::List(column) => column.column.has_fields(),
            _ => false,
        }
    }

    fn append_nulls(&mut self, count: usize) {
        match self {
            Self::Boolean(builder) => builder.append_nulls(count),
            Self::Integer(builder) => builder.append_nulls(count),
            Self::Decimal(builder) => builder.append_nulls(count),
            Self::Text(builder, _) => builder.append_nulls(count),
            Self::Struct(column) => column.append_nulls(count),
            Self::List(column) => column.append_nulls(count),
            Self::Other(_, length) => *length += count,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Boolean(builder) => builder.len(),
            Self::Integer(builder) => builder.len(),
            Self::Decimal(builder) => builder.len(),
            Self::Text(builder, _) => builder.len(),
            Self::Struct(column) => column.rows(),
            Self::List(column) => column.rows(),
            Self::Other(_, length) => *length,
        }
    }

    fn finish(self) -> Result<ArrayRef, ArrowError> {
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
    /// They lag behind while the rows have nothing for them.
    columns: Vec<Column>,
    layout: Layout,
    present: NullBufferBuilder,
}

impl StructColumn {
    pub fn new(fields: &Fields, is_event: bool) -> Self {
        Self {
            fields: fields.clone(),
            columns: fields
                .iter()
                .map(|field| Column::new(field.data_type()))
                .collect(),
            layout: Layout::new(fields, is_event),
            present: NullBufferBuilder::new(0),
        }
    }

    pub fn rows(&self) -> usize {
        self.present.len()
    }

    fn append_nulls(&mut self, count: usize) {
        if count > 0 {
            self.present.append_n_nulls(count);
        }
    }

    pub fn append(&mut self, members: &Members<'_>, around: Option<&Place<'_>>, trail: &mut Trail) {
        let row = self.rows();
        self.present.append_non_null();
        if !self.layout.adopt(members) {
            return self.append_gathered(Gathered::of(members.clone()), row, around, trail);
        }
        let mut values = members.clone();
        for slot in self.layout.slots() {
            let Some(value) = values.next_value() else {
                break;
            };
            let place = Place::member(around, &slot.pointer_name);
            let column = slot.field.and_then(|field| self.columns.get_mut(field));
            let Some(column) = column else {
                trail.keep(&place, &[value]);
                trail.look_for_new_fields(slot.may_be_column, value, &place);
                continue;
            };
            if !column.append(row, value, place, trail) {
                trail.keep(&place, &[value]);
            }
        }
    }

    /// Appends an object with duplicate or very many keys.
    #[cold]
    fn append_gathered(
        &mut self,
        gathered: Gathered<'_>,
        row: usize,
        around: Option<&Place<'_>>,
        trail: &mut Trail,
    ) {
        for (key, values) in gathered.by_key {
            let slot = self.layout.slot_of(key);
            let place = Place::member(around, &slot.pointer_name);
            let column = slot.field.and_then(|field| self.columns.get_mut(field));
            let (Some(column), Some(last)) = (column, values.last()) else {
                trail.keep(&place, &values);
                for value in values {
                    trail.look_for_new_fields(slot.may_be_column, value, &place);
                }
                continue;
            };
            if values.len() > 1 {
                for value in &values {
                    trail.look_for_new_fields(column.has_fields(), *value, &place);
                }
                trail.silently(|trail| column.append(row, *last, place, trail));
                trail.keep(&place, &values);
            } else if !column.append(row, *last, place, trail) {
                trail.keep(&place, &values);
            }
        }
    }

    pub fn finish_columns(self) -> Result<Vec<ArrayRef>, ArrowError> {
        let rows = self.present.len();
        let mut arrays = Vec::with_capacity(self.columns.len());
        for mut column in self.columns {
            column.append_nulls(rows.saturating_sub(column.len()));
            arrays.push(column.finish()?);
        }
        Ok(arrays)
    }

    fn finish(self) -> Result<ArrayRef, ArrowError> {
        let (fields, rows, present) = (
            self.fields.clone(),
            self.present.len(),
            self.present.finish_cloned(),
        );
        let arrays = self.finish_columns()?;
        let array = StructArray::try_new_with_length(fields, arrays, present, rows)?;
        Ok(Arc::new(array))
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

    fn append(&mut self, elements: Elements<'_>, around: &Place<'_>, trail: &mut Trail) {
        self.present.append_non_null();
        let before = self.column.len();
        for (index, element) in elements.enumerate() {
            if element.is_null() {
                self.column.append_nulls(1);
                continue;
            }
            let place = Place::element(around, index);
            if !self.column.append(before + index, element, place, trail) {
                trail.keep(&place, &[element]);
            }
        }
        self.lengths.push(self.column.len() - before);
    }

    fn rows(&self) -> usize {
        self.lengths.len()
    }

    fn append_nulls(&mut self, count: usize) {
        if count > 0 {
            self.present.append_n_nulls(count);
            self.lengths.resize(self.lengths.len() + count, 0);
        }
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
