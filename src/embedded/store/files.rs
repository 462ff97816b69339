//! A bucket's folder under `.s3`: records, bodies, uploads.
//!
//! Every record is written to a temporary file and renamed, and every body is
//! complete before a record names it, so a kill at any instant leaves either
//! the old state or the new one and at worst files that nothing names, which
//! the next opening removes. Nothing is synced to the disk: this survives the
//! death of the process, not the loss of power.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use s3s::crypto::{Checksum as _, Sha256};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::record::{PartRecord, UploadRecord, VersionRecord};
use crate::embedded::checksums::{BodyDigests, BodyHasher, ChecksumAlgorithm};

/// Where the parts of one bucket's hidden folder are.
#[derive(Debug, Clone)]
pub struct BucketFiles {
    pub folder: PathBuf,
    scratch: PathBuf,
}

/// A body file that no record names yet; removed when dropped before `keep`.
#[derive(Debug)]
pub struct PendingBody {
    pub id: String,
    path: PathBuf,
    kept: bool,
}

/// Writes a body and computes its digests on the way.
pub struct BodyWriter {
    file: File,
    body: PendingBody,
    hasher: BodyHasher,
    size: u64,
}

/// A body on disk, not yet named, with what was learnt while writing it.
pub struct WrittenBody {
    pub body: PendingBody,
    pub size: u64,
    pub digests: BodyDigests,
}

impl BucketFiles {
    /// `folder` is the bucket's own, `scratch` one on the same file system for
    /// files on their way.
    pub fn new(folder: PathBuf, scratch: PathBuf) -> Self {
        Self { folder, scratch }
    }

    pub fn settings_path(&self) -> PathBuf {
        self.folder.join("bucket.json")
    }

    pub fn records_folder(&self) -> PathBuf {
        self.folder.join("records")
    }

    pub fn bodies_folder(&self) -> PathBuf {
        self.folder.join("bodies")
    }

    pub fn uploads_folder(&self) -> PathBuf {
        self.folder.join("uploads")
    }

    pub fn body_path(&self, body: &str) -> PathBuf {
        let shard = body.get(..2).unwrap_or("00");
        self.bodies_folder().join(shard).join(body)
    }

    /// A name in the scratch folder that nobody else uses.
    pub fn scratch_path(&self) -> PathBuf {
        self.scratch.join(Uuid::new_v4().simple().to_string())
    }

    fn record_path(&self, record: &VersionRecord) -> PathBuf {
        let digest = hex::encode(Sha256::checksum(record.key.as_bytes()));
        let name = format!("{digest}-{}.json", record.shown_id());
        let shard = digest.get(..2).unwrap_or("00");
        self.records_folder().join(shard).join(name)
    }

    /// Writes or replaces a version's record. This is what makes a write count.
    pub fn write_record(&self, record: &VersionRecord) -> io::Result<()> {
        self.write_json(&self.record_path(record), record)
    }

    pub fn remove_record(&self, record: &VersionRecord) -> io::Result<()> {
        ignore_missing(fs::remove_file(self.record_path(record)))
    }

    pub fn remove_body(&self, body: &str) -> io::Result<()> {
        ignore_missing(fs::remove_file(self.body_path(body)))
    }

    fn upload_folder(&self, upload_id: &str) -> PathBuf {
        self.uploads_folder().join(upload_id)
    }

    pub fn write_upload(&self, upload: &UploadRecord) -> io::Result<()> {
        let folder = self.upload_folder(&upload.upload_id);
        fs::create_dir(&folder)?;
        self.write_json(&folder.join(UPLOAD_FILE), upload)
    }

    pub fn write_part(&self, upload_id: &str, part: &PartRecord) -> io::Result<()> {
        let name = format!("part-{:05}.json", part.number);
        self.write_json(&self.upload_folder(upload_id).join(name), part)
    }

    /// Forgets an upload with its parts' records, at one blow.
    pub fn remove_upload(&self, upload_id: &str) -> io::Result<()> {
        self.remove_folder(&self.upload_folder(upload_id))
    }

    /// Moves a folder out of sight, which decides, then removes it.
    pub fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        let gone = self.scratch_path();
        fs::rename(folder, &gone)?;
        fs::remove_dir_all(gone)
    }

    /// Writes JSON to a temporary file and renames it to `path`.
    pub fn write_json(&self, path: &Path, value: &impl Serialize) -> io::Result<()> {
        let scratch = self.scratch_path();
        fs::write(&scratch, serde_json::to_vec(value)?)?;
        let renamed = match fs::rename(&scratch, path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                make_shelf(path)?;
                fs::rename(&scratch, path)
            }
            other => other,
        };
        if renamed.is_err() {
            let _ = fs::remove_file(&scratch);
        }
        renamed
    }

    /// Starts a body.
    pub fn new_body(&self, checksum: Option<ChecksumAlgorithm>) -> io::Result<BodyWriter> {
        let body = self.pending_body();
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        // The plain file is a link to this one: an editor must not change it.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o444);
        let file = match options.open(&body.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                make_shelf(&body.path)?;
                options.open(&body.path)?
            }
            other => other?,
        };
        let hasher = BodyHasher::new(checksum);
        Ok(BodyWriter {
            file,
            body,
            hasher,
            size: 0,
        })
    }

    /// A new body with the bytes of another one, shared where the file system can.
    pub fn share_body(&self, source: &Path) -> io::Result<PendingBody> {
        let body = self.pending_body();
        make_shelf(&body.path)?;
        link_or_copy(source, &body.path)?;
        Ok(body)
    }

    fn pending_body(&self) -> PendingBody {
        let id = Uuid::new_v4().simple().to_string();
        let path = self.body_path(&id);
        PendingBody {
            id,
            path,
            kept: false,
        }
    }
}

/// The file in an upload's folder that describes it.
pub const UPLOAD_FILE: &str = "upload.json";

impl BodyWriter {
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    /// Appends `length` bytes of `source`, or fails when it has fewer.
    pub fn write_from(&mut self, source: File, length: u64) -> io::Result<()> {
        let mut buffer = vec![0; COPY_BUFFER];
        let mut wanted = source.take(length);
        loop {
            let count = wanted.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            self.write(buffer.get(..count).unwrap_or_default())?;
        }
        if wanted.limit() > 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    pub fn finish(self) -> WrittenBody {
        WrittenBody {
            body: self.body,
            size: self.size,
            digests: self.hasher.finish(),
        }
    }
}

/// Bytes that a copy moves at a time.
const COPY_BUFFER: usize = 256 * 1024;

impl PendingBody {
    /// A record names it now.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for PendingBody {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Links `target` to `source`, or copies where links do not work.
pub fn link_or_copy(source: &Path, target: &Path) -> io::Result<()> {
    match fs::hard_link(source, target) {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::Unsupported | ErrorKind::PermissionDenied | ErrorKind::TooManyLinks
            ) =>
        {
            fs::copy(source, target).map(|_| ())
        }
        other => other,
    }
}

/// Reads a JSON file.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    serde_json::from_slice(&fs::read(path)?).map_err(io::Error::from)
}

pub fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Makes the one folder that `path` lies in; never those above it, so that a
/// bucket deleted meanwhile does not come back.
fn make_shelf(path: &Path) -> io::Result<()> {
    let Some(shelf) = path.parent() else {
        return Ok(());
    };
    match fs::create_dir(shelf) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}
