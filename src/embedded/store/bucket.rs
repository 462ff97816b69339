//! One bucket: its versions in memory, and the only place that changes them.
//!
//! All changes of a bucket pass through one commit lock, held while a condition
//! is checked and a record written, so of many conditional writes of a key
//! exactly one wins. Readers never wait for that: they see the index before or
//! after. A commit goes: body complete, record renamed (from here on it counts),
//! index, plain file, old body removed. The plain file of an object that goes
//! is removed before its record, so that no kill leaves one that nothing names.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard};

use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use uuid::Uuid;

use super::Clock;
use super::files::{BucketFiles, PendingBody};
use super::object_lock::Retention;
use super::plain::PlainFiles;
use super::record::{BucketSettings, Content, NULL_VERSION, VersionRecord, Versioning};
use super::sequence::Sequence;
use super::uploads::Uploads;
use crate::embedded::conditions::WriteCondition;

/// The versions of one key, newest first.
pub type Versions = Vec<Arc<VersionRecord>>;

/// All keys of a bucket, in the order in which S3 lists them.
pub type Index = BTreeMap<String, Versions>;

/// A bucket that is open.
pub struct Bucket {
    pub name: String,
    pub files: BucketFiles,
    pub plain: PlainFiles,
    pub uploads: Mutex<Uploads>,
    pub clock: Clock,
    sequence: Arc<Sequence>,
    settings: RwLock<BucketSettings>,
    index: RwLock<Index>,
    /// Held while the bucket changes; whether the bucket is gone.
    commit: Mutex<bool>,
}

/// What a delete did.
#[derive(Debug, Default, PartialEq)]
pub struct Deletion {
    /// The version that was removed, or the marker that was made.
    pub version_id: Option<String>,
    /// What was removed, or made, is a delete marker.
    pub delete_marker: bool,
}

/// What a bucket is made of when it is opened or created.
pub struct BucketParts {
    pub name: String,
    pub files: BucketFiles,
    pub plain: PlainFiles,
    pub settings: BucketSettings,
    pub index: Index,
    pub uploads: Uploads,
    pub sequence: Arc<Sequence>,
    pub clock: Clock,
}

impl Bucket {
    pub fn new(parts: BucketParts) -> Self {
        Self {
            name: parts.name,
            files: parts.files,
            plain: parts.plain,
            uploads: Mutex::new(parts.uploads),
            clock: parts.clock,
            sequence: parts.sequence,
            settings: RwLock::new(parts.settings),
            index: RwLock::new(parts.index),
            commit: Mutex::new(false),
        }
    }

    pub fn settings(&self) -> BucketSettings {
        held(self.settings.read()).clone()
    }

