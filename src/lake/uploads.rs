//! Unfinished multipart uploads: bytes that no listing of objects shows, and that nobody can read.

use serde::{Deserialize, Serialize};

use super::error::{S3Error, S3ErrorKind};
use super::s3::{ReadS3, Upload};
use crate::policy::{Policies, S3Location};

/// An unfinished upload, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PlacedUpload {
    /// The bucket.
    pub bucket: String,
    /// The upload.
    #[serde(flatten)]
    pub upload: Upload,
}

/// What is unfinished in the lake and in the raw locations.
#[derive(Debug, Default)]
pub struct Unfinished {
    /// The uploads.
    pub uploads: Vec<PlacedUpload>,
    /// Locations whose uploads the credentials may not list.
    pub refused: Vec<S3Error>,
}

impl Unfinished {
    /// Lists the uploads, a request a location.
    pub async fn gather(s3: &ReadS3, policies: &Policies) -> Result<Self, S3Error> {
        let raw = policies.datasets.iter().map(|policy| &policy.raw.location);
        let places: Vec<&S3Location> = raw.chain([&policies.lake.location]).collect();
        let mut unfinished = Self::default();
        for place in places {
            let uploads = match s3.uploads(&place.bucket, &place.prefix).await {
                Ok(uploads) => uploads,
                Err(error) if error.kind == S3ErrorKind::AccessDenied => {
                    unfinished.refused.push(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            unfinished
                .uploads
                .extend(uploads.into_iter().map(|upload| PlacedUpload {
                    bucket: place.bucket.clone(),
                    upload,
                }));
        }
        Ok(unfinished)
    }
}
