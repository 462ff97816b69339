//! Copies that never leave the server: whole objects, and ranges as parts.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::ops;
use std::sync::Arc;

use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopyPartResult, CopySource, ETagCondition,
    MetadataDirective, Range, TaggingDirective, UploadPartCopyInput, UploadPartCopyOutput,
};
use s3s::{S3Request, S3Result, s3_error};

use super::encryption::{ToldEncryption, asked_encryption, entity_tag};
use super::multipart::{check_part_number, record_part};
use super::object_lock::LockHeaders;
use super::read::{content_of, open_source, shown_version_id};
use super::tagging::asked_tags;
use super::write::{kept_metadata, kept_storage_class, without_aws_chunked};
use crate::embedded::checksums::{ChecksumAlgorithm, StoredChecksum};
use crate::embedded::conditions::{ReadConditions, WriteCondition, strong_etag, timestamp};
use crate::embedded::store::Store;
use crate::embedded::store::bucket::{Bucket, storage_failed};
use crate::embedded::store::files::{PendingBody, WrittenBody};
use crate::embedded::store::record::{Content, Encryption, ObjectHeaders, VersionRecord};

/// Where a copy comes from.
struct Source {
    bucket: Arc<Bucket>,
    record: Arc<VersionRecord>,
    file: File,
}

pub fn copy_object(
    store: &Store,
    mut request: S3Request<CopyObjectInput>,
) -> S3Result<CopyObjectOutput> {
    let condition = destination_condition(&request.headers)?;
    let bucket = store.bucket(&request.input.bucket)?;
    refuse_unsupported(&request.input)?;
    let conditions = ReadConditions {
        if_match: request.input.copy_source_if_match.take(),
        if_none_match: request.input.copy_source_if_none_match.take(),
        if_modified_since: request.input.copy_source_if_modified_since.take(),
        if_unmodified_since: request.input.copy_source_if_unmodified_since.take(),
    };
    let source = find_source(store, &request.input.copy_source, &conditions)?;
    refuse_idle_copy(&source, &request.input)?;
    let wanted = request.input.checksum_algorithm.as_ref();
    let wanted = wanted
        .map(|wanted| ChecksumAlgorithm::parse(wanted.as_str()))
        .transpose()?;
    let (body, copied) = copy_body(&source, &bucket, wanted)?;
    let key = request.input.key.clone();
    let content = with_directives(copied, request.input, &bucket)?;
    let encryption = ToldEncryption::of(content.headers.encryption.as_ref());
    let checksum = content.checksum.as_ref().map(StoredChecksum::to_dto);
    let etag = strong_etag(&content.etag);
    let record = bucket.put(&key, content, body, &condition)?;
    let fields = checksum.unwrap_or_default();
    Ok(CopyObjectOutput {
        bucket_key_enabled: encryption.bucket_key,
        copy_object_result: Some(CopyObjectResult {
            checksum_crc32: fields.checksum_crc32,
            checksum_crc32c: fields.checksum_crc32c,
            checksum_crc64nvme: fields.checksum_crc64nvme,
            checksum_sha1: fields.checksum_sha1,
            checksum_sha256: fields.checksum_sha256,
            checksum_type: fields.checksum_type,
            e_tag: Some(etag),
            last_modified: Some(timestamp(record.last_modified)),
        }),
        copy_source_version_id: shown_version_id(&source.bucket, &source.record),
        server_side_encryption: encryption.algorithm,
        ssekms_key_id: encryption.kms_key_id,
        version_id: shown_version_id(&bucket, &record),
        ..CopyObjectOutput::default()
    })
}

/// The API's type has no fields for the destination's conditions.
fn destination_condition(headers: &http::HeaderMap) -> S3Result<WriteCondition> {
    let condition = |name: http::header::HeaderName| {
        let value = headers.get(name);
        let parsed = value.map(|value| ETagCondition::parse_http_header(value.as_bytes()));
        parsed
            .transpose()
            .map_err(|error| s3_error!(error, InvalidArgument, "a condition is not an entity tag"))
    };
    WriteCondition::new(
        condition(http::header::IF_MATCH)?,
        condition(http::header::IF_NONE_MATCH)?,
    )
}

