//! Taking subjects' rows out of a table: only row groups that hold one are read and encoded again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, UInt64Array};
use arrow::compute::{filter_record_batch, take_record_batch};
use arrow::datatypes::Field;
use chrono::NaiveDate;
use futures::TryStreamExt;

use super::apply::ErasureError;
use super::people::{Accounts, People};
use crate::decode::{self, Json};
use crate::lake::hold::Held;
use crate::lake::key::Hasher;
use crate::lake::parquet_files;
use crate::lake::regroup::regroup;
use crate::lake::rows::{self, RowsError, Tally, parquet_error};
use crate::lake::search::{FileHits, search};
use crate::lake::site::Site;
use crate::lake::subject::{Roster, kept_by_law, redact};
use crate::lake::tables::{Change, DataFile, Table};
use crate::policy::{DatasetPolicy, PiiPolicy, Redaction, S3Location};

/// All of a row group is in memory while rows are taken out of it; many small batches cost more.
const BATCH_ROWS: usize = 8 * 1024;

/// The table to take rows out of.
pub struct Target<'a> {
    pub folder: S3Location,
    pub pii: &'a PiiPolicy,
    /// What stays whoever asks.
    pub held: &'a Held,
    /// For event tables, whose rows may be redacted.
    pub dataset: Option<&'a DatasetPolicy>,
    /// For redacted rows.
    pub hasher: &'a Hasher,
}

/// Takes the rows of `people` out of the table: out of the live files among `files`, or whichever they are.
/// Answers how many rows went, and how many of them came back redacted.
pub async fn erase_rows(
    site: &Site,
    target: &Target<'_>,
    people: &People,
    files: Option<&BTreeSet<&str>>,
    accounts: &mut Accounts,
) -> Result<(u64, u64), ErasureError> {
    let Some(mut table) = Table::open(Arc::clone(&site.store), &target.folder).await? else {
        return Ok((0, 0));
    };
    let mut live = table.files()?;
    live.retain(|file| files.is_none_or(|files| files.contains(file.path.as_str())));
    live.retain(|file| !target.held.holds(file.event_date));
    let roster: Arc<Roster> = people.roster(target.pii);
    let sought = Arc::new(roster.sought(people.identifiers()));
    let found = search(&site.store, &target.folder, &live, &roster, &sought).await?;
    let mut change = Change {
        deletes: true,
        run: site.run.clone(),
        ..Change::default()
    };
    let (mut gone, mut redacted) = (0, 0);
    for hits in found.files {
        let (survivors, kept_redacted) = rewrite(site, target, &hits).await?;
        gone += hits.rows();
        let back = kept_redacted.as_ref().map_or(0, |file| file.rows);
        redacted += back;
        count(people, accounts, &hits, back > 0);
        change.add.extend(survivors);
        change.add.extend(kept_redacted);
        change.remove.push(hits.file);
    }
    if !change.remove.is_empty() {
        table.commit(change, site.now).await?;
    }
    Ok((gone, redacted))
}

fn count(people: &People, accounts: &mut Accounts, hits: &FileHits, is_redacted: bool) {
    let mut subjects = BTreeSet::new();
    for hit in hits.groups.values().flatten() {
        let number = hit.subject as usize;
        subjects.insert(number);
        if let Some(erased) = accounts.of_subject(people, number) {
            erased.rows += 1;
            erased.redacted += u64::from(is_redacted);
        }
    }
    for number in subjects {
        if let Some(erased) = accounts.of_subject(people, number) {
            erased.files += 1;
            erased.days.insert(hits.file.event_date);
        }
    }
}

