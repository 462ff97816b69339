//! Objects: what is kept, ranges, conditions, checksums, copies.

use std::collections::HashMap;
use std::fs;

use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, MetadataDirective, StorageClass};
use futures::future::join_all;

use super::{BUCKET, Lake, code_of};

#[tokio::test]
async fn keeps_headers_and_metadata() {
    let lake = Lake::new().await;
    let request = lake.client.put_object().bucket(BUCKET).key("a/b");
    let request = request
        .content_type("application/x-ndjson")
        .content_encoding("gzip")
        .cache_control("no-store")
        .content_disposition("inline")
        .content_language("de")
        .expires(DateTime::from_secs(1_800_000_000))
        .metadata("Source", "web")
        .body(ByteStream::from_static(b"hello"));
    let put = request.send().await.unwrap();
    assert_eq!(put.e_tag(), Some("\"5d41402abc4b2a76b9719d911017c592\""));

    let lake = lake.reopened(|_| {});
    let head = lake.client.head_object().bucket(BUCKET).key("a/b");
    let head = head.send().await.unwrap();
    assert_eq!(head.content_length(), Some(5));
    assert_eq!(head.content_type(), Some("application/x-ndjson"));
    assert_eq!(head.content_encoding(), Some("gzip"));
    assert_eq!(head.cache_control(), Some("no-store"));
    assert_eq!(head.content_disposition(), Some("inline"));
    assert_eq!(head.content_language(), Some("de"));
    assert_eq!(head.expires_string(), Some("Fri, 15 Jan 2027 08:00:00 GMT"));
    let metadata = HashMap::from([("source".to_owned(), "web".to_owned())]);
    assert_eq!(head.metadata(), Some(&metadata));
    assert_eq!(fs::read(lake.plain("a/b")).unwrap(), b"hello");
}

#[tokio::test]
async fn every_odd_key_reads_back() {
    let lake = Lake::new().await;
    let long = "n".repeat(300);
    let deep = "d/".repeat(500);
    let keys = [
        "a",
        "a/b",
        "a/b/",
        "/",
        "//",
        "x//y",
        "..",
        "../escape",
        "./dot",
        "dt=2026-01-01/é ü",
        "p+b%20c&d?e#f",
        "trailing/",
        "~'()!*\\:|<>\"",
        "tab\tkey",
        "emoji 🎟",
        &long,
        &deep,
        ".s3/lock",
        "a\u{301}",
        "á",
    ];
    for key in keys {
        lake.put(key, key.as_bytes()).await;
    }
    let lake = lake.reopened(|_| {});
    let mut sorted = keys.map(str::to_owned).to_vec();
    sorted.sort();
    assert_eq!(lake.keys().await, sorted);
    for key in keys {
        assert_eq!(lake.get(key).await.unwrap(), key.as_bytes(), "{key}");
    }
    for key in keys {
        lake.delete(key, None).await;
    }
    assert_eq!(lake.keys().await, Vec::<String>::new());
    let left: Vec<_> = lake.files();
    assert_eq!(left.len(), 1, "only bucket.json stays: {left:?}");
    assert!(lake.plain("").is_dir(), "the bucket's folder stays");
    assert!(!lake.plain("a").exists(), "empty folders go");
}

