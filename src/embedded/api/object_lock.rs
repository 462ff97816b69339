//! Object Lock: a bucket's configuration, a version's retention and legal hold,
//! and the headers that set them with a write. The rules are the store's.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, SubsecRound, Utc};
use s3s::dto::{
    DefaultRetention as DefaultRetentionEntry, GetObjectLegalHoldInput, GetObjectLegalHoldOutput,
    GetObjectLockConfigurationInput, GetObjectLockConfigurationOutput, GetObjectRetentionInput,
    GetObjectRetentionOutput, ObjectLockConfiguration, ObjectLockEnabled, ObjectLockLegalHold,
    ObjectLockLegalHoldStatus, ObjectLockMode, ObjectLockRetention, ObjectLockRetentionMode,
    ObjectLockRule, PutObjectLegalHoldInput, PutObjectLegalHoldOutput,
    PutObjectLockConfigurationInput, PutObjectLockConfigurationOutput, PutObjectRetentionInput,
    PutObjectRetentionOutput, Timestamp, TimestampFormat,
};
use s3s::{S3Error, S3Request, S3Result, s3_error};

use super::read::content_of;
use crate::embedded::checksums::ClaimedDigests;
use crate::embedded::conditions::timestamp;
use crate::embedded::store::Store;
use crate::embedded::store::bucket::Bucket;
use crate::embedded::store::object_lock::{
    BucketLock, DefaultRetention, END_OF_CALENDAR, ObjectLock, Retention, RetentionMode,
    RetentionPeriod,
};
use crate::embedded::store::record::Versioning;

/// The longest default retention in days, and in years.
const LONGEST_DAYS: u32 = 36_500;
const LONGEST_YEARS: u32 = 100;

/// The headers of a write that lock what it makes.
pub struct LockHeaders {
    pub mode: Option<ObjectLockMode>,
    pub retain_until: Option<Timestamp>,
    pub legal_hold: Option<ObjectLockLegalHoldStatus>,
}

pub fn put_configuration(
    store: &Store,
    request: S3Request<PutObjectLockConfigurationInput>,
) -> S3Result<PutObjectLockConfigurationOutput> {
    let bucket = store.bucket(&request.input.bucket)?;
    let configuration = request.input.object_lock_configuration;
    let lock = parse_configuration(configuration.unwrap_or_default())?;
    bucket.change_settings(|settings| {
        if settings.versioning != Versioning::Enabled {
            return Err(s3_error!(
                InvalidBucketState,
                "versioning must be enabled on the bucket to apply Object Lock"
            ));
        }
        settings.object_lock = Some(lock);
        Ok(())
    })?;
    Ok(PutObjectLockConfigurationOutput::default())
}

fn parse_configuration(configuration: ObjectLockConfiguration) -> S3Result<BucketLock> {
    let enabled = configuration.object_lock_enabled;
    if enabled.is_none_or(|enabled| enabled.as_str() != ObjectLockEnabled::ENABLED) {
        return Err(malformed("ObjectLockEnabled must be Enabled"));
    }
    let Some(rule) = configuration.rule else {
        return Ok(BucketLock::default());
    };
    let default = rule.default_retention;
    let default = default.ok_or_else(|| malformed("a rule has a default retention"))?;
    let period = match (default.days, default.years) {
        (Some(days), None) => RetentionPeriod::Days(period_within(days, LONGEST_DAYS)?),
        (None, Some(years)) => RetentionPeriod::Years(period_within(years, LONGEST_YEARS)?),
        _ => return Err(malformed("a default retention has either days or years")),
    };
    Ok(BucketLock {
        default_retention: Some(DefaultRetention {
            mode: parse_mode(default.mode.as_ref())?,
            period,
        }),
    })
}

fn period_within(period: i32, longest: u32) -> S3Result<u32> {
    let period = u32::try_from(period).ok();
    period
        .filter(|period| (1..=longest).contains(period))
        .ok_or_else(|| {
            s3_error!(
                InvalidArgument,
                "a default retention is of 1 to 36500 days or 1 to 100 years"
            )
        })
}

pub fn get_configuration(
    store: &Store,
    request: S3Request<GetObjectLockConfigurationInput>,
) -> S3Result<GetObjectLockConfigurationOutput> {
    let input = request.input;
    let lock = store.bucket(&input.bucket)?.settings().object_lock;
    let lock = lock.ok_or_else(|| {
        s3_error!(
            ObjectLockConfigurationNotFoundError,
            "Object Lock configuration does not exist for this bucket"
        )
    })?;
    let enabled = ObjectLockEnabled::from_static(ObjectLockEnabled::ENABLED);
    Ok(GetObjectLockConfigurationOutput {
        object_lock_configuration: Some(ObjectLockConfiguration {
            object_lock_enabled: Some(enabled),
            rule: lock.default_retention.map(rule_of),
        }),
    })
}

