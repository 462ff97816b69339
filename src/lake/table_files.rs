//! Sorted rows → files of an event table, near the target size, and nothing counts as written before it
//! was read back and matched (invariant 5).
//!
//! Encoding runs on a thread of its own, a file ahead of uploading and reading back. A file is written to
//! the spill folder first, so memory does not depend on its size.
//!
//! What is compared is the fingerprints of the events as they were read, which travel with the rows, with
//! those of the rows as they were read back from S3.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::partition;
use arrow::datatypes::{DataType, Date32Type, Field, Schema, SchemaRef, UInt64Type};
use chrono::NaiveDate;
use futures::TryStreamExt;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use tempfile::NamedTempFile;
use tokio::sync::mpsc;

use super::parquet_files::{self, Layout};
use super::row_groups;
use super::rows::{
    RowsError, Tally, identifier_paths, matched, new_path, parquet_error, sort_paths, table_schema,
};
use super::site::Site;
use super::sort::SortError;
use super::spill::SpillFolder;
use super::tables::{DataFile, PARTITION};
use crate::decode::{self, FieldPath};
use crate::policy::{DatasetPolicy, S3Location};

/// The column that carries the events' fingerprints beside the rows; not in files.
pub const FINGERPRINT: &str = "_fingerprint";

/// The columns that rows have on their way into the table of events with the columns of `payload`: the
/// table's, and the fingerprint.
pub fn way_schema(payload: &Schema) -> SchemaRef {
    let table = table_schema(payload);
    let fingerprint = Arc::new(Field::new(FINGERPRINT, DataType::UInt64, false));
    let fields = table.fields().iter().map(Arc::clone).chain([fingerprint]);
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Writes rows that have the columns of [`way_schema`] and are sorted by date first.
pub async fn write_sorted<Pieces>(
    site: &Site,
    policy: &DatasetPolicy,
    pieces: Pieces,
) -> Result<Vec<DataFile>, RowsError>
where
    Pieces: Iterator<Item = Result<RecordBatch, SortError>> + Send + 'static,
{
    let (sender, mut receiver) = mpsc::channel(1);
    let mut encoder = Encoder {
        folder: Arc::clone(&site.spill),
        sort_by: sort_paths(policy),
        identifiers: identifier_paths(policy),
        target: policy.table.target_file_size.bytes(),
        open: None,
        finished: sender,
    };
    let encoding = tokio::task::spawn_blocking(move || encoder.encode(pieces));
    let folder = site.places.events(&policy.name);
    let mut files = Vec::new();
    while let Some(encoded) = receiver.recv().await {
        files.push(put(site, &folder, encoded).await?);
    }
    match encoding.await {
        Ok(outcome) => outcome?,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
    Ok(files)
}

/// A whole file in the spill folder.
struct Encoded {
    file: NamedTempFile,
    day: NaiveDate,
    expected: Tally,
}

struct Encoder {
    folder: Arc<SpillFolder>,
    sort_by: Vec<FieldPath>,
    identifiers: Vec<FieldPath>,
    target: u64,
    open: Option<Open>,
    finished: mpsc::Sender<Encoded>,
}

/// A file that is being written.
struct Open {
    file: NamedTempFile,
    writer: ArrowWriter<File>,
    day: NaiveDate,
    expected: Tally,
}

impl Encoder {
    fn encode(
        &mut self,
        pieces: impl Iterator<Item = Result<RecordBatch, SortError>>,
    ) -> Result<(), RowsError> {
        for piece in pieces {
            let piece = piece?;
            let days = piece.column_by_name(PARTITION).cloned();
            let days = days.ok_or_else(|| not_on_the_way(PARTITION))?;
            let parts = partition(&[Arc::clone(&days)]).map_err(SortError::from)?;
            for range in parts.ranges() {
                let days = days.as_primitive::<Date32Type>();
                let day = days.value_as_date(range.start);
                let day = day.ok_or_else(|| not_on_the_way(PARTITION))?;
                self.take(day, &piece.slice(range.start, range.len()))?;
            }
        }
        self.finish()
    }

    fn take(&mut self, day: NaiveDate, rows: &RecordBatch) -> Result<(), RowsError> {
        if self.open.as_ref().is_some_and(|open| open.day != day) {
            self.finish()?;
        }
        let failed = |error: ParquetError| parquet_error(&day.to_string(), &error);
        let (in_file, fingerprints) = split(rows)?;
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(Open::new(
                &self.folder,
                day,
                &in_file.schema(),
                Layout {
                    sort_by: &self.sort_by,
                    identifiers: &self.identifiers,
                },
            )?),
        };
        for fingerprint in fingerprints {
            open.expected.add_fingerprint(fingerprint);
        }
        open.writer.write(&in_file).map_err(failed)?;
        if open.about() < self.target {
            return Ok(());
        }
        // What is not compressed yet may become much smaller, and a file that ends small would be folded.
        open.writer.flush().map_err(failed)?;
        if open.about() >= self.target / 4 * 3 {
            self.finish()?;
        }
        Ok(())
    }

    /// Hands the open file on.
    fn finish(&mut self) -> Result<(), RowsError> {
        let Some(mut open) = self.open.take() else {
            return Ok(());
        };
        let day = open.day;
        open.note_digests()
            .and_then(|()| open.writer.close())
            .map_err(|error| parquet_error(&day.to_string(), &error))?;
        // Nobody listens where an upload has failed: its error is the one that counts.
        let _ = self.finished.blocking_send(Encoded {
            file: open.file,
            day,
            expected: open.expected,
        });
        Ok(())
    }
}

impl Open {
    /// What the file would come to if it ended here, in bytes.
    fn about(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }

    /// Ends the last row group; what comes then is the footer.
    fn note_digests(&mut self) -> Result<(), ParquetError> {
        self.writer.flush()?;
        self.writer.sync()?;
        let groups = self.writer.flushed_row_groups();
        let digests = row_groups::digests(groups, &mut self.file.reopen()?)?;
        self.writer
            .append_key_value_metadata(row_groups::note(&digests));
        Ok(())
    }

    fn new(
        folder: &SpillFolder,
        day: NaiveDate,
        schema: &SchemaRef,
        layout: Layout<'_>,
    ) -> Result<Self, RowsError> {
        let file = folder.named_file().map_err(SortError::from)?;
        let target = file.as_file().try_clone().map_err(SortError::from)?;
        let writer = parquet_files::writer(target, schema, layout);
        Ok(Self {
            file,
            writer: writer.map_err(|error| parquet_error(&day.to_string(), &error))?,
            day,
            expected: Tally::default(),
        })
    }
}

/// The columns that go into the file, and the fingerprints.
fn split(rows: &RecordBatch) -> Result<(RecordBatch, Vec<u64>), RowsError> {
    let schema = rows.schema_ref();
    let own = schema
        .index_of(PARTITION)
        .map_err(|_| not_on_the_way(PARTITION))?;
    let in_file: Vec<usize> = (0..own).collect();
    let fingerprints = rows
        .column_by_name(FINGERPRINT)
        .and_then(|column| column.as_primitive_opt::<UInt64Type>())
        .ok_or_else(|| not_on_the_way(FINGERPRINT))?;
    let in_file = rows.project(&in_file).map_err(SortError::from)?;
    Ok((in_file, fingerprints.values().to_vec()))
}

fn not_on_the_way(column: &str) -> RowsError {
    let reason = format!("rows to write have no `{column}`");
    RowsError::Sort(arrow::error::ArrowError::SchemaError(reason).into())
}

/// Uploads a file and reads it back.
async fn put(site: &Site, folder: &S3Location, encoded: Encoded) -> Result<DataFile, RowsError> {
    let (day, expected) = (encoded.day, encoded.expected);
    let path = new_path(day);
    let key = folder.join(&path).prefix;
    let local = encoded.file.path();
    let length = std::fs::metadata(local).map_err(SortError::from)?.len();
    site.s3.put_file(&folder.bucket, &key, local).await?;
    let found = read_back(site, &key, length).await?;
    matched(path, day, length, expected, found)
}

/// Count and fingerprint of the rows of the file at `key`.
async fn read_back(site: &Site, key: &str, length: u64) -> Result<Tally, RowsError> {
    let failed = |error: ParquetError| parquet_error(key, &error);
    let reader = parquet_files::open(Arc::clone(&site.store), key, length).await;
    let mut batches = reader.map_err(failed)?.build().map_err(failed)?;
    let mut tally = Tally::default();
    while let Some(batch) = batches.try_next().await.map_err(failed)? {
        let fingerprints =
            decode::fingerprints(&batch).map_err(|error| parquet_error(key, &error))?;
        for fingerprint in fingerprints {
            tally.add_fingerprint(fingerprint);
        }
    }
    Ok(tally)
}
