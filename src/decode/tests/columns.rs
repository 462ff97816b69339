//! Rows 6 to 12, 25, 26: values into columns, exactly or rescued.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema};

use super::columns_of::{batch, column, learned, rescued};
use super::json;
use crate::decode::{RebuildError, rebuild, semantically_equal};

#[test]
fn integers_take_integers_only() {
    let batch = batch(
        &column("a", DataType::Int64),
        &[
            r#"{"a":7}"#,
            r#"{"a":1.0}"#,
            r#"{"a":1.9}"#,
            r#"{"a":"007"}"#,
            r#"{"a":9223372036854775808}"#,
            r#"{"a":-9223372036854775808}"#,
            r#"{"a":-0}"#,
            r#"{"a":true}"#,
            r#"{"a":1e2}"#,
            r#"{"a":{}}"#,
        ],
    );
    let taken: Vec<_> = batch.column(0).as_primitive::<Int64Type>().iter().collect();
    assert_eq!(
        taken,
        [
            Some(7),
            Some(1),
            None,
            None,
            None,
            Some(i64::MIN),
            None,
            None,
            Some(100),
            None
        ]
    );
    assert_eq!(
        rescued(&batch),
        [
            None,
            None,
            Some(r#"{"/a":[1.9]}"#),
            Some(r#"{"/a":["007"]}"#),
            Some(r#"{"/a":[9223372036854775808]}"#),
            None,
            Some(r#"{"/a":[-0]}"#),
            Some(r#"{"/a":[true]}"#),
            None,
            Some(r#"{"/a":[{}]}"#),
        ]
    );
}

#[test]
fn decimals_take_what_they_give_back() {
    let batch = batch(
        &column("a", DataType::Float64),
        &[
            r#"{"a":60.00}"#,
            r#"{"a":5}"#,
            r#"{"a":0.1}"#,
            r#"{"a":0.10000000000000001}"#,
            r#"{"a":9007199254740993}"#,
            r#"{"a":1e400}"#,
            r#"{"a":1e-400}"#,
            r#"{"a":12345678901234567890.5}"#,
            r#"{"a":"1"}"#,
            r#"{"a":1e22}"#,
        ],
    );
    let taken: Vec<_> = batch
        .column(0)
        .as_primitive::<Float64Type>()
        .iter()
        .collect();
    assert_eq!(
        taken,
        [
            Some(60.0),
            Some(5.0),
            Some(0.1),
            None,
            None,
            None,
            None,
            None,
            None,
            Some(1e22)
        ]
    );
    assert_eq!(
        rescued(&batch)[7],
        Some(r#"{"/a":[12345678901234567890.5]}"#)
    );
}

#[test]
fn a_negative_zero_keeps_its_sign_in_a_decimal_column() {
    let batch = batch(&column("a", DataType::Float64), &[r#"{"a":-0.0}"#]);
    assert!(
        batch
            .column(0)
            .as_primitive::<Float64Type>()
            .value(0)
            .is_sign_negative()
    );
    assert_eq!(rebuild(&batch, 0).unwrap().to_string(), r#"{"a":-0.0}"#);
}

#[test]
fn duplicates_are_all_rescued_and_the_last_is_in_the_column() {
    let schema = learned(&[r#"{"a":"x","s":{"b":1}}"#]).schema;
    let batch = batch(&schema, &[r#"{"a":"x","a":7,"a":"z","s":{"b":1,"b":2}}"#]);
    assert_eq!(batch.column(0).as_string::<i32>().value(0), "z");
    assert_eq!(
        batch
            .column(1)
            .as_struct()
            .column(0)
            .as_primitive::<Int64Type>()
            .value(0),
        2
    );
    assert_eq!(
        rescued(&batch),
        [Some(r#"{"/a":["x",7,"z"],"/s/b":[1,2]}"#)]
    );
}

#[test]
fn absent_null_and_empty_are_told_apart() {
    let schema = learned(&[r#"{"s":{"x":1},"l":[1]}"#]).schema;
    let events = [
        "{}",
        r#"{"s":null,"l":null}"#,
        r#"{"s":{},"l":[]}"#,
        r#"{"s":[],"l":{}}"#,
        r#"{"s":{"x":null},"l":[null]}"#,
    ];
    let batch = batch(&schema, &events);
    assert_eq!(
        rescued(&batch),
        [
            None,
            Some(r#"{"/s":[null],"/l":[null]}"#),
            None,
            Some(r#"{"/s":[[]],"/l":[{}]}"#),
            Some(r#"{"/s/x":[null]}"#),
        ]
    );
    for (row, event) in events.iter().enumerate() {
        assert!(semantically_equal(
            &rebuild(&batch, row).unwrap(),
            &json(event)
        ));
    }
}

#[test]
fn a_misfit_in_a_list_leaves_its_neighbours_in_the_column() {
    let schema = learned(&[r#"{"l":[{"a":1,"b":"x"}]}"#]).schema;
    let batch = batch(
        &schema,
        &[r#"{"l":[{"a":1,"b":"x","c/d~":{}},null,7,{"a":"2","b":"y"}]}"#],
    );
    assert_eq!(
        rescued(&batch),
        [Some(r#"{"/l/0/c~1d~0":[{}],"/l/2":[7],"/l/3/a":["2"]}"#)]
    );
    let elements = batch.column(0).as_list::<i32>().value(0);
    let names: Vec<_> = elements
        .as_struct()
        .column(1)
        .as_string::<i32>()
        .iter()
        .collect();
    assert_eq!(names, [Some("x"), None, None, Some("y")]);
}

#[test]
fn columns_of_the_tables_own_hold_nothing_of_events() {
    let schema = Schema::new(vec![
        Field::new("event_date", DataType::Utf8, true),
        Field::new("_source", DataType::Utf8, true),
        Field::new("a", DataType::Utf8, true),
    ]);
    let batch = batch(
        &schema,
        &[r#"{"event_date":"x","_source":"y","_rescued":"z","a":"b"}"#],
    );
    assert_eq!(batch.num_columns(), 2);
    assert_eq!(
        rescued(&batch),
        [Some(
            r#"{"/event_date":["x"],"/_source":["y"],"/_rescued":["z"]}"#
        )]
    );
}

#[test]
fn rows_that_cannot_be_rebuilt_say_so() {
    let rescued_as = |text: &str| {
        let texts: Arc<dyn Array> = Arc::new(StringArray::from(vec![text]));
        rebuild(
            &RecordBatch::try_from_iter([("_rescued", texts)]).unwrap(),
            0,
        )
    };
    assert!(matches!(
        rescued_as("nonsense"),
        Err(RebuildError::BadRescued(0))
    ));
    assert!(matches!(
        rescued_as(r#"{"a":[1]}"#),
        Err(RebuildError::BadRescued(0))
    ));
    assert!(matches!(
        rescued_as(r#"{"/a":1}"#),
        Err(RebuildError::BadRescued(0))
    ));
    assert!(matches!(
        rescued_as(r#"{"/a/b":[1]}"#),
        Err(RebuildError::NoSuchPlace(0))
    ));
    assert_eq!(rescued_as(r#"{"/a":[1]}"#).unwrap(), json(r#"{"a":1}"#));
    let other: Arc<dyn Array> = Arc::new(StringArray::from(vec!["x"]));
    let batch = RecordBatch::try_from_iter([("a", other)]).unwrap();
    assert!(matches!(
        rebuild(&batch, 0),
        Err(RebuildError::NoRescuedColumn)
    ));
    assert!(matches!(
        rebuild(&batch, 1),
        Err(RebuildError::NoSuchRow { row: 1, rows: 1 })
    ));
}
