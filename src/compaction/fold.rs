//! Carrying out a fold: small files of a day become files near the target size, the rows stay the same.
//!
//! Hazard: a table that loses a row here loses it for good once the old files are purged. So every new file
//! is read back and matched before anything is committed (invariant 5), and old files leave in the very
//! commit that brings the new ones (invariant 4). That commit says that no row changed, so curated tables
//! are not made anew. A run that dies before it leaves files that nobody names; the next one folds again.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};

use super::CompactionError;
use super::upkeep::{Group, groups, is_small};
use crate::lake::align::align;
use crate::lake::rows::{self, RowsError, Tally};
use crate::lake::site::Site;
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
    let schema = file_schema(&*table.schema()?);
    for group in groups(&table.files()?, policy.table.target_file_size.bytes()) {
        let mut files = Rewrite::of(site, policy, &schema, &group)
            .run(&group)
            .await?;
        done.added.append(&mut files);
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

/// The columns of a table's files: its folders say the partition.
fn file_schema(table: &Schema) -> SchemaRef {
    let stored = table
        .fields()
        .iter()
        .filter(|field| field.name() != PARTITION);
    Arc::new(Schema::new(stored.map(Arc::clone).collect::<Vec<_>>()))
}

/// One day's files on their way into new ones. Holds the rows of one new file at a time.
struct Rewrite<'a> {
    site: &'a Site,
    policy: &'a DatasetPolicy,
    schema: &'a SchemaRef,
    target: u64,
    /// Bytes of the files that are not read yet.
    to_come: u64,
    rows: Vec<RecordBatch>,
    tally: Tally,
    /// About how large a file of `rows` would be.
    size: u64,
    written: Vec<DataFile>,
}

impl<'a> Rewrite<'a> {
    fn of(site: &'a Site, policy: &'a DatasetPolicy, schema: &'a SchemaRef, group: &Group) -> Self {
        Self {
            site,
            policy,
            schema,
            target: policy.table.target_file_size.bytes(),
            to_come: group.size(),
            rows: Vec::new(),
            tally: Tally::default(),
            size: 0,
            written: Vec::new(),
        }
    }

    async fn run(mut self, group: &Group) -> Result<Vec<DataFile>, RowsError> {
        for file in &group.files {
            self.read(group, file).await?;
            // What is left over must not be small, or the day would be folded again.
            if self.size >= self.target && !is_small(self.to_come, self.target) {
                self.write(group, false).await?;
            }
        }
        self.write(group, true).await?;
        Ok(self.written)
    }

    async fn read(&mut self, group: &Group, file: &DataFile) -> Result<(), RowsError> {
        let folder = self.site.places.events(&self.policy.name);
        let batches = rows::read(self.site.s3.read(), &folder, &file.path).await?;
        let tally = rows::tally(&file.path, &batches)?;
        self.tally.join(tally);
        for batch in &batches {
            let aligned = align(batch, self.schema).map_err(|error| RowsError::Arrow {
                day: group.day,
                reason: error.to_string(),
            })?;
            self.rows.push(aligned);
        }
        self.size += file.size;
        self.to_come = self.to_come.saturating_sub(file.size);
        Ok(())
    }

    /// Writes the rows as a file. One that has become small by being compressed together gets more rows
    /// first, unless it is the last.
    async fn write(&mut self, group: &Group, is_last: bool) -> Result<(), RowsError> {
        let Some(rows) = rows::join(group.day, &self.rows)? else {
            return Ok(());
        };
        let file = rows::encode(self.policy, group.day, &rows)?;
        if !is_last && is_small(file.size(), self.target) {
            self.size = file.size();
            self.rows = vec![rows];
            return Ok(());
        }
        let tally = std::mem::take(&mut self.tally);
        let stored = rows::store(self.site, self.policy, file, tally).await?;
        self.written.push(stored);
        self.rows.clear();
        self.size = 0;
        Ok(())
    }
}
