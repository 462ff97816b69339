//! S3 Inventory: lists of a bucket that S3 delivers by the day or week, read instead of listing.
//!
//! A delivery is a folder named by the time at which S3 began to scan, with `manifest.json`, which names the
//! data files, and `manifest.checksum`, its MD5. Nothing is taken from a delivery that is not whole: the
//! manifest against its checksum, each file against size and MD5, and every column that is needed.
//!
//! Hazard: it may lack what was put or deleted in the hours before it was made. It only says what to look
//! at: compaction reads with `If-Match`, and what is deleted was listed.

mod rows;

use chrono::{DateTime, NaiveDateTime, Utc};
use futures::{StreamExt, TryStreamExt};
use md5::{Digest, Md5};
use serde::Deserialize;

use crate::lake::error::{S3Error, S3ErrorKind};
use crate::lake::s3::{ObjectVersion, Pick, ReadS3};
use crate::policy::S3Location;
use rows::Format;

/// Data files read at the same time: each is held in memory whole.
const READ_AT_ONCE: usize = 4;
/// How deliveries are named.
const NAME: &str = "%Y-%m-%dT%H-%MZ";

/// Why an inventory was not read.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// Nothing usable is there.
    #[error("no complete delivery has come since {}", .0.format("%Y-%m-%d %H:%M UTC"))]
    NoneSince(DateTime<Utc>),
    /// A delivery is not what it should be.
    #[error("the delivery of {} is refused: {reason}", of.format("%Y-%m-%d %H:%M UTC"))]
    Refused {
        /// When S3 made it.
        of: DateTime<Utc>,
        /// What is wrong with it.
        reason: String,
    },
    /// An S3 request.
    #[error("{0}")]
    Store(#[from] S3Error),
}

/// One inventory of a bucket.
pub struct Delivery {
    /// When S3 began to scan the bucket for it.
    pub of: DateTime<Utc>,
    place: S3Location,
    manifest: Manifest,
    /// Newer deliveries that are not complete.
    incomplete: Vec<DateTime<Utc>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    source_bucket: String,
    file_format: String,
    file_schema: String,
    files: Vec<ManifestFile>,
}

#[derive(Debug, Deserialize)]
struct ManifestFile {
    key: String,
    size: u64,
    #[serde(rename = "MD5checksum")]
    md5: String,
}

impl Delivery {
    /// The newest complete delivery below `place` from after `since`, if there is one.
    pub async fn newest(
        s3: &ReadS3,
        place: &S3Location,
        since: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Option<Self>, InventoryError> {
        let after = place.join(&since.format(NAME).to_string()).prefix;
        let folders = s3
            .folders(&place.bucket, &place.prefix, Some(&after))
            .await?;
        let mut incomplete = Vec::new();
        for folder in folders.iter().rev() {
            let name = folder.strip_prefix(&place.prefix).unwrap_or(folder);
            let Some(of) = time_of(name).filter(|of| since < *of && *of <= now) else {
                continue;
            };
            let read = |file: &str| {
                let key = format!("{folder}{file}");
                async move { s3.find(&place.bucket, &key).await }
            };
            let (manifest, checksum) = (
                read("manifest.json").await?,
                read("manifest.checksum").await?,
            );
            let (Some(manifest), Some(checksum)) = (manifest, checksum) else {
                incomplete.push(of);
                continue;
            };
            return Ok(Some(Self {
                of,
                place: place.clone(),
                manifest: Manifest::read(&manifest.bytes, &checksum.bytes)
                    .map_err(|reason| InventoryError::Refused { of, reason })?,
                incomplete,
            }));
        }
        Ok(None)
    }

    /// The object versions below `location` that it names.
    pub async fn versions(
        &self,
        s3: &ReadS3,
        location: &S3Location,
    ) -> Result<Vec<ObjectVersion>, InventoryError> {
        let manifest = &self.manifest;
        if manifest.source_bucket != location.bucket {
            return Err(self.refused(format!(
                "it is of the bucket {}, not {}",
                manifest.source_bucket, location.bucket
            )));
        }
        let format = Format::of(&manifest.file_format, &manifest.file_schema)
            .map_err(|reason| self.refused(reason))?;
        let mut files = futures::stream::iter(&manifest.files)
            .map(|file| self.read(s3, file))
            .buffered(READ_AT_ONCE);
        let mut found = Vec::new();
        while let Some((file, bytes)) = files.try_next().await? {
            let versions = format.read(bytes, location);
            let versions = versions.map_err(|reason| {
                self.refused(format!("its file {} cannot be read: {reason}", file.key))
            })?;
            found.extend(versions);
        }
        Ok(found)
    }

    async fn read<'file>(
        &self,
        s3: &ReadS3,
        file: &'file ManifestFile,
    ) -> Result<(&'file ManifestFile, bytes::Bytes), InventoryError> {
        let got = s3.get(&self.place.bucket, &file.key, Pick::Current).await;
        let bytes = match got {
            Ok(object) => object.bytes,
            Err(error) if error.kind == S3ErrorKind::NotFound => {
                return Err(self.refused(format!("its file {} is missing", file.key)));
            }
            Err(error) => return Err(error.into()),
        };
        let is_whole = bytes.len() as u64 == file.size && is_md5_of(&file.md5, &bytes);
        if !is_whole {
            let key = &file.key;
            return Err(self.refused(format!(
                "its file {key} is not the one that the manifest names (size or MD5)"
            )));
        }
        Ok((file, bytes))
    }

    /// An error about this delivery.
    pub fn refused(&self, reason: impl Into<String>) -> InventoryError {
        InventoryError::Refused {
            of: self.of,
            reason: reason.into(),
        }
    }

    /// What a person should know of it.
    pub fn findings(&self, dataset: &str) -> Vec<String> {
        let incomplete = self.incomplete.iter();
        incomplete
            .map(|of| {
                format!(
                    "{dataset}: the inventory of {} is not complete; that of {} was read",
                    of.format("%Y-%m-%d %H:%M UTC"),
                    self.of.format("%Y-%m-%d %H:%M UTC")
                )
            })
            .collect()
    }
}

impl Manifest {
    fn read(text: &[u8], checksum: &[u8]) -> Result<Self, String> {
        let checksum = String::from_utf8_lossy(checksum);
        if !is_md5_of(checksum.trim(), text) {
            return Err("manifest.json does not fit manifest.checksum".into());
        }
        serde_json::from_slice(text).map_err(|error| format!("manifest.json is malformed: {error}"))
    }
}

fn is_md5_of(checksum: &str, bytes: &[u8]) -> bool {
    checksum.eq_ignore_ascii_case(&hex::encode(Md5::digest(bytes)))
}

fn time_of(name: &str) -> Option<DateTime<Utc>> {
    let name = name.trim_end_matches('/');
    let time = NaiveDateTime::parse_from_str(name, NAME).ok()?;
    Some(time.and_utc())
}
