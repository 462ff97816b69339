//! A bucket's lifecycle rules: kept and given back, never carried out.
//!
//! What S3 would refuse is refused here too, so that rules which this server
//! takes can be put on S3. Source of the limits: Amazon S3's user guide,
//! "Lifecycle configuration elements", and its API reference.

#![expect(
    clippy::needless_pass_by_value,
    reason = "all operations have one shape"
)]

use std::collections::BTreeSet;

use chrono::NaiveTime;
use s3s::dto::{
    DeleteBucketLifecycleInput, DeleteBucketLifecycleOutput, ExpirationStatus,
    GetBucketLifecycleConfigurationInput, GetBucketLifecycleConfigurationOutput,
    LifecycleExpiration, LifecycleRule, LifecycleRuleAndOperator, LifecycleRuleFilter,
    NoncurrentVersionExpiration, PutBucketLifecycleConfigurationInput,
    PutBucketLifecycleConfigurationOutput, Timestamp, TransitionStorageClass,
};
use s3s::{S3Error, S3Request, S3Result, s3_error};
use uuid::Uuid;

use super::object_lock::time_of;
use crate::embedded::store::Store;

/// Rules that a bucket may have.
const RULE_LIMIT: usize = 1000;

/// Characters that a rule's ID may have.
const ID_LIMIT: usize = 255;

/// Newer noncurrent versions that a rule can keep.
const MOST_NEWER_VERSIONS: i32 = 100;

pub fn put(
    store: &Store,
    request: S3Request<PutBucketLifecycleConfigurationInput>,
) -> S3Result<PutBucketLifecycleConfigurationOutput> {
    let bucket = store.bucket(&request.input.bucket)?;
    let configuration = request.input.lifecycle_configuration;
    let rules = checked(configuration.map_or(Vec::new(), |configuration| configuration.rules))?;
    bucket.change_settings(|settings| {
        settings.lifecycle = Some(rules);
        Ok(())
    })?;
    Ok(PutBucketLifecycleConfigurationOutput::default())
}

pub fn get(
    store: &Store,
    request: S3Request<GetBucketLifecycleConfigurationInput>,
) -> S3Result<GetBucketLifecycleConfigurationOutput> {
    let rules = store.bucket(&request.input.bucket)?.settings().lifecycle;
    let missing = || {
        s3_error!(
            NoSuchLifecycleConfiguration,
            "the lifecycle configuration does not exist"
        )
    };
    Ok(GetBucketLifecycleConfigurationOutput {
        rules: Some(rules.ok_or_else(missing)?),
        ..GetBucketLifecycleConfigurationOutput::default()
    })
}

pub fn delete(
    store: &Store,
    request: S3Request<DeleteBucketLifecycleInput>,
) -> S3Result<DeleteBucketLifecycleOutput> {
    let bucket = store.bucket(&request.input.bucket)?;
    bucket.change_settings(|settings| {
        settings.lifecycle = None;
        Ok(())
    })?;
    Ok(DeleteBucketLifecycleOutput {})
}

/// The rules, each with an ID, if S3 would take them.
fn checked(mut rules: Vec<LifecycleRule>) -> S3Result<Vec<LifecycleRule>> {
    if rules.is_empty() || rules.len() > RULE_LIMIT {
        return Err(malformed("a configuration has 1 to 1000 rules"));
    }
    let mut ids = BTreeSet::new();
    for rule in &mut rules {
        check_rule(rule)?;
        let id = rule.id.take().filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| Uuid::new_v4().to_string());
        if id.chars().count() > ID_LIMIT {
            return Err(wrong("the ID of a rule has at most 255 characters"));
        }
        if !ids.insert(id.clone()) {
            return Err(wrong("two rules have the same ID"));
        }
        rule.id = Some(id);
    }
    Ok(rules)
}

fn check_rule(rule: &LifecycleRule) -> S3Result<()> {
    let status = rule.status.as_str();
    if ![ExpirationStatus::ENABLED, ExpirationStatus::DISABLED].contains(&status) {
        return Err(malformed("the status of a rule is Enabled or Disabled"));
    }
    let is_narrow = match (&rule.filter, &rule.prefix) {
        (Some(filter), None) => is_narrow(filter)?,
        (None, Some(_)) => false,
        _ => return Err(malformed("a rule has either a filter or a prefix")),
    };
    check_actions(rule)?;
    if let Some(expiration) = &rule.expiration {
        check_expiration(expiration)?;
        if is_narrow && expiration.expired_object_delete_marker.is_some() {
            return Err(too_narrow("ExpiredObjectDeleteMarker"));
        }
    }
    if let Some(expiration) = &rule.noncurrent_version_expiration {
        check_noncurrent(expiration)?;
    }
    if let Some(abort) = &rule.abort_incomplete_multipart_upload {
        require_positive(abort.days_after_initiation)?;
        if is_narrow {
            return Err(too_narrow("AbortIncompleteMultipartUpload"));
        }
    }
    check_transitions(rule)
}

