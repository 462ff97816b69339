//! Retention: nothing is kept longer than its policy allows (invariants 10, 12), and nothing a day shorter.
//!
//! The rule is calendar spans on the event's own date, never on an object's `LastModified`. Partitions of
//! a table go whole. A raw object goes once all its events are too old, or once its policy's `raw.keep` is
//! over; one that straddles the line is rewritten without the old ones, and so is one that holds late
//! events of an erased subject. A damaged object, whose content nobody knows whole, stays. An older version
//! goes with its current one: what its consumer replaced before it was ever compacted counts as withdrawn.

mod apply;
mod blocked;
mod forecast;
mod ledger;
pub mod lifecycle;
mod logs;
mod own_files;
mod removal;
mod uploads;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};

use crate::lake::facts::{DatasetFacts, Facts, Grace, Places, TableFacts};
use crate::lake::hold::Held;
use crate::lake::ledger::{KnownObject, Ledger};
use crate::lake::rows::is_redacted;
use crate::lake::s3::{ObjectVersion, ReadS3, by_key};
use crate::lake::subject::kept_by_law;
use crate::lake::tables::DataFile;
use crate::lake::trim::has_older;
use crate::plan::{Action, Due, Purge, Retain, RetainCurated, Step, megabytes, total_size};
use crate::policy::{CuratedPolicy, DatasetPolicy, Policies};

pub use apply::{Retained, RetentionError, apply, apply_curated, purge, remove};
pub use blocked::Blocked;
pub use forecast::forecast;
pub use ledger::{plan_ledger, trim_ledger};
pub use logs::{clean_log, plan_log};
pub use own_files::{plan_replaced, plan_reports, replaced};
pub use removal::Removal;
pub use uploads::abandoned;

/// The step that takes out of a dataset what is too old. `straddling` are the table files of the line's own
/// day that hold older rows; `compactions` are tonight's, which may bring more to trim. What is `blocked`
/// stays.
pub fn plan(
    policy: &DatasetPolicy,
    facts: &DatasetFacts,
    straddling: &[DataFile],
    held: &Held,
    compactions: &[String],
    blocked: &Blocked,
    now: DateTime<Utc>,
) -> Option<Step> {
    let keep_from = policy.retention.horizon(now);
    let first_day = keep_from.first_day();
    let mut files = too_old(&facts.events, first_day);
    files.extend(no_longer_kept_by_law(policy, facts, first_day, now));
    files.retain(|file| !held.holds(file.event_date));
    let straddling = if held.holds(first_day) {
        &[]
    } else {
        straddling
    };
    let (mut raw, mut trim) = raw_fates(policy, facts, held, first_day, now);
    let mut quarantine = old_quarantine(policy, facts, held, now);
    for versions in [&mut raw, &mut trim, &mut quarantine] {
        blocked.spare(versions);
    }
    let nothing = files.is_empty()
        && straddling.is_empty()
        && raw.is_empty()
        && trim.is_empty()
        && quarantine.is_empty();
    if nothing && compactions.is_empty() {
        return None;
    }
    let name = &policy.name;
    let why = if nothing {
        format!(
            "trim from the raw objects of {name} compacted above what is older than {keep_from} or erased"
        )
    } else {
        format!(
            "retain {name} from {keep_from} on ({}): {} table files, {} raw object versions ({}) and {} \
             quarantine objects go, {} table files and {} raw object versions are trimmed",
            policy.retention.keep,
            files.len(),
            raw.len(),
            megabytes(total_size(&raw)),
            quarantine.len(),
            straddling.len(),
            trim.len(),
        )
    };
    Some(Step {
        id: format!("retain-{name}"),
        why,
        action: Action::Retain(Retain {
            dataset: name.clone(),
            keep_from,
            files,
            straddling: straddling.to_vec(),
            raw,
            trim,
            quarantine,
            held: held.clone(),
            older: with_older_versions(facts),
            after: compactions.to_vec(),
        }),
    })
}

