//! Versions, delete markers and the null version.

use std::fs;

use aws_sdk_s3::types::{BucketVersioningStatus, Delete, ObjectIdentifier};

use super::{BUCKET, Lake, code_of};

#[tokio::test]
async fn versions_come_newest_first_and_read_back() {
    let lake = Lake::versioned().await;
    let first = lake.put("k", b"1").await;
    let second = lake.put("k", b"2").await;
    let third = lake.put("k", b"3").await;
    let lake = lake.reopened(|_| {});
    let entry = |id: &String, latest| ("k".to_owned(), id.clone(), false, latest);
    let expected = [
        entry(&third, true),
        entry(&second, false),
        entry(&first, false),
    ];
    assert_eq!(lake.versions().await, expected);
    assert_eq!(lake.get_version("k", Some(&first)).await.unwrap(), b"1");
    assert_eq!(lake.get("k").await.unwrap(), b"3");
    assert_eq!(fs::read(lake.plain("k")).unwrap(), b"3");
}

#[tokio::test]
async fn a_delete_marker_hides_and_its_removal_shows_again() {
    let lake = Lake::versioned().await;
    let version = lake.put("d/k", b"1").await;
    lake.delete("d/k", None).await;
    assert!(!lake.plain("d").exists());
    assert_eq!(lake.keys().await, Vec::<String>::new());

    let refused = lake
        .client
        .get_object()
        .bucket(BUCKET)
        .key("d/k")
        .send()
        .await;
    let refused = refused.unwrap_err();
    assert_eq!(code_of(&refused), "NoSuchKey");
    let headers = refused.raw_response().unwrap().headers();
    assert_eq!(headers.get("x-amz-delete-marker"), Some("true"));

    let versions = lake.versions().await;
    let (_, marker, _, _) = versions.iter().find(|entry| entry.2).unwrap();
    assert_eq!(headers.get("x-amz-version-id"), Some(marker.as_str()));
    let refused = lake.get_version("d/k", Some(marker)).await.unwrap_err();
    assert_eq!(refused, "MethodNotAllowed");
    assert_eq!(lake.get_version("d/k", Some(&version)).await.unwrap(), b"1");

    lake.delete("d/k", Some(marker)).await;
    assert_eq!(lake.get("d/k").await.unwrap(), b"1");
    assert_eq!(fs::read(lake.plain("d/k")).unwrap(), b"1");
}

#[tokio::test]
async fn deleting_versions_leaves_no_byte() {
    let lake = Lake::versioned().await;
    let secret = "alice@example.com";
    let key = format!("by/{secret}/k");
    let first = lake.put(&key, secret.as_bytes()).await;
    let second = lake.put(&key, b"clean").await;
    let holds_secret = |lake: &Lake| {
        let holds = |bytes: &[u8]| {
            bytes
                .windows(secret.len())
                .any(|part| part == secret.as_bytes())
        };
        let files = lake.files();
        files
            .iter()
            .any(|file| holds(file.to_str().unwrap().as_bytes()) || holds(&fs::read(file).unwrap()))
    };
    lake.delete(&key, Some(&second)).await;
    assert_eq!(lake.get(&key).await.unwrap(), secret.as_bytes());
    assert!(holds_secret(&lake));
    lake.delete(&key, Some(&first)).await;
    assert!(!holds_secret(&lake));
    assert_eq!(
        lake.get_version(&key, Some(&first)).await.unwrap_err(),
        "NoSuchVersion"
    );
    assert!(!lake.plain("by").exists());
}

#[tokio::test]
async fn overwriting_without_versions_leaves_no_byte() {
    let lake = Lake::new().await;
    lake.put("k", b"the old body").await;
    lake.put("k", b"new").await;
    let bodies: Vec<_> = lake
        .files()
        .iter()
        .map(|file| fs::read(file).unwrap())
        .collect();
    assert!(!bodies.contains(&b"the old body".to_vec()));
    assert_eq!(
        lake.versions().await,
        [("k".to_owned(), "null".to_owned(), false, true)]
    );
}

