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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::log::Issued;
    use crate::lake::key::{Key, digest};

    const ID: &str = "20261120-abcdef12";
    const JSON: &str =
        r#"{"request": "20261120-abcdef12", "certified_at": "2026-11-20T03:00:00Z"}"#;
    const PAGE: &str = "<p>page</p>";

    fn signed(key: &str, json: &str, page: &str) -> Signature {
        let signer = Key::parse(&key.repeat(32)).unwrap().signer().unwrap();
        Signature::new(ID, &signer, json.as_bytes(), page.as_bytes()).unwrap()
    }

    /// What comes of these files, where the log has an entry for `JSON` and `PAGE`, signed with `ab`.
    fn proven(json: &str, page: &str, signature: &Signature) -> Result<u64, Misfit> {
        let logged = signed("ab", JSON, PAGE);
        let log = AuditLog::of(&[Issued {
            request: ID.into(),
            certificate_sha256: digest(JSON.as_bytes()),
            page_sha256: digest(PAGE.as_bytes()),
            public_key: logged.public_key,
        }]);
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let signature = serde_json::to_vec(signature).unwrap();
        prove(&log, ID, bytes(json), bytes(page), &signature).map(|proven| proven.entry)
    }

    #[test]
    fn what_fits_holds() {
        assert_eq!(proven(JSON, PAGE, &signed("ab", JSON, PAGE)), Ok(1));
    }

    #[test]
    fn whoever_signs_anew_contradicts_the_log() {
        let other = JSON.replace("03:00", "02:00");
        for (key, json, page, misfit) in [
            ("ab", &*other, PAGE, Misfit::LoggedCertificate),
            ("ab", JSON, "<p>other</p>", Misfit::LoggedPage),
            ("cd", JSON, PAGE, Misfit::LoggedKey),
            ("cd", &other, PAGE, Misfit::LoggedCertificate),
        ] {
            assert_eq!(proven(json, page, &signed(key, json, page)), Err(misfit));
        }
    }

    #[test]
    fn a_certificate_of_another_request_does_not_hold() {
        let other = JSON.replace("abcdef12", "abcdef13");
        let signature = signed("ab", &other, PAGE);
        assert_eq!(proven(&other, PAGE, &signature), Err(Misfit::Request));
        let renamed = Signature {
            request: "20261120-abcdef13".into(),
            ..signed("ab", JSON, PAGE)
        };
        assert_eq!(proven(JSON, PAGE, &renamed), Err(Misfit::SignatureFile));
    }

    #[test]
    fn what_was_never_logged_does_not_count() {
        let signature = serde_json::to_vec(&signed("ab", JSON, PAGE)).unwrap();
        let (json, page) = (
            Bytes::from_static(JSON.as_bytes()),
            Bytes::from_static(PAGE.as_bytes()),
        );
        let outcome = prove(&AuditLog::default(), ID, json, page, &signature);
        assert_eq!(outcome.map(|proven| proven.entry), Err(Misfit::NotLogged));
    }
}
