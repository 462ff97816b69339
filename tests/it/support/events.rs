//! Events written by hand, in the shape of the services' messages.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use lakewarden::demo::BUCKETS;

use super::lake::{Lake, NOW};

/// Two customers of [`small_lake`].
pub const ADA: &str = "5550001";
pub const BOB: &str = "5550002";

/// A message of a dataset on one line. A customer has one session a day.
pub fn event(dataset: &str, user: &str, time: &str) -> String {
    let session = format!("session-{user}-{}", &time[..10]);
    let (kind, more) = match dataset {
        "product" => (
            "AddToCartClicked",
            r#""items": [{"itemName": "Tour", "childrenTickets": {}}], "deviceDetails": {"deviceType": "Mobile"}"#,
        ),
        "cart" => (
            "ProceedtoPaymentClicked",
            r#""items": [{"itemName": "Tour", "totalPrice": 60.00, "isInsuranceAdded": "True"}], "deviceDetails": {"deviceType": "Mobile"}"#,
        ),
        "payment" => (
            "ProceedPaymentClicked",
            r#""totalAmount": 60.00, "currency": "GBP""#,
        ),
        _ => (
            "PaymentSuccess",
            r#""totalAmount": 60.00, "orderDetails": {"orderStatus": "Confirmed"}"#,
        ),
    };
    format!(
        r#"{{"eventType": "{kind}", "timestamp": "{time}", "userId": "{user}", "sessionId": "{session}", {more}}}"#
    )
}

/// Records as a consumer writes them: a line each.
pub fn lines(records: &[String]) -> Vec<u8> {
    let mut text = records.join("\n");
    text.push('\n');
    text.into_bytes()
}

pub fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// The key of an object as Kafka Connect names it.
pub fn raw_key(dataset: &str, partition: u32, start: u64) -> String {
    format!(
        "topics/{dataset}/year=2026/month=11/day=19/hour=10/{dataset}+{partition}+{start:010}.json"
    )
}

/// The bucket of a dataset.
pub fn bucket(dataset: &str) -> &'static str {
    let mut found = BUCKETS.iter();
    found.find(|(name, _)| *name == dataset).unwrap().1
}

/// In every dataset two objects, one of them gzip, with seven records of [`ADA`] and [`BOB`]: five events
/// to keep (two of them Ada's), one of Ada's that is too old, and a broken one that names Ada.
pub fn small_lake() -> Lake {
    filled(Lake::empty())
}

/// The same in buckets that keep no versions.
pub fn small_lake_without_versions() -> Lake {
    filled(Lake::without_versions())
}

fn filled(lake: Lake) -> Lake {
    let store = lake.store(NOW);
    for (dataset, bucket) in BUCKETS {
        let on = |user, time| event(dataset, user, time);
        let plain = lines(&[
            on(ADA, "2026-11-18T09:00:00Z"),
            on(BOB, "2026-11-18T10:00:00Z"),
            on(BOB, "2026-11-19T11:00:00Z"),
        ]);
        store.put(bucket, &raw_key(dataset, 0, 0), plain);
        let packed = lines(&[
            on(ADA, "2024-11-19T12:00:00Z"),
            on(BOB, "2024-11-20T12:00:00Z"),
            format!(r#"{{"userId": "{ADA}", "#),
            on(ADA, "2026-11-19T12:00:00Z"),
        ]);
        store.put(bucket, &raw_key(dataset, 1, 100), gzip(&packed));
    }
    drop(store);
    lake
}
