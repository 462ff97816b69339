//! What would go by age and stays, because it is a held person's (invariant 11). Reads, and changes nothing.
//!
//! Of a table file their rows stay, of a raw object all: it is what the consumer wrote. Only others' records
//! that are too old go from it, and only where one version is all there is of it.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt};

use super::{RawRule, RetentionError, old_quarantine};
use crate::decode::{self, Limits, Plain};
use crate::lake::error::S3Error;
use crate::lake::hold::{Held, HeldPeople, Hold};
use crate::lake::quarantine::quarantined_record;
use crate::lake::raw::time_rule;
use crate::lake::s3::{ObjectVersion, Pick, ReadS3, by_key};
use crate::lake::search::FileHits;
use crate::lake::subject::Roster;
use crate::lake::tables::DataFile;
use crate::policy::S3Location;

const READ_AT_ONCE: usize = 16;

/// What stays of one table.
#[derive(Debug, Default)]
pub struct Spared {
    /// Table files with rows of theirs.
    pub rows: Vec<FileHits>,
    /// Raw objects with records of theirs, by key, and what becomes of the rest.
    pub raw: BTreeMap<String, Rest>,
    /// Quarantine objects with records of theirs, by key.
    pub quarantine: BTreeSet<String>,
}

/// Where nobody is held.
pub static NOTHING_SPARED: Spared = Spared {
    rows: Vec::new(),
    raw: BTreeMap::new(),
    quarantine: BTreeSet::new(),
};

/// What becomes of the other records of a raw object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Some are too old, and go.
    Trimmed,
    /// They stay.
    Stays,
}

impl Spared {
    /// The rows of this file that stay.
    pub fn rows_of(&self, file: &DataFile) -> Option<&FileHits> {
        let mut files = self.rows.iter();
        files.find(|hits| hits.file.path == file.path && hits.rows() > 0)
    }

    /// Of files that are too old: those that go whole, and those that go in part.
    pub fn part(&self, files: Vec<DataFile>) -> (Vec<DataFile>, Vec<DataFile>) {
        let (mut whole, mut partly) = (Vec::new(), Vec::new());
        for file in files {
            match self.rows_of(&file) {
                None => whole.push(file),
                Some(hits) if hits.rows() < file.rows => partly.push(file),
                Some(_) => {}
            }
        }
        (whole, partly)
    }
}

/// What stays of each table of the lake at `lake`: `rows` are those of `people` by table.
pub async fn spared(
    s3: &ReadS3,
    lake: &S3Location,
    rules: &BTreeMap<&str, RawRule<'_>>,
    holds: &[Hold],
    people: &HeldPeople,
    rows: &BTreeMap<String, Vec<FileHits>>,
) -> Result<BTreeMap<String, Spared>, RetentionError> {
    let mut tables: BTreeMap<String, Spared> = BTreeMap::new();
    if people.is_nobody() {
        return Ok(tables);
    }
    for (name, rows) in rows {
        tables
            .entry(name.clone())
            .or_default()
            .rows
            .clone_from(rows);
    }
    for (name, rule) in rules {
        let search = Search {
            s3,
            rule,
            roster: people.roster(&rule.policy.pii),
        };
        let held = Held::of(holds, name);
        let table = tables.entry((*name).to_owned()).or_default();
        table.raw = search.raw(&held).await?;
        table.quarantine = search.quarantine(&lake.bucket, &held).await?;
    }
    Ok(tables)
}

/// Looks for people's records in what would go of a dataset.
struct Search<'a> {
    s3: &'a ReadS3,
    rule: &'a RawRule<'a>,
    roster: Roster,
}

impl Search<'_> {
    async fn raw(&self, held: &Held) -> Result<BTreeMap<String, Rest>, S3Error> {
        let (gone, trimmed) = self.rule.fates(held);
        let keys: BTreeSet<&str> = gone
            .iter()
            .chain(&trimmed)
            .map(|one| one.key.as_str())
            .collect();
        let mut all = by_key(&self.rule.facts.raw);
        all.retain(|key, _| keys.contains(key));
        let found: Vec<Option<(String, Rest)>> = futures::stream::iter(all)
            .map(|(key, versions)| async move {
                let rest = self.rest(&versions).await?;
                Ok::<_, S3Error>(rest.map(|rest| (key.to_owned(), rest)))
            })
            .buffered(READ_AT_ONCE)
            .try_collect()
            .await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// None if no version has a record of theirs.
    async fn rest(&self, versions: &[&ObjectVersion]) -> Result<Option<Rest>, S3Error> {
        let mut found = None;
        for version in versions.iter().filter(|version| !version.marker) {
            let bucket = &self.rule.policy.raw.location.bucket;
            let pick = Pick::Version(&version.version);
            let rest = match self.s3.get(bucket, &version.key, pick).await {
                Ok(object) => self.rest_of(&object.bytes),
                // Nobody knows what is in it.
                Err(error) if error.concerns_one_object() => Some(Rest::Stays),
                Err(error) => return Err(error),
            };
            found = found.or(rest);
        }
        Ok(found.map(|rest| {
            if versions.len() == 1 {
                rest
            } else {
                Rest::Stays
            }
        }))
    }

    fn rest_of(&self, bytes: &bytes::Bytes) -> Option<Rest> {
        let limits = Limits::default();
        let policy = self.rule.policy;
        let plain = Plain::of(bytes, policy.raw.format, &limits);
        let line = policy.retention.horizon(self.rule.now);
        let rule = time_rule(&policy.events);
        let (mut is_theirs, mut others_go) = (plain.damage.is_some(), false);
        for record in plain.records(&limits) {
            if self.roster.has(&record) {
                is_theirs = true;
            } else if let Ok(event) = &record.content {
                others_go |= decode::event_time(event, &rule).is_ok_and(|time| !line.keeps(time));
            }
        }
        let rest = if others_go && plain.damage.is_none() {
            Rest::Trimmed
        } else {
            Rest::Stays
        };
        is_theirs.then_some(rest)
    }

    async fn quarantine(&self, bucket: &str, held: &Held) -> Result<BTreeSet<String>, S3Error> {
        let mut spared = BTreeSet::new();
        let RawRule {
            policy, facts, now, ..
        } = *self.rule;
        for version in old_quarantine(policy, facts, held, now) {
            let pick = Pick::Version(&version.version);
            let object = self.s3.get(bucket, &version.key, pick).await?;
            let mut lines = object.bytes.split(|byte| *byte == b'\n');
            if lines.any(|line| self.roster.is_in(&quarantined_record(line))) {
                spared.insert(version.key.clone());
            }
        }
        Ok(spared)
    }
}
