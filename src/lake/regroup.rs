//! A table file written again with some of its row groups replaced, the others kept byte for byte.
//!
//! An erasure takes one subject's rows out of one row group of many. What is clean is neither decoded nor
//! encoded again, and where it is long enough it is not even sent: the store copies it.
//!
//! ```text
//!  old file  PAR1 | group 0 | group 1 | group 2 | indexes, footer
//!                 └───┬───┘                └──┐
//!  new file  PAR1 | group 0 | group 2 | group 1' | indexes', footer'
//!            └──── copied ────────────┘└─────── sent ───────────────┘
//! ```
//!
//! Schema, key-value metadata, codecs, sorting, statistics, page indexes, Bloom filters and dictionaries stay
//! as they were. Of a row group that goes no byte is in the new file, nor of what lies between row groups:
//! only ranges that the footer gives to kept row groups are copied.
//!
//! Nothing counts as written before it was read back and matched (invariant 5): what was copied with the digests
//! that our own files carry ([`super::row_groups`]), or byte for byte with a file of others. The old file stays,
//! and the caller commits.

mod encode;
mod footer;
mod layout;
mod old_file;
mod read_back;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::Cursor;

use arrow::array::RecordBatch;
use bytes::Bytes;
use parquet::errors::ParquetError;

use super::error::{S3Error, S3ErrorKind};
use super::row_groups::{self, chunk_range, filter_range, joined, refused};
use super::rows::{RowsError, Tally, is_redacted, new_name, parquet_error, redacted_name};
use super::s3::{Source, Stretch};
use super::site::Site;
use super::tables::DataFile;
use crate::policy::S3Location;
use encode::{Encoded, Model};
use footer::Footer;
use layout::{Arrangement, MAGIC};
use old_file::OpenFile;
use read_back::{Expected, Origin};

/// A file that was written again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regrouped {
    /// The new file.
    pub file: DataFile,
    /// Bytes that were sent: row groups that were written, clean bytes in between, indexes and footer.
    pub sent: u64,
    /// Bytes that the store copied itself.
    pub copied: u64,
}

/// Replaces row groups of a table file. `groups` has, by the number of a row group, the batches that take its
/// place: rows in order, the columns with which the file is read; where there is no row the group goes.
/// Writes a new file beside the old one, reads it back and answers with it; `None` if no row is left. The
/// old file stays: the caller commits.
///
/// # Errors
/// When a request fails, what was read back is not what was written, or the file cannot be taken apart:
/// column chunks that overlap or lie elsewhere, or a type stored in a way that is not written any more. Then
/// all of it has to be written anew.
pub async fn regroup(
    site: &Site,
    folder: &S3Location,
    old: &DataFile,
    groups: BTreeMap<usize, Vec<RecordBatch>>,
) -> Result<Option<Regrouped>, RowsError> {
    let failed = |error: ParquetError| parquet_error(&old.path, &error);
    let bucket = folder.bucket.as_str();
    let old_key = folder.join(&old.path).prefix;
    let etag = site.s3.read().etag(bucket, &old_key, None).await?;
    let etag = etag.ok_or_else(|| {
        let attempted = format!("write s3://{bucket}/{old_key} again");
        S3Error::new(attempted, "it is not there", S3ErrorKind::NotFound)
    })?;
    let source = OpenFile::open(&site.store, &old_key, old.size).await;
    let source = source
        .map_err(failed)?
        .ready_to_copy()
        .await
        .map_err(failed)?;
    let plan = Plan::new(&source, groups).await.map_err(failed)?;
    if plan.origins.is_empty() {
        return Ok(None);
    }

    let path = beside(&old.path);
    let key = folder.join(&path).prefix;
    let (sent, copied) = plan.sent_and_copied();
    let from = Source {
        key: &old_key,
        etag: &etag,
    };
    site.s3.compose(bucket, &key, from, plan.stretches).await?;

    let new = OpenFile::open(&site.store, &key, sent + copied).await;
    let new = new.map_err(|error| parquet_error(&path, &error))?;
    let expected = Expected {
        old: &source,
        origins: &plan.origins,
        encoded: plan.encoded,
    };
    let is_expected = expected.is(&new).await;
    if !is_expected.map_err(|error| parquet_error(&path, &error))? || new.rows() != plan.rows {
        return Err(RowsError::NotReadBack {
            file: path,
            written: plan.rows,
            found: new.rows(),
        });
    }
    let file = DataFile {
        path,
        event_date: old.event_date,
        size: new.size,
        rows: plan.rows,
    };
    Ok(Some(Regrouped { file, sent, copied }))
}

/// A name that no file has, in the folder of the one at `path`, and of its kind.
fn beside(path: &str) -> String {
    let name = if is_redacted(path) {
        redacted_name()
    } else {
        new_name()
    };
    match path.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/{name}"),
        None => name,
    }
}