#[tokio::test]
async fn ranges() {
    let lake = Lake::new().await;
    lake.put("r", b"0123456789").await;
    lake.put("empty", b"").await;
    let get = async |key: &str, range: &str| {
        let request = lake.client.get_object().bucket(BUCKET).key(key);
        match request.range(range).send().await {
            Ok(got) => {
                let range = got.content_range().unwrap().to_owned();
                let body = got.body.collect().await.unwrap().to_vec();
                format!("{range} {}", String::from_utf8(body).unwrap())
            }
            Err(error) => code_of(&error),
        }
    };
    assert_eq!(get("r", "bytes=2-4").await, "bytes 2-4/10 234");
    assert_eq!(get("r", "bytes=7-").await, "bytes 7-9/10 789");
    assert_eq!(get("r", "bytes=-3").await, "bytes 7-9/10 789");
    assert_eq!(get("r", "bytes=-30").await, "bytes 0-9/10 0123456789");
    assert_eq!(get("r", "bytes=8-99").await, "bytes 8-9/10 89");
    assert_eq!(get("r", "bytes=10-").await, "InvalidRange");
    assert_eq!(get("r", "bytes=-0").await, "InvalidRange");
    assert_eq!(get("empty", "bytes=0-").await, "InvalidRange");
    assert_eq!(get("empty", "bytes=-5").await, "InvalidRange");
}

#[tokio::test]
async fn one_of_many_conditional_writers_wins() {
    let lake = Lake::new().await;
    for round in 0..5 {
        let key = format!("race{round}");
        let writers = (0..16).map(|writer: u8| {
            let request = lake.client.put_object().bucket(BUCKET).key(&key);
            let request = request.if_none_match("*");
            let request = request.body(ByteStream::from(vec![writer]));
            tokio::spawn(async move { request.send().await.map_err(|error| code_of(&error)) })
        });
        let mut winners = Vec::new();
        for (writer, outcome) in (0_u8..).zip(join_all(writers).await) {
            match outcome.unwrap() {
                Ok(_) => winners.push(writer),
                Err(code) => assert_eq!(code, "PreconditionFailed"),
            }
        }
        assert_eq!(winners.len(), 1);
        assert_eq!(lake.get(&key).await.unwrap(), winners);
    }
}

#[tokio::test]
async fn write_conditions() {
    let lake = Lake::new().await;
    let put = async |if_match: Option<&str>, if_none_match: Option<&str>| {
        let request = lake.client.put_object().bucket(BUCKET).key("k");
        let request = request.set_if_match(if_match.map(str::to_owned));
        let request = request.set_if_none_match(if_none_match.map(str::to_owned));
        let request = request.body(ByteStream::from_static(b"hello"));
        request
            .send()
            .await
            .map_or_else(|error| code_of(&error), |_| "ok".to_owned())
    };
    let etag = "5d41402abc4b2a76b9719d911017c592";
    assert_eq!(put(Some(etag), None).await, "NoSuchKey");
    assert_eq!(put(None, Some("*")).await, "ok");
    assert_eq!(put(None, Some("*")).await, "PreconditionFailed");
    assert_eq!(put(Some("\"0\""), None).await, "PreconditionFailed");
    assert_eq!(put(Some(etag), None).await, "ok");
    assert_eq!(put(Some(&format!("\"{etag}\"")), None).await, "ok");
    assert_eq!(put(None, Some(etag)).await, "NotImplemented");

    let delete = async |if_match: &str| {
        let request = lake.client.delete_object().bucket(BUCKET).key("k");
        let sent = request.if_match(if_match).send().await;
        sent.map_or_else(|error| code_of(&error), |_| "ok".to_owned())
    };
    assert_eq!(delete("\"0\"").await, "PreconditionFailed");
    assert_eq!(delete(etag).await, "ok");
    assert_eq!(lake.get("k").await.unwrap_err(), "NoSuchKey");
}

