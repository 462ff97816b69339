//! Deleting objects and versions, one or up to a thousand at once.

use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject,
    ETagCondition, Error as DeleteError, ObjectIdentifier,
};
use s3s::{S3Request, S3Result, s3_error};

use super::object_lock::check_bypass;
use crate::embedded::conditions::WriteCondition;
use crate::embedded::store::Store;
use crate::embedded::store::bucket::Bucket;

/// Objects that one batch may name.
const BATCH_LIMIT: usize = 1000;

pub fn delete_object(
    store: &Store,
    request: S3Request<DeleteObjectInput>,
) -> S3Result<DeleteObjectOutput> {
    let input = request.input;
    let bucket = store.bucket(&input.bucket)?;
    let condition = WriteCondition::new(input.if_match, None)?;
    let bypass = check_bypass(&bucket, input.bypass_governance_retention)?;
    let deletion = bucket.delete(&input.key, input.version_id.as_deref(), &condition, bypass)?;
    Ok(DeleteObjectOutput {
        delete_marker: deletion.delete_marker.then_some(true),
        version_id: deletion.version_id,
        request_charged: None,
    })
}

pub fn delete_objects(
    store: &Store,
    request: S3Request<DeleteObjectsInput>,
) -> S3Result<DeleteObjectsOutput> {
    if !carries_digest(&request.headers) {
        return Err(s3_error!(
            InvalidRequest,
            "missing required header for this request: Content-MD5 or x-amz-checksum-*"
        ));
    }
    let bucket = store.bucket(&request.input.bucket)?;
    let bypass = check_bypass(&bucket, request.input.bypass_governance_retention)?;
    let batch = request.input.delete;
    if batch.objects.is_empty() || batch.objects.len() > BATCH_LIMIT {
        return Err(s3_error!(MalformedXML, "a batch names 1 to 1000 objects"));
    }
    let quiet = batch.quiet == Some(true);
    let mut deleted = Vec::new();
    let mut errors = Vec::new();
    for object in batch.objects {
        match delete_one(&bucket, &object, bypass) {
            Ok(_) if quiet => {}
            Ok(entry) => deleted.push(entry),
            Err(error) => errors.push(DeleteError {
                code: Some(error.code().as_str().to_owned()),
                key: Some(object.key),
                message: error.message().map(str::to_owned),
                version_id: object.version_id,
            }),
        }
    }
    Ok(DeleteObjectsOutput {
        deleted: (!deleted.is_empty()).then_some(deleted),
        errors: (!errors.is_empty()).then_some(errors),
        request_charged: None,
    })
}

fn delete_one(
    bucket: &Bucket,
    object: &ObjectIdentifier,
    bypass_governance: bool,
) -> S3Result<DeletedObject> {
    let condition = WriteCondition::new(object.e_tag.clone().map(ETagCondition::ETag), None)?;
    let version_id = object.version_id.as_deref();
    let deletion = bucket.delete(&object.key, version_id, &condition, bypass_governance)?;
    Ok(DeletedObject {
        delete_marker: deletion.delete_marker.then_some(true),
        delete_marker_version_id: if deletion.delete_marker {
            deletion.version_id
        } else {
            None
        },
        key: Some(object.key.clone()),
        version_id: object.version_id.clone(),
    })
}

fn carries_digest(headers: &http::HeaderMap) -> bool {
    headers.contains_key("content-md5")
        || headers.contains_key("x-amz-trailer")
        || headers
            .keys()
            .any(|name| name.as_str().starts_with("x-amz-checksum-"))
}
