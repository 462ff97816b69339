//! The Parquet files of our tables: how they are laid out, written, read back and searched.
//!
//! Rows are sorted by subject identifier, row groups hold at most 32 Ki rows or 64 MB, pages are zstd 3, and
//! every identifier column has a Bloom filter, so that a search for one subject opens few row groups.

use std::io::{Cursor, Write};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{SortColumn, SortOptions, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use futures::TryFutureExt;
use futures::future::BoxFuture;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStreamBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::row_groups;
use super::sort::{column_at, is_sortable};
use crate::decode::FieldPath;

/// An erasure encodes and sends a row group for one row in it; queries want large ones.
const ROW_GROUP_ROWS: usize = 32 * 1024;
/// What a row group may grow to, since all of it is in memory while it is written or read.
const ROW_GROUP_BYTES: usize = 64 * 1024 * 1024;
/// What files that we wrote say of their writer first.
pub const OWN_WRITER: &str = "lakewarden";
const ZSTD_LEVEL: i32 = 3;
/// The rate of false hits that Bloom filters are made for.
pub const FALSE_HITS: f64 = 0.01;

/// How the rows of a table's files lie.
#[derive(Debug, Clone, Copy)]
pub struct Layout<'a> {
    /// Columns to sort by, first the most significant; those a file does not have are passed over.
    pub sort_by: &'a [FieldPath],
    /// Columns that get a Bloom filter.
    pub identifiers: &'a [FieldPath],
}

/// Sorts `batch` as `layout` says and encodes it as one Parquet file.
pub fn encode(batch: &RecordBatch, layout: Layout<'_>) -> Result<Bytes, ParquetError> {
    let keys: Vec<ArrayRef> = layout
        .sort_by
        .iter()
        .filter_map(|path| column_at(batch, path))
        .collect();
    let sorted = sort(batch, &keys)?;
    let mut writer = writer(Vec::new(), &sorted.schema(), layout)?;
    writer.write(&sorted)?;
    writer.flush()?;
    writer.sync()?;
    let digests = row_groups::digests(
        writer.flushed_row_groups(),
        &mut Cursor::new(writer.inner()),
    )?;
    writer.append_key_value_metadata(row_groups::note(&digests));
    Ok(writer.into_inner()?.into())
}

/// A writer of rows that are sorted as `layout` says.
pub fn writer<Target: Write + Send>(
    target: Target,
    schema: &SchemaRef,
    layout: Layout<'_>,
) -> Result<ArrowWriter<Target>, ParquetError> {
    let properties = writer_properties(schema, layout)?;
    ArrowWriter::try_new(target, Arc::clone(schema), Some(properties))
}

/// Bytes that a column's dictionary may grow to in a row group of so many rows, before values are written in
/// place: one for each row. Values that hardly repeat cost more in a dictionary: each has to be looked up, and
/// the numbers that stand for them do not compress.
pub fn dictionary_limit(rows: usize) -> usize {
    rows.max(ROW_GROUP_ROWS)
}

/// The codec of our files.
fn zstd() -> Compression {
    Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL).unwrap_or_default())
}

fn sort(batch: &RecordBatch, keys: &[ArrayRef]) -> Result<RecordBatch, ParquetError> {
    if keys.is_empty() || batch.num_rows() == 0 {
        return Ok(batch.clone());
    }
    let columns: Vec<SortColumn> = keys
        .iter()
        .map(|values| SortColumn {
            values: Arc::clone(values),
            options: Some(SortOptions::default()),
        })
        .collect();
    let order = lexsort_to_indices(&columns, None)?;
    Ok(take_record_batch(batch, &order)?)
}

