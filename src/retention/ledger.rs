//! The ledger's oldest segments, which go once they say nothing that matters any more.
//!
//! A segment stays as long as a raw object or a quarantine object that it names lies there, as long as one of
//! its events would still be admitted if its object came again, and for the policy's own span. So whatever is
//! delivered again after it went is expired on arrival, and nothing counts twice (invariant 3). Only the
//! beginning of the chain goes, and never the segment that the table names.
//!
//! An object that was not looked for is not gone: on nights that do not list all raw objects the ledger stays
//! as it is.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::apply::delete;
use super::removal::{Removal, What};
use super::{Blocked, RetentionError};
use crate::lake::facts::{DatasetFacts, Places};
use crate::lake::ledger::{KnownObject, Ledger};
use crate::lake::raw;
use crate::lake::s3::ObjectVersion;
use crate::lake::site::Site;
use crate::plan::{Action, Retain, Step, TrimLedger, megabytes, total_size};
use crate::policy::DatasetPolicy;

/// The step that removes the beginning of a dataset's ledger. `system`: all that lies under `system/`;
/// `tonight`: what leaves the dataset before.
pub fn plan_ledger(
    policy: &DatasetPolicy,
    facts: &DatasetFacts,
    system: &[ObjectVersion],
    places: &Places,
    tonight: Option<(&str, &Retain)>,
    blocked: &Blocked,
    now: DateTime<Utc>,
) -> Option<Step> {
    if !facts.discovery.coverage.is_everything() {
        return None;
    }
    let retain = tonight.map(|(_, retain)| retain);
    let from = first_needed(policy, facts, retain, now)?;
    let folder = places.ledger(&policy.name);
    let versions: Vec<ObjectVersion> = system
        .iter()
        .filter(|version| facts.ledger.is_before(&version.key, &folder, from))
        .filter(|version| !blocked.holds(version))
        .cloned()
        .collect();
    let name = &policy.name;
    (!versions.is_empty()).then(|| Step {
        id: format!("trim-ledger-{name}"),
        why: format!(
            "trim the ledger of {name} before segment {from}: {} object versions ({}) go; the raw objects that \
             they name are gone, and all their events are too old to be admitted again",
            versions.len(),
            megabytes(total_size(&versions)),
        ),
        action: Action::TrimLedger(TrimLedger {
            dataset: name.clone(),
            from,
            versions,
            after: tonight.map(|(id, _)| id.to_owned()).into_iter().collect(),
        }),
    })
}

/// The number of the first segment that stays.
fn first_needed(
    policy: &DatasetPolicy,
    facts: &DatasetFacts,
    tonight: Option<&Retain>,
    now: DateTime<Utc>,
) -> Option<u64> {
    let ledger = &facts.ledger;
    let committed = ledger.committed?;
    let young = ledger
        .known()
        .filter(|(_, known)| is_young(policy, known, now));
    let mut from = young
        .map(|(_, known)| known.segment)
        .fold(committed, u64::min);
    // Of the others those stay, with all that came after them, that name something which is still there.
    let mut old: BTreeMap<&str, u64> = BTreeMap::new();
    for (key, known) in ledger.known().filter(|(_, known)| known.segment < from) {
        let first = old.entry(key).or_insert(known.segment);
        *first = known.segment.min(*first);
    }
    if old.is_empty() {
        return Some(from);
    }
    let leaving: BTreeSet<&ObjectVersion> = tonight
        .into_iter()
        .flat_map(|retain| retain.raw.iter().chain(&retain.quarantine))
        .collect();
    for version in facts
        .raw
        .iter()
        .filter(|version| !leaving.contains(version))
    {
        if let Some(segment) = old.get(version.key.as_str()) {
            from = from.min(*segment);
        }
    }
    let quarantine = facts.quarantine.iter();
    for version in quarantine.filter(|version| !leaving.contains(version)) {
        if let Some(quarantined) = ledger.quarantine.get(&version.key) {
            from = from.min(quarantined.segment);
        }
    }
    Some(from)
}

/// Whether the policy's span is not over, or one of the object's events might be admitted again. Of what has
/// no readable time the day of compaction stands in for the age.
fn is_young(policy: &DatasetPolicy, known: &KnownObject, now: DateTime<Utc>) -> bool {
    let keep_from = policy.retention.horizon(now).first_day();
    let compacted_on = known.at.date_naive();
    let last = match known.last_date {
        Some(last) if !known.has_broken && !known.damaged => last,
        Some(last) => last.max(compacted_on),
        None => compacted_on,
    };
    policy.beside.ledger.after(known.at) > now || last >= keep_from
}

/// Carries out a step; tells what stays.
pub async fn trim_ledger(
    site: &Site,
    policy: &DatasetPolicy,
    step: &TrimLedger,
) -> Result<Removal, RetentionError> {
    let folder = site.places.ledger(&policy.name);
    Ledger::begin(&site.s3, &folder, step.from, &site.run, site.now).await?;
    // From there on it has to be whole before anything goes.
    raw::ledger_now(site, policy).await?;
    delete(
        site,
        &folder.bucket,
        &step.versions,
        &What::ledger(&policy.name),
    )
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policies;

    fn policy(zone: &str) -> DatasetPolicy {
        let cart = format!(
            "version: 1\ndataset: cart\nraw: {{ location: s3://raw/t/ }}\nevents: {{ time: at }}\n\
             table: {{ sort_by: [id] }}\nretention: {{ keep: 2 years, zone: {zone}, ledger: 30 days }}\n\
             pii: none\n"
        );
        let lake = "version: 1\nlake: s3://lake/\nkey: { env: KEY }\n".to_owned();
        let files = [
            ("lake.yaml".to_owned(), lake),
            ("datasets/cart.yaml".to_owned(), cart),
        ];
        Policies::parse(&files).unwrap().datasets.remove(0)
    }

    #[test]
    fn what_would_still_be_admitted_in_the_zone_is_young() {
        // In New York it is still the 20th: an event of 20 November 2024, noon, would be admitted.
        let now = "2026-11-21T03:00:00Z".parse().unwrap();
        let known = |last: &str| KnownObject {
            at: "2024-11-25T03:00:00Z".parse().unwrap(),
            segment: 1,
            first_date: last.parse().ok(),
            last_date: last.parse().ok(),
            records: 1,
            size: 1,
            suppressed: 0,
            has_broken: false,
            damaged: false,
        };
        for (zone, last, expected) in [
            ("America/New_York", "2024-11-20", true),
            ("America/New_York", "2024-11-19", false),
            ("UTC", "2024-11-20", false),
            ("UTC", "2024-11-21", true),
            // Its first hour in Berlin is the last one of the 20th in UTC.
            ("Europe/Berlin", "2024-11-20", true),
        ] {
            assert_eq!(
                is_young(&policy(zone), &known(last), now),
                expected,
                "{zone} {last}"
            );
        }
    }
}
