//! What a night would do, and why: plain data, made without I/O from [`Facts`](crate::lake::facts::Facts)
//! (invariants 6, 7).
//!
//! A plan names exactly the object versions and table files that it will touch. A step may also take in
//! what an earlier step of the same plan brings (`after`): an erasure, for one, covers the rows that
//! tonight's compaction writes. A plan can be saved and applied later; it is refused if a table has moved or
//! an object that it names has changed.

mod forecast;
mod guards;
mod requests;
mod saved;
mod schema;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::lake::discovery::Coverage;
use crate::lake::hold::{self, Held, Hold};
use crate::lake::s3::ObjectVersion;
use crate::lake::tables::DataFile;
use crate::lake::uploads::PlacedUpload;
use crate::policy::Horizon;

pub use forecast::{Forecast, Leaving};
pub use guards::{Guard, GuardKind, guards, seen};
pub use requests::RequestReport;
pub use saved::{PlanFileError, Stale, named_raw, read, refuse_if_stale};
pub use schema::{FieldChange, FieldFate, SHOWN_FIELDS, SchemaChange, shown_columns, shown_field};

/// What one execution will do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Format of this value.
    pub version: u32,
    /// Names what would be done: equal digests, equal steps.
    pub digest: String,
    /// The time that rules were held against.
    pub now: DateTime<Utc>,
    /// Digest of the policies that it was made under.
    pub policies: String,
    /// The tables it was made for: name and version, `None` for one that is not there yet.
    pub tables: BTreeMap<String, Option<u64>>,
    /// How the raw objects of each dataset were found.
    #[serde(default)]
    pub coverage: BTreeMap<String, Coverage>,
    /// What to do, in order.
    pub steps: Vec<Step>,
    /// What tonight's raw objects seem to do to the columns of datasets. A forecast: no part of the digest.
    #[serde(default)]
    pub schema: BTreeMap<String, SchemaChange>,
    /// Erasure requests that are open, the most urgent first. No part of the digest: time passes.
    #[serde(default)]
    pub requests: Vec<RequestReport>,
    /// What keeps data although a rule would delete it. No part of the digest: the steps say what stays.
    #[serde(default)]
    pub holds: Vec<Hold>,
    /// What a person has to agree to before a run of this plan goes on. No part of the digest.
    #[serde(default)]
    pub guards: Vec<Guard>,
    /// What comes next if nothing else happens.
    pub due: Vec<Due>,
    /// What leaves by age in the days to come. No part of the digest.
    #[serde(default)]
    pub forecast: Vec<Forecast>,
    /// What a person should know.
    pub findings: Vec<String>,
    /// What could not be planned: a run does the rest, and fails.
    pub failures: Vec<String>,
}

/// One step, with its reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// A name for later steps to refer to, such as `compact-cart-1`.
    pub id: String,
    /// What will be done and why, for people.
    pub why: String,
    /// What will be done, for the program.
    #[serde(flatten)]
    pub action: Action,
}

/// The kinds of steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// Raw objects into the event table, one commit.
    Compact(Compact),
    /// Small files of an event table into larger ones; the rows stay the same.
    Fold(Fold),
    /// Requests that were dropped into the lake are filed.
    FileRequests(FileRequests),
    /// Who belongs to the subjects of requests, before anything of them is deleted.
    Identify(Identify),
    /// Subjects out of a dataset.
    Erase(Erase),
    /// Subjects out of a curated table that carries identifiers.
    EraseCurated(EraseCurated),
    /// What is too old out of a dataset.
    Retain(Retain),
    /// What is too old out of a curated table.
    RetainCurated(RetainCurated),
    /// Partitions of a curated table made anew.
    Curate(Curate),
    /// Unfinished uploads that may hold a subject, or that were given up.
    Abort(Abort),
    /// Physical removal of what tables no longer use.
    Purge(Purge),
    /// A checkpoint of a table's log.
    Checkpoint(Checkpoint),
    /// What a table's log says of versions before its history.
    CleanLog(CleanLog),
    /// The beginning of a ledger, which says nothing that matters any more.
    TrimLedger(TrimLedger),
    /// The scan for traces and the certificate of a request.
    Certify(Certify),
}

