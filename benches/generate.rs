//! Writes the benchmark's input: cart-page events as their service publishes them, in objects as Kafka
//! Connect names them (`cart+<partition>+<first offset>.json`).
//!
//! Equal options make equal bytes, on any machine and with any number of cores: every file has random
//! numbers of its own. It uses the standard library alone, so that `rustc -O` builds it in a second;
//! `compaction.py` does that.
//!
//! Hazard: it overwrites files of those names in `--out`.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

const USAGE: &str =
    "usage: generate --out DIR [--files 1000] [--events-per-file 500] [--days 3] [--seed 1]
Writes cart-page events, one a line; --days from 1 to 28, from 2026-09-01 on.";

const KAFKA_PARTITIONS: u64 = 8;
const USERS: u64 = 300_000;
const SECONDS_A_DAY: u64 = 86_400;
const INSURANCE: &str =
    r#"{"type": "Personal Accident and Theft Protection", "price": 5, "currency": "GBP"}"#;

const PLACES: [&str; 12] = [
    "Manchester City Stadium Tour",
    "National Football Museum",
    "Musée des Beaux-Arts, Évening Opening",
    "Harbour Ship & Submarine Day",
    "Old Royal Observatory",
    "City Art Gallery: Light and Glass",
    "Science Museum Late",
    "Castle and Gardens",
    "Railway Works Guided Walk",
    "Motor Museum",
    "Whitby Abbey",
    "Concert Hall Backstage Tour",
];
const DEVICES: [(&str, &str, &str); 5] = [
    ("Desktop", "Windows 10", "Chrome"),
    ("Desktop", "macOS 14", "Safari"),
    ("Mobile", "iOS 17", "Safari"),
    ("Mobile", "Android 14", "Chrome"),
    ("Tablet", "iPadOS 17", "Safari"),
];

