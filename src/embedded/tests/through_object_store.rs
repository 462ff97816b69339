//! What tables do: `object_store` through the connector.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut, S3CopyIfNotExists};
use object_store::path::Path;
use object_store::{
    Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion,
};

use super::{BUCKET, Lake};
use crate::embedded::EmbeddedS3;

fn store_of(lake: &Lake) -> AmazonS3 {
    AmazonS3Builder::new()
        .with_http_connector(lake.s3.object_store_connector())
        .with_endpoint(EmbeddedS3::ENDPOINT)
        .with_allow_http(true)
        .with_region(EmbeddedS3::REGION)
        .with_access_key_id(EmbeddedS3::ACCESS_KEY)
        .with_secret_access_key(EmbeddedS3::SECRET_KEY)
        .with_bucket_name(BUCKET)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_copy_if_not_exists(S3CopyIfNotExists::Multipart)
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_commit_is_created_once() {
    let lake = Lake::new().await;
    let store = Arc::new(store_of(&lake));
    let commit = Path::from("t/_delta_log/00000000000000000001.json");
    let writers = (0..8_u8).map(|writer| {
        let (store, commit) = (Arc::clone(&store), commit.clone());
        tokio::spawn(async move {
            let payload = PutPayload::from(vec![writer]);
            store
                .put_opts(&commit, payload, PutMode::Create.into())
                .await
        })
    });
    let mut created = 0;
    for outcome in futures::future::join_all(writers).await {
        match outcome.unwrap() {
            Ok(_) => created += 1,
            Err(Error::AlreadyExists { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(created, 1);
}

#[tokio::test]
async fn an_update_needs_the_version_it_saw() {
    let lake = Lake::new().await;
    let store = store_of(&lake);
    let path = Path::from("lease");
    let first = store.put(&path, "1".into()).await.unwrap();
    let update = |put: &object_store::PutResult| {
        PutOptions::from(PutMode::Update(UpdateVersion {
            e_tag: put.e_tag.clone(),
            version: put.version.clone(),
        }))
    };
    store
        .put_opts(&path, "2".into(), update(&first))
        .await
        .unwrap();
    let stale = store.put_opts(&path, "3".into(), update(&first)).await;
    assert!(
        matches!(stale, Err(Error::Precondition { .. })),
        "{stale:?}"
    );
    let body = store.get(&path).await.unwrap().bytes().await.unwrap();
    assert_eq!(body.as_ref(), b"2");
}

#[tokio::test]
async fn reads_ranges_lists_and_copies() {
    let lake = Lake::new().await;
    let store = store_of(&lake);
    for key in ["t/day=1/a b.parquet", "t/day=2/ü.parquet", "t/x"] {
        store
            .put(&Path::from(key), "0123456789".into())
            .await
            .unwrap();
    }
    let path = Path::from("t/day=1/a b.parquet");
    let ranges = store.get_ranges(&path, &[1..3, 8..10]).await.unwrap();
    assert_eq!(ranges, ["12", "89"]);
    assert_eq!(store.head(&path).await.unwrap().size, 10);

    let listed = store
        .list_with_delimiter(Some(&Path::from("t")))
        .await
        .unwrap();
    let folders: Vec<_> = listed.common_prefixes.iter().map(Path::as_ref).collect();
    assert_eq!(folders, ["t/day=1", "t/day=2"]);
    let all: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert_eq!(all.len(), 3);
    let after: Vec<_> = store
        .list_with_offset(None, &path)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(after.len(), 2);

    store.copy(&path, &Path::from("copied")).await.unwrap();
    store
        .copy_if_not_exists(&path, &Path::from("once"))
        .await
        .unwrap();
    let again = store.copy_if_not_exists(&path, &Path::from("once")).await;
    assert!(
        matches!(again, Err(Error::AlreadyExists { .. })),
        "{again:?}"
    );
    let once = store
        .get(&Path::from("once"))
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    assert_eq!(once, "0123456789");
    let missing = store.get(&Path::from("missing")).await;
    assert!(
        matches!(missing, Err(Error::NotFound { .. })),
        "{missing:?}"
    );
}

#[tokio::test]
async fn copy_if_not_exists_by_header() {
    let lake = Lake::new().await;
    let header = S3CopyIfNotExists::Header("if-none-match".to_owned(), "*".to_owned());
    let store = AmazonS3Builder::new()
        .with_http_connector(lake.s3.object_store_connector())
        .with_endpoint(EmbeddedS3::ENDPOINT)
        .with_allow_http(true)
        .with_region(EmbeddedS3::REGION)
        .with_access_key_id(EmbeddedS3::ACCESS_KEY)
        .with_secret_access_key(EmbeddedS3::SECRET_KEY)
        .with_bucket_name(BUCKET)
        .with_copy_if_not_exists(header)
        .build()
        .unwrap();
    store.put(&Path::from("from"), "x".into()).await.unwrap();
    store
        .copy_if_not_exists(&Path::from("from"), &Path::from("to"))
        .await
        .unwrap();
    let again = store
        .copy_if_not_exists(&Path::from("from"), &Path::from("to"))
        .await;
    assert!(
        matches!(again, Err(Error::AlreadyExists { .. })),
        "{again:?}"
    );
}

#[tokio::test]
async fn uploads_in_parts_and_deletes_in_batches() {
    let lake = Lake::new().await;
    let store = store_of(&lake);
    let path = Path::from("big");
    let mut upload = store.put_multipart(&path).await.unwrap();
    upload
        .put_part(vec![b'a'; 5 * 1024 * 1024].into())
        .await
        .unwrap();
    upload.put_part(vec![b'b'; 3].into()).await.unwrap();
    upload.complete().await.unwrap();
    assert_eq!(store.head(&path).await.unwrap().size, 5_242_883);
    let mut given_up = store.put_multipart(&Path::from("never")).await.unwrap();
    given_up.put_part("x".into()).await.unwrap();
    given_up.abort().await.unwrap();

    let mut paths = vec![Ok(path)];
    for number in 0..1_100 {
        let path = Path::from(format!("n/{number}"));
        store.put(&path, "".into()).await.unwrap();
        paths.push(Ok(path));
    }
    let deleted = store.delete_stream(futures::stream::iter(paths).boxed());
    let deleted: Vec<_> = deleted.try_collect().await.unwrap();
    assert_eq!(deleted.len(), 1_101);
    let left: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert_eq!(left, []);
}
