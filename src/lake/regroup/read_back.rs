//! The new file, opened anew and held against what it was made of (invariant 5).
//!
//! Row groups that were written are decoded, and every value of every column goes into the comparison, not
//! only those of the event. Of a row group that was copied the bytes are held against the digest that the old
//! file carries, or, where it carries none, compared with those of the old file; so is all that its footer says
//! of it, where it lies aside.

use std::io::Write;
use std::ops::Range;

use arrow::array::RecordBatch;
use arrow::row::{RowConverter, SortField};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, GetResult, ObjectStore, ObjectStoreExt};
use parquet::errors::ParquetError;
use twox_hash::XxHash3_64;

use super::footer::{self, Footer};
use super::old_file::OpenFile;
use crate::lake::row_groups::{self, Digest, chunk_range, filter_range, joined};
use crate::lake::rows::Tally;

/// Bytes that one request asks for. They are compared as they come, and never held whole.
const PIECE: u64 = 32 * 1024 * 1024;
/// Pairs of requests under way.
const PIECES_AT_ONCE: usize = 2;
/// Row groups that are read at once.
const GROUPS_AT_ONCE: usize = 4;
/// Rows that are hashed at once.
const ROWS: usize = 1024;

/// Where a row group of the new file came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Copied from the old file's row group with this number.
    Kept(usize),
    /// Written.
    Encoded,
}

/// What the new file has to be.
pub struct Expected<'a> {
    pub old: &'a OpenFile,
    /// Of every row group of the new file.
    pub origins: &'a [Origin],
    /// The rows of those that were written.
    pub encoded: Tally,
}

