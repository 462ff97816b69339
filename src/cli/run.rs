//! `run`: plan the night and carry it out.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::open::Opened;
use super::{Exit, Failure, Global};
use crate::audit::report::RunReport;
use crate::job::{self, Planned};
use crate::lake::facts::Places;
use crate::lake::lease::Lease;
use crate::lake::s3::WriteS3;
use crate::lake::site::Site;
use crate::lake::spill::SpillFolder;
use crate::plan::Plan;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// The digest of the plan, if a guard stops it.
    #[arg(long, value_name = "DIGEST")]
    confirm: Option<String>,
}

/// Plans and carries out.
pub async fn main(global: &Global, command: &Run) -> Result<(), Failure> {
    let lake = Opened::open(global).await?;
    let report = night(&lake, Source::Fresh, command.confirm.as_deref()).await?;
    super::print(global, &report)?;
    conclude(&report)
}

/// Failed steps make the command fail, after everything was printed.
pub fn conclude(report: &RunReport) -> Result<(), Failure> {
    match report.failures.len() {
        0 => Ok(()),
        count => Err(Failure::new(
            Exit::Failed,
            format!("{count} steps failed"),
            "see `failed:` above; the next run takes up what is missing",
        )),
    }
}

/// Which plan to carry out.
pub enum Source {
    /// One that is made now.
    Fresh,
    /// One that was saved.
    Saved(Box<Plan>),
}

/// One night under the lease.
pub async fn night(
    lake: &Opened,
    source: Source,
    confirm: Option<&str>,
) -> Result<RunReport, Failure> {
    let now = lake.clock.now();
    let s3 = WriteS3::new(lake.connection.clone());
    let run = format!(
        "{}-{}",
        now.format("%Y%m%dT%H%M%SZ"),
        &uuid::Uuid::new_v4().simple().to_string()[..8]
    );
    let location = &lake.policies.lake.location;
    let lease = Lease::take(&s3, location, &run, now)
        .await
        .map_err(Failure::from_error)?;
    let night = Night {
        lake,
        run,
        now,
        lease: &lease,
    };
    let outcome = night.under_lease(s3, source, confirm).await;
    if let Err(error) = lease.release().await {
        super::say(&format!("warning: the lease was not given back: {error}"));
    }
    outcome
}

struct Night<'a> {
    lake: &'a Opened,
    run: String,
    /// The one time of the run (invariant 13).
    now: DateTime<Utc>,
    lease: &'a Lease,
}

impl Night<'_> {
    async fn under_lease(
        self,
        s3: WriteS3,
        source: Source,
        confirm: Option<&str>,
    ) -> Result<RunReport, Failure> {
        let lake = self.lake;
        // It removes what a killed run left, whether this one goes on or a guard stops it.
        let spill =
            SpillFolder::create(&lake.policies.lake.spill_folder()).map_err(Failure::from_error)?;
        let saved = match &source {
            Source::Fresh => None,
            Source::Saved(plan) => Some(plan.as_ref()),
        };
        let mut planned = job::plan(s3.read(), &lake.policies, &|| lake.key(), self.now, saved)
            .await
            .map_err(Failure::from_error)?;
        if let Source::Saved(saved) = source {
            let (facts, holds) = (&planned.facts, &planned.plan.holds);
            let policies = &lake.policies.digest;
            crate::plan::refuse_if_stale(&saved, facts, holds, policies, self.now)
                .map_err(Failure::from_error)?;
            planned = planned.with(&lake.policies, *saved);
        }
        let consent = consent(lake, &planned, confirm)?;
        let mut seen = planned.seen(&lake.policies);
        if consent == Consent::Given {
            seen.agree(&lake.policies);
        }
        planned.facts.forget_listings();
        let site = Site {
            store: s3
                .store(&lake.policies.lake.location.bucket)
                .map_err(Failure::from_error)?,
            places: Places::new(&lake.policies.lake.location),
            s3,
            run: self.run,
            now: self.now,
            suppression: Arc::clone(&planned.suppression),
            held: Arc::clone(&planned.held),
            spill: Arc::new(spill),
            memory: usize::try_from(lake.policies.lake.memory.bytes()).unwrap_or(usize::MAX),
            may_destroy: consent != Consent::None,
            is_demo: lake.is_demo,
            lease_lost: self.lease.lost(),
        };
        let proceeds = self.lease.proceed(self.now).await;
        proceeds.map_err(Failure::from_error)?;
        let key = &|| lake.key();
        job::apply(&site, &lake.policies, &key, planned, seen)
            .await
            .map_err(Failure::from_error)
    }
}

/// What a run may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Consent {
    /// Delete nothing.
    None,
    /// Delete within the caps: somebody has agreed once.
    Ordinary,
    /// All of the plan: somebody has read it.
    Given,
}

/// Whether the run may rewrite and delete. It may unless a guard stops it, and then a person who has read the
/// plan gives its digest. The first run on a lake leaves what tonight's compaction brings to the next one.
fn consent(lake: &Opened, planned: &Planned, confirm: Option<&str>) -> Result<Consent, Failure> {
    if lake.is_demo {
        return Ok(Consent::Given);
    }
    let plan = &planned.plan;
    match confirm {
        Some(digest) if digest == plan.digest => Ok(Consent::Given),
        Some(_) => Err(Failure::new(
            Exit::Confirm,
            format!(
                "--confirm names another plan; this one is {}\n{plan}",
                plan.digest
            ),
            "read this plan, then give its digest; where new objects keep coming, save a plan with `plan --output \
             json` and `apply` it with that digest",
        )),
        None if plan.guards.is_empty() => {
            let last = planned.last.as_ref();
            let agreed = last.is_some_and(|last| last.agreed);
            Ok(if agreed {
                Consent::Ordinary
            } else {
                Consent::None
            })
        }
        None => {
            let guards: Vec<String> = plan.guards.iter().map(ToString::to_string).collect();
            let destructive = plan.destructive();
            let mut reasons = vec![guards.join("\n  ")];
            if !destructive.is_empty() {
                reasons.push("this would rewrite or delete for good:".to_owned());
                reasons.extend(destructive.iter().map(|step| format!("  {}", step.why)));
            }
            Err(Failure::new(
                Exit::Confirm,
                format!(
                    "nothing was done, because a person has to look first:\n  {}",
                    reasons.join("\n  ")
                ),
                &format!(
                    "read `lakewarden plan`, then add `--confirm {}`",
                    plan.digest
                ),
            ))
        }
    }
}
