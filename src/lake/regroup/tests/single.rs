//! Sorting claims, refusals and what counts as read back.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch};
use arrow::compute::{concat_batches, take_record_batch};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::metadata::{
    FileMetaData, KeyValue, ParquetMetaDataBuilder, RowGroupMetaData, SortingColumn,
};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::properties::{BloomFilterPosition, WriterProperties};

use super::Lake;
use super::properties::{footer, read};
use super::sample::{DIGESTS, Manner, file, marker, noted, rows};
use crate::lake::regroup::footer::encode;
use crate::lake::regroup::old_file::OpenFile;
use crate::lake::regroup::read_back::{self, Expected, Origin};
use crate::lake::rows::{RowsError, Tally};
use crate::lake::s3::PutIf;

fn sorted_by(column_idx: i32, descending: bool, nulls_first: bool) -> WriterProperties {
    let column = SortingColumn {
        column_idx,
        descending,
        nulls_first,
    };
    WriterProperties::builder()
        .set_sorting_columns(Some(vec![column]))
        .build()
}

fn shuffled(batch: &RecordBatch) -> RecordBatch {
    let count = batch.num_rows() as i64;
    let order: Int64Array = (0..count).map(|row| Some(row * 7 % count)).collect();
    take_record_batch(batch, &order).unwrap()
}

/// The users of the second row group after it was replaced by its rows in disorder.
async fn users_resorted(descending: bool, nulls_first: bool) -> Vec<Option<String>> {
    let groups = [rows(0..10), rows(10..20)];
    let old = file(&groups, sorted_by(1, descending, nulls_first));
    let lake = Lake::new().await;
    let data_file = lake.put(&old).await;
    let parts = shuffled(&groups[1]);
    let parts = vec![parts.slice(0, 4), parts.slice(4, 6)];
    let replaced = BTreeMap::from([(1, parts)]);
    let (_, new) = lake.regroup(&data_file, replaced).await.unwrap().unwrap();
    let claim = footer(&new).row_group(1).sorting_columns().cloned();
    assert_eq!(
        claim.unwrap(),
        *footer(&old).row_group(1).sorting_columns().unwrap()
    );
    let found = read(&new, None);
    let users = found["user"].as_string::<i32>();
    (10..20)
        .map(|row| {
            users
                .is_valid(row)
                .then(|| users.value(row)[..13].to_owned())
        })
        .collect()
}

#[tokio::test]
async fn rows_are_sorted_where_the_old_group_claims_an_order() {
    let user = |row: usize| Some(format!("subject-{row:05}"));
    let values = [11, 12, 13, 14, 16, 17, 18, 19];
    let ascending: Vec<Option<String>> = values.iter().map(|row| user(*row)).collect();
    let descending: Vec<Option<String>> = ascending.iter().rev().cloned().collect();
    let nulls = vec![None, None];
    let order = |first: &[Option<String>], then: &[Option<String>]| [first, then].concat();
    assert_eq!(users_resorted(false, true).await, order(&nulls, &ascending));
    assert_eq!(
        users_resorted(false, false).await,
        order(&ascending, &nulls)
    );
    assert_eq!(users_resorted(true, true).await, order(&nulls, &descending));
    assert_eq!(
        users_resorted(true, false).await,
        order(&descending, &nulls)
    );
}

#[tokio::test]
async fn rows_in_order_stay_as_they_are_and_a_claim_on_a_list_is_dropped() {
    let groups = [rows(0..10), rows(10..20)];
    let lake = Lake::new().await;
    for (column, kept) in [(0, true), (6, false)] {
        let data_file = lake
            .put(&file(&groups, sorted_by(column, false, true)))
            .await;
        let replaced = BTreeMap::from([(0, vec![groups[0].slice(2, 8)])]);
        let (_, new) = lake.regroup(&data_file, replaced).await.unwrap().unwrap();
        let expected = [groups[0].slice(2, 8), groups[1].clone()];
        let expected = concat_batches(&groups[0].schema(), &expected).unwrap();
        assert_eq!(read(&new, None), expected);
        let footer = footer(&new);
        assert_eq!(footer.row_group(0).sorting_columns().is_some(), kept);
        assert!(footer.row_group(1).sorting_columns().is_some());
    }
}

