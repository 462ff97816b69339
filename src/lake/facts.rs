//! What a plan is made from: the state of the lake, read once, without changing anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use object_store::ObjectStore;

use super::discovery::{Discovered, Look, discover};
use super::error::S3Error;
use super::ledger::Ledger;
use super::s3::{ObjectVersion, ReadS3};
use super::tables::{DataFile, Table, TableError, TableLog, Tombstone};
use super::uploads::Unfinished;
use crate::policy::{DatasetPolicy, LakePolicy, Policies, S3Location, Span};

const DATASETS_AT_ONCE: usize = 4;

/// Why the lake could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// An object or a listing.
    #[error("{0}")]
    Store(#[from] S3Error),
    /// A table.
    #[error("{0}")]
    Table(#[from] TableError),
}

/// Where things lie in the lake's bucket.
#[derive(Debug, Clone)]
pub struct Places {
    lake: S3Location,
}

impl Places {
    /// The places of a lake.
    pub fn new(lake: &S3Location) -> Self {
        Self { lake: lake.clone() }
    }

    /// The whole lake.
    pub fn lake(&self) -> &S3Location {
        &self.lake
    }

    /// A dataset's event table.
    pub fn events(&self, dataset: &str) -> S3Location {
        self.lake.join(&format!("events/{dataset}/"))
    }

    /// A curated table.
    pub fn curated(&self, table: &str) -> S3Location {
        self.lake.join(&format!("curated/{table}/"))
    }

    /// A dataset's quarantine.
    pub fn quarantine(&self, dataset: &str) -> S3Location {
        self.lake.join(&format!("quarantine/{dataset}/"))
    }

    /// A dataset's ledger.
    pub fn ledger(&self, dataset: &str) -> S3Location {
        self.lake.join(&format!("system/ledger/{dataset}/"))
    }

    /// Something that the program keeps for itself.
    pub fn system(&self, below: &str) -> S3Location {
        self.lake.join(&format!("system/{below}"))
    }
}

/// The state of the lake.
#[derive(Debug, Default)]
pub struct Facts {
    /// By dataset.
    pub datasets: BTreeMap<String, DatasetFacts>,
    /// By curated table.
    pub curated: BTreeMap<String, TableFacts>,
    /// All object versions of what the program keeps for itself.
    pub system: Vec<ObjectVersion>,
    /// Unfinished uploads in the lake and in the raw locations.
    pub unfinished: Unfinished,
}

/// A table and what lies in its folder.
#[derive(Debug, Clone, Default)]
pub struct TableFacts {
    /// The loaded table, if there is one.
    pub table: Option<Table>,
    /// Its live files.
    pub files: Vec<DataFile>,
    /// Files that commits removed.
    pub tombstones: Vec<Tombstone>,
    /// All object versions in its folder, its log aside; keys are relative to the folder.
    pub stored: Vec<ObjectVersion>,
    /// Its log.
    pub log: TableLog,
    /// Its folder.
    pub folder: Option<S3Location>,
}

/// The state of a dataset.
#[derive(Debug, Default)]
pub struct DatasetFacts {
    /// Raw object versions: all of them, or those that `discovery` tells of.
    pub raw: Vec<ObjectVersion>,
    /// How they were found. One that was not looked for is not gone.
    pub discovery: Discovered,
    /// The ledger.
    pub ledger: Ledger,
    /// The event table.
    pub events: TableFacts,
    /// All quarantine object versions.
    pub quarantine: Vec<ObjectVersion>,
}

impl TableFacts {
    /// Reads a table and its folder.
    pub async fn gather(
        s3: &ReadS3,
        store: Arc<dyn ObjectStore>,
        folder: &S3Location,
    ) -> Result<Self, FactsError> {
        let table = Table::open(store, folder).await?;
        let (files, tombstones) = match &table {
            Some(table) => (table.files()?, table.tombstones().await?),
            None => (Vec::new(), Vec::new()),
        };
        let mut stored = s3.versions(&folder.bucket, &folder.prefix).await?;
        Ok(Self {
            table,
            files,
            tombstones,
            log: TableLog::out_of(folder, &mut stored),
            stored,
            folder: Some(folder.clone()),
        })
    }

    /// The version, if there is a table.
    pub fn version(&self) -> Option<u64> {
        self.table.as_ref().map(Table::version)
    }

    /// Commits since the newest checkpoint.
    pub fn commits_since_checkpoint(&self) -> u64 {
        let newest = self.log.checkpoint().map_or(0, |version| version + 1);
        self.version()
            .map_or(0, |version| (version + 1).saturating_sub(newest))
    }

    /// Rows of the live files.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// What may be removed for good now, and what later: files that commits removed longer ago than
    /// `readers_grace`, and files that no commit names, older than `uncommitted_grace`.
    pub fn purgeable(
        &self,
        now: DateTime<Utc>,
        grace: Grace,
    ) -> (Vec<ObjectVersion>, Vec<DateTime<Utc>>) {
        let prefix = self
            .folder
            .as_ref()
            .map_or("", |folder| folder.prefix.as_str());
        let live: BTreeSet<&str> = self.files.iter().map(|file| file.path.as_str()).collect();
        let removed: BTreeMap<&str, DateTime<Utc>> = self
            .tombstones
            .iter()
            .map(|tombstone| (tombstone.path.as_str(), tombstone.removed_at))
            .collect();
        let (mut due, mut later) = (Vec::new(), Vec::new());
        for version in &self.stored {
            let path = version.key.strip_prefix(prefix).unwrap_or(&version.key);
            if live.contains(path) {
                continue;
            }
            let free_at = match removed.get(path) {
                Some(removed_at) => grace.readers.after(*removed_at),
                None if grace.uncommitted.is_zero() => now,
                None => grace.uncommitted.after(version.last_modified),
            };
            if free_at <= now {
                due.push(version.clone());
            } else {
                later.push(free_at);
            }
        }
        (due, later)
    }
}

impl Grace {
    /// The graces that the lake's policy sets.
    pub fn of(policy: &LakePolicy) -> Self {
        Self {
            readers: policy.readers_grace,
            uncommitted: policy.uncommitted_grace,
        }
    }
}

/// How long things stay after a table stopped using them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grace {
    /// Files that a commit removed.
    pub readers: Span,
    /// Files that no commit names.
    pub uncommitted: Span,
}

