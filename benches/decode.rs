//! How fast events are decoded, beside parsers that do less: MB of JSON a second on one core, median and
//! best of several runs. `cargo bench --bench decode [MB]`.
//!
//! | line | what it does |
//! |---|---|
//! | sonic-rs | parses into its tree, digits kept |
//! | simd-json | parses into its tape, digits lost |
//! | arrow-json | reads into columns of a given schema, what does not fit is lost |
//! | records | `Records`: frames and parses |
//! | events | records → time → fingerprint → columns with `_rescued` |
//! | fingerprints | those of the rows that came out, column by column |

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for people to run"
)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::Cursor;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use lakewarden::decode::{
    EventColumns, FieldPath, Learning, Limits, NewFields, Records, SchemaRules, TimeRule, TimeUnit,
    fingerprints,
};
use sonic_rs::JsonContainerTrait;

const RUNS: usize = 9;
const EVENTS_PER_OBJECT: usize = 500;

fn main() {
    let megabytes: usize = std::env::args()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(64);
    let objects = objects(megabytes * 1_000_000);
    let bytes: usize = objects.iter().map(Vec::len).sum();
    let schema = schema_of(&objects[0]);
    let batches = decode(&objects, &schema);
    println!(
        "{} objects, {} events, {:.1} MB, {} bytes an event; MB/s a core, median (best) of {RUNS}",
        objects.len(),
        objects.len() * EVENTS_PER_OBJECT,
        bytes as f64 / 1e6,
        bytes / (objects.len() * EVENTS_PER_OBJECT)
    );
    measure("sonic-rs", bytes, || sonic(&objects));
    measure("simd-json", bytes, || simd(&objects));
    measure("arrow-json", bytes, || arrow_json(&objects, &schema));
    measure("records", bytes, || records(&objects));
    measure("events", bytes, || decode(&objects, &schema).len());
    measure("fingerprints", bytes, || rows(&batches));
}

fn measure(name: &str, bytes: usize, work: impl Fn() -> usize) {
    let mut speeds: Vec<f64> = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let start = Instant::now();
        black_box(work());
        speeds.push(bytes as f64 / 1e6 / start.elapsed().as_secs_f64());
    }
    speeds.sort_by(f64::total_cmp);
    println!(
        "{name:14} {:6.0} ({:.0})",
        speeds[RUNS / 2],
        speeds[RUNS - 1]
    );
}

fn lines(object: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = object.split(|byte| *byte == b'\n');
    lines.filter(|line| !line.is_empty())
}

fn sonic(objects: &[Vec<u8>]) -> usize {
    let mut count = 0;
    for line in objects.iter().flat_map(|object| lines(object)) {
        let mut reader = sonic_rs::Deserializer::from_slice(line).use_rawnumber();
        let value: sonic_rs::Value = reader.deserialize().unwrap();
        count += black_box(&value)
            .as_object()
            .map_or(0, sonic_rs::Object::len);
    }
    count
}

fn simd(objects: &[Vec<u8>]) -> usize {
    let mut buffers = simd_json::Buffers::new(4096);
    let mut copy = Vec::new();
    let mut count = 0;
    for line in objects.iter().flat_map(|object| lines(object)) {
        copy.clear();
        copy.extend_from_slice(line);
        count += simd_json::to_tape_with_buffers(&mut copy, &mut buffers)
            .unwrap()
            .0
            .len();
    }
    count
}

fn arrow_json(objects: &[Vec<u8>], schema: &SchemaRef) -> usize {
    let mut rows = 0;
    for object in objects {
        let reader = arrow::json::ReaderBuilder::new(Arc::clone(schema))
            .build(Cursor::new(object))
            .unwrap();
        rows += reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>();
    }
    rows
}

fn records(objects: &[Vec<u8>]) -> usize {
    let mut events = 0;
    for object in objects {
        let mut records = Records::new(object.as_slice(), &Limits::default());
        while let Some(record) = records.next_record() {
            events += usize::from(record.content.is_ok());
        }
    }
    events
}

/// All that a night does with an event before it is sorted and written.
fn decode(objects: &[Vec<u8>], schema: &SchemaRef) -> Vec<RecordBatch> {
    let rule = TimeRule {
        path: FieldPath::from_names(["timestamp"]),
        unit: TimeUnit::Text,
        zone: None,
    };
    let mut batches = Vec::with_capacity(objects.len());
    for object in objects {
        let mut columns = EventColumns::new(schema);
        let mut sum = 0_u64;
        let mut records = Records::new(object.as_slice(), &Limits::default());
        while let Some(record) = records.next_record() {
            let event = record.content.unwrap();
            black_box(event.time(&rule).unwrap());
            sum = sum.wrapping_add(event.fingerprint());
            columns.append(event);
        }
        let batch = columns.finish().unwrap();
        batches.push(batch);
        black_box(sum);
    }
    batches
}

