//! Object Lock: what keeps a version from being removed, and how that may change.
//!
//! Retention ends by the server's clock; a legal hold stands until it is taken
//! away. Neither knows of the other: removing needs the leave of both. Hazard:
//! a bucket with Object Lock never stops keeping versions, which is what makes
//! it enough to ask here when a version is removed by its id.

use chrono::{DateTime, Days, Months, Utc};
use s3s::{S3Error, S3Result, s3_error};
use serde::{Deserialize, Serialize};

/// Who may remove a version before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RetentionMode {
    /// Whoever asks to bypass it.
    Governance,
    /// Nobody.
    Compliance,
}

/// Until when a version stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    pub mode: RetentionMode,
    /// To the millisecond.
    pub until: DateTime<Utc>,
}

/// The locks of one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ObjectLock {
    pub retention: Option<Retention>,
    /// `None`: never set, which S3 tells from `OFF`.
    pub legal_hold: Option<bool>,
}

/// A bucket's Object Lock, once it is on; it never goes off again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BucketLock {
    pub default_retention: Option<DefaultRetention>,
}

/// The retention of new versions that bring none of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultRetention {
    pub mode: RetentionMode,
    pub period: RetentionPeriod,
}

/// How long a default retention lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RetentionPeriod {
    Days(u32),
    /// By the calendar.
    Years(u32),
}

/// The last second that the API's times can name, that of the year 9999.
pub const END_OF_CALENDAR: DateTime<Utc> = match DateTime::from_timestamp(253_402_300_799, 0) {
    Some(time) => time,
    None => DateTime::<Utc>::MAX_UTC,
};

impl ObjectLock {
    /// Refuses to remove a version that is locked at `now`.
    pub fn check_removal(&self, now: DateTime<Utc>, bypass_governance: bool) -> S3Result<()> {
        if self.legal_hold == Some(true) {
            return Err(locked());
        }
        match self.retention_at(now) {
            Some(retention) if !retention.gives_way(bypass_governance) => Err(locked()),
            _ => Ok(()),
        }
    }

    /// Sets or takes away the retention. What runs is only ever made stricter,
    /// unless it is governance and bypassed; changing its mode needs that too.
    pub fn set_retention(
        &mut self,
        wanted: Option<Retention>,
        now: DateTime<Utc>,
        bypass_governance: bool,
    ) -> S3Result<()> {
        if let Some(current) = self.retention_at(now) {
            let extends = wanted
                .is_some_and(|wanted| wanted.mode == current.mode && wanted.until >= current.until);
            if !extends && !current.gives_way(bypass_governance) {
                return Err(locked());
            }
        }
        self.retention = wanted;
        Ok(())
    }

    /// The retention that has not run out yet.
    fn retention_at(&self, now: DateTime<Utc>) -> Option<Retention> {
        self.retention.filter(|retention| retention.until > now)
    }
}

impl Retention {
    fn gives_way(self, bypass_governance: bool) -> bool {
        self.mode == RetentionMode::Governance && bypass_governance
    }
}

impl DefaultRetention {
    /// The retention of a version made at `created`; it ends with the calendar
    /// at the latest.
    pub fn of_version(self, created: DateTime<Utc>) -> Retention {
        let until = match self.period {
            RetentionPeriod::Days(days) => created.checked_add_days(Days::new(days.into())),
            RetentionPeriod::Years(years) => years
                .checked_mul(12)
                .and_then(|months| created.checked_add_months(Months::new(months))),
        };
        Retention {
            mode: self.mode,
            until: until.map_or(END_OF_CALENDAR, |until| until.min(END_OF_CALENDAR)),
        }
    }
}

fn locked() -> S3Error {
    s3_error!(
        AccessDenied,
        "access denied because the object is protected by Object Lock"
    )
}
