//! Records that no reader can admit: what is wrong with them, and where they stand.
//!
//! Each takes one line and one offset, as any other record does, and leaves the lines before and
//! after it whole.

use chrono::TimeDelta;

use super::SUBJECT_ERASED;
use super::dice::Dice;
use super::outline::Clock;
use super::partition::{Record, Stream};
use super::visit::{self, Stage};

/// How many broken records a demo holds: every kind three times, six in each dataset.
const BROKEN: usize = 24;

/// Those of them, by number, that hold the erased customer's id; one or more in each dataset.
const BROKEN_OF_SUBJECT: [usize; 5] = [0, 1, 4, 10, 13];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Ends in the middle of the session id.
    Truncated,
    TrailingComma,
    /// `NaN` where an amount should be.
    NotANumber,
    /// One word without quotes instead of a document.
    BareWord,
    /// A byte of another encoding in a text.
    InvalidUtf8,
    /// A document, but without an event time.
    MissingTimestamp,
    UnparsableTimestamp,
    /// Half of a surrogate pair, as an escape.
    LoneSurrogate,
}

impl Flaw {
    const ALL: [Self; 8] = [
        Self::Truncated,
        Self::TrailingComma,
        Self::NotANumber,
        Self::BareWord,
        Self::InvalidUtf8,
        Self::MissingTimestamp,
        Self::UnparsableTimestamp,
        Self::LoneSurrogate,
    ];

    /// The bytes that stand instead of a well-formed `line`.
    pub(super) fn spoil(self, line: &str, stage: Stage) -> Vec<u8> {
        let (amount, word) = match stage {
            Stage::Product | Stage::Cart => ("price", "itemName"),
            Stage::Payment => ("totalAmount", "paymentMethod"),
            Stage::PostPurchase => ("totalAmount", "orderStatus"),
        };
        match self {
            Self::Truncated => cut_in(line, "sessionId"),
            Self::TrailingComma => [line.trim_end_matches('}'), ",}"].concat().into_bytes(),
            Self::NotANumber => with_value(line, amount, b"NaN"),
            Self::BareWord => b"undefined".to_vec(),
            Self::InvalidUtf8 => with_value(line, word, b"\"Caf\xE9\""),
            Self::MissingTimestamp => without(line, "timestamp"),
            Self::UnparsableTimestamp => with_value(line, "timestamp", b"\"yesterday at noon\""),
            Self::LoneSurrogate => with_value(line, word, br#""Tour \ud83d""#),
        }
    }
}

/// Puts the broken records among recent ones, never first in a batch.
pub(super) fn scatter(streams: &mut [Stream], clock: &Clock, dice: &mut Dice) {
    for number in 0..BROKEN {
        let kind = Flaw::ALL[number % Flaw::ALL.len()];
        // Shifted by one from round to round, so that a kind meets different datasets.
        let stage = Stage::ALL[(number + number / Flaw::ALL.len()) % Stage::ALL.len()];
        let mut batches = recent_batches(streams, stage, clock);
        if batches.is_empty() {
            continue;
        }
        let chosen = dice.position(batches.len());
        insert(batches.swap_remove(chosen), number, kind, dice);
    }
}

fn recent_batches<'streams>(
    streams: &'streams mut [Stream],
    stage: Stage,
    clock: &Clock,
) -> Vec<&'streams mut Vec<Record>> {
    let recent = clock.now - TimeDelta::days(12);
    let mut batches = Vec::new();
    for stream in streams.iter_mut().filter(|stream| stream.stage == stage) {
        for batch in &mut stream.batches {
            if batch
                .first()
                .is_some_and(|first| first.event.arrival >= recent)
            {
                batches.push(batch);
            }
        }
    }
    batches
}

fn insert(batch: &mut Vec<Record>, number: usize, flaw: Flaw, dice: &mut Dice) {
    let position = 1 + dice.position(batch.len());
    let before = &batch[position - 1].event;
    let customer = if BROKEN_OF_SUBJECT.contains(&number) {
        SUBJECT_ERASED.to_owned()
    } else {
        visit::stranger(dice)
    };
    let event = visit::lone_event(&customer, before, dice);
    let record = Record {
        event,
        flaw: Some(flaw),
    };
    batch.insert(position, record);
}

/// Where the value of the first field of this name begins and ends.
fn value_span(line: &str, name: &str) -> Option<(usize, usize)> {
    let label = format!("\"{name}\": ");
    let start = line.find(&label)? + label.len();
    let value = &line[start..];
    let length = match value.strip_prefix('"') {
        Some(text) => text.find('"')? + 2,
        None => value.find([',', '}'])?,
    };
    Some((start, start + length))
}

fn with_value(line: &str, name: &str, value: &[u8]) -> Vec<u8> {
    let Some((start, end)) = value_span(line, name) else {
        return line.as_bytes().to_vec();
    };
    [&line.as_bytes()[..start], value, &line.as_bytes()[end..]].concat()
}

fn without(line: &str, name: &str) -> Vec<u8> {
    let Some((start, end)) = value_span(line, name) else {
        return line.as_bytes().to_vec();
    };
    let label_start = start - name.len() - 4;
    let rest = line[end..].trim_start_matches([',', ' ']);
    [&line[..label_start], rest].concat().into_bytes()
}

fn cut_in(line: &str, name: &str) -> Vec<u8> {
    let end = value_span(line, name).map_or(line.len() / 2, |(start, _)| start + 6);
    line.as_bytes()[..end].to_vec()
}
