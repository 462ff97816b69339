//! What a night would do, and why: plain data, made without I/O from [`Facts`](crate::lake::facts::Facts)
//! (invariants 6, 7).
//!
//! A plan names exactly the object versions and table files that it will touch. A step may also take in
//! what an earlier step of the same plan brings (`after`): an erasure, for one, covers the rows that
//! tonight's compaction writes. A plan can be saved and applied later; it is refused if a table has moved or
//! an object that it names has changed.

mod action;
mod forecast;
mod guards;
mod requests;
mod saved;
mod schema;

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::lake::discovery::Coverage;
use crate::lake::hold::{self, Hold};
use crate::lake::s3::ObjectVersion;

pub use action::{
    Abort, Action, Certify, Checkpoint, CleanLog, Compact, Curate, Erase, EraseCurated,
    FileRequests, Fold, Identify, Purge, Retain, RetainCurated, TrimLedger,
};
pub use forecast::{Forecast, Leaving};
pub use guards::{Guard, GuardKind, Removal, guards, seen};
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
