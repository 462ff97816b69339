//! Lifecycle rules of the buckets, held against the policies.
//!
//! S3 carries out such rules by itself, without a look at the policies. One that deletes too early loses
//! events, or files that tables name, and no night brings them back. Where there is none, what the program
//! leaves to others (versions that a service replaced or deleted, delete markers, unfinished uploads) stays
//! for good, and with it what has to go (invariant 10). [`findings`] tells of both, [`net`] gives rules that
//! would do.
//!
//! Hazard: S3 counts from when an object was put. It knows neither the dates of its events nor whether they
//! were compacted, so only what leaves time for that counts as late enough.

mod net;
mod place;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt};

use crate::lake::hold::Hold;
use crate::lake::s3::{ARCHIVES, Expiration, Lifecycle, LifecycleRule, ReadS3};
use crate::policy::Policies;

pub use net::{Configuration, net};
use place::{COMPACTED_WITHIN, Place};

const BUCKETS_AT_ONCE: usize = 8;

/// What each bucket of the policies tells of its rules, in one request a bucket.
pub async fn read(s3: &ReadS3, policies: &Policies) -> BTreeMap<String, Lifecycle> {
    let places = Place::all(policies);
    let buckets: BTreeSet<&str> = places
        .iter()
        .map(|place| place.location().bucket.as_str())
        .collect();
    let told = stream::iter(buckets)
        .map(|bucket| async move { (bucket.to_owned(), s3.lifecycle(bucket).await) });
    told.buffered(BUCKETS_AT_ONCE).collect().await
}

/// What a person should know of the rules that buckets have. Pure.
pub fn findings(policies: &Policies, told: &BTreeMap<String, Lifecycle>) -> Vec<String> {
    let mut findings = Vec::new();
    for (bucket, lifecycle) in told {
        match lifecycle {
            Lifecycle::Rules(rules) => {
                let mut places = Place::all(policies);
                places.retain(|place| place.location().bucket == *bucket);
                let enabled: Vec<&LifecycleRule> =
                    rules.iter().filter(|rule| rule.enabled).collect();
                for place in &places {
                    findings.extend(faults(place, &enabled));
                }
                findings.extend(missing(bucket, &places, &enabled));
            }
            Lifecycle::Denied => findings.push(format!(
                "the lifecycle rules of bucket {bucket} could not be read, so nobody knows whether one deletes \
                 too early: ask for s3:GetLifecycleConfiguration"
            )),
            Lifecycle::Unknown(reason) => findings.push(format!(
                "the lifecycle rules of bucket {bucket} could not be read, so nobody knows whether one deletes \
                 too early: {reason}"
            )),
        }
    }
    findings
}

/// Rules that delete raw objects, held or not: S3 knows nothing of these holds. Pure.
pub fn against_holds(
    policies: &Policies,
    told: &BTreeMap<String, Lifecycle>,
    holds: &[Hold],
) -> Vec<String> {
    let mut findings = Vec::new();
    for hold in holds {
        for policy in policies
            .datasets
            .iter()
            .filter(|policy| hold.is_on(&policy.name))
        {
            let bucket = &policy.raw.location.bucket;
            let Some(Lifecycle::Rules(rules)) = told.get(bucket) else {
                continue;
            };
            let place = Place::Raw(policy);
            let deletes = |rule: &&LifecycleRule| {
                let expires = rule
                    .expiration
                    .is_some_and(|does| does != Expiration::Markers);
                let expires = expires || rule.noncurrent.is_some();
                rule.enabled && expires && place.is_touched_by(rule)
            };
            findings.extend(rules.iter().filter(deletes).map(|rule| {
                format!(
                    "lifecycle rule `{}` of bucket {bucket} deletes {place} whatever hold {} keeps: disable it until \
                     the hold is lifted",
                    rule.id, hold.id
                )
            }));
        }
    }
    findings
}

/// What is wrong with rules at a place.
fn faults(place: &Place, rules: &[&LifecycleRule]) -> Vec<String> {
    let mut faults = Vec::new();
    for rule in rules.iter().filter(|rule| place.is_touched_by(rule)) {
        let found = [
            objects_too_early(place, rule),
            versions_too_early(place, rule),
            archived(place, rule),
        ];
        faults.extend(
            found
                .into_iter()
                .flatten()
                .map(|fault| told(place, rule, &fault)),
        );
    }
    faults.extend(versions_too_late(place, rules));
    faults
}

fn told(place: &Place, rule: &LifecycleRule, fault: &str) -> String {
    let narrow = if rule.is_narrow {
        " (for some tags or sizes)"
    } else {
        ""
    };
    let bucket = &place.location().bucket;
    format!(
        "lifecycle rule `{}` of bucket {bucket}{narrow} {fault}",
        rule.id
    )
}

