//! The booking funnel as a naive model: what the curated table must come to.
//!
//! A stage is a dataset. Payments and confirmations do not tell the device, so an event's device
//! type is its own, else that of the session's events of the same UTC day (of several, the first in
//! the order of the alphabet), else `Unknown`.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::truth::FunnelRow;
use super::visit::{CustomerForm, Device, Event, Stage};

type SessionDay<'kafka> = (NaiveDate, &'kafka str);

/// Customers and sessions of one day, stage and device type.
#[derive(Default)]
struct Group<'kafka> {
    users: BTreeSet<&'kafka str>,
    sessions: BTreeSet<&'kafka str>,
}

/// The rows over these events, sorted by day, stage and device type.
pub(super) fn rows(events: &[&Event]) -> Vec<FunnelRow> {
    let mut devices: BTreeMap<SessionDay, Device> = BTreeMap::new();
    let mut reached: BTreeSet<(Stage, SessionDay)> = BTreeSet::new();
    for event in events {
        let session_day = (event.date(), event.visit.session_id.as_str());
        reached.insert((event.stage, session_day));
        if let Some(device) = event.told_device() {
            let first = devices.entry(session_day).or_insert(device);
            *first = device.min(*first);
        }
    }

    let mut groups: BTreeMap<(NaiveDate, Stage, &'static str), Group> = BTreeMap::new();
    for event in events {
        let session_id = event.visit.session_id.as_str();
        let of_session = devices.get(&(event.date(), session_id)).copied();
        let device = event.told_device().or(of_session);
        let device_type = device.map_or("Unknown", Device::name);
        let group = groups
            .entry((event.date(), event.stage, device_type))
            .or_default();
        group.sessions.insert(session_id);
        if matches!(event.form, CustomerForm::Text | CustomerForm::Number) {
            group.users.insert(&event.visit.customer);
        }
    }

    let mut rows = Vec::new();
    for ((event_date, stage, device_type), group) in groups {
        let drop_off = stage.next().map(|next| {
            let stops = |session: &&&str| !reached.contains(&(next, (event_date, **session)));
            share(
                group.sessions.iter().filter(stops).count(),
                group.sessions.len(),
            )
        });
        rows.push(FunnelRow {
            event_date,
            stage: stage.dataset(),
            device_type,
            users: group.users.len() as u64,
            sessions: group.sessions.len() as u64,
            drop_off,
        });
    }
    rows
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}
