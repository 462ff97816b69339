//! What is kept on disk about a bucket, a version and an upload, as JSON.
//!
//! One file a version: whatever changes the state of a key writes or removes
//! exactly one record, so one rename decides. Unknown fields are ignored and
//! missing ones have defaults, so folders written by older releases open.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use s3s::dto;
use serde::{Deserialize, Serialize};

use super::object_lock::{BucketLock, ObjectLock};
use crate::embedded::checksums::{ChecksumAlgorithm, StoredChecksum};

/// Whether a bucket keeps replaced and deleted versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Versioning {
    /// Never switched on: a key has one version, the null version.
    #[default]
    Off,
    Enabled,
    /// Was on: writes replace the null version, older versions stay.
    Suspended,
}

/// A bucket's own settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BucketSettings {
    pub created: DateTime<Utc>,
    #[serde(default)]
    pub versioning: Versioning,
    /// The location constraint it was created with, if any.
    #[serde(default)]
    pub region: Option<String>,
    /// `None` until Object Lock is switched on.
    #[serde(default)]
    pub object_lock: Option<BucketLock>,
    /// Kept as they came in, and not carried out.
    #[serde(default)]
    pub lifecycle: Option<dto::LifecycleRules>,
}

/// One version of an object, or a delete marker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VersionRecord {
    pub key: String,
    /// `None` is the null version.
    pub version_id: Option<String>,
    /// Orders the versions of a key: the highest is the current one.
    pub sequence: u64,
    /// Whole seconds, as S3 has it.
    pub last_modified: DateTime<Utc>,
    /// `None` is a delete marker.
    pub content: Option<Content>,
}

/// The body of a version and all that is told about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// Name of the file under the bucket's `bodies` folder.
    pub body: String,
    /// Bytes.
    pub size: u64,
    /// Without quotes.
    pub etag: String,
    /// Bytes of each part of a multipart upload; empty otherwise.
    #[serde(default)]
    pub part_sizes: Vec<u64>,
    /// The upload this came from, so that one left over by a kill is recognised.
    #[serde(default)]
    pub upload_id: Option<String>,
    #[serde(default)]
    pub headers: ObjectHeaders,
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    #[serde(default)]
    pub tags: Tags,
    #[serde(default)]
    pub lock: ObjectLock,
    #[serde(default)]
    pub checksum: Option<StoredChecksum>,
}

/// An object's tags by their keys.
pub type Tags = BTreeMap<String, String>;

/// The headers that S3 keeps with an object and gives back.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ObjectHeaders {
    pub cache_control: Option<String>,
    pub content_disposition: Option<String>,
    pub content_encoding: Option<String>,
    pub content_language: Option<String>,
    pub content_type: Option<String>,
    pub expires: Option<dto::Timestamp>,
    pub website_redirect_location: Option<String>,
    /// `None` is `STANDARD`.
    pub storage_class: Option<String>,
    pub encryption: Option<Encryption>,
}

/// The server-side encryption that a client asked for. It is told, not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encryption {
    /// `AES256`, `aws:kms` or `aws:kms:dsse`.
    pub algorithm: String,
    #[serde(default)]
    pub kms_key_id: Option<String>,
    #[serde(default)]
    pub bucket_key: Option<bool>,
}

/// A multipart upload that is neither complete nor aborted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UploadRecord {
    pub upload_id: String,
    pub key: String,
    pub initiated: DateTime<Utc>,
    #[serde(default)]
    pub headers: ObjectHeaders,
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    #[serde(default)]
    pub tags: Tags,
    /// What the client asked for; a default retention begins with the object.
    #[serde(default)]
    pub lock: ObjectLock,
    #[serde(default)]
    pub checksum_algorithm: Option<ChecksumAlgorithm>,
    /// The checksum covers the whole object instead of the parts' checksums.
    #[serde(default)]
    pub full_object_checksum: bool,
}

/// One part of an upload.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PartRecord {
    pub number: i32,
    pub body: String,
    pub size: u64,
    pub etag: String,
    pub last_modified: DateTime<Utc>,
    #[serde(default)]
    pub checksum: Option<StoredChecksum>,
}

impl Encryption {
    pub fn uses_kms(&self) -> bool {
        self.algorithm != dto::ServerSideEncryption::AES256
    }
}

impl VersionRecord {
    pub fn is_delete_marker(&self) -> bool {
        self.content.is_none()
    }

    /// The id as the API shows it in a bucket that has versions.
    pub fn shown_id(&self) -> &str {
        self.version_id.as_deref().unwrap_or(NULL_VERSION)
    }
}

/// How the API names the version that an unversioned write makes.
pub const NULL_VERSION: &str = "null";
