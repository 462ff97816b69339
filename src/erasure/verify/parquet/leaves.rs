//! The leaf columns of a batch, each value with the row that it belongs to.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, FieldRef};

/// A leaf column, in the order in which Parquet counts them.
pub(super) struct Leaf {
    /// The names that lead to it; levels of lists and maps add none.
    pub path: Vec<String>,
    pub values: ArrayRef,
    /// The row of each value, in rising order; none if they are the rows one by one.
    rows: Option<Vec<usize>>,
}

impl Leaf {
    /// The row of a value.
    pub fn row_of(&self, value: usize) -> usize {
        match &self.rows {
            None => value,
            Some(rows) => rows.get(value).copied().unwrap_or_default(),
        }
    }

    /// The values of a row.
    pub fn values_of(&self, row: usize) -> std::ops::Range<usize> {
        match &self.rows {
            None => row..row + 1,
            Some(rows) => {
                let first = rows.partition_point(|one| *one < row);
                first..rows.partition_point(|one| *one <= row)
            }
        }
    }
}

/// All leaf columns of a batch.
pub(super) fn leaves(batch: &RecordBatch) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    let schema = batch.schema();
    for (field, values) in schema.fields().iter().zip(batch.columns()) {
        push_field(field, values, &[], None, &mut leaves);
    }
    leaves
}

fn push_field(
    field: &FieldRef,
    values: &ArrayRef,
    above: &[String],
    rows: Option<&[usize]>,
    leaves: &mut Vec<Leaf>,
) {
    let path = [above, std::slice::from_ref(field.name())].concat();
    push(values, path, rows, leaves);
}

fn push(values: &ArrayRef, path: Vec<String>, rows: Option<&[usize]>, leaves: &mut Vec<Leaf>) {
    match values.data_type() {
        DataType::Struct(fields) => {
            for (field, values) in fields.iter().zip(values.as_struct().columns()) {
                push_field(field, values, &path, rows, leaves);
            }
        }
        DataType::List(_) => {
            let list = values.as_list::<i32>();
            push_elements(list.values(), list.value_offsets(), path, rows, leaves);
        }
        DataType::LargeList(_) => {
            let list = values.as_list::<i64>();
            push_elements(list.values(), list.value_offsets(), path, rows, leaves);
        }
        DataType::Map(..) => {
            let map = values.as_map();
            push_elements(map.keys(), map.value_offsets(), path.clone(), rows, leaves);
            push_elements(map.values(), map.value_offsets(), path, rows, leaves);
        }
        _ => leaves.push(Leaf {
            path,
            values: ArrayRef::clone(values),
            rows: rows.map(<[usize]>::to_vec),
        }),
    }
}

fn push_elements<Offset: Copy + TryInto<usize>>(
    values: &ArrayRef,
    offsets: &[Offset],
    path: Vec<String>,
    rows: Option<&[usize]>,
    leaves: &mut Vec<Leaf>,
) {
    let at = |offset: Option<&Offset>| offset.and_then(|offset| (*offset).try_into().ok());
    let first: usize = at(offsets.first()).unwrap_or(0);
    let end: usize = at(offsets.last()).unwrap_or(first);
    let mut rows_of_elements = Vec::with_capacity(end.saturating_sub(first));
    for (position, pair) in offsets.windows(2).enumerate() {
        let row = rows.map_or(position, |rows| {
            rows.get(position).copied().unwrap_or_default()
        });
        let length = at(pair.last())
            .unwrap_or(0)
            .saturating_sub(at(pair.first()).unwrap_or(0));
        rows_of_elements.extend(std::iter::repeat_n(row, length));
    }
    let values = values.slice(first, end - first);
    push(&values, path, Some(&rows_of_elements), leaves);
}
