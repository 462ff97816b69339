//! Files to take apart: rows that can be told from one another, written in many ways.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch,
    StringArray, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::metadata::{ColumnChunkMetaData, KeyValue, RowGroupMetaData};
use parquet::file::properties::{
    BloomFilterPosition, EnabledStatistics, WriterProperties, WriterVersion,
};
use parquet::schema::types::ColumnPath;
use twox_hash::XxHash3_64;

use super::properties::footer;

/// The columns with Bloom filters, where there are any.
pub const FILTERED: [&str; 3] = ["user", "visit.page", "tags.list.item"];

/// Under which key our files tell the digests of their row groups.
pub const DIGESTS: &str = "lakewarden.row_groups";

/// How a file is written.
#[derive(Debug, Clone)]
pub struct Manner {
    pub codecs: Vec<Compression>,
    pub filters: Option<BloomFilterPosition>,
    pub statistics: EnabledStatistics,
    pub offset_index: bool,
    pub dictionary: bool,
    pub version: WriterVersion,
    /// Whether it is one of ours, with digests of its row groups.
    pub ours: bool,
}

impl Manner {
    pub fn plain() -> Self {
        Self {
            codecs: vec![Compression::UNCOMPRESSED],
            filters: None,
            statistics: EnabledStatistics::Page,
            offset_index: true,
            dictionary: false,
            version: WriterVersion::PARQUET_1_0,
            ours: false,
        }
    }

    pub fn created_by(&self) -> &str {
        if self.ours {
            "lakewarden 0.1"
        } else {
            "somebody else"
        }
    }

    pub fn file(&self, groups: &[RecordBatch]) -> Bytes {
        let file = file(groups, self.properties());
        if !self.ours {
            return file;
        }
        let note = KeyValue::new(DIGESTS.into(), digests(&file));
        let mut notes = Self::notes();
        notes.push(note);
        let properties = self.properties().into_builder();
        self::file(
            groups,
            properties.set_key_value_metadata(Some(notes)).build(),
        )
    }

    fn notes() -> Vec<KeyValue> {
        vec![KeyValue::new("team".into(), "cart".to_owned())]
    }

    pub fn properties(&self) -> WriterProperties {
        let mut properties = WriterProperties::builder()
            .set_created_by(self.created_by().into())
            .set_key_value_metadata(Some(Self::notes()))
            .set_statistics_enabled(self.statistics)
            .set_offset_index_disabled(!self.offset_index)
            .set_dictionary_enabled(self.dictionary)
            .set_writer_version(self.version)
            .set_data_page_row_count_limit(7)
            .set_write_batch_size(7)
            .set_max_row_group_row_count(None);
        for (index, column) in ["id", "user", "price", "visit.page", "tags.list.item"]
            .iter()
            .enumerate()
        {
            let codec = self.codecs[index % self.codecs.len()];
            properties = properties.set_column_compression(path(column), codec);
        }
        if let Some(position) = self.filters {
            properties = properties.set_bloom_filter_position(position);
            for column in FILTERED {
                properties = properties
                    .set_column_bloom_filter_enabled(path(column), true)
                    .set_column_bloom_filter_fpp(path(column), 0.01);
            }
        }
        properties.build()
    }
}

pub fn path(dotted: &str) -> ColumnPath {
    ColumnPath::new(dotted.split('.').map(str::to_owned).collect())
}

/// What stands in `user`, `visit.page` and `tags` of a row, and in no other row.
pub fn marker(row: usize) -> String {
    format!("subject-{row:05}-of-the-sample")
}

/// Rows with these numbers. What is null in a row follows from its number.
pub fn rows(numbers: std::ops::Range<usize>) -> RecordBatch {
    let numbers: Vec<usize> = numbers.collect();
    let has = |row: usize, one_in: usize| !row.is_multiple_of(one_in);
    let text = |row: usize, one_in: usize| has(row, one_in).then(|| marker(row));
    let users: StringArray = numbers.iter().map(|row| text(*row, 5)).collect();
    let prices: Float64Array = numbers
        .iter()
        .map(|row| has(*row, 4).then_some(*row as f64 / 8.0))
        .collect();
    let flags: BooleanArray = numbers.iter().map(|row| Some(row % 2 == 0)).collect();
    let ids: Int64Array = numbers.iter().map(|row| Some(*row as i64)).collect();
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("id", Arc::new(ids), false),
        ("user", Arc::new(users), true),
        ("price", Arc::new(prices), true),
        ("flag", Arc::new(flags), true),
        ("visit", visits(&numbers), true),
        ("tags", tags(&numbers), true),
        ("items", items(&numbers), true),
    ];
    let fields = columns
        .iter()
        .map(|(name, array, nullable)| Field::new(*name, array.data_type().clone(), *nullable));
    let schema = Schema::new(fields.collect::<Vec<_>>());
    let arrays = columns.iter().map(|(_, array, _)| Arc::clone(array));
    RecordBatch::try_new(Arc::new(schema), arrays.collect()).unwrap()
}

