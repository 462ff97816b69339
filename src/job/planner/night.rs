//! The night's steps in their order. Pure: everything was read before.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use chrono::{DateTime, NaiveDate, Utc};

use super::Asked;
use crate::compaction;
use crate::curation::{self, Lineage};
use crate::erasure::{self, Reach, inbox};
use crate::job::uploads;
use crate::lake::facts::{Facts, Grace, Places, TableFacts};
use crate::lake::hold::{Held, Hold};
use crate::lake::s3::ObjectVersion;
use crate::plan::{Action, Checkpoint, Due, Plan, Step};
use crate::policy::Policies;
use crate::retention::{self, Blocked, NOTHING_SPARED, RawRule, Spared, Straddling};

/// A log is read in one request a commit. Delta's own default (`delta.checkpointInterval`).
const CHECKPOINT_AFTER: u64 = 10;

/// What a night is planned from.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub policies: &'a Policies,
    pub facts: &'a Facts,
    pub asked: &'a Asked,
    pub reach: &'a Reach,
    pub lineage: &'a Lineage,
    pub raw_rules: &'a BTreeMap<&'a str, RawRule<'a>>,
    pub straddling: &'a BTreeMap<String, Straddling>,
    pub spared: &'a BTreeMap<String, Spared>,
    pub holds: &'a [Hold],
    /// What cannot leave tonight, however old it is.
    pub blocked: &'a Blocked,
    pub now: DateTime<Utc>,
}

impl Known<'_> {
    /// The duties' steps in their order.
    pub fn plan(self) -> Plan {
        let night = Night {
            known: self,
            steps: Vec::new(),
            removers: BTreeMap::new(),
            changers: BTreeMap::new(),
            due: Vec::new(),
            findings: Vec::new(),
        };
        night.plan()
    }
}

/// A plan in the making.
struct Night<'a> {
    known: Known<'a>,
    steps: Vec<Step>,
    /// Steps that remove files of a table.
    removers: BTreeMap<String, Vec<String>>,
    /// Steps that change rows of a table.
    changers: BTreeMap<String, Vec<String>>,
    due: Vec<Due>,
    findings: Vec<String>,
}

impl<'a> Deref for Night<'a> {
    type Target = Known<'a>;

    fn deref(&self) -> &Known<'a> {
        &self.known
    }
}

impl<'a> Night<'a> {
    fn plan(mut self) -> Plan {
        let compactions = self.file_and_compact();
        self.erase_and_retain(&compactions);
        self.fold(&compactions);
        self.curate();
        self.checkpoint();
        self.clean_logs();
        self.purge();
        self.end_uploads();
        self.certify();
        self.own_files();
        leave_to_removal(&mut self.steps);
        self.note();
        self.into_plan()
    }

    /// Requests are filed first; who their subjects are is certain once all is compacted.
    fn file_and_compact(&mut self) -> BTreeMap<String, Vec<String>> {
        let file = inbox::plan(&self.asked.inbox);
        let filed: Vec<String> = file.iter().map(|step| step.id.clone()).collect();
        self.steps.extend(file);
        let compactions = self.compact();
        let all: Vec<String> = compactions.values().flatten().cloned().collect();
        let identify = erasure::plan_identify(&self.asked.requests, self.reach, &filed, &all);
        self.steps.extend(identify);
        compactions
    }

    fn curate(&mut self) {
        let mut erased: BTreeMap<String, BTreeSet<NaiveDate>> = BTreeMap::new();
        for policy in &self.policies.curated {
            let held = Held::of(self.holds, &policy.table);
            let step = erasure::plan_curated(policy, self.reach, &self.asked.requests, &held);
            if let Some(Action::EraseCurated(action)) = step.as_ref().map(|step| &step.action) {
                let days = action.files.iter().map(|file| file.event_date);
                erased.insert(policy.table.clone(), days.collect());
            }
            self.push(&policy.table, step);
            if let Some(table) = self.facts.curated.get(&policy.table) {
                let spared = self.spared(&policy.table);
                let step = retention::plan_curated(policy, table, &held, spared, self.now);
                self.push(&policy.table, step);
            }
        }
        let (curate, findings) =
            curation::plan(self.policies, self.lineage, &self.changers, &erased);
        self.findings.extend(findings);
        for step in curate {
            if let Action::Curate(action) = &step.action {
                let table = action.table.clone();
                self.push(&table, Some(step));
            }
        }
    }

    fn end_uploads(&mut self) {
        let (requests, unfinished) = (&self.asked.requests, &self.facts.unfinished.uploads);
        let ending = uploads::plan(self.policies, self.holds, requests, unfinished, self.now);
        self.steps.extend(ending.step);
        self.due.extend(ending.due);
        self.findings.extend(ending.findings);
        let mut remains = self.asked.sealed_remains.clone();
        self.blocked.spare(&mut remains);
        self.steps.extend(erasure::plan_forgetting(&remains));
    }

