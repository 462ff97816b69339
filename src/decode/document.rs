//! One record that is an event, parsed.

use chrono::{DateTime, Utc};

use super::{FieldPath, Json, Limits, Reason, TimeRule, event_time, fingerprint, parse};

/// The content of a record: a JSON object that keeps every digit and every duplicate key.
#[derive(Debug)]
pub struct Document {
    json: Json,
}

impl Document {
    /// Reads exactly one JSON object with nothing but white space around it.
    pub fn parse(record: &[u8], limits: &Limits) -> Result<Self, Reason> {
        if record.len() as u64 > limits.max_record_bytes {
            return Err(Reason::RecordTooLarge);
        }
        match parse::parse(record, limits.max_depth)? {
            json @ Json::Object(_) => Ok(Self { json }),
            _ => Err(Reason::NotAnObject),
        }
    }

    pub(super) fn from_json(json: Json) -> Self {
        Self { json }
    }

    pub(super) fn json(&self) -> &Json {
        &self.json
    }

    /// All values at a path, in order of appearance; see [`Json::at`].
    pub fn at(&self, path: &FieldPath) -> Vec<Json> {
        self.json.at(path).into_iter().cloned().collect()
    }

    /// When the event happened; see [`event_time`].
    pub fn time(&self, rule: &TimeRule) -> Result<DateTime<Utc>, Reason> {
        event_time(&self.json, rule)
    }

    /// The event's fingerprint; equal to [`fingerprint`] of its [`Json`].
    pub fn fingerprint(&self) -> u64 {
        fingerprint(&self.json)
    }

    /// A copy as a tree.
    pub fn to_json(&self) -> Json {
        self.json.clone()
    }
}
