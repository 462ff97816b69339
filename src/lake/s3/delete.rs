//! Deleting object versions: the one place that does.
//!
//! What may not go keeps nothing else from going, but for what hides it: the current version of a key goes
//! last and only if all else of the key went that was to go, or an older version would come to light.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use futures::{StreamExt, TryStreamExt};

use super::{ObjectLocking, ObjectVersion, Obstacle, ReadS3, Upload, WriteS3};
use crate::lake::error::{S3Error, S3ErrorKind};

/// S3 deletes at most so many versions in one request.
const DELETE_BATCH: usize = 1000;
const LOOK_AT_ONCE: usize = 32;
/// Waited before each further attempt at what failed for a passing reason. The SDK tries whole requests
/// again, but not the parts of one.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_millis(1600),
];

/// What came of deleting object versions.
#[derive(Debug, Default)]
pub struct Deletion {
    /// How many are gone.
    pub gone: u64,
    /// Those that are not.
    pub kept: Vec<Kept>,
}

/// A version that could not be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The object's key.
    pub key: String,
    /// Why: what is in its own way, or in that of a version that it hides.
    pub why: Obstacle,
}

impl WriteS3 {
    /// Physically removes these versions, and nothing that came after them; answers how many there were.
    /// One that may not go yet keeps no other from going; the error says when it may.
    pub async fn delete_versions(
        &self,
        bucket: &str,
        versions: &[ObjectVersion],
    ) -> Result<u64, S3Error> {
        let Deletion { gone, kept } = self.delete_what_may_go(bucket, versions).await?;
        let Some(Kept { key, why }) = kept.first() else {
            return Ok(gone);
        };
        let count = kept.len();
        let attempted = format!("delete {count} object versions in s3://{bucket}, first {key}");
        Err(S3Error::new(attempted, why.to_string(), why.kind()))
    }

    /// The same for those who can go on without some of them gone: an error says that nothing could be
    /// asked, not that something stays.
    pub async fn delete_what_may_go(
        &self,
        bucket: &str,
        versions: &[ObjectVersion],
    ) -> Result<Deletion, S3Error> {
        let mut meant = self.still_meant(bucket, versions).await?;
        let count = meant.len();
        let current: Vec<&ObjectVersion> = meant.extract_if(.., |version| version.latest).collect();
        let mut kept = self.delete_in_batches(bucket, &meant).await?;
        let in_the_way: BTreeMap<&str, &Obstacle> = kept
            .iter()
            .map(|kept| (kept.key.as_str(), &kept.why))
            .collect();
        let (mut free, mut hiding) = (Vec::new(), Vec::new());
        for version in current {
            match in_the_way.get(version.key.as_str()) {
                None => free.push(version),
                Some(why) => hiding.push(Kept {
                    key: version.key.clone(),
                    why: (*why).clone(),
                }),
            }
        }
        kept.extend(hiding);
        kept.extend(self.delete_in_batches(bucket, &free).await?);
        Ok(Deletion {
            gone: (count - kept.len()) as u64,
            kept,
        })
    }

    /// Answers which stay.
    async fn delete_in_batches(
        &self,
        bucket: &str,
        versions: &[&ObjectVersion],
    ) -> Result<Vec<Kept>, S3Error> {
        let (mut kept, mut denied) = (Vec::new(), Vec::new());
        for batch in versions.chunks(DELETE_BATCH) {
            for (version, code) in self.delete_batch(bucket, batch.to_vec()).await? {
                if kind_of(&code) == Refusal::Denied {
                    denied.push(version);
                } else {
                    kept.push(Kept {
                        key: version.key.clone(),
                        why: Obstacle::Failed(code),
                    });
                }
            }
        }
        kept.extend(self.read.told_why(bucket, denied).await?);
        Ok(kept)
    }

    /// Deletes at most [`DELETE_BATCH`] versions, again those that fail for a passing reason; answers which
    /// stay, with the error code.
    async fn delete_batch<'a>(
        &self,
        bucket: &str,
        mut batch: Vec<&'a ObjectVersion>,
    ) -> Result<Vec<(&'a ObjectVersion, String)>, S3Error> {
        let mut refused = Vec::new();
        let mut pauses = PAUSES.iter();
        loop {
            let mut failed = self.delete_once(bucket, &batch).await?;
            let passing: Vec<(&ObjectVersion, String)> = failed
                .extract_if(.., |(_, code)| kind_of(code) == Refusal::Passing)
                .collect();
            refused.extend(failed);
            let pause = match pauses.next() {
                Some(pause) if !passing.is_empty() => pause,
                _ => {
                    refused.extend(passing);
                    return Ok(refused);
                }
            };
            tokio::time::sleep(*pause).await;
            batch = passing.into_iter().map(|(version, _)| version).collect();
        }
    }

    /// One request; answers which versions it could not delete, with the error code.
    #[expect(clippy::disallowed_methods, reason = "the one place that deletes")]
    async fn delete_once<'a>(
        &self,
        bucket: &str,
        batch: &[&'a ObjectVersion],
    ) -> Result<Vec<(&'a ObjectVersion, String)>, S3Error> {
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
        // Some servers leave the version out.
        let mut codes: BTreeMap<(&str, Option<&str>), &str> = BTreeMap::new();
        for error in answer.errors() {
            let named = (error.key().unwrap_or_default(), error.version_id());
            codes.insert(named, error.code().unwrap_or("no code"));
        }
        let mut failed = Vec::new();
        for version in batch {
            let (key, id) = (version.key.as_str(), version.version.as_str());
            let code = codes.get(&(key, Some(id))).or(codes.get(&(key, None)));
            failed.extend(code.map(|code| (*version, (*code).to_owned())));
        }
        if failed.len() < codes.len() {
            let reason = "the answer names versions that it was not asked about";
            return Err(S3Error::new(attempted(), reason, S3ErrorKind::Other));
        }
        Ok(failed)
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
    /// What is in the way of versions whose deletion was denied.
    async fn told_why(
        &self,
        bucket: &str,
        denied: Vec<&ObjectVersion>,
    ) -> Result<Vec<Kept>, S3Error> {
        let may_be_locked =
            !denied.is_empty() && self.object_locking(bucket).await? != ObjectLocking::Off;
        futures::stream::iter(denied)
            .map(|version| async move {
                let lock = if may_be_locked {
                    self.hindrance(bucket, version).await?.lock
                } else {
                    None
                };
                Ok(Kept {
                    key: version.key.clone(),
                    why: lock.unwrap_or(Obstacle::Denied),
                })
            })
            .buffered(LOOK_AT_ONCE)
            .try_collect()
            .await
    }
}

/// What the code of a refusal says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// Trying again may help.
    Passing,
    /// A lock, a hold, or missing leave.
    Denied,
    /// Something else that stays.
    Lasting,
}

fn kind_of(code: &str) -> Refusal {
    match code {
        "InternalError"
        | "InternalServerError"
        | "ServiceUnavailable"
        | "ServerBusy"
        | "SlowDown"
        | "RequestTimeout"
        | "OperationAborted"
        | "BadGateway"
        | "GatewayTimeout"
        | "500"
        | "502"
        | "503"
        | "504" => Refusal::Passing,
        "AccessDenied" | "Forbidden" | "AllAccessDisabled" | "ObjectLocked"
        | "InvalidRetention" => Refusal::Denied,
        _ => Refusal::Lasting,
    }
}

#[cfg(test)]
mod tests;
