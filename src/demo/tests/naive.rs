//! A second, naive reader: it takes the bytes apart with `serde_json` and counts for itself.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use chrono::{DateTime, NaiveDate, Utc};
use flate2::read::MultiGzDecoder;
use serde_json::Value;

use super::super::{Demo, RawObject};

/// One object taken apart.
pub struct Opened<'demo> {
    pub object: &'demo RawObject,
    pub dataset: String,
    /// `year=…/month=…/day=…/hour=…`, which sorts by time.
    pub folder: String,
    pub partition: u32,
    pub start: u64,
    /// The body, decompressed.
    pub plain: Vec<u8>,
    pub records: Vec<Vec<u8>>,
}

/// What became of a record.
pub struct Reading {
    pub offset: u64,
    /// The document, if it can be understood.
    pub event: Option<Value>,
}

pub fn plain(object: &RawObject) -> Vec<u8> {
    if !object.body.starts_with(&[0x1f, 0x8b]) {
        return object.body.clone();
    }
    let mut plain = Vec::new();
    MultiGzDecoder::new(&object.body[..])
        .read_to_end(&mut plain)
        .unwrap();
    plain
}

/// Every object that holds records, in the order of the folders, firsts before repeats.
pub fn open_all(demo: &Demo) -> Vec<Opened<'_>> {
    let mut opened: Vec<Opened> = demo
        .objects
        .iter()
        .filter(|object| !object.body.is_empty())
        .map(open)
        .collect();
    opened.sort_by(|left, right| {
        (&left.dataset, &left.folder, left.partition, left.start).cmp(&(
            &right.dataset,
            &right.folder,
            right.partition,
            right.start,
        ))
    });
    opened
}

fn open(object: &RawObject) -> Opened<'_> {
    let parts: Vec<&str> = object.key.split('/').collect();
    let [topics, dataset, year, month, day, hour, name] = parts[..] else {
        panic!("not a key of Kafka Connect: {}", object.key);
    };
    assert_eq!(topics, "topics");
    let stem = name.trim_end_matches(".gz").strip_suffix(".json").unwrap();
    let name_parts: Vec<&str> = stem.split('+').collect();
    let [topic, partition, start] = name_parts[..] else {
        panic!("not a name of Kafka Connect: {name}");
    };
    assert_eq!(topic, dataset);
    assert_eq!(start.len(), 10);
    let plain = plain(object);
    Opened {
        object,
        dataset: dataset.to_owned(),
        folder: [year, month, day, hour].join("/"),
        partition: partition.parse().unwrap(),
        start: start.parse().unwrap(),
        records: split(&plain),
        plain,
    }
}

/// The records of a body: lines, pretty documents, or the elements of one array.
fn split(plain: &[u8]) -> Vec<Vec<u8>> {
    let text = plain.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(plain);
    let lines: Vec<&[u8]> = text
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.is_empty())
        .collect();
    if text.starts_with(b"[") {
        let elements: Vec<Value> = serde_json::from_slice(text).unwrap();
        return elements
            .iter()
            .map(|value| value.to_string().into())
            .collect();
    }
    if lines[0] != b"{" {
        return lines.into_iter().map(<[u8]>::to_vec).collect();
    }
    let mut documents = Vec::new();
    for value in serde_json::Deserializer::from_slice(text).into_iter::<Value>() {
        documents.push(value.unwrap().to_string().into_bytes());
    }
    documents
}

impl Opened<'_> {
    pub fn is_gzip(&self) -> bool {
        self.object.body.starts_with(&[0x1f, 0x8b])
    }

    pub fn read(&self) -> Vec<Reading> {
        let mut read = Vec::new();
        for (record, offset) in self.records.iter().zip(self.start..) {
            let event = serde_json::from_slice(record)
                .ok()
                .filter(|event| time(event).is_some());
            read.push(Reading { offset, event });
        }
        read
    }

    /// The end of the hour that names the folder.
    pub fn folder_end(&self) -> DateTime<Utc> {
        let digits: Vec<u32> = self
            .folder
            .split('/')
            .map(|part| part.split_once('=').unwrap().1.parse().unwrap())
            .collect();
        let date = NaiveDate::from_ymd_opt(digits[0].cast_signed(), digits[1], digits[2]).unwrap();
        date.and_hms_opt(digits[3], 59, 59).unwrap().and_utc() + chrono::TimeDelta::seconds(1)
    }
}

pub fn time(event: &Value) -> Option<DateTime<Utc>> {
    event.get("timestamp")?.as_str()?.parse().ok()
}

