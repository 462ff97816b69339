//! The rows of a batch, column by column: text columns are searched as one stretch of bytes, and only the
//! rows with a hit are looked into.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Float64Type, Int64Type, TimeUnit, TimestampNanosecondType, UInt64Type,
};
use chrono::DateTime;
use memchr::memchr_iter;
use parquet::errors::Result as ParquetResult;

use super::leaves::{Leaf, leaves};
use super::{FileLook, Held};
use crate::erasure::verify::event::{Event, Findings};
use crate::erasure::verify::fields::{Fields, Role, Spot};
use crate::erasure::verify::time::{Written, moment};
use crate::erasure::verify::walk::Walk;

/// The rows of a batch that hold anything.
type Rows = BTreeMap<usize, Event>;

impl FileLook {
    pub(super) fn look_at_rows(
        &self,
        batch: &RecordBatch,
        held: &mut Held,
        findings: &mut Findings,
    ) -> ParquetResult<()> {
        let mut leaves = leaves(batch);
        let mut rows = Rows::new();
        for (index, leaf) in leaves.iter_mut().enumerate() {
            leaf.values = plain(&leaf.values)?;
            self.look_at_leaf(index, leaf, &mut rows, held)?;
        }
        for (row, mut event) in rows {
            if event.is_of_interest() {
                self.complete(row, &mut event, &leaves)?;
                self.judge(event, findings);
            }
        }
        Ok(())
    }

    /// Where a column stands in an event.
    pub(super) fn spot(&self, path: &[String]) -> Spot {
        let names = path.iter().map(String::as_str);
        names.fold(Fields::ROOT, |spot, name| self.fields.step(spot, name))
    }

