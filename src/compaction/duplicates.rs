//! Duplicates (Kafka delivers at least once): one identity, one row, within a run and across nights.
//!
//! An event's identity is its topic, partition and offset where the object's name gives them, else the
//! values of the policy's `deduplicate_by`, within the event's day. Equal identity with other content keeps
//! both and is reported.

use std::collections::{BTreeMap, HashMap, HashSet};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use chrono::NaiveDate;

use crate::decode::{self, Json};
use crate::lake::parquet_files;
use crate::lake::rows::{self, Event, KAFKA_PARTITION, KafkaPosition, OFFSET, RowsError, TOPIC};
use crate::lake::site::Site;
use crate::lake::tables::DataFile;
use crate::policy::DatasetPolicy;

/// What makes two events one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Identity {
    Kafka(KafkaPosition),
    Fields(String),
}

/// What is known of a day's events.
type Day = HashMap<Identity, Vec<u64>>;

/// Recognises events that are there already.
#[derive(Debug, Default)]
pub struct Duplicates {
    days: BTreeMap<NaiveDate, Day>,
    /// Identities that came with more than one content.
    pub conflicts: u64,
}

impl Duplicates {
    /// What the event table holds of the identities of `events`.
    pub async fn load(
        site: &Site,
        policy: &DatasetPolicy,
        files: &[DataFile],
        events: &[&Event],
    ) -> Result<Self, RowsError> {
        let mut wanted: BTreeMap<NaiveDate, HashSet<Identity>> = BTreeMap::new();
        for event in events {
            if let Some(identity) = identity(event, policy) {
                wanted
                    .entry(event.time.date_naive())
                    .or_default()
                    .insert(identity);
            }
        }
        let mut known = Self::default();
        let folder = site.places.events(&policy.name);
        for file in files {
            let Some(wanted) = wanted.get(&file.event_date) else {
                continue;
            };
            let bytes = rows::read_bytes(site.s3.read(), &folder, &file.path).await?;
            let failed = |error| rows::parquet_error(&file.path, &error);
            // The narrow look first: most nights bring nothing that is there already.
            let narrow = [TOPIC, KAFKA_PARTITION, OFFSET];
            let positions =
                parquet_files::decode_columns(bytes.clone(), &narrow).map_err(failed)?;
            let by_fields = !policy.events.deduplicate_by.is_empty();
            if !by_fields && !positions.iter().flatten().any(|batch| meets(batch, wanted)) {
                continue;
            }
            for batch in parquet_files::decode(bytes).map_err(failed)? {
                known.admit_rows(policy, file.event_date, &file.path, &batch, wanted)?;
            }
        }
        Ok(known)
    }

    fn admit_rows(
        &mut self,
        policy: &DatasetPolicy,
        day: NaiveDate,
        path: &str,
        batch: &RecordBatch,
        wanted: &HashSet<Identity>,
    ) -> Result<(), RowsError> {
        let positions = positions(batch);
        for (row, event) in rows::events(path, batch)?.into_iter().enumerate() {
            let position = positions.get(row).cloned().flatten();
            let Some(identity) = identity_of(position, &event, policy) else {
                continue;
            };
            if wanted.contains(&identity) {
                let known = self
                    .days
                    .entry(day)
                    .or_default()
                    .entry(identity)
                    .or_default();
                known.push(decode::fingerprint(&event));
            }
        }
        Ok(())
    }

    /// Whether `event` is there already; if not, it is from now on.
    pub fn is_known(&mut self, event: &Event, policy: &DatasetPolicy) -> bool {
        let Some(identity) = identity(event, policy) else {
            return false;
        };
        let content = decode::fingerprint(&event.json);
        let known = self.days.entry(event.time.date_naive()).or_default();
        let contents = known.entry(identity).or_default();
        if contents.contains(&content) {
            return true;
        }
        if !contents.is_empty() {
            self.conflicts += 1;
        }
        contents.push(content);
        false
    }
}

fn identity(event: &Event, policy: &DatasetPolicy) -> Option<Identity> {
    identity_of(event.position.clone(), &event.json, policy)
}

fn identity_of(
    position: Option<KafkaPosition>,
    event: &Json,
    policy: &DatasetPolicy,
) -> Option<Identity> {
    if let Some(position) = position {
        return Some(Identity::Kafka(position));
    }
    let mut values = Vec::new();
    for path in &policy.events.deduplicate_by {
        let found = event.at(path);
        if found.is_empty() {
            return None;
        }
        values.push(Json::Array(found.into_iter().cloned().collect()).to_string());
    }
    (!values.is_empty()).then(|| Identity::Fields(values.join("\n")))
}

fn meets(batch: &RecordBatch, wanted: &HashSet<Identity>) -> bool {
    let positions = positions(batch).into_iter().flatten();
    positions
        .into_iter()
        .any(|position| wanted.contains(&Identity::Kafka(position)))
}

/// The Kafka positions of the rows, where they have one.
fn positions(batch: &RecordBatch) -> Vec<Option<KafkaPosition>> {
    let (Some(topics), Some(partitions), Some(offsets)) = (
        batch
            .column_by_name(TOPIC)
            .and_then(|column| column.as_string_opt::<i32>()),
        batch
            .column_by_name(KAFKA_PARTITION)
            .and_then(|column| column.as_primitive_opt::<Int32Type>()),
        batch
            .column_by_name(OFFSET)
            .and_then(|column| column.as_primitive_opt::<Int64Type>()),
    ) else {
        return vec![None; batch.num_rows()];
    };
    topics
        .iter()
        .zip(partitions.iter().zip(offsets))
        .map(|(topic, (partition, offset))| {
            Some(KafkaPosition {
                topic: topic?.into(),
                partition: partition?,
                offset: offset?,
            })
        })
        .collect()
}
