//! Reading objects: GET and HEAD.

use std::fs::File;
use std::ops;

use s3s::dto::{
    ChecksumMode, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, Range,
    StorageClass, StreamingBlob,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use super::body::OutgoingBody;
use super::encryption::ToldEncryption;
use super::object_lock::{told_hold, told_mode, told_retain_until};
use crate::embedded::conditions::{
    ReadConditions, Verdict, precondition_failed, strong_etag, timestamp,
};
use crate::embedded::store::Store;
use crate::embedded::store::bucket::{Bucket, storage_failed};
use crate::embedded::store::record::{Content, VersionRecord, Versioning};

/// What a reader asks for, GET or HEAD.
struct Reading {
    conditions: ReadConditions,
    range: Option<Range>,
    part_number: Option<i32>,
    wants_checksum: bool,
}

/// The bytes of an object that an answer holds.
struct Slice {
    range: ops::Range<u64>,
    /// The reader asked for a part, so the answer is `206`.
    partial: bool,
}

pub fn get_object(store: &Store, request: S3Request<GetObjectInput>) -> S3Result<GetObjectOutput> {
    let input = request.input;
    let bucket = store.bucket(&input.bucket)?;
    let (record, file) = bucket.open_body(&input.key, input.version_id.as_deref())?;
    let content = content_of(&record)?;
    refuse_archived(content)?;
    let reading = Reading {
        conditions: ReadConditions {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
        },
        range: input.range,
        part_number: input.part_number,
        wants_checksum: wants_checksum(input.checksum_mode.as_ref()),
    };
    let (slice, mut output) = answer(&bucket, &record, content, &reading)?;
    let body = OutgoingBody::new(file, &slice.range)
        .map_err(|error| storage_failed("read a body", error))?;
    output.body = Some(StreamingBlob::new(body));
    Ok(output)
}

pub fn head_object(
    store: &Store,
    request: S3Request<HeadObjectInput>,
) -> S3Result<S3Response<HeadObjectOutput>> {
    let input = request.input;
    let bucket = store.bucket(&input.bucket)?;
    let record = bucket.record(&input.key, input.version_id.as_deref())?;
    let content = content_of(&record)?;
    let reading = Reading {
        conditions: ReadConditions {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
        },
        range: input.range,
        part_number: input.part_number,
        wants_checksum: wants_checksum(input.checksum_mode.as_ref()),
    };
    let (_, output) = answer(&bucket, &record, content, &reading)?;
    // The API's type has no field for it.
    let mut headers = http::HeaderMap::new();
    if let Some(count) = output.tag_count {
        headers.insert("x-amz-tagging-count", count.into());
    }
    Ok(S3Response::with_headers(as_head(output), headers))
}

fn answer(
    bucket: &Bucket,
    record: &VersionRecord,
    content: &Content,
    reading: &Reading,
) -> S3Result<(Slice, GetObjectOutput)> {
    match reading.conditions.judge(record, content) {
        Verdict::Proceed => {}
        Verdict::Failed => return Err(precondition_failed()),
        Verdict::NotModified => return Err(not_modified(content)),
    }
    let slice = slice(content, reading.range, reading.part_number)?;
    let mut output = describe(bucket, record, content);
    let length = slice.range.end - slice.range.start;
    output.content_length = Some(signed(length)?);
    if slice.partial {
        let last = slice.range.end.saturating_sub(1);
        output.content_range = Some(format!(
            "bytes {}-{last}/{}",
            slice.range.start, content.size
        ));
    }
    if reading.part_number.is_some() && !content.part_sizes.is_empty() {
        output.parts_count = i32::try_from(content.part_sizes.len()).ok();
    }
    if reading.wants_checksum && !slice.partial {
        add_checksum(&mut output, content);
    }
    Ok((slice, output))
}

fn slice(content: &Content, range: Option<Range>, part_number: Option<i32>) -> S3Result<Slice> {
    let whole = Slice {
        range: 0..content.size,
        partial: false,
    };
    match (range, part_number) {
        (None, None) => Ok(whole),
        (Some(_), Some(_)) => Err(s3_error!(
            InvalidRequest,
            "cannot specify both Range header and partNumber query parameter"
        )),
        (Some(_), None) if content.size == 0 => Err(s3_error!(InvalidRange)),
        (Some(range), None) => Ok(Slice {
            range: range.check(content.size)?,
            partial: true,
        }),
        (None, Some(1)) if content.part_sizes.is_empty() => Ok(Slice {
            partial: content.size > 0,
            ..whole
        }),
        (None, Some(number)) => Ok(Slice {
            range: part_range(content, number)?,
            partial: true,
        }),
    }
}

fn part_range(content: &Content, number: i32) -> S3Result<ops::Range<u64>> {
    let mut start = 0;
    for (position, size) in content.part_sizes.iter().enumerate() {
        if i32::try_from(position + 1) == Ok(number) {
            return Ok(start..start + size);
        }
        start += size;
    }
    Err(s3_error!(
        InvalidRange,
        "the requested part number is not satisfiable"
    ))
}

/// Everything about a version but its bytes.
fn describe(bucket: &Bucket, record: &VersionRecord, content: &Content) -> GetObjectOutput {
    let headers = content.headers.clone();
    let content_type = headers.content_type;
    let encryption = ToldEncryption::of(headers.encryption.as_ref());
    GetObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        bucket_key_enabled: encryption.bucket_key,
        cache_control: headers.cache_control,
        content_disposition: headers.content_disposition,
        content_encoding: headers.content_encoding,
        content_language: headers.content_language,
        content_type: content_type.or_else(|| Some(DEFAULT_CONTENT_TYPE.to_owned())),
        e_tag: Some(strong_etag(&content.etag)),
        expires: headers.expires,
        last_modified: Some(timestamp(record.last_modified)),
        metadata: (!content.metadata.is_empty())
            .then(|| content.metadata.clone().into_iter().collect()),
        object_lock_legal_hold_status: told_hold(&content.lock),
        object_lock_mode: told_mode(&content.lock),
        object_lock_retain_until_date: told_retain_until(&content.lock),
        server_side_encryption: encryption.algorithm,
        ssekms_key_id: encryption.kms_key_id,
        storage_class: headers.storage_class.map(StorageClass::from),
        tag_count: i32::try_from(content.tags.len())
            .ok()
            .filter(|count| *count > 0),
        version_id: shown_version_id(bucket, record),
        website_redirect_location: headers.website_redirect_location,
        ..GetObjectOutput::default()
    }
}

