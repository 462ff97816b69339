//! Deleting object versions: the one place that does.

use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use futures::{StreamExt, TryStreamExt};

use super::{ObjectVersion, WriteS3};
use crate::lake::error::{S3Error, S3ErrorKind};

/// S3 deletes at most so many versions in one request.
const DELETE_BATCH: usize = 1000;
const LOOK_AT_ONCE: usize = 32;

impl WriteS3 {
    /// Physically removes these versions, and nothing that came after them; answers how many there were.
    #[expect(clippy::disallowed_methods, reason = "the one place that deletes")]
    pub async fn delete_versions(
        &self,
        bucket: &str,
        versions: &[ObjectVersion],
    ) -> Result<u64, S3Error> {
        let meant = self.still_meant(bucket, versions).await?;
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
            let answer = self
                .read
                .connection
                .client()
                .delete_objects()
                .bucket(bucket)
                .delete(delete.build().map_err(invalid)?)
                .send()
                .await
                .map_err(|error| S3Error::from_sdk(attempted(), &error))?;
            if let Some(error) = answer.errors().first() {
                let code = error.code().unwrap_or("no code");
                let kind = match code {
                    "AccessDenied" => S3ErrorKind::AccessDenied,
                    _ => S3ErrorKind::Other,
                };
                let reason = format!(
                    "{} of them stay, first s3://{bucket}/{} ({code})",
                    answer.errors().len(),
                    error.key().unwrap_or_default(),
                );
                return Err(S3Error::new(attempted(), reason, kind));
            }
        }
        Ok(meant.len() as u64)
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
