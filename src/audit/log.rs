//! The audit log: immutable objects `system/audit/<number>.json`, each of which names the SHA-256 of the
//! one before it, so that an entry that is changed, missing or in another place is noticed by whoever walks
//! the chain. It holds digests, never identifiers (invariant 9).
//!
//! Hazard: two runs may append at once. An entry is written only where there is none, so one of them is
//! refused, reads what the other wrote, and takes the next number. An entry whose answer was lost is found
//! by its bytes ([`WriteS3::put`]). What the chain cannot show by itself is a change to its last entry, or
//! that its end was cut off: what an entry speaks of has to fit it as well.

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use crate::lake::error::{S3Error, S3ErrorKind};
use crate::lake::facts::Places;
use crate::lake::key::digest;
use crate::lake::s3::{Pick, PutIf, ReadS3, WriteS3};
use crate::policy::S3Location;

const READ_AT_ONCE: usize = 32;
/// So many rivals may be quicker, one after the other.
const ATTEMPTS: usize = 32;

/// Why the log could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// An S3 request.
    #[error("{0}")]
    Store(#[from] S3Error),
    /// An object among the entries that is none.
    #[error("the audit log is not whole: {0} is no entry of it; find out who wrote it")]
    Foreign(String),
    /// A number without its entry.
    #[error("the audit log is not whole: entry {0} is missing; restore it from an older version")]
    Missing(u64),
    /// The entry does not name its predecessor's digest.
    #[error(
        "the audit log is not whole: entry {number} does not follow from entry {before}; one of them was \
         changed or moved, restore it from an older version",
        before = number - 1
    )]
    Broken {
        /// The later one of the two.
        number: u64,
    },
}

/// An entry as it lies in the lake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Format of this file.
    pub version: u32,
    /// Its number, counted from 1.
    pub number: u64,
    /// The time of the run that wrote it.
    pub at: DateTime<Utc>,
    /// The run that wrote it.
    pub run: String,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
    /// SHA-256 of the bytes of the entry before, in hex; none in the first.
    pub previous: Option<String>,
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A certificate was issued.
    CertificateIssued(Issued),
}

/// A certificate that was issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// The erasure request.
    pub request: String,
    /// SHA-256 of the certificate's JSON file, in hex.
    pub certificate_sha256: String,
    /// SHA-256 of its page, in hex.
    pub page_sha256: String,
    /// The public key that its signature fits, in hex.
    pub public_key: String,
}

/// The log, its chain checked.
#[derive(Debug, Default)]
pub struct AuditLog {
    entries: Vec<Entry>,
    /// SHA-256 of the last entry's bytes.
    head: Option<String>,
}

impl AuditLog {
    /// Reads the log, and walks the chain from its first entry to the last.
    pub async fn load(s3: &ReadS3, places: &Places) -> Result<Self, AuditError> {
        let folder = &folder(places);
        let keys = s3.keys(&folder.bucket, &folder.prefix).await?;
        let mut objects = futures::stream::iter(&keys)
            .map(|key| async move { s3.get(&folder.bucket, key, Pick::Current).await })
            .buffered(READ_AT_ONCE);
        let mut log = Self::default();
        for key in &keys {
            let Some(object) = objects.try_next().await? else {
                break;
            };
            let name = key.strip_prefix(&folder.prefix).unwrap_or(key);
            log.take(name, &object.bytes)?;
        }
        Ok(log)
    }

    /// Adds what lies under the next name, if it follows from what is there.
    fn take(&mut self, name: &str, bytes: &[u8]) -> Result<(), AuditError> {
        let next = self.next_number();
        let foreign = || AuditError::Foreign(name.to_owned());
        let digits = name.strip_suffix(".json").ok_or_else(foreign)?;
        let named: u64 = digits.parse().map_err(|_| foreign())?;
        if name != file_name(named) || named < next {
            return Err(foreign());
        }
        if named > next {
            return Err(AuditError::Missing(next));
        }
        let entry: Entry = serde_json::from_slice(bytes).map_err(|_| foreign())?;
        if entry.number != named || entry.previous != self.head {
            return Err(match named {
                1 => foreign(),
                number => AuditError::Broken { number },
            });
        }
        self.head = Some(digest(bytes));
        self.entries.push(entry);
        Ok(())
    }

    fn next_number(&self) -> u64 {
        self.entries.len() as u64 + 1
    }

    fn next(&self, run: &str, at: DateTime<Utc>, certificate: &Issued) -> Entry {
        Entry {
            version: 1,
            number: self.next_number(),
            at,
            run: run.to_owned(),
            event: Event::CertificateIssued(certificate.clone()),
            previous: self.head.clone(),
        }
    }

    /// The entry for the certificate of this request.
    pub fn issued(&self, request: &str) -> Option<(&Entry, &Issued)> {
        self.entries.iter().find_map(|entry| {
            let Event::CertificateIssued(issued) = &entry.event;
            (issued.request == request).then_some((entry, issued))
        })
    }

    /// Notes that a certificate was issued, unless there is an entry for its request already: that one
    /// stays, and is answered.
    pub async fn issue(
        &mut self,
        s3: &WriteS3,
        places: &Places,
        run: &str,
        at: DateTime<Utc>,
        certificate: Issued,
    ) -> Result<Issued, AuditError> {
        let folder = folder(places);
        let mut attempts = 0;
        loop {
            attempts += 1;
            if let Some((_, issued)) = self.issued(&certificate.request) {
                return Ok(issued.clone());
            }
            let entry = self.next(run, at, &certificate);
            let name = file_name(entry.number);
            let key = folder.join(&name).prefix;
            let bytes = serde_json::to_vec_pretty(&entry).map_err(|error| {
                let attempted = format!("write s3://{}/{key}", folder.bucket);
                S3Error::new(attempted, error.to_string(), S3ErrorKind::Other)
            })?;
            let put = s3
                .put(&folder.bucket, &key, bytes.clone(), PutIf::Absent)
                .await;
            match put {
                Ok(_) => self.take(&name, &bytes)?,
                Err(error) if error.kind == S3ErrorKind::Precondition && attempts < ATTEMPTS => {
                    *self = Self::load(s3.read(), places).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn folder(places: &Places) -> S3Location {
    places.system("audit/")
}

/// Ten digits, so that names are in the order of the numbers.
fn file_name(number: u64) -> String {
    format!("{number:010}.json")
}

#[cfg(test)]
impl AuditLog {
    /// A log of these certificates.
    pub(crate) fn of(certificates: &[Issued]) -> Self {
        let mut log = Self::default();
        for certificate in certificates {
            let entry = log.next("run", DateTime::UNIX_EPOCH, certificate);
            log.take(
                &file_name(entry.number),
                &serde_json::to_vec(&entry).unwrap(),
            )
            .unwrap();
        }
        log
    }
}

#[cfg(test)]
mod tests;
