//! The S3 operations over the store; what is not here answers `NotImplemented`.

mod body;
mod buckets;
mod copy;
mod delete;
mod listing;
mod multipart;
mod multipart_listing;
mod read;
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
/// that read a body are awaited.
macro_rules! operations {
    (
        immediate { $($name:ident($input:ident) -> $output:ident => $function:path;)* }
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
        get_object(GetObjectInput) -> GetObjectOutput => read::get_object;
        head_object(HeadObjectInput) -> HeadObjectOutput => read::head_object;
        copy_object(CopyObjectInput) -> CopyObjectOutput => copy::copy_object;
        delete_object(DeleteObjectInput) -> DeleteObjectOutput => delete::delete_object;
        delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput => delete::delete_objects;
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
    awaited {
        put_object(PutObjectInput) -> PutObjectOutput => write::put_object;
        upload_part(UploadPartInput) -> UploadPartOutput => multipart::upload_part;
    }
}
