//! Every record of a raw object gets exactly one fate (invariant 1): admitted, quarantined, suppressed or
//! expired. What is admitted may yet turn out to be a duplicate, or is redacted first.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;

use super::fetch::Fetched;
use super::late::LateEvent;
use super::rows::{Row, Rows};
use crate::decode::{
    Document, FramedRecord, Learning, Limits, Plain, RawFormat, Reason, Records, TimeRule,
};
use crate::lake::ledger::{Counts, Entry};
use crate::lake::raw::{first_position, time_rule};
use crate::lake::rows::{KafkaPosition, RowsError};
use crate::lake::site::Site;
use crate::lake::sort::SortError;
use crate::lake::subject::{FieldRule, Suppression, kept_by_law};
use crate::policy::{DatasetPolicy, Horizon};

/// Bytes of JSON text that an Avro or Parquet file may come to, since all of it is in memory.
const MOST_CONTAINER_TEXT: u64 = 96 * 1024 * 1024;

/// A record that could not be understood, as a line of a quarantine object.
#[derive(Debug, Serialize)]
pub struct Quarantined {
    /// Key of the raw object.
    pub object: String,
    /// Version id of the raw object.
    pub version: String,
    /// Where the record began in the (decompressed) object, in bytes; of an Avro or Parquet file, where
    /// its block or row group begins, or for a record that reads as JSON, where its JSON line does.
    pub offset: u64,
    /// A short, stable name of the reason.
    pub reason: String,
    /// The reason for people.
    pub explanation: String,
    /// The record, if it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// The record in base64, if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_base64: Option<String>,
}

/// What one raw object holds.
#[derive(Debug)]
pub struct Admitted {
    /// Its ledger entry; `written` and `deduplicated` are filled in later.
    pub entry: Entry,
    /// Its broken records.
    pub quarantined: Vec<Quarantined>,
    /// Its late events of erased subjects, redacted as a law wants them kept.
    pub late: Vec<LateEvent>,
    /// Its rows among those of its unit.
    pub rows: Range<usize>,
    /// Records of it that came before these.
    pub skipped: u64,
}

/// What decides about records: the policy, the run's time, and who may not come back.
pub struct Admission {
    pub policy: DatasetPolicy,
    rule: TimeRule,
    keep_from: Horizon,
    latest: DateTime<Utc>,
    today: NaiveDate,
    fields: Vec<FieldRule>,
    suppression: Arc<Suppression>,
    limits: Limits,
}

impl Admission {
    pub fn new(site: &Site, policy: &DatasetPolicy, keep_from: Horizon) -> Self {
        Self {
            policy: policy.clone(),
            rule: time_rule(&policy.events),
            keep_from,
            latest: policy.events.max_ahead.after(site.now),
            today: site.now.date_naive(),
            fields: FieldRule::all(&policy.pii),
            suppression: Arc::clone(&site.suppression),
            limits: match policy.raw.format {
                RawFormat::Json => Limits::default(),
                _ => Limits {
                    max_object_bytes: MOST_CONTAINER_TEXT,
                    ..Limits::default()
                },
            },
        }
    }

    /// Builders for rows with the columns of `payload`.
    pub fn rows(&self, payload: &SchemaRef) -> Rows {
        Rows::new(payload, &self.policy.events.deduplicate_by)
    }

    /// Sorts the records of one object, the first `skip` left out; admitted events become `rows`. When
    /// these are full, `full` is given what has been admitted of the object so far: it makes room, or says
    /// that this is the end, in which case there is no answer.
    pub fn admit(
        &self,
        fetched: &Fetched,
        skip: u64,
        rows: &mut Rows,
        mut full: impl FnMut(Admitted, &mut Rows) -> Result<bool, RowsError>,
    ) -> Result<Option<Admitted>, RowsError> {
        let bytes = self.container(fetched)?;
        let plain = bytes.as_deref().map(|bytes| self.plain(bytes));
        let mut object = Object {
            admission: self,
            fetched,
            first: first_position(&fetched.version.key),
            plain: plain.as_ref(),
            admitted: empty(fetched, skip, rows.len()),
            rows,
        };
        let mut records = Records::new(text(fetched, plain.as_ref())?, &self.limits);
        let mut end = 0;
        while let Some(record) = records.next_record() {
            end = record.offset + record.length;
            if record.ordinal < skip {
                continue;
            }
            if object.rows.is_full() {
                let next = empty(fetched, record.ordinal, 0);
                let so_far = std::mem::replace(&mut object.admitted, next);
                if !full(object.rows.close(so_far), object.rows)? {
                    return Ok(None);
                }
            }
            object.take(record);
        }
        if let Some(failure) = records.failure() {
            let failure = io::Error::new(failure.kind(), failure.to_string());
            return Err(SortError::Disk(failure).into());
        }
        if let Some(reason) = records.damage() {
            object.admitted.entry.damaged = true;
            object.lose_tail(reason, end);
        }
        object.admitted.entry.damaged |= plain.as_ref().is_some_and(|plain| plain.damage.is_some());
        Ok(Some(object.rows.close(object.admitted)))
    }

    /// Takes note of all events of an object, for what columns they need.
    pub fn learn(&self, fetched: &Fetched, learning: &mut Learning) -> Result<(), SortError> {
        let bytes = self.container(fetched)?;
        let plain = bytes.as_deref().map(|bytes| self.plain(bytes));
        let mut records = Records::new(text(fetched, plain.as_ref())?, &self.limits);
        while let Some(record) = records.next_record() {
            if let Ok(event) = &record.content {
                learning.observe(event);
            }
        }
        Ok(())
    }

