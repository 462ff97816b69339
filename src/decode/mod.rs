//! Bytes of a raw object → framed records → events → Arrow, and back: nothing lost.
//!
//! The way through: [`Records`] reads an object by windows, decompresses it by its magic bytes and gives
//! record after record, a [`Document`] or a [`Reason`]; [`Learning`] finds the columns, [`EventColumns`]
//! fills them; to prove it there are [`rebuild`] and, column by column, [`fingerprints`]. Whoever rewrites
//! objects works on wholes: [`Plain`] text, [`frame`] into records with [`Json`] trees,
//! and what is left of them in the object's own format. Avro and Parquet objects become JSON lines first.
//!
//! Hazards: the input is anybody's. It may be cut, nested ten thousand levels deep, a bomb, or
//! not text at all; none of this may cost a neighbour, the stack or unbounded memory.
//!
//! # What `_rescued` holds
//!
//! Null if the columns say everything. Otherwise the text of a JSON object that maps JSON Pointers
//! (RFC 6901: `/` before each name or list index, `~1` for `/` and `~0` for `~` within a name) to
//! a list of values:
//!
//! ```json
//! {"/items/0/childrenTickets": [{}], "/amount": ["007"], "/currency": ["GBP", "EUR"]}
//! ```
//!
//! The list is the complete sequence of values which the event has at that place, and stands in
//! place of whatever a column holds there:
//!
//! - one value: it did not fit its column (which is null), or there is no such column;
//! - several values: the key is duplicated, all its values are here, the last one is also in the
//!   column as far as it fits;
//! - a pointer to a list element holds exactly one value: the element did not fit.
//!
//! Pointers lead through structs and lists that are present in the columns, so one misfit deep in
//! an event leaves its neighbours in their columns. Without an entry, a null column means that the
//! field is absent, and a null list element means an explicit null; an explicit null anywhere else
//! is an entry `[null]`. `{}` and `[]` are present but empty structs and lists where a column is
//! there to say so.
//!
//! Keeps invariant 2 (lossless) and what 1 (conservation) and 5 (no early delete) rest on.

mod codec;
mod column_type;
mod columns;
mod container;
mod document;
mod event_columns;
mod fingerprint;
mod frame;
mod json;
mod layout;
mod learn;
mod names;
mod number;
mod plain;
mod reason;
mod rebuild;
mod records;
mod remove;
mod rescued;
mod resync;
mod row_fingerprints;
mod scan;
mod shape;
mod tape;
mod time;
mod window;

#[cfg(test)]
mod tests;

pub use codec::{Codec, Decompressed, compress, decompress};
pub use column_type::{ColumnType, UnknownType};
pub use container::RawFormat;
pub use document::Document;
pub use event_columns::{BatchError, EventColumns, to_batch};
pub use fingerprint::fingerprint;
pub use frame::{Record, frame};
pub use json::{EmptyName, FieldPath, Json, MAX_DEPTH, semantically_equal};
pub use learn::{Learned, Learning, NewFields, RescueCause, RescuedField, SchemaRules, learn};
pub use names::{
    RESCUED, RESERVED, is_allowed, is_reserved, looks_like_a_value, same_but_for_case,
};
pub use number::{Decimal, Number};
pub use plain::Plain;
pub use reason::Reason;
pub use rebuild::{RebuildError, rebuild, rebuild_part};
pub use records::{FramedRecord, Records};
pub use remove::remove_records;
pub use row_fingerprints::fingerprints;
pub use time::{TimeRule, TimeUnit, event_time};

/// What a raw object may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that a compressed object may decompress to, whatever its size. What is read record by record
    /// may be larger if its expansion is no more than `max_expansion`. Plain objects need no such limit.
    pub max_object_bytes: u64,
    /// How many times its stored size a compressed object may decompress to.
    pub max_expansion: u64,
    /// Bytes of one record; never more than 512 MiB.
    pub max_record_bytes: u64,
    /// Containers within one another; never more than [`MAX_DEPTH`] less two.
    pub max_depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_object_bytes: 512 * 1024 * 1024,
            max_expansion: 200,
            max_record_bytes: 32 * 1024 * 1024,
            max_depth: 128,
        }
    }
}

impl Limits {
    fn depth(&self) -> usize {
        self.max_depth.min(MAX_DEPTH - 2)
    }

    fn record_bytes(&self) -> u64 {
        self.max_record_bytes.min(tape::MOST_BYTES)
    }

    /// How far into an object framing looks where something is broken. Objects that are no larger are
    /// framed as wholes.
    fn reach(&self) -> u64 {
        const LOOK_AHEAD: u64 = 64 * 1024;
        self.record_bytes() + LOOK_AHEAD
    }
}
