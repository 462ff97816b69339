//! The log of a table, `_delta_log/`: what lies in it, and from which version on it is needed.
//!
//! Follows Delta's rule for cleaning it ("Metadata Cleanup" in the protocol): the newest checkpoint that is
//! not newer than the beginning of the history stays, with the commit of its version and all that came
//! after; what is about older versions can go. A commit's age is what the commit itself says, which is its
//! run's `now` (invariant 13), never what S3 says of the object.
//!
//! Hazards: readers begin at the checkpoint that `_last_checkpoint` names, and fail if it is gone, so
//! nothing goes from there on. Staged commits and sidecars, which these tables do not have, are left alone.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use deltalake::kernel::CommitInfo;
use deltalake::protocol::DeltaOperation;
use serde::Deserialize;

use crate::lake::error::{S3Error, S3ErrorKind};
use crate::lake::s3::{ObjectVersion, Pick, ReadS3};
use crate::policy::S3Location;

/// Where the log lies below a table's folder.
pub const LOG: &str = "_delta_log/";
const LAST_CHECKPOINT: &str = "_last_checkpoint";
/// Digits of a version in the names of log files.
const DIGITS: usize = 20;

/// The log of a table.
#[derive(Debug, Clone, Default)]
pub struct TableLog {
    /// Its folder.
    folder: Option<S3Location>,
    /// All object versions in it.
    pub stored: Vec<ObjectVersion>,
    /// Checkpoints, and when their versions were committed: from the oldest one to the first that is newer
    /// than [`TableLog::look_back`] was asked for.
    dated: Vec<(u64, DateTime<Utc>)>,
    /// The checkpoint at which readers begin.
    last_checkpoint: Option<u64>,
}

/// What a commit says of itself, and `_last_checkpoint` of the checkpoint.
#[derive(Deserialize)]
struct CommitLine {
    #[serde(rename = "commitInfo")]
    commit_info: Option<CommitTime>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CommitTime {
    in_commit_timestamp: Option<i64>,
    timestamp: Option<i64>,
}

#[derive(Deserialize)]
struct LastCheckpoint {
    version: u64,
}

impl TableLog {
    /// The log of the table in `table`, out of all object versions in the table's folder, which are left
    /// without it.
    pub fn out_of(table: &S3Location, stored: &mut Vec<ObjectVersion>) -> Self {
        let folder = table.join(LOG);
        let (log, rest) = std::mem::take(stored)
            .into_iter()
            .partition(|version| version.key.starts_with(&folder.prefix));
        *stored = rest;
        Self {
            folder: Some(folder),
            stored: log,
            ..Self::default()
        }
    }

    /// The version of the newest checkpoint.
    pub fn checkpoint(&self) -> Option<u64> {
        self.checkpoints().last().copied()
    }

    /// Reads how old the checkpoints are, as far as it matters for a history that begins at `history`.
    pub async fn look_back(&mut self, s3: &ReadS3, history: DateTime<Utc>) -> Result<(), S3Error> {
        let Some(folder) = self.folder.clone() else {
            return Ok(());
        };
        for version in self.checkpoints() {
            let Some(at) = committed_at(s3, &folder, version).await? else {
                continue;
            };
            self.dated.push((version, at));
            if at > history {
                break;
            }
        }
        if !self.dated.is_empty() {
            self.last_checkpoint = last_checkpoint(s3, &folder).await?;
        }
        Ok(())
    }

    /// The checkpoint before which nothing is needed for a history that begins at `history`, if there is
    /// one; nobody needs commits before `read_from` either.
    pub fn needed_from(&self, history: DateTime<Utc>, read_from: Option<u64>) -> Option<u64> {
        let most = self.last_checkpoint.into_iter().chain(read_from).min();
        self.dated
            .iter()
            .filter(|(version, at)| *at <= history && most.is_none_or(|most| *version <= most))
            .map(|(version, _)| *version)
            .max()
    }

    /// All object versions of files about table versions before `version`.
    pub fn before(&self, version: u64) -> Vec<ObjectVersion> {
        let is_before = |stored: &&ObjectVersion| {
            table_version(self.name(stored)).is_some_and(|about| about < version)
        };
        self.stored.iter().filter(is_before).cloned().collect()
    }

