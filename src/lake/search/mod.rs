//! Finding the rows of subjects in table files without reading the files.
//!
//! For each file the footer is read; its statistics and Bloom filters say which row groups may hold one of
//! the values that are sought, the page index which of their pages; of these the identifying columns are
//! read, with `_rescued` and the event's time, and the [`Roster`] decides row by row.
//!
//! Hazard: what is not looked at survives an erasure. So whatever a filter cannot rule out counts as
//! maybe: rows with something in `_rescued`, columns without filter or statistics, values that are
//! compared by other rules than the filter's.

mod columns;
mod dictionaries;
mod filters;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, TimestampMicrosecondType};
use chrono::{DateTime, NaiveTime, Utc};
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelection};
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use parquet::errors::ParquetError;

use super::parquet_files::{RangeReader, leaf_paths};
use super::subject::{Identifier, Roster, Sought};
use super::tables::{DataFile, EVENT_TIME, TableError};
use crate::decode::{self, FieldPath, Json, RESCUED};
use crate::policy::S3Location;

const FILES_AT_ONCE: usize = 16;

/// A row that is a subject's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// Its number in its row group.
    pub row: u32,
    /// The subject's number in the roster.
    pub subject: u32,
}

/// The subjects' rows of one file.
#[derive(Debug, Clone)]
pub struct FileHits {
    /// The file.
    pub file: DataFile,
    /// By row group, in order of rows. A group without a hit has a dictionary that holds a subject's value
    /// although no row does: it has to be encoded again all the same.
    pub groups: BTreeMap<usize, Vec<Hit>>,
}

impl FileHits {
    /// How many rows are a subject's; one that is two subjects' counts once.
    pub fn rows(&self) -> u64 {
        let rows = |hits: &Vec<Hit>| {
            let mut rows: Vec<u32> = hits.iter().map(|hit| hit.row).collect();
            rows.dedup();
            rows.len() as u64
        };
        self.groups.values().map(rows).sum()
    }
}

/// What was found in a table.
#[derive(Debug, Default)]
pub struct Found {
    /// Files with rows of a subject.
    pub files: Vec<FileHits>,
    /// Ids in these rows that belong to the subject of this number too.
    pub links: Vec<(usize, Identifier)>,
}

/// Looks through `files` of the table in `folder` for rows that hold one of the values in `sought` and are
/// a subject's of `roster`.
pub async fn search(
    store: &Arc<dyn ObjectStore>,
    folder: &S3Location,
    files: &[DataFile],
    roster: &Arc<Roster>,
    sought: &Arc<Vec<Sought>>,
) -> Result<Found, TableError> {
    let mut found = Found::default();
    if sought.is_empty() {
        return Ok(found);
    }
    let files: Vec<DataFile> = files.to_vec();
    let mut searches = futures::stream::iter(files)
        .map(|file| {
            let key = folder.join(&file.path).prefix;
            let (store, roster, sought) =
                (Arc::clone(store), Arc::clone(roster), Arc::clone(sought));
            // Files are decoded on all cores.
            tokio::spawn(async move {
                let searched = search_file(store, &key, &file, &roster, &sought).await;
                searched
                    .map(|(groups, links)| (FileHits { file, groups }, links))
                    .map_err(|error| TableError {
                        attempted: format!("look for a subject in {key}"),
                        reason: error.to_string(),
                        conflict: false,
                    })
            })
        })
        .buffered(FILES_AT_ONCE);
    while let Some(searched) = searches.next().await {
        let (hits, links) = match searched {
            Ok(outcome) => outcome?,
            Err(stopped) => std::panic::resume_unwind(stopped.into_panic()),
        };
        if !hits.groups.is_empty() {
            found.files.push(hits);
            found.links.extend(links);
        }
    }
    Ok(found)
}

type Searched = (BTreeMap<usize, Vec<Hit>>, Vec<(usize, Identifier)>);

