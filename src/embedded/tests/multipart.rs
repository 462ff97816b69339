//! Multipart uploads.

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::upload_part_copy::builders::UploadPartCopyFluentBuilder;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedMultipartUpload, CompletedPart,
};

use super::{BUCKET, Lake, code_of};

const MIB: usize = 1024 * 1024;

async fn begin(client: &Client, key: &str) -> String {
    let request = client.create_multipart_upload().bucket(BUCKET).key(key);
    let created = request.metadata("m", "1").send().await.unwrap();
    created.upload_id().unwrap().to_owned()
}

async fn part(
    client: &Client,
    key: &str,
    upload: &str,
    number: i32,
    body: Vec<u8>,
) -> CompletedPart {
    let request = client
        .upload_part()
        .bucket(BUCKET)
        .key(key)
        .upload_id(upload);
    let request = request.part_number(number).body(ByteStream::from(body));
    let sent = request.send().await.unwrap();
    let entry = CompletedPart::builder().part_number(number);
    let entry = entry.set_checksum_crc32(sent.checksum_crc32().map(str::to_owned));
    entry.e_tag(sent.e_tag().unwrap()).build()
}

/// `ok` or the error code.
async fn complete(client: &Client, key: &str, upload: &str, parts: &[CompletedPart]) -> String {
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.to_vec()));
    let request = client.complete_multipart_upload().bucket(BUCKET).key(key);
    let request = request.upload_id(upload).multipart_upload(parts.build());
    request
        .send()
        .await
        .map_or_else(|error| code_of(&error), |_| "ok".to_owned())
}

#[tokio::test]
async fn parts_become_one_object() {
    let lake = Lake::new().await;
    let upload = begin(&lake.client, "big").await;
    // Out of order, one of them twice, across a reopening.
    let second = part(&lake.client, "big", &upload, 2, vec![b'b'; 10]).await;
    part(&lake.client, "big", &upload, 1, vec![b'z'; 7]).await;
    let lake = lake.reopened(|_| {});
    let first = part(&lake.client, "big", &upload, 1, vec![b'a'; 5 * MIB]).await;
    let listed = lake
        .client
        .list_parts()
        .bucket(BUCKET)
        .key("big")
        .upload_id(&upload);
    let listed = listed.send().await.unwrap();
    let sizes: Vec<_> = listed
        .parts()
        .iter()
        .map(|part| part.size().unwrap())
        .collect();
    assert_eq!(sizes, [5_242_880, 10]);
    assert_eq!(lake.keys().await, Vec::<String>::new());

    let backwards = [second.clone(), first.clone()];
    assert_eq!(
        complete(&lake.client, "big", &upload, &backwards).await,
        "InvalidPartOrder"
    );
    assert_eq!(
        complete(&lake.client, "big", &upload, &[]).await,
        "MalformedXML"
    );
    let wrong = CompletedPart::builder()
        .part_number(1)
        .e_tag("\"0\"")
        .build();
    assert_eq!(
        complete(&lake.client, "big", &upload, &[wrong]).await,
        "InvalidPart"
    );
    assert_eq!(
        complete(&lake.client, "big", &upload, &[first, second]).await,
        "ok"
    );

    let head = lake
        .client
        .head_object()
        .bucket(BUCKET)
        .key("big")
        .part_number(2);
    let head = head.send().await.unwrap();
    // md5(md5("a" * 5 MiB) + md5("b" * 10)), by md5sum.
    assert_eq!(head.e_tag(), Some("\"8b0be7847da5564ae08e97af63b60885-2\""));
    assert_eq!(
        (head.parts_count(), head.content_length()),
        (Some(2), Some(10))
    );
    assert_eq!(head.metadata().unwrap()["m"], "1");
    let body = lake.get("big").await.unwrap();
    assert_eq!(body.len(), 5 * MIB + 10);
    assert!(body.ends_with(b"abbbbbbbbbb"));
    assert_eq!(
        lake.files().len(),
        4,
        "settings, record, body and plain file"
    );
}

#[tokio::test]
async fn small_middle_parts_are_refused() {
    let lake = Lake::new().await;
    let upload = begin(&lake.client, "k").await;
    let first = part(&lake.client, "k", &upload, 1, vec![1; 10]).await;
    let second = part(&lake.client, "k", &upload, 2, vec![2; 10]).await;
    let refused = complete(&lake.client, "k", &upload, &[first, second]).await;
    assert_eq!(refused, "EntityTooSmall");
}

