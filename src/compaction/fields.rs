//! Duplicates by the values of `deduplicate_by`, within the event's day.
//!
//! Of each file of a day that new events fall on, the identifying columns are read once, and the whole
//! file only if one of the new events is in it.

use std::collections::{HashMap, HashSet};

use arrow::datatypes::Date32Type;

use super::duplicates::{Verdict, compare, read_file};
use super::rows::{Finished, identity};
use crate::decode::{self, FieldPath, RESCUED};
use crate::lake::rows::{OFFSET, RowsError, parquet_error};
use crate::lake::site::Site;
use crate::lake::tables::DataFile;
use crate::policy::DatasetPolicy;

/// The day, as days since 1970, and what the values come to.
type Identity = (i32, u64);

pub struct Fields {
    files: Vec<File>,
    /// By identity, the contents that are known.
    known: HashMap<Identity, Vec<u64>>,
}

/// A file of the table, and what was read of it.
struct File {
    file: DataFile,
    state: State,
}

enum State {
    Unread,
    /// Only the identities.
    Identities(HashSet<u64>),
    /// Also the contents: they are among what is known.
    Whole,
}

impl Fields {
    pub fn new(files: Vec<DataFile>) -> Self {
        let unread = |file| File {
            file,
            state: State::Unread,
        };
        Self {
            files: files.into_iter().map(unread).collect(),
            known: HashMap::new(),
        }
    }

    /// How many identities are in memory.
    pub fn remembered(&self) -> usize {
        let in_files = self.files.iter().map(|file| match &file.state {
            State::Identities(identities) => identities.len(),
            _ => 0,
        });
        self.known.len() + in_files.sum::<usize>()
    }

    /// Makes known what the table holds of the identities of these rows.
    pub async fn load(
        &mut self,
        site: &Site,
        policy: &DatasetPolicy,
        rows: &Finished,
    ) -> Result<(), RowsError> {
        let wanted = rows.by_day();
        if wanted.is_empty() {
            return Ok(());
        }
        for File { file, state } in &mut self.files {
            let day = Date32Type::from_naive_date(file.event_date);
            let Some(wanted) = wanted.get(&day) else {
                continue;
            };
            if matches!(state, State::Unread) {
                *state = State::Identities(identities(site, policy, file).await?);
            }
            let State::Identities(there) = state else {
                continue;
            };
            if wanted.is_disjoint(there) {
                continue;
            }
            let paths = &policy.events.deduplicate_by;
            read_file(site, policy, file, None, |batch| {
                let contents = decode::fingerprints(batch)
                    .map_err(|error| parquet_error(&file.path, &error))?;
                for (row, content) in contents.into_iter().enumerate() {
                    if let Some(identity) = identity_of_row(batch, row, paths, file)? {
                        self.known.entry((day, identity)).or_default().push(content);
                    }
                }
                Ok(())
            })
            .await?;
            *state = State::Whole;
        }
        Ok(())
    }

    pub fn verdict(&mut self, identity: Identity, content: u64) -> Verdict {
        compare(self.known.entry(identity).or_default(), content)
    }
}

async fn identities(
    site: &Site,
    policy: &DatasetPolicy,
    file: &DataFile,
) -> Result<HashSet<u64>, RowsError> {
    let paths = &policy.events.deduplicate_by;
    let mut columns: Vec<&str> = vec![RESCUED, OFFSET];
    columns.extend(
        paths
            .iter()
            .filter_map(|path| path.names().first())
            .map(String::as_str),
    );
    let mut found = HashSet::new();
    read_file(site, policy, file, Some(&columns), |batch| {
        for row in 0..batch.num_rows() {
            found.extend(identity_of_row(batch, row, paths, file)?);
        }
        Ok(())
    })
    .await?;
    Ok(found)
}

/// Rows that have a Kafka position are known by that.
fn identity_of_row(
    batch: &arrow::array::RecordBatch,
    row: usize,
    paths: &[FieldPath],
    file: &DataFile,
) -> Result<Option<u64>, RowsError> {
    if batch
        .column_by_name(OFFSET)
        .is_some_and(|offsets| offsets.is_valid(row))
    {
        return Ok(None);
    }
    let event = decode::rebuild_part(batch, row);
    let event = event.map_err(|error| parquet_error(&file.path, &error))?;
    Ok(identity(
        |path| event.at(path).into_iter().cloned().collect(),
        paths,
    ))
}
