//! Where a ledger begins: its oldest segments go once they say nothing that matters any more.
//!
//! Segments are a chain, of which a missing one stops everything: its raw objects would count twice. So what
//! goes is the beginning of the chain and nothing else, and the number of the first segment that stays is
//! written down before, as an immutable object `begins/<number>.json`; the highest one counts. A chain may end
//! below that number and nowhere else. Losing the object stops everything too, and loses nothing.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Ledger, Parts, REWRITES, put_json};
use crate::lake::error::{S3Error, S3ErrorKind};
use crate::lake::s3::{PutIf, WriteS3};
use crate::policy::S3Location;

/// Where beginnings lie below the ledger's folder.
const BEGINS: &str = "begins/";

/// From which segment on a ledger has to be whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Beginning {
    /// Format of this file.
    version: u32,
    /// The number of the first segment that stays.
    from: u64,
    /// The run that wrote it.
    run: String,
    /// That run's `now`.
    at: DateTime<Utc>,
}

/// The beginning that counts, of the keys in a ledger's folder.
pub(super) fn last(keys: &[String], folder: &S3Location) -> Option<u64> {
    let names = keys.iter().filter_map(|key| name(key, folder));
    names.filter_map(beginning).max()
}

impl Parts {
    /// Whether the object of this key is a segment or a rewrite record that may count.
    pub(super) fn is_to_read(&self, key: &str, folder: &S3Location) -> bool {
        let Some(name) = name(key, folder) else {
            return false;
        };
        let was_removed = |number| self.begins.is_some_and(|begins| number < begins);
        beginning(name).is_none() && !segment(name).is_some_and(was_removed)
    }
}

impl Ledger {
    /// Whether the segment of this number was removed on purpose, or may be at any moment.
    pub(super) fn was_removed(&self, number: u64) -> bool {
        self.begins.is_some_and(|begins| number < begins)
    }

    /// Whether the object of this key in the ledger's folder is of no use if the ledger begins with segment
    /// `from`: an older segment, a rewrite of an object that only older ones name, an older beginning.
    pub fn is_before(&self, key: &str, folder: &S3Location, from: u64) -> bool {
        let Some(name) = name(key, folder) else {
            return false;
        };
        if name.starts_with(REWRITES) {
            return match self.rewrites.get(key) {
                Some(Some(segment)) => *segment < from,
                // Its predecessor went with an older segment, if not with one that counts for nothing yet.
                Some(None) => self.begins.is_some() && !self.has_void,
                None => false,
            };
        }
        let number = segment(name).or_else(|| beginning(name));
        number.is_some_and(|number| number < from)
    }

    /// Writes down that the ledger begins with segment `from`.
    pub async fn begin(
        s3: &WriteS3,
        folder: &S3Location,
        from: u64,
        run: &str,
        at: DateTime<Utc>,
    ) -> Result<(), S3Error> {
        let key = folder.join(&format!("{BEGINS}{from:012}.json")).prefix;
        let beginning = Beginning {
            version: 1,
            from,
            run: run.to_owned(),
            at,
        };
        match put_json(s3, &folder.bucket, &key, &beginning, PutIf::Absent).await {
            // An earlier run wrote it, and died before it had removed everything.
            Err(error) if error.kind == S3ErrorKind::Precondition => Ok(()),
            outcome => outcome.map(|_| ()),
        }
    }
}

fn name<'a>(key: &'a str, folder: &S3Location) -> Option<&'a str> {
    key.strip_prefix(&folder.prefix)
}

/// The number of the segment of this name.
fn segment(name: &str) -> Option<u64> {
    name.strip_suffix(".json")?.parse().ok()
}

/// The number in the name of a beginning.
fn beginning(name: &str) -> Option<u64> {
    segment(name.strip_prefix(BEGINS)?)
}