#[tokio::test]
async fn aborting_leaves_nothing() {
    let lake = Lake::new().await;
    let upload = begin(&lake.client, "dir/k").await;
    let sent = part(&lake.client, "dir/k", &upload, 1, vec![1; 10]).await;
    let list = || {
        lake.client
            .list_multipart_uploads()
            .bucket(BUCKET)
            .prefix("dir/")
    };
    let listed = list().send().await.unwrap();
    assert_eq!(listed.uploads()[0].upload_id(), Some(upload.as_str()));
    let abort = lake
        .client
        .abort_multipart_upload()
        .bucket(BUCKET)
        .key("dir/k");
    abort.upload_id(&upload).send().await.unwrap();
    assert_eq!(list().send().await.unwrap().uploads().len(), 0);
    assert_eq!(
        complete(&lake.client, "dir/k", &upload, &[sent]).await,
        "NoSuchUpload"
    );
    assert_eq!(lake.files().len(), 1, "settings");
}

#[tokio::test]
async fn completing_honours_conditions_and_keeps_the_upload() {
    let lake = Lake::new().await;
    lake.put("k", b"old").await;
    let upload = begin(&lake.client, "k").await;
    let sent = part(&lake.client, "k", &upload, 1, b"new".to_vec()).await;
    let parts = CompletedMultipartUpload::builder()
        .parts(sent.clone())
        .build();
    let request = lake
        .client
        .complete_multipart_upload()
        .bucket(BUCKET)
        .key("k");
    let request = request.upload_id(&upload).multipart_upload(parts);
    let refused = request.if_none_match("*").send().await;
    assert_eq!(code_of(&refused.unwrap_err()), "PreconditionFailed");
    assert_eq!(lake.get("k").await.unwrap(), b"old");
    assert_eq!(complete(&lake.client, "k", &upload, &[sent]).await, "ok");
    assert_eq!(lake.get("k").await.unwrap(), b"new");
}

#[tokio::test]
async fn parts_are_copied_by_range() {
    let lake = Lake::new().await;
    lake.put("source", b"0123456789").await;
    let upload = begin(&lake.client, "k").await;
    let copy = |range: &str| {
        let request = lake.client.upload_part_copy().bucket(BUCKET).key("k");
        let request = request.upload_id(&upload).part_number(1);
        request
            .copy_source(format!("{BUCKET}/source"))
            .copy_source_range(range)
    };
    let refused = copy("bytes=5-10").send().await;
    assert_eq!(code_of(&refused.unwrap_err()), "InvalidRange");
    let refused = copy("bytes=5-").send().await;
    assert_eq!(code_of(&refused.unwrap_err()), "InvalidArgument");
    let copied = copy("bytes=2-4").send().await.unwrap();
    let result = copied.copy_part_result().unwrap();
    let sent = CompletedPart::builder()
        .part_number(1)
        .e_tag(result.e_tag().unwrap());
    let sent = sent.set_checksum_crc32(result.checksum_crc32().map(str::to_owned));
    assert_eq!(
        complete(&lake.client, "k", &upload, &[sent.build()]).await,
        "ok"
    );
    assert_eq!(lake.get("k").await.unwrap(), b"234");
}

/// A part of `k` copied from `source`, with its number.
async fn part_copy(
    lake: &Lake,
    upload: &str,
    number: i32,
    source: &str,
    range: Option<&str>,
) -> CompletedPart {
    let request = lake.client.upload_part_copy().bucket(BUCKET).key("k");
    let request = request.upload_id(upload).part_number(number);
    let request = request.copy_source(source);
    let request = request.set_copy_source_range(range.map(str::to_owned));
    let copied = request.send().await.unwrap();
    let result = copied.copy_part_result().unwrap();
    let entry = CompletedPart::builder().part_number(number);
    let entry = entry.set_checksum_crc32(result.checksum_crc32().map(str::to_owned));
    entry.e_tag(result.e_tag().unwrap()).build()
}