    /// The current and older object versions of files that are written in place of one another: checkpoints
    /// and the file that names the last one.
    pub fn rewritten(&self) -> impl Iterator<Item = &ObjectVersion> {
        self.stored.iter().filter(|stored| {
            let name = self.name(stored);
            name == LAST_CHECKPOINT || checkpoint_version(name).is_some()
        })
    }

    /// Versions with a checkpoint in one file and their commit, the oldest first.
    fn checkpoints(&self) -> Vec<u64> {
        let is_there = |stored: &&ObjectVersion| stored.latest && !stored.marker;
        let names: BTreeSet<&str> = self
            .stored
            .iter()
            .filter(is_there)
            .map(|stored| self.name(stored))
            .collect();
        let versions = names.iter().filter_map(|name| checkpoint_version(name));
        versions
            .filter(|version| names.contains(commit_name(*version).as_str()))
            .collect()
    }

    fn name<'a>(&self, stored: &'a ObjectVersion) -> &'a str {
        let folder = self.folder.as_ref();
        let folder = folder.map_or("", |folder| folder.prefix.as_str());
        stored.key.strip_prefix(folder).unwrap_or(&stored.key)
    }
}

/// What our commits say of themselves.
pub(super) fn commit_info(operation: &DeltaOperation, now: DateTime<Utc>) -> CommitInfo {
    CommitInfo {
        timestamp: Some(now.timestamp_millis()),
        ..operation.get_commit_info()
    }
}

