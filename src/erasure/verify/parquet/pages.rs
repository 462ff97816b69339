//! What a row group says of its values beside the values: dictionaries, and least and greatest values of
//! the group and of its pages.

use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::Type as Physical;
use parquet::column::page::{Page, PageReader};
use parquet::errors::Result as ParquetResult;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::file::statistics::Statistics;

use super::columns::is_of_table;
use super::{FileLook, Held, Window};
use crate::erasure::verify::coverage::Form;
use crate::erasure::verify::event::Findings;
use crate::erasure::verify::fields::{Fields, Spot};

/// A value that is not known to belong to a row.
struct Loose<'a> {
    leaf: usize,
    path: &'a [String],
    physical: Physical,
    form: Form,
}

impl FileLook {
    /// Looks at them; `held` are the terms that rows of the group hold.
    pub(super) fn look_at_pages(
        &self,
        metadata: &ParquetMetaData,
        group: usize,
        window: &Window,
        held: &Held,
        findings: &mut Findings,
    ) -> ParquetResult<()> {
        let reader = Arc::new(window.clone());
        let group_metadata = metadata.row_group(group);
        let indexes = metadata.column_index().and_then(|groups| groups.get(group));
        for (leaf, column) in group_metadata.columns().iter().enumerate() {
            let mut loose = Loose {
                leaf,
                path: column.column_path().parts(),
                physical: column.column_type(),
                form: Form::Statistics,
            };
            let index = indexes.and_then(|columns| columns.get(leaf));
            for value in ends(column.statistics(), index) {
                self.look_at_loose(&loose, &value, held, findings);
            }
            let rows = usize::try_from(group_metadata.num_rows()).unwrap_or(0);
            let Some(page) = dictionary_page(&reader, column, rows)? else {
                continue;
            };
            loose.form = Form::Dictionary;
            let length = column.column_descr().type_length();
            for value in dictionary(&page, loose.physical, length) {
                self.look_at_loose(&loose, value, held, findings);
            }
        }
        Ok(())
    }

    fn look_at_loose(&self, loose: &Loose<'_>, value: &[u8], held: &Held, findings: &mut Findings) {
        let spot = self.spot_of_column(loose.path);
        let mut walk = self.walk();
        match (loose.physical, integer(value)) {
            (Physical::INT32 | Physical::INT64, Some(number)) if !is_of_table(loose.path) => {
                walk.see_integer(spot, number.into());
            }
            (Physical::DOUBLE, _) => {
                let number = value.try_into().map(f64::from_le_bytes);
                if let Ok(number) = number {
                    walk.see_float(spot, number);
                }
            }
            (Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY, _) => {
                self.see_text(&mut walk, spot, value);
            }
            _ => {}
        }
        let left = walk
            .event
            .without(|term| held.contains(&(loose.leaf, term)));
        let mut found = Findings::default();
        left.judge(&self.searcher, loose.form, &mut found);
        let traces = found.traces.into_iter();
        findings
            .traces
            .extend(traces.map(|(quarry, _)| (quarry, loose.form)));
    }

    /// A column's path as Parquet has it, with the levels that lists and maps add.
    fn spot_of_column(&self, path: &[String]) -> Spot {
        const OF_LISTS: [&str; 6] = ["list", "element", "array", "item", "key_value", "bag"];
        let mut spot = Fields::ROOT;
        for name in path {
            match self.fields.step(spot, name) {
                None if OF_LISTS.contains(&name.as_str()) => {}
                below => spot = below,
            }
        }
        spot
    }
}

/// The least and greatest values of the group and of its pages.
fn ends(statistics: Option<&Statistics>, index: Option<&ColumnIndexMetaData>) -> Vec<Vec<u8>> {
    let mut values = Vec::new();
    if let Some(statistics) = statistics {
        let ends = [statistics.min_bytes_opt(), statistics.max_bytes_opt()];
        values.extend(ends.into_iter().flatten().map(<[u8]>::to_vec));
    }
    if let Some(index) = index {
        push_index(index, &mut values);
    }
    values
}

/// The plain bytes of a column's dictionary, which is its first page if it has one.
fn dictionary_page(
    reader: &Arc<Window>,
    column: &ColumnChunkMetaData,
    rows: usize,
) -> ParquetResult<Option<Bytes>> {
    if column.compressed_size() <= 0 {
        return Ok(None);
    }
    let mut pages = SerializedPageReader::new(Arc::clone(reader), column, rows, None)?;
    if pages.peek_next_page()?.is_none_or(|page| !page.is_dict) {
        return Ok(None);
    }
    Ok(match pages.get_next_page()? {
        Some(Page::DictionaryPage { buf, .. }) => Some(buf),
        _ => None,
    })
}

fn integer(value: &[u8]) -> Option<i64> {
    match value.len() {
        4 => value.try_into().ok().map(i32::from_le_bytes).map(i64::from),
        8 => value.try_into().ok().map(i64::from_le_bytes),
        _ => None,
    }
}

fn push_index(index: &ColumnIndexMetaData, values: &mut Vec<Vec<u8>>) {
    match index {
        ColumnIndexMetaData::BYTE_ARRAY(index)
        | ColumnIndexMetaData::FIXED_LEN_BYTE_ARRAY(index) => {
            let ends = index.min_values_iter().chain(index.max_values_iter());
            values.extend(ends.flatten().map(<[u8]>::to_vec));
        }
        ColumnIndexMetaData::INT64(index) => {
            let ends = index.min_values_iter().chain(index.max_values_iter());
            values.extend(ends.flatten().map(|end| end.to_le_bytes().to_vec()));
        }
        ColumnIndexMetaData::INT32(index) => {
            let ends = index.min_values_iter().chain(index.max_values_iter());
            values.extend(ends.flatten().map(|end| end.to_le_bytes().to_vec()));
        }
        ColumnIndexMetaData::DOUBLE(index) => {
            let ends = index.min_values_iter().chain(index.max_values_iter());
            values.extend(ends.flatten().map(|end| end.to_le_bytes().to_vec()));
        }
        _ => {}
    }
}

/// The values of a dictionary page, which are always encoded plainly.
fn dictionary(page: &[u8], physical: Physical, fixed_length: i32) -> Vec<&[u8]> {
    let length = match physical {
        Physical::INT32 | Physical::FLOAT => 4,
        Physical::INT64 | Physical::DOUBLE => 8,
        Physical::INT96 => 12,
        Physical::FIXED_LEN_BYTE_ARRAY => usize::try_from(fixed_length).unwrap_or(0).max(1),
        Physical::BOOLEAN => return Vec::new(),
        Physical::BYTE_ARRAY => return texts(page),
    };
    page.chunks_exact(length).collect()
}

fn texts(page: &[u8]) -> Vec<&[u8]> {
    let mut texts = Vec::new();
    let mut rest = page;
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        let Some((text, behind)) = behind.split_at_checked(length) else {
            break;
        };
        texts.push(text);
        rest = behind;
    }
    texts
}
