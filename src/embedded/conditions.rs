//! The conditions of requests: `If-Match` and its kin.
//!
//! Hazard: a write's condition means something only while the bucket's commit
//! lock is held; [`WriteCondition`] is therefore checked by the bucket itself.

use std::time::SystemTime;

use chrono::{DateTime, Utc};
use s3s::dto::{CopySourceIfMatch, ETag, ETagCondition, Timestamp};
use s3s::{S3Error, S3Result, s3_error};

use super::store::record::{Content, VersionRecord};

/// What must hold of a key's current object for a write to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteCondition {
    Always,
    /// `If-None-Match: *`
    Absent,
    /// `If-Match: *`
    Present,
    /// `If-Match: "etag"`
    Unchanged(String),
}

impl WriteCondition {
    pub fn new(
        if_match: Option<ETagCondition>,
        if_none_match: Option<ETagCondition>,
    ) -> S3Result<Self> {
        match (if_match, if_none_match) {
            (None, None) => Ok(Self::Always),
            (None, Some(ETagCondition::Any)) => Ok(Self::Absent),
            (Some(ETagCondition::Any), None) => Ok(Self::Present),
            (Some(ETagCondition::ETag(etag)), None) => Ok(Self::Unchanged(etag.into_value())),
            _ => Err(s3_error!(
                NotImplemented,
                "writes take If-Match or If-None-Match: *, and only one of them"
            )),
        }
    }

    /// # Errors
    /// `PreconditionFailed`; `NoSuchKey` where `If-Match` meets no object.
    pub fn check(&self, current: Option<&Content>) -> S3Result<()> {
        match (self, current) {
            (Self::Always, _) | (Self::Absent, None) | (Self::Present, Some(_)) => Ok(()),
            (Self::Present | Self::Unchanged(_), None) => {
                Err(s3_error!(NoSuchKey, "the specified key does not exist"))
            }
            (Self::Unchanged(etag), Some(content)) if *etag == content.etag => Ok(()),
            (Self::Absent | Self::Unchanged(_), Some(_)) => Err(precondition_failed()),
        }
    }
}

/// The conditions of a read, or on the source of a copy.
#[derive(Debug, Default)]
#[expect(clippy::struct_field_names, reason = "they are named as the headers")]
pub struct ReadConditions {
    pub if_match: Option<ETagCondition>,
    pub if_none_match: Option<ETagCondition>,
    pub if_modified_since: Option<Timestamp>,
    pub if_unmodified_since: Option<Timestamp>,
}

/// How a read's conditions turned out.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Proceed,
    NotModified,
    Failed,
}

impl ReadConditions {
    /// Weighs them in the order of RFC 9110: entity tags go before times.
    pub fn judge(&self, record: &VersionRecord, content: &Content) -> Verdict {
        let modified = timestamp(record.last_modified);
        match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) if !matches(condition, content) => return Verdict::Failed,
            (None, Some(time)) if modified > *time => return Verdict::Failed,
            _ => {}
        }
        match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) if matches(condition, content) => Verdict::NotModified,
            (None, Some(time)) if modified <= *time => Verdict::NotModified,
            _ => Verdict::Proceed,
        }
    }

    /// The same for a copy, to which "not modified" is a failure too.
    pub fn require(&self, record: &VersionRecord, content: &Content) -> S3Result<()> {
        match self.judge(record, content) {
            Verdict::Proceed => Ok(()),
            Verdict::NotModified | Verdict::Failed => Err(precondition_failed()),
        }
    }
}

fn matches(condition: &CopySourceIfMatch, content: &Content) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(etag) => etag.value() == content.etag,
    }
}

pub fn precondition_failed() -> S3Error {
    s3_error!(
        PreconditionFailed,
        "at least one of the pre-conditions you specified did not hold"
    )
}

/// A time as the API's type.
pub fn timestamp(time: DateTime<Utc>) -> Timestamp {
    Timestamp::from(SystemTime::from(time))
}

/// The entity tag as the API gives it.
pub fn strong_etag(etag: &str) -> ETag {
    ETag::Strong(etag.to_owned())
}
