//! One run at a time: a lease object in the lake, taken and renewed by compare-and-swap.
//!
//! A run that died leaves its lease behind; it is taken over when it has expired, or at once when its
//! holder was a process of this very machine that is no more (same boot, same process namespace).
//! Tables do not rely on it: every commit is a compare-and-swap of its own (invariant 3). The lease also
//! remembers the last run's `now`, so that a clock that went back is noticed (invariant 13). A run that its guards
//! stopped leaves none: perhaps it was its clock that was wrong.
//!
//! Every run writes the object several times. Whoever gives the lease back removes what it has replaced: it is
//! no step of a plan, as the lease itself is none, so a night without work stays one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::clock::time_of_day;
use super::error::{S3Error, S3ErrorKind};
use super::s3::{PutIf, WriteS3};
use crate::policy::S3Location;

const KEPT_FOR: TimeDelta = TimeDelta::minutes(5);
const RENEWED_EVERY: Duration = Duration::from_mins(1);

/// Why a run may not start.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another run is at work.
    #[error("another run holds the lease until {until}: run {run}; wait for it, or for that time")]
    Held {
        /// The other run.
        run: String,
        /// When its lease ends unless it renews it.
        until: DateTime<Utc>,
    },
    /// Another run has taken the lease.
    #[error("the lease was lost to another run before anything was done; wait for that run")]
    Lost,
    /// The clock went back.
    #[error(
        "the clock went back: the last run's time was {last}, now it is {now}; correct the clock (or --now), or, if \
         it was that run's clock that was wrong, remove system/lease.json from the lake"
    )]
    ClockWentBack {
        /// The last run's time.
        last: DateTime<Utc>,
        /// This run's.
        now: DateTime<Utc>,
    },
    /// The lease object could not be read or written.
    #[error("{0}")]
    Store(#[from] S3Error),
    /// The lease object is not one of ours.
    #[error("could not read the lease at {place}: {reason}")]
    Malformed {
        /// Where it lies.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct LeaseRecord {
    version: u32,
    run: String,
    holder: Holder,
    /// Absent when released.
    until: Option<DateTime<Utc>>,
    /// The time of the last run that its guards let through; none if there was none.
    last_now: Option<DateTime<Utc>>,
}

/// Which process of which machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    boot: String,
    namespace: String,
    process: u32,
}

impl Holder {
    fn this_process() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Self {
            boot: read("/proc/sys/kernel/random/boot_id").trim().to_owned(),
            namespace: std::fs::read_link("/proc/self/ns/pid")
                .map(|link| link.display().to_string())
                .unwrap_or_default(),
            process: std::process::id(),
        }
    }

    /// Only a process that we could see and do not see is known to be dead.
    fn is_known_dead(&self) -> bool {
        let here = Self::this_process();
        let comparable = !here.boot.is_empty()
            && !here.namespace.is_empty()
            && (&here.boot, &here.namespace) == (&self.boot, &self.namespace);
        comparable
            && (self.process == here.process
                || !std::path::Path::new(&format!("/proc/{}", self.process)).exists())
    }
}

/// A held lease. Renewed in the background; [`Lease::release`] ends it.
#[derive(Debug)]
pub struct Lease {
    place: Place,
    written: Arc<Mutex<Written>>,
    lost: Arc<AtomicBool>,
    renewal: tokio::task::JoinHandle<()>,
}

/// What we wrote last.
#[derive(Debug)]
struct Written {
    record: LeaseRecord,
    etag: String,
}

#[derive(Debug, Clone)]
struct Place {
    s3: WriteS3,
    bucket: String,
    key: String,
}

impl Place {
    fn of(s3: &WriteS3, lake: &S3Location) -> Self {
        Self {
            s3: s3.clone(),
            bucket: lake.bucket.clone(),
            key: lake.join("system/lease.json").prefix,
        }
    }

    /// The lease as it lies there, with its entity tag.
    async fn read(&self) -> Result<Option<(LeaseRecord, String)>, LeaseError> {
        let Some(object) = self.s3.read().find(&self.bucket, &self.key).await? else {
            return Ok(None);
        };
        let record =
            serde_json::from_slice(&object.bytes).map_err(|error| LeaseError::Malformed {
                place: format!("s3://{}/{}", self.bucket, self.key),
                reason: error.to_string(),
            })?;
        Ok(Some((record, object.etag)))
    }

    /// Writes the lease and returns its new entity tag.
    async fn write(&self, record: &LeaseRecord, condition: PutIf<'_>) -> Result<String, S3Error> {
        let body = serde_json::to_vec_pretty(record).map_err(|error| {
            S3Error::new("write the lease", error.to_string(), S3ErrorKind::Other)
        })?;
        self.s3.put(&self.bucket, &self.key, body, condition).await
    }
}

