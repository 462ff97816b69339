//! Carrying out a fold: small files of a day become files near the target size, the rows stay the same.
//!
//! Hazard: a table that loses a row here loses it for good once the old files are purged. So every new file
//! is read back and matched before anything is committed (invariant 5), and old files leave in the very
//! commit that brings the new ones (invariant 4). That commit says that no row changed, so curated tables
//! are not made anew. A run that dies before it leaves files that nobody names; the next one folds again.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, RecordBatch, UInt64Array};
use arrow::datatypes::{Date32Type, Field, Schema};
use tokio::task::spawn_blocking;

use super::CompactionError;
use super::duplicates::read_file;
use super::intake::joined;
use super::upkeep::{Group, groups};
use crate::decode;
use crate::lake::ledger::Counts;
use crate::lake::rows::{self, RowsError, parquet_error};
use crate::lake::site::Site;
use crate::lake::sort::{SortError, Sorter};
use crate::lake::table_files::{FINGERPRINT, way_schema, write_sorted};
use crate::lake::tables::{Change, DataFile, PARTITION, Table};
use crate::plan::Fold;
use crate::policy::DatasetPolicy;

/// What a fold did.
#[derive(Debug, Default)]
pub struct Folded {
    /// The files that left the table.
    pub removed: Vec<DataFile>,
    /// The files that took their place.
    pub added: Vec<DataFile>,
}

/// Folds what is worth folding in the table as it is now, in one commit.
pub async fn fold(
    site: &Site,
    policy: &DatasetPolicy,
    step: &Fold,
) -> Result<Folded, CompactionError> {
    let mut done = Folded::default();
    let folder = site.places.events(&step.dataset);
    let Some(mut table) = Table::open(Arc::clone(&site.store), &folder).await? else {
        return Ok(done);
    };
    let payload = rows::payload_schema(&*table.schema()?);
    for group in groups(&table.files()?, policy.table.target_file_size.bytes()) {
        done.added
            .extend(rewrite(site, policy, &payload, &group).await?);
        done.removed.extend(group.files);
    }
    if done.removed.is_empty() {
        return Ok(done);
    }
    let change = Change {
        add: done.added.clone(),
        remove: done.removed.clone(),
        rearranges: true,
        run: site.run.clone(),
        ..Change::default()
    };
    table.commit(change, site.now).await?;
    Ok(done)
}

/// Writes the rows of a day's files as files near the target size.
async fn rewrite(
    site: &Site,
    policy: &DatasetPolicy,
    payload: &Schema,
    group: &Group,
) -> Result<Vec<DataFile>, CompactionError> {
    let sort_by = rows::sort_paths(policy);
    let mut sorter = Sorter::new(&sort_by, Arc::clone(&site.spill), site.memory / 8);
    for file in &group.files {
        read_file(site, policy, file, None, |batch| {
            sorter.push(on_the_way(batch, file)?)?;
            if sorter.is_full() {
                sorter.spill()?;
            }
            Ok(())
        })
        .await?;
    }
    let way = way_schema(payload);
    let in_order = joined(spawn_blocking(move || sorter.finish(&way))).await?;
    let files = write_sorted(site, policy, in_order).await?;
    let count = |files: &[DataFile]| files.iter().map(|file| file.rows).sum();
    let (read, written): (u64, u64) = (count(&group.files), count(&files));
    if read == written {
        return Ok(files);
    }
    Err(CompactionError::NotConserved {
        dataset: policy.name.clone(),
        counts: Counts {
            read,
            written,
            ..Counts::default()
        },
    })
}

/// Rows of a file with what they have on their way into one.
fn on_the_way(batch: &RecordBatch, file: &DataFile) -> Result<RecordBatch, RowsError> {
    let fingerprints =
        decode::fingerprints(batch).map_err(|error| parquet_error(&file.path, &error))?;
    let day = Date32Type::from_naive_date(file.event_date);
    let days: ArrayRef = Arc::new(Date32Array::from(vec![day; batch.num_rows()]));
    let fingerprints: ArrayRef = Arc::new(UInt64Array::from(fingerprints));
    let mut fields: Vec<_> = batch.schema_ref().fields().iter().map(Arc::clone).collect();
    let mut columns = batch.columns().to_vec();
    for (name, column, may_be_null) in [(PARTITION, days, true), (FINGERPRINT, fingerprints, false)]
    {
        fields.push(Arc::new(Field::new(
            name,
            column.data_type().clone(),
            may_be_null,
        )));
        columns.push(column);
    }
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns);
    Ok(rows.map_err(SortError::from)?)
}