/// That current objects go before their time.
fn objects_too_early(place: &Place, rule: &LifecycleRule) -> Option<String> {
    let (does, days) = match rule.expiration? {
        Expiration::Markers => return None,
        Expiration::AfterDays(days) => (
            format!("deletes {place} {} after they were put", counted(days)),
            days,
        ),
        Expiration::From(date) => (
            format!("deletes all {place} from {date} on, new ones too"),
            0,
        ),
    };
    let allowed = place.objects_may_go_after();
    if allowed.is_some_and(|allowed| days >= allowed) {
        return None;
    }
    let why = place.why_objects_stay();
    let uncompacted = match place {
        Place::Raw(_) if days < COMPACTED_WITHIN => {
            ", and a night that fails is enough to lose events that were never compacted"
        }
        _ => "",
    };
    let advice = match allowed {
        Some(days) => format!("make it wait {} or more", counted(days)),
        None => format!("take {} out of it", place.location()),
    };
    Some(format!("{does}: {why}{uncompacted}; {advice}"))
}

/// That noncurrent versions go before their time.
fn versions_too_early(place: &Place, rule: &LifecycleRule) -> Option<String> {
    let days = rule.noncurrent?.days;
    let allowed = place.versions_may_go_after();
    (days < allowed).then(|| {
        format!(
            "removes versions of {place} {} after they were replaced or deleted: {}; make it wait {} or more",
            counted(days),
            place.why_versions_stay(),
            counted(allowed)
        )
    })
}

/// That nothing can be read, and so nobody be erased, until somebody restores it.
fn archived(place: &Place, rule: &LifecycleRule) -> Option<String> {
    let class = rule
        .classes
        .iter()
        .find(|class| ARCHIVES.contains(&class.as_str()))?;
    Some(format!(
        "moves {place} to {class}: what is archived can neither be compacted nor searched for an erased person \
         before somebody restores it; take {} out of it, or let it move to GLACIER_IR",
        place.location()
    ))
}

/// That noncurrent versions stay longer than the policies keep what is in them.
fn versions_too_late(place: &Place, rules: &[&LifecycleRule]) -> Option<String> {
    let keep = place.events_stay()?;
    let latest = keep.most_days().max(net::rule(place).noncurrent_after);
    let in_time = |rule: &LifecycleRule| versions_after(rule).is_some_and(|days| days <= latest);
    if !place.is_covered(rules, removes_versions) || place.is_covered(rules, in_time) {
        return None;
    }
    let late = rules.iter().filter(|rule| {
        !rule.is_narrow && place.is_touched_by(rule) && removes_versions(rule) && !in_time(rule)
    });
    let rule = late.min_by_key(|rule| versions_after(rule))?;
    let fault = format!(
        "removes versions of {place} only {} after they were replaced or deleted: the policies keep events \
         {keep}; make it wait {} or less",
        counted(versions_after(rule)?),
        counted(latest)
    );
    Some(told(place, rule, &fault))
}

/// That no rule removes what the program leaves to others.
fn missing(bucket: &str, places: &[Place], rules: &[&LifecycleRule]) -> Option<String> {
    let kinds: [(&str, Removes); 3] = [
        ("replaced versions", removes_versions),
        ("expired delete markers", removes_markers),
        ("unfinished uploads", |rule| rule.abort_after.is_some()),
    ];
    let (mut stay, mut locations) = (Vec::new(), BTreeSet::new());
    for (what, removes) in kinds {
        let bare = places
            .iter()
            .filter(|place| !place.is_covered(rules, removes));
        let bare: Vec<String> = bare.map(|place| place.location().to_string()).collect();
        if !bare.is_empty() {
            stay.push(what);
            locations.extend(bare);
        }
    }
    let locations: Vec<String> = locations.into_iter().collect();
    (!stay.is_empty()).then(|| {
        format!(
            "S3 does not remove {} under {}: bucket {bucket} needs a lifecycle rule for that, which \
             `lakewarden lifecycle` prints",
            stay.join(", "),
            locations.join(" and ")
        )
    })
}

/// Whether a rule removes something.
type Removes = fn(&LifecycleRule) -> bool;

fn removes_versions(rule: &LifecycleRule) -> bool {
    versions_after(rule).is_some()
}

/// Days after which all noncurrent versions go.
fn versions_after(rule: &LifecycleRule) -> Option<u32> {
    let expiration = rule.noncurrent?;
    (!expiration.keeps_some).then_some(expiration.days)
}

fn removes_markers(rule: &LifecycleRule) -> bool {
    matches!(
        rule.expiration,
        Some(Expiration::Markers | Expiration::AfterDays(_))
    )
}

fn counted(days: u32) -> String {
    let plural = if days == 1 { "" } else { "s" };
    format!("{days} day{plural}")
}
