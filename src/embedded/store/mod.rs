//! The folder behind the embedded S3: buckets, versions, uploads.
//!
//! ```text
//! <root>/<bucket>/<key>                  the current object, a link to its body
//! <root>/.s3/lock                        held while a process has the folder open
//! <root>/.s3/scratch/                    files on their way; emptied at open
//! <root>/.s3/buckets/<bucket>/bucket.json
//!                             records/   one JSON file a version: the truth
//!                             bodies/    one file a version or part, by random name
//!                             uploads/   unfinished multipart uploads
//! ```
//!
//! Hazards: nothing is synced, so a loss of power can undo or tear what was
//! written last; and record files hold keys and metadata in the clear, as the
//! bucket itself does, until their version is deleted.

pub mod bucket;
pub mod files;
pub mod object_lock;
mod plain;
pub mod record;
mod recovery;
mod sequence;
pub mod uploads;

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use chrono::{DateTime, Utc};
use s3s::{S3Result, s3_error};
use thiserror::Error;

use bucket::{Bucket, BucketParts, Index, held, storage_failed, whole_seconds};
use files::BucketFiles;
use object_lock::BucketLock;
use plain::PlainFiles;
use record::{BucketSettings, Versioning};
use sequence::Sequence;
use uploads::Uploads;

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// Why a folder could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    #[error(
        "cannot open {} as an S3 folder: another process has it open; stop that process or use another folder",
        root.display()
    )]
    InUse { root: PathBuf },
    #[error("cannot {attempted} {}: {source}", path.display())]
    Folder {
        attempted: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

impl OpenError {
    pub(crate) fn at(attempted: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Folder {
            attempted,
            path: path.to_owned(),
            source,
        }
    }
}

/// An open folder.
pub struct Store {
    root: PathBuf,
    hidden: PathBuf,
    clock: Clock,
    sequence: Arc<Sequence>,
    folds_case: bool,
    buckets: RwLock<BTreeMap<String, Arc<Bucket>>>,
    _lock: Lock,
}

/// Held while the folder is open.
struct Lock(File);

impl Drop for Lock {
    /// Closing alone would not do: a process that is just being started may still share the open file.
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the folder was not given back");
        }
    }
}

impl Store {
    /// Opens `root`, making it where it is missing, and puts right what a kill
    /// left behind.
    pub fn open(root: &Path, clock: Clock) -> Result<Self, OpenError> {
        let hidden = root.join(".s3");
        make_folder(&hidden.join("buckets"))?;
        let lock = take_lock(root, &hidden.join("lock"))?;
        empty_folder(&hidden.join("scratch"))?;
        let mut store = Self {
            root: root.to_owned(),
            clock,
            sequence: Arc::new(Sequence::default()),
            folds_case: root.join(".S3").exists(),
            buckets: RwLock::default(),
            hidden,
            _lock: lock,
        };
        store.buckets = RwLock::new(store.open_buckets()?);
        Ok(store)
    }

    fn open_buckets(&self) -> Result<BTreeMap<String, Arc<Bucket>>, OpenError> {
        let mut buckets = BTreeMap::new();
        for folder in recovery::entries(&self.hidden.join("buckets"))? {
            let Some(name) = folder.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            let bucket = recovery::open_bucket(
                name,
                self.files_of(name),
                self.plain_of(name),
                &self.sequence,
                Arc::clone(&self.clock),
            )?;
            buckets.insert(name.to_owned(), Arc::new(bucket));
        }
        Ok(buckets)
    }

    pub fn bucket(&self, name: &str) -> S3Result<Arc<Bucket>> {
        let buckets = held(self.buckets.read());
        let bucket = buckets.get(name).cloned();
        bucket.ok_or_else(|| s3_error!(NoSuchBucket, "the specified bucket does not exist"))
    }

    /// All buckets, by name.
    pub fn buckets(&self) -> Vec<Arc<Bucket>> {
        held(self.buckets.read()).values().cloned().collect()
    }

    /// Makes a bucket. One with Object Lock keeps versions from the start.
    pub fn create_bucket(
        &self,
        name: &str,
        region: Option<String>,
        object_lock: Option<BucketLock>,
    ) -> S3Result<()> {
        let mut buckets = held(self.buckets.write());
        if buckets.contains_key(name) {
            return Err(s3_error!(
                BucketAlreadyOwnedByYou,
                "you already have a bucket of this name"
            ));
        }
        let settings = BucketSettings {
            created: whole_seconds((self.clock)()),
            versioning: if object_lock.is_some() {
                Versioning::Enabled
            } else {
                Versioning::Off
            },
            region,
            object_lock,
            lifecycle: None,
        };
        let files = self.files_of(name);
        let plain = self.plain_of(name);
        make_bucket_folder(&files, &settings)
            .and_then(|()| plain.create())
            .map_err(|error| storage_failed("make a bucket", error))?;
        let bucket = Bucket::new(BucketParts {
            name: name.to_owned(),
            files,
            plain,
            settings,
            index: Index::new(),
            uploads: Uploads::new(),
            sequence: Arc::clone(&self.sequence),
            clock: Arc::clone(&self.clock),
        });
        buckets.insert(name.to_owned(), Arc::new(bucket));
        Ok(())
    }

    /// Removes a bucket that holds no version and no delete marker; uploads
    /// that were under way go with it.
    pub fn delete_bucket(&self, name: &str) -> S3Result<()> {
        let mut buckets = held(self.buckets.write());
        let bucket = buckets.get(name).cloned();
        let bucket = bucket.ok_or_else(|| s3_error!(NoSuchBucket))?;
        bucket.close_if_empty(|| bucket.files.remove_folder(&bucket.files.folder))?;
        bucket.plain.remove();
        buckets.remove(name);
        Ok(())
    }

    fn files_of(&self, bucket: &str) -> BucketFiles {
        let folder = self.hidden.join("buckets").join(bucket);
        BucketFiles::new(folder, self.hidden.join("scratch"))
    }

    fn plain_of(&self, bucket: &str) -> PlainFiles {
        PlainFiles::new(self.root.join(bucket), self.folds_case)
    }
}

/// Builds the hidden folder aside and renames it, so that it is whole or absent.
fn make_bucket_folder(files: &BucketFiles, settings: &BucketSettings) -> io::Result<()> {
    let built = BucketFiles::new(files.scratch_path(), files.scratch_path());
    for folder in [
        built.records_folder(),
        built.bodies_folder(),
        built.uploads_folder(),
    ] {
        fs::create_dir_all(folder)?;
    }
    files.write_json(&built.settings_path(), settings)?;
    fs::rename(&built.folder, &files.folder)
}

fn take_lock(root: &Path, path: &Path) -> Result<Lock, OpenError> {
    let lock = File::create(path).map_err(|source| OpenError::at("open", path, source))?;
    match lock.try_lock() {
        Ok(()) => Ok(Lock(lock)),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
            root: root.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(OpenError::at("lock", path, source)),
    }
}

fn empty_folder(folder: &Path) -> Result<(), OpenError> {
    files::ignore_missing(fs::remove_dir_all(folder))
        .map_err(|source| OpenError::at("empty the folder", folder, source))?;
    make_folder(folder)
}

fn make_folder(folder: &Path) -> Result<(), OpenError> {
    fs::create_dir_all(folder).map_err(|source| OpenError::at("make the folder", folder, source))
}
