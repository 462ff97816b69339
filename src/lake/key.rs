//! The key that stands between identifiers and the lake (invariant 9).
//!
//! One secret of at least 256 bits lives outside the lake; one key per purpose is derived from it with
//! HKDF-SHA-256 (RFC 5869), so that a suppression hash says nothing about a request's hash. Identifiers
//! are hashed with HMAC-SHA-256 (RFC 2104) over a versioned canonical form, and sealed with AES-256-GCM
//! (NIST SP 800-38D) while a request is open. Certificates are signed with Ed25519 (RFC 8032).

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::{hkdf, hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::policy::KeySource;

const SECRET_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;

/// What a derived key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Hashes that name a subject in requests, plans and certificates.
    Request,
    /// Hashes on the suppression list.
    Suppression,
    /// Hashes that stand in redacted rows.
    Redaction,
    /// Sealing the identifiers of an open request.
    Seal,
    /// Signing certificates.
    Sign,
    /// Recognising the key itself.
    Check,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Request => b"lakewarden/v1/request",
            Self::Suppression => b"lakewarden/v1/suppression",
            Self::Redaction => b"lakewarden/v1/redaction",
            Self::Seal => b"lakewarden/v1/seal",
            Self::Sign => b"lakewarden/v1/sign",
            Self::Check => b"lakewarden/v1/check",
        }
    }
}

/// What is wrong with the key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There is none.
    #[error(
        "no key for identifiers: {0}; make one with `openssl rand -hex 32` and keep it outside the lake"
    )]
    Missing(String),
    /// It is not a key.
    #[error("the key from {0} is not 32 bytes or more in hex or base64")]
    Malformed(String),
    /// It is another key than the one a request was sealed with.
    #[error(
        "the key has changed: {0} was sealed with another one; give lakewarden the key it was filed with"
    )]
    Changed(String),
    /// The library refused.
    #[error("could not {0} with the key")]
    Failed(&'static str),
}

/// The secret. Its `Debug` shows nothing.
#[derive(Clone)]
pub struct Key {
    secret: Vec<u8>,
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key(…)")
    }
}

impl Key {
    /// Reads the key from where the policy says.
    pub fn load(source: &KeySource) -> Result<Self, KeyError> {
        match source {
            KeySource::Env(name) => {
                let text = std::env::var(name).map_err(|_| {
                    KeyError::Missing(format!("environment variable {name} is not set"))
                })?;
                Self::parse(&text).ok_or_else(|| KeyError::Malformed(name.clone()))
            }
            KeySource::File(path) => {
                let place = path.display().to_string();
                let text = std::fs::read_to_string(path)
                    .map_err(|error| KeyError::Missing(format!("{place}: {error}")))?;
                Self::parse(&text).ok_or(KeyError::Malformed(place))
            }
            KeySource::Command(words) => Self::from_command(words),
        }
    }

    fn from_command(words: &[String]) -> Result<Self, KeyError> {
        let program = words.first().map(String::as_str).unwrap_or_default();
        let missing = |why: String| KeyError::Missing(format!("command {program}: {why}"));
        let output = std::process::Command::new(program)
            .args(words.iter().skip(1))
            .stderr(std::process::Stdio::inherit())
            .output()
            .map_err(|error| missing(error.to_string()))?;
        if !output.status.success() {
            return Err(missing(output.status.to_string()));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        Self::parse(&text).ok_or_else(|| KeyError::Malformed(format!("command {program}")))
    }

    /// A new random secret, in hex, as a key file holds it.
    pub fn generate() -> Result<String, KeyError> {
        let mut secret = [0_u8; SECRET_BYTES];
        rand::fill(&mut secret).map_err(|_| KeyError::Failed("draw random bytes"))?;
        Ok(hex::encode(secret))
    }

    /// A key that nobody keeps.
    pub fn random() -> Result<Self, KeyError> {
        let secret = Self::generate()?;
        Self::parse(&secret).ok_or(KeyError::Failed("make a key"))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let secret = hex::decode(text)
            .ok()
            .or_else(|| BASE64.decode(text).ok())?;
        (secret.len() >= SECRET_BYTES).then_some(Self { secret })
    }

    fn derive(&self, purpose: Purpose) -> Result<[u8; SECRET_BYTES], KeyError> {
        let mut derived = [0_u8; SECRET_BYTES];
        hkdf::Salt::new(hkdf::HKDF_SHA256, &[])
            .extract(&self.secret)
            .expand(&[purpose.label()], hkdf::HKDF_SHA256)
            .and_then(|output| output.fill(&mut derived))
            .map_err(|_| KeyError::Failed("derive a key"))?;
        Ok(derived)
    }

    /// The keyed hash of `text` for `purpose`, in hex.
    pub fn hash(&self, purpose: Purpose, text: &str) -> Result<String, KeyError> {
        Ok(self.hasher(purpose)?.hash(text))
    }

    /// A hasher for many texts of one purpose.
    pub fn hasher(&self, purpose: Purpose) -> Result<Hasher, KeyError> {
        let derived = self.derive(purpose)?;
        Ok(Hasher(hmac::Key::new(hmac::HMAC_SHA256, &derived)))
    }

    /// The pair of keys that signs certificates with Ed25519 (RFC 8032). Its public half may be shown.
    pub fn signer(&self) -> Result<Ed25519KeyPair, KeyError> {
        Ed25519KeyPair::from_seed_unchecked(&self.derive(Purpose::Sign)?)
            .map_err(|_| KeyError::Failed("make a pair of keys"))
    }

    /// A short public mark of this key, to notice that another one is used.
    pub fn mark(&self) -> Result<String, KeyError> {
        let mut mark = self.hash(Purpose::Check, "lakewarden")?;
        mark.truncate(16);
        Ok(mark)
    }

    /// Encrypts `plain`, bound to `context` (the request's id), as base64 of nonce and ciphertext.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<String, KeyError> {
        let mut sealed = plain.to_vec();
        let nonce = self
            .cipher()?
            .seal_in_place_append_tag(Aad::from(context.as_bytes()), &mut sealed)
            .map_err(|_| KeyError::Failed("encrypt"))?;
        let mut bytes = nonce.as_ref().to_vec();
        bytes.append(&mut sealed);
        Ok(BASE64.encode(bytes))
    }

