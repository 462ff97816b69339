//! One row group written anew, as a small file of its own, in the manner of the row group that it replaces.
//!
//! The old footer tells codec, encodings, dictionaries, statistics, page indexes, Bloom filters and sorting; a codec's
//! level and a filter's rate of false hits are in no footer.
//!
//! Hazards: a claim that rows are sorted is believed by engines, so it is checked here and the rows are
//! sorted where they are not. The file's own schema is written, not the one that Arrow's types would give,
//! and the two have to agree column by column, or the encoder would take one type for another.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{SortOptions, concat_batches, take_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::row::{RowConverter, Rows, SortField};
use bytes::Bytes;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::basic::{Compression, Encoding, PageType, Type as PhysicalType, ZstdLevel};
use parquet::bloom_filter::Sbbf;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataOptions,
    ParquetMetaDataReader, RowGroupMetaData, SortingColumn,
};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnDescriptor;

use super::old_file::OpenFile;
use crate::decode::FieldPath;
use crate::lake::parquet_files::{FALSE_HITS, dictionary_limit};
use crate::lake::row_groups::refused;
use crate::lake::sort::column_at;

/// No filter is written for fewer false hits than this, however empty the old one is.
const FEWEST_FALSE_HITS: f64 = 0.0001;
/// Nor for more.
const MOST_FALSE_HITS: f64 = 0.5;

/// A row group as a file of its own.
pub struct Encoded {
    pub bytes: Bytes,
    pub metadata: ParquetMetaData,
}

/// What a row group is written like.
pub struct Model {
    schema: SchemaRef,
    metadata: Arc<ParquetMetaData>,
    group: usize,
    /// By leaf, the rate of false hits where there is a Bloom filter.
    false_hits: Vec<Option<f64>>,
}

impl Model {
    /// The row group with number `group`.
    pub async fn of(file: &OpenFile, group: usize) -> Result<Self, ParquetError> {
        let leaves = file.metadata.row_group(group).num_columns();
        let mut false_hits = Vec::with_capacity(leaves);
        for leaf in 0..leaves {
            let filter = file.filter(group, leaf).await?;
            false_hits.push(filter.map(|filter| rate_of(&filter)).transpose()?);
        }
        Ok(Self {
            schema: Arc::clone(&file.schema),
            metadata: Arc::clone(&file.metadata),
            group,
            false_hits,
        })
    }

    /// Writes `batches` in the old one's place.
    pub fn encode(&self, batches: Vec<RecordBatch>) -> Result<Encoded, ParquetError> {
        self.refuse_other_types(&batches)?;
        let old = self.metadata.row_group(self.group);
        let (batches, sorting) = sorted(batches, old)?;
        let options = ArrowWriterOptions::new()
            .with_properties(self.properties(&batches, sorting))
            .with_parquet_schema(self.metadata.file_metadata().schema_descr().clone())
            .with_skip_arrow_metadata(true);
        let schema = Arc::clone(&self.schema);
        let mut writer = ArrowWriter::try_new_with_options(Vec::new(), schema, options)?;
        for batch in &batches {
            writer.write(batch)?;
        }
        let bytes = Bytes::from(writer.into_inner()?);
        let options = ParquetMetaDataOptions::new().with_encoding_stats_as_mask(false);
        let metadata = ParquetMetaDataReader::new()
            .with_metadata_options(Some(options))
            .with_page_index_policy(PageIndexPolicy::Optional)
            .parse_and_finish(&bytes)?;
        Ok(Encoded { bytes, metadata })
    }

    fn refuse_other_types(&self, batches: &[RecordBatch]) -> Result<(), ParquetError> {
        let same = |batch: &RecordBatch| {
            let (given, own) = (batch.schema(), &self.schema);
            given.fields().len() == own.fields().len()
                && given.fields().iter().zip(own.fields()).all(|(given, own)| {
                    given.name() == own.name() && given.data_type().equals_datatype(own.data_type())
                })
        };
        if !batches.iter().all(same) {
            return Err(refused("the rows have other columns than the file"));
        }
        let arrow = ArrowSchemaConverter::new().convert(&self.schema)?;
        let own = self.metadata.file_metadata().schema_descr();
        let columns = || arrow.columns().iter().zip(own.columns());
        let agree = arrow.num_columns() == own.num_columns()
            && columns().all(|(arrow, own)| agree(arrow, own));
        if !agree {
            return Err(refused(
                "it holds a type in a way that is not written any more",
            ));
        }
        Ok(())
    }