#[tokio::test]
async fn suspended_versions_replace_the_null_version() {
    let lake = Lake::new().await;
    lake.put("k", b"before").await;
    lake.set_versioning(BucketVersioningStatus::Enabled).await;
    let kept = lake.put("k", b"kept").await;
    lake.set_versioning(BucketVersioningStatus::Suspended).await;
    assert_eq!(lake.put("k", b"null 1").await, "null");
    lake.put("k", b"null 2").await;
    let lake = lake.reopened(|_| {});
    let ids: Vec<_> = lake
        .versions()
        .await
        .into_iter()
        .map(|entry| entry.1)
        .collect();
    assert_eq!(ids, ["null".to_owned(), kept.clone()]);
    assert_eq!(lake.get("k").await.unwrap(), b"null 2");

    lake.delete("k", None).await;
    assert_eq!(
        lake.get_version("k", Some("null")).await.unwrap_err(),
        "MethodNotAllowed"
    );
    lake.delete("k", Some("null")).await;
    assert_eq!(lake.get("k").await.unwrap(), b"kept");
}

#[tokio::test]
async fn a_key_whose_latest_is_a_marker_counts_as_absent() {
    let lake = Lake::versioned().await;
    lake.put("k", b"1").await;
    lake.delete("k", None).await;
    let put = async || {
        let request = lake.client.put_object().bucket(BUCKET).key("k");
        let sent = request.if_none_match("*").send().await;
        sent.map_or_else(|error| code_of(&error), |_| "ok".to_owned())
    };
    assert_eq!(put().await, "ok");
    assert_eq!(put().await, "PreconditionFailed");
}

#[tokio::test]
async fn a_batch_deletes_versions_and_makes_markers() {
    let lake = Lake::versioned().await;
    let version = lake.put("a", b"1").await;
    lake.put("b", b"1").await;
    let named = |key: &str| ObjectIdentifier::builder().key(key);
    let batch = Delete::builder()
        .objects(named("a").version_id(&version).build().unwrap())
        .objects(named("b").build().unwrap())
        .objects(named("b").e_tag("\"0\"").build().unwrap())
        .objects(named("missing").version_id("null").build().unwrap())
        .build()
        .unwrap();
    let request = lake.client.delete_objects().bucket(BUCKET).delete(batch);
    let done = request.send().await.unwrap();
    let [a, b, missing] = done.deleted() else {
        panic!("{done:?}")
    };
    assert_eq!(
        (a.key(), a.version_id(), a.delete_marker()),
        (Some("a"), Some(&*version), None)
    );
    assert_eq!(
        (b.key(), b.version_id(), b.delete_marker()),
        (Some("b"), None, Some(true))
    );
    assert_eq!(missing.key(), Some("missing"));
    let [error] = done.errors() else {
        panic!("{done:?}")
    };
    // After the marker there is no object that the condition could meet.
    assert_eq!((error.key(), error.code()), (Some("b"), Some("NoSuchKey")));
    let versions = lake.versions().await;
    let left: Vec<_> = versions
        .iter()
        .map(|entry| (entry.0.as_str(), entry.2))
        .collect();
    assert_eq!(left, [("b", false), ("b", true)]);
}

#[tokio::test]
async fn only_an_empty_bucket_goes() {
    let lake = Lake::versioned().await;
    let version = lake.put("k", b"1").await;
    let delete = async || {
        let sent = lake.client.delete_bucket().bucket(BUCKET).send().await;
        sent.map_or_else(|error| code_of(&error), |_| "ok".to_owned())
    };
    assert_eq!(delete().await, "BucketNotEmpty");
    lake.delete("k", Some(&version)).await;
    assert_eq!(delete().await, "ok");
    assert_eq!(delete().await, "NoSuchBucket");
    assert_eq!(lake.files(), Vec::<std::path::PathBuf>::new());
    lake.client
        .create_bucket()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
    let again = lake.client.create_bucket().bucket(BUCKET).send().await;
    assert_eq!(code_of(&again.unwrap_err()), "BucketAlreadyOwnedByYou");
}