/// When a version was committed, by its own word; `None` where it does not say.
async fn committed_at(
    s3: &ReadS3,
    log: &S3Location,
    version: u64,
) -> Result<Option<DateTime<Utc>>, S3Error> {
    let key = log.join(&commit_name(version)).prefix;
    let commit = match s3.get(&log.bucket, &key, Pick::Current).await {
        Ok(commit) => commit.bytes,
        Err(error) if error.kind == S3ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(time_of_commit(&commit))
}

fn time_of_commit(commit: &[u8]) -> Option<DateTime<Utc>> {
    let lines = commit.split(|byte| *byte == b'\n');
    let info = lines
        .filter_map(|line| serde_json::from_slice::<CommitLine>(line).ok())
        .find_map(|line| line.commit_info)?;
    DateTime::from_timestamp_millis(info.in_commit_timestamp.or(info.timestamp)?)
}

/// The version that `_last_checkpoint` names. One that cannot be read is as good as none: readers list the
/// log then.
async fn last_checkpoint(s3: &ReadS3, log: &S3Location) -> Result<Option<u64>, S3Error> {
    let key = log.join(LAST_CHECKPOINT).prefix;
    let found = s3.find(&log.bucket, &key).await?;
    let named = found.and_then(|found| serde_json::from_slice::<LastCheckpoint>(&found.bytes).ok());
    Ok(named.map(|named| named.version))
}

fn commit_name(version: u64) -> String {
    format!("{version:020}.json")
}

/// The version that a file of this name is a whole checkpoint of.
fn checkpoint_version(name: &str) -> Option<u64> {
    let (version, rest) = split(name)?;
    (rest == "checkpoint.parquet").then_some(version)
}

/// The table version that a log file of this name is about: of a range of commits the last one, of a file
/// that is about none `None`.
fn table_version(name: &str) -> Option<u64> {
    let (version, rest) = split(name)?;
    if rest == "json" || rest == "crc" || rest.starts_with("checkpoint.") {
        return Some(version);
    }
    let (last, rest) = split(rest)?;
    (rest == "compacted.json").then_some(last)
}

/// The twenty digits of a version at the beginning of a name, and what follows the dot behind them.
fn split(name: &str) -> Option<(u64, &str)> {
    let (digits, rest) = name.split_at_checked(DIGITS)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, rest.strip_prefix('.')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn stored(name: &str) -> ObjectVersion {
        ObjectVersion {
            key: format!("events/cart/_delta_log/{name}"),
            version: "1".into(),
            etag: "etag".into(),
            size: 1,
            latest: true,
            marker: false,
            last_modified: at("2020-01-01T00:00:00Z"),
        }
    }

    fn log(names: &[&str]) -> TableLog {
        let mut all: Vec<ObjectVersion> = names.iter().map(|name| stored(name)).collect();
        let table = "s3://lake/events/cart/".parse().unwrap();
        TableLog::out_of(&table, &mut all)
    }

    #[test]
    fn names_tell_which_table_version_a_file_is_about() {
        let table = [
            ("00000000000000000007.json", Some(7)),
            ("00000000000000000007.crc", Some(7)),
            ("00000000000000000010.checkpoint.parquet", Some(10)),
            (
                "00000000000000000010.checkpoint.0000000001.0000000002.parquet",
                Some(10),
            ),
            ("00000000000000000010.checkpoint.80a083e8.parquet", Some(10)),
            (
                "00000000000000000004.00000000000000000006.compacted.json",
                Some(6),
            ),
            ("_last_checkpoint", None),
            ("_sidecars/00000000000000000007.json", None),
            ("7.json", None),
            ("00000000000000000007.json.tmp", None),
            ("0000000000000000000é.json", None),
        ];
        for (name, version) in table {
            assert_eq!(table_version(name), version, "{name}");
        }
    }

    #[test]
    fn a_checkpoint_counts_if_it_is_whole_and_its_commit_is_there() {
        let log = log(&[
            "00000000000000000010.checkpoint.parquet",
            "00000000000000000010.json",
            "00000000000000000020.checkpoint.parquet",
            "00000000000000000030.checkpoint.0000000001.0000000002.parquet",
            "00000000000000000030.json",
        ]);
        assert_eq!(log.checkpoints(), [10]);
    }

    #[test]
    fn the_newest_checkpoint_that_the_history_begins_with_stays() {
        let mut log = log(&[]);
        log.dated = vec![
            (10, at("2026-10-01T03:00:00Z")),
            (20, at("2026-10-11T03:00:00Z")),
            (30, at("2026-10-21T03:00:00Z")),
        ];
        let needed = |history: &str| log.needed_from(at(history), None);
        assert_eq!(needed("2026-10-01T02:59:59Z"), None);
        assert_eq!(needed("2026-10-11T02:59:59Z"), Some(10));
        assert_eq!(needed("2026-10-11T03:00:00Z"), Some(20));
        let late = at("2026-11-01T00:00:00Z");
        assert_eq!(log.needed_from(late, Some(29)), Some(20));
        assert_eq!(log.needed_from(late, Some(9)), None);
        log.last_checkpoint = Some(10);
        assert_eq!(log.needed_from(late, None), Some(10));
    }

    #[test]
    fn what_is_about_older_versions_goes_with_all_its_object_versions() {
        let mut log = log(&[
            "00000000000000000009.json",
            "00000000000000000009.json",
            "00000000000000000000.checkpoint.parquet",
            "00000000000000000008.00000000000000000011.compacted.json",
            "00000000000000000010.json",
            "00000000000000000010.checkpoint.parquet",
            "_last_checkpoint",
        ]);
        log.stored[1].latest = false;
        let goes: Vec<String> = log
            .before(10)
            .into_iter()
            .map(|stored| stored.key)
            .collect();
        assert_eq!(
            goes,
            [
                "events/cart/_delta_log/00000000000000000009.json",
                "events/cart/_delta_log/00000000000000000009.json",
                "events/cart/_delta_log/00000000000000000000.checkpoint.parquet",
            ]
        );
    }

    #[test]
    fn checkpoints_are_written_in_place_and_commits_are_not() {
        let names = [
            "00000000000000000010.checkpoint.parquet",
            "_last_checkpoint",
            "00000000000000000010.json",
        ];
        let log = log(&names);
        let rewritten: Vec<&str> = log.rewritten().map(|stored| log.name(stored)).collect();
        assert_eq!(rewritten, names[..2]);
    }

    #[test]
    fn a_commit_is_as_old_as_it_says() {
        let commit = br#"{"add":{"path":"a"}}
{"commitInfo":{"timestamp":1795143600000,"operation":"WRITE"}}"#;
        assert_eq!(time_of_commit(commit), Some(at("2026-11-20T03:00:00Z")));
        let both = br#"{"commitInfo":{"timestamp":1,"inCommitTimestamp":1795143600000}}"#;
        assert_eq!(time_of_commit(both), Some(at("2026-11-20T03:00:00Z")));
        assert_eq!(time_of_commit(br#"{"add":{"path":"a"}}"#), None);
    }
}
