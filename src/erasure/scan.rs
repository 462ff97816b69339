//! The scan for traces (invariant 8): every version of every object of the lake and of the raw locations
//! is read and decoded, and held against the identifiers of the requests to be certified.
//!
//! It does not use what the erasure used to find rows: no filters, no statistics, no ledger. An identifier
//! is looked for as a decoded value at the policies' paths, as a whole token in keys, metadata, broken
//! records and the program's own files, and, from 8 characters on, as bytes. An event of the subject from
//! after the request is no trace: it is a customer who came back.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::Int64Type;
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use super::apply::quarantined_record;
use super::request::OpenRequest;
use crate::decode::{self, Json, Limits, Plain, RawFormat, Reason};
use crate::lake::error::{S3Error, S3ErrorKind};
use crate::lake::parquet_files;
use crate::lake::raw::is_partly_unread;
use crate::lake::s3::{Object, ObjectVersion, Pick};
use crate::lake::site::Site;
use crate::lake::subject::contains_token;
use crate::policy::{DatasetPolicy, Policies, S3Location};

/// From so many characters on, an identifier means something wherever its bytes turn up.
const LONG_ENOUGH: usize = 8;
const READ_AT_ONCE: usize = 16;

/// Where a subject still is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// The bucket.
    pub bucket: String,
    /// The key; withheld where the key itself holds the identifier.
    pub key: String,
    /// The version id.
    pub version: String,
    /// In which form it was found.
    pub form: String,
}

/// What a scan covered and found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scan {
    /// Object versions read.
    pub versions: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Raw records decoded.
    pub records: u64,
    /// Table rows decoded.
    pub rows: u64,
    /// Multipart uploads from before the request that were never finished, and cannot be read.
    pub unfinished_uploads: u64,
    /// Events of the subject from after the request.
    pub later_events: u64,
    /// Objects with events in which the identifier stands as a word outside the identifier fields. It may
    /// mean something else there, so this does not withhold a certificate.
    pub mentions: u64,
    /// Objects that could not be read whole (archived, damaged, compressed in an unknown way): keys.
    pub unreadable: Vec<String>,
    /// What was found.
    pub traces: Vec<Trace>,
}

impl Scan {
    /// Whether a certificate can be given.
    pub fn is_clean(&self) -> bool {
        self.traces.is_empty() && self.unfinished_uploads == 0 && self.unreadable.is_empty()
    }
}

/// Scans for the subjects of `requests`, all in one pass; by request.
pub async fn scan(
    site: &Site,
    policies: &Policies,
    requests: &[&OpenRequest],
) -> Result<BTreeMap<String, Scan>, S3Error> {
    let mut scans: Vec<(&OpenRequest, Scan)> = requests
        .iter()
        .map(|open| (*open, Scan::default()))
        .collect();
    let lake = &policies.lake.location;
    scan_place(site, policies, lake, None, &mut scans).await?;
    for policy in &policies.datasets {
        scan_place(
            site,
            policies,
            &policy.raw.location,
            Some(policy),
            &mut scans,
        )
        .await?;
    }
    Ok(scans
        .into_iter()
        .map(|(open, scan)| (open.request.id.clone(), scan))
        .collect())
}

async fn scan_place(
    site: &Site,
    policies: &Policies,
    place: &S3Location,
    raw_of: Option<&DatasetPolicy>,
    scans: &mut [(&OpenRequest, Scan)],
) -> Result<(), S3Error> {
    let bucket = &place.bucket;
    let uploads = site.s3.read().uploads(bucket, &place.prefix).await?;
    for (open, scan) in scans.iter_mut() {
        let old =
            |started: Option<DateTime<Utc>>| started.is_none_or(|at| at < open.request.received);
        scan.unfinished_uploads += uploads
            .iter()
            .filter(|upload| old(upload.initiated))
            .count() as u64;
    }
    let mut versions = site.s3.read().versions(bucket, &place.prefix).await?;
    versions.retain(|version| !version.marker);
    let mut objects = futures::stream::iter(versions)
        .map(|version| async move {
            let read = read_version(site, bucket, &version).await;
            Ok::<_, S3Error>((version, read))
        })
        .buffered(READ_AT_ONCE);
    while let Some((version, read)) = objects.try_next().await? {
        let object = match read {
            Ok(Some(object)) => object,
            Ok(None) => continue,
            Err(error) if error.concerns_one_object() => {
                for (open, scan) in scans.iter_mut() {
                    scan.unreadable.push(shown_key(open, &version));
                }
                continue;
            }
            Err(error) => return Err(error),
        };
        let content = Content::of(policies, place, raw_of, &version, &object);
        for (open, scan) in scans.iter_mut() {
            look(bucket, &version, &object, &content, open, scan);
        }
    }
    Ok(())
}

