//! Carrying out a plan, step by step. A step that fails is reported, the steps that build on it are left
//! out, and the others go on: the next run takes up what is missing.

mod erasing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::copies;
use super::planner::Planned;
use super::remember::remember;
use crate::audit::report::{DatasetReport, RunReport};
use crate::compaction;
use crate::curation;
use crate::erasure::request::{Erased, OpenRequest, Waiting};
use crate::lake::error::S3Error;
use crate::lake::facts::{Facts, FactsError, Grace, TableFacts};
use crate::lake::hold::{self, Hold};
use crate::lake::key::{Key, KeyError};
use crate::lake::last_run::LastRun;
use crate::lake::ledger::{Entry, put_json};
use crate::lake::s3::PutIf;
use crate::lake::site::Site;
use crate::lake::tables::{DataFile, Table};
use crate::plan::{
    Action, Checkpoint, CleanLog, Compact, Curate, Fold, Purge, Removal, Retain, RetainCurated,
    Step, TrimLedger, shown_columns,
};
use crate::policy::{CuratedPolicy, DatasetPolicy, Policies, S3Location};
use crate::retention::{self, Late, Removal as Removed};

/// Why a night could not be finished or reported at all.
#[derive(Debug, thiserror::Error)]
pub enum NightError {
    /// The report could not be written.
    #[error("{0}")]
    Store(#[from] S3Error),
    /// The tables could not be read afterwards.
    #[error("{0}")]
    Facts(#[from] FactsError),
}

type StepError = Box<dyn std::error::Error + Send + Sync>;

/// What the steps of this run left for later ones.
#[derive(Default)]
struct Tonight {
    files: Vec<DataFile>,
    entries: Vec<Entry>,
    quarantine: Vec<String>,
}

/// What the steps of this run did for a request.
#[derive(Default)]
struct ErasedTonight {
    tables: BTreeMap<String, Erased>,
    /// Whether something could not be done.
    is_stuck: bool,
    /// The holds that keep something of it.
    kept_by: BTreeSet<String>,
}

struct Night<'a> {
    site: &'a Site,
    policies: &'a Policies,
    key: &'a dyn Fn() -> Result<Key, KeyError>,
    requests: Vec<OpenRequest>,
    tonight: BTreeMap<String, Tonight>,
    /// What was done for requests so far.
    erased: BTreeMap<String, ErasedTonight>,
    /// The lake as it was planned for.
    facts: &'a Facts,
    /// What is held.
    holds: &'a [Hold],
    /// What the last run saw.
    last: Option<&'a LastRun>,
    /// What the plan removes.
    planned: Removal,
    /// By dataset, raw objects that nobody has agreed to trim.
    waiting: BTreeMap<String, u64>,
    /// Requests that turned out to be a person's to look at first.
    left_out: BTreeMap<String, Waiting>,
    /// Whether subjects have ids that the plan did not know.
    has_new_links: bool,
    failed: BTreeSet<String>,
    /// Steps that were carried out but for objects that could not go: nothing may build on their being gone.
    incomplete: BTreeSet<String>,
    report: RunReport,
}

/// Carries out a plan and writes the report into the lake, and what was `seen` for the next run.
pub async fn apply(
    site: &Site,
    policies: &Policies,
    key: &dyn Fn() -> Result<Key, KeyError>,
    planned: Planned,
    mut seen: LastRun,
) -> Result<RunReport, NightError> {
    let Planned {
        plan,
        facts,
        requests,
        last,
        held: _,
        suppression: _,
        lost_holds: _,
        blocked,
    } = &planned;
    let mut night = Night {
        site,
        policies,
        key,
        requests: requests.clone(),
        tonight: BTreeMap::new(),
        erased: BTreeMap::new(),
        facts,
        holds: &plan.holds,
        last: last.as_ref(),
        planned: Removal::of(plan),
        waiting: BTreeMap::new(),
        left_out: BTreeMap::new(),
        has_new_links: false,
        failed: BTreeSet::new(),
        incomplete: BTreeSet::new(),
        report: RunReport::new(&site.run, site.now, &plan.digest, policies),
    };
    night.report.findings.clone_from(&plan.findings);
    night.report.failures.clone_from(&plan.failures);
    night.report.coverage.clone_from(&plan.coverage);
    night.report.holds.clone_from(&plan.holds);
    night.report.due.clone_from(blocked);
    let is_certify = |step: &&Step| matches!(step.action, Action::Certify(_));
    for step in plan.steps.iter().filter(|step| !is_certify(step)) {
        night.step(step).await;
    }
    night.conclude_erasures().await;
    night.note_waiting().await;
    if let Err(error) = night.follow_late_links().await {
        night.fail("follow-late-links", error.as_ref());
    }
    let certify: Vec<&Step> = plan.steps.iter().filter(is_certify).collect();
    night.certify(&certify).await;
    let after = night.count_survivors(facts).await?;
    let out = copies::removed(&policies.lake, &night.report);
    seen.copies
        .extend(out.into_iter().map(|due| (due.at, due.what)));
    night.report.due.extend(copies::open(&seen, site.now));
    if let Err(error) = night.leave(seen, last.as_ref(), &after).await {
        night.report.failures.push(error.to_string());
    }
    if site.may_destroy {
        forget_replaced(site).await;
    }
    let unfinished = &night.failed | &night.incomplete;
    if let Err(error) = remember(site, policies, plan, facts, &unfinished).await {
        night.report.failures.push(error.to_string());
    }
    night.report.requests = night.requests_now(&plan.requests);
    if !plan.is_empty() {
        let place = site.places.system(&format!("reports/{}.json", site.run));
        put_json(
            &site.s3,
            &place.bucket,
            &place.prefix,
            &night.report,
            PutIf::Absent,
        )
        .await?;
    }
    Ok(night.report)
}

/// Lease and record of the last run are written again every night, and nobody reads older versions.
async fn forget_replaced(site: &Site) {
    for name in ["lease.json", "last_run.json"] {
        let place = site.places.system(name);
        if let Err(error) = site.s3.delete_replaced(&place.bucket, &place.prefix).await {
            tracing::warn!(%error, "older versions of {name} stay until the next run");
        }
    }
}

impl<'a> Night<'a> {
    async fn step(&mut self, step: &Step) {
        if let Some(obstacle) = self.obstacle(&step.action).await {
            let failure = format!("{}: {obstacle}", step.id);
            self.report.failures.push(failure);
            self.failed.insert(step.id.clone());
            return;
        }
        if matches!(step.action, Action::Erase(_) | Action::EraseCurated(_))
            && let Err(error) = self.heed_decisions().await
        {
            return self.fail(&step.id, &error);
        }
        tracing::info!(step = %step.id, "{}", step.why);
        let outcome = match &step.action {
            Action::Compact(action) => self.compact(action).await,
            Action::Fold(action) => self.fold(action).await,
            Action::FileRequests(action) => self.file_requests(action).await,
            Action::Identify(action) => self.identify(action).await,
            Action::Erase(action) => self.erase(action).await,
            Action::EraseCurated(action) => self.erase_curated(action).await,
            Action::Retain(action) => self.retain(&step.id, action).await,
            Action::RetainCurated(action) => self.retain_curated(action).await,
            Action::Curate(action) => self.curate(action).await,
            Action::Abort(action) => self.abort(action).await,
            Action::Purge(action) => self.purge(action).await,
            Action::Checkpoint(action) => self.checkpoint(action).await,
            Action::CleanLog(action) => self.clean_log(action).await,
            Action::TrimLedger(action) => self.trim_ledger(action).await,
            Action::Certify(_) => Ok(()),
        };
        match outcome {
            Ok(()) => self.report.actions += 1,
            Err(error) => self.fail(&step.id, error.as_ref()),
        }
    }

