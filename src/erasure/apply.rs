//! Carrying out an erasure step: the event table, then quarantine, then raw objects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;

use super::Sought;
use super::request::{Erased, OpenRequest, RequestError};
use crate::decode::{Json, Record};
use crate::lake::error::S3Error;
use crate::lake::facts::FactsError;
use crate::lake::key::{Key, Purpose};
use crate::lake::ledger::put_json;
use crate::lake::raw::{self, Rewritten};
use crate::lake::rows::{self, RowsError, Tally};
use crate::lake::s3::{ObjectVersion, PutIf, by_key};
use crate::lake::site::Site;
use crate::lake::subject::Suppressed;
use crate::lake::tables::{Change, DataFile, Table, TableError};
use crate::plan::Erase;
use crate::policy::DatasetPolicy;

/// Why an erasure step failed. The request stays open; the next run goes on.
#[derive(Debug, thiserror::Error)]
pub enum ErasureError {
    /// An S3 request.
    #[error("{0}")]
    Store(#[from] S3Error),
    /// The event table.
    #[error("{0}")]
    Table(#[from] TableError),
    /// The rows.
    #[error("{0}")]
    Rows(#[from] RowsError),
    /// The request.
    #[error("{0}")]
    Request(#[from] RequestError),
    /// The key.
    #[error("{0}")]
    Key(#[from] crate::lake::key::KeyError),
    /// The ledger.
    #[error("{0}")]
    Ledger(#[from] FactsError),
    /// A row mask that does not fit.
    #[error("could not take rows out of {file}: {reason}")]
    Mask {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
}

/// What an erasure step did.
#[derive(Debug, Default)]
pub struct DatasetErasure {
    /// Rows that left the event table, each counted once.
    pub rows: u64,
    /// By request; a row about two subjects counts for both.
    pub erased: BTreeMap<String, Erased>,
    /// Raw objects that were replaced meanwhile, are damaged or cannot be read: the request stays open.
    pub moved: Vec<String>,
}

/// Who is to be erased, request by request, so that each can be told what was done for it.
struct Subjects {
    sought: Vec<(String, Sought)>,
    rows: u64,
    erased: BTreeMap<String, Erased>,
}

impl Subjects {
    fn new(policy: &DatasetPolicy, step: &Erase, requests: &[OpenRequest]) -> Self {
        let named = requests
            .iter()
            .filter(|open| step.requests.contains(&open.request.id));
        let sought: Vec<(String, Sought)> = named
            .map(|open| (open.request.id.clone(), Sought::new(open, policy)))
            .collect();
        let erased = sought
            .iter()
            .map(|(id, _)| (id.clone(), Erased::default()))
            .collect();
        Self {
            sought,
            rows: 0,
            erased,
        }
    }

    /// The requests that an event is to be erased for.
    fn of_event(&self, event: &Json) -> Vec<&str> {
        let hit = self
            .sought
            .iter()
            .filter(|(_, sought)| sought.covers(event));
        hit.map(|(id, _)| id.as_str()).collect()
    }

    /// The requests that a record is to be erased for, broken or not.
    fn of_record(&self, bytes: &[u8], content: Option<&Json>) -> Vec<&str> {
        if let Some(event) = content {
            return self.of_event(event);
        }
        let hit = self
            .sought
            .iter()
            .filter(|(_, sought)| sought.matcher.mentions(bytes));
        hit.map(|(id, _)| id.as_str()).collect()
    }

    /// Adds one file or object with its hits to the accounts.
    fn count(&mut self, hits: &[String], each: fn(&mut Erased), once: fn(&mut Erased)) {
        for id in hits {
            self.erased.entry(id.clone()).and_modify(each);
        }
        for id in hits.iter().collect::<BTreeSet<_>>() {
            self.erased.entry(id.clone()).and_modify(once);
        }
    }
}

/// Puts the pending subjects on the suppression list.
pub async fn suppress(
    site: &Site,
    key: &Key,
    requests: &[&OpenRequest],
) -> Result<(), ErasureError> {
    let hasher = key.hasher(Purpose::Suppression)?;
    for open in requests {
        let mut by_kind: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for identifier in &open.identifiers {
            let hash = hasher.hash(&identifier.canonical_form());
            by_kind
                .entry(identifier.kind.clone())
                .or_default()
                .insert(hash);
        }
        let entry = Suppressed {
            version: 1,
            key: key.mark()?,
            hashes: by_kind,
            before: open.request.received,
        };
        let place = site
            .places
            .system(&format!("erasure/suppression/{}.json", open.request.id));
        put_json(
            &site.s3,
            &place.bucket,
            &place.prefix,
            &entry,
            PutIf::Always,
        )
        .await?;
    }
    Ok(())
}

/// Carries out `step`. `files` and `quarantine` are what earlier steps of this run wrote.
pub async fn apply(
    site: &Site,
    policy: &DatasetPolicy,
    step: &Erase,
    requests: &[OpenRequest],
    files: &[DataFile],
    quarantine: &[String],
) -> Result<DatasetErasure, ErasureError> {
    let mut subjects = Subjects::new(policy, step, requests);
    let searched: BTreeSet<&str> = step
        .files
        .iter()
        .chain(files)
        .map(|file| file.path.as_str())
        .collect();
    erase_rows(site, policy, &searched, &mut subjects).await?;

    let planned = step.quarantine.iter().map(|version| version.key.as_str());
    let keys: BTreeSet<&str> = planned
        .chain(quarantine.iter().map(String::as_str))
        .collect();
    for key in keys {
        erase_quarantined(site, key, &mut subjects).await?;
    }
    let moved = erase_raw(site, policy, &step.raw, &mut subjects).await?;
    Ok(DatasetErasure {
        rows: subjects.rows,
        erased: subjects.erased,
        moved,
    })
}

async fn erase_rows(
    site: &Site,
    policy: &DatasetPolicy,
    searched: &BTreeSet<&str>,
    subjects: &mut Subjects,
) -> Result<(), ErasureError> {
    let folder = site.places.events(&policy.name);
    let Some(mut table) = Table::open(Arc::clone(&site.store), &folder).await? else {
        return Ok(());
    };
    let mut change = Change {
        deletes: true,
        run: site.run.clone(),
        ..Change::default()
    };
    for file in table.files()? {
        if !searched.contains(file.path.as_str()) {
            continue;
        }
        let Some(survivors) = without_subjects(site, policy, &file, subjects).await? else {
            continue;
        };
        change.add.extend(survivors);
        change.remove.push(file);
    }
    if !change.remove.is_empty() {
        table.commit(change, site.now).await?;
    }
    Ok(())
}

/// Writes the file anew without the subjects' rows. `None`: no such row is in it. `Some(None)`: no other.
async fn without_subjects(
    site: &Site,
    policy: &DatasetPolicy,
    file: &DataFile,
    subjects: &mut Subjects,
) -> Result<Option<Option<DataFile>>, ErasureError> {
    let folder = site.places.events(&policy.name);
    let batches = rows::read(site.s3.read(), &folder, &file.path).await?;
    let (mut hits, mut expected, mut kept) = (Vec::new(), Tally::default(), Vec::new());
    for batch in &batches {
        let mut keep = Vec::with_capacity(batch.num_rows());
        for event in rows::events(&file.path, batch)? {
            let of_event = subjects.of_event(&event);
            keep.push(of_event.is_empty());
            let of_event: Vec<String> = of_event.into_iter().map(str::to_owned).collect();
            if of_event.is_empty() {
                expected.add(&event);
            } else {
                subjects.rows += 1;
            }
            hits.extend(of_event);
        }
        let masked = filter_record_batch(batch, &BooleanArray::from(keep));
        kept.push(masked.map_err(|error| ErasureError::Mask {
            file: file.path.clone(),
            reason: error.to_string(),
        })?);
    }
    if hits.is_empty() {
        return Ok(None);
    }
    subjects.count(&hits, |erased| erased.rows += 1, |erased| erased.files += 1);
    let Some(survivors) = rows::join(file.event_date, &kept)?.filter(|rows| rows.num_rows() > 0)
    else {
        return Ok(Some(None));
    };
    Ok(Some(Some(
        rows::write(site, policy, file.event_date, &survivors, expected).await?,
    )))
}

/// Takes a subject's broken records out of a quarantine object; its older versions go.
async fn erase_quarantined(
    site: &Site,
    key: &str,
    subjects: &mut Subjects,
) -> Result<(), ErasureError> {
    let bucket = &site.places.lake().bucket;
    let Some(object) = site.s3.read().find(bucket, key).await? else {
        return Ok(());
    };
    let (mut left, mut hits) = (Vec::new(), Vec::new());
    for line in object.bytes.split_inclusive(|byte| *byte == b'\n') {
        let record = quarantined_record(line);
        let parsed = Json::parse(&record).ok();
        let mut of_record = subjects.of_record(&record, None);
        of_record.extend(parsed.iter().flat_map(|event| subjects.of_event(event)));
        if of_record.is_empty() {
            left.extend_from_slice(line);
        }
        of_record.sort_unstable();
        of_record.dedup();
        hits.extend(of_record.into_iter().map(str::to_owned));
    }
    if !hits.is_empty() {
        subjects.count(&hits, |erased| erased.quarantined += 1, |_| {});
        site.s3
            .put(bucket, key, left, PutIf::Matches(&object.etag))
            .await?;
    }
    let mut versions = site.s3.read().versions(bucket, key).await?;
    versions.retain(|version| version.key == key && !version.latest);
    site.s3.delete_versions(bucket, &versions).await?;
    Ok(())
}

/// The record that a line of a quarantine object keeps; the line itself if it is not one of ours.
pub fn quarantined_record(line: &[u8]) -> Vec<u8> {
    use base64::Engine;
    let Ok(line_json) = serde_json::from_slice::<serde_json::Value>(line) else {
        return line.to_vec();
    };
    let text = |name: &str| line_json.get(name).and_then(serde_json::Value::as_str);
    if let Some(record) = text("record") {
        return record.as_bytes().to_vec();
    }
    let decoded = text("record_base64").and_then(|record| {
        base64::engine::general_purpose::STANDARD
            .decode(record)
            .ok()
    });
    decoded.unwrap_or_else(|| line.to_vec())
}

/// Answers the keys of raw objects that were replaced meanwhile, are damaged or cannot be read.
async fn erase_raw(
    site: &Site,
    policy: &DatasetPolicy,
    raw: &[ObjectVersion],
    subjects: &mut Subjects,
) -> Result<Vec<String>, ErasureError> {
    let mut moved = Vec::new();
    let ledger = raw::ledger_now(site, policy).await?;
    for (key, versions) in by_key(raw) {
        let hits = std::sync::Mutex::new(Vec::new());
        let of_subject = |record: &Record<'_>| {
            let of_record = subjects.of_record(record.bytes, record.content.as_ref().ok());
            let is_hit = !of_record.is_empty();
            if let Ok(mut hits) = hits.lock() {
                hits.extend(of_record.into_iter().map(str::to_owned));
            }
            is_hit
        };
        match raw::rewrite(site, policy, &ledger, &versions, &of_subject).await {
            Ok(Rewritten::Untouched | Rewritten::Without(_)) => {}
            Ok(Rewritten::Moved | Rewritten::Damaged) => moved.push(key.to_owned()),
            Err(error) if error.concerns_one_object() => moved.push(key.to_owned()),
            Err(error) => return Err(error.into()),
        }
        let hits = hits.into_inner().unwrap_or_default();
        let each = |erased: &mut Erased| erased.raw_records += 1;
        subjects.count(&hits, each, |erased| erased.raw_objects += 1);
    }
    Ok(moved)
}
