//! What would leave tonight and cannot: versions under Object Lock, and archived objects to trim.
//!
//! A plan is made as if nothing were in the way; what it would delete is then looked at, and what may not
//! go yet leaves the plan, which tells instead from when on it can. So a night that can do no more plans
//! nothing (invariant 12). One request a bucket asks whether it has Object Lock at all; only where it has,
//! the versions are looked at, one by one. An archived object can be deleted but not read: it goes whole
//! once all its events are too old.
//!
//! Hazard: the current version of a key must not go before an older one that is locked, or that one would
//! come to light and count as new.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use futures::{StreamExt, TryStreamExt};

use super::raw::RawRule;
use super::removal::What;
use crate::lake::error::S3Error;
use crate::lake::s3::{Hindrance, ObjectLocking, ObjectVersion, Obstacle, ReadS3, by_key};
use crate::plan::{Action, Due, Retain, Step};
use crate::policy::Policies;

const LOOK_AT_ONCE: usize = 32;

/// What would leave tonight and cannot.
#[derive(Debug, Default)]
pub struct Blocked {
    versions: BTreeSet<ObjectVersion>,
    /// From when on it can, in a line for each kind, reason and day.
    pub due: Vec<Due>,
    /// What has no such day, and where it could not be found out.
    pub findings: Vec<String>,
}

impl Blocked {
    /// Looks at what `steps` would delete or rewrite.
    pub async fn look(
        s3: &ReadS3,
        policies: &Policies,
        rules: &BTreeMap<&str, RawRule<'_>>,
        steps: &[Step],
        now: DateTime<Utc>,
    ) -> Result<Self, S3Error> {
        let mut look = Look {
            s3,
            now,
            found: Found::default(),
        };
        let mut locking: BTreeMap<&str, ObjectLocking> = BTreeMap::new();
        for (bucket, what, versions) in leaving(policies, steps) {
            if versions.is_empty() {
                continue;
            }
            let told = match locking.get(bucket) {
                Some(told) => *told,
                None => s3.object_locking(bucket).await?,
            };
            locking.insert(bucket, told);
            if told == ObjectLocking::On {
                look.at_leaving(bucket, &what, versions).await?;
            }
        }
        for step in steps {
            let Action::Retain(retain) = &step.action else {
                continue;
            };
            if let Some(rule) = rules.get(retain.dataset.as_str()) {
                look.at_trimmed(rule, retain).await?;
            }
        }
        let denied = locking
            .into_iter()
            .filter(|(_, told)| *told == ObjectLocking::Denied);
        let findings = denied.map(|(bucket, _)| {
            format!(
                "nobody knows beforehand which versions in bucket {bucket} are locked and may not go yet: ask for \
                 s3:GetBucketObjectLockConfiguration"
            )
        });
        let mut blocked = look.found.told();
        blocked.findings.extend(findings);
        Ok(blocked)
    }

    /// Whether all can leave.
    pub fn is_nothing(&self) -> bool {
        self.versions.is_empty()
    }

    /// Whether a version cannot leave.
    pub fn holds(&self, version: &ObjectVersion) -> bool {
        self.versions.contains(version)
    }

    /// Takes out of `versions` those that cannot leave.
    pub fn spare(&self, versions: &mut Vec<ObjectVersion>) {
        versions.retain(|version| !self.holds(version));
    }
}

/// What steps remove for good: from which bucket, in words, and the versions.
fn leaving<'a>(
    policies: &'a Policies,
    steps: &'a [Step],
) -> Vec<(&'a str, What, &'a [ObjectVersion])> {
    let lake = policies.lake.location.bucket.as_str();
    let mut leaving: Vec<(&str, What, &[ObjectVersion])> = Vec::new();
    for step in steps {
        match &step.action {
            Action::Retain(action) => {
                let name = &action.dataset;
                if let Some(policy) = policies.dataset(name) {
                    let raw = policy.raw.location.bucket.as_str();
                    leaving.push((raw, What::raw(name), &action.raw));
                }
                leaving.push((lake, What::quarantine(name), &action.quarantine));
            }
            Action::Purge(action) => {
                leaving.push((lake, What::purged(&action.owner), &action.versions));
            }
            Action::CleanLog(action) => {
                leaving.push((lake, What::log(&action.table), &action.versions));
            }
            Action::TrimLedger(action) => {
                leaving.push((lake, What::ledger(&action.dataset), &action.versions));
            }
            _ => {}
        }
    }
    leaving
}

