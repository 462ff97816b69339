//! S3 as the duties see it: a reader on which nothing that mutates compiles (invariant 6), and a writer
//! that only apply gets.
//!
//! Deleting is always by version: [`WriteS3::delete_versions`] cannot create delete markers, and on a
//! bucket without versions (version id `null`) it first makes sure that the object is still the one meant.

use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::{AggregatedBytes, ByteStream};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use object_store::ObjectStore;
use tokio::sync::Semaphore;

mod compose;
mod delete;
mod lifecycle;
mod listing;
mod object;
mod obstacle;
mod tags;

use super::connect::Connection;
use super::error::{S3Error, S3ErrorKind};
use super::read_only::ReadOnlyStore;

pub use compose::{ONE_REQUEST, SMALLEST_PART, Source, Stretch};
pub use delete::{Deletion, Kept};
pub use lifecycle::{Expiration, Lifecycle, LifecycleRule, NetRule, NoncurrentExpiration};
pub use listing::{KeyRange, sort};
pub use object::{Object, ObjectVersion, Pick, PutIf, Upload, by_key};
pub use obstacle::{ARCHIVES, Hindrance, ObjectLocking, Obstacle};
pub use tags::as_query;

/// Listing requests at the same time.
const LIST_AT_ONCE: usize = 32;

/// Reads S3 and nothing else.
#[derive(Debug, Clone)]
pub struct ReadS3 {
    connection: Connection,
    /// Bounds the listing requests of all listings at the same time.
    listing: Arc<Semaphore>,
}

/// Reads and writes S3. Made from a [`Connection`] by whoever applies a plan.
#[derive(Debug, Clone)]
pub struct WriteS3 {
    read: ReadS3,
}

impl ReadS3 {
    /// A reader over `connection`.
    pub fn new(connection: Connection) -> Self {
        Self {
            connection,
            listing: Arc::new(Semaphore::new(LIST_AT_ONCE)),
        }
    }

