//! Opening a bucket: the records into memory, and everything else put right.
//!
//! What a kill can have left: bodies that no record names, uploads whose object
//! was committed, and plain files that are missing or show an older version.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Clock;
use super::OpenError;
use super::bucket::{Bucket, BucketParts, Index};
use super::files::{BucketFiles, UPLOAD_FILE, read_json};
use super::plain::PlainFiles;
use super::record::{BucketSettings, PartRecord, UploadRecord, VersionRecord};
use super::sequence::Sequence;
use super::uploads::{Upload, Uploads};

/// Opens the bucket `name`.
pub fn open_bucket(
    name: &str,
    files: BucketFiles,
    plain: PlainFiles,
    sequence: &Arc<Sequence>,
    clock: Clock,
) -> Result<Bucket, OpenError> {
    let settings: BucketSettings = load(&files.settings_path())?;
    let index = load_index(&files, sequence)?;
    let uploads = load_uploads(&files, &index)?;
    remove_unnamed_bodies(&files, &index, &uploads)?;
    plain
        .create()
        .map_err(|source| OpenError::at("make the folder of a bucket", &files.folder, source))?;
    let bucket = Bucket::new(BucketParts {
        name: name.to_owned(),
        files,
        plain,
        settings,
        index,
        uploads,
        sequence: Arc::clone(sequence),
        clock,
    });
    repair_plain_files(&bucket);
    Ok(bucket)
}

fn load_index(files: &BucketFiles, sequence: &Sequence) -> Result<Index, OpenError> {
    let mut index = Index::new();
    for shelf in entries(&files.records_folder())? {
        for path in entries(&shelf)? {
            let record: VersionRecord = load(&path)?;
            sequence.saw(record.sequence);
            let versions = index.entry(record.key.clone()).or_default();
            versions.push(Arc::new(record));
        }
    }
    for versions in index.values_mut() {
        versions.sort_by_key(|record| std::cmp::Reverse(record.sequence));
    }
    Ok(index)
}

fn load_uploads(files: &BucketFiles, index: &Index) -> Result<Uploads, OpenError> {
    let completed: HashSet<&str> = contents(index)
        .filter_map(|content| content.upload_id.as_deref())
        .collect();
    let mut uploads = Uploads::new();
    for folder in entries(&files.uploads_folder())? {
        match load_upload(&folder)? {
            Some(upload) if !completed.contains(upload.record.upload_id.as_str()) => {
                uploads.insert(upload.record.upload_id.clone(), upload);
            }
            _ => files.remove_folder(&folder).map_err(|source| {
                OpenError::at("remove an upload left over by a kill", &folder, source)
            })?,
        }
    }
    Ok(uploads)
}

/// `None` for a folder whose upload was never recorded.
fn load_upload(folder: &Path) -> Result<Option<Upload>, OpenError> {
    let description = folder.join(UPLOAD_FILE);
    if !description.exists() {
        return Ok(None);
    }
    let record: UploadRecord = load(&description)?;
    let mut parts = BTreeMap::new();
    for path in entries(folder)? {
        if path != description {
            let part: PartRecord = load(&path)?;
            parts.insert(part.number, part);
        }
    }
    Ok(Some(Upload { record, parts }))
}

fn remove_unnamed_bodies(
    files: &BucketFiles,
    index: &Index,
    uploads: &Uploads,
) -> Result<(), OpenError> {
    let mut named: HashSet<&str> = contents(index)
        .map(|content| content.body.as_str())
        .collect();
    for upload in uploads.values() {
        named.extend(upload.parts.values().map(|part| part.body.as_str()));
    }
    for shelf in entries(&files.bodies_folder())? {
        for path in entries(&shelf)? {
            let name = path.file_name().and_then(|name| name.to_str());
            if name.is_some_and(|name| named.contains(name)) {
                continue;
            }
            fs::remove_file(&path).map_err(|source| {
                OpenError::at("remove a body left over by a kill", &path, source)
            })?;
        }
    }
    Ok(())
}

fn repair_plain_files(bucket: &Bucket) {
    let mut with_object = Vec::new();
    for (key, versions) in bucket.index().iter() {
        match versions.first() {
            Some(record) if !record.is_delete_marker() => with_object.push(key.clone()),
            _ => bucket.plain.hide(key),
        }
    }
    for key in with_object {
        bucket.refresh_plain(&key);
    }
}

fn contents(index: &Index) -> impl Iterator<Item = &super::record::Content> {
    index
        .values()
        .flatten()
        .filter_map(|record| record.content.as_ref())
}

fn load<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, OpenError> {
    read_json(path).map_err(|source| OpenError::at("read", path, source))
}

/// The paths in a folder; none where there is no folder.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>, OpenError> {
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.and_then(|found| {
            found
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<io::Result<Vec<_>>>()
        }),
    };
    listed.map_err(|source| OpenError::at("list the folder", folder, source))
}
