//! The file that is written again: its footer with everything that has to be kept, and which bytes belong
//! to which of its row groups.
//!
//! Hazards: what the footer's writer cannot tell again must not be told wrong. It declares an order for
//! every column, so statistics of columns that had none are left out. And a row group's bytes are copied on
//! its footer's word, so ranges that overlap, leave the file or lie in another file are refused.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use object_store::ObjectStore;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use parquet::basic::ColumnOrder;
use parquet::bloom_filter::Sbbf;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    PageIndexPolicy, ParquetColumnIndex, ParquetMetaData, ParquetMetaDataOptions,
    ParquetMetaDataReader,
};
use parquet::file::page_index::column_index::ColumnIndexMetaData;

use super::footer::with_groups;
use super::layout::MAGIC;
use crate::lake::parquet_files::RangeReader;
use crate::lake::row_groups::{self, refused, unsigned};

/// So much of a file's end is read at once, in the hope that its footer is within.
const FOOTER_GUESS: usize = 64 * 1024;

/// A file that lies there.
pub struct OpenFile {
    pub store: Arc<dyn ObjectStore>,
    pub key: String,
    pub size: u64,
    pub metadata: Arc<ParquetMetaData>,
    /// The Arrow schema that its rows are read with.
    pub schema: SchemaRef,
}

impl OpenFile {
    /// Reads a file's footer and page indexes.
    pub async fn open(
        store: &Arc<dyn ObjectStore>,
        key: &str,
        size: u64,
    ) -> Result<Self, ParquetError> {
        // By default a set of encodings is all that stays of the pages' statistics.
        let options = ParquetMetaDataOptions::new().with_encoding_stats_as_mask(false);
        let mut ranges = RangeReader::new(Arc::clone(store), key, size);
        let metadata = ParquetMetaDataReader::new()
            .with_metadata_options(Some(options))
            .with_page_index_policy(PageIndexPolicy::Optional)
            .with_prefetch_hint(Some(FOOTER_GUESS))
            .load_and_finish(&mut ranges, size)
            .await?;
        let metadata = Arc::new(metadata);
        let options = ArrowReaderOptions::new();
        let read = ArrowReaderMetadata::try_new(Arc::clone(&metadata), options)?;
        Ok(Self {
            store: Arc::clone(store),
            key: key.to_owned(),
            size,
            metadata,
            schema: Arc::clone(read.schema()),
        })
    }

    /// What reads its rows and Bloom filters.
    pub fn reader(&self) -> Result<ParquetRecordBatchStreamBuilder<RangeReader>, ParquetError> {
        let ranges = RangeReader::new(Arc::clone(&self.store), &self.key, self.size);
        let metadata =
            ArrowReaderMetadata::try_new(Arc::clone(&self.metadata), ArrowReaderOptions::new())?;
        Ok(ParquetRecordBatchStreamBuilder::new_with_metadata(
            ranges, metadata,
        ))
    }

    /// The same, as it can be told again in a new footer.
    pub async fn ready_to_copy(mut self) -> Result<Self, ParquetError> {
        let lengths = self.unknown_filter_lengths().await?;
        let orders = self.metadata.file_metadata().column_orders();
        let is_ordered = |leaf: usize| {
            let order = orders.and_then(|orders| orders.get(leaf));
            matches!(order, Some(ColumnOrder::TYPE_DEFINED_ORDER(_)))
        };
        let mut groups = self.metadata.row_groups().to_vec();
        let mut column_index = self.metadata.column_index().cloned();
        for (number, group) in groups.iter_mut().enumerate() {
            for (leaf, chunk) in group.columns_mut().iter_mut().enumerate() {
                let mut builder = chunk.clone().into_builder();
                if let Some(length) = lengths.get(&(number, leaf)) {
                    builder = builder.set_bloom_filter_length(Some(*length));
                }
                if !is_ordered(leaf) {
                    builder = builder.clear_statistics();
                    clear(&mut column_index, number, leaf);
                }
                *chunk = builder.build()?;
            }
        }
        let offset_index = self.metadata.offset_index().cloned();
        let file = self.metadata.file_metadata().clone();
        let metadata = with_groups(file, groups, column_index, offset_index);
        self.metadata = Arc::new(metadata);
        self.refuse_shared_bytes()?;
        Ok(self)
    }

    /// Older writers leave out how long a Bloom filter is, by row group and leaf.
    async fn unknown_filter_lengths(&self) -> Result<BTreeMap<(usize, usize), i32>, ParquetError> {
        let mut lengths = BTreeMap::new();
        for (number, group) in self.metadata.row_groups().iter().enumerate() {
            for (leaf, chunk) in group.columns().iter().enumerate() {
                let Some(offset) = chunk.bloom_filter_offset() else {
                    continue;
                };
                if chunk.bloom_filter_length().is_none()
                    && let Some(filter) = self.filter(number, leaf).await?
                {
                    let length = self.filter_length(&filter, offset).await?;
                    lengths.insert((number, leaf), length);
                }
            }
        }
        Ok(lengths)
    }

    /// The Bloom filter of a column chunk.
    pub async fn filter(&self, group: usize, leaf: usize) -> Result<Option<Sbbf>, ParquetError> {
        let mut reader = self.reader()?;
        reader.get_row_group_column_bloom_filter(group, leaf).await
    }

    /// How long the filter at `offset` is, if it is spelled as we would.
    async fn filter_length(&self, filter: &Sbbf, offset: i64) -> Result<i32, ParquetError> {
        let mut spelled = Vec::new();
        filter.write(&mut spelled)?;
        let start = unsigned(offset)?;
        let range = start..start + spelled.len() as u64;
        let mut ranges = RangeReader::new(Arc::clone(&self.store), &self.key, self.size);
        let there = parquet::arrow::async_reader::AsyncFileReader::get_bytes(&mut ranges, range);
        if there.await? != spelled {
            return Err(refused(
                "a Bloom filter of unknown length is not understood",
            ));
        }
        i32::try_from(spelled.len()).map_err(|_| refused("a Bloom filter is too long"))
    }

    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        (0..self.metadata.num_row_groups())
            .map(|group| self.rows_of(group))
            .sum()
    }

    /// How many rows a row group has.
    pub fn rows_of(&self, group: usize) -> u64 {
        u64::try_from(self.metadata.row_group(group).num_rows()).unwrap_or(0)
    }

    /// The ranges that belong to a row group: column chunks, then Bloom filters.
    pub fn ranges(&self, group: usize) -> Result<Vec<Range<u64>>, ParquetError> {
        row_groups::ranges(self.metadata.row_group(group))
    }

    /// A byte that belongs to two row groups could be kept with the one and not go with the other.
    fn refuse_shared_bytes(&self) -> Result<(), ParquetError> {
        let mut all = Vec::new();
        for group in 0..self.metadata.num_row_groups() {
            all.extend(self.ranges(group)?);
        }
        all.sort_by_key(|range| range.start);
        let overlap = all.windows(2).any(|pair| match pair {
            [one, next] => next.start < one.end,
            _ => false,
        });
        let inside = MAGIC.len() as u64..self.size;
        let outside = |range: &Range<u64>| range.start < inside.start || range.end > inside.end;
        if overlap || all.iter().any(outside) {
            return Err(refused("its column chunks overlap or leave the file"));
        }
        Ok(())
    }
}

fn clear(index: &mut Option<ParquetColumnIndex>, group: usize, leaf: usize) {
    let column = index
        .as_mut()
        .and_then(|index| index.get_mut(group)?.get_mut(leaf));
    if let Some(column) = column {
        *column = ColumnIndexMetaData::NONE;
    }
}
