//! Raw objects that are Avro containers or Parquet files: the same nights as with JSON.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use arrow::json::ReaderBuilder;
use arrow_avro::compression::CompressionCodec;
use arrow_avro::writer::WriterBuilder;
use arrow_avro::writer::format::AvroOcfFormat;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};

use crate::support::events::{ADA, BOB, bucket, event, lines};
use crate::support::{Lake, NOW, tables, traces};

const NOWHERE: [PathBuf; 0] = [];
/// Its cart events come as Avro, its payments as Parquet.
const AVRO: &str = "cart";
const PARQUET: &str = "payment";

fn lake() -> Lake {
    let lake = Lake::empty();
    lake.change_policy("datasets/cart.yaml", "format: json", "format: avro");
    lake.change_policy(
        "datasets/payment.yaml",
        "raw:\n",
        "raw:\n  format: parquet\n",
    );
    for dataset in ["product", "post_purchase"] {
        let events = [ADA, BOB].map(|user| event(dataset, user, "2026-11-18T09:00:00Z"));
        put(&lake, dataset, "0+0000000000.json", lines(&events));
    }
    lake
}

/// Puts an object under the name that Kafka Connect gives it.
fn put(lake: &Lake, dataset: &str, name: &str, body: Vec<u8>) {
    lake.store(NOW)
        .put(bucket(dataset), &key(dataset, name), body);
}

fn key(dataset: &str, name: &str) -> String {
    format!("topics/{dataset}/hour=10/{dataset}+{name}")
}

fn schema() -> SchemaRef {
    let device = Fields::from(vec![Field::new("deviceType", DataType::Utf8, true)]);
    let milliseconds = DataType::Timestamp(TimeUnit::Millisecond, Some("+00:00".into()));
    Arc::new(Schema::new(vec![
        Field::new("eventType", DataType::Utf8, false),
        Field::new("timestamp", milliseconds, false),
        Field::new("userId", DataType::Utf8, true),
        Field::new("sessionId", DataType::Utf8, true),
        Field::new("deviceDetails", DataType::Struct(device), true),
        Field::new("amount", DataType::Decimal128(10, 2), true),
    ]))
}

/// Events of these users at these times, as a batch.
fn batch(dataset: &str, events: &[(&str, &str)]) -> RecordBatch {
    let kind = if dataset == AVRO {
        "ProceedtoPaymentClicked"
    } else {
        "ProceedPaymentClicked"
    };
    let text: Vec<String> = events
        .iter()
        .map(|(user, time)| {
            json!({
                "eventType": kind, "timestamp": time, "userId": user, "amount": "60.00",
                "sessionId": format!("session-{user}"), "deviceDetails": {"deviceType": "Mobile"},
            })
            .to_string()
        })
        .collect();
    let mut decoder = ReaderBuilder::new(schema()).build_decoder().unwrap();
    decoder.decode(text.join("\n").as_bytes()).unwrap();
    decoder.flush().unwrap().unwrap()
}

/// A container with a block a batch.
fn avro(batches: &[RecordBatch]) -> Vec<u8> {
    let builder = WriterBuilder::new(schema().as_ref().clone());
    let builder = builder.with_compression(Some(CompressionCodec::Deflate));
    let mut writer = builder.build::<_, AvroOcfFormat>(Vec::new()).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();
    writer.into_inner()
}

/// A file with a row group a batch.
fn parquet(batches: &[RecordBatch]) -> Vec<u8> {
    let team = KeyValue::new("team".into(), "payment".to_owned());
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_key_value_metadata(Some(vec![team]))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema(), Some(properties)).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
        writer.flush().unwrap();
    }
    writer.into_inner().unwrap()
}

/// Two customers over two days, and one of Ada's events that is too old.
fn put_events(lake: &Lake) {
    let batches = |dataset| {
        [
            batch(
                dataset,
                &[
                    (ADA, "2026-11-18T09:00:00.123Z"),
                    (BOB, "2026-11-18T10:00:00Z"),
                    (ADA, "2024-11-19T09:00:00Z"),
                ],
            ),
            batch(dataset, &[(BOB, "2026-11-19T11:00:00Z")]),
            batch(dataset, &[(ADA, "2026-11-19T12:00:00Z")]),
        ]
    };
    put(lake, AVRO, "0+0000000100.avro", avro(&batches(AVRO)));
    put(
        lake,
        PARQUET,
        "0+0000000100.snappy.parquet",
        parquet(&batches(PARQUET)),
    );
}

#[test]
fn a_night_takes_in_avro_and_parquet_exactly() {
    let lake = lake();
    put_events(&lake);
    let report = lake.run(NOW);
    for dataset in [AVRO, PARQUET] {
        let told = &report["datasets"][dataset];
        assert_eq!(
            [&told["read"], &told["written"], &told["expired"]],
            [5, 4, 1],
            "{dataset}: {told}"
        );
        assert_eq!(told["quarantined"], 0, "{dataset}");
        assert_eq!(
            told["raw_trimmed"], 1,
            "{dataset}: what is too old leaves raw too"
        );
        let rows = tables::rows(&lake, dataset);
        let positions: Vec<&str> = rows.iter().map(|row| &*row.position).collect();
        let expected = [100, 101, 103, 104].map(|offset| format!("{dataset}/0/{offset}"));
        assert_eq!(positions, expected);
        let event: Value = serde_json::from_str(&rows[0].event).unwrap();
        assert_eq!(event["timestamp"], "2026-11-18T09:00:00.123Z");
        assert_eq!(event["userId"], ADA);
        assert_eq!(event["amount"].as_f64(), Some(60.0));
        assert_eq!(event["deviceDetails"]["deviceType"], "Mobile");
    }
    lake.expect_nothing_to_do(NOW);
}

