//! `run`: plan the night and carry it out.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use chrono::{DateTime, Utc};

use super::open::Opened;
use super::{Exit, Failure, Global};
use crate::audit::report::RunReport;
use crate::job;
use crate::lake::facts::Places;
use crate::lake::lease::Lease;
use crate::lake::s3::WriteS3;
use crate::lake::site::Site;
use crate::lake::spill::SpillFolder;
use crate::lake::subject::Suppression;
use crate::plan::Plan;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// The digest of the plan, if it rewrites or deletes raw objects or purges files of a real lake.
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
        lease_lost: lease.lost(),
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
    lease_lost: Arc<AtomicBool>,
}

impl Night<'_> {
    async fn under_lease(
        self,
        s3: WriteS3,
        source: Source,
        confirm: Option<&str>,
    ) -> Result<RunReport, Failure> {
        let lake = self.lake;
        let saved = match &source {
            Source::Fresh => None,
            Source::Saved(plan) => Some(plan.as_ref()),
        };
        let mut planned = job::plan(s3.read(), &lake.policies, &|| lake.key(), self.now, saved)
            .await
            .map_err(Failure::from_error)?;
        let plan = match source {
            Source::Fresh => planned.plan,
            Source::Saved(saved) => {
                crate::plan::refuse_if_stale(&saved, &planned.facts, &lake.policies.digest)
                    .map_err(Failure::from_error)?;
                *saved
            }
        };
        let may_destroy = may_destroy(lake, &plan, confirm)?;
        planned.facts.forget_listings();
        let folder = Places::new(&lake.policies.lake.location).system("erasure/suppression/");
        let suppression = Suppression::load(s3.read(), &folder, &|| lake.key())
            .await
            .map_err(Failure::from_error)?;
        let spill =
            SpillFolder::create(&lake.policies.lake.spill_folder()).map_err(Failure::from_error)?;
        let site = Site {
            store: s3
                .store(&lake.policies.lake.location.bucket)
                .map_err(Failure::from_error)?,
            places: Places::new(&lake.policies.lake.location),
            s3,
            run: self.run,
            now: self.now,
            suppression: Arc::new(suppression),
            spill: Arc::new(spill),
            memory: usize::try_from(lake.policies.lake.memory.bytes()).unwrap_or(usize::MAX),
            may_destroy,
            lease_lost: self.lease_lost,
        };
        let key = &|| lake.key();
        job::apply(
            &site,
            &lake.policies,
            &key,
            &plan,
            &planned.facts,
            planned.requests,
        )
        .await
        .map_err(Failure::from_error)
    }
}

/// Until there are caps that stop a runaway deletion, a person agrees to the plan by its digest.
fn may_destroy(lake: &Opened, plan: &Plan, confirm: Option<&str>) -> Result<bool, Failure> {
    if lake.is_demo {
        return Ok(true);
    }
    let destructive = plan.destructive();
    match confirm {
        Some(digest) if digest == plan.digest => Ok(true),
        Some(_) => Err(Failure::new(
            Exit::Confirm,
            format!(
                "--confirm names another plan; this one is {}\n{plan}",
                plan.digest
            ),
            "read this plan, then give its digest",
        )),
        None if destructive.is_empty() => Ok(false),
        None => {
            let steps: Vec<&str> = destructive.iter().map(|step| step.why.as_str()).collect();
            Err(Failure::new(
                Exit::Confirm,
                format!(
                    "this would rewrite or delete for good, and needs to be confirmed:\n  {}",
                    steps.join("\n  ")
                ),
                &format!(
                    "read `lakewarden plan`, then add `--confirm {}`",
                    plan.digest
                ),
            ))
        }
    }
}
