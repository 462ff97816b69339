//! What the last run saw: `system/last_run.json`. The next one notices by it what has changed meanwhile:
//! rules that were shortened, listings that are empty where there was something, a long pause.
//!
//! Losing it costs a question: a run that finds none counts as the first one on the lake.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::error::S3Error;
use super::facts::Places;
use super::ledger::put_json;
use super::s3::{PutIf, ReadS3};
use super::site::Site;
use crate::policy::{RetentionPolicy, S3Location};

const FORMAT: u32 = 2;

/// What a run saw, at its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRun {
    /// Format of this file.
    pub version: u32,
    /// The run's time.
    pub now: DateTime<Utc>,
    /// Whether a person has agreed to what a plan deletes, or the lake was empty when it was first looked at.
    pub agreed: bool,
    /// By dataset or curated table.
    pub tables: BTreeMap<String, KnownTable>,
    /// How long other things are kept, as the policies word it; what is kept forever is not in it.
    pub spans: BTreeMap<String, String>,
    /// The holds that were in force.
    #[serde(default)]
    pub holds: BTreeSet<String>,
    /// From when on what left is out of copies that others keep, in words.
    #[serde(default)]
    pub copies: BTreeSet<(DateTime<Utc>, String)>,
}

/// What a run saw of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownTable {
    /// How long rows are kept, as the policy words it.
    pub keep: String,
    /// Where the days are counted.
    pub zone: String,
    /// Its version, if there was a table.
    pub table: Option<u64>,
    /// Whether raw objects were there and stayed.
    pub has_raw: bool,
    /// Raw objects with events that came too old, which nobody has agreed to trim.
    #[serde(default)]
    pub waiting: u64,
    /// Of a dataset, where its raw objects lay when it began: empty, or with a person's consent.
    #[serde(default)]
    pub begun_at: Option<String>,
}

impl LastRun {
    /// An empty one of the present format.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self {
            version: FORMAT,
            now,
            agreed: false,
            tables: BTreeMap::new(),
            spans: BTreeMap::new(),
            holds: BTreeSet::new(),
            copies: BTreeSet::new(),
        }
    }

    /// What the last run left, if there is something that can be understood.
    pub async fn read(s3: &ReadS3, places: &Places) -> Result<Option<Self>, S3Error> {
        let place = place(places);
        let found = s3.find(&place.bucket, &place.prefix).await?;
        let known = found.and_then(|object| serde_json::from_slice::<Self>(&object.bytes).ok());
        Ok(known.filter(|known| known.version == FORMAT))
    }

    /// Leaves it for the next run.
    pub async fn write(&self, site: &Site) -> Result<(), S3Error> {
        let place = place(&site.places);
        let put = put_json(&site.s3, &place.bucket, &place.prefix, self, PutIf::Always);
        put.await.map(drop)
    }
}

impl KnownTable {
    /// The rule that it was kept by; none if it cannot be read any more.
    pub fn retention(&self) -> Option<RetentionPolicy> {
        Some(RetentionPolicy {
            keep: self.keep.parse().ok()?,
            zone: self.zone.parse().ok()?,
        })
    }
}

fn place(places: &Places) -> S3Location {
    places.system("last_run.json")
}
