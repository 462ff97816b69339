//! When an event happened, so far as it decides whether it is from after a request.
//!
//! Hazard: a time that is doubtful must not excuse an event, so it is none.

use chrono::{DateTime, Datelike, TimeZone, Timelike, Utc};

use super::fields::Clock;
use crate::policy::TimeUnit;

/// A value where a time is expected.
#[derive(Debug, Clone, Copy)]
pub(super) enum Written<'a> {
    Text(&'a str),
    Integer(i128),
    Float(f64),
}

/// The moment that a value says.
pub(super) fn moment(value: Written<'_>, clock: Clock) -> Option<DateTime<Utc>> {
    let per_unit = match clock.unit {
        TimeUnit::Text => {
            let Written::Text(text) = value else {
                return None;
            };
            return sensible(of_text(text, clock)?);
        }
        TimeUnit::EpochSeconds => 1_000_000_000,
        TimeUnit::EpochMilliseconds => 1_000_000,
        TimeUnit::EpochMicroseconds => 1000,
    };
    sensible(of_epoch(value, per_unit)?)
}

fn of_text(text: &str, clock: Clock) -> Option<DateTime<Utc>> {
    let time = if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        time.to_utc()
    } else {
        let local = DateTime::parse_from_rfc3339(&format!("{text}Z")).ok()?;
        let zoned = clock.zone?.from_local_datetime(&local.naive_utc());
        zoned.single()?.to_utc()
    };
    let is_leap_second = time.nanosecond() >= 1_000_000_000;
    let may_leap = (time.hour(), time.minute()) == (23, 59);
    (!is_leap_second || may_leap).then_some(time)
}

fn of_epoch(value: Written<'_>, nanoseconds_per_unit: i128) -> Option<DateTime<Utc>> {
    let nanoseconds = match value {
        Written::Integer(count) => count.checked_mul(nanoseconds_per_unit)?,
        Written::Float(count) => {
            let nanoseconds = (count * nanoseconds_per_unit as f64).floor();
            (nanoseconds.abs() < 1e30).then_some(nanoseconds as i128)?
        }
        Written::Text(text) => match serde_json::from_str::<serde_json::Number>(text) {
            Ok(number) => match (number.as_i128(), number.as_f64()) {
                (Some(count), _) => count.checked_mul(nanoseconds_per_unit)?,
                (None, Some(count)) => {
                    return of_epoch(Written::Float(count), nanoseconds_per_unit);
                }
                (None, None) => return None,
            },
            Err(_) => return None,
        },
    };
    let seconds = i64::try_from(nanoseconds.div_euclid(1_000_000_000)).ok()?;
    let rest = u32::try_from(nanoseconds.rem_euclid(1_000_000_000)).ok()?;
    DateTime::from_timestamp(seconds, rest)
}

fn sensible(time: DateTime<Utc>) -> Option<DateTime<Utc>> {
    (1..=9999).contains(&time.year()).then_some(time)
}
