//! A bucket's configuration, and what new versions get of it.

use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::types::{
    BucketVersioningStatus, CompletedMultipartUpload, CompletedPart, ObjectLockEnabled,
    ObjectLockLegalHoldStatus as Hold, ObjectLockMode, ObjectLockRetention,
    ObjectLockRetentionMode, VersioningConfiguration,
};

use super::{COMPLIANCE, GOVERNANCE, Vault, default_retention, retention, sdk_time};
use crate::embedded::EmbeddedS3;
use crate::embedded::tests::{BUCKET, Lake, code_of, sdk_config};

#[tokio::test]
async fn the_default_retention_is_counted_from_the_making_by_the_clock() {
    let vault = Vault::new().await;
    vault.lake.put("before", b"1").await;
    let days = default_retention(GOVERNANCE, Some(30), None);
    assert_eq!(vault.configure(Some(days)).await, "ok");
    let vault = vault.reopened();
    vault.lake.put("days", b"1").await;
    let told = vault.retention("days").await;
    assert_eq!(told, format!("{GOVERNANCE} 2024-03-30T12:00:00Z"));
    let until = "2024-03-01T00:00:00Z";
    vault.put_retained("own", COMPLIANCE, until).await;
    assert_eq!(
        vault.retention("own").await,
        format!("{COMPLIANCE} {until}")
    );

    let years = default_retention(COMPLIANCE, None, Some(1));
    assert_eq!(vault.configure(Some(years.clone())).await, "ok");
    let request = vault.client().get_object_lock_configuration();
    let got = request.bucket(BUCKET).send().await.unwrap();
    let got = got.object_lock_configuration().unwrap();
    assert_eq!(got.object_lock_enabled(), Some(&ObjectLockEnabled::Enabled));
    assert_eq!(got.rule(), Some(&years));
    // Of a leap day the year ends on the day before the first of March.
    let version = vault.lake.put("years", b"1").await;
    let told = vault.retention("years").await;
    assert_eq!(told, format!("{COMPLIANCE} 2025-02-28T12:00:00Z"));
    assert_eq!(vault.delete("years", &version, true).await, "AccessDenied");

    assert_eq!(vault.configure(None).await, "ok");
    vault.lake.put("after", b"1").await;
    for key in ["before", "after"] {
        assert_eq!(vault.retention(key).await, "NoSuchObjectLockConfiguration");
    }
}

#[tokio::test]
async fn a_copy_brings_its_own_lock_or_gets_the_default() {
    let vault = Vault::new().await;
    vault
        .put_retained("from", COMPLIANCE, "2030-01-01T00:00:00Z")
        .await;
    let copy = |key: &str| {
        let request = vault.client().copy_object().bucket(BUCKET).key(key);
        request.copy_source(format!("{BUCKET}/from"))
    };
    copy("none").send().await.unwrap();
    assert_eq!(
        vault.retention("none").await,
        "NoSuchObjectLockConfiguration"
    );
    let days = default_retention(GOVERNANCE, Some(1), None);
    vault.configure(Some(days)).await;
    copy("default")
        .object_lock_legal_hold_status(Hold::On)
        .send()
        .await
        .unwrap();
    let told = vault.retention("default").await;
    assert_eq!(told, format!("{GOVERNANCE} 2024-03-01T12:00:00Z"));
    assert_eq!(vault.hold_of("default").await, "ON");
    let own = copy("own").object_lock_mode(ObjectLockMode::Governance);
    let own = own.object_lock_retain_until_date(sdk_time("2027-01-01T00:00:00Z"));
    own.send().await.unwrap();
    let told = vault.retention("own").await;
    assert_eq!(told, format!("{GOVERNANCE} 2027-01-01T00:00:00Z"));
}

#[tokio::test]
async fn an_upload_is_locked_when_it_becomes_an_object() {
    let vault = Vault::new().await;
    let days = default_retention(GOVERNANCE, Some(1), None);
    vault.configure(Some(days)).await;
    let begin = |key: &str| {
        vault
            .client()
            .create_multipart_upload()
            .bucket(BUCKET)
            .key(key)
    };
    let own = begin("own").object_lock_mode(ObjectLockMode::Compliance);
    let own = own.object_lock_retain_until_date(sdk_time("2027-01-01T00:00:00Z"));
    let own = own.object_lock_legal_hold_status(Hold::On);
    let uploads = [
        ("own", own.send().await.unwrap()),
        ("default", begin("default").send().await.unwrap()),
    ];
    vault.set_clock("2024-03-02T12:00:00Z");
    for (key, created) in uploads {
        let upload = created.upload_id().unwrap();
        let request = vault.client().upload_part().bucket(BUCKET).key(key);
        let sent = request.upload_id(upload).part_number(1).send().await;
        let part = CompletedPart::builder().part_number(1);
        let part = part.e_tag(sent.unwrap().e_tag().unwrap()).build();
        let parts = CompletedMultipartUpload::builder().parts(part).build();
        let request = vault.client().complete_multipart_upload().bucket(BUCKET);
        let request = request.key(key).upload_id(upload).multipart_upload(parts);
        request.send().await.unwrap();
    }
    let told = vault.retention("own").await;
    assert_eq!(told, format!("{COMPLIANCE} 2027-01-01T00:00:00Z"));
    assert_eq!(vault.hold_of("own").await, "ON");
    let told = vault.retention("default").await;
    assert_eq!(told, format!("{GOVERNANCE} 2024-03-03T12:00:00Z"));
    assert_eq!(
        vault.hold_of("default").await,
        "NoSuchObjectLockConfiguration"
    );
}

