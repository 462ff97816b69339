//! Sorting more rows than memory holds, by date, then as the policy says, then by time.
//!
//! Batches are gathered until they fill their share of memory; then they are sorted and written to an
//! unnamed file as one sorted run (an external merge sort: Knuth, The Art of Computer Programming,
//! vol. 3, 5.4). In the end the runs are merged. A table's schema may grow while batches come in:
//! columns that a batch does not have yet are null in it.
//!
//! Hazard: merging holds a piece of every run in memory, so pieces are small, and when there are too many
//! runs they are merged to fewer first.

mod conform;
mod key;
mod merge;
mod run;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;

use super::spill::{SpillError, SpillFolder};
use crate::decode::FieldPath;
use run::{Run, Sorted};

pub use conform::{conform, merge_schemas};
pub use key::{column_at, is_sortable};

/// Runs that are merged at once.
const FAN_IN: usize = 48;
/// The size that the pieces of a run should have, in bytes.
const PIECE_BYTES: usize = 512 * 1024;

/// Why rows could not be sorted.
#[derive(Debug, thiserror::Error)]
pub enum SortError {
    /// The local disk.
    #[error("{0}")]
    Spill(#[from] SpillError),
    /// Writing or reading a sorted run.
    #[error("could not sort rows: {0}")]
    Arrow(#[from] ArrowError),
    /// Merging sorted runs.
    #[error("could not merge sorted rows: {0}")]
    Merge(#[from] DataFusionError),
    /// The local disk, most likely full.
    #[error("could not write sorted rows to the spill folder: {0}")]
    Disk(#[from] std::io::Error),
}

/// Takes in batches in any order and gives back their rows in order.
#[derive(Debug)]
pub struct Sorter {
    sort_by: Arc<[FieldPath]>,
    folder: Arc<SpillFolder>,
    memory: usize,
    pending: Vec<RecordBatch>,
    pending_bytes: usize,
    schema: Option<SchemaRef>,
    runs: Vec<Run>,
}

impl Sorter {
    /// Sorts by `event_date`, then the columns at `sort_by`, then `_event_time`; nulls come first, and a
    /// column that is not there is null. Gathers at most about `memory` bytes before it spills.
    pub fn new(sort_by: &[FieldPath], folder: Arc<SpillFolder>, memory: usize) -> Self {
        Self {
            sort_by: sort_by.into(),
            folder,
            memory,
            pending: Vec::new(),
            pending_bytes: 0,
            schema: None,
            runs: Vec::new(),
        }
    }

    /// An empty sorter of the same kind.
    #[must_use]
    pub fn another(&self) -> Self {
        Self::new(&self.sort_by, Arc::clone(&self.folder), self.memory)
    }

    /// Takes in a batch. Its columns may be more or fewer than those of the batches before.
    pub fn push(&mut self, batch: RecordBatch) -> Result<(), SortError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let schema = batch.schema();
        self.schema = Some(match &self.schema {
            Some(known) if *known == schema => schema,
            Some(known) => merge_schemas(known, &schema)?,
            None => schema,
        });
        self.pending_bytes += batch.get_array_memory_size();
        self.pending.push(batch);
        Ok(())
    }

    /// Whether [`Sorter::spill`] should be called.
    pub fn is_full(&self) -> bool {
        self.pending_bytes >= self.memory
    }

    /// Bytes that were written to disk so far.
    pub fn spilled_bytes(&self) -> u64 {
        self.runs.iter().map(Run::bytes).sum()
    }

    /// Writes what was gathered to disk as a sorted run.
    pub fn spill(&mut self) -> Result<(), SortError> {
        if let Some(sorted) = self.take_pending()? {
            self.runs.push(Run::write(&self.folder, sorted)?);
        }
        Ok(())
    }

    fn take_pending(&mut self) -> Result<Option<Sorted>, SortError> {
        let Some(schema) = &self.schema else {
            return Ok(None);
        };
        let pending = std::mem::take(&mut self.pending);
        let bytes = std::mem::take(&mut self.pending_bytes);
        if pending.is_empty() {
            return Ok(None);
        }
        Ok(Some(Sorted::new(pending, schema, &self.sort_by, bytes)?))
    }

    /// All rows in order, as batches with the columns of `schema`, of which each batch's own must be a
    /// part. Where there are runs, what is gathered becomes one, so that merging has its memory.
    pub fn finish(
        mut self,
        schema: &SchemaRef,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, SortError>> + Send + use<>, SortError>
    {
        if !self.runs.is_empty() {
            self.spill()?;
        }
        while self.runs.len() > FAN_IN {
            let some: Vec<Run> = self.runs.drain(..FAN_IN).collect();
            let merged = merge::merge(some, None, schema)?;
            self.runs.push(Run::write(&self.folder, merged)?);
        }
        let rest = self.take_pending()?;
        let runs = std::mem::take(&mut self.runs);
        merge::merge(runs, rest, schema)
    }
}

#[cfg(test)]
mod tests;
