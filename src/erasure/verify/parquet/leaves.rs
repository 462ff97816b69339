//! The leaf columns of a batch, each value with the row that it belongs to.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, FieldRef};

/// A leaf column, in the order in which Parquet counts them.
pub(super) struct Leaf {
    /// The names that lead to it; levels of lists and maps add none.
    pub path: Vec<String>,
    pub values: ArrayRef,
    above: Above,
}

/// Of each value the row, and the objects around it that have a name: each by its number among all of its
/// kind in the batch, in rising order; none if these are the values' own numbers.
type Above = Vec<Option<Vec<usize>>>;

impl Leaf {
    /// The row of a value.
    pub fn row_of(&self, value: usize) -> usize {
        number(self.rows(), value)
    }

    /// The row of a value and the objects that it is in, outermost first.
    pub fn objects_of(&self, value: usize) -> Vec<usize> {
        let above = self.above.iter().map(Option::as_deref);
        above.map(|numbers| number(numbers, value)).collect()
    }

    fn rows(&self) -> Option<&[usize]> {
        self.above.first().and_then(Option::as_deref)
    }

    /// The values of a row.
    pub fn values_of(&self, row: usize) -> std::ops::Range<usize> {
        match self.rows() {
            None => row..row + 1,
            Some(rows) => {
                let first = rows.partition_point(|one| *one < row);
                first..rows.partition_point(|one| *one <= row)
            }
        }
    }
}

fn number(numbers: Option<&[usize]>, value: usize) -> usize {
    numbers.map_or(value, |numbers| {
        numbers.get(value).copied().unwrap_or_default()
    })
}

/// All leaf columns of a batch.
pub(super) fn leaves(batch: &RecordBatch) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    let schema = batch.schema();
    for (field, values) in schema.fields().iter().zip(batch.columns()) {
        push_field(field, values, &[], &[], &mut leaves);
    }
    leaves
}

fn push_field(
    field: &FieldRef,
    values: &ArrayRef,
    names: &[String],
    objects: &[Option<Vec<usize>>],
    leaves: &mut Vec<Leaf>,
) {
    let path = [names, std::slice::from_ref(field.name())].concat();
    push(values, path, [objects, &[None]].concat(), leaves);
}

fn push(values: &ArrayRef, path: Vec<String>, above: Above, leaves: &mut Vec<Leaf>) {
    match values.data_type() {
        DataType::Struct(fields) => {
            for (field, values) in fields.iter().zip(values.as_struct().columns()) {
                push_field(field, values, &path, &above, leaves);
            }
        }
        DataType::List(_) => {
            let list = values.as_list::<i32>();
            push_elements(list.values(), list.value_offsets(), path, &above, leaves);
        }
        DataType::LargeList(_) => {
            let list = values.as_list::<i64>();
            push_elements(list.values(), list.value_offsets(), path, &above, leaves);
        }
        DataType::Map(..) => {
            let map = values.as_map();
            push_elements(
                map.keys(),
                map.value_offsets(),
                path.clone(),
                &above,
                leaves,
            );
            push_elements(map.values(), map.value_offsets(), path, &above, leaves);
        }
        _ => leaves.push(Leaf {
            path,
            values: ArrayRef::clone(values),
            above,
        }),
    }
}

fn push_elements<Offset: Copy + TryInto<usize>>(
    values: &ArrayRef,
    offsets: &[Offset],
    path: Vec<String>,
    above: &[Option<Vec<usize>>],
    leaves: &mut Vec<Leaf>,
) {
    let at = |offset: Option<&Offset>| offset.and_then(|offset| (*offset).try_into().ok());
    let first: usize = at(offsets.first()).unwrap_or(0);
    let end: usize = at(offsets.last()).unwrap_or(first);
    let of_elements = |numbers: &Option<Vec<usize>>| {
        let mut expanded = Vec::with_capacity(end.saturating_sub(first));
        for (position, pair) in offsets.windows(2).enumerate() {
            let length = at(pair.last())
                .unwrap_or(0)
                .saturating_sub(at(pair.first()).unwrap_or(0));
            let number = number(numbers.as_deref(), position);
            expanded.extend(std::iter::repeat_n(number, length));
        }
        Some(expanded)
    };
    let values = values.slice(first, end - first);
    push(
        &values,
        path,
        above.iter().map(of_elements).collect(),
        leaves,
    );
}
