use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Int64Array, ListArray, StringArray, StructArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Fields, Int64Type, Schema};
use proptest::prelude::*;

use super::*;
use crate::lake::tables::{EVENT_TIME, PARTITION};

/// A row: day, user, time, and a number that only later batches have a column for.
type Row = (i32, Option<String>, i64, Option<i64>);

fn batch(rows: &[Row], with_number: bool) -> RecordBatch {
    let dates = Date32Array::from_iter_values(rows.iter().map(|row| row.0));
    let users: StringArray = rows.iter().map(|row| row.1.as_deref()).collect();
    let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.2));
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("userId", Arc::new(users)),
        (EVENT_TIME, Arc::new(times.with_timezone("UTC"))),
        (PARTITION, Arc::new(dates)),
    ];
    if with_number {
        let numbers: Int64Array = rows.iter().map(|row| row.3).collect();
        columns.push(("number", Arc::new(numbers)));
    }
    let nullable = columns
        .into_iter()
        .map(|(name, column)| (name, column, true));
    RecordBatch::try_from_iter_with_nullable(nullable).unwrap()
}

fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    let column = |name: &str| batch.column_by_name(name).unwrap();
    let dates = column(PARTITION).as_primitive::<arrow::datatypes::Date32Type>();
    let users = column("userId").as_string::<i32>();
    let times = column(EVENT_TIME).as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
    let numbers = column("number").as_primitive::<Int64Type>();
    (0..batch.num_rows())
        .map(|row| {
            let user = users.is_valid(row).then(|| users.value(row).to_owned());
            let number = numbers.is_valid(row).then(|| numbers.value(row));
            (dates.value(row), user, times.value(row), number)
        })
        .collect()
}

fn sort(batches: &[(Vec<Row>, bool)], memory: usize) -> Vec<Row> {
    let parent = tempfile::tempdir().unwrap();
    let folder = Arc::new(SpillFolder::create(parent.path()).unwrap());
    let sort_by = ["userId".parse().unwrap(), "absent".parse().unwrap()];
    let mut sorter = Sorter::new(&sort_by, folder, memory);
    for (rows, with_number) in batches {
        sorter.push(batch(rows, *with_number)).unwrap();
        if sorter.is_full() {
            sorter.spill().unwrap();
        }
    }
    let schema = batch(&[], true).schema();
    let in_order = sorter.finish(&schema).unwrap();
    in_order
        .flat_map(|piece| rows_of(&piece.unwrap()))
        .collect()
}

fn any_row() -> impl Strategy<Value = Row> {
    let user = proptest::option::of("[a-c]{0,2}");
    (-1..2, user, -2i64..3, proptest::option::of(0i64..9))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is spilled and merged, the rows are those of an ordinary sort in memory.
    #[test]
    fn sorted_as_in_memory(
        batches in prop::collection::vec((prop::collection::vec(any_row(), 0..40), any::<bool>()), 0..60),
        memory in prop::sample::select(vec![1usize, 4_000, 1 << 20]),
    ) {
        let sorted = sort(&batches, memory);
        let mut expected: Vec<Row> = Vec::new();
        for (rows, with_number) in &batches {
            expected.extend(rows.iter().map(|row| {
                (row.0, row.1.clone(), row.2, row.3.filter(|_| *with_number))
            }));
        }
        expected.sort();
        let keys = |rows: &[Row]| -> Vec<(i32, Option<String>, i64)> {
            rows.iter().map(|row| (row.0, row.1.clone(), row.2)).collect()
        };
        prop_assert_eq!(keys(&sorted), keys(&expected));
        let mut whole = sorted;
        whole.sort();
        prop_assert_eq!(whole, expected);
    }
}

#[test]
fn what_grows_inside_structs_and_lists_is_null_before() {
    let element = |fields: &[&str]| {
        fields
            .iter()
            .map(|name| Field::new(*name, DataType::Int64, true))
            .collect::<Fields>()
    };
    let list = |fields: &[&str]| -> ArrayRef {
        let columns = fields
            .iter()
            .map(|_| Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)
            .collect();
        let structs = StructArray::new(element(fields), columns, None);
        let field = Arc::new(Field::new_list_field(structs.data_type().clone(), true));
        let offsets = arrow::buffer::OffsetBuffer::from_lengths([2]);
        Arc::new(ListArray::new(field, offsets, Arc::new(structs), None))
    };
    let narrow = RecordBatch::try_from_iter([("items", list(&["price"]))]).unwrap();
    let wide = RecordBatch::try_from_iter([("items", list(&["size", "price"]))]).unwrap();
    let merged = merge_schemas(&narrow.schema(), &wide.schema()).unwrap();
    let grown = conform(&narrow, &merged).unwrap();
    let items = grown.column(0).as_list::<i32>().value(0);
    let items = items.as_struct();
    assert_eq!(items.column_names(), ["price", "size"]);
    assert_eq!(
        items.column(0).as_primitive::<Int64Type>().values(),
        &[1, 2]
    );
    assert_eq!(items.column(1).null_count(), 2);

    let text =
        RecordBatch::try_from_iter([("items", Arc::new(StringArray::from(vec!["x"])) as ArrayRef)])
            .unwrap();
    assert!(conform(&text, &merged).is_err(), "nothing is cast");
    assert!(merge_schemas(&text.schema(), &merged).is_err());
    let none = Arc::new(Schema::empty());
    assert!(conform(&narrow, &none).is_err(), "nothing is dropped");
}
