//! The demo's raw events: what the Kafka consumers of an online ticket seller's four services
//! would have left on S3, made from a seed, a number of events and a `now`.
//!
//! It is a pure function, so that a demo can be shown twice and a test can say what must come of
//! it: the same three arguments give the same bytes, on every platform. With the objects comes the
//! [`Truth`] about them, counted while they are written and without the program's own decoder,
//! planner or SQL; so it can check conservation (invariant 1), exactly-once (3), erasure (8) and
//! retention (10).
//!
//! Hazards it takes care of:
//! - The digits of the two named customers occur nowhere by chance, neither in another id nor in
//!   an object key, so a search for traces finds what was meant and nothing else.
//! - A broken record stands on a line of its own, never the first of its object, and is never
//!   delivered twice: `records = kept + expired + broken + duplicates` holds exactly.
//! - Every event of the two named customers carries the `userId`, so "without this customer"
//!   means the same with and without a look at linked ids.
//! - Where a `userId` is a number, the same group of the funnel holds the same customer as text
//!   too: the funnel is the same whether a reader admits numbers there or not.

mod delivery;
mod dice;
mod document;
mod flaw;
mod funnel;
mod message;
mod object;
mod outline;
mod partition;
mod truth;
mod visit;

#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};

use self::dice::Dice;
use self::outline::Clock;
pub use self::truth::{DatasetTruth, FunnelRow, SubjectTruth, Truth};

/// Each dataset's name (it is the Kafka topic's too) and its bucket, in the order of the funnel.
pub const BUCKETS: [(&str, &str); 4] = [
    ("product", "acme-product-events"),
    ("cart", "acme-cart-events"),
    ("payment", "acme-payment-events"),
    ("post_purchase", "acme-post-purchase-events"),
];

/// The customer whose erasure request the demo files.
pub const SUBJECT_ERASED: &str = "424242";

/// The customer of the published sample messages, who stays.
pub const SUBJECT_SAMPLE: &str = "789456";

/// Fewer events than this cannot show every case; a smaller wish is raised to it.
pub const MINIMUM_EVENTS: usize = 250;

/// One object as a consumer wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawObject {
    /// The bucket of the service that the events come from.
    pub bucket: String,
    /// The key below the bucket, as Kafka Connect lays it.
    pub key: String,
    /// The bytes as stored: plain text or gzip, or nothing for a marker.
    pub body: Vec<u8>,
}

/// The raw objects, sorted by bucket and key, and what is true of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Demo {
    pub objects: Vec<RawObject>,
    pub truth: Truth,
}

/// Makes `events` distinct well-formed events (at least [`MINIMUM_EVENTS`]) that end at `now`;
/// broken records and repeats come on top.
///
/// They lie in the ten days up to `now`, a few weeks before (late ones) and around the day two
/// calendar years ago.
pub fn generate(seed: u64, events: usize, now: DateTime<Utc>) -> Demo {
    let mut dice = Dice::new(seed);
    let clock = Clock::at(now);
    let events = visit::events(events.max(MINIMUM_EVENTS), &clock, &mut dice);
    let mut streams = partition::batches_by_partition(events, &mut dice);
    flaw::scatter(&mut streams, &clock, &mut dice);
    let partitions = partition::number(streams, &mut dice);
    let deliveries = delivery::all(&partitions, &clock, &mut dice);

    let mut objects: Vec<RawObject> = deliveries.iter().map(object::write).collect();
    let markers = object::markers(&partitions);
    let truth = truth::count(&deliveries, &objects, &markers, &clock);
    objects.extend(markers);
    objects.sort_by(|left, right| (&left.bucket, &left.key).cmp(&(&right.bucket, &right.key)));
    Demo { objects, truth }
}

/// Whether the digits of one of the two named customers stand anywhere in `text`.
fn names_a_subject(text: &str) -> bool {
    text.contains(SUBJECT_ERASED) || text.contains(SUBJECT_SAMPLE)
}