#[tokio::test]
async fn read_conditions() {
    let lake = Lake::new().await;
    lake.put("k", b"hello").await;
    let etag = "\"5d41402abc4b2a76b9719d911017c592\"";
    let get = || lake.client.get_object().bucket(BUCKET).key("k");
    let status =
        async |request: aws_sdk_s3::operation::get_object::builders::GetObjectFluentBuilder| {
            match request.send().await {
                Ok(_) => 200,
                Err(error) => error.raw_response().unwrap().status().as_u16(),
            }
        };
    let past = DateTime::from_secs(1_000_000_000);
    let future = DateTime::from_secs(9_000_000_000);
    assert_eq!(status(get().if_match(etag)).await, 200);
    assert_eq!(status(get().if_match("\"0\"")).await, 412);
    assert_eq!(status(get().if_none_match(etag)).await, 304);
    assert_eq!(status(get().if_none_match("\"0\"")).await, 200);
    assert_eq!(status(get().if_modified_since(past)).await, 200);
    assert_eq!(status(get().if_modified_since(future)).await, 304);
    assert_eq!(status(get().if_unmodified_since(past)).await, 412);
    assert_eq!(
        status(get().if_match(etag).if_unmodified_since(past)).await,
        200
    );
    assert_eq!(
        status(get().if_none_match("\"0\"").if_modified_since(future)).await,
        200
    );
}

#[tokio::test]
async fn checksums_are_verified_kept_and_told() {
    let lake = Lake::new().await;
    // Of "123456789": the check values that define these algorithms, and SHA by sha*sum.
    let known = [
        (ChecksumAlgorithm::Crc32, "y/Q5Jg=="),
        (ChecksumAlgorithm::Crc32C, "4waSgw=="),
        (ChecksumAlgorithm::Crc64Nvme, "rosUhgp5mIg="),
        (ChecksumAlgorithm::Sha1, "98O8HYCOBHMq32eZZczDTKeuNEE="),
        (
            ChecksumAlgorithm::Sha256,
            "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
        ),
    ];
    for (algorithm, value) in known {
        let request = lake.client.put_object().bucket(BUCKET).key("k");
        let request = request.checksum_algorithm(algorithm.clone());
        let request = request.body(ByteStream::from_static(b"123456789"));
        request.send().await.unwrap();
        let request = lake.client.head_object().bucket(BUCKET).key("k");
        let head = request
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await
            .unwrap();
        let told = [
            head.checksum_crc32(),
            head.checksum_crc32_c(),
            head.checksum_crc64_nvme(),
            head.checksum_sha1(),
            head.checksum_sha256(),
        ];
        let told: Vec<_> = told.into_iter().flatten().collect();
        assert_eq!(told, [value], "{algorithm}");
    }
    let request = lake.client.put_object().bucket(BUCKET).key("wrong");
    let request = request.checksum_crc32("AAAAAA==");
    let refused = request
        .body(ByteStream::from_static(b"123456789"))
        .send()
        .await;
    assert_eq!(code_of(&refused.unwrap_err()), "BadDigest");
    let request = lake.client.put_object().bucket(BUCKET).key("wrong");
    let request = request.content_md5("XUFAKrxLKna5cZ2REBfFkg==");
    let refused = request
        .body(ByteStream::from_static(b"123456789"))
        .send()
        .await;
    assert_eq!(code_of(&refused.unwrap_err()), "BadDigest");
    assert_eq!(lake.get("wrong").await.unwrap_err(), "NoSuchKey");
}

#[tokio::test]
async fn streamed_bodies_leave_no_framing() {
    let lake = Lake::new().await;
    let path = lake.folder.path().join("upload");
    let body = vec![b'x'; 300_000];
    fs::write(&path, &body).unwrap();
    let request = lake.client.put_object().bucket(BUCKET).key("streamed");
    let request = request.body(ByteStream::from_path(&path).await.unwrap());
    request.send().await.unwrap();
    let head = lake.client.head_object().bucket(BUCKET).key("streamed");
    assert_eq!(head.send().await.unwrap().content_encoding(), None);
    assert_eq!(lake.get("streamed").await.unwrap(), body);
}

