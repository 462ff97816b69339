//! Sorted runs → one.

use std::pin::Pin;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, UnboundedMemoryPool};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet};
use datafusion::physical_plan::sorts::streaming_merge::StreamingMergeBuilder;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::Stream;
use futures::StreamExt;
use futures::executor::block_on_stream;

use super::run::{Run, SORT_KEY, Sorted, with_key};
use super::{SortError, conform};

/// Merged rows come in larger batches than they went in: there is one of them, not one for every run.
const PIECES_AT_ONCE: usize = 8;

type Pieces = Pin<Box<dyn Stream<Item = Result<RecordBatch, DataFusionError>> + Send>>;

/// The rows of all runs and of `rest` in order, with the columns of `schema` and the key.
pub fn merge(
    runs: Vec<Run>,
    rest: Option<Sorted>,
    schema: &SchemaRef,
) -> Result<impl Iterator<Item = Result<RecordBatch, SortError>> + Send + use<>, SortError> {
    let keyed = with_key(schema);
    let mut piece_rows = 16;
    let mut streams: Vec<SendableRecordBatchStream> = Vec::with_capacity(runs.len() + 1);
    let mut push = |pieces: Pieces| {
        let schema = Arc::clone(&keyed);
        let conforming = pieces.map(move |piece| Ok(conform(&piece?, &schema)?));
        let adapter = RecordBatchStreamAdapter::new(Arc::clone(&keyed), conforming);
        streams.push(Box::pin(adapter));
    };
    for run in runs {
        piece_rows = piece_rows.max(run.piece_rows());
        let pieces = futures::stream::iter(run.read()?);
        push(Box::pin(
            pieces.map(|piece| piece.map_err(DataFusionError::from)),
        ));
    }
    if let Some(sorted) = rest {
        piece_rows = piece_rows.max(sorted.piece_rows());
        let pieces = futures::stream::iter(sorted);
        push(Box::pin(pieces.map(|piece| {
            piece.map_err(|error| DataFusionError::External(Box::new(error)))
        })));
    }
    let merged: Pieces = match streams.len() {
        0 => Box::pin(futures::stream::empty()),
        1 => Box::pin(streams.remove(0)),
        _ => Box::pin(merge_streams(streams, &keyed, piece_rows)?),
    };
    Ok(block_on_stream(merged).map(|piece| piece.map_err(SortError::from)))
}

/// What is merged is bounded by the runs' number and the size of their pieces, so no pool has to.
fn merge_streams(
    streams: Vec<SendableRecordBatchStream>,
    schema: &SchemaRef,
    piece_rows: usize,
) -> Result<SendableRecordBatchStream, SortError> {
    let key = Column::new(SORT_KEY, schema.fields().len() - 1);
    let ordering = LexOrdering::new([PhysicalSortExpr::new_default(Arc::new(key)).asc()]);
    let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
    let builder = StreamingMergeBuilder::new()
        .with_streams(streams)
        .with_schema(Arc::clone(schema))
        .with_metrics(BaselineMetrics::new(&ExecutionPlanMetricsSet::new(), 0))
        .with_batch_size(PIECES_AT_ONCE * piece_rows)
        .with_round_robin_tie_breaker(false)
        .with_reservation(MemoryConsumer::new("merge").register(&pool));
    let merged = match &ordering {
        Some(ordering) => builder.with_expressions(ordering).build(),
        None => builder.build(),
    };
    Ok(merged?)
}