#[test]
fn an_erasure_takes_the_subject_out_of_avro_and_parquet_objects() {
    let lake = lake();
    put_events(&lake);
    lake.run(NOW);
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    lake.run(NOW);
    assert_eq!(lake.request_states(NOW), ["certified"]);
    assert_eq!(traces::mentioning(&lake.s3(), ADA), NOWHERE);
    let store = lake.store(NOW);
    for (dataset, name) in [
        (AVRO, "0+0000000100.avro"),
        (PARQUET, "0+0000000100.snappy.parquet"),
    ] {
        let versions = store.versions(bucket(dataset), &key(dataset, name));
        assert_eq!(versions.len(), 1, "{dataset}");
        let left = traces::batches(&versions[0].bytes);
        let all = arrow::compute::concat_batches(&left[0].schema(), &left).unwrap();
        let expected = batch(
            dataset,
            &[(BOB, "2026-11-18T10:00:00Z"), (BOB, "2026-11-19T11:00:00Z")],
        );
        assert_eq!(all.columns(), expected.columns(), "{dataset}");
    }
    drop(store);
    for dataset in [AVRO, PARQUET] {
        let rows = tables::rows(&lake, dataset);
        assert_eq!(rows.len(), 2, "{dataset}");
        assert!(rows.iter().all(|row| row.is_of(BOB)), "{dataset}");
    }
    lake.expect_nothing_to_do(NOW);
}

#[test]
fn of_broken_files_what_is_good_is_taken_and_the_files_stay() {
    let lake = lake();
    let blocks = [
        batch(AVRO, &[(BOB, "2026-11-18T10:00:00Z")]),
        batch(AVRO, &[(ADA, "2026-11-18T11:00:00Z")]),
    ];
    let whole = avro(&blocks);
    put(
        &lake,
        AVRO,
        "0+0000000000.avro",
        whole[..whole.len() - 20].to_vec(),
    );
    put(&lake, AVRO, "1+0000000000.avro", avro(&[]));
    let text = lines(&[event(AVRO, BOB, "2026-11-18T10:00:00Z")]);
    put(&lake, AVRO, "2+0000000000.avro", text.clone());
    let whole = parquet(&[batch(PARQUET, &[(BOB, "2026-11-18T10:00:00Z")])]);
    put(&lake, PARQUET, "0+0000000000.parquet", whole.clone());
    put(
        &lake,
        PARQUET,
        "1+0000000000.parquet",
        whole[..whole.len() / 2].to_vec(),
    );

    let report = lake.run(NOW);
    let counts = |dataset: &str| {
        let told = &report["datasets"][dataset];
        ["read", "written", "quarantined"].map(|count| told[count].as_u64().unwrap())
    };
    assert_eq!(counts(AVRO), [3, 1, 2]);
    assert_eq!(counts(PARQUET), [2, 1, 1]);
    assert_eq!(tables::rows(&lake, AVRO)[0].position, "cart/0/0");
    let findings = report["findings"].to_string();
    for broken in [
        "cart+0+0000000000.avro: part of it cannot be read",
        "cart+2+0000000000.avro: part of it cannot be read",
        "payment+1+0000000000.parquet: part of it cannot be read",
    ] {
        assert!(findings.contains(broken), "{findings}");
    }
    let quarantined = |dataset: &str| -> Vec<Value> {
        let files = traces::files(&lake.lake_file(&format!("quarantine/{dataset}")));
        let texts = files
            .iter()
            .map(|file| std::fs::read_to_string(file).unwrap());
        let lines = texts.collect::<String>();
        let mut lines: Vec<Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        lines.sort_by_key(|line| line["object"].to_string());
        lines
    };
    let of_avro = quarantined(AVRO);
    assert_eq!(of_avro[0]["reason"], "container_truncated");
    assert_eq!(of_avro[1]["reason"], "wrong_format");
    assert_eq!(of_avro[1]["record"], String::from_utf8(text).unwrap());
    assert_eq!(quarantined(PARQUET)[0]["reason"], "container_truncated");

    // Nobody can say who is in what cannot be read, so no certificate says so.
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    lake.run(NOW);
    assert_eq!(lake.request_states(NOW), ["received"]);
    let store = lake.store(NOW);
    assert!(
        store
            .current(bucket(AVRO), &key(AVRO, "0+0000000000.avro"))
            .is_some()
    );
    assert!(
        store
            .current(bucket(PARQUET), &key(PARQUET, "1+0000000000.parquet"))
            .is_some()
    );
}
