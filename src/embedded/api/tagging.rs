//! Tags of object versions: the operations, the header, and S3's limits.
//!
//! Source of the limits: Amazon S3's user guide, "Categorizing your objects
//! using tags". Lengths are in Unicode characters.

use http::StatusCode;
use s3s::dto::{
    DeleteObjectTaggingInput, DeleteObjectTaggingOutput, GetObjectTaggingInput,
    GetObjectTaggingOutput, PutObjectTaggingInput, PutObjectTaggingOutput, Tag,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result, s3_error};

use super::read::{content_of, shown_version_id};
use crate::embedded::store::Store;
use crate::embedded::store::record::Tags;

/// Tags that an object may have.
const TAG_LIMIT: usize = 10;

/// Characters that a tag's key may have.
const KEY_LIMIT: usize = 128;

/// Characters that a tag's value may have.
const VALUE_LIMIT: usize = 256;

/// What keys and values may hold beside letters, digits and white space.
const PUNCTUATION: &str = "_.:/=+-@";

/// Tags with this prefix are AWS's own.
const RESERVED_PREFIX: &str = "aws:";

pub fn get(
    store: &Store,
    request: S3Request<GetObjectTaggingInput>,
) -> S3Result<GetObjectTaggingOutput> {
    let input = request.input;
    let bucket = store.bucket(&input.bucket)?;
    let record = bucket.record(&input.key, input.version_id.as_deref())?;
    let mut tag_set = Vec::new();
    for (key, value) in &content_of(&record)?.tags {
        tag_set.push(Tag {
            key: Some(key.clone()),
            value: Some(value.clone()),
        });
    }
    Ok(GetObjectTaggingOutput {
        tag_set,
        version_id: shown_version_id(&bucket, &record),
    })
}

pub fn put(
    store: &Store,
    request: S3Request<PutObjectTaggingInput>,
) -> S3Result<PutObjectTaggingOutput> {
    let input = request.input;
    let bucket = store.bucket(&input.bucket)?;
    let tags = checked_tags(input.tagging.tag_set)?;
    let record = bucket.amend(&input.key, input.version_id.as_deref(), |content| {
        content.tags = tags;
        Ok(())
    })?;
    Ok(PutObjectTaggingOutput {
        version_id: shown_version_id(&bucket, &record),
    })
}

pub fn delete(
    store: &Store,
    request: S3Request<DeleteObjectTaggingInput>,
) -> S3Result<DeleteObjectTaggingOutput> {
    let input = request.input;
    let bucket = store.bucket(&input.bucket)?;
    let record = bucket.amend(&input.key, input.version_id.as_deref(), |content| {
        content.tags.clear();
        Ok(())
    })?;
    Ok(DeleteObjectTaggingOutput {
        version_id: shown_version_id(&bucket, &record),
    })
}

/// The tags of the header `x-amz-tagging`, which is written as a URL's query.
pub fn asked_tags(header: Option<&str>) -> S3Result<Tags> {
    let mut tags = Vec::new();
    for (key, value) in url::form_urlencoded::parse(header.unwrap_or_default().as_bytes()) {
        tags.push(Tag {
            key: Some(key.into_owned()),
            value: Some(value.into_owned()),
        });
    }
    checked_tags(tags)
}

fn checked_tags(tag_set: Vec<Tag>) -> S3Result<Tags> {
    if tag_set.len() > TAG_LIMIT {
        return Err(bad_request("object tags cannot be more than 10"));
    }
    let mut tags = Tags::new();
    for tag in tag_set {
        let (Some(key), Some(value)) = (tag.key, tag.value) else {
            return Err(s3_error!(MalformedXML, "a tag is a key and a value"));
        };
        if key.is_empty() || !is_tag_text(&key, KEY_LIMIT) || key.starts_with(RESERVED_PREFIX) {
            return Err(s3_error!(InvalidTag, "the key of a tag is not valid"));
        }
        if !is_tag_text(&value, VALUE_LIMIT) {
            return Err(s3_error!(InvalidTag, "the value of a tag is not valid"));
        }
        if tags.insert(key, value).is_some() {
            return Err(s3_error!(InvalidTag, "two tags have the same key"));
        }
    }
    Ok(tags)
}

fn is_tag_text(text: &str, limit: usize) -> bool {
    let allowed = |character: char| {
        character.is_alphanumeric() || character.is_whitespace() || PUNCTUATION.contains(character)
    };
    text.chars().count() <= limit && text.chars().all(allowed)
}

/// S3's code for this is one of its own that the library does not know.
fn bad_request(message: &'static str) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::Custom("BadRequest".into()), message);
    error.set_status_code(StatusCode::BAD_REQUEST);
    error
}
