//! Carrying out one compaction step: read, admit, sort, write, read back, commit.
//!
//! A step is done in rounds, each of which ends in a commit of its own: usually one, more only where so
//! much is new that what has to be remembered or lies on local disk reaches its limit.

use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;

use arrow::datatypes::Schema;
use futures::{Stream, StreamExt, TryStreamExt};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::admit::Admission;
use super::duplicates::{Duplicates, in_order};
use super::fetch::{Outcome, fetch};
use super::intake::{Intake, Taken, Unit, decode_ahead, joined};
use super::late;
use crate::lake::error::S3Error;
use crate::lake::facts::FactsError;
use crate::lake::ledger::{COMPACTION, Counts, Entry, Ledger, Segment};
use crate::lake::rows::{self, RowsError};
use crate::lake::s3::ObjectVersion;
use crate::lake::site::Site;
use crate::lake::sort::SortError;
use crate::lake::table_files::{way_schema, write_sorted};
use crate::lake::tables::{Change, DataFile, Table, TableError};
use crate::plan::Compact;
use crate::policy::{DatasetPolicy, OnNewField};

/// What is decoded together.
const UNIT: UnitSize = UnitSize {
    bytes: 4 * 1024 * 1024,
    objects: 1000,
};
/// What a new table's columns are learned from: the more is seen, the better they fit.
const FIRST_UNIT: UnitSize = UnitSize {
    bytes: 8 * 1024 * 1024,
    objects: 20_000,
};

/// Why a compaction step failed. What was not committed is planned anew by the next run.
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

impl From<SortError> for CompactionError {
    fn from(error: SortError) -> Self {
        Self::Rows(error.into())
    }
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
    /// The quarantine objects that were written.
    pub quarantine: Vec<String>,
    /// The columns that the table got, with their types.
    pub columns_added: Vec<String>,
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
    let mut done = Compacted::default();
    let mut rest: Vec<&ObjectVersion> = in_order(step.objects.iter());
    loop {
        let target = Target::open(site, policy).await?;
        // Whoever committed since the plan was made may have taken some of them in.
        rest.retain(|version| {
            let known = target.ledger.compacted(&version.key, &version.etag);
            known.is_none()
        });
        let admission = Arc::new(Admission::new(site, policy, step.keep_from));
        let (taken, seen) = take_in(site, policy, &target, admission, &rest).await?;
        rest.drain(..seen);
        done.findings.extend(taken.findings.iter().cloned());
        if !taken.counts.are_conserved() {
            return Err(CompactionError::NotConserved {
                dataset: policy.name.clone(),
                counts: taken.counts,
            });
        }
        if !taken.entries.is_empty() {
            write_and_commit(site, policy, target, taken, &mut done).await?;
        }
        if rest.is_empty() {
            return Ok(done);
        }
    }
}

/// Takes in `objects` until the round is full; answers also how many were looked at.
async fn take_in(
    site: &Site,
    policy: &DatasetPolicy,
    target: &Target,
    admission: Arc<Admission>,
    objects: &[&ObjectVersion],
) -> Result<(Taken, usize), CompactionError> {
    let duplicates = Duplicates::new(&target.ledger, target.files()?, objects);
    let payload = target.payload.as_ref();
    let mut intake = Intake::new(site, policy, Arc::clone(&admission), payload, duplicates);
    let columns = intake.columns();
    let cores = available_parallelism().map_or(1, NonZero::get);
    let (sender, mut decoded) = mpsc::channel(1);
    let ahead = async {
        let fetched = fetch(
            site,
            policy,
            &target.ledger,
            objects.to_vec(),
            site.memory / 16,
        );
        let units = units(fetched, policy, payload.is_none());
        let mut decoding = std::pin::pin!(
            units
                .map_ok(|(unit, waiting, seen)| {
                    let (admission, payload) = (Arc::clone(&admission), columns.borrow().clone());
                    let work = spawn_blocking(move || decode_ahead(&admission, &payload, unit));
                    async move { Ok::<_, CompactionError>((joined(work).await?, waiting, seen)) }
                })
                .try_buffered(cores)
        );
        while let Some(unit) = decoding.try_next().await? {
            if sender.send(unit).await.is_err() {
                break;
            }
        }
        drop(sender);
        Ok::<_, CompactionError>(())
    };
    let settle = async {
        let mut all_seen = 0;
        while let Some((unit, waiting, seen)) = decoded.recv().await {
            intake.take(unit).await?;
            intake.findings.extend(waiting);
            all_seen += seen;
            if intake.is_full() {
                break;
            }
        }
        decoded.close();
        Ok::<_, CompactionError>(all_seen)
    };
    let ((), seen) = futures::try_join!(ahead, settle)?;
    Ok((intake.finish(), seen))
}

