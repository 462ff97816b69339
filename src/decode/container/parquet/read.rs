//! Rows of a Parquet file → JSON text.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, FieldRef, Fields, Float32Type, Float64Type, Int32Type, Int64Type,
    TimestampNanosecondType,
};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::basic::Type as PhysicalType;
use parquet::column::reader::ColumnReader;
use parquet::data_type::Int96;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;

use super::super::lines::{Lines, quoted};
use super::super::{Broken, Converted, values};
use super::{as_stored, footer, meaning, shielded};
use crate::decode::container::values::Meaning;
use crate::decode::{Limits, Reason};

/// Rows at once; views into pages make them cheap, values of fixed length are copied.
const ROWS_AT_ONCE: usize = 1024;
const FIXED_BYTES_AT_ONCE: usize = 64 << 20;
/// Days between the first day of the Julian calendar and 1970.
const JULIAN_1970: i64 = 2_440_588;
/// Days from 1970 that nanoseconds in 64 bits reach either way.
const NANOSECOND_DAYS: i64 = 106_750;

/// The rows of a Parquet file as JSON lines.
pub fn to_json_lines(raw: &[u8], limits: &Limits) -> Converted {
    let file = Bytes::copy_from_slice(raw);
    match shielded(|| File::open(&file, limits)) {
        Ok(opened) => opened.convert(&file, limits),
        Err(reason) => Converted::unreadable(raw, reason, limits),
    }
}

struct File {
    footer: ParquetMetaData,
    as_stored: ArrowReaderMetadata,
    columns: Members,
    rows_at_once: usize,
}

/// Fields, each with its name as JSON text.
type Members = Vec<(Vec<u8>, Column)>;

/// What an Arrow array means.
enum Column {
    Value(Meaning),
    Group(Members),
    List(Box<Column>),
    Map(Box<Column>, Box<Column>),
}

impl File {
    fn open(file: &Bytes, limits: &Limits) -> Result<Self, Reason> {
        let footer = footer(file)?;
        let as_stored = as_stored(&footer).map_err(|_| Reason::ContainerSchema)?;
        let columns = footer.file_metadata().schema_descr();
        let longest = columns
            .columns()
            .iter()
            .filter(|column| column.physical_type() == PhysicalType::FIXED_LEN_BYTE_ARRAY)
            .map(|column| column.type_length())
            .max();
        let longest = usize::try_from(longest.unwrap_or(1)).map_or(1, |longest| longest.max(1));
        if longest as u64 > limits.max_record_bytes || announces_too_much(&footer, limits) {
            return Err(Reason::ObjectTooLarge);
        }
        let mut meanings = columns.columns().iter().map(|column| meaning(column));
        let columns = members(as_stored.schema().fields(), &mut meanings);
        Ok(Self {
            columns: columns.ok_or(Reason::ContainerSchema)?,
            rows_at_once: (FIXED_BYTES_AT_ONCE / longest).clamp(1, ROWS_AT_ONCE),
            footer,
            as_stored,
        })
    }

    fn convert(&self, file: &Bytes, limits: &Limits) -> Converted {
        let mut lines = Lines::new(limits);
        let mut damage = None;
        for (place, group) in self.footer.row_groups().iter().enumerate() {
            let before = lines.ordinal();
            let read = shielded(|| self.rows(file, place, group, &mut lines));
            let Err(reason) = read else {
                continue;
            };
            damage.get_or_insert(reason);
            let read = lines.ordinal() - before;
            let announced = u64::try_from(group.num_rows()).ok();
            let is_too_large = reason == Reason::ObjectTooLarge;
            lines.push_broken(Broken {
                reason,
                offset: offset(group),
                bytes: Vec::new(),
                stands_for: announced
                    .and_then(|rows| rows.checked_sub(read))
                    .filter(|_| !is_too_large),
            });
            if is_too_large {
                break;
            }
        }
        lines.conclude(damage, self.described())
    }

    /// Adds the rows of a row group, as many as can be read.
    fn rows(
        &self,
        file: &Bytes,
        place: usize,
        group: &RowGroupMetaData,
        lines: &mut Lines,
    ) -> Result<(), Reason> {
        let corrupt = |_: ParquetError| Reason::ContainerCorrupt;
        check_int96(file, place, group).map_err(corrupt)?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(
            file.clone(),
            self.as_stored.clone(),
        );
        let batches = builder
            .with_row_groups(vec![place])
            .with_batch_size(self.rows_at_once)
            .build();
        let mut rows = 0;
        for batch in batches.map_err(corrupt)? {
            let batch = batch.map_err(|_| Reason::ContainerCorrupt)?;
            rows += batch.num_rows();
            self.push_rows(&batch, offset(group), lines)?;
        }
        if usize::try_from(group.num_rows()) == Ok(rows) {
            return Ok(());
        }
        Err(Reason::ContainerCorrupt)
    }

    fn push_rows(&self, batch: &RecordBatch, offset: u64, lines: &mut Lines) -> Result<(), Reason> {
        for row in 0..batch.num_rows() {
            push_members(&self.columns, batch.columns(), row, lines);
            if !lines.finish(offset) {
                return Err(Reason::ObjectTooLarge);
            }
        }
        Ok(())
    }

    fn described(&self) -> Vec<u8> {
        let pairs = self.footer.file_metadata().key_value_metadata();
        let mut described = Vec::new();
        for pair in pairs.into_iter().flatten() {
            for text in [Some(&pair.key), pair.value.as_ref()].into_iter().flatten() {
                described.extend_from_slice(text.as_bytes());
                described.push(b'\n');
            }
        }
        described
    }
}

