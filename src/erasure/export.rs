//! What the lake knows of a subject, for the subject (GDPR Art. 15 and 20): the rows that an erasure would
//! find, by the same search, and nothing is changed.
//!
//! Beside the rows of tables these are records in quarantine, and records of raw objects that no table has
//! yet. Each comes with where it came from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use chrono::{DateTime, NaiveDate, Utc};
use futures::TryStreamExt;
use object_store::ObjectStore;
use serde::Serialize;

use super::apply::ErasureError;
use super::people::People;
use super::reach::{self, Searched};
use super::request::{Filing, OpenRequest, Request, Waiting, Written};
use crate::decode::{self, Json, Limits, Plain};
use crate::lake::discovery::Look;
use crate::lake::facts::{DatasetFacts, Facts};
use crate::lake::hold::HeldPeople;
use crate::lake::key::Key;
use crate::lake::parquet_files;
use crate::lake::quarantine::quarantined_record;
use crate::lake::raw::{is_marker, time_rule};
use crate::lake::rows::{KAFKA_PARTITION, OFFSET, RowsError, TOPIC, parquet_error};
use crate::lake::s3::{Pick, ReadS3};
use crate::lake::search::FileHits;
use crate::lake::subject::Roster;
use crate::policy::{DatasetPolicy, Policies};

/// Something that the lake knows of a subject.
#[derive(Debug, Clone, Serialize)]
pub struct Known {
    /// The dataset or curated table.
    pub table: String,
    /// `table`, `quarantine` or `raw`.
    pub kind: &'static str,
    /// The object that it stands in.
    pub object: String,
    /// Its day, if it has one.
    pub event_date: Option<NaiveDate>,
    /// Topic, partition and offset in Kafka, where they are known.
    pub kafka: Option<String>,
    /// The event, as JSON text; a record that could not be understood as it is.
    #[serde(skip)]
    pub text: String,
}

/// All that the lake knows of a subject.
#[derive(Debug, Default)]
pub struct Export {
    /// In order of tables.
    pub known: Vec<Known>,
    /// The same by table, as a Parquet file's rows; rows of tables only.
    pub rows: BTreeMap<String, RecordBatch>,
    /// Why it is not given out without a person's word.
    pub excess: Option<Waiting>,
}

/// Reads what the lake knows of whom `written` names. `most_rows`: more than that a person has to confirm.
pub async fn export(
    s3: &ReadS3,
    policies: &Policies,
    written: Written,
    most_rows: Option<u64>,
    now: DateTime<Utc>,
) -> Result<Export, ErasureError> {
    let look = Look {
        now,
        rules: &policies.digest,
        everything: true,
        named: &BTreeMap::new(),
        due: |_, _, _, _| BTreeSet::new(),
    };
    let facts = Facts::gather(s3, policies, &look).await?;
    let mut open = unfiled(policies, written, most_rows, now)?;
    let store = s3.store(&policies.lake.location.bucket)?;
    let tables = reach::tables(policies, &facts);
    let policy = &policies.lake.erasure;
    let nobody = &mut HeldPeople::default();
    let reach = reach::close(&store, policy, &tables, &mut [&mut open], nobody).await?;
    let mut export = Export {
        excess: reach.left_out.values().next().cloned(),
        ..Export::default()
    };
    if export.excess.is_some() {
        return Ok(export);
    }
    for table in &tables {
        let hits = reach.tables.get(&table.name).map_or(&[][..], Vec::as_slice);
        export.read_table(&store, table, hits).await?;
    }
    let people = People::new(
        std::slice::from_ref(&open),
        &[open.request.id.clone()],
        policy,
    );
    for policy in &policies.datasets {
        if let Some(facts) = facts.datasets.get(&policy.name) {
            let roster = people.roster(&policy.pii);
            let bucket = &policies.lake.location.bucket;
            export
                .read_quarantine(s3, bucket, policy, facts, &roster)
                .await?;
            export.read_raw(s3, policy, facts, &roster).await?;
        }
    }
    Ok(export)
}

