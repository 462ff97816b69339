//! From when on what leaves the tables tonight is out of Snowflake too. Copies there are outside the lake:
//! somebody deletes the rows, and Snowflake keeps them for Time Travel and then for Fail-safe.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::audit::report::RunReport;
use crate::lake::last_run::LastRun;
use crate::plan::{Action, Due, Step};
use crate::policy::LakePolicy;

/// For what `steps` would remove.
pub fn planned(policy: &LakePolicy, steps: &[Step], now: DateTime<Utc>) -> Vec<Due> {
    let (mut aged, mut erased) = (BTreeSet::new(), BTreeSet::new());
    for step in steps {
        match &step.action {
            Action::Retain(action)
                if !(action.files.is_empty()
                    && action.partly.is_empty()
                    && action.straddling.is_empty()) =>
            {
                aged.insert(action.dataset.as_str());
            }
            Action::RetainCurated(action) => {
                aged.insert(&action.table);
            }
            Action::Erase(action) if !action.files.is_empty() => {
                erased.insert(action.dataset.as_str());
            }
            Action::EraseCurated(action) if !action.files.is_empty() => {
                erased.insert(&action.table);
            }
            _ => {}
        }
    }
    due(policy, &aged, &erased, now)
}

/// For what a run removed.
pub fn removed(policy: &LakePolicy, report: &RunReport) -> Vec<Due> {
    let (mut aged, mut erased) = (BTreeSet::new(), BTreeSet::new());
    let datasets = report.datasets.iter();
    let datasets = datasets.map(|(name, done)| (name, done.retired_rows, done.erased_rows));
    let curated = report.curated.iter();
    let curated = curated.map(|(name, done)| (name, done.retired_rows, done.erased_rows));
    for (name, retired_rows, erased_rows) in datasets.chain(curated) {
        if retired_rows > 0 {
            aged.insert(name.as_str());
        }
        if erased_rows > 0 {
            erased.insert(name.as_str());
        }
    }
    due(policy, &aged, &erased, report.now)
}

/// For what earlier runs removed.
pub fn open(seen: &LastRun, now: DateTime<Utc>) -> Vec<Due> {
    let open = seen.copies.iter().filter(|(at, _)| *at > now);
    let due = open.map(|(at, what)| Due {
        at: *at,
        what: what.clone(),
    });
    due.collect()
}

fn due(
    policy: &LakePolicy,
    aged: &BTreeSet<&str>,
    erased: &BTreeSet<&str>,
    now: DateTime<Utc>,
) -> Vec<Due> {
    let Some(snowflake) = policy.snowflake else {
        return Vec::new();
    };
    let at = snowflake.fail_safe.after(snowflake.time_travel.after(now));
    let mut due = Vec::new();
    for (tables, how) in [(aged, "leave by age"), (erased, "are erased")] {
        if tables.is_empty() {
            continue;
        }
        let tables: Vec<&str> = tables.iter().copied().collect();
        due.push(Due {
            at,
            what: format!(
                "rows of {} that {how} on {} are out of Snowflake's Time Travel and Fail-safe, if they are \
                 deleted there that day",
                tables.join(", "),
                now.format("%Y-%m-%d")
            ),
        });
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::report::{CuratedReport, DatasetReport};
    use crate::lake::hold::Held;
    use crate::lake::tables::DataFile;
    use crate::plan::Retain;
    use crate::policy::Policies;

    fn policies(more: &str) -> Policies {
        let lake = format!("version: 1\nlake: s3://lake/\nkey: {{ env: KEY }}\n{more}");
        let cart = "version: 1\ndataset: cart\nraw: { location: s3://raw/t/ }\nevents: { time: at }\n\
                    table: { sort_by: [id] }\nretention: { keep: 2 years }\npii: none\n";
        let files = [
            ("lake.yaml".to_owned(), lake),
            ("datasets/cart.yaml".to_owned(), cart.to_owned()),
        ];
        Policies::parse(&files).unwrap()
    }

    fn report(policies: &Policies) -> RunReport {
        let now = "2026-11-20T03:00:00Z".parse().unwrap();
        let mut report = RunReport::new("run", now, "plan", policies);
        let cart = DatasetReport {
            retired_rows: 2,
            erased_rows: 1,
            ..DatasetReport::default()
        };
        let funnel = CuratedReport {
            retired_rows: 1,
            ..CuratedReport::default()
        };
        report.datasets.insert("cart".into(), cart);
        report
            .datasets
            .insert("payment".into(), DatasetReport::default());
        report.curated.insert("funnel".into(), funnel);
        report
    }

    #[test]
    fn rows_that_leave_beside_a_held_persons_are_told_by_the_plan_too() {
        let policies = policies("snowflake: { time_travel: 1 day }\n");
        let now: DateTime<Utc> = "2026-11-20T03:00:00Z".parse().unwrap();
        let file = DataFile {
            path: "event_date=2024-11-19/a.parquet".into(),
            event_date: "2024-11-19".parse().unwrap(),
            size: 10,
            rows: 2,
        };
        let retain = |partly| Step {
            id: "retain-cart".into(),
            why: String::new(),
            action: Action::Retain(Retain {
                dataset: "cart".into(),
                keep_from: now.into(),
                files: Vec::new(),
                partly,
                straddling: Vec::new(),
                straddling_rows: 0,
                raw: Vec::new(),
                trim: Vec::new(),
                quarantine: Vec::new(),
                held: Held::default(),
                older: Vec::new(),
                after: Vec::new(),
            }),
        };
        let told = planned(&policies.lake, &[retain(vec![file])], now);
        let lines: Vec<String> = told.iter().map(ToString::to_string).collect();
        let expected = "due 2026-11-28 03:00 UTC: rows of cart that leave by age on 2026-11-20 are out of Snowflake's \
                        Time Travel and Fail-safe, if they are deleted there that day";
        assert_eq!(lines, [expected]);
        assert_eq!(planned(&policies.lake, &[retain(Vec::new())], now), []);
    }

    #[test]
    fn rows_are_out_of_snowflake_after_time_travel_and_fail_safe() {
        let told = |more: &str| {
            let policies = policies(more);
            let due = removed(&policies.lake, &report(&policies));
            let lines = due.iter().map(ToString::to_string);
            lines.collect::<Vec<String>>()
        };
        let lines = |at: &str| {
            [("cart, funnel", "leave by age"), ("cart", "are erased")].map(|(tables, how)| {
                format!(
                    "due {at} 03:00 UTC: rows of {tables} that {how} on 2026-11-20 are out of Snowflake's Time Travel \
                     and Fail-safe, if they are deleted there that day"
                )
            })
        };
        assert_eq!(
            told("snowflake: { time_travel: 1 day }\n"),
            lines("2026-11-28")
        );
        let longest = "snowflake: { time_travel: 90 days, fail_safe: 7 days }\n";
        assert_eq!(told(longest), lines("2027-02-25"));
        let transient = "snowflake: { time_travel: 0 days, fail_safe: 0 days }\n";
        assert_eq!(told(transient), lines("2026-11-20"));
        assert_eq!(told(""), [""; 0]);
    }
}