/// `None` if the version has gone meanwhile.
async fn read_version(
    site: &Site,
    bucket: &str,
    version: &ObjectVersion,
) -> Result<Option<Object>, S3Error> {
    let pick = Pick::Version(&version.version);
    match site.s3.read().get(bucket, &version.key, pick).await {
        Ok(object) => Ok(Some(object)),
        Err(error) if error.kind == S3ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// An object, decoded once for all requests.
enum Content<'a> {
    /// Events of a dataset: raw records, or rows of its table.
    Events {
        policy: &'a DatasetPolicy,
        events: Vec<Json>,
        broken: Vec<Vec<u8>>,
        plain: Vec<u8>,
        is_raw: bool,
    },
    /// What cannot be decoded as a whole.
    Unreadable,
    /// Texts of any other kind: curated cells, strings of the program's own files, quarantined records.
    Texts(Vec<Vec<u8>>),
}

impl<'a> Content<'a> {
    fn of(
        policies: &'a Policies,
        place: &S3Location,
        raw_of: Option<&'a DatasetPolicy>,
        version: &ObjectVersion,
        object: &Object,
    ) -> Self {
        if let Some(policy) = raw_of {
            return Self::raw(policy, &object.bytes);
        }
        let path = version
            .key
            .strip_prefix(&place.prefix)
            .unwrap_or(&version.key);
        let is_parquet = path.ends_with(".parquet");
        let mut parts = path.split('/');
        match (parts.next(), parts.next()) {
            (Some("events"), Some(name)) if is_parquet && !path.contains("/_delta_log/") => {
                match policies.dataset(name) {
                    Some(policy) => Self::rows(policy, object).unwrap_or(Self::Unreadable),
                    None => Self::cells(policies, object),
                }
            }
            (Some("quarantine"), _) => {
                let lines = object.bytes.split(|byte| *byte == b'\n');
                Self::Texts(lines.map(quarantined_record).collect())
            }
            _ if is_parquet => Self::cells(policies, object),
            _ => Self::Texts(strings(&object.bytes)),
        }
    }

    fn raw(policy: &'a DatasetPolicy, bytes: &[u8]) -> Self {
        let limits = Limits::default();
        let plain = Plain::of(bytes, policy.raw.format, &limits);
        if is_partly_unread(plain.damage) {
            return Self::Unreadable;
        }
        let (mut events, mut broken) = (Vec::new(), Vec::new());
        for record in plain.records(&limits) {
            match record.content {
                Ok(event) => events.push(event),
                Err(Reason::UnknownCompression | Reason::WideEncoding) => return Self::Unreadable,
                Err(_) => broken.push(record.bytes.to_vec()),
            }
        }
        let is_json = policy.raw.format == RawFormat::Json;
        let (mut plain, metadata) = (plain.data.into_owned(), plain.metadata);
        if !is_json {
            // Neither is in the text.
            plain.extend(metadata);
            plain.extend(broken.iter().flatten());
        }
        Self::Events {
            policy,
            events,
            broken,
            plain,
            is_raw: true,
        }
    }

    /// The text cells of a Parquet file, and the numbers in columns named like an identifier's field.
    fn cells(policies: &Policies, object: &Object) -> Self {
        let Ok(batches) = parquet_files::decode(object.bytes.clone()) else {
            return Self::Unreadable;
        };
        let paths = policies
            .datasets
            .iter()
            .flat_map(|policy| policy.pii.identifiers.values().flatten());
        let names: BTreeSet<&str> = paths
            .filter_map(|path| path.names().last())
            .map(String::as_str)
            .collect();
        let mut texts = Vec::new();
        for batch in &batches {
            for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
                push_cells(column, &mut texts);
                if names.contains(field.name().as_str())
                    && let Some(numbers) = column.as_primitive_opt::<Int64Type>()
                {
                    texts.extend(
                        numbers
                            .iter()
                            .flatten()
                            .map(|number| format!("\"{number}\"").into_bytes()),
                    );
                }
            }
        }
        Self::Texts(texts)
    }

    fn rows(policy: &'a DatasetPolicy, object: &Object) -> Option<Self> {
        let (mut events, mut plain) = (Vec::new(), Vec::new());
        for batch in parquet_files::decode(object.bytes.clone()).ok()? {
            for row in 0..batch.num_rows() {
                let event = decode::rebuild(&batch, row).ok()?;
                plain.extend_from_slice(event.to_string().as_bytes());
                events.push(event);
            }
        }
        Some(Self::Events {
            policy,
            events,
            broken: Vec::new(),
            plain,
            is_raw: false,
        })
    }
}

