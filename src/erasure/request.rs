//! Erasure requests: how they lie in the lake, and their life: received → erased → certified.
//!
//! The identifiers of an open request are sealed with the key (invariant 9); once it is certified only
//! keyed hashes are left.

use std::collections::BTreeSet;

use chrono::{DateTime, Months, Utc};
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use crate::lake::error::{S3Error, S3ErrorKind};
use crate::lake::facts::Places;
use crate::lake::key::{Key, KeyError, Purpose};
use crate::lake::ledger::put_json;
use crate::lake::s3::{ObjectVersion, Pick, PutIf, ReadS3, WriteS3};
use crate::lake::subject::Identifier;

const READ_AT_ONCE: usize = 16;

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
}

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Filed; the next run erases.
    Received,
    /// No reader of a table sees the subject; replaced files may wait for their grace.
    Erased,
    /// Nothing is left, and a scan has shown it.
    Certified,
}

/// One identifier of a request as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashedIdentifier {
    /// The kind.
    pub kind: String,
    /// Its keyed hash.
    pub hash: String,
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
    /// When it must be done: one calendar month later.
    pub deadline: DateTime<Utc>,
    /// How far it has come.
    pub state: State,
    /// When no reader saw the subject any more.
    pub erased_at: Option<DateTime<Utc>>,
    /// When the certificate was written.
    pub certified_at: Option<DateTime<Utc>>,
    /// The subject, hashed.
    pub subject: Vec<HashedIdentifier>,
    /// The mark of the key that sealed and hashed.
    pub key: String,
    /// The identifiers, encrypted; gone once certified.
    pub sealed: Option<String>,
    /// What the run that erased it did.
    #[serde(default)]
    pub done: Erased,
}

/// What an erasure took out, for the certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// Rows of event tables.
    pub rows: u64,
    /// Table files rewritten or dropped.
    pub files: u64,
    /// Records of raw objects.
    pub raw_records: u64,
    /// Raw objects rewritten or deleted.
    pub raw_objects: u64,
    /// Quarantined records.
    pub quarantined: u64,
}

impl Erased {
    /// Adds another dataset's.
    pub fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.files += other.files;
        self.raw_records += other.raw_records;
        self.raw_objects += other.raw_objects;
        self.quarantined += other.quarantined;
    }
}

/// A request that is not finished, with its identifiers in the clear. It stays in memory.
#[derive(Debug, Clone)]
pub struct OpenRequest {
    /// The request.
    pub request: Request,
    /// Whom it is about.
    pub identifiers: Vec<Identifier>,
    /// The entity tag under which it was read.
    pub etag: String,
}

impl Request {
    /// A new request for one subject.
    pub fn new(
        key: &Key,
        received: DateTime<Utc>,
        identifiers: &[Identifier],
    ) -> Result<Self, RequestError> {
        let random = uuid::Uuid::new_v4().simple().to_string();
        let id = format!("{}-{}", received.format("%Y%m%d"), &random[..8]);
        let mut subject = Vec::with_capacity(identifiers.len());
        for identifier in identifiers {
            subject.push(HashedIdentifier {
                kind: identifier.kind.clone(),
                hash: key.hash(Purpose::Request, &identifier.canonical_form())?,
            });
        }
        let pairs: Vec<(&str, &str)> = identifiers
            .iter()
            .map(|one| (one.kind.as_str(), one.text.as_str()))
            .collect();
        let plain = serde_json::to_vec(&pairs).map_err(|_| RequestError::Malformed(id.clone()))?;
        Ok(Self {
            version: 1,
            sealed: Some(key.seal(&id, &plain)?),
            deadline: received
                .checked_add_months(Months::new(1))
                .unwrap_or(received),
            received,
            state: State::Received,
            erased_at: None,
            certified_at: None,
            subject,
            key: key.mark()?,
            done: Erased::default(),
            id,
        })
    }

    /// Opens the seal.
    pub fn identifiers(&self, key: &Key) -> Result<Vec<Identifier>, RequestError> {
        if self.key != key.mark()? {
            return Err(KeyError::Changed(format!("erasure request {}", self.id)).into());
        }
        let malformed = || RequestError::Malformed(self.id.clone());
        let sealed = self.sealed.as_ref().ok_or_else(malformed)?;
        let plain = key.open(&self.id, sealed)?;
        let pairs: Vec<(String, String)> =
            serde_json::from_slice(&plain).map_err(|_| malformed())?;
        Ok(pairs
            .into_iter()
            .map(|(kind, text)| Identifier { kind, text })
            .collect())
    }

    /// Files the request.
    pub async fn file(&self, s3: &WriteS3, places: &Places) -> Result<(), S3Error> {
        let place = place(places, &self.id);
        put_json(s3, &place.bucket, &place.prefix, self, PutIf::Absent).await?;
        Ok(())
    }

    /// Writes a request's new state over the one that was read; returns its new entity tag.
    pub async fn update(
        &self,
        s3: &WriteS3,
        places: &Places,
        etag: &str,
    ) -> Result<String, S3Error> {
        let place = place(places, &self.id);
        put_json(s3, &place.bucket, &place.prefix, self, PutIf::Matches(etag)).await
    }
}

/// Where a request lies.
pub fn place(places: &Places, id: &str) -> crate::policy::S3Location {
    places.system(&format!("erasure/requests/{id}.json"))
}

/// All requests with their entity tags, by id.
pub async fn all(s3: &ReadS3, places: &Places) -> Result<Vec<(Request, String)>, S3Error> {
    let folder = &places.system("erasure/requests/");
    let keys = s3.keys(&folder.bucket, &folder.prefix).await?;
    futures::stream::iter(&keys)
        .map(|key| async move {
            let object = s3.get(&folder.bucket, key, Pick::Current).await?;
            let request = serde_json::from_slice(&object.bytes).map_err(|error| {
                S3Error::new(
                    format!("read erasure request s3://{}/{key}", folder.bucket),
                    error.to_string(),
                    S3ErrorKind::Other,
                )
            })?;
            Ok((request, object.etag))
        })
        .buffered(READ_AT_ONCE)
        .try_collect()
        .await
}

/// Older versions of certified requests: they still hold the sealed identifiers.
pub async fn sealed_remains(s3: &ReadS3, places: &Places) -> Result<Vec<ObjectVersion>, S3Error> {
    let folder = places.system("erasure/requests/");
    let mut versions = s3.versions(&folder.bucket, &folder.prefix).await?;
    versions.retain(|version| !version.latest);
    if versions.is_empty() {
        return Ok(versions);
    }
    let mut certified = all(s3, places).await?;
    certified.retain(|(request, _)| request.state == State::Certified);
    let keys: BTreeSet<String> = certified
        .iter()
        .map(|(request, _)| place(places, &request.id).prefix)
        .collect();
    versions.retain(|version| keys.contains(&version.key));
    Ok(versions)
}

/// The requests that are not certified yet. The key is asked for only if there is one.
pub async fn open(
    s3: &ReadS3,
    places: &Places,
    key: impl FnOnce() -> Result<Key, KeyError>,
) -> Result<Vec<OpenRequest>, RequestError> {
    let mut unfinished = all(s3, places).await?;
    unfinished.retain(|(request, _)| request.state != State::Certified);
    if unfinished.is_empty() {
        return Ok(Vec::new());
    }
    let key = key()?;
    let mut requests = Vec::with_capacity(unfinished.len());
    for (request, etag) in unfinished {
        let identifiers = request.identifiers(&key)?;
        requests.push(OpenRequest {
            request,
            identifiers,
            etag,
        });
    }
    Ok(requests)
}