/// How much a unit holds.
#[derive(Debug, Clone, Copy)]
struct UnitSize {
    bytes: u64,
    objects: usize,
}

/// Objects to decode together, findings about others, and how many both are.
type Batch = (Unit, Vec<String>, usize);

/// Gathers objects into units.
fn units<'a>(
    fetched: impl Stream<Item = Result<Outcome, CompactionError>> + 'a,
    policy: &DatasetPolicy,
    is_new_table: bool,
) -> impl Stream<Item = Result<Batch, CompactionError>> + 'a {
    // A refusal concerns one object, which is then decoded by itself.
    let alone = policy.schema.on_new_field == OnNewField::Fail && !is_new_table;
    let usual = UnitSize {
        objects: if alone { 1 } else { UNIT.objects },
        ..UNIT
    };
    let first = if is_new_table { FIRST_UNIT } else { usual };
    futures::stream::unfold(
        (Box::pin(fetched), first),
        move |(mut fetched, size)| async move {
            let (mut unit, mut waiting, mut seen, mut bytes) = (Unit::new(), Vec::new(), 0, 0);
            while bytes < size.bytes && seen < size.objects {
                match fetched.next().await {
                    None => break,
                    Some(Err(error)) => return Some((Err(error), (fetched, usual))),
                    Some(Ok(outcome)) => {
                        seen += 1;
                        match outcome {
                            Outcome::Fetched(object) => {
                                bytes += object.version.size;
                                unit.push(object.into_unit());
                            }
                            Outcome::Ours => {}
                            Outcome::Waits(finding) => waiting.push(finding),
                        }
                    }
                }
            }
            (seen > 0).then_some((Ok((unit, waiting, seen)), (fetched, usual)))
        },
    )
}

/// Writes what was taken in, reads it back, and commits it together with its part of the ledger.
async fn write_and_commit(
    site: &Site,
    policy: &DatasetPolicy,
    target: Target,
    taken: Taken,
    done: &mut Compacted,
) -> Result<(), CompactionError> {
    let sorter = taken.sorter;
    let way = way_schema(&taken.payload);
    let rows = joined(spawn_blocking(move || sorter.finish(&way))).await?;
    let mut files = write_sorted(site, policy, rows).await?;
    files.extend(late::write(site, policy, &taken.payload, taken.late).await?);
    let written: u64 = files.iter().map(|file| file.rows).sum();
    if written != taken.counts.written + taken.counts.redacted {
        return Err(CompactionError::NotConserved {
            dataset: policy.name.clone(),
            counts: taken.counts,
        });
    }
    let schema = rows::table_schema(&taken.payload);
    let folder = site.places.events(&policy.name);
    let mut table = match target.table {
        Some(table) => table,
        None => Table::create(Arc::clone(&site.store), &folder, &schema).await?,
    };
    let ledger = target.ledger;
    let quarantine = taken.quarantine.put(site, policy, ledger.next).await?;
    let segment = Segment {
        version: 1,
        number: ledger.next,
        previous: ledger.committed,
        run: site.run.clone(),
        at: site.now,
        objects: taken.entries,
        quarantine: quarantine.clone(),
    };
    Ledger::write(&site.s3, &site.places.ledger(&policy.name), &segment).await?;
    let evolved = target
        .payload
        .is_some_and(|existing| existing != *taken.payload);
    let change = Change {
        add: files.clone(),
        schema: evolved.then_some(schema),
        transactions: vec![(COMPACTION.to_owned(), segment.number)],
        run: site.run.clone(),
        ..Change::default()
    };
    table.commit(change, site.now).await?;
    done.counts.add(taken.counts);
    done.entries.extend(segment.objects);
    done.files.extend(files);
    done.quarantine.extend(quarantine);
    done.columns_added.extend(taken.columns_added);
    Ok(())
}