/// The new file before it is written.
struct Plan {
    stretches: Vec<Stretch>,
    /// Of its row groups.
    origins: Vec<Origin>,
    /// The rows of those that were encoded.
    encoded: Tally,
    /// All rows.
    rows: u64,
}

impl Plan {
    async fn new(
        source: &OpenFile,
        mut groups: BTreeMap<usize, Vec<RecordBatch>>,
    ) -> Result<Self, ParquetError> {
        let count = source.metadata.num_row_groups();
        if groups.keys().any(|number| *number >= count) {
            return Err(refused("it has no row group of such a number"));
        }
        let mut origins = Vec::new();
        let mut clean = Vec::new();
        let mut encoded = Vec::new();
        let (mut rows, mut tally) = (0, Tally::default());
        for number in 0..count {
            if let Some(batches) = groups.remove(&number) {
                if batches.iter().any(|batch| batch.num_rows() > 0) {
                    encoded.push(encode(source, number, batches, &mut tally).await?);
                    origins.push(Origin::Encoded);
                }
                continue;
            }
            let kept = source.rows_of(number);
            if kept > 0 {
                clean.extend(source.ranges(number)?);
                origins.push(Origin::Kept(number));
                rows += kept;
            }
        }
        Ok(Self {
            stretches: stretches(source, &origins, joined(clean), &encoded)?,
            origins,
            encoded: tally,
            rows: rows + tally.rows,
        })
    }

    fn sent_and_copied(&self) -> (u64, u64) {
        let (mut sent, mut copied) = (0, 0);
        for stretch in &self.stretches {
            match stretch {
                Stretch::Copied(_) => copied += stretch.length(),
                Stretch::Fetched(_) | Stretch::Own(_) => sent += stretch.length(),
            }
        }
        (sent, copied)
    }
}

/// Encodes what takes a row group's place, and adds its rows to `tally` as they were given.
async fn encode(
    source: &OpenFile,
    number: usize,
    batches: Vec<RecordBatch>,
    tally: &mut Tally,
) -> Result<Encoded, ParquetError> {
    let model = Model::of(source, number).await?;
    let mut counted = *tally;
    let encoding = tokio::task::spawn_blocking(move || {
        for batch in &batches {
            read_back::add(&mut counted, batch)?;
        }
        Ok::<_, ParquetError>((model.encode(batches)?, counted))
    });
    match encoding.await {
        Ok(outcome) => {
            let (encoded, counted) = outcome?;
            *tally = counted;
            Ok(encoded)
        }
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// The whole file as stretches.
fn stretches(
    source: &OpenFile,
    origins: &[Origin],
    clean: Vec<std::ops::Range<u64>>,
    encoded: &[Encoded],
) -> Result<Vec<Stretch>, ParquetError> {
    let header = MAGIC.len() as u64;
    let noted = row_groups::noted(&source.metadata);
    let mut digests = Vec::new();
    let own: Vec<Bytes> = encoded.iter().map(group_bytes).collect::<Result<_, _>>()?;
    let mut arrangement = Arrangement::new(clean, own);
    let mut footer = Footer::new();
    let mut written = encoded.iter().zip(&arrangement.own);
    for origin in origins {
        match origin {
            Origin::Kept(number) => {
                footer.add(&source.metadata, *number, &|old| arrangement.moved(old))?;
                digests.extend(noted.as_ref().and_then(|noted| noted.get(*number)));
            }
            Origin::Encoded => {
                let Some((encoded, at)) = written.next() else {
                    return Err(refused("a row group was not encoded"));
                };
                let moved = |old: u64| Some(old.checked_sub(header)? + at);
                footer.add(&encoded.metadata, 0, &moved)?;
                let mut file = Cursor::new(&encoded.bytes);
                digests.extend(row_groups::digests(
                    encoded.metadata.row_groups(),
                    &mut file,
                )?);
            }
        }
    }
    let metadata = footer.finish(&source.metadata, noted.map(|_| digests.as_slice()));
    let tail = footer::encode(&metadata, arrangement.end)?;
    arrangement.stretches.push(Stretch::Own(tail));
    Ok(arrangement.stretches)
}

/// What belongs to the only row group of an encoded file.
fn group_bytes(encoded: &Encoded) -> Result<Bytes, ParquetError> {
    let [group] = encoded.metadata.row_groups() else {
        return Err(refused("a row group became several"));
    };
    let mut end = MAGIC.len() as u64;
    for chunk in group.columns() {
        end = end.max(chunk_range(chunk)?.end);
        end = end.max(filter_range(chunk)?.map_or(0, |range| range.end));
    }
    Ok(encoded.bytes.slice(MAGIC.len()..end as usize))
}
