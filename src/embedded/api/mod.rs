//! The S3 operations over the store; what is not here answers `NotImplemented`.

mod body;
mod buckets;
mod copy;
mod delete;
mod encryption;
mod lifecycle;
mod listing;
mod multipart;
mod multipart_listing;
mod object_lock;
mod read;
mod tagging;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use s3s::dto;
use s3s::{S3, S3Request, S3Response, S3Result};

use super::store::Store;

/// The operations of S3, each handed on to the file that does it.
#[derive(Clone)]
pub struct Backend {
    store: Arc<Store>,
}

impl Backend {
    pub fn new(store: Store) -> Self {
        Self {
            store: Arc::new(store),
        }
    }
}

/// Declares operations that are functions of the store and the request; those
/// that read a body are awaited, and some answer with headers of their own.
macro_rules! operations {
    (
        immediate { $($name:ident($input:ident) -> $output:ident => $function:path;)* }
        with_headers { $($full_name:ident($full_input:ident) -> $full_output:ident => $full:path;)* }
        awaited { $($slow_name:ident($slow_input:ident) -> $slow_output:ident => $slow:path;)* }
    ) => {
        #[async_trait]
        impl S3 for Backend {
            $(async fn $name(
                &self,
                request: S3Request<dto::$input>,
            ) -> S3Result<S3Response<dto::$output>> {
                Ok(S3Response::new($function(&self.store, request)?))
            })*
            $(async fn $full_name(
                &self,
                request: S3Request<dto::$full_input>,
            ) -> S3Result<S3Response<dto::$full_output>> {
                $full(&self.store, request)
            })*
            $(async fn $slow_name(
                &self,
                request: S3Request<dto::$slow_input>,
            ) -> S3Result<S3Response<dto::$slow_output>> {
                Ok(S3Response::new($slow(&self.store, request).await?))
            })*
        }
    };
}

operations! {
    immediate {
        create_bucket(CreateBucketInput) -> CreateBucketOutput => buckets::create;
        head_bucket(HeadBucketInput) -> HeadBucketOutput => buckets::head;
        list_buckets(ListBucketsInput) -> ListBucketsOutput => buckets::list;
        delete_bucket(DeleteBucketInput) -> DeleteBucketOutput => buckets::delete;
        get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput => buckets::location;
        get_bucket_versioning(GetBucketVersioningInput) -> GetBucketVersioningOutput => buckets::versioning;
        put_bucket_versioning(PutBucketVersioningInput) -> PutBucketVersioningOutput => buckets::set_versioning;
        get_bucket_lifecycle_configuration(GetBucketLifecycleConfigurationInput) -> GetBucketLifecycleConfigurationOutput => lifecycle::get;
        put_bucket_lifecycle_configuration(PutBucketLifecycleConfigurationInput) -> PutBucketLifecycleConfigurationOutput => lifecycle::put;
        delete_bucket_lifecycle(DeleteBucketLifecycleInput) -> DeleteBucketLifecycleOutput => lifecycle::delete;
        get_object_lock_configuration(GetObjectLockConfigurationInput) -> GetObjectLockConfigurationOutput => object_lock::get_configuration;
        put_object_lock_configuration(PutObjectLockConfigurationInput) -> PutObjectLockConfigurationOutput => object_lock::put_configuration;
        get_object(GetObjectInput) -> GetObjectOutput => read::get_object;
        copy_object(CopyObjectInput) -> CopyObjectOutput => copy::copy_object;
        delete_object(DeleteObjectInput) -> DeleteObjectOutput => delete::delete_object;
        delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput => delete::delete_objects;
        get_object_tagging(GetObjectTaggingInput) -> GetObjectTaggingOutput => tagging::get;
        put_object_tagging(PutObjectTaggingInput) -> PutObjectTaggingOutput => tagging::put;
        delete_object_tagging(DeleteObjectTaggingInput) -> DeleteObjectTaggingOutput => tagging::delete;
        get_object_retention(GetObjectRetentionInput) -> GetObjectRetentionOutput => object_lock::get_retention;
        put_object_retention(PutObjectRetentionInput) -> PutObjectRetentionOutput => object_lock::put_retention;
        get_object_legal_hold(GetObjectLegalHoldInput) -> GetObjectLegalHoldOutput => object_lock::get_legal_hold;
        put_object_legal_hold(PutObjectLegalHoldInput) -> PutObjectLegalHoldOutput => object_lock::put_legal_hold;
        list_objects(ListObjectsInput) -> ListObjectsOutput => listing::list_objects;
        list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output => listing::list_objects_v2;
        list_object_versions(ListObjectVersionsInput) -> ListObjectVersionsOutput => listing::list_object_versions;
        create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput => multipart::create;
        upload_part_copy(UploadPartCopyInput) -> UploadPartCopyOutput => copy::upload_part_copy;
        complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput => multipart::complete;
        abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput => multipart::abort;
        list_parts(ListPartsInput) -> ListPartsOutput => multipart_listing::list_parts;
        list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput => multipart_listing::list_uploads;
    }
    with_headers {
        head_object(HeadObjectInput) -> HeadObjectOutput => read::head_object;
    }
    awaited {
        put_object(PutObjectInput) -> PutObjectOutput => write::put_object;
        upload_part(UploadPartInput) -> UploadPartOutput => multipart::upload_part;
    }
}
