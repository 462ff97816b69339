//! Kafka's view: each topic's partitions, their records in the order of arrival and with offsets
//! that leave no gap, cut into the batches that the consumer writes as one object each.

use std::collections::BTreeMap;

use super::dice::Dice;
use super::document::Spacing;
use super::flaw::Flaw;
use super::message;
use super::object::{Framing, Layout};
use super::visit::{Event, Stage};

/// Partitions of each topic.
pub(super) const PARTITIONS: u32 = 3;

/// A message as it stands in Kafka.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) event: Event,
    /// What is wrong with it, if anything.
    pub(super) flaw: Option<Flaw>,
}

impl Record {
    /// Whether the bytes name this customer: always, but where nothing of the message is left.
    pub(super) fn mentions(&self, customer: &str) -> bool {
        self.event.is_of(customer) && self.flaw != Some(Flaw::BareWord)
    }

    /// The bytes of the record; a broken one is always on one line.
    pub(super) fn bytes(&self, spacing: Spacing) -> Vec<u8> {
        match self.flaw {
            Some(flaw) => flaw.spoil(&message::text(&self.event, Spacing::Line), self.event.stage),
            None => message::text(&self.event, spacing).into_bytes(),
        }
    }
}

/// A partition before its records are numbered.
pub(super) struct Stream {
    pub(super) stage: Stage,
    pub(super) number: u32,
    pub(super) batches: Vec<Vec<Record>>,
}

pub(super) struct Partition {
    pub(super) stage: Stage,
    pub(super) number: u32,
    pub(super) batches: Vec<Batch>,
}

/// What the consumer writes as one object; never empty.
pub(super) struct Batch {
    /// The offset of the first record; the others follow without a gap.
    pub(super) start: u64,
    pub(super) records: Vec<Record>,
    pub(super) layout: Layout,
}

impl Batch {
    pub(super) fn is_clean(&self) -> bool {
        self.records.iter().all(|record| record.flaw.is_none())
    }
}

/// Sorts the events into partitions by arrival and cuts those: at 20 to 60 records, and at
/// midnight, when the consumer flushes.
pub(super) fn batches_by_partition(events: Vec<Event>, dice: &mut Dice) -> Vec<Stream> {
    let mut queues: BTreeMap<(Stage, u32), Vec<Event>> = BTreeMap::new();
    for event in events {
        let partition = (event.stage, event.visit.partition);
        queues.entry(partition).or_default().push(event);
    }
    let mut streams = Vec::new();
    for ((stage, number), mut queue) in queues {
        queue.sort_by_key(|event| event.arrival);
        let batches = cut(queue, dice);
        streams.push(Stream {
            stage,
            number,
            batches,
        });
    }
    streams
}

fn cut(queue: Vec<Event>, dice: &mut Dice) -> Vec<Vec<Record>> {
    let mut batches = Vec::new();
    let mut batch: Vec<Record> = Vec::new();
    let mut full = dice.between(20, 60) as usize;
    for event in queue {
        let day = event.arrival.date_naive();
        let flushed = batch
            .last()
            .is_some_and(|last| last.event.arrival.date_naive() != day);
        if flushed || batch.len() >= full {
            batches.push(std::mem::take(&mut batch));
            full = dice.between(20, 60) as usize;
        }
        batch.push(Record { event, flaw: None });
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

/// Gives every record its offset and every batch its layout.
pub(super) fn number(streams: Vec<Stream>, dice: &mut Dice) -> Vec<Partition> {
    let mut partitions = Vec::new();
    let mut turn = 0;
    for stream in streams {
        let mut start = first_offset(&stream, dice);
        let mut batches = Vec::new();
        for records in stream.batches {
            let length = records.len() as u64;
            let mut batch = Batch {
                start,
                records,
                layout: Layout::scheduled(turn),
            };
            if !batch.is_clean() {
                batch.layout.framing = Framing::Lines;
            }
            batches.push(batch);
            start += length;
            turn += 1;
        }
        partitions.push(Partition {
            stage: stream.stage,
            number: stream.number,
            batches,
        });
    }
    write_one_as_array(&mut partitions);
    partitions
}

/// The offset that the consumer began with, such that no batch begins at an offset whose digits
/// name a customer.
fn first_offset(stream: &Stream, dice: &mut Dice) -> u64 {
    loop {
        let first = u64::from(dice.between(1_000, 9_999));
        let mut start = first;
        let mut named = false;
        for batch in &stream.batches {
            start += batch.len() as u64;
            named |= super::names_a_subject(&start.to_string());
        }
        if !named {
            return first;
        }
    }
}

/// One consumer once wrote a batch as one top-level array.
fn write_one_as_array(partitions: &mut [Partition]) {
    let Some(partition) = partitions.first_mut() else {
        return;
    };
    let newest_first = partition.batches.iter_mut().rev();
    for batch in newest_first {
        if batch.is_clean() && batch.layout.framing == Framing::Lines {
            batch.layout = Layout::ARRAY;
            return;
        }
    }
}
