//! A look at a few of the new raw objects, so that a plan can say what they would do to the columns.
//!
//! Hazard: a plan has to stay quick however much has come, so objects, bytes and decompressed bytes are
//! capped. It is a forecast, so what cannot be read is passed over and nothing depends on it: what really
//! happens to the columns is decided, by the same rules, when the plan is carried out.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures::StreamExt;

use super::columns::{self, Sample};
use super::new_objects;
use crate::decode::{self, Json, Limits, Plain};
use crate::lake::facts::{DatasetFacts, Facts};
use crate::lake::raw::time_rule;
use crate::lake::rows;
use crate::lake::s3::{ObjectVersion, ReadS3};
use crate::lake::tables::{Table, TableError};
use crate::plan::SchemaChange;
use crate::policy::{DatasetPolicy, Policies};

/// Objects of a dataset that are looked at.
const MOST_OBJECTS: usize = 16;
/// Bytes of a dataset that are looked at, as stored and again once decompressed.
const MOST_BYTES: u64 = 8 * 1024 * 1024;
const READ_AT_ONCE: usize = 8;

/// What the new raw objects of each dataset would do to its columns, where they would do anything.
pub async fn schema_changes(
    s3: &ReadS3,
    policies: &Policies,
    facts: &Facts,
    now: DateTime<Utc>,
) -> Result<BTreeMap<String, SchemaChange>, TableError> {
    let mut changes = BTreeMap::new();
    for policy in &policies.datasets {
        let Some(facts) = facts.datasets.get(&policy.name) else {
            continue;
        };
        let sample = sample(s3, policy, facts, now).await;
        let schema = facts.events.table.as_ref().map(Table::schema).transpose()?;
        let existing = schema.map(|schema| rows::payload_schema(&schema));
        if let Some(change) = columns::change(policy, existing.as_ref(), &sample) {
            changes.insert(policy.name.clone(), change);
        }
    }
    Ok(changes)
}

async fn sample(
    s3: &ReadS3,
    policy: &DatasetPolicy,
    facts: &DatasetFacts,
    now: DateTime<Utc>,
) -> Sample {
    let new = new_objects(facts);
    let picked = spread(&new, MOST_OBJECTS);
    let share = MOST_BYTES / picked.len().max(1) as u64;
    let bucket = &policy.raw.location.bucket;
    let mut objects = futures::stream::iter(picked)
        .map(|object| s3.start_of(bucket, object, share))
        .buffered(READ_AT_ONCE);
    let mut sample = Sample {
        of_objects: new.len(),
        ..Sample::default()
    };
    while let Some(read) = objects.next().await {
        if let Ok(bytes) = read {
            sample.objects += 1;
            sample.events.extend(events(policy, &bytes, share, now));
        }
    }
    sample
}

/// At most `most` of `all`: the first, the last, and evenly between.
fn spread<'a>(all: &[&'a ObjectVersion], most: usize) -> Vec<&'a ObjectVersion> {
    if all.len() <= most {
        return all.to_vec();
    }
    let positions = (0..most).map(|index| index * (all.len() - 1) / (most - 1));
    positions
        .filter_map(|position| all.get(position).copied())
        .collect()
}

/// The events of an object that would be admitted, whoever they are about. A record that is cut off
/// because the object was is none.
fn events(policy: &DatasetPolicy, bytes: &[u8], cap: u64, now: DateTime<Utc>) -> Vec<Json> {
    let limits = Limits {
        max_object_bytes: cap,
        ..Limits::default()
    };
    let plain = Plain::of(bytes, policy.raw.format, &limits);
    let rule = time_rule(&policy.events);
    let keep_from = policy.retention.horizon(now);
    let latest = policy.events.max_ahead.after(now);
    let is_admitted = |event: &Json| {
        decode::event_time(event, &rule).is_ok_and(|time| time <= latest && keep_from.keeps(time))
    };
    let records = plain.records(&limits).into_iter();
    records
        .filter_map(|record| record.content.ok())
        .filter(is_admitted)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks_the_first_the_last_and_evenly_between() {
        let objects: Vec<ObjectVersion> = (0..31).map(object).collect();
        let all: Vec<&ObjectVersion> = objects.iter().collect();
        let keys = |most: usize, all: &[&ObjectVersion]| -> Vec<String> {
            let picked = spread(all, most).into_iter();
            picked.map(|object| object.key.clone()).collect()
        };
        assert_eq!(keys(4, &all), ["0", "10", "20", "30"]);
        assert_eq!(keys(4, &all[..3]), ["0", "1", "2"]);
        assert_eq!(keys(16, &all).len(), 16);
        assert!(keys(16, &[]).is_empty());
    }

    fn object(number: u32) -> ObjectVersion {
        ObjectVersion {
            key: number.to_string(),
            version: "null".into(),
            etag: String::new(),
            size: 1,
            latest: true,
            marker: false,
            last_modified: DateTime::UNIX_EPOCH,
        }
    }
}