fn writer_properties(
    schema: &Schema,
    layout: Layout<'_>,
) -> Result<WriterProperties, ParquetError> {
    let leaves = leaf_paths(schema);
    let columns = parquet::arrow::ArrowSchemaConverter::new().convert(schema)?;
    let leaf_of = |path: &FieldPath| leaves.iter().position(|leaf| leaf == path.names());
    let sorting: Vec<SortingColumn> = layout
        .sort_by
        .iter()
        .filter(|path| is_sortable(schema, path))
        .filter_map(leaf_of)
        .map_while(|leaf| {
            Some(SortingColumn {
                column_idx: i32::try_from(leaf).ok()?,
                descending: false,
                nulls_first: true,
            })
        })
        .collect();
    let mut properties = WriterProperties::builder()
        .set_compression(zstd())
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_dictionary_page_size_limit(dictionary_limit(ROW_GROUP_ROWS))
        .set_created_by(format!("{OWN_WRITER} {}", env!("CARGO_PKG_VERSION")));
    if !sorting.is_empty() {
        properties = properties.set_sorting_columns(Some(sorting));
    }
    let identifiers: Vec<usize> = layout.identifiers.iter().filter_map(leaf_of).collect();
    for (leaf, column) in columns.columns().iter().enumerate() {
        // No engine leaves out pages by what is in a list, and comparing every value is dear.
        if column.max_rep_level() > 0 && !identifiers.contains(&leaf) {
            properties = properties
                .set_column_statistics_enabled(column.path().clone(), EnabledStatistics::None);
        }
    }
    for leaf in identifiers {
        let path = columns.column(leaf).path().clone();
        properties = properties
            .set_column_bloom_filter_enabled(path.clone(), true)
            .set_column_bloom_filter_fpp(path.clone(), FALSE_HITS)
            .set_column_bloom_filter_max_ndv(path, ROW_GROUP_ROWS as u64);
    }
    Ok(properties.build())
}

/// Decodes a whole file.
pub fn decode(file: Bytes) -> Result<Vec<RecordBatch>, ParquetError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)?.build()?;
    reader
        .map(|batch| batch.map_err(ParquetError::from))
        .collect()
}

/// So much of a file's end is read at once: most footers are in it.
const FOOTER_BYTES: usize = 64 * 1024;

/// Reads ranges of one object as Parquet asks for them.
#[derive(Clone)]
pub struct RangeReader {
    store: Arc<dyn ObjectStore>,
    path: Path,
    size: u64,
}

impl RangeReader {
    /// Reads the object of `size` bytes at `key`.
    pub fn new(store: Arc<dyn ObjectStore>, key: &str, size: u64) -> Self {
        Self {
            store,
            path: Path::from(key),
            size,
        }
    }
}

impl AsyncFileReader for RangeReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        let got = self.store.get_range(&self.path, range);
        Box::pin(got.map_err(|error| ParquetError::External(Box::new(error))))
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        Box::pin(async move {
            let got = self.store.get_ranges(&self.path, &ranges).await;
            got.map_err(|error| ParquetError::External(Box::new(error)))
        })
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        Box::pin(async move {
            let size = self.size;
            Ok(Arc::new(
                ParquetMetaDataReader::new()
                    .with_prefetch_hint(Some(FOOTER_BYTES))
                    .load_and_finish(self, size)
                    .await?,
            ))
        })
    }
}

/// Reads a file row group by row group.
pub async fn open(
    store: Arc<dyn ObjectStore>,
    path: &str,
    size: u64,
) -> Result<ParquetRecordBatchStreamBuilder<RangeReader>, ParquetError> {
    let ranges = RangeReader::new(store, path, size);
    ParquetRecordBatchStreamBuilder::new(ranges).await
}

/// The leaf columns of a schema in Parquet's order, each as the field names that lead to it; list levels
/// add no name.
pub fn leaf_paths(schema: &Schema) -> Vec<Vec<String>> {
    let mut leaves = Vec::new();
    for field in schema.fields() {
        push_leaves(field, &[], &mut leaves);
    }
    leaves
}

fn push_leaves(field: &Field, above: &[String], leaves: &mut Vec<Vec<String>>) {
    let mut path = above.to_vec();
    path.push(field.name().clone());
    push_type_leaves(field.data_type(), path, leaves);
}

fn push_type_leaves(data_type: &DataType, path: Vec<String>, leaves: &mut Vec<Vec<String>>) {
    match data_type {
        DataType::Struct(fields) => {
            for field in fields {
                push_leaves(field, &path, leaves);
            }
        }
        DataType::List(element) | DataType::LargeList(element) => {
            push_type_leaves(element.data_type(), path, leaves);
        }
        _ => leaves.push(path),
    }
}
