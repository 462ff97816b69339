//! From the state of the lake to a plan. Reads, and changes nothing (invariant 6).

mod night;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{copies, uploads};
use crate::compaction;
use crate::curation::{self, CurationError};
use crate::erasure::{self, Reach, inbox, request};
use crate::lake::discovery::Look;
use crate::lake::error::S3Error;
use crate::lake::facts::{Facts, FactsError, Places};
use crate::lake::hold::{self, HeldPeople, Hold, HoldError};
use crate::lake::key::{Key, KeyError};
use crate::lake::last_run::LastRun;
use crate::lake::s3::{ObjectVersion, ReadS3};
use crate::lake::subject::{Subject, Suppression, SuppressionError};
use crate::plan::{Due, Guard, Plan, RequestReport, guards, named_raw, seen};
use crate::policy::Policies;
use crate::retention::{self, Blocked, RetentionError, lifecycle};
use inbox::Inbox;
use night::Known;
use request::{OpenRequest, RequestError};

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
    /// Who may not come back.
    #[error("{0}")]
    Suppression(#[from] SuppressionError),
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
    /// Who may not come back.
    pub suppression: Arc<Suppression>,
    /// What the last run saw.
    pub last: Option<LastRun>,
    /// Holds that were in force then, and that nobody has lifted, though they are gone.
    pub lost_holds: Vec<String>,
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
        let plan = &self.plan;
        guards(
            policies,
            &self.facts,
            last,
            &self.lost_holds,
            plan,
            plan.now,
        )
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
    let mut holds = hold::all(s3, &places).await.map_err(HoldError::from)?;
    let known_holds: BTreeSet<String> = holds.iter().map(|hold| hold.id.clone()).collect();
    holds.retain(|hold| hold.lifted.is_none());
    let mut asked = Asked::read(s3, policies, &holds, key, now).await?;
    let mut held = HeldPeople::of(&holds, &policies.lake.erasure, key)?;
    held.asked = std::mem::take(&mut asked.on_hold);
    let look = Look {
        now,
        rules: &hold::rules(&policies.digest, &holds),
        everything: !asked.requests.is_empty(),
        named: &saved.map(named_raw).unwrap_or_default(),
        due: retention::due_keys,
    };
    let facts = Facts::gather(s3, policies, &look).await?;
    let reach = erasure::reach(s3, policies, &facts, &mut asked.requests, &mut held).await?;
    inbox::note_preview(&mut asked.requests, &reach);
    asked.note_waiting(&reach);
    let folder = places.system("erasure/suppression/");
    let suppression = Suppression::load(s3, &folder, key, &asked.undecided).await?;
    let raw_rules = retention::raw_rules(s3, policies, &facts, now).await?;
    let lake = &policies.lake.location;
    let spared = retention::spared(s3, lake, &raw_rules, &holds, &held, &reach.held).await?;
    let straddling = retention::straddling_files(s3, policies, &facts, &spared, now).await?;
    let lineage = curation::lineage(policies, &facts, &holds).await?;
    let nothing_blocked = Blocked::default();
    let known = Known {
        policies,
        facts: &facts,
        asked: &asked,
        reach: &reach,
        lineage: &lineage,
        raw_rules: &raw_rules,
        straddling: &straddling,
        spared: &spared,
        holds: &holds,
        blocked: &nothing_blocked,
        now,
    };
    let mut plan = known.plan();
    let blocked = Blocked::look(s3, policies, &raw_rules, &plan.steps, now).await;
    let blocked = blocked.map_err(FactsError::from)?;
    if !blocked.is_nothing() {
        let blocked = &blocked;
        plan = Known { blocked, ..known }.plan();
    }
    plan.due.extend(blocked.due.iter().cloned());
    let last = LastRun::read(s3, &places).await.map_err(FactsError::from)?;
    let copies = copies::planned(&policies.lake, &plan.steps, now);
    plan.due.extend(copies);
    plan.due
        .extend(last.iter().flat_map(|last| copies::open(last, now)));
    plan.due.sort();
    plan.findings.extend(blocked.findings);
    plan.findings.extend(contradictions(policies, &facts)?);
    plan.findings.extend(unlisted(policies, &facts)?);
    plan.findings
        .extend(uploads::refused(&facts.unfinished, &asked.requests)?);
    let rules = lifecycle::read(s3, policies).await;
    plan.findings.extend(lifecycle::findings(policies, &rules));
    plan.findings
        .extend(lifecycle::against_holds(policies, &rules, &holds));
    let schema = compaction::schema_changes(s3, policies, &facts, now).await;
    plan.schema = schema.map_err(FactsError::from)?;
    plan.requests = asked.reports;
    let without = without_policy(s3, &places, policies, last.as_ref()).await;
    plan.findings.extend(without.map_err(FactsError::from)?);
    let mut planned = Planned {
        plan,
        facts,
        requests: asked.requests,
        held: Arc::new(held),
        suppression: Arc::new(suppression),
        lost_holds: last
            .iter()
            .flat_map(|last| last.holds.difference(&known_holds).cloned())
            .collect(),
        last,
        blocked: blocked.due,
    };
    planned.plan.guards = planned.guards(policies);
    Ok(planned)
}

