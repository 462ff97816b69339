//! Raw objects that are files of records with a schema of their own: Avro object containers and Parquet.
//!
//! They become what everything behind already understands: JSON text, one record a line, in the file's
//! order, so that framing, admission, Kafka positions, quarantine and fingerprints are the same code as
//! for JSON. A record that has no JSON, or whose bytes nobody can read, stands in the text as `null` and
//! is described beside it ([`Broken`]).
//!
//! | in the file | in the event |
//! |---|---|
//! | null, a missing optional value | `null`, always written |
//! | boolean | `true`, `false` |
//! | integers, signed and unsigned, up to 64 bits | their digits |
//! | float, double, half | the shortest text that reads as the same number of that width |
//! | NaN, infinities | none: the record goes to quarantine |
//! | string, enum, JSON | text; not UTF-8: the record goes to quarantine |
//! | bytes, fixed, BSON | base64 text (RFC 4648, padded) |
//! | array, list | array |
//! | record, group, map | object; a map's key that is no text becomes the text of its value |
//! | union | the value of the branch, without the branch's name |
//! | decimal | a number, digit for digit, with as many decimal places as its scale says |
//! | date | `2026-11-20` |
//! | time of day | `03:00:00.000`, with 3, 6 or 9 decimal places by its unit |
//! | timestamp (an instant) | `2026-11-20T03:00:00.000Z`, with 3, 6 or 9 decimal places by its unit |
//! | local timestamp, INT96 | the same without `Z`: the policy's `zone` says where |
//! | UUID | `f81d4fae-7dec-11d0-a765-00a0c91e6bf6` |
//! | duration, interval | `{"months":1,"days":2,"milliseconds":3}` |
//!
//! Sources: the Avro 1.12 specification, the Parquet format's `LogicalTypes.md`. What a time or a date
//! cannot say (a time of day of 25 hours) sends the record to quarantine.
//!
//! Hazards: the input may be cut, corrupt or a bomb; a schema may refer to itself without end. Nothing
//! here recurses over data, and text is written no further than the limits. A file that is damaged is
//! never written again, because what cannot be read would be lost.
//!
//! Keeps invariants 1 (every record has a fate) and 2 (lossless).

pub mod avro;
mod lines;
pub mod parquet;
mod values;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::{Limits, Reason};

/// How the raw objects of a dataset are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RawFormat {
    /// JSON text in any layout, plain or compressed as its first bytes say.
    #[default]
    Json,
    /// Avro object container files.
    Avro,
    /// Parquet files.
    Parquet,
}

/// A container's records as JSON text.
#[derive(Debug, Default)]
pub struct Converted {
    /// One record a line, each an object or `null`; never much more than `max_object_bytes`.
    pub lines: Vec<u8>,
    /// What stands in `lines` as `null`, by ordinal.
    pub broken: BTreeMap<u64, Broken>,
    /// Why there are bytes in the object that nobody has read.
    pub damage: Option<Reason>,
    /// What the file says about itself (Avro's metadata, Parquet's key-value pairs), a text a line.
    pub metadata: Vec<u8>,
}

/// A record, or a run of them, without JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// What is wrong.
    pub reason: Reason,
    /// Where in the object as it is stored the record, its block or its row group begins.
    pub offset: u64,
    /// The record as text as far as there is one, else the bytes that could not be read; cut off at
    /// the limits. Empty for rows of a Parquet file, whose bytes lie all over it.
    pub bytes: Vec<u8>,
    /// How many records of the object were lost with it, itself included; none if nobody knows.
    pub stands_for: Option<u64>,
}

impl Converted {
    /// An object that cannot be read at all: one broken record, whole.
    fn unreadable(raw: &[u8], reason: Reason, limits: &Limits) -> Self {
        let mut lines = lines::Lines::new(limits);
        lines.push_broken(Broken {
            reason,
            offset: 0,
            bytes: raw.to_vec(),
            stands_for: None,
        });
        lines.conclude(Some(reason), Vec::new())
    }
}
