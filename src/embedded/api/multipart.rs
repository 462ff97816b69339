//! Multipart uploads: create, upload a part, complete, abort.

use std::fs::File;
use std::io;

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumType,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedPart,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3Request, S3Result, s3_error};
use uuid::Uuid;

use super::body::IncomingBody;
use super::encryption::{ToldEncryption, asked_encryption, entity_tag};
use super::object_lock::{LockHeaders, require_digest};
use super::read::shown_version_id;
use super::tagging::asked_tags;
use super::write::{kept_metadata, kept_storage_class, without_aws_chunked};
use crate::embedded::checksums::{
    ChecksumAlgorithm, ClaimedDigests, StoredChecksum, checksum_type, composite_checksum,
    multipart_etag,
};
use crate::embedded::conditions::{WriteCondition, strong_etag};
use crate::embedded::store::Store;
use crate::embedded::store::bucket::{Bucket, storage_failed, whole_seconds};
use crate::embedded::store::files::WrittenBody;
use crate::embedded::store::record::{
    Content, ObjectHeaders, PartRecord, UploadRecord, VersionRecord,
};
use crate::embedded::store::uploads::Upload;

/// Bytes that every part but the last must have.
const SMALLEST_PART: u64 = 5 * 1024 * 1024;

/// The highest number that a part may have.
const HIGHEST_PART: i32 = 10_000;

pub fn create(
    store: &Store,
    request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<CreateMultipartUploadOutput> {
    let input = request.input;
    refuse_unsupported(&input)?;
    let bucket = store.bucket(&input.bucket)?;
    let algorithm = input.checksum_algorithm.as_ref();
    let algorithm = algorithm
        .map(|algorithm| ChecksumAlgorithm::parse(algorithm.as_str()))
        .transpose()?;
    let full_object = covers_full_object(algorithm, input.checksum_type.as_ref())?;
    let lock = LockHeaders {
        mode: input.object_lock_mode,
        retain_until: input.object_lock_retain_until_date,
        legal_hold: input.object_lock_legal_hold_status,
    };
    let encryption = asked_encryption(
        input.server_side_encryption,
        input.ssekms_key_id,
        input.bucket_key_enabled,
    )?;
    let told = ToldEncryption::of(encryption.as_ref());
    let upload_id = Uuid::new_v4().simple().to_string();
    bucket.begin_upload(UploadRecord {
        upload_id: upload_id.clone(),
        key: input.key.clone(),
        initiated: whole_seconds((bucket.clock)()),
        headers: ObjectHeaders {
            cache_control: input.cache_control,
            content_disposition: input.content_disposition,
            content_encoding: without_aws_chunked(input.content_encoding),
            content_language: input.content_language,
            content_type: input.content_type,
            expires: input.expires,
            website_redirect_location: input.website_redirect_location,
            storage_class: kept_storage_class(input.storage_class.as_ref())?,
            encryption,
        },
        metadata: kept_metadata(input.metadata)?,
        tags: asked_tags(input.tagging.as_deref())?,
        lock: lock.asked_lock(&bucket)?,
        checksum_algorithm: algorithm,
        full_object_checksum: full_object,
    })?;
    Ok(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(upload_id),
        checksum_algorithm: algorithm.map(ChecksumAlgorithm::to_dto),
        checksum_type: algorithm.map(|_| checksum_type(!full_object)),
        bucket_key_enabled: told.bucket_key,
        server_side_encryption: told.algorithm,
        ssekms_key_id: told.kms_key_id,
        ..CreateMultipartUploadOutput::default()
    })
}

fn refuse_unsupported(input: &CreateMultipartUploadInput) -> S3Result<()> {
    if input.sse_customer_key.is_some() || input.ssekms_encryption_context.is_some() {
        return Err(s3_error!(
            NotImplemented,
            "customer keys and encryption contexts are not implemented"
        ));
    }
    Ok(())
}