/// Raw objects to compact in one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compact {
    /// The dataset.
    pub dataset: String,
    /// The objects, all of them current versions.
    pub objects: Vec<ObjectVersion>,
    /// Older events are not admitted.
    pub keep_from: Horizon,
}

/// Small files of an event table to fold into files near its target size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fold {
    /// The dataset.
    pub dataset: String,
    /// The files that are worth it now. What is folded follows by the same rule from the table as earlier
    /// steps leave it.
    pub files: Vec<DataFile>,
    /// Steps that may leave more small files.
    pub after: Vec<String>,
}

/// Requests to file from the inbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRequests {
    /// Their ids.
    pub requests: Vec<String>,
    /// All versions of the files that they came in, which go.
    pub files: Vec<ObjectVersion>,
}

/// Requests whose subjects are identified, by links too, and put on the suppression list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identify {
    /// Ids of the requests.
    pub requests: Vec<String>,
    /// Steps that may bring more links.
    pub after: Vec<String>,
}

/// Subjects to erase from a curated table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EraseCurated {
    /// The table.
    pub table: String,
    /// Ids of the requests.
    pub requests: Vec<String>,
    /// Files with a row of theirs.
    pub files: Vec<DataFile>,
    /// What stays whoever asks.
    #[serde(default)]
    pub held: Held,
    /// Requests of which rows are held: they stay open.
    #[serde(default)]
    pub held_requests: Vec<String>,
    /// Steps that must have been done.
    pub after: Vec<String>,
}

/// Subjects to erase from one dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erase {
    /// The dataset.
    pub dataset: String,
    /// Ids of the requests.
    pub requests: Vec<String>,
    /// Table files with a row of theirs. What earlier steps of the run bring, and what newly found links
    /// lead to, is searched too.
    pub files: Vec<DataFile>,
    /// Raw object versions to search.
    pub raw: Vec<ObjectVersion>,
    /// Others, which are held: it is only looked whose they are.
    #[serde(default)]
    pub kept: Vec<ObjectVersion>,
    /// Quarantine objects to search, all versions.
    pub quarantine: Vec<ObjectVersion>,
    /// What stays whoever asks.
    #[serde(default)]
    pub held: Held,
    /// Requests of which rows are held: they stay open.
    #[serde(default)]
    pub held_requests: Vec<String>,
    /// Steps whose output is searched too.
    pub after: Vec<String>,
}

/// What leaves a dataset by age.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retain {
    /// The dataset.
    pub dataset: String,
    /// What is older goes.
    pub keep_from: Horizon,
    /// Table files of older partitions.
    pub files: Vec<DataFile>,
    /// Others, of which held people's rows stay.
    #[serde(default)]
    pub partly: Vec<DataFile>,
    /// Table files of the line's own day that hold older rows too: those rows go.
    #[serde(default)]
    pub straddling: Vec<DataFile>,
    /// Raw object versions that go whole.
    pub raw: Vec<ObjectVersion>,
    /// All versions of raw objects that straddle the line, or hold events of erased subjects: those
    /// records go.
    pub trim: Vec<ObjectVersion>,
    /// Quarantine object versions that go.
    pub quarantine: Vec<ObjectVersion>,
    /// What stays however old it is.
    #[serde(default)]
    pub held: Held,
    /// Keys of raw objects that are compacted tonight while older versions of them never were: what must
    /// not stay is taken out of all their versions.
    pub older: Vec<String>,
    /// Steps that may find more raw objects to trim.
    pub after: Vec<String>,
}