    /// The bytes of an Avro or Parquet file, which is read whole.
    fn container(&self, fetched: &Fetched) -> Result<Option<Vec<u8>>, SortError> {
        if self.policy.raw.format == RawFormat::Json {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        fetched.reader()?.read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn plain<'raw>(&self, bytes: &'raw [u8]) -> Plain<'raw> {
        Plain::of(bytes, self.policy.raw.format, &self.limits)
    }
}

/// The JSON text of an object.
fn text<'a>(
    fetched: &'a Fetched,
    plain: Option<&'a Plain<'_>>,
) -> Result<Box<dyn Read + Send + 'a>, SortError> {
    match plain {
        Some(plain) => Ok(Box::new(&plain.data[..])),
        None => Ok(fetched.reader()?),
    }
}

fn empty(fetched: &Fetched, skipped: u64, row: usize) -> Admitted {
    let version = &fetched.version;
    Admitted {
        entry: Entry {
            key: version.key.clone(),
            etag: version.etag.clone(),
            size: version.size,
            counts: Counts::default(),
            first_date: None,
            last_date: None,
            damaged: false,
        },
        quarantined: Vec::new(),
        late: Vec::new(),
        rows: row..row,
        skipped,
    }
}

struct Object<'a> {
    admission: &'a Admission,
    fetched: &'a Fetched,
    first: Option<KafkaPosition>,
    plain: Option<&'a Plain<'a>>,
    admitted: Admitted,
    rows: &'a mut Rows,
}

impl Object<'_> {
    fn take(&mut self, record: FramedRecord<'_>) {
        let admission = self.admission;
        let pii = &admission.policy.pii;
        self.admitted.entry.counts.read += 1;
        let record = match self.plain {
            Some(plain) => plain.restore_framed(record),
            None => record,
        };
        let (offset, bytes, ordinal) = (record.offset, record.bytes, record.ordinal);
        let event = match record.content {
            Ok(event) => event,
            Err(_) if admission.suppression.mentions(bytes, pii) => {
                self.admitted.entry.counts.suppressed += 1;
                return;
            }
            Err(reason) => return self.quarantine(offset, bytes, reason),
        };
        let time = match event.time(&admission.rule) {
            Ok(time) if time <= admission.latest => time,
            Ok(_) => return self.quarantine(offset, bytes, Reason::TimeAhead),
            Err(_)
                if admission
                    .suppression
                    .covers_at_any_time(event, &admission.fields) =>
            {
                self.admitted.entry.counts.suppressed += 1;
                return;
            }
            Err(reason) => return self.quarantine(offset, bytes, reason),
        };
        let date = time.date_naive();
        let entry = &mut self.admitted.entry;
        entry.first_date = Some(entry.first_date.map_or(date, |first| first.min(date)));
        entry.last_date = Some(entry.last_date.map_or(date, |last| last.max(date)));
        if !admission.keep_from.keeps(time) {
            entry.counts.expired += 1;
        } else if admission.suppression.covers(event, time, &admission.fields) {
            self.come_late(event, time, ordinal);
        } else {
            self.row(event, time, (ordinal, bytes.len() as u64));
        }
    }

    /// An event of an erased subject from before the request.
    fn come_late(&mut self, event: &Document, time: DateTime<Utc>, ordinal: u64) {
        let admission = self.admission;
        let pii = &admission.policy.pii;
        admission
            .suppression
            .note_links(event, time, &admission.fields);
        let redaction = kept_by_law(pii, time.date_naive(), admission.today);
        let redacted =
            redaction.and_then(|redaction| admission.suppression.redact(event, redaction, pii));
        let position = self.position(ordinal);
        let Some(event) = redacted else {
            self.admitted.entry.counts.suppressed += 1;
            return;
        };
        self.admitted.entry.counts.redacted += 1;
        self.admitted.late.push(LateEvent {
            event,
            time,
            position,
        });
    }

    fn position(&self, ordinal: u64) -> Option<KafkaPosition> {
        let first = self.first.as_ref()?;
        let place = self
            .plain
            .map_or(Some(ordinal), |plain| plain.place(ordinal))?;
        Some(KafkaPosition {
            offset: first.offset.checked_add_unsigned(place)?,
            ..first.clone()
        })
    }

    fn row(&mut self, event: &Document, time: DateTime<Utc>, (ordinal, bytes): (u64, u64)) {
        let position = self.position(ordinal);
        let position = position.as_ref();
        self.rows.push(&Row {
            event,
            bytes,
            time,
            position: position.map(|at| (&*at.topic, at.partition, at.offset)),
        });
    }

    /// A stream that ends too soon: what is missing counts as one broken record.
    fn lose_tail(&mut self, reason: Reason, offset: u64) {
        self.admitted.entry.counts.read += 1;
        self.quarantine(offset, &[], reason);
    }

    fn quarantine(&mut self, offset: u64, bytes: &[u8], reason: Reason) {
        self.admitted.entry.counts.quarantined += 1;
        let text = std::str::from_utf8(bytes).ok().map(str::to_owned);
        self.admitted.quarantined.push(Quarantined {
            object: self.fetched.version.key.clone(),
            version: self.fetched.version.version.clone(),
            offset,
            reason: reason.code().to_owned(),
            explanation: reason.to_string(),
            record_base64: text.is_none().then(|| BASE64.encode(bytes)),
            record: text,
        });
    }
}
