//! `datasets/<dataset>.yaml`: what people decided about one service's events.
//!
//! Rules that the program cannot carry out are refused, never ignored.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset, NaiveDate, Utc};
use chrono_tz::Tz;

use super::column_types;
use super::discovery::{self, DiscoveryPolicy};
use super::error::{PolicyError, Position, Report, ValueError};
use super::field_path;
use super::horizon::{self, Horizon};
use super::location::S3Location;
use super::names::{check_partition, check_version, name_of_file};
use super::pii::{self, PiiPolicy, days_or_longer};
use super::section::{Key, Section};
use super::size::ByteSize;
use super::span::Span;
use super::yaml;
use crate::decode::{ColumnType, FieldPath, RawFormat};

/// One service's events: where they come from and what happens to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetPolicy {
    /// The dataset's name, also that of its event table.
    pub name: String,
    /// Where the raw objects lie and how long they stay.
    pub raw: RawPolicy,
    /// How records are read as events.
    pub events: EventsPolicy,
    /// How the event table is laid out.
    pub table: TablePolicy,
    /// How the event table grows columns.
    pub schema: SchemaPolicy,
    /// How long the event table keeps rows.
    pub retention: RetentionPolicy,
    /// How long is kept what lies beside the event table.
    pub beside: BesidePolicy,
    /// Which fields identify a person.
    pub pii: PiiPolicy,
}

/// The raw objects, which belong to the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawPolicy {
    /// Where they lie.
    pub location: S3Location,
    /// What their bytes are.
    pub format: RawFormat,
    /// How long they are kept, counted from the commit that holds their events;
    /// none means forever.
    pub keep: Option<Span>,
    /// How new ones are found; none means by listing all of them.
    pub discovery: Option<DiscoveryPolicy>,
}

/// How a record is read as an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventsPolicy {
    /// The field that says when the event happened.
    pub time: FieldPath,
    /// How that field counts time.
    pub time_unit: TimeUnit,
    /// The zone of times that are written without one; none means that such
    /// times are not understood.
    pub zone: Option<FixedOffset>,
    /// How far in the future, seen from the run's `now`, an event may lie.
    pub max_ahead: Span,
    /// The fields that together identify an event, where the object's name does
    /// not (by topic, partition and offset); empty if there are none.
    pub deduplicate_by: Vec<FieldPath>,
}

/// How an event's time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    /// As text: `2024-08-14T14:00:00Z`.
    Text,
    /// As a number of seconds since 1970 in UTC.
    EpochSeconds,
    /// As a number of milliseconds since 1970 in UTC.
    EpochMilliseconds,
    /// As a number of microseconds since 1970 in UTC.
    EpochMicroseconds,
}

/// The event table, a Delta table partitioned by `event_date`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablePolicy {
    /// What the rows of a file are sorted by, the most important field first.
    pub sort_by: Vec<FieldPath>,
    /// The size that files of the table should have.
    pub target_file_size: ByteSize,
}

/// What happens when events bring fields that the table does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaPolicy {
    /// What becomes of a field never seen before.
    pub on_new_field: OnNewField,
    /// How many columns one commit may add; further new fields are rescued.
    pub max_new_columns: usize,
    /// Fields whose columns get this type on first sight, whatever their values look like. They count
    /// as foreseen: `on_new_field` and `max_new_columns` are about the others.
    pub types: BTreeMap<FieldPath, ColumnType>,
}

/// The ways to treat a field never seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnNewField {
    /// It becomes a column from this commit on.
    Add,
    /// It is kept in `_rescued`.
    Rescue,
    /// The raw object that brings it is refused and reported.
    Fail,
}

/// How long rows are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// In days, months or years of the calendar.
    pub keep: Span,
    /// Where the days are counted.
    pub zone: Tz,
}

impl RetentionPolicy {
    /// What happened before it is no longer kept at `now`.
    pub fn horizon(&self, now: DateTime<Utc>) -> Horizon {
        Horizon::at(now, self.keep, self.zone)
    }

    /// The first moment at which nothing of `day` (in UTC) is kept any more.
    pub fn leaves_at(&self, day: NaiveDate) -> DateTime<Utc> {
        horizon::leaves_at(day, self.keep, self.zone)
    }
}

/// How long what lies beside the event table is kept, at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BesidePolicy {
    /// Broken records, counted from when they came into the quarantine: nobody
    /// knows how old their events are.
    pub quarantine: Span,
    /// What the ledger says of raw objects that are gone, counted from their
    /// compaction.
    pub ledger: Span,
}

