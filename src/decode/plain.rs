//! An object's bytes as stored, in whatever format, as the JSON text that is framed: the one place where
//! a dataset's raw format is looked at.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::container::{Broken, Converted, RawFormat, avro, parquet};
use super::{
    Codec, FramedRecord, Limits, Reason, Record, compress, decompress, frame, remove_records,
};

/// The text of an object, and what cannot be said in it.
#[derive(Debug)]
pub struct Plain<'raw> {
    /// JSON text.
    pub data: Cow<'raw, [u8]>,
    /// Why there is more in the object than `data` and the broken records say: it has to be kept.
    pub damage: Option<Reason>,
    /// Why a record more is lost after the last one; it counts as one broken record without bytes.
    pub lost_tail: Option<Reason>,
    /// What a file says about itself beside its records.
    pub metadata: Vec<u8>,
    format: RawFormat,
    codec: Codec,
    broken: BTreeMap<u64, Broken>,
    /// After which broken records the others stand elsewhere than their ordinal says, and by how much;
    /// none if nobody knows.
    shifts: BTreeMap<u64, Option<i64>>,
}

impl<'raw> Plain<'raw> {
    /// Reads an object as far as it can be read.
    pub fn of(raw: &'raw [u8], format: RawFormat, limits: &Limits) -> Self {
        let converted = match format {
            RawFormat::Json => return Self::of_json(raw, limits),
            RawFormat::Avro => avro::to_json_lines(raw, limits),
            RawFormat::Parquet => parquet::to_json_lines(raw, limits),
        };
        let Converted {
            lines,
            broken,
            damage,
            metadata,
        } = converted;
        Self {
            data: lines.into(),
            damage,
            lost_tail: None,
            metadata,
            format,
            codec: Codec::Plain,
            shifts: shifts(&broken),
            broken,
        }
    }

    fn of_json(raw: &'raw [u8], limits: &Limits) -> Self {
        let decompressed = decompress(raw, limits);
        Self {
            data: decompressed.data,
            damage: decompressed.damage,
            lost_tail: decompressed.damage,
            metadata: Vec::new(),
            format: RawFormat::Json,
            codec: decompressed.codec,
            broken: BTreeMap::new(),
            shifts: BTreeMap::new(),
        }
    }

    /// The object's records.
    pub fn records(&self, limits: &Limits) -> Vec<Record<'_>> {
        let records = frame(&self.data, limits).into_iter();
        records.map(|record| self.restore(record)).collect()
    }

    /// A record as framing found it in `data`, or what stands behind it there.
    pub fn restore<'data>(&'data self, record: Record<'data>) -> Record<'data> {
        match self.broken.get(&record.ordinal) {
            Some(broken) => Record {
                ordinal: record.ordinal,
                offset: broken.offset,
                bytes: &broken.bytes,
                content: Err(broken.reason),
            },
            None => record,
        }
    }

    /// The same for a record that is read in a window.
    pub fn restore_framed<'data>(&'data self, record: FramedRecord<'data>) -> FramedRecord<'data> {
        match self.broken.get(&record.ordinal) {
            Some(broken) => FramedRecord {
                ordinal: record.ordinal,
                offset: broken.offset,
                length: broken.bytes.len() as u64,
                bytes: &broken.bytes,
                content: Err(broken.reason),
            },
            None => record,
        }
    }

    /// How many records the object holds before this one, those included that were lost together and
    /// count as one; none if nobody knows. Kafka's offsets count by it.
    pub fn place(&self, ordinal: u64) -> Option<u64> {
        match self.shifts.range(..ordinal).next_back() {
            Some((_, shift)) => ordinal.checked_add_signed((*shift)?),
            None => Some(ordinal),
        }
    }

    /// The object as it is stored, without the records that are `dropped`; none if its format does not
    /// allow it. Whoever puts it in place of the object compares first what it reads as.
    pub fn without(
        &self,
        raw: &[u8],
        records: &[Record<'_>],
        dropped: &BTreeSet<u64>,
        limits: &Limits,
    ) -> Option<Vec<u8>> {
        match self.format {
            RawFormat::Json => {
                let goes = |ordinal: u64| dropped.contains(&ordinal);
                let data = remove_records(&self.data, records, &goes);
                Some(compress(&data, self.codec))
            }
            RawFormat::Avro => avro::without(raw, dropped, limits).ok(),
            RawFormat::Parquet => parquet::without(raw, dropped, limits).ok(),
        }
    }
}

fn shifts(broken: &BTreeMap<u64, Broken>) -> BTreeMap<u64, Option<i64>> {
    let mut shifts = BTreeMap::new();
    let mut shift = Some(0_i64);
    for (ordinal, broken) in broken {
        let lost = broken.stands_for.and_then(|lost| i64::try_from(lost).ok());
        if lost != Some(1) {
            let more = lost.and_then(|lost| lost.checked_sub(1));
            shift = shift
                .zip(more)
                .and_then(|(shift, more)| shift.checked_add(more));
            shifts.insert(*ordinal, shift);
        }
    }
    shifts
}