#[tokio::test]
async fn copies() {
    let lake = Lake::versioned().await;
    let request = lake.client.put_object().bucket(BUCKET).key("from ü");
    let request = request.metadata("a", "1").content_type("text/csv");
    let put = request
        .body(ByteStream::from_static(b"one"))
        .send()
        .await
        .unwrap();
    let first = put.version_id().unwrap();
    lake.put("from ü", b"two").await;

    let source = format!("{BUCKET}/from%20%C3%BC");
    let copy = |source: &str| {
        let request = lake.client.copy_object().bucket(BUCKET).key("to");
        request.copy_source(source)
    };
    copy(&format!("{source}?versionId={first}"))
        .send()
        .await
        .unwrap();
    let head = lake.client.head_object().bucket(BUCKET).key("to");
    let head = head.send().await.unwrap();
    assert_eq!(head.content_type(), Some("text/csv"));
    assert_eq!(head.metadata().unwrap()["a"], "1");
    assert_eq!(lake.get("to").await.unwrap(), b"one");

    let request = copy(&source).metadata_directive(MetadataDirective::Replace);
    request.metadata("b", "2").send().await.unwrap();
    let head = lake.client.head_object().bucket(BUCKET).key("to");
    let head = head.send().await.unwrap();
    assert_eq!(
        head.metadata().unwrap(),
        &HashMap::from([("b".to_owned(), "2".to_owned())])
    );
    assert_eq!(lake.get("to").await.unwrap(), b"two");
    assert_eq!(fs::read(lake.plain("to")).unwrap(), b"two");

    let refused = copy(&source).copy_source_if_match("\"0\"").send().await;
    assert_eq!(code_of(&refused.unwrap_err()), "PreconditionFailed");
    let itself = lake.client.copy_object().bucket(BUCKET).key("from ü");
    let refused = itself.copy_source(&source).send().await;
    assert_eq!(code_of(&refused.unwrap_err()), "InvalidRequest");
}

#[tokio::test]
async fn storage_classes_are_kept_and_archives_cannot_be_read() {
    let lake = Lake::new().await;
    let put = |class: &str| {
        let request = lake.client.put_object().bucket(BUCKET).key(class);
        let request = request.storage_class(StorageClass::from(class));
        request.body(ByteStream::from_static(b"x")).send()
    };
    let warm = [
        "GLACIER_IR",
        "INTELLIGENT_TIERING",
        "ONEZONE_IA",
        "STANDARD_IA",
    ];
    let cold = ["DEEP_ARCHIVE", "GLACIER"];
    for class in warm.into_iter().chain(cold) {
        put(class).await.unwrap();
    }
    assert_eq!(
        code_of(&put("CELLAR").await.unwrap_err()),
        "InvalidStorageClass"
    );

    let lake = lake.reopened(|_| {});
    for class in warm {
        assert_eq!(lake.get(class).await.unwrap(), b"x");
    }
    for class in cold {
        assert_eq!(lake.get(class).await.unwrap_err(), "InvalidObjectState");
        let copy = lake.client.copy_object().bucket(BUCKET).key("to");
        let copied = copy.copy_source(format!("{BUCKET}/{class}")).send().await;
        assert_eq!(code_of(&copied.unwrap_err()), "InvalidObjectState");
    }
    for class in warm.into_iter().chain(cold) {
        let head = lake.client.head_object().bucket(BUCKET).key(class);
        let told = head.send().await.unwrap();
        assert_eq!(told.storage_class(), Some(&StorageClass::from(class)));
    }
    let listed = lake.client.list_object_versions().bucket(BUCKET);
    for version in listed.send().await.unwrap().versions() {
        let class = version.storage_class().unwrap().as_str();
        assert_eq!(Some(class), version.key());
    }
}

#[tokio::test]
async fn what_is_not_implemented_is_refused() {
    let lake = Lake::new().await;
    lake.put("k", b"x").await;
    let request = lake.client.put_object().bucket(BUCKET).key("k");
    let refused = request.ssekms_encryption_context("e30=").send().await;
    assert_eq!(code_of(&refused.unwrap_err()), "NotImplemented");
    let refused = lake.client.restore_object().bucket(BUCKET).key("k");
    assert_eq!(
        code_of(&refused.send().await.unwrap_err()),
        "NotImplemented"
    );
}
