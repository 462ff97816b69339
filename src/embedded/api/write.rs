//! Writing an object in one request.

use std::collections::BTreeMap;

use s3s::dto::{Metadata, PutObjectInput, PutObjectOutput, StorageClass};
use s3s::{S3Request, S3Result, s3_error};

use super::body::IncomingBody;
use super::encryption::{ToldEncryption, asked_encryption, entity_tag};
use super::object_lock::{LockHeaders, require_digest};
use super::read::{shown_version_id, signed};
use super::tagging::asked_tags;
use crate::embedded::checksums::{ClaimedDigests, StoredChecksum};
use crate::embedded::conditions::{WriteCondition, strong_etag};
use crate::embedded::store::Store;
use crate::embedded::store::record::{Content, ObjectHeaders};

pub async fn put_object(
    store: &Store,
    mut request: S3Request<PutObjectInput>,
) -> S3Result<PutObjectOutput> {
    refuse_unsupported(&request.input)?;
    let bucket = store.bucket(&request.input.bucket)?;
    let condition = WriteCondition::new(
        request.input.if_match.take(),
        request.input.if_none_match.take(),
    )?;
    let content_md5 = request.input.content_md5.as_deref();
    let incoming = IncomingBody {
        claimed: ClaimedDigests::from_headers(&request.headers, content_md5)?,
        stream: request.input.body.take(),
        length: request.input.content_length,
        trailers: request.trailing_headers.take(),
    };
    let input = request.input;
    let lock = LockHeaders {
        mode: input.object_lock_mode,
        retain_until: input.object_lock_retain_until_date,
        legal_hold: input.object_lock_legal_hold_status,
    };
    let lock = lock.asked_lock(&bucket)?;
    require_digest(&bucket, &lock, &incoming.claimed)?;
    let tags = asked_tags(input.tagging.as_deref())?;
    let headers = ObjectHeaders {
        cache_control: input.cache_control,
        content_disposition: input.content_disposition,
        content_encoding: without_aws_chunked(input.content_encoding),
        content_language: input.content_language,
        content_type: input.content_type,
        expires: input.expires,
        website_redirect_location: input.website_redirect_location,
        storage_class: kept_storage_class(input.storage_class.as_ref())?,
        encryption: asked_encryption(
            input.server_side_encryption,
            input.ssekms_key_id,
            input.bucket_key_enabled,
        )?,
    };
    let metadata = kept_metadata(input.metadata)?;
    let encryption = ToldEncryption::of(headers.encryption.as_ref());
    let written = incoming.receive(&bucket.files, None).await?;
    let md5 = hex::encode(written.digests.md5);
    let etag = entity_tag(md5, headers.encryption.as_ref());
    let content = Content {
        body: written.body.id.clone(),
        size: written.size,
        etag: etag.clone(),
        part_sizes: Vec::new(),
        upload_id: None,
        headers,
        metadata,
        tags,
        lock,
        checksum: written.digests.checksum.clone(),
    };
    let record = bucket.put(&input.key, content, written.body, &condition)?;
    let checksum = written.digests.checksum;
    let fields = checksum.as_ref().map(StoredChecksum::to_dto);
    let fields = fields.unwrap_or_default();
    Ok(PutObjectOutput {
        bucket_key_enabled: encryption.bucket_key,
        checksum_crc32: fields.checksum_crc32,
        checksum_crc32c: fields.checksum_crc32c,
        checksum_crc64nvme: fields.checksum_crc64nvme,
        checksum_sha1: fields.checksum_sha1,
        checksum_sha256: fields.checksum_sha256,
        checksum_type: fields.checksum_type,
        e_tag: Some(strong_etag(&etag)),
        server_side_encryption: encryption.algorithm,
        size: Some(signed(written.size)?),
        ssekms_key_id: encryption.kms_key_id,
        version_id: shown_version_id(&bucket, &record),
        ..PutObjectOutput::default()
    })
}

/// Refuses what would otherwise be dropped without a word.
fn refuse_unsupported(input: &PutObjectInput) -> S3Result<()> {
    if input.sse_customer_key.is_some()
        || input.ssekms_encryption_context.is_some()
        || input.write_offset_bytes.is_some()
    {
        return Err(s3_error!(
            NotImplemented,
            "customer keys, encryption contexts and appending are not implemented"
        ));
    }
    Ok(())
}

/// `aws-chunked` tells how a body travels and is not the object's encoding.
pub fn without_aws_chunked(encoding: Option<String>) -> Option<String> {
    let encoding = encoding?;
    let mut kept = Vec::new();
    for token in encoding.split(',') {
        let token = token.trim();
        if !token.is_empty() && !token.eq_ignore_ascii_case("aws-chunked") {
            kept.push(token);
        }
    }
    (!kept.is_empty()).then(|| kept.join(","))
}

/// The classes of general purpose buckets, beside the standard one.
const STORAGE_CLASSES: [&str; 7] = [
    StorageClass::DEEP_ARCHIVE,
    StorageClass::GLACIER,
    StorageClass::GLACIER_IR,
    StorageClass::INTELLIGENT_TIERING,
    StorageClass::ONEZONE_IA,
    StorageClass::REDUCED_REDUNDANCY,
    StorageClass::STANDARD_IA,
];

/// S3 does not name the standard class.
pub fn kept_storage_class(class: Option<&StorageClass>) -> S3Result<Option<String>> {
    match class.map(StorageClass::as_str) {
        None | Some(StorageClass::STANDARD) => Ok(None),
        Some(class) if STORAGE_CLASSES.contains(&class) => Ok(Some(class.to_owned())),
        Some(_) => Err(s3_error!(
            InvalidStorageClass,
            "the storage class you specified is not valid"
        )),
    }
}

/// Bytes of user metadata that S3 takes.
const METADATA_LIMIT: usize = 2048;

pub fn kept_metadata(metadata: Option<Metadata>) -> S3Result<BTreeMap<String, String>> {
    let metadata: BTreeMap<_, _> = metadata.unwrap_or_default().into_iter().collect();
    let size: usize = metadata
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if size > METADATA_LIMIT {
        return Err(s3_error!(
            MetadataTooLarge,
            "your metadata headers exceed the maximum allowed metadata size"
        ));
    }
    Ok(metadata)
}
