//! Duplicates, gaps and overlaps by Kafka position.
//!
//! An object holds the offsets from the one in its name on, one a record. Objects come in the order of
//! their offsets, partition by partition (a sweep), so of tonight's rows only those are remembered that
//! the next object may hold again. What earlier nights took in is known from the ledger as ranges; the
//! table is read only where a new object overlaps one, and each of its files at most once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int32Type, Int64Type};
use chrono::NaiveDate;

use super::admit::Admitted;
use super::duplicates::{Verdict, compare, read_file};
use crate::decode;
use crate::lake::ledger::Ledger;
use crate::lake::raw::first_position;
use crate::lake::rows::{KAFKA_PARTITION, OFFSET, RowsError, TOPIC, parquet_error};
use crate::lake::s3::ObjectVersion;
use crate::lake::site::Site;
use crate::lake::tables::DataFile;
use crate::policy::DatasetPolicy;

/// Findings that are told one by one.
const TOLD: usize = 10;

/// Topic and partition.
pub type Stream = (Arc<str>, i32);

pub struct Positions {
    streams: BTreeMap<Stream, Track>,
    files: Vec<DataFile>,
    read: HashSet<String>,
}

/// What is known of one partition of a topic.
#[derive(Default)]
struct Track {
    /// Offsets that earlier nights took in, with the days of their events.
    taken: Vec<Taken>,
    /// Where tonight's objects begin, in order.
    firsts: Vec<i64>,
    /// How many of them have been entered.
    begun: usize,
    /// Where the last of them begins.
    swept_to: i64,
    /// Offsets that came tonight, piece by piece.
    tonight: Vec<Range<i64>>,
    /// By offset, the contents that are known: of tonight's rows those that may come again, of the
    /// table's those that did.
    known: HashMap<i64, Vec<u64>>,
}

struct Taken {
    offsets: Range<i64>,
    days: Option<(NaiveDate, NaiveDate)>,
}

impl Positions {
    pub fn new(ledger: &Ledger, files: Vec<DataFile>, objects: &[&ObjectVersion]) -> Self {
        let mut streams: BTreeMap<Stream, Track> = BTreeMap::new();
        for object in objects {
            if let Some(first) = first_position(&object.key) {
                let track = streams.entry((first.topic, first.partition)).or_default();
                track.firsts.push(first.offset);
            }
        }
        for (key, object) in ledger.known() {
            let Some(first) = first_position(key) else {
                continue;
            };
            if let Some(track) = streams.get_mut(&(first.topic, first.partition)) {
                track.taken.push(Taken {
                    offsets: offsets(first.offset, object.records),
                    days: object.first_date.zip(object.last_date),
                });
            }
        }
        for track in streams.values_mut() {
            track.firsts.sort_unstable();
            track.taken.sort_by_key(|taken| taken.offsets.start);
        }
        Self {
            streams,
            files,
            read: HashSet::new(),
        }
    }

    /// How many rows are remembered.
    pub fn remembered(&self) -> usize {
        self.streams.values().map(|track| track.known.len()).sum()
    }

    /// Makes known what the table holds of the offsets of these objects.
    pub async fn load(
        &mut self,
        site: &Site,
        policy: &DatasetPolicy,
        objects: &[Admitted],
    ) -> Result<(), RowsError> {
        let mut days: HashSet<NaiveDate> = HashSet::new();
        for object in objects {
            let Some((stream, offsets)) = offsets_of(object) else {
                continue;
            };
            let Some(track) = self.streams.get(&stream) else {
                continue;
            };
            for taken in track.overlapping(&offsets) {
                if let Some((first, last)) = taken.days {
                    days.extend(first.iter_days().take_while(|day| *day <= last));
                }
            }
        }
        for file in self.files.clone() {
            if days.contains(&file.event_date) && self.read.insert(file.path.clone()) {
                self.read_positions(site, policy, &file).await?;
            }
        }
        Ok(())
    }

    async fn read_positions(
        &mut self,
        site: &Site,
        policy: &DatasetPolicy,
        file: &DataFile,
    ) -> Result<(), RowsError> {
        read_file(site, policy, file, None, |batch| {
            let contents =
                decode::fingerprints(batch).map_err(|error| parquet_error(&file.path, &error))?;
            each_position(batch, |row, topic, partition, offset| {
                let track = self.streams.get_mut(&(Arc::from(topic), partition));
                if let (Some(track), Some(content)) = (track, contents.get(row))
                    && offset >= track.swept_to
                {
                    track.known.entry(offset).or_default().push(*content);
                }
            });
            Ok(())
        })
        .await
    }

    /// Enters an object, whose rows are asked for next. Answers to which partition it belongs.
    pub fn begin(&mut self, object: &Admitted) -> Option<Stream> {
        let (stream, offsets) = offsets_of(object)?;
        let track = self.streams.get_mut(&stream)?;
        track.begun += usize::from(object.skipped == 0);
        track.swept_to = offsets.start;
        if !track.known.is_empty() {
            // Objects come in the order of their offsets: what lies before this one does not come again.
            track.known.retain(|offset, _| *offset >= offsets.start);
        }
        track.tonight.push(offsets);
        Some(stream)
    }