/// What S3 says of an object whose type nobody gave.
const DEFAULT_CONTENT_TYPE: &str = "binary/octet-stream";

fn add_checksum(output: &mut GetObjectOutput, content: &Content) {
    let Some(checksum) = &content.checksum else {
        return;
    };
    let fields = checksum.to_dto();
    output.checksum_crc32 = fields.checksum_crc32;
    output.checksum_crc32c = fields.checksum_crc32c;
    output.checksum_crc64nvme = fields.checksum_crc64nvme;
    output.checksum_sha1 = fields.checksum_sha1;
    output.checksum_sha256 = fields.checksum_sha256;
    output.checksum_type = fields.checksum_type;
}

fn as_head(output: GetObjectOutput) -> HeadObjectOutput {
    HeadObjectOutput {
        accept_ranges: output.accept_ranges,
        bucket_key_enabled: output.bucket_key_enabled,
        cache_control: output.cache_control,
        checksum_crc32: output.checksum_crc32,
        checksum_crc32c: output.checksum_crc32c,
        checksum_crc64nvme: output.checksum_crc64nvme,
        checksum_sha1: output.checksum_sha1,
        checksum_sha256: output.checksum_sha256,
        checksum_type: output.checksum_type,
        content_disposition: output.content_disposition,
        content_encoding: output.content_encoding,
        content_language: output.content_language,
        content_length: output.content_length,
        content_range: output.content_range,
        content_type: output.content_type,
        e_tag: output.e_tag,
        expires: output.expires,
        last_modified: output.last_modified,
        metadata: output.metadata,
        object_lock_legal_hold_status: output.object_lock_legal_hold_status,
        object_lock_mode: output.object_lock_mode,
        object_lock_retain_until_date: output.object_lock_retain_until_date,
        parts_count: output.parts_count,
        server_side_encryption: output.server_side_encryption,
        ssekms_key_id: output.ssekms_key_id,
        storage_class: output.storage_class,
        version_id: output.version_id,
        website_redirect_location: output.website_redirect_location,
        ..HeadObjectOutput::default()
    }
}

fn not_modified(content: &Content) -> S3Error {
    let mut error = S3Error::new(S3ErrorCode::NotModified);
    if let Ok(etag) = strong_etag(&content.etag).to_http_header() {
        let mut headers = http::HeaderMap::new();
        headers.insert(http::header::ETAG, etag);
        error.set_headers(headers);
    }
    error
}

fn wants_checksum(mode: Option<&ChecksumMode>) -> bool {
    mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED)
}

/// The id to tell a client; none in a bucket that never had versions.
pub fn shown_version_id(bucket: &Bucket, record: &VersionRecord) -> Option<String> {
    (bucket.settings().versioning != Versioning::Off).then(|| record.shown_id().to_owned())
}

/// The content of a version that was found by a lookup that refuses markers.
pub fn content_of(record: &VersionRecord) -> S3Result<&Content> {
    record
        .content
        .as_ref()
        .ok_or_else(|| s3_error!(MethodNotAllowed))
}

/// An archived object cannot be read before it is restored.
pub fn refuse_archived(content: &Content) -> S3Result<()> {
    match content.headers.storage_class.as_deref() {
        Some(StorageClass::GLACIER | StorageClass::DEEP_ARCHIVE) => Err(s3_error!(
            InvalidObjectState,
            "the operation is not valid for the object's storage class"
        )),
        _ => Ok(()),
    }
}

/// A length as the API's signed type.
pub fn signed(length: u64) -> S3Result<i64> {
    i64::try_from(length).map_err(|error| s3_error!(error, InternalError, "an object is too long"))
}

/// The source of a copy: an open version whose conditions hold.
pub fn open_source(
    store: &Store,
    bucket: &str,
    key: &str,
    version_id: Option<&str>,
    conditions: &ReadConditions,
) -> S3Result<(std::sync::Arc<Bucket>, std::sync::Arc<VersionRecord>, File)> {
    let bucket = store.bucket(bucket)?;
    let (record, file) = bucket.open_body(key, version_id)?;
    let content = content_of(&record)?;
    conditions.require(&record, content)?;
    refuse_archived(content)?;
    Ok((bucket, record, file))
}
