//! Objects, their versions, and which of them a request means.

use std::collections::BTreeMap;

use aws_sdk_s3::types::{ServerSideEncryption, StorageClass};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// One object version, as a listing tells it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectVersion {
    /// The object's key in its bucket.
    pub key: String,
    /// The version id; `null` where the bucket keeps no versions.
    pub version: String,
    /// The entity tag, without quotes; empty for a delete marker.
    pub etag: String,
    /// Size in bytes.
    pub size: u64,
    /// Whether this is what a reader without a version id gets.
    pub latest: bool,
    /// Whether this is a delete marker.
    pub marker: bool,
    /// When S3 received it. Never an event's age.
    pub last_modified: DateTime<Utc>,
}

impl ObjectVersion {
    /// Whether it is an object that a reader without a version id gets.
    pub fn is_current(&self) -> bool {
        self.latest && !self.marker
    }
}

/// An unfinished multipart upload.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Upload {
    /// The key it would get.
    pub key: String,
    /// Its id.
    pub id: String,
    /// When it began.
    pub initiated: Option<DateTime<Utc>>,
}

/// An object's bytes, with what a faithful rewrite of it must keep.
#[derive(Debug, Clone, Default)]
pub struct Object {
    /// The body.
    pub bytes: Bytes,
    /// The entity tag, without quotes.
    pub etag: String,
    /// User metadata.
    pub metadata: BTreeMap<String, String>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// The storage class, when it is not the standard one.
    pub storage_class: Option<StorageClass>,
    /// How the server encrypts it.
    pub encryption: Option<ServerSideEncryption>,
    /// With which KMS key, if it is one.
    pub kms_key: Option<String>,
    /// Whether it has tags; see [`super::ReadS3::tags`].
    pub has_tags: bool,
    /// Tags to write it with, as a query string.
    pub tags: Option<String>,
}

/// Which version of an object to read.
#[derive(Debug, Clone, Copy)]
pub enum Pick<'a> {
    /// The current one.
    Current,
    /// The current one, if it still has this entity tag.
    IfMatch(&'a str),
    /// This version.
    Version(&'a str),
}

/// A condition on a write.
#[derive(Debug, Clone, Copy)]
pub enum PutIf<'a> {
    /// Whatever is there.
    Always,
    /// Only if nothing is there.
    Absent,
    /// Only if the object there has this entity tag.
    Matches(&'a str),
}

/// Versions by key, newest first within a key.
pub fn by_key(versions: &[ObjectVersion]) -> BTreeMap<&str, Vec<&ObjectVersion>> {
    let mut keys: BTreeMap<&str, Vec<&ObjectVersion>> = BTreeMap::new();
    for version in versions {
        keys.entry(&version.key).or_default().push(version);
    }
    keys
}