/// The file without the subjects' rows, and a file of these, redacted, if the policy keeps them.
async fn rewrite(
    site: &Site,
    target: &Target<'_>,
    hits: &FileHits,
) -> Result<(Option<DataFile>, Option<DataFile>), ErasureError> {
    let file = &hits.file;
    let redaction = kept_by_law(target.pii, file.event_date, site.now.date_naive());
    let (mut groups, mut redacted) = (BTreeMap::new(), Vec::new());
    for (number, group_hits) in &hits.groups {
        let theirs: BTreeSet<usize> = group_hits.iter().map(|hit| hit.row as usize).collect();
        let (mut kept, mut first) = (Vec::new(), 0);
        for batch in read_group(site, &target.folder, file, *number).await? {
            let rows = first..first + batch.num_rows();
            first = rows.end;
            let stays: BooleanArray = rows
                .clone()
                .map(|row| Some(!theirs.contains(&row)))
                .collect();
            let survivors = filter_record_batch(&batch, &stays);
            kept.push(survivors.map_err(|error| parquet_error(&file.path, &error))?);
            if let Some(redaction) = redaction {
                let goes = theirs
                    .range(rows.clone())
                    .map(|row| (row - rows.start) as u64);
                let goes: UInt64Array = goes.collect();
                let goes = take_record_batch(&batch, &goes);
                let goes = goes.map_err(|error| parquet_error(&file.path, &error))?;
                redacted.extend(redact_rows(file, &goes, target, redaction)?);
            }
        }
        kept.retain(|batch| batch.num_rows() > 0);
        groups.insert(*number, kept);
    }
    let survivors = regroup(site, &target.folder, file, groups).await?;
    let redacted = write_redacted(site, target, file.event_date, redacted).await?;
    Ok((survivors.map(|regrouped| regrouped.file), redacted))
}

async fn read_group(
    site: &Site,
    folder: &S3Location,
    file: &DataFile,
    number: usize,
) -> Result<Vec<RecordBatch>, RowsError> {
    let failed = |error: parquet::errors::ParquetError| parquet_error(&file.path, &error);
    let key = folder.join(&file.path).prefix;
    let reader = parquet_files::open(Arc::clone(&site.store), &key, file.size).await;
    let batches = reader
        .map_err(failed)?
        .with_row_groups(vec![number])
        .with_batch_size(BATCH_ROWS)
        .build();
    batches.map_err(failed)?.try_collect().await.map_err(failed)
}

/// Redacted rows, and the tally of their events.
type RedactedRows = (RecordBatch, Tally);

fn redact_rows(
    file: &DataFile,
    rows: &RecordBatch,
    target: &Target<'_>,
    redaction: &Redaction,
) -> Result<Option<RedactedRows>, RowsError> {
    if rows.num_rows() == 0 {
        return Ok(None);
    }
    let events: Vec<Json> = rows::events(&file.path, rows)?
        .iter()
        .map(|event| redact(event, redaction, target.pii, target.hasher))
        .collect();
    let mut tally = Tally::default();
    for event in &events {
        tally.add(event);
    }
    let payload = decode::to_batch(&rows.schema(), &events.iter().collect::<Vec<_>>())?;
    // The table's own columns say when and where the event was, and stay.
    let schema = rows.schema();
    let column = |field: &Arc<Field>| -> Option<ArrayRef> {
        let decoded = payload.column_by_name(field.name());
        decoded
            .or_else(|| rows.column_by_name(field.name()))
            .cloned()
    };
    let columns = schema.fields().iter().filter_map(column).collect();
    let redacted = RecordBatch::try_new(Arc::clone(&schema), columns);
    let redacted = redacted.map_err(|error| parquet_error(&file.path, &error))?;
    Ok(Some((redacted, tally)))
}

async fn write_redacted(
    site: &Site,
    target: &Target<'_>,
    day: NaiveDate,
    redacted: Vec<RedactedRows>,
) -> Result<Option<DataFile>, RowsError> {
    let (batches, tallies): (Vec<RecordBatch>, Vec<Tally>) = redacted.into_iter().unzip();
    let (Some(rows), Some(policy)) = (rows::join(day, &batches)?, target.dataset) else {
        return Ok(None);
    };
    let mut expected = Tally::default();
    for tally in tallies {
        expected.rows += tally.rows;
        expected.fingerprint += tally.fingerprint;
    }
    let path = rows::redacted_path(day);
    Ok(Some(
        rows::write(site, policy, path, day, &rows, expected).await?,
    ))
}
