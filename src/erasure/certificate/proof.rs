//! Whether a certificate is what was issued: its files, its signature and the audit log have to fit one
//! another. No secret is needed.
//!
//! Whoever can write to the lake can replace the files; they cannot sign them with the lake's key, nor
//! change an entry of the audit log that others follow. So the public key is that in the audit log.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{JSON, PAGE, SIGNATURE, Signature, place};
use crate::audit::log::{AuditError, AuditLog};
use crate::lake::error::S3Error;
use crate::lake::facts::Places;
use crate::lake::s3::ReadS3;

/// What does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// The JSON file is another one.
    #[error("its JSON file is not the one that was signed")]
    Certificate,
    /// The page is another one.
    #[error("its page is not the one that was made for it")]
    Page,
    /// The public key.
    #[error("its signature file names no public key of Ed25519, or two different ones")]
    PublicKey,
    /// The signature.
    #[error("its signature does not fit its JSON file and its public key")]
    Signature,
    /// The file of the signature.
    #[error("its signature file cannot be read, or speaks of another request")]
    SignatureFile,
    /// The JSON file is none of this request.
    #[error("its JSON file is no certificate of this request")]
    Request,
    /// No entry.
    #[error("the audit log has no entry for it, so it does not count")]
    NotLogged,
    /// The entry names another JSON file.
    #[error("the audit log has another digest of its JSON file")]
    LoggedCertificate,
    /// The entry names another page.
    #[error("the audit log has another digest of its page")]
    LoggedPage,
    /// The entry names another key.
    #[error("it was signed with another key than the audit log has")]
    LoggedKey,
}

/// Why a certificate is not believed.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// An S3 request.
    #[error("{0}")]
    Store(#[from] S3Error),
    /// The audit log.
    #[error("{0}")]
    Audit(#[from] AuditError),
    /// One of its files is not there.
    #[error("the certificate of erasure request {request} is not whole: there is no {file}")]
    Missing {
        /// The request.
        request: String,
        /// The file.
        file: String,
    },
    /// Its parts contradict each other.
    #[error("the certificate of erasure request {request} does not hold: {misfit}")]
    Misfit {
        /// The request.
        request: String,
        /// What does not fit.
        misfit: Misfit,
    },
}

/// A certificate that holds.
#[derive(Debug)]
pub struct Proven {
    /// The JSON file.
    pub json: Bytes,
    /// The page.
    pub page: Bytes,
    /// The signature.
    pub signature: Signature,
    /// When it was written.
    pub certified_at: DateTime<Utc>,
    /// The number of its entry in the audit log.
    pub entry: u64,
}

/// What every format of a certificate has.
#[derive(Deserialize)]
struct Head {
    request: String,
    certified_at: DateTime<Utc>,
}

/// Reads the certificate of request `id`, and holds its parts against each other and against `log`.
pub async fn read(
    s3: &ReadS3,
    places: &Places,
    log: &AuditLog,
    id: &str,
) -> Result<Proven, ProofError> {
    let json = file(s3, places, id, JSON).await?;
    let page = file(s3, places, id, PAGE).await?;
    let signature = file(s3, places, id, SIGNATURE).await?;
    prove(log, id, json, page, &signature).map_err(|misfit| ProofError::Misfit {
        request: id.to_owned(),
        misfit,
    })
}

async fn file(s3: &ReadS3, places: &Places, id: &str, ending: &str) -> Result<Bytes, ProofError> {
    let place = place(places, id, ending);
    match s3.find(&place.bucket, &place.prefix).await? {
        Some(object) => Ok(object.bytes),
        None => Err(ProofError::Missing {
            request: id.to_owned(),
            file: place.to_string(),
        }),
    }
}

fn prove(
    log: &AuditLog,
    id: &str,
    json: Bytes,
    page: Bytes,
    signature: &[u8],
) -> Result<Proven, Misfit> {
    let signature: Signature =
        serde_json::from_slice(signature).map_err(|_| Misfit::SignatureFile)?;
    if signature.request != id {
        return Err(Misfit::SignatureFile);
    }
    signature.check(&json, &page)?;
    let head: Head = serde_json::from_slice(&json).map_err(|_| Misfit::Request)?;
    if head.request != id {
        return Err(Misfit::Request);
    }
    let (entry, issued) = log.issued(id).ok_or(Misfit::NotLogged)?;
    if issued.certificate_sha256 != signature.certificate_sha256 {
        return Err(Misfit::LoggedCertificate);
    }
    if issued.page_sha256 != signature.page_sha256 {
        return Err(Misfit::LoggedPage);
    }
    if issued.public_key != signature.public_key {
        return Err(Misfit::LoggedKey);
    }
    Ok(Proven {
        entry: entry.number,
        certified_at: head.certified_at,
        json,
        page,
        signature,
    })
}