fn rows(batches: &[RecordBatch]) -> usize {
    let rows = batches
        .iter()
        .map(|batch| fingerprints(batch).unwrap().len());
    rows.sum()
}

fn schema_of(object: &[u8]) -> SchemaRef {
    let mut learning = Learning::default();
    let mut records = Records::new(object, &Limits::default());
    while let Some(record) = records.next_record() {
        learning.observe(record.content.unwrap());
    }
    let rules = SchemaRules {
        on_new_field: NewFields::Add,
        max_columns: 1000,
        types: std::collections::BTreeMap::new(),
        identifying: std::collections::BTreeSet::new(),
    };
    learning.conclude(None, &rules).schema
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % sides
    }

    fn identifier(&mut self) -> String {
        let (first, rest) = (self.roll(90_000_000), self.roll(9_000));
        let (middle, last) = (self.roll(9_000), self.roll(90_000_000));
        format!(
            "{}-{}-{}-{}",
            first + 10_000_000,
            rest + 1_000,
            middle + 1_000,
            last + 10_000_000
        )
    }
}

/// JSON lines of about `bytes` bytes, in the shape of a cart page's events.
fn objects(bytes: usize) -> Vec<Vec<u8>> {
    let mut dice = Dice(7);
    let mut objects = Vec::new();
    let mut written = 0;
    while written < bytes {
        let mut object = String::new();
        for _ in 0..EVENTS_PER_OBJECT {
            write_event(&mut object, &mut dice);
        }
        written += object.len();
        objects.push(object.into_bytes());
    }
    objects
}

fn write_event(text: &mut String, dice: &mut Dice) {
    let (hour, minute, second) = (dice.roll(24), dice.roll(60), dice.roll(60));
    let (user, session, cart) = (dice.roll(300_000), dice.identifier(), dice.identifier());
    let _ = write!(
        text,
        r#"{{"eventType": "ProceedtoPaymentClicked", "timestamp": "2024-08-14T{hour:02}:{minute:02}:{second:02}Z", "userId": "{user}", "sessionId": "{session}", "cartId": "{cart}", "items": ["#
    );
    for item in 0..=dice.roll(3) / 2 {
        text.push_str(if item > 0 { ", " } else { "" });
        write_item(text, dice);
    }
    let device = ["Desktop", "Mobile"][dice.roll(2) as usize];
    let browser = ["Chrome", "Safari"][dice.roll(2) as usize];
    let _ = writeln!(
        text,
        r#"], "deviceDetails": {{"deviceType": "{device}", "operatingSystem": "Windows 10", "browser": "{browser}"}}}}"#
    );
}

fn write_item(text: &mut String, dice: &mut Dice) {
    let (day, quantity, price) = (
        dice.roll(28) + 1,
        dice.roll(4) + 1,
        dice.roll(3_000) + 1_000,
    );
    let total = price * quantity;
    let amount = |pence: u64| format!("{}.{:02}", pence / 100, pence % 100);
    let (name, id) = (
        ["Harbour Tour", "Musée de l’Air"][dice.roll(2) as usize],
        dice.identifier(),
    );
    let children = match dice.roll(5) {
        0 | 1 => format!(
            r#"{{"quantity": 1, "price": {}, "childrenTotalLoyaltyPoints": 250}}"#,
            amount(price / 2)
        ),
        _ => "{}".to_owned(),
    };
    let insurance = match dice.roll(2) {
        0 => r#"{"type": "Personal Accident and Theft Protection", "price": 5, "currency": "GBP"}"#,
        _ => "{}",
    };
    let _ = write!(
        text,
        r#"{{"itemType": "EntryTicket", "itemId": "{id}", "itemName": "{name}", "ticketDate": "2024-09-{day:02}T10:00:00", "totalPrice": {total}, "totalDiscountedPrice": {total}, "totalQuantity": {quantity}, "totalLoyaltyPoints": {points}, "currency": "GBP", "isBookingforSomeoneElse": "False", "isVoucherCodeUsed": "False", "adultTickets": {{"quantity": {quantity}, "price": {price}, "discountedPrice": {price}, "adultTotalLoyaltyPoints": {points}}}, "childrenTickets": {children}, "elderlyTickets": {{}}, "specialDiscountTickets": {{}}, "specialRequest": {{}}, "isInsuranceAdded": "True", "insuranceDetails": {insurance}}}"#,
        total = amount(total),
        price = amount(price),
        points = 500 * quantity,
    );
}
