//! Rows of event tables: the columns that the program adds to an event's own, and how files of rows are
//! written, so that nothing counts as written before it was read back and matched (invariant 5).
//!
//! | column | meaning |
//! |---|---|
//! | the event's own fields | as decoded |
//! | `_rescued` | what did not fit, as JSON |
//! | `_event_time` | the event's own time, UTC, microseconds |
//! | `_topic`, `_partition`, `_offset` | its Kafka identity, where the object's name gives it |
//! | `event_date` | the partition: the date of `_event_time` in UTC; not in the file itself |

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;
use chrono::NaiveDate;

use super::error::S3Error;
use super::parquet_files::{self, Layout};
use super::s3::{Pick, PutIf, ReadS3};
use super::site::Site;
use super::sort::SortError;
use super::tables::{DataFile, EVENT_TIME, PARTITION};
use crate::decode::{self, BatchError, FieldPath, Json, RESCUED};
use crate::policy::{DatasetPolicy, S3Location};

/// The Kafka topic.
pub const TOPIC: &str = "_topic";
/// The Kafka partition.
pub const KAFKA_PARTITION: &str = "_partition";
/// The Kafka offset.
pub const OFFSET: &str = "_offset";

/// Why rows could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// An S3 request.
    #[error("{0}")]
    Store(#[from] S3Error),
    /// Parquet.
    #[error("could not read or write Parquet file {file}: {reason}")]
    Parquet {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// Events that have no columns.
    #[error("{0}")]
    Layout(#[from] BatchError),
    /// Arrow.
    #[error("could not lay out the rows of {day}: {reason}")]
    Arrow {
        /// The partition.
        day: NaiveDate,
        /// Why.
        reason: String,
    },
    /// Sorting, or the local disk.
    #[error("{0}")]
    Sort(#[from] SortError),
    /// What was read back is not what was written.
    #[error(
        "invariant 5 broken: file {file} was read back with {found} rows where {written} were written, or \
         with other content; nothing was committed or deleted"
    )]
    NotReadBack {
        /// The file.
        file: String,
        /// Rows written.
        written: u64,
        /// Rows read back.
        found: u64,
    },
}

/// Where an event stood in Kafka.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KafkaPosition {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// Count and order-independent fingerprint of events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub rows: u64,
    /// The sum of the fingerprints.
    pub fingerprint: u128,
}

impl Tally {
    /// Adds an event by its fingerprint.
    pub fn add_fingerprint(&mut self, fingerprint: u64) {
        self.rows += 1;
        self.fingerprint += u128::from(fingerprint);
    }

    /// Adds an event.
    pub fn add(&mut self, event: &Json) {
        self.add_fingerprint(decode::fingerprint(event));
    }
}

/// The columns that the program adds, the partition aside.
fn own_fields() -> Vec<Field> {
    vec![
        Field::new(
            EVENT_TIME,
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            true,
        ),
        Field::new(TOPIC, DataType::Utf8, true),
        Field::new(KAFKA_PARTITION, DataType::Int32, true),
        Field::new(OFFSET, DataType::Int64, true),
    ]
}

/// The schema of an event table whose events have the columns of `payload`.
pub fn table_schema(payload: &Schema) -> SchemaRef {
    let mut fields: Vec<Field> = payload
        .fields()
        .iter()
        .map(|field| (**field).clone())
        .collect();
    fields.push(Field::new(RESCUED, DataType::Utf8, true));
    fields.extend(own_fields());
    fields.push(Field::new(PARTITION, DataType::Date32, true));
    Arc::new(Schema::new(fields))
}

/// The event's own columns of an event table's schema.
pub fn payload_schema(table: &Schema) -> Schema {
    let own = |name: &str| name.starts_with('_') || name == PARTITION;
    let fields = table.fields().iter().filter(|field| !own(field.name()));
    Schema::new(fields.map(Arc::clone).collect::<Vec<_>>())
}

/// The fields that a dataset's files are sorted by: the policy's, then the time.
pub fn sort_paths(policy: &DatasetPolicy) -> Vec<FieldPath> {
    let mut paths = policy.table.sort_by.clone();
    paths.extend(EVENT_TIME.parse());
    paths
}

/// The fields of a dataset by which people are found.
pub fn identifier_paths(policy: &DatasetPolicy) -> Vec<FieldPath> {
    policy.pii.paths()
}

