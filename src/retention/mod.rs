//! Retention: nothing is kept longer than its policy allows (invariants 10, 12), and nothing a day shorter.
//!
//! The rule is calendar spans on the event's own date, never on an object's `LastModified`. Partitions of
//! a table go whole. A raw object goes once all its events are too old, or once its policy's `raw.keep` is
//! over; one that straddles the line is rewritten without the old ones, and so is one that holds late
//! events of an erased subject. A damaged object, whose content nobody knows whole, stays. An older version
//! goes by what is in it, and with its current one at the latest: what its consumer replaced before it was ever
//! compacted counts as withdrawn.

mod apply;
mod blocked;
mod forecast;
mod ledger;
pub mod lifecycle;
mod logs;
mod own_files;
mod raw;
mod removal;
mod spared;
mod straddling;
mod uploads;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;

use crate::lake::facts::{DatasetFacts, Grace, TableFacts};
use crate::lake::hold::Held;
use crate::lake::ledger::KnownObject;
use crate::lake::rows::is_redacted;
use crate::lake::s3::ObjectVersion;
use crate::lake::subject::kept_by_law;
use crate::lake::tables::DataFile;
use crate::plan::{Action, Due, Purge, Retain, RetainCurated, Step, megabytes, total_size};
use crate::policy::{CuratedPolicy, DatasetPolicy, OnErasure, RetentionPolicy};

pub use apply::{Late, Retained, RetentionError, apply, apply_curated, purge, remove};
pub use blocked::Blocked;
pub use forecast::forecast;
pub use ledger::{plan_ledger, trim_ledger};
pub use logs::{clean_log, plan_log};
pub use own_files::{plan_replaced, plan_reports, replaced};
pub use raw::{RawRule, due_keys, unknown};
pub use removal::Removal;
pub use spared::{NOTHING_SPARED, Rest, Spared, spared};
pub use straddling::{Straddling, raw_rules, straddling_files};
pub use uploads::abandoned;

/// The step that takes out of a dataset what is too old. `straddling` are the table files of the line's own
/// day that hold older rows; `compactions` are tonight's, which may bring more to trim. What is `blocked`
/// stays.
pub fn plan(
    raw_rule: &RawRule<'_>,
    straddling: &Straddling,
    held: &Held,
    spared: &Spared,
    compactions: &[String],
    blocked: &Blocked,
) -> Option<Step> {
    let RawRule {
        policy, facts, now, ..
    } = *raw_rule;
    let keep_from = policy.retention.horizon(now);
    let first_day = keep_from.first_day();
    let mut files = too_old(&facts.events, first_day);
    files.extend(no_longer_kept_by_law(policy, facts, first_day, now));
    files.retain(|file| !held.holds(file.event_date));
    let (files, partly) = spared.part(files);
    let straddling = if held.holds(first_day) {
        &Straddling::default()
    } else {
        straddling
    };
    let (raw, trim) = raw_rule.fates(held);
    let (mut raw, mut trim) = less_spared(raw, trim, spared);
    let mut quarantine = old_quarantine(policy, facts, held, now);
    quarantine.retain(|version| !spared.quarantine.contains(&version.key));
    for versions in [&mut raw, &mut trim, &mut quarantine] {
        blocked.spare(versions);
    }
    let nothing = files.is_empty()
        && partly.is_empty()
        && straddling.files.is_empty()
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
            partly.len() + straddling.files.len(),
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
            partly,
            straddling: straddling.files.clone(),
            straddling_rows: straddling.rows,
            raw,
            trim,
            quarantine,
            held: held.clone(),
            older: raw::with_older_versions(facts),
            after: compactions.to_vec(),
        }),
    })
}

/// What goes whole and what is trimmed, less what stays for held people.
fn less_spared(
    mut gone: Vec<ObjectVersion>,
    mut trimmed: Vec<ObjectVersion>,
    spared: &Spared,
) -> (Vec<ObjectVersion>, Vec<ObjectVersion>) {
    let rest = |version: &ObjectVersion| spared.raw.get(&version.key);
    let partly = gone.extract_if(.., |version| rest(version).is_some());
    trimmed.extend(partly);
    trimmed.retain(|version| rest(version) != Some(&Rest::Stays));
    trimmed.sort();
    (gone, trimmed)
}

/// The step that takes out of a curated table what is too old.
pub fn plan_curated(
    policy: &CuratedPolicy,
    facts: &TableFacts,
    held: &Held,
    spared: &Spared,
    now: DateTime<Utc>,
) -> Option<Step> {
    let keep_from = policy.retention.horizon(now).first_day();
    let mut files = too_old(facts, keep_from);
    files.retain(|file| !held.holds(file.event_date));
    let (files, partly) = spared.part(files);
    (!files.is_empty() || !partly.is_empty()).then(|| Step {
        id: format!("retain-{}", policy.table),
        why: format!(
            "retain {} from {keep_from} on ({}): {} table files go, {} are trimmed",
            policy.table,
            policy.retention.keep,
            files.len(),
            partly.len()
        ),
        action: Action::RetainCurated(RetainCurated {
            table: policy.table.clone(),
            keep_from,
            files,
            partly,
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
    let first_day = policy.retention.horizon(now).first_day();
    let days = facts.events.files.iter().map(|file| file.event_date);
    let staying = days.filter(|day| *day >= first_day && !held.holds(*day));
    if let Some(first) = staying.min() {
        due.push(Due {
            at: policy.retention.leaves_at(first),
            what: format!(
                "events of {first} leave {} ({})",
                policy.name, policy.retention.keep
            ),
        });
    }
    if let OnErasure::Redact(redaction) = &policy.pii.on_erasure {
        let redacted = facts.events.files.iter().filter(|file| {
            is_redacted(&file.path) && file.event_date >= first_day && !held.holds(file.event_date)
        });
        let rule = RetentionPolicy {
            keep: redaction.keep,
            zone: Tz::UTC,
        };
        let next = redacted.map(|file| rule.leaves_at(file.event_date)).min();
        due.extend(next.map(|at| Due {
            at,
            what: format!(
                "redacted rows leave {}, which a law wants kept {}",
                policy.name, redaction.keep
            ),
        }));
    }
    if let Some(keep) = policy.raw.keep {
        let next = still_there(facts, blocked)
            .filter(|compacted| !compacted.damaged)
            .filter(|compacted| !held.may_hold(compacted.first_date, compacted.last_date))
            .map(|compacted| keep.after(compacted.at))
            // What is due by now goes tonight, or is held by something that says so.
            .filter(|at| *at > now)
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
        return Box::new(facts.ledger.unreplaced());
    }
    let there = facts.raw.iter().filter(|version| !blocked.holds(version));
    Box::new(there.filter_map(|version| facts.ledger.compacted(&version.key, &version.etag)))
}