impl Lease {
    /// Refuses a time before the last run's (invariant 13), for what is dated outside a run.
    pub async fn refuse_earlier(
        s3: &WriteS3,
        lake: &S3Location,
        now: DateTime<Utc>,
    ) -> Result<(), LeaseError> {
        match Place::of(s3, lake).read().await? {
            Some((last, _)) => refuse_if_clock_went_back(&last, now),
            None => Ok(()),
        }
    }

    /// Whether a run is at work.
    pub async fn is_held(s3: &WriteS3, lake: &S3Location) -> Result<bool, LeaseError> {
        let there = Place::of(s3, lake).read().await?;
        Ok(there.is_some_and(|(record, _)| {
            let is_live = record.until.is_some_and(|until| until > time_of_day());
            is_live && !record.holder.is_known_dead()
        }))
    }

    /// Takes the lease of `lake` for `run`, or says who has it.
    pub async fn take(
        s3: &WriteS3,
        lake: &S3Location,
        run: &str,
        now: DateTime<Utc>,
    ) -> Result<Self, LeaseError> {
        let place = Place::of(s3, lake);
        let there = place.read().await?;
        let last = there.as_ref().map(|(record, _)| record.clone());
        if let Some(last) = &last {
            refuse_if_held(last, now)?;
        }
        let record = LeaseRecord {
            version: 1,
            run: run.to_owned(),
            holder: Holder::this_process(),
            until: Some(time_of_day() + KEPT_FOR),
            last_now: last.and_then(|last| last.last_now),
        };
        let condition = match &there {
            None => PutIf::Absent,
            Some((_, etag)) => PutIf::Matches(etag),
        };
        let etag = match place.write(&record, condition).await {
            Ok(etag) => etag,
            Err(error) if error.kind == S3ErrorKind::Precondition => {
                return Err(LeaseError::Held {
                    run: "that was just started".into(),
                    until: time_of_day() + KEPT_FOR,
                });
            }
            Err(error) => return Err(error.into()),
        };
        let written = Arc::new(Mutex::new(Written { record, etag }));
        let taken_away = Arc::new(AtomicBool::new(false));
        let renewal = tokio::spawn(renew(
            place.clone(),
            Arc::clone(&written),
            Arc::clone(&taken_away),
        ));
        Ok(Self {
            place,
            written,
            lost: taken_away,
            renewal,
        })
    }

    /// Remembers the time of this run, which its guards have let through: before it changes anything, so that
    /// one that is killed has left it too.
    pub async fn proceed(&self, now: DateTime<Utc>) -> Result<(), LeaseError> {
        let mut written = self.written.lock().await;
        written.record.last_now = Some(now);
        if written.renew(&self.place).await? {
            return Ok(());
        }
        self.lost.store(true, Ordering::Relaxed);
        Err(LeaseError::Lost)
    }

    /// Set once another run has taken the lease: whoever works under it must stop.
    pub fn lost(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.lost)
    }

    /// Gives the lease back.
    pub async fn release(self) -> Result<(), S3Error> {
        self.renewal.abort();
        let mut written = self.written.lock().await;
        written.record.until = None;
        let released = self
            .place
            .write(&written.record, PutIf::Matches(&written.etag));
        released.await.map(drop)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

fn refuse_if_clock_went_back(last: &LeaseRecord, now: DateTime<Utc>) -> Result<(), LeaseError> {
    match last.last_now {
        Some(last) if now < last => Err(LeaseError::ClockWentBack { last, now }),
        _ => Ok(()),
    }
}

fn refuse_if_held(last: &LeaseRecord, now: DateTime<Utc>) -> Result<(), LeaseError> {
    refuse_if_clock_went_back(last, now)?;
    match last.until {
        Some(until) if until > time_of_day() && !last.holder.is_known_dead() => {
            Err(LeaseError::Held {
                run: last.run.clone(),
                until,
            })
        }
        _ => Ok(()),
    }
}

impl Written {
    /// Writes it again, to last from now on. False if another run has taken the lease.
    async fn renew(&mut self, place: &Place) -> Result<bool, LeaseError> {
        self.record.until = Some(time_of_day() + KEPT_FOR);
        loop {
            match place.write(&self.record, PutIf::Matches(&self.etag)).await {
                Ok(etag) => {
                    self.etag = etag;
                    return Ok(true);
                }
                Err(error) if error.kind == S3ErrorKind::Precondition => {}
                Err(error) => return Err(error.into()),
            }
            // An earlier renewal may have landed although its answer was lost.
            match place.read().await? {
                Some((there, etag)) if there.run == self.record.run && etag != self.etag => {
                    self.etag = etag;
                }
                _ => return Ok(false),
            }
        }
    }
}

async fn renew(place: Place, written: Arc<Mutex<Written>>, lost: Arc<AtomicBool>) {
    loop {
        tokio::time::sleep(RENEWED_EVERY).await;
        match written.lock().await.renew(&place).await {
            Ok(true) => {}
            Ok(false) => lost.store(true, Ordering::Relaxed),
            Err(error) => tracing::warn!(%error, "the lease could not be renewed"),
        }
    }
}
