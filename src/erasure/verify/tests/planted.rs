//! A trace in each kind of place is found; its near miss is not.

use std::io::Write;

use super::{ADA, EARLIER, LAKE, LATER, Lake, RAW, coverage_of, event, forms};

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn in_an_older_version() {
    let lake = Lake::new().await;
    lake.put(RAW, "cart/a.json", event(ADA, EARLIER, "")).await;
    lake.put(RAW, "cart/a.json", event("1", EARLIER, "")).await;
    let coverage = lake.coverage().await;
    assert_eq!(forms(&coverage), ["value at an identifier field"]);
    let versions = lake.s3.read().versions(RAW, "cart/").await.unwrap();
    let older = versions.iter().find(|version| !version.latest).unwrap();
    assert_eq!(coverage.traces[0].version, older.version);
    assert_eq!(coverage.traces[0].key, "cart/a.json");
}

#[tokio::test]
async fn in_compressed_objects() {
    let text = event(ADA, EARLIER, "");
    let packed = [gzip(&text), zstd::encode_all(text.as_bytes(), 3).unwrap()];
    for body in packed {
        let coverage = coverage_of(RAW, "cart/a.json", body).await;
        assert_eq!(forms(&coverage), ["value at an identifier field"]);
    }
    let coverage = coverage_of(RAW, "cart/a.json", gzip(&event(ADA, LATER, ""))).await;
    assert!(coverage.is_clean());
    assert_eq!(coverage.later_events, 1);
}

#[tokio::test]
async fn in_metadata() {
    for (name, value) in [
        ("user", ADA),
        ("note", "by ada@example.org"),
        ("note", "id=789456"),
    ] {
        let lake = Lake::new().await;
        lake.put_noted("cart/a.json", name, value).await;
        assert_eq!(forms(&lake.coverage().await), ["metadata"], "{value}");
    }
    let lake = Lake::new().await;
    lake.put_noted("cart/a.json", "count", "1789456").await;
    assert!(lake.coverage().await.is_clean());
}

#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "a delete marker is what is looked for"
)]
async fn in_the_key_of_a_delete_marker() {
    let lake = Lake::new().await;
    let key = "cart/user=789456.json";
    lake.put(RAW, key, "{}").await;
    let marker = lake.client.delete_object().bucket(RAW).key(key);
    marker.send().await.unwrap();
    let versions = lake.s3.read().versions(RAW, key).await.unwrap();
    let object = versions.iter().filter(|one| !one.marker).cloned();
    let object: Vec<_> = object.collect();
    lake.s3.delete_versions(RAW, &object).await.unwrap();
    let coverage = lake.coverage().await;
    assert_eq!(forms(&coverage), ["key"]);
    assert!(coverage.looked_at.is_empty());
}

#[tokio::test]
async fn in_the_log_reports_and_quarantine() {
    let quarantined = serde_json::json!({
        "object": "cart/a.json", "version": "v", "offset": 0,
        "reason": "x", "record_base64": "eyJ1c2VySWQiOiA3ODk0NTYs/w==",
    });
    for (key, body) in [
        (
            "events/cart/_delta_log/00000000000000000003.json",
            "{\"commitInfo\":{\"predicate\":\"userId = '789456'\"}}".to_owned(),
        ),
        (
            "system/reports/2026.json",
            "{\"who\": \"789456\"}".to_owned(),
        ),
        (
            "system/reports/2026.md",
            "erased ada@example.org".to_owned(),
        ),
        (
            "system/ledger/cart/1.json",
            "{\"key\":\"user=789456/a\"}".to_owned(),
        ),
        ("quarantine/cart/1.jsonl", format!("{quarantined}\n")),
        ("backup/dump.gz", "ada@example.org".to_owned()),
    ] {
        let body = if key == "backup/dump.gz" {
            gzip(&body)
        } else {
            body.into_bytes()
        };
        let coverage = coverage_of(LAKE, key, body).await;
        assert_eq!(coverage.traces.len(), 1, "{key}");
        assert!(!coverage.is_clean());
    }
}

#[tokio::test]
async fn an_unfinished_upload_cannot_be_read() {
    let lake = Lake::new().await;
    let begin = |key: &'static str| {
        let request = lake.client.create_multipart_upload();
        request.bucket(RAW).key(key).send()
    };
    begin("cart/a.json").await.unwrap();
    let coverage = lake.coverage().await;
    assert_eq!(coverage.unfinished_uploads, 1);
    assert!(!coverage.is_clean());
    begin("cart/user=789456").await.unwrap();
    assert_eq!(forms(&lake.coverage().await), ["key"]);
    // The server's clock says that they began on the 19th.
    let earlier = super::Quarry {
        cutoff: "2026-11-18T00:00:00Z".parse().unwrap(),
        identifiers: vec![("user_id".into(), "31337".into())],
        ..super::quarry()
    };
    let coverage = lake.coverages(&[earlier]).await.remove("one").unwrap();
    assert!(coverage.is_clean(), "{coverage:?}");
}

#[tokio::test]
async fn an_object_that_cannot_be_read_is_listed() {
    let mut broken = gzip(&"x".repeat(9000));
    let length = broken.len();
    broken[length - 6] ^= 0xff;
    let coverage = coverage_of(RAW, "cart/broken.json", broken).await;
    assert_eq!(coverage.unreadable, ["cart/broken.json"]);
    assert!(!coverage.is_clean());
    let coverage = coverage_of(LAKE, "events/cart/x.parquet", "no Parquet at all").await;
    assert_eq!(coverage.unreadable, ["events/cart/x.parquet"]);
}

/// An Avro container of one record with the one text field `userId`, by hand.
fn avro(user: &str, corrupt: bool) -> Vec<u8> {
    fn text(bytes: &mut Vec<u8>, text: &str) {
        // Lengths are doubled (zigzag) and have seven bits a byte, the low ones first.
        let mut length = text.len() * 2;
        while length > 127 {
            bytes.push((length & 127) as u8 | 128);
            length >>= 7;
        }
        bytes.push(length as u8);
        bytes.extend_from_slice(text.as_bytes());
    }
    let schema = r#"{"type":"record","name":"e","fields":[{"name":"userId","type":"string"}]}"#;
    let sync = [7_u8; 16];
    let mut file = b"Obj\x01\x02".to_vec();
    text(&mut file, "avro.schema");
    text(&mut file, schema);
    file.push(0);
    file.extend(sync);
    let mut record = Vec::new();
    text(&mut record, user);
    file.extend([2, record.len() as u8 * 2]);
    file.extend(record);
    file.extend(if corrupt { [8; 16] } else { sync });
    file
}

#[tokio::test]
async fn in_avro_containers() {
    let coverage = coverage_of(RAW, "cart/a.avro", avro(ADA, false)).await;
    assert_eq!(forms(&coverage), ["value at an identifier field"]);
    assert_eq!(coverage.records, 1);
    let coverage = coverage_of(RAW, "cart/a.avro", avro("1789456", false)).await;
    assert!(coverage.is_clean(), "{coverage:?}");
    let coverage = coverage_of(RAW, "cart/a.avro", avro("ada@example.org", true)).await;
    assert_eq!(forms(&coverage), ["broken record"]);
    assert_eq!(coverage.unreadable, ["cart/a.avro"]);
}
