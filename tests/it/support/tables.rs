//! Tables, read without the program: the Delta log as JSON lines, data files with the `parquet` crate.
//! Only `_rescued` is put back by the program's own `rebuild`, which has tests of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::NaiveDate;
use lakewarden::decode::{Json, rebuild};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use twox_hash::XxHash3_64;

use super::lake::Lake;

/// One row of an event table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub day: NaiveDate,
    /// `topic/partition/offset`; empty parts where the object's name gave none.
    pub position: String,
    /// The event, its keys sorted and its numbers spelled alike.
    pub event: String,
}

impl Row {
    /// Whether the event's `userId` is this, as text or number.
    pub fn is_of(&self, user: &str) -> bool {
        let event: Value = serde_json::from_str(&self.event).unwrap();
        match &event["userId"] {
            Value::String(text) => text == user,
            Value::Number(number) => number.to_string() == user,
            _ => false,
        }
    }
}

/// The live rows of a dataset, sorted.
pub fn rows(lake: &Lake, dataset: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    for (file, day) in live_files(&table(lake, dataset)) {
        for batch in read(&file) {
            rows.extend((0..batch.num_rows()).map(|row| {
                Row {
                    day,
                    position: ["_topic", "_partition", "_offset"]
                        .map(|column| cell(&batch, column, row))
                        .join("/"),
                    event: spelled_alike(&rebuild(&batch, row).unwrap()),
                }
            }));
        }
    }
    rows.sort();
    rows
}

/// The live rows of all four datasets.
pub fn all_rows(lake: &Lake) -> BTreeMap<&'static str, Vec<Row>> {
    let names = lakewarden::demo::BUCKETS.map(|(name, _)| name);
    names.map(|name| (name, rows(lake, name))).into()
}

/// The row groups of a dataset's live files: what each file tells of their digests, and what they are by the
/// bytes of their column chunks and Bloom filters.
pub fn digests(lake: &Lake, dataset: &str) -> Vec<(String, String)> {
    let files = live_files(&table(lake, dataset)).into_iter();
    files.map(|(file, _)| digests_of(&file)).collect()
}

fn digests_of(file: &Path) -> (String, String) {
    let bytes = fs::read(file).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap();
    let footer = reader.metadata();
    let notes = footer.file_metadata().key_value_metadata().unwrap().iter();
    let told = notes.filter(|note| note.key == "lakewarden.row_groups");
    let told: Vec<String> = told.filter_map(|note| note.value.clone()).collect();
    let number = |offset: i64| usize::try_from(offset).unwrap();
    let found = footer.row_groups().iter().map(|group| {
        let mut pieces = Vec::new();
        for chunk in group.columns() {
            let (start, length) = chunk.byte_range();
            pieces.push((start as usize, length as usize));
            if let Some(start) = chunk.bloom_filter_offset() {
                let length = chunk.bloom_filter_length().unwrap();
                pieces.push((number(start), number(length.into())));
            }
        }
        pieces.sort_unstable();
        let pieces = pieces
            .iter()
            .flat_map(|(start, length)| &bytes[*start..start + length]);
        let bytes: Vec<u8> = pieces.copied().collect();
        format!("{:016x}", XxHash3_64::oneshot(&bytes))
    });
    (told.join("; "), found.collect::<Vec<_>>().join(" "))
}

/// Rows by day.
pub fn count_by_day(rows: &[Row]) -> BTreeMap<NaiveDate, u64> {
    let mut counts = BTreeMap::new();
    for row in rows {
        *counts.entry(row.day).or_default() += 1;
    }
    counts
}

/// The live rows of the curated funnel, each by column name.
pub fn funnel(lake: &Lake) -> Vec<BTreeMap<String, String>> {
    let mut rows = Vec::new();
    for (file, day) in live_files(&curated(lake)) {
        for batch in read(&file) {
            for row in 0..batch.num_rows() {
                let names = batch.schema();
                let names = names.fields().iter().map(|field| field.name());
                let mut cells: BTreeMap<String, String> = names
                    .map(|name| (name.clone(), cell(&batch, name, row)))
                    .collect();
                cells.insert("event_date".into(), day.to_string());
                rows.push(cells);
            }
        }
    }
    rows.sort();
    rows
}

/// The folder of a dataset's event table.
pub fn table(lake: &Lake, dataset: &str) -> PathBuf {
    lake.lake_file(&format!("events/{dataset}"))
}

/// The folder of the curated funnel.
pub fn curated(lake: &Lake) -> PathBuf {
    lake.lake_file("curated/booking_funnel_daily")
}