    /// The versions, to look at; keep the guard short.
    pub fn index(&self) -> RwLockReadGuard<'_, Index> {
        held(self.index.read())
    }

    pub fn uploads(&self) -> MutexGuard<'_, Uploads> {
        held(self.uploads.lock())
    }

    /// Changes the settings, if `change` lets it.
    pub fn change_settings(
        &self,
        change: impl FnOnce(&mut BucketSettings) -> S3Result<()>,
    ) -> S3Result<()> {
        let _commit = self.begin_commit()?;
        let mut settings = self.settings();
        change(&mut settings)?;
        self.files
            .write_json(&self.files.settings_path(), &settings)
            .map_err(|error| storage_failed("write the settings of a bucket", error))?;
        *held(self.settings.write()) = settings;
        Ok(())
    }

    /// Opens the body of a version, or of the current one.
    pub fn open_body(
        &self,
        key: &str,
        version_id: Option<&str>,
    ) -> S3Result<(Arc<VersionRecord>, File)> {
        // The index is held until the file is open: its removal comes later.
        let index = self.index();
        let record = find(&index, key, version_id, self.settings().versioning)?;
        let Some(content) = &record.content else {
            return Err(s3_error!(MethodNotAllowed));
        };
        let file = File::open(self.files.body_path(&content.body))
            .map_err(|error| storage_failed("open a body", error))?;
        Ok((Arc::clone(record), file))
    }

    /// The record of a version, or of the current one.
    pub fn record(&self, key: &str, version_id: Option<&str>) -> S3Result<Arc<VersionRecord>> {
        let index = self.index();
        find(&index, key, version_id, self.settings().versioning).cloned()
    }

    /// Makes `content` the current version of `key`, if `condition` holds. It
    /// gets the bucket's retention where it brings none.
    pub fn put(
        &self,
        key: &str,
        mut content: Content,
        body: PendingBody,
        condition: &WriteCondition,
    ) -> S3Result<Arc<VersionRecord>> {
        let commit = self.begin_commit()?;
        condition.check(current_content(&self.index(), key))?;
        if content.lock.retention.is_none() {
            content.lock.retention = self.default_retention();
        }
        let record = self.add_version(&commit, key, Some(content))?;
        body.keep();
        Ok(record)
    }

    fn default_retention(&self) -> Option<Retention> {
        let default = self.settings().object_lock?.default_retention?;
        Some(default.of_version(whole_seconds((self.clock)())))
    }

    /// Changes what is told of a version, or of the current one, if `change`
    /// lets it; the body and the time of the version stay as they are.
    pub fn amend(
        &self,
        key: &str,
        version_id: Option<&str>,
        change: impl FnOnce(&mut Content) -> S3Result<()>,
    ) -> S3Result<Arc<VersionRecord>> {
        let _commit = self.begin_commit()?;
        let mut amended = VersionRecord::clone(&*self.record(key, version_id)?);
        let content = amended.content.as_mut();
        change(content.ok_or_else(|| s3_error!(MethodNotAllowed))?)?;
        self.files
            .write_record(&amended)
            .map_err(|error| storage_failed("write a record", error))?;
        let amended = Arc::new(amended);
        let mut index = held(self.index.write());
        for version in index.get_mut(key).into_iter().flatten() {
            if version.sequence == amended.sequence {
                *version = Arc::clone(&amended);
            }
        }
        Ok(amended)
    }

    /// Checks a write's condition without writing.
    pub fn check_condition(&self, key: &str, condition: &WriteCondition) -> S3Result<()> {
        condition.check(current_content(&self.index(), key))
    }

    /// Deletes `key` as S3 does: by version for good, unless Object Lock forbids
    /// it, otherwise with a delete marker where the bucket has versions.
    pub fn delete(
        &self,
        key: &str,
        version_id: Option<&str>,
        condition: &WriteCondition,
        bypass_governance: bool,
    ) -> S3Result<Deletion> {
        let commit = self.begin_commit()?;
        condition.check(current_content(&self.index(), key))?;
        let versioning = self.settings().versioning;
        if let Some(version_id) = version_id {
            return self.remove_version(&commit, key, version_id, bypass_governance);
        }
        if versioning == Versioning::Off {
            self.remove_version(&commit, key, NULL_VERSION, false)?;
            return Ok(Deletion::default());
        }
        let marker = self.add_version(&commit, key, None)?;
        Ok(Deletion {
            version_id: Some(marker.shown_id().to_owned()),
            delete_marker: true,
        })
    }

    /// Marks the bucket as gone, if it is empty. `remove` does the removing.
    pub fn close_if_empty(&self, remove: impl FnOnce() -> io::Result<()>) -> S3Result<()> {
        let mut gone = self.begin_commit()?;
        if !self.index().is_empty() {
            return Err(s3_error!(
                BucketNotEmpty,
                "the bucket you tried to delete is not empty"
            ));
        }
        remove().map_err(|error| storage_failed("remove a bucket", error))?;
        *gone = true;
        Ok(())
    }

    fn begin_commit(&self) -> S3Result<MutexGuard<'_, bool>> {
        let gone = held(self.commit.lock());
        if *gone {
            return Err(s3_error!(NoSuchBucket));
        }
        Ok(gone)
    }

    fn add_version(
        &self,
        _commit: &MutexGuard<'_, bool>,
        key: &str,
        content: Option<Content>,
    ) -> S3Result<Arc<VersionRecord>> {
        let sequence = self.sequence.next();
        let has_id = self.settings().versioning == Versioning::Enabled;
        let record = Arc::new(VersionRecord {
            key: key.to_owned(),
            version_id: has_id.then(|| new_version_id(sequence)),
            sequence,
            last_modified: whole_seconds((self.clock)()),
            content,
        });
        if record.is_delete_marker() {
            self.plain.hide(key);
        }
        let written = self.files.write_record(&record);
        if let Err(error) = written {
            self.refresh_plain(key);
            return Err(storage_failed("write a record", error));
        }
        let replaced = self.insert(&record);
        self.refresh_plain(key);
        if let Some(content) = replaced.as_ref().and_then(|old| old.content.as_ref()) {
            self.discard_body(&content.body);
        }
        Ok(record)
    }

    /// Puts a version first, in place of an older null version where it is one.
    fn insert(&self, record: &Arc<VersionRecord>) -> Option<Arc<VersionRecord>> {
        let mut index = held(self.index.write());
        let versions = index.entry(record.key.clone()).or_default();
        let same_id = |old: &Arc<VersionRecord>| old.version_id == record.version_id;
        let replaced = versions.iter().position(same_id);
        let replaced = replaced.map(|position| versions.remove(position));
        versions.insert(0, Arc::clone(record));
        replaced
    }

    fn remove_version(
        &self,
        _commit: &MutexGuard<'_, bool>,
        key: &str,
        version_id: &str,
        bypass_governance: bool,
    ) -> S3Result<Deletion> {
        let asked = Deletion {
            version_id: Some(version_id.to_owned()),
            delete_marker: false,
        };
        let Some((record, is_current)) = self.locate(key, version_id) else {
            return Ok(asked);
        };
        if let Some(content) = &record.content {
            content
                .lock
                .check_removal((self.clock)(), bypass_governance)?;
        }
        if is_current {
            self.plain.hide(key);
        }
        if let Err(error) = self.files.remove_record(&record) {
            self.refresh_plain(key);
            return Err(storage_failed("remove a record", error));
        }
        self.forget(&record);
        self.refresh_plain(key);
        if let Some(content) = &record.content {
            self.discard_body(&content.body);
        }
        Ok(Deletion {
            delete_marker: record.is_delete_marker(),
            ..asked
        })
    }

    fn locate(&self, key: &str, version_id: &str) -> Option<(Arc<VersionRecord>, bool)> {
        let index = self.index();
        let versions = index.get(key)?;
        let position = versions
            .iter()
            .position(|record| record.shown_id() == version_id)?;
        Some((Arc::clone(versions.get(position)?), position == 0))
    }

    fn forget(&self, record: &VersionRecord) {
        let mut index = held(self.index.write());
        if let Some(versions) = index.get_mut(&record.key) {
            versions.retain(|other| other.sequence != record.sequence);
            if versions.is_empty() {
                index.remove(&record.key);
            }
        }
    }

    /// Makes the plain file of `key` follow the index.
    pub fn refresh_plain(&self, key: &str) {
        let index = self.index();
        let Some(content) = current_content(&index, key) else {
            return;
        };
        let body = self.files.body_path(&content.body);
        if self.plain.shows(key, &body) {
            return;
        }
        if let Err(error) = self.plain.show(key, &body, &self.files.scratch_path()) {
            tracing::debug!(bucket = %self.name, %error, "an object has no plain file");
        }
    }

    /// Removes a body that nothing names any more; the next opening tries again.
    pub fn discard_body(&self, body: &str) {
        if let Err(error) = self.files.remove_body(body) {
            tracing::warn!(bucket = %self.name, %error, "a replaced body was not removed");
        }
    }
}

