//! Events written by hand, in the shape of the services' messages.

use std::fmt::Write as _;

/// An event of the dataset `cart` or `product`, whose fields a test sets as it needs.
#[derive(Debug, Clone)]
pub struct Click {
    pub user: &'static str,
    pub session: &'static str,
    pub time: String,
    pub price: &'static str,
}

impl Click {
    pub fn new(user: &'static str, session: &'static str, time: &str) -> Self {
        Self {
            user,
            session,
            time: time.to_owned(),
            price: "60.00",
        }
    }

    /// The message on one line.
    pub fn line(&self) -> String {
        let Self {
            user,
            session,
            time,
            price,
        } = self;
        format!(
            r#"{{"eventType": "ProceedtoPaymentClicked", "timestamp": "{time}", "userId": "{user}", "sessionId": "{session}", "items": [{{"itemName": "Tour", "totalPrice": {price}, "childrenTickets": {{}}, "isInsuranceAdded": "True"}}], "deviceDetails": {{"deviceType": "Mobile"}}}}"#
        )
    }
}

/// Messages as a consumer writes them: a line each.
pub fn lines(clicks: &[Click]) -> Vec<u8> {
    let mut text = String::new();
    for click in clicks {
        writeln!(text, "{}", click.line()).unwrap();
    }
    text.into_bytes()
}

/// The key of an object as Kafka Connect names it.
pub fn raw_key(topic: &str, partition: u32, start: u64) -> String {
    format!("topics/{topic}/year=2026/month=11/day=19/hour=10/{topic}+{partition}+{start:010}.json")
}

/// The bucket of a dataset.
pub fn bucket(dataset: &str) -> &'static str {
    let found = lakewarden::demo::BUCKETS.iter();
    found.copied().find(|(name, _)| *name == dataset).unwrap().1
}