    fn certify(&mut self) {
        let removes = |step: &&Step| {
            matches!(
                step.action,
                Action::Erase(_)
                    | Action::EraseCurated(_)
                    | Action::Retain(_)
                    | Action::Purge(_)
                    | Action::Abort(_)
            )
        };
        let earlier = self.steps.iter().filter(removes);
        let earlier: Vec<String> = earlier.map(|step| step.id.clone()).collect();
        let (grace, requests) = (self.grace(), &self.asked.requests);
        let (certify, due) =
            erasure::plan_certificates(requests, self.reach, &earlier, grace, self.now);
        self.steps.extend(certify);
        self.due.extend(due);
    }

    /// What comes next, and what a person should know.
    fn note(&mut self) {
        for policy in &self.policies.datasets {
            if let Some(facts) = self.facts.datasets.get(&policy.name) {
                let held = Held::of(self.holds, &policy.name);
                let due = retention::due(policy, facts, &held, self.blocked, self.now);
                self.due.extend(due);
                let findings = &facts.discovery.findings;
                self.findings.extend(findings.iter().cloned());
                self.findings.extend(retention::unknown(policy, facts));
            }
        }
        let left_out = self.reach.left_out.iter();
        self.findings
            .extend(left_out.map(|(id, why)| why.finding(id)));
        let inbox = &self.asked.inbox.findings;
        self.findings.extend(inbox.iter().cloned());
        self.findings.extend(self.waiting_for_holds());
        self.due.sort();
        self.findings.sort();
    }

    fn into_plan(self) -> Plan {
        let known = self.known;
        let tables = known.facts.table_versions();
        let mut plan = Plan::new(known.now, &known.policies.digest, tables, self.steps);
        let datasets = known.facts.datasets.iter();
        plan.coverage = datasets
            .map(|(name, facts)| (name.clone(), facts.discovery.coverage.clone()))
            .collect();
        plan.holds = known.holds.iter().map(Hold::shown).collect();
        plan.due = self.due;
        plan.forecast = retention::forecast(
            known.policies,
            known.facts,
            known.holds,
            known.spared,
            known.blocked,
            known.now,
        );
        plan.findings = self.findings;
        plan.failures.clone_from(&known.lineage.broken);
        plan
    }

    /// What a person has to know of holds: requests that wait for them, reviews that are overdue.
    fn waiting_for_holds(&self) -> Vec<String> {
        let put_off = self.asked.put_off.iter();
        let mut findings: Vec<String> = put_off
            .map(|(id, holds)| {
                let holds: Vec<&str> = holds.iter().map(String::as_str).collect();
                let holds = holds.join(" or ");
                format!("erasure request {id} stays open: hold {holds} keeps the rest of what it would take")
            })
            .collect();
        for step in &self.steps {
            let (table, requests) = match &step.action {
                Action::Erase(action) => (&action.dataset, &action.held_requests),
                Action::EraseCurated(action) => (&action.table, &action.held_requests),
                _ => continue,
            };
            findings.extend(requests.iter().map(|id| {
                format!("erasure request {id} stays open: a hold keeps rows of {table} that it would take")
            }));
        }
        let today = self.now.date_naive();
        let overdue = self.holds.iter().filter(|hold| hold.review < today);
        findings.extend(overdue.map(|hold| {
            format!(
                "hold {}: its review was due on {}; ask {}, and lift it if it is no longer needed",
                hold.id, hold.review, hold.owner
            )
        }));
        findings
    }

