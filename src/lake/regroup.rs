//! Placeholder until the room is merged.
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::TryStreamExt;

use super::parquet_files;
use super::rows::{RowsError, new_path, parquet_error};
use super::s3::PutIf;
use super::site::Site;
use super::tables::DataFile;
use crate::policy::S3Location;

pub struct Regrouped {
    pub file: DataFile,
}

pub async fn regroup(
    site: &Site,
    folder: &S3Location,
    old: &DataFile,
    groups: BTreeMap<usize, Vec<RecordBatch>>,
) -> Result<Option<Regrouped>, RowsError> {
    let failed = |error: parquet::errors::ParquetError| parquet_error(&old.path, &error);
    let key = folder.join(&old.path).prefix;
    let reader = parquet_files::open(Arc::clone(&site.store), &key, old.size)
        .await
        .map_err(failed)?;
    let count = reader.metadata().num_row_groups();
    let schema = reader.schema().clone();
    let mut batches = Vec::new();
    for number in 0..count {
        if let Some(kept) = groups.get(&number) {
            batches.extend(kept.clone());
            continue;
        }
        let reader = parquet_files::open(Arc::clone(&site.store), &key, old.size)
            .await
            .map_err(failed)?;
        let all: Vec<RecordBatch> = reader
            .with_row_groups(vec![number])
            .build()
            .map_err(failed)?
            .try_collect()
            .await
            .map_err(failed)?;
        batches.extend(all);
    }
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    if rows == 0 {
        return Ok(None);
    }
    let rows_batch = arrow::compute::concat_batches(&schema, &batches)
        .map_err(|error| parquet_error(&old.path, &error))?;
    let bytes = parquet_files::encode(
        &rows_batch,
        parquet_files::Layout {
            sort_by: &[],
            identifiers: &[],
        },
    )
    .map_err(failed)?;
    let size = bytes.len() as u64;
    let path = new_path(old.event_date);
    let key = folder.join(&path).prefix;
    site.s3
        .put(&folder.bucket, &key, bytes, PutIf::Absent)
        .await?;
    Ok(Some(Regrouped {
        file: DataFile {
            path,
            event_date: old.event_date,
            size,
            rows: rows as u64,
        },
    }))
}
