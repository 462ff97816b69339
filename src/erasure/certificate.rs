//! The certificate of an erasure request: what was done, how, what was verified, what stays and why, who
//! else has to act. A JSON file, the same as a page for people, and a signature, all three under
//! `system/erasure/certificates/`.
//!
//! A certificate counts only once the audit log has its digest ([`proof`]); see [`issue`] for the order of
//! writes. Nothing of the subject is in it but keyed hashes (invariant 9).

mod issue;
mod page;
pub mod proof;
mod signature;

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use serde::{Deserialize, Serialize};

use super::manifest::{Manifest, manifests};
use super::request::{Decision, Erased, Filing, HashedIdentifier, Passed, Recipient, Request};
use super::scan::{Scan, scan};
use crate::lake::facts::Places;
use crate::lake::site::Site;
use crate::policy::{OnErasure, Policies, S3Location};

pub use issue::{Outcome, certify};
pub use signature::Signature;

const VERSION: u32 = 2;

/// What lies outside every certificate, and who has to act there.
const OUTSIDE: [(&str, &str); 4] = [
    ("Kafka topics", "the services: their topics' own retention"),
    (
        "Snowflake, Time Travel and Fail-safe included",
        "the warehouse team",
    ),
    ("replicas, backups and S3 access logs", "whoever runs them"),
    (
        "events of the subject from after the request",
        "nobody: a new request, if the subject makes one",
    ),
];

/// A certificate as it lies in the lake.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Certificate {
    /// Format of this file.
    pub version: u32,
    /// The request.
    pub request: String,
    /// What was said when it was filed.
    #[serde(flatten)]
    pub filing: Filing,
    /// When the subject asked.
    pub received: DateTime<Utc>,
    /// By when it had to be done (GDPR Art. 12(3)).
    pub deadline: DateTime<Utc>,
    /// Why the deadline is two months later than usual, if it is.
    pub extended: Option<Decision>,
    /// When no reader saw the subject any more.
    pub erased_at: Option<DateTime<Utc>>,
    /// When this was written.
    pub certified_at: DateTime<Utc>,
    /// Whether that was before the deadline.
    pub in_time: bool,
    /// The request's life.
    pub history: Vec<Passed>,
    /// The subject, as keyed hashes.
    pub subject: Vec<HashedIdentifier>,
    /// How many further ids belonged to the subject by links.
    pub linked_ids: u64,
    /// The mark of the key that hashed.
    pub key: String,
    /// Up to when events were the subject's.
    pub until: DateTime<Utc>,
    /// The buckets and prefixes that were searched, erased from and verified.
    pub scope: Vec<String>,
    /// How it was done.
    pub method: Vec<String>,
    /// The program that wrote this.
    pub program: String,
    /// The run that did.
    pub run: String,
    /// SHA-256 of the policies that held.
    pub policies: String,
    /// What was taken out, of all tables.
    pub erased: Erased,
    /// The same by table.
    pub tables: BTreeMap<String, Erased>,
    /// What came of the verification, in words.
    pub result: String,
    /// What the verification covered and found.
    pub verification: Scan,
    /// What stays for now.
    pub exceptions: Vec<Exception>,
    /// Who has to be told, and whether they had done their part when this was written.
    pub recipients: Vec<Recipient>,
    /// What they have to delete.
    pub manifests: Vec<Manifest>,
    /// What this does not speak of, and who has to act there.
    pub outside: Vec<Outside>,
}

/// Rows that stay without what identifies the subject, because a law wants them kept (GDPR Art. 17(3)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// The table.
    pub table: String,
    /// So many rows.
    pub rows: u64,
    /// The legal basis, as the policy words it; none if the policy has changed since, and the rows go.
    pub basis: Option<String>,
    /// The last day on which one of them may still be there.
    pub pseudonymised_until: Option<NaiveDate>,
}

