//! Files of the program's own, under `system/`: reports of runs.
//!
//! The audit log and the certificates stay: they are the proof that erasures were carried out, they name
//! nobody, and whoever mends them needs their older versions.

use chrono::{DateTime, NaiveDateTime, Utc};

use crate::lake::facts::Places;
use crate::lake::s3::ObjectVersion;
use crate::plan::{Action, Purge, Step, megabytes, total_size};
use crate::policy::Span;

/// What purges of reports name as their owner.
const REPORTS: &str = "run reports";
/// How the names of runs begin.
const TIME_OF_RUN: &str = "%Y%m%dT%H%M%SZ";

/// The step that removes the reports of runs that took place `keep` ago or earlier. `system`: all that lies
/// under `system/`.
pub fn plan_reports(
    places: &Places,
    system: &[ObjectVersion],
    keep: Span,
    now: DateTime<Utc>,
) -> Option<Step> {
    let folder = places.system("reports/").prefix;
    let is_old = |version: &&ObjectVersion| {
        let run = version.key.strip_prefix(&folder).and_then(time_of_run);
        run.is_some_and(|at| keep.after(at) <= now)
    };
    let versions: Vec<ObjectVersion> = system.iter().filter(is_old).cloned().collect();
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
        let step = plan_reports(&places, &system, keep, at("2026-11-20T03:00:00Z"));
        let Some(Action::Purge(purge)) = step.map(|step| step.action) else {
            panic!("one is two years old");
        };
        assert_eq!(purge.versions, system[..1]);
        let earlier = at("2026-11-20T02:59:59Z");
        assert_eq!(plan_reports(&places, &system, keep, earlier), None);
    }
}