    /// Why a step cannot be carried out as it was planned.
    async fn obstacle(&self, action: &Action) -> Option<String> {
        let mut earlier = after(action).iter();
        if let Some(missing) = earlier.find(|id| self.failed.contains(*id)) {
            return Some(format!("left out, because {missing} failed"));
        }
        if self.site.lease_is_lost() {
            return Some("the lease was lost to another run; nothing more was done".into());
        }
        if !action.takes_away() {
            return None;
        }
        let holds = hold::active(self.site.s3.read(), &self.site.places).await;
        match holds {
            Ok(holds) if self.holds.iter().cloned().eq(holds.iter().map(Hold::shown)) => None,
            Ok(_) => Some("left out, because holds were placed or lifted meanwhile".into()),
            Err(error) => Some(error.to_string()),
        }
    }

    fn fail(&mut self, step: &str, error: &(dyn std::error::Error + Send + Sync + 'static)) {
        tracing::error!(step, %error, "step failed");
        self.report.failures.push(format!("{step}: {error}"));
        self.failed.insert(step.to_owned());
    }

    fn policy(&self, dataset: &str) -> Result<&'a DatasetPolicy, StepError> {
        let policy = self.policies.dataset(dataset);
        policy.ok_or_else(|| format!("no policy for dataset {dataset}").into())
    }