struct Look<'a> {
    s3: &'a ReadS3,
    now: DateTime<Utc>,
    found: Found,
}

impl Look<'_> {
    /// Versions that are to go.
    async fn at_leaving(
        &mut self,
        bucket: &str,
        what: &What,
        versions: &[ObjectVersion],
    ) -> Result<(), S3Error> {
        let mut locked: BTreeMap<&str, Obstacle> = BTreeMap::new();
        for (version, hindrance) in self.hindrances(bucket, versions.iter().collect()).await? {
            let Some(lock) = self.standing(hindrance) else {
                continue;
            };
            self.found.add(what, "go", &lock, [version]);
            keep_worst(&mut locked, &version.key, lock);
        }
        for version in versions.iter().filter(|version| version.latest) {
            if let Some(lock) = locked.get(version.key.as_str())
                && !self.found.versions.contains(version)
            {
                self.found
                    .add(what, "go with an older one", lock, [version]);
            }
        }
        Ok(())
    }

    /// Objects of which some records are to go.
    async fn at_trimmed(&mut self, rule: &RawRule<'_>, retain: &Retain) -> Result<(), S3Error> {
        let what = What::new("raw object", &retain.dataset);
        let RawRule { policy, facts, .. } = *rule;
        let bucket = &policy.raw.location.bucket;
        let trim = retain.trim.iter().collect();
        let mut archived: BTreeSet<&str> = BTreeSet::new();
        let mut locked: BTreeMap<&str, Obstacle> = BTreeMap::new();
        for (version, hindrance) in self.hindrances(bucket, trim).await? {
            if hindrance.is_archived {
                archived.insert(&version.key);
            }
            let compacted = facts.ledger.compacted(&version.key, &version.etag);
            let goes = compacted.is_none() || rule.must_trim(version);
            if let Some(lock) = self.standing(hindrance).filter(|_| goes) {
                keep_worst(&mut locked, &version.key, lock);
            }
        }
        for (key, versions) in by_key(&retain.trim) {
            let current = versions.iter().find(|version| version.latest);
            let compacted = current.and_then(|current| facts.ledger.compacted(key, &current.etag));
            match (archived.contains(key), compacted, locked.get(key)) {
                (true, Some(compacted), _) => {
                    let at = compacted.goes_at(policy.raw.keep, policy.retention);
                    self.found.add_archived(&what, at, versions);
                }
                (_, _, Some(lock)) => self.found.add(&what, "be trimmed", lock, versions),
                _ => {}
            }
        }
        Ok(())
    }

    async fn hindrances<'a>(
        &self,
        bucket: &str,
        versions: Vec<&'a ObjectVersion>,
    ) -> Result<Vec<(&'a ObjectVersion, Hindrance)>, S3Error> {
        let s3 = self.s3;
        futures::stream::iter(versions.into_iter().filter(|version| !version.marker))
            .map(|version| async move { Ok((version, s3.hindrance(bucket, version).await?)) })
            .buffered(LOOK_AT_ONCE)
            .try_collect()
            .await
    }

    /// The lock, if it is not over.
    fn standing(&self, hindrance: Hindrance) -> Option<Obstacle> {
        hindrance.lock.filter(|lock| match lock {
            Obstacle::Locked { until, .. } => *until > self.now,
            _ => true,
        })
    }
}

/// Of what is in the way of a key's versions, what lasts longest.
fn keep_worst<'a>(locked: &mut BTreeMap<&'a str, Obstacle>, key: &'a str, lock: Obstacle) {
    let worst = locked.entry(key).or_insert_with(|| lock.clone());
    if *worst < lock {
        *worst = lock;
    }
}

/// What was found, counted by what a line tells.
#[derive(Debug, Default)]
struct Found {
    versions: BTreeSet<ObjectVersion>,
    /// By day, kind and reason: how many, and when the last of them can.
    dated: BTreeMap<(NaiveDate, What, String), (usize, DateTime<Utc>)>,
    under_hold: BTreeMap<What, usize>,
}