    pub fn verdict(&mut self, stream: &Stream, offset: i64, content: u64) -> Verdict {
        let Some(track) = self.streams.get_mut(stream) else {
            return Verdict::New;
        };
        if let Some(known) = track.known.get_mut(&offset) {
            return compare(known, content);
        }
        if track.may_come_again(offset) {
            track.known.insert(offset, vec![content]);
        }
        Verdict::New
    }
}

impl Positions {
    /// Gaps beside what came tonight, and offsets that came more than once.
    pub fn findings(&self, dataset: &str) -> Vec<String> {
        let mut findings = Vec::new();
        for ((topic, partition), track) in &self.streams {
            let of = format!("topic {topic}, partition {partition}");
            for gap in track.gaps() {
                findings.push(format!(
                    "{dataset}: offsets {} to {} of {of} are missing between the raw objects",
                    gap.start,
                    gap.end - 1
                ));
            }
            let again = track.overlap();
            if again > 0 {
                findings.push(format!(
                    "{dataset}: {again} offsets of {of} came in more than one raw object"
                ));
            }
        }
        let told = findings.len().min(TOLD);
        let more = findings.split_off(told).len();
        if more > 0 {
            findings.push(format!(
                "{dataset}: {more} more gaps and overlaps of offsets"
            ));
        }
        findings
    }
}

impl Track {
    /// What came on earlier nights and overlaps `offsets`.
    fn overlapping(&self, offsets: &Range<i64>) -> impl Iterator<Item = &Taken> {
        let end = self
            .taken
            .partition_point(|taken| taken.offsets.start < offsets.end);
        let before = self.taken.get(..end).unwrap_or_default();
        before
            .iter()
            .filter(|taken| taken.offsets.end > offsets.start)
    }

    /// Whether a later object of tonight begins at or before `offset`.
    fn may_come_again(&self, offset: i64) -> bool {
        let up_to_it = self.firsts.partition_point(|first| *first <= offset);
        up_to_it > self.begun
    }

    /// All that came, in order of the beginnings; whether it came tonight.
    fn ranges(&self) -> Vec<(&Range<i64>, bool)> {
        let earlier = self.taken.iter().map(|taken| (&taken.offsets, false));
        let tonight = self.tonight.iter().map(|came| (came, true));
        let mut ranges: Vec<_> = earlier.chain(tonight).collect();
        ranges.sort_by_key(|(range, _)| range.start);
        ranges
    }

    /// Offsets that are missing before or behind something that came tonight.
    fn gaps(&self) -> Vec<Range<i64>> {
        let mut gaps = Vec::new();
        let mut reached: Option<(i64, bool)> = None;
        for (range, is_new) in self.ranges() {
            let (end, was_new) = reached.unwrap_or((range.start, false));
            if range.start > end && (is_new || was_new) {
                gaps.push(end..range.start);
            }
            reached = Some(if range.end >= end {
                (range.end, is_new)
            } else {
                (end, was_new)
            });
        }
        gaps
    }

    /// How many offsets of tonight came before, or twice.
    fn overlap(&self) -> i64 {
        let mut again = 0;
        let mut reached: Option<(i64, bool)> = None;
        for (range, is_new) in self.ranges() {
            let (end, was_new) = reached.unwrap_or((range.start, false));
            let shared = end.min(range.end) - range.start;
            if shared > 0 && (is_new || was_new) {
                again += shared;
            }
            reached = Some(if range.end >= end {
                (range.end, is_new)
            } else {
                (end, was_new)
            });
        }
        again
    }
}

fn offsets_of(object: &Admitted) -> Option<(Stream, Range<i64>)> {
    let first = first_position(&object.entry.key)?;
    let begin = first.offset.saturating_add_unsigned(object.skipped);
    Some((
        (first.topic, first.partition),
        offsets(begin, object.entry.counts.read),
    ))
}

fn offsets(first: i64, records: u64) -> Range<i64> {
    first..first.saturating_add_unsigned(records)
}

/// Calls `seen` with row, topic, partition and offset of every row that has them.
fn each_position(batch: &arrow::array::RecordBatch, mut seen: impl FnMut(usize, &str, i32, i64)) {
    let column = |name: &str| batch.column_by_name(name);
    let (Some(topics), Some(partitions), Some(offsets)) = (
        column(TOPIC).and_then(|column| column.as_string_opt::<i32>()),
        column(KAFKA_PARTITION).and_then(|column| column.as_primitive_opt::<Int32Type>()),
        column(OFFSET).and_then(|column| column.as_primitive_opt::<Int64Type>()),
    ) else {
        return;
    };
    for row in 0..batch.num_rows() {
        if topics.is_valid(row) && partitions.is_valid(row) && offsets.is_valid(row) {
            seen(
                row,
                topics.value(row),
                partitions.value(row),
                offsets.value(row),
            );
        }
    }
}