    fn properties(
        &self,
        batches: &[RecordBatch],
        sorting: Option<Vec<SortingColumn>>,
    ) -> WriterProperties {
        let old = self.metadata.row_group(self.group);
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let mut properties = WriterProperties::builder()
            .set_writer_version(writer_version(old))
            .set_max_row_group_row_count(None)
            .set_max_row_group_bytes(None)
            .set_dictionary_page_size_limit(dictionary_limit(rows))
            .set_offset_index_disabled(self.metadata.offset_index().is_none())
            .set_sorting_columns(sorting);
        for (leaf, chunk) in old.columns().iter().enumerate() {
            let path = || chunk.column_path().clone();
            properties = properties
                .set_column_compression(path(), compression(chunk))
                .set_column_dictionary_enabled(path(), has_dictionary(chunk))
                .set_column_statistics_enabled(path(), self.statistics(leaf, chunk));
            if let Some(encoding) = encoding(chunk) {
                properties = properties.set_column_encoding(path(), encoding);
            }
            if let Some(Some(false_hits)) = self.false_hits.get(leaf) {
                let values = u64::try_from(chunk.num_values()).unwrap_or(0);
                properties = properties
                    .set_column_bloom_filter_enabled(path(), true)
                    .set_column_bloom_filter_fpp(path(), *false_hits)
                    .set_column_bloom_filter_max_ndv(path(), values.max(rows as u64));
            }
        }
        properties.build()
    }

    fn statistics(&self, leaf: usize, chunk: &ColumnChunkMetaData) -> EnabledStatistics {
        let index = self.metadata.column_index();
        let index = index.and_then(|index| index.get(self.group)?.get(leaf));
        if index.is_some_and(|index| !matches!(index, ColumnIndexMetaData::NONE)) {
            return EnabledStatistics::Page;
        }
        match chunk.statistics() {
            Some(_) => EnabledStatistics::Chunk,
            None => EnabledStatistics::None,
        }
    }
}

/// Whether the encoder, which goes by Arrow's types, puts into the file's `own` column what belongs there.
fn agree(arrow: &ColumnDescriptor, own: &ColumnDescriptor) -> bool {
    let decimals = (arrow.type_precision(), arrow.type_scale());
    let same_type = arrow.physical_type() == own.physical_type()
        && arrow.type_length() == own.type_length()
        || own.type_precision() > 0
            && decimals == (own.type_precision(), own.type_scale())
            && is_encoded(own);
    same_type
        && arrow.max_def_level() == own.max_def_level()
        && arrow.max_rep_level() == own.max_rep_level()
}

/// Decimals may be stored in several ways; of the fixed lengths the shortest is the one that is written.
fn is_encoded(decimals: &ColumnDescriptor) -> bool {
    match decimals.physical_type() {
        PhysicalType::INT32 | PhysicalType::INT64 => true,
        PhysicalType::FIXED_LEN_BYTE_ARRAY => {
            let precision = u32::try_from(decimals.type_precision()).unwrap_or(0);
            let most = 10_u128.checked_pow(precision);
            let fits = |bytes: &i32| most.is_some_and(|most| most <= 1 << (8 * bytes - 1));
            (1..=16).find(fits) == Some(decimals.type_length())
        }
        _ => false,
    }
}

fn writer_version(group: &RowGroupMetaData) -> WriterVersion {
    let pages = group
        .columns()
        .iter()
        .filter_map(|chunk| chunk.page_encoding_stats());
    if pages
        .flatten()
        .any(|pages| pages.page_type == PageType::DATA_PAGE_V2)
    {
        return WriterVersion::PARQUET_2_0;
    }
    WriterVersion::PARQUET_1_0
}

/// The codec stays. A footer does not tell the level: for the few groups that are encoded again the fastest does.
fn compression(chunk: &ColumnChunkMetaData) -> Compression {
    match chunk.compression() {
        Compression::ZSTD(_) => Compression::ZSTD(ZstdLevel::default()),
        other => other,
    }
}

fn has_dictionary(chunk: &ColumnChunkMetaData) -> bool {
    let of_dictionaries = [Encoding::RLE_DICTIONARY, Encoding::PLAIN_DICTIONARY];
    chunk
        .encodings()
        .any(|encoding| of_dictionaries.contains(&encoding))
}

