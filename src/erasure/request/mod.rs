//! Erasure requests and their life: received → planned → erased → purged → verified → certified; or held,
//! rejected, cancelled.
//!
//! The identifiers of an open request are sealed with the key (invariant 9), those that links led to as
//! well; once it is closed only keyed hashes are left.

mod decide;
mod state;
mod store;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Months, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::lake::error::S3Error;
use crate::lake::key::{Key, KeyError, Purpose};
use crate::lake::subject::{Identifier, Subject};
use crate::plan::RequestReport;
use crate::policy::ErasurePolicy;

pub use crate::lake::subject::Written;
pub use state::State;
pub use store::{all, forget_older_versions, on_hold, open, place, sealed_remains};
pub use waiting::Waiting;

/// GDPR Art. 12(3): one month, which people may extend.
const MONTH: Months = Months::new(1);

/// Why a request could not be filed or read.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// An S3 request.
    #[error("{0}")]
    Store(#[from] S3Error),
    /// The key.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// What was decrypted is no list of identifiers.
    #[error("erasure request {0} decrypts to something else than identifiers")]
    Malformed(String),
    /// Its state does not allow it.
    #[error("erasure request {id} is {state}: {why}")]
    State {
        /// The request.
        id: String,
        /// Its state.
        state: State,
        /// What cannot be done, and what can.
        why: &'static str,
    },
}

/// One identifier of a request as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashedIdentifier {
    /// The kind.
    pub kind: String,
    /// Its keyed hash.
    pub hash: String,
}

/// A decision about a request, with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// When it was made.
    pub at: DateTime<Utc>,
    /// Why, as it was worded.
    pub reason: String,
    /// The state before.
    pub from: State,
}

/// A step in a request's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    /// When.
    pub at: DateTime<Utc>,
    /// Into which state.
    pub state: State,
}

/// What a request would hit in a table, when it was filed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// Rows.
    pub rows: u64,
    /// Days with such rows.
    pub days: BTreeSet<NaiveDate>,
}

/// Who has to be told because they hold copies (GDPR Art. 19).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// Who, as the policy names them.
    pub name: String,
    /// When they said that they have done it, and who said so.
    pub acknowledged: Option<Acknowledged>,
}

/// A recipient's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// When.
    pub at: DateTime<Utc>,
    /// By whom.
    pub by: String,
}

/// What people say about a request when they file it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filing {
    /// The number under which it is known elsewhere.
    pub reference: Option<String>,
    /// Who made sure that the subject is who they say.
    pub identity_checked_by: Option<String>,
    /// Who approved it.
    pub approved_by: Option<String>,
}

/// A request as it lies in the lake.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request {
    /// Format of this file.
    pub version: u32,
    /// Its id.
    pub id: String,
    /// When the subject asked. The clock of GDPR Art. 12(3) starts here.
    pub received: DateTime<Utc>,
    /// When it must be done.
    pub deadline: DateTime<Utc>,
    /// Why the deadline is two months later than usual, if it is.
    #[serde(default)]
    pub extended: Option<Decision>,
    /// How far it has come.
    pub state: State,
    /// Why it is held, rejected or cancelled.
    #[serde(default)]
    pub decision: Option<Decision>,
    /// The holds for which runs have put it off: all that could go is gone.
    #[serde(default)]
    pub kept_by: BTreeSet<String>,
    /// Why it was left to a person, when it was filed or by the last run.
    #[serde(default)]
    pub waiting: Option<Waiting>,
    /// What was said when it was filed.
    #[serde(default, flatten)]
    pub filing: Filing,
    /// How many rows it may hit, if a person has confirmed more than the policy allows.
    #[serde(default)]
    pub confirmed_rows: Option<u64>,
    /// What it would have hit when it was filed, by table.
    #[serde(default)]
    pub preview: BTreeMap<String, Reached>,
    /// Up to when events are the subject's.
    #[serde(default)]
    pub until: Option<DateTime<Utc>>,
    /// In how many places the last verification found the subject, or could not look.
    #[serde(default)]
    pub left: u64,
    /// When no reader saw the subject any more.
    pub erased_at: Option<DateTime<Utc>>,
    /// When the certificate was written.
    pub certified_at: Option<DateTime<Utc>>,
    /// The subject, hashed.
    pub subject: Vec<HashedIdentifier>,
    /// How many linked ids belong to the subject.
    #[serde(default)]
    pub linked_ids: u64,
    /// The mark of the key that sealed and hashed.
    pub key: String,
    /// The identifiers, encrypted; gone once closed.
    pub sealed: Option<String>,
    /// What the runs that erased it did, in all tables.
    #[serde(default)]
    pub done: Erased,
    /// The same by table.
    #[serde(default)]
    pub tables: BTreeMap<String, Erased>,
    /// Who has to be told, and whether they have done their part.
    #[serde(default)]
    pub recipients: Vec<Recipient>,
    /// Its life so far.
    #[serde(default)]
    pub history: Vec<Passed>,
}