fn visits(numbers: &[usize]) -> ArrayRef {
    let pages: StringArray = numbers
        .iter()
        .map(|row| (row % 3 != 0).then(|| marker(*row)))
        .collect();
    let steps: Int32Array = numbers.iter().map(|row| Some((row % 11) as i32)).collect();
    let fields = Fields::from(vec![
        Field::new("page", DataType::Utf8, true),
        Field::new("step", DataType::Int32, false),
    ]);
    let present: Vec<bool> = numbers.iter().map(|row| row % 7 != 0).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(pages), Arc::new(steps)];
    Arc::new(StructArray::new(
        fields,
        columns,
        Some(NullBuffer::from(present)),
    ))
}

fn tags(numbers: &[usize]) -> ArrayRef {
    let (lengths, present) = lengths(numbers);
    let mut values = Vec::new();
    for (row, length) in numbers.iter().zip(&lengths) {
        values.extend((0..*length).map(|tag| (tag % 3 != 2).then(|| marker(*row))));
    }
    let field = Arc::new(Field::new_list_field(DataType::Utf8, true));
    let values: StringArray = values.into_iter().collect();
    let offsets = OffsetBuffer::from_lengths(lengths);
    Arc::new(ListArray::new(
        field,
        offsets,
        Arc::new(values),
        Some(present),
    ))
}

fn items(numbers: &[usize]) -> ArrayRef {
    let (lengths, present) = lengths(numbers);
    let count: usize = lengths.iter().sum();
    let counts: Int32Array = (0..count).map(|item| Some(item as i32 % 4)).collect();
    let fields = Fields::from(vec![Field::new("count", DataType::Int32, false)]);
    let values = StructArray::new(fields.clone(), vec![Arc::new(counts)], None);
    let field = Arc::new(Field::new_list_field(DataType::Struct(fields), false));
    let offsets = OffsetBuffer::from_lengths(lengths);
    Arc::new(ListArray::new(
        field,
        offsets,
        Arc::new(values),
        Some(present),
    ))
}

/// How long a row's lists are, and whether they are there.
fn lengths(numbers: &[usize]) -> (Vec<usize>, NullBuffer) {
    let present: Vec<bool> = numbers.iter().map(|row| row % 6 != 5).collect();
    let lengths = numbers.iter().zip(&present);
    let lengths = lengths.map(|(row, present)| if *present { row % 4 } else { 0 });
    (lengths.collect(), NullBuffer::from(present))
}

/// A file with these batches as its row groups.
pub fn file(groups: &[RecordBatch], properties: WriterProperties) -> Bytes {
    let schema = groups[0].schema();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties)).unwrap();
    for group in groups {
        writer.write(group).unwrap();
        writer.flush().unwrap();
    }
    writer.into_inner().unwrap().into()
}

/// The digests of a file's row groups as the file tells them, made from its bytes by their definition.
pub fn digests(file: &Bytes) -> String {
    let footer = footer(file);
    let of_group = |group: &RowGroupMetaData| {
        let chunks = group.columns().iter().map(ColumnChunkMetaData::byte_range);
        let filters = group.columns().iter().filter_map(|chunk| {
            let length = chunk.bloom_filter_length()? as u64;
            Some((chunk.bloom_filter_offset()? as u64, length))
        });
        let mut ranges: Vec<(u64, u64)> = chunks.chain(filters).collect();
        ranges.sort_unstable();
        let pieces = ranges
            .iter()
            .map(|(start, length)| &file[*start as usize..(start + length) as usize]);
        format!(
            "{:016x}",
            XxHash3_64::oneshot(&pieces.collect::<Vec<_>>().concat())
        )
    };
    let words: Vec<String> = footer.row_groups().iter().map(of_group).collect();
    words.join(" ")
}

/// What a file says under a key.
pub fn noted(file: &Bytes, key: &str) -> Option<String> {
    let footer = footer(file);
    let notes = footer.file_metadata().key_value_metadata()?;
    notes.iter().find(|note| note.key == key)?.value.clone()
}
