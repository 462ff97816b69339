//! Listings of object versions: in key order within a range of keys, and in parallel over many ranges.
//!
//! S3 hands out a thousand versions a request, each page after the one before. So a large listing is first
//! cut into ranges at the folders that a delimiter listing shows, and those are listed at the same time.
//! What is found does not depend on where it is cut: the ranges cover every key, in folders or not.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt};

use super::{LIST_AT_ONCE, ObjectVersion, ReadS3, Upload, marker_of, time_of, version_of};
use crate::lake::error::{S3Error, S3ErrorKind};

/// So many cuts are enough to keep that many requests busy.
const ENOUGH_CUTS: usize = 16;
/// A listing is cut into at most so many ranges.
const MOST_CUTS: usize = 256;
/// Folders are looked for so many levels deep: `year=/month=/day=/hour=`.
const DEEPEST: usize = 4;

/// Keys from `from` (itself included) to `to` (itself excluded); none of them: no limit on that side.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyRange {
    /// The first key.
    pub from: Option<String>,
    /// The first key that is too far.
    pub to: Option<String>,
}

impl KeyRange {
    /// Whether a key lies in it.
    pub fn holds(&self, key: &str) -> bool {
        self.from.as_deref().is_none_or(|from| key >= from) && !self.is_before(key)
    }

    /// Whether all of it comes before a key.
    fn is_before(&self, key: &str) -> bool {
        self.to.as_deref().is_some_and(|to| key >= to)
    }

    /// The same keys in consecutive ranges, cut at those of `cuts` that lie in it.
    fn split(&self, cuts: &BTreeSet<String>) -> Vec<Self> {
        let mut ranges = Vec::new();
        let mut from = self.from.clone();
        for cut in cuts {
            let is_within = self.holds(cut) && from.as_ref() != Some(cut);
            if is_within {
                let to = Some(cut.clone());
                ranges.push(Self { from, to });
                from = Some(cut.clone());
            }
        }
        let to = self.to.clone();
        ranges.push(Self { from, to });
        ranges
    }
}

/// A page of versions, and where the next one begins.
struct Page {
    versions: Vec<ObjectVersion>,
    next: Option<Marker>,
}

/// What a page comes after: a key, or one of its versions.
struct Marker {
    key: String,
    version: Option<String>,
}

impl Marker {
    /// A key before the first one of a range, with hardly any in between. What does lie in between is
    /// dropped later.
    fn before(range: &KeyRange) -> Option<Self> {
        let mut key = range.from.clone()?;
        let last = key.pop()?;
        let before = u32::from(last).checked_sub(1).and_then(char::from_u32);
        if let Some(before) = before.filter(|sign| !sign.is_control()) {
            key.extend([before, '~']);
        }
        let version = None;
        (!key.is_empty()).then_some(Self { key, version })
    }
}

impl ReadS3 {
    /// Unfinished multipart uploads under `prefix`.
    pub async fn uploads(&self, bucket: &str, prefix: &str) -> Result<Vec<Upload>, S3Error> {
        let (mut uploads, mut after) = (Vec::new(), (None, None));
        loop {
            let request = self.connection.client().list_multipart_uploads();
            let request = request.bucket(bucket).prefix(prefix);
            let (key, id) = after;
            let answer = request
                .set_key_marker(key)
                .set_upload_id_marker(id)
                .send()
                .await;
            let answer = answer.map_err(|error| {
                let attempted = format!("list the uploads of s3://{bucket}/{prefix}");
                S3Error::from_sdk(attempted, &error)
            })?;
            uploads.extend(answer.uploads().iter().map(|upload| Upload {
                key: upload.key().unwrap_or_default().to_owned(),
                id: upload.upload_id().unwrap_or_default().to_owned(),
                initiated: upload.initiated().and_then(time_of),
            }));
            if !answer.is_truncated().unwrap_or(false) {
                return Ok(uploads);
            }
            after = (answer.next_key_marker, answer.next_upload_id_marker);
        }
    }

    /// All versions and delete markers under `prefix`, in key order, newest version first.
    pub async fn versions(
        &self,
        bucket: &str,
        prefix: &str,
    ) -> Result<Vec<ObjectVersion>, S3Error> {
        self.versions_in(bucket, prefix, &KeyRange::default()).await
    }

    /// The same of the keys in `range` alone, of each key all versions or none.
    pub async fn versions_in(
        &self,
        bucket: &str,
        prefix: &str,
        range: &KeyRange,
    ) -> Result<Vec<ObjectVersion>, S3Error> {
        let listing = Listing {
            s3: self,
            bucket,
            prefix,
            page_size: None,
        };
        listing.versions(range).await
    }

