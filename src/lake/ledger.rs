//! The ledger: which raw object versions went into which commit of an event table (invariant 3).
//!
//! A segment is an immutable object, written before the table commit whose `txn` names its number. Each
//! segment names its predecessor, so the valid ones are the chain that starts at the table's `txn`; a
//! segment that no chain reaches belongs to a run that died before its commit, and is void. Entries
//! outlive the raw objects, until a redelivered one would be too old to be admitted: then the ledger's oldest
//! segments go ([`beginning`]). A raw object that we rewrite ourselves gets a rewrite record before the
//! write, so that what lies there afterwards counts as compacted already.
//!
//! An object version is known by key and entity tag: the same bytes under the same key are the same
//! object, whether the bucket keeps versions or not.

mod age;
mod beginning;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use super::error::{S3Error, S3ErrorKind};
use super::facts::FactsError;
use super::hold::Held;
use super::s3::{ObjectVersion, Pick, PutIf, ReadS3, WriteS3};
use super::tables::Table;
use crate::policy::S3Location;

/// The application id of compaction commits.
pub const COMPACTION: &str = "lakewarden/compaction";

const READ_AT_ONCE: usize = 32;
/// Where rewrite records lie below the ledger's folder.
const REWRITES: &str = "rewrites/";

/// What became of one raw object's records. The parts add up (invariant 1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Records found.
    pub read: u64,
    /// Rows written to the event table.
    pub written: u64,
    /// Records kept in quarantine.
    pub quarantined: u64,
    /// Events of erased subjects from before their request.
    pub suppressed: u64,
    /// Such events that a law wants kept, written redacted.
    #[serde(default)]
    pub redacted: u64,
    /// Events already older than the policy keeps.
    pub expired: u64,
    /// Events that were there already.
    pub deduplicated: u64,
}

impl Counts {
    /// Adds another object's counts.
    pub fn add(&mut self, other: Self) {
        self.read += other.read;
        self.written += other.written;
        self.quarantined += other.quarantined;
        self.suppressed += other.suppressed;
        self.redacted += other.redacted;
        self.expired += other.expired;
        self.deduplicated += other.deduplicated;
    }

    /// Invariant 1.
    pub fn are_conserved(&self) -> bool {
        self.read
            == self.written
                + self.quarantined
                + self.suppressed
                + self.redacted
                + self.expired
                + self.deduplicated
    }
}

/// One compacted raw object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// Its entity tag when it was read.
    pub etag: String,
    /// Its size in bytes.
    pub size: u64,
    /// What became of its records.
    pub counts: Counts,
    /// The oldest date (UTC) of an event in it.
    pub first_date: Option<NaiveDate>,
    /// The newest.
    pub last_date: Option<NaiveDate>,
    /// Whether part of it could not be read at all: such an object is never deleted.
    pub damaged: bool,
}

impl Entry {
    /// Adds what a later part of the same object came to.
    pub fn extend(&mut self, part: &Self) {
        self.counts.add(part.counts);
        self.first_date = earlier(self.first_date, part.first_date);
        self.last_date = self.last_date.max(part.last_date);
        self.damaged |= part.damaged;
    }
}

/// The earlier of two dates, of which either may be missing.
fn earlier(one: Option<NaiveDate>, other: Option<NaiveDate>) -> Option<NaiveDate> {
    one.into_iter().chain(other).min()
}

/// The raw objects of one commit.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Segment {
    /// Format of this file.
    pub version: u32,
    /// Its number, which the commit's `txn` carries.
    pub number: u64,
    /// The segment of the commit before.
    pub previous: Option<u64>,
    /// The run that wrote it.
    pub run: String,
    /// That run's `now`.
    pub at: DateTime<Utc>,
    /// The objects.
    pub objects: Vec<Entry>,
    /// The quarantine object that belongs to the commit, if a record was broken.
    pub quarantine: Option<String>,
}

/// A raw object that we are about to write in place of another, or to delete because nothing is left of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rewrite {
    /// Format of this file.
    pub version: u32,
    /// The key of both.
    pub key: String,
    /// The entity tag of the predecessor.
    pub from: String,
    /// The entity tag that the new content will have (its MD5); empty if nothing is left of it.
    pub to: String,
    /// Its size in bytes.
    pub size: u64,
    /// The oldest date of an event left in it.
    pub first_date: Option<NaiveDate>,
    /// The newest.
    pub last_date: Option<NaiveDate>,
    /// The run that wrote this record.
    pub run: String,
}

/// What the ledger says of one object version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownObject {
    /// When it was compacted.
    pub at: DateTime<Utc>,
    /// The number of the segment that names it, or the object in whose place we wrote it.
    pub segment: u64,
    /// The oldest date of an event in it.
    pub first_date: Option<NaiveDate>,
    /// The newest.
    pub last_date: Option<NaiveDate>,
    /// Records in it, when it was compacted.
    #[serde(default)]
    pub records: u64,
    /// Its size in bytes.
    #[serde(default)]
    pub size: u64,
    /// Events of erased subjects in it.
    pub suppressed: u64,
    /// Whether records of it, of unknown age, lie in quarantine.
    pub has_broken: bool,
    /// Whether part of it could not be read.
    pub damaged: bool,
}