    fn spared(&self, table: &str) -> &'a Spared {
        self.spared.get(table).unwrap_or(&NOTHING_SPARED)
    }

    fn grace(&self) -> Grace {
        Grace::of(&self.policies.lake)
    }

    /// Compaction only adds files.
    fn compact(&mut self) -> BTreeMap<String, Vec<String>> {
        let mut compactions: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for policy in &self.policies.datasets {
            let Some(facts) = self.facts.datasets.get(&policy.name) else {
                continue;
            };
            let steps = compaction::plan(policy, facts, self.now);
            let ids: Vec<String> = steps.iter().map(|step| step.id.clone()).collect();
            if !ids.is_empty() {
                self.changers.insert(policy.name.clone(), ids.clone());
            }
            compactions.insert(policy.name.clone(), ids);
            self.steps.extend(steps);
        }
        compactions
    }

    fn erase_and_retain(&mut self, compactions: &BTreeMap<String, Vec<String>>) {
        let mut retain = Vec::new();
        for policy in &self.policies.datasets {
            let Some(rule) = self.raw_rules.get(policy.name.as_str()) else {
                continue;
            };
            let tonight = compactions.get(&policy.name).map_or(&[][..], Vec::as_slice);
            let nothing = Straddling::default();
            let straddling = self.straddling.get(&policy.name).unwrap_or(&nothing);
            let held = Held::of(self.holds, &policy.name);
            let spared = self.spared(&policy.name);
            let kept = retention::plan(rule, straddling, &held, spared, tonight, self.blocked);
            let erased = erasure::plan(
                policy,
                rule.facts,
                self.reach,
                &self.asked.requests,
                tonight,
                &held,
            );
            self.push(&policy.name, erased);
            retain.push((&policy.name, kept));
        }
        for (name, step) in retain {
            self.push(name, step);
        }
    }

    /// Folding leaves the rows as they are, so nothing that reads them has to follow.
    fn fold(&mut self, compactions: &BTreeMap<String, Vec<String>>) {
        for policy in &self.policies.datasets {
            let Some(facts) = self.facts.datasets.get(&policy.name) else {
                continue;
            };
            let erasure = format!("erase-{}", policy.name);
            let erases = self.steps.iter().any(|step| step.id == erasure);
            let earlier = compaction::Earlier {
                compactions: compactions.get(&policy.name).map_or(&[][..], Vec::as_slice),
                erasure: erases.then_some(erasure.as_str()),
            };
            let keep_from = policy.retention.horizon(self.now).first_day();
            let step = compaction::plan_fold(policy, &facts.events.files, keep_from, earlier);
            if let Some(step) = step {
                let removers = self.removers.entry(policy.name.clone()).or_default();
                removers.push(step.id.clone());
                self.steps.push(step);
            }
        }
    }

    fn push(&mut self, table: &str, step: Option<Step>) {
        if let Some(step) = step {
            self.removers
                .entry(table.to_owned())
                .or_default()
                .push(step.id.clone());
            self.changers
                .entry(table.to_owned())
                .or_default()
                .push(step.id.clone());
            self.steps.push(step);
        }
    }

    fn checkpoint(&mut self) {
        for table in self.facts.table_versions().into_keys() {
            let commits = self
                .facts
                .table(&table)
                .map_or(0, TableFacts::commits_since_checkpoint);
            let tonight = [&self.changers, &self.removers].map(|steps| {
                let steps = steps.get(&table).into_iter().flatten();
                steps.cloned().collect::<BTreeSet<String>>()
            });
            let tonight = (&tonight[0] | &tonight[1]).len() as u64;
            // Else a plan that is made right after this night would still find something to do.
            if commits + tonight < CHECKPOINT_AFTER || commits == 0 {
                continue;
            }
            self.steps.push(Step {
                id: format!("checkpoint-{table}"),
                why: format!(
                    "checkpoint {table}: {commits} commits have come since the last one, and {tonight} may come tonight"
                ),
                action: Action::Checkpoint(Checkpoint { table }),
            });
        }
    }

    fn clean_logs(&mut self) {
        let history = self.policies.lake.table_history;
        for table in self.facts.table_versions().into_keys() {
            let Some(facts) = self.facts.table(&table) else {
                continue;
            };
            let read_from = self.lineage.read_from(&table, &self.changers);
            let step =
                retention::plan_log(&table, facts, read_from, history, self.blocked, self.now);
            self.steps.extend(step);
        }
    }

    fn own_files(&mut self) {
        let policy = &self.policies.lake;
        let places = Places::new(&policy.location);
        let system = &self.facts.system;
        let reports =
            retention::plan_reports(&places, system, policy.reports, self.blocked, self.now);
        self.steps.extend(reports);
        let (grace, others) = (policy.readers_grace, &self.asked.sealed_remains);
        let replaced =
            retention::plan_replaced(&places, system, others, grace, self.blocked, self.now);
        self.steps.extend(replaced);
        for policy in &self.policies.datasets {
            let Some(facts) = self.facts.datasets.get(&policy.name) else {
                continue;
            };
            let tonight = self.steps.iter().find_map(|step| match &step.action {
                Action::Retain(retain) if retain.dataset == policy.name => {
                    Some((step.id.as_str(), retain))
                }
                _ => None,
            });
            let step = retention::plan_ledger(
                policy,
                facts,
                system,
                &places,
                tonight,
                self.blocked,
                self.now,
            );
            self.steps.extend(step);
        }
    }

    fn purge(&mut self) {
        let grace = self.grace();
        let tables = self.facts.table_versions();
        for owner in tables.keys() {
            let Some(table) = self.facts.table(owner) else {
                continue;
            };
            let mut orphans = match self.facts.datasets.get(owner) {
                Some(dataset) => retention::quarantine_orphans(dataset, grace, self.now),
                None => Vec::new(),
            };
            let checkpoints = table.log.rewritten();
            orphans.extend(retention::replaced(checkpoints, grace.readers, self.now));
            let removers = self.removers.get(owner).cloned().unwrap_or_default();
            let (step, later) = retention::plan_purge(
                owner,
                table,
                orphans,
                &removers,
                grace,
                self.blocked,
                self.now,
            );
            self.steps.extend(step);
            self.due.extend(later);
        }
    }
}

/// What retention or purge removes whole tonight is not rewritten first: the rewritten object would be
/// another version than the one they name, and stay.
fn leave_to_removal(steps: &mut [Step]) {
    let mut leaving: BTreeSet<ObjectVersion> = BTreeSet::new();
    for step in steps.iter() {
        match &step.action {
            Action::Retain(retain) => {
                leaving.extend(retain.raw.iter().chain(&retain.quarantine).cloned());
            }
            Action::Purge(purge) => leaving.extend(purge.versions.iter().cloned()),
            _ => {}
        }
    }
    for step in steps {
        if let Action::Erase(erase) = &mut step.action {
            erase.raw.retain(|version| !leaving.contains(version));
            erase
                .quarantine
                .retain(|version| !leaving.contains(version));
        }
    }
}
