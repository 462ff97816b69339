//! Policies through the front door: what a folder of files comes to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;
use crate::decode::{ColumnType, FieldPath, RawFormat};

mod dataset_refusals;
mod discovery;
mod files;
mod lake_and_curated_refusals;
mod reports;

const LAKE: &str = "\
version: 1
lake: s3://acme-lake/
key:
  env: LAKEWARDEN_KEY
";

const CART: &str = "\
version: 1
dataset: cart
raw:
  location: s3://acme-cart-events/topics/cart/
events:
  time: timestamp
table:
  sort_by: [userId]
retention:
  keep: 2 years
pii:
  identifiers:
    user_id: [userId]
";

const FUNNEL: &str = "\
version: 1
table: funnel
retention: { keep: 2 years }
";

fn parse(list: &[(&str, &str)]) -> Result<Policies, PolicyErrors> {
    let files: Vec<(String, String)> = list
        .iter()
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
        .collect();
    Policies::parse(&files)
}

/// Policies with this one for the cart.
fn with_cart(cart: &str) -> Policies {
    parse(&[("lake.yaml", LAKE), ("datasets/cart.yaml", cart)]).expect("policies")
}

fn path(text: &str) -> FieldPath {
    text.parse().expect(text)
}

#[test]
fn the_shortest_policies_take_the_defaults() {
    let policies = with_cart(CART);
    assert_eq!(policies.lake.location.to_string(), "s3://acme-lake/");
    assert_eq!(policies.lake.readers_grace.to_string(), "24 h");
    assert_eq!(policies.lake.memory.bytes(), 512_000_000);
    assert_eq!(policies.lake.spill, None);
    assert_eq!(policies.lake.snowflake, None);
    assert_eq!(policies.lake.uncommitted_grace.to_string(), "24 h");
    assert_eq!(policies.lake.table_history.to_string(), "30 days");
    assert_eq!(policies.lake.unfinished_uploads.to_string(), "7 days");
    assert_eq!(policies.lake.reports.to_string(), "2 years");
    assert_eq!(
        policies.lake.key,
        KeySource::Env("LAKEWARDEN_KEY".to_owned())
    );

    let cart = policies.dataset("cart").expect("the dataset");
    assert_eq!(cart.raw.keep, None);
    assert_eq!(cart.raw.format, RawFormat::Json);
    assert_eq!(cart.events.time_unit, TimeUnit::Text);
    assert_eq!(cart.events.zone, None);
    assert_eq!(cart.events.max_ahead.to_string(), "1 day");
    assert_eq!(cart.events.deduplicate_by, []);
    assert_eq!(cart.table.target_file_size.bytes(), 268_435_456);
    assert_eq!(cart.schema.on_new_field, OnNewField::Add);
    assert_eq!(cart.schema.max_new_columns, 1000);
    assert!(cart.schema.types.is_empty());
    assert_eq!(cart.retention.keep.to_string(), "2 years");
    assert_eq!(cart.beside.quarantine.to_string(), "2 years");
    assert_eq!(cart.beside.ledger.to_string(), "2 years");
    assert!(policies.dataset("payment").is_none());
    assert!(policies.curated.is_empty());
}

#[test]
fn every_key_of_the_lake_is_read() {
    let lake = "\
version: 1
lake: s3://acme-lake/warehouse/
readers_grace: 2 days
memory: 2 GiB
spill: /mnt/fast
uncommitted_grace: 90 min
table_history: 2 months
unfinished_uploads: 3 days
reports: 18 months
snowflake: { time_travel: 90 days, fail_safe: 0 days }
key: { file: /etc/lakewarden/key }
";
    let policies = parse(&[("lake.yaml", lake), ("datasets/cart.yaml", CART)]).expect("policies");
    assert_eq!(
        policies.lake.location.to_string(),
        "s3://acme-lake/warehouse/"
    );
    assert_eq!(policies.lake.readers_grace.to_string(), "2 days");
    assert_eq!(policies.lake.memory.bytes(), 2 << 30);
    assert_eq!(policies.lake.spill_folder(), Path::new("/mnt/fast"));
    assert_eq!(policies.lake.uncommitted_grace.to_string(), "90 min");
    assert_eq!(policies.lake.table_history.to_string(), "2 months");
    assert_eq!(policies.lake.unfinished_uploads.to_string(), "3 days");
    assert_eq!(policies.lake.reports.to_string(), "18 months");
    let snowflake = policies.lake.snowflake.expect("copies in Snowflake");
    assert_eq!(snowflake.time_travel.to_string(), "90 days");
    assert!(snowflake.fail_safe.is_zero());
    assert_eq!(
        policies.lake.key,
        KeySource::File(PathBuf::from("/etc/lakewarden/key"))
    );
}

