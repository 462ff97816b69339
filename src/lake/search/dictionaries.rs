//! Dictionaries of files that other programs wrote: one can hold a value that no row uses, because its
//! writer took rows out without making the dictionary anew. Filters and rows say nothing of such a value.

use std::collections::{BTreeSet, HashSet};
use std::io::{Cursor, Read};
use std::sync::Arc;

use bytes::Bytes;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::basic::Type as PhysicalType;
use parquet::column::page::{Page, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;

use crate::lake::parquet_files::{OWN_WRITER, RangeReader};
use crate::lake::subject::{Sought, canonical_text};

/// The row groups with a dictionary that holds one of the values. `leaves`: by value sought, its columns.
pub async fn holding(
    reader: &mut RangeReader,
    metadata: &ParquetMetaData,
    leaves: &[Option<Vec<usize>>],
    sought: &[Sought],
) -> Result<BTreeSet<usize>> {
    let mut groups = BTreeSet::new();
    let writer = metadata.file_metadata().created_by();
    if writer.is_some_and(|writer| writer.starts_with(OWN_WRITER)) {
        return Ok(groups);
    }
    for (number, group) in metadata.row_groups().iter().enumerate() {
        for (one, leaves) in sought.iter().zip(leaves) {
            // A part of a composite value may be many people's.
            let Some([leaf]) = leaves.as_deref() else {
                continue;
            };
            if holds(reader, group.column(*leaf), one).await? {
                groups.insert(number);
            }
        }
    }
    Ok(groups)
}

async fn holds(
    reader: &mut RangeReader,
    column: &ColumnChunkMetaData,
    sought: &Sought,
) -> Result<bool> {
    let data = u64::try_from(column.data_page_offset()).unwrap_or(0);
    let first = column
        .dictionary_page_offset()
        .and_then(|at| u64::try_from(at).ok());
    let Some(first) = first.filter(|first| *first < data) else {
        return Ok(false);
    };
    let bytes = reader.get_bytes(first..data).await?;
    let piece = Arc::new(Piece { first, bytes });
    let Some(Page::DictionaryPage { buf, .. }) =
        SerializedPageReader::new(piece, column, 0, None)?.get_next_page()?
    else {
        return Ok(false);
    };
    let texts: HashSet<&str> = sought
        .texts
        .iter()
        .filter_map(|parts| parts.first().map(String::as_str))
        .collect();
    Ok(match column.column_type() {
        PhysicalType::BYTE_ARRAY => strings(&buf).into_iter().any(|value| {
            let text = String::from_utf8_lossy(value);
            texts.contains(canonical_text(&text, sought.compare).as_str())
        }),
        PhysicalType::INT64 => {
            let mut numbers = buf.as_chunks::<8>().0.iter();
            numbers.any(|bytes| texts.contains(i64::from_le_bytes(*bytes).to_string().as_str()))
        }
        _ => false,
    })
}

/// The values of a page of plainly encoded byte arrays: each has its length before it, in four bytes.
fn strings(page: &[u8]) -> Vec<&[u8]> {
    let (mut values, mut rest) = (Vec::new(), page);
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let Some((value, behind)) = behind.split_at_checked(length) else {
            break;
        };
        values.push(value);
        rest = behind;
    }
    values
}

/// A piece of a file, read by its place in the whole.
struct Piece {
    first: u64,
    bytes: Bytes,
}

impl Piece {
    fn from(&self, start: u64) -> Result<Bytes> {
        let start = start
            .checked_sub(self.first)
            .and_then(|at| usize::try_from(at).ok());
        let start = start.filter(|start| *start <= self.bytes.len());
        let start = start.ok_or_else(|| ParquetError::EOF("outside of the dictionary".into()))?;
        Ok(self.bytes.slice(start..))
    }
}

impl Length for Piece {
    fn len(&self) -> u64 {
        self.first + self.bytes.len() as u64
    }
}

impl ChunkReader for Piece {
    type T = Box<dyn Read + Send>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(Box::new(Cursor::new(self.from(start)?)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let bytes = self.from(start)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF("outside of the dictionary".into()));
        }
        Ok(bytes.slice(..length))
    }
}
