//! Why runs do not carry a request out.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Request;

/// Why a person has to look at a request first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum Waiting {
    /// It would hit more rows than it may.
    Rows {
        /// So many.
        rows: u64,
        /// So many it may.
        most: u64,
    },
    /// More linked ids than these.
    Links {
        /// So many there may be.
        most: u64,
    },
    /// Something of it is a person's whom a hold is on.
    Hold {
        /// The hold.
        hold: String,
    },
    /// Something of it is a person's for whom another request is on hold.
    Request {
        /// That request.
        request: String,
    },
}

impl fmt::Display for Waiting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows { rows, most } => write!(
                formatter,
                "it would hit {rows} rows, more than {most} (max_rows_per_subject): the identifier may be \
                 mistyped, or shared by many"
            ),
            Self::Links { most } => write!(
                formatter,
                "links lead to more than {most} ids (max_linked_ids), so they may lead to other people: look at \
                 `links` in the policies"
            ),
            Self::Hold { hold } => write!(
                formatter,
                "hold {hold} is on the person, or on somebody in the same rows"
            ),
            Self::Request { request } => write!(
                formatter,
                "request {request} is on hold, and is about the person, or about somebody in the same rows"
            ),
        }
    }
}

impl Waiting {
    /// What to tell people of the request called `id`.
    pub fn finding(&self, id: &str) -> String {
        let remedy = match self {
            Self::Rows { rows, .. } => format!(
                "; `erase confirm {id} --rows {rows}` if it is right, else `erase cancel {id}`"
            ),
            Self::Links { .. } | Self::Hold { .. } | Self::Request { .. } => String::new(),
        };
        format!("erasure request {id} is not carried out: {self}{remedy}")
    }
}

impl Request {
    /// Why it waits, if it still does: given the holds `in_force`, and the requests `on_hold`.
    pub fn waits_for(
        &self,
        in_force: &BTreeSet<String>,
        on_hold: &BTreeSet<String>,
    ) -> Option<&Waiting> {
        let waiting = self.waiting.as_ref();
        waiting.filter(|waiting| match waiting {
            Waiting::Rows { rows, .. } => self.confirmed_rows.is_none_or(|most| most < *rows),
            Waiting::Links { .. } => true,
            Waiting::Hold { hold } => in_force.contains(hold),
            Waiting::Request { request } => on_hold.contains(request),
        })
    }
}
