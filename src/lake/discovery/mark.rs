//! What is remembered of a dataset's listings: `system/discovery/<dataset>.json`.
//!
//! Only a run writes it, at its end, and only if all that it had planned for the dataset succeeded; so
//! whatever a failed or killed run left is looked for again. Without a mark, or with one that no longer
//! fits, everything is listed: losing it costs requests and nothing else.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::lake::error::S3Error;
use crate::lake::facts::Places;
use crate::lake::ledger::{Ledger, put_json};
use crate::lake::s3::{PutIf, ReadS3};
use crate::lake::site::Site;
use crate::policy::S3Location;

const FORMAT: u32 = 1;

/// When a dataset's raw objects were looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Format of this file.
    pub version: u32,
    /// As of when all raw objects were looked at last.
    pub swept_at: DateTime<Utc>,
    /// As of when new ones were.
    pub listed_at: DateTime<Utc>,
    /// Names the rules then: policies and holds. Other ones may find, admit or delete what those left.
    pub rules: String,
    /// The number of the ledger segment committed then. A table put back to an older state needs its raw
    /// objects again.
    pub committed: Option<u64>,
}

impl Mark {
    /// A mark of the present format.
    pub fn new(
        swept_at: DateTime<Utc>,
        listed_at: DateTime<Utc>,
        rules: &str,
        committed: Option<u64>,
    ) -> Self {
        Self {
            version: FORMAT,
            swept_at,
            listed_at,
            rules: rules.to_owned(),
            committed,
        }
    }

    /// The mark of a dataset, if there is one that can be understood.
    pub(super) async fn read(
        s3: &ReadS3,
        places: &Places,
        dataset: &str,
    ) -> Result<Option<Self>, S3Error> {
        let place = place(places, dataset);
        let found = s3.find(&place.bucket, &place.prefix).await?;
        let mark = found.and_then(|object| serde_json::from_slice::<Self>(&object.bytes).ok());
        Ok(mark.filter(|mark| mark.version == FORMAT))
    }

    /// Whether it can still be built on.
    pub(super) fn fits(&self, rules: &str, ledger: &Ledger, now: DateTime<Utc>) -> bool {
        self.rules == rules && self.committed <= ledger.committed && self.listed_at <= now
    }

    /// Writes it in place of the one before, of which nothing stays.
    pub async fn write(&self, site: &Site, dataset: &str) -> Result<(), S3Error> {
        let (s3, place) = (&site.s3, place(&site.places, dataset));
        put_json(s3, &place.bucket, &place.prefix, self, PutIf::Always).await?;
        if let Err(error) = s3.delete_replaced(&place.bucket, &place.prefix).await {
            tracing::warn!(%error, dataset, "older versions of the mark stay until it is written again");
        }
        Ok(())
    }
}

fn place(places: &Places, dataset: &str) -> S3Location {
    places.system(&format!("discovery/{dataset}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_counts_only_where_nothing_was_turned_back() {
        let at = |day: &str| format!("{day}T03:00:00Z").parse().unwrap();
        let ledger = Ledger::of_objects(&[]);
        let mark = Mark::new(at("2026-11-18"), at("2026-11-20"), "policies", Some(1));
        assert!(mark.fits("policies", &ledger, at("2026-11-20")));
        assert!(!mark.fits("others", &ledger, at("2026-11-20")));
        assert!(!mark.fits("policies", &ledger, at("2026-11-19")));
        assert!(!mark.fits("policies", &Ledger::default(), at("2026-11-20")));
        let newer = Mark::new(at("2026-11-18"), at("2026-11-20"), "policies", Some(2));
        assert!(!newer.fits("policies", &ledger, at("2026-11-20")));
    }
}