const FILE: &[Key] = &[
    Key::new("version", "1"),
    Key::new("dataset", "cart"),
    Key::new("raw", "{ location: s3://acme-cart-events/topics/cart/ }"),
    Key::new("events", "{ time: timestamp }"),
    Key::new("table", "{ sort_by: [userId] }"),
    Key::new("schema", "{ on_new_field: add }"),
    Key::new("retention", "{ keep: 2 years }"),
    Key::new("pii", PII_OR_NONE),
];
/// Closes the quotes of the hint in between, to offer the other choice too.
const PII_OR_NONE: &str = "{ identifiers: { user_id: [userId] } }` or `pii: none";
const RAW: &[Key] = &[
    Key::new("location", "s3://acme-cart-events/topics/cart/"),
    Key::new("format", "json"),
    Key::new("keep", "30 days after compaction"),
    Key::new("discovery", discovery::SAMPLE),
];
const EVENTS: &[Key] = &[
    Key::new("time", "timestamp"),
    Key::new("time_unit", "text"),
    Key::new("zone", "UTC"),
    Key::new("max_ahead", "1 day"),
    Key::new("deduplicate_by", "[paymentId, eventType]"),
];
const TABLE: &[Key] = &[
    Key::new("partition_by", "event_date"),
    Key::new("sort_by", "[userId]"),
    Key::new("target_file_size", "256 MiB"),
];
const SCHEMA: &[Key] = &[
    Key::new("on_new_field", "add"),
    Key::new("max_new_columns", "1000"),
    Key::new("types", "{ userId: text }"),
];
const CURATED_RETENTION: &[Key] = &[
    Key::new("keep", "2 years"),
    Key::new("zone", "Europe/Berlin"),
];
const RETENTION: &[Key] = &[
    Key::new("keep", "2 years"),
    Key::new("zone", "Europe/Berlin"),
    Key::new("quarantine", "90 days"),
    Key::new("ledger", "2 years"),
];
const DEFAULT_FILE_SIZE: ByteSize = ByteSize::new(256 << 20);
/// What S3 copies in one request.
const LARGEST_FILE: ByteSize = ByteSize::new(5 << 30);
const DEFAULT_NEW_COLUMNS: usize = 1000;
const MOST_NEW_COLUMNS: usize = 10_000;

/// A policy, and where it says what other files may contradict.
#[derive(Debug)]
pub(super) struct PlacedDataset {
    pub file: String,
    pub policy: DatasetPolicy,
    pub name_at: Position,
    pub location_at: Position,
    pub inventory_at: Option<Position>,
}

/// Reads the dataset policy in the file at `path`.
pub(super) fn read(path: &str, text: &str) -> Result<PlacedDataset, Vec<PolicyError>> {
    let report = Report::new(path);
    let entries = yaml::parse(text, &report);
    let placed = entries
        .as_deref()
        .and_then(|entries| dataset(path, &Section::file(entries, FILE, &report)));
    report.conclude(placed)
}

fn dataset(path: &str, file: &Section<'_>) -> Option<PlacedDataset> {
    check_version(file);
    let name = name_of_file(file, path, "dataset");
    let raw = raw(file);
    let events = events(file);
    let table = table(file);
    let schema = schema(file);
    let retention = retention(file);
    let keep = retention.as_ref().map(|(rule, _)| rule.keep);
    let pii = pii::read(file, keep);
    let (raw, location_at, inventory_at) = raw?;
    let (retention, beside) = retention?;
    Some(PlacedDataset {
        file: path.to_owned(),
        name_at: file.value_at("dataset"),
        location_at,
        inventory_at,
        policy: DatasetPolicy {
            name: name?,
            raw,
            events: events?,
            table: table?,
            schema: schema?,
            retention,
            beside,
            pii: pii?,
        },
    })
}

fn raw(file: &Section<'_>) -> Option<(RawPolicy, Position, Option<Position>)> {
    let section = file.section("raw", RAW)?;
    let location = section.required("location", str::parse);
    let format = section.or_default("format", RawFormat::default(), raw_format);
    let keep = section.or_default("keep", None, |text| after_compaction(text).map(Some));
    let (discovery, inventory_at) = discovery::read(&section)?;
    let policy = RawPolicy {
        location: location?,
        format: format?,
        keep: keep?,
        discovery,
    };
    Some((policy, section.value_at("location"), inventory_at))
}

fn events(file: &Section<'_>) -> Option<EventsPolicy> {
    let section = file.section("events", EVENTS)?;
    let time = section.required("time", field_path::parse);
    let time_unit = section.or_default("time_unit", TimeUnit::Text, time_unit);
    let zone = section.or_default("zone", None, |text| offset(text).map(Some));
    let max_ahead = section.or_default("max_ahead", Span::DAY, str::parse);
    let deduplicate_by = section.list_or_empty("deduplicate_by", field_path::parse);
    let (time_unit, zone) = (time_unit?, zone?);
    if zone.is_some() && time_unit != TimeUnit::Text {
        section.refuse(
            section.value_at("zone"),
            "`zone` under `events` is for times written as text; epoch times are in UTC",
            "remove it",
        );
    }
    Some(EventsPolicy {
        time: time?,
        time_unit,
        zone,
        max_ahead: max_ahead?,
        deduplicate_by: deduplicate_by?,
    })
}

fn table(file: &Section<'_>) -> Option<TablePolicy> {
    let section = file.section("table", TABLE)?;
    let partition = section.or_default("partition_by", (), check_partition);
    let sort_by = section.required_list("sort_by", field_path::parse);
    let target_file_size = section.or_default("target_file_size", DEFAULT_FILE_SIZE, file_size);
    partition?;
    Some(TablePolicy {
        sort_by: sort_by?,
        target_file_size: target_file_size?,
    })
}

