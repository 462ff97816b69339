//! The bytes of one object version: there already, or fetched range by range.

use std::ops::Range;

use bytes::Bytes;

use crate::lake::error::S3Error;
use crate::lake::s3::{ObjectVersion, Pick, ReadS3};

/// An object version that can be read in parts.
pub(super) struct Source<'a> {
    pub s3: &'a ReadS3,
    pub bucket: &'a str,
    pub version: &'a ObjectVersion,
    /// All of it, if it is small.
    pub whole: Option<Bytes>,
}

impl Source<'_> {
    /// Its size in bytes, as far as the listing is right.
    pub fn size(&self) -> u64 {
        match &self.whole {
            Some(whole) => whole.len() as u64,
            None => self.version.size,
        }
    }

    /// Some of its bytes; fewer where it ends before.
    pub async fn range(&self, range: Range<u64>) -> Result<Bytes, S3Error> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        if let Some(whole) = &self.whole {
            let within = |place: u64| {
                usize::try_from(place).map_or(whole.len(), |place| place.min(whole.len()))
            };
            return Ok(whole.slice(within(range.start)..within(range.end)));
        }
        let (key, pick) = (&self.version.key, Pick::Version(&self.version.version));
        let part = self.s3.get_range(self.bucket, key, pick, range).await?;
        Ok(part.bytes)
    }

    /// Its tags: names and values.
    pub async fn tags(&self) -> Result<Vec<(String, String)>, S3Error> {
        let version = &self.version.version;
        self.s3.tags(self.bucket, &self.version.key, version).await
    }
}
