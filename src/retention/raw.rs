//! What becomes of raw objects, by what the ledger knows of them. Pure.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};

use crate::lake::facts::DatasetFacts;
use crate::lake::hold::Held;
use crate::lake::ledger::{KnownObject, Ledger};
use crate::lake::raw::is_marker;
use crate::lake::s3::{ObjectVersion, by_key};
use crate::plan::{megabytes, total_size};
use crate::policy::DatasetPolicy;

/// The rule for a dataset's raw objects at one moment.
pub struct RawRule<'a> {
    /// The dataset's policy.
    pub policy: &'a DatasetPolicy,
    /// Its state.
    pub facts: &'a DatasetFacts,
    /// Keys of objects with an event from before the line, on the line's own day.
    pub straddling: BTreeSet<String>,
    /// The moment.
    pub now: DateTime<Utc>,
}

impl RawRule<'_> {
    fn first_day(&self) -> NaiveDate {
        self.policy.retention.horizon(self.now).first_day()
    }

    /// The versions that go whole tonight, and those of objects that lose records.
    pub fn fates(&self, held: &Held) -> (Vec<ObjectVersion>, Vec<ObjectVersion>) {
        let (mut gone, mut trimmed) = self.all_fates(held);
        // What goes was listed: an inventory may be older than what lies there now.
        for versions in [&mut gone, &mut trimmed] {
            versions.retain(|version| !self.facts.discovery.unconfirmed.contains(&version.key));
        }
        (gone, trimmed)
    }

    /// The same, as if all that is known of lay there.
    pub fn all_fates(&self, held: &Held) -> (Vec<ObjectVersion>, Vec<ObjectVersion>) {
        let facts = self.facts;
        let (mut gone, mut trimmed) = (Vec::new(), Vec::new());
        for versions in by_key(&facts.raw).into_values() {
            let mut objects = versions.iter().filter(|version| !version.marker);
            if objects.any(|version| facts.ledger.may_be_held(held, version)) {
                continue;
            }
            let current = versions.iter().find(|version| version.is_current());
            let compacted =
                current.and_then(|current| facts.ledger.compacted(&current.key, &current.etag));
            let is_over = |known: &KnownObject| !outlives(self.policy, known, self.now);
            if compacted.is_some_and(is_over) {
                gone.extend(versions.into_iter().cloned());
            } else if compacted.is_some() && versions.iter().any(|one| self.must_trim(one)) {
                trimmed.extend(versions.into_iter().cloned());
            } else {
                gone.extend(self.hidden(&versions));
            }
        }
        (gone, trimmed)
    }

    /// Of the versions of a key that no reader gets without asking those that go by the rule for what is in
    /// them, whatever becomes of the current one; delete markers once they hide nothing.
    fn hidden(&self, versions: &[&ObjectVersion]) -> Vec<ObjectVersion> {
        let stays = |version: &ObjectVersion| {
            version.is_current() || !version.marker && self.stays(version)
        };
        let hides_something = versions.iter().any(|version| stays(version));
        let goes = |version: &&&ObjectVersion| {
            if version.marker {
                !hides_something
            } else {
                !stays(version)
            }
        };
        let gone = versions.iter().filter(goes);
        gone.map(|version| (*version).clone()).collect()
    }

    /// Whether a hidden version stays: what was never compacted does. One that holds something too old goes whole,
    /// for what is hidden cannot be written again; what is young in it is in the table, and its owner wanted it
    /// gone.
    fn stays(&self, version: &ObjectVersion) -> bool {
        let compacted = self.facts.ledger.compacted(&version.key, &version.etag);
        compacted.is_none_or(|compacted| {
            outlives(self.policy, compacted, self.now) && !self.must_trim(version)
        })
    }

    /// Whether a version holds records that must go. An older one counts too: a run may have died between
    /// writing its successor and deleting it.
    pub fn must_trim(&self, version: &ObjectVersion) -> bool {
        let compacted = self.facts.ledger.compacted(&version.key, &version.etag);
        compacted.is_some_and(|compacted| {
            let ledger = &self.facts.ledger;
            let must_go = ledger.was_replaced(&version.key, &version.etag)
                || self.straddling.contains(&version.key);
            compacted.holds_older_than(self.first_day()) || must_go && !compacted.damaged
        })
    }
}