/// A request that is never filed, sealed with a key that nobody keeps.
fn unfiled(
    policies: &Policies,
    written: Written,
    most_rows: Option<u64>,
    now: DateTime<Utc>,
) -> Result<OpenRequest, ErasureError> {
    let key = Key::random()?;
    let policy = &policies.lake.erasure;
    let mut request = Request::new(&key, policy, now, &written, Filing::default())?;
    request.confirmed_rows = most_rows;
    // Whatever has happened so far is the subject's to know.
    request.until = Some(DateTime::<Utc>::MAX_UTC);
    Ok(OpenRequest {
        request,
        written,
        linked: BTreeSet::new(),
        etag: String::new(),
        waiting: None,
        known_rows: 0,
    })
}

impl Export {
    async fn read_table(
        &mut self,
        store: &Arc<dyn ObjectStore>,
        table: &Searched<'_>,
        hits: &[FileHits],
    ) -> Result<(), ErasureError> {
        let mut batches = Vec::new();
        for file in hits {
            let key = table.folder.join(&file.file.path).prefix;
            for (group, hits) in &file.groups {
                let mut wanted: Vec<u32> = hits.iter().map(|hit| hit.row).collect();
                wanted.dedup();
                let rows = read_rows(store, &key, file.file.size, *group, wanted).await?;
                for row in 0..rows.num_rows() {
                    let event =
                        event_of(&rows, row).map_err(|error| parquet_error(&key, &error))?;
                    self.known.push(Known {
                        table: table.name.clone(),
                        kind: "table",
                        object: key.clone(),
                        event_date: Some(file.file.event_date),
                        kafka: kafka(&rows, row),
                        text: event.to_string(),
                    });
                }
                batches.push(with_origin(&rows, &file.file.path, file.file.event_date)?);
            }
        }
        if let Some(rows) = joined(&table.name, &batches)? {
            self.rows.insert(table.name.clone(), rows);
        }
        Ok(())
    }

    async fn read_quarantine(
        &mut self,
        s3: &ReadS3,
        bucket: &str,
        policy: &DatasetPolicy,
        facts: &DatasetFacts,
        roster: &Roster,
    ) -> Result<(), ErasureError> {
        for version in facts
            .quarantine
            .iter()
            .filter(|version| version.latest && !version.marker)
        {
            let object = s3.get(bucket, &version.key, Pick::Current).await?;
            for line in object.bytes.split(|byte| *byte == b'\n') {
                let record = quarantined_record(line);
                if roster.is_in(&record) {
                    self.push("quarantine", policy, &version.key, &record);
                }
            }
        }
        Ok(())
    }

