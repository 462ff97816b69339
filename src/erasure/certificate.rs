//! Certificates: the proof that an erasure request was carried out.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::apply::ErasureError;
use super::request::{self, Erased, HashedIdentifier, OpenRequest, State};
use super::scan::{Scan, scan};
use crate::lake::ledger::put_json;
use crate::lake::s3::PutIf;
use crate::lake::site::Site;
use crate::policy::Policies;

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
    /// When the subject asked.
    pub received: DateTime<Utc>,
    /// By when it had to be done.
    pub deadline: DateTime<Utc>,
    /// When no reader saw the subject any more.
    pub erased_at: Option<DateTime<Utc>>,
    /// When this was written.
    pub certified_at: DateTime<Utc>,
    /// The subject, as keyed hashes.
    pub subject: Vec<HashedIdentifier>,
    /// The buckets and prefixes that were scanned.
    pub scope: Vec<String>,
    /// What was taken out.
    pub erased: Erased,
    /// What the scan covered and found.
    pub verification: Scan,
    /// What this does not speak of, and who has to act there.
    pub outside: Vec<Outside>,
}

/// Something outside a certificate's scope.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outside {
    /// What.
    pub what: String,
    /// Who has to act.
    pub who: String,
}

/// What became of a request that was scanned for.
#[derive(Debug)]
pub struct Outcome {
    /// The request.
    pub request: String,
    /// Its scan.
    pub scan: Scan,
}

/// Scans for the subjects of `requests` in one pass and certifies those of whom nothing is left; the
/// others are to be erased again.
pub async fn certify(
    site: &Site,
    policies: &Policies,
    requests: &[&OpenRequest],
) -> Result<Vec<Outcome>, ErasureError> {
    let mut outcomes = Vec::with_capacity(requests.len());
    let mut scans = scan(site, policies, requests).await?;
    for open in requests {
        let Some(scan) = scans.remove(&open.request.id) else {
            continue;
        };
        if scan.is_clean() {
            write(site, policies, open, &scan).await?;
        } else {
            let mut again = open.request.clone();
            again.pass(State::Received, site.now);
            again.update(&site.s3, &site.places, &open.etag).await?;
        }
        outcomes.push(Outcome {
            request: open.request.id.clone(),
            scan,
        });
    }
    Ok(outcomes)
}

async fn write(
    site: &Site,
    policies: &Policies,
    open: &OpenRequest,
    scan: &Scan,
) -> Result<(), ErasureError> {
    let request = &open.request;
    let mut scope = vec![policies.lake.location.to_string()];
    scope.extend(
        policies
            .datasets
            .iter()
            .map(|policy| policy.raw.location.to_string()),
    );
    let outside = OUTSIDE.map(|(what, who)| Outside {
        what: what.into(),
        who: who.into(),
    });
    let certificate = Certificate {
        version: 1,
        request: request.id.clone(),
        received: request.received,
        deadline: request.deadline,
        erased_at: request.erased_at,
        certified_at: site.now,
        subject: request.subject.clone(),
        scope,
        erased: request.done.clone(),
        verification: scan.clone(),
        outside: outside.to_vec(),
    };
    let place = site
        .places
        .system(&format!("erasure/certificates/{}.json", request.id));
    put_json(
        &site.s3,
        &place.bucket,
        &place.prefix,
        &certificate,
        PutIf::Always,
    )
    .await?;
    let mut certified = request.clone();
    certified.pass(State::Certified, site.now);
    certified.update(&site.s3, &site.places, &open.etag).await?;
    request::forget_older_versions(&site.s3, &site.places, &request.id).await?;
    Ok(())
}