fn rule_of(default: DefaultRetention) -> ObjectLockRule {
    let (days, years) = match default.period {
        RetentionPeriod::Days(days) => (i32::try_from(days).ok(), None),
        RetentionPeriod::Years(years) => (None, i32::try_from(years).ok()),
    };
    ObjectLockRule {
        default_retention: Some(DefaultRetentionEntry {
            days,
            mode: Some(retention_mode(default.mode)),
            years,
        }),
    }
}

pub fn put_retention(
    store: &Store,
    request: S3Request<PutObjectRetentionInput>,
) -> S3Result<PutObjectRetentionOutput> {
    let input = request.input;
    let bucket = store.bucket(&input.bucket)?;
    require_object_lock(&bucket)?;
    let wanted = parse_retention(&input.retention.unwrap_or_default())?;
    let now = (bucket.clock)();
    refuse_past(wanted, now)?;
    let bypass = input.bypass_governance_retention == Some(true);
    bucket.amend(&input.key, input.version_id.as_deref(), |content| {
        content.lock.set_retention(wanted, now, bypass)
    })?;
    Ok(PutObjectRetentionOutput::default())
}

/// An empty retention takes away what is there.
fn parse_retention(retention: &ObjectLockRetention) -> S3Result<Option<Retention>> {
    match (&retention.mode, &retention.retain_until_date) {
        (None, None) => Ok(None),
        (Some(mode), Some(until)) => Ok(Some(Retention {
            mode: parse_mode(Some(mode))?,
            until: time_of(until)?,
        })),
        _ => Err(malformed("a retention has a mode and a date")),
    }
}

pub fn get_retention(
    store: &Store,
    request: S3Request<GetObjectRetentionInput>,
) -> S3Result<GetObjectRetentionOutput> {
    let input = request.input;
    let bucket = store.bucket(&input.bucket)?;
    require_object_lock(&bucket)?;
    let record = bucket.record(&input.key, input.version_id.as_deref())?;
    let retention = content_of(&record)?.lock.retention;
    let retention = retention.ok_or_else(no_lock)?;
    Ok(GetObjectRetentionOutput {
        retention: Some(ObjectLockRetention {
            mode: Some(retention_mode(retention.mode)),
            retain_until_date: Some(timestamp(retention.until)),
        }),
    })
}

pub fn put_legal_hold(
    store: &Store,
    request: S3Request<PutObjectLegalHoldInput>,
) -> S3Result<PutObjectLegalHoldOutput> {
    let input = request.input;
    let bucket = store.bucket(&input.bucket)?;
    require_object_lock(&bucket)?;
    let status = input.legal_hold.and_then(|hold| hold.status);
    let hold = status.as_ref().and_then(parse_hold);
    let hold = hold.ok_or_else(|| malformed("a legal hold is ON or OFF"))?;
    bucket.amend(&input.key, input.version_id.as_deref(), |content| {
        content.lock.legal_hold = Some(hold);
        Ok(())
    })?;
    Ok(PutObjectLegalHoldOutput::default())
}

pub fn get_legal_hold(
    store: &Store,
    request: S3Request<GetObjectLegalHoldInput>,
) -> S3Result<GetObjectLegalHoldOutput> {
    let input = request.input;
    let bucket = store.bucket(&input.bucket)?;
    require_object_lock(&bucket)?;
    let record = bucket.record(&input.key, input.version_id.as_deref())?;
    let status = told_hold(&content_of(&record)?.lock);
    Ok(GetObjectLegalHoldOutput {
        legal_hold: Some(ObjectLockLegalHold {
            status: Some(status.ok_or_else(no_lock)?),
        }),
    })
}

impl LockHeaders {
    /// The lock that they ask for in `bucket`.
    pub fn asked_lock(self, bucket: &Bucket) -> S3Result<ObjectLock> {
        let retention = match (self.mode, self.retain_until) {
            (None, None) => None,
            (Some(mode), Some(until)) => Some(Retention {
                mode: mode_named(mode.as_str()).ok_or_else(|| {
                    s3_error!(InvalidArgument, "x-amz-object-lock-mode is not a mode")
                })?,
                until: time_of(&until)?,
            }),
            _ => {
                return Err(s3_error!(
                    InvalidArgument,
                    "x-amz-object-lock-mode and x-amz-object-lock-retain-until-date go together"
                ));
            }
        };
        let legal_hold = match self.legal_hold {
            None => None,
            Some(status) => Some(parse_hold(&status).ok_or_else(|| {
                s3_error!(InvalidArgument, "x-amz-object-lock-legal-hold is ON or OFF")
            })?),
        };
        if retention.is_some() || legal_hold.is_some() {
            require_object_lock(bucket)?;
        }
        refuse_past(retention, (bucket.clock)())?;
        Ok(ObjectLock {
            retention,
            legal_hold,
        })
    }
}

/// S3 takes a body that will be locked only with a digest of it.
pub fn require_digest(
    bucket: &Bucket,
    lock: &ObjectLock,
    claimed: &ClaimedDigests,
) -> S3Result<()> {
    let default = bucket.settings().object_lock;
    let default = default.and_then(|settings| settings.default_retention);
    let will_be_locked = *lock != ObjectLock::default() || default.is_some();
    if will_be_locked && claimed.is_empty() {
        return Err(s3_error!(
            InvalidRequest,
            "Content-MD5 or x-amz-checksum- is required for objects with Object Lock"
        ));
    }
    Ok(())
}