/// CRC-64 always covers the whole object, SHA never does, the others by choice.
fn covers_full_object(
    algorithm: Option<ChecksumAlgorithm>,
    asked: Option<&ChecksumType>,
) -> S3Result<bool> {
    let asked = asked.map(|asked| asked.as_str() == ChecksumType::FULL_OBJECT);
    match (algorithm, asked) {
        (Some(ChecksumAlgorithm::Crc64Nvme), None | Some(true)) => Ok(true),
        (Some(ChecksumAlgorithm::Crc32 | ChecksumAlgorithm::Crc32c), asked) => {
            Ok(asked.unwrap_or(false))
        }
        (Some(ChecksumAlgorithm::Sha1 | ChecksumAlgorithm::Sha256), None | Some(false))
        | (None, None) => Ok(false),
        _ => Err(s3_error!(
            InvalidRequest,
            "the checksum type does not go with the checksum algorithm"
        )),
    }
}

pub async fn upload_part(
    store: &Store,
    mut request: S3Request<UploadPartInput>,
) -> S3Result<UploadPartOutput> {
    let bucket = store.bucket(&request.input.bucket)?;
    check_part_number(request.input.part_number)?;
    let upload = bucket.upload(&request.input.key, &request.input.upload_id)?;
    let content_md5 = request.input.content_md5.as_deref();
    let incoming = IncomingBody {
        claimed: ClaimedDigests::from_headers(&request.headers, content_md5)?,
        stream: request.input.body.take(),
        length: request.input.content_length,
        trailers: request.trailing_headers.take(),
    };
    let expected = upload.record.checksum_algorithm;
    if let (Some(expected), Some(claimed)) = (expected, incoming.claimed.algorithm)
        && expected != claimed
    {
        return Err(s3_error!(
            InvalidRequest,
            "the part's checksum algorithm is not the upload's"
        ));
    }
    require_digest(&bucket, &upload.record.lock, &incoming.claimed)?;
    let written = incoming.receive(&bucket.files, expected).await?;
    let input = request.input;
    let part = record_part(&bucket, &upload.record, input.part_number, written)?;
    let fields = part.checksum.as_ref().map(StoredChecksum::to_dto);
    let fields = fields.unwrap_or_default();
    let encryption = ToldEncryption::of(upload.record.headers.encryption.as_ref());
    Ok(UploadPartOutput {
        bucket_key_enabled: encryption.bucket_key,
        checksum_crc32: fields.checksum_crc32,
        checksum_crc32c: fields.checksum_crc32c,
        checksum_crc64nvme: fields.checksum_crc64nvme,
        checksum_sha1: fields.checksum_sha1,
        checksum_sha256: fields.checksum_sha256,
        e_tag: Some(strong_etag(&part.etag)),
        server_side_encryption: encryption.algorithm,
        ssekms_key_id: encryption.kms_key_id,
        ..UploadPartOutput::default()
    })
}

pub fn check_part_number(number: i32) -> S3Result<()> {
    if (1..=HIGHEST_PART).contains(&number) {
        return Ok(());
    }
    Err(s3_error!(
        InvalidArgument,
        "part number must be an integer between 1 and 10000"
    ))
}

/// Makes a written body a part of an upload.
pub fn record_part(
    bucket: &Bucket,
    upload: &UploadRecord,
    number: i32,
    written: WrittenBody,
) -> S3Result<PartRecord> {
    let md5 = hex::encode(written.digests.md5);
    let part = PartRecord {
        number,
        body: written.body.id.clone(),
        size: written.size,
        etag: entity_tag(md5, upload.headers.encryption.as_ref()),
        last_modified: whole_seconds((bucket.clock)()),
        checksum: written.digests.checksum,
    };
    bucket.put_part(&upload.upload_id, part.clone(), written.body)?;
    Ok(part)
}

