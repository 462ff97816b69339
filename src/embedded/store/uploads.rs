//! Multipart uploads that are under way.

use std::collections::BTreeMap;
use std::io;

use s3s::{S3Result, s3_error};

use super::bucket::{Bucket, storage_failed};
use super::files::PendingBody;
use super::record::{PartRecord, UploadRecord};

/// Uploads by their id.
pub type Uploads = BTreeMap<String, Upload>;

/// An upload and its parts by number.
#[derive(Debug, Clone)]
pub struct Upload {
    pub record: UploadRecord,
    pub parts: BTreeMap<i32, PartRecord>,
}

impl Bucket {
    /// Starts an upload.
    pub fn begin_upload(&self, record: UploadRecord) -> S3Result<()> {
        let mut uploads = self.uploads();
        self.files
            .write_upload(&record)
            .map_err(|error| storage_failed("write an upload", error))?;
        let upload = Upload {
            record,
            parts: BTreeMap::new(),
        };
        uploads.insert(upload.record.upload_id.clone(), upload);
        Ok(())
    }

    /// The upload of `key` with that id, as it is now.
    pub fn upload(&self, key: &str, upload_id: &str) -> S3Result<Upload> {
        let uploads = self.uploads();
        let upload = uploads.get(upload_id);
        upload
            .filter(|upload| upload.record.key == key)
            .cloned()
            .ok_or_else(no_such_upload)
    }

    /// Adds a part, in place of an earlier one with its number.
    pub fn put_part(&self, upload_id: &str, part: PartRecord, body: PendingBody) -> S3Result<()> {
        let mut uploads = self.uploads();
        let upload = uploads.get_mut(upload_id).ok_or_else(no_such_upload)?;
        self.files
            .write_part(upload_id, &part)
            .map_err(|error| storage_failed("write a part", error))?;
        body.keep();
        if let Some(replaced) = upload.parts.insert(part.number, part) {
            self.discard_body(&replaced.body);
        }
        Ok(())
    }

    /// Takes an upload out, so that only one caller completes or aborts it.
    pub fn claim_upload(&self, key: &str, upload_id: &str) -> S3Result<Upload> {
        let mut uploads = self.uploads();
        if uploads
            .get(upload_id)
            .is_none_or(|upload| upload.record.key != key)
        {
            return Err(no_such_upload());
        }
        uploads.remove(upload_id).ok_or_else(no_such_upload)
    }

    /// Puts a claimed upload back.
    pub fn return_upload(&self, upload: Upload) {
        self.uploads()
            .insert(upload.record.upload_id.clone(), upload);
    }

    /// Removes a claimed upload and its parts from the disk.
    pub fn remove_upload(&self, upload: &Upload) -> io::Result<()> {
        self.files.remove_upload(&upload.record.upload_id)?;
        for part in upload.parts.values() {
            self.discard_body(&part.body);
        }
        Ok(())
    }
}

fn no_such_upload() -> s3s::S3Error {
    s3_error!(NoSuchUpload, "the specified upload does not exist")
}