struct Options {
    out: PathBuf,
    files: u64,
    events_per_file: u64,
    days: u64,
    seed: u64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo bench` runs every benchmark with `--bench`; this one has nothing to measure.
    if arguments.is_empty() || arguments == ["--bench"] {
        return say(USAGE, ExitCode::SUCCESS);
    }
    let options = match Options::parse(&arguments) {
        Ok(options) => options,
        Err(problem) => return say(&format!("{problem}\n{USAGE}"), ExitCode::from(2)),
    };
    match write_files(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let place = options.out.display();
            say(
                &format!("cannot write into {place}: {error}"),
                ExitCode::FAILURE,
            )
        }
    }
}

fn say(text: &str, exit: ExitCode) -> ExitCode {
    // Nobody is left to be told if standard error is gone.
    let _ = writeln!(io::stderr(), "{text}");
    exit
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut out = None;
        let (mut files, mut events_per_file, mut days, mut seed) = (1000, 500, 3, 1);
        for pair in arguments.chunks(2) {
            let [name, value] = pair else {
                return Err(format!("no value after {}", pair.concat()));
            };
            let number = || {
                value
                    .parse::<u64>()
                    .map_err(|_| format!("{name}: not a number"))
            };
            match name.as_str() {
                "--out" => out = Some(PathBuf::from(value)),
                "--files" => files = number()?,
                "--events-per-file" => events_per_file = number()?,
                "--days" => days = number()?,
                "--seed" => seed = number()?,
                _ => return Err(format!("unknown option {name}")),
            }
        }
        if !(1..=28).contains(&days) {
            return Err("--days: from 1 to 28".to_owned());
        }
        let out = out.ok_or("--out is missing")?;
        Ok(Self {
            out,
            files,
            events_per_file,
            days,
            seed,
        })
    }
}

/// Every core takes the next file that nobody has taken.
fn write_files(options: &Options) -> io::Result<()> {
    fs::create_dir_all(&options.out)?;
    let next = AtomicU64::new(0);
    let work = || -> io::Result<()> {
        loop {
            let file = next.fetch_add(1, Ordering::Relaxed);
            if file >= options.files {
                return Ok(());
            }
            write_file(options, file)?;
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            worker
                .join()
                .map_err(|_| io::Error::other("a thread ended early"))??;
        }
        Ok(())
    })
}

fn write_file(options: &Options, file: u64) -> io::Result<()> {
    let partition = file % KAFKA_PARTITIONS;
    let round = file / KAFKA_PARTITIONS;
    let rounds = options.files.div_ceil(KAFKA_PARTITIONS);
    let span = options.days * SECONDS_A_DAY;
    let mut dice = Dice::new(options.seed, file);
    let mut text = String::with_capacity(options.events_per_file as usize * 1500);
    for event in 0..options.events_per_file {
        // The partitions fill side by side, and time rises in each of them.
        let slot = round * options.events_per_file + event;
        let slots = rounds * options.events_per_file;
        let second = (slot * span + dice.below(span)) / slots;
        push_event(&mut text, second, &mut dice);
        text.push('\n');
    }
    let offset = round * options.events_per_file;
    let name = format!("cart+{partition}+{offset:010}.json");
    fs::write(options.out.join(name), text)
}

fn push_event(text: &mut String, second: u64, dice: &mut Dice) {
    let (day, hour) = (second / SECONDS_A_DAY + 1, second / 3600 % 24);
    let (minute, second) = (second / 60 % 60, second % 60);
    let user = 100_000 + dice.below(USERS);
    let (session, cart) = (dice.identifier(8), dice.identifier(7));
    push(
        text,
        format_args!(
            r#"{{"eventType": "ProceedtoPaymentClicked", "timestamp": "2026-09-{day:02}T{hour:02}:{minute:02}:{second:02}Z", "userId": "{user}", "sessionId": "{session}", "cartId": "{cart}", "items": ["#
        ),
    );
    let items = match dice.below(100) {
        0..55 => 1,
        55..88 => 2,
        _ => 3,
    };
    for item in 0..items {
        if item > 0 {
            text.push_str(", ");
        }
        push_item(text, dice);
    }
    let (kind, system, browser) = dice.one_of(&DEVICES);
    push(
        text,
        format_args!(
            r#"], "deviceDetails": {{"deviceType": "{kind}", "operatingSystem": "{system}", "browser": "{browser}"}}}}"#
        ),
    );
}

fn push_item(text: &mut String, dice: &mut Dice) {
    let place = dice.below(PLACES.len() as u64);
    let name = PLACES.get(place as usize).copied().unwrap_or_default();
    // As an identifier of a place should, it stays the same from event to event.
    let place_id = Dice::new(place, u64::MAX).identifier(8);
    let (ticket_day, ticket_hour) = (1 + dice.below(31), 9 + dice.below(8));
    let adults = 1 + dice.below(4);
    let children = dice.below(10).saturating_sub(6);
    let adult_pence = 1000 + 25 * dice.below(120);
    let child_pence = adult_pence / 2;
    let total = Pounds(adults * adult_pence + children * child_pence);
    let (tickets, points) = (adults + children, 500 * adults + 250 * children);
    push(
        text,
        format_args!(
            r#"{{"itemType": "EntryTicket", "itemId": "{place_id}", "itemName": "{name}", "ticketDate": "2026-10-{ticket_day:02}T{ticket_hour:02}:00:00", "totalPrice": {total}, "totalDiscountedPrice": {total}, "totalQuantity": {tickets}, "totalLoyaltyPoints": {points}, "currency": "GBP", "isBookingforSomeoneElse": "False", "isVoucherCodeUsed": "False", "adultTickets": "#
        ),
    );
    push_tickets(text, adults, adult_pence, "adult", 500);
    text.push_str(r#", "childrenTickets": "#);
    push_tickets(text, children, child_pence, "children", 250);
    let (insured, insurance) = match dice.below(2) {
        0 => ("True", INSURANCE),
        _ => ("False", "{}"),
    };
    push(
        text,
        format_args!(
            r#", "elderlyTickets": {{}}, "specialDiscountTickets": {{}}, "specialRequest": {{}}, "isInsuranceAdded": "{insured}", "insuranceDetails": {insurance}}}"#
        ),
    );
}

fn push_tickets(text: &mut String, quantity: u64, pence: u64, whose: &str, points_each: u64) {
    if quantity == 0 {
        text.push_str("{}");
        return;
    }
    let (price, points) = (Pounds(pence), points_each * quantity);
    push(
        text,
        format_args!(
            r#"{{"quantity": {quantity}, "price": {price}, "discountedPrice": {price}, "{whose}TotalLoyaltyPoints": {points}}}"#
        ),
    );
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a `String` cannot fail.
    let _ = text.write_fmt(arguments);
}

/// An amount in pence, written with two decimals as the service writes prices.
struct Pounds(u64);

impl std::fmt::Display for Pounds {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

/// Random numbers by `SplitMix64` (Steele, Lea and Flood, 2014).
struct Dice(u64);

impl Dice {
    fn new(seed: u64, stream: u64) -> Self {
        let mut dice = Self(seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95));
        dice.0 = dice.next();
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    fn one_of<T: Copy + Default>(&mut self, choices: &[T]) -> T {
        let index = self.below(choices.len() as u64) as usize;
        choices.get(index).copied().unwrap_or_default()
    }

    /// Digits in groups, as the services make their ids; `first` is the length of the first group.
    fn identifier(&mut self, first: u32) -> String {
        let mut group = |digits: u32| {
            let least = 10_u64.pow(digits - 1);
            least + self.below(9 * least)
        };
        let [one, two, three, four, five] = [first, 4, 4, 4, 8].map(&mut group);
        format!("{one}-{two}-{three}-{four}-{five}")
    }
}
