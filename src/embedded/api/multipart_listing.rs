//! Listings of uploads under way and of their parts.

use s3s::dto::{
    ListMultipartUploadsInput, ListMultipartUploadsOutput, ListPartsInput, ListPartsOutput,
    MultipartUpload, Part, StorageClass,
};
use s3s::{S3Request, S3Result, s3_error};

use super::listing::{NameEncoding, Selection};
use super::read::signed;
use crate::embedded::checksums::{ChecksumAlgorithm, StoredChecksum, checksum_type};
use crate::embedded::conditions::{strong_etag, timestamp};
use crate::embedded::store::Store;
use crate::embedded::store::record::{PartRecord, UploadRecord};

/// Parts that a page may have.
const PAGE_LIMIT: i32 = 1000;

pub fn list_parts(store: &Store, request: S3Request<ListPartsInput>) -> S3Result<ListPartsOutput> {
    let input = request.input;
    let bucket = store.bucket(&input.bucket)?;
    let upload = bucket.upload(&input.key, &input.upload_id)?;
    let max_parts = input.max_parts.unwrap_or(PAGE_LIMIT).min(PAGE_LIMIT);
    let limit = usize::try_from(max_parts)
        .map_err(|error| s3_error!(error, InvalidArgument, "a page size is negative"))?;
    let marker = input.part_number_marker.unwrap_or_default();
    let mut parts = Vec::new();
    let mut truncated = false;
    for part in upload.parts.values().filter(|part| part.number > marker) {
        if parts.len() == limit {
            truncated = true;
            break;
        }
        parts.push(part_entry(part)?);
    }
    let last = parts.last().and_then(|part| part.part_number);
    let algorithm = upload.record.checksum_algorithm;
    Ok(ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        checksum_algorithm: algorithm.map(ChecksumAlgorithm::to_dto),
        checksum_type: algorithm.map(|_| checksum_type(!upload.record.full_object_checksum)),
        is_truncated: Some(truncated),
        max_parts: Some(max_parts),
        next_part_number_marker: last.filter(|_| truncated),
        part_number_marker: Some(marker),
        parts: (!parts.is_empty()).then_some(parts),
        storage_class: Some(class_of(&upload.record)),
        ..ListPartsOutput::default()
    })
}

fn part_entry(part: &PartRecord) -> S3Result<Part> {
    let fields = part.checksum.as_ref().map(StoredChecksum::to_dto);
    let fields = fields.unwrap_or_default();
    Ok(Part {
        checksum_crc32: fields.checksum_crc32,
        checksum_crc32c: fields.checksum_crc32c,
        checksum_crc64nvme: fields.checksum_crc64nvme,
        checksum_sha1: fields.checksum_sha1,
        checksum_sha256: fields.checksum_sha256,
        e_tag: Some(strong_etag(&part.etag)),
        last_modified: Some(timestamp(part.last_modified)),
        part_number: Some(part.number),
        size: Some(signed(part.size)?),
    })
}

fn class_of(upload: &UploadRecord) -> StorageClass {
    let class = upload.headers.storage_class.as_deref();
    StorageClass::from(class.unwrap_or(StorageClass::STANDARD).to_owned())
}

/// A page of uploads.
#[derive(Default)]
struct UploadPage {
    uploads: Vec<UploadRecord>,
    groups: Vec<String>,
    truncated: bool,
    last_key: String,
    last_upload: Option<String>,
}

pub fn list_uploads(
    store: &Store,
    request: S3Request<ListMultipartUploadsInput>,
) -> S3Result<ListMultipartUploadsOutput> {
    let input = request.input;
    let bucket = store.bucket(&input.bucket)?;
    let selection = Selection::new(
        input.prefix.as_ref(),
        input.delimiter.as_ref(),
        input.max_uploads,
        input.encoding_type.as_ref(),
    )?;
    let key_marker = input.key_marker.unwrap_or_default();
    let id_marker = input.upload_id_marker.filter(|marker| !marker.is_empty());
    let mut records = Vec::new();
    for upload in bucket.uploads().values() {
        records.push(upload.record.clone());
    }
    records.sort_by(|one, other| (&one.key, &one.upload_id).cmp(&(&other.key, &other.upload_id)));
    let page = upload_page(records, &selection, &key_marker, id_marker.as_deref());
    let names = selection.names;
    Ok(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        common_prefixes: names.groups(&page.groups),
        delimiter: names.encode_given(selection.delimiter.as_ref()),
        encoding_type: input.encoding_type,
        is_truncated: Some(page.truncated),
        key_marker: Some(names.encode(&key_marker)),
        max_uploads: i32::try_from(selection.limit).ok(),
        next_key_marker: page.truncated.then(|| names.encode(&page.last_key)),
        next_upload_id_marker: page.last_upload.clone().filter(|_| page.truncated),
        prefix: Some(names.encode(&selection.prefix)),
        request_charged: None,
        upload_id_marker: id_marker,
        uploads: upload_entries(&page, names),
    })
}

/// `records` come by key and, within a key, by id.
fn upload_page(
    records: Vec<UploadRecord>,
    selection: &Selection,
    key_marker: &str,
    id_marker: Option<&str>,
) -> UploadPage {
    let mut page = UploadPage::default();
    for record in records {
        let key = record.key.as_str();
        let seen = key < key_marker
            || key == key_marker
                && id_marker.is_none_or(|marker| record.upload_id.as_str() <= marker);
        if !key.starts_with(&selection.prefix) || (seen && !key_marker.is_empty()) {
            continue;
        }
        let group = selection.group_of(key).map(str::to_owned);
        let told = |group: &String| group == key_marker || page.groups.last() == Some(group);
        if group.as_ref().is_some_and(told) {
            continue;
        }
        if page.uploads.len() + page.groups.len() >= selection.limit {
            page.truncated = selection.limit > 0;
            break;
        }
        if let Some(group) = group {
            page.last_key.clone_from(&group);
            page.last_upload = None;
            page.groups.push(group);
            continue;
        }
        page.last_key.clone_from(&record.key);
        page.last_upload = Some(record.upload_id.clone());
        page.uploads.push(record);
    }
    page
}

fn upload_entries(page: &UploadPage, names: NameEncoding) -> Option<Vec<MultipartUpload>> {
    let mut entries = Vec::with_capacity(page.uploads.len());
    for record in &page.uploads {
        let algorithm = record.checksum_algorithm;
        entries.push(MultipartUpload {
            checksum_algorithm: algorithm.map(ChecksumAlgorithm::to_dto),
            checksum_type: algorithm.map(|_| checksum_type(!record.full_object_checksum)),
            initiated: Some(timestamp(record.initiated)),
            key: Some(names.encode(&record.key)),
            storage_class: Some(class_of(record)),
            upload_id: Some(record.upload_id.clone()),
            ..MultipartUpload::default()
        });
    }
    (!entries.is_empty()).then_some(entries)
}
