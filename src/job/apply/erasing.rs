//! The part of a night that has to do with erasure requests.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use super::{Night, StepError, Tonight};
use crate::erasure::request::{OpenRequest, Request, State, Waiting};
use crate::erasure::{self, DatasetErasure, Earlier, ErasureError, People, Trace};
use crate::lake::error::{S3Error, S3ErrorKind};
use crate::lake::subject::Identifier;
use crate::plan::{
    Abort, Action, Certify, Erase, EraseCurated, FileRequests, Identify, RequestReport, Step,
};

/// How many places a finding names; the report has all.
const SHOWN_PLACES: usize = 3;

impl Night<'_> {
    pub(super) async fn file_requests(&mut self, action: &FileRequests) -> Result<(), StepError> {
        let is_named = |open: &&mut OpenRequest| action.requests.contains(&open.request.id);
        for open in self.requests.iter_mut().filter(is_named) {
            open.etag = open.request.file(&self.site.s3, &self.site.places).await?;
        }
        let bucket = &self.site.places.lake().bucket;
        self.report.purged += self.site.s3.delete_versions(bucket, &action.files).await?;
        Ok(())
    }

    pub(super) async fn identify(&mut self, action: &Identify) -> Result<(), StepError> {
        let files = |(name, tonight): (&String, &Tonight)| (name.clone(), tonight.files.clone());
        let fresh = self.tonight.iter().map(files).collect();
        let (key, requests) = ((self.key)()?, &mut self.requests);
        let identified =
            erasure::identify(self.site, self.policies, &key, action, requests, &fresh).await?;
        self.has_new_links = identified.has_new_links;
        for (id, why) in identified.left_out {
            self.report.findings.push(why.finding(&id));
            self.left_out.insert(id, why);
        }
        Ok(())
    }

    /// The subjects of these requests, less those that a person has to look at first.
    fn people(&self, requests: &[String]) -> People {
        let mut ids = requests.to_vec();
        ids.retain(|id| !self.left_out.contains_key(id));
        People::new(&self.requests, &ids, &self.policies.lake.erasure)
    }

    pub(super) async fn erase(&mut self, action: &Erase) -> Result<(), StepError> {
        let people = self.people(&action.requests);
        let policy = self.policy(&action.dataset)?;
        let nothing = Tonight::default();
        let tonight = self.tonight.get(&action.dataset).unwrap_or(&nothing);
        let earlier = Earlier {
            files: &tonight.files,
            quarantine: &tonight.quarantine,
            has_new_links: self.has_new_links,
        };
        let key = (self.key)()?;
        let done = erasure::apply(self.site, policy, action, &people, &key, &earlier).await?;
        let report = self.account(&action.dataset);
        report.erased_rows += done.rows;
        report.redacted_rows += done.redacted;
        for erased in done.erased.values() {
            report.erased_raw_records += erased.raw_records;
            report.erased_quarantined += erased.quarantined;
        }
        self.note_erased(&action.dataset, done, &action.held_requests);
        Ok(())
    }

    pub(super) async fn erase_curated(&mut self, action: &EraseCurated) -> Result<(), StepError> {
        let people = self.people(&action.requests);
        let policy = self.curated_policy(&action.table)?;
        let key = (self.key)()?;
        let done = erasure::apply_curated(self.site, policy, action, &people, &key).await?;
        let report = self.report.curated.entry(action.table.clone()).or_default();
        report.erased_rows += done.rows;
        self.note_erased(&action.table, done, &action.held_requests);
        Ok(())
    }

    /// Leaves out requests about which people have decided since they were read.
    pub(super) async fn heed_decisions(&mut self) -> Result<(), S3Error> {
        let folder = self.site.places.system("erasure/requests/");
        let versions = self
            .site
            .s3
            .read()
            .versions(&folder.bucket, &folder.prefix)
            .await?;
        let current = versions.iter().filter(|version| version.is_current());
        let etags: BTreeSet<&str> = current.map(|version| version.etag.as_str()).collect();
        for open in &self.requests {
            let id = &open.request.id;
            let is_as_read = open.etag.is_empty() || etags.contains(open.etag.as_str());
            if is_as_read || self.left_out.contains_key(id) {
                continue;
            }
            self.report.findings.push(format!(
                "erasure request {id} was decided about while the run was at work: no more was done for it"
            ));
            let request = id.clone();
            self.left_out
                .insert(id.clone(), Waiting::Request { request });
        }
        Ok(())
    }

    fn note_erased(&mut self, table: &str, done: DatasetErasure, held: &[String]) {
        let holds = self.holds.iter().filter(|hold| hold.is_on(table));
        let holds: BTreeSet<String> = holds.map(|hold| hold.id.clone()).collect();
        for (id, erased) in done.erased {
            let is_held = held.contains(&id) || done.held.contains(&id);
            let tonight = self.erased.entry(id.clone()).or_default();
            let of_table = tonight.tables.entry(table.to_owned()).or_default();
            of_table.add(&erased);
            tonight.is_stuck |= !done.waiting.is_empty();
            tonight
                .kept_by
                .extend(holds.iter().filter(|_| is_held).cloned());
            if is_held && holds.is_empty() {
                tonight.is_stuck = true;
                self.report.findings.push(format!(
                    "erasure request {id} stays open: a record of {table} is also somebody's for whom another \
                     request is on hold"
                ));
            }
        }
        let waiting = done.waiting.into_iter();
        self.report
            .findings
            .extend(waiting.map(|why| format!("{why}; the requests stay open")));
    }

    /// Requests that were carried out in all datasets are `erased`; curated tables have followed by now.
    pub(super) async fn conclude_erasures(&mut self) {
        let erase_failed = self.failed.iter().any(|id| id.starts_with("erase-"));
        for open in &mut self.requests {
            let Some(tonight) = self.erased.get(&open.request.id) else {
                continue;
            };
            let is_left_out = self.left_out.contains_key(&open.request.id);
            if erase_failed || tonight.is_stuck || is_left_out {
                continue;
            }
            let mut request = open.request.clone();
            for (table, erased) in &tonight.tables {
                request.done.add(erased);
                request.tables.entry(table.clone()).or_default().add(erased);
            }
            if tonight.kept_by.is_empty() {
                request.pass(State::Erased, self.site.now);
            } else if let Err(error) = request.put_off(tonight.kept_by.clone(), self.site.now) {
                self.report.failures.push(error.to_string());
                continue;
            }
            match request
                .update(&self.site.s3, &self.site.places, &open.etag)
                .await
            {
                Ok(etag) => {
                    open.request = request;
                    open.etag = etag;
                }
                Err(error) => self.report.failures.push(error.to_string()),
            }
        }
    }

    /// Keeps with requests why they are left to a person, for those who ask before the next run.
    pub(super) async fn note_waiting(&mut self) {
        for open in &mut self.requests {
            let waiting = self.left_out.get(&open.request.id);
            let waiting = waiting.or(open.waiting.as_ref());
            let is_filed = !open.etag.is_empty();
            let is_new = waiting != open.request.waiting.as_ref();
            if !open.request.state.is_pending() || !is_filed || !is_new {
                continue;
            }
            let mut request = open.request.clone();
            request.waiting = waiting.cloned();
            let updated = request.update(&self.site.s3, &self.site.places, &open.etag);
            match updated.await {
                Ok(etag) => (open.request, open.etag) = (request, etag),
                // Somebody has decided about it meanwhile.
                Err(error) if error.kind == S3ErrorKind::Precondition => {}
                Err(error) => self.report.failures.push(error.to_string()),
            }
        }
    }

    /// Files requests for ids that tonight's late events linked to people who were erased: what else holds them
    /// goes the next night.
    pub(super) async fn follow_late_links(&mut self) -> Result<(), StepError> {
        let mut by_time: BTreeMap<DateTime<Utc>, BTreeSet<Identifier>> = BTreeMap::new();
        for (id, until) in self.site.suppression.late_links() {
            by_time.entry(until).or_default().insert(id);
        }
        for (until, linked) in by_time {
            let (key, policy) = ((self.key)()?, &self.policies.lake.erasure);
            let request = Request::following(&key, policy, &linked, until, self.site.now)?;
            match request.file(&self.site.s3, &self.site.places).await {
                Ok(_) => {}
                // A run that was killed has filed it.
                Err(error) if error.kind == S3ErrorKind::Precondition => {}
                Err(error) => return Err(error.into()),
            }
            self.report.findings.push(format!(
                "late events link {} more ids to people who were erased: the next run carries out erasure request {} \
                 for these",
                linked.len(),
                request.id
            ));
        }
        Ok(())
    }

    /// The requests as they are now, those that no step was for as they were planned; the most urgent first.
    pub(super) fn requests_now(&self, planned: &[RequestReport]) -> Vec<RequestReport> {
        let now = self.site.now;
        let worked_on = self.requests.iter().map(|open| open.request.report(now));
        let mut all: Vec<RequestReport> = worked_on.collect();
        let known: BTreeSet<String> = all.iter().map(|request| request.id.clone()).collect();
        let others = planned
            .iter()
            .filter(|request| !known.contains(&request.id));
        all.extend(others.cloned());
        all.sort_by_key(|request| request.deadline);
        all
    }

    pub(super) async fn abort(&mut self, action: &Abort) -> Result<(), StepError> {
        if !self.site.may_destroy {
            return Ok(());
        }
        for placed in &action.uploads {
            let s3 = &self.site.s3;
            if let Err(error) = s3.abort_upload(&placed.bucket, &placed.upload).await {
                self.report.failures.push(error.to_string());
            }
        }
        Ok(())
    }

    /// One scan for all requests that are due.
    pub(super) async fn certify(&mut self, steps: &[&Step]) {
        let mut due = BTreeSet::new();
        for step in steps {
            let Action::Certify(Certify { request, after }) = &step.action else {
                continue;
            };
            let erased = self
                .requests
                .iter()
                .any(|open| open.request.id == *request && open.request.state.is_erased());
            if after.iter().any(|id| self.failed.contains(id)) {
                let reason = "left out, because an earlier step failed";
                self.report.failures.push(format!("{}: {reason}", step.id));
                continue;
            }
            // An object that waits for its consumer or for a person keeps the request open; a finding says so.
            if !erased {
                continue;
            }
            due.insert(request.clone());
        }
        if due.is_empty() {
            return;
        }
        let requests = self.requests.iter_mut();
        let requests = requests.filter(|open| due.contains(&open.request.id));
        let outcomes = match (self.key)() {
            Ok(key) => erasure::certify(self.site, self.policies, &key, requests.collect()).await,
            Err(error) => Err(error.into()),
        };
        self.conclude_certificates(outcomes, due.len());
    }

    fn conclude_certificates(
        &mut self,
        outcomes: Result<Vec<erasure::Outcome>, ErasureError>,
        steps: usize,
    ) {
        let outcomes = match outcomes {
            Ok(outcomes) => outcomes,
            Err(error) => return self.fail("certify", &error),
        };
        self.report.actions += steps as u64;
        for outcome in outcomes {
            if !outcome.scan.is_clean() {
                self.report.findings.push(not_certified(&outcome));
            }
            if outcome.scan.mentions > 0 {
                self.report.findings.push(format!(
                    "erasure request {}: {} objects hold the identifier outside the identifier fields; if it is \
                     the subject there too, add those fields to the policies",
                    outcome.request, outcome.scan.mentions
                ));
            }
            self.report.scans.insert(outcome.request, outcome.scan);
        }
    }
}

/// Why a request was not certified, with the first few places.
fn not_certified(outcome: &erasure::Outcome) -> String {
    let scan = &outcome.scan;
    let mut text = format!(
        "erasure request {}: not certified: {} traces, {} unreadable objects, {} unfinished uploads; the next \
         run goes on",
        outcome.request,
        scan.traces.len(),
        scan.unreadable.len(),
        scan.unfinished_uploads
    );
    for trace in scan.traces.iter().take(SHOWN_PLACES) {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n  {} in s3://{}/{}",
            trace.form, trace.bucket, trace.key
        );
    }
    for key in scan.unreadable.iter().take(SHOWN_PLACES) {
        let _ = write!(text, "\n  unreadable: {key}");
    }
    let advice: BTreeSet<&str> = scan.traces.iter().filter_map(Trace::advice).collect();
    for what in advice {
        let _ = write!(text, "\n  to do: {what}");
    }
    text
}