/// Whether a filter leaves out objects by their tags or sizes.
fn is_narrow(filter: &LifecycleRuleFilter) -> S3Result<bool> {
    let narrow = [
        filter.tag.is_some(),
        filter.object_size_greater_than.is_some(),
        filter.object_size_less_than.is_some(),
    ];
    let others = [filter.prefix.is_some(), filter.and.is_some()];
    if count_true(&narrow) + count_true(&others) > 1 {
        return Err(malformed("several conditions of a filter stand under And"));
    }
    match &filter.and {
        Some(and) => is_narrow_by_all(and),
        None => Ok(count_true(&narrow) > 0),
    }
}

fn is_narrow_by_all(and: &LifecycleRuleAndOperator) -> S3Result<bool> {
    let sizes = [
        and.object_size_greater_than.is_some(),
        and.object_size_less_than.is_some(),
    ];
    let narrow = and.tags.as_ref().map_or(0, Vec::len) + count_true(&sizes);
    if narrow + count_true(&[and.prefix.is_some()]) < 2 {
        return Err(malformed("And joins two conditions or more"));
    }
    Ok(narrow > 0)
}

fn count_true(conditions: &[bool]) -> usize {
    conditions.iter().filter(|holds| **holds).count()
}

fn check_actions(rule: &LifecycleRule) -> S3Result<()> {
    let is_empty = |count: Option<usize>| count.unwrap_or_default() == 0;
    let does_nothing = rule.expiration.is_none()
        && rule.noncurrent_version_expiration.is_none()
        && rule.abort_incomplete_multipart_upload.is_none()
        && is_empty(rule.transitions.as_ref().map(Vec::len))
        && is_empty(rule.noncurrent_version_transitions.as_ref().map(Vec::len));
    if does_nothing {
        return Err(s3_error!(
            InvalidRequest,
            "at least one action needs to be specified in a rule"
        ));
    }
    Ok(())
}

fn check_expiration(expiration: &LifecycleExpiration) -> S3Result<()> {
    let of_markers = expiration.expired_object_delete_marker;
    match (&expiration.days, &expiration.date, of_markers) {
        (Some(days), None, None) => require_positive(Some(*days)),
        (None, Some(date), None) => require_midnight(date),
        (None, None, Some(_)) => Ok(()),
        _ => Err(malformed(
            "an expiration has one of Days, Date and ExpiredObjectDeleteMarker",
        )),
    }
}

fn check_noncurrent(expiration: &NoncurrentVersionExpiration) -> S3Result<()> {
    require_positive(expiration.noncurrent_days)?;
    let newer = expiration.newer_noncurrent_versions.unwrap_or(1);
    if (1..=MOST_NEWER_VERSIONS).contains(&newer) {
        return Ok(());
    }
    Err(wrong("NewerNoncurrentVersions lies between 1 and 100"))
}

fn check_transitions(rule: &LifecycleRule) -> S3Result<()> {
    for transition in rule.transitions.iter().flatten() {
        check_class(transition.storage_class.as_ref())?;
        match (transition.days, &transition.date) {
            (Some(days), None) => require_no_less_than(0, Some(days))?,
            (None, Some(date)) => require_midnight(date)?,
            _ => return Err(malformed("a transition has either Days or Date")),
        }
    }
    for transition in rule.noncurrent_version_transitions.iter().flatten() {
        check_class(transition.storage_class.as_ref())?;
        require_no_less_than(0, transition.noncurrent_days)?;
    }
    Ok(())
}

fn check_class(class: Option<&TransitionStorageClass>) -> S3Result<()> {
    let known = [
        TransitionStorageClass::DEEP_ARCHIVE,
        TransitionStorageClass::GLACIER,
        TransitionStorageClass::GLACIER_IR,
        TransitionStorageClass::INTELLIGENT_TIERING,
        TransitionStorageClass::ONEZONE_IA,
        TransitionStorageClass::STANDARD_IA,
    ];
    if class.is_some_and(|class| known.contains(&class.as_str())) {
        return Ok(());
    }
    Err(malformed("a transition leads to a storage class"))
}

fn require_positive(days: Option<i32>) -> S3Result<()> {
    require_no_less_than(1, days)
}

fn require_no_less_than(least: i32, days: Option<i32>) -> S3Result<()> {
    match days {
        Some(days) if days >= least => Ok(()),
        Some(_) => Err(wrong("the days of an action are a positive whole number")),
        None => Err(malformed("an action says after how many days")),
    }
}

fn require_midnight(date: &Timestamp) -> S3Result<()> {
    if time_of(date)?.time() == NaiveTime::MIN {
        return Ok(());
    }
    Err(wrong("Date must be at midnight UTC"))
}

/// Delete markers and unfinished uploads have neither tags nor a size of their own.
fn too_narrow(action: &str) -> S3Error {
    s3_error!(
        InvalidRequest,
        "{action} cannot be specified with tags or object sizes"
    )
}

fn malformed(message: &'static str) -> S3Error {
    s3_error!(MalformedXML, "{}", message)
}

fn wrong(message: &'static str) -> S3Error {
    s3_error!(InvalidArgument, "{}", message)
}
