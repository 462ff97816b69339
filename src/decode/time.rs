//! When an event happened, by the unit and zone that its policy declares.
//!
//! Hazard: a guess is worse than none. A time that is missing, doubtful or unreadable is a reason
//! for quarantine, never 1970.

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, TimeZone, Timelike, Utc};

use super::number::{Decimal, is_json_number};
use super::{FieldPath, Json, Reason};

/// How a policy says that events tell their time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeRule {
    pub path: FieldPath,
    pub unit: TimeUnit,
    /// Where texts without an offset were written; without a zone such texts are refused.
    pub zone: Option<FixedOffset>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// RFC 3339, with `T` or a blank between date and time.
    Text,
    EpochSeconds,
    EpochMilliseconds,
    EpochMicroseconds,
}

const NANOSECONDS_PER_SECOND: i128 = 1_000_000_000;

/// A value where a time is expected.
#[derive(Clone, Copy)]
pub(super) enum Scalar<'value> {
    Null,
    /// As it is spelled.
    Number(&'value str),
    Text(&'value str),
    Other,
}

/// The time of an event: exactly one value has to stand at the rule's path. Epochs may be numbers
/// or the text of numbers; what is finer than a nanosecond is cut off.
pub fn event_time(event: &Json, rule: &TimeRule) -> Result<DateTime<Utc>, Reason> {
    let value = match event.at(&rule.path).as_slice() {
        [] => return Err(Reason::TimeMissing),
        [value] => *value,
        _ => return Err(Reason::TimeAmbiguous),
    };
    let scalar = match value {
        Json::Null => Scalar::Null,
        Json::Number(number) => Scalar::Number(number.as_str()),
        Json::String(text) => Scalar::Text(text),
        _ => Scalar::Other,
    };
    time_of(scalar, rule)
}

/// The time that the only value at the rule's path says.
pub(super) fn time_of(value: Scalar<'_>, rule: &TimeRule) -> Result<DateTime<Utc>, Reason> {
    let time = match (rule.unit, value) {
        (_, Scalar::Null) => return Err(Reason::TimeMissing),
        (TimeUnit::Text, Scalar::Text(text)) => from_text(text, rule.zone)?,
        (TimeUnit::EpochSeconds, value) => from_epoch(value, 9)?,
        (TimeUnit::EpochMilliseconds, value) => from_epoch(value, 6)?,
        (TimeUnit::EpochMicroseconds, value) => from_epoch(value, 3)?,
        (TimeUnit::Text, _) => return Err(Reason::TimeUnparsable),
    };
    if !(1..=9999).contains(&time.year()) {
        return Err(Reason::TimeOutOfRange);
    }
    Ok(time)
}

fn from_text(text: &str, zone: Option<FixedOffset>) -> Result<DateTime<Utc>, Reason> {
    if let Some(time) = from_usual_text(text) {
        return Ok(time);
    }
    let time = match DateTime::parse_from_rfc3339(text) {
        Ok(time) => time.to_utc(),
        Err(_) => from_naive_text(text, zone)?,
    };
    let is_leap_second = time.nanosecond() >= 1_000_000_000;
    // Leap seconds are inserted at the end of a UTC day only.
    if is_leap_second && (time.hour(), time.minute()) != (23, 59) {
        return Err(Reason::TimeUnparsable);
    }
    Ok(time)
}

/// What nearly all events say, `2024-08-14T14:00:00Z`, without the general reader's cost.
fn from_usual_text(text: &str) -> Option<DateTime<Utc>> {
    let [
        y1,
        y2,
        y3,
        y4,
        b'-',
        m1,
        m2,
        b'-',
        d1,
        d2,
        b'T',
        h1,
        h2,
        b':',
        n1,
        n2,
        b':',
        s1,
        s2,
        b'Z',
    ] = text.as_bytes()
    else {
        return None;
    };
    let number = |digits: &[&u8]| {
        digits.iter().try_fold(0_u32, |number, digit| {
            let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
            Some(number * 10 + u32::from(digit))
        })
    };
    let year = i32::try_from(number(&[y1, y2, y3, y4])?).ok()?;
    NaiveDate::from_ymd_opt(year, number(&[m1, m2])?, number(&[d1, d2])?)?
        .and_hms_opt(number(&[h1, h2])?, number(&[n1, n2])?, number(&[s1, s2])?)
        .map(|time| time.and_utc())
}

fn from_naive_text(text: &str, zone: Option<FixedOffset>) -> Result<DateTime<Utc>, Reason> {
    let naive = DateTime::parse_from_rfc3339(&format!("{text}Z"))
        .map_err(|_| Reason::TimeUnparsable)?
        .naive_utc();
    let zone = zone.ok_or(Reason::TimeWithoutZone)?;
    let local = zone.from_local_datetime(&naive).single();
    Ok(local.ok_or(Reason::TimeOutOfRange)?.to_utc())
}

/// `nanosecond_digits`: how many decimal places turn the unit into nanoseconds.
fn from_epoch(value: Scalar<'_>, nanosecond_digits: i128) -> Result<DateTime<Utc>, Reason> {
    let spelling = match value {
        Scalar::Number(spelling) => spelling,
        Scalar::Text(text) if is_json_number(text.as_bytes()) => text,
        _ => return Err(Reason::TimeUnparsable),
    };
    let decimal = Decimal::of(spelling);
    let nanoseconds = whole_part(&decimal, nanosecond_digits).ok_or(Reason::TimeOutOfRange)?;
    let seconds = i64::try_from(nanoseconds.div_euclid(NANOSECONDS_PER_SECOND));
    let rest = u32::try_from(nanoseconds.rem_euclid(NANOSECONDS_PER_SECOND));
    match (seconds, rest) {
        (Ok(seconds), Ok(rest)) => DateTime::from_timestamp(seconds, rest),
        _ => None,
    }
    .ok_or(Reason::TimeOutOfRange)
}

/// The decimal times ten to `power`, what is left behind the point cut off towards the past.
fn whole_part(decimal: &Decimal, power: i128) -> Option<i128> {
    let Decimal::Digits {
        negative,
        digits,
        power_of_ten,
    } = decimal
    else {
        return matches!(decimal, Decimal::Zero).then_some(0);
    };
    let shift = power_of_ten.checked_add(power)?;
    let zeros = usize::try_from(shift).unwrap_or(0);
    if zeros > 38 {
        return None;
    }
    let cut_off = usize::try_from(shift.checked_neg()?).unwrap_or(0);
    let whole_digits = digits.get(..digits.len().saturating_sub(cut_off))?;
    let magnitude: i128 = format!("0{whole_digits}{}", "0".repeat(zeros))
        .parse()
        .ok()?;
    let towards_past = i128::from(*negative && cut_off > 0);
    Some(if *negative { -magnitude } else { magnitude } - towards_past)
}