#[tokio::test]
async fn an_object_is_rewritten_without_a_stretch_of_its_middle() {
    let lake = Lake::versioned().await;
    let line = |number: usize| format!("{number:015}\n").into_bytes();
    let old: Vec<u8> = (0..700_000).flat_map(line).collect();
    let version = lake.put("k", &old).await;
    lake.put("k", b"something newer").await;
    let request = lake.client.create_multipart_upload().bucket(BUCKET);
    let request = request.checksum_algorithm(ChecksumAlgorithm::Crc32);
    let created = request.key("k").send().await.unwrap();
    let upload = created.upload_id().unwrap();
    // Lines 0 to 349999 and 350001 to the end; between them one of our own.
    let source = format!("{BUCKET}/k?versionId={version}");
    let head = Some("bytes=0-5599999");
    let tail = Some("bytes=5600016-11199999");
    let parts = [
        part_copy(&lake, upload, 1, &source, head).await,
        part_copy(&lake, upload, 2, &source, tail).await,
        part(&lake.client, "k", upload, 3, b"the end\n".to_vec()).await,
    ];
    assert_eq!(complete(&lake.client, "k", upload, &parts).await, "ok");
    let mut expected: Vec<u8> = (0..700_000)
        .filter(|number| *number != 350_000)
        .flat_map(line)
        .collect();
    expected.extend(b"the end\n");
    assert!(lake.get("k").await.unwrap() == expected);
    assert_eq!(lake.versions().await.len(), 3);
}

#[tokio::test]
async fn copied_parts_honour_conditions_and_versions() {
    let lake = Lake::versioned().await;
    let version = lake.put("source", b"first").await;
    lake.put("source", b"second").await;
    lake.put("gone", b"1").await;
    lake.delete("gone", None).await;
    let upload = begin(&lake.client, "k").await;
    let copy = |source: &str| {
        let request = lake.client.upload_part_copy().bucket(BUCKET).key("k");
        let request = request.upload_id(&upload).part_number(1);
        request.copy_source(format!("{BUCKET}/{source}"))
    };
    let outcome = async |request: UploadPartCopyFluentBuilder| {
        let sent = request.send().await;
        sent.map_or_else(|error| code_of(&error), |_| "ok".to_owned())
    };
    // MD5 of "first", by md5sum.
    let etag = "\"8b04d5e3775d298e78455efc5ca404d5\"";
    let old = format!("source?versionId={version}");
    let long_ago = DateTime::from_secs(1_000_000_000);
    let failed = "PreconditionFailed";
    assert_eq!(outcome(copy(&old).copy_source_if_match(etag)).await, "ok");
    let stale = copy("source").copy_source_if_match(etag);
    assert_eq!(outcome(stale).await, failed);
    let known = copy(&old).copy_source_if_none_match(etag);
    assert_eq!(outcome(known).await, failed);
    let changed = copy(&old).copy_source_if_unmodified_since(long_ago);
    assert_eq!(outcome(changed).await, failed);
    let newer = copy(&old).copy_source_if_modified_since(long_ago);
    assert_eq!(outcome(newer).await, "ok");
    assert_eq!(outcome(copy("gone")).await, "NoSuchKey");
    assert_eq!(outcome(copy("source?versionId=0")).await, "NoSuchVersion");

    let sent = part_copy(&lake, &upload, 1, &format!("{BUCKET}/{old}"), None).await;
    assert_eq!(sent.e_tag(), Some(etag));
    assert_eq!(complete(&lake.client, "k", &upload, &[sent]).await, "ok");
    assert_eq!(lake.get("k").await.unwrap(), b"first");
}

#[tokio::test]
async fn checksums_of_parts_and_of_the_whole() {
    let lake = Lake::new().await;
    // CRC-32 of "123456789" is cbf43926; the composite is the CRC-32 of those four bytes.
    for (kind, expected) in [
        (ChecksumType::FullObject, "y/Q5Jg=="),
        (ChecksumType::Composite, "7kxlUA==-1"),
    ] {
        let request = lake
            .client
            .create_multipart_upload()
            .bucket(BUCKET)
            .key("k");
        let request = request.checksum_algorithm(ChecksumAlgorithm::Crc32);
        let created = request.checksum_type(kind.clone()).send().await.unwrap();
        let upload = created.upload_id().unwrap();
        let sent = part(&lake.client, "k", upload, 1, b"123456789".to_vec()).await;
        assert_eq!(sent.checksum_crc32(), Some("y/Q5Jg=="));
        assert_eq!(complete(&lake.client, "k", upload, &[sent]).await, "ok");
        let request = lake.client.head_object().bucket(BUCKET).key("k");
        let head = request
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await
            .unwrap();
        assert_eq!(head.checksum_crc32(), Some(expected));
        assert_eq!(head.checksum_type(), Some(&kind));
    }
}
