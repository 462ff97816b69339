//! Listings of objects and of versions, in pages.
//!
//! Hazard: a client deletes while it lists, so a page starts after a name and
//! an order, never at an offset.

use std::ops::Bound;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as TOKEN;
use s3s::dto::{
    ChecksumAlgorithmList, CommonPrefix, DeleteMarkerEntry, EncodingType, ListObjectVersionsInput,
    ListObjectVersionsOutput, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input,
    ListObjectsV2Output, Object, ObjectStorageClass, ObjectVersion, ObjectVersionStorageClass,
};
use s3s::{S3Request, S3Result, s3_error};

use super::read::signed;
use crate::embedded::checksums::checksum_type;
use crate::embedded::conditions::{strong_etag, timestamp};
use crate::embedded::store::Store;
use crate::embedded::store::bucket::{Index, Versions};
use crate::embedded::store::record::{Content, VersionRecord};

/// Entries that a page may have.
const PAGE_LIMIT: i32 = 1000;

/// Which keys a listing is about, and how they are told.
pub struct Selection {
    pub prefix: String,
    pub delimiter: Option<String>,
    pub limit: usize,
    pub names: NameEncoding,
}

/// Whether names are percent-encoded, for keys that XML cannot hold.
#[derive(Clone, Copy)]
pub struct NameEncoding {
    url: bool,
}

/// A page of current objects.
#[derive(Default)]
struct ObjectPage {
    objects: Vec<Arc<VersionRecord>>,
    groups: Vec<String>,
    /// The last key or group of a page that is not the last.
    next: Option<String>,
}

/// A page of versions.
#[derive(Default)]
struct VersionPage {
    versions: Vec<(Arc<VersionRecord>, bool)>,
    groups: Vec<String>,
    truncated: bool,
    last_key: String,
    last_version: Option<String>,
}

impl Selection {
    pub fn new(
        prefix: Option<&String>,
        delimiter: Option<&String>,
        limit: Option<i32>,
        encoding: Option<&EncodingType>,
    ) -> S3Result<Self> {
        let limit = limit.unwrap_or(PAGE_LIMIT).min(PAGE_LIMIT);
        let limit = usize::try_from(limit)
            .map_err(|error| s3_error!(error, InvalidArgument, "a page size is negative"))?;
        let delimiter = delimiter.filter(|delimiter| !delimiter.is_empty());
        Ok(Self {
            prefix: prefix.cloned().unwrap_or_default(),
            delimiter: delimiter.cloned(),
            limit,
            names: NameEncoding {
                url: encoding.is_some_and(|encoding| encoding.as_str() == EncodingType::URL),
            },
        })
    }

    /// The common prefix that a key falls under, if it falls under one.
    pub fn group_of<'key>(&self, key: &'key str) -> Option<&'key str> {
        let delimiter = self.delimiter.as_deref()?;
        let rest = key.get(self.prefix.len()..)?;
        let end = rest.find(delimiter)? + delimiter.len();
        key.get(..self.prefix.len() + end)
    }

    /// The keys with the prefix from `after` on; `after` itself is left to the
    /// caller.
    fn keys_from<'index>(
        &'index self,
        index: &'index Index,
        after: &'index str,
    ) -> impl Iterator<Item = (&'index String, &'index Versions)> {
        let start = after.max(self.prefix.as_str());
        index
            .range::<str, _>((Bound::Included(start), Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(&self.prefix))
    }
}

impl NameEncoding {
    pub fn encode(self, name: &str) -> String {
        if !self.url {
            return name.to_owned();
        }
        let mut encoded = String::with_capacity(name.len());
        for byte in name.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
                encoded.push(char::from(byte));
            } else {
                encoded.push('%');
                encoded.push_str(&hex::encode_upper([byte]));
            }
        }
        encoded
    }

    pub fn encode_given(self, name: Option<&String>) -> Option<String> {
        name.map(|name| self.encode(name))
    }

    pub fn groups(self, groups: &[String]) -> Option<Vec<CommonPrefix>> {
        let mut encoded = Vec::with_capacity(groups.len());
        for group in groups {
            encoded.push(CommonPrefix {
                prefix: Some(self.encode(group)),
            });
        }
        (!encoded.is_empty()).then_some(encoded)
    }
}

fn object_page(index: &Index, selection: &Selection, after: &str) -> ObjectPage {
    let mut page = ObjectPage::default();
    if selection.limit == 0 {
        return page;
    }
    let mut last = "";
    for (key, versions) in selection.keys_from(index, after) {
        let current = versions.first().filter(|record| !record.is_delete_marker());
        let Some(record) = current.filter(|_| key != after) else {
            continue;
        };
        let group = selection.group_of(key);
        if group.is_some_and(|group| group == after || page.has_group(group)) {
            continue;
        }
        if page.objects.len() + page.groups.len() == selection.limit {
            page.next = Some(last.to_owned());
            break;
        }
        last = group.unwrap_or(key);
        match group {
            Some(group) => page.groups.push(group.to_owned()),
            None => page.objects.push(Arc::clone(record)),
        }
    }
    page
}