/// What an erasure took out of a table, for the certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// Rows, deleted or redacted.
    pub rows: u64,
    /// Of these, rows that stay redacted for now.
    #[serde(default)]
    pub redacted: u64,
    /// Table files rewritten or dropped.
    pub files: u64,
    /// Records of raw objects.
    pub raw_records: u64,
    /// Raw objects rewritten or deleted.
    pub raw_objects: u64,
    /// Quarantined records.
    pub quarantined: u64,
    /// The days of the rows.
    #[serde(default)]
    pub days: BTreeSet<NaiveDate>,
}

impl Erased {
    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.redacted += other.redacted;
        self.files += other.files;
        self.raw_records += other.raw_records;
        self.raw_objects += other.raw_objects;
        self.quarantined += other.quarantined;
        self.days.extend(&other.days);
    }
}

/// A request that is not finished, with its identifiers in the clear. It stays in memory.
#[derive(Debug, Clone)]
pub struct OpenRequest {
    /// The request.
    pub request: Request,
    /// Whom it is about, as people wrote it: kind and text.
    pub written: Written,
    /// What links led to.
    pub linked: BTreeSet<Identifier>,
    /// The entity tag under which it was read.
    pub etag: String,
    /// Why it is left to a person, as the lake is now.
    pub waiting: Option<Waiting>,
    /// Rows of the subject that are known.
    pub known_rows: u64,
}

/// What is sealed in a request.
#[derive(Serialize, Deserialize)]
struct Secrets {
    named: Written,
    linked: Vec<(String, String)>,
}

impl Request {
    /// A new request for one subject.
    pub fn new(
        key: &Key,
        policy: &ErasurePolicy,
        received: DateTime<Utc>,
        written: &Written,
        filing: Filing,
    ) -> Result<Self, RequestError> {
        let random = uuid::Uuid::new_v4().simple().to_string();
        let id = format!("{}-{}", received.format("%Y%m%d"), &random[..8]);
        Self::with_id(id, key, policy, received, written, filing)
    }

    /// A new request whose id is given, so that filing it again changes nothing.
    pub fn with_id(
        id: String,
        key: &Key,
        policy: &ErasurePolicy,
        received: DateTime<Utc>,
        written: &Written,
        filing: Filing,
    ) -> Result<Self, RequestError> {
        let recipient = |name: &String| Recipient {
            name: name.clone(),
            acknowledged: None,
        };
        let mut request = Self {
            version: 2,
            deadline: after(received, MONTH),
            received,
            extended: None,
            state: State::Received,
            decision: None,
            kept_by: BTreeSet::new(),
            waiting: None,
            filing,
            confirmed_rows: None,
            preview: BTreeMap::new(),
            until: Some(policy.late_grace.after(received)),
            left: 0,
            erased_at: None,
            certified_at: None,
            subject: hashes_of(key, policy, written)?,
            linked_ids: 0,
            key: key.mark()?,
            sealed: None,
            done: Erased::default(),
            tables: BTreeMap::new(),
            recipients: policy.recipients.iter().map(recipient).collect(),
            history: Vec::new(),
            id,
        };
        request.pass(State::Received, received);
        request.seal(key, written, &BTreeSet::new())?;
        Ok(request)
    }

