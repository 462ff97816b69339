//! Server-side encryption, as far as it is remembered and told.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, ServerSideEncryption};

use super::{BUCKET, Lake, code_of};

const KEY: &str = "arn:aws:kms:eu-central-1:111122223333:key/1";

/// The algorithm, the key and whether it is the bucket's.
type Told = (Option<ServerSideEncryption>, Option<String>, Option<bool>);

/// What an answer of any operation tells.
macro_rules! told {
    ($answer:expr) => {{
        let answer = $answer;
        (
            answer.server_side_encryption().cloned(),
            answer.ssekms_key_id().map(str::to_owned),
            answer.bucket_key_enabled(),
        )
    }};
}

fn with_key() -> Told {
    let algorithm = Some(ServerSideEncryption::AwsKms);
    (algorithm, Some(KEY.to_owned()), Some(true))
}

/// What GET and HEAD tell, which must be the same.
async fn encryption_of(lake: &Lake, key: &str) -> Told {
    let head = lake.client.head_object().bucket(BUCKET).key(key);
    let head = head.send().await.unwrap();
    let got = lake.client.get_object().bucket(BUCKET).key(key);
    let got = got.send().await.unwrap();
    assert_eq!(told!(&head), told!(&got));
    told!(&got)
}

#[tokio::test]
async fn it_is_told_as_it_was_asked_for() {
    let lake = Lake::new().await;
    let put = |key: &str| {
        let request = lake.client.put_object().bucket(BUCKET).key(key);
        request.body(ByteStream::from_static(b"1"))
    };
    let plain: Told = (None, None, None);
    let own: Told = (Some(ServerSideEncryption::Aes256), None, None);
    let answer = put("plain").send().await.unwrap();
    assert_eq!(told!(&answer), plain);
    let request = put("own").server_side_encryption(ServerSideEncryption::Aes256);
    assert_eq!(told!(request.send().await.unwrap()), own);
    let request = put("kms").server_side_encryption(ServerSideEncryption::AwsKms);
    let request = request.ssekms_key_id(KEY).bucket_key_enabled(true);
    assert_eq!(told!(request.send().await.unwrap()), with_key());

    let lake = lake.reopened(|_| {});
    assert_eq!(encryption_of(&lake, "plain").await, plain);
    assert_eq!(encryption_of(&lake, "own").await, own);
    assert_eq!(encryption_of(&lake, "kms").await, with_key());
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let lake = Lake::new().await;
    let put = || lake.client.put_object().bucket(BUCKET).key("k");
    let refused = put().server_side_encryption("rot13".into()).send().await;
    let code = code_of(&refused.unwrap_err());
    assert_eq!(code, "InvalidEncryptionAlgorithmError");
    let refused = put().ssekms_key_id(KEY).send().await;
    assert_eq!(code_of(&refused.unwrap_err()), "InvalidArgument");
    assert_eq!(lake.get("k").await.unwrap_err(), "NoSuchKey");
}

#[tokio::test]
async fn a_copy_is_encrypted_as_its_request_says() {
    let lake = Lake::new().await;
    let request = lake.client.put_object().bucket(BUCKET).key("from");
    let request = request.server_side_encryption(ServerSideEncryption::Aes256);
    request.send().await.unwrap();
    let copy = |key: &str| {
        let request = lake.client.copy_object().bucket(BUCKET).key(key);
        request.copy_source(format!("{BUCKET}/from"))
    };
    copy("plain").send().await.unwrap();
    assert_eq!(encryption_of(&lake, "plain").await, (None, None, None));
    // Onto itself: the encryption is change enough.
    let request = copy("from").server_side_encryption(ServerSideEncryption::AwsKms);
    let request = request.ssekms_key_id(KEY).bucket_key_enabled(true);
    assert_eq!(told!(request.send().await.unwrap()), with_key());
    assert_eq!(encryption_of(&lake, "from").await, with_key());
}

#[tokio::test]
async fn an_upload_says_it_at_every_step() {
    let lake = Lake::new().await;
    let request = lake.client.create_multipart_upload().bucket(BUCKET);
    let request = request.server_side_encryption(ServerSideEncryption::AwsKms);
    let request = request.ssekms_key_id(KEY).bucket_key_enabled(true);
    let created = request.key("k").send().await.unwrap();
    assert_eq!(told!(&created), with_key());
    let upload = created.upload_id().unwrap();
    let request = lake.client.upload_part().bucket(BUCKET).key("k");
    let request = request.upload_id(upload).part_number(1);
    let sent = request.send().await.unwrap();
    assert_eq!(told!(&sent), with_key());
    let part = CompletedPart::builder().part_number(1);
    let part = part.e_tag(sent.e_tag().unwrap()).build();
    let parts = CompletedMultipartUpload::builder().parts(part).build();
    let request = lake.client.complete_multipart_upload().bucket(BUCKET);
    let request = request.key("k").upload_id(upload).multipart_upload(parts);
    assert_eq!(told!(request.send().await.unwrap()), with_key());
    assert_eq!(encryption_of(&lake, "k").await, with_key());
}

#[tokio::test]
async fn with_a_kms_key_the_entity_tag_is_no_digest() {
    let lake = Lake::new().await;
    // MD5 of "hello", by md5sum.
    let digest = "\"5d41402abc4b2a76b9719d911017c592\"";
    let put = || {
        let request = lake.client.put_object().bucket(BUCKET).key("kms");
        let request = request.server_side_encryption(ServerSideEncryption::AwsKms);
        request.body(ByteStream::from_static(b"hello"))
    };
    let first = put().send().await.unwrap().e_tag().unwrap().to_owned();
    assert_ne!(first, digest);
    assert_eq!(first.len(), digest.len());
    let refused = put().if_match(digest).send().await;
    assert_eq!(code_of(&refused.unwrap_err()), "PreconditionFailed");
    let second = put().if_match(&first).send().await.unwrap();
    assert_ne!(second.e_tag(), Some(&*first));
    let head = lake.client.head_object().bucket(BUCKET).key("kms");
    assert_eq!(head.send().await.unwrap().e_tag(), second.e_tag());

    let copy = |from: &str, to: &str| {
        let request = lake.client.copy_object().bucket(BUCKET).key(to);
        request.copy_source(format!("{BUCKET}/{from}"))
    };
    let plain = copy("kms", "plain").send().await.unwrap();
    let tag_of_plain = plain.copy_object_result().unwrap().e_tag().unwrap();
    assert_eq!(tag_of_plain, digest);
    let again = copy("plain", "again").server_side_encryption(ServerSideEncryption::AwsKms);
    let again = again.send().await.unwrap();
    assert_ne!(again.copy_object_result().unwrap().e_tag(), Some(digest));

    let request = lake.client.create_multipart_upload().bucket(BUCKET);
    let request = request.server_side_encryption(ServerSideEncryption::AwsKms);
    let created = request.key("big").send().await.unwrap();
    let request = lake.client.upload_part_copy().bucket(BUCKET).key("big");
    let request = request.upload_id(created.upload_id().unwrap());
    let request = request
        .part_number(1)
        .copy_source(format!("{BUCKET}/plain"));
    let part = request.send().await.unwrap();
    assert_ne!(part.copy_part_result().unwrap().e_tag(), Some(digest));
}