impl ObjectPage {
    fn has_group(&self, group: &str) -> bool {
        self.groups.last().is_some_and(|last| last == group)
    }

    fn objects(&self, names: NameEncoding) -> S3Result<Option<Vec<Object>>> {
        let mut objects = Vec::with_capacity(self.objects.len());
        for record in &self.objects {
            if let Some(content) = &record.content {
                objects.push(object_entry(record, content, names)?);
            }
        }
        Ok((!objects.is_empty()).then_some(objects))
    }
}

fn object_entry(
    record: &VersionRecord,
    content: &Content,
    names: NameEncoding,
) -> S3Result<Object> {
    let class = content.headers.storage_class.as_deref();
    Ok(Object {
        checksum_algorithm: checksum_algorithms(content),
        checksum_type: content
            .checksum
            .as_ref()
            .map(|checksum| checksum_type(checksum.composite)),
        e_tag: Some(strong_etag(&content.etag)),
        key: Some(names.encode(&record.key)),
        last_modified: Some(timestamp(record.last_modified)),
        size: Some(signed(content.size)?),
        storage_class: Some(ObjectStorageClass::from(
            class.unwrap_or(ObjectStorageClass::STANDARD).to_owned(),
        )),
        ..Object::default()
    })
}

fn checksum_algorithms(content: &Content) -> Option<ChecksumAlgorithmList> {
    let checksum = content.checksum.as_ref()?;
    Some(vec![checksum.algorithm.to_dto()])
}

pub fn list_objects_v2(
    store: &Store,
    request: S3Request<ListObjectsV2Input>,
) -> S3Result<ListObjectsV2Output> {
    let input = request.input;
    let bucket = store.bucket(&input.bucket)?;
    let selection = Selection::new(
        input.prefix.as_ref(),
        input.delimiter.as_ref(),
        input.max_keys,
        input.encoding_type.as_ref(),
    )?;
    let after = match &input.continuation_token {
        Some(token) => read_token(token)?,
        None => input.start_after.clone().unwrap_or_default(),
    };
    let page = object_page(&bucket.index(), &selection, &after);
    let names = selection.names;
    let count = page.objects.len() + page.groups.len();
    Ok(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(names.encode(&selection.prefix)),
        max_keys: i32::try_from(selection.limit).ok(),
        key_count: i32::try_from(count).ok(),
        continuation_token: input.continuation_token,
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.as_ref().map(|next| TOKEN.encode(next)),
        contents: page.objects(names)?,
        common_prefixes: names.groups(&page.groups),
        delimiter: names.encode_given(selection.delimiter.as_ref()),
        encoding_type: input.encoding_type,
        start_after: names.encode_given(input.start_after.as_ref()),
        request_charged: None,
    })
}

fn read_token(token: &str) -> S3Result<String> {
    let decoded = TOKEN.decode(token).ok();
    decoded
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| {
            s3_error!(
                InvalidArgument,
                "the continuation token provided is incorrect"
            )
        })
}

pub fn list_objects(
    store: &Store,
    request: S3Request<ListObjectsInput>,
) -> S3Result<ListObjectsOutput> {
    let input = request.input;
    let bucket = store.bucket(&input.bucket)?;
    let selection = Selection::new(
        input.prefix.as_ref(),
        input.delimiter.as_ref(),
        input.max_keys,
        input.encoding_type.as_ref(),
    )?;
    let marker = input.marker.unwrap_or_default();
    let page = object_page(&bucket.index(), &selection, &marker);
    let names = selection.names;
    // S3 names the next marker only where groups make it hard to guess.
    let next_marker = page.next.as_ref().filter(|_| selection.delimiter.is_some());
    Ok(ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(names.encode(&selection.prefix)),
        marker: Some(names.encode(&marker)),
        max_keys: i32::try_from(selection.limit).ok(),
        is_truncated: Some(page.next.is_some()),
        contents: page.objects(names)?,
        common_prefixes: names.groups(&page.groups),
        delimiter: names.encode_given(selection.delimiter.as_ref()),
        next_marker: names.encode_given(next_marker),
        encoding_type: input.encoding_type,
        request_charged: None,
    })
}

/// Where a page of versions starts: after a key, or within its versions.
struct VersionMarker {
    key: String,
    version_id: Option<String>,
}

impl VersionMarker {
    /// How many of a key's versions earlier pages held.
    fn seen(&self, key: &str, versions: &Versions) -> usize {
        if key != self.key {
            return 0;
        }
        let Some(marker) = &self.version_id else {
            return versions.len();
        };
        let found = versions
            .iter()
            .position(|record| record.shown_id() == marker);
        if let Some(position) = found {
            return position + 1;
        }
        // Deleted since: an id begins with the place in the order. The null
        // version's does not, so the key's versions come again from the first.
        let sequence = marker
            .get(..16)
            .and_then(|hex| u64::from_str_radix(hex, 16).ok());
        sequence.map_or(0, |sequence| {
            versions
                .iter()
                .filter(|record| record.sequence > sequence)
                .count()
        })
    }
}