/// A quarantine object that a commit named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quarantined {
    /// When it was written.
    pub at: DateTime<Utc>,
    /// The number of the segment that names it.
    pub segment: u64,
}

/// What lies in a ledger's folder.
#[derive(Debug, Default)]
struct Parts {
    segments: BTreeMap<u64, Segment>,
    /// By key.
    rewrites: BTreeMap<String, Rewrite>,
    /// The first segment that has to be there.
    begins: Option<u64>,
}

/// The valid part of a dataset's ledger.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// The number of the last committed segment.
    pub committed: Option<u64>,
    /// The number that the next segment gets: above every one there is, void ones too.
    pub next: u64,
    objects: BTreeMap<(String, String), KnownObject>,
    /// Object versions in whose place we wrote another, or nothing.
    replaced: BTreeSet<(String, String)>,
    /// Quarantine objects that commits named.
    pub quarantine: BTreeMap<String, Quarantined>,
    /// The first segment that has to be there, if older ones were removed.
    begins: Option<u64>,
    /// Keys of rewrite records, each with the segment that names the first predecessor, if there is one.
    rewrites: BTreeMap<String, Option<u64>>,
    /// Whether there are segments that count for nothing.
    has_void: bool,
}

impl Ledger {
    /// Reads the ledger in `folder` as of the loaded version of its event table, if there is one.
    pub async fn of(
        s3: &ReadS3,
        folder: &S3Location,
        table: Option<&Table>,
    ) -> Result<Self, FactsError> {
        let committed = match table {
            Some(table) => table.transaction(COMPACTION).await?,
            None => None,
        };
        Ok(Self::load(s3, folder, committed).await?)
    }

    /// Reads the ledger in `folder`; `committed` is the table's compaction `txn`.
    async fn load(
        s3: &ReadS3,
        folder: &S3Location,
        committed: Option<u64>,
    ) -> Result<Self, S3Error> {
        let mut keys = s3.keys(&folder.bucket, &folder.prefix).await?;
        let mut parts = Parts {
            begins: beginning::last(&keys, folder),
            ..Parts::default()
        };
        keys.retain(|key| parts.is_to_read(key, folder));
        let mut bodies = futures::stream::iter(&keys)
            .map(|key| async move {
                let object = s3.get(&folder.bucket, key, Pick::Current).await?;
                Ok::<_, S3Error>((key, object.bytes))
            })
            .buffered(READ_AT_ONCE);
        while let Some((key, bytes)) = bodies.try_next().await? {
            let malformed = |error: serde_json::Error| {
                S3Error::new(
                    format!("read the ledger at s3://{}/{key}", folder.bucket),
                    error.to_string(),
                    S3ErrorKind::Other,
                )
            };
            if key.contains(REWRITES) {
                let rewrite = serde_json::from_slice(&bytes).map_err(malformed)?;
                parts.rewrites.insert(key.clone(), rewrite);
            } else {
                let segment: Segment = serde_json::from_slice(&bytes).map_err(malformed)?;
                parts.segments.insert(segment.number, segment);
            }
        }
        Self::from_parts(parts, committed, folder)
    }

    fn from_parts(
        parts: Parts,
        committed: Option<u64>,
        folder: &S3Location,
    ) -> Result<Self, S3Error> {
        let mut segments = parts.segments;
        let highest = segments.keys().next_back().copied().max(committed);
        let mut ledger = Self {
            committed,
            next: highest.map_or(1, |number| number + 1),
            begins: parts.begins,
            ..Self::default()
        };
        let mut number = committed;
        while let Some(wanted) = number {
            let Some(segment) = segments.remove(&wanted) else {
                // What the table itself names is never removed.
                if number != committed && ledger.was_removed(wanted) {
                    break;
                }
                return Err(S3Error::new(
                    format!("read the ledger in {folder}"),
                    format!(
                        "segment {wanted}, which the event table names, is missing: restore it before \
                         anything else, or its raw objects would count twice"
                    ),
                    S3ErrorKind::Other,
                ));
            };
            number = segment.previous;
            ledger.admit(segment);
        }
        ledger.has_void = !segments.is_empty();
        ledger.inherit(parts.rewrites);
        Ok(ledger)
    }

    fn admit(&mut self, segment: Segment) {
        if let Some(key) = segment.quarantine {
            let quarantined = Quarantined {
                at: segment.at,
                segment: segment.number,
            };
            self.quarantine.insert(key, quarantined);
        }
        for entry in segment.objects {
            let compacted = KnownObject {
                at: segment.at,
                segment: segment.number,
                first_date: entry.first_date,
                last_date: entry.last_date,
                records: entry.counts.read,
                size: entry.size,
                suppressed: entry.counts.suppressed + entry.counts.redacted,
                has_broken: entry.counts.quarantined > 0,
                damaged: entry.damaged,
            };
            self.objects.insert((entry.key, entry.etag), compacted);
        }
    }

