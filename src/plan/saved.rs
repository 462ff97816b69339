//! Saved plans: read from a file, and refused when the lake has moved on (invariant 7).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use chrono::{DateTime, Utc};

use super::{Action, Plan};
use crate::lake::facts::Facts;
use crate::lake::hold::Hold;
use crate::lake::s3::ObjectVersion;

/// A plan file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlanFileError {
    /// It could not be read.
    #[error("could not read plan {file}: {source}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is no plan.
    #[error("{file} is not a plan as `lakewarden plan --output json` prints it: {source}")]
    Malformed {
        /// The file.
        file: String,
        /// Why.
        source: serde_json::Error,
    },
    /// It was changed after it was made.
    #[error("{file} was changed after it was made: its digest does not fit its steps")]
    Altered {
        /// The file.
        file: String,
    },
}

/// What has moved since a plan was made.
#[derive(Debug, thiserror::Error)]
#[error("the plan no longer fits the lake: {what}; make a new plan")]
pub struct Stale {
    what: String,
}

/// Reads a plan that was saved as JSON.
pub fn read(file: &Path) -> Result<Plan, PlanFileError> {
    let name = file.display().to_string();
    let text = std::fs::read(file).map_err(|source| PlanFileError::Unreadable {
        file: name.clone(),
        source,
    })?;
    let plan: Plan = serde_json::from_slice(&text).map_err(|source| PlanFileError::Malformed {
        file: name.clone(),
        source,
    })?;
    let again = Plan::new(
        plan.now,
        &plan.policies,
        plan.tables.clone(),
        plan.steps.clone(),
    );
    if again.digest != plan.digest {
        return Err(PlanFileError::Altered { file: name });
    }
    Ok(plan)
}

/// Refuses a plan whose policies, holds, tables or objects are no longer what it names, or that was made for a
/// time after `now`: it would delete what may not go yet. What arrived since then does not matter: it waits for
/// the next plan.
pub fn refuse_if_stale(
    plan: &Plan,
    facts: &Facts,
    holds: &[Hold],
    policies: &str,
    now: DateTime<Utc>,
) -> Result<(), Stale> {
    let stale = |what: String| Err(Stale { what });
    if plan.now > now {
        let made_for = plan.now.format("%Y-%m-%d %H:%M UTC");
        return stale(format!("it was made for a later time, {made_for}"));
    }
    if plan.policies != policies {
        return stale("the policies have changed".into());
    }
    if plan.holds != holds {
        return stale("the holds have changed".into());
    }
    for (table, version) in &plan.tables {
        let now = facts.table_version(table);
        if now != *version {
            let text = |version: Option<u64>| match version {
                Some(version) => format!("version {version}"),
                None => "not there".into(),
            };
            return stale(format!(
                "table {table} was {}, is {}",
                text(*version),
                text(now)
            ));
        }
    }
    let present: BTreeSet<&ObjectVersion> = facts.versions().collect();
    for step in &plan.steps {
        let missing = named_versions(&step.action)
            .into_iter()
            .find(|named| !present.contains(named));
        if let Some(missing) = missing {
            return stale(format!("object {} has changed or gone", missing.key));
        }
    }
    Ok(())
}

/// The keys of raw objects that a plan names, by dataset: whoever holds the plan against the lake has to look at them.
pub fn named_raw(plan: &Plan) -> BTreeMap<String, BTreeSet<String>> {
    let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for step in &plan.steps {
        let versions: Vec<&ObjectVersion> = match &step.action {
            Action::Compact(compact) => compact.objects.iter().collect(),
            Action::Erase(erase) => erase.raw.iter().collect(),
            Action::Retain(retain) => retain.raw.iter().chain(&retain.trim).collect(),
            _ => continue,
        };
        if let Some(dataset) = step.action.dataset() {
            let keys = versions.iter().map(|version| version.key.clone());
            named.entry(dataset.to_owned()).or_default().extend(keys);
        }
    }
    named
}

fn named_versions(action: &Action) -> Vec<&ObjectVersion> {
    match action {
        Action::Compact(compact) => compact.objects.iter().collect(),
        Action::Erase(erase) => erase.raw.iter().chain(&erase.quarantine).collect(),
        Action::Retain(retain) => retain
            .raw
            .iter()
            .chain(&retain.trim)
            .chain(&retain.quarantine)
            .collect(),
        Action::Purge(purge) => purge.versions.iter().collect(),
        Action::CleanLog(clean) => clean.versions.iter().collect(),
        Action::TrimLedger(trim) => trim.versions.iter().collect(),
        // The version of the table stands for its files.
        Action::Fold(_)
        | Action::FileRequests(_)
        | Action::Abort(_)
        | Action::Identify(_)
        | Action::EraseCurated(_)
        | Action::RetainCurated(_)
        | Action::Curate(_)
        | Action::Checkpoint(_)
        | Action::Certify(_) => Vec::new(),
    }
}