impl Facts {
    /// Reads everything that the policies speak of, of raw objects what `look` asks for.
    pub async fn gather(
        s3: &ReadS3,
        policies: &Policies,
        look: &Look<'_>,
    ) -> Result<Self, FactsError> {
        let places = &Places::new(&policies.lake.location);
        let mut facts = Self::tables(s3, policies).await?;
        let history = policies.lake.table_history.before(look.now);
        for table in facts.tables_mut() {
            table.log.look_back(s3, history).await?;
        }
        let system = places.system("");
        facts.system = s3.versions(&system.bucket, &system.prefix).await?;
        facts.unfinished = Unfinished::gather(s3, policies).await?;
        futures::stream::iter(facts.datasets.iter_mut().map(Ok))
            .try_for_each_concurrent(DATASETS_AT_ONCE, |(name, dataset)| async move {
                match policies.dataset(name) {
                    Some(policy) => dataset.gather(s3, places, policy, look).await,
                    None => Ok(()),
                }
            })
            .await?;
        Ok(facts)
    }

    /// Reads the tables alone.
    pub async fn tables(s3: &ReadS3, policies: &Policies) -> Result<Self, FactsError> {
        let places = Places::new(&policies.lake.location);
        let store = s3.store(&policies.lake.location.bucket)?;
        let mut facts = Self::default();
        for policy in &policies.datasets {
            let folder = places.events(&policy.name);
            let dataset = DatasetFacts {
                events: TableFacts::gather(s3, Arc::clone(&store), &folder).await?,
                ..DatasetFacts::default()
            };
            facts.datasets.insert(policy.name.clone(), dataset);
        }
        for policy in &policies.curated {
            let folder = places.curated(&policy.table);
            let table = TableFacts::gather(s3, Arc::clone(&store), &folder).await?;
            facts.curated.insert(policy.table.clone(), table);
        }
        Ok(facts)
    }

    fn tables_mut(&mut self) -> impl Iterator<Item = &mut TableFacts> {
        let datasets = self.datasets.values_mut();
        let events = datasets.map(|dataset| &mut dataset.events);
        events.chain(self.curated.values_mut())
    }

    /// The table named `name`, of events or curated.
    pub fn table(&self, name: &str) -> Option<&TableFacts> {
        let events = self.datasets.get(name).map(|dataset| &dataset.events);
        events.or_else(|| self.curated.get(name))
    }

    /// The version of the table named `name`.
    pub fn table_version(&self, name: &str) -> Option<u64> {
        self.table(name).and_then(TableFacts::version)
    }

    /// All tables with their versions.
    pub fn table_versions(&self) -> BTreeMap<String, Option<u64>> {
        let names = self.datasets.keys().chain(self.curated.keys());
        names
            .map(|name| (name.clone(), self.table_version(name)))
            .collect()
    }

    /// Lets go of what was listed, which can be much: the plan names what of it matters.
    pub fn forget_listings(&mut self) {
        for dataset in self.datasets.values_mut() {
            dataset.raw = Vec::new();
            dataset.quarantine = Vec::new();
        }
        self.system = Vec::new();
        for table in self.tables_mut() {
            table.stored = Vec::new();
            table.log.stored = Vec::new();
        }
    }

    /// Every object version that was listed.
    pub fn versions(&self) -> impl Iterator<Item = &ObjectVersion> {
        let datasets = self.datasets.values();
        let events = datasets.clone().map(|dataset| &dataset.events);
        let tables = events.chain(self.curated.values());
        let of_tables = tables.flat_map(|table| table.stored.iter().chain(&table.log.stored));
        datasets
            .flat_map(|dataset| dataset.raw.iter().chain(&dataset.quarantine))
            .chain(of_tables)
            .chain(&self.system)
    }
}

impl DatasetFacts {
    /// Adds to the table what else belongs to the dataset.
    async fn gather(
        &mut self,
        s3: &ReadS3,
        places: &Places,
        policy: &DatasetPolicy,
        look: &Look<'_>,
    ) -> Result<(), FactsError> {
        let folder = places.ledger(&policy.name);
        self.ledger = Ledger::of(s3, &folder, self.events.table.as_ref()).await?;
        (self.raw, self.discovery) = discover(s3, places, policy, &self.ledger, look).await?;
        let quarantine = places.quarantine(&policy.name);
        self.quarantine = s3.versions(&quarantine.bucket, &quarantine.prefix).await?;
        Ok(())
    }
}
