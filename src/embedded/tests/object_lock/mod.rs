//! Object Lock: retention, legal holds and the bucket's default, by a clock that
//! the tests set.

mod buckets;
mod versions;

use std::sync::{Arc, Mutex};

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{
    DefaultRetention, ObjectLockConfiguration, ObjectLockEnabled, ObjectLockLegalHold,
    ObjectLockLegalHoldStatus as Hold, ObjectLockMode, ObjectLockRetention,
    ObjectLockRetentionMode, ObjectLockRule,
};

use super::{BUCKET, Lake, code_of};

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
