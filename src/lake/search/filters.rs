//! Footers, Bloom filters and page indexes → which rows of which row groups may hold a sought value.
//!
//! Bounds in statistics may be cut short (a minimum downwards, a maximum upwards), which keeps them bounds.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use parquet::basic::Type as PhysicalType;
use parquet::bloom_filter::Sbbf;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;

use super::dictionaries;
use crate::decode::RESCUED;
use crate::lake::parquet_files::{RangeReader, leaf_paths};
use crate::lake::subject::Sought;
use crate::policy::Compare;

/// The rows of a row group to read, in order.
type Rows = Vec<Range<usize>>;

/// What of a file may hold one of the values.
pub struct Narrowed {
    /// The footer, with page indexes if there is something to read.
    pub metadata: Arc<ParquetMetaData>,
    /// By row group, the rows to look at.
    pub rows: BTreeMap<usize, Rows>,
    /// Row groups with a dictionary that holds one of the values, whether a row uses it or not.
    pub dictionaries: BTreeSet<usize>,
}

/// Narrows down where in a file one of the values may be.
pub async fn narrow(reader: &mut RangeReader, sought: &[Sought]) -> Result<Narrowed, ParquetError> {
    let metadata = ArrowReaderMetadata::load_async(reader, ArrowReaderOptions::new()).await?;
    let places = Places::of(&metadata, sought);
    let mut groups = BTreeMap::new();
    let mut filters =
        ParquetRecordBatchStreamBuilder::new_with_metadata(reader.clone(), metadata.clone());
    for number in 0..metadata.metadata().num_row_groups() {
        let maybe = places.maybe(&mut filters, number, sought).await?;
        if maybe.rescued || !maybe.leaves.is_empty() {
            groups.insert(number, maybe);
        }
    }
    let mut metadata = Arc::clone(metadata.metadata());
    if !groups.is_empty() {
        let mut indexes = ParquetMetaDataReader::new_with_metadata((*metadata).clone())
            .with_page_index_policy(PageIndexPolicy::Optional);
        indexes.load_page_index(&mut *reader).await?;
        metadata = Arc::new(indexes.finish()?);
    }
    let rows = groups
        .into_iter()
        .map(|(number, maybe)| (number, places.rows(&metadata, number, &maybe, sought)))
        .filter(|(_, rows)| !rows.is_empty())
        .collect();
    let dictionaries = dictionaries::holding(reader, &metadata, &places.leaves, sought).await?;
    Ok(Narrowed {
        metadata,
        rows,
        dictionaries,
    })
}

/// Where in a file the values would stand.
struct Places {
    /// By value sought: its leaf columns, where the file has all of them.
    leaves: Vec<Option<Vec<usize>>>,
    rescued: Option<usize>,
}

/// Why a row group has to be looked at.
#[derive(Default)]
struct Maybe {
    rescued: bool,
    /// Which of the values sought, and of each which texts.
    leaves: Vec<(usize, Vec<usize>)>,
}

impl Places {
    fn of(metadata: &ArrowReaderMetadata, sought: &[Sought]) -> Self {
        let leaves = leaf_paths(metadata.schema());
        let place = |names: &[String]| leaves.iter().position(|leaf| leaf == names);
        let all = |one: &Sought| one.paths.iter().map(|path| place(path.names())).collect();
        Self {
            leaves: sought.iter().map(all).collect(),
            rescued: place(&[RESCUED.to_owned()]),
        }
    }

    async fn maybe(
        &self,
        filters: &mut ParquetRecordBatchStreamBuilder<RangeReader>,
        number: usize,
        sought: &[Sought],
    ) -> Result<Maybe, ParquetError> {
        let metadata = Arc::clone(filters.metadata());
        let group = metadata.row_group(number);
        let mut maybe = Maybe {
            rescued: self.rescued.is_some_and(|leaf| has_values(group, leaf)),
            leaves: Vec::new(),
        };
        for (index, (one, leaves)) in sought.iter().zip(&self.leaves).enumerate() {
            let Some(leaves) = leaves else {
                continue;
            };
            let mut texts: Vec<usize> = (0..one.texts.len()).collect();
            for (part, leaf) in leaves.iter().enumerate() {
                texts.retain(|text| within(group, *leaf, one.compare, part_of(one, *text, part)));
                if texts.is_empty() {
                    break;
                }
                let physical = group.column(*leaf).column_type();
                if !can_ask(physical, one.compare) {
                    continue;
                }
                let filter = filters
                    .get_row_group_column_bloom_filter(number, *leaf)
                    .await?;
                if let Some(filter) = filter {
                    texts.retain(|text| admits(&filter, physical, part_of(one, *text, part)));
                }
            }
            if !texts.is_empty() {
                maybe.leaves.push((index, texts));
            }
        }
        Ok(maybe)
    }

    /// The rows of a group's pages that may hold a value.
    fn rows(
        &self,
        metadata: &ParquetMetaData,
        number: usize,
        maybe: &Maybe,
        sought: &[Sought],
    ) -> Rows {
        let mut rows = Vec::new();
        if let (true, Some(leaf)) = (maybe.rescued, self.rescued) {
            rows.extend(pages(metadata, number, leaf, |index, page| {
                !index.is_null_page(page)
            }));
        }
        for (index, texts) in &maybe.leaves {
            let (Some(one), Some(Some(leaves))) = (sought.get(*index), self.leaves.get(*index))
            else {
                continue;
            };
            // The first part of a composite value is as good as all.
            let Some(leaf) = leaves.first() else {
                continue;
            };
            rows.extend(pages(metadata, number, *leaf, |index, page| {
                let mut texts = texts.iter();
                texts.any(|text| page_may_hold(index, page, one.compare, part_of(one, *text, 0)))
            }));
        }
        merged(rows)
    }
}