    fn look_at_leaf(
        &self,
        index: usize,
        leaf: &Leaf,
        rows: &mut Rows,
        held: &mut Held,
    ) -> ParquetResult<()> {
        let spot = self.spot(&leaf.path);
        match leaf.values.data_type() {
            DataType::LargeBinary => self.look_at_texts(index, leaf, spot, rows, held),
            data_type
                if (data_type.is_integer() || data_type.is_floating())
                    && !is_of_table(&leaf.path) =>
            {
                self.look_at_numbers(index, leaf, spot, rows, held)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn look_at_texts(
        &self,
        index: usize,
        leaf: &Leaf,
        spot: Spot,
        rows: &mut Rows,
        held: &mut Held,
    ) {
        let texts = leaf.values.as_binary::<i64>();
        let offsets = texts.value_offsets();
        let place_of = |offset: Option<&i64>| offset.map_or(0, |one| one.unsigned_abs() as usize);
        let (first, end) = (place_of(offsets.first()), place_of(offsets.last()));
        let bytes = texts.value_data().get(first..end).unwrap_or_default();
        let mut places = self.searcher.places(bytes);
        // Where JSON in a text may hide something: see `text`.
        places.extend(memchr_iter(b'\\', bytes));
        let value_at = |place: usize| {
            let after = offsets.partition_point(|offset| place_of(Some(offset)) <= first + place);
            after.saturating_sub(1)
        };
        let mut values: Vec<usize> = places.into_iter().map(value_at).collect();
        values.sort_unstable();
        values.dedup();
        for value in values.into_iter().filter(|value| texts.is_valid(*value)) {
            let bytes = texts.value(value);
            let mut walk = self.walk_at(leaf, value);
            self.see_text(&mut walk, spot, bytes);
            let event = rows.entry(leaf.row_of(value)).or_default();
            held.extend(walk.event.terms().map(|term| (index, term)));
            event.join(walk.event);
        }
    }

    fn walk_at(&self, leaf: &Leaf, value: usize) -> Walk<'_> {
        let mut walk = self.walk();
        walk.objects = Some(leaf.objects_of(value));
        walk
    }

    /// Looks at one text as a value of a column.
    pub(super) fn see_text(&self, walk: &mut Walk<'_>, spot: Spot, bytes: &[u8]) {
        let is_rescued = self
            .fields
            .at(spot)
            .is_some_and(|field| field.role == Role::Rescued);
        if is_rescued && walk.through_rescued(bytes).is_ok() {
            return;
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => walk.see_text(spot, text),
            Err(_) => walk.see_bytes(bytes),
        }
    }

    fn look_at_numbers(
        &self,
        index: usize,
        leaf: &Leaf,
        spot: Spot,
        rows: &mut Rows,
        held: &mut Held,
    ) -> ParquetResult<()> {
        let mut see = |value: usize, walk: Walk<'_>| {
            held.extend(walk.event.terms().map(|term| (index, term)));
            rows.entry(leaf.row_of(value)).or_default().join(walk.event);
        };
        let mut see_integers = |numbers: &mut dyn Iterator<Item = Option<i128>>| {
            for (value, number) in numbers.enumerate() {
                if let Some(number) = number.filter(|one| self.is_term(*one)) {
                    let mut walk = self.walk_at(leaf, value);
                    walk.see_integer(spot, number);
                    see(value, walk);
                }
            }
        };
        match leaf.values.data_type() {
            DataType::UInt64 => {
                let numbers = leaf.values.as_primitive::<UInt64Type>().iter();
                see_integers(&mut numbers.map(|number| number.map(i128::from)));
            }
            data_type if data_type.is_integer() => {
                let numbers = cast(&leaf.values, &DataType::Int64)?;
                let numbers = numbers.as_primitive::<Int64Type>().iter();
                see_integers(&mut numbers.map(|number| number.map(i128::from)));
            }
            _ => {
                let numbers = cast(&leaf.values, &DataType::Float64)?;
                let is_term = |one: &f64| self.searcher.term_of_float(*one, true).is_some();
                for (value, number) in numbers.as_primitive::<Float64Type>().iter().enumerate() {
                    if let Some(number) = number.filter(is_term) {
                        let mut walk = self.walk_at(leaf, value);
                        walk.see_float(spot, number);
                        see(value, walk);
                    }
                }
            }
        }
        Ok(())
    }

    fn is_term(&self, number: i128) -> bool {
        self.searcher.term_of_number(number).is_some()
    }

    /// Adds to a row that holds something whose it is and when it happened.
    fn complete(&self, row: usize, event: &mut Event, leaves: &[Leaf]) -> ParquetResult<()> {
        event.times.clear();
        for leaf in leaves {
            let spot = self.spot(&leaf.path);
            let Some(field) = self.fields.at(spot) else {
                continue;
            };
            for value in leaf
                .values_of(row)
                .filter(|value| leaf.values.is_valid(*value))
            {
                event.names_someone |= field.names_owner && !is_empty(&leaf.values, value);
                if field.role == Role::Time {
                    event.times.push(self.time_of(&leaf.values, value)?);
                }
            }
        }
        Ok(())
    }

    fn time_of(
        &self,
        values: &ArrayRef,
        value: usize,
    ) -> ParquetResult<Option<DateTime<chrono::Utc>>> {
        let one = values.slice(value, 1);
        let clock = self.fields.clock;
        Ok(match one.data_type() {
            DataType::Timestamp(..) => {
                let nanoseconds = cast(&one, &DataType::Timestamp(TimeUnit::Nanosecond, None))?;
                let nanoseconds = nanoseconds.as_primitive::<TimestampNanosecondType>();
                nanoseconds
                    .is_valid(0)
                    .then(|| DateTime::from_timestamp_nanos(nanoseconds.value(0)))
            }
            DataType::LargeBinary => {
                let bytes = one.as_binary::<i64>().value(0);
                let text = std::str::from_utf8(bytes).ok();
                text.and_then(|text| moment(Written::Text(text), clock))
            }
            data_type if data_type.is_integer() => {
                let number = cast(&one, &DataType::Int64)?;
                let number = number.as_primitive::<Int64Type>().value(0);
                moment(Written::Integer(number.into()), clock)
            }
            data_type if data_type.is_floating() => {
                let number = cast(&one, &DataType::Float64)?;
                moment(
                    Written::Float(number.as_primitive::<Float64Type>().value(0)),
                    clock,
                )
            }
            _ => None,
        })
    }
}

/// Whether it is a column that the program adds: offsets and the like.
pub(super) fn is_of_table(path: &[String]) -> bool {
    path.first().is_some_and(|name| name.starts_with('_'))
}

fn is_empty(values: &ArrayRef, value: usize) -> bool {
    let texts = values.as_binary_opt::<i64>();
    texts.is_some_and(|texts| texts.value(value).trim_ascii().is_empty())
}

/// Texts and bytes of all kinds as one kind; decimals as the text that says them.
fn plain(values: &ArrayRef) -> ParquetResult<ArrayRef> {
    let values = match values.data_type() {
        DataType::Dictionary(_, of) => cast(values, of)?,
        _ => Arc::clone(values),
    };
    Ok(match values.data_type() {
        DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Binary
        | DataType::FixedSizeBinary(_)
        | DataType::BinaryView => cast(&values, &DataType::LargeBinary)?,
        DataType::Utf8View
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => {
            let texts = cast(&values, &DataType::LargeUtf8)?;
            cast(&texts, &DataType::LargeBinary)?
        }
        _ => values,
    })
}
