//! Delta tables through the library's low-level commit: our own files, our own statistics, one strict
//! compare-and-swap per commit (invariants 3, 4).
//!
//! Hazards that this room keeps out: the library's retries (an erasure and a rewrite of the same file
//! could both win), its automatic checkpoints and log clean-up (they use the wall clock), predicates in
//! the log and min/max statistics of identifiers (invariant 9). A commit may answer with an error after it
//! landed, so an error is believed only after the table was loaded again.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use chrono::{DateTime, NaiveDate, Utc};
use datafusion::common::TableReference;
use datafusion::prelude::SessionContext;
use deltalake::DeltaTable;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Add, MetadataExt, Remove, StructType, Transaction};
use deltalake::logstore::{LogStoreRef, StorageConfig, default_logstore};
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::{DeltaOperation, SaveMode};
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use serde::{Deserialize, Serialize};

use super::error::chain;
use crate::policy::S3Location;

mod changes;
mod log;

pub use log::{LOG, TableLog};

/// The partition column of every table, a calendar date in UTC.
pub const PARTITION: &str = "event_date";

/// A failed table operation.
#[derive(Debug, thiserror::Error)]
#[error("could not {attempted}: {reason}")]
pub struct TableError {
    /// What was attempted, on which table.
    pub attempted: String,
    /// Why it failed.
    pub reason: String,
    /// Whether somebody else committed first; planning again helps.
    pub conflict: bool,
}

/// One live data file of a table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DataFile {
    /// Path below the table's folder.
    pub path: String,
    /// The partition it belongs to.
    pub event_date: NaiveDate,
    /// Size in bytes.
    pub size: u64,
    /// Rows in it.
    pub rows: u64,
}

/// A file that a commit removed from the table and that may still lie there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// Path below the table's folder.
    pub path: String,
    /// When the commit removed it.
    pub removed_at: DateTime<Utc>,
}

/// One atomic change of a table.
#[derive(Debug, Default)]
pub struct Change {
    /// Files that join the table; they lie there already and were read back.
    pub add: Vec<DataFile>,
    /// Files that leave the table.
    pub remove: Vec<DataFile>,
    /// The table's schema from this commit on, partition column included.
    pub schema: Option<SchemaRef>,
    /// Application transactions: id and version.
    pub transactions: Vec<(String, u64)>,
    /// Whether old rows go (erasure, retention) rather than new ones come.
    pub deletes: bool,
    /// Whether the rows stay the same and only lie in other files, so that nobody who follows the rows has
    /// to look.
    pub rearranges: bool,
    /// The run that makes the change.
    pub run: String,
}

/// A loaded table.
#[derive(Debug, Clone)]
pub struct Table {
    delta: DeltaTable,
    name: String,
}

impl Table {
    /// Loads the table at `place`, or `None` where there is none.
    pub async fn open(
        store: Arc<dyn ObjectStore>,
        place: &S3Location,
    ) -> Result<Option<Self>, TableError> {
        let failed = |error: deltalake::DeltaTableError| failure("open", place, &error);
        let log = log_store(store, place)?;
        if !log.is_delta_table_location().await.map_err(failed)? {
            return Ok(None);
        }
        let mut delta = DeltaTable::new(log);
        delta.load().await.map_err(failed)?;
        Ok(Some(Self {
            delta,
            name: place.to_string(),
        }))
    }

    /// Loads the table at `place` as it was at `version`, from the checkpoint of that version if there is one.
    pub async fn open_at(
        store: Arc<dyn ObjectStore>,
        place: &S3Location,
        version: u64,
    ) -> Result<Self, TableError> {
        let failed = |error: deltalake::DeltaTableError| failure("open", place, &error);
        let mut delta = DeltaTable::new(log_store(store, place)?);
        delta.load_version(version).await.map_err(failed)?;
        Ok(Self {
            delta,
            name: place.to_string(),
        })
    }

    /// Makes an empty table with `schema` (partition column included) at `place`.
    pub async fn create(
        store: Arc<dyn ObjectStore>,
        place: &S3Location,
        schema: &Schema,
    ) -> Result<Self, TableError> {
        let log = log_store(Arc::clone(&store), place)?;
        let columns = kernel_schema(schema, place)?;
        CreateBuilder::new()
            .with_log_store(log)
            .with_columns(columns.fields().cloned())
            .with_partition_columns([PARTITION])
            .with_configuration([
                // Statistics are ours, and none is of an identifier (invariant 9).
                ("delta.dataSkippingStatsColumns", Some(EVENT_TIME)),
                ("delta.enableExpiredLogCleanup", Some("false")),
                (
                    "delta.deletedFileRetentionDuration",
                    Some("interval 3650 days"),
                ),
            ])
            .with_commit_properties(commit_properties())
            .await
            .map_err(|error| failure("create", place, &error))?;
        Self::open(store, place).await?.ok_or_else(|| TableError {
            attempted: format!("create table {place}"),
            reason: "it was written and is not there".into(),
            conflict: false,
        })
    }

