//! An object store that refuses writes (invariant 6).
//!
//! Delta and DataFusion want an `Arc<dyn ObjectStore>`, on which writing compiles; planners give them
//! this one, on which it fails.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// Reads go to the store within; writes are errors.
#[derive(Debug)]
pub struct ReadOnlyStore {
    inner: Arc<dyn ObjectStore>,
}

impl ReadOnlyStore {
    /// Wraps a store.
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner }
    }
}

impl fmt::Display for ReadOnlyStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "read-only {}", self.inner)
    }
}

fn refuse<T>(location: &Path) -> Result<T> {
    Err(Error::PermissionDenied {
        path: location.to_string(),
        source: "a dry run changes nothing".into(),
    })
}

#[async_trait]
impl ObjectStore for ReadOnlyStore {
    async fn put_opts(&self, location: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        refuse(location)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        refuse(location)
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        locations
            .map(|location| location.and_then(|location| refuse(&location)))
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _: &Path, to: &Path, _: CopyOptions) -> Result<()> {
        refuse(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::TryStreamExt;
    use object_store::{ObjectStoreExt, memory::InMemory};

    #[tokio::test]
    async fn reads_pass_and_every_write_is_refused() {
        let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let there = Path::from("there");
        let payload = || PutPayload::from_static(b"kept");
        inner.put(&there, payload()).await.unwrap();
        let store = ReadOnlyStore::new(Arc::clone(&inner));

        assert_eq!(
            &store.get(&there).await.unwrap().bytes().await.unwrap()[..],
            b"kept"
        );
        assert!(store.put(&there, payload()).await.is_err());
        assert!(store.put_multipart(&there).await.is_err());
        assert!(store.copy(&there, &Path::from("copy")).await.is_err());
        assert!(store.rename(&there, &Path::from("moved")).await.is_err());
        assert!(store.delete(&there).await.is_err());
        let left: Vec<_> = inner.list(None).try_collect().await.unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].location, there);
    }
}