/// What leaves a curated table by age.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetainCurated {
    /// The table.
    pub table: String,
    /// The oldest date that stays.
    pub keep_from: NaiveDate,
    /// Files of older partitions.
    pub files: Vec<DataFile>,
    /// Others, of which held people's rows stay.
    #[serde(default)]
    pub partly: Vec<DataFile>,
}

/// Partitions to make anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Curate {
    /// The table.
    pub table: String,
    /// The days, or `None` for all of them.
    pub days: Option<BTreeSet<NaiveDate>>,
    /// Of these, what stays as it is.
    #[serde(default)]
    pub held: Held,
    /// Steps that may touch more days.
    pub after: Vec<String>,
}

/// Unfinished uploads to abort.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abort {
    /// The uploads.
    pub uploads: Vec<PlacedUpload>,
}

/// Object versions to remove for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purge {
    /// The table or dataset whose folder it is, as the plan's `tables` name it.
    pub owner: String,
    /// The versions.
    pub versions: Vec<ObjectVersion>,
    /// Steps whose removed files are purged too, readers' grace being zero.
    pub after: Vec<String>,
}

/// A table whose log has grown long: the checkpoint saves readers from reading all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The table.
    pub table: String,
}

/// What a table's log says of versions that nobody may need any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CleanLog {
    /// The table.
    pub table: String,
    /// The version whose checkpoint and commit stay, with all that came after.
    pub from: u64,
    /// The object versions that go.
    pub versions: Vec<ObjectVersion>,
}

/// The beginning of a dataset's ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrimLedger {
    /// The dataset.
    pub dataset: String,
    /// The number of the first segment that stays.
    pub from: u64,
    /// The object versions that go.
    pub versions: Vec<ObjectVersion>,
    /// Steps that remove what the segments name.
    pub after: Vec<String>,
}

/// A request to scan for and certify.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certify {
    /// The request's id.
    pub request: String,
    /// Steps that must have been done.
    pub after: Vec<String>,
}

/// Something that a later run will do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Due {
    /// When it can be done at the earliest.
    pub at: DateTime<Utc>,
    /// What.
    pub what: String,
}

