//! How far a request has come.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Filed; the next run erases.
    Received,
    /// A run has begun: who belongs to the subject is known and sealed.
    Planned,
    /// No reader of a table sees the subject; replaced files may wait for their grace.
    Erased,
    /// The replaced files and older versions are gone: a scan has found no bytes of the subject.
    Purged,
    /// A scan has found nothing.
    Verified,
    /// The certificate is written.
    Certified,
    /// Waits for a person.
    Held,
    /// Refused, with a legal basis.
    Rejected,
    /// Withdrawn.
    Cancelled,
}

impl State {
    /// Whether runs still have to do with it.
    pub fn is_open(self) -> bool {
        !matches!(self, Self::Certified | Self::Rejected | Self::Cancelled)
    }

    /// Whether tables are still to be freed of the subject.
    pub fn is_pending(self) -> bool {
        matches!(self, Self::Received | Self::Planned)
    }

    /// Whether tables are free of the subject, and a certificate is to come.
    pub fn is_erased(self) -> bool {
        matches!(self, Self::Erased | Self::Purged | Self::Verified)
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Received => "received",
            Self::Planned => "planned",
            Self::Erased => "erased",
            Self::Purged => "purged",
            Self::Verified => "verified",
            Self::Certified => "certified",
            Self::Held => "held",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
        })
    }
}
