//! The line that a retention rule draws through time: what happened before it goes.
//!
//! A rule counts calendar days where people live, so the line is the midnight in the policy's zone that
//! begins the oldest day that stays. Tables are partitioned by days in UTC: where the line does not fall on
//! midnight in UTC, one partition straddles it, and is trimmed row by row.

use std::fmt;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::error::ValueError;
use super::span::Span;

/// The first moment that stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Horizon(DateTime<Utc>);

impl Horizon {
    /// The line at `now` of a rule that keeps events for `keep`, counted in days of `zone`.
    pub(super) fn at(now: DateTime<Utc>, keep: Span, zone: Tz) -> Self {
        let today = now.with_timezone(&zone).date_naive();
        Self(start_of_day(keep.before_date(today), zone))
    }

    /// The first moment that stays.
    pub fn from(self) -> DateTime<Utc> {
        self.0
    }

    /// Whether what happened at `time` stays.
    pub fn keeps(self, time: DateTime<Utc>) -> bool {
        time >= self.0
    }

    /// The first day in UTC of which something stays. Earlier ones go whole.
    pub fn first_day(self) -> NaiveDate {
        self.0.date_naive()
    }

    /// Whether something of that first day goes.
    pub fn splits_a_day(self) -> bool {
        self.0.time() != NaiveTime::MIN
    }
}

impl From<DateTime<Utc>> for Horizon {
    fn from(first: DateTime<Utc>) -> Self {
        Self(first)
    }
}

/// The first moment at which nothing of `day` (in UTC) is kept any more. Calendar spans are not symmetric, so
/// it is found by the rule itself, day by day from shortly before the span is over.
pub(super) fn leaves_at(day: NaiveDate, keep: Span, zone: Tz) -> DateTime<Utc> {
    let over = keep.after(day.and_time(NaiveTime::MIN).and_utc());
    let days = over.date_naive().iter_days().take(10);
    let mut midnights = days.map(|date| start_of_day(date, zone));
    let gone = midnights.find(|at| Horizon::at(*at, keep, zone).first_day() > day);
    gone.unwrap_or(over)
}

/// A day that begins where clocks are put forward begins that much later.
fn start_of_day(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let midnight = day.and_time(NaiveTime::MIN);
    let quarters = (0..=8).filter_map(|quarters| {
        let later = midnight.checked_add_signed(TimeDelta::minutes(15 * quarters))?;
        zone.from_local_datetime(&later).earliest()
    });
    let first = quarters.map(|start| start.with_timezone(&Utc)).next();
    first.unwrap_or(midnight.and_utc())
}

/// A zone's name, such as `Europe/Berlin`. A rule counts days, which named zones have without doubt.
pub(super) fn zone(text: &str) -> Result<Tz, ValueError> {
    text.parse()
        .map_err(|_| ValueError::new("it is the name of a time zone such as Europe/Berlin, or UTC"))
}