impl Expected<'_> {
    /// Whether `new` is it.
    pub async fn is(&self, new: &OpenFile) -> Result<bool, ParquetError> {
        let found = new.store.head(&Path::from(new.key.as_str())).await;
        let found = found.map_err(|error| ParquetError::External(Box::new(error)))?;
        Ok(found.size == new.size
            && new.metadata.num_row_groups() == self.origins.len()
            && self.says_the_same(new)?
            && self.has_the_same_bytes(new).await?
            && self.has_the_rows(new).await?)
    }

    /// Whether the footers agree on the file and on what was copied.
    fn says_the_same(&self, new: &OpenFile) -> Result<bool, ParquetError> {
        let kept = self.kept();
        let (old, new) = (
            told(self.old, kept.iter().map(|(old, _)| *old))?,
            told(new, kept.iter().map(|(_, new)| *new))?,
        );
        Ok(old == new)
    }

    /// The numbers of row groups that were copied, in the old file and in the new one.
    fn kept(&self) -> Vec<(usize, usize)> {
        let mut kept = Vec::new();
        for (new, origin) in self.origins.iter().enumerate() {
            if let Origin::Kept(old) = origin {
                kept.push((*old, new));
            }
        }
        kept
    }

    async fn has_the_same_bytes(&self, new: &OpenFile) -> Result<bool, ParquetError> {
        match row_groups::noted(&self.old.metadata) {
            Some(digests) => self.has_the_digests(new, &digests).await.map(|()| true),
            None => self.has_the_bytes_of_the_old_file(new).await,
        }
    }

    /// # Errors
    /// Also if a row group is another than the one that was written once.
    async fn has_the_digests(&self, new: &OpenFile, digests: &[u64]) -> Result<(), ParquetError> {
        let mut checked = futures::stream::iter(self.kept())
            .map(|(old, copy)| async move {
                let mut digest = Digest::default();
                for range in joined(new.ranges(copy)?) {
                    let mut bytes = stream(new, range).await?;
                    while let Some(piece) = next(&mut bytes).await? {
                        digest.write_all(&piece)?;
                    }
                }
                if digests.get(old) == Some(&digest.finish()) {
                    return Ok(());
                }
                Err(ParquetError::General(format!(
                    "row group {old} of {} does not fit the digest that the file carries: it was damaged since it \
                     was written, or not copied as it is",
                    self.old.key
                )))
            })
            .buffered(GROUPS_AT_ONCE);
        while checked.try_next().await?.is_some() {}
        Ok(())
    }

    async fn has_the_bytes_of_the_old_file(&self, new: &OpenFile) -> Result<bool, ParquetError> {
        let mut pairs = Vec::new();
        for (old_group, new_group) in self.kept() {
            let old = self.old.ranges(old_group)?;
            let new = new.ranges(new_group)?;
            if old.len() != new.len() {
                return Ok(false);
            }
            pairs.extend(old.into_iter().zip(new));
        }
        if pairs.iter().any(|(old, new)| length(old) != length(new)) {
            return Ok(false);
        }
        let pieces = pieces(&neighbours(pairs));
        let mut compared = futures::stream::iter(pieces)
            .map(|(old, new_range)| async move {
                let (one, other) = tokio::try_join!(stream(self.old, old), stream(new, new_range))?;
                are_equal(one, other).await
            })
            .buffered(PIECES_AT_ONCE);
        while let Some(same) = compared.try_next().await? {
            if !same {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn has_the_rows(&self, new: &OpenFile) -> Result<bool, ParquetError> {
        let written = self.origins.iter().enumerate();
        let written = written.filter(|(_, origin)| **origin == Origin::Encoded);
        let numbers: Vec<usize> = written.map(|(number, _)| number).collect();
        let mut found = Tally::default();
        if !numbers.is_empty() {
            let mut batches = new.reader()?.with_row_groups(numbers).build()?;
            while let Some(batch) = batches.try_next().await? {
                add(&mut found, &batch)?;
            }
        }
        Ok(found == self.encoded)
    }
}

/// Adds the rows of a batch, every column of them.
pub fn add(tally: &mut Tally, batch: &RecordBatch) -> Result<(), ParquetError> {
    let fields = batch.schema_ref().fields().iter();
    let fields = fields.map(|field| SortField::new(field.data_type().clone()));
    let converter = RowConverter::new(fields.collect())?;
    for start in (0..batch.num_rows()).step_by(ROWS) {
        let slice = batch.slice(start, ROWS.min(batch.num_rows() - start));
        for row in &converter.convert_columns(slice.columns())? {
            tally.add_fingerprint(XxHash3_64::oneshot(row.as_ref()));
        }
    }
    Ok(())
}

/// What a footer and its page indexes say of some row groups and of the whole file, as bytes: every column
/// chunk and every Bloom filter is taken to begin where the chunk does.
fn told(file: &OpenFile, groups: impl Iterator<Item = usize>) -> Result<Bytes, ParquetError> {
    let metadata = &file.metadata;
    let noted = row_groups::noted(metadata);
    let mut digests = Vec::new();
    let mut footer = Footer::new();
    for group in groups {
        digests.extend(noted.as_ref().and_then(|noted| noted.get(group)));
        let mut chunks = Vec::new();
        for chunk in metadata.row_group(group).columns() {
            chunks.push(chunk_range(chunk)?);
            chunks.extend(filter_range(chunk)?);
        }
        let within = |offset: u64| {
            let chunk = chunks.iter().find(|chunk| chunk.contains(&offset))?;
            Some(offset - chunk.start)
        };
        footer.add(metadata, group, &within)?;
    }
    let digests = noted.map(|_| digests.as_slice());
    footer::encode(&footer.finish(metadata, digests), 0)
}

type Pair = (Range<u64>, Range<u64>);

/// Pairs that touch in both files become one.
fn neighbours(mut pairs: Vec<Pair>) -> Vec<Pair> {
    pairs.sort_by_key(|(old, _)| old.start);
    let mut joined: Vec<Pair> = Vec::new();
    for (old, new) in pairs {
        match joined.last_mut() {
            Some((last_old, last_new))
                if last_old.end == old.start && last_new.end == new.start =>
            {
                last_old.end = old.end;
                last_new.end = new.end;
            }
            _ => joined.push((old, new)),
        }
    }
    joined
}

fn pieces(pairs: &[Pair]) -> Vec<Pair> {
    let mut pieces = Vec::new();
    for (old, new) in pairs {
        let mut done = 0;
        while done < length(old) {
            let next = length(old).min(done + PIECE);
            pieces.push((
                old.start + done..old.start + next,
                new.start + done..new.start + next,
            ));
            done = next;
        }
    }
    pieces
}

type ByteStream = BoxStream<'static, object_store::Result<Bytes>>;

async fn stream(file: &OpenFile, range: Range<u64>) -> Result<ByteStream, ParquetError> {
    let path = Path::from(file.key.as_str());
    let options = GetOptions {
        range: Some(range.into()),
        ..GetOptions::default()
    };
    let got = file.store.get_opts(&path, options).await;
    got.map(GetResult::into_stream)
        .map_err(|error| ParquetError::External(Box::new(error)))
}

/// Whether two streams bring the same bytes, however they are cut.
async fn are_equal(mut one: ByteStream, mut other: ByteStream) -> Result<bool, ParquetError> {
    let (mut left, mut right) = (Bytes::new(), Bytes::new());
    loop {
        let (has_left, has_right) = (
            fill(&mut one, &mut left).await?,
            fill(&mut other, &mut right).await?,
        );
        if !(has_left && has_right) {
            return Ok(has_left == has_right);
        }
        let common = left.len().min(right.len());
        if left.split_to(common) != right.split_to(common) {
            return Ok(false);
        }
    }
}

/// Whether there is something left to compare; `rest` then holds it.
async fn fill(stream: &mut ByteStream, rest: &mut Bytes) -> Result<bool, ParquetError> {
    while rest.is_empty() {
        match next(stream).await? {
            Some(bytes) => *rest = bytes,
            None => return Ok(false),
        }
    }
    Ok(true)
}

async fn next(stream: &mut ByteStream) -> Result<Option<Bytes>, ParquetError> {
    let next = stream.try_next().await;
    next.map_err(|error| ParquetError::External(Box::new(error)))
}

fn length(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}