    fn curated_policy(&self, table: &str) -> Result<&'a CuratedPolicy, StepError> {
        let policy = self
            .policies
            .curated
            .iter()
            .find(|policy| policy.table == table);
        policy.ok_or_else(|| format!("no policy for curated table {table}").into())
    }

    /// The account of a dataset for which a step was carried out.
    fn account(&mut self, dataset: &str) -> &mut DatasetReport {
        let report = self.report.datasets.entry(dataset.to_owned()).or_default();
        report.actions += 1;
        report
    }

    async fn compact(&mut self, action: &Compact) -> Result<(), StepError> {
        let policy = self.policy(&action.dataset)?;
        let done = compaction::apply(self.site, policy, action).await?;
        let report = self.account(&action.dataset);
        report.counts.add(done.counts);
        report.objects += done.entries.len() as u64;
        report.raw_bytes += done.entries.iter().map(|entry| entry.size).sum::<u64>();
        report.files += done.files.len() as u64;
        report.table_bytes += done.files.iter().map(|file| file.size).sum::<u64>();
        report
            .columns_added
            .extend(shown_columns(&done.columns_added));
        self.report.findings.extend(done.findings);
        let tonight = self.tonight.entry(action.dataset.clone()).or_default();
        tonight.files.extend(done.files);
        tonight.entries.extend(done.entries);
        tonight.quarantine.extend(done.quarantine);
        Ok(())
    }

    async fn fold(&mut self, action: &Fold) -> Result<(), StepError> {
        let policy = self.policy(&action.dataset)?;
        let done = compaction::fold(self.site, policy, action).await?;
        let report = self.account(&action.dataset);
        report.folded_files += done.removed.len() as u64;
        report.folded_into += done.added.len() as u64;
        report.fold_bytes += done.added.iter().map(|file| file.size).sum::<u64>();
        Ok(())
    }

    async fn retain(&mut self, step: &str, action: &Retain) -> Result<(), StepError> {
        let nothing = Tonight::default();
        let tonight = self.tonight.get(&action.dataset).unwrap_or(&nothing);
        let policy = self.policy(&action.dataset)?;
        let rows = self
            .facts
            .table(&action.dataset)
            .map_or(0, TableFacts::rows);
        let written: u64 = tonight.files.iter().map(|file| file.rows).sum();
        let caps = &self.policies.lake.guards;
        let has_begun = self.last.is_some_and(|last| last.has_begun(policy));
        let may_trim = |late: &Late| {
            let all = rows + written + late.events;
            let percent =
                u128::from(late.events) * 100 <= u128::from(all) * u128::from(caps.max_percent);
            let removal = Removal {
                objects: self.planned.objects + late.objects,
                bytes: self.planned.bytes + late.bytes,
            };
            self.site.is_demo || has_begun && percent && removal.is_within(caps)
        };
        let done = retention::apply(self.site, policy, action, &tonight.entries, &may_trim).await?;
        let report = self.account(&action.dataset);
        report.retired_rows += done.rows;
        report.raw_deleted += done.raw_deleted;
        report.raw_trimmed += done.raw_trimmed;
        self.report.purged += done.purged;
        self.report.findings.extend(done.blocked);
        self.report.failures.extend(done.failed);
        if !done.is_whole {
            self.incomplete.insert(step.to_owned());
        }
        if done.raw_waiting > 0 {
            self.waiting
                .insert(action.dataset.clone(), done.raw_waiting);
            self.report.findings.push(format!(
                "{} raw objects of {} hold expired or erased events; the next plan names them",
                done.raw_waiting, action.dataset
            ));
        }
        Ok(())
    }

    async fn retain_curated(&mut self, action: &RetainCurated) -> Result<(), StepError> {
        let policy = self.curated_policy(&action.table)?;
        let rows = retention::apply_curated(self.site, policy, action).await?;
        self.report
            .curated
            .entry(action.table.clone())
            .or_default()
            .retired_rows += rows;
        Ok(())
    }

    async fn curate(&mut self, action: &Curate) -> Result<(), StepError> {
        let policy = self.curated_policy(&action.table)?;
        let facts = Facts::tables(self.site.s3.read(), self.policies).await?;
        let done = curation::apply(self.site, policy, action, &facts).await?;
        let report = self.report.curated.entry(action.table.clone()).or_default();
        report.days += done.days;
        report.rows += done.rows;
        Ok(())
    }

    async fn checkpoint(&mut self, action: &Checkpoint) -> Result<(), StepError> {
        let folder = self.folder(&action.table);
        let table = Table::open(Arc::clone(&self.site.store), &folder).await?;
        Ok(table.ok_or("the table is gone")?.checkpoint().await?)
    }

