//! Buckets and whether they keep versions.

#![expect(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "all operations have one shape"
)]

use s3s::dto::{
    Bucket as BucketEntry, BucketLocationConstraint, BucketVersioningStatus, CreateBucketInput,
    CreateBucketOutput, DeleteBucketInput, DeleteBucketOutput, GetBucketLocationInput,
    GetBucketLocationOutput, GetBucketVersioningInput, GetBucketVersioningOutput, HeadBucketInput,
    HeadBucketOutput, ListBucketsInput, ListBucketsOutput, Owner, PutBucketVersioningInput,
    PutBucketVersioningOutput,
};
use s3s::{S3Request, S3Result, s3_error};

use crate::embedded::EmbeddedS3;
use crate::embedded::conditions::timestamp;
use crate::embedded::store::Store;
use crate::embedded::store::object_lock::BucketLock;
use crate::embedded::store::record::Versioning;

pub fn create(
    store: &Store,
    request: S3Request<CreateBucketInput>,
) -> S3Result<CreateBucketOutput> {
    let input = request.input;
    let with_object_lock = input.object_lock_enabled_for_bucket == Some(true);
    let region = input
        .create_bucket_configuration
        .and_then(|configuration| configuration.location_constraint);
    store.create_bucket(
        &input.bucket,
        region.map(|region| region.as_str().to_owned()),
        with_object_lock.then(BucketLock::default),
    )?;
    Ok(CreateBucketOutput {
        location: Some(format!("/{}", input.bucket)),
    })
}

pub fn head(store: &Store, request: S3Request<HeadBucketInput>) -> S3Result<HeadBucketOutput> {
    let settings = store.bucket(&request.input.bucket)?.settings();
    let region = settings.region.as_deref().unwrap_or(EmbeddedS3::REGION);
    Ok(HeadBucketOutput {
        bucket_region: Some(region.to_owned()),
        ..HeadBucketOutput::default()
    })
}

pub fn list(store: &Store, request: S3Request<ListBucketsInput>) -> S3Result<ListBucketsOutput> {
    let prefix = request.input.prefix.unwrap_or_default();
    let mut buckets = Vec::new();
    for bucket in store.buckets() {
        if bucket.name.starts_with(&prefix) {
            buckets.push(BucketEntry {
                bucket_region: None,
                creation_date: Some(timestamp(bucket.settings().created)),
                name: Some(bucket.name.clone()),
            });
        }
    }
    Ok(ListBucketsOutput {
        buckets: Some(buckets),
        owner: Some(owner()),
        prefix: (!prefix.is_empty()).then_some(prefix),
        continuation_token: None,
    })
}

/// The one account.
fn owner() -> Owner {
    Owner {
        id: Some(EmbeddedS3::ACCESS_KEY.to_owned()),
        display_name: Some(EmbeddedS3::ACCESS_KEY.to_owned()),
    }
}

pub fn delete(
    store: &Store,
    request: S3Request<DeleteBucketInput>,
) -> S3Result<DeleteBucketOutput> {
    store.delete_bucket(&request.input.bucket)?;
    Ok(DeleteBucketOutput {})
}

pub fn location(
    store: &Store,
    request: S3Request<GetBucketLocationInput>,
) -> S3Result<GetBucketLocationOutput> {
    let settings = store.bucket(&request.input.bucket)?.settings();
    Ok(GetBucketLocationOutput {
        location_constraint: settings.region.map(BucketLocationConstraint::from),
    })
}

pub fn versioning(
    store: &Store,
    request: S3Request<GetBucketVersioningInput>,
) -> S3Result<GetBucketVersioningOutput> {
    let status = match store.bucket(&request.input.bucket)?.settings().versioning {
        Versioning::Off => None,
        Versioning::Enabled => Some(BucketVersioningStatus::ENABLED),
        Versioning::Suspended => Some(BucketVersioningStatus::SUSPENDED),
    };
    Ok(GetBucketVersioningOutput {
        status: status.map(BucketVersioningStatus::from_static),
        mfa_delete: None,
    })
}

pub fn set_versioning(
    store: &Store,
    request: S3Request<PutBucketVersioningInput>,
) -> S3Result<PutBucketVersioningOutput> {
    let bucket = store.bucket(&request.input.bucket)?;
    let status = request.input.versioning_configuration.status;
    let versioning = match status.as_ref().map(BucketVersioningStatus::as_str) {
        Some(BucketVersioningStatus::ENABLED) => Versioning::Enabled,
        Some(BucketVersioningStatus::SUSPENDED) => Versioning::Suspended,
        _ => return Err(s3_error!(IllegalVersioningConfigurationException)),
    };
    bucket.change_settings(|settings| {
        if settings.object_lock.is_some() && versioning != Versioning::Enabled {
            return Err(s3_error!(
                InvalidBucketState,
                "the bucket has Object Lock, so its versioning cannot be suspended"
            ));
        }
        settings.versioning = versioning;
        Ok(())
    })?;
    Ok(PutBucketVersioningOutput {})
}