/// Whether the footer says that more is in the file than the limits allow. Each value of a list takes
/// two bytes of text at least.
fn announces_too_much(footer: &ParquetMetaData, limits: &Limits) -> bool {
    let too_much =
        |count: i64| u64::try_from(count).map_or(true, |count| count > limits.max_object_bytes);
    let mut total: i64 = 0;
    for group in footer.row_groups() {
        for column in group.columns() {
            total = total.saturating_add(column.uncompressed_size().max(0));
            if too_much(column.num_values()) || too_much(column.uncompressed_size()) {
                return true;
            }
        }
    }
    too_much(total)
}

fn offset(group: &RowGroupMetaData) -> u64 {
    let pages = group.columns().iter().map(|column| {
        let dictionary = column.dictionary_page_offset();
        dictionary.unwrap_or_else(|| column.data_page_offset())
    });
    u64::try_from(pages.min().unwrap_or_default()).unwrap_or_default()
}

/// Fails if an INT96 of the row group lies where nanoseconds in 64 bits do not reach: Arrow would wrap.
fn check_int96(file: &Bytes, group: usize, columns: &RowGroupMetaData) -> Result<(), ParquetError> {
    let is_int96 = |place: &usize| columns.column(*place).column_type() == PhysicalType::INT96;
    let places: Vec<usize> = (0..columns.num_columns()).filter(is_int96).collect();
    if places.is_empty() {
        return Ok(());
    }
    let reader = SerializedFileReader::new(file.clone())?;
    let group = reader.get_row_group(group)?;
    for place in places {
        let ColumnReader::Int96ColumnReader(mut reader) = group.get_column_reader(place)? else {
            continue;
        };
        let (mut definitions, mut repetitions, mut times) = (Vec::new(), Vec::new(), Vec::new());
        reader.read_records(
            usize::MAX,
            Some(&mut definitions),
            Some(&mut repetitions),
            &mut times,
        )?;
        if !times.iter().all(is_in_reach) {
            return Err(ParquetError::General("a time is out of reach".into()));
        }
    }
    Ok(())
}

fn is_in_reach(time: &Int96) -> bool {
    let [_, _, day] = time.data() else {
        return false;
    };
    (i64::from(*day) - JULIAN_1970).abs() < NANOSECOND_DAYS
}

/// The fields' meanings; those of the values come in the order of the file's columns.
fn members(fields: &Fields, meanings: &mut dyn Iterator<Item = Meaning>) -> Option<Members> {
    let member = |field: &FieldRef| {
        let column = column(field.data_type(), meanings)?;
        Some((quoted(field.name()), column))
    };
    fields.iter().map(member).collect()
}

fn column(of: &DataType, meanings: &mut dyn Iterator<Item = Meaning>) -> Option<Column> {
    match of {
        DataType::Struct(fields) => members(fields, meanings).map(Column::Group),
        DataType::List(element) => {
            let element = column(element.data_type(), meanings)?;
            Some(Column::List(Box::new(element)))
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(entries) = entries.data_type() else {
                return None;
            };
            let [key, value] = entries.as_ref() else {
                return None;
            };
            let key = column(key.data_type(), meanings)?;
            let value = column(value.data_type(), meanings)?;
            Some(Column::Map(Box::new(key), Box::new(value)))
        }
        _ => meanings.next().map(Column::Value),
    }
}

fn push_members(members: &Members, arrays: &[ArrayRef], row: usize, lines: &mut Lines) {
    lines.open(b'{');
    for (place, ((name, column), array)) in members.iter().zip(arrays).enumerate() {
        lines.raw(if place > 0 { b"," } else { b"" });
        lines.raw(name);
        lines.raw(b":");
        push(column, array, row, lines);
    }
    lines.close(b'}');
}

fn push(column: &Column, array: &ArrayRef, row: usize, lines: &mut Lines) {
    if array.is_null(row) {
        return lines.raw(b"null");
    }
    match column {
        Column::Value(meaning) => push_value(*meaning, array, row, lines),
        Column::Group(members) => push_members(members, array.as_struct().columns(), row, lines),
        Column::List(element) => {
            let list = array.as_list::<i32>().value(row);
            lines.open(b'[');
            for place in 0..list.len() {
                lines.raw(if place > 0 { b"," } else { b"" });
                push(element, &list, place, lines);
            }
            lines.close(b']');
        }
        Column::Map(key, value) => {
            let entries = array.as_map().value(row);
            lines.open(b'{');
            for place in 0..entries.len() {
                lines.raw(if place > 0 { b"," } else { b"" });
                lines.key(|lines| push(key, entries.column(0), place, lines));
                lines.raw(b":");
                push(value, entries.column(1), place, lines);
            }
            lines.close(b'}');
        }
    }
}

fn push_value(meaning: Meaning, array: &ArrayRef, row: usize, lines: &mut Lines) {
    match array.data_type() {
        DataType::Boolean => values::boolean(lines, array.as_boolean().value(row)),
        DataType::Int32 => {
            values::int(lines, array.as_primitive::<Int32Type>().value(row), meaning);
        }
        DataType::Int64 => {
            values::long(lines, array.as_primitive::<Int64Type>().value(row), meaning);
        }
        DataType::Timestamp(..) => {
            let times = array.as_primitive::<TimestampNanosecondType>();
            values::long(lines, times.value(row), meaning);
        }
        DataType::Float32 => values::float(lines, array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => values::double(lines, array.as_primitive::<Float64Type>().value(row)),
        DataType::BinaryView => values::bytes(lines, array.as_binary_view().value(row), meaning),
        DataType::FixedSizeBinary(_) => {
            values::bytes(lines, array.as_fixed_size_binary().value(row), meaning);
        }
        _ => lines.flaw(Reason::ContainerSchema),
    }
}
