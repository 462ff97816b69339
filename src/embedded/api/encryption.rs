//! Server-side encryption as clients ask for it: remembered and told, not done.

use s3s::dto::ServerSideEncryption;
use s3s::{S3Result, s3_error};
use uuid::Uuid;

use crate::embedded::store::record::Encryption;

/// What an answer says of encryption.
#[derive(Default)]
pub struct ToldEncryption {
    pub algorithm: Option<ServerSideEncryption>,
    pub kms_key_id: Option<String>,
    pub bucket_key: Option<bool>,
}

/// The encryption that a request's headers ask for.
pub fn asked_encryption(
    algorithm: Option<ServerSideEncryption>,
    kms_key_id: Option<String>,
    bucket_key: Option<bool>,
) -> S3Result<Option<Encryption>> {
    let uses_kms = match algorithm.as_ref().map(ServerSideEncryption::as_str) {
        None | Some(ServerSideEncryption::AES256) => false,
        Some(ServerSideEncryption::AWS_KMS | ServerSideEncryption::AWS_KMS_DSSE) => true,
        Some(_) => {
            return Err(s3_error!(
                InvalidEncryptionAlgorithmError,
                "the encryption method must be AES256, aws:kms or aws:kms:dsse"
            ));
        }
    };
    if kms_key_id.is_some() && !uses_kms {
        return Err(s3_error!(
            InvalidArgument,
            "a KMS key needs the header x-amz-server-side-encryption: aws:kms"
        ));
    }
    Ok(algorithm.map(|algorithm| Encryption {
        algorithm: algorithm.as_str().to_owned(),
        kms_key_id,
        bucket_key: bucket_key.filter(|_| uses_kms),
    }))
}

/// The entity tag of bytes with this MD5. With KMS, S3's is no digest of the
/// content, so nobody can know it before the write; nor can ours be.
pub fn entity_tag(md5: String, encryption: Option<&Encryption>) -> String {
    if encryption.is_some_and(Encryption::uses_kms) {
        return Uuid::new_v4().simple().to_string();
    }
    md5
}

impl ToldEncryption {
    pub fn of(encryption: Option<&Encryption>) -> Self {
        let Some(encryption) = encryption else {
            return Self::default();
        };
        Self {
            algorithm: Some(ServerSideEncryption::from(encryption.algorithm.clone())),
            kms_key_id: encryption.kms_key_id.clone(),
            bucket_key: encryption.bucket_key,
        }
    }
}
