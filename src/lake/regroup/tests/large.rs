//! A file that is too large to be sent in one piece: the store copies what it can.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{BinaryArray, Int64Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema};
use parquet::file::properties::WriterProperties;

use super::Lake;
use super::properties::read;
use super::sample::file;

const MIB: u64 = 1024 * 1024;
const ROW_BYTES: usize = 128 * 1024;
const ROWS: usize = 44;

/// A row group of 5.5 MiB.
fn group(number: usize) -> RecordBatch {
    let numbers = number * ROWS..(number + 1) * ROWS;
    let texts: Vec<Vec<u8>> = numbers
        .clone()
        .map(|row| row.to_le_bytes().repeat(ROW_BYTES / 8))
        .collect();
    let ids: Int64Array = numbers.map(|row| Some(row as i64)).collect();
    let texts = BinaryArray::from_iter_values(&texts);
    let schema = Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("text", DataType::Binary, false),
    ]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(ids), Arc::new(texts)]).unwrap()
}

#[tokio::test]
async fn only_what_has_to_be_sent_is_sent() {
    let groups: Vec<RecordBatch> = (0..6).map(group).collect();
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .build();
    let old = file(&groups, properties);
    assert!(old.len() as u64 > 32 * MIB);
    let lake = Lake::new().await;
    let data_file = lake.put(&old).await;
    // Which groups are hit, how many rows each keeps, and how many MiB are sent.
    let cases: [(&[usize], usize, u64); 5] = [
        (&[0], ROWS - 1, 6),
        (&[0], 1, 6),
        (&[3], ROWS - 1, 6),
        (&[5], 1, 1),
        (&[0, 1, 2, 4, 5], 1, 7),
    ];
    for (hit, keeps, most_sent) in cases {
        let mut replaced = BTreeMap::new();
        let mut expected = groups.clone();
        for number in hit {
            let rows = groups[*number].slice(0, keeps);
            expected[*number] = rows.clone();
            replaced.insert(*number, vec![rows]);
        }
        let (regrouped, new) = lake.regroup(&data_file, replaced).await.unwrap().unwrap();
        let expected = concat_batches(&expected[0].schema(), &expected).unwrap();
        assert!(read(&new, None) == expected, "{hit:?} hit");
        let sent = regrouped.sent;
        assert!(sent <= most_sent * MIB, "{sent} bytes sent for {hit:?}");
    }
    assert!(
        lake.site
            .s3
            .read()
            .uploads("lake", "")
            .await
            .unwrap()
            .is_empty()
    );
}