/// What a person should know of raw objects that no rule ever removes: nobody knows what is in them.
pub fn unknown(policy: &DatasetPolicy, facts: &DatasetFacts) -> Vec<String> {
    if !facts.discovery.coverage.is_everything() {
        return Vec::new();
    }
    let name = &policy.name;
    let compacted = |version: &ObjectVersion| facts.ledger.compacted(&version.key, &version.etag);
    let (mut hidden, mut damaged) = (Vec::new(), Vec::new());
    for versions in by_key(&facts.raw).into_values() {
        // What is new is compacted, and then goes with its older versions, unless nothing is in it.
        let current = versions.iter().find(|version| version.is_current());
        let is_hidden = current.is_none_or(|current| is_marker(current));
        for version in versions.iter().filter(|version| !version.marker) {
            match compacted(version) {
                Some(known) if known.damaged => damaged.push((*version).clone()),
                None if is_hidden && !is_marker(version) => hidden.push((*version).clone()),
                _ => {}
            }
        }
    }
    let mut findings = Vec::new();
    if !hidden.is_empty() {
        findings.push(format!(
            "{} raw object versions of {name} ({}) were deleted by their service before a night had compacted them: \
             nobody knows how old their events are, so they stay; a lifecycle rule for noncurrent versions removes \
             them, which `lakewarden lifecycle` prints",
            hidden.len(),
            megabytes(total_size(&hidden))
        ));
    }
    if !damaged.is_empty() {
        findings.push(format!(
            "{} raw object versions of {name} ({}) could be read in part only: nobody knows how old the rest is, so \
             they stay; have their service put them again, whole, or delete them",
            damaged.len(),
            megabytes(total_size(&damaged))
        ));
    }
    findings
}

/// Keys of raw objects of which, by the ledger, something goes by `now`: all of them, or those of which
/// nothing had to go yet when `since` was planned for.
pub fn due_keys(
    policy: &DatasetPolicy,
    ledger: &Ledger,
    since: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> BTreeSet<String> {
    let goes = |known: &KnownObject, at: DateTime<Utc>| {
        let first_day = policy.retention.horizon(at).first_day();
        !outlives(policy, known, at) || known.holds_older_than(first_day)
    };
    let line = policy.retention.horizon(now);
    // Of the line's own day nobody knows before having looked.
    let may_go = |known: &KnownObject| {
        goes(known, now) || line.splits_a_day() && known.first_date == Some(line.first_day())
    };
    // What a run compacted is known to the plan after it.
    let went = |known: &KnownObject| since.is_some_and(|at| known.at < at && goes(known, at));
    let due = ledger
        .known()
        .filter(|(_, known)| may_go(known) && !went(known));
    due.map(|(key, _)| key.to_owned()).collect()
}

/// Keys whose current version is new to the ledger, and so are older ones.
pub fn with_older_versions(facts: &DatasetFacts) -> Vec<String> {
    let is_new = |version: &&&ObjectVersion| {
        !version.marker
            && facts
                .ledger
                .compacted(&version.key, &version.etag)
                .is_none()
    };
    let keys = by_key(&facts.raw);
    let replaced = keys.iter().filter(|(_, versions)| {
        let new = versions.iter().filter(is_new);
        new.clone().any(|version| version.latest) && new.count() > 1
    });
    replaced.map(|(key, _)| (*key).to_owned()).collect()
}

/// Whether a compacted raw object version stays at `now`.
pub fn outlives(policy: &DatasetPolicy, compacted: &KnownObject, now: DateTime<Utc>) -> bool {
    compacted.outlives(policy.raw.keep, policy.retention, now)
}

#[cfg(test)]
mod tests;
