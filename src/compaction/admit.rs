//! Every record of a raw object gets exactly one fate (invariant 1): admitted, quarantined, suppressed or
//! expired. What is admitted may yet turn out to be a duplicate.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::NaiveDate;
use serde::Serialize;

use crate::decode::{self, Limits, Plain, Reason, Record};
use crate::lake::ledger::{Counts, Entry};
use crate::lake::raw::{first_position, time_rule};
use crate::lake::rows::{Event, KafkaPosition};
use crate::lake::s3::ObjectVersion;
use crate::lake::site::Site;
use crate::policy::DatasetPolicy;

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
    /// Its admitted events.
    pub events: Vec<Event>,
    /// Its broken records.
    pub quarantined: Vec<Quarantined>,
}

/// Sorts the records of one object.
pub fn admit(
    site: &Site,
    policy: &DatasetPolicy,
    keep_from: NaiveDate,
    version: &ObjectVersion,
    bytes: &[u8],
) -> Admitted {
    let limits = Limits::default();
    let plain = Plain::of(bytes, policy.raw.format, &limits);
    let mut object = Object {
        site,
        policy,
        keep_from,
        version,
        first: first_position(&version.key),
        plain: &plain,
        admitted: Admitted {
            entry: Entry {
                key: version.key.clone(),
                etag: version.etag.clone(),
                size: version.size,
                counts: Counts::default(),
                first_date: None,
                last_date: None,
                damaged: plain.damage.is_some(),
            },
            events: Vec::new(),
            quarantined: Vec::new(),
        },
    };
    let mut end = 0;
    for record in plain.records(&limits) {
        end = record.offset + record.bytes.len() as u64;
        object.take(record);
    }
    if let Some(reason) = plain.lost_tail {
        object.lose_tail(reason, end);
    }
    object.admitted
}

struct Object<'a> {
    site: &'a Site,
    policy: &'a DatasetPolicy,
    keep_from: NaiveDate,
    version: &'a ObjectVersion,
    first: Option<KafkaPosition>,
    plain: &'a Plain<'a>,
    admitted: Admitted,
}

impl Object<'_> {
    fn take(&mut self, record: Record<'_>) {
        self.admitted.entry.counts.read += 1;
        let (offset, bytes, ordinal) = (record.offset, record.bytes, record.ordinal);
        let event = match record.content {
            Ok(event) => event,
            Err(_) if self.site.suppression.mentions(bytes) => {
                self.admitted.entry.counts.suppressed += 1;
                return;
            }
            Err(reason) => return self.quarantine(offset, bytes, reason),
        };
        let latest = self.policy.events.max_ahead.after(self.site.now);
        let time = match decode::event_time(&event, &time_rule(&self.policy.events)) {
            Ok(time) if time <= latest => time,
            Ok(_) => return self.quarantine(offset, bytes, Reason::TimeAhead),
            Err(_)
                if self
                    .site
                    .suppression
                    .covers_at_any_time(&event, &self.policy.pii) =>
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
        if date < self.keep_from {
            entry.counts.expired += 1;
        } else if self.site.suppression.covers(&event, time, &self.policy.pii) {
            entry.counts.suppressed += 1;
        } else {
            let position = self
                .first
                .as_ref()
                .and_then(|first| position_of(first, self.plain.place(ordinal)?));
            self.admitted.events.push(Event {
                json: event,
                time,
                position,
            });
        }
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
            object: self.version.key.clone(),
            version: self.version.version.clone(),
            offset,
            reason: reason.code().to_owned(),
            explanation: reason.to_string(),
            record_base64: text.is_none().then(|| BASE64.encode(bytes)),
            record: text,
        });
    }
}

fn position_of(first: &KafkaPosition, ordinal: u64) -> Option<KafkaPosition> {
    Some(KafkaPosition {
        topic: first.topic.clone(),
        partition: first.partition,
        offset: first.offset.checked_add(i64::try_from(ordinal).ok()?)?,
    })
}
