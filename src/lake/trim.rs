//! Rows out of table files by the time of their event: what of a partition is older than a line that does
//! not fall on the partition's own end. And the rows of held people alone, where all others are too old.
//!
//! Footers say which row groups hold something older; only those are read and encoded again.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::TimestampMicrosecondType;
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use object_store::ObjectStore;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::{ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder};
use parquet::errors::{ParquetError, Result as ParquetResult};

use super::parquet_files::RangeReader;
use super::regroup::regroup;
use super::rows::{RowsError, parquet_error};
use super::search::{FileHits, Hit};
use super::site::Site;
use super::tables::{DataFile, EVENT_TIME};
use crate::policy::S3Location;

/// What became of a file.
#[derive(Debug)]
pub enum Trimmed {
    /// It holds nothing older.
    Untouched,
    /// This one holds what stays of it.
    Into(DataFile),
    /// Nothing of it stays.
    Gone,
}

/// How many rows a file of the table in `folder` holds from before `line` that are not `held`. Changes nothing.
pub async fn older_rows(
    store: &Arc<dyn ObjectStore>,
    folder: &S3Location,
    file: &DataFile,
    line: DateTime<Utc>,
    held: Option<&FileHits>,
) -> Result<u64, RowsError> {
    let failed = |error: ParquetError| parquet_error(&file.path, &error);
    let mut older = 0;
    let reader = Reader::open(store, folder, file).await.map_err(failed)?;
    for group in reader.maybe_older(line).map_err(failed)? {
        let mut batches = reader.times(group).map_err(failed)?;
        let mut stays = Stays::new(Some(line), held, group);
        while let Some(batch) = batches.try_next().await.map_err(failed)? {
            older += stays.next(&batch).false_count() as u64;
        }
    }
    Ok(older)
}

/// Writes a file again without its rows from before `line` that are not `held`, and reads it back; the old one
/// stays, and the caller commits.
pub async fn without_older(
    site: &Site,
    folder: &S3Location,
    file: &DataFile,
    line: DateTime<Utc>,
    held: Option<&FileHits>,
) -> Result<Trimmed, RowsError> {
    let failed = |error: ParquetError| parquet_error(&file.path, &error);
    let reader = Reader::open(&site.store, folder, file).await;
    let reader = reader.map_err(failed)?;
    let groups = reader.maybe_older(line).map_err(failed)?;
    keep(site, folder, file, &reader, groups, |group| {
        Stays::new(Some(line), held, group)
    })
    .await
}

/// The same with nothing but the rows that are `held`.
pub async fn held_alone(
    site: &Site,
    folder: &S3Location,
    held: &FileHits,
) -> Result<Trimmed, RowsError> {
    let file = &held.file;
    let reader = Reader::open(&site.store, folder, file).await;
    let reader = reader.map_err(|error| parquet_error(&file.path, &error))?;
    let groups = 0..reader.metadata.metadata().num_row_groups();
    keep(site, folder, file, &reader, groups, |group| {
        Stays::new(None, Some(held), group)
    })
    .await
}

async fn keep<'a>(
    site: &Site,
    folder: &S3Location,
    file: &DataFile,
    reader: &Reader,
    numbers: impl IntoIterator<Item = usize>,
    stays_in: impl Fn(usize) -> Stays<'a>,
) -> Result<Trimmed, RowsError> {
    let failed = |error: ParquetError| parquet_error(&file.path, &error);
    let mut groups = BTreeMap::new();
    for group in numbers {
        let mut batches = reader.rows(group).map_err(failed)?;
        let mut stays = stays_in(group);
        let (mut kept, mut something_goes) = (Vec::new(), false);
        while let Some(batch) = batches.try_next().await.map_err(failed)? {
            let stays = stays.next(&batch);
            something_goes |= stays.has_false();
            let stay = filter_record_batch(&batch, &stays).map_err(|error| failed(error.into()))?;
            kept.push(stay);
        }
        if something_goes {
            kept.retain(|batch| batch.num_rows() > 0);
            groups.insert(group, kept);
        }
    }
    if groups.is_empty() {
        return Ok(Trimmed::Untouched);
    }
    let regrouped = regroup(site, folder, file, groups).await?;
    Ok(regrouped.map_or(Trimmed::Gone, |regrouped| Trimmed::Into(regrouped.file)))
}