/// The customer of an event, as text or as a number.
pub fn customer(event: &Value) -> Option<String> {
    match &event["userId"] {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

pub fn holds(bytes: &[u8], needle: &str) -> bool {
    bytes
        .windows(needle.len())
        .any(|window| window == needle.as_bytes())
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub records: u64,
    pub broken: u64,
    pub duplicates: u64,
    pub expired: u64,
    pub kept: u64,
    pub kept_by_day: BTreeMap<NaiveDate, u64>,
}

/// Distinct, kept events with their dataset.
pub type Kept = Vec<(String, Value)>;

/// Counts each dataset's records (all, or those whose bytes hold `needle`) against the line.
pub fn count(
    demo: &Demo,
    first_kept_day: NaiveDate,
    needle: Option<&str>,
) -> (BTreeMap<String, Counts>, Kept) {
    let mut seen: BTreeMap<(String, u32, u64), Option<Value>> = BTreeMap::new();
    let mut counts: BTreeMap<String, Counts> = BTreeMap::new();
    let mut kept = Vec::new();
    for object in open_all(demo) {
        let counts = counts.entry(object.dataset.clone()).or_default();
        for (read, bytes) in object.read().into_iter().zip(&object.records) {
            let identity = (object.dataset.clone(), object.partition, read.offset);
            let repeated = seen.get(&identity);
            if let Some(before) = repeated {
                assert!(read.event.is_some(), "a broken record is repeated");
                assert_eq!(*before, read.event, "equal identity, other content");
            }
            let is_new = repeated.is_none();
            seen.insert(identity, read.event.clone());
            if needle.is_some_and(|needle| !holds(bytes, needle)) {
                continue;
            }
            counts.records += 1;
            match read.event {
                _ if !is_new => counts.duplicates += 1,
                None => counts.broken += 1,
                Some(event) => {
                    let day = time(&event).unwrap().date_naive();
                    if day < first_kept_day {
                        counts.expired += 1;
                        continue;
                    }
                    counts.kept += 1;
                    *counts.kept_by_day.entry(day).or_default() += 1;
                    kept.push((object.dataset.clone(), event));
                }
            }
        }
    }
    (counts, kept)
}

/// A row of the funnel: day, stage, device type, users, sessions, sessions that stop there.
pub type Row = (NaiveDate, String, String, usize, usize, Option<usize>);

/// The funnel straight from its definition, slow and plain; `admit_numbers` tells whether a
/// `userId` that is a number counts as one.
pub fn funnel(kept: &Kept, without: &str, admit_numbers: bool) -> Vec<Row> {
    const STAGES: [&str; 4] = ["product", "cart", "payment", "post_purchase"];
    let events: Vec<(NaiveDate, usize, String, &Value)> = kept
        .iter()
        .filter(|(_, event)| customer(event).as_deref() != Some(without))
        .map(|(dataset, event)| {
            let stage = STAGES.iter().position(|stage| stage == dataset).unwrap();
            let session = event["sessionId"].as_str().unwrap().to_owned();
            (time(event).unwrap().date_naive(), stage, session, event)
        })
        .collect();
    let mut session_devices: BTreeMap<(NaiveDate, &str), BTreeSet<&str>> = BTreeMap::new();
    for (day, _, session, event) in &events {
        if let Some(device) = event["deviceDetails"]["deviceType"].as_str() {
            session_devices
                .entry((*day, session))
                .or_default()
                .insert(device);
        }
    }
    let mut users: BTreeMap<(NaiveDate, usize, &str), BTreeSet<String>> = BTreeMap::new();
    let mut sessions: BTreeMap<(NaiveDate, usize, &str), BTreeSet<&str>> = BTreeMap::new();
    for (day, stage, session, event) in &events {
        let device = event["deviceDetails"]["deviceType"]
            .as_str()
            .unwrap_or_else(|| {
                let known = session_devices.get(&(*day, session.as_str()));
                known.map_or("Unknown", |devices| devices.first().unwrap())
            });
        let group = (*day, *stage, device);
        sessions.entry(group).or_default().insert(session);
        let users = users.entry(group).or_default();
        if event["userId"].is_string() || admit_numbers {
            users.extend(customer(event));
        }
    }
    let mut rows = Vec::new();
    for ((day, stage, device), group) in &sessions {
        let goes_on = |session: &str| {
            let mut others = events.iter();
            others.any(|other| (other.0, other.1, other.2.as_str()) == (*day, stage + 1, session))
        };
        let stops = group.iter().filter(|session| !goes_on(session)).count();
        rows.push((
            *day,
            STAGES[*stage].to_owned(),
            (*device).to_owned(),
            users[&(*day, *stage, *device)].len(),
            group.len(),
            (*stage < 3).then_some(stops),
        ));
    }
    rows
}