    /// The version that was loaded.
    pub fn version(&self) -> u64 {
        self.delta.version().unwrap_or(0)
    }

    /// The schema, partition column included.
    pub fn schema(&self) -> Result<SchemaRef, TableError> {
        let snapshot = self
            .delta
            .snapshot()
            .map_err(|error| self.failed("read", &error))?;
        Ok(snapshot.snapshot().arrow_schema())
    }

    /// The live files, by path.
    pub fn files(&self) -> Result<Vec<DataFile>, TableError> {
        let snapshot = self
            .delta
            .snapshot()
            .map_err(|error| self.failed("read", &error))?;
        let mut files = Vec::new();
        for view in snapshot.log_data().iter() {
            let values = view.partition_values_map();
            let date = values.get(PARTITION).cloned().flatten().unwrap_or_default();
            files.push(DataFile {
                event_date: date.parse().map_err(|_| TableError {
                    attempted: format!("read table {}", self.name),
                    reason: format!("a file's {PARTITION} is `{date}`, not a date"),
                    conflict: false,
                })?,
                path: view.path().into_owned(),
                size: u64::try_from(view.size()).unwrap_or(0),
                rows: view.num_records().unwrap_or(0) as u64,
            });
        }
        files.sort();
        Ok(files)
    }

    /// Files that commits removed.
    pub async fn tombstones(&self) -> Result<Vec<Tombstone>, TableError> {
        let failed = |error| self.failed("read the removed files of", &error);
        let snapshot = self.delta.snapshot().map_err(failed)?;
        let log = self.delta.log_store();
        let views: Vec<_> = snapshot
            .all_tombstones(log.as_ref())
            .try_collect()
            .await
            .map_err(failed)?;
        let mut tombstones: Vec<Tombstone> = views
            .iter()
            .map(|view| Tombstone {
                path: view.path().into_owned(),
                removed_at: view
                    .deletion_timestamp()
                    .and_then(DateTime::from_timestamp_millis)
                    .unwrap_or_default(),
            })
            .collect();
        tombstones.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(tombstones)
    }

    /// The last version that application `id` committed.
    pub async fn transaction(&self, id: &str) -> Result<Option<u64>, TableError> {
        let failed = |error| self.failed("read the transactions of", &error);
        let log = self.delta.log_store();
        let snapshot = self.delta.snapshot().map_err(failed)?;
        let version = snapshot
            .transaction_version(log.as_ref(), id)
            .await
            .map_err(failed)?;
        Ok(version.and_then(|version| u64::try_from(version).ok()))
    }

