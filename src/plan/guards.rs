//! Guards: what makes a run stop before its first deletion until a person has agreed to that very plan.
//!
//! A rule that is carried out every night also carries out every mistake: a slip of the pen in a policy, a
//! clock that jumped, a bucket that was listed with the wrong prefix. Each guard says what is unusual; the
//! person who finds it right gives the plan's digest. Pure: what the last run saw was read before.

mod seen;
mod shorter;

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::{Action, Plan, Retain, megabytes};
use crate::lake::facts::{Facts, TableFacts};
use crate::lake::last_run::LastRun;
use crate::lake::ledger::KnownObject;
use crate::lake::s3::ObjectVersion;
use crate::lake::tables::DataFile;
use crate::policy::{GuardsPolicy, Policies};

pub use seen::seen;

/// Something unusual that a person has to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// Which one.
    pub guard: GuardKind,
    /// What is unusual, for people.
    pub what: String,
}

/// The kinds of guards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuardKind {
    /// Nobody has agreed to a deletion here before, and this run would delete.
    FirstRun,
    /// The last run was long ago, or the clock jumped.
    Pause,
    /// A policy keeps shorter than at the last run.
    ShorterPolicy,
    /// Nothing is found where there was something.
    NothingFound,
    /// More would go than the caps allow.
    Cap,
}

impl fmt::Display for Guard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.what)
    }
}

/// What of `plan` a person has to agree to, given the lake as it is and as the last run saw it. `lost_holds` were
/// in force then and are not there any more, though nobody has lifted them.
pub fn guards(
    policies: &Policies,
    facts: &Facts,
    last: Option<&LastRun>,
    lost_holds: &[String],
    plan: &Plan,
    now: DateTime<Utc>,
) -> Vec<Guard> {
    let mut watch = Watch {
        policies,
        facts,
        plan,
        now,
        guards: Vec::new(),
    };
    if let Some(last) = last {
        watch.pause(last);
        watch.shorter_policies(last);
        watch.nothing_found(last);
        watch.waiting(last);
        watch.begins(last);
    }
    watch.lost_holds(lost_holds);
    watch.first_deletion(last);
    watch.caps_of_tables();
    watch.caps_of_objects();
    watch.guards
}

struct Watch<'a> {
    policies: &'a Policies,
    facts: &'a Facts,
    plan: &'a Plan,
    now: DateTime<Utc>,
    guards: Vec<Guard>,
}