    /// Keys of the current objects under `prefix`, in order.
    pub async fn keys(&self, bucket: &str, prefix: &str) -> Result<Vec<String>, S3Error> {
        let mut pages = self
            .connection
            .client()
            .list_objects_v2()
            .bucket(bucket)
            .prefix(prefix)
            .into_paginator()
            .send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| {
                S3Error::from_sdk(format!("list s3://{bucket}/{prefix}"), &error)
            })?;
            keys.extend(
                page.contents()
                    .iter()
                    .filter_map(|object| object.key.clone()),
            );
        }
        Ok(keys)
    }

    /// Reads an object whole.
    pub async fn get(&self, bucket: &str, key: &str, pick: Pick<'_>) -> Result<Object, S3Error> {
        self.object(bucket, key, pick, None).await
    }

    /// The same with these of its bytes alone; fewer where it ends before.
    pub async fn get_range(
        &self,
        bucket: &str,
        key: &str,
        pick: Pick<'_>,
        range: Range<u64>,
    ) -> Result<Object, S3Error> {
        let range = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        self.object(bucket, key, pick, Some(range)).await
    }

    async fn object(
        &self,
        bucket: &str,
        key: &str,
        pick: Pick<'_>,
        range: Option<String>,
    ) -> Result<Object, S3Error> {
        let answer = self.ask(bucket, key, pick, range).await?;
        let text = |value: Option<&str>| value.map(str::to_owned);
        let object = Object {
            bytes: Bytes::new(),
            etag: unquoted(answer.e_tag()),
            metadata: answer
                .metadata()
                .map(|map| map.clone().into_iter().collect())
                .unwrap_or_default(),
            content_type: text(answer.content_type()),
            content_encoding: text(answer.content_encoding()),
            content_disposition: text(answer.content_disposition()),
            content_language: text(answer.content_language()),
            cache_control: text(answer.cache_control()),
            storage_class: answer.storage_class().cloned(),
            encryption: answer.server_side_encryption().cloned(),
            kms_key: text(answer.ssekms_key_id()),
            has_tags: answer.tag_count().is_some_and(|count| count > 0),
            tags: None,
        };
        let pieces = collected(answer.body, bucket, key).await?;
        Ok(Object {
            bytes: pieces.into_bytes(),
            ..object
        })
    }

    /// Reads an object whole, as the pieces that it comes in.
    pub async fn pieces(
        &self,
        bucket: &str,
        key: &str,
        pick: Pick<'_>,
    ) -> Result<AggregatedBytes, S3Error> {
        let answer = self.ask(bucket, key, pick, None).await?;
        collected(answer.body, bucket, key).await
    }

    /// Reads an object into a local file.
    pub async fn get_to_file(
        &self,
        bucket: &str,
        key: &str,
        pick: Pick<'_>,
        mut file: &std::fs::File,
    ) -> Result<(), S3Error> {
        let mut body = self.ask(bucket, key, pick, None).await?.body;
        loop {
            let piece = body.try_next().await;
            let Some(piece) = piece.map_err(|error| broken_off(bucket, key, &error))? else {
                return Ok(());
            };
            file.write_all(&piece).map_err(|error| {
                S3Error::new(
                    format!("keep s3://{bucket}/{key} in the spill folder"),
                    error.to_string(),
                    S3ErrorKind::LocalDisk,
                )
            })?;
        }
    }

    /// Reads the first bytes of an object, if it still has the entity tag that was listed.
    pub async fn start_of(
        &self,
        bucket: &str,
        object: &ObjectVersion,
        most_bytes: u64,
    ) -> Result<Bytes, S3Error> {
        let range = format!("bytes=0-{}", most_bytes.saturating_sub(1));
        let pick = Pick::IfMatch(&object.etag);
        let answer = self.ask(bucket, &object.key, pick, Some(range)).await?;
        let pieces = collected(answer.body, bucket, &object.key).await?;
        Ok(pieces.into_bytes())
    }

    async fn ask(
        &self,
        bucket: &str,
        key: &str,
        pick: Pick<'_>,
        range: Option<String>,
    ) -> Result<GetObjectOutput, S3Error> {
        let request = self
            .connection
            .client()
            .get_object()
            .bucket(bucket)
            .key(key)
            .set_range(range);
        let request = match pick {
            Pick::Current => request,
            Pick::IfMatch(etag) => request.if_match(quoted(etag)),
            Pick::Version(version) => request.version_id(version),
        };
        let answer = request.send().await;
        answer.map_err(|error| S3Error::from_sdk(format!("read s3://{bucket}/{key}"), &error))
    }

    /// Reads an object whole, or `None` where there is none.
    pub async fn find(&self, bucket: &str, key: &str) -> Result<Option<Object>, S3Error> {
        match self.get(bucket, key, Pick::Current).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.kind == S3ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The entity tag of a version, the current one by default, or `None` where there is none.
    pub async fn etag(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<Option<String>, S3Error> {
        let answer = self
            .connection
            .client()
            .head_object()
            .bucket(bucket)
            .key(key)
            .set_version_id(version.map(str::to_owned))
            .send()
            .await;
        match answer {
            Ok(head) => Ok(Some(unquoted(head.e_tag()))),
            Err(error) => {
                let error = S3Error::from_sdk(format!("look at s3://{bucket}/{key}"), &error);
                match error.kind {
                    S3ErrorKind::NotFound => Ok(None),
                    _ => Err(error),
                }
            }
        }
    }

    /// A store over one bucket that refuses every write, for Delta and DataFusion while planning.
    pub fn store(&self, bucket: &str) -> Result<Arc<dyn ObjectStore>, S3Error> {
        Ok(Arc::new(ReadOnlyStore::new(self.connection.store(bucket)?)))
    }
}

impl WriteS3 {
    /// A writer over `connection`.
    pub fn new(connection: Connection) -> Self {
        Self {
            read: ReadS3::new(connection),
        }
    }

    /// The reading half.
    pub fn read(&self) -> &ReadS3 {
        &self.read
    }

    /// A store over one bucket that can write.
    pub fn store(&self, bucket: &str) -> Result<Arc<dyn ObjectStore>, S3Error> {
        self.read.connection.store(bucket)
    }

    /// Makes a bucket; one that we own already is fine.
    pub async fn create_bucket(&self, bucket: &str) -> Result<(), S3Error> {
        let answer = self
            .read
            .connection
            .client()
            .create_bucket()
            .bucket(bucket)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(aws_sdk_s3::operation::create_bucket::CreateBucketError::is_bucket_already_owned_by_you) =>
            {
                Ok(())
            }
            Err(error) => Err(S3Error::from_sdk(format!("create bucket {bucket}"), &error)),
        }
    }

    /// Turns on object versions in a bucket.
    pub async fn enable_versioning(&self, bucket: &str) -> Result<(), S3Error> {
        use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
        self.read
            .connection
            .client()
            .put_bucket_versioning()
            .bucket(bucket)
            .versioning_configuration(
                VersioningConfiguration::builder()
                    .status(BucketVersioningStatus::Enabled)
                    .build(),
            )
            .send()
            .await
            .map_err(|error| {
                S3Error::from_sdk(format!("turn on versions in bucket {bucket}"), &error)
            })?;
        Ok(())
    }

    /// Writes an object; returns its entity tag.
    pub async fn put(
        &self,
        bucket: &str,
        key: &str,
        body: impl Into<Bytes>,
        condition: PutIf<'_>,
    ) -> Result<String, S3Error> {
        let object = Object {
            bytes: body.into(),
            ..Object::default()
        };
        self.put_like(bucket, key, object, condition).await
    }

    /// Writes an object with the metadata that `object` carries; returns its entity tag.
    ///
    /// A refused condition may be our own success, whose answer was lost on the way and which the client
    /// tried again: it is, if what lies there is what was to be written.
    pub async fn put_like(
        &self,
        bucket: &str,
        key: &str,
        object: Object,
        condition: PutIf<'_>,
    ) -> Result<String, S3Error> {
        let bytes = object.bytes.clone();
        match self.try_put(bucket, key, object, condition).await {
            Err(error) if error.kind == S3ErrorKind::Precondition => {
                match self.read.find(bucket, key).await? {
                    Some(there) if there.bytes == bytes => Ok(there.etag),
                    _ => Err(error),
                }
            }
            outcome => outcome,
        }
    }

    /// Writes the file at `local` as an object under a name that was never used. Should there be an object
    /// all the same, it is our own, whose answer was lost on the way.
    pub async fn put_file(&self, bucket: &str, key: &str, local: &Path) -> Result<(), S3Error> {
        let attempted = || format!("write s3://{bucket}/{key}");
        let body = ByteStream::from_path(local)
            .await
            .map_err(|error| S3Error::new(attempted(), error.to_string(), S3ErrorKind::Other))?;
        let answer = self
            .read
            .connection
            .client()
            .put_object()
            .bucket(bucket)
            .key(key)
            .if_none_match("*")
            .body(body)
            .send()
            .await
            .map_err(|error| S3Error::from_sdk(attempted(), &error));
        match answer {
            Err(error) if error.kind != S3ErrorKind::Precondition => Err(error),
            _ => Ok(()),
        }
    }

    async fn try_put(
        &self,
        bucket: &str,
        key: &str,
        object: Object,
        condition: PutIf<'_>,
    ) -> Result<String, S3Error> {
        let request = self
            .read
            .connection
            .client()
            .put_object()
            .bucket(bucket)
            .key(key);
        let request = match condition {
            PutIf::Always => request,
            PutIf::Absent => request.if_none_match("*"),
            PutIf::Matches(etag) => request.if_match(quoted(etag)),
        };
        let answer = request
            .set_metadata(Some(object.metadata.into_iter().collect()))
            .set_content_type(object.content_type)
            .set_content_encoding(object.content_encoding)
            .set_content_disposition(object.content_disposition)
            .set_content_language(object.content_language)
            .set_cache_control(object.cache_control)
            .set_storage_class(object.storage_class)
            .set_server_side_encryption(object.encryption)
            .set_ssekms_key_id(object.kms_key)
            .set_tagging(object.tags)
            .body(ByteStream::from(object.bytes))
            .send()
            .await
            .map_err(|error| S3Error::from_sdk(format!("write s3://{bucket}/{key}"), &error))?;
        Ok(unquoted(answer.e_tag()))
    }
}

