//! The log of requests, the socket, the lock, the clock.

use std::fs;
use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Credentials;
use aws_sdk_s3::primitives::ByteStream;
use chrono::{TimeZone, Utc};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::{BUCKET, Lake, client_of, code_of, sdk_config};
use crate::embedded::{AccessLogEntry, EmbeddedOptions, EmbeddedS3, is_mutating};

#[tokio::test]
async fn requests_are_logged_whatever_came_of_them() {
    let lake = Lake::new().await;
    lake.s3.drain_access_log();
    lake.put("a b", b"1").await;
    lake.get("a b").await.unwrap();
    lake.get("missing").await.unwrap_err();
    lake.keys().await;
    let log = lake.s3.access_log();
    let told: Vec<_> = log
        .iter()
        .map(|entry| {
            (
                entry.method.as_str(),
                entry.path.as_str(),
                entry.status,
                is_mutating(entry),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("PUT", "/lake/a%20b", 200, true),
            ("GET", "/lake/a%20b", 200, false),
            ("GET", "/lake/missing", 404, false),
            ("GET", "/lake/", 200, false),
        ]
    );
    assert_eq!(log[3].query, "list-type=2");
    assert!(log.iter().all(|entry| entry.bucket() == BUCKET));
    lake.s3.drain_access_log();
    assert_eq!(lake.s3.access_log(), []);
}

#[tokio::test]
async fn the_log_tells_bytes_received_sent_and_copied() {
    let lake = Lake::new().await;
    let upload = lake.client.create_multipart_upload().bucket(BUCKET);
    let upload = upload.key("copy").send().await.unwrap();
    lake.s3.drain_access_log();
    lake.put("k", b"0123456789").await;
    let range = lake.client.get_object().bucket(BUCKET).key("k");
    range.range("bytes=2-4").send().await.unwrap();
    let head = lake.client.head_object().bucket(BUCKET).key("k");
    head.send().await.unwrap();
    let copy = lake.client.upload_part_copy().bucket(BUCKET).key("copy");
    let copy = copy.upload_id(upload.upload_id().unwrap()).part_number(1);
    let copy = copy.copy_source(format!("{BUCKET}/k"));
    copy.copy_source_range("bytes=3-9").send().await.unwrap();
    let log = lake.s3.access_log();
    let counted: Vec<_> = log
        .iter()
        .map(|entry| (entry.received, entry.sent, entry.copied))
        .collect();
    // The answer to a copy is some XML.
    let answer = log.last().unwrap().sent;
    assert!(answer > 0);
    assert_eq!(counted, [(10, 0, 0), (0, 3, 0), (0, 0, 0), (0, answer, 7)]);
}

#[test]
fn a_select_query_is_a_post_that_changes_nothing() {
    let post = |query: &str| AccessLogEntry {
        method: "POST".to_owned(),
        path: "/b/k".to_owned(),
        query: query.to_owned(),
        status: 200,
        received: 0,
        sent: 0,
        copied: 0,
    };
    assert!(!post("select&select-type=2").is_mutating());
    assert!(post("uploads").is_mutating());
    assert!(post("delete=").is_mutating());
    assert!(post("key=select").is_mutating());
}

#[tokio::test]
async fn serves_on_a_socket_and_writes_the_log_to_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.log");
    let options = EmbeddedOptions {
        access_log_file: Some(log.clone()),
        ..EmbeddedOptions::default()
    };
    let s3 = EmbeddedS3::open_with(&folder.path().join("data"), options).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        let stopped = async { stopped.await.unwrap() };
        s3.serve(listener, stopped).await
    });

    let client = Client::from_conf(sdk_config(&endpoint).build());
    client.create_bucket().bucket(BUCKET).send().await.unwrap();
    let body = vec![b'x'; 1_000_000];
    let put = client.put_object().bucket(BUCKET).key("k");
    put.body(ByteStream::from(body.clone()))
        .send()
        .await
        .unwrap();
    let got = client
        .get_object()
        .bucket(BUCKET)
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(got.body.collect().await.unwrap().to_vec(), body);

    let stranger = Credentials::new(EmbeddedS3::ACCESS_KEY, "wrong", None, None, "test");
    let stranger = sdk_config(&endpoint).credentials_provider(stranger).build();
    let refused = Client::from_conf(stranger).list_buckets().send().await;
    assert_eq!(code_of(&refused.unwrap_err()), "SignatureDoesNotMatch");

    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
    let lines = fs::read_to_string(log).unwrap();
    assert!(
        lines.contains("PUT /lake/k?x-id=PutObject 200 1000000 0 0\n"),
        "{lines}"
    );
    assert!(
        lines.contains("GET /lake/k?x-id=GetObject 200 0 1000000 0\n"),
        "{lines}"
    );
    assert!(lines.contains(" 403 0 "), "{lines}");
}

#[test]
fn a_folder_is_open_once() {
    let folder = tempfile::tempdir().unwrap();
    let first = EmbeddedS3::open(folder.path()).unwrap();
    let refused = EmbeddedS3::open(folder.path()).unwrap_err().to_string();
    assert!(
        refused.contains(folder.path().to_str().unwrap()),
        "{refused}"
    );
    assert!(refused.contains("another process has it open"), "{refused}");
    drop(first);
    EmbeddedS3::open(folder.path()).unwrap();
}

#[tokio::test]
async fn times_come_from_the_given_clock() {
    let folder = tempfile::tempdir().unwrap();
    let now = Utc.with_ymd_and_hms(2024, 2, 29, 23, 59, 59).unwrap();
    let s3 = EmbeddedS3::open_with_clock(folder.path(), Arc::new(move || now)).unwrap();
    let client = client_of(&s3);
    client.create_bucket().bucket(BUCKET).send().await.unwrap();
    client
        .put_object()
        .bucket(BUCKET)
        .key("k")
        .send()
        .await
        .unwrap();
    let head = client
        .head_object()
        .bucket(BUCKET)
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(head.last_modified().unwrap().secs(), 1_709_251_199);
    let listed = client
        .list_objects_v2()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
    assert_eq!(
        listed.contents()[0].last_modified().unwrap().secs(),
        1_709_251_199
    );
}