    /// Records of raw objects that no table has yet.
    async fn read_raw(
        &mut self,
        s3: &ReadS3,
        policy: &DatasetPolicy,
        facts: &DatasetFacts,
        roster: &Roster,
    ) -> Result<(), ErasureError> {
        let bucket = &policy.raw.location.bucket;
        let (limits, rule) = (Limits::default(), time_rule(&policy.events));
        for version in facts
            .raw
            .iter()
            .filter(|version| version.latest && !version.marker)
        {
            let is_known = facts
                .ledger
                .compacted(&version.key, &version.etag)
                .is_some();
            if is_known || is_marker(version) {
                continue;
            }
            let object = s3
                .get(bucket, &version.key, Pick::Version(&version.version))
                .await?;
            let plain = Plain::of(&object.bytes, policy.raw.format, &limits);
            for record in plain.records(&limits) {
                let is_theirs = match &record.content {
                    Ok(event) => {
                        let time = decode::event_time(event, &rule).ok();
                        !roster.of_event_at(event, time).is_empty()
                    }
                    Err(_) => !roster.mentioned(record.bytes).is_empty(),
                };
                if is_theirs {
                    self.push("raw", policy, &version.key, record.bytes);
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, kind: &'static str, policy: &DatasetPolicy, object: &str, record: &[u8]) {
        self.known.push(Known {
            table: policy.name.clone(),
            kind,
            object: object.to_owned(),
            event_date: None,
            kafka: None,
            text: String::from_utf8_lossy(record).into_owned(),
        });
    }
}

async fn read_rows(
    store: &Arc<dyn ObjectStore>,
    key: &str,
    size: u64,
    group: usize,
    wanted: Vec<u32>,
) -> Result<RecordBatch, RowsError> {
    let failed = |error: parquet::errors::ParquetError| parquet_error(key, &error);
    let reader = parquet_files::open(Arc::clone(store), key, size)
        .await
        .map_err(failed)?;
    let schema = Arc::clone(reader.schema());
    let batches = reader
        .with_row_groups(vec![group])
        .build()
        .map_err(failed)?;
    let batches: Vec<RecordBatch> = batches.try_collect().await.map_err(failed)?;
    let rows = arrow::compute::concat_batches(&schema, &batches);
    let rows = rows.and_then(|rows| take_record_batch(&rows, &UInt32Array::from(wanted)));
    rows.map_err(|error| parquet_error(key, &error))
}

/// The event of a row; of a curated table's, its columns.
fn event_of(rows: &RecordBatch, row: usize) -> Result<Json, decode::RebuildError> {
    if rows.column_by_name(decode::RESCUED).is_some() {
        return decode::rebuild(rows, row);
    }
    let rescued = arrow::array::new_null_array(&DataType::Utf8, rows.num_rows());
    decode::rebuild(&with_column(rows, decode::RESCUED, rescued)?, row)
}

fn with_column(
    rows: &RecordBatch,
    name: &str,
    column: ArrayRef,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let schema: SchemaRef = rows.schema();
    let field = Arc::new(Field::new(name, column.data_type().clone(), true));
    let fields: Vec<Arc<Field>> = schema.fields().iter().cloned().chain([field]).collect();
    let columns: Vec<ArrayRef> = rows.columns().iter().cloned().chain([column]).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// The rows with the file and day that they came from.
fn with_origin(rows: &RecordBatch, path: &str, day: NaiveDate) -> Result<RecordBatch, RowsError> {
    let texts = |text: &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
            text,
            rows.num_rows(),
        )))
    };
    let dated = with_column(rows, "event_date", texts(&day.to_string()));
    let named = dated.and_then(|rows| with_column(&rows, "_file", texts(path)));
    named.map_err(|error| parquet_error(path, &error))
}

/// One batch of all, with the columns of all: files of different ages have different ones.
fn joined(table: &str, batches: &[RecordBatch]) -> Result<Option<RecordBatch>, RowsError> {
    let schemas = batches.iter().map(|batch| (*batch.schema()).clone());
    let failed = |error: arrow::error::ArrowError| parquet_error(table, &error);
    if batches.is_empty() {
        return Ok(None);
    }
    let all = Arc::new(Schema::try_merge(schemas).map_err(failed)?);
    let mut widened = Vec::with_capacity(batches.len());
    for batch in batches {
        let columns = all
            .fields()
            .iter()
            .map(|field| match batch.column_by_name(field.name()) {
                Some(column) => arrow::compute::cast(column, field.data_type()),
                None => Ok(arrow::array::new_null_array(
                    field.data_type(),
                    batch.num_rows(),
                )),
            });
        let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>().map_err(failed)?;
        widened.push(RecordBatch::try_new(Arc::clone(&all), columns).map_err(failed)?);
    }
    Ok(Some(
        arrow::compute::concat_batches(&all, &widened).map_err(failed)?,
    ))
}

fn kafka(rows: &RecordBatch, row: usize) -> Option<String> {
    let text = |name: &str| -> Option<String> {
        let column = rows
            .column_by_name(name)
            .filter(|column| column.is_valid(row))?;
        arrow::util::display::array_value_to_string(column, row).ok()
    };
    Some(format!(
        "{}/{}/{}",
        text(TOPIC)?,
        text(KAFKA_PARTITION)?,
        text(OFFSET)?
    ))
}