fn look(
    bucket: &str,
    version: &ObjectVersion,
    object: &Object,
    content: &Content<'_>,
    open: &OpenRequest,
    scan: &mut Scan,
) {
    scan.versions += 1;
    scan.bytes += object.bytes.len() as u64;
    let in_key = holds_token(open, version.key.as_bytes());
    let mut found = |form: &str| {
        scan.traces.push(Trace {
            bucket: bucket.to_owned(),
            key: shown_key(open, version),
            version: version.version.clone(),
            form: form.to_owned(),
        });
    };
    if in_key {
        found("token in the key");
    }
    let in_metadata = |(name, value): (&String, &String)| {
        [name, value]
            .iter()
            .any(|text| holds_token(open, text.as_bytes()))
    };
    if object.metadata.iter().any(in_metadata) {
        found("token in the metadata");
    }
    match content {
        Content::Unreadable => scan.unreadable.push(shown_key(open, version)),
        Content::Texts(texts) => {
            if texts.iter().any(|text| holds_token(open, text)) {
                found("token");
            }
        }
        Content::Events {
            policy,
            events,
            broken,
            plain,
            is_raw,
        } => {
            let (earlier, later) = events_of(open, policy, events);
            if earlier > 0 {
                found("value at an identifier field");
            }
            if broken.iter().any(|record| holds_token(open, record)) {
                found("token in a broken record");
            }
            if earlier == 0 && later == 0 && holds_long_form(open, plain) {
                found("bytes");
            } else if earlier == 0 && later == 0 && holds_token(open, plain) {
                scan.mentions += 1;
            }
            scan.later_events += later;
            let counted = (events.len() + broken.len()) as u64;
            if *is_raw {
                scan.records += counted;
            } else {
                scan.rows += counted;
            }
        }
    }
}

/// How many events are the subject's, from before the request and from after it.
fn events_of(open: &OpenRequest, policy: &DatasetPolicy, events: &[Json]) -> (u64, u64) {
    let subject = open.subject(&crate::policy::ErasurePolicy::default());
    let roster = crate::lake::subject::Roster::new(&policy.pii, &[subject]);
    let (mut earlier, mut later) = (0, 0);
    for event in events {
        let time = decode::event_time(event, &crate::lake::raw::time_rule(&policy.events)).ok();
        if roster.of_event(event).is_empty() {
            continue;
        }
        if roster.is_later(0, time) {
            later += 1;
        } else {
            earlier += 1;
        }
    }
    (earlier, later)
}

/// A key that itself holds the identifier is not repeated.
fn shown_key(open: &OpenRequest, version: &ObjectVersion) -> String {
    if holds_token(open, version.key.as_bytes()) {
        return "(withheld)".into();
    }
    version.key.clone()
}

fn holds_token(open: &OpenRequest, bytes: &[u8]) -> bool {
    let mut texts = open.written.0.iter().map(|(_, text)| text.as_bytes());
    texts.any(|text| contains_token(bytes, text))
}

fn holds_long_form(open: &OpenRequest, bytes: &[u8]) -> bool {
    let mut texts = open.written.0.iter().map(|(_, text)| text.as_bytes());
    texts.any(|text| {
        text.len() >= LONG_ENOUGH && bytes.windows(text.len()).any(|window| window == text)
    })
}

/// The strings of one of the program's own JSON files, names included. Numbers are sizes and counts; they
/// may look like an identifier and are none. A string that holds JSON (a Delta log's statistics) is opened.
fn strings(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut texts = Vec::new();
    for record in decode::frame(bytes, &Limits::default()) {
        match record.content {
            Ok(json) => push_strings(&json, &mut texts),
            Err(_) => texts.push(record.bytes.to_vec()),
        }
    }
    texts
}

fn push_strings(json: &Json, texts: &mut Vec<Vec<u8>>) {
    match json {
        Json::String(text) => match Json::parse(text.as_bytes()) {
            Ok(inner @ (Json::Object(_) | Json::Array(_))) => push_strings(&inner, texts),
            _ => texts.push(text.clone().into_bytes()),
        },
        Json::Array(values) => values.iter().for_each(|value| push_strings(value, texts)),
        Json::Object(fields) => {
            for (name, value) in fields {
                texts.push(name.clone().into_bytes());
                push_strings(value, texts);
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

fn push_cells(column: &ArrayRef, texts: &mut Vec<Vec<u8>>) {
    if let Some(strings) = column.as_string_opt::<i32>() {
        texts.extend(
            strings
                .iter()
                .flatten()
                .map(|text| text.as_bytes().to_vec()),
        );
    } else if let Some(strings) = column.as_string_view_opt() {
        texts.extend(
            strings
                .iter()
                .flatten()
                .map(|text| text.as_bytes().to_vec()),
        );
    } else if let Some(fields) = column.as_struct_opt() {
        fields
            .columns()
            .iter()
            .for_each(|column| push_cells(column, texts));
    } else if let Some(list) = column.as_list_opt::<i32>() {
        push_cells(list.values(), texts);
    } else if let Some(map) = column.as_map_opt() {
        push_cells(map.keys(), texts);
        push_cells(map.values(), texts);
    }
}