#[tokio::test]
async fn object_lock_needs_versions_and_keeps_them_on() {
    let lake = Lake::new().await;
    let now = Arc::default();
    let vault = Vault { lake, now };
    assert_eq!(vault.configure(None).await, "InvalidBucketState");
    vault
        .lake
        .set_versioning(BucketVersioningStatus::Enabled)
        .await;
    let configuration = vault.client().get_object_lock_configuration();
    let missing = configuration.bucket(BUCKET).send().await.unwrap_err();
    let code = code_of(&missing);
    assert_eq!(code, "ObjectLockConfigurationNotFoundError");

    let version = vault.lake.put("k", b"1").await;
    let request = vault.client().put_object().bucket(BUCKET).key("k");
    let held = request.object_lock_legal_hold_status(Hold::On).send().await;
    assert_eq!(code_of(&held.unwrap_err()), "InvalidRequest");
    assert_eq!(vault.retention("k").await, "InvalidRequest");
    assert_eq!(vault.hold_of("k").await, "InvalidRequest");
    assert_eq!(vault.delete("k", &version, true).await, "InvalidArgument");

    assert_eq!(vault.configure(None).await, "ok");
    let vault = vault.reopened();
    vault.hold("k", &version, Hold::On).await;
    assert_eq!(vault.delete("k", &version, true).await, "AccessDenied");
    let suspended = VersioningConfiguration::builder().status(BucketVersioningStatus::Suspended);
    let request = vault.client().put_bucket_versioning().bucket(BUCKET);
    let request = request.versioning_configuration(suspended.build());
    let refused = request.send().await.unwrap_err();
    assert_eq!(code_of(&refused), "InvalidBucketState");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let vault = Vault::new().await;
    let version = vault.lake.put("k", b"1").await;
    let past = retention(GOVERNANCE, "2024-02-29T12:00:00Z");
    assert_eq!(vault.retain("k", past, true).await, "InvalidArgument");
    let half = ObjectLockRetention::builder().mode(ObjectLockRetentionMode::Governance);
    assert_eq!(vault.retain("k", half.build(), true).await, "MalformedXML");
    let unknown = retention("FOREVER", "2030-01-01T00:00:00Z");
    assert_eq!(vault.retain("k", unknown, true).await, "MalformedXML");

    let put = || vault.client().put_object().bucket(BUCKET).key("k");
    let half = put().object_lock_mode(ObjectLockMode::Governance);
    let refused = half.send().await.unwrap_err();
    assert_eq!(code_of(&refused), "InvalidArgument");
    let past = put().object_lock_mode(ObjectLockMode::Governance);
    let past = past.object_lock_retain_until_date(sdk_time("2024-02-29T11:00:00Z"));
    assert_eq!(code_of(&past.send().await.unwrap_err()), "InvalidArgument");

    for (days, years, code) in [
        (None, None, "MalformedXML"),
        (Some(1), Some(1), "MalformedXML"),
        (Some(0), None, "InvalidArgument"),
        (Some(36_501), None, "InvalidArgument"),
        (None, Some(-1), "InvalidArgument"),
        (None, Some(101), "InvalidArgument"),
    ] {
        let rule = default_retention(GOVERNANCE, days, years);
        assert_eq!(vault.configure(Some(rule)).await, code);
    }
    assert_eq!(vault.retention("k").await, "NoSuchObjectLockConfiguration");
    assert_eq!(vault.delete("k", &version, false).await, "ok");
}

#[tokio::test]
async fn a_body_that_will_be_locked_needs_a_digest() {
    let vault = Vault::new().await;
    let config = sdk_config(EmbeddedS3::ENDPOINT)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .http_client(vault.lake.s3.sdk_http_client());
    let bare = Client::from_conf(config.build());
    let put = || bare.put_object().bucket(BUCKET).key("k");
    put().send().await.unwrap();
    let days = default_retention(GOVERNANCE, Some(1), None);
    vault.configure(Some(days)).await;
    assert_eq!(code_of(&put().send().await.unwrap_err()), "InvalidRequest");
    // The MD5 of nothing, by md5sum.
    let with_digest = put().content_md5("1B2M2Y8AsgTpgAmY7PhCfg==");
    with_digest.send().await.unwrap();
    let request = bare.create_multipart_upload().bucket(BUCKET).key("k");
    let created = request.send().await.unwrap();
    let request = bare.upload_part().bucket(BUCKET).key("k").part_number(1);
    let part = request.upload_id(created.upload_id().unwrap());
    assert_eq!(code_of(&part.send().await.unwrap_err()), "InvalidRequest");
}
