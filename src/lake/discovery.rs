//! Discovery: finding a dataset's raw objects, by default all of them, by a policy's `raw.discovery` what
//! is new and what is due.
//!
//! A night lists where new objects turn up (the dates of a trailing window, or what comes after the known
//! keys) and where the ledger says that something goes; at an interval, the sweep, everything, or what S3
//! Inventory tells instead. Of a key that is listed all versions are.
//!
//! Hazards: an object that was not looked for is not gone. [`Coverage`] says what was looked for, and no
//! duty takes absence for deletion. An inventory is hours old, so what retention would delete is looked at
//! by listing too (invariant 5), and what only an inventory names is known as such. Open erasure requests,
//! which have to see every version (invariant 8), list everything.

mod inventory;
mod mark;
mod scope;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use super::error::S3Error;
use super::facts::Places;
use super::ledger::Ledger;
use super::s3::{ObjectVersion, ReadS3, sort};
use crate::policy::{DatasetPolicy, DiscoveryPolicy, KeyRule};
use inventory::{Delivery, InventoryError};
use scope::Part;

pub use mark::Mark;

/// Parts of a listing that are listed at the same time.
const PARTS_AT_ONCE: usize = 16;

/// How the raw objects that a plan knows were found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "looked_at", rename_all = "snake_case")]
pub enum Coverage {
    /// All versions of all of them were listed.
    #[default]
    Everything,
    /// What is new and what is due was listed.
    New {
        /// What was put before is known, or left to the next sweep.
        since: DateTime<Utc>,
        /// As of when everything was looked at last.
        swept_at: DateTime<Utc>,
    },
    /// An inventory was read; what is new since then, as far as keys tell, and what is due was listed.
    Inventory {
        /// As of when.
        of: DateTime<Utc>,
    },
    /// No inventory is newer than the last one; what is due was listed.
    Due {
        /// As of when everything was looked at last.
        swept_at: DateTime<Utc>,
    },
}

impl Coverage {
    /// Whether every version there is was listed.
    pub fn is_everything(&self) -> bool {
        *self == Self::Everything
    }

    /// As of when, with this look at `now`, everything was looked at last.
    pub fn swept_at(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Everything => now,
            Self::Inventory { of } => *of,
            Self::New { swept_at, .. } | Self::Due { swept_at } => *swept_at,
        }
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minute = |at: &DateTime<Utc>| at.format("%Y-%m-%d %H:%M UTC").to_string();
        match self {
            Self::Everything => formatter.write_str("all of them listed"),
            Self::New { since, swept_at } => write!(
                formatter,
                "listed from {} on, and what is due; all of them last as of {}",
                since.format("%Y-%m-%d"),
                minute(swept_at)
            ),
            Self::Inventory { of } => write!(
                formatter,
                "by the inventory of {}; what is due, and what keys show to be new, listed",
                minute(of)
            ),
            Self::Due { swept_at } => write!(
                formatter,
                "only what is due listed: no inventory is newer than {}",
                minute(swept_at)
            ),
        }
    }
}

/// How a dataset's raw objects were found.
#[derive(Debug, Default)]
pub struct Discovered {
    /// What was looked at.
    pub coverage: Coverage,
    /// Keys that an inventory names and no listing has confirmed.
    pub unconfirmed: BTreeSet<String>,
    /// What a person should know.
    pub findings: Vec<String>,
}

/// Keys of which, by the ledger, something goes by `now`, but did not by a time before, if one is given.
pub type DueKeys =
    fn(&DatasetPolicy, &Ledger, Option<DateTime<Utc>>, DateTime<Utc>) -> BTreeSet<String>;

/// What a plan has to see.
pub struct Look<'a> {
    /// The plan's time.
    pub now: DateTime<Utc>,
    /// Names the rules: policies and holds.
    pub rules: &'a str,
    /// Whether it has to see every version there is.
    pub everything: bool,
    /// Raw keys that it has to see whatever their age, by dataset.
    pub named: &'a BTreeMap<String, BTreeSet<String>>,
    /// What retention deletes or trims.
    pub due: DueKeys,
}

/// Finds the raw objects of the dataset of `policy`, in key order.
pub async fn discover(
    s3: &ReadS3,
    places: &Places,
    policy: &DatasetPolicy,
    ledger: &Ledger,
    look: &Look<'_>,
) -> Result<Found, S3Error> {
    let search = Search {
        s3,
        policy,
        ledger,
        look,
    };
    let Some(rules) = &policy.raw.discovery else {
        return Ok((search.everything().await?, Discovered::default()));
    };
    if look.everything {
        return Ok((search.everything().await?, Discovered::default()));
    }
    let mark = Mark::read(s3, places, &policy.name).await?;
    let mark = mark.filter(|mark| mark.fits(look.rules, ledger, look.now));
    search.by(rules, mark).await
}

/// What was found, and how.
type Found = (Vec<ObjectVersion>, Discovered);

/// One dataset's discovery.
struct Search<'a> {
    s3: &'a ReadS3,
    policy: &'a DatasetPolicy,
    ledger: &'a Ledger,
    look: &'a Look<'a>,
}