pub fn complete(
    store: &Store,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<CompleteMultipartUploadOutput> {
    let mut input = request.input;
    let bucket = store.bucket(&input.bucket)?;
    let condition = WriteCondition::new(input.if_match.take(), input.if_none_match.take())?;
    let upload = bucket.upload(&input.key, &input.upload_id)?;
    let listed = input.multipart_upload.take().and_then(|parts| parts.parts);
    let listed = listed.unwrap_or_default();
    chosen_parts(&upload, &listed)?;
    bucket.check_condition(&input.key, &condition)?;

    let upload = bucket.claim_upload(&input.key, &input.upload_id)?;
    let completed = chosen_parts(&upload, &listed)
        .and_then(|parts| assemble(&bucket, &upload, &parts, &input, &condition));
    let (record, checksum, etag) = match completed {
        Ok(completed) => completed,
        Err(error) => {
            bucket.return_upload(upload);
            return Err(error);
        }
    };
    if let Err(error) = bucket.remove_upload(&upload) {
        tracing::warn!(%error, "a completed upload was not removed; the next opening will");
    }
    let fields = checksum.as_ref().map(StoredChecksum::to_dto);
    let fields = fields.unwrap_or_default();
    let encryption = ToldEncryption::of(upload.record.headers.encryption.as_ref());
    Ok(CompleteMultipartUploadOutput {
        bucket_key_enabled: encryption.bucket_key,
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        bucket: Some(input.bucket),
        key: Some(input.key),
        checksum_crc32: fields.checksum_crc32,
        checksum_crc32c: fields.checksum_crc32c,
        checksum_crc64nvme: fields.checksum_crc64nvme,
        checksum_sha1: fields.checksum_sha1,
        checksum_sha256: fields.checksum_sha256,
        checksum_type: fields.checksum_type,
        e_tag: Some(strong_etag(&etag)),
        server_side_encryption: encryption.algorithm,
        ssekms_key_id: encryption.kms_key_id,
        version_id: shown_version_id(&bucket, &record),
        ..CompleteMultipartUploadOutput::default()
    })
}

/// The parts that the client lists, if they are there, in order and big enough.
fn chosen_parts<'upload>(
    upload: &'upload Upload,
    listed: &[CompletedPart],
) -> S3Result<Vec<&'upload PartRecord>> {
    if listed.is_empty() {
        return Err(s3_error!(
            MalformedXML,
            "you must specify at least one part"
        ));
    }
    let mut chosen: Vec<&PartRecord> = Vec::with_capacity(listed.len());
    for entry in listed {
        let number = entry.part_number.unwrap_or_default();
        if chosen
            .last()
            .is_some_and(|previous| previous.number >= number)
        {
            return Err(s3_error!(
                InvalidPartOrder,
                "the list of parts was not in ascending order"
            ));
        }
        let part = upload
            .parts
            .get(&number)
            .filter(|part| is_same_part(part, entry));
        chosen.push(part.ok_or_else(|| {
            s3_error!(
                InvalidPart,
                "one or more of the specified parts could not be found"
            )
        })?);
    }
    let all_but_last = chosen.split_last().map_or(&[][..], |(_, others)| others);
    if all_but_last.iter().any(|part| part.size < SMALLEST_PART) {
        return Err(s3_error!(
            EntityTooSmall,
            "your proposed upload is smaller than the minimum allowed size"
        ));
    }
    Ok(chosen)
}

fn is_same_part(part: &PartRecord, entry: &CompletedPart) -> bool {
    let claimed = StoredChecksum::from_dto(&s3s::dto::Checksum {
        checksum_crc32: entry.checksum_crc32.clone(),
        checksum_crc32c: entry.checksum_crc32c.clone(),
        checksum_crc64nvme: entry.checksum_crc64nvme.clone(),
        checksum_sha1: entry.checksum_sha1.clone(),
        checksum_sha256: entry.checksum_sha256.clone(),
        checksum_type: None,
    });
    let same_checksum = claimed.is_none() || claimed == part.checksum;
    let etag = entry.e_tag.as_ref();
    same_checksum && etag.is_some_and(|etag| etag.value() == part.etag)
}