#[test]
fn every_key_of_a_dataset_is_read() {
    let payment = "\
version: 1
dataset: payment
raw:
  location: s3://acme-payment-events/topics/payment/
  format: parquet
  keep: 30 days after compaction
events:
  time: header.time
  time_unit: text
  zone: +05:30
  max_ahead: 2 h
  deduplicate_by: [paymentId, eventType]
table:
  partition_by: event_date
  sort_by: [userId, header.time]
  target_file_size: 64 MB
schema:
  on_new_field: rescue
  max_new_columns: 20
  types: { userId: text, items.price: decimal, items.count: integer, isNew: boolean }
retention: { keep: 18 months, quarantine: 90 days, ledger: 3 years }
pii:
  identifiers:
    user_id: [userId, payer.id]
    email: [cardHolderEmail]
  on_erasure: delete
";
    let policies =
        parse(&[("lake.yaml", LAKE), ("datasets/payment.yaml", payment)]).expect("policies");
    let payment = policies.dataset("payment").expect("the dataset");
    assert_eq!(payment.raw.location.bucket, "acme-payment-events");
    assert_eq!(payment.raw.format, RawFormat::Parquet);
    assert_eq!(payment.raw.keep, Some("30 days".parse().expect("a span")));
    assert_eq!(payment.events.time.names(), ["header", "time"]);
    assert_eq!(payment.events.time_unit, TimeUnit::Text);
    let zone = payment.events.zone.expect("a zone");
    assert_eq!(zone.local_minus_utc(), 19_800);
    assert_eq!(payment.events.max_ahead.to_string(), "2 h");
    assert_eq!(
        payment.events.deduplicate_by,
        [path("paymentId"), path("eventType")]
    );
    assert_eq!(payment.table.sort_by, [path("userId"), path("header.time")]);
    assert_eq!(payment.table.target_file_size.bytes(), 64_000_000);
    assert_eq!(payment.schema.on_new_field, OnNewField::Rescue);
    assert_eq!(payment.schema.max_new_columns, 20);
    let types = [
        ("isNew", ColumnType::Boolean),
        ("items.count", ColumnType::Integer),
        ("items.price", ColumnType::Decimal),
        ("userId", ColumnType::Text),
    ];
    let types = types.map(|(field, declared)| (path(field), declared));
    assert_eq!(payment.schema.types, BTreeMap::from(types));
    assert_eq!(payment.retention.keep.to_string(), "18 months");
    assert_eq!(payment.beside.quarantine.to_string(), "90 days");
    assert_eq!(payment.beside.ledger.to_string(), "3 years");
    assert_eq!(
        payment.pii.identifiers["user_id"],
        [path("userId"), path("payer.id")]
    );
    let kinds: Vec<&str> = policies.identifier_kinds().into_iter().collect();
    assert_eq!(kinds, ["email", "user_id"]);
}

#[test]
fn every_key_of_a_curated_table_is_read() {
    let funnel = "\
version: 1
table: funnel
partition_by: event_date
incremental: full
retention: { keep: 90 days }
checks: [\"not_null(event_date)\", drop_off between 0 and 1]
";
    let policies = parse(&[
        ("lake.yaml", LAKE),
        ("datasets/cart.yaml", CART),
        ("curated/funnel.yaml", funnel),
        ("curated/funnel.sql", "SELECT event_date FROM cart\n"),
    ])
    .expect("policies");
    let funnel = &policies.curated[0];
    assert_eq!(funnel.table, "funnel");
    assert_eq!(funnel.query, "SELECT event_date FROM cart\n");
    assert_eq!(funnel.incremental, Incremental::Full);
    assert_eq!(funnel.retention.keep.to_string(), "90 days");
    assert_eq!(
        funnel.checks,
        ["not_null(event_date)", "drop_off between 0 and 1"]
    );
}

#[test]
fn epoch_times_and_refused_fields_can_be_chosen() {
    let table = [
        ("epoch_seconds", TimeUnit::EpochSeconds),
        ("epoch_milliseconds", TimeUnit::EpochMilliseconds),
        ("epoch_microseconds", TimeUnit::EpochMicroseconds),
    ];
    for (written, unit) in table {
        let events = format!("  time: at\n  time_unit: {written}\n");
        let cart =
            CART.replace("  time: timestamp\n", &events) + "schema: { on_new_field: fail }\n";
        let dataset = &with_cart(&cart).datasets[0];
        assert_eq!(dataset.events.time_unit, unit);
        assert_eq!(dataset.schema.on_new_field, OnNewField::Fail);
    }
}

#[test]
fn a_dataset_may_say_that_it_identifies_nobody() {
    let pii = "pii:\n  identifiers:\n    user_id: [userId]\n";
    let policies = with_cart(&CART.replace(pii, "pii: none\n"));
    assert!(policies.datasets[0].pii.identifiers.is_empty());
    assert!(policies.identifier_kinds().is_empty());
}

#[test]
fn quotes_comments_line_ends_and_a_byte_order_mark_do_no_harm() {
    let cart = format!("\u{feff}# the cart\n{CART}")
        .replace("2 years", "\"2 years\"  # by law")
        .replace('\n', "\r\n");
    let policies = with_cart(&cart);
    assert_eq!(policies.datasets[0].retention.keep.to_string(), "2 years");
}

#[test]
fn the_policies_of_this_repository_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let policies = Policies::load(&folder).unwrap_or_else(|errors| panic!("{errors}"));
    let locations: Vec<String> = policies
        .datasets
        .iter()
        .map(|dataset| format!("{} {}", dataset.name, dataset.raw.location))
        .collect();
    assert_eq!(
        locations,
        [
            "cart s3://acme-cart-events/topics/cart/",
            "payment s3://acme-payment-events/topics/payment/",
            "post_purchase s3://acme-post-purchase-events/topics/post_purchase/",
            "product s3://acme-product-events/topics/product/",
        ]
    );
    for dataset in &policies.datasets {
        let raw_keep = dataset.raw.keep.expect("raw objects go some day");
        assert_eq!(raw_keep.to_string(), "30 days");
        assert_eq!(dataset.retention.keep.to_string(), "2 years");
        assert_eq!(dataset.table.target_file_size.to_string(), "256 MiB");
        assert_eq!(dataset.table.sort_by, [path("userId")]);
        assert_eq!(dataset.pii.identifiers["user_id"], [path("userId")]);
    }
    assert!(
        policies
            .curated
            .iter()
            .any(|curated| curated.table == "booking_funnel_daily")
    );
}
