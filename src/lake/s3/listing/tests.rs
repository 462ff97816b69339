//! Ranges by hand; listings against the plain list of what was put.

use std::sync::Arc;

use chrono::DateTime;

use super::*;
use crate::embedded::EmbeddedS3;
use crate::lake::connect::Connection;
use crate::lake::s3::{PutIf, WriteS3};

fn range(from: &str, to: &str) -> KeyRange {
    let limit = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    KeyRange {
        from: limit(from),
        to: limit(to),
    }
}

#[test]
fn a_range_is_cut_into_consecutive_ones() {
    let cuts = ["b", "d", "f"].map(str::to_owned).into();
    assert_eq!(
        range("", "").split(&cuts),
        [
            range("", "b"),
            range("b", "d"),
            range("d", "f"),
            range("f", "")
        ]
    );
    assert_eq!(
        range("b", "e").split(&cuts),
        [range("b", "d"), range("d", "e")]
    );
    assert_eq!(range("x", "").split(&cuts), [range("x", "")]);
    assert_eq!(range("a", "b").split(&cuts), [range("a", "b")]);
}

#[test]
fn a_marker_lies_closely_before_the_first_key() {
    let table = [
        ("", None),
        ("a/2", Some("a/1~")),
        ("a/year=2026/", Some("a/year=2026.~")),
        ("a/ü", Some("a/û~")),
        ("a/\n", Some("a/")),
        ("a", Some("`~")),
    ];
    for (from, marker) in table {
        assert_eq!(range(from, "").marker().as_deref(), marker, "{from}");
        assert!(marker.is_none_or(|marker| marker < from));
    }
}

/// Every key twice, so that pages end between the versions of a key.
async fn bucket(folder: &std::path::Path, keys: &[String]) -> (EmbeddedS3, WriteS3) {
    let server = EmbeddedS3::open_with_clock(folder, Arc::new(|| DateTime::UNIX_EPOCH)).unwrap();
    let s3 = WriteS3::new(Connection::embedded(&server));
    s3.create_bucket("raw").await.unwrap();
    s3.enable_versioning("raw").await.unwrap();
    for body in ["old", "new"] {
        for key in keys {
            s3.put("raw", key, body, PutIf::Always).await.unwrap();
        }
    }
    server.drain_access_log();
    (server, s3)
}

#[tokio::test]
async fn every_version_is_found_wherever_the_listing_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let mut keys = vec!["t/_SUCCESS".to_owned(), "t/year=2026/x".to_owned()];
    for day in 1..=28 {
        for object in 0..25 {
            keys.push(format!(
                "t/year=2026/month=02/day={day:02}/{object:02}.json"
            ));
        }
    }
    keys.push("t/zz".to_owned());
    keys.push("u/other".to_owned());
    let (server, s3) = bucket(folder.path(), &keys).await;

    let found = s3.read().versions("raw", "t/").await.unwrap();
    let mut expected: Vec<(&str, bool)> = Vec::new();
    keys.sort();
    for key in keys.iter().filter(|key| key.starts_with("t/")) {
        expected.extend([(key.as_str(), true), (key.as_str(), false)]);
    }
    let told: Vec<(&str, bool)> = found
        .iter()
        .map(|version| (version.key.as_str(), version.latest))
        .collect();
    assert_eq!(told, expected);
    // A page, the folders of t/, of the year and of the month, the days, and what lies around them.
    let requests = server.drain_access_log();
    assert!(requests.len() <= 35, "{}", requests.len());

    let days = range(
        "t/year=2026/month=02/day=03/24",
        "t/year=2026/month=02/day=05",
    );
    let some = s3.read().versions_in("raw", "t/", &days).await.unwrap();
    assert_eq!(some.len(), 2 + 50);
    assert_eq!(some[0].key, "t/year=2026/month=02/day=03/24.json");
    assert_eq!(server.drain_access_log().len(), 1);
}

#[tokio::test]
async fn without_folders_pages_follow_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let keys: Vec<String> = (0..1100)
        .map(|number| format!("flat-{number:04}"))
        .collect();
    let (server, s3) = bucket(folder.path(), &keys).await;
    let found = s3.read().versions("raw", "").await.unwrap();
    assert_eq!(found.len(), 2200);
    let told: Vec<&String> = found
        .iter()
        .step_by(2)
        .map(|version| &version.key)
        .collect();
    assert_eq!(told, keys.iter().collect::<Vec<_>>());
    // Three pages, and one look for folders.
    assert_eq!(server.drain_access_log().len(), 4);
}
