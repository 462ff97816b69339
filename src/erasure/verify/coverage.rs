//! What a verification looked at and what it found: counts, keys and forms, never an identifier
//! (invariant 9).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a subject still is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Trace {
    /// The bucket.
    pub bucket: String,
    /// The key; withheld where the key itself holds the identifier.
    pub key: String,
    /// The version id; empty for an unfinished upload, which has none.
    pub version: String,
    /// In which form it was found, in words.
    pub form: String,
}

/// A part of the lake, as coverage is told by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Raw objects.
    Raw,
    /// Files of event tables and curated tables.
    Tables,
    /// The tables' logs.
    Logs,
    /// Quarantine.
    Quarantine,
    /// Ledger, requests, certificates, reports, the lease.
    System,
    /// Whatever else lies in the lake.
    Other,
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// Object versions.
    pub versions: u64,
    /// Their bytes as stored.
    pub bytes: u64,
}

/// What a verification covered, and what it found of one subject.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Object versions whose contents were looked at. Keys are looked at always, of delete markers too.
    pub looked_at: BTreeMap<Place, Amount>,
    /// Object versions whose contents were left out because a sample was asked for.
    pub left_out: u64,
    /// Raw and quarantined records.
    pub records: u64,
    /// Rows of Parquet files.
    pub rows: u64,
    /// Multipart uploads from before the cutoff that were never finished, and cannot be read.
    pub unfinished_uploads: u64,
    /// Events of the subject from after the cutoff; they may stay.
    pub later_events: u64,
    /// Object versions in which something stands that may be the identifier, and may mean something else.
    pub mentions: u64,
    /// Object versions that could not be read whole (archived, damaged, packed in an unknown way): keys.
    pub unreadable: Vec<String>,
    /// What was found.
    pub traces: Vec<Trace>,
}

impl Coverage {
    /// Whether nothing was found and nothing was beyond reach. What a sample left out is for the caller to
    /// judge, by `left_out`.
    pub fn is_clean(&self) -> bool {
        self.left() == 0
    }

    /// How many places are not clean, or nobody knows.
    pub fn left(&self) -> u64 {
        (self.traces.len() + self.unreadable.len()) as u64 + self.unfinished_uploads
    }
}

impl Trace {
    /// What a person can do about it; none where the next run does it.
    pub fn advice(&self) -> Option<&'static str> {
        let is = |form: Form| self.form == form.to_string();
        if is(Form::Event) || is(Form::Text) {
            return Some(
                "list the field that it stands in under `identifiers` in the policies: the next run takes the event out",
            );
        }
        if is(Form::Schema) {
            return Some(
                "events have a field that is named by the identifier, and a table keeps the names of its columns: list \
                 the field around it under `identifiers`, so that no more such columns come, and have this table made \
                 anew: no run takes the name out of it",
            );
        }
        let is_name = is(Form::Key) || is(Form::Metadata);
        is_name.then_some(
            "have the service put the object again under another key or without that metadata, and delete this one with \
             all its versions",
        )
    }
}

/// The forms in which a subject can still be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    Field,
    Event,
    Broken,
    Text,
    Bytes,
    Schema,
    Statistics,
    Dictionary,
    Key,
    Metadata,
}

impl fmt::Display for Form {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Field => "value at an identifier field",
            Self::Event => "token in an event",
            Self::Broken => "broken record",
            Self::Text => "token in a text",
            Self::Bytes => "bytes",
            Self::Schema => "column name or metadata of a Parquet file",
            Self::Statistics => "statistics of a Parquet file",
            Self::Dictionary => "dictionary value that no row uses",
            Self::Key => "key",
            Self::Metadata => "metadata",
        })
    }
}
