//! S3 Inventory as S3 delivers it, made from what a bucket holds.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use lakewarden::demo::BUCKETS;
use md5::{Digest, Md5};
use parquet::arrow::ArrowWriter;
use serde_json::json;

use super::events::gzip;
use super::lake::{Lake, time};
use super::store::Store;

/// Where inventories are delivered to.
pub const BUCKET: &str = "acme-inventory";
/// The location that policies name.
pub const PLACE: &str = "s3://acme-inventory/nightly/acme-cart-events/all/";
const FOLDER: &str = "nightly/acme-cart-events/all/";

/// How data files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Csv,
    Parquet,
}

/// One row of an inventory.
struct Row {
    key: String,
    version: String,
    latest: bool,
    /// None for a delete marker.
    body: Option<Vec<u8>>,
}

/// Makes the bucket for inventories.
pub fn prepare(lake: &Lake) {
    lake.store(super::NOW).create_bucket(BUCKET);
}

/// Delivers an inventory of the cart's bucket as it is; every object in it was put at `put`.
pub fn deliver(lake: &Lake, format: Format, name: &str, put: &str) {
    let store = lake.store(put);
    let rows = rows(&store);
    let (file, schema, body) = match format {
        Format::Csv => (
            "list.csv.gz",
            csv_schema(),
            gzip(csv(&rows, put).as_bytes()),
        ),
        Format::Parquet => (
            "list.parquet",
            "message s3.inventory {}".into(),
            parquet(&rows, put),
        ),
    };
    let key = format!("{FOLDER}data/{name}-{file}");
    let manifest = json!({
        "sourceBucket": cart_bucket(),
        "destinationBucket": format!("arn:aws:s3:::{BUCKET}"),
        "version": "2016-11-30",
        "creationTimestamp": "1514944800000",
        "fileFormat": if format == Format::Csv { "CSV" } else { "Parquet" },
        "fileSchema": schema,
        "files": [{ "key": key, "size": body.len(), "MD5checksum": md5(&body) }],
    });
    store.put(BUCKET, &key, body);
    let manifest = manifest.to_string();
    let checksum = format!("{}\n", md5(manifest.as_bytes()));
    store.put(BUCKET, &place(name, "manifest.json"), manifest);
    store.put(BUCKET, &place(name, "manifest.checksum"), checksum);
}

/// The key of a file of a delivery.
pub fn place(name: &str, file: &str) -> String {
    format!("{FOLDER}{name}/{file}")
}

fn cart_bucket() -> &'static str {
    BUCKETS.iter().find(|(name, _)| *name == "cart").unwrap().1
}

fn rows(store: &Store) -> Vec<Row> {
    let versions = store.versions(cart_bucket(), "");
    let current: BTreeSet<String> = versions
        .iter()
        .filter(|version| version.latest)
        .map(|version| version.key.clone())
        .collect();
    let keys: BTreeSet<String> = versions.iter().map(|version| version.key.clone()).collect();
    let markers = keys.difference(&current).map(|key| Row {
        key: key.clone(),
        version: "a-marker".into(),
        latest: true,
        body: None,
    });
    let mut rows: Vec<Row> = markers.collect();
    rows.extend(versions.into_iter().map(|version| Row {
        key: version.key,
        version: version.id,
        latest: version.latest,
        body: Some(version.bytes),
    }));
    rows
}

fn md5(bytes: &[u8]) -> String {
    hex::encode(Md5::digest(bytes))
}

/// Not in the order that the program asks in.
fn csv_schema() -> String {
    "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, LastModifiedDate, StorageClass, Size, ETag"
        .into()
}

fn csv(rows: &[Row], put: &str) -> String {
    let bucket = cart_bucket();
    let mut text = String::new();
    for row in rows {
        let (size, etag) = match &row.body {
            Some(body) => (body.len().to_string(), md5(body)),
            None => (String::new(), String::new()),
        };
        let key = row.key.replace('=', "%3D").replace('+', "%2B");
        let fields = [
            bucket,
            &key,
            &row.version,
            &row.latest.to_string(),
            &row.body.is_none().to_string(),
            put,
            "STANDARD",
            &size,
            &etag,
        ];
        let quoted = fields.map(|field| format!("\"{field}\""));
        text.push_str(&quoted.join(","));
        text.push('\n');
    }
    text
}

fn parquet(rows: &[Row], put: &str) -> Vec<u8> {
    let texts = |text: &dyn Fn(&Row) -> Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(text).collect::<StringArray>())
    };
    let truths = |truth: &dyn Fn(&Row) -> bool| -> ArrayRef {
        Arc::new(
            rows.iter()
                .map(|row| Some(truth(row)))
                .collect::<BooleanArray>(),
        )
    };
    let sizes = rows.iter().map(|row| {
        row.body
            .as_ref()
            .map(|body| i64::try_from(body.len()).unwrap())
    });
    let times = vec![time(put).timestamp_millis(); rows.len()];
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("bucket", texts(&|_| Some(cart_bucket().to_owned())), false),
        ("key", texts(&|row| Some(row.key.clone())), false),
        ("version_id", texts(&|row| Some(row.version.clone())), true),
        ("is_latest", truths(&|row| row.latest), true),
        ("is_delete_marker", truths(&|row| row.body.is_none()), true),
        (
            "size",
            Arc::new(sizes.collect::<Int64Array>()) as ArrayRef,
            true,
        ),
        (
            "last_modified_date",
            Arc::new(TimestampMillisecondArray::from(times)) as ArrayRef,
            true,
        ),
        ("e_tag", texts(&|row| row.body.as_deref().map(md5)), true),
    ])
    .unwrap();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    file
}
