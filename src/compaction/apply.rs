//! Carrying out one compaction step: read, admit, write, read back, commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use chrono::NaiveDate;
use futures::{StreamExt, TryStreamExt};

use super::admit::{Admitted, Quarantined, admit};
use super::columns;
use super::duplicates::Duplicates;
use crate::decode::{self, Learned, RescueCause};
use crate::lake::error::{S3Error, S3ErrorKind};
use crate::lake::facts::FactsError;
use crate::lake::ledger::{COMPACTION, Counts, Entry, Ledger, Segment};
use crate::lake::raw;
use crate::lake::rows::{self, Event, RowsError, Tally};
use crate::lake::s3::{ObjectVersion, Pick, PutIf};
use crate::lake::site::Site;
use crate::lake::tables::{Change, DataFile, Table, TableError};
use crate::plan::Compact;
use crate::policy::{DatasetPolicy, OnNewField};

const READ_AT_ONCE: usize = 32;

/// Why a compaction step failed. Nothing was committed; the next run plans anew.
#[derive(Debug, thiserror::Error)]
pub enum CompactionError {
    /// An S3 request.
    #[error("{0}")]
    Store(#[from] S3Error),
    /// The event table.
    #[error("{0}")]
    Table(#[from] TableError),
    /// The ledger.
    #[error("{0}")]
    Ledger(#[from] FactsError),
    /// The rows.
    #[error("{0}")]
    Rows(#[from] RowsError),
    /// Counts that do not add up.
    #[error("invariant 1 broken in {dataset}: {counts:?} does not add up; nothing was committed")]
    NotConserved {
        /// The dataset.
        dataset: String,
        /// The counts.
        counts: Counts,
    },
}

/// What a compaction step did.
#[derive(Debug, Default)]
pub struct Compacted {
    /// What became of the records.
    pub counts: Counts,
    /// The objects that were compacted.
    pub entries: Vec<Entry>,
    /// The files that were written.
    pub files: Vec<DataFile>,
    /// The columns that were added, as path and type.
    pub columns_added: Vec<String>,
    /// The quarantine object that was written.
    pub quarantine: Option<String>,
    /// What a person should know.
    pub findings: Vec<String>,
}

/// The event table before the commit, and its ledger at that very version.
struct Target {
    table: Option<Table>,
    /// The events' own columns.
    payload: Option<Schema>,
    ledger: Ledger,
}

impl Target {
    async fn open(site: &Site, policy: &DatasetPolicy) -> Result<Self, CompactionError> {
        let table = Table::open(Arc::clone(&site.store), &site.places.events(&policy.name)).await?;
        let schema = table.as_ref().map(Table::schema).transpose()?;
        let folder = site.places.ledger(&policy.name);
        let ledger = Ledger::of(site.s3.read(), &folder, table.as_ref()).await?;
        Ok(Self {
            table,
            payload: schema.map(|schema| rows::payload_schema(&schema)),
            ledger,
        })
    }

    /// The columns that a field can be new to: a table that so far holds nothing but quarantined records
    /// has none.
    fn typed(&self) -> Option<&Schema> {
        self.payload
            .as_ref()
            .filter(|schema| !schema.fields().is_empty())
    }

    fn files(&self) -> Result<Vec<DataFile>, TableError> {
        self.table.as_ref().map_or(Ok(Vec::new()), Table::files)
    }
}

/// Carries out `step`.
pub async fn apply(
    site: &Site,
    policy: &DatasetPolicy,
    step: &Compact,
) -> Result<Compacted, CompactionError> {
    let target = Target::open(site, policy).await?;
    let mut done = Compacted::default();
    let mut objects = read(site, policy, step, &target.ledger, &mut done.findings).await?;
    refuse_new_fields(policy, target.typed(), &mut objects, &mut done.findings);
    let files = target.files()?;
    drop_duplicates(site, policy, &files, &mut objects, &mut done.findings).await?;
    for object in &objects {
        done.counts.add(object.entry.counts);
    }
    if !done.counts.are_conserved() {
        return Err(CompactionError::NotConserved {
            dataset: policy.name.clone(),
            counts: done.counts,
        });
    }
    if objects.is_empty() {
        return Ok(done);
    }
    let learned = learn(policy, &target, &objects);
    done.files = write(site, policy, &learned.schema, &objects).await?;
    commit(site, policy, target, &learned.schema, objects, &mut done).await?;
    done.columns_added = learned.added;
    Ok(done)
}

async fn read(
    site: &Site,
    policy: &DatasetPolicy,
    step: &Compact,
    ledger: &Ledger,
    findings: &mut Vec<String>,
) -> Result<Vec<Admitted>, CompactionError> {
    // Whoever committed since the plan was made may have taken some of them in.
    let waiting =
        |version: &&ObjectVersion| ledger.compacted(&version.key, &version.etag).is_none();
    let read: Vec<Result<Option<Admitted>, String>> =
        futures::stream::iter(step.objects.iter().filter(waiting))
            .map(|version| read_object(site, policy, step.keep_from, version, ledger))
            .buffered(READ_AT_ONCE)
            .try_collect()
            .await?;
    let mut objects = Vec::with_capacity(read.len());
    for object in read {
        match object {
            Ok(None) => {}
            Ok(Some(object)) => {
                if object.entry.damaged {
                    findings.push(format!(
                        "{}: part of it cannot be read; what was readable is compacted, the object stays",
                        object.entry.key
                    ));
                }
                objects.push(object);
            }
            Err(finding) => findings.push(finding),
        }
    }
    Ok(objects)
}

/// `None` is an object that we wrote ourselves. The inner error is a finding: the object waits for a later
/// plan.
async fn read_object(
    site: &Site,
    policy: &DatasetPolicy,
    keep_from: NaiveDate,
    version: &ObjectVersion,
    ledger: &Ledger,
) -> Result<Result<Option<Admitted>, String>, S3Error> {
    let bucket = &policy.raw.location.bucket;
    let got = site
        .s3
        .read()
        .get(bucket, &version.key, Pick::IfMatch(&version.etag))
        .await;
    match got {
        Ok(object) => {
            if raw::recognise(site, policy, version, &object.bytes, ledger).await? {
                return Ok(Ok(None));
            }
            Ok(Ok(Some(admit(
                site,
                policy,
                keep_from,
                version,
                &object.bytes,
            ))))
        }
        Err(error) => match error.kind {
            S3ErrorKind::Precondition | S3ErrorKind::NotFound => Ok(Err(format!(
                "{}: replaced or deleted while it was read; the next plan will see it",
                version.key
            ))),
            _ if error.concerns_one_object() => Ok(Err(error.to_string())),
            _ => Err(error),
        },
    }
}

/// Under `on_new_field: fail` an object that brings a new field waits for a person.
fn refuse_new_fields(
    policy: &DatasetPolicy,
    existing: Option<&Schema>,
    objects: &mut Vec<Admitted>,
    findings: &mut Vec<String>,
) {
    let (OnNewField::Fail, Some(existing)) = (policy.schema.on_new_field, existing) else {
        return;
    };
    objects.retain(|object| {
        let events = object.events.iter().map(|event| &event.json);
        let rules = columns::rules(policy, Some(existing));
        let learned = decode::learn(Some(existing), events, &rules);
        let new = learned.rescued_for_good.iter();
        let added = new.filter(|field| field.why == RescueCause::Policy).count();
        if added > 0 {
            findings.push(format!(
                "{}: refused, it brings {added} new fields and the policy says `on_new_field: fail`",
                object.entry.key
            ));
        }
        added == 0
    });
}

async fn drop_duplicates(
    site: &Site,
    policy: &DatasetPolicy,
    files: &[DataFile],
    objects: &mut [Admitted],
    findings: &mut Vec<String>,
) -> Result<(), RowsError> {
    let events: Vec<&Event> = objects.iter().flat_map(|object| &object.events).collect();
    let mut known = Duplicates::load(site, policy, files, &events).await?;
    for object in objects {
        let before = object.events.len();
        object.events.retain(|event| !known.is_known(event, policy));
        object.entry.counts.written = object.events.len() as u64;
        object.entry.counts.deduplicated = (before - object.events.len()) as u64;
    }
    if known.conflicts > 0 {
        findings.push(format!(
            "{}: {} events share the identity of another with other content; both are kept",
            policy.name, known.conflicts
        ));
    }
    Ok(())
}

fn learn(policy: &DatasetPolicy, target: &Target, objects: &[Admitted]) -> Learned {
    let events = objects
        .iter()
        .flat_map(|object| &object.events)
        .map(|event| &event.json);
    let existing = target.payload.as_ref();
    decode::learn(existing, events, &columns::rules(policy, existing))
}

async fn write(
    site: &Site,
    policy: &DatasetPolicy,
    payload: &SchemaRef,
    objects: &[Admitted],
) -> Result<Vec<DataFile>, RowsError> {
    let mut days: BTreeMap<NaiveDate, Vec<&Event>> = BTreeMap::new();
    for event in objects.iter().flat_map(|object| &object.events) {
        days.entry(event.time.date_naive()).or_default().push(event);
    }
    let mut files = Vec::with_capacity(days.len());
    for (day, events) in days {
        let rows = rows::batch(payload, &events).map_err(|error| RowsError::Arrow {
            day,
            reason: error.to_string(),
        })?;
        let mut expected = Tally::default();
        for event in &events {
            expected.add(&event.json);
        }
        files.push(rows::write(site, policy, day, &rows, expected).await?);
    }
    Ok(files)
}

async fn commit(
    site: &Site,
    policy: &DatasetPolicy,
    target: Target,
    payload: &SchemaRef,
    objects: Vec<Admitted>,
    done: &mut Compacted,
) -> Result<(), CompactionError> {
    let schema = rows::table_schema(payload);
    let folder = site.places.events(&policy.name);
    let mut table = match target.table {
        Some(table) => table,
        None => Table::create(Arc::clone(&site.store), &folder, &schema).await?,
    };
    let ledger = target.ledger;
    let ledger_folder = site.places.ledger(&policy.name);
    let (entries, broken): (Vec<_>, Vec<_>) = objects
        .into_iter()
        .map(|object| (object.entry, object.quarantined))
        .unzip();
    let broken: Vec<Quarantined> = broken.into_iter().flatten().collect();
    done.quarantine = quarantine(site, policy, ledger.next, &broken).await?;
    let segment = Segment {
        version: 1,
        number: ledger.next,
        previous: ledger.committed,
        run: site.run.clone(),
        at: site.now,
        objects: entries,
        quarantine: done.quarantine.clone(),
    };
    Ledger::write(&site.s3, &ledger_folder, &segment).await?;
    let evolved = target.payload.is_some_and(|existing| existing != **payload);
    let change = Change {
        add: done.files.clone(),
        schema: evolved.then_some(schema),
        transactions: vec![(COMPACTION.to_owned(), segment.number)],
        run: site.run.clone(),
        ..Change::default()
    };
    table.commit(change, site.now).await?;
    done.entries = segment.objects;
    Ok(())
}

/// Writes the broken records as JSON lines; the ledger segment names the object.
async fn quarantine(
    site: &Site,
    policy: &DatasetPolicy,
    number: u64,
    broken: &[Quarantined],
) -> Result<Option<String>, S3Error> {
    if broken.is_empty() {
        return Ok(None);
    }
    let folder = site.places.quarantine(&policy.name);
    // The number alone would let a second run write over what the first one's segment names.
    let random = uuid::Uuid::new_v4().simple().to_string();
    let key = folder
        .join(&format!("{number:012}-{}.jsonl", &random[..8]))
        .prefix;
    let mut lines = Vec::new();
    for record in broken {
        serde_json::to_writer(&mut lines, record).map_err(|error| {
            S3Error::new(
                format!("write {key}"),
                error.to_string(),
                S3ErrorKind::Other,
            )
        })?;
        lines.push(b'\n');
    }
    site.s3
        .put(&folder.bucket, &key, lines, PutIf::Absent)
        .await?;
    Ok(Some(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Json, NewFields, SchemaRules};
    use chrono::DateTime;

    #[test]
    fn own_columns_do_not_disturb_the_event() {
        let json = Json::parse(br#"{"userId":"7","timestamp":"t","n":1,"_topic":"mine"}"#).unwrap();
        let rules = SchemaRules {
            on_new_field: NewFields::Add,
            max_columns: 10,
            types: BTreeMap::new(),
        };
        let learned = decode::learn(None, std::iter::once(&json), &rules);
        let event = Event {
            json: json.clone(),
            time: DateTime::UNIX_EPOCH,
            position: None,
        };
        let batch = rows::batch(&learned.schema, &[&event]).unwrap();
        let back = decode::rebuild(&batch, 0).unwrap();
        assert!(decode::semantically_equal(&json, &back));
        assert_eq!(
            rows::payload_schema(&rows::table_schema(&learned.schema)),
            *learned.schema
        );
    }
}