    /// Rewrites of rewrites may come in any order: go on until none is left that has a predecessor.
    fn inherit(&mut self, mut rewrites: BTreeMap<String, Rewrite>) {
        loop {
            let before = rewrites.len();
            rewrites.retain(|record, rewrite| {
                let from = (rewrite.key.clone(), rewrite.from.clone());
                let Some(predecessor) = self.objects.get(&from) else {
                    return true;
                };
                let inherited = KnownObject {
                    first_date: rewrite.first_date,
                    last_date: rewrite.last_date,
                    size: rewrite.size,
                    suppressed: 0,
                    ..predecessor.clone()
                };
                self.rewrites
                    .insert(record.clone(), Some(inherited.segment));
                self.objects
                    .insert((rewrite.key.clone(), rewrite.to.clone()), inherited);
                self.replaced.insert(from);
                false
            });
            if rewrites.len() == before {
                break;
            }
        }
        let without_predecessor = rewrites.into_keys().map(|record| (record, None));
        self.rewrites.extend(without_predecessor);
    }

    /// A ledger that knows these objects, each under an entity tag that is its key, compacted at that time.
    #[cfg(test)]
    pub fn of_objects(objects: &[(&str, DateTime<Utc>)]) -> Self {
        let known = |at: DateTime<Utc>| KnownObject {
            at,
            segment: 1,
            first_date: Some(at.date_naive()),
            last_date: Some(at.date_naive()),
            records: 1,
            size: 1,
            suppressed: 0,
            has_broken: false,
            damaged: false,
        };
        let objects = objects.iter();
        Self {
            committed: Some(1),
            objects: objects
                .map(|(key, at)| (((*key).to_owned(), (*key).to_owned()), known(*at)))
                .collect(),
            ..Self::default()
        }
    }

    /// Whether a raw object version may have events that are held; of one that was not compacted nobody knows.
    pub fn may_be_held(&self, held: &Held, version: &ObjectVersion) -> bool {
        let known = self.compacted(&version.key, &version.etag);
        let known = known.filter(|known| !known.has_broken && !known.damaged);
        let (first, last) = known.map_or((None, None), |known| (known.first_date, known.last_date));
        held.may_hold(first, last)
    }

    /// What became of this object version, if it was compacted.
    pub fn compacted(&self, key: &str, etag: &str) -> Option<&KnownObject> {
        self.objects.get(&(key.to_owned(), etag.to_owned()))
    }

    /// All object versions that were compacted, with their keys, whether they still lie there or not.
    pub fn known(&self) -> impl Iterator<Item = (&str, &KnownObject)> {
        let objects = self.objects.iter();
        objects.map(|((key, _), known)| (key.as_str(), known))
    }

    /// Those of them in whose place we wrote nothing else.
    pub fn unreplaced(&self) -> impl Iterator<Item = &KnownObject> {
        let objects = self.objects.iter();
        let objects = objects.filter(|(version, _)| !self.replaced.contains(version));
        // What a rewrite left nothing of has no entity tag.
        objects
            .filter(|((_, etag), _)| !etag.is_empty())
            .map(|(_, known)| known)
    }

    /// Whether any object version of this key was compacted.
    pub fn knows_key(&self, key: &str) -> bool {
        let from = (key.to_owned(), String::new());
        let next = self.objects.range(from..).next();
        next.is_some_and(|((known, _), _)| known == key)
    }

    /// Whether we once took records out of this very object version. If it lies there again, its consumer
    /// has put it back.
    pub fn was_replaced(&self, key: &str, etag: &str) -> bool {
        self.replaced.contains(&(key.to_owned(), etag.to_owned()))
    }

    /// Whether a commit named this quarantine object; else a dead run left it.
    pub fn is_valid_quarantine(&self, key: &str) -> bool {
        self.quarantine.contains_key(key)
    }

    /// Writes a segment; its number must be free.
    pub async fn write(
        s3: &WriteS3,
        folder: &S3Location,
        segment: &Segment,
    ) -> Result<(), S3Error> {
        let key = format!("{}{:012}.json", folder.prefix, segment.number);
        put_json(s3, &folder.bucket, &key, segment, PutIf::Absent).await?;
        Ok(())
    }

    /// Records that we are about to rewrite a raw object.
    pub async fn announce(
        s3: &WriteS3,
        folder: &S3Location,
        rewrite: &Rewrite,
    ) -> Result<(), S3Error> {
        let id = uuid::Uuid::new_v4().simple();
        let key = format!("{}{REWRITES}{id}.json", folder.prefix);
        put_json(s3, &folder.bucket, &key, rewrite, PutIf::Absent).await?;
        Ok(())
    }
}

/// Writes a value as readable JSON; returns its entity tag.
pub async fn put_json(
    s3: &WriteS3,
    bucket: &str,
    key: &str,
    value: &impl Serialize,
    condition: PutIf<'_>,
) -> Result<String, S3Error> {
    let body = serde_json::to_vec_pretty(value).map_err(|error| {
        S3Error::new(
            format!("write s3://{bucket}/{key}"),
            error.to_string(),
            S3ErrorKind::Other,
        )
    })?;
    s3.put(bucket, key, body, condition).await
}

#[cfg(test)]
mod tests;