impl Watch<'_> {
    fn push(&mut self, guard: GuardKind, what: String) {
        self.guards.push(Guard { guard, what });
    }

    fn first_deletion(&mut self, last: Option<&LastRun>) {
        let steps = self.plan.destructive().len();
        if steps == 0 || last.is_some_and(|last| last.agreed) {
            return;
        }
        let so_far = match last {
            Some(_) => "nobody has agreed to a deletion on this lake yet",
            None => "no run has been on this lake before",
        };
        let what = format!("{so_far}, and {steps} steps would rewrite or delete for good");
        self.push(GuardKind::FirstRun, what);
    }

    /// A dataset that joined the lake, or moved, with something in it already.
    fn begins(&mut self, last: &LastRun) {
        for step in self.plan.destructive() {
            let Action::Retain(action) = &step.action else {
                continue;
            };
            let policy = self.policies.dataset(&action.dataset);
            let Some(policy) = policy.filter(|policy| last.agreed && !last.has_begun(policy))
            else {
                continue;
            };
            let what = format!(
                "nobody has agreed to a deletion of {} at {} yet, where something was when a run first looked: {}",
                policy.name, policy.raw.location, step.why
            );
            self.push(GuardKind::FirstRun, what);
        }
    }

    fn lost_holds(&mut self, lost: &[String]) {
        for id in lost {
            let what = format!(
                "hold {id} was in force at the last run, and is gone though nobody has lifted it: bring back \
                 system/holds/{id}.json, or place it again; else what it kept goes"
            );
            self.push(GuardKind::NothingFound, what);
        }
    }

    /// What came too old and was too much to go unasked.
    fn waiting(&mut self, last: &LastRun) {
        for (name, known) in last.tables.iter().filter(|(_, known)| known.waiting > 0) {
            let what = format!(
                "{} raw objects of {name} hold events that came too old, and were left as they are: those events \
                 would be deleted",
                known.waiting
            );
            self.push(GuardKind::Cap, what);
        }
    }

    fn pause(&mut self, last: &LastRun) {
        let most = self.policies.lake.guards.max_pause;
        if most.after(last.now) < self.now {
            let what = format!(
                "the last run was at {}, longer ago than `max_pause` ({most}): is the clock right?",
                last.now.format("%Y-%m-%d %H:%M UTC")
            );
            self.push(GuardKind::Pause, what);
        }
    }

    fn nothing_found(&mut self, last: &LastRun) {
        for (name, known) in &last.tables {
            let table = self.facts.table(name);
            let is_gone = table.is_some_and(|table| table.table.is_none());
            if let (Some(version), true) = (known.table, is_gone) {
                let what = format!(
                    "the table of {name} is not there; at the last run it had version {version}"
                );
                self.push(GuardKind::NothingFound, what);
            }
            let Some(dataset) = self.facts.datasets.get(name) else {
                continue;
            };
            let Some(policy) = self.policies.dataset(name) else {
                continue;
            };
            let looked = dataset.discovery.coverage.is_everything();
            // A run that was killed may have removed them all by the rules, and have left no word of it.
            let stays =
                |known: &KnownObject| known.outlives(policy.raw.keep, policy.retention, self.now);
            let should_be_there = dataset.ledger.unreplaced().any(stays);
            let is_there = dataset.raw.iter().any(ObjectVersion::is_current);
            if known.has_raw && looked && should_be_there && !is_there {
                let place = &policy.raw.location;
                let what =
                    format!("{place} is empty; at the last run it held raw objects of {name}");
                self.push(GuardKind::NothingFound, what);
            }
        }
    }

    /// Rows and partitions that leave tables by age.
    fn caps_of_tables(&mut self) {
        let caps = &self.policies.lake.guards;
        for step in &self.plan.steps {
            let (name, files, partly, straddling) = match &step.action {
                Action::Retain(Retain {
                    dataset,
                    files,
                    partly,
                    straddling_rows,
                    ..
                }) => (dataset, files, partly, *straddling_rows),
                Action::RetainCurated(action) => (&action.table, &action.files, &action.partly, 0),
                _ => continue,
            };
            let Takes { rows, days } = Takes::of(files.iter().chain(partly));
            let rows = rows + straddling;
            let all = self.facts.table(name).map_or(0, TableFacts::rows);
            if u128::from(rows) * 100 > u128::from(all) * u128::from(caps.max_percent) {
                let what = format!(
                    "{rows} of the {all} rows of {name} would leave by age, more than `max_percent` ({} %)",
                    caps.max_percent
                );
                self.push(GuardKind::Cap, what);
            }
            if days.len() as u64 > caps.max_partitions {
                let what = format!(
                    "{} partitions of {name} would leave by age, more than `max_partitions` ({})",
                    days.len(),
                    caps.max_partitions
                );
                self.push(GuardKind::Cap, what);
            }
        }
    }

    /// Object versions that are deleted for good, and table files that no reader finds any more.
    fn caps_of_objects(&mut self) {
        let caps = &self.policies.lake.guards;
        let Removal { objects, bytes } = Removal::of(self.plan);
        if objects > caps.max_objects {
            let what = format!(
                "{objects} object versions would be deleted, more than `max_objects` ({})",
                caps.max_objects
            );
            self.push(GuardKind::Cap, what);
        }
        if bytes > caps.max_bytes.bytes() {
            let what = format!(
                "{} would be deleted, more than `max_bytes` ({})",
                megabytes(bytes),
                caps.max_bytes
            );
            self.push(GuardKind::Cap, what);
        }
    }
}

/// Objects that are deleted for good or rewritten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removal {
    /// Object versions and table files.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Removal {
    /// What `plan` names.
    pub fn of(plan: &Plan) -> Self {
        let mut versions: Vec<&ObjectVersion> = Vec::new();
        let mut files: Vec<&DataFile> = Vec::new();
        for step in &plan.steps {
            match &step.action {
                Action::Retain(action) => {
                    let raw = action.raw.iter().chain(&action.trim);
                    versions.extend(raw.chain(&action.quarantine));
                    let partly = action.partly.iter().chain(&action.straddling);
                    files.extend(action.files.iter().chain(partly));
                }
                Action::RetainCurated(action) => {
                    files.extend(action.files.iter().chain(&action.partly));
                }
                Action::Purge(action) => versions.extend(&action.versions),
                Action::CleanLog(action) => versions.extend(&action.versions),
                Action::TrimLedger(action) => versions.extend(&action.versions),
                _ => {}
            }
        }
        let sizes = versions.iter().map(|version| version.size);
        Self {
            objects: (versions.len() + files.len()) as u64,
            bytes: sizes.chain(files.iter().map(|file| file.size)).sum(),
        }
    }

    /// Whether it is no more than the policies let go unasked.
    pub fn is_within(self, caps: &GuardsPolicy) -> bool {
        self.objects <= caps.max_objects && self.bytes <= caps.max_bytes.bytes()
    }
}

/// What a step takes from a table.
struct Takes {
    rows: u64,
    days: BTreeSet<NaiveDate>,
}

impl Takes {
    fn of<'a>(files: impl Iterator<Item = &'a DataFile>) -> Self {
        let mut takes = Self {
            rows: 0,
            days: BTreeSet::new(),
        };
        for file in files {
            takes.rows += file.rows;
            takes.days.insert(file.event_date);
        }
        takes
    }
}
