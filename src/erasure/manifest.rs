//! What recipients have to delete from their copies (GDPR Art. 19): for each event table and curated table
//! that changed, the days and the SQL for Snowflake.
//!
//! Nothing of the subject is in a manifest (invariant 9): where rows are found by an identifier it is a bind
//! variable, whose value people take from the request itself. That way finds no row that only linked ids led
//! to, as these are forgotten, nor one whose identifier stands in `_rescued` because it did not fit its
//! column; loading the days again from the lake finds all. Hazard: copies may hold rows of a subject who came
//! back after the request, so events are bounded by their time.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::{DataType, Schema, SchemaRef};
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use super::request::Request;
use crate::curation;
use crate::decode::FieldPath;
use crate::lake::facts::Places;
use crate::policy::{
    Compare, CuratedPolicy, IdentifyingFields, Incremental, OnErasure, PiiPolicy, Policies,
};

/// What to delete from the copies of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The table.
    pub table: String,
    /// Where the lake has it.
    pub location: String,
    /// The days whose rows changed.
    pub days: BTreeSet<NaiveDate>,
    /// How many rows were the subject's; none for a table that was made anew.
    pub rows: Option<u64>,
    /// Deletes the subject's rows, if columns of the table name the subject.
    pub by_identifier: Option<ByIdentifier>,
    /// Deletes the days, which are then loaded again from the lake.
    pub by_day: String,
}

/// A statement with bind variables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByIdentifier {
    /// The statement.
    pub sql: String,
    /// What stands for each `?`, in this order: kinds of identifier.
    pub bind: Vec<String>,
}

impl Manifest {
    /// All of it as an SQL script.
    pub fn sql(&self) -> String {
        let load_again = format!(
            "then load them again from {}\n{}",
            self.location, self.by_day
        );
        match &self.by_identifier {
            Some(ByIdentifier { sql, bind }) => format!(
                "-- Bind the subject's {}\n{sql}\n-- Or, which also finds rows by linked ids and in \"_rescued\": \
                 delete these days, {load_again}",
                bind.join(", ")
            ),
            None => format!("-- Delete these days, {load_again}"),
        }
    }
}

/// The manifests of all tables that `request` changed. `columns` are those of the tables.
pub fn manifests(
    policies: &Policies,
    request: &Request,
    columns: &BTreeMap<String, SchemaRef>,
) -> Vec<Manifest> {
    let places = Places::new(&policies.lake.location);
    let mut manifests = Vec::new();
    let changed = changed(policies, request);
    for policy in &policies.datasets {
        if let Some(days) = changed.get(&policy.name) {
            let until = Some(request.until());
            manifests.push(Manifest {
                table: policy.name.clone(),
                location: places.events(&policy.name).to_string(),
                days: days.clone(),
                rows: rows(request, &policy.name),
                // What a law wants kept is loaded again, redacted.
                by_identifier: match policy.pii.on_erasure {
                    OnErasure::Redact(_) => None,
                    OnErasure::Delete => {
                        by_identifier(&policy.name, &policy.pii, request, columns, until)
                    }
                },
                by_day: by_day(&policy.name, days),
            });
        }
    }
    for policy in &policies.curated {
        if let Some(days) = changed.get(&policy.table) {
            manifests.push(Manifest {
                table: policy.table.clone(),
                location: places.curated(&policy.table).to_string(),
                days: days.clone(),
                rows: rows(request, &policy.table),
                by_identifier: by_identifier(&policy.table, &policy.pii, request, columns, None),
                by_day: match policy.incremental {
                    Incremental::ByPartition => by_day(&policy.table, days),
                    Incremental::Full => format!("DELETE FROM {};", quoted(&policy.table)),
                },
            });
        }
    }
    manifests
}

fn rows(request: &Request, table: &str) -> Option<u64> {
    let erased = request.tables.get(table);
    erased.map(|erased| erased.rows).filter(|rows| *rows > 0)
}

