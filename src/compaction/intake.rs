//! Taking raw objects in: units of them are decoded on all cores, and then, in their order, given the
//! table's columns, freed of duplicates and handed to the sorter.
//!
//! A unit is decoded with the columns that are known when it is read. If it turns out to need more, it is
//! learned from and decoded again when its turn comes, so which columns there are depends on the order of
//! the objects and on nothing else. Big units come in portions.
//!
//! Hazard: what is in memory at once must not depend on the input. Objects being read, units being
//! decoded, rows waiting to be sorted and identities each have their share.

use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::{Schema, SchemaRef};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

use super::admit::{Admission, Admitted};
use super::apply::CompactionError;
use super::columns;
use super::duplicates::Duplicates;
use super::fetch::Fetched;
use super::late::LateEvent;
use super::quarantine::QuarantineFile;
use super::rows::{Finished, Rows};
use crate::decode::{Learned, Learning, RESCUED, RescueCause, SchemaRules};
use crate::lake::ledger::{Counts, Entry};
use crate::lake::rows::RowsError;
use crate::lake::site::Site;
use crate::lake::sort::{SortError, Sorter};
use crate::policy::{DatasetPolicy, OnNewField};

/// A round ends when so much lies in the spill folder.
const MOST_SPILLED_BYTES: u64 = 32 * 1024 * 1024 * 1024;

/// Objects that are decoded together.
pub type Unit = Vec<Fetched>;

/// A unit's rows, and what became of its records.
pub struct Decoded {
    unit: Unit,
    payload: SchemaRef,
    finished: Finished,
    objects: Vec<Admitted>,
}

/// What came of decoding a unit ahead of its turn.
pub enum Ahead {
    Decoded(Decoded),
    /// It needs other columns.
    NewFields(Unit),
    /// It is too big to be held as rows.
    Big(Unit),
}

/// Decodes a unit with the columns of `payload`, if that is all it needs.
pub fn decode_ahead(
    admission: &Admission,
    payload: &SchemaRef,
    unit: Unit,
) -> Result<Ahead, RowsError> {
    if unit.iter().any(Fetched::is_big) {
        return Ok(Ahead::Big(unit));
    }
    let mut rows = admission.rows(payload);
    let mut objects = Vec::with_capacity(unit.len());
    for fetched in &unit {
        match admission.admit(fetched, 0, &mut rows, |_, _| Ok(false))? {
            Some(admitted) => objects.push(admitted),
            None => return Ok(Ahead::Big(unit)),
        }
    }
    if rows.brings_new_fields() && may_add_columns(&admission.policy) {
        return Ok(Ahead::NewFields(unit));
    }
    Ok(Ahead::Decoded(Decoded {
        unit,
        payload: Arc::clone(payload),
        finished: rows.finish()?,
        objects,
    }))
}

/// Whether a field without a column may get one, or makes that its object is refused.
fn may_add_columns(policy: &DatasetPolicy) -> bool {
    policy.schema.on_new_field != OnNewField::Rescue || !policy.schema.types.is_empty()
}

/// A record of a unit: which object, and its ordinal there.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    object: usize,
    ordinal: u64,
}

/// Decodes a unit from a place on, portion by portion. If a portion brings new fields and `stop` says so,
/// the answer is where it begins.
fn decode_portions(
    admission: &Admission,
    payload: &SchemaRef,
    unit: &Unit,
    from: Place,
    stop: bool,
    portions: &mpsc::Sender<Decoded>,
) -> Result<Option<Place>, RowsError> {
    let mut objects = Vec::new();
    let mut rows = admission.rows(payload);
    let mut begin = from;
    let send = |rows: Rows, objects: Vec<Admitted>| -> Result<bool, RowsError> {
        if stop && rows.brings_new_fields() {
            return Ok(false);
        }
        // Nobody listens where settling has failed: its error is the one that counts.
        let sent = portions.blocking_send(Decoded {
            unit: Vec::new(),
            payload: Arc::clone(payload),
            finished: rows.finish()?,
            objects,
        });
        Ok(sent.is_ok())
    };
    for (object, fetched) in unit.iter().enumerate().skip(from.object) {
        let skip = if object == from.object {
            from.ordinal
        } else {
            0
        };
        let admitted = admission.admit(fetched, skip, &mut rows, |so_far, rows| {
            let ordinal = so_far.skipped + so_far.entry.counts.read;
            objects.push(so_far);
            let full = std::mem::replace(rows, admission.rows(payload));
            if !send(full, std::mem::take(&mut objects))? {
                return Ok(false);
            }
            begin = Place { object, ordinal };
            Ok(true)
        })?;
        match admitted {
            Some(admitted) => objects.push(admitted),
            None => return Ok(Some(begin)),
        }
    }
    Ok((!send(rows, objects)?).then_some(begin))
}