/// Looks a version up as GET and HEAD do.
///
/// # Errors
/// `NoSuchKey`, `NoSuchVersion`, or `MethodNotAllowed` for a delete marker that
/// was asked for by id; where a marker is the reason, the headers say so.
fn find<'index>(
    index: &'index Index,
    key: &str,
    version_id: Option<&str>,
    versioning: Versioning,
) -> S3Result<&'index Arc<VersionRecord>> {
    let versions = index.get(key);
    let Some(version_id) = version_id else {
        return match versions.and_then(|versions| versions.first()) {
            Some(record) if record.is_delete_marker() => Err(marker_error(
                S3ErrorCode::NoSuchKey,
                record.shown_id(),
                versioning,
            )),
            Some(record) => Ok(record),
            None => Err(s3_error!(NoSuchKey, "the specified key does not exist")),
        };
    };
    let found = versions
        .into_iter()
        .flatten()
        .find(|record| record.shown_id() == version_id);
    match found {
        Some(record) if record.is_delete_marker() => Err(marker_error(
            S3ErrorCode::MethodNotAllowed,
            record.shown_id(),
            versioning,
        )),
        Some(record) => Ok(record),
        None => Err(s3_error!(
            NoSuchVersion,
            "the specified version does not exist"
        )),
    }
}

fn marker_error(code: S3ErrorCode, version_id: &str, versioning: Versioning) -> S3Error {
    let mut headers = http::HeaderMap::new();
    headers.insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/xml"),
    );
    headers.insert(
        "x-amz-delete-marker",
        http::HeaderValue::from_static("true"),
    );
    if versioning != Versioning::Off
        && let Ok(value) = http::HeaderValue::from_str(version_id)
    {
        headers.insert("x-amz-version-id", value);
    }
    let mut error = S3Error::with_message(code, "the version is a delete marker");
    error.set_headers(headers);
    error
}

fn current_content<'index>(index: &'index Index, key: &str) -> Option<&'index Content> {
    index.get(key)?.first()?.content.as_ref()
}

/// Rises with time; the random half keeps an id from coming again after its
/// version was removed.
fn new_version_id(sequence: u64) -> String {
    let (random, _) = Uuid::new_v4().as_u64_pair();
    format!("{sequence:016x}{random:016x}")
}

/// S3 keeps times to the second.
pub fn whole_seconds(time: chrono::DateTime<chrono::Utc>) -> chrono::DateTime<chrono::Utc> {
    chrono::SubsecRound::trunc_subsecs(time, 0)
}

/// An error of the folder underneath, without the names of objects.
pub fn storage_failed(attempted: &'static str, error: io::Error) -> S3Error {
    if error.kind() == ErrorKind::StorageFull {
        return s3_error!(error, InternalError, "the disk is full");
    }
    tracing::error!(%error, "failed to {attempted}");
    s3_error!(error, InternalError, "failed to {}", attempted)
}

/// Takes a lock even if a thread that held it panicked: all that it guards is
/// changed in single steps.
pub fn held<Guard>(lock: Result<Guard, std::sync::PoisonError<Guard>>) -> Guard {
    lock.unwrap_or_else(std::sync::PoisonError::into_inner)
}