#[tokio::test]
async fn a_filter_is_no_larger_than_the_one_it_replaces() {
    let manner = Manner {
        filters: Some(BloomFilterPosition::AfterRowGroup),
        ..Manner::plain()
    };
    let groups = [rows(0..3000)];
    let old = file(&groups, manner.properties());
    let lake = Lake::new().await;
    let data_file = lake.put(&old).await;
    let length = |file: &Bytes| {
        footer(file)
            .row_group(0)
            .column(1)
            .bloom_filter_length()
            .unwrap()
    };
    for (rows_left, part) in [(2999, 1), (600, 4)] {
        let replaced = BTreeMap::from([(0, vec![groups[0].slice(0, rows_left)])]);
        let (_, new) = lake.regroup(&data_file, replaced).await.unwrap().unwrap();
        let (before, after) = (length(&old), length(&new));
        assert!(after <= before / part + 32, "{after} bytes after {before}");
    }
}

#[tokio::test]
async fn nothing_is_written_where_no_row_is_left() {
    let lake = Lake::new().await;
    let data_file = lake
        .put(&file(
            &[rows(0..4), rows(4..8)],
            Manner::plain().properties(),
        ))
        .await;
    let replaced = BTreeMap::from([(0, Vec::new()), (1, vec![rows(4..4)])]);
    assert!(lake.regroup(&data_file, replaced).await.unwrap().is_none());
    let keys = lake.site.s3.read().keys("lake", "").await.unwrap();
    assert_eq!(keys.len(), 1);
}

#[tokio::test]
async fn other_columns_and_unknown_groups_are_refused() {
    let lake = Lake::new().await;
    let data_file = lake
        .put(&file(&[rows(0..4)], Manner::plain().properties()))
        .await;
    let narrow = rows(0..4).project(&[0, 1]).unwrap();
    for (number, batch) in [(0, narrow), (1, rows(0..4))] {
        let replaced = BTreeMap::from([(number, vec![batch])]);
        let error = lake.regroup(&data_file, replaced).await.unwrap_err();
        assert!(matches!(error, RowsError::Parquet { .. }), "{error}");
    }
    assert_eq!(lake.site.s3.read().keys("lake", "").await.unwrap().len(), 1);
}

/// The whole check against `new` written by other means.
async fn counts_as_read_back(
    old: &Bytes,
    new: &Bytes,
    origins: &[Origin],
    written: &[RecordBatch],
) -> bool {
    let lake = Lake::new().await;
    let mut files = Vec::new();
    for (name, bytes) in [("old", old), ("new", new)] {
        let put = lake.site.s3.put("lake", name, bytes.clone(), PutIf::Always);
        put.await.unwrap();
        files.push(
            OpenFile::open(&lake.site.store, name, bytes.len() as u64)
                .await
                .unwrap(),
        );
    }
    let mut encoded = Tally::default();
    for batch in written {
        read_back::add(&mut encoded, batch).unwrap();
    }
    let expected = Expected {
        old: &files[0],
        origins,
        encoded,
    };
    expected.is(&files[1]).await.unwrap()
}

#[tokio::test]
async fn every_difference_is_noticed() {
    let plain = || Manner::plain().properties();
    let old = file(&[rows(0..20), rows(20..40)], plain());
    let thinned = rows(21..40);
    let new = file(&[rows(0..20), thinned.clone()], plain());
    let origins = [Origin::Kept(0), Origin::Encoded];
    let written = [thinned.clone()];
    assert!(counts_as_read_back(&old, &new, &origins, &written).await);

    let mut damaged = new.to_vec();
    let at = footer(&new).row_group(0).column(1).byte_range().0 as usize + 60;
    damaged[at] ^= 1;
    assert!(!counts_as_read_back(&old, &damaged.into(), &origins, &written).await);
    let other_rows = file(&[rows(0..20), rows(20..39)], plain());
    assert!(!counts_as_read_back(&old, &other_rows, &origins, &written).await);
    let too_many = file(&[rows(0..20), thinned.clone(), rows(20..21)], plain());
    assert!(!counts_as_read_back(&old, &too_many, &origins, &written).await);
    let other_codec = Manner {
        codecs: vec![Compression::SNAPPY],
        ..Manner::plain()
    };
    let other_codec = file(&[rows(0..20), thinned.clone()], other_codec.properties());
    assert!(!counts_as_read_back(&old, &other_codec, &origins, &written).await);
    let other_claim = sorted_by(1, true, false).into_builder();
    let other_claim = other_claim.set_dictionary_enabled(false).build();
    let other_claim = file(&[rows(0..20), thinned], other_claim);
    assert!(!counts_as_read_back(&old, &other_claim, &origins, &written).await);
}

/// `file` with other row groups in its footer.
fn told_otherwise(file: &Bytes, change: impl Fn(&mut [RowGroupMetaData])) -> Bytes {
    let mut metadata = footer(file).as_ref().clone().into_builder();
    let mut row_groups = metadata.take_row_groups();
    change(&mut row_groups);
    let metadata = metadata.set_row_groups(row_groups).build();
    let mut bytes = file.to_vec();
    bytes.extend(encode(&metadata, bytes.len() as u64).unwrap());
    bytes.into()
}

