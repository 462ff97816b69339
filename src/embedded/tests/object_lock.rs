//! Object Lock: retention, legal holds and the bucket's default, by a clock that
//! the tests set.

use std::sync::{Arc, Mutex};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{
    BucketVersioningStatus, CompletedMultipartUpload, CompletedPart, DefaultRetention, Delete,
    ObjectIdentifier, ObjectLockConfiguration, ObjectLockEnabled, ObjectLockLegalHold,
    ObjectLockLegalHoldStatus as Hold, ObjectLockMode, ObjectLockRetention,
    ObjectLockRetentionMode, ObjectLockRule, VersioningConfiguration,
};

use super::{BUCKET, Lake, code_of, sdk_config};
use crate::embedded::EmbeddedS3;

const GOVERNANCE: &str = "GOVERNANCE";
const COMPLIANCE: &str = "COMPLIANCE";

/// A lake with Object Lock, and the hands of its clock.
struct Vault {
    lake: Lake,
    now: Arc<Mutex<chrono::DateTime<chrono::Utc>>>,
}

fn time(text: &str) -> chrono::DateTime<chrono::Utc> {
    text.parse().unwrap()
}

fn sdk_time(text: &str) -> DateTime {
    DateTime::from_millis(time(text).timestamp_millis())
}

/// The end of a retention, to the millisecond.
fn text(time: &DateTime) -> String {
    let time = chrono::DateTime::from_timestamp_millis(time.to_millis().unwrap()).unwrap();
    time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

fn retention(mode: &str, until: &str) -> ObjectLockRetention {
    ObjectLockRetention::builder()
        .mode(ObjectLockRetentionMode::from(mode))
        .retain_until_date(sdk_time(until))
        .build()
}

fn default_retention(mode: &str, days: Option<i32>, years: Option<i32>) -> ObjectLockRule {
    let default = DefaultRetention::builder()
        .mode(ObjectLockRetentionMode::from(mode))
        .set_days(days)
        .set_years(years);
    let rule = ObjectLockRule::builder();
    rule.default_retention(default.build()).build()
}

impl Vault {
    /// At noon of 2024-02-29.
    async fn new() -> Self {
        let now = Arc::new(Mutex::new(time("2024-02-29T12:00:00Z")));
        let hands = Arc::clone(&now);
        let lake = Lake::empty(Arc::new(move || *hands.lock().unwrap()));
        let request = lake.client.create_bucket().bucket(BUCKET);
        let request = request.object_lock_enabled_for_bucket(true);
        request.send().await.unwrap();
        Self { lake, now }
    }

    fn set_clock(&self, now: &str) {
        *self.now.lock().unwrap() = time(now);
    }

    fn reopened(self) -> Self {
        Self {
            lake: self.lake.reopened(|_| {}),
            now: self.now,
        }
    }

    fn client(&self) -> &Client {
        &self.lake.client
    }

    /// The version id.
    async fn put_retained(&self, key: &str, mode: &str, until: &str) -> String {
        let request = self.client().put_object().bucket(BUCKET).key(key);
        let request = request
            .object_lock_mode(ObjectLockMode::from(mode))
            .object_lock_retain_until_date(sdk_time(until))
            .body(ByteStream::from_static(b"1"));
        let put = request.send().await.unwrap();
        put.version_id().unwrap().to_owned()
    }

    /// `ok` or the error code.
    async fn delete(&self, key: &str, version: &str, bypass: bool) -> String {
        let request = self.client().delete_object().bucket(BUCKET).key(key);
        let request = request.version_id(version);
        let request = request.set_bypass_governance_retention(bypass.then_some(true));
        let sent = request.send().await;
        sent.map_or_else(|error| code_of(&error), |_| "ok".to_owned())
    }

    /// `ok` or the error code.
    async fn retain(&self, key: &str, wanted: ObjectLockRetention, bypass: bool) -> String {
        let request = self.client().put_object_retention().bucket(BUCKET).key(key);
        let request = request.retention(wanted);
        let request = request.set_bypass_governance_retention(bypass.then_some(true));
        let sent = request.send().await;
        sent.map_or_else(|error| code_of(&error), |_| "ok".to_owned())
    }

    /// Mode and end of the current version's retention, or the error code.
    async fn retention(&self, key: &str) -> String {
        let request = self.client().get_object_retention().bucket(BUCKET).key(key);
        match request.send().await {
            Ok(got) => {
                let told = got.retention().unwrap();
                let until = text(told.retain_until_date().unwrap());
                format!("{} {until}", told.mode().unwrap())
            }
            Err(error) => code_of(&error),
        }
    }

    async fn hold(&self, key: &str, version: &str, status: Hold) {
        let hold = ObjectLockLegalHold::builder().status(status).build();
        let request = self.client().put_object_legal_hold().bucket(BUCKET);
        let request = request.key(key).version_id(version).legal_hold(hold);
        request.send().await.unwrap();
    }

    /// `ON`, `OFF`, or the error code.
    async fn hold_of(&self, key: &str) -> String {
        let request = self.client().get_object_legal_hold().bucket(BUCKET);
        match request.key(key).send().await {
            Ok(got) => got.legal_hold().unwrap().status().unwrap().to_string(),
            Err(error) => code_of(&error),
        }
    }

    /// `ok` or the error code.
    async fn configure(&self, rule: Option<ObjectLockRule>) -> String {
        let configuration = ObjectLockConfiguration::builder()
            .object_lock_enabled(ObjectLockEnabled::Enabled)
            .set_rule(rule);
        let request = self.client().put_object_lock_configuration();
        let request = request
            .bucket(BUCKET)
            .object_lock_configuration(configuration.build());
        let sent = request.send().await;
        sent.map_or_else(|error| code_of(&error), |_| "ok".to_owned())
    }
}

#[tokio::test]
async fn a_retained_version_goes_only_when_its_time_has_come() {
    for mode in [GOVERNANCE, COMPLIANCE] {
        let vault = Vault::new().await;
        let until = "2024-03-01T12:00:00Z";
        let version = vault.put_retained("k", mode, until).await;
        assert_eq!(vault.retention("k").await, format!("{mode} {until}"));
        assert_eq!(vault.delete("k", &version, false).await, "AccessDenied");

        vault.set_clock("2024-03-01T11:59:59Z");
        let vault = vault.reopened();
        assert_eq!(vault.delete("k", &version, false).await, "AccessDenied");
        assert_eq!(vault.lake.get("k").await.unwrap(), b"1");
        vault.set_clock(until);
        assert_eq!(vault.delete("k", &version, false).await, "ok");
        assert_eq!(vault.lake.versions().await, []);
    }
}

#[tokio::test]
async fn markers_come_and_go_over_a_locked_version() {
    let vault = Vault::new().await;
    let version = vault
        .put_retained("k", COMPLIANCE, "2030-01-01T00:00:00Z")
        .await;
    vault.lake.delete("k", None).await;
    assert_eq!(vault.lake.get("k").await.unwrap_err(), "NoSuchKey");
    let kept = vault.lake.get_version("k", Some(&version)).await;
    assert_eq!(kept.unwrap(), b"1");
    let versions = vault.lake.versions().await;
    let (_, marker, _, _) = versions.iter().find(|entry| entry.2).unwrap();
    assert_eq!(vault.delete("k", marker, false).await, "ok");
    assert_eq!(vault.lake.get("k").await.unwrap(), b"1");
    // A newer version is no more locked than it asks to be.
    let newer = vault.lake.put("k", b"2").await;
    assert_eq!(vault.delete("k", &newer, false).await, "ok");
}

#[tokio::test]
async fn only_governance_gives_way_to_a_bypass() {
    let vault = Vault::new().await;
    let until = "2030-01-01T00:00:00Z";
    let governed = vault.put_retained("g", GOVERNANCE, until).await;
    let complied = vault.put_retained("c", COMPLIANCE, until).await;
    assert_eq!(vault.delete("g", &governed, false).await, "AccessDenied");
    assert_eq!(vault.delete("g", &governed, true).await, "ok");
    assert_eq!(vault.delete("c", &complied, true).await, "AccessDenied");
    assert_eq!(vault.lake.keys().await, ["c"]);
}

#[tokio::test]
async fn a_batch_tells_of_each_locked_version() {
    let vault = Vault::new().await;
    let until = "2030-01-01T00:00:00Z";
    let governed = vault.put_retained("g", GOVERNANCE, until).await;
    let complied = vault.put_retained("c", COMPLIANCE, until).await;
    let free = vault.lake.put("free", b"1").await;
    let batch = async |bypass: bool| {
        let named = |key: &str, version: &str| {
            let named = ObjectIdentifier::builder().key(key);
            named.version_id(version).build().unwrap()
        };
        let batch = Delete::builder()
            .objects(named("c", &complied))
            .objects(named("free", &free))
            .objects(named("g", &governed));
        let request = vault.client().delete_objects().bucket(BUCKET);
        let request = request.delete(batch.build().unwrap());
        let request = request.bypass_governance_retention(bypass);
        let done = request.send().await.unwrap();
        let mut outcomes = Vec::new();
        for error in done.errors() {
            let (key, code) = (error.key().unwrap(), error.code().unwrap());
            outcomes.push(format!("{key} {code}"));
        }
        for deleted in done.deleted() {
            outcomes.push(deleted.key().unwrap().to_owned());
        }
        outcomes
    };
    let outcomes = batch(false).await;
    assert_eq!(outcomes, ["c AccessDenied", "g AccessDenied", "free"]);
    let outcomes = batch(true).await;
    assert_eq!(outcomes, ["c AccessDenied", "free", "g"]);
}

#[tokio::test]
async fn compliance_is_extended_and_never_weakened() {
    let vault = Vault::new().await;
    let until = "2025-01-01T00:00:00Z";
    vault.put_retained("k", COMPLIANCE, until).await;
    let nothing = || ObjectLockRetention::builder().build();
    for bypass in [false, true] {
        let shorter = retention(COMPLIANCE, "2024-12-31T23:59:59Z");
        assert_eq!(vault.retain("k", shorter, bypass).await, "AccessDenied");
        let weaker = retention(GOVERNANCE, "2030-01-01T00:00:00Z");
        assert_eq!(vault.retain("k", weaker, bypass).await, "AccessDenied");
        assert_eq!(vault.retain("k", nothing(), bypass).await, "AccessDenied");
    }
    assert_eq!(vault.retention("k").await, format!("{COMPLIANCE} {until}"));
    let same = retention(COMPLIANCE, until);
    assert_eq!(vault.retain("k", same, false).await, "ok");
    let longer = retention(COMPLIANCE, "2025-01-01T00:00:00.001Z");
    assert_eq!(vault.retain("k", longer, false).await, "ok");
    let vault = vault.reopened();
    let told = vault.retention("k").await;
    assert_eq!(told, format!("{COMPLIANCE} 2025-01-01T00:00:00.001Z"));

    // Once it has run out, it is nobody's any more.
    vault.set_clock("2025-01-02T00:00:00Z");
    assert_eq!(vault.retain("k", nothing(), false).await, "ok");
    assert_eq!(vault.retention("k").await, "NoSuchObjectLockConfiguration");
}

#[tokio::test]
async fn governance_is_weakened_by_a_bypass_alone() {
    let vault = Vault::new().await;
    let version = vault
        .put_retained("k", GOVERNANCE, "2025-01-01T00:00:00Z")
        .await;
    let longer = retention(GOVERNANCE, "2026-01-01T00:00:00Z");
    assert_eq!(vault.retain("k", longer, false).await, "ok");
    let weaker = [
        retention(GOVERNANCE, "2025-01-01T00:00:00Z"),
        retention(COMPLIANCE, "2026-01-01T00:00:00Z"),
        ObjectLockRetention::builder().build(),
    ];
    for wanted in &weaker {
        let outcome = vault.retain("k", wanted.clone(), false).await;
        assert_eq!(outcome, "AccessDenied");
    }
    let [shorter, _, nothing] = weaker;
    assert_eq!(vault.retain("k", shorter, true).await, "ok");
    let told = vault.retention("k").await;
    assert_eq!(told, format!("{GOVERNANCE} 2025-01-01T00:00:00Z"));
    assert_eq!(vault.retain("k", nothing, true).await, "ok");
    assert_eq!(vault.delete("k", &version, false).await, "ok");
}

#[tokio::test]
async fn a_legal_hold_stands_beside_retention() {
    let vault = Vault::new().await;
    let until = "2024-03-01T00:00:00Z";
    let version = vault.put_retained("k", GOVERNANCE, until).await;
    assert_eq!(vault.hold_of("k").await, "NoSuchObjectLockConfiguration");
    vault.hold("k", &version, Hold::On).await;
    assert_eq!(vault.delete("k", &version, true).await, "AccessDenied");
    assert_eq!(vault.retention("k").await, format!("{GOVERNANCE} {until}"));

    vault.set_clock("2024-04-01T00:00:00Z");
    let vault = vault.reopened();
    assert_eq!(vault.hold_of("k").await, "ON");
    assert_eq!(vault.delete("k", &version, false).await, "AccessDenied");
    vault.set_clock("2024-02-29T12:00:00Z");
    vault.hold("k", &version, Hold::Off).await;
    assert_eq!(vault.hold_of("k").await, "OFF");
    assert_eq!(vault.delete("k", &version, false).await, "AccessDenied");
    assert_eq!(vault.delete("k", &version, true).await, "ok");
}

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
async fn reading_an_object_tells_its_lock() {
    let vault = Vault::new().await;
    let until = "2025-01-01T00:00:00.5Z";
    let version = vault.put_retained("k", GOVERNANCE, until).await;
    vault.hold("k", &version, Hold::On).await;
    let head = vault.client().head_object().bucket(BUCKET).key("k");
    let head = head.send().await.unwrap();
    let got = vault.client().get_object().bucket(BUCKET).key("k");
    let got = got.send().await.unwrap();
    let governance = Some(&ObjectLockMode::Governance);
    assert_eq!(head.object_lock_mode(), governance);
    assert_eq!(got.object_lock_mode(), governance);
    let until = sdk_time(until);
    assert_eq!(head.object_lock_retain_until_date(), Some(&until));
    assert_eq!(got.object_lock_retain_until_date(), Some(&until));
    assert_eq!(head.object_lock_legal_hold_status(), Some(&Hold::On));
    assert_eq!(got.object_lock_legal_hold_status(), Some(&Hold::On));
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
}
