//! The server seen through its clients, in process and over a socket.

#![expect(clippy::disallowed_methods, reason = "deleting is what is tested here")]

mod encryption;
mod lifecycle;
mod listing;
mod model;
mod multipart;
mod object_lock;
mod objects;
mod recovery;
mod tags;
mod through_object_store;
mod versions;
mod wire;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use tempfile::TempDir;

use super::{Clock, EmbeddedOptions, EmbeddedS3};

const BUCKET: &str = "lake";

/// A server over a folder of its own, with one bucket.
struct Lake {
    folder: TempDir,
    clock: Clock,
    s3: EmbeddedS3,
    client: Client,
}

fn client_of(s3: &EmbeddedS3) -> Client {
    let config = sdk_config(EmbeddedS3::ENDPOINT);
    Client::from_conf(config.http_client(s3.sdk_http_client()).build())
}

fn sdk_config(endpoint: &str) -> aws_sdk_s3::config::Builder {
    let credentials = Credentials::new(
        EmbeddedS3::ACCESS_KEY,
        EmbeddedS3::SECRET_KEY,
        None,
        None,
        "test",
    );
    aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(EmbeddedS3::REGION))
        .credentials_provider(credentials)
        .endpoint_url(endpoint)
        .force_path_style(true)
}

impl Lake {
    async fn new() -> Self {
        let lake = Self::empty(EmbeddedOptions::default().clock);
        let request = lake.client.create_bucket().bucket(BUCKET);
        request.send().await.unwrap();
        lake
    }

    /// Without the bucket.
    fn empty(clock: Clock) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let s3 = EmbeddedS3::open_with_clock(folder.path(), Arc::clone(&clock)).unwrap();
        let client = client_of(&s3);
        Self {
            folder,
            clock,
            s3,
            client,
        }
    }

    async fn versioned() -> Self {
        let lake = Self::new().await;
        lake.set_versioning(BucketVersioningStatus::Enabled).await;
        lake
    }

    async fn set_versioning(&self, status: BucketVersioningStatus) {
        let configuration = VersioningConfiguration::builder().status(status).build();
        let request = self.client.put_bucket_versioning().bucket(BUCKET);
        let request = request.versioning_configuration(configuration);
        request.send().await.unwrap();
    }

    /// Closes the folder, lets `meanwhile` change it and opens it again.
    fn reopened(self, meanwhile: impl FnOnce(&Path)) -> Self {
        let Self {
            folder,
            clock,
            s3,
            client,
        } = self;
        drop((s3, client));
        meanwhile(folder.path());
        let s3 = EmbeddedS3::open_with_clock(folder.path(), Arc::clone(&clock)).unwrap();
        let client = client_of(&s3);
        Self {
            folder,
            clock,
            s3,
            client,
        }
    }

    /// The version id, where the bucket has versions.
    async fn put(&self, key: &str, body: &[u8]) -> String {
        let request = self.client.put_object().bucket(BUCKET).key(key);
        let request = request.body(ByteStream::from(body.to_vec()));
        let put = request.send().await.unwrap();
        put.version_id().unwrap_or_default().to_owned()
    }

    /// The body, or the error code.
    async fn get(&self, key: &str) -> Result<Vec<u8>, String> {
        self.get_version(key, None).await
    }

    async fn get_version(&self, key: &str, version: Option<&str>) -> Result<Vec<u8>, String> {
        let request = self.client.get_object().bucket(BUCKET).key(key);
        let request = request.set_version_id(version.map(str::to_owned));
        let got = request.send().await.map_err(|error| code_of(&error))?;
        Ok(got.body.collect().await.unwrap().to_vec())
    }

    async fn delete(&self, key: &str, version: Option<&str>) {
        let request = self.client.delete_object().bucket(BUCKET).key(key);
        let request = request.set_version_id(version.map(str::to_owned));
        request.send().await.unwrap();
    }

    async fn keys(&self) -> Vec<String> {
        let request = self.client.list_objects_v2().bucket(BUCKET);
        let listed = request.send().await.unwrap();
        listed
            .contents()
            .iter()
            .map(|object| object.key().unwrap().to_owned())
            .collect()
    }

    /// All versions, newest first within a key: key, id, is a marker, is latest.
    async fn versions(&self) -> Vec<(String, String, bool, bool)> {
        let request = self.client.list_object_versions().bucket(BUCKET);
        let listed = request.send().await.unwrap();
        let mut all = Vec::new();
        for version in listed.versions() {
            let id = version.version_id().unwrap().to_owned();
            let key = version.key().unwrap().to_owned();
            all.push((key, id, false, version.is_latest().unwrap()));
        }
        for marker in listed.delete_markers() {
            let id = marker.version_id().unwrap().to_owned();
            let key = marker.key().unwrap().to_owned();
            all.push((key, id, true, marker.is_latest().unwrap()));
        }
        all
    }

    fn plain(&self, key: &str) -> PathBuf {
        self.folder.path().join(BUCKET).join(key)
    }

    /// Every file below the folder, but the lock.
    fn files(&self) -> Vec<PathBuf> {
        let mut files = files_below(self.folder.path());
        files.retain(|file| file.file_name().unwrap() != "lock");
        files
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

/// The S3 error code, or the HTTP status of an answer that has no body.
fn code_of<E, R>(error: &aws_sdk_s3::error::SdkError<E, R>) -> String
where
    E: aws_sdk_s3::error::ProvideErrorMetadata,
{
    let service = error.as_service_error();
    service
        .and_then(|service| service.code())
        .unwrap_or("no code")
        .to_owned()
}