    async fn clean_log(&mut self, action: &CleanLog) -> Result<(), StepError> {
        if self.site.may_destroy {
            let folder = self.folder(&action.table);
            let removal = retention::clean_log(self.site, action, &folder).await?;
            self.count_purged(removal);
        }
        Ok(())
    }

    async fn trim_ledger(&mut self, action: &TrimLedger) -> Result<(), StepError> {
        let mut earlier = action.after.iter();
        // What it says of an object is needed as long as the object is there.
        let all_went = !earlier.any(|step| self.incomplete.contains(step));
        if self.site.may_destroy && all_went {
            let policy = self.policy(&action.dataset)?;
            let removal = retention::trim_ledger(self.site, policy, action).await?;
            self.count_purged(removal);
        }
        Ok(())
    }

    fn is_table(&self, name: &str) -> bool {
        let mut curated = self.policies.curated.iter();
        self.policies.dataset(name).is_some() || curated.any(|policy| policy.table == name)
    }

    /// Where a table lies, of events or curated.
    fn folder(&self, table: &str) -> S3Location {
        let places = &self.site.places;
        match self.policies.dataset(table) {
            Some(policy) => places.events(&policy.name),
            None => places.curated(table),
        }
    }

    async fn purge(&mut self, action: &Purge) -> Result<(), StepError> {
        if !self.site.may_destroy {
            return Ok(());
        }
        let removal = if self.is_table(&action.owner) {
            let folder = self.folder(&action.owner);
            let grace = Grace::of(&self.policies.lake);
            retention::purge(self.site, action, &folder, grace).await?
        } else {
            retention::remove(self.site, action).await?
        };
        self.count_purged(removal);
        Ok(())
    }

    /// What may not go yet is no failure: it goes when its lock ends, and open requests wait for it.
    fn count_purged(&mut self, removal: Removed) {
        self.report.purged += removal.gone;
        self.report.findings.extend(removal.blocked);
        self.report.failures.extend(removal.failed);
    }

    /// Every event table must hold what it held, plus what was written, less what was taken out.
    async fn count_survivors(&mut self, before: &Facts) -> Result<Facts, FactsError> {
        let after = Facts::tables(self.site.s3.read(), self.policies).await?;
        let rows = |facts: &Facts, name: &str| facts.table(name).map_or(0, TableFacts::rows);
        for (name, report) in &mut self.report.datasets {
            report.table_rows = rows(&after, name);
            let taken = report.retired_rows + report.erased_rows;
            let come = report.counts.written + report.counts.redacted + report.redacted_rows;
            let expected = (rows(before, name) + come).checked_sub(taken);
            // A step that failed half-way has not said what it did.
            if self.failed.is_empty() && expected != Some(report.table_rows) {
                self.report.failures.push(format!(
                    "the event table of {name} has {} rows where {expected:?} were expected",
                    report.table_rows
                ));
            }
        }
        Ok(after)
    }

    /// Leaves what was seen to the next run's guards.
    async fn leave(
        &self,
        mut seen: LastRun,
        last: Option<&LastRun>,
        after: &Facts,
    ) -> Result<(), S3Error> {
        if self.site.lease_is_lost() {
            return Ok(());
        }
        for (name, known) in &mut seen.tables {
            let before = last.and_then(|last| last.tables.get(name));
            // What was shortened and not carried out yet stays a question.
            if let (Some(before), true) = (before, self.failed.contains(&format!("retain-{name}")))
            {
                known.clone_from(before);
            }
            known.table = after.table(name).and_then(TableFacts::version);
            known.waiting = match self.waiting.get(name) {
                Some(waiting) => *waiting,
                None => known.waiting,
            };
        }
        if last == Some(&seen) {
            return Ok(());
        }
        seen.write(self.site).await
    }
}

/// The steps that an action builds on.
fn after(action: &Action) -> &[String] {
    match action {
        Action::Compact(_)
        | Action::Abort(_)
        | Action::FileRequests(_)
        | Action::RetainCurated(_)
        | Action::Checkpoint(_)
        | Action::CleanLog(_) => &[],
        Action::Fold(action) => &action.after,
        Action::Identify(action) => &action.after,
        Action::EraseCurated(action) => &action.after,
        Action::Erase(action) => &action.after,
        Action::Retain(action) => &action.after,
        Action::Curate(action) => &action.after,
        Action::Purge(action) => &action.after,
        Action::TrimLedger(action) => &action.after,
        Action::Certify(action) => &action.after,
    }
}
