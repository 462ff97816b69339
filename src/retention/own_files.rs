//! Files of the program's own: reports of runs, and older versions of what is written in place.
//!
//! An older version goes when readers had their time with it, but not within a day, so that a person can put
//! it back; and only if something else is there in its place: what lies under a delete marker was deleted by
//! somebody, and is left to them. The lease and the marks of discovery look after their own.
//!
//! The audit log and the certificates stay with all their versions: they are the proof that erasures were
//! carried out, they name nobody, and whoever mends them needs the older ones. The ledger is never written
//! twice.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use super::Blocked;
use crate::lake::facts::Places;
use crate::lake::s3::{ObjectVersion, by_key};
use crate::plan::{Action, Purge, Step, megabytes, total_size};
use crate::policy::Span;

/// What purges of reports name as their owner.
const REPORTS: &str = "run reports";
/// What purges of replaced versions name as their owner.
const REPLACED: &str = "replaced versions";
/// Where under `system/` objects are written in place.
const WRITTEN_IN_PLACE: [&str; 3] = ["erasure/requests/", "erasure/suppression/", "holds/"];
/// How the names of runs begin.
const TIME_OF_RUN: &str = "%Y%m%dT%H%M%SZ";

/// The step that removes the reports of runs that took place `keep` ago or earlier. `system`: all that lies
/// under `system/`.
pub fn plan_reports(
    places: &Places,
    system: &[ObjectVersion],
    keep: Span,
    blocked: &Blocked,
    now: DateTime<Utc>,
) -> Option<Step> {
    let folder = places.system("reports/").prefix;
    let is_old = |version: &&ObjectVersion| {
        let run = version.key.strip_prefix(&folder).and_then(time_of_run);
        run.is_some_and(|at| keep.after(at) <= now)
    };
    let mut versions: Vec<ObjectVersion> = system.iter().filter(is_old).cloned().collect();
    blocked.spare(&mut versions);
    (!versions.is_empty()).then(|| Step {
        id: "purge-reports".into(),
        why: format!(
            "purge {} object versions of run reports ({}): they are older than {keep}",
            versions.len(),
            megabytes(total_size(&versions))
        ),
        action: Action::Purge(Purge {
            owner: REPORTS.into(),
            versions,
            after: Vec::new(),
        }),
    })
}

/// The step that removes older versions of what is written in place under `system/`, less `others`, which
/// another step removes.
pub fn plan_replaced(
    places: &Places,
    system: &[ObjectVersion],
    others: &[ObjectVersion],
    grace: Span,
    blocked: &Blocked,
    now: DateTime<Utc>,
) -> Option<Step> {
    let folders = WRITTEN_IN_PLACE.map(|folder| places.system(folder).prefix);
    let in_place = system.iter().filter(|version| {
        let mut folders = folders.iter();
        folders.any(|folder| version.key.starts_with(folder))
    });
    let mut versions = replaced(in_place, grace, now);
    versions.retain(|version| !others.contains(version));
    blocked.spare(&mut versions);
    (!versions.is_empty()).then(|| Step {
        id: "purge-replaced".into(),
        why: format!(
            "purge {} older versions of erasure requests, holds and the suppression list: newer ones took their place",
            versions.len()
        ),
        action: Action::Purge(Purge {
            owner: REPLACED.into(),
            versions,
            after: Vec::new(),
        }),
    })
}

/// Of `versions`, in key order and newest first, those that a newer one replaced long enough ago, and delete
/// markers that hide nothing.
pub fn replaced<'a>(
    versions: impl Iterator<Item = &'a ObjectVersion>,
    grace: Span,
    now: DateTime<Utc>,
) -> Vec<ObjectVersion> {
    let versions: Vec<ObjectVersion> = versions.cloned().collect();
    let is_over = |since| grace.after(since) <= now && since + TimeDelta::days(1) <= now;
    let mut gone = Vec::new();
    for same_key in by_key(&versions).into_values() {
        match same_key.as_slice() {
            [marker] if marker.marker => {
                gone.extend(is_over(marker.last_modified).then(|| (*marker).clone()));
            }
            [current, ..] if current.latest && !current.marker => {
                let successors = same_key.iter().zip(same_key.iter().skip(1));
                let goes = successors.filter(|(newer, _)| is_over(newer.last_modified));
                gone.extend(goes.map(|(_, older)| (*older).clone()));
            }
            _ => {}
        }
    }
    gone
}

