//! Carrying out retention and purge steps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::removal::{Removal, What};
use crate::decode::{self, Record};
use crate::lake::error::S3Error;
use crate::lake::facts::{FactsError, Grace, TableFacts};
use crate::lake::ledger::{Entry, Ledger};
use crate::lake::raw::{self, Rewritten, Sieve, time_rule};
use crate::lake::rows::{RowsError, is_redacted};
use crate::lake::s3::{ObjectVersion, by_key};
use crate::lake::search::{FileHits, search};
use crate::lake::site::Site;
use crate::lake::subject::FieldRule;
use crate::lake::tables::{Change, DataFile, Table, TableError};
use crate::lake::trim::{Trimmed, held_alone, without_older};
use crate::plan::{Purge, Retain, RetainCurated};
use crate::policy::{CuratedPolicy, DatasetPolicy, PiiPolicy, S3Location};

/// Why a retention step failed. What it had not done yet, the next run does.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    /// An S3 request.
    #[error("{0}")]
    Store(#[from] S3Error),
    /// A table.
    #[error("{0}")]
    Table(#[from] TableError),
    /// Table files.
    #[error("{0}")]
    Rows(#[from] RowsError),
    /// Reading the state of a table.
    #[error("{0}")]
    Facts(#[from] FactsError),
}

/// What a retention or purge step did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retained {
    /// Rows that left tables.
    pub rows: u64,
    /// Raw object versions deleted.
    pub raw_deleted: u64,
    /// Records that left raw objects by rewriting them.
    pub raw_trimmed: u64,
    /// Object versions physically removed.
    pub purged: u64,
    /// Raw objects that would have been trimmed, had the run been allowed to.
    pub raw_waiting: u64,
    /// What could not go, or not be trimmed, and why.
    pub blocked: Vec<String>,
    /// What should have gone and did not.
    pub failed: Vec<String>,
    /// Whether all object versions went that were to go whole.
    pub is_whole: bool,
}

/// What came too old tonight.
#[derive(Debug, Clone, Copy)]
pub struct Late {
    /// Such events.
    pub events: u64,
    /// The raw objects that hold them.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Late {
    fn of(objects: &[&Entry]) -> Self {
        Self {
            events: objects.iter().map(|entry| entry.counts.expired).sum(),
            objects: objects.len() as u64,
            bytes: objects.iter().map(|entry| entry.size).sum(),
        }
    }
}

/// Takes out of a dataset what is too old. `tonight` are the raw objects compacted by earlier steps; whether so
/// many of their events as came too old go at once, nobody having been asked, `may_trim` tells.
pub async fn apply(
    site: &Site,
    policy: &DatasetPolicy,
    step: &Retain,
    tonight: &[Entry],
    may_trim: &dyn Fn(&Late) -> bool,
) -> Result<Retained, RetentionError> {
    let mut done = Retained {
        rows: drop_rows(site, policy, step).await?,
        ..Retained::default()
    };
    let name = &policy.name;
    let bucket = &policy.raw.location.bucket;
    let mut removal = delete(site, bucket, &step.raw, &What::raw(name)).await?;
    done.raw_deleted = removal.gone;
    let lake = &site.places.lake().bucket;
    let quarantine = delete(site, lake, &step.quarantine, &What::quarantine(name)).await?;
    done.purged = quarantine.gone;
    removal.add(quarantine);
    (done.blocked, done.failed) = (removal.blocked, removal.failed);
    done.is_whole = done.blocked.is_empty() && done.failed.is_empty();

    let ledger = raw::ledger_now(site, policy).await?;
    let mut keys: BTreeSet<&str> = step
        .trim
        .iter()
        .map(|version| version.key.as_str())
        .collect();
    let leftovers = tonight.iter().filter(|entry| {
        let is_held = step.held.may_hold(entry.first_date, entry.last_date);
        !is_held && !entry.damaged
    });
    let is_erased = |entry: &&Entry| entry.counts.suppressed + entry.counts.redacted > 0;
    let (erased, others): (Vec<&Entry>, Vec<&Entry>) = leftovers.partition(is_erased);
    let (mut go, mut wait) = (erased, others);
    wait.retain(|entry| entry.counts.expired > 0);
    if may_trim(&Late::of(&wait)) {
        go.append(&mut wait);
    }
    if site.may_destroy {
        keys.extend(step.older.iter().map(String::as_str));
        keys.extend(go.iter().map(|entry| entry.key.as_str()));
    } else {
        wait.append(&mut go);
    }
    done.raw_waiting = wait.len() as u64;
    for key in keys {
        match trim(site, policy, &ledger, step, key).await {
            Ok(TrimmedRaw::Records(records)) => done.raw_trimmed += records,
            Ok(TrimmedRaw::Held) => done.blocked.push(format!(
                "{key}: a hold is on a record of one of its versions, so all of them stay"
            )),
            Ok(TrimmedRaw::Damaged) => {
                done.blocked.push(format!(
                    "{key}: part of it cannot be read, so it is not trimmed"
                ));
            }
            Err(error) if error.concerns_one_object() => done.blocked.push(error.to_string()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(done)
}

enum TrimmedRaw {
    Records(u64),
    Held,
    Damaged,
}

/// Takes too old and suppressed events out of a raw object.
async fn trim(
    site: &Site,
    policy: &DatasetPolicy,
    ledger: &Ledger,
    step: &Retain,
    key: &str,
) -> Result<TrimmedRaw, S3Error> {
    let rule = time_rule(&policy.events);
    let fields = FieldRule::all(&policy.pii);
    let held_people = site.held.roster(&policy.pii);
    let drops = |record: &Record<'_>| {
        let Ok(event) = &record.content else {
            return site.suppression.mentions(record.bytes, &policy.pii);
        };
        match decode::event_time(event, &rule) {
            Ok(time) => {
                !step.keep_from.keeps(time) || site.suppression.covers(event, time, &fields)
            }
            Err(_) => site.suppression.covers_at_any_time(event, &fields),
        }
    };
    let holds = |record: &Record<'_>| {
        held_people.has(record) || step.held.holds_at(raw::time_of(record, &rule))
    };
    let sieve = Sieve {
        drops: &drops,
        holds: &holds,
        holds_nothing: site.held.is_nobody() && step.held.is_nothing(),
    };
    // An earlier step of this run may have rewritten the object: look what lies there now.
    let versions = site
        .s3
        .read()
        .versions(&policy.raw.location.bucket, key)
        .await?;
    let same_key = by_key(&versions).remove(key).unwrap_or_default();
    Ok(
        match raw::rewrite(site, policy, ledger, &same_key, &sieve).await? {
            Rewritten::Without(records) => TrimmedRaw::Records(records),
            Rewritten::Untouched | Rewritten::Moved => TrimmedRaw::Records(0),
            Rewritten::Damaged => TrimmedRaw::Damaged,
            Rewritten::Held => TrimmedRaw::Held,
        },
    )
}

/// Takes out of a curated table what is too old; answers how many rows.
pub async fn apply_curated(
    site: &Site,
    policy: &CuratedPolicy,
    step: &RetainCurated,
) -> Result<u64, RetentionError> {
    let folder = site.places.curated(&step.table);
    let Some(mut table) = Table::open(Arc::clone(&site.store), &folder).await? else {
        return Ok(0);
    };
    let old = due(&table, &step.files, &step.partly)?;
    let held = held_rows(site, &folder, &policy.pii, &old).await?;
    let change = without_old(site, &folder, old, &held).await?;
    commit(site, &mut table, change).await
}

/// Takes out of an event table the files that are too old, and the older rows of those that straddle the
/// line; answers how many rows.
async fn drop_rows(
    site: &Site,
    policy: &DatasetPolicy,
    step: &Retain,
) -> Result<u64, RetentionError> {
    if step.files.is_empty() && step.partly.is_empty() && step.straddling.is_empty() {
        return Ok(0);
    }
    let folder = site.places.events(&policy.name);
    let Some(mut table) = Table::open(Arc::clone(&site.store), &folder).await? else {
        return Ok(0);
    };
    let old = due(&table, &step.files, &step.partly)?;
    let mut straddling = Vec::new();
    if !step.straddling.is_empty() {
        let day = step.keep_from.first_day();
        straddling = table.files()?;
        straddling.retain(|file| file.event_date == day && !old.contains(file));
    }
    let both: Vec<DataFile> = old.iter().chain(&straddling).cloned().collect();
    let held = held_rows(site, &folder, &policy.pii, &both).await?;
    let mut change = without_old(site, &folder, old, &held).await?;
    let line = step.keep_from.from();
    for file in straddling {
        let held = held.get(&file.path);
        let trimmed = without_older(site, &folder, &file, line, held).await?;
        note(&mut change, file, trimmed);
    }
    commit(site, &mut table, change).await
}

/// Of these table files the rows of people whom holds are on, by path.
async fn held_rows(
    site: &Site,
    folder: &S3Location,
    pii: &PiiPolicy,
    files: &[DataFile],
) -> Result<BTreeMap<String, FileHits>, TableError> {
    let roster = Arc::new(site.held.roster(pii));
    let sought = Arc::new(roster.sought(site.held.identifiers()));
    let found = search(&site.store, folder, files, &roster, &sought).await?;
    let theirs = found.files.into_iter().filter(|hits| hits.rows() > 0);
    Ok(theirs.map(|hits| (hits.file.path.clone(), hits)).collect())
}

/// The change that takes all rows of `old` files that nobody holds.
async fn without_old(
    site: &Site,
    folder: &S3Location,
    old: Vec<DataFile>,
    held: &BTreeMap<String, FileHits>,
) -> Result<Change, RowsError> {
    let mut change = Change::default();
    for file in old {
        let trimmed = match held.get(&file.path) {
            Some(hits) => held_alone(site, folder, hits).await?,
            None => Trimmed::Gone,
        };
        note(&mut change, file, trimmed);
    }
    Ok(change)
}

fn note(change: &mut Change, file: DataFile, trimmed: Trimmed) {
    match trimmed {
        Trimmed::Untouched => return,
        Trimmed::Into(new) => change.add.push(new),
        Trimmed::Gone => {}
    }
    change.remove.push(file);
}

/// The live files that go, in part or whole. One that an earlier step of this run has put in another's place
/// since the plan was made is found by its day.
fn due(
    table: &Table,
    whole: &[DataFile],
    partly: &[DataFile],
) -> Result<Vec<DataFile>, TableError> {
    let is_due = |live: &DataFile| {
        let same_day = |file: &&DataFile| file.event_date == live.event_date;
        // Of a day that stays, the redacted rows may go.
        let whole_day = |file: &DataFile| !is_redacted(&file.path) || file.path == live.path;
        whole.iter().chain(partly).filter(same_day).any(whole_day)
    };
    Ok(table.files()?.into_iter().filter(is_due).collect())
}

/// Answers how many rows went.
async fn commit(site: &Site, table: &mut Table, change: Change) -> Result<u64, RetentionError> {
    if change.remove.is_empty() {
        return Ok(0);
    }
    let rows = |files: &[DataFile]| files.iter().map(|file| file.rows).sum::<u64>();
    let gone = rows(&change.remove).saturating_sub(rows(&change.add));
    let change = Change {
        deletes: true,
        run: site.run.clone(),
        ..change
    };
    table.commit(change, site.now).await?;
    Ok(gone)
}

/// Removes for good what the step names and, where it follows other steps of this run, what they replaced.
pub async fn purge(
    site: &Site,
    step: &Purge,
    folder: &S3Location,
    grace: Grace,
) -> Result<Removal, RetentionError> {
    let facts = TableFacts::gather(site.s3.read(), Arc::clone(&site.store), folder).await?;
    let mut versions = step.versions.clone();
    if !step.after.is_empty() {
        let (due, _) = facts.purgeable(site.now, grace);
        versions.extend(due);
        versions.sort();
        versions.dedup();
    }
    // A plan that was saved may be older than a commit that took a file up again: look once more.
    let live = |version: &ObjectVersion| {
        let path = version
            .key
            .strip_prefix(&folder.prefix)
            .unwrap_or(&version.key);
        facts.files.iter().any(|file| file.path == path)
    };
    versions.retain(|version| !live(version));
    delete(site, &folder.bucket, &versions, &What::purged(&step.owner)).await
}

/// Removes for good what a step names that is about no table.
pub async fn remove(site: &Site, step: &Purge) -> Result<Removal, RetentionError> {
    let bucket = &site.places.lake().bucket;
    delete(site, bucket, &step.versions, &What::purged(&step.owner)).await
}

/// Removes object versions for good; those that cannot go are told and keep nothing else.
pub(super) async fn delete(
    site: &Site,
    bucket: &str,
    versions: &[ObjectVersion],
    what: &What,
) -> Result<Removal, RetentionError> {
    let deletion = site.s3.delete_what_may_go(bucket, versions).await?;
    Ok(Removal::of(deletion, what, site.now))
}
