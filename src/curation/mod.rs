//! Curation: curated tables by DataFusion SQL over event tables and other curated tables.
//!
//! A curated table remembers, as application transactions of its own commits, the version of each input
//! that it was made from and its query. What the inputs' logs say changed since then is what has to be made
//! anew, partition by partition; so late events, erasures and retention all reach it in the same way. Days that
//! are held, and those that are too old, are left to the steps that know about them.
//!
//! Hazard: SQL folds unquoted names to lower case by default, and events have camelCase fields; that is
//! off here.

mod apply;

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest::{SHA256, digest};
use chrono::{NaiveDate, NaiveTime, TimeDelta};
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::lake::facts::Facts;
use crate::lake::hold::{Held, Hold};
use crate::lake::tables::{Table, TableError};
use crate::plan::{Action, Curate, Step};
use crate::policy::{CuratedPolicy, Incremental, Policies, RetentionPolicy, Span};

pub use apply::{Curated, apply};

/// Why a curated table could not be made. The table stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum CurationError {
    /// The query or a check.
    #[error("could not make curated table {table}: {reason}; correct its .sql file")]
    Query {
        /// The table.
        table: String,
        /// What DataFusion says.
        reason: String,
    },
    /// A check does not hold.
    #[error("curated table {table} breaks its check `{check}` in {rows} rows; it stays as it was")]
    Check {
        /// The table.
        table: String,
        /// The check.
        check: String,
        /// How many rows.
        rows: u64,
    },
    /// The query ran into its data.
    #[error(
        "could not make curated table {0}: its query failed on its data; run it in an SQL client to see why \
         (the reason may quote events, so it is not repeated here)"
    )]
    Data(String),
    /// Rows of days that are not made anew.
    #[error(
        "could not make curated table {table}: from the events of some days its query makes rows of {day}; \
         write `incremental: full`"
    )]
    OtherDay {
        /// The table.
        table: String,
        /// The day.
        day: NaiveDate,
    },
    /// A table that would outlive what it is made from.
    #[error(
        "curated table {table} is kept {keep}, longer than its input {input} ({input_keep}): days would be made \
         anew without that input; keep it no longer"
    )]
    Outlives {
        /// The table.
        table: String,
        /// How long it is kept.
        keep: Span,
        /// The input.
        input: String,
        /// How long that is kept.
        input_keep: Span,
    },
    /// A table whose days end later than those of what it is made from.
    #[error(
        "the days of curated table {table} are those of {zone}, and end later than those of its input {input} \
         ({input_zone}): its oldest day would be made anew from what is left of that; write \
         `zone: {input_zone}` under its `retention`, or keep it shorter"
    )]
    EndsLater {
        /// The table.
        table: String,
        /// Where its days are counted.
        zone: String,
        /// The input.
        input: String,
        /// Where the input's are.
        input_zone: String,
    },
    /// Tables that read each other.
    #[error("curated tables {0} read each other; break the circle")]
    Circle(String),
    /// A table operation.
    #[error("{0}")]
    Table(#[from] TableError),
    /// An S3 request.
    #[error("{0}")]
    Store(#[from] crate::lake::error::S3Error),
    /// Parquet.
    #[error("could not write curated table {table}: {reason}")]
    Parquet {
        /// The table.
        table: String,
        /// Why.
        reason: String,
    },
}

/// What has to be made anew of a curated table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Staleness {
    /// Nothing.
    Fresh,
    /// These days.
    Days(BTreeSet<NaiveDate>),
    /// All of it, and why.
    All(&'static str),
    /// Nothing yet: these inputs are not there.
    Waiting(Vec<String>),
}

/// The inputs and the staleness of every curated table, in the order in which they are made.
#[derive(Debug, Default)]
pub struct Lineage {
    tables: Vec<Curatable>,
    /// Tables that cannot be made, and why. They stop nothing else.
    pub broken: Vec<String>,
}

#[derive(Debug)]
struct Curatable {
    table: String,
    inputs: BTreeSet<String>,
    stale: Staleness,
    /// Days that stay as they are.
    held: Held,
    /// The versions of its inputs that it was made from, as far as it remembers.
    made_from: BTreeMap<String, u64>,
}

impl Lineage {
    /// The first commit of `input` that a curated table has not looked at. Tables that `changing` steps of
    /// tonight make look at all of them.
    pub fn read_from(&self, input: &str, changing: &BTreeMap<String, Vec<String>>) -> Option<u64> {
        self.tables
            .iter()
            .filter(|curatable| {
                let steps = changing.get(&curatable.table);
                let curated = curate_step(&curatable.table);
                !steps.is_some_and(|steps| steps.contains(&curated))
            })
            .filter_map(|curatable| curatable.made_from.get(input))
            .map(|made_from| made_from + 1)
            .min()
    }
}

fn curate_step(table: &str) -> String {
    format!("curate-{table}")
}

/// Looks at what each curated table was made from.
pub async fn lineage(
    policies: &Policies,
    facts: &Facts,
    holds: &[Hold],
) -> Result<Lineage, CurationError> {
    let mut lineage = Lineage::default();
    let mut waiting: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for policy in &policies.curated {
        match checked_inputs(policies, policy) {
            Ok(inputs) => {
                waiting.insert(&policy.table, inputs);
            }
            Err(error) => lineage.broken.push(error.to_string()),
        }
    }
    while !waiting.is_empty() {
        let ready = |inputs: &BTreeSet<String>| {
            !inputs
                .iter()
                .any(|input| waiting.contains_key(input.as_str()))
        };
        let next = waiting
            .iter()
            .find(|(_, inputs)| ready(inputs))
            .map(|(table, _)| *table);
        let Some(policy) = policies
            .curated
            .iter()
            .find(|policy| Some(policy.table.as_str()) == next)
        else {
            let names: Vec<&str> = waiting.keys().copied().collect();
            lineage
                .broken
                .push(CurationError::Circle(names.join(", ")).to_string());
            break;
        };
        let inputs = waiting.remove(policy.table.as_str()).unwrap_or_default();
        let held = Held::of(holds, &policy.table);
        lineage.tables.push(Curatable {
            stale: staleness(policy, &inputs, facts, &held).await?,
            held,
            made_from: made_from(policy, &inputs, facts).await?,
            table: policy.table.clone(),
            inputs,
        });
    }
    Ok(lineage)
}

/// The steps that make anew what is stale, or what `changing` steps (by table) of tonight will make so, and by
/// table the days that rows are `erased` from: some of these may be made of what happened since.
pub fn plan(
    policies: &Policies,
    lineage: &Lineage,
    changing: &BTreeMap<String, Vec<String>>,
    erased: &BTreeMap<String, BTreeSet<NaiveDate>>,
) -> (Vec<Step>, Vec<String>) {
    let (mut steps, mut findings) = (Vec::new(), Vec::new());
    let mut changing = changing.clone();
    for curatable in &lineage.tables {
        let Some(policy) = policies
            .curated
            .iter()
            .find(|policy| policy.table == curatable.table)
        else {
            continue;
        };
        let after: Vec<String> = curatable
            .inputs
            .iter()
            .filter_map(|input| changing.get(input))
            .flatten()
            .cloned()
            .collect();
        let missing = match &curatable.stale {
            Staleness::Waiting(missing) => missing
                .iter()
                .filter(|input| !changing.contains_key(*input))
                .collect(),
            _ => Vec::new(),
        };
        if let Some(input) = missing.first() {
            findings.push(format!(
                "curated table {} waits for {input}, which is not there yet",
                policy.table
            ));
            continue;
        }
        let erased = erased.get(&policy.table).cloned().unwrap_or_default();
        if let Some(step) = step(policy, curatable, &erased, after) {
            changing
                .entry(policy.table.clone())
                .or_default()
                .push(step.id.clone());
            steps.push(step);
        }
    }
    (steps, findings)
}

fn step(
    policy: &CuratedPolicy,
    curatable: &Curatable,
    erased: &BTreeSet<NaiveDate>,
    after: Vec<String>,
) -> Option<Step> {
    let table = &policy.table;
    let is_full = policy.incremental == Incremental::Full;
    let (days, why) = match &curatable.stale {
        Staleness::Fresh if is_full && !erased.is_empty() => {
            (None, "all days: rows are erased from some".to_owned())
        }
        Staleness::Fresh if !erased.is_empty() => (
            Some(erased.clone()),
            format!("{} days that rows are erased from", erased.len()),
        ),
        Staleness::Fresh | Staleness::Waiting(_) if after.is_empty() => return None,
        Staleness::Fresh => (
            Some(BTreeSet::new()),
            "the days that the steps above change".to_owned(),
        ),
        Staleness::Waiting(_) => (None, "all days: the table is new".to_owned()),
        Staleness::Days(days) => (
            Some(days | erased),
            format!("{} days whose events have changed", days.len()),
        ),
        Staleness::All(reason) => (None, format!("all days: {reason}")),
    };
    Some(Step {
        id: curate_step(table),
        why: format!("curate {table}: {why}"),
        action: Action::Curate(Curate {
            table: table.clone(),
            days,
            held: curatable.held.clone(),
            after,
        }),
    })
}

/// What has to be made anew of `policy`'s table, of which `held` days stay as they are. What changed in their
/// inputs meanwhile is seen once something else is held: then all is made anew.
pub async fn staleness(
    policy: &CuratedPolicy,
    inputs: &BTreeSet<String>,
    facts: &Facts,
    held: &Held,
) -> Result<Staleness, TableError> {
    let mut present: Vec<(&String, &Table)> = Vec::new();
    let mut missing = Vec::new();
    for input in inputs {
        match facts.table(input).and_then(|facts| facts.table.as_ref()) {
            Some(table) => present.push((input, table)),
            None => missing.push(input.clone()),
        }
    }
    if !missing.is_empty() {
        return Ok(Staleness::Waiting(missing));
    }
    let Some(table) = facts
        .table(&policy.table)
        .and_then(|facts| facts.table.as_ref())
    else {
        return Ok(Staleness::All("the table is new"));
    };
    if table.transaction(QUERY).await? != Some(query_version(policy, held)) {
        return Ok(Staleness::All(
            "its query has changed, or what of it is held",
        ));
    }
    let mut days = BTreeSet::new();
    for (input, input_table) in present {
        let Some(made_from) = table.transaction(&input_transaction(input)).await? else {
            return Ok(Staleness::All("it reads a new input"));
        };
        match input_table.days_changed_since(made_from).await? {
            Some(changed) => days.extend(changed),
            None => {
                return Ok(Staleness::All(
                    "an input's log no longer tells what changed",
                ));
            }
        }
    }
    match (days.is_empty(), policy.incremental) {
        (true, _) => Ok(Staleness::Fresh),
        (false, Incremental::ByPartition) => Ok(Staleness::Days(days)),
        (false, Incremental::Full) => Ok(Staleness::All("its inputs have changed")),
    }
}

/// The versions of its inputs that `policy`'s table was made from, as far as it remembers.
async fn made_from(
    policy: &CuratedPolicy,
    inputs: &BTreeSet<String>,
    facts: &Facts,
) -> Result<BTreeMap<String, u64>, TableError> {
    let mut versions = BTreeMap::new();
    let facts = facts.table(&policy.table);
    if let Some(table) = facts.and_then(|facts| facts.table.as_ref()) {
        for input in inputs {
            if let Some(version) = table.transaction(&input_transaction(input)).await? {
                versions.insert(input.clone(), version);
            }
        }
    }
    Ok(versions)
}

/// The application id under which a curated table remembers its query.
const QUERY: &str = "lakewarden/query";

/// The application id under which a curated table remembers the version of an input.
fn input_transaction(input: &str) -> String {
    format!("lakewarden/input/{input}")
}

/// A number that changes with the query, and with what is held.
fn query_version(policy: &CuratedPolicy, held: &Held) -> u64 {
    let mut text = policy.query.clone();
    if !held.is_nothing() {
        text.push_str(&held.to_string());
    }
    let hash = digest(&SHA256, text.as_bytes());
    let number = hash
        .as_ref()
        .iter()
        .take(8)
        .fold(0, |number, byte| number << 8 | u64::from(*byte));
    // Delta's transaction versions are signed.
    number >> 1
}

/// Holds the queries of all curated tables against the rest of the policies.
pub fn check(policies: &Policies) -> Result<(), CurationError> {
    policies
        .curated
        .iter()
        .try_for_each(|policy| checked_inputs(policies, policy).map(|_| ()))
}

/// The tables that a query reads, none of which may be kept shorter than the table made from it.
fn checked_inputs(
    policies: &Policies,
    policy: &CuratedPolicy,
) -> Result<BTreeSet<String>, CurationError> {
    // Any day will do: of two calendar spans the longer one reaches further back from all of them.
    let today = NaiveDate::default();
    let RetentionPolicy { keep, zone } = policy.retention;
    let inputs = inputs(policy)?;
    for input in &inputs {
        let curated = policies.curated.iter().find(|other| other.table == *input);
        let retention = policies.dataset(input).map(|dataset| dataset.retention);
        let Some(retention) = retention.or(curated.map(|curated| curated.retention)) else {
            continue;
        };
        if keep.before_date(today) < retention.keep.before_date(today) {
            return Err(CurationError::Outlives {
                table: policy.table.clone(),
                keep,
                input: input.clone(),
                input_keep: retention.keep,
            });
        }
        if ends_later(policy.retention, retention) {
            return Err(CurationError::EndsLater {
                table: policy.table.clone(),
                zone: zone.to_string(),
                input: input.clone(),
                input_zone: retention.zone.to_string(),
            });
        }
    }
    Ok(inputs)
}

/// Whether at any hour something is kept by `table`'s rule that is not by `input`'s. Every third day of a year
/// meets all that zones do to their clocks.
fn ends_later(table: RetentionPolicy, input: RetentionPolicy) -> bool {
    let begin = NaiveDate::from_ymd_opt(2024, 1, 1).unwrap_or_default();
    let days = begin.iter_days().take(366).step_by(3);
    let midnights = days.map(|day| day.and_time(NaiveTime::MIN).and_utc());
    let mut hours = midnights.flat_map(|day| (0..24).map(move |hour| day + TimeDelta::hours(hour)));
    table.zone != input.zone && hours.any(|now| table.horizon(now) < input.horizon(now))
}

/// The tables that a query reads.
pub fn inputs(policy: &CuratedPolicy) -> Result<BTreeSet<String>, CurationError> {
    let failed = |error: datafusion::error::DataFusionError| CurationError::Query {
        table: policy.table.clone(),
        reason: error.to_string(),
    };
    let state = session().state();
    let dialect = state.config().options().sql_parser.dialect;
    let statement = state
        .sql_to_statement(&policy.query, &dialect)
        .map_err(failed)?;
    let references = state.resolve_table_references(&statement).map_err(failed)?;
    Ok(references
        .iter()
        .map(|reference| reference.table().to_owned())
        .collect())
}

/// A DataFusion session that keeps names as they are written.
pub fn session() -> SessionContext {
    let config =
        SessionConfig::new().set_bool("datafusion.sql_parser.enable_ident_normalization", false);
    SessionContext::new_with_config(config)
}

#[cfg(test)]
mod tests;