/// How values outside of a dictionary are encoded, where it is not the encoder's own choice.
fn encoding(chunk: &ColumnChunkMetaData) -> Option<Encoding> {
    let chosen = [
        Encoding::DELTA_BINARY_PACKED,
        Encoding::DELTA_LENGTH_BYTE_ARRAY,
        Encoding::DELTA_BYTE_ARRAY,
        Encoding::BYTE_STREAM_SPLIT,
    ];
    chunk.encodings().find(|encoding| chosen.contains(encoding))
}

/// The rate of false hits that a filter was made for, as far as its bits tell.
///
/// A filter is folded to half its size as long as its rate is kept. So the rate lies between what the bits
/// that are set give now and what they would give folded once more; within that, it is taken to be the one
/// of our own files. What is written for it is no larger than the old filter for the same values.
fn rate_of(filter: &Sbbf) -> Result<f64, ParquetError> {
    /// A block answers for a value by so many of its bits.
    const BITS_A_VALUE: i32 = 8;
    let mut bits = Vec::new();
    filter.write_bitset(&mut bits)?;
    let set: u64 = bits.iter().map(|byte| u64::from(byte.count_ones())).sum();
    let unset = 1.0 - set as f64 / (bits.len().max(1) * 8) as f64;
    let now = (1.0 - unset).powi(BITS_A_VALUE);
    let folded = (1.0 - unset * unset).powi(BITS_A_VALUE);
    let rate = FALSE_HITS.max(now * 1.05).min(folded * 0.95);
    Ok(rate.clamp(FEWEST_FALSE_HITS, MOST_FALSE_HITS))
}

/// The rows in the order that the old row group claims, and the claim. A claim that cannot be checked is
/// not made again.
fn sorted(
    batches: Vec<RecordBatch>,
    old: &RowGroupMetaData,
) -> Result<(Vec<RecordBatch>, Option<Vec<SortingColumn>>), ParquetError> {
    let Some(sorting) = old.sorting_columns().filter(|sorting| !sorting.is_empty()) else {
        return Ok((batches, None));
    };
    let Some(keys) = keys(&batches, sorting, old)? else {
        return Ok((batches, None));
    };
    let claim = Some(sorting.clone());
    let mut order: Vec<u32> = (0..).take(keys.num_rows()).collect();
    let key = |row: &u32| keys.row(*row as usize);
    if order.is_sorted_by_key(key) {
        return Ok((batches, claim));
    }
    order.sort_by_key(key);
    let Some(first) = batches.first() else {
        return Ok((batches, claim));
    };
    let all = concat_batches(&first.schema(), &batches)?;
    let all = take_record_batch(&all, &UInt32Array::from(order))?;
    Ok((vec![all], claim))
}

/// One key a row, over all batches; `None` where a column that is sorted by is not to be had row by row.
fn keys(
    batches: &[RecordBatch],
    sorting: &[SortingColumn],
    old: &RowGroupMetaData,
) -> Result<Option<Rows>, ParquetError> {
    let mut keys: Option<(RowConverter, Rows)> = None;
    for batch in batches {
        let columns = sorting
            .iter()
            .map(|column| sorted_column(batch, column, old));
        let Some(columns) = columns.collect::<Option<Vec<ArrayRef>>>() else {
            return Ok(None);
        };
        let (converter, rows) = match &mut keys {
            Some(keys) => keys,
            none => {
                let fields = columns.iter().zip(sorting).map(|(values, column)| {
                    let options = SortOptions {
                        descending: column.descending,
                        nulls_first: column.nulls_first,
                    };
                    SortField::new_with_options(values.data_type().clone(), options)
                });
                let converter = RowConverter::new(fields.collect())?;
                let rows = converter.empty_rows(0, 0);
                none.insert((converter, rows))
            }
        };
        converter.append(rows, &columns)?;
    }
    Ok(keys.map(|(_, rows)| rows))
}

fn sorted_column(
    batch: &RecordBatch,
    sorting: &SortingColumn,
    old: &RowGroupMetaData,
) -> Option<ArrayRef> {
    let leaf = usize::try_from(sorting.column_idx).ok()?;
    let column = old.schema_descr().columns().get(leaf)?;
    if column.max_rep_level() > 0 {
        return None;
    }
    let names = column.path().parts().iter().cloned();
    column_at(batch, &FieldPath::from_names(names))
}
