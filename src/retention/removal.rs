//! What came of removing object versions, told in a line for each reason, however many there are.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::lake::s3::{Deletion, Obstacle};

/// What came of removing object versions for good.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removal {
    /// How many went.
    pub gone: u64,
    /// What may not go yet, and from when on it can.
    pub blocked: Vec<String>,
    /// What should have gone and did not.
    pub failed: Vec<String>,
}

impl Removal {
    /// Tells of a deletion of `whats`, such as `raw object version of cart`.
    pub(super) fn of(deletion: Deletion, whats: &What, now: DateTime<Utc>) -> Self {
        let mut removal = Self {
            gone: deletion.gone,
            ..Self::default()
        };
        let mut reasons: BTreeMap<Obstacle, usize> = BTreeMap::new();
        for kept in deletion.kept {
            // A lock that is over is not what kept it.
            let why = match kept.why {
                Obstacle::Locked { until, .. } if until <= now => Obstacle::Denied,
                why => why,
            };
            *reasons.entry(why).or_default() += 1;
        }
        for (why, count) in reasons {
            let counted = whats.counted(count);
            match why {
                why if why.is_meant() => removal.blocked.push(format!("{counted}: {why}")),
                Obstacle::Denied => removal.failed.push(format!(
                    "{counted} could not be deleted: AccessDenied; grant s3:DeleteObjectVersion, and \
                     s3:GetObjectRetention and s3:GetObjectLegalHold for locks to be told"
                )),
                why => removal.failed.push(format!(
                    "{counted} could not be deleted: {why}; the next run tries again"
                )),
            }
        }
        removal
    }

    /// Adds what came of another deletion.
    pub(super) fn add(&mut self, other: Self) {
        self.gone += other.gone;
        self.blocked.extend(other.blocked);
        self.failed.extend(other.failed);
    }

    /// Whether all went.
    pub fn is_whole(&self) -> bool {
        self.blocked.is_empty() && self.failed.is_empty()
    }
}

/// Object versions of a kind, in words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct What {
    /// One of them: `raw object version`.
    one: &'static str,
    /// Of which dataset, table or other owner.
    owner: String,
}

impl What {
    pub(super) fn new(one: &'static str, owner: &str) -> Self {
        let owner = owner.to_owned();
        Self { one, owner }
    }

    pub(super) fn raw(dataset: &str) -> Self {
        Self::new("raw object version", dataset)
    }

    pub(super) fn quarantine(dataset: &str) -> Self {
        Self::new("quarantine object version", dataset)
    }

    pub(super) fn ledger(dataset: &str) -> Self {
        Self::new("ledger object version", dataset)
    }

    pub(super) fn log(table: &str) -> Self {
        Self::new("log object version", table)
    }

    pub(super) fn purged(owner: &str) -> Self {
        Self::new("object version", owner)
    }

    pub(super) fn counted(&self, count: usize) -> String {
        let plural = if count == 1 { "" } else { "s" };
        format!("{count} {}{plural} of {}", self.one, self.owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::s3::Kept;

    #[test]
    fn a_reason_is_told_once_with_how_many_it_is_about() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let locked = |until: &str, mode: &str| Obstacle::Locked {
            until: at(until),
            mode: mode.to_owned(),
        };
        let whys = [
            locked("2027-01-05T00:00:00Z", "governance"),
            Obstacle::Failed("InternalError".into()),
            locked("2027-01-05T00:00:00Z", "governance"),
            Obstacle::LegalHold,
            locked("2027-01-05T00:00:00Z", "compliance"),
            locked("2026-11-20T03:00:00Z", "governance"),
            Obstacle::Denied,
        ];
        let kept = |why: Obstacle| Kept {
            key: "key".into(),
            why,
        };
        let deletion = Deletion {
            gone: 7,
            kept: whys.map(kept).into(),
        };
        let now = at("2026-11-20T03:00:00Z");
        let removal = Removal::of(deletion, &What::raw("cart"), now);
        assert_eq!(removal.gone, 7);
        assert_eq!(
            removal.blocked,
            [
                "1 raw object version of cart: locked (compliance), can go from 2027-01-05 00:00 UTC on",
                "2 raw object versions of cart: locked (governance), can go from 2027-01-05 00:00 UTC on",
                "1 raw object version of cart: under a legal hold, can go once the hold is lifted",
            ]
        );
        assert_eq!(
            removal.failed,
            [
                "2 raw object versions of cart could not be deleted: AccessDenied; grant \
                 s3:DeleteObjectVersion, and s3:GetObjectRetention and s3:GetObjectLegalHold for locks to be told",
                "1 raw object version of cart could not be deleted: InternalError; the next run tries again",
            ]
        );
        assert!(Removal::of(Deletion::default(), &What::raw("cart"), now).is_whole());
    }
}