    /// Folders directly under `prefix`, in order: those that come after `after`, as far as one page goes.
    /// Asked by versions, which needs no permission beside the one that listing them needs.
    pub async fn folders(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Vec<String>, S3Error> {
        let attempted = || format!("list the folders of s3://{bucket}/{prefix}");
        let _permit = self.listing.acquire().await;
        let answer = self
            .connection
            .client()
            .list_object_versions()
            .bucket(bucket)
            .prefix(prefix)
            .delimiter("/")
            .set_key_marker(after.map(str::to_owned))
            .send()
            .await
            .map_err(|error| S3Error::from_sdk(attempted(), &error))?;
        let folders = answer.common_prefixes().iter();
        Ok(folders.filter_map(|folder| folder.prefix.clone()).collect())
    }
}

/// A listing under way.
struct Listing<'a> {
    s3: &'a ReadS3,
    bucket: &'a str,
    prefix: &'a str,
    /// Versions a page; S3's own most by default.
    page_size: Option<i32>,
}

impl Listing<'_> {
    async fn versions(&self, range: &KeyRange) -> Result<Vec<ObjectVersion>, S3Error> {
        let (mut found, rest) = self.first_page(range).await?;
        if let Some(rest) = rest {
            let cuts = self.cuts().await?;
            let mut others = futures::stream::iter(rest.split(&cuts))
                .map(|range| async move { self.all_pages(&range).await })
                .buffer_unordered(LIST_AT_ONCE);
            while let Some(versions) = others.try_next().await? {
                found.extend(versions);
            }
        }
        sort(&mut found);
        Ok(found)
    }

    /// The first page, less the key that it ends with, of which there may be more; and the range that is
    /// left, if any.
    async fn first_page(
        &self,
        range: &KeyRange,
    ) -> Result<(Vec<ObjectVersion>, Option<KeyRange>), S3Error> {
        let page = self.page(Marker::before(range)).await?;
        let mut found = page.versions;
        found.retain(|version| range.holds(&version.key));
        let Some(next) = page.next.filter(|next| !range.is_before(&next.key)) else {
            return Ok((found, None));
        };
        found.retain(|version| version.key < next.key);
        let from = range.from.clone().max(Some(next.key));
        let to = range.to.clone();
        Ok((found, Some(KeyRange { from, to })))
    }

    async fn all_pages(&self, range: &KeyRange) -> Result<Vec<ObjectVersion>, S3Error> {
        let mut found = Vec::new();
        let mut marker = Marker::before(range);
        loop {
            let mut page = self.page(marker).await?;
            page.versions.retain(|version| range.holds(&version.key));
            found.extend(page.versions);
            match page.next {
                Some(next) if !range.is_before(&next.key) => marker = Some(next),
                _ => return Ok(found),
            }
        }
    }

    async fn page(&self, marker: Option<Marker>) -> Result<Page, S3Error> {
        let attempted = || format!("list the versions of s3://{}/{}", self.bucket, self.prefix);
        let (key_marker, version_marker) = match marker {
            Some(marker) => (Some(marker.key), marker.version),
            None => (None, None),
        };
        let _permit = self.s3.listing.acquire().await;
        let answer = self
            .s3
            .connection
            .client()
            .list_object_versions()
            .bucket(self.bucket)
            .prefix(self.prefix)
            .set_max_keys(self.page_size)
            .set_key_marker(key_marker)
            .set_version_id_marker(version_marker)
            .send()
            .await
            .map_err(|error| S3Error::from_sdk(attempted(), &error))?;
        let mut versions: Vec<ObjectVersion> = answer.versions().iter().map(version_of).collect();
        versions.extend(answer.delete_markers().iter().map(marker_of));
        let next = match (answer.is_truncated(), answer.next_key_marker()) {
            (Some(true), Some(key)) => Some(Marker {
                key: key.to_owned(),
                version: answer.next_version_id_marker().map(str::to_owned),
            }),
            (Some(true), None) => {
                return Err(S3Error::new(
                    attempted(),
                    "the listing is cut off without a marker to go on from",
                    S3ErrorKind::Other,
                ));
            }
            _ => None,
        };
        Ok(Page { versions, next })
    }

    /// Where to cut the keys: at the folders and, as long as there are few, at theirs.
    async fn cuts(&self) -> Result<BTreeSet<String>, S3Error> {
        let mut cuts = BTreeSet::new();
        let mut level = vec![self.prefix.to_owned()];
        for _ in 0..DEEPEST {
            let below: Vec<Vec<String>> = futures::stream::iter(&level)
                .map(|folder| self.s3.folders(self.bucket, folder, None))
                .buffered(LIST_AT_ONCE)
                .try_collect()
                .await?;
            level = below.into_iter().flatten().collect();
            cuts.extend(level.iter().cloned());
            if level.is_empty() || cuts.len() >= ENOUGH_CUTS {
                break;
            }
        }
        let step = cuts.len().div_ceil(MOST_CUTS).max(1);
        Ok(cuts.into_iter().step_by(step).collect())
    }
}

/// In key order, newest version first.
pub fn sort(versions: &mut [ObjectVersion]) {
    versions.sort_by(|left, right| {
        (&left.key, right.latest, right.last_modified).cmp(&(
            &right.key,
            left.latest,
            left.last_modified,
        ))
    });
}

#[cfg(test)]
mod tests;