/// The time of the run whose report has this name.
fn time_of_run(name: &str) -> Option<DateTime<Utc>> {
    let (time, _) = name.split_once('-')?;
    let time = NaiveDateTime::parse_from_str(time, TIME_OF_RUN).ok()?;
    Some(time.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn stored(key: &str) -> ObjectVersion {
        ObjectVersion {
            key: key.into(),
            version: "1".into(),
            etag: "etag".into(),
            size: 1,
            latest: true,
            marker: false,
            last_modified: at("2020-01-01T00:00:00Z"),
        }
    }

    #[test]
    fn a_report_is_as_old_as_its_run() {
        let system = [
            "lake/system/reports/20241120T030000Z-0badcafe.json",
            "lake/system/reports/20241120T030001Z-0badcafe.json",
            "lake/system/reports/notes.json",
            "lake/system/reports/20201399T030000Z-0badcafe.json",
            "lake/system/audit/20201120T030000Z-0badcafe.json",
        ];
        let system = system.map(stored);
        let places = Places::new(&"s3://acme/lake/".parse().unwrap());
        let keep = "2 years".parse().unwrap();
        let step = plan_reports(
            &places,
            &system,
            keep,
            &Blocked::default(),
            at("2026-11-20T03:00:00Z"),
        );
        let Some(Action::Purge(purge)) = step.map(|step| step.action) else {
            panic!("one is two years old");
        };
        assert_eq!(purge.versions, system[..1]);
        let earlier = at("2026-11-20T02:59:59Z");
        assert_eq!(
            plan_reports(&places, &system, keep, &Blocked::default(), earlier),
            None
        );
    }

    /// Versions of a key, newest first, by the time at which they were written; `x` before it for a marker.
    fn versions(key: &str, times: &[&str]) -> Vec<ObjectVersion> {
        let version = |(number, time): (usize, &&str)| ObjectVersion {
            version: number.to_string(),
            latest: number == 0,
            marker: time.starts_with('x'),
            last_modified: at(time.trim_start_matches('x')),
            ..stored(key)
        };
        times.iter().enumerate().map(version).collect()
    }

    #[test]
    fn an_older_version_goes_a_grace_after_a_newer_one_came() {
        let now = at("2026-11-20T03:00:00Z");
        let goes = |grace: &str, times: &[&str]| {
            let versions = versions("a", times);
            let gone = replaced(versions.iter(), grace.parse().unwrap(), now);
            let ids = gone.into_iter().map(|version| version.version);
            ids.collect::<Vec<String>>().join(" ")
        };
        let (now, a_day_ago) = ("2026-11-20T03:00:00Z", "2026-11-19T03:00:00Z");
        let (later, long_ago) = ("2026-11-19T03:00:01Z", "2025-01-01T00:00:00Z");
        assert_eq!(goes("24 h", &[long_ago]), "");
        assert_eq!(goes("24 h", &[a_day_ago, long_ago]), "1");
        assert_eq!(goes("24 h", &[later, long_ago]), "");
        assert_eq!(goes("24 h", &[later, a_day_ago, long_ago]), "2");
        assert_eq!(goes("25 h", &[a_day_ago, long_ago]), "");
        // Not within a day, however short the grace.
        assert_eq!(goes("1 min", &[later, long_ago]), "");
        assert_eq!(goes("1 min", &[now, later, long_ago]), "");
        // Somebody deleted it.
        assert_eq!(goes("24 h", &["x2025-06-01T00:00:00Z", long_ago]), "");
        assert_eq!(goes("24 h", &["x2025-06-01T00:00:00Z"]), "0");
        assert_eq!(goes("24 h", &["x2026-11-19T04:00:00Z"]), "");
        // And put it back.
        let back = [a_day_ago, "x2025-06-01T00:00:00Z", long_ago];
        assert_eq!(goes("24 h", &back), "1 2");
    }

    #[test]
    fn the_proof_of_erasures_stays_with_all_its_versions() {
        let times = ["2026-06-01T00:00:00Z", "2026-05-01T00:00:00Z"];
        let keys = [
            "audit/0000000001.json",
            "erasure/certificates/a.json",
            "erasure/requests/a.json",
            "ledger/cart/000000000001.json",
        ];
        let system: Vec<ObjectVersion> = keys
            .iter()
            .flat_map(|key| versions(&format!("lake/system/{key}"), &times))
            .collect();
        let places = Places::new(&"s3://acme/lake/".parse().unwrap());
        let (grace, now) = ("24 h".parse().unwrap(), at("2026-11-20T03:00:00Z"));
        let step = plan_replaced(&places, &system, &[], grace, &Blocked::default(), now);
        let Some(Action::Purge(purge)) = step.map(|step| step.action) else {
            panic!("a request was replaced");
        };
        assert_eq!(purge.versions, system[5..6]);
        assert_eq!(
            plan_replaced(
                &places,
                &system,
                &system[5..6],
                grace,
                &Blocked::default(),
                now
            ),
            None
        );
    }
}
