//! Duplicates (Kafka delivers at least once): one identity, one row, within a run and across nights.
//!
//! An event's identity is its topic, partition and offset where the object's name gives them
//! ([`positions`](super::positions)), else the values of the policy's `deduplicate_by` within the event's
//! day ([`fields`](super::fields)). Equal identity with other content keeps both and is reported.
//!
//! The cost is in proportion to what is new: positions are compared as ranges, and only where ranges
//! overlap are rows looked at; fields are looked up in the files of the days that the new events fall on.

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use parquet::arrow::ProjectionMask;
use std::sync::Arc;

use super::admit::Admitted;
use super::fields::Fields;
use super::positions::Positions;
use super::rows::Finished;
use crate::lake::ledger::Ledger;
use crate::lake::parquet_files;
use crate::lake::raw::first_position;
use crate::lake::rows::{OFFSET, RowsError, parquet_error};
use crate::lake::s3::ObjectVersion;
use crate::lake::site::Site;
use crate::lake::sort::SortError;
use crate::lake::tables::DataFile;
use crate::policy::DatasetPolicy;

/// What an entry of what is known takes up, in bytes, with room to grow.
const ENTRY_BYTES: usize = 96;

/// Recognises events that are there already.
pub struct Duplicates {
    positions: Positions,
    fields: Fields,
    /// Identities that came with more than one content.
    conflicts: u64,
}

/// Puts objects with Kafka positions in the order of their offsets, as [`Duplicates::settle`] needs them.
pub fn in_order<'a>(objects: impl Iterator<Item = &'a ObjectVersion>) -> Vec<&'a ObjectVersion> {
    let mut objects: Vec<_> = objects
        .map(|object| (first_position(&object.key), object))
        .collect();
    objects.sort_by(|one, other| (&one.0, &one.1.key).cmp(&(&other.0, &other.1.key)));
    objects.into_iter().map(|(_, object)| object).collect()
}

impl Duplicates {
    /// Of `objects`, which will come in this order, on top of a table of `files` with its `ledger`.
    pub fn new(ledger: &Ledger, files: Vec<DataFile>, objects: &[&ObjectVersion]) -> Self {
        Self {
            positions: Positions::new(ledger, files.clone(), objects),
            fields: Fields::new(files),
            conflicts: 0,
        }
    }

    /// Whether more must not be remembered.
    pub fn is_full(&self, memory: usize) -> bool {
        (self.positions.remembered() + self.fields.remembered()) * ENTRY_BYTES > memory
    }

    /// Drops the rows that are there already and enters what became of them.
    pub async fn settle(
        &mut self,
        site: &Site,
        policy: &DatasetPolicy,
        finished: Finished,
        objects: &mut [Admitted],
    ) -> Result<RecordBatch, RowsError> {
        self.positions.load(site, policy, objects).await?;
        self.fields.load(site, policy, &finished).await?;
        let offsets = column(&finished.rows, OFFSET)?.as_primitive::<Int64Type>();
        let mut keep = Vec::with_capacity(finished.rows.num_rows());
        for object in objects.iter_mut() {
            let stream = self.positions.begin(object);
            for row in object.rows.clone() {
                let Some(content) = finished.fingerprints.get(row).copied() else {
                    continue;
                };
                let verdict = match (&stream, finished.identities.get(row)) {
                    (Some(stream), _) if offsets.is_valid(row) => {
                        self.positions.verdict(stream, offsets.value(row), content)
                    }
                    (_, Some(Some(identity))) => {
                        let day = finished.dates.get(row).copied().unwrap_or_default();
                        self.fields.verdict((day, *identity), content)
                    }
                    _ => Verdict::New,
                };
                self.conflicts += u64::from(verdict == Verdict::Conflict);
                keep.push(verdict != Verdict::Known);
            }
            let kept = keep
                .iter()
                .rev()
                .take(object.rows.len())
                .filter(|keep| **keep);
            let written = kept.count() as u64;
            object.entry.counts.written = written;
            object.entry.counts.deduplicated = object.rows.len() as u64 - written;
        }
        if keep.iter().all(|keep| *keep) {
            return Ok(finished.rows);
        }
        let kept = filter_record_batch(&finished.rows, &BooleanArray::from(keep));
        Ok(kept.map_err(SortError::from)?)
    }

    /// What a person should know of all that came.
    pub fn findings(&self, dataset: &str) -> Vec<String> {
        let mut findings = self.positions.findings(dataset);
        if self.conflicts > 0 {
            findings.push(format!(
                "{dataset}: {} events share the identity of another with other content; both are kept",
                self.conflicts
            ));
        }
        findings
    }
}

/// What an event is, compared with what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    New,
    /// The same identity with the same content.
    Known,
    /// The same identity with other content.
    Conflict,
}

/// Compares a content with those known of its identity, and remembers it.
pub fn compare(known: &mut Vec<u64>, content: u64) -> Verdict {
    if known.contains(&content) {
        return Verdict::Known;
    }
    known.push(content);
    match known.len() {
        1 => Verdict::New,
        _ => Verdict::Conflict,
    }
}

fn column<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a Arc<dyn Array>, RowsError> {
    let missing = || arrow::error::ArrowError::SchemaError(format!("rows have no `{name}`"));
    let column = rows.column_by_name(name);
    Ok(column.ok_or_else(|| SortError::from(missing()))?)
}

/// Reads a file of the event table, all its columns or only those named, a batch at a time.
pub async fn read_file(
    site: &Site,
    policy: &DatasetPolicy,
    file: &DataFile,
    columns: Option<&[&str]>,
    mut take: impl FnMut(&RecordBatch) -> Result<(), RowsError>,
) -> Result<(), RowsError> {
    let failed = |error: parquet::errors::ParquetError| parquet_error(&file.path, &error);
    let key = site.places.events(&policy.name).join(&file.path).prefix;
    let builder = parquet_files::open(Arc::clone(&site.store), &key, file.size).await;
    let mut builder = builder.map_err(failed)?;
    if let Some(columns) = columns {
        let schema = builder.schema();
        let roots = columns.iter().filter_map(|name| schema.index_of(name).ok());
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots.collect::<Vec<_>>());
        builder = builder.with_projection(mask);
    }
    let mut batches = builder.build().map_err(failed)?;
    while let Some(batch) = batches.try_next().await.map_err(failed)? {
        take(&batch)?;
    }
    Ok(())
}