/// Tables that earlier runs looked after and that no policy names any more.
async fn without_policy(
    s3: &ReadS3,
    places: &Places,
    policies: &Policies,
    last: Option<&LastRun>,
) -> Result<Vec<String>, S3Error> {
    let is_named = |name: &str| {
        policies.dataset(name).is_some() || policies.curated.iter().any(|one| one.table == name)
    };
    let known = last.into_iter().flat_map(|last| last.tables.keys());
    let mut findings = Vec::new();
    for name in known.filter(|name| !is_named(name)) {
        for folder in [places.events(name), places.curated(name)] {
            let log = folder.join("_delta_log/");
            if !s3.keys(&log.bucket, &log.prefix).await?.is_empty() {
                findings.push(format!(
                    "{folder}: {name} has no policy any more, so nothing of it is retained or erased: put the policy \
                     back, or remove the table"
                ));
            }
        }
    }
    Ok(findings)
}

/// What people have asked to be erased.
struct Asked {
    /// Requests that runs have to do with, those in the inbox among them.
    requests: Vec<OpenRequest>,
    /// What plans tell of open ones, the most urgent first.
    reports: Vec<RequestReport>,
    /// Those that wait, each with the holds for which it does.
    put_off: BTreeMap<String, BTreeSet<String>>,
    /// Whom requests are about that a person has put on hold, with the request.
    on_hold: Vec<(String, Subject)>,
    /// Requests that are not to be carried out now, and were not before.
    undecided: BTreeSet<String>,
    inbox: Inbox,
    /// Older versions of closed requests, with sealed identifiers in them.
    sealed_remains: Vec<ObjectVersion>,
}

impl Asked {
    async fn read(
        s3: &ReadS3,
        policies: &Policies,
        holds: &[Hold],
        key: &dyn Fn() -> Result<Key, KeyError>,
        now: DateTime<Utc>,
    ) -> Result<Self, RequestError> {
        let places = Places::new(&policies.lake.location);
        let filed = request::all(s3, &places).await?;
        let ids = filed
            .iter()
            .map(|(request, _)| request.id.clone())
            .collect();
        let open = filed.iter().filter(|(request, _)| request.state.is_open());
        let mut reports: Vec<RequestReport> =
            open.map(|(request, _)| request.report(now)).collect();
        reports.sort_by_key(|request| request.deadline);
        let in_force = holds.iter().map(|hold| hold.id.clone()).collect();
        let put_off = filed.iter().map(|(request, _)| request);
        let put_off = put_off.filter(|request| !request.kept_by.is_empty());
        let put_off = put_off.filter(|request| !request.can_go_on(&in_force));
        let put_off = put_off
            .map(|request| (request.id.clone(), request.kept_by.clone()))
            .collect();
        let undecided = filed.iter().map(|(request, _)| request);
        let undecided = undecided.filter(|request| request.is_undecided());
        let undecided = undecided.map(|request| request.id.clone()).collect();
        let mut requests = request::open(filed.clone(), &in_force, key, now)?;
        let inbox = inbox::read(s3, policies, key, &ids, now).await?;
        requests.extend(inbox.requests.iter().cloned());
        // Nobody is asked for the key to compare with what is not there.
        let on_hold = if requests.is_empty() {
            Vec::new()
        } else {
            request::on_hold(filed, key)?
        };
        Ok(Self {
            requests,
            reports,
            put_off,
            undecided,
            on_hold: request::subjects(&on_hold, &policies.lake.erasure),
            inbox,
            sealed_remains: request::sealed_remains(s3, &places).await?,
        })
    }

    fn note_waiting(&mut self, reach: &Reach) {
        for report in &mut self.reports {
            let why = reach.left_out.get(&report.id);
            report.waits = why.map(ToString::to_string);
        }
        self.undecided.extend(reach.left_out.keys().cloned());
    }
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
