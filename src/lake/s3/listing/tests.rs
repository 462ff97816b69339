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
        let before = Marker::before(&range(from, "")).map(|marker| marker.key);
        assert_eq!(before.as_deref(), marker, "{from}");
        assert!(marker.is_none_or(|marker| marker < from));
    }
}

/// Every key twice, and pages of five, so that pages end between the versions of a key.
async fn bucket(folder: &std::path::Path, keys: &[String]) -> (EmbeddedS3, WriteS3) {
    let server = EmbeddedS3::open_with_clock(folder, Arc::new(|| DateTime::UNIX_EPOCH)).unwrap();
    let s3 = WriteS3::new(Connection::embedded(&server));
    s3.create_bucket("raw").await.unwrap();
    s3.enable_versioning("raw").await.unwrap();
    for key in keys.iter().chain(keys) {
        s3.put("raw", key, "body", PutIf::Always).await.unwrap();
    }
    server.drain_access_log();
    (server, s3)
}

fn in_pages_of_five<'a>(s3: &'a WriteS3, prefix: &'a str) -> Listing<'a> {
    Listing {
        s3: s3.read(),
        bucket: "raw",
        prefix,
        page_size: Some(5),
    }
}

#[tokio::test]
async fn every_version_is_found_wherever_the_listing_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let mut keys: Vec<String> = Vec::new();
    for day in 1..=16 {
        for object in 0..2 {
            keys.push(format!("t/year=2026/month=02/day={day:02}/{object}.json"));
        }
    }
    keys.extend(["t/year=2026/x", "t/zz", "u/other"].map(str::to_owned));
    keys.push("t/_SUCCESS".to_owned());
    let (server, s3) = bucket(folder.path(), &keys).await;

    let listing = in_pages_of_five(&s3, "t/");
    let found = listing.versions(&KeyRange::default()).await.unwrap();
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
    // A page; the folders of t/, of the year and of the month; the fifteen days after that page, two
    // pages for the last of them, which goes on to the end.
    assert_eq!(server.drain_access_log().len(), 1 + 3 + 16 + 1);

    let days = range(
        "t/year=2026/month=02/day=03/1",
        "t/year=2026/month=02/day=05",
    );
    let some = s3.read().versions_in("raw", "t/", &days).await.unwrap();
    let first = "t/year=2026/month=02/day=03/1.json";
    let told: Vec<&str> = some.iter().map(|version| version.key.as_str()).collect();
    assert_eq!(told.len(), 6);
    assert_eq!(told[..2], [first, first]);
    assert_eq!(server.drain_access_log().len(), 1);
}

#[tokio::test]
async fn without_folders_pages_follow_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let keys: Vec<String> = (0..7).map(|number| format!("flat-{number}")).collect();
    let (server, s3) = bucket(folder.path(), &keys).await;
    let listing = in_pages_of_five(&s3, "");
    let found = listing.versions(&KeyRange::default()).await.unwrap();
    let told: Vec<&str> = found.iter().map(|version| version.key.as_str()).collect();
    let twice = keys.iter().flat_map(|key| [key.as_str(), key.as_str()]);
    assert_eq!(told, twice.collect::<Vec<_>>());
    // Three pages, and one look for folders.
    assert_eq!(server.drain_access_log().len(), 4);
}