impl Plan {
    /// Puts a plan together and names it.
    pub fn new(
        now: DateTime<Utc>,
        policies: &str,
        tables: BTreeMap<String, Option<u64>>,
        steps: Vec<Step>,
    ) -> Self {
        Self {
            version: 1,
            digest: crate::lake::key::digest_of(&(policies, &tables, &steps)),
            now,
            policies: policies.to_owned(),
            tables,
            coverage: BTreeMap::new(),
            steps,
            schema: BTreeMap::new(),
            requests: Vec::new(),
            holds: Vec::new(),
            guards: Vec::new(),
            due: Vec::new(),
            forecast: Vec::new(),
            findings: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Names what decides over raw objects that have been looked at before: the policies, and what is held.
    pub fn rules(&self) -> String {
        hold::rules(&self.policies, &self.holds)
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// What a person has to agree to before it is done to a real lake: the steps that rewrite or delete
    /// raw objects, or purge.
    pub fn destructive(&self) -> Vec<&Step> {
        self.steps
            .iter()
            .filter(|step| step.action.is_destructive())
            .collect()
    }
}

impl Action {
    /// The dataset whose raw objects or events it is about, if it is about those.
    pub fn dataset(&self) -> Option<&str> {
        match self {
            Self::Compact(action) => Some(&action.dataset),
            Self::Fold(action) => Some(&action.dataset),
            Self::Erase(action) => Some(&action.dataset),
            Self::Retain(action) => Some(&action.dataset),
            Self::TrimLedger(action) => Some(&action.dataset),
            Self::FileRequests(_)
            | Self::Abort(_)
            | Self::Identify(_)
            | Self::EraseCurated(_)
            | Self::RetainCurated(_)
            | Self::Curate(_)
            | Self::Purge(_)
            | Self::Checkpoint(_)
            | Self::CleanLog(_)
            | Self::Certify(_) => None,
        }
    }

    /// Whether it takes away what a hold may keep.
    pub fn takes_away(&self) -> bool {
        match self {
            Self::Erase(_)
            | Self::EraseCurated(_)
            | Self::Retain(_)
            | Self::RetainCurated(_)
            | Self::Curate(_)
            | Self::Abort(_)
            | Self::Purge(_) => true,
            Self::Compact(_)
            | Self::Fold(_)
            | Self::FileRequests(_)
            | Self::Identify(_)
            | Self::Checkpoint(_)
            | Self::CleanLog(_)
            | Self::TrimLedger(_)
            | Self::Certify(_) => false,
        }
    }

    /// Whether it is certain to take rows out of tables by age, to rewrite or delete raw objects, or to purge.
    pub fn is_destructive(&self) -> bool {
        match self {
            Self::Compact(_)
            | Self::Fold(_)
            | Self::Curate(_)
            | Self::FileRequests(_)
            | Self::Identify(_)
            | Self::EraseCurated(_)
            | Self::Checkpoint(_)
            | Self::Certify(_) => false,
            Self::Erase(_)
            | Self::Abort(_)
            | Self::CleanLog(_)
            | Self::TrimLedger(_)
            | Self::RetainCurated(_) => true,
            Self::Retain(retain) => {
                let versions = [&retain.raw, &retain.trim, &retain.quarantine];
                let files = [&retain.files, &retain.partly, &retain.straddling];
                versions.iter().any(|versions| !versions.is_empty())
                    || files.iter().any(|files| !files.is_empty())
            }
            Self::Purge(purge) => !purge.versions.is_empty(),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            writeln!(formatter, "nothing to do")?;
        }
        // Below the first of a dataset's steps.
        let mut schema: BTreeMap<&String, &SchemaChange> = self.schema.iter().collect();
        for step in &self.steps {
            writeln!(formatter, "{}", step.why)?;
            if let Action::Compact(compact) = &step.action
                && let Some(change) = schema.remove(&compact.dataset)
            {
                change.describe(&compact.dataset, formatter)?;
            }
        }
        write_coverage(formatter, &self.coverage)?;
        for request in &self.requests {
            writeln!(formatter, "{request}")?;
        }
        for hold in &self.holds {
            writeln!(formatter, "{hold}")?;
        }
        for guard in &self.guards {
            writeln!(formatter, "guard: {guard}")?;
        }
        if !self.guards.is_empty() {
            let digest = &self.digest;
            writeln!(
                formatter,
                "a run of this plan waits for `--confirm {digest}`"
            )?;
        }
        for due in &self.due {
            writeln!(formatter, "{due}")?;
        }
        for forecast in self.forecast.iter().filter(|one| !one.leaving.is_empty()) {
            writeln!(formatter, "{forecast}")?;
        }
        for finding in &self.findings {
            writeln!(formatter, "finding: {finding}")?;
        }
        for failure in &self.failures {
            writeln!(formatter, "cannot be planned: {failure}")?;
        }
        writeln!(formatter, "plan {}", self.digest)
    }
}

impl fmt::Display for Due {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.format("%Y-%m-%d %H:%M UTC");
        write!(formatter, "due {at}: {}", self.what)
    }
}

/// Says where not all raw objects were listed.
pub fn write_coverage(
    formatter: &mut fmt::Formatter<'_>,
    coverage: &BTreeMap<String, Coverage>,
) -> fmt::Result {
    for (dataset, coverage) in coverage {
        if !coverage.is_everything() {
            writeln!(formatter, "raw objects of {dataset}: {coverage}")?;
        }
    }
    Ok(())
}

/// Bytes for people, in decimal units.
pub fn megabytes(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{} kB", bytes / 1000),
        10_000_000..10_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{} GB", bytes / 1_000_000_000),
    }
}

/// The ending of a noun of which there are `count`.
pub fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// The sizes of object versions, added up.
pub fn total_size(versions: &[ObjectVersion]) -> u64 {
    versions.iter().map(|version| version.size).sum()
}
