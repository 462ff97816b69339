//! Whatever a file is like and whatever is replaced, the new file has the rows that it should have and is
//! like the old one otherwise.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{Int64Type, Schema};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
    RowSelector,
};
use parquet::basic::{BrotliLevel, Compression, GzipLevel};
use parquet::file::metadata::{FileMetaData, ParquetMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::properties::{BloomFilterPosition, EnabledStatistics, WriterVersion};
use parquet::schema::types::ColumnPath;
use proptest::prelude::*;

use super::Lake;
use super::sample::{DIGESTS, FILTERED, Manner, digests, marker, noted, path, rows};

/// What becomes of a row group.
#[derive(Debug, Clone)]
enum Fate {
    Kept,
    Gone,
    /// The rows that stay, by their number modulo the length.
    Thinned(Vec<bool>),
}

fn fates() -> impl Strategy<Value = Vec<(usize, Fate)>> {
    let fate = prop_oneof![
        3 => Just(Fate::Kept),
        1 => Just(Fate::Gone),
        3 => prop::collection::vec(any::<bool>(), 1..9).prop_map(Fate::Thinned),
    ];
    prop::collection::vec((1_usize..40, fate), 1..6)
}

fn manner() -> impl Strategy<Value = Manner> {
    let codec = prop::sample::select(vec![
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::LZ4_RAW,
        Compression::ZSTD(parquet::basic::ZstdLevel::default()),
    ]);
    let codecs = prop_oneof![
        Just(vec![Compression::UNCOMPRESSED]),
        prop::collection::vec(codec, 1..4),
    ];
    let filters = prop::option::of(prop_oneof![
        Just(BloomFilterPosition::AfterRowGroup),
        Just(BloomFilterPosition::End),
    ]);
    let indexes = prop_oneof![
        Just((EnabledStatistics::Page, true)),
        Just((EnabledStatistics::Chunk, true)),
        Just((EnabledStatistics::Chunk, false)),
        Just((EnabledStatistics::None, false)),
    ];
    let version = prop_oneof![
        Just(WriterVersion::PARQUET_1_0),
        Just(WriterVersion::PARQUET_2_0),
    ];
    let all = (
        codecs,
        filters,
        indexes,
        any::<bool>(),
        version,
        any::<bool>(),
    );
    all.prop_map(
        |(codecs, filters, indexes, dictionary, version, ours)| Manner {
            codecs,
            filters,
            statistics: indexes.0,
            offset_index: indexes.1,
            dictionary,
            version,
            ours,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_file_is_written_again_in_part(manner in manner(), fates in fates()) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(check(&manner, &fates));
    }
}

async fn check(manner: &Manner, fates: &[(usize, Fate)]) {
    let mut first = 0;
    let mut groups = Vec::new();
    for (length, _) in fates {
        groups.push(rows(first..first + length));
        first += length;
    }
    let old = manner.file(&groups);
    let (mut left, mut gone, mut replaced) = (Vec::new(), Vec::new(), BTreeMap::new());
    for (number, (group, (_, fate))) in groups.iter().zip(fates).enumerate() {
        let stays = |row: usize| match fate {
            Fate::Kept => true,
            Fate::Gone => false,
            Fate::Thinned(mask) => mask[row % mask.len()],
        };
        let mask: BooleanArray = (0..group.num_rows()).map(|row| Some(stays(row))).collect();
        let kept = filter_record_batch(group, &mask).unwrap();
        let ids = group["id"].as_primitive::<Int64Type>().values();
        let dropped = (0..group.num_rows()).filter(|row| !stays(*row));
        gone.extend(dropped.map(|row| ids[row] as usize));
        if !matches!(fate, Fate::Kept) {
            replaced.insert(number, halves(&kept));
        }
        if kept.num_rows() > 0 {
            left.push((matches!(fate, Fate::Kept).then_some(number), kept));
        }
    }
    let lake = Lake::new().await;
    let data_file = lake.put(&old).await;
    let outcome = lake.regroup(&data_file, replaced).await.unwrap();
    let Some((regrouped, new)) = outcome else {
        assert!(left.is_empty());
        return;
    };
    let expected = joined(left.iter().map(|(_, rows)| rows));
    assert_eq!(regrouped.file.rows, expected.num_rows() as u64);
    assert_eq!(regrouped.copied, 0, "so small a file is sent whole");
    let (old_footer, new_footer) = (footer(&old), footer(&new));
    assert_eq!(read(&new, None), expected);
    same_description(manner, &old_footer, &new_footer);
    assert_eq!(noted(&new, "team").unwrap(), "cart");
    assert_eq!(noted(&new, DIGESTS), manner.ours.then(|| digests(&new)));
    for (new_group, (origin, rows)) in left.iter().enumerate() {
        if let Some(old_group) = origin {
            same_bytes(
                (&old, &old_footer, *old_group),
                (&new, &new_footer, new_group),
            );
        }
        filters_admit(manner, &new, &new_footer, new_group, rows);
        page_indexes_fit(&new_footer, new_group, rows);
    }
    selections_work(&new, &expected);
    if manner.codecs == [Compression::UNCOMPRESSED] {
        for row in gone {
            let marker = marker(row);
            let found = new
                .windows(marker.len())
                .any(|bytes| bytes == marker.as_bytes());
            assert!(!found, "row {row} left a trace");
        }
    }
}

/// The same rows as two batches.
fn halves(rows: &RecordBatch) -> Vec<RecordBatch> {
    let half = rows.num_rows() / 2;
    vec![
        rows.slice(0, half),
        rows.slice(half, rows.num_rows() - half),
    ]
}

fn joined<'a>(batches: impl Iterator<Item = &'a RecordBatch> + Clone) -> RecordBatch {
    let schema = batches.clone().next().unwrap().schema();
    concat_batches(&schema, batches).unwrap()
}

pub fn footer(file: &Bytes) -> Arc<ParquetMetaData> {
    let options = ArrowReaderOptions::new()
        .with_page_index_policy(parquet::file::metadata::PageIndexPolicy::Optional)
        .with_encoding_stats_as_mask(false);
    let metadata = ArrowReaderMetadata::load(file, options).unwrap();
    Arc::clone(metadata.metadata())
}

pub fn read(file: &Bytes, selection: Option<RowSelection>) -> RecordBatch {
    let options = ArrowReaderOptions::new()
        .with_page_index_policy(parquet::file::metadata::PageIndexPolicy::Optional);
    let builder =
        ParquetRecordBatchReaderBuilder::try_new_with_options(file.clone(), options).unwrap();
    let schema = Schema::new(builder.schema().fields().clone());
    let builder = match selection {
        Some(selection) => builder.with_row_selection(selection),
        None => builder,
    };
    let batches: Vec<RecordBatch> = builder.build().unwrap().map(Result::unwrap).collect();
    concat_batches(&Arc::new(schema), &batches).unwrap()
}

fn same_description(manner: &Manner, old: &ParquetMetaData, new: &ParquetMetaData) {
    let (old_file, new_file) = (old.file_metadata(), new.file_metadata());
    assert_eq!(old_file.schema(), new_file.schema());
    let notes = |file: &FileMetaData| {
        let notes = file.key_value_metadata().unwrap().iter();
        let keys: Vec<String> = notes.map(|note| note.key.clone()).collect();
        keys
    };
    assert_eq!(notes(old_file), notes(new_file));
    assert_eq!(new_file.created_by(), Some(manner.created_by()));
    assert_eq!(old_file.version(), new_file.version());
    assert_eq!(old_file.column_orders(), new_file.column_orders());
    assert_eq!(old.offset_index().is_some(), new.offset_index().is_some());
    assert_eq!(new.offset_index().is_some(), manner.offset_index);
    assert_eq!(old.column_index().is_some(), new.column_index().is_some());
    for (number, group) in new.row_groups().iter().enumerate() {
        assert_eq!(group.ordinal(), Some(number as i16));
        let first = group.column(0).byte_range().0 as i64;
        assert_eq!(group.file_offset(), Some(first));
        for (chunk, before) in group.columns().iter().zip(old.row_group(0).columns()) {
            assert_eq!(chunk.compression_codec(), before.compression_codec());
            assert_eq!(chunk.statistics().is_some(), before.statistics().is_some());
            if chunk.dictionary_page_offset().is_some() {
                assert!(manner.dictionary);
            }
            let filtered = chunk.bloom_filter_offset().is_some();
            assert_eq!(filtered, before.bloom_filter_offset().is_some());
        }
    }
}

type Group<'a> = (&'a Bytes, &'a ParquetMetaData, usize);

fn same_bytes(old: Group<'_>, new: Group<'_>) {
    let (old_group, new_group) = (old.1.row_group(old.2), new.1.row_group(new.2));
    for (before, after) in old_group.columns().iter().zip(new_group.columns()) {
        assert_eq!(
            slice(old.0, before.byte_range()),
            slice(new.0, after.byte_range())
        );
        assert_eq!(before.statistics(), after.statistics());
        assert_eq!(before.page_encoding_stats(), after.page_encoding_stats());
    }
    assert_eq!(old_group.total_byte_size(), new_group.total_byte_size());
}

fn slice(file: &Bytes, (start, length): (u64, u64)) -> &[u8] {
    &file[start as usize..(start + length) as usize]
}

fn leaf(footer: &ParquetMetaData, column: &ColumnPath) -> usize {
    let columns = footer.file_metadata().schema_descr().columns();
    columns
        .iter()
        .position(|found| found.path() == column)
        .unwrap()
}

fn filters_admit(
    manner: &Manner,
    file: &Bytes,
    footer: &ParquetMetaData,
    group: usize,
    rows: &RecordBatch,
) {
    if manner.filters.is_none() {
        return;
    }
    let reader = ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap();
    let columns = [
        Arc::clone(&rows["user"]),
        Arc::clone(rows["visit"].as_struct().column(0)),
        Arc::clone(rows["tags"].as_list::<i32>().values()),
    ];
    for (column, values) in FILTERED.iter().zip(columns) {
        let leaf = leaf(footer, &path(column));
        let filter = reader
            .get_row_group_column_bloom_filter(group, leaf)
            .unwrap();
        let filter = filter.unwrap();
        let values = values.as_string::<i32>();
        // A struct that is null hides its field's value, which the file does not have.
        let hidden = |row: usize| *column == "visit.page" && rows["visit"].is_null(row);
        let shown = (0..values.len()).filter(|row| values.is_valid(*row) && !hidden(*row));
        for row in shown {
            assert!(filter.check(values.value(row)), "{column} of row {row}");
        }
        let strangers = (0..1000).filter(|row| filter.check(&marker(90_000 + row)[..]));
        assert!(strangers.count() < 60, "{column} admits anything");
    }
}

/// Every page of `id` says what rows of it are in which page.
fn page_indexes_fit(footer: &ParquetMetaData, group: usize, rows: &RecordBatch) {
    let Some(offset_index) = footer.offset_index() else {
        return;
    };
    let ids = rows["id"].as_primitive::<Int64Type>().values();
    let pages = offset_index[group][0].page_locations();
    let firsts: Vec<usize> = pages
        .iter()
        .map(|page| page.first_row_index as usize)
        .collect();
    let ends = firsts.iter().skip(1).copied().chain([ids.len()]);
    let Some(column_index) = footer.column_index() else {
        return;
    };
    let ColumnIndexMetaData::INT64(index) = &column_index[group][0] else {
        assert!(matches!(column_index[group][0], ColumnIndexMetaData::NONE));
        return;
    };
    for (page, (first, end)) in firsts.iter().zip(ends).enumerate() {
        let values = &ids[*first..end];
        assert_eq!(index.min_value(page), values.iter().min());
        assert_eq!(index.max_value(page), values.iter().max());
    }
}

/// Every third row alone is found, through the page index where there is one.
fn selections_work(file: &Bytes, expected: &RecordBatch) {
    let mut selectors = Vec::new();
    for row in 0..expected.num_rows() {
        selectors.push(match row % 3 {
            0 => RowSelector::select(1),
            _ => RowSelector::skip(1),
        });
    }
    let mask: BooleanArray = (0..expected.num_rows())
        .map(|row| Some(row % 3 == 0))
        .collect();
    let expected = filter_record_batch(expected, &mask).unwrap();
    assert_eq!(read(file, Some(RowSelection::from(selectors))), expected);
}