    /// Decrypts what [`Key::seal`] made for the same context.
    pub fn open(&self, context: &str, sealed: &str) -> Result<Vec<u8>, KeyError> {
        let failed = || KeyError::Failed("decrypt what was sealed");
        let bytes = BASE64.decode(sealed).map_err(|_| failed())?;
        let (nonce, cipher_text) = bytes.split_at_checked(NONCE_BYTES).ok_or_else(failed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| failed())?;
        let mut buffer = cipher_text.to_vec();
        let plain = self
            .cipher()?
            .open_in_place(nonce, Aad::from(context.as_bytes()), &mut buffer)
            .map_err(|_| failed())?;
        Ok(plain.to_vec())
    }

    fn cipher(&self) -> Result<RandomizedNonceKey, KeyError> {
        RandomizedNonceKey::new(&AES_256_GCM, &self.derive(Purpose::Seal)?)
            .map_err(|_| KeyError::Failed("make a cipher"))
    }
}

/// Hashes texts for one purpose.
pub struct Hasher(hmac::Key);

impl Hasher {
    /// HMAC-SHA-256 of `text`, in hex.
    pub fn hash(&self, text: &str) -> String {
        hex::encode(hmac::sign(&self.0, text.as_bytes()))
    }
}

/// SHA-256 of `bytes`, in hex: for what is public, such as plans and policies.
pub fn digest(bytes: &[u8]) -> String {
    hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes))
}

/// SHA-256 of a value's JSON text, which is never held whole: plans name as many objects as are new.
pub fn digest_of(value: &impl serde::Serialize) -> String {
    struct Digesting(aws_lc_rs::digest::Context);

    impl std::io::Write for Digesting {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let mut digesting = Digesting(aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256));
    match serde_json::to_writer(&mut digesting, value) {
        Ok(()) => hex::encode(digesting.0.finish()),
        Err(error) => unreachable!("plain data has a JSON text: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Key {
        Key {
            secret: vec![byte; SECRET_BYTES],
        }
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_key_and_context_alone() {
        let sealed = key(1).seal("request-1", b"user_id=7").unwrap();
        assert_eq!(key(1).open("request-1", &sealed).unwrap(), b"user_id=7");
        assert!(key(1).open("request-2", &sealed).is_err());
        assert!(key(2).open("request-1", &sealed).is_err());
        assert!(key(1).open("request-1", "c2hvcnQ=").is_err());
    }

    #[test]
    fn hashes_differ_by_key_and_by_purpose() {
        let hash = key(1).hash(Purpose::Request, "v1:user_id:7").unwrap();
        assert_eq!(hash.len(), 64);
        assert_eq!(hash, key(1).hash(Purpose::Request, "v1:user_id:7").unwrap());
        assert_ne!(hash, key(2).hash(Purpose::Request, "v1:user_id:7").unwrap());
        assert_ne!(
            hash,
            key(1).hash(Purpose::Suppression, "v1:user_id:7").unwrap()
        );
    }

    #[test]
    fn short_or_garbled_secrets_are_refused() {
        assert!(Key::parse("00ff").is_none());
        assert!(Key::parse("not a key").is_none());
        assert!(Key::parse(&"ab".repeat(32)).is_some());
        assert!(Key::parse(&format!("{}\n", BASE64.encode([7; 32]))).is_some());
    }
}