impl Found {
    /// One object or version, with all `versions` of it that stay, which can do what it `can` once the lock
    /// is over.
    fn add<'a>(
        &mut self,
        what: &What,
        can: &str,
        lock: &Obstacle,
        versions: impl IntoIterator<Item = &'a ObjectVersion>,
    ) {
        self.versions.extend(versions.into_iter().cloned());
        match lock {
            Obstacle::Locked { until, mode } => {
                let words = format!("can {can}: locked ({mode}) until then");
                self.count(what, *until, words);
            }
            _ => *self.under_hold.entry(what.clone()).or_default() += 1,
        }
    }

    /// An archived object of which all can go `at` that time.
    fn add_archived(&mut self, what: &What, at: DateTime<Utc>, versions: Vec<&ObjectVersion>) {
        self.versions.extend(versions.into_iter().cloned());
        let words = "can go whole: archived, so nothing can be taken out before unless restored";
        self.count(what, at, words.to_owned());
    }

    fn count(&mut self, what: &What, at: DateTime<Utc>, words: String) {
        let line = (at.date_naive(), what.clone(), words);
        let (count, last) = self.dated.entry(line).or_insert((0, at));
        *count += 1;
        *last = at.max(*last);
    }

    fn told(self) -> Blocked {
        let dated = self.dated.into_iter();
        let due = dated.map(|((_, what, words), (count, at))| Due {
            at,
            what: format!("{} {words}", what.counted(count)),
        });
        let held = self.under_hold.into_iter();
        let findings = held.map(|(what, count)| {
            let counted = what.counted(count);
            format!("{counted} can go once the legal hold is lifted")
        });
        Blocked {
            due: due.collect(),
            findings: findings.collect(),
            versions: self.versions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn version(number: u32) -> ObjectVersion {
        ObjectVersion {
            key: format!("key-{number}"),
            version: number.to_string(),
            etag: "etag".into(),
            size: 1,
            latest: true,
            marker: false,
            last_modified: at("2026-01-01T00:00:00Z"),
        }
    }

    #[test]
    fn a_line_tells_of_one_kind_reason_and_day() {
        let locked = |until: &str, mode: &str| Obstacle::Locked {
            until: at(until),
            mode: mode.to_owned(),
        };
        let mut found = Found::default();
        let (cart, payment) = (What::raw("cart"), What::raw("payment"));
        let locks = [
            (&cart, locked("2027-01-05T01:00:00Z", "governance")),
            (&cart, locked("2027-01-05T23:00:00Z", "governance")),
            (&cart, locked("2027-01-05T12:00:00Z", "compliance")),
            (&cart, locked("2027-01-06T00:00:00Z", "governance")),
            (&payment, locked("2027-01-05T01:00:00Z", "governance")),
            (&cart, Obstacle::LegalHold),
            (&cart, Obstacle::LegalHold),
        ];
        for (number, (what, lock)) in (1..).zip(&locks) {
            found.add(what, "go", lock, [&version(number)]);
        }
        let objects = What::new("raw object", "cart");
        let both = [&version(8), &version(9)];
        found.add_archived(&objects, at("2027-02-01T00:00:00Z"), both.to_vec());
        let blocked = found.told();
        let lines: Vec<String> = blocked
            .due
            .iter()
            .map(|due| format!("{} {}", due.at.format("%m-%d %H:%M"), due.what))
            .collect();
        assert_eq!(
            lines,
            [
                "01-05 12:00 1 raw object version of cart can go: locked (compliance) until then",
                "01-05 23:00 2 raw object versions of cart can go: locked (governance) until then",
                "01-05 01:00 1 raw object version of payment can go: locked (governance) until then",
                "01-06 00:00 1 raw object version of cart can go: locked (governance) until then",
                "02-01 00:00 1 raw object of cart can go whole: archived, so nothing can be taken out before \
                 unless restored",
            ]
        );
        assert_eq!(
            blocked.findings,
            ["2 raw object versions of cart can go once the legal hold is lifted"]
        );
        let mut versions: Vec<ObjectVersion> = (1..=10).map(version).collect();
        blocked.spare(&mut versions);
        assert_eq!(versions, [version(10)]);
    }
}
