//! The signature of a certificate: Ed25519 (RFC 8032), detached, over the exact bytes of its JSON file, so
//! that anybody can check it with common tools and without this program. Checking needs no secret.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::proof::Misfit;
use crate::lake::key::{KeyError, digest};

const ALGORITHM: &str = "Ed25519";
/// What stands before the key in an Ed25519 `SubjectPublicKeyInfo` in DER (RFC 8410, part 4).
const KEY_INFO: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// A signature as it lies in the lake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Format of this file.
    pub version: u32,
    /// The request whose certificate it signs.
    pub request: String,
    /// How it was signed.
    pub algorithm: String,
    /// The public key, 32 bytes in hex.
    pub public_key: String,
    /// The same as PEM (`SubjectPublicKeyInfo`).
    pub public_key_pem: String,
    /// The signature over the JSON file, 64 bytes in base64.
    #[serde(rename = "signature")]
    pub base64: String,
    /// SHA-256 of the JSON file, in hex.
    pub certificate_sha256: String,
    /// SHA-256 of the page, in hex.
    pub page_sha256: String,
}

impl Signature {
    /// Signs `certificate`.
    pub fn new(
        request: &str,
        signer: &Ed25519KeyPair,
        certificate: &[u8],
        page: &[u8],
    ) -> Result<Self, KeyError> {
        let signature = signer.try_sign(certificate);
        let signature = signature.map_err(|_| KeyError::Failed("sign a certificate"))?;
        let public_key = public_key(signer);
        Ok(Self {
            version: 1,
            request: request.to_owned(),
            algorithm: ALGORITHM.into(),
            public_key_pem: pem(&public_key),
            public_key: hex::encode(public_key),
            base64: BASE64.encode(signature),
            certificate_sha256: digest(certificate),
            page_sha256: digest(page),
        })
    }

    /// Holds the signature against the two files.
    pub fn check(&self, certificate: &[u8], page: &[u8]) -> Result<(), Misfit> {
        if self.certificate_sha256 != digest(certificate) {
            return Err(Misfit::Certificate);
        }
        if self.page_sha256 != digest(page) {
            return Err(Misfit::Page);
        }
        let public_key = hex::decode(&self.public_key).map_err(|_| Misfit::PublicKey)?;
        if self.algorithm != ALGORITHM || self.public_key_pem != pem(&public_key) {
            return Err(Misfit::PublicKey);
        }
        let signature = self.bytes()?;
        UnparsedPublicKey::new(&ED25519, public_key)
            .verify(certificate, &signature)
            .map_err(|_| Misfit::Signature)
    }

    /// The signature itself.
    pub fn bytes(&self) -> Result<Vec<u8>, Misfit> {
        BASE64.decode(&self.base64).map_err(|_| Misfit::Signature)
    }
}

/// The public half of a pair of keys.
pub fn public_key(signer: &Ed25519KeyPair) -> Vec<u8> {
    signer.public_key().as_ref().to_vec()
}

fn pem(public_key: &[u8]) -> String {
    let key_info = BASE64.encode([&KEY_INFO, public_key].concat());
    format!("-----BEGIN PUBLIC KEY-----\n{key_info}\n-----END PUBLIC KEY-----\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The second test vector of RFC 8032, part 7.1.
    const SEED: &str = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
    const PUBLIC: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    const SIGNED: &str = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                          085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

    fn signer() -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&hex::decode(SEED).unwrap()).unwrap()
    }

    #[test]
    fn it_is_what_the_rfc_says() {
        let signature = Signature::new("id", &signer(), &[0x72], b"page").unwrap();
        assert_eq!(signature.public_key, PUBLIC);
        assert_eq!(hex::encode(signature.bytes().unwrap()), SIGNED);
        // As `openssl pkey -pubin -text` reads it.
        assert_eq!(
            signature.public_key_pem,
            "-----BEGIN PUBLIC KEY-----\n\
             MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=\n\
             -----END PUBLIC KEY-----\n"
        );
    }

    #[test]
    fn it_fits_the_bytes_that_were_signed_and_no_others() {
        let (certificate, page) = (br#"{"request": "id"}"#, b"<p>page</p>");
        let signature = Signature::new("id", &signer(), certificate, page).unwrap();
        assert_eq!(signature.check(certificate, page), Ok(()));
        let key = UnparsedPublicKey::new(&ED25519, hex::decode(PUBLIC).unwrap());
        let bytes = signature.bytes().unwrap();
        key.verify(certificate, &bytes).unwrap();
        for position in 0..certificate.len() {
            let mut changed = certificate.to_vec();
            changed[position] ^= 1;
            assert_eq!(signature.check(&changed, page), Err(Misfit::Certificate));
            assert!(key.verify(&changed, &bytes).is_err());
        }
        assert_eq!(
            signature.check(certificate, b"<p>Page</p>"),
            Err(Misfit::Page)
        );
    }

    #[test]
    fn whoever_changes_the_digests_too_has_no_signature() {
        let signature = Signature::new("id", &signer(), b"true", b"page").unwrap();
        let forged = Signature {
            certificate_sha256: digest(b"false"),
            ..signature.clone()
        };
        assert_eq!(forged.check(b"false", b"page"), Err(Misfit::Signature));
        let garbled = Signature {
            base64: "?".into(),
            ..signature.clone()
        };
        assert_eq!(garbled.check(b"true", b"page"), Err(Misfit::Signature));
        for (hex, pem) in [
            (&"00".repeat(32), &signature.public_key_pem),
            (&signature.public_key, &pem(&[0; 32])),
            (&"x".into(), &signature.public_key_pem),
        ] {
            let other_key = Signature {
                public_key: hex.clone(),
                public_key_pem: pem.clone(),
                ..signature.clone()
            };
            assert_eq!(other_key.check(b"true", b"page"), Err(Misfit::PublicKey));
        }
    }
}
