//! People whom holds are on. Their identifiers are sealed in the hold; in the clear they are in memory alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Hold;
use crate::lake::error::S3Error;
use crate::lake::key::{Key, KeyError};
use crate::lake::subject::{Identifier, Roster, Subject, Written};
use crate::policy::{ErasurePolicy, PiiPolicy};

/// The person whom a hold is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldPerson {
    /// Kinds of the identifiers that name them.
    pub kinds: BTreeSet<String>,
    /// Rows of theirs by table, when the hold was placed.
    pub rows: BTreeMap<String, u64>,
    /// The mark of the key that sealed.
    key: String,
    /// The identifiers, encrypted; gone once the hold is lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed: Option<String>,
}

/// Why a hold on a person cannot be kept: nothing may be deleted then.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// An S3 request.
    #[error("{0}")]
    Store(#[from] S3Error),
    /// The key.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// What was decrypted is no list of identifiers, or nothing is sealed.
    #[error("hold {0} does not say whom it is on: lift it, and place it again")]
    Malformed(String),
}

impl HeldPerson {
    /// Seals whom the hold called `id` is on.
    pub fn seal(id: &str, key: &Key, written: &Written) -> Result<Self, HoldError> {
        let malformed = |_| HoldError::Malformed(id.to_owned());
        let plain = serde_json::to_vec(written).map_err(malformed)?;
        Ok(Self {
            kinds: written.0.iter().map(|(kind, _)| kind.clone()).collect(),
            rows: BTreeMap::new(),
            key: key.mark()?,
            sealed: Some(key.seal(id, &plain)?),
        })
    }

    /// Keeps what may be shown, and nothing else.
    pub fn forget(&mut self) {
        self.sealed = None;
    }

    /// Whom the hold called `id` is on.
    pub fn open(&self, id: &str, key: &Key) -> Result<Written, HoldError> {
        if self.key != key.mark()? {
            return Err(KeyError::Changed(format!("hold {id}")).into());
        }
        let malformed = || HoldError::Malformed(id.to_owned());
        let sealed = self.sealed.as_ref().ok_or_else(malformed)?;
        serde_json::from_slice(&key.open(id, sealed)?).map_err(|_| malformed())
    }
}

impl fmt::Display for HeldPerson {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<&str> = self.kinds.iter().map(String::as_str).collect();
        write!(formatter, "a person ({})", kinds.join(", "))?;
        let rows = self.rows.iter();
        let rows: Vec<String> = rows
            .map(|(table, rows)| format!("{rows} rows of {table}"))
            .collect();
        if rows.is_empty() {
            return formatter.write_str(", no rows when it was placed");
        }
        write!(formatter, ", {} when it was placed", rows.join(", "))
    }
}

/// The people whom holds are on, with the hold of each.
#[derive(Debug, Clone, Default)]
pub struct HeldPeople {
    /// By number of the person.
    pub holds: Vec<String>,
    /// In the same order, with what links led to.
    pub subjects: Vec<Subject>,
    /// People about whom an erasure request is on hold, with that request: what is theirs is not erased, but
    /// kept no longer than the rules say.
    pub asked: Vec<(String, Subject)>,
}

impl HeldPeople {
    /// Those whom these holds are on. The key is asked for only if there is one.
    pub fn of(
        holds: &[Hold],
        policy: &ErasurePolicy,
        key: &dyn Fn() -> Result<Key, KeyError>,
    ) -> Result<Self, HoldError> {
        let mut people = Self::default();
        let mut opened = None;
        for hold in holds {
            let Some(person) = &hold.person else {
                continue;
            };
            let key = match &opened {
                Some(key) => key,
                None => opened.insert(key()?),
            };
            people.holds.push(hold.id.clone());
            people.subjects.push(Subject {
                named: person.open(&hold.id, key)?.identifiers(policy),
                linked: BTreeSet::new(),
                until: DateTime::<Utc>::MAX_UTC,
            });
        }
        Ok(people)
    }

    /// Whether holds are on none.
    pub fn is_nobody(&self) -> bool {
        self.subjects.is_empty()
    }

    /// How one table's events name them.
    pub fn roster(&self, pii: &PiiPolicy) -> Roster {
        Roster::new(pii, &self.subjects)
    }

    /// The same with those whom nothing keeps but from erasure.
    pub fn roster_for_erasure(&self, pii: &PiiPolicy) -> Roster {
        let asked = self.asked.iter().map(|(_, subject)| subject);
        let all: Vec<Subject> = self.subjects.iter().chain(asked).cloned().collect();
        Roster::new(pii, &all)
    }

    /// All that is known of them.
    pub fn identifiers(&self) -> BTreeSet<&Identifier> {
        let subjects = self.subjects.iter();
        subjects
            .flat_map(|subject| subject.named.iter().chain(&subject.linked))
            .collect()
    }
}
