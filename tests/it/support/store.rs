//! A lake's buckets as their owners see them: through S3, in this process, with the AWS SDK.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::primitives::DateTimeFormat;
use aws_sdk_s3::types::{
    BucketVersioningStatus, DefaultRetention, LifecycleRule, ObjectLockConfiguration,
    ObjectLockEnabled, ObjectLockLegalHold, ObjectLockRetentionMode, ObjectLockRule,
    ServerSideEncryption, StorageClass, VersioningConfiguration,
};
use chrono::{DateTime, Utc};
use lakewarden::embedded::EmbeddedS3;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::lifecycle;

/// The folder is open, hence closed to other processes, as long as this lives.
pub struct Store {
    runtime: Runtime,
    client: Client,
}

/// One version of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    pub key: String,
    pub id: String,
    pub latest: bool,
    pub bytes: Vec<u8>,
}

impl Store {
    pub fn open(root: &Path, now: DateTime<Utc>) -> Self {
        let server = EmbeddedS3::open_with_clock(root, Arc::new(move || now)).unwrap();
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(EmbeddedS3::REGION))
            .force_path_style(true)
            .endpoint_url(EmbeddedS3::ENDPOINT)
            .credentials_provider(Credentials::new(
                EmbeddedS3::ACCESS_KEY,
                EmbeddedS3::SECRET_KEY,
                None,
                None,
                "test",
            ))
            .http_client(server.sdk_http_client())
            .build();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Self {
            runtime,
            client: Client::from_conf(config),
        }
    }

    /// Makes a bucket that keeps versions.
    pub fn create_bucket(&self, bucket: &str) {
        let versioning = VersioningConfiguration::builder()
            .status(BucketVersioningStatus::Enabled)
            .build();
        self.runtime.block_on(async {
            self.client
                .create_bucket()
                .bucket(bucket)
                .send()
                .await
                .unwrap();
            self.client
                .put_bucket_versioning()
                .bucket(bucket)
                .versioning_configuration(versioning)
                .send()
                .await
                .unwrap();
        });
    }

    /// Makes a bucket that keeps none.
    pub fn create_bucket_without_versions(&self, bucket: &str) {
        let sent = self.client.create_bucket().bucket(bucket).send();
        self.runtime.block_on(sent).unwrap();
    }

    /// Gives a bucket these lifecycle rules, in the shape of `aws s3api`.
    pub fn put_lifecycle(&self, bucket: &str, rules: &Value) {
        let request = self.client.put_bucket_lifecycle_configuration();
        let request = request.bucket(bucket);
        let request = request.lifecycle_configuration(lifecycle::configuration(rules));
        self.runtime.block_on(request.send()).unwrap();
    }

    /// The lifecycle rules of a bucket that has some.
    pub fn lifecycle(&self, bucket: &str) -> Vec<LifecycleRule> {
        let request = self.client.get_bucket_lifecycle_configuration();
        let sent = request.bucket(bucket).send();
        self.runtime.block_on(sent).unwrap().rules().to_vec()
    }

    /// Takes all lifecycle rules from a bucket.
    pub fn delete_lifecycle(&self, bucket: &str) {
        let sent = self.client.delete_bucket_lifecycle().bucket(bucket).send();
        self.runtime.block_on(sent).unwrap();
    }

    /// Begins a multipart upload and leaves it; its id.
    pub fn begin_upload(&self, bucket: &str, key: &str) -> String {
        let request = self.client.create_multipart_upload();
        let sent = request.bucket(bucket).key(key).send();
        let begun = self.runtime.block_on(sent).unwrap();
        begun.upload_id().unwrap().to_owned()
    }

    /// The keys of unfinished uploads.
    pub fn uploads(&self, bucket: &str) -> Vec<String> {
        let sent = self.client.list_multipart_uploads().bucket(bucket).send();
        let answer = self.runtime.block_on(sent).unwrap();
        let uploads = answer.uploads().iter();
        uploads
            .map(|upload| upload.key().unwrap().to_owned())
            .collect()
    }

    /// With all that a service may give an object.
    pub fn put_dressed(&self, bucket: &str, key: &str, body: Vec<u8>) {
        let request = self.client.put_object().bucket(bucket).key(key);
        let sent = request
            .body(body.into())
            .tagging("team=cart%20%2B%20more&tier=1")
            .metadata("origin", "connect")
            .storage_class(StorageClass::StandardIa)
            .server_side_encryption(ServerSideEncryption::Aes256)
            .content_type("application/x-ndjson")
            .cache_control("no-store")
            .send();
        self.runtime.block_on(sent).unwrap();
    }

    /// What an object was given beside its bytes.
    pub fn dress(&self, bucket: &str, key: &str) -> BTreeMap<String, String> {
        let head = self.client.head_object().bucket(bucket).key(key).send();
        let head = self.runtime.block_on(head).unwrap();
        let tags = self
            .client
            .get_object_tagging()
            .bucket(bucket)
            .key(key)
            .send();
        let tags = self.runtime.block_on(tags).unwrap();
        let tags = tags.tag_set().iter();
        let mut dress: BTreeMap<String, String> = tags
            .map(|tag| (format!("tag {}", tag.key()), tag.value().to_owned()))
            .collect();
        let metadata = head.metadata().into_iter().flatten();
        dress.extend(metadata.map(|(name, value)| (format!("metadata {name}"), value.clone())));
        let headers = [
            (
                "storage class",
                head.storage_class().map(StorageClass::as_str),
            ),
            (
                "encryption",
                head.server_side_encryption()
                    .map(ServerSideEncryption::as_str),
            ),
            ("content type", head.content_type()),
            ("cache control", head.cache_control()),
        ];
        for (name, value) in headers {
            dress.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        }
        dress
    }

    pub fn put_tagged(&self, bucket: &str, key: &str, body: Vec<u8>, tags: &str) {
        let request = self.client.put_object().bucket(bucket).key(key);
        let sent = request.body(body.into()).tagging(tags).send();
        self.runtime.block_on(sent).unwrap();
    }

    pub fn put_of_class(&self, bucket: &str, key: &str, body: Vec<u8>, class: &str) {
        let request = self.client.put_object().bucket(bucket).key(key);
        let sent = request.body(body.into()).storage_class(class.into()).send();
        self.runtime.block_on(sent).unwrap();
    }

    /// Puts an object that Object Lock keeps until then; the bucket gets Object Lock for it.
    pub fn put_locked(&self, bucket: &str, key: &str, body: Vec<u8>, mode: &str, until: &str) {
        let enabled = ObjectLockConfiguration::builder()
            .object_lock_enabled(ObjectLockEnabled::Enabled)
            .build();
        let request = self.client.put_object_lock_configuration().bucket(bucket);
        let sent = request.object_lock_configuration(enabled).send();
        self.runtime.block_on(sent).unwrap();
        let until =
            aws_sdk_s3::primitives::DateTime::from_str(until, DateTimeFormat::DateTime).unwrap();
        let request = self.client.put_object().bucket(bucket).key(key);
        let sent = request
            .body(body.into())
            .object_lock_mode(mode.into())
            .object_lock_retain_until_date(until)
            .send();
        self.runtime.block_on(sent).unwrap();
    }

    /// Whatever is put into the bucket from now on is locked for so many days, in governance mode.
    pub fn lock_by_default(&self, bucket: &str, days: i32) {
        let retention = DefaultRetention::builder();
        let retention = retention.mode(ObjectLockRetentionMode::Governance);
        let rule = ObjectLockRule::builder()
            .default_retention(retention.days(days).build())
            .build();
        let configuration = ObjectLockConfiguration::builder()
            .object_lock_enabled(ObjectLockEnabled::Enabled)
            .rule(rule)
            .build();
        let request = self.client.put_object_lock_configuration().bucket(bucket);
        let sent = request.object_lock_configuration(configuration).send();
        self.runtime.block_on(sent).unwrap();
    }

    /// Puts the current version under a legal hold (`ON`), or takes it away (`OFF`).
    pub fn set_legal_hold(&self, bucket: &str, key: &str, status: &str) {
        let hold = ObjectLockLegalHold::builder().status(status.into()).build();
        let request = self.client.put_object_legal_hold().bucket(bucket).key(key);
        let sent = request.legal_hold(hold).send();
        self.runtime.block_on(sent).unwrap();
    }

    pub fn put(&self, bucket: &str, key: &str, body: impl Into<Vec<u8>>) {
        let request = self.client.put_object().bucket(bucket).key(key);
        let sent = request.body(body.into().into()).send();
        self.runtime.block_on(sent).unwrap();
    }

    /// All versions under `prefix` with their bytes, delete markers aside.
    pub fn versions(&self, bucket: &str, prefix: &str) -> Vec<Version> {
        self.runtime.block_on(async {
            let listed = self.client.list_object_versions();
            let page = listed.bucket(bucket).prefix(prefix).send().await.unwrap();
            assert_ne!(page.is_truncated(), Some(true), "more than one page");
            let mut versions = Vec::new();
            for version in page.versions() {
                let (key, id) = (version.key().unwrap(), version.version_id().unwrap());
                let got = self.client.get_object().bucket(bucket).key(key);
                let got = got.version_id(id).send().await.unwrap();
                versions.push(Version {
                    key: key.to_owned(),
                    id: id.to_owned(),
                    latest: version.is_latest() == Some(true),
                    bytes: got.body.collect().await.unwrap().to_vec(),
                });
            }
            versions
        })
    }

    /// Keys of the delete markers in a bucket.
    pub fn markers(&self, bucket: &str) -> Vec<String> {
        self.runtime.block_on(async {
            let listed = self.client.list_object_versions().bucket(bucket).send();
            let markers = listed.await.unwrap().delete_markers.unwrap_or_default();
            markers
                .into_iter()
                .filter_map(|marker| marker.key)
                .collect()
        })
    }

    /// The current object, if there is one.
    pub fn current(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        let mut versions = self.versions(bucket, key);
        versions.retain(|version| version.key == key && version.latest);
        versions.pop().map(|version| version.bytes)
    }

    /// Deletes an object as its owner would: the versions stay, under a delete marker.
    #[expect(clippy::disallowed_methods, reason = "the test is the bucket's owner")]
    pub fn delete(&self, bucket: &str, key: &str) {
        let sent = self.client.delete_object().bucket(bucket).key(key).send();
        self.runtime.block_on(sent).unwrap();
    }

    /// Removes every version under `prefix` for good.
    #[expect(clippy::disallowed_methods, reason = "the test is the bucket's owner")]
    pub fn remove_all(&self, bucket: &str, prefix: &str) {
        let listed = self
            .client
            .list_object_versions()
            .bucket(bucket)
            .prefix(prefix);
        let page = self.runtime.block_on(listed.send()).unwrap();
        for version in page.versions() {
            let request = self.client.delete_object().bucket(bucket);
            let request = request.set_key(version.key.clone());
            let sent = request.set_version_id(version.version_id.clone()).send();
            self.runtime.block_on(sent).unwrap();
        }
    }
}
