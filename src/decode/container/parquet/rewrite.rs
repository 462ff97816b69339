//! A Parquet file without some of its rows.
//!
//! Columns are copied value by value in their stored types, with their levels, so that nothing is
//! interpreted: schema, key-value pairs, row groups and compression stay. Pages, dictionaries, statistics
//! and filters are made anew from what is left; of the values that went nothing is in them.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::column::writer::{ColumnWriter, ColumnWriterImpl};
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::reader::{FileReader, RowGroupReader};
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};

use super::{footer, shielded};
use crate::decode::{Limits, Reason};

/// The file without the rows whose ordinals are `dropped`.
pub fn without(raw: &[u8], dropped: &BTreeSet<u64>, _: &Limits) -> Result<Vec<u8>, Reason> {
    shielded(|| {
        let left = write(&footer(raw)?, Bytes::copy_from_slice(raw), dropped);
        left.map_err(|_| Reason::ContainerCorrupt)
    })
}

fn write(
    footer: &ParquetMetaData,
    file: Bytes,
    dropped: &BTreeSet<u64>,
) -> Result<Vec<u8>, ParquetError> {
    let reader = SerializedFileReader::new(file)?;
    let schema = footer.file_metadata().schema_descr().root_schema_ptr();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties(footer)))?;
    let mut first = 0;
    for place in 0..reader.num_row_groups() {
        let group = reader.get_row_group(place)?;
        let rows = u64::try_from(group.metadata().num_rows())?;
        let stays: Vec<bool> = (first..first + rows)
            .map(|ordinal| !dropped.contains(&ordinal))
            .collect();
        first += rows;
        if stays.contains(&true) {
            let mut copy = writer.next_row_group()?;
            copy_group(group.as_ref(), &mut copy, &stays)?;
            copy.close()?;
        }
    }
    writer.into_inner()
}

/// As the file was written: its pairs, its version, each column's compression.
fn properties(footer: &ParquetMetaData) -> WriterProperties {
    let file = footer.file_metadata();
    let version = match file.version() {
        2 => WriterVersion::PARQUET_2_0,
        _ => WriterVersion::PARQUET_1_0,
    };
    let mut properties = WriterProperties::builder()
        .set_writer_version(version)
        .set_key_value_metadata(file.key_value_metadata().cloned());
    let columns = footer.row_groups().first().map(RowGroupMetaData::columns);
    for column in columns.unwrap_or_default() {
        let path = column.column_path().clone();
        properties = properties.set_column_compression(path, column.compression());
    }
    properties.build()
}

fn copy_group(
    group: &dyn RowGroupReader,
    copy: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    stays: &[bool],
) -> Result<(), ParquetError> {
    for place in 0..group.num_columns() {
        let reader = group.get_column_reader(place)?;
        let Some(mut writer) = copy.next_column()? else {
            return Err(ParquetError::General("a column has no writer".into()));
        };
        copy_column(reader, writer.untyped(), stays)?;
        writer.close()?;
    }
    Ok(())
}

fn copy_column(
    reader: ColumnReader,
    writer: &mut ColumnWriter<'_>,
    stays: &[bool],
) -> Result<(), ParquetError> {
    use {ColumnReader as From, ColumnWriter as Into};
    match (reader, writer) {
        (From::BoolColumnReader(from), Into::BoolColumnWriter(into)) => copy(from, into, stays),
        (From::Int32ColumnReader(from), Into::Int32ColumnWriter(into)) => copy(from, into, stays),
        (From::Int64ColumnReader(from), Into::Int64ColumnWriter(into)) => copy(from, into, stays),
        (From::Int96ColumnReader(from), Into::Int96ColumnWriter(into)) => copy(from, into, stays),
        (From::FloatColumnReader(from), Into::FloatColumnWriter(into)) => copy(from, into, stays),
        (From::DoubleColumnReader(from), Into::DoubleColumnWriter(into)) => copy(from, into, stays),
        (From::ByteArrayColumnReader(from), Into::ByteArrayColumnWriter(into)) => {
            copy(from, into, stays)
        }
        (From::FixedLenByteArrayColumnReader(from), Into::FixedLenByteArrayColumnWriter(into)) => {
            copy(from, into, stays)
        }
        _ => Err(ParquetError::General("a column changes its type".into())),
    }
}

fn copy<Stored: DataType>(
    mut from: ColumnReaderImpl<Stored>,
    into: &mut ColumnWriterImpl<'_, Stored>,
    stays: &[bool],
) -> Result<(), ParquetError> {
    let descriptor = into.get_descriptor();
    let (deepest, repeated) = (descriptor.max_def_level(), descriptor.max_rep_level() > 0);
    let (mut definitions, mut repetitions, mut values) = (Vec::new(), Vec::new(), Vec::new());
    let (rows, _, levels) = from.read_records(
        stays.len(),
        Some(&mut definitions),
        Some(&mut repetitions),
        &mut values,
    )?;
    if rows != stays.len() {
        return Err(ParquetError::General("a column lacks rows".into()));
    }
    let (mut kept, mut kept_definitions, mut kept_repetitions) =
        (Vec::new(), Vec::new(), Vec::new());
    let (mut values, mut rows) = (values.into_iter(), stays.iter());
    let mut row_stays = false;
    for place in 0..levels {
        let definition = definitions.get(place).copied().unwrap_or(deepest);
        let repetition = repetitions.get(place).copied().unwrap_or(0);
        if repetition == 0 {
            row_stays = rows.next().copied().unwrap_or_default();
        }
        let value = if definition == deepest {
            values.next()
        } else {
            None
        };
        if row_stays {
            kept_definitions.push(definition);
            kept_repetitions.push(repetition);
            kept.extend(value);
        }
    }
    into.write_batch(
        &kept,
        (deepest > 0).then_some(kept_definitions.as_slice()),
        repeated.then_some(kept_repetitions.as_slice()),
    )?;
    Ok(())
}