/// Writes the rows of one day as a new file `path` of the dataset's event table, reads it back, and answers
/// with the file only if what came back is what `expected` says.
pub async fn write(
    site: &Site,
    policy: &DatasetPolicy,
    path: String,
    day: NaiveDate,
    rows: &RecordBatch,
    expected: Tally,
) -> Result<DataFile, RowsError> {
    let folder = site.places.events(&policy.name);
    let (sort_by, identifiers) = (sort_paths(policy), identifier_paths(policy));
    let layout = Layout {
        sort_by: &sort_by,
        identifiers: &identifiers,
    };
    let bytes =
        parquet_files::encode(rows, layout).map_err(|error| parquet_error(&path, &error))?;
    let file_size = bytes.len() as u64;
    let key = folder.join(&path).prefix;
    site.s3
        .put(&folder.bucket, &key, bytes, PutIf::Absent)
        .await?;

    let back = read(site.s3.read(), &folder, &path).await?;
    let found = tally(&path, &back)?;
    matched(path, day, file_size, expected, found)
}

/// A name that no file of the day has.
pub fn new_path(day: NaiveDate) -> String {
    format!("{PARTITION}={day}/{}", new_name())
}

/// The last part of such a name.
pub fn new_name() -> String {
    format!("part-{}.zstd.parquet", uuid::Uuid::new_v4())
}

/// A name for redacted rows of the day: they have a file of their own, which goes when the law no longer
/// wants them kept.
pub fn redacted_path(day: NaiveDate) -> String {
    format!("{PARTITION}={day}/{}", redacted_name())
}

/// The last part of such a name.
pub fn redacted_name() -> String {
    format!("{REDACTED}{}.zstd.parquet", uuid::Uuid::new_v4())
}

/// Whether the file at `path` holds redacted rows.
pub fn is_redacted(path: &str) -> bool {
    path.rsplit('/')
        .next()
        .is_some_and(|name| name.starts_with(REDACTED))
}

const REDACTED: &str = "redacted-";

/// The file, if what was read back of it is what was written (invariant 5).
pub fn matched(
    path: String,
    day: NaiveDate,
    size: u64,
    expected: Tally,
    found: Tally,
) -> Result<DataFile, RowsError> {
    if found != expected {
        return Err(RowsError::NotReadBack {
            file: path,
            written: expected.rows,
            found: found.rows,
        });
    }
    Ok(DataFile {
        path,
        event_date: day,
        size,
        rows: found.rows,
    })
}

/// Reads a file of rows.
pub async fn read(
    s3: &ReadS3,
    folder: &S3Location,
    path: &str,
) -> Result<Vec<RecordBatch>, RowsError> {
    let bytes = read_bytes(s3, folder, path).await?;
    parquet_files::decode(bytes).map_err(|error| parquet_error(path, &error))
}

/// Reads the bytes of a file.
pub async fn read_bytes(s3: &ReadS3, folder: &S3Location, path: &str) -> Result<Bytes, RowsError> {
    let key = folder.join(path).prefix;
    Ok(s3.get(&folder.bucket, &key, Pick::Current).await?.bytes)
}

/// The events of a batch, rebuilt.
pub fn events(path: &str, batch: &RecordBatch) -> Result<Vec<Json>, RowsError> {
    (0..batch.num_rows())
        .map(|row| {
            decode::rebuild(batch, row).map_err(|error| RowsError::Parquet {
                file: path.to_owned(),
                reason: error.to_string(),
            })
        })
        .collect()
}

/// Count and fingerprint of the events in batches.
pub fn tally(path: &str, batches: &[RecordBatch]) -> Result<Tally, RowsError> {
    let mut tally = Tally::default();
    for batch in batches {
        events(path, batch)?
            .iter()
            .for_each(|event| tally.add(event));
    }
    Ok(tally)
}

/// Joins batches of one file.
pub fn join(day: NaiveDate, batches: &[RecordBatch]) -> Result<Option<RecordBatch>, RowsError> {
    let Some(first) = batches.first() else {
        return Ok(None);
    };
    let joined = concat_batches(&first.schema(), batches).map_err(|error| RowsError::Arrow {
        day,
        reason: error.to_string(),
    })?;
    Ok(Some(joined))
}

/// Names the file that Parquet could not handle.
pub fn parquet_error(path: &str, error: &dyn std::fmt::Display) -> RowsError {
    RowsError::Parquet {
        file: path.to_owned(),
        reason: error.to_string(),
    }
}
