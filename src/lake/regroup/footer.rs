//! The footer and the page indexes of the new file, written by the `parquet` crate.
//!
//! Hazard: every offset is absolute. Those of a column chunk, of its pages in the offset index and of its
//! Bloom filter move with the bytes they point at; a page index lies anew, so its offsets are the writer's.

use std::io::Write;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, ParquetColumnIndex, ParquetMetaData, ParquetMetaDataBuilder,
    ParquetMetaDataWriter, ParquetOffsetIndex, RowGroupMetaData,
};
use parquet::file::page_index::offset_index::OffsetIndexMetaData;
use parquet::file::writer::TrackedWrite;

use crate::lake::row_groups::{chunk_range, refused, unsigned, with_digests};

/// `metadata` with other row groups and page indexes.
pub fn with_groups(
    metadata: FileMetaData,
    groups: Vec<RowGroupMetaData>,
    column_index: Option<ParquetColumnIndex>,
    offset_index: Option<ParquetOffsetIndex>,
) -> ParquetMetaData {
    ParquetMetaDataBuilder::new(metadata)
        .set_row_groups(groups)
        .set_column_index(column_index)
        .set_offset_index(offset_index)
        .build()
}

/// Gathers row groups from wherever they are, in the order of the new file.
pub struct Footer {
    groups: Vec<RowGroupMetaData>,
    column_index: ParquetColumnIndex,
    offset_index: ParquetOffsetIndex,
}

impl Footer {
    pub fn new() -> Self {
        Self {
            groups: Vec::new(),
            column_index: Vec::new(),
            offset_index: Vec::new(),
        }
    }

    /// Adds a row group of `from`. `moved` says where a byte of that file lies in the new one.
    pub fn add(
        &mut self,
        from: &ParquetMetaData,
        group: usize,
        moved: &dyn Fn(u64) -> Option<u64>,
    ) -> Result<(), ParquetError> {
        let old = from.row_group(group);
        let offset_index = from.offset_index().and_then(|index| index.get(group));
        let mut columns = Vec::with_capacity(old.num_columns());
        let mut locations = Vec::with_capacity(old.num_columns());
        for (leaf, chunk) in old.columns().iter().enumerate() {
            let place = Place { chunk, moved };
            columns.push(place.chunk()?);
            if let Some(index) = offset_index.and_then(|index| index.get(leaf)) {
                locations.push(place.offset_index(index)?);
            }
        }
        let ordinal = i16::try_from(self.groups.len());
        let ordinal = ordinal.map_err(|_| refused("it has too many row groups"))?;
        let mut builder = old.clone().into_builder().set_ordinal(ordinal);
        if let Some(first) = columns.first() {
            let start = chunk_range(first)?.start;
            builder = builder.set_file_offset(signed(start)?);
        }
        self.groups
            .push(builder.set_column_metadata(columns).build()?);
        let column_index = from.column_index().and_then(|index| index.get(group));
        self.column_index.extend(column_index.cloned());
        if offset_index.is_some() {
            self.offset_index.push(locations);
        }
        Ok(())
    }

    /// Everything else is as in `old`, but for the row groups' digests, if there are some. A page index that not
    /// every row group has is none.
    pub fn finish(self, old: &ParquetMetaData, digests: Option<&[u64]>) -> ParquetMetaData {
        let count = self.groups.len();
        let offset_index = Some(self.offset_index).filter(|index| index.len() == count);
        let column_index =
            Some(self.column_index).filter(|index| index.len() == count && offset_index.is_some());
        let file = with_digests(old.file_metadata(), digests);
        with_groups(file, self.groups, column_index, offset_index)
    }
}

/// A column chunk on its way to another place.
struct Place<'a> {
    chunk: &'a ColumnChunkMetaData,
    moved: &'a dyn Fn(u64) -> Option<u64>,
}

impl Place<'_> {
    fn moved(&self, offset: i64) -> Result<i64, ParquetError> {
        let moved = (self.moved)(unsigned(offset)?);
        signed(moved.ok_or_else(|| refused("an offset points out of its row group"))?)
    }

    fn moved_if_any(&self, offset: Option<i64>) -> Result<Option<i64>, ParquetError> {
        offset.map(|offset| self.moved(offset)).transpose()
    }

    /// Its metadata, put together anew because its deprecated offset of itself cannot be set.
    fn chunk(&self) -> Result<ColumnChunkMetaData, ParquetError> {
        let old = self.chunk;
        let (repetition, definition) = (
            old.repetition_level_histogram().cloned(),
            old.definition_level_histogram().cloned(),
        );
        let mut builder = ColumnChunkMetaData::builder(old.column_descr_ptr())
            .set_encodings_mask(*old.encodings_mask())
            .set_num_values(old.num_values())
            .set_compression_codec(old.compression_codec())
            .set_total_compressed_size(old.compressed_size())
            .set_total_uncompressed_size(old.uncompressed_size())
            .set_data_page_offset(self.moved(old.data_page_offset())?)
            .set_index_page_offset(self.moved_if_any(old.index_page_offset())?)
            .set_dictionary_page_offset(self.moved_if_any(old.dictionary_page_offset())?)
            .set_bloom_filter_offset(self.moved_if_any(old.bloom_filter_offset())?)
            .set_bloom_filter_length(old.bloom_filter_length())
            .set_unencoded_byte_array_data_bytes(old.unencoded_byte_array_data_bytes())
            .set_repetition_level_histogram(repetition)
            .set_definition_level_histogram(definition);
        if let Some(statistics) = old.statistics() {
            builder = builder.set_statistics(statistics.clone());
        }
        if let Some(statistics) = old.geo_statistics() {
            builder = builder.set_geo_statistics(Box::new(statistics.clone()));
        }
        if let Some(statistics) = old.page_encoding_stats() {
            builder = builder.set_page_encoding_stats(statistics.clone());
        }
        builder.build()
    }

    fn offset_index(
        &self,
        index: &OffsetIndexMetaData,
    ) -> Result<OffsetIndexMetaData, ParquetError> {
        let mut index = index.clone();
        let chunk = chunk_range(self.chunk)?;
        for page in &mut index.page_locations {
            if !chunk.contains(&unsigned(page.offset)?) {
                return Err(refused("a page lies outside of its column chunk"));
            }
            page.offset = self.moved(page.offset)?;
        }
        Ok(index)
    }
}

fn signed(offset: u64) -> Result<i64, ParquetError> {
    i64::try_from(offset).map_err(|_| refused("it is too long"))
}

/// Page indexes and footer as they stand from `start` of a file on.
pub fn encode(metadata: &ParquetMetaData, start: u64) -> Result<Bytes, ParquetError> {
    let mut tail = Tail {
        before: start,
        bytes: Vec::new(),
    };
    let mut writer = TrackedWrite::new(&mut tail);
    // The writer counts what goes through it and cannot be told where it begins.
    std::io::copy(
        &mut std::io::Read::take(std::io::repeat(0), start),
        &mut writer,
    )?;
    ParquetMetaDataWriter::new_with_tracked(writer, metadata).finish()?;
    Ok(tail.bytes.into())
}

/// Keeps what comes after the first bytes.
struct Tail {
    before: u64,
    bytes: Vec<u8>,
}

impl Write for Tail {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let passed = self.before.min(bytes.len() as u64);
        self.before -= passed;
        self.bytes
            .extend_from_slice(bytes.get(passed as usize..).unwrap_or_default());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