fn refuse_unsupported(input: &CopyObjectInput) -> S3Result<()> {
    if input.sse_customer_key.is_some()
        || input.copy_source_sse_customer_key.is_some()
        || input.ssekms_encryption_context.is_some()
    {
        return Err(s3_error!(
            NotImplemented,
            "customer keys and encryption contexts are not implemented"
        ));
    }
    Ok(())
}

fn find_source(
    store: &Store,
    source: &CopySource,
    conditions: &ReadConditions,
) -> S3Result<Source> {
    let CopySource::Bucket {
        bucket,
        key,
        version_id,
    } = source
    else {
        return Err(s3_error!(
            NotImplemented,
            "a copy source is a bucket and a key"
        ));
    };
    let (bucket, record, file) =
        open_source(store, bucket, key, version_id.as_deref(), conditions)?;
    Ok(Source {
        bucket,
        record,
        file,
    })
}

/// S3 refuses to copy an object to itself when nothing would change.
fn refuse_idle_copy(source: &Source, input: &CopyObjectInput) -> S3Result<()> {
    let same_place = source.bucket.name == input.bucket && source.record.key == input.key;
    let current = source.bucket.record(&input.key, None).ok();
    let is_current = current.is_some_and(|current| current.sequence == source.record.sequence);
    let changes = replaces_metadata(input)
        || input.storage_class.is_some()
        || input.website_redirect_location.is_some()
        || input.server_side_encryption.is_some();
    if same_place && is_current && !changes {
        return Err(s3_error!(
            InvalidRequest,
            "this copy request is illegal because it copies an object to itself without change"
        ));
    }
    Ok(())
}

fn replaces_metadata(input: &CopyObjectInput) -> bool {
    let directive = input.metadata_directive.as_ref();
    directive.is_some_and(|directive| directive.as_str() == MetadataDirective::REPLACE)
}

fn replaces_tags(input: &CopyObjectInput) -> bool {
    let directive = input.tagging_directive.as_ref();
    directive.is_some_and(|directive| directive.as_str() == TaggingDirective::REPLACE)
}

/// The body at its new place, and what is known of it. A copy is one part, so
/// the digests of a multipart source are computed anew, as is an entity tag
/// that is none.
fn copy_body(
    source: &Source,
    bucket: &Bucket,
    wanted: Option<ChecksumAlgorithm>,
) -> S3Result<(PendingBody, Content)> {
    let content = content_of(&source.record)?;
    let kept = content.checksum.as_ref();
    let algorithm = wanted.or(kept.map(|checksum| checksum.algorithm));
    let checksum_fits = kept.is_none_or(|checksum| !checksum.composite)
        && algorithm == kept.map(|checksum| checksum.algorithm);
    let source_encryption = content.headers.encryption.as_ref();
    let tag_fits =
        content.part_sizes.is_empty() && !source_encryption.is_some_and(Encryption::uses_kms);
    if tag_fits && checksum_fits {
        let path = source.bucket.files.body_path(&content.body);
        let shared = bucket.files.share_body(&path);
        let body = shared.map_err(|error| storage_failed("copy a body", error))?;
        let copied = Content {
            body: body.id.clone(),
            ..content.clone()
        };
        return Ok((body, copied));
    }
    let written = copy_range(source, bucket, &(0..content.size), algorithm)?;
    let copied = Content {
        body: written.body.id.clone(),
        etag: hex::encode(written.digests.md5),
        part_sizes: Vec::new(),
        upload_id: None,
        checksum: written.digests.checksum,
        ..content.clone()
    };
    Ok((written.body, copied))
}

fn copy_range(
    source: &Source,
    bucket: &Bucket,
    range: &ops::Range<u64>,
    checksum: Option<ChecksumAlgorithm>,
) -> S3Result<WrittenBody> {
    let copy = || {
        let mut file = source.file.try_clone()?;
        file.seek(SeekFrom::Start(range.start))?;
        let mut writer = bucket.files.new_body(checksum)?;
        writer.write_from(file, range.end - range.start)?;
        Ok(writer.finish())
    };
    copy().map_err(|error| storage_failed("copy a body", error))
}

