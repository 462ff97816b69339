//! Listings in pages.

use aws_sdk_s3::types::EncodingType;

use super::{BUCKET, Lake, code_of};

async fn filled(keys: &[&str]) -> Lake {
    let lake = Lake::versioned().await;
    for key in keys {
        lake.put(key, b"").await;
    }
    lake
}

#[tokio::test]
async fn groups_and_keys_share_a_page() {
    let lake = filled(&["a", "b/1", "b/2", "c/", "c/1", "d"]).await;
    let mut pages = Vec::new();
    let mut token = None;
    loop {
        let request = lake.client.list_objects_v2().bucket(BUCKET).delimiter("/");
        let request = request.max_keys(2).set_continuation_token(token);
        let page = request.send().await.unwrap();
        let keys = page.contents().iter().map(|object| object.key().unwrap());
        let groups = page
            .common_prefixes()
            .iter()
            .map(|group| group.prefix().unwrap());
        pages.push(keys.chain(groups).collect::<Vec<_>>().join(" "));
        assert_eq!(page.key_count(), Some(2));
        token = page.next_continuation_token().map(str::to_owned);
        assert_eq!(page.is_truncated(), Some(token.is_some()));
        if token.is_none() {
            break;
        }
    }
    assert_eq!(pages, ["a b/", "d c/"]);
}

#[tokio::test]
async fn the_older_listing_marks_its_place_by_key() {
    let lake = filled(&["a", "b/1", "b/2", "c", "d"]).await;
    let list = async |marker: &str| {
        let request = lake.client.list_objects().bucket(BUCKET).delimiter("/");
        let page = request.max_keys(2).marker(marker).send().await.unwrap();
        let keys: Vec<_> = page
            .contents()
            .iter()
            .map(|object| object.key().unwrap().to_owned())
            .collect();
        (keys.join(" "), page.next_marker().map(str::to_owned))
    };
    assert_eq!(list("").await, ("a".to_owned(), Some("b/".to_owned())));
    assert_eq!(list("b/").await, ("c d".to_owned(), None));
}

#[tokio::test]
async fn start_after_prefix_and_limits() {
    let lake = filled(&["p/1", "p/2", "p/3", "q"]).await;
    let list = || lake.client.list_objects_v2().bucket(BUCKET);
    let page = list().prefix("p/").start_after("p/1").send().await.unwrap();
    let keys: Vec<_> = page
        .contents()
        .iter()
        .map(|object| object.key().unwrap())
        .collect();
    assert_eq!(keys, ["p/2", "p/3"]);
    let page = list().max_keys(0).send().await.unwrap();
    assert_eq!(
        (page.key_count(), page.is_truncated()),
        (Some(0), Some(false))
    );
    let page = list().prefix("p").start_after("z").send().await.unwrap();
    assert_eq!(page.key_count(), Some(0));
    let refused = list().continuation_token("%").send().await;
    assert_eq!(code_of(&refused.unwrap_err()), "InvalidArgument");
}

#[tokio::test]
async fn names_are_encoded_on_request() {
    let lake = filled(&["x y/ü+&/\u{1}"]).await;
    let request = lake.client.list_objects_v2().bucket(BUCKET);
    let request = request.encoding_type(EncodingType::Url).prefix("x y/");
    let page = request.send().await.unwrap();
    assert_eq!(page.prefix(), Some("x%20y/"));
    assert_eq!(page.contents()[0].key(), Some("x%20y/%C3%BC%2B%26/%01"));
    let request = lake.client.list_objects_v2().bucket(BUCKET).delimiter(" ");
    let page = request
        .encoding_type(EncodingType::Url)
        .send()
        .await
        .unwrap();
    assert_eq!(page.common_prefixes()[0].prefix(), Some("x%20"));
    assert_eq!(page.delimiter(), Some("%20"));
}

/// A purge lists and deletes in turn: no version may be skipped.
#[tokio::test]
async fn versions_page_on_while_they_are_deleted() {
    let lake = Lake::versioned().await;
    for round in 0..3_u8 {
        for key in ["a", "b", "c"] {
            lake.put(key, &[round]).await;
        }
    }
    lake.delete("b", None).await;
    let (mut key_marker, mut id_marker) = (None, None);
    let mut seen = 0;
    loop {
        let request = lake
            .client
            .list_object_versions()
            .bucket(BUCKET)
            .max_keys(2);
        let request = request
            .set_key_marker(key_marker)
            .set_version_id_marker(id_marker);
        let page = request.send().await.unwrap();
        let versions = page
            .versions()
            .iter()
            .map(|version| (version.key(), version.version_id()));
        let markers = page
            .delete_markers()
            .iter()
            .map(|marker| (marker.key(), marker.version_id()));
        for (key, id) in versions.chain(markers) {
            seen += 1;
            lake.delete(key.unwrap(), id).await;
        }
        if page.is_truncated() != Some(true) {
            break;
        }
        key_marker = page.next_key_marker().map(str::to_owned);
        id_marker = page.next_version_id_marker().map(str::to_owned);
    }
    assert_eq!(seen, 10);
    assert_eq!(lake.versions().await, []);
}
