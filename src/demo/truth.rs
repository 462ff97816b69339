//! What is true of the generated input: counted from what was meant to be written, while it is
//! written, without a look at the bytes.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::delivery::Delivery;
use super::funnel;
use super::outline::Clock;
use super::visit::Event;
use super::{RawObject, SUBJECT_ERASED};

/// What is true of the generated input, before anything is erased.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    /// By dataset name.
    pub datasets: BTreeMap<String, DatasetTruth>,
    /// Over the kept events of all customers but [`SUBJECT_ERASED`], sorted by day, stage (in the
    /// order of the funnel) and device type.
    pub funnel: Vec<FunnelRow>,
}

/// Of one dataset; `records = kept + expired + broken + duplicates`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatasetTruth {
    /// All records of all objects, broken and repeated ones included.
    pub records: u64,
    /// Records that belong into quarantine. None of them is ever repeated.
    pub broken: u64,
    /// Records whose Kafka identity an earlier object holds too, with the same content.
    pub duplicates: u64,
    /// Well-formed events of days before the first that a keeping of two calendar years allows;
    /// each identity once.
    pub expired: u64,
    /// The rows that the event table should have before anything is erased.
    pub kept: u64,
    /// How many of the above mention [`SUBJECT_ERASED`].
    pub of_erased: SubjectTruth,
    /// Objects that hold records.
    pub objects: u64,
    /// Objects that hold none: an empty one, a success marker, a folder marker.
    pub markers: u64,
    /// Size of all objects as stored.
    pub bytes: u64,
    /// `kept`, by UTC day of the event.
    pub kept_by_day: BTreeMap<NaiveDate, u64>,
}

/// What mentions one customer, by the `userId` (as text or number) or within broken bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubjectTruth {
    pub broken: u64,
    pub duplicates: u64,
    pub expired: u64,
    pub kept: u64,
    /// Raw objects that hold at least one of these.
    pub objects: u64,
}

/// How many came to a stage on a day with a type of device, and how many went no further.
#[derive(Debug, Clone, PartialEq)]
pub struct FunnelRow {
    /// UTC day of the events.
    pub event_date: NaiveDate,
    /// The dataset's name.
    pub stage: &'static str,
    /// `Desktop`, `Mobile`, `Tablet` or `Unknown`.
    pub device_type: &'static str,
    /// Different customers that are known by `userId`.
    pub users: u64,
    /// Different sessions.
    pub sessions: u64,
    /// The share (0 to 1) of these sessions without an event of the next stage on the same day;
    /// none for the last stage.
    pub drop_off: Option<f64>,
}

/// Counts the `deliveries`, written as `objects` in the same order, and the `markers`.
pub(super) fn count(
    deliveries: &[Delivery],
    objects: &[RawObject],
    markers: &[RawObject],
    clock: &Clock,
) -> Truth {
    let mut datasets: BTreeMap<String, DatasetTruth> = BTreeMap::new();
    for (name, bucket) in super::BUCKETS {
        let mut dataset = DatasetTruth::default();
        let own_markers = markers.iter().filter(|marker| marker.bucket == bucket);
        dataset.markers = own_markers.count() as u64;
        datasets.insert(name.to_owned(), dataset);
    }
    let mut kept = Vec::new();
    for (delivery, object) in deliveries.iter().zip(objects) {
        let name = delivery.stage.dataset();
        let dataset = datasets.entry(name.to_owned()).or_default();
        dataset.objects += 1;
        dataset.bytes += object.body.len() as u64;
        dataset.count_records(delivery, clock, &mut kept);
    }
    kept.retain(|event| !event.is_of(SUBJECT_ERASED));
    Truth {
        datasets,
        funnel: funnel::rows(&kept),
    }
}

impl DatasetTruth {
    /// Counts the records of one object and adds its kept events to `kept`.
    fn count_records<'kafka>(
        &mut self,
        delivery: &Delivery<'kafka>,
        clock: &Clock,
        kept: &mut Vec<&'kafka Event>,
    ) {
        let mut mentions_erased = false;
        for &record in &delivery.records {
            let event = &record.event;
            let of_erased = u64::from(record.mentions(SUBJECT_ERASED));
            mentions_erased |= of_erased > 0;
            self.records += 1;
            if delivery.repeated {
                self.duplicates += 1;
                self.of_erased.duplicates += of_erased;
            } else if record.flaw.is_some() {
                self.broken += 1;
                self.of_erased.broken += of_erased;
            } else if event.date() < clock.first_kept_day {
                self.expired += 1;
                self.of_erased.expired += of_erased;
            } else {
                self.kept += 1;
                self.of_erased.kept += of_erased;
                *self.kept_by_day.entry(event.date()).or_default() += 1;
                kept.push(event);
            }
        }
        self.of_erased.objects += u64::from(mentions_erased);
    }
}