impl Search<'_> {
    async fn by(&self, rules: &DiscoveryPolicy, mark: Option<Mark>) -> Result<Found, S3Error> {
        let now = self.look.now;
        let recent = mark.filter(|mark| rules.sweep.after(mark.swept_at) > now);
        let mut findings = Vec::new();
        if recent.is_none() || rules.keys == KeyRule::Silent {
            match self.inventory(rules, recent.as_ref()).await {
                Ok(Some(found)) => return Ok(found),
                Ok(None) => {}
                Err(refused) => {
                    findings.push(format!(
                        "{}: everything was listed, because its inventory cannot be used: {refused}",
                        self.policy.name
                    ));
                }
            }
        }
        match recent {
            Some(mark) if findings.is_empty() => self.only_new(rules, &mark).await,
            _ => {
                let discovered = Discovered {
                    findings,
                    ..Discovered::default()
                };
                Ok((self.everything().await?, discovered))
            }
        }
    }

    async fn everything(&self) -> Result<Vec<ObjectVersion>, S3Error> {
        let location = &self.policy.raw.location;
        self.s3.versions(&location.bucket, &location.prefix).await
    }

    /// What is new and what is due since `mark`.
    async fn only_new(&self, rules: &DiscoveryPolicy, mark: &Mark) -> Result<Found, S3Error> {
        let since = rules.late.before(mark.listed_at);
        let due = (self.look.due)(
            self.policy,
            self.ledger,
            Some(mark.listed_at),
            self.look.now,
        );
        let parts = self.parts(rules, since, &due);
        let raw = self.list(&parts).await?;
        let swept_at = mark.swept_at;
        let coverage = match rules.keys {
            KeyRule::Silent => Coverage::Due { swept_at },
            KeyRule::Dates(_) | KeyRule::Ascending => Coverage::New { since, swept_at },
        };
        let discovered = Discovered {
            coverage,
            ..Discovered::default()
        };
        Ok((raw, discovered))
    }

    /// The sweep, as an inventory with what has to be listed beside it. `None`: there is none to read, or
    /// none that is newer than the last one.
    async fn inventory(
        &self,
        rules: &DiscoveryPolicy,
        recent: Option<&Mark>,
    ) -> Result<Option<Found>, InventoryError> {
        let Some(place) = &rules.inventory else {
            return Ok(None);
        };
        let now = self.look.now;
        let oldest = rules.sweep.before(now);
        let since = recent.map_or(oldest, |mark| mark.swept_at.max(oldest));
        let Some(delivery) = Delivery::newest(self.s3, place, since, now).await? else {
            return match recent {
                Some(_) => Ok(None),
                None => Err(InventoryError::NoneSince(since)),
            };
        };
        let location = &self.policy.raw.location;
        let named = delivery.versions(self.s3, location).await?;
        if named.is_empty() && self.ledger.committed.is_some() {
            return Err(delivery.refused("it names no object of the raw location"));
        }
        let mut due = (self.look.due)(self.policy, self.ledger, None, now);
        let keys: BTreeSet<&str> = named.iter().map(|version| version.key.as_str()).collect();
        due.retain(|key| keys.contains(key.as_str()));
        let parts = self.parts(rules, rules.late.before(delivery.of), &due);
        let mut raw = self.list(&parts).await?;
        let mut unconfirmed = BTreeSet::new();
        for version in named {
            if !parts.iter().any(|part| part.covers(&version.key)) {
                unconfirmed.insert(version.key.clone());
                raw.push(version);
            }
        }
        sort(&mut raw);
        let discovered = Discovered {
            coverage: Coverage::Inventory { of: delivery.of },
            unconfirmed,
            findings: delivery.findings(&self.policy.name),
        };
        Ok(Some((raw, discovered)))
    }

    /// What to list: where new objects turn up, what is due and what is asked for by name.
    fn parts(
        &self,
        rules: &DiscoveryPolicy,
        since: DateTime<Utc>,
        due: &BTreeSet<String>,
    ) -> Vec<Part> {
        let location = &self.policy.raw.location.prefix;
        let mut parts = scope::of_new(location, &rules.keys, self.ledger, since, self.look.now);
        let named = self.look.named.get(&self.policy.name);
        let keys = due.iter().chain(named.into_iter().flatten());
        let uncovered = keys
            .map(String::as_str)
            .filter(|key| !parts.iter().any(|part| part.covers(key)));
        let more = scope::of_keys(location, &rules.keys, uncovered);
        parts.extend(more);
        parts
    }

    /// Lists parts. What two of them cover is taken from one: the object may change in between.
    async fn list(&self, parts: &[Part]) -> Result<Vec<ObjectVersion>, S3Error> {
        let bucket = &self.policy.raw.location.bucket;
        let mut listings = futures::stream::iter(parts.iter().enumerate())
            .map(|(index, part)| async move {
                let listing = self.s3.versions_in(bucket, &part.prefix, &part.range);
                Ok::<_, S3Error>((index, listing.await?))
            })
            .buffered(PARTS_AT_ONCE);
        let mut found: Vec<ObjectVersion> = Vec::new();
        while let Some((index, versions)) = listings.try_next().await? {
            let is_new = |version: &ObjectVersion| {
                let mut earlier = parts.iter().take(index);
                !earlier.any(|part| part.covers(&version.key))
            };
            found.extend(versions.into_iter().filter(is_new));
        }
        sort(&mut found);
        Ok(found)
    }
}
