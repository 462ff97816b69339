//! Late events of erased subjects in a dataset that redacts: they get the policy's `on_erasure` before
//! anybody sees them, and lie in files of their own, as the rows that the erasure itself redacted do.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::SchemaRef;
use chrono::{DateTime, NaiveDate, Utc};

use crate::decode::{self, Json};
use crate::lake::rows::{self, KafkaPosition, RowsError, Tally};
use crate::lake::site::Site;
use crate::lake::sort::SortError;
use crate::lake::tables::DataFile;
use crate::policy::DatasetPolicy;

/// A redacted event.
#[derive(Debug)]
pub struct LateEvent {
    /// The event, redacted.
    pub event: Json,
    /// When it happened.
    pub time: DateTime<Utc>,
    /// Where it stood in Kafka.
    pub position: Option<KafkaPosition>,
}

/// Writes redacted events, a file a day.
pub async fn write(
    site: &Site,
    policy: &DatasetPolicy,
    payload: &SchemaRef,
    events: Vec<LateEvent>,
) -> Result<Vec<DataFile>, RowsError> {
    let mut days: BTreeMap<NaiveDate, Vec<LateEvent>> = BTreeMap::new();
    for event in events {
        days.entry(event.time.date_naive()).or_default().push(event);
    }
    let mut files = Vec::with_capacity(days.len());
    for (day, events) in days {
        let mut expected = Tally::default();
        for late in &events {
            expected.add(&late.event);
        }
        let rows = batch(payload, &events)?;
        let path = rows::redacted_path(day);
        files.push(rows::write(site, policy, path, day, &rows, expected).await?);
    }
    Ok(files)
}

fn batch(payload: &SchemaRef, events: &[LateEvent]) -> Result<RecordBatch, RowsError> {
    let trees: Vec<&Json> = events.iter().map(|late| &late.event).collect();
    let decoded = decode::to_batch(payload, &trees)?;
    let times = events.iter().map(|late| Some(late.time.timestamp_micros()));
    let times: TimestampMicrosecondArray = times.collect();
    let positions = || events.iter().map(|late| late.position.as_ref());
    let topics: StringArray = positions().map(|one| one.map(|one| &*one.topic)).collect();
    let partitions: Int32Array = positions()
        .map(|one| one.map(|one| one.partition))
        .collect();
    let offsets: Int64Array = positions().map(|one| one.map(|one| one.offset)).collect();
    let own: [ArrayRef; 4] = [
        Arc::new(times.with_timezone("UTC")),
        Arc::new(topics),
        Arc::new(partitions),
        Arc::new(offsets),
    ];
    let columns: Vec<ArrayRef> = decoded.columns().iter().cloned().chain(own).collect();
    let table = rows::table_schema(payload);
    let in_file: Vec<usize> = (0..columns.len()).collect();
    let schema = table.project(&in_file).map_err(SortError::from)?;
    Ok(RecordBatch::try_new(Arc::new(schema), columns).map_err(SortError::from)?)
}