/// The table files of each dataset that hold rows from before its line, on the line's own day. Where days are
/// counted in UTC there are none.
pub async fn straddling(
    s3: &ReadS3,
    policies: &Policies,
    facts: &Facts,
    now: DateTime<Utc>,
) -> Result<BTreeMap<String, Vec<DataFile>>, RetentionError> {
    let store = s3.store(&policies.lake.location.bucket)?;
    let mut straddling = BTreeMap::new();
    for policy in &policies.datasets {
        let line = policy.retention.horizon(now);
        let Some(table) = facts.table(&policy.name).filter(|_| line.splits_a_day()) else {
            continue;
        };
        let folder = Places::new(&policies.lake.location).events(&policy.name);
        let days = table.files.iter();
        let mut older = Vec::new();
        for file in days.filter(|file| file.event_date == line.first_day()) {
            if has_older(&store, &folder, file, line.from()).await? {
                older.push(file.clone());
            }
        }
        straddling.insert(policy.name.clone(), older);
    }
    Ok(straddling)
}

/// The step that takes out of a curated table what is too old.
pub fn plan_curated(
    policy: &CuratedPolicy,
    facts: &TableFacts,
    held: &Held,
    now: DateTime<Utc>,
) -> Option<Step> {
    let keep_from = policy.retention.horizon(now).first_day();
    let mut files = too_old(facts, keep_from);
    files.retain(|file| !held.holds(file.event_date));
    (!files.is_empty()).then(|| Step {
        id: format!("retain-{}", policy.table),
        why: format!(
            "retain {} from {keep_from} on ({}): {} table files go",
            policy.table,
            policy.retention.keep,
            files.len()
        ),
        action: Action::RetainCurated(RetainCurated {
            table: policy.table.clone(),
            keep_from,
            files,
        }),
    })
}

/// The step that removes for good what a table no longer uses, and what will be due later. `removers` are
/// tonight's steps that remove files. What is `blocked` stays.
pub fn plan_purge(
    owner: &str,
    facts: &TableFacts,
    orphans: Vec<ObjectVersion>,
    removers: &[String],
    grace: Grace,
    blocked: &Blocked,
    now: DateTime<Utc>,
) -> (Option<Step>, Option<Due>) {
    let (mut versions, later) = facts.purgeable(now, grace);
    versions.extend(orphans);
    blocked.spare(&mut versions);
    let due = later.iter().min().map(|at| Due {
        at: *at,
        what: format!("purge {} replaced files of {owner}", later.len()),
    });
    let after = if grace.readers.is_zero() {
        removers
    } else {
        &[]
    };
    if versions.is_empty() && after.is_empty() {
        return (None, due);
    }
    let why = match (versions.len(), after.is_empty()) {
        (0, _) => format!(
            "purge the files of {owner} that the steps above replace: nobody is given time to read on"
        ),
        (count, _) => format!(
            "purge {count} object versions of {owner} ({}): no table uses them and their grace is over",
            megabytes(total_size(&versions))
        ),
    };
    let step = Step {
        id: format!("purge-{owner}"),
        why,
        action: Action::Purge(Purge {
            owner: owner.to_owned(),
            versions,
            after: after.to_vec(),
        }),
    };
    (Some(step), due)
}

/// Quarantine object versions that no commit names, or that an erasure replaced.
pub fn quarantine_orphans(
    facts: &DatasetFacts,
    grace: Grace,
    now: DateTime<Utc>,
) -> Vec<ObjectVersion> {
    let is_orphan = |version: &&ObjectVersion| {
        let valid = facts.ledger.is_valid_quarantine(&version.key);
        let old =
            grace.uncommitted.is_zero() || grace.uncommitted.after(version.last_modified) <= now;
        (!valid && old) || !version.latest
    };
    facts.quarantine.iter().filter(is_orphan).cloned().collect()
}

