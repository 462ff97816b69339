//! What straddles a line that does not fall on midnight in UTC: of the line's own day ledger and partitions do
//! not tell what is older, so it is looked at. Reads, and changes nothing. Where days are counted in UTC there
//! is nothing to look at.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::{RawRule, RetentionError, Spared};
use crate::decode::{self, Limits, Plain};
use crate::lake::error::S3Error;
use crate::lake::facts::{DatasetFacts, Facts, Places};
use crate::lake::raw::time_rule;
use crate::lake::s3::{Pick, ReadS3};
use crate::lake::tables::DataFile;
use crate::lake::trim::older_rows;
use crate::policy::{DatasetPolicy, Horizon, Policies};

/// The rules for raw objects, by dataset: of objects that begin on the line's own day it is looked up whether
/// they hold something older.
pub async fn raw_rules<'a>(
    s3: &ReadS3,
    policies: &'a Policies,
    facts: &'a Facts,
    now: DateTime<Utc>,
) -> Result<BTreeMap<&'a str, RawRule<'a>>, RetentionError> {
    let mut rules = BTreeMap::new();
    for policy in &policies.datasets {
        let Some(facts) = facts.datasets.get(&policy.name) else {
            continue;
        };
        let line = policy.retention.horizon(now);
        let straddling = if line.splits_a_day() {
            keys_with_older(s3, policy, facts, line).await?
        } else {
            BTreeSet::new()
        };
        let rule = RawRule {
            policy,
            facts,
            straddling,
            now,
        };
        rules.insert(policy.name.as_str(), rule);
    }
    Ok(rules)
}

async fn keys_with_older(
    s3: &ReadS3,
    policy: &DatasetPolicy,
    facts: &DatasetFacts,
    line: Horizon,
) -> Result<BTreeSet<String>, S3Error> {
    let (limits, rule) = (Limits::default(), time_rule(&policy.events));
    let begins_on_the_day = |key: &str, etag: &str| {
        let compacted = facts.ledger.compacted(key, etag);
        compacted.is_some_and(|known| known.first_date == Some(line.first_day()) && !known.damaged)
    };
    let mut keys = BTreeSet::new();
    let versions = facts.raw.iter().filter(|version| !version.marker);
    for version in versions.filter(|version| begins_on_the_day(&version.key, &version.etag)) {
        let pick = Pick::Version(&version.version);
        let object = match s3
            .get(&policy.raw.location.bucket, &version.key, pick)
            .await
        {
            Ok(object) => object,
            // Tomorrow the whole day is over.
            Err(error) if error.concerns_one_object() => continue,
            Err(error) => return Err(error),
        };
        let plain = Plain::of(&object.bytes, policy.raw.format, &limits);
        let is_older = plain.records(&limits).iter().any(|record| {
            let event = record.content.as_ref();
            event.is_ok_and(|event| {
                decode::event_time(event, &rule).is_ok_and(|time| !line.keeps(time))
            })
        });
        if is_older {
            keys.insert(version.key.clone());
        }
    }
    Ok(keys)
}

/// What of the line's own day is older than the line.
#[derive(Debug, Default)]
pub struct Straddling {
    /// Table files that hold older rows too.
    pub files: Vec<DataFile>,
    /// These rows.
    pub rows: u64,
}

/// The table files of each dataset that hold rows from before its line, on the line's own day.
pub async fn straddling_files(
    s3: &ReadS3,
    policies: &Policies,
    facts: &Facts,
    spared: &BTreeMap<String, Spared>,
    now: DateTime<Utc>,
) -> Result<BTreeMap<String, Straddling>, RetentionError> {
    let store = s3.store(&policies.lake.location.bucket)?;
    let mut straddling = BTreeMap::new();
    for policy in &policies.datasets {
        let line = policy.retention.horizon(now);
        let Some(table) = facts.table(&policy.name).filter(|_| line.splits_a_day()) else {
            continue;
        };
        let folder = Places::new(&policies.lake.location).events(&policy.name);
        let days = table.files.iter();
        let mut older = Straddling::default();
        for file in days.filter(|file| file.event_date == line.first_day()) {
            let spared = spared.get(&policy.name);
            let held = spared.and_then(|spared| spared.rows_of(file));
            let rows = older_rows(&store, &folder, file, line.from(), held).await?;
            if rows > 0 {
                older.files.push(file.clone());
                older.rows += rows;
            }
        }
        straddling.insert(policy.name.clone(), older);
    }
    Ok(straddling)
}