async fn collected(body: ByteStream, bucket: &str, key: &str) -> Result<AggregatedBytes, S3Error> {
    let pieces = body.collect().await;
    pieces.map_err(|error| broken_off(bucket, key, &error))
}

/// An answer that stopped in the middle.
fn broken_off(bucket: &str, key: &str, error: &dyn std::fmt::Display) -> S3Error {
    let attempted = format!("read s3://{bucket}/{key}");
    S3Error::new(attempted, error.to_string(), S3ErrorKind::Unreachable)
}

fn version_of(version: &aws_sdk_s3::types::ObjectVersion) -> ObjectVersion {
    ObjectVersion {
        key: version.key().unwrap_or_default().to_owned(),
        version: version.version_id().unwrap_or("null").to_owned(),
        etag: unquoted(version.e_tag()),
        size: version
            .size()
            .and_then(|size| u64::try_from(size).ok())
            .unwrap_or(0),
        latest: version.is_latest().unwrap_or(false),
        marker: false,
        last_modified: version
            .last_modified()
            .and_then(time_of)
            .unwrap_or_default(),
    }
}

fn marker_of(marker: &aws_sdk_s3::types::DeleteMarkerEntry) -> ObjectVersion {
    ObjectVersion {
        key: marker.key().unwrap_or_default().to_owned(),
        version: marker.version_id().unwrap_or("null").to_owned(),
        etag: String::new(),
        size: 0,
        latest: marker.is_latest().unwrap_or(false),
        marker: true,
        last_modified: marker.last_modified().and_then(time_of).unwrap_or_default(),
    }
}

fn time_of(time: &aws_sdk_s3::primitives::DateTime) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(time.secs(), time.subsec_nanos())
}

fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

fn unquoted(etag: Option<&str>) -> String {
    etag.unwrap_or_default().trim_matches('"').to_owned()
}
