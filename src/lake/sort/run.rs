//! Sorted rows: still in memory, or as a run in the spill folder.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek, Write};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;

use super::key::keys;
use super::{PIECE_BYTES, SortError, conform};
use crate::decode::FieldPath;
use crate::lake::spill::SpillFolder;

/// The column that carries the rows' keys from sorting to merging; always the last.
pub const SORT_KEY: &str = "_sort_key";

/// `schema` with the column for the keys.
pub fn with_key(schema: &SchemaRef) -> SchemaRef {
    let key = Arc::new(Field::new(SORT_KEY, DataType::Binary, false));
    let fields = schema.fields().iter().map(Arc::clone).chain([key]);
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Rows in memory, handed out in order piece by piece.
pub struct Sorted {
    batches: Vec<RecordBatch>,
    /// Batch and row of every row, in order.
    order: Vec<(usize, usize)>,
    handed_out: usize,
    piece_rows: usize,
}

impl Sorted {
    /// Sorts batches that together take up `bytes`.
    pub fn new(
        batches: Vec<RecordBatch>,
        schema: &SchemaRef,
        sort_by: &[FieldPath],
        bytes: usize,
    ) -> Result<Self, SortError> {
        let keyed_schema = with_key(schema);
        let mut keyed = Vec::with_capacity(batches.len());
        for batch in batches {
            let keys = keys(&batch, sort_by)?;
            let mut columns = conform(&batch, schema)?.columns().to_vec();
            columns.push(Arc::new(keys));
            keyed.push(RecordBatch::try_new(Arc::clone(&keyed_schema), columns)?);
        }
        let mut order = Vec::new();
        for (position, batch) in keyed.iter().enumerate() {
            let keys = batch.column(batch.num_columns() - 1).as_binary::<i32>();
            order.extend((0..keys.len()).map(|row| (keys.value(row), position, row)));
        }
        order.sort_unstable();
        let order: Vec<(usize, usize)> = order
            .into_iter()
            .map(|(_, batch, row)| (batch, row))
            .collect();
        let row_bytes = (bytes / order.len().max(1)).max(1);
        Ok(Self {
            batches: keyed,
            order,
            handed_out: 0,
            piece_rows: (PIECE_BYTES / row_bytes).clamp(16, 8192),
        })
    }

    pub fn piece_rows(&self) -> usize {
        self.piece_rows
    }
}

impl Iterator for Sorted {
    type Item = Result<RecordBatch, SortError>;

    fn next(&mut self) -> Option<Self::Item> {
        let end = self.order.len().min(self.handed_out + self.piece_rows);
        let piece = self.order.get(self.handed_out..end)?;
        if piece.is_empty() {
            return None;
        }
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        let batch = interleave_record_batch(&batches, piece);
        self.handed_out = end;
        Some(batch.map_err(SortError::from))
    }
}

/// Sorted rows on disk, in Arrow's IPC stream format.
#[derive(Debug)]
pub struct Run {
    file: File,
    bytes: u64,
    piece_rows: usize,
}

impl Run {
    /// Writes rows that are in order.
    pub fn write(
        folder: &SpillFolder,
        pieces: impl IntoIterator<Item = Result<RecordBatch, SortError>>,
    ) -> Result<Self, SortError> {
        let file = folder.unnamed_file()?;
        let mut writer: Option<StreamWriter<BufWriter<File>>> = None;
        let mut piece_rows = 0;
        for piece in pieces {
            let piece = piece?;
            piece_rows = piece_rows.max(piece.num_rows());
            let writer = match &mut writer {
                Some(writer) => writer,
                None => writer.insert(StreamWriter::try_new(
                    BufWriter::new(file.try_clone()?),
                    &piece.schema(),
                )?),
            };
            writer.write(&piece)?;
        }
        if let Some(writer) = &mut writer {
            writer.finish()?;
            writer.get_mut().flush()?;
        }
        Ok(Self {
            bytes: file.metadata()?.len(),
            file,
            piece_rows,
        })
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn piece_rows(&self) -> usize {
        self.piece_rows
    }

    /// The pieces, read one after the other.
    pub fn read(
        mut self,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, ArrowError>>, SortError> {
        self.file.rewind()?;
        Ok(StreamReader::try_new(BufReader::new(self.file), None)?)
    }
}