fn too_old(table: &TableFacts, keep_from: NaiveDate) -> Vec<DataFile> {
    table
        .files
        .iter()
        .filter(|file| file.event_date < keep_from)
        .cloned()
        .collect()
}

/// Redacted rows that no law wants kept any more (GDPR Art. 17(3)).
fn no_longer_kept_by_law(
    policy: &DatasetPolicy,
    facts: &DatasetFacts,
    keep_from: NaiveDate,
    now: DateTime<Utc>,
) -> Vec<DataFile> {
    let goes = |file: &&DataFile| {
        is_redacted(&file.path)
            && file.event_date >= keep_from
            && kept_by_law(&policy.pii, file.event_date, now.date_naive()).is_none()
    };
    facts.events.files.iter().filter(goes).cloned().collect()
}

/// The raw object versions that go whole, and the current ones that lose records.
fn raw_fates(
    policy: &DatasetPolicy,
    facts: &DatasetFacts,
    held: &Held,
    keep_from: NaiveDate,
    now: DateTime<Utc>,
) -> (Vec<ObjectVersion>, Vec<ObjectVersion>) {
    let (mut gone, mut trimmed) = (Vec::new(), Vec::new());
    for (key, versions) in by_key(&facts.raw) {
        let mut objects = versions.iter().filter(|version| !version.marker);
        if objects.any(|version| facts.ledger.may_be_held(held, version)) {
            continue;
        }
        // What goes was listed: an inventory may be older than what lies there now.
        if facts.discovery.unconfirmed.contains(key) {
            continue;
        }
        let current = versions
            .iter()
            .find(|version| version.latest && !version.marker);
        let Some(current) = current else {
            // Deleted by its owner: what is left goes by the rule for what was in it.
            let goes = |old: &&&ObjectVersion| !stays(policy, facts, old, keep_from, now);
            gone.extend(versions.iter().filter(goes).map(|old| (*old).clone()));
            continue;
        };
        let Some(compacted) = facts.ledger.compacted(&current.key, &current.etag) else {
            continue;
        };
        if !outlives(policy, compacted, keep_from, now) {
            gone.extend(versions.iter().map(|version| (*version).clone()));
        } else if versions
            .iter()
            .any(|version| must_trim(facts, version, keep_from))
        {
            trimmed.extend(versions.iter().map(|version| (*version).clone()));
        }
    }
    (gone, trimmed)
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
        let keep_from = policy.retention.horizon(at).first_day();
        !outlives(policy, known, keep_from, at) || holds_what_goes(known, keep_from)
    };
    // What a run compacted is known to the plan after it.
    let went = |known: &KnownObject| since.is_some_and(|at| known.at < at && goes(known, at));
    let due = ledger
        .known()
        .filter(|(_, known)| goes(known, now) && !went(known));
    due.map(|(key, _)| key.to_owned()).collect()
}

