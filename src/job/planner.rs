//! From the state of the lake to a plan. Reads, and changes nothing (invariant 6).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{copies, uploads};
use crate::compaction;
use crate::curation::{self, CurationError, Lineage};
use crate::erasure::{self, Reach, inbox, request};
use crate::lake::discovery::Look;
use crate::lake::facts::{Facts, FactsError, Grace, Places, TableFacts};
use crate::lake::hold::{self, Held, HeldPeople, Hold, HoldError};
use crate::lake::key::{Key, KeyError};
use crate::lake::last_run::LastRun;
use crate::lake::s3::{ObjectVersion, ReadS3};
use crate::lake::tables::DataFile;
use crate::plan::{
    Action, Checkpoint, Due, Guard, Plan, RequestReport, Step, guards, named_raw, seen,
};
use crate::policy::Policies;
use crate::retention::{self, Blocked, NOTHING_SPARED, RawRule, RetentionError, Spared, lifecycle};
use inbox::Inbox;
use request::{OpenRequest, RequestError};

/// A log is read in one request a commit. Delta's own default (`delta.checkpointInterval`).
const CHECKPOINT_AFTER: u64 = 10;

/// Why no plan could be made.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The state of the lake.
    #[error("{0}")]
    Facts(#[from] FactsError),
    /// Whom holds are on.
    #[error("{0}")]
    Holds(#[from] HoldError),
    /// What of tables is too old.
    #[error("{0}")]
    Retention(#[from] RetentionError),
    /// The requests.
    #[error("{0}")]
    Requests(#[from] RequestError),
    /// The curated tables.
    #[error("{0}")]
    Curation(#[from] CurationError),
}

/// A plan with what it was made from.
#[derive(Debug)]
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// The state of the lake.
    pub facts: Facts,
    /// Requests that are not certified yet, with their identifiers.
    pub requests: Vec<OpenRequest>,
    /// Whom holds are on.
    pub held: Arc<HeldPeople>,
    /// What the last run saw.
    pub last: Option<LastRun>,
    /// From when on what cannot leave tonight can.
    pub blocked: Vec<Due>,
}

impl Planned {
    /// The same lake, with another plan for it.
    #[must_use]
    pub fn with(mut self, policies: &Policies, plan: Plan) -> Self {
        self.plan = plan;
        self.plan.guards = self.guards(policies);
        self
    }

    /// What this run leaves for the next one's guards.
    pub fn seen(&self, policies: &Policies) -> LastRun {
        seen(policies, &self.facts, self.last.as_ref(), &self.plan)
    }

    fn guards(&self, policies: &Policies) -> Vec<Guard> {
        let last = self.last.as_ref();
        guards(policies, &self.facts, last, &self.plan, self.plan.now)
    }
}

/// Reads the lake and plans the night. What a `saved` plan names is looked at too.
pub async fn plan(
    s3: &ReadS3,
    policies: &Policies,
    key: &dyn Fn() -> Result<Key, KeyError>,
    now: DateTime<Utc>,
    saved: Option<&Plan>,
) -> Result<Planned, PlanError> {
    let places = Places::new(&policies.lake.location);
    let filed = request::all(s3, &places)
        .await
        .map_err(RequestError::from)?;
    let ids = filed
        .iter()
        .map(|(request, _)| request.id.clone())
        .collect();
    let mut open: Vec<RequestReport> = filed
        .iter()
        .filter(|(request, _)| request.state.is_open())
        .map(|(request, _)| request.report(now))
        .collect();
    open.sort_by_key(|request| request.deadline);
    let mut requests = request::open(filed, key)?;
    let inbox = inbox::read(s3, policies, key, &ids, now).await?;
    requests.extend(inbox.requests.iter().cloned());
    let sealed_remains = request::sealed_remains(s3, &places)
        .await
        .map_err(RequestError::from)?;
    let holds = hold::active(s3, &places).await.map_err(HoldError::from)?;
    let mut held = HeldPeople::of(&holds, &policies.lake.erasure, key)?;
    let look = Look {
        now,
        rules: &hold::rules(&policies.digest, &holds),
        everything: !requests.is_empty(),
        named: &saved.map(named_raw).unwrap_or_default(),
        due: retention::due_keys,
    };
    let facts = Facts::gather(s3, policies, &look).await?;
    let reach = erasure::reach(s3, policies, &facts, &mut requests, &mut held).await?;
    inbox::note_preview(&mut requests, &reach);
    let raw_rules = retention::raw_rules(s3, policies, &facts, now).await?;
    let lake = &policies.lake.location;
    let spared = retention::spared(s3, lake, &raw_rules, &holds, &held, &reach.held).await?;
    let straddling = retention::straddling_files(s3, policies, &facts, &spared, now).await?;
    let lineage = curation::lineage(policies, &facts).await?;
    let night = |blocked: &Blocked| {
        Night {
            policies,
            facts: &facts,
            requests: &requests,
            sealed_remains: &sealed_remains,
            inbox: &inbox,
            raw_rules: &raw_rules,
            straddling: &straddling,
            spared: &spared,
            holds: &holds,
            blocked,
            now,
            steps: Vec::new(),
            removers: BTreeMap::new(),
            changers: BTreeMap::new(),
        }
        .plan(&reach, &lineage)
    };
    let mut plan = night(&Blocked::default());
    let blocked = Blocked::look(s3, policies, &raw_rules, &plan.steps, now).await;
    let blocked = blocked.map_err(FactsError::from)?;
    if !blocked.is_nothing() {
        plan = night(&blocked);
    }
    plan.due.extend(blocked.due.iter().cloned());
    plan.due
        .extend(copies::planned(&policies.lake, &plan.steps, now));
    plan.due.sort();
    plan.findings.extend(blocked.findings);
    plan.schema = compaction::schema_changes(s3, policies, &facts, now)
        .await
        .map_err(FactsError::from)?;
    plan.findings.extend(contradictions(policies, &facts)?);
    plan.findings.extend(unlisted(policies, &facts)?);
    let rules = lifecycle::read(s3, policies).await;
    plan.findings.extend(lifecycle::findings(policies, &rules));
    plan.findings
        .extend(lifecycle::against_holds(policies, &rules, &holds));
    plan.findings
        .extend(uploads::refused(&facts.unfinished, &requests)?);
    plan.requests = open;
    let last = LastRun::read(s3, &places).await;
    let mut planned = Planned {
        plan,
        facts,
        requests,
        held: Arc::new(held),
        last: last.map_err(FactsError::from)?,
        blocked: blocked.due,
    };
    planned.plan.guards = planned.guards(policies);
    Ok(planned)
}

/// Where policies declare other types than tables have.
fn contradictions(policies: &Policies, facts: &Facts) -> Result<Vec<String>, FactsError> {
    let mut findings = Vec::new();
    for policy in &policies.datasets {
        if let Some(table) = facts
            .table(&policy.name)
            .and_then(|facts| facts.table.as_ref())
        {
            findings.extend(compaction::contradictions(policy, &*table.schema()?));
        }
    }
    Ok(findings)
}

/// Columns that look like identifiers and are in no policy.
fn unlisted(policies: &Policies, facts: &Facts) -> Result<Vec<String>, FactsError> {
    let datasets = policies
        .datasets
        .iter()
        .map(|policy| (&policy.name, &policy.pii));
    let curated = policies
        .curated
        .iter()
        .map(|policy| (&policy.table, &policy.pii));
    let mut findings = Vec::new();
    for (name, pii) in datasets.chain(curated) {
        if let Some(table) = facts.table(name).and_then(|facts| facts.table.as_ref()) {
            let found = erasure::unlisted::unlisted(pii, &*table.schema()?);
            findings.extend(erasure::unlisted::finding(name, &found));
        }
    }
    Ok(findings)
}

/// Puts the duties' steps in order. Pure: everything was read before.
struct Night<'a> {
    policies: &'a Policies,
    facts: &'a Facts,
    requests: &'a [OpenRequest],
    sealed_remains: &'a [ObjectVersion],
    inbox: &'a Inbox,
    raw_rules: &'a BTreeMap<&'a str, RawRule<'a>>,
    straddling: &'a BTreeMap<String, Vec<DataFile>>,
    spared: &'a BTreeMap<String, Spared>,
    holds: &'a [Hold],
    /// What cannot leave tonight, however old it is.
    blocked: &'a Blocked,
    now: DateTime<Utc>,
    steps: Vec<Step>,
    /// Steps that remove files of a table.
    removers: BTreeMap<String, Vec<String>>,
    /// Steps that change rows of a table.
    changers: BTreeMap<String, Vec<String>>,
}

impl<'a> Night<'a> {
    fn plan(mut self, reach: &Reach, lineage: &Lineage) -> Plan {
        self.steps.extend(inbox::plan(self.inbox));
        let filed: Vec<String> = self.steps.iter().map(|step| step.id.clone()).collect();
        let compactions = self.compact();
        let all: Vec<String> = compactions.values().flatten().cloned().collect();
        self.steps
            .extend(erasure::plan_identify(self.requests, reach, &filed, &all));
        self.erase_and_retain(reach, &compactions);
        self.fold(&compactions);
        for policy in &self.policies.curated {
            let held = Held::of(self.holds, &policy.table);
            let step = erasure::plan_curated(policy, reach, self.requests, &held);
            self.push(&policy.table, step);
            if let Some(table) = self.facts.curated.get(&policy.table) {
                let spared = self.spared(&policy.table);
                let step = retention::plan_curated(policy, table, &held, spared, self.now);
                self.push(&policy.table, step);
            }
        }
        let (curate, mut findings) = curation::plan(self.policies, lineage, &self.changers);
        for step in curate {
            if let Action::Curate(action) = &step.action {
                let table = action.table.clone();
                self.push(&table, Some(step));
            }
        }
        self.checkpoint();
        self.clean_logs(lineage);
        let mut due = self.purge();
        let unfinished = &self.facts.unfinished.uploads;
        let (abort, wait) = uploads::plan(&self.policies.lake, self.requests, unfinished, self.now);
        self.steps.extend(abort);
        due.extend(wait);
        let mut remains = self.sealed_remains.to_vec();
        self.blocked.spare(&mut remains);
        self.steps.extend(erasure::plan_forgetting(&remains));
        let earlier: Vec<String> = self
            .steps
            .iter()
            .filter(|step| {
                matches!(
                    step.action,
                    Action::Erase(_)
                        | Action::EraseCurated(_)
                        | Action::Retain(_)
                        | Action::Purge(_)
                        | Action::Abort(_)
                )
            })
            .map(|step| step.id.clone())
            .collect();
        let (certify, certify_due) =
            erasure::plan_certificates(self.requests, reach, &earlier, self.grace(), self.now);
        self.steps.extend(certify);
        self.own_files();
        leave_to_removal(&mut self.steps);
        due.extend(certify_due);
        for policy in &self.policies.datasets {
            if let Some(facts) = self.facts.datasets.get(&policy.name) {
                let held = Held::of(self.holds, &policy.name);
                due.extend(retention::due(policy, facts, &held, self.blocked, self.now));
                findings.extend(facts.discovery.findings.iter().cloned());
            }
        }
        let left_out = reach.left_out.iter();
        findings.extend(left_out.map(|(id, why)| why.finding(id)));
        findings.extend(self.inbox.findings.iter().cloned());
        findings.extend(self.waiting_for_holds());
        due.sort();
        findings.sort();
        let tables = self.facts.table_versions();
        let mut plan = Plan::new(self.now, &self.policies.digest, tables, self.steps);
        let datasets = self.facts.datasets.iter();
        plan.coverage = datasets
            .map(|(name, facts)| (name.clone(), facts.discovery.coverage.clone()))
            .collect();
        plan.holds = self.holds.iter().map(Hold::shown).collect();
        plan.due = due;
        plan.forecast = retention::forecast(
            self.policies,
            self.facts,
            self.holds,
            self.blocked,
            self.now,
        );
        plan.findings = findings;
        plan.failures.clone_from(&lineage.broken);
        plan
    }

    /// What a person has to know of holds: requests that wait for them, reviews that are overdue.
    fn waiting_for_holds(&self) -> Vec<String> {
        let mut findings = Vec::new();
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

    fn erase_and_retain(&mut self, reach: &Reach, compactions: &BTreeMap<String, Vec<String>>) {
        let mut retain = Vec::new();
        for policy in &self.policies.datasets {
            let Some(rule) = self.raw_rules.get(policy.name.as_str()) else {
                continue;
            };
            let tonight = compactions.get(&policy.name).map_or(&[][..], Vec::as_slice);
            let straddling = self.straddling.get(&policy.name);
            let straddling = straddling.map_or(&[][..], Vec::as_slice);
            let held = Held::of(self.holds, &policy.name);
            let spared = self.spared(&policy.name);
            let kept = retention::plan(rule, straddling, &held, spared, tonight, self.blocked);
            let erased = erasure::plan(policy, rule.facts, reach, self.requests, tonight, &held);
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
            if commits < CHECKPOINT_AFTER {
                continue;
            }
            self.steps.push(Step {
                id: format!("checkpoint-{table}"),
                why: format!("checkpoint {table}: {commits} commits have come since the last one"),
                action: Action::Checkpoint(Checkpoint { table }),
            });
        }
    }

    fn clean_logs(&mut self, lineage: &Lineage) {
        let history = self.policies.lake.table_history;
        for table in self.facts.table_versions().into_keys() {
            let Some(facts) = self.facts.table(&table) else {
                continue;
            };
            let read_from = lineage.read_from(&table, &self.changers);
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
        let (grace, others) = (policy.readers_grace, self.sealed_remains);
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

    fn purge(&mut self) -> Vec<Due> {
        let grace = self.grace();
        let mut due = Vec::new();
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
            due.extend(later);
        }
        due
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