/// Puts the parts together and commits the object.
fn assemble(
    bucket: &Bucket,
    upload: &Upload,
    parts: &[&PartRecord],
    input: &CompleteMultipartUploadInput,
    condition: &WriteCondition,
) -> S3Result<(
    std::sync::Arc<VersionRecord>,
    Option<StoredChecksum>,
    String,
)> {
    let algorithm = upload.record.checksum_algorithm;
    let full_object = algorithm.filter(|_| upload.record.full_object_checksum);
    let written = concatenate(bucket, parts, full_object)
        .map_err(|error| storage_failed("put parts together", error))?;
    if input
        .mpu_object_size
        .is_some_and(|size| u64::try_from(size) != Ok(written.size))
    {
        return Err(s3_error!(
            InvalidRequest,
            "the object is not of the size you gave"
        ));
    }
    let checksum = match algorithm {
        Some(_) if full_object.is_some() => written.digests.checksum.clone(),
        Some(algorithm) => Some(composite_of(algorithm, parts)?),
        None => None,
    };
    verify_object_checksum(input, checksum.as_ref())?;
    let part_etags: Vec<&str> = parts.iter().map(|part| part.etag.as_str()).collect();
    let etag = multipart_etag(&part_etags)?;
    let content = Content {
        body: written.body.id.clone(),
        size: written.size,
        etag: etag.clone(),
        part_sizes: parts.iter().map(|part| part.size).collect(),
        upload_id: Some(upload.record.upload_id.clone()),
        headers: upload.record.headers.clone(),
        metadata: upload.record.metadata.clone(),
        tags: upload.record.tags.clone(),
        lock: upload.record.lock,
        checksum: checksum.clone(),
    };
    let record = bucket.put(&upload.record.key, content, written.body, condition)?;
    Ok((record, checksum, etag))
}

fn concatenate(
    bucket: &Bucket,
    parts: &[&PartRecord],
    checksum: Option<ChecksumAlgorithm>,
) -> io::Result<WrittenBody> {
    let mut writer = bucket.files.new_body(checksum)?;
    for part in parts {
        let body = File::open(bucket.files.body_path(&part.body))?;
        writer.write_from(body, part.size)?;
    }
    Ok(writer.finish())
}

fn composite_of(algorithm: ChecksumAlgorithm, parts: &[&PartRecord]) -> S3Result<StoredChecksum> {
    let mut digests = Vec::with_capacity(parts.len());
    for part in parts {
        let digest = part.checksum.as_ref().and_then(StoredChecksum::digest);
        digests.push(digest.ok_or_else(|| s3_error!(InvalidPart, "a part has no checksum"))?);
    }
    Ok(composite_checksum(algorithm, &digests))
}

/// Refuses an upload whose whole is not what the client says it is.
fn verify_object_checksum(
    input: &CompleteMultipartUploadInput,
    computed: Option<&StoredChecksum>,
) -> S3Result<()> {
    let claimed = StoredChecksum::from_dto(&s3s::dto::Checksum {
        checksum_crc32: input.checksum_crc32.clone(),
        checksum_crc32c: input.checksum_crc32c.clone(),
        checksum_crc64nvme: input.checksum_crc64nvme.clone(),
        checksum_sha1: input.checksum_sha1.clone(),
        checksum_sha256: input.checksum_sha256.clone(),
        checksum_type: None,
    });
    let Some(claimed) = claimed else {
        return Ok(());
    };
    let value = |checksum: &StoredChecksum| {
        let value = checksum.value.split('-').next();
        (checksum.algorithm, value.unwrap_or_default().to_owned())
    };
    if computed.map(value) == Some(value(&claimed)) {
        return Ok(());
    }
    Err(s3_error!(
        BadDigest,
        "the checksum you specified did not match the calculated checksum"
    ))
}

pub fn abort(
    store: &Store,
    request: S3Request<AbortMultipartUploadInput>,
) -> S3Result<AbortMultipartUploadOutput> {
    let input = request.input;
    let bucket = store.bucket(&input.bucket)?;
    let upload = bucket.claim_upload(&input.key, &input.upload_id)?;
    if let Err(error) = bucket.remove_upload(&upload) {
        bucket.return_upload(upload);
        return Err(storage_failed("remove an upload", error));
    }
    Ok(AbortMultipartUploadOutput::default())
}
