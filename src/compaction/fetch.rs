//! Raw objects from S3, many requests under way at the same time.
//!
//! A small object is read into memory, a big one into the spill folder; what lies in memory at the same
//! time has a limit, whatever the objects' sizes.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::sync::Arc;

use aws_sdk_s3::primitives::AggregatedBytes;
use bytes::Buf;
use futures::{Stream, StreamExt};
use md5::{Digest, Md5};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::apply::CompactionError;
use crate::decode::RawFormat;
use crate::lake::error::{S3Error, S3ErrorKind};
use crate::lake::ledger::Ledger;
use crate::lake::raw;
use crate::lake::s3::{ObjectVersion, Pick};
use crate::lake::site::Site;
use crate::lake::sort::SortError;
use crate::policy::DatasetPolicy;

/// Requests under way at once: with an answer after 100 ms that is 1,280 objects a second.
const READ_AT_ONCE: usize = 128;
/// Larger objects are read into the spill folder.
const LARGEST_IN_MEMORY: u64 = 8 * 1024 * 1024;
/// Avro and Parquet files are read whole; S3 has room for larger ones, memory has not.
const LARGEST_CONTAINER: u64 = 16 * 1024 * 1024;
/// What a permit stands for, in bytes.
const PERMIT_BYTES: u64 = 1024;

/// An object that was read.
pub struct Fetched {
    pub version: ObjectVersion,
    body: Body,
    /// Its share of what may be read ahead.
    share: Option<OwnedSemaphorePermit>,
}

enum Body {
    Memory(AggregatedBytes),
    Disk(File),
}

impl Fetched {
    /// The object's bytes from the beginning. One reader at a time.
    pub fn reader(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(match &self.body {
            Body::Memory(pieces) => Box::new(pieces.clone().reader()),
            Body::Disk(file) => {
                let mut file = file.try_clone()?;
                file.rewind()?;
                Box::new(file)
            }
        })
    }

    /// It belongs to a unit now, and gives back its share of what may be read ahead.
    pub fn into_unit(mut self) -> Self {
        self.share = None;
        self
    }

    /// Whether it should be decoded piece by piece.
    pub fn is_big(&self) -> bool {
        matches!(self.body, Body::Disk(_))
    }
}

/// What came of reading an object.
pub enum Outcome {
    Fetched(Fetched),
    /// It is one that we wrote ourselves.
    Ours,
    /// It waits for a later plan: a finding.
    Waits(String),
}

/// Reads `objects` in their order; those read ahead take up at most about `memory` bytes.
pub fn fetch<'a>(
    site: &'a Site,
    policy: &'a DatasetPolicy,
    ledger: &'a Ledger,
    objects: Vec<&'a ObjectVersion>,
    memory: usize,
) -> impl Stream<Item = Result<Outcome, CompactionError>> + 'a {
    let permits = (memory as u64 / PERMIT_BYTES).clamp(1, u64::from(u32::MAX)) as usize;
    let shares = Arc::new(Semaphore::new(permits));
    futures::stream::iter(objects)
        .map(move |version| {
            let shares = Arc::clone(&shares);
            async move {
                let in_memory = version.size.min(LARGEST_IN_MEMORY);
                let share = (in_memory / PERMIT_BYTES).clamp(1, permits as u64) as u32;
                let share = shares.acquire_many_owned(share).await;
                let share =
                    share.map_err(|_| S3Error::new("read", "closed", S3ErrorKind::Other))?;
                fetch_one(site, policy, ledger, version, share).await
            }
        })
        .buffered(READ_AT_ONCE)
}

async fn fetch_one(
    site: &Site,
    policy: &DatasetPolicy,
    ledger: &Ledger,
    version: &ObjectVersion,
    share: OwnedSemaphorePermit,
) -> Result<Outcome, CompactionError> {
    if policy.raw.format != RawFormat::Json && version.size > LARGEST_CONTAINER {
        return Ok(Outcome::Waits(format!(
            "{}: larger than the 16 MiB that an Avro or Parquet file may have here; it stays as it is, \
             uncompacted",
            version.key
        )));
    }
    match read(site, policy, version).await {
        Ok(body) => {
            let fetched = Fetched {
                version: version.clone(),
                body,
                share: Some(share),
            };
            if is_ours(site, policy, ledger, &fetched).await? {
                return Ok(Outcome::Ours);
            }
            Ok(Outcome::Fetched(fetched))
        }
        Err(CompactionError::Store(error)) => match error.kind {
            S3ErrorKind::Precondition | S3ErrorKind::NotFound => Ok(Outcome::Waits(format!(
                "{}: replaced or deleted while it was read; the next plan will see it",
                version.key
            ))),
            _ if error.concerns_one_object() => Ok(Outcome::Waits(error.to_string())),
            _ => Err(error.into()),
        },
        Err(error) => Err(error),
    }
}

async fn read(
    site: &Site,
    policy: &DatasetPolicy,
    version: &ObjectVersion,
) -> Result<Body, CompactionError> {
    let s3 = site.s3.read();
    let bucket = &policy.raw.location.bucket;
    let pick = Pick::IfMatch(&version.etag);
    if version.size <= LARGEST_IN_MEMORY {
        let pieces = s3.pieces(bucket, &version.key, pick).await?;
        return Ok(Body::Memory(pieces));
    }
    let file = site.spill.unnamed_file().map_err(SortError::from)?;
    s3.get_to_file(bucket, &version.key, pick, &file).await?;
    Ok(Body::Disk(file))
}

/// Only a key that the ledger knows can be one of ours, so the content is rarely hashed.
async fn is_ours(
    site: &Site,
    policy: &DatasetPolicy,
    ledger: &Ledger,
    fetched: &Fetched,
) -> Result<bool, CompactionError> {
    if !ledger.knows_key(&fetched.version.key) {
        return Ok(false);
    }
    let mut hasher = Md5::new();
    let mut reader = fetched.reader().map_err(SortError::from)?;
    let mut piece = vec![0; 64 * 1024];
    loop {
        match reader.read(&mut piece).map_err(SortError::from)? {
            0 => break,
            count => hasher.update(piece.get(..count).unwrap_or_default()),
        }
    }
    drop(reader);
    let content = hex::encode(hasher.finalize());
    Ok(raw::recognise(site, policy, &fetched.version, content, ledger).await?)
}