fn schema(file: &Section<'_>) -> Option<SchemaPolicy> {
    let section = file.section_or_empty("schema", SCHEMA)?;
    let on_new_field = section.or_default("on_new_field", OnNewField::Add, on_new_field);
    let max_new_columns = section.or_default("max_new_columns", DEFAULT_NEW_COLUMNS, new_columns);
    let types = column_types::read(&section);
    Some(SchemaPolicy {
        on_new_field: on_new_field?,
        max_new_columns: max_new_columns?,
        types: types?,
    })
}

fn retention(file: &Section<'_>) -> Option<(RetentionPolicy, BesidePolicy)> {
    let section = file.section("retention", RETENTION)?;
    let keep = section.required("keep", days_or_longer);
    let zone = section.or_default("zone", Tz::UTC, horizon::zone);
    let quarantine = section.or_default("quarantine", None, |text| days_or_longer(text).map(Some));
    let ledger = section.or_default("ledger", None, |text| days_or_longer(text).map(Some));
    let (keep, zone, quarantine, ledger) = (keep?, zone?, quarantine?, ledger?);
    if quarantine.is_some_and(|quarantine| is_longer(quarantine, keep)) {
        section.refuse(
            section.value_at("quarantine"),
            "`quarantine` under `retention` is longer than `keep`: broken records would outlive the events",
            format!("write `quarantine: {keep}`, or less"),
        );
    }
    let beside = BesidePolicy {
        quarantine: quarantine.unwrap_or(keep),
        ledger: ledger.unwrap_or(keep),
    };
    Some((RetentionPolicy { keep, zone }, beside))
}

/// The section `retention` of a curated table.
pub(super) fn curated_retention(file: &Section<'_>) -> Option<RetentionPolicy> {
    let section = file.section("retention", CURATED_RETENTION)?;
    let keep = section.required("keep", days_or_longer);
    let zone = section.or_default("zone", Tz::UTC, horizon::zone);
    Some(RetentionPolicy {
        keep: keep?,
        zone: zone?,
    })
}

/// Any day will do: of two calendar spans the longer one reaches further back from all of them.
pub(super) fn is_longer(one: Span, other: Span) -> bool {
    let today = NaiveDate::default();
    one.before_date(today) < other.before_date(today)
}

/// Compressed JSON needs no word of its own: its first bytes tell.
fn raw_format(text: &str) -> Result<RawFormat, ValueError> {
    match text {
        "json" => Ok(RawFormat::Json),
        "avro" => Ok(RawFormat::Avro),
        "parquet" => Ok(RawFormat::Parquet),
        _ => Err(ValueError::new("it is json, avro or parquet")),
    }
}

fn after_compaction(text: &str) -> Result<Span, ValueError> {
    match text.strip_suffix(" after compaction") {
        Some(span) => days_or_longer(span.trim_end()),
        None => Err(ValueError::new("it must end in `after compaction`")),
    }
}

fn time_unit(text: &str) -> Result<TimeUnit, ValueError> {
    match text {
        "text" => Ok(TimeUnit::Text),
        "epoch_seconds" => Ok(TimeUnit::EpochSeconds),
        "epoch_milliseconds" => Ok(TimeUnit::EpochMilliseconds),
        "epoch_microseconds" => Ok(TimeUnit::EpochMicroseconds),
        _ => Err(ValueError::new(
            "it is text, epoch_seconds, epoch_milliseconds or epoch_microseconds",
        )),
    }
}

/// A named zone is refused: its clock changes make some times ambiguous.
fn offset(text: &str) -> Result<FixedOffset, ValueError> {
    let offset = if text == "UTC" { "+00:00" } else { text };
    let has_shape = offset.len() == "+00:00".len() && offset.starts_with(['+', '-']);
    match offset.parse() {
        Ok(offset) if has_shape => Ok(offset),
        _ => Err(ValueError::new("it is UTC or an offset such as +01:00")),
    }
}

fn file_size(text: &str) -> Result<ByteSize, ValueError> {
    let size: ByteSize = text.parse()?;
    if size > LARGEST_FILE {
        return Err(ValueError::new(format!("the most is {LARGEST_FILE}")));
    }
    Ok(size)
}

fn on_new_field(text: &str) -> Result<OnNewField, ValueError> {
    match text {
        "add" => Ok(OnNewField::Add),
        "rescue" => Ok(OnNewField::Rescue),
        "fail" => Ok(OnNewField::Fail),
        _ => Err(ValueError::new("it is add, rescue or fail")),
    }
}

fn new_columns(text: &str) -> Result<usize, ValueError> {
    match text.parse() {
        Ok(columns @ 1..=MOST_NEW_COLUMNS) => Ok(columns),
        _ => Err(ValueError::new(format!(
            "it is a number between 1 and {MOST_NEW_COLUMNS}"
        ))),
    }
}