/// The days that changed, by table: where rows of the subject were, and in the tables made from these.
fn changed(policies: &Policies, request: &Request) -> BTreeMap<String, BTreeSet<NaiveDate>> {
    let mut changed: BTreeMap<String, BTreeSet<NaiveDate>> = BTreeMap::new();
    for (table, erased) in &request.tables {
        if erased.rows > 0 {
            changed.insert(table.clone(), erased.days.clone());
        }
    }
    let inputs: Vec<(&CuratedPolicy, Option<BTreeSet<String>>)> = policies
        .curated
        .iter()
        .map(|policy| (policy, curation::inputs(policy).ok()))
        .collect();
    loop {
        let mut grown = false;
        for (policy, inputs) in &inputs {
            // What a query reads that cannot be understood nobody knows: rather too much than too little.
            let reads = |table: &str| inputs.as_ref().is_none_or(|inputs| inputs.contains(table));
            let below = changed.iter().filter(|(table, _)| reads(table));
            let below: Vec<_> = below.map(|(_, days)| days.clone()).collect();
            if below.is_empty() {
                continue;
            }
            let is_new = !changed.contains_key(&policy.table);
            let days = changed.entry(policy.table.clone()).or_default();
            let before = days.len();
            days.extend(below.into_iter().flatten());
            grown |= is_new || days.len() > before;
        }
        if !grown {
            return changed;
        }
    }
}

/// Deletes the subject's rows, where the table has columns for the kinds of identifier that the request names.
fn by_identifier(
    table: &str,
    pii: &PiiPolicy,
    request: &Request,
    columns: &BTreeMap<String, SchemaRef>,
    until: Option<DateTime<Utc>>,
) -> Option<ByIdentifier> {
    let schema = columns.get(table)?;
    let (mut conditions, mut bind) = (Vec::new(), Vec::new());
    for fields in pii.fields() {
        let named = request.subject.iter();
        let named = named.filter(|identifier| identifier.kind == fields.kind);
        let Some(condition) = condition(schema, &fields, pii.compare(&fields.kind)) else {
            continue;
        };
        for _ in named {
            conditions.push(condition.clone());
            bind.extend(fields.paths.iter().map(|_| fields.kind.clone()));
        }
    }
    if conditions.is_empty() {
        return None;
    }
    let mut subject = conditions.join(" OR ");
    if let Some(until) = until {
        let until = until.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        subject = format!("({subject}) AND \"_event_time\" <= '{until}'");
    }
    Some(ByIdentifier {
        sql: format!("DELETE FROM {} WHERE {subject};", quoted(table)),
        bind,
    })
}

/// That these fields hold an identifier; none if a column is missing, or leads through a list.
fn condition(schema: &Schema, fields: &IdentifyingFields, compare: Compare) -> Option<String> {
    let mut parts = Vec::with_capacity(fields.paths.len());
    for path in &fields.paths {
        let column = column(schema, path)?;
        parts.push(match compare {
            Compare::Text => format!("{column} = ?"),
            Compare::IgnoreCase => format!("LOWER(TRIM({column})) = LOWER(TRIM(?))"),
            Compare::Number => format!("TRY_TO_NUMBER({column}) = TRY_TO_NUMBER(?)"),
        });
    }
    Some(match parts.as_slice() {
        [part] => part.clone(),
        _ => format!("({})", parts.join(" AND ")),
    })
}

/// A field as Snowflake names it, as text: `TO_VARCHAR("user":"id")`.
fn column(schema: &Schema, path: &FieldPath) -> Option<String> {
    let (first, below) = path.names().split_first()?;
    let mut kind = schema.field_with_name(first).ok()?.data_type();
    let mut column = quoted(first);
    for name in below {
        let DataType::Struct(fields) = kind else {
            return None;
        };
        kind = fields.find(name)?.1.data_type();
        column = format!("{column}:{}", quoted(name));
    }
    if kind.is_nested() {
        return None;
    }
    let is_text = below.is_empty() && *kind == DataType::Utf8;
    Some(if is_text {
        column
    } else {
        format!("TO_VARCHAR({column})")
    })
}

fn by_day(table: &str, days: &BTreeSet<NaiveDate>) -> String {
    let days: Vec<String> = days.iter().map(|day| format!("'{day}'")).collect();
    let (table, days) = (quoted(table), days.join(", "));
    format!("DELETE FROM {table} WHERE \"event_date\" IN ({days});")
}

/// A name as SQL has it between double quotes.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests;