/// A day where that says it all, else the moment.
impl fmt::Display for Horizon {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.splits_a_day() {
            return write!(formatter, "{}", self.0.format("%Y-%m-%d %H:%M UTC"));
        }
        write!(formatter, "{}", self.first_day())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// Keep, zone, now, and the first moment that stays: worked out with a calendar.
    const LINES: &[(&str, &str, &str, &str)] = &[
        // The exact boundary: the line moves at midnight and at no other moment.
        (
            "2 years",
            "UTC",
            "2026-11-19T23:59:59Z",
            "2024-11-19T00:00:00Z",
        ),
        (
            "2 years",
            "UTC",
            "2026-11-20T00:00:00Z",
            "2024-11-20T00:00:00Z",
        ),
        (
            "2 years",
            "UTC",
            "2026-11-20T23:59:59Z",
            "2024-11-20T00:00:00Z",
        ),
        // 730 days would be a day too much where a leap day lies between.
        (
            "2 years",
            "UTC",
            "2025-03-01T12:00:00Z",
            "2023-03-01T00:00:00Z",
        ),
        (
            "730 days",
            "UTC",
            "2025-03-01T12:00:00Z",
            "2023-03-02T00:00:00Z",
        ),
        // 29 February, as today and as the day reached.
        (
            "2 years",
            "UTC",
            "2028-02-29T12:00:00Z",
            "2026-02-28T00:00:00Z",
        ),
        (
            "2 years",
            "UTC",
            "2028-03-01T00:00:00Z",
            "2026-03-01T00:00:00Z",
        ),
        (
            "2 years",
            "UTC",
            "2026-02-28T23:59:59Z",
            "2024-02-28T00:00:00Z",
        ),
        (
            "4 years",
            "UTC",
            "2028-02-29T00:00:00Z",
            "2024-02-29T00:00:00Z",
        ),
        // Month ends clamp, so the line may stand still and then leap.
        (
            "1 month",
            "UTC",
            "2026-03-28T12:00:00Z",
            "2026-02-28T00:00:00Z",
        ),
        (
            "1 month",
            "UTC",
            "2026-03-31T12:00:00Z",
            "2026-02-28T00:00:00Z",
        ),
        (
            "18 months",
            "UTC",
            "2026-08-31T12:00:00Z",
            "2025-02-28T00:00:00Z",
        ),
        // East of UTC the day begins before it does in UTC, west of it afterwards.
        (
            "2 years",
            "Europe/Berlin",
            "2026-11-19T22:59:59Z",
            "2024-11-18T23:00:00Z",
        ),
        (
            "2 years",
            "Europe/Berlin",
            "2026-11-19T23:00:00Z",
            "2024-11-19T23:00:00Z",
        ),
        (
            "2 years",
            "America/New_York",
            "2026-11-20T04:59:59Z",
            "2024-11-19T05:00:00Z",
        ),
        (
            "2 years",
            "America/New_York",
            "2026-11-20T05:00:00Z",
            "2024-11-20T05:00:00Z",
        ),
        // Summer time on one end only: 2024's began on 31 March, 2026's on 29 March.
        (
            "2 years",
            "Europe/Berlin",
            "2026-03-30T12:00:00Z",
            "2024-03-29T23:00:00Z",
        ),
        (
            "2 years",
            "Europe/Berlin",
            "2026-04-01T12:00:00Z",
            "2024-03-31T22:00:00Z",
        ),
        // Clocks that are put forward at midnight: 8 September 2024 began at 01:00 (UTC-3) in Santiago.
        (
            "1 year",
            "America/Santiago",
            "2025-09-08T12:00:00Z",
            "2024-09-08T04:00:00Z",
        ),
        // Clocks put back over midnight: 3 November 2024 has two midnights in Havana, and stays whole.
        (
            "1 year",
            "America/Havana",
            "2025-11-03T12:00:00Z",
            "2024-11-03T04:00:00Z",
        ),
        // A zone with a quarter of an hour, and the far ends.
        (
            "30 days",
            "Asia/Kathmandu",
            "2026-05-01T00:00:00Z",
            "2026-03-31T18:15:00Z",
        ),
        (
            "1 day",
            "Pacific/Kiritimati",
            "2026-05-01T09:59:59Z",
            "2026-04-29T10:00:00Z",
        ),
        (
            "1 day",
            "Pacific/Kiritimati",
            "2026-05-01T10:00:00Z",
            "2026-04-30T10:00:00Z",
        ),
    ];

    #[test]
    fn the_line_is_the_midnight_that_begins_the_oldest_day_that_stays() {
        for (keep, name, now, expected) in LINES {
            let (keep, zone) = (keep.parse().unwrap(), zone(name).unwrap());
            let line = Horizon::at(moment(now), keep, zone);
            assert_eq!(line.from(), moment(expected), "{keep} in {name} at {now}");
            let before = line.from() - TimeDelta::microseconds(1);
            assert!(line.keeps(line.from()) && !line.keeps(before));
        }
    }

    #[test]
    fn a_day_in_utc_is_split_where_the_zone_begins_its_days_at_another_time() {
        let line = |name| {
            Horizon::at(
                moment("2026-11-20T12:00:00Z"),
                "2 years".parse().unwrap(),
                zone(name).unwrap(),
            )
        };
        assert!(!line("UTC").splits_a_day());
        assert_eq!(line("UTC").to_string(), "2024-11-20");
        assert!(line("Europe/Berlin").splits_a_day());
        assert_eq!(line("Europe/Berlin").first_day().to_string(), "2024-11-19");
        assert_eq!(line("Europe/Berlin").to_string(), "2024-11-19 23:00 UTC");
    }

    #[test]
    fn a_day_in_utc_leaves_when_its_last_moment_does() {
        let table = [
            ("2 years", "UTC", "2024-11-20", "2026-11-21T00:00:00Z"),
            ("2 years", "UTC", "2024-02-29", "2026-03-01T00:00:00Z"),
            ("1 month", "UTC", "2026-02-28", "2026-04-01T00:00:00Z"),
            // Its last hour belongs to the 21st in Berlin, which goes a day later.
            (
                "2 years",
                "Europe/Berlin",
                "2024-11-20",
                "2026-11-21T23:00:00Z",
            ),
            // Its last five hours belong to the 20th in New York, and go with it.
            (
                "2 years",
                "America/New_York",
                "2024-11-20",
                "2026-11-21T05:00:00Z",
            ),
        ];
        for (keep, name, day, expected) in table {
            let (keep, zone) = (keep.parse().unwrap(), zone(name).unwrap());
            let leaves = leaves_at(day.parse().unwrap(), keep, zone);
            assert_eq!(leaves, moment(expected), "{day} in {name}");
            let before = Horizon::at(leaves - TimeDelta::seconds(1), keep, zone);
            assert!(
                before.keeps(moment(&format!("{day}T23:59:59.999Z"))),
                "{day} in {name}"
            );
        }
    }

    #[test]
    fn a_zone_has_a_name() {
        for wrong in ["", "+01:00", "Berlin", "europe/berlin"] {
            assert!(zone(wrong).is_err(), "{wrong}");
        }
    }
}
