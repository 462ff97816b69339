use std::collections::BTreeSet;

use super::*;
use crate::embedded::EmbeddedS3;
use crate::lake::connect::Connection;

const MIB: u64 = 1024 * 1024;
const SOURCE: &str = "day=1/old +&%ü.parquet";

/// Bytes in which no stretch of four looks like another.
fn distinct(length: u64) -> Bytes {
    let mut bytes = Vec::with_capacity(length as usize);
    for word in 0..length.div_ceil(4) {
        bytes.extend((word as u32).to_le_bytes());
    }
    bytes.truncate(length as usize);
    bytes.into()
}

async fn lake() -> (WriteS3, String, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let server = EmbeddedS3::open(folder.path()).unwrap();
    let s3 = WriteS3::new(Connection::embedded(&server));
    s3.create_bucket("lake").await.unwrap();
    let body = distinct(12 * MIB);
    let etag = s3.put("lake", SOURCE, body, PutIf::Absent).await.unwrap();
    (s3, etag, folder)
}

#[test]
fn what_is_sent_is_cut_evenly_and_copies_stand_alone() {
    let own = Bytes::from(vec![7; 3 * MIB as usize]);
    let stretches = vec![
        Stretch::Own(own.clone()),
        Stretch::Fetched(0..9 * MIB),
        Stretch::Copied(9 * MIB..9 * MIB + 3 * LARGEST_COPY / 2),
        Stretch::Own(own.clone()),
    ];
    let half = 3 * LARGEST_COPY / 4;
    let expected = vec![
        Part::Sent(vec![
            Stretch::Own(own.clone()),
            Stretch::Fetched(0..3 * MIB),
        ]),
        Part::Sent(vec![Stretch::Fetched(3 * MIB..9 * MIB)]),
        Part::Copied(9 * MIB..9 * MIB + half),
        Part::Copied(9 * MIB + half..9 * MIB + 2 * half),
        Part::Sent(vec![Stretch::Own(own)]),
    ];
    assert!(parts(stretches) == expected);
}

#[tokio::test]
async fn stretches_become_one_object_in_their_order() {
    let (s3, etag, _folder) = lake().await;
    let source = Source {
        key: SOURCE,
        etag: &etag,
    };
    let old = distinct(12 * MIB);
    let own = Bytes::from(vec![7; 5 * MIB as usize]);
    let (first, last) = (6 * MIB..11 * MIB + 3, 9..100);
    let stretches = vec![
        Stretch::Own(own.clone()),
        Stretch::Fetched(0..9),
        Stretch::Copied(first.clone()),
        Stretch::Fetched(last.clone()),
        Stretch::Own(Bytes::from_static(b"end")),
    ];
    s3.compose("lake", "new", source, stretches).await.unwrap();
    let mut expected = own.to_vec();
    expected.extend(&old[..9]);
    expected.extend(&old[first.start as usize..first.end as usize]);
    expected.extend(&old[9..100]);
    expected.extend(b"end");
    let found = s3.read().find("lake", "new").await.unwrap().unwrap();
    assert!(found.bytes == expected);
}

#[tokio::test]
async fn a_failed_upload_leaves_nothing_behind() {
    let (s3, etag, _folder) = lake().await;
    let copied = || Stretch::Copied(0..12 * MIB);
    let stale = Source {
        key: SOURCE,
        etag: "00000000000000000000000000000000",
    };
    let error = s3.compose("lake", "new", stale, vec![copied()]).await;
    assert_eq!(error.unwrap_err().kind, S3ErrorKind::Precondition);
    let source = Source {
        key: SOURCE,
        etag: &etag,
    };
    let too_short = vec![Stretch::Own(Bytes::from_static(b"short")), copied()];
    let error = s3.compose("lake", "new", source, too_short).await;
    assert!(error.unwrap_err().reason.contains("EntityTooSmall"));

    let keys: BTreeSet<String> = s3
        .read()
        .keys("lake", "")
        .await
        .unwrap()
        .into_iter()
        .collect();
    assert_eq!(keys, BTreeSet::from([SOURCE.to_owned()]));
    assert!(s3.read().uploads("lake", "").await.unwrap().is_empty());
}
