//! What leaves by age in the days to come, as the lake is now.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::raw::outlives;
use super::{Blocked, NOTHING_SPARED, RawRule, Spared};
use crate::lake::facts::{DatasetFacts, Facts, TableFacts};
use crate::lake::hold::{Held, Hold};
use crate::lake::ledger::KnownObject;
use crate::lake::tables::DataFile;
use crate::plan::{Forecast, Leaving};
use crate::policy::{DatasetPolicy, Policies, RetentionPolicy};

/// How far ahead, in days.
const AHEAD: [u32; 3] = [7, 30, 90];

/// What leaves within 7, 30 and 90 days, each with what came before; less what is held, and what is `blocked`,
/// which has dates of its own. Of the raw objects that are too old only later nobody has looked yet whether they
/// are locked, or hold something of held people.
pub fn forecast(
    policies: &Policies,
    facts: &Facts,
    holds: &[Hold],
    spared: &BTreeMap<String, Spared>,
    blocked: &Blocked,
    now: DateTime<Utc>,
) -> Vec<Forecast> {
    let spared = |name: &str| spared.get(name).unwrap_or(&NOTHING_SPARED);
    let within = |days: &u32| {
        let at = now + TimeDelta::days(i64::from(*days));
        let mut leaving = BTreeMap::new();
        for policy in &policies.datasets {
            let name = &policy.name;
            if let Some(facts) = facts.datasets.get(name) {
                let dataset = Dataset {
                    policy,
                    facts,
                    held: Held::of(holds, name),
                    spared: spared(name),
                    blocked,
                    now,
                };
                leaving.insert(name.clone(), dataset.leaving(at));
            }
        }
        for policy in &policies.curated {
            let name = &policy.table;
            if let Some(table) = facts.curated.get(name) {
                let held = Held::of(holds, name);
                let gone = of_table(policy.retention, table, &held, spared(name), at);
                leaving.insert(name.clone(), gone);
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

struct Dataset<'a> {
    policy: &'a DatasetPolicy,
    facts: &'a DatasetFacts,
    held: Held,
    spared: &'a Spared,
    blocked: &'a Blocked,
    now: DateTime<Utc>,
}

impl Dataset<'_> {
    fn leaving(&self, at: DateTime<Utc>) -> Leaving {
        let Self {
            policy,
            facts,
            held,
            spared,
            blocked,
            ..
        } = self;
        let mut leaving = of_table(policy.retention, &facts.events, held, spared, at);
        let first_day = policy.retention.horizon(at).first_day();
        for file in super::no_longer_kept_by_law(policy, facts, first_day, at) {
            if !held.holds(file.event_date) && spared.rows_of(&file).is_none() {
                leaving.events += file.rows;
                leaving.objects += 1;
                leaving.bytes += file.size;
            }
        }
        let sizes = if facts.discovery.coverage.is_everything() {
            self.listed(at)
        } else {
            self.known(at)
        };
        let mut quarantine = super::old_quarantine(policy, facts, held, at);
        quarantine.retain(|version| !spared.quarantine.contains(&version.key));
        blocked.spare(&mut quarantine);
        for size in sizes
            .into_iter()
            .chain(quarantine.iter().map(|version| version.size))
        {
            leaving.objects += 1;
            leaving.bytes += size;
        }
        leaving
    }

    /// Sizes of raw object versions that go whole by `at`, by the rule that a night goes by.
    fn listed(&self, at: DateTime<Utc>) -> Vec<u64> {
        let rule = RawRule {
            policy: self.policy,
            facts: self.facts,
            straddling: BTreeSet::new(),
            now: at,
        };
        let (mut gone, _) = rule.all_fates(&self.held);
        gone.retain(|version| !version.marker && !self.spared.raw.contains_key(&version.key));
        self.blocked.spare(&mut gone);
        gone.iter().map(|version| version.size).collect()
    }

    /// The same by the ledger alone, where not all raw objects were looked for. Those whose time is over have
    /// gone long ago.
    fn known(&self, at: DateTime<Utc>) -> Vec<u64> {
        let policy = self.policy;
        let stays = |object: &KnownObject, at| outlives(policy, object, at);
        let free = self
            .facts
            .ledger
            .unreplaced()
            .filter(|object| !self.held.may_hold(object.first_date, object.last_date));
        let leaving = free.filter(|object| stays(object, self.now) && !stays(object, at));
        leaving.map(|object| object.size).collect()
    }
}

fn of_table(
    retention: RetentionPolicy,
    table: &TableFacts,
    held: &Held,
    spared: &Spared,
    at: DateTime<Utc>,
) -> Leaving {
    let first_day = retention.horizon(at).first_day();
    let mut leaving = Leaving::default();
    let leaves = |file: &&DataFile| file.event_date < first_day && !held.holds(file.event_date);
    for file in table.files.iter().filter(leaves) {
        if let Some(hits) = spared.rows_of(file) {
            leaving.events += file.rows - hits.rows().min(file.rows);
            continue;
        }
        leaving.events += file.rows;
        leaving.objects += 1;
        leaving.bytes += file.size;
    }
    leaving
}