/// What was taken in so far.
pub struct Intake<'a> {
    site: &'a Site,
    policy: &'a DatasetPolicy,
    admission: Arc<Admission>,
    /// Whether there were columns before, so that a field can be new.
    is_typed: bool,
    /// The columns of the payload, as of now; what is decoded ahead uses them too.
    payload: tokio::sync::watch::Sender<SchemaRef>,
    rules: SchemaRules,
    duplicates: Duplicates,
    sorter: Sorter,
    pub counts: Counts,
    pub entries: Vec<Entry>,
    pub quarantine: QuarantineFile,
    pub late: Vec<LateEvent>,
    pub findings: Vec<String>,
    pub columns_added: Vec<String>,
}

impl<'a> Intake<'a> {
    /// An intake for a table with the columns of `payload`; `None` for a new one.
    pub fn new(
        site: &'a Site,
        policy: &'a DatasetPolicy,
        admission: Arc<Admission>,
        payload: Option<&Schema>,
        duplicates: Duplicates,
    ) -> Self {
        let typed = payload.filter(|schema| !schema.fields().is_empty());
        let sort_by = crate::lake::rows::sort_paths(policy);
        Self {
            site,
            policy,
            admission,
            is_typed: typed.is_some(),
            payload: tokio::sync::watch::Sender::new(Arc::new(
                typed.cloned().unwrap_or_else(Schema::empty),
            )),
            rules: columns::rules(policy, typed),
            duplicates,
            sorter: Sorter::new(&sort_by, Arc::clone(&site.spill), site.memory / 8),
            counts: Counts::default(),
            entries: Vec::new(),
            quarantine: QuarantineFile::default(),
            late: Vec::new(),
            findings: Vec::new(),
            columns_added: Vec::new(),
        }
    }

    /// The columns, for decoding ahead.
    pub fn columns(&self) -> tokio::sync::watch::Receiver<SchemaRef> {
        self.payload.subscribe()
    }

    fn payload(&self) -> SchemaRef {
        Arc::clone(&self.payload.borrow())
    }

    /// Whether what was taken in should be committed before more is.
    pub fn is_full(&self) -> bool {
        self.duplicates.is_full(self.site.memory / 8)
            || self.sorter.spilled_bytes() > MOST_SPILLED_BYTES
            || self.quarantine.is_full()
    }

    /// Takes a unit in.
    pub async fn take(&mut self, ahead: Ahead) -> Result<(), CompactionError> {
        match ahead {
            Ahead::Decoded(decoded) if self.is_current(&decoded) => self.settle(decoded).await,
            Ahead::Decoded(Decoded { unit, .. }) | Ahead::NewFields(unit) => {
                let (admission, payload) = (Arc::clone(&self.admission), self.payload());
                let again = spawn_blocking(move || decode_ahead(&admission, &payload, unit));
                match joined(again).await? {
                    Ahead::Decoded(decoded) => self.settle(decoded).await,
                    Ahead::NewFields(unit) => self.take_in_portions(unit, true).await,
                    Ahead::Big(unit) => self.take_in_portions(unit, false).await,
                }
            }
            Ahead::Big(unit) => self.take_in_portions(unit, false).await,
        }
    }

    /// With more columns than it was decoded with, less of it may have to be rescued.
    fn is_current(&self, decoded: &Decoded) -> bool {
        let rescued = decoded.finished.rows.column_by_name(RESCUED);
        let nothing_rescued = rescued.is_none_or(|column| column.null_count() == column.len());
        nothing_rescued || decoded.payload == *self.payload.borrow()
    }

    /// Takes a unit in that has new fields, or may have.
    async fn take_in_portions(
        &mut self,
        unit: Unit,
        has_new_fields: bool,
    ) -> Result<(), CompactionError> {
        let may_add = may_add_columns(self.policy);
        let unit = match self.policy.schema.on_new_field {
            OnNewField::Fail if self.is_typed => self.refuse_new_fields(unit).await?,
            _ => unit,
        };
        let start = Place::default();
        let rest = if self.is_typed && !(has_new_fields && may_add) {
            self.portions(unit, start, may_add).await?
        } else {
            Some((unit, start))
        };
        if let Some((unit, from)) = rest {
            let (unit, learned) = self.learn(unit).await?;
            self.columns_added.extend(learned.added);
            self.payload.send_replace(learned.schema);
            self.portions(unit, from, false).await?;
        }
        Ok(())
    }