/// Keys whose current version is new to the ledger, and so are older ones.
fn with_older_versions(facts: &DatasetFacts) -> Vec<String> {
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

/// Whether a version under a delete marker stays: markers and what was never compacted do.
fn stays(
    policy: &DatasetPolicy,
    facts: &DatasetFacts,
    version: &ObjectVersion,
    keep_from: NaiveDate,
    now: DateTime<Utc>,
) -> bool {
    let compacted = facts.ledger.compacted(&version.key, &version.etag);
    compacted.is_none_or(|compacted| {
        outlives(policy, compacted, keep_from, now) && !must_trim(facts, version, keep_from)
    })
}

/// Whether a compacted raw object version stays.
fn outlives(
    policy: &DatasetPolicy,
    compacted: &KnownObject,
    keep_from: NaiveDate,
    now: DateTime<Utc>,
) -> bool {
    if compacted.damaged {
        return true;
    }
    let kept_on = policy
        .raw
        .keep
        .is_none_or(|keep| keep.after(compacted.at) > now);
    kept_on && last_day(compacted) >= keep_from
}

/// The day of the newest event in an object.
fn last_day(compacted: &KnownObject) -> NaiveDate {
    match compacted.last_date {
        Some(last) if !compacted.has_broken => last,
        // Of what has no readable time the day of compaction stands in for the age.
        _ => compacted.at.date_naive(),
    }
}

/// When an object that is not damaged can go whole: from then on it no longer [`outlives`].
fn goes_at(policy: &DatasetPolicy, compacted: &KnownObject) -> DateTime<Utc> {
    let by_age = policy.retention.leaves_at(last_day(compacted));
    let keep = policy.raw.keep;
    keep.map_or(by_age, |keep| keep.after(compacted.at).min(by_age))
}

/// Whether a version holds records that must go. An older one counts too: a run may have died between
/// writing its successor and deleting it.
fn must_trim(facts: &DatasetFacts, version: &ObjectVersion, keep_from: NaiveDate) -> bool {
    let compacted = facts.ledger.compacted(&version.key, &version.etag);
    compacted.is_some_and(|compacted| {
        let put_back = facts.ledger.was_replaced(&version.key, &version.etag);
        holds_what_goes(compacted, keep_from) || put_back && !compacted.damaged
    })
}

fn holds_what_goes(compacted: &KnownObject, keep_from: NaiveDate) -> bool {
    let straddles = compacted.first_date.is_some_and(|first| first < keep_from);
    !compacted.damaged && (straddles || compacted.suppressed > 0)
}

/// Broken records have no day, so any hold on the dataset is on all of them.
fn old_quarantine(
    policy: &DatasetPolicy,
    facts: &DatasetFacts,
    held: &Held,
    now: DateTime<Utc>,
) -> Vec<ObjectVersion> {
    if !held.is_nothing() {
        return Vec::new();
    }
    let is_old = |version: &&ObjectVersion| {
        let since = facts.ledger.quarantine.get(&version.key);
        since.is_some_and(|since| policy.beside.quarantine.after(since.at) <= now)
    };
    facts.quarantine.iter().filter(is_old).cloned().collect()
}

/// What leaves next by age, and when.
pub fn due(
    policy: &DatasetPolicy,
    facts: &DatasetFacts,
    held: &Held,
    blocked: &Blocked,
    now: DateTime<Utc>,
) -> Vec<Due> {
    let mut due = Vec::new();
    let days = facts.events.files.iter().map(|file| file.event_date);
    if let Some(first) = days.filter(|day| !held.holds(*day)).min() {
        due.push(Due {
            at: policy.retention.leaves_at(first),
            what: format!(
                "events of {first} leave {} ({})",
                policy.name, policy.retention.keep
            ),
        });
    }
    if let Some(keep) = policy.raw.keep {
        let next = still_there(facts, blocked)
            .filter(|compacted| !compacted.damaged)
            .filter(|compacted| !held.may_hold(compacted.first_date, compacted.last_date))
            .map(|compacted| keep.after(compacted.at))
            .filter(|at| facts.discovery.coverage.is_everything() || *at > now)
            .min();
        due.extend(next.map(|at| Due {
            at,
            what: format!("raw objects of {} go, {keep} after compaction", policy.name),
        }));
    }
    due
}

/// What the ledger says of raw objects that are there or, where not all were looked for, may be; less those
/// that are `blocked`.
fn still_there<'a>(
    facts: &'a DatasetFacts,
    blocked: &'a Blocked,
) -> Box<dyn Iterator<Item = &'a KnownObject> + 'a> {
    if !facts.discovery.coverage.is_everything() {
        return Box::new(facts.ledger.known().map(|(_, known)| known));
    }
    let current = facts.raw.iter();
    let current = current.filter(|version| version.latest && !blocked.holds(version));
    Box::new(current.filter_map(|version| facts.ledger.compacted(&version.key, &version.etag)))
}

#[cfg(test)]
mod tests;
