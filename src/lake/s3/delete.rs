//! Deleting object versions: the one place that does.

use aws_sdk_s3::types::{Delete, ObjectIdentifier, ObjectLockLegalHoldStatus, ObjectLockMode};
use futures::{StreamExt, TryStreamExt};

use super::{ObjectVersion, ReadS3, Upload, WriteS3, time_of};
use crate::lake::error::{S3Error, S3ErrorKind};

/// S3 deletes at most so many versions in one request.
const DELETE_BATCH: usize = 1000;
const LOOK_AT_ONCE: usize = 32;

impl WriteS3 {
    /// Physically removes these versions, and nothing that came after them; answers how many there were.
    /// One that may not go yet keeps no other from going; the error says when it may.
    #[expect(clippy::disallowed_methods, reason = "the one place that deletes")]
    pub async fn delete_versions(
        &self,
        bucket: &str,
        versions: &[ObjectVersion],
    ) -> Result<u64, S3Error> {
        let meant = self.still_meant(bucket, versions).await?;
        let mut refused = Vec::new();
        for batch in meant.chunks(DELETE_BATCH) {
            let attempted = || format!("delete {} object versions in s3://{bucket}", batch.len());
            let invalid = |error: aws_sdk_s3::error::BuildError| {
                S3Error::new(attempted(), error.to_string(), S3ErrorKind::Other)
            };
            let mut delete = Delete::builder().quiet(true);
            for version in batch {
                let identifier = ObjectIdentifier::builder()
                    .key(&version.key)
                    .version_id(&version.version)
                    .build()
                    .map_err(invalid)?;
                delete = delete.objects(identifier);
            }
            let request = self.read.connection.client().delete_objects();
            let request = request
                .bucket(bucket)
                .delete(delete.build().map_err(invalid)?);
            let answer = request.send().await;
            let answer = answer.map_err(|error| S3Error::from_sdk(attempted(), &error))?;
            refused.extend(answer.errors.unwrap_or_default());
        }
        match refused.first() {
            None => Ok(meant.len() as u64),
            Some(first) => Err(self.refusal(bucket, first, refused.len()).await),
        }
    }

    /// Removes for good what the current object at `key` has replaced; answers how many versions there were.
    /// For objects that are written in place of one another and of which nobody reads an older version.
    pub async fn delete_replaced(&self, bucket: &str, key: &str) -> Result<u64, S3Error> {
        let mut versions = self.read.versions(bucket, key).await?;
        versions.retain(|version| version.key == key && !version.latest);
        self.delete_versions(bucket, &versions).await
    }

    /// Gives up an unfinished upload, with its parts; one that is gone already is fine.
    pub async fn abort_upload(&self, bucket: &str, upload: &Upload) -> Result<(), S3Error> {
        let request = self.read.connection.client().abort_multipart_upload();
        let request = request
            .bucket(bucket)
            .key(&upload.key)
            .upload_id(&upload.id);
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let attempted = format!("abort an unfinished upload in s3://{bucket}");
                let error = S3Error::from_sdk(attempted, &error);
                match error.kind {
                    S3ErrorKind::NotFound => Ok(()),
                    _ => Err(error),
                }
            }
        }
    }

    /// Why versions stay, the first of them looked at.
    async fn refusal(
        &self,
        bucket: &str,
        first: &aws_sdk_s3::types::Error,
        count: usize,
    ) -> S3Error {
        let key = first.key().unwrap_or_default();
        let code = first.code().unwrap_or("no code");
        let attempted = format!("delete {count} object versions in s3://{bucket}, first {key}");
        if code != "AccessDenied" {
            return S3Error::new(attempted, code, S3ErrorKind::Other);
        }
        match self.read.lock(bucket, key, first.version_id()).await {
            Some(lock) => S3Error::new(attempted, lock, S3ErrorKind::Locked),
            None => S3Error::new(attempted, code, S3ErrorKind::AccessDenied),
        }
    }

    /// The version `null` is whatever was written last without bucket versions: look before deleting.
    async fn still_meant<'a>(
        &self,
        bucket: &str,
        versions: &'a [ObjectVersion],
    ) -> Result<Vec<&'a ObjectVersion>, S3Error> {
        let meant: Vec<Option<&ObjectVersion>> = futures::stream::iter(versions)
            .map(|version| async move {
                if version.version != "null" || version.marker {
                    return Ok(Some(version));
                }
                let there = self.read.etag(bucket, &version.key, Some("null")).await?;
                Ok::<_, S3Error>((there.as_deref() == Some(&version.etag)).then_some(version))
            })
            .buffered(LOOK_AT_ONCE)
            .try_collect()
            .await?;
        Ok(meant.into_iter().flatten().collect())
    }
}

impl ReadS3 {
    /// What keeps a version from being deleted, and until when, if Object Lock does.
    async fn lock(&self, bucket: &str, key: &str, version: Option<&str>) -> Option<String> {
        let request = self
            .connection
            .client()
            .head_object()
            .bucket(bucket)
            .key(key);
        let request = request.set_version_id(version.map(str::to_owned));
        let head = request.send().await.ok()?;
        if head.object_lock_legal_hold_status() == Some(&ObjectLockLegalHoldStatus::On) {
            return Some("it is under a legal hold; it can go once the hold is lifted".to_owned());
        }
        let until = head.object_lock_retain_until_date().and_then(time_of)?;
        let mode = head
            .object_lock_mode()
            .map_or("unknown", ObjectLockMode::as_str);
        let until = until.format("%Y-%m-%d %H:%M UTC");
        Some(format!(
            "it is locked ({}) and can go from {until} on",
            mode.to_lowercase()
        ))
    }
}