    /// Settles the portions of a unit from a place on; answers where new fields stopped it.
    async fn portions(
        &mut self,
        unit: Unit,
        from: Place,
        stop: bool,
    ) -> Result<Option<(Unit, Place)>, CompactionError> {
        let (admission, payload) = (Arc::clone(&self.admission), self.payload());
        let (sender, mut portions) = mpsc::channel(1);
        let decoding = spawn_blocking(move || {
            let stopped = decode_portions(&admission, &payload, &unit, from, stop, &sender)?;
            Ok::<_, RowsError>(stopped.map(|place| (unit, place)))
        });
        while let Some(portion) = portions.recv().await {
            self.settle(portion).await?;
        }
        Ok(joined(decoding).await?)
    }

    /// The columns that the events of a unit need besides those there are.
    async fn learn(&self, unit: Unit) -> Result<(Unit, Learned), CompactionError> {
        let (admission, payload, rules) = (
            Arc::clone(&self.admission),
            self.payload(),
            self.rules.clone(),
        );
        let learning = spawn_blocking(move || {
            let mut learning = Learning::default();
            for fetched in &unit {
                admission.learn(fetched, &mut learning)?;
            }
            Ok::<_, SortError>((unit, learning.conclude(Some(&payload), &rules)))
        });
        Ok(joined(learning).await?)
    }

    /// Under `on_new_field: fail` an object that brings a new field waits for a person.
    async fn refuse_new_fields(&mut self, unit: Unit) -> Result<Unit, CompactionError> {
        let mut admitted = Unit::new();
        for fetched in unit {
            let (fetched, learned) = self.learn(vec![fetched]).await?;
            let refused = learned.rescued_for_good.iter();
            match refused.filter(|field| field.why == RescueCause::Policy).count() {
                0 => admitted.extend(fetched),
                added => self.findings.extend(fetched.iter().map(|fetched| {
                    format!(
                        "{}: refused, it brings {added} new fields and the policy says `on_new_field: fail`",
                        fetched.version.key
                    )
                })),
            }
        }
        Ok(admitted)
    }

    async fn settle(&mut self, mut decoded: Decoded) -> Result<(), CompactionError> {
        let rows = self
            .duplicates
            .settle(
                self.site,
                self.policy,
                decoded.finished,
                &mut decoded.objects,
            )
            .await?;
        self.sorter.push(rows)?;
        if self.sorter.is_full() {
            self.spill().await?;
        }
        for object in decoded.objects {
            self.counts.add(object.entry.counts);
            self.late.extend(object.late);
            self.quarantine.add(&self.site.spill, &object.quarantined)?;
            if object.entry.damaged {
                self.findings.push(format!(
                    "{}: part of it cannot be read; what was readable is compacted, the object stays",
                    object.entry.key
                ));
            }
            match self.entries.last_mut() {
                Some(entry) if object.skipped > 0 => entry.extend(&object.entry),
                _ => self.entries.push(object.entry),
            }
        }
        Ok(())
    }

    async fn spill(&mut self) -> Result<(), CompactionError> {
        let empty = self.sorter.another();
        let mut sorter = std::mem::replace(&mut self.sorter, empty);
        let spilling = spawn_blocking(move || sorter.spill().map(|()| sorter));
        self.sorter = joined(spilling).await?;
        Ok(())
    }

    /// All that was taken in: findings, the columns, and the rows in order.
    pub fn finish(mut self) -> Taken {
        self.findings
            .extend(self.duplicates.findings(&self.policy.name));
        Taken {
            payload: self.payload.borrow().clone(),
            counts: self.counts,
            entries: self.entries,
            quarantine: self.quarantine,
            late: self.late,
            findings: self.findings,
            columns_added: self.columns_added,
            sorter: self.sorter,
        }
    }
}

/// What one round took in.
pub struct Taken {
    pub payload: SchemaRef,
    pub counts: Counts,
    pub entries: Vec<Entry>,
    pub quarantine: QuarantineFile,
    pub late: Vec<LateEvent>,
    pub findings: Vec<String>,
    pub columns_added: Vec<String>,
    pub sorter: Sorter,
}

/// The outcome of work on another thread; a panic there goes on here.
pub async fn joined<Outcome, Failure>(
    work: JoinHandle<Result<Outcome, Failure>>,
) -> Result<Outcome, Failure> {
    match work.await {
        Ok(outcome) => outcome,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}