/// What is told of a copy: metadata and tags are the source's unless they are to
/// be replaced; class, encryption and lock are never the source's.
fn with_directives(
    mut copied: Content,
    input: CopyObjectInput,
    bucket: &Bucket,
) -> S3Result<Content> {
    let storage_class = kept_storage_class(input.storage_class.as_ref())?;
    if replaces_tags(&input) {
        copied.tags = asked_tags(input.tagging.as_deref())?;
    }
    let replaces_metadata = replaces_metadata(&input);
    let lock = LockHeaders {
        mode: input.object_lock_mode,
        retain_until: input.object_lock_retain_until_date,
        legal_hold: input.object_lock_legal_hold_status,
    };
    copied.lock = lock.asked_lock(bucket)?;
    let encryption = asked_encryption(
        input.server_side_encryption,
        input.ssekms_key_id,
        input.bucket_key_enabled,
    )?;
    copied.etag = entity_tag(copied.etag, encryption.as_ref());
    if !replaces_metadata {
        let headers = ObjectHeaders {
            storage_class,
            encryption,
            website_redirect_location: input.website_redirect_location,
            ..copied.headers
        };
        return Ok(Content { headers, ..copied });
    }
    Ok(Content {
        headers: ObjectHeaders {
            cache_control: input.cache_control,
            content_disposition: input.content_disposition,
            content_encoding: without_aws_chunked(input.content_encoding),
            content_language: input.content_language,
            content_type: input.content_type,
            expires: input.expires,
            website_redirect_location: input.website_redirect_location,
            storage_class,
            encryption,
        },
        metadata: kept_metadata(input.metadata)?,
        ..copied
    })
}

pub fn upload_part_copy(
    store: &Store,
    request: S3Request<UploadPartCopyInput>,
) -> S3Result<UploadPartCopyOutput> {
    let input = request.input;
    let bucket = store.bucket(&input.bucket)?;
    check_part_number(input.part_number)?;
    let upload = bucket.upload(&input.key, &input.upload_id)?;
    let conditions = ReadConditions {
        if_match: input.copy_source_if_match,
        if_none_match: input.copy_source_if_none_match,
        if_modified_since: input.copy_source_if_modified_since,
        if_unmodified_since: input.copy_source_if_unmodified_since,
    };
    let source = find_source(store, &input.copy_source, &conditions)?;
    let size = content_of(&source.record)?.size;
    let range = source_range(input.copy_source_range.as_deref(), size)?;
    let written = copy_range(&source, &bucket, &range, upload.record.checksum_algorithm)?;
    let part = record_part(&bucket, &upload.record, input.part_number, written)?;
    let fields = part.checksum.as_ref().map(StoredChecksum::to_dto);
    let fields = fields.unwrap_or_default();
    let encryption = ToldEncryption::of(upload.record.headers.encryption.as_ref());
    Ok(UploadPartCopyOutput {
        bucket_key_enabled: encryption.bucket_key,
        copy_part_result: Some(CopyPartResult {
            checksum_crc32: fields.checksum_crc32,
            checksum_crc32c: fields.checksum_crc32c,
            checksum_crc64nvme: fields.checksum_crc64nvme,
            checksum_sha1: fields.checksum_sha1,
            checksum_sha256: fields.checksum_sha256,
            e_tag: Some(strong_etag(&part.etag)),
            last_modified: Some(timestamp(part.last_modified)),
        }),
        copy_source_version_id: shown_version_id(&source.bucket, &source.record),
        server_side_encryption: encryption.algorithm,
        ssekms_key_id: encryption.kms_key_id,
        ..UploadPartCopyOutput::default()
    })
}

/// Unlike a read's range, a copy's must lie within the source.
fn source_range(range: Option<&str>, size: u64) -> S3Result<ops::Range<u64>> {
    let Some(range) = range else {
        return Ok(0..size);
    };
    match Range::parse(range) {
        Ok(Range::Int {
            first,
            last: Some(last),
        }) if last < size => Ok(first..last + 1),
        Ok(Range::Int { last: Some(_), .. }) => Err(s3_error!(
            InvalidRange,
            "the copy range exceeds the source object"
        )),
        _ => Err(s3_error!(
            InvalidArgument,
            "the x-amz-copy-source-range value must be of the form bytes=first-last"
        )),
    }
}
