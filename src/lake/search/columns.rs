//! Columns → the rows that may hold one of the values that are sought. Others need not be made events.

use std::collections::{BTreeSet, HashSet};

use arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};

use crate::decode::RESCUED;
use crate::lake::subject::{Sought, canonical_text};
use crate::policy::Compare;

/// The rows of a batch that may hold one of the values, in order, and those with something in `_rescued`.
pub fn candidates(batch: &RecordBatch, sought: &[Sought]) -> BTreeSet<usize> {
    let mut rows = BTreeSet::new();
    if let Some(rescued) = batch.column_by_name(RESCUED) {
        rows.extend((0..rescued.len()).filter(|row| rescued.is_valid(*row)));
    }
    for one in sought {
        // Of values that are made up of several, one is enough to have a closer look.
        let Some(path) = one.paths.first() else {
            continue;
        };
        let texts: HashSet<&str> = one
            .texts
            .iter()
            .filter_map(|texts| texts.first().map(String::as_str))
            .collect();
        let Some((first, names)) = path.names().split_first() else {
            continue;
        };
        let Some(column) = batch.column_by_name(first) else {
            continue;
        };
        let whole: Vec<usize> = (0..batch.num_rows()).collect();
        mark(column, names, &whole, &texts, one.compare, &mut rows);
    }
    rows
}

/// Marks the rows in which a value below `array` is among `texts`. `row_of`: the row of each element.
fn mark(
    array: &ArrayRef,
    names: &[String],
    row_of: &[usize],
    texts: &HashSet<&str>,
    compare: Compare,
    rows: &mut BTreeSet<usize>,
) {
    match array.data_type() {
        DataType::Struct(_) => {
            let Some((first, names)) = names.split_first() else {
                return;
            };
            if let Some(child) = array.as_struct().column_by_name(first) {
                mark(child, names, row_of, texts, compare, rows);
            }
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let offsets = places(list.value_offsets());
            mark_elements(list.values(), &offsets, names, row_of, texts, compare, rows);
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let offsets = places(list.value_offsets());
            mark_elements(list.values(), &offsets, names, row_of, texts, compare, rows);
        }
        _ => mark_values(array, row_of, texts, compare, rows),
    }
}

/// Where each list begins, and the last one ends.
fn places<Offset: OffsetSizeTrait>(offsets: &[Offset]) -> Vec<usize> {
    offsets.iter().map(|offset| offset.as_usize()).collect()
}

fn mark_elements(
    values: &ArrayRef,
    offsets: &[usize],
    names: &[String],
    row_of: &[usize],
    texts: &HashSet<&str>,
    compare: Compare,
    rows: &mut BTreeSet<usize>,
) {
    let (Some(first), Some(last)) = (offsets.first(), offsets.last()) else {
        return;
    };
    let values = values.slice(*first, last - first);
    let mut row_of_value = Vec::with_capacity(values.len());
    for (bounds, row) in offsets.windows(2).zip(row_of) {
        if let [begin, end] = bounds {
            row_of_value.extend(std::iter::repeat_n(*row, end - begin));
        }
    }
    mark(&values, names, &row_of_value, texts, compare, rows);
}

fn mark_values(
    array: &ArrayRef,
    row_of: &[usize],
    texts: &HashSet<&str>,
    compare: Compare,
    rows: &mut BTreeSet<usize>,
) {
    let mut keep = |is_among: &dyn Fn(usize) -> bool| {
        let valid = row_of
            .iter()
            .enumerate()
            .filter(|(value, _)| array.is_valid(*value));
        rows.extend(
            valid
                .filter(|(value, _)| is_among(*value))
                .map(|(_, row)| *row),
        );
    };
    match array.data_type() {
        DataType::Int64 => {
            let wanted: HashSet<i64> = texts.iter().filter_map(|text| text.parse().ok()).collect();
            let numbers = array.as_primitive::<Int64Type>();
            keep(&|value| wanted.contains(&numbers.value(value)));
        }
        DataType::Float64 => {
            let wanted: HashSet<u64> = texts
                .iter()
                .filter_map(|text| text.parse::<f64>().ok().map(f64::to_bits))
                .collect();
            let numbers = array.as_primitive::<Float64Type>();
            // Both zeros are the same number.
            keep(&|value| wanted.contains(&(numbers.value(value) + 0.0).to_bits()));
        }
        DataType::Utf8 => {
            let strings = array.as_string::<i32>();
            match compare {
                Compare::Text => keep(&|value| texts.contains(strings.value(value))),
                _ => keep(&|value| {
                    texts.contains(canonical_text(strings.value(value), compare).as_str())
                }),
            }
        }
        DataType::Utf8View | DataType::LargeUtf8 | DataType::Dictionary(..) => {
            match cast(array, &DataType::Utf8) {
                Ok(strings) => mark_values(&strings, row_of, texts, compare, rows),
                Err(_) => rows.extend(row_of),
            }
        }
        DataType::Null | DataType::Boolean => {}
        // Whatever it is: have a closer look.
        _ => rows.extend(row_of),
    }
}