/// Refuses to bypass what the bucket does not have, as S3 does.
pub fn check_bypass(bucket: &Bucket, asked: Option<bool>) -> S3Result<bool> {
    let bypass = asked == Some(true);
    if bypass && bucket.settings().object_lock.is_none() {
        return Err(s3_error!(
            InvalidArgument,
            "x-amz-bypass-governance-retention is only for buckets with Object Lock"
        ));
    }
    Ok(bypass)
}

fn require_object_lock(bucket: &Bucket) -> S3Result<()> {
    if bucket.settings().object_lock.is_some() {
        return Ok(());
    }
    Err(s3_error!(
        InvalidRequest,
        "the bucket is missing an Object Lock configuration"
    ))
}

fn refuse_past(retention: Option<Retention>, now: DateTime<Utc>) -> S3Result<()> {
    if retention.is_some_and(|retention| retention.until <= now) {
        return Err(s3_error!(
            InvalidArgument,
            "the retain until date must be in the future"
        ));
    }
    Ok(())
}

/// The mode as answers tell it in headers.
pub fn told_mode(lock: &ObjectLock) -> Option<ObjectLockMode> {
    let retention = lock.retention?;
    Some(ObjectLockMode::from_static(mode_name(retention.mode)))
}

/// The end of the retention as answers tell it.
pub fn told_retain_until(lock: &ObjectLock) -> Option<Timestamp> {
    lock.retention.map(|retention| timestamp(retention.until))
}

/// The legal hold as answers tell it.
pub fn told_hold(lock: &ObjectLock) -> Option<ObjectLockLegalHoldStatus> {
    let status = if lock.legal_hold? {
        ObjectLockLegalHoldStatus::ON
    } else {
        ObjectLockLegalHoldStatus::OFF
    };
    Some(ObjectLockLegalHoldStatus::from_static(status))
}

fn parse_hold(status: &ObjectLockLegalHoldStatus) -> Option<bool> {
    match status.as_str() {
        ObjectLockLegalHoldStatus::ON => Some(true),
        ObjectLockLegalHoldStatus::OFF => Some(false),
        _ => None,
    }
}

fn retention_mode(mode: RetentionMode) -> ObjectLockRetentionMode {
    ObjectLockRetentionMode::from_static(mode_name(mode))
}

fn parse_mode(mode: Option<&ObjectLockRetentionMode>) -> S3Result<RetentionMode> {
    mode.and_then(|mode| mode_named(mode.as_str()))
        .ok_or_else(|| malformed("the mode is GOVERNANCE or COMPLIANCE"))
}

fn mode_name(mode: RetentionMode) -> &'static str {
    match mode {
        RetentionMode::Governance => ObjectLockRetentionMode::GOVERNANCE,
        RetentionMode::Compliance => ObjectLockRetentionMode::COMPLIANCE,
    }
}

fn mode_named(name: &str) -> Option<RetentionMode> {
    match name {
        ObjectLockRetentionMode::GOVERNANCE => Some(RetentionMode::Governance),
        ObjectLockRetentionMode::COMPLIANCE => Some(RetentionMode::Compliance),
        _ => None,
    }
}

/// The API's time as ours, to the millisecond, as answers tell it: who sets what
/// he was told has shortened nothing.
pub fn time_of(timestamp: &Timestamp) -> S3Result<DateTime<Utc>> {
    let parsed = || {
        let mut text = Vec::new();
        // The only one of its forms that minds the offset from UTC.
        timestamp
            .format(TimestampFormat::EpochSeconds, &mut text)
            .ok()?;
        let seconds = std::str::from_utf8(&text).ok()?.parse().ok()?;
        let since_epoch = Duration::try_from_secs_f64(seconds).ok()?;
        SystemTime::UNIX_EPOCH.checked_add(since_epoch)
    };
    let time = parsed().map(|time| DateTime::<Utc>::from(time).round_subsecs(3));
    time.filter(|time| *time <= END_OF_CALENDAR)
        .ok_or_else(|| s3_error!(InvalidArgument, "the date is not a time"))
}

fn malformed(message: &'static str) -> S3Error {
    s3_error!(MalformedXML, "{message}")
}

fn no_lock() -> S3Error {
    s3_error!(
        NoSuchObjectLockConfiguration,
        "the specified object does not have an Object Lock configuration"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Midnight in Berlin is ten at night in UTC.
    #[test]
    fn a_time_with_an_offset_is_that_instant() {
        let parse = |text| Timestamp::parse(TimestampFormat::DateTime, text).unwrap();
        let berlin = time_of(&parse("2027-07-02T00:00:00.123456+02:00")).unwrap();
        assert_eq!(berlin.to_rfc3339(), "2027-07-01T22:00:00.123+00:00");
        assert!(time_of(&parse("9999-12-31T23:59:59-10:00")).is_err());
        assert!(time_of(&parse("1960-01-01T00:00:00Z")).is_err());
    }
}
