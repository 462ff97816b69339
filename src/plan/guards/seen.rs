//! What a run leaves for the next one's guards.

use std::collections::BTreeSet;

use super::shorter::{broken_records, raw_objects, redacted_rows, rules, segments, spans};
use crate::lake::facts::{DatasetFacts, Facts, TableFacts};
use crate::lake::last_run::{KnownTable, LastRun};
use crate::lake::s3::ObjectVersion;
use crate::plan::{Action, Plan};
use crate::policy::{DatasetPolicy, Policies};

/// What the run that carries out `plan` will leave for the next one's guards.
pub fn seen(policies: &Policies, facts: &Facts, last: Option<&LastRun>, plan: &Plan) -> LastRun {
    let mut seen = LastRun::new(plan.now);
    seen.agreed = last.map_or_else(|| is_empty(facts), |last| last.agreed);
    for (name, retention) in rules(policies) {
        let before = last.and_then(|last| last.tables.get(name));
        let known = KnownTable {
            keep: retention.keep.to_string(),
            zone: retention.zone.to_string(),
            table: facts.table(name).and_then(TableFacts::version),
            has_raw: has_raw(facts, plan, name)
                .unwrap_or_else(|| before.is_some_and(|before| before.has_raw)),
            waiting: 0,
            begun_at: begun_at(policies, facts, before, name),
        };
        seen.tables.insert(name.to_owned(), known);
    }
    let spans = spans(policies).into_iter();
    seen.spans = spans
        .map(|(_, what, keep)| (what, keep.to_string()))
        .collect();
    seen.holds = plan.holds.iter().map(|hold| hold.id.clone()).collect();
    if let Some(last) = last {
        let open = last.copies.iter().filter(|(at, _)| *at > plan.now);
        seen.copies = open.cloned().collect();
        carry_over(last, &mut seen);
    }
    seen
}

impl LastRun {
    /// A person has agreed to what is there now.
    pub fn agree(&mut self, policies: &Policies) {
        self.agreed = true;
        for policy in &policies.datasets {
            if let Some(known) = self.tables.get_mut(&policy.name) {
                known.begun_at = Some(policy.raw.location.to_string());
            }
        }
    }

    /// Whether events of a dataset may be deleted unasked: its raw location was empty when it was first looked
    /// at, or somebody has agreed since.
    pub fn has_begun(&self, policy: &DatasetPolicy) -> bool {
        let begun_at = self
            .tables
            .get(&policy.name)
            .and_then(|known| known.begun_at.as_ref());
        self.agreed && begun_at == Some(&policy.raw.location.to_string())
    }
}

/// Where the raw objects lay of a dataset that had begun before, or begins tonight with nothing in it.
fn begun_at(
    policies: &Policies,
    facts: &Facts,
    before: Option<&KnownTable>,
    name: &str,
) -> Option<String> {
    let location = policies.dataset(name)?.raw.location.to_string();
    let dataset = facts.datasets.get(name)?;
    let is_empty = dataset.raw.is_empty() && dataset.events.table.is_none();
    let is_known = before.is_some_and(|before| before.begun_at.as_ref() == Some(&location));
    (is_known || is_empty).then_some(location)
}

/// What is known of tables whose policies are away: they may come back shorter.
fn carry_over(last: &LastRun, seen: &mut LastRun) {
    for (name, known) in &last.tables {
        if seen.tables.contains_key(name) {
            continue;
        }
        seen.tables.insert(name.clone(), known.clone());
        for what in [
            raw_objects(name),
            broken_records(name),
            segments(name),
            redacted_rows(name),
        ] {
            if let Some(keep) = last.spans.get(&what) {
                seen.spans.insert(what, keep.clone());
            }
        }
    }
}

/// Whether there is nothing in the lake yet, nor anything to come into it.
fn is_empty(facts: &Facts) -> bool {
    let has_table = |table: &Option<u64>| table.is_some();
    let has_raw = |dataset: &DatasetFacts| !dataset.raw.is_empty();
    !facts.table_versions().values().any(has_table) && !facts.datasets.values().any(has_raw)
}

/// Whether raw objects stay, where all of them were looked at.
fn has_raw(facts: &Facts, plan: &Plan, name: &str) -> Option<bool> {
    let dataset = facts.datasets.get(name)?;
    if !dataset.discovery.coverage.is_everything() {
        return None;
    }
    let gone: BTreeSet<&ObjectVersion> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::Retain(action) if action.dataset == name => Some(&action.raw),
            _ => None,
        })
        .flatten()
        .collect();
    let mut current = dataset.raw.iter().filter(|version| version.is_current());
    Some(current.any(|version| !gone.contains(version)))
}