    /// Commits `change` on top of exactly this version; afterwards `self` is the new version.
    pub async fn commit(&mut self, change: Change, now: DateTime<Utc>) -> Result<u64, TableError> {
        let operation = if change.rearranges {
            // The size that was aimed at: commits need not say.
            DeltaOperation::Optimize {
                predicate: None,
                target_size: 0,
            }
        } else if change.deletes {
            DeltaOperation::Delete { predicate: None }
        } else {
            DeltaOperation::Write {
                mode: SaveMode::Append,
                partition_by: Some(vec![PARTITION.to_owned()]),
                predicate: None,
            }
        };
        let mut actions = vec![Action::CommitInfo(log::commit_info(&operation, now))];
        actions.extend(self.actions(&change, now)?);
        let transactions = change
            .transactions
            .iter()
            .map(|(id, version)| {
                let version = i64::try_from(*version).unwrap_or(i64::MAX);
                Transaction::new_with_last_update(id, version, Some(now.timestamp_millis()))
            })
            .collect();
        let properties = commit_properties()
            .with_metadata([(
                "lakewarden".to_owned(),
                serde_json::json!({ "run": change.run }),
            )])
            .with_application_transactions(transactions);
        let snapshot = self
            .delta
            .snapshot()
            .map_err(|error| self.failed("read", &error))?;
        let outcome = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(snapshot), self.delta.log_store(), operation)
            .await;
        let before = self.version();
        self.delta
            .load()
            .await
            .map_err(|error| self.failed("load again", &error))?;
        match outcome {
            Ok(_) => Ok(self.version()),
            Err(_) if self.version() > before && self.holds(&change).await? => Ok(self.version()),
            Err(error) => Err(TableError {
                conflict: self.version() > before,
                ..self.failed("commit to", &error)
            }),
        }
    }

    /// Writes a checkpoint of the loaded version.
    pub async fn checkpoint(&self) -> Result<(), TableError> {
        deltalake::checkpoints::create_checkpoint(&self.delta, None)
            .await
            .map_err(|error| self.failed("write a checkpoint of", &error))
    }

    /// Whether the table is as `change` left it: how a lost answer is told from a lost commit.
    async fn holds(&self, change: &Change) -> Result<bool, TableError> {
        for (id, version) in &change.transactions {
            if self.transaction(id).await? != Some(*version) {
                return Ok(false);
            }
        }
        let live: BTreeSet<String> = self.files()?.into_iter().map(|file| file.path).collect();
        let says_something =
            !(change.add.is_empty() && change.remove.is_empty() && change.transactions.is_empty());
        Ok(says_something
            && change.add.iter().all(|file| live.contains(&file.path))
            && change.remove.iter().all(|file| !live.contains(&file.path)))
    }

    fn actions(&self, change: &Change, now: DateTime<Utc>) -> Result<Vec<Action>, TableError> {
        let mut actions = Vec::with_capacity(change.add.len() + change.remove.len() + 1);
        if let Some(schema) = &change.schema {
            let failed = |reason: String| TableError {
                attempted: format!("change the schema of {}", self.name),
                reason,
                conflict: false,
            };
            let schema: StructType = schema
                .as_ref()
                .try_into_kernel()
                .map_err(|error| failed(chain(&error)))?;
            let snapshot = self
                .delta
                .snapshot()
                .map_err(|error| self.failed("read", &error))?;
            let metadata = snapshot.metadata().clone().with_schema(&schema);
            actions.push(Action::Metadata(
                metadata.map_err(|error| failed(chain(&error)))?,
            ));
        }
        actions.extend(
            change
                .remove
                .iter()
                .map(|file| Action::Remove(remove_action(file, !change.rearranges, now))),
        );
        actions.extend(
            change
                .add
                .iter()
                .map(|file| Action::Add(add_action(file, !change.rearranges, now))),
        );
        Ok(actions)
    }

    /// Makes the table known to `context` as `name`.
    pub async fn register(&self, context: &SessionContext, name: &str) -> Result<(), TableError> {
        self.delta
            .update_datafusion_session(&context.state())
            .map_err(|error| self.failed("scan", &error))?;
        let failed = |error: datafusion::error::DataFusionError| TableError {
            attempted: format!("scan table {}", self.name),
            reason: error.to_string(),
            conflict: false,
        };
        let provider = self.delta.table_provider().build().await.map_err(failed)?;
        let name = TableReference::bare(name);
        context
            .register_table(name, Arc::new(provider))
            .map_err(failed)?;
        Ok(())
    }

    fn failed(&self, verb: &str, error: &deltalake::DeltaTableError) -> TableError {
        TableError {
            attempted: format!("{verb} table {}", self.name),
            reason: chain(error),
            conflict: false,
        }
    }
}

/// The column with the event's own time; the only one that table statistics speak of.
pub const EVENT_TIME: &str = "_event_time";

fn add_action(file: &DataFile, data_change: bool, now: DateTime<Utc>) -> Add {
    Add {
        path: file.path.clone(),
        partition_values: partition_values(file),
        size: i64::try_from(file.size).unwrap_or(i64::MAX),
        modification_time: now.timestamp_millis(),
        data_change,
        stats: Some(serde_json::json!({ "numRecords": file.rows }).to_string()),
        ..Default::default()
    }
}

fn remove_action(file: &DataFile, data_change: bool, now: DateTime<Utc>) -> Remove {
    Remove {
        path: file.path.clone(),
        data_change,
        deletion_timestamp: Some(now.timestamp_millis()),
        extended_file_metadata: Some(true),
        partition_values: Some(partition_values(file)),
        size: Some(i64::try_from(file.size).unwrap_or(i64::MAX)),
        ..Default::default()
    }
}

fn partition_values(file: &DataFile) -> HashMap<String, Option<String>> {
    HashMap::from([(PARTITION.to_owned(), Some(file.event_date.to_string()))])
}

fn commit_properties() -> CommitProperties {
    CommitProperties::default()
        .with_max_retries(0)
        .with_create_checkpoint(false)
        .with_cleanup_expired_logs(Some(false))
}

fn kernel_schema(schema: &Schema, place: &S3Location) -> Result<StructType, TableError> {
    schema.try_into_kernel().map_err(|error| TableError {
        attempted: format!("create table {place}"),
        reason: chain(&error),
        conflict: false,
    })
}

fn log_store(store: Arc<dyn ObjectStore>, place: &S3Location) -> Result<LogStoreRef, TableError> {
    let url = url::Url::parse(&place.to_string()).map_err(|error| TableError {
        attempted: format!("open table {place}"),
        reason: error.to_string(),
        conflict: false,
    })?;
    let prefix = Path::from(place.prefix.as_str());
    let prefixed = Arc::new(PrefixStore::new(Arc::clone(&store), prefix));
    Ok(default_logstore(
        prefixed,
        store,
        &url,
        &StorageConfig::default(),
    ))
}

fn failure(verb: &str, place: &S3Location, error: &deltalake::DeltaTableError) -> TableError {
    TableError {
        attempted: format!("{verb} table {place}"),
        reason: chain(error),
        conflict: false,
    }
}

#[cfg(test)]
mod tests;