fn version_page(index: &Index, selection: &Selection, marker: &VersionMarker) -> VersionPage {
    let mut page = VersionPage::default();
    if selection.limit == 0 {
        return page;
    }
    for (key, versions) in selection.keys_from(index, &marker.key) {
        let seen = marker.seen(key, versions);
        if let Some(group) = selection.group_of(key) {
            let told = page.groups.last().is_some_and(|last| last == group);
            if group == marker.key || told || seen == versions.len() {
                continue;
            }
            if page.is_full(selection.limit) {
                return page;
            }
            page.add_group(group);
            continue;
        }
        for (position, record) in versions.iter().enumerate().skip(seen) {
            if page.is_full(selection.limit) {
                return page;
            }
            page.add_version(record, position == 0);
        }
    }
    page
}

impl VersionPage {
    /// Asked when there is one more entry to add.
    fn is_full(&mut self, limit: usize) -> bool {
        self.truncated = self.versions.len() + self.groups.len() >= limit;
        self.truncated
    }

    fn add_group(&mut self, group: &str) {
        self.groups.push(group.to_owned());
        group.clone_into(&mut self.last_key);
        self.last_version = None;
    }

    fn add_version(&mut self, record: &Arc<VersionRecord>, is_latest: bool) {
        self.versions.push((Arc::clone(record), is_latest));
        self.last_key.clone_from(&record.key);
        self.last_version = Some(record.shown_id().to_owned());
    }
}

pub fn list_object_versions(
    store: &Store,
    request: S3Request<ListObjectVersionsInput>,
) -> S3Result<ListObjectVersionsOutput> {
    let input = request.input;
    let bucket = store.bucket(&input.bucket)?;
    let selection = Selection::new(
        input.prefix.as_ref(),
        input.delimiter.as_ref(),
        input.max_keys,
        input.encoding_type.as_ref(),
    )?;
    let marker = VersionMarker {
        key: input.key_marker.unwrap_or_default(),
        version_id: input.version_id_marker.filter(|marker| !marker.is_empty()),
    };
    if marker.key.is_empty() && marker.version_id.is_some() {
        return Err(s3_error!(
            InvalidArgument,
            "a version-id marker cannot be specified without a key marker"
        ));
    }
    let page = version_page(&bucket.index(), &selection, &marker);
    let names = selection.names;
    let (versions, delete_markers) = version_entries(&page, names)?;
    let next_key = page.truncated.then(|| names.encode(&page.last_key));
    Ok(ListObjectVersionsOutput {
        common_prefixes: names.groups(&page.groups),
        delete_markers,
        delimiter: names.encode_given(selection.delimiter.as_ref()),
        encoding_type: input.encoding_type,
        is_truncated: Some(page.truncated),
        key_marker: Some(names.encode(&marker.key)),
        max_keys: i32::try_from(selection.limit).ok(),
        name: Some(input.bucket),
        next_key_marker: next_key,
        next_version_id_marker: page.last_version.filter(|_| page.truncated),
        prefix: Some(names.encode(&selection.prefix)),
        request_charged: None,
        version_id_marker: marker.version_id,
        versions,
    })
}

type VersionEntries = (Option<Vec<ObjectVersion>>, Option<Vec<DeleteMarkerEntry>>);

fn version_entries(page: &VersionPage, names: NameEncoding) -> S3Result<VersionEntries> {
    let mut versions = Vec::new();
    let mut markers = Vec::new();
    for (record, is_latest) in &page.versions {
        let key = Some(names.encode(&record.key));
        let last_modified = Some(timestamp(record.last_modified));
        let version_id = Some(record.shown_id().to_owned());
        let Some(content) = &record.content else {
            markers.push(DeleteMarkerEntry {
                is_latest: Some(*is_latest),
                key,
                last_modified,
                owner: None,
                version_id,
            });
            continue;
        };
        let class = content.headers.storage_class.as_deref();
        versions.push(ObjectVersion {
            checksum_algorithm: checksum_algorithms(content),
            e_tag: Some(strong_etag(&content.etag)),
            is_latest: Some(*is_latest),
            key,
            last_modified,
            size: Some(signed(content.size)?),
            storage_class: Some(ObjectVersionStorageClass::from(
                class
                    .unwrap_or(ObjectVersionStorageClass::STANDARD)
                    .to_owned(),
            )),
            version_id,
            ..ObjectVersion::default()
        });
    }
    Ok((
        (!versions.is_empty()).then_some(versions),
        (!markers.is_empty()).then_some(markers),
    ))
}