#[tokio::test]
async fn filters_whose_length_the_footer_does_not_tell_are_kept() {
    let manner = Manner {
        filters: Some(BloomFilterPosition::End),
        ..Manner::plain()
    };
    let groups = [rows(0..20), rows(20..40)];
    let old = file(&groups, manner.properties());
    let old = told_otherwise(&old, |groups| {
        for chunk in groups.iter_mut().flat_map(RowGroupMetaData::columns_mut) {
            let builder = chunk.clone().into_builder();
            *chunk = builder.set_bloom_filter_length(None).build().unwrap();
        }
    });
    let lake = Lake::new().await;
    let data_file = lake.put(&old).await;
    let replaced = BTreeMap::from([(0, vec![groups[0].slice(1, 1)])]);
    let (_, new) = lake.regroup(&data_file, replaced).await.unwrap().unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(new).unwrap();
    for (group, here, elsewhere) in [(0, 1, 21), (1, 21, 1)] {
        let filter = reader.get_row_group_column_bloom_filter(group, 1).unwrap();
        let filter = filter.unwrap();
        assert!(filter.check(&marker(here)[..]) && !filter.check(&marker(elsewhere)[..]));
    }
}

#[tokio::test]
async fn statistics_of_columns_without_an_order_are_left_out() {
    let bytes = file(&[rows(0..20)], Manner::plain().properties());
    let lake = Lake::new().await;
    let data_file = lake.put(&bytes).await;
    let key = lake.table.join(&data_file.path).prefix;
    let mut open = OpenFile::open(&lake.site.store, &key, data_file.size)
        .await
        .unwrap();
    let told = open.metadata.file_metadata();
    let without_orders = FileMetaData::new(
        told.version(),
        told.num_rows(),
        None,
        None,
        told.schema_descr_ptr(),
        None,
    );
    open.metadata = Arc::new(
        ParquetMetaDataBuilder::new(without_orders)
            .set_row_groups(open.metadata.row_groups().to_vec())
            .set_column_index(open.metadata.column_index().cloned())
            .set_offset_index(open.metadata.offset_index().cloned())
            .build(),
    );
    let ready = open.ready_to_copy().await.unwrap().metadata;
    let chunks = ready.row_group(0).columns();
    assert!(chunks.iter().all(|chunk| chunk.statistics().is_none()));
    let indexes = ready.column_index().unwrap().iter().flatten();
    assert!(indexes.clone().count() > 0);
    assert!(
        indexes
            .clone()
            .all(|index| matches!(index, ColumnIndexMetaData::NONE))
    );
}

#[tokio::test]
async fn a_file_whose_groups_share_bytes_is_refused() {
    let old = file(&[rows(0..20), rows(0..20)], Manner::plain().properties());
    let shared = told_otherwise(&old, |groups| groups[1] = groups[0].clone());
    let lake = Lake::new().await;
    let data_file = lake.put(&shared).await;
    let replaced = BTreeMap::from([(1, Vec::new())]);
    let error = lake.regroup(&data_file, replaced).await.unwrap_err();
    assert!(error.to_string().contains("overlap"), "{error}");
}

#[tokio::test]
async fn our_own_files_are_held_against_what_was_written_once() {
    let ours = Manner {
        ours: true,
        ..Manner::plain()
    };
    let replaced = || BTreeMap::from([(0, vec![rows(1..20)])]);
    let whole = ours.file(&[rows(0..20), rows(20..40)]);
    let damaged = |file: &Bytes| {
        let mut damaged = file.to_vec();
        let at = footer(file).row_group(1).column(1).byte_range().0 as usize + 60;
        damaged[at] ^= 1;
        Bytes::from(damaged)
    };
    let lake = Lake::new().await;
    let data_file = lake.put(&damaged(&whole)).await;
    let error = lake.regroup(&data_file, replaced()).await.unwrap_err();
    assert!(
        error.to_string().contains("does not fit the digest"),
        "{error}"
    );

    // What others rewrite may hand on notes that are no longer true.
    let theirs = file(&[rows(0..20), rows(20..40)], {
        let notes = vec![KeyValue::new(DIGESTS.into(), noted(&whole, DIGESTS))];
        let theirs = Manner::plain().properties().into_builder();
        theirs.set_key_value_metadata(Some(notes)).build()
    });
    let data_file = lake.put(&damaged(&theirs)).await;
    assert!(lake.regroup(&data_file, replaced()).await.is_ok());
}
