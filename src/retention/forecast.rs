//! What leaves by age in the days to come, as the lake is now.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::raw::outlives;
use super::{Blocked, still_there};
use crate::lake::facts::{DatasetFacts, Facts, TableFacts};
use crate::lake::hold::{Held, Hold};
use crate::lake::ledger::KnownObject;
use crate::lake::tables::DataFile;
use crate::plan::{Forecast, Leaving};
use crate::policy::{DatasetPolicy, Policies, RetentionPolicy};

/// How far ahead, in days.
const AHEAD: [u32; 3] = [7, 30, 90];

/// What leaves within 7, 30 and 90 days, each with what came before; less what is `blocked`, which has dates
/// of its own.
pub fn forecast(
    policies: &Policies,
    facts: &Facts,
    holds: &[Hold],
    blocked: &Blocked,
    now: DateTime<Utc>,
) -> Vec<Forecast> {
    let within = |days: &u32| {
        let at = now + TimeDelta::days(i64::from(*days));
        let mut leaving = BTreeMap::new();
        for policy in &policies.datasets {
            let held = Held::of(holds, &policy.name);
            if let Some(facts) = facts.datasets.get(&policy.name) {
                leaving.insert(
                    policy.name.clone(),
                    of_dataset(policy, facts, &held, blocked, now, at),
                );
            }
        }
        for policy in &policies.curated {
            if let Some(table) = facts.curated.get(&policy.table) {
                let held = Held::of(holds, &policy.table);
                let gone = of_table(policy.retention, table, &held, at);
                leaving.insert(policy.table.clone(), gone);
            }
        }
        leaving.retain(|_, leaving| *leaving != Leaving::default());
        Forecast {
            days: *days,
            leaving,
        }
    };
    AHEAD.iter().map(within).collect()
}

fn of_dataset(
    policy: &DatasetPolicy,
    facts: &DatasetFacts,
    held: &Held,
    blocked: &Blocked,
    now: DateTime<Utc>,
    at: DateTime<Utc>,
) -> Leaving {
    let mut leaving = of_table(policy.retention, &facts.events, held, at);
    let first_day = policy.retention.horizon(at).first_day();
    // Where not all raw objects were looked for, those whose time is over have gone long ago.
    let today = policy.retention.horizon(now).first_day();
    let is_gone = |object: &KnownObject| {
        !facts.discovery.coverage.is_everything() && !outlives(policy, object, today, now)
    };
    let objects = still_there(facts, blocked);
    for object in objects.filter(|object| !held.may_hold(object.first_date, object.last_date)) {
        if !outlives(policy, object, first_day, at) && !is_gone(object) {
            leaving.objects += 1;
            leaving.bytes += object.size;
        }
    }
    let mut quarantine = super::old_quarantine(policy, facts, held, at);
    blocked.spare(&mut quarantine);
    for object in quarantine {
        leaving.objects += 1;
        leaving.bytes += object.size;
    }
    leaving
}

fn of_table(
    retention: RetentionPolicy,
    table: &TableFacts,
    held: &Held,
    at: DateTime<Utc>,
) -> Leaving {
    let first_day = retention.horizon(at).first_day();
    let mut leaving = Leaving::default();
    let leaves = |file: &&DataFile| file.event_date < first_day && !held.holds(file.event_date);
    for file in table.files.iter().filter(leaves) {
        leaving.events += file.rows;
        leaving.objects += 1;
        leaving.bytes += file.size;
    }
    leaving
}