    /// A request for ids that late events have linked to people who were erased: it names nobody, and follows
    /// the requests that did. The same ids make the same request.
    pub fn following(
        key: &Key,
        policy: &ErasurePolicy,
        linked: &BTreeSet<Identifier>,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Self, RequestError> {
        let forms: Vec<String> = linked.iter().map(Identifier::canonical_form).collect();
        let origin = format!("following:{}:{}", until.to_rfc3339(), forms.join("\n"));
        let hash = key.hash(Purpose::Request, &origin)?;
        let id = format!("{}-{}", now.format("%Y%m%d"), &hash[..8]);
        let filing = Filing {
            reference: Some("late events of people who were erased".to_owned()),
            ..Filing::default()
        };
        let mut request = Self::with_id(id, key, policy, now, &Written::default(), filing)?;
        request.until = Some(until);
        request.seal(key, &Written::default(), linked)?;
        Ok(request)
    }

    /// Seals whom it is about.
    pub fn seal(
        &mut self,
        key: &Key,
        written: &Written,
        linked: &BTreeSet<Identifier>,
    ) -> Result<(), RequestError> {
        let secrets = Secrets {
            named: written.clone(),
            linked: linked
                .iter()
                .map(|one| (one.kind.clone(), one.text.clone()))
                .collect(),
        };
        let malformed = |_| RequestError::Malformed(self.id.clone());
        let plain = serde_json::to_vec(&secrets).map_err(malformed)?;
        self.sealed = Some(key.seal(&self.id, &plain)?);
        self.linked_ids = linked.len() as u64;
        Ok(())
    }

    /// Opens the seal: what people wrote, and what links led to.
    pub fn secrets(&self, key: &Key) -> Result<(Written, BTreeSet<Identifier>), RequestError> {
        if self.key != key.mark()? {
            return Err(KeyError::Changed(format!("erasure request {}", self.id)).into());
        }
        let malformed = || RequestError::Malformed(self.id.clone());
        let sealed = self.sealed.as_ref().ok_or_else(malformed)?;
        let plain = key.open(&self.id, sealed)?;
        if self.version == 1 {
            let named = serde_json::from_slice(&plain).map_err(|_| malformed())?;
            return Ok((named, BTreeSet::new()));
        }
        let secrets: Secrets = serde_json::from_slice(&plain).map_err(|_| malformed())?;
        let linked = secrets.linked.into_iter();
        let linked = linked.map(|(kind, text)| Identifier { kind, text });
        Ok((secrets.named, linked.collect()))
    }

    /// Takes the request into `state`.
    pub fn pass(&mut self, state: State, at: DateTime<Utc>) {
        self.state = state;
        self.waiting = None;
        self.history.push(Passed { at, state });
        match state {
            State::Erased => {
                self.erased_at = Some(at);
                self.left = 0;
            }
            State::Certified => self.certified_at = Some(at),
            // A trace was found: it is all to be done again.
            State::Received => self.erased_at = None,
            _ => {}
        }
        if !state.is_open() {
            self.sealed = None;
        }
    }

    /// Whether it is late, seen from `now`.
    pub fn is_overdue(&self, now: DateTime<Utc>) -> bool {
        self.state.is_open() && self.deadline < now
    }

    /// What plans and reports tell of it.
    pub fn report(&self, now: DateTime<Utc>) -> RequestReport {
        RequestReport {
            id: self.id.clone(),
            state: self.state.to_string(),
            deadline: self.deadline,
            overdue: self.is_overdue(now),
            waits: self.waiting.as_ref().map(ToString::to_string),
        }
    }

    /// Up to when events are the subject's.
    pub fn until(&self) -> DateTime<Utc> {
        self.until.unwrap_or(self.received)
    }

    /// How many rows it may hit.
    pub fn max_rows(&self, policy: &ErasurePolicy) -> u64 {
        policy
            .max_rows_per_subject
            .max(self.confirmed_rows.unwrap_or(0))
    }
}

impl OpenRequest {
    /// The person, as table files are searched for them.
    pub fn subject(&self, policy: &ErasurePolicy) -> Subject {
        Subject {
            named: self.written.identifiers(policy),
            linked: self.linked.clone(),
            until: self.request.until(),
        }
    }
}

/// Whom requests are about, with the request.
pub fn subjects(requests: &[OpenRequest], policy: &ErasurePolicy) -> Vec<(String, Subject)> {
    let subject = |open: &OpenRequest| (open.request.id.clone(), open.subject(policy));
    requests.iter().map(subject).collect()
}

/// The identifiers as they may be shown.
pub fn hashes_of(
    key: &Key,
    policy: &ErasurePolicy,
    written: &Written,
) -> Result<Vec<HashedIdentifier>, KeyError> {
    let mut hashes = Vec::new();
    for identifier in written.identifiers(policy) {
        hashes.push(HashedIdentifier {
            hash: key.hash(Purpose::Request, &identifier.canonical_form())?,
            kind: identifier.kind,
        });
    }
    Ok(hashes)
}

/// The same day so many months later, or the last one of that month.
fn after(at: DateTime<Utc>, months: Months) -> DateTime<Utc> {
    at.checked_add_months(months).unwrap_or(at)
}

#[cfg(test)]
mod tests;
