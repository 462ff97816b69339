//! Parquet files: read as JSON lines, and written again without some of their records.
//!
//! Arrow puts the nesting together; the values it is asked for are the stored ones, and what they mean is
//! looked up in the file's own schema. So a broken string costs its record and not its batch, a UUID or an
//! interval stays what it is, and a decimal may have any number of digits.
//!
//! Hazards: the file's footer is at its end, so of a file that is cut nothing can be read. A page of
//! a few bytes may hold one long value a million times: text is taken as views into the page, and what a
//! footer announces is held against the limits before anything is read. INT96 counts days as far as
//! Arrow's nanoseconds do not reach: a file with such times is refused.

mod read;
mod rewrite;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type as PhysicalType};
use parquet::errors::ParquetError;
use parquet::file::metadata::{FileMetaData, ParquetMetaData, ParquetMetaDataReader};
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor, Type, TypePtr};

pub use self::read::to_json_lines;
pub use self::rewrite::without;
use super::values::{Meaning, Unit};
use crate::decode::Reason;

const MAGIC: &[u8] = b"PAR1";

/// What `read` answers. The library asserts things that a damaged page may break: that is damage too, and
/// no reason for a night to end.
fn shielded<Read>(read: impl FnOnce() -> Result<Read, Reason>) -> Result<Read, Reason> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or(Err(Reason::ContainerCorrupt))
}

/// A file's footer, or why there is none.
fn footer(raw: &[u8]) -> Result<ParquetMetaData, Reason> {
    if !raw.starts_with(MAGIC) {
        return Err(Reason::WrongFormat);
    }
    if raw.len() < 2 * MAGIC.len() || !raw.ends_with(MAGIC) {
        return Err(Reason::ContainerTruncated);
    }
    let mut reader = ParquetMetaDataReader::new();
    let parsed = reader.try_parse(&Bytes::copy_from_slice(raw));
    parsed
        .and_then(|()| reader.finish())
        .map_err(|_| Reason::ContainerCorrupt)
}

/// How Arrow reads the file: every value as it is stored, text and bytes as views.
fn as_stored(footer: &ParquetMetaData) -> Result<ArrowReaderMetadata, ParquetError> {
    let file = footer.file_metadata();
    let root = stored_type(file.schema_descr().root_schema())?;
    let schema = Arc::new(SchemaDescriptor::new(root));
    let inferred = parquet_to_arrow_schema(&schema, None)?;
    let as_views = Schema::new(as_views(inferred.fields()));
    let plain = FileMetaData::new(file.version(), file.num_rows(), None, None, schema, None);
    let metadata = ParquetMetaData::new(plain, footer.row_groups().to_vec());
    let options = ArrowReaderOptions::new().with_schema(Arc::new(as_views));
    ArrowReaderMetadata::try_new(Arc::new(metadata), options)
}

/// The type without what its values mean; lists and maps stay what they are.
fn stored_type(of: &Type) -> Result<TypePtr, ParquetError> {
    let info = of.get_basic_info();
    let stored = match of {
        Type::PrimitiveType {
            physical_type,
            type_length,
            ..
        } => Type::primitive_type_builder(info.name(), *physical_type)
            .with_repetition(info.repetition())
            .with_length(*type_length)
            .build()?,
        Type::GroupType { fields, .. } => {
            let fields = fields.iter().map(|field| stored_type(field));
            let mut group = Type::group_type_builder(info.name())
                .with_converted_type(info.converted_type())
                .with_logical_type(info.logical_type_ref().cloned())
                .with_fields(fields.collect::<Result<_, _>>()?);
            if info.has_repetition() {
                group = group.with_repetition(info.repetition());
            }
            group.build()?
        }
    };
    Ok(Arc::new(stored))
}

fn as_views(fields: &Fields) -> Fields {
    fields.iter().map(as_view).collect()
}

fn as_view(field: &FieldRef) -> FieldRef {
    let viewed = match field.data_type() {
        DataType::Binary => DataType::BinaryView,
        DataType::Struct(fields) => DataType::Struct(as_views(fields)),
        DataType::List(element) => DataType::List(as_view(element)),
        DataType::Map(entries, sorted) => DataType::Map(as_view(entries), *sorted),
        other => other.clone(),
    };
    Arc::new(Field::clone(field).with_data_type(viewed))
}

/// What the values of a column stand for; older writers say it by the converted type only.
fn meaning(column: &ColumnDescriptor) -> Meaning {
    let Some(logical) = column.logical_type_ref() else {
        return converted_meaning(column);
    };
    match logical {
        LogicalType::String | LogicalType::Enum | LogicalType::Json => Meaning::Text,
        LogicalType::Integer(integer) if !integer.is_signed => Meaning::Unsigned,
        LogicalType::Decimal(_) => decimal(column),
        LogicalType::Date => Meaning::Date,
        LogicalType::Time(time) => Meaning::TimeOfDay(unit(time.unit)),
        LogicalType::Timestamp(timestamp) if timestamp.is_adjusted_to_u_t_c => {
            Meaning::Instant(unit(timestamp.unit))
        }
        LogicalType::Timestamp(timestamp) => Meaning::Local(unit(timestamp.unit)),
        LogicalType::Uuid => Meaning::Uuid,
        LogicalType::Float16 => Meaning::Float16,
        _ => Meaning::Itself,
    }
}

fn converted_meaning(column: &ColumnDescriptor) -> Meaning {
    match column.converted_type() {
        ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON => Meaning::Text,
        ConvertedType::UINT_8
        | ConvertedType::UINT_16
        | ConvertedType::UINT_32
        | ConvertedType::UINT_64 => Meaning::Unsigned,
        ConvertedType::DECIMAL => decimal(column),
        ConvertedType::DATE => Meaning::Date,
        ConvertedType::TIME_MILLIS => Meaning::TimeOfDay(Unit::Milliseconds),
        ConvertedType::TIME_MICROS => Meaning::TimeOfDay(Unit::Microseconds),
        ConvertedType::TIMESTAMP_MILLIS => Meaning::Instant(Unit::Milliseconds),
        ConvertedType::TIMESTAMP_MICROS => Meaning::Instant(Unit::Microseconds),
        ConvertedType::INTERVAL => Meaning::Duration,
        _ if column.physical_type() == PhysicalType::INT96 => Meaning::Local(Unit::Nanoseconds),
        _ => Meaning::Itself,
    }
}

fn decimal(column: &ColumnDescriptor) -> Meaning {
    match usize::try_from(column.type_scale()) {
        Ok(scale) if scale <= LARGEST_SCALE => Meaning::Decimal { scale },
        _ => Meaning::Itself,
    }
}

/// Beyond it a decimal would be mostly zeros that the file does not hold.
const LARGEST_SCALE: usize = 1024;

fn unit(unit: TimeUnit) -> Unit {
    match unit {
        TimeUnit::MILLIS => Unit::Milliseconds,
        TimeUnit::MICROS => Unit::Microseconds,
        TimeUnit::NANOS => Unit::Nanoseconds,
    }
}
