//! Admitted events on their way to becoming rows: the payload's columns and those of the program's own.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Int32Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder, UInt64Array,
};
use arrow::datatypes::{Date32Type, SchemaRef};
use chrono::{DateTime, Utc};

use super::admit::Admitted;
use crate::decode::{BatchError, Document, EventColumns, FieldPath, Json, fingerprint};
use crate::lake::table_files::way_schema;

/// Bytes of events that become rows in one go.
const MOST_BYTES: u64 = 16 * 1024 * 1024;
const MOST_ROWS: usize = 64 * 1024;

/// An admitted event.
pub struct Row<'a> {
    pub event: &'a Document,
    /// How long its text was.
    pub bytes: u64,
    pub time: DateTime<Utc>,
    /// Topic, partition and offset.
    pub position: Option<(&'a str, i32, i64)>,
}

/// Builders for rows with the columns of [`way_schema`].
pub struct Rows {
    payload: SchemaRef,
    /// Bytes of the events' texts.
    bytes: u64,
    deduplicate_by: Vec<FieldPath>,
    events: EventColumns,
    times: TimestampMicrosecondBuilder,
    topics: StringBuilder,
    partitions: Int32Builder,
    offsets: Int64Builder,
    dates: Vec<i32>,
    fingerprints: Vec<u64>,
    identities: Vec<Option<u64>>,
}

/// Rows, and what duplicates are recognised by.
pub struct Finished {
    pub rows: RecordBatch,
    /// Of every row, its day since 1970.
    pub dates: Vec<i32>,
    /// Of every row, what its content comes to.
    pub fingerprints: Vec<u64>,
    /// Of every row without a Kafka position, what `deduplicate_by` comes to, if it says anything.
    pub identities: Vec<Option<u64>>,
}

impl Rows {
    pub fn new(payload: &SchemaRef, deduplicate_by: &[FieldPath]) -> Self {
        Self {
            payload: Arc::clone(payload),
            bytes: 0,
            deduplicate_by: deduplicate_by.to_vec(),
            events: EventColumns::new(payload),
            times: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            topics: StringBuilder::new(),
            partitions: Int32Builder::new(),
            offsets: Int64Builder::new(),
            dates: Vec::new(),
            fingerprints: Vec::new(),
            identities: Vec::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.fingerprints.len()
    }

    /// Whether learning from the events could add a column.
    pub fn brings_new_fields(&self) -> bool {
        self.events.brings_new_fields()
    }

    /// Whether there should not be more rows in one batch.
    pub fn is_full(&self) -> bool {
        self.bytes >= MOST_BYTES || self.len() >= MOST_ROWS
    }

    /// Ends an object's rows here.
    pub fn close(&self, mut admitted: Admitted) -> Admitted {
        admitted.rows.end = self.len();
        admitted
    }

    pub fn push(&mut self, row: &Row<'_>) {
        self.bytes += row.bytes;
        self.events.append(row.event);
        self.times.append_value(row.time.timestamp_micros());
        let (topic, partition, offset) = match row.position {
            Some((topic, partition, offset)) => (Some(topic), Some(partition), Some(offset)),
            None => (None, None, None),
        };
        self.topics.append_option(topic);
        self.partitions.append_option(partition);
        self.offsets.append_option(offset);
        let date = row.time.date_naive();
        self.dates.push(Date32Type::from_naive_date(date));
        self.fingerprints.push(row.event.fingerprint());
        self.identities.push(match row.position {
            Some(_) => None,
            None => identity(|path| row.event.at(path), &self.deduplicate_by),
        });
    }

    pub fn finish(mut self) -> Result<Finished, BatchError> {
        let events = self.events.finish()?;
        let mut columns = events.columns().to_vec();
        let own: [ArrayRef; 6] = [
            Arc::new(self.times.finish()),
            Arc::new(self.topics.finish()),
            Arc::new(self.partitions.finish()),
            Arc::new(self.offsets.finish()),
            Arc::new(Date32Array::from(self.dates.clone())),
            Arc::new(UInt64Array::from(self.fingerprints.clone())),
        ];
        columns.extend(own);
        Ok(Finished {
            rows: RecordBatch::try_new(way_schema(&self.payload), columns)?,
            dates: self.dates,
            fingerprints: self.fingerprints,
            identities: self.identities,
        })
    }
}

impl Finished {
    /// The identities of the rows, by day (in days since 1970).
    pub fn by_day(&self) -> HashMap<i32, HashSet<u64>> {
        let mut days: HashMap<i32, HashSet<u64>> = HashMap::new();
        for (day, identity) in self.dates.iter().zip(&self.identities) {
            if let Some(identity) = identity {
                days.entry(*day).or_default().insert(*identity);
            }
        }
        days
    }
}

/// What the values at `paths` come to; `None` if one of them is missing, or there are no paths.
pub fn identity(values_at: impl Fn(&FieldPath) -> Vec<Json>, paths: &[FieldPath]) -> Option<u64> {
    let mut parts = Vec::with_capacity(paths.len());
    for path in paths {
        let values = values_at(path);
        if values.is_empty() {
            return None;
        }
        parts.push(Json::Array(values));
    }
    (!parts.is_empty()).then(|| fingerprint(&Json::Array(parts)))
}