async fn search_file(
    store: Arc<dyn ObjectStore>,
    key: &str,
    file: &DataFile,
    roster: &Roster,
    sought: &[Sought],
) -> Result<Searched, ParquetError> {
    let mut reader = RangeReader::new(store, key, file.size);
    let narrowed = filters::narrow(&mut reader, sought).await?;
    let mut links = Vec::new();
    let stale = narrowed.dictionaries.into_iter();
    let mut groups: BTreeMap<usize, Vec<Hit>> = stale.map(|group| (group, Vec::new())).collect();
    if narrowed.rows.is_empty() {
        return Ok((groups, links));
    }
    let metadata = ArrowReaderMetadata::try_new(narrowed.metadata, ArrowReaderOptions::new())?;
    let needed = needed_columns(&metadata, roster, sought);
    for (group, ranges) in narrowed.rows {
        let total = usize::try_from(metadata.metadata().row_group(group).num_rows()).unwrap_or(0);
        let selection = RowSelection::from_consecutive_ranges(ranges.iter().cloned(), total);
        let mut batches =
            ParquetRecordBatchStreamBuilder::new_with_metadata(reader.clone(), metadata.clone())
                .with_projection(needed.clone())
                .with_row_groups(vec![group])
                .with_row_selection(selection)
                .build()?;
        let mut rows = ranges.into_iter().flatten();
        let mut hits = Vec::new();
        while let Some(batch) = batches.try_next().await? {
            let numbers: Vec<usize> = rows.by_ref().take(batch.num_rows()).collect();
            search_batch(
                &batch, &numbers, file, roster, sought, &mut hits, &mut links,
            )?;
        }
        if !hits.is_empty() {
            groups.insert(group, hits);
        }
    }
    Ok((groups, links))
}

/// The columns that decide whose a row is, and what else belongs to whoever it belongs to.
fn needed_columns(
    metadata: &ArrowReaderMetadata,
    roster: &Roster,
    sought: &[Sought],
) -> ProjectionMask {
    let of_sought = sought.iter().flat_map(|sought| &sought.paths);
    let paths: Vec<&[String]> = roster
        .paths()
        .chain(of_sought)
        .map(FieldPath::names)
        .collect();
    let leaves = leaf_paths(metadata.schema());
    let needed = leaves.iter().enumerate().filter(|(_, leaf)| {
        let own = leaf.len() == 1 && (leaf[0] == RESCUED || leaf[0] == EVENT_TIME);
        // A path may also end at a list or struct, or go on where the column ends.
        own || paths
            .iter()
            .any(|path| leaf.starts_with(path) || path.starts_with(leaf))
    });
    let schema = metadata.metadata().file_metadata().schema_descr();
    ProjectionMask::leaves(schema, needed.map(|(number, _)| number))
}

fn search_batch(
    batch: &RecordBatch,
    numbers: &[usize],
    file: &DataFile,
    roster: &Roster,
    sought: &[Sought],
    hits: &mut Vec<Hit>,
    links: &mut Vec<(usize, Identifier)>,
) -> Result<(), ParquetError> {
    let batch = with_rescued(batch)?;
    for row in columns::candidates(&batch, sought) {
        let event = decode::rebuild_part(&batch, row)
            .map_err(|error| ParquetError::General(error.to_string()))?;
        let subjects = roster.of_event_at(&event, Some(time_of(&batch, row, file)));
        let number = numbers
            .get(row)
            .and_then(|number| u32::try_from(*number).ok());
        let (Some(number), false) = (number, subjects.is_empty()) else {
            continue;
        };
        push(roster, &event, &subjects, number, hits, links);
    }
    Ok(())
}

fn push(
    roster: &Roster,
    event: &Json,
    subjects: &[usize],
    row: u32,
    hits: &mut Vec<Hit>,
    links: &mut Vec<(usize, Identifier)>,
) {
    let linked = roster.links_in(event);
    for subject in subjects {
        let number = u32::try_from(*subject).unwrap_or(u32::MAX);
        hits.push(Hit {
            row,
            subject: number,
        });
        links.extend(linked.iter().map(|id| (*subject, id.clone())));
    }
}

/// The time of the event; of a row that has none, as in curated tables, the begin of its day.
fn time_of(batch: &RecordBatch, row: usize, file: &DataFile) -> DateTime<Utc> {
    let times = batch
        .column_by_name(EVENT_TIME)
        .and_then(|times| times.as_primitive_opt::<TimestampMicrosecondType>());
    let time = times
        .filter(|times| times.is_valid(row))
        .and_then(|times| DateTime::from_timestamp_micros(times.value(row)));
    time.unwrap_or_else(|| file.event_date.and_time(NaiveTime::MIN).and_utc())
}

/// Files of curated tables, and of others, have no `_rescued`.
fn with_rescued(batch: &RecordBatch) -> Result<RecordBatch, ParquetError> {
    if batch.column_by_name(RESCUED).is_some() {
        return Ok(batch.clone());
    }
    let mut fields: Vec<Field> = batch
        .schema()
        .fields()
        .iter()
        .map(|field| (**field).clone())
        .collect();
    fields.push(Field::new(RESCUED, DataType::Utf8, true));
    let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
    columns.push(new_null_array(&DataType::Utf8, batch.num_rows()));
    Ok(RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        columns,
    )?)
}

#[cfg(test)]
mod tests;