/// The live files of a Delta table with their days, by replaying its log from where it begins.
pub fn live_files(table: &Path) -> BTreeMap<PathBuf, NaiveDate> {
    let mut live = BTreeMap::new();
    let commits = commits(table);
    let is_first = |commit: &PathBuf| commit.ends_with("00000000000000000000.json");
    if let Some(oldest) = commits.first().filter(|oldest| !is_first(oldest)) {
        live.extend(checkpointed_files(table, oldest));
    }
    for commit in commits {
        let text = fs::read_to_string(commit).unwrap();
        let actions: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        // Within one commit the order says nothing.
        for removed in actions.iter().filter_map(|action| action.get("remove")) {
            live.remove(&table.join(removed["path"].as_str().unwrap()));
        }
        for added in actions.iter().filter_map(|action| action.get("add")) {
            let day = added["partitionValues"]["event_date"].as_str().unwrap();
            let path = table.join(added["path"].as_str().unwrap());
            live.insert(path, day.parse().unwrap());
        }
    }
    live
}

/// The live files at a version, by the checkpoint beside its commit.
fn checkpointed_files(table: &Path, commit: &Path) -> BTreeMap<PathBuf, NaiveDate> {
    let mut live = BTreeMap::new();
    for batch in read(&commit.with_extension("checkpoint.parquet")) {
        let added = batch.column_by_name("add").unwrap().as_struct();
        let paths = added.column_by_name("path").unwrap().as_string::<i32>();
        for row in (0..added.len()).filter(|row| added.is_valid(*row)) {
            let path = paths.value(row);
            let day = path.strip_prefix("event_date=").unwrap();
            let (day, _) = day.split_once('/').unwrap();
            live.insert(table.join(path), day.parse().unwrap());
        }
    }
    live
}

/// The commits of a Delta table, oldest first.
pub fn commits(table: &Path) -> BTreeSet<PathBuf> {
    let Ok(log) = fs::read_dir(table.join("_delta_log")) else {
        return BTreeSet::new();
    };
    let mut files: BTreeSet<PathBuf> = log.map(|entry| entry.unwrap().path()).collect();
    // Checkpoints repeat what the commits say.
    files.retain(|file| file.extension().is_some_and(|ending| ending == "json"));
    files
}

/// All data files that lie in a table's folder, live or not.
pub fn stored_files(table: &Path) -> BTreeSet<PathBuf> {
    let mut files: BTreeSet<PathBuf> = super::traces::files(table).into_iter().collect();
    let log = table.join("_delta_log");
    files.retain(|file| {
        file.extension().is_some_and(|ending| ending == "parquet") && !file.starts_with(&log)
    });
    files
}

pub fn read(file: &Path) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap();
    reader.build().unwrap().map(Result::unwrap).collect()
}

/// A cell as text; empty for null.
pub fn cell(batch: &RecordBatch, column: &str, row: usize) -> String {
    let column = batch.column_by_name(column).unwrap();
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(column, &options).unwrap();
    formatter.value(row).to_string()
}

/// JSON text in which equal events are equal: keys sorted (values of one key stay in order), numbers in
/// one spelling.
pub fn spelled_alike(json: &Json) -> String {
    match json {
        Json::Array(elements) => {
            let elements: Vec<String> = elements.iter().map(spelled_alike).collect();
            format!("[{}]", elements.join(","))
        }
        Json::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|left, right| left.0.cmp(&right.0));
            let members: Vec<String> = members
                .into_iter()
                .map(|(key, value)| format!("{}:{}", Value::from(&**key), spelled_alike(value)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        Json::Number(number) => {
            let text = number.to_string();
            match text.parse::<i64>() {
                Ok(whole) => whole.to_string(),
                Err(_) => text.parse::<f64>().unwrap().to_string(),
            }
        }
        other => other.to_string(),
    }
}

/// That the curated funnel counts the sessions that the rows of the event tables hold.
#[track_caller]
pub fn expect_funnel_to_fit(lake: &Lake) {
    let mut expected: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for (dataset, rows) in all_rows(lake) {
        for row in rows {
            let event: Value = serde_json::from_str(&row.event).unwrap();
            let sessions = expected
                .entry((row.day.to_string(), dataset.to_owned()))
                .or_default();
            sessions.extend(event["sessionId"].as_str().map(str::to_owned));
        }
    }
    let expected: BTreeMap<_, u64> = expected
        .into_iter()
        .map(|(key, sessions)| (key, sessions.len() as u64))
        .collect();
    let mut found: BTreeMap<(String, String), u64> = BTreeMap::new();
    for row in funnel(lake) {
        // From the payment on a session has one type of device; before, it may change it.
        let key = (row["event_date"].clone(), row["stage"].clone());
        *found.entry(key).or_default() += row["sessions"].parse::<u64>().unwrap();
    }
    let settled = |(_, stage): &(String, String)| ["payment", "post_purchase"].contains(&&**stage);
    assert!(
        found.keys().eq(expected.keys()),
        "{found:?} for {expected:?}"
    );
    for (key, count) in found.iter().filter(|(key, _)| settled(key)) {
        assert_eq!(*count, expected[key], "{key:?}");
    }
}