fn part_of(sought: &Sought, text: usize, part: usize) -> &str {
    let texts = sought.texts.get(text);
    texts
        .and_then(|parts| parts.get(part))
        .map_or("", String::as_str)
}

fn has_values(group: &RowGroupMetaData, leaf: usize) -> bool {
    let statistics = group.column(leaf).statistics();
    let nulls = statistics.and_then(Statistics::null_count_opt);
    nulls.is_none_or(|nulls| nulls < u64::try_from(group.num_rows()).unwrap_or(u64::MAX))
}

/// Whether filters and bounds speak of values as they are compared.
fn can_ask(physical: PhysicalType, compare: Compare) -> bool {
    match physical {
        PhysicalType::BYTE_ARRAY => compare == Compare::Text,
        PhysicalType::INT64 | PhysicalType::DOUBLE => true,
        _ => false,
    }
}

fn admits(filter: &Sbbf, physical: PhysicalType, text: &str) -> bool {
    match physical {
        PhysicalType::BYTE_ARRAY => filter.check(&text),
        PhysicalType::INT64 => text
            .parse::<i64>()
            .is_ok_and(|number| filter.check(&number)),
        PhysicalType::DOUBLE => text.parse::<f64>().is_ok_and(|number| {
            // Both zeros are the same number.
            filter.check(&number) || (number == 0.0 && filter.check(&-number))
        }),
        _ => true,
    }
}

/// Whether the text lies within the bounds of a row group's column.
fn within(group: &RowGroupMetaData, leaf: usize, compare: Compare, text: &str) -> bool {
    let column = group.column(leaf);
    if !can_ask(column.column_type(), compare) {
        return true;
    }
    match column.statistics() {
        // Such bounds of text were taken by comparing bytes as signed numbers.
        Some(statistics) if statistics.is_min_max_deprecated() => true,
        Some(Statistics::ByteArray(bounds)) => {
            let text = text.as_bytes();
            let (least, most) = (bounds.min_opt(), bounds.max_opt());
            least.is_none_or(|least| least.data() <= text)
                && most.is_none_or(|most| text <= most.data())
        }
        Some(Statistics::Int64(bounds)) => text.parse::<i64>().is_ok_and(|number| {
            let (least, most) = (bounds.min_opt(), bounds.max_opt());
            least.is_none_or(|least| *least <= number) && most.is_none_or(|most| number <= *most)
        }),
        Some(Statistics::Double(bounds)) => text.parse::<f64>().is_ok_and(|number| {
            let (least, most) = (bounds.min_opt(), bounds.max_opt());
            least.is_none_or(|least| *least <= number) && most.is_none_or(|most| number <= *most)
        }),
        _ => true,
    }
}

/// The rows of the pages of a column for which `holds` says maybe; all rows where there is no index.
fn pages(
    metadata: &ParquetMetaData,
    number: usize,
    leaf: usize,
    holds: impl Fn(&ColumnIndexMetaData, usize) -> bool,
) -> Rows {
    let total = usize::try_from(metadata.row_group(number).num_rows()).unwrap_or(0);
    let index = metadata
        .column_index()
        .and_then(|groups| groups.get(number)?.get(leaf));
    let offsets = metadata
        .offset_index()
        .and_then(|groups| groups.get(number)?.get(leaf));
    let (Some(index), Some(offsets)) = (index, offsets) else {
        return std::iter::once(0..total).collect();
    };
    if matches!(index, ColumnIndexMetaData::NONE) {
        return std::iter::once(0..total).collect();
    }
    let first = |page: &parquet::file::page_index::offset_index::PageLocation| {
        usize::try_from(page.first_row_index).unwrap_or(0)
    };
    let locations = offsets.page_locations();
    let mut rows = Vec::new();
    for (page, location) in locations.iter().enumerate() {
        if holds(index, page) {
            rows.push(first(location)..locations.get(page + 1).map_or(total, first));
        }
    }
    rows
}

fn page_may_hold(index: &ColumnIndexMetaData, page: usize, compare: Compare, text: &str) -> bool {
    match index {
        _ if index.is_null_page(page) => false,
        ColumnIndexMetaData::BYTE_ARRAY(bounds) if compare == Compare::Text => {
            let text = text.as_bytes();
            let (least, most) = (bounds.min_value(page), bounds.max_value(page));
            least.is_none_or(|least| least <= text) && most.is_none_or(|most| text <= most)
        }
        ColumnIndexMetaData::INT64(bounds) => text.parse::<i64>().is_ok_and(|number| {
            let (least, most) = (bounds.min_value(page), bounds.max_value(page));
            least.is_none_or(|least| *least <= number) && most.is_none_or(|most| number <= *most)
        }),
        _ => true,
    }
}

/// Ranges in order, those that touch or overlap made one.
fn merged(mut ranges: Rows) -> Rows {
    ranges.sort_by_key(|range| range.start);
    let mut merged: Rows = Vec::with_capacity(ranges.len());
    for range in ranges.into_iter().filter(|range| !range.is_empty()) {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}
