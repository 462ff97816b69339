//! Which bytes of a Parquet file belong to a row group, and the digests of these bytes that the files we write
//! carry in their key-value metadata.
//!
//! Where a file is written again with most of its row groups copied ([`super::regroup`]), the digests say what
//! the copies have to be: nobody has to read again what they were copied from, and a row group that was damaged
//! since it was written is noticed before it is passed on.
//!
//! A digest is XXH3 (64 bits, seed 0) over the column chunks and Bloom filters of a row group in the order in
//! which they lie. It is there against damage, not against forgery.

use std::hash::Hasher;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, KeyValue, ParquetMetaData, RowGroupMetaData,
};
use twox_hash::XxHash3_64;

use super::parquet_files::OWN_WRITER;

/// Under this key: a hexadecimal number of 16 digits for each row group, with spaces between.
const DIGESTS: &str = "lakewarden.row_groups";

/// The ranges that belong to a row group: column chunks, then Bloom filters.
pub fn ranges(group: &RowGroupMetaData) -> Result<Vec<Range<u64>>, ParquetError> {
    let mut ranges = Vec::new();
    for chunk in group.columns() {
        ranges.push(chunk_range(chunk)?);
    }
    for chunk in group.columns() {
        ranges.extend(filter_range(chunk)?);
    }
    ranges.retain(|range| !range.is_empty());
    Ok(ranges)
}

/// Where the pages of a column chunk lie, the dictionary's included.
pub fn chunk_range(chunk: &ColumnChunkMetaData) -> Result<Range<u64>, ParquetError> {
    if chunk.file_path().is_some() {
        return Err(refused("a column chunk lies in another file"));
    }
    let first = chunk.dictionary_page_offset();
    let start = unsigned(first.unwrap_or(chunk.data_page_offset()))?;
    Ok(start..start.saturating_add(unsigned(chunk.compressed_size())?))
}

/// Where the Bloom filter of a column chunk lies.
pub fn filter_range(chunk: &ColumnChunkMetaData) -> Result<Option<Range<u64>>, ParquetError> {
    let (Some(offset), Some(length)) = (chunk.bloom_filter_offset(), chunk.bloom_filter_length())
    else {
        return Ok(None);
    };
    let start = unsigned(offset)?;
    Ok(Some(start..start.saturating_add(unsigned(length.into())?)))
}

/// A number of a footer that cannot be negative.
pub fn unsigned(number: i64) -> Result<u64, ParquetError> {
    u64::try_from(number).map_err(|_| refused("an offset or a length is negative"))
}

/// Why a file is not written again.
pub fn refused(reason: &str) -> ParquetError {
    ParquetError::General(format!("it cannot be written again in part: {reason}"))
}

/// Sorted ranges as few as possible: those that touch become one.
pub fn joined(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => joined.push(range),
        }
    }
    joined
}

/// A digest in the making: of what is written to it.
#[derive(Default)]
pub struct Digest(XxHash3_64);

impl Digest {
    /// The digest of what was written so far.
    pub fn finish(&self) -> u64 {
        self.0.finish()
    }
}

impl Write for Digest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The digests of row groups of `file`.
pub fn digests(
    groups: &[RowGroupMetaData],
    file: &mut (impl Read + Seek),
) -> Result<Vec<u64>, ParquetError> {
    let of_group = |group| {
        let mut digest = Digest::default();
        for range in joined(ranges(group)?) {
            file.seek(SeekFrom::Start(range.start))?;
            let length = range.end - range.start;
            if io::copy(&mut file.take(length), &mut digest)? < length {
                return Err(ParquetError::EOF("a row group ends too soon".into()));
            }
        }
        Ok(digest.finish())
    };
    groups.iter().map(of_group).collect()
}

/// The digests that a file carries, if we wrote it and it has one for each row group: others' programs hand on
/// notes of what they read.
pub fn noted(metadata: &ParquetMetaData) -> Option<Vec<u64>> {
    let file = metadata.file_metadata();
    let notes = file.key_value_metadata()?;
    if !file.created_by()?.starts_with(OWN_WRITER) {
        return None;
    }
    let note = notes.iter().find(|note| note.key == DIGESTS)?;
    let words = note
        .value
        .as_ref()?
        .split(' ')
        .filter(|word| !word.is_empty());
    let digests = words.map(|word| u64::from_str_radix(word, 16).ok());
    let digests: Vec<u64> = digests.collect::<Option<_>>()?;
    (digests.len() == metadata.num_row_groups()).then_some(digests)
}

/// What a file says of its digests.
pub fn note(digests: &[u64]) -> KeyValue {
    let words: Vec<String> = digests
        .iter()
        .map(|digest| format!("{digest:016x}"))
        .collect();
    KeyValue::new(DIGESTS.to_owned(), words.join(" "))
}

/// The same file metadata with other digests in place of those that it tells, or without.
pub fn with_digests(metadata: &FileMetaData, digests: Option<&[u64]>) -> FileMetaData {
    let updated = |one: &KeyValue| match (one.key == DIGESTS, digests) {
        (false, _) => Some(one.clone()),
        (true, digests) => digests.map(note),
    };
    let notes = metadata.key_value_metadata();
    FileMetaData::new(
        metadata.version(),
        metadata.num_rows(),
        metadata.created_by().map(str::to_owned),
        notes.map(|notes| notes.iter().filter_map(updated).collect()),
        metadata.schema_descr_ptr(),
        metadata.column_orders().cloned(),
    )
}