/// Something outside a certificate's scope.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outside {
    /// What.
    pub what: String,
    /// Who has to act.
    pub who: String,
}

impl Certificate {
    /// The certificate of `request`, which was just certified. `columns` are those of the tables.
    fn new(
        site: &Site,
        policies: &Policies,
        columns: &BTreeMap<String, SchemaRef>,
        request: &Request,
        scan: &Scan,
    ) -> Self {
        let raw = policies.datasets.iter().map(|policy| &policy.raw.location);
        let scope = [&policies.lake.location].into_iter().chain(raw);
        let outside = OUTSIDE.map(|(what, who)| Outside {
            what: what.into(),
            who: who.into(),
        });
        Self {
            version: VERSION,
            request: request.id.clone(),
            filing: request.filing.clone(),
            received: request.received,
            deadline: request.deadline,
            extended: request.extended.clone(),
            erased_at: request.erased_at,
            certified_at: site.now,
            in_time: site.now <= request.deadline,
            history: request.history.clone(),
            subject: request.subject.clone(),
            linked_ids: request.linked_ids,
            key: request.key.clone(),
            until: request.until(),
            scope: scope.map(S3Location::to_string).collect(),
            method: method(policies),
            program: concat!("lakewarden ", env!("CARGO_PKG_VERSION")).into(),
            run: site.run.clone(),
            policies: policies.digest.clone(),
            erased: request.done.clone(),
            tables: request.tables.clone(),
            result: "no trace of the subject was found".into(),
            verification: scan.clone(),
            exceptions: exceptions(policies, request),
            recipients: request.recipients.clone(),
            manifests: manifests(policies, request, columns),
            outside: outside.to_vec(),
        }
    }
}

fn method(policies: &Policies) -> Vec<String> {
    let purged = format!(
        "Purged: files and object versions that were replaced were deleted for good, by version, once queries \
         had {} to end.",
        policies.lake.readers_grace
    );
    vec![
        "Found: the identifiers, and all ids that links in the policies lead to, were looked for in every table \
         file that may hold them, by filters, statistics and key columns, and in every raw object version and \
         quarantined record by decoding it."
            .into(),
        "Rewritten: table files were written again without the subject's rows, raw objects and quarantine \
         without the records; curated tables were made anew where the events below them had changed. Keyed \
         hashes on the suppression list keep late events of the subject out."
            .into(),
        purged,
        "Verified: after that every version of every object in scope was read and decoded once more, without \
         the filters, statistics and ledger that the search had used, and held against the identifiers."
            .into(),
    ]
}

/// Rows that are redacted rather than gone. The policy's horizon moves day by day, so the last day among the
/// rows is one of those that stay.
fn exceptions(policies: &Policies, request: &Request) -> Vec<Exception> {
    let redacted = request
        .tables
        .iter()
        .filter(|(_, erased)| erased.redacted > 0);
    let exception = |(table, erased): (&String, &Erased)| {
        let redaction = policies
            .dataset(table)
            .and_then(|policy| match &policy.pii.on_erasure {
                OnErasure::Redact(redaction) => Some(redaction),
                OnErasure::Delete => None,
            });
        let last = erased.days.last();
        Exception {
            table: table.clone(),
            rows: erased.redacted,
            basis: redaction.map(|redaction| redaction.basis.clone()),
            pseudonymised_until: redaction.zip(last).map(|(redaction, day)| {
                let midnight = day.and_time(NaiveTime::MIN).and_utc();
                redaction.keep.after(midnight).date_naive()
            }),
        }
    };
    redacted.map(exception).collect()
}

/// Where the file of a certificate with this ending lies.
fn place(places: &Places, id: &str, ending: &str) -> S3Location {
    places.system(&format!("erasure/certificates/{id}.{ending}"))
}

/// The endings of a certificate's files.
const JSON: &str = "json";
const PAGE: &str = "html";
const SIGNATURE: &str = "signature.json";

#[cfg(test)]
mod tests;
