//! What goes and what stays, held against an endpoint whose objects are locked.

use std::sync::Arc;

use aws_sdk_s3::primitives::{DateTime as SdkTime, DateTimeFormat};
use aws_sdk_s3::types::{ObjectLockConfiguration, ObjectLockEnabled, ObjectLockMode};
use chrono::{DateTime, Utc};

use super::*;
use crate::embedded::EmbeddedS3;
use crate::lake::connect::Connection;
use crate::lake::s3::PutIf;

const NOW: &str = "2026-11-20T03:00:00Z";
const UNTIL: &str = "2027-01-05T00:00:00Z";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// A bucket with Object Lock, in which the older of two versions of `replaced` is locked; `free` has two too.
async fn bucket(folder: &std::path::Path) -> WriteS3 {
    let server = EmbeddedS3::open_with_clock(folder, Arc::new(|| at(NOW))).unwrap();
    let s3 = WriteS3::new(Connection::embedded(&server));
    s3.create_bucket("raw").await.unwrap();
    s3.enable_versioning("raw").await.unwrap();
    let client = s3.read.connection.client();
    let enabled = ObjectLockConfiguration::builder()
        .object_lock_enabled(ObjectLockEnabled::Enabled)
        .build();
    let request = client.put_object_lock_configuration().bucket("raw");
    let request = request.object_lock_configuration(enabled);
    request.send().await.unwrap();
    let until = SdkTime::from_str(UNTIL, DateTimeFormat::DateTime).unwrap();
    let request = client.put_object().bucket("raw").key("replaced");
    let request = request.object_lock_mode(ObjectLockMode::Compliance);
    let request = request.object_lock_retain_until_date(until);
    request.send().await.unwrap();
    for key in ["free", "free", "replaced"] {
        s3.put("raw", key, key, PutIf::Always).await.unwrap();
    }
    s3
}

#[tokio::test]
async fn what_hides_a_locked_version_stays_over_it_and_all_else_goes() {
    let folder = tempfile::tempdir().unwrap();
    let s3 = bucket(folder.path()).await;
    let versions = s3.read.versions("raw", "").await.unwrap();
    assert_eq!(versions.len(), 4);
    let deletion = s3.delete_what_may_go("raw", &versions).await.unwrap();
    assert_eq!(deletion.gone, 2);
    let kept = Kept {
        key: "replaced".into(),
        why: Obstacle::Locked {
            until: at(UNTIL),
            mode: "compliance".into(),
        },
    };
    assert_eq!(deletion.kept, [kept.clone(), kept]);
    let left = s3.read.versions("raw", "").await.unwrap();
    assert_eq!(left, versions[2..]);
}

#[tokio::test]
async fn whoever_needs_all_of_them_gone_gets_an_error_with_the_date() {
    let folder = tempfile::tempdir().unwrap();
    let s3 = bucket(folder.path()).await;
    let versions = s3.read.versions("raw", "").await.unwrap();
    let error = s3.delete_versions("raw", &versions).await.unwrap_err();
    assert_eq!(error.kind, S3ErrorKind::Locked);
    assert_eq!(
        error.to_string(),
        "could not delete 2 object versions in s3://raw, first replaced: locked (compliance), can go from \
         2027-01-05 00:00 UTC on"
    );
    assert_eq!(s3.delete_versions("raw", &[]).await.unwrap(), 0);
}
