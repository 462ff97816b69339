//! Single values by what they mean: the table at the top of [`super`], for both formats.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::lines::Lines;
use crate::decode::Reason;

/// What a stored value stands for, beyond its stored type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// What the stored type says.
    Itself,
    /// Bytes that are UTF-8 text.
    Text,
    /// A number without sign in an integer that has one.
    Unsigned,
    /// An integer less so many decimal places.
    Decimal {
        scale: usize,
    },
    /// Days since 1970.
    Date,
    /// Since midnight.
    TimeOfDay(Unit),
    /// Since 1970 in UTC.
    Instant(Unit),
    /// Since 1970 in a zone that nobody tells.
    Local(Unit),
    Uuid,
    /// Months, days and milliseconds, 32 bits each, the lowest byte first.
    Duration,
    Float16,
}

/// What a time counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

impl Unit {
    fn decimal_places(self) -> usize {
        match self {
            Self::Milliseconds => 3,
            Self::Microseconds => 6,
            Self::Nanoseconds => 9,
        }
    }

    fn per_second(self) -> i64 {
        match self {
            Self::Milliseconds => 1_000,
            Self::Microseconds => 1_000_000,
            Self::Nanoseconds => 1_000_000_000,
        }
    }
}

const SECONDS_PER_DAY: i64 = 86_400;
/// More decimal digits than anybody counts with; turning bytes into digits takes quadratic time.
const LONGEST_DECIMAL: usize = 1024;

pub(super) fn boolean(lines: &mut Lines, value: bool) {
    lines.raw(if value { b"true" } else { b"false" });
}

/// An integer stored in 32 bits.
pub(super) fn int(lines: &mut Lines, value: i32, meaning: Meaning) {
    match meaning {
        Meaning::Unsigned => lines.raw(value.cast_unsigned().to_string().as_bytes()),
        _ => long(lines, value.into(), meaning),
    }
}

/// An integer stored in 64 bits.
pub(super) fn long(lines: &mut Lines, value: i64, meaning: Meaning) {
    let text = match meaning {
        Meaning::Unsigned => Some(value.cast_unsigned().to_string()),
        Meaning::Decimal { scale } => Some(with_point(&value.to_string(), scale)),
        Meaning::Date => date(value),
        Meaning::TimeOfDay(unit) => time_of_day(value, unit),
        Meaning::Instant(unit) => timestamp(value, unit).map(|text| text + "Z\""),
        Meaning::Local(unit) => timestamp(value, unit).map(|text| text + "\""),
        _ => Some(value.to_string()),
    };
    if text.is_none() {
        lines.flaw(Reason::TimeOutOfRange);
    }
    lines.raw(text.unwrap_or_else(|| value.to_string()).as_bytes());
}

pub(super) fn float(lines: &mut Lines, value: f32) {
    // By its own width: as a double, 0.1 would be 0.10000000149011612.
    number(lines, value.is_finite(), &format!("{value:?}"));
}

pub(super) fn double(lines: &mut Lines, value: f64) {
    number(lines, value.is_finite(), &format!("{value:?}"));
}

fn number(lines: &mut Lines, is_finite: bool, text: &str) {
    if !is_finite {
        lines.flaw(Reason::NotFinite);
    }
    lines.raw(text.as_bytes());
}

/// Bytes, of any length or a fixed one.
pub(super) fn bytes(lines: &mut Lines, bytes: &[u8], meaning: Meaning) {
    match (meaning, bytes) {
        (Meaning::Text, _) => lines.string(bytes),
        (Meaning::Decimal { scale }, _) if bytes.len() <= LONGEST_DECIMAL => {
            lines.raw(with_point(&digits(bytes), scale).as_bytes());
        }
        (Meaning::Uuid, _) => match Uuid::from_slice(bytes) {
            Ok(uuid) => lines.string(uuid.hyphenated().to_string().as_bytes()),
            Err(_) => base64(lines, bytes),
        },
        (Meaning::Duration, [months @ .., _, _, _, _, _, _, _, _]) if months.len() == 4 => {
            duration(lines, bytes);
        }
        (Meaning::Float16, [low, high]) => float(lines, half(u16::from_le_bytes([*low, *high]))),
        _ => base64(lines, bytes),
    }
}

fn base64(lines: &mut Lines, bytes: &[u8]) {
    lines.raw(b"\"");
    // What is too long is refused by its length, before it is made longer still.
    let longest = lines.max_record_bytes().saturating_add(1);
    lines.raw(
        BASE64
            .encode(bytes.get(..longest).unwrap_or(bytes))
            .as_bytes(),
    );
    lines.raw(b"\"");
}

fn duration(lines: &mut Lines, bytes: &[u8]) {
    lines.open(b'{');
    for (name, part) in ["\"months\":", ",\"days\":", ",\"milliseconds\":"]
        .iter()
        .zip(bytes.chunks_exact(4))
    {
        let count = part
            .iter()
            .rev()
            .fold(0, |count: u32, byte| count << 8 | u32::from(*byte));
        lines.raw(name.as_bytes());
        lines.raw(count.to_string().as_bytes());
    }
    lines.close(b'}');
}

/// An IEEE 754 half as a single, which holds every half exactly.
fn half(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1024.0 + fraction) * 2f32.powi(exponent - 25),
    }
}

/// The decimal digits of a two's complement integer, the highest byte first.
fn digits(bytes: &[u8]) -> String {
    let is_negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let mut magnitude = bytes.to_vec();
    if is_negative {
        let mut carry = true;
        for byte in magnitude.iter_mut().rev() {
            (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
        }
    }
    let mut groups = Vec::new();
    while magnitude.iter().any(|byte| *byte != 0) {
        let mut rest: u64 = 0;
        for byte in &mut magnitude {
            let value = rest << 8 | u64::from(*byte);
            *byte = (value / 1_000_000_000) as u8;
            rest = value % 1_000_000_000;
        }
        groups.push(rest);
    }
    let Some(highest) = groups.pop() else {
        return "0".into();
    };
    let sign = if is_negative { "-" } else { "" };
    let groups = groups.iter().rev().map(|group| format!("{group:09}"));
    format!("{sign}{highest}{}", groups.collect::<String>())
}

/// Digits with a decimal point before the last `scale` of them.
fn with_point(digits: &str, scale: usize) -> String {
    if scale == 0 {
        return digits.to_owned();
    }
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", digits),
    };
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

fn date(days: i64) -> Option<String> {
    let midnight = DateTime::<Utc>::from_timestamp(days.checked_mul(SECONDS_PER_DAY)?, 0)?;
    Some(format!("\"{}\"", midnight.format("%Y-%m-%d")))
}

fn time_of_day(value: i64, unit: Unit) -> Option<String> {
    let seconds = value.div_euclid(unit.per_second());
    if !(0..SECONDS_PER_DAY).contains(&seconds) {
        return None;
    }
    let time = DateTime::<Utc>::from_timestamp(seconds, 0)?;
    Some(format!(
        "\"{}.{}\"",
        time.format("%H:%M:%S"),
        fraction(value, unit)
    ))
}

/// With an opening quote and without a closing one.
fn timestamp(value: i64, unit: Unit) -> Option<String> {
    let time = DateTime::<Utc>::from_timestamp(value.div_euclid(unit.per_second()), 0)?;
    let fraction = fraction(value, unit);
    Some(format!("\"{}.{fraction}", time.format("%Y-%m-%dT%H:%M:%S")))
}

fn fraction(value: i64, unit: Unit) -> String {
    let rest = value.rem_euclid(unit.per_second());
    format!("{rest:0width$}", width = unit.decimal_places())
}
