//! What the consumers wrote: every batch once, and some records again.
//!
//! Kafka is at least once: after a rebalance a consumer starts from an older offset. It then writes
//! a batch again in a later hour's folder, or an object that starts in the middle of one. Broken
//! records are not among what is written again.

use chrono::{DateTime, TimeDelta, Utc};

use super::SUBJECT_ERASED;
use super::dice::Dice;
use super::object::{Framing, Layout};
use super::outline::Clock;
use super::partition::{Batch, Partition, Record};
use super::visit::Stage;

/// One written object that holds records.
pub(super) struct Delivery<'kafka> {
    pub(super) stage: Stage,
    pub(super) partition: u32,
    /// The offset of the first record; the others follow without a gap.
    pub(super) start: u64,
    pub(super) records: Vec<&'kafka Record>,
    /// When it was written; the hour names the folder.
    pub(super) written: DateTime<Utc>,
    pub(super) layout: Layout,
    /// Whether all of it had been written before.
    pub(super) repeated: bool,
}

/// All deliveries: the first ones in Kafka's order, then those that repeat.
pub(super) fn all<'kafka>(
    partitions: &'kafka [Partition],
    clock: &Clock,
    dice: &mut Dice,
) -> Vec<Delivery<'kafka>> {
    let mut deliveries = Vec::new();
    for partition in partitions {
        for batch in &partition.batches {
            deliveries.push(first_delivery(partition, batch));
        }
    }
    let wanted = (deliveries.len() / 80).max(6);
    deliveries.extend(repeats(partitions, wanted, clock, dice));
    deliveries
}

fn first_delivery<'kafka>(partition: &Partition, batch: &'kafka Batch) -> Delivery<'kafka> {
    let records: Vec<&Record> = batch.records.iter().collect();
    Delivery {
        stage: partition.stage,
        partition: partition.number,
        start: batch.start,
        written: last_arrival(&records),
        records,
        layout: batch.layout,
        repeated: false,
    }
}

fn last_arrival(records: &[&Record]) -> DateTime<Utc> {
    records
        .last()
        .map_or(DateTime::UNIX_EPOCH, |last| last.event.arrival)
}

/// A batch that can be written again, and the one after it if it came the same day.
#[derive(Clone, Copy)]
struct Candidate<'kafka> {
    partition: &'kafka Partition,
    batch: &'kafka Batch,
    next: Option<&'kafka Batch>,
}

/// First a batch with kept and one with expired events of the erased customer, then by chance;
/// whole batches and overlaps in turn.
fn repeats<'kafka>(
    partitions: &'kafka [Partition],
    wanted: usize,
    clock: &Clock,
    dice: &mut Dice,
) -> Vec<Delivery<'kafka>> {
    let mut candidates = candidates(partitions, clock);
    let mut repeats = Vec::new();
    for expired in [false, true] {
        let found = candidates
            .iter()
            .position(|candidate| holds_erased(candidate.batch, expired, clock));
        if let Some(position) = found {
            repeats.push(whole(candidates.swap_remove(position), dice));
        }
    }
    while repeats.len() < wanted && !candidates.is_empty() {
        let candidate = candidates.swap_remove(dice.position(candidates.len()));
        if repeats.len() % 2 == 0 {
            repeats.push(whole(candidate, dice));
        } else {
            repeats.extend(overlap(candidate, dice));
        }
    }
    // What would be written after `now` has not been written.
    for repeat in &mut repeats {
        repeat.written = repeat.written.min(clock.now);
    }
    repeats
}

fn candidates<'kafka>(partitions: &'kafka [Partition], clock: &Clock) -> Vec<Candidate<'kafka>> {
    let latest = clock.now - TimeDelta::hours(1);
    let mut candidates = Vec::new();
    for partition in partitions {
        for (index, batch) in partition.batches.iter().enumerate() {
            if !batch.is_clean() || batch.layout.framing == Framing::Array || end_of(batch) > latest
            {
                continue;
            }
            let next = partition.batches.get(index + 1).filter(|next| {
                let same_day = end_of(next).date_naive() == end_of(batch).date_naive();
                same_day && next.is_clean() && end_of(next) <= latest
            });
            candidates.push(Candidate {
                partition,
                batch,
                next,
            });
        }
    }
    candidates
}

fn end_of(batch: &Batch) -> DateTime<Utc> {
    batch
        .records
        .last()
        .map_or(DateTime::UNIX_EPOCH, |last| last.event.arrival)
}

fn holds_erased(batch: &Batch, expired: bool, clock: &Clock) -> bool {
    let is_such = |record: &Record| {
        let event = &record.event;
        event.is_of(SUBJECT_ERASED) && (event.date() < clock.first_kept_day) == expired
    };
    batch.records.iter().any(is_such)
}

fn whole<'kafka>(candidate: Candidate<'kafka>, dice: &mut Dice) -> Delivery<'kafka> {
    let mut repeat = first_delivery(candidate.partition, candidate.batch);
    repeat.written += TimeDelta::hours(i64::from(dice.between(1, 3)));
    repeat.repeated = true;
    repeat
}

/// From the middle of a batch to its end, or into the middle of the next one.
fn overlap<'kafka>(candidate: Candidate<'kafka>, dice: &mut Dice) -> Option<Delivery<'kafka>> {
    let mut repeat = whole(candidate, dice);
    if repeat.records.len() < 2 {
        return None;
    }
    let skipped = 1 + dice.position(repeat.records.len() - 1);
    repeat.start += skipped as u64;
    if super::names_a_subject(&repeat.start.to_string()) {
        return None;
    }
    repeat.records.drain(..skipped);
    if let Some(next) = candidate.next {
        let until = next.records.len() / 2;
        repeat.records.extend(next.records.iter().take(until));
        let delay = repeat.written - end_of(candidate.batch);
        repeat.written = last_arrival(&repeat.records) + delay;
    }
    Some(repeat)
}