/// A file with its footer read.
struct Reader {
    ranges: RangeReader,
    metadata: ArrowReaderMetadata,
}

impl Reader {
    async fn open(
        store: &Arc<dyn ObjectStore>,
        folder: &S3Location,
        file: &DataFile,
    ) -> ParquetResult<Self> {
        let key = folder.join(&file.path).prefix;
        let mut ranges = RangeReader::new(Arc::clone(store), &key, file.size);
        let options = ArrowReaderOptions::new();
        let metadata = ArrowReaderMetadata::load_async(&mut ranges, options).await?;
        Ok(Self { ranges, metadata })
    }

    /// The row groups that hold something older than `line` or do not say.
    fn maybe_older(&self, line: DateTime<Utc>) -> ParquetResult<Vec<usize>> {
        let groups = self.metadata.metadata().row_groups();
        let schema = self.metadata.schema();
        if schema.index_of(EVENT_TIME).is_err() {
            return Ok(Vec::new());
        }
        let columns = self.metadata.parquet_schema();
        let converter = StatisticsConverter::try_new(EVENT_TIME, schema, columns)?;
        let least = converter.row_group_mins(groups)?;
        let times = least.as_primitive_opt::<TimestampMicrosecondType>();
        let is_maybe = |group: &usize| {
            let known = times.filter(|times| times.is_valid(*group));
            known.is_none_or(|times| times.value(*group) < line.timestamp_micros())
        };
        Ok((0..groups.len()).filter(is_maybe).collect())
    }

    fn rows(&self, group: usize) -> ParquetResult<ParquetRecordBatchStream<RangeReader>> {
        self.of(group).build()
    }

    /// The same, the event's time alone.
    fn times(&self, group: usize) -> ParquetResult<ParquetRecordBatchStream<RangeReader>> {
        let mask = ProjectionMask::columns(self.metadata.parquet_schema(), [EVENT_TIME]);
        self.of(group).with_projection(mask).build()
    }

    fn of(&self, group: usize) -> ParquetRecordBatchStreamBuilder<RangeReader> {
        let (ranges, metadata) = (self.ranges.clone(), self.metadata.clone());
        ParquetRecordBatchStreamBuilder::new_with_metadata(ranges, metadata)
            .with_row_groups(vec![group])
    }
}

/// Which rows of a row group stay, batch after batch.
struct Stays<'a> {
    /// Rows from it on stay; without a line none does by its age.
    line: Option<DateTime<Utc>>,
    held: &'a [Hit],
    first: usize,
}

impl<'a> Stays<'a> {
    fn new(line: Option<DateTime<Utc>>, held: Option<&'a FileHits>, group: usize) -> Self {
        let held = held.and_then(|held| held.groups.get(&group));
        Self {
            line,
            held: held.map_or(&[], Vec::as_slice),
            first: 0,
        }
    }

    /// One without a time stays: nobody knows its age.
    fn next(&mut self, batch: &RecordBatch) -> BooleanArray {
        let times = batch.column_by_name(EVENT_TIME);
        let times = times.and_then(|times| times.as_primitive_opt::<TimestampMicrosecondType>());
        let is_young = |row: usize, line: DateTime<Utc>| {
            let known = times.filter(|times| times.is_valid(row));
            known.is_none_or(|times| times.value(row) >= line.timestamp_micros())
        };
        let first = self.first;
        self.first += batch.num_rows();
        let is_held = |row: usize| {
            let number = |hit: &Hit| (hit.row as usize).cmp(&(first + row));
            self.held.binary_search_by(number).is_ok()
        };
        let stays = |row| self.line.is_some_and(|line| is_young(row, line)) || is_held(row);
        (0..batch.num_rows()).map(|row| Some(stays(row))).collect()
    }
}
