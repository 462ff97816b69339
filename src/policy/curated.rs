//! `curated/<table>.yaml` with the query in `<table>.sql` beside it: a table
//! made from event tables and other curated tables.

use super::dataset::{RetentionPolicy, curated_retention};
use super::error::{PolicyError, Position, Report, ValueError};
use super::names::{check_partition, check_version, name_of_file};
use super::pii::{self, PiiPolicy};
use super::section::{Key, Section};
use super::yaml;

/// A curated table: its query, how it is renewed and what must hold of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CuratedPolicy {
    /// The table's name.
    pub table: String,
    /// The SQL that makes it, as written.
    pub query: String,
    /// How much of it is made anew after a change.
    pub incremental: Incremental,
    /// How long it keeps rows.
    pub retention: RetentionPolicy,
    /// Which of its columns identify a person, whose rows an erasure deletes.
    pub pii: PiiPolicy,
    /// What must hold of every row: SQL conditions over the table's columns,
    /// or `not_null(column)`.
    pub checks: Vec<String>,
}

/// What is made anew when something that the query reads has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incremental {
    /// The `event_date` partitions that the change touches.
    ByPartition,
    /// The whole table.
    Full,
}

const FILE: &[Key] = &[
    Key::new("version", "1"),
    Key::new("table", "booking_funnel_daily"),
    Key::new("partition_by", "event_date"),
    Key::new("incremental", "by_partition"),
    Key::new("retention", "{ keep: 2 years }"),
    Key::new("checks", "[\"not_null(event_date)\"]"),
    Key::new("pii", "{ identifiers: { user_id: [user_id] } }"),
];

/// A policy, and where it says what other files may contradict.
#[derive(Debug)]
pub(super) struct PlacedCurated {
    pub file: String,
    pub policy: CuratedPolicy,
    pub name_at: Position,
}

/// Reads the policy in the file at `path`; `query` is the file beside it, if
/// there is one.
pub(super) fn read(
    path: &str,
    text: &str,
    query: Option<&str>,
) -> Result<PlacedCurated, Vec<PolicyError>> {
    let report = Report::new(path);
    let entries = yaml::parse(text, &report);
    let placed = entries
        .as_deref()
        .and_then(|entries| curated(path, &Section::file(entries, FILE, &report), query));
    report.conclude(placed)
}

/// Where the query of the policy at `path` is.
pub(super) fn query_path(path: &str) -> String {
    format!("{}.sql", path.strip_suffix(".yaml").unwrap_or(path))
}

/// Where the policy of the query at `path` is.
pub(super) fn policy_path(path: &str) -> String {
    format!("{}.yaml", path.strip_suffix(".sql").unwrap_or(path))
}

fn curated(path: &str, file: &Section<'_>, query: Option<&str>) -> Option<PlacedCurated> {
    check_version(file);
    let table = name_of_file(file, path, "table");
    let partition = file.or_default("partition_by", (), check_partition);
    let incremental = file.or_default("incremental", Incremental::ByPartition, incremental);
    let retention = curated_retention(file);
    let pii = pii::read_curated(file);
    let checks = file.list_or_empty("checks", check);
    let query = checked_query(path, file, query);
    partition?;
    Some(PlacedCurated {
        file: path.to_owned(),
        name_at: file.value_at("table"),
        policy: CuratedPolicy {
            table: table?,
            query: query?,
            incremental: incremental?,
            retention: retention?,
            pii: pii?,
            checks: checks?,
        },
    })
}

fn checked_query(path: &str, file: &Section<'_>, query: Option<&str>) -> Option<String> {
    let wrong = match query {
        Some(query) if !query.trim().is_empty() => return Some(query.to_owned()),
        Some(_) => "is empty",
        None => "is missing",
    };
    let query_path = query_path(path);
    let message = format!("the query {query_path} {wrong}");
    let hint = format!("write the table's SELECT into {query_path}");
    file.refuse(file.value_at("table"), message, hint);
    None
}

fn incremental(text: &str) -> Result<Incremental, ValueError> {
    match text {
        "by_partition" => Ok(Incremental::ByPartition),
        "full" => Ok(Incremental::Full),
        _ => Err(ValueError::new("it is by_partition or full")),
    }
}

fn check(text: &str) -> Result<String, ValueError> {
    if text.trim().is_empty() {
        return Err(ValueError::new("a check needs a condition"));
    }
    Ok(text.to_owned())
}
