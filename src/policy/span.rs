//! How long something is kept: a number and a calendar unit.
//!
//! A month is a month of the calendar and a year is twelve of them, never a
//! fixed number of days. Where the day does not exist in the month that is
//! reached, the last day of that month stands in: two years before
//! 29 February 2028 is 28 February 2026, a month before 31 March is the last of
//! February. Days and shorter units are exact in UTC.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Months, NaiveDate, NaiveTime, TimeDelta, Utc};

use super::error::ValueError;

/// Far beyond any policy, and far from what dates can hold.
const MOST: u32 = 100_000;

const MINUTES_OF_DAY: u64 = 24 * 60;

/// A calendar span, such as `2 years`, `30 days` or `24 h`; positive but for a grace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    count: u32,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Unit {
    Minutes,
    Hours,
    Days,
    Months,
    Years,
}

impl Span {
    /// No time at all: only a grace can be so short.
    pub(super) const NONE: Self = Self {
        count: 0,
        unit: Unit::Hours,
    };
    pub(super) const DAY: Self = Self {
        count: 1,
        unit: Unit::Days,
    };
    pub(super) const DAY_OF_HOURS: Self = Self {
        count: 24,
        unit: Unit::Hours,
    };

    pub(super) const fn days(count: u32) -> Self {
        Self {
            count,
            unit: Unit::Days,
        }
    }

    pub(super) const fn years(count: u32) -> Self {
        Self {
            count,
            unit: Unit::Years,
        }
    }

    /// The moment that lies this span before `at`; the earliest moment there is
    /// if that is out of range.
    pub fn before(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let moment = match self.length() {
            Length::Months(months) => at.checked_sub_months(months),
            Length::Exact(delta) => at.checked_sub_signed(delta),
        };
        moment.unwrap_or(DateTime::<Utc>::MIN_UTC)
    }

    /// The moment that lies this span after `at`; the last moment there is if
    /// that is out of range.
    pub fn after(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let moment = match self.length() {
            Length::Months(months) => at.checked_add_months(months),
            Length::Exact(delta) => at.checked_add_signed(delta),
        };
        moment.unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// The date that lies this span before the first moment of `date`. A span
    /// shorter than a day leads to the day before, so that a horizon drawn with
    /// it keeps rather too much than too little.
    ///
    /// Seen from 28 February 2026 the horizon of `2 years` is 28 February 2024;
    /// from 1 March 2026 it is 1 March 2024. So what happened on
    /// 29 February 2024 lies behind the horizon from 1 March 2026 on.
    pub fn before_date(self, date: NaiveDate) -> NaiveDate {
        self.before(date.and_time(NaiveTime::MIN).and_utc())
            .date_naive()
    }

    /// The most days that it takes by the calendar, a part of a day counted as one: 31 for `1 month`, 731
    /// for `2 years`.
    pub fn most_days(self) -> u32 {
        let mut most_minutes = 0;
        // From the first of each month of four years: one of them has the longest months and the leap day.
        for month in 0..48 {
            let start = DateTime::UNIX_EPOCH + Months::new(month);
            most_minutes = most_minutes.max((self.after(start) - start).num_minutes());
        }
        let minutes = u64::try_from(most_minutes).unwrap_or_default();
        u32::try_from(minutes.div_ceil(MINUTES_OF_DAY)).unwrap_or(u32::MAX)
    }

    /// Whether it is no time at all.
    pub fn is_zero(self) -> bool {
        self.count == 0
    }

    /// Whether it is counted in days, months or years.
    pub(super) fn is_whole_days(self) -> bool {
        !matches!(self.unit, Unit::Minutes | Unit::Hours)
    }

    fn length(self) -> Length {
        match self.unit {
            Unit::Minutes => Length::Exact(TimeDelta::minutes(self.count.into())),
            Unit::Hours => Length::Exact(TimeDelta::hours(self.count.into())),
            Unit::Days => Length::Exact(TimeDelta::days(self.count.into())),
            Unit::Months => Length::Months(Months::new(self.count)),
            Unit::Years => Length::Months(Months::new(self.count.saturating_mul(12))),
        }
    }
}

enum Length {
    Months(Months),
    Exact(TimeDelta),
}

impl FromStr for Span {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (count, unit) = number_and_unit(text)?;
        let unit = match unit {
            "min" | "minute" | "minutes" => Unit::Minutes,
            "h" | "hour" | "hours" => Unit::Hours,
            "day" | "days" => Unit::Days,
            "month" | "months" => Unit::Months,
            "year" | "years" => Unit::Years,
            "" => return Err(ValueError::new("the unit is missing")),
            _ => {
                return Err(ValueError::new(
                    "the units are min, h, days, months and years",
                ));
            }
        };
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if count == 0 || count > MOST {
            return Err(ValueError::new(format!(
                "the number must lie between 1 and {MOST}"
            )));
        }
        Ok(Self { count, unit })
    }
}

/// Prints what can be read back: `1 day`, `2 years`, `24 h`.
impl fmt::Display for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::Minutes => return write!(formatter, "{} min", self.count),
            Unit::Hours => return write!(formatter, "{} h", self.count),
            Unit::Days => "day",
            Unit::Months => "month",
            Unit::Years => "year",
        };
        let plural = if self.count == 1 { "" } else { "s" };
        write!(formatter, "{} {unit}{plural}", self.count)
    }
}

/// Splits `24 h` into the number and the unit, which may be empty.
pub(super) fn number_and_unit(text: &str) -> Result<(u64, &str), ValueError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() || unit.starts_with(['.', ',', '_']) {
        return Err(ValueError::new("it must begin with a whole number"));
    }
    let number = number
        .parse()
        .map_err(|_| ValueError::new("the number is too large"))?;
    Ok((number, unit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(text: &str) -> Span {
        text.parse().expect(text)
    }

    fn date(text: &str) -> NaiveDate {
        text.parse().expect(text)
    }

    fn moment(text: &str) -> DateTime<Utc> {
        text.parse().expect(text)
    }

    #[test]
    fn dates_by_the_calendar() {
        let table = [
            // A common date, and leap days in both directions.
            ("2 years", "2026-11-22", "2024-11-22"),
            ("2 years", "2028-02-29", "2026-02-28"),
            ("4 years", "2028-02-29", "2024-02-29"),
            ("1 year", "2025-02-28", "2024-02-28"),
            ("1 year", "2025-03-01", "2024-03-01"),
            ("24 months", "2028-02-29", "2026-02-28"),
            // 2100 is no leap year, 2000 was one.
            ("4 years", "2104-02-29", "2100-02-28"),
            ("100 years", "2100-02-28", "2000-02-28"),
            // Month ends clamp.
            ("1 month", "2026-03-31", "2026-02-28"),
            ("1 month", "2024-03-31", "2024-02-29"),
            ("1 month", "2026-07-31", "2026-06-30"),
            ("18 months", "2026-08-31", "2025-02-28"),
            // Days are days.
            ("30 days", "2026-03-01", "2026-01-30"),
            ("365 days", "2025-01-01", "2024-01-02"),
            ("1 day", "2024-03-01", "2024-02-29"),
            // Parts of a day round towards keeping.
            ("24 h", "2026-01-01", "2025-12-31"),
            ("1 h", "2026-01-01", "2025-12-31"),
            ("25 h", "2026-01-01", "2025-12-30"),
        ];
        for (keep, today, horizon) in table {
            assert_eq!(
                span(keep).before_date(date(today)),
                date(horizon),
                "{keep} before {today}"
            );
        }
    }

    #[test]
    fn moments_before_and_after() {
        let before = [
            ("24 h", "2026-03-29T02:30:00Z", "2026-03-28T02:30:00Z"),
            ("90 min", "2026-01-01T00:30:00Z", "2025-12-31T23:00:00Z"),
            ("2 years", "2028-02-29T23:59:59Z", "2026-02-28T23:59:59Z"),
        ];
        for (length, at, expected) in before {
            assert_eq!(
                span(length).before(moment(at)),
                moment(expected),
                "{length}"
            );
        }
        let after = [
            ("1 day", "2024-02-28T12:00:00Z", "2024-02-29T12:00:00Z"),
            ("1 month", "2026-01-31T12:00:00Z", "2026-02-28T12:00:00Z"),
            ("1 year", "2024-02-29T12:00:00Z", "2025-02-28T12:00:00Z"),
            ("24 h", "2026-12-31T12:00:00Z", "2027-01-01T12:00:00Z"),
        ];
        for (length, at, expected) in after {
            assert_eq!(span(length).after(moment(at)), moment(expected), "{length}");
        }
    }

    #[test]
    fn the_most_days_that_a_span_can_take() {
        let table = [
            ("30 days", 30),
            ("24 h", 1),
            ("25 h", 2),
            ("1 min", 1),
            ("1 month", 31),
            // July and August.
            ("2 months", 62),
            ("1 year", 366),
            ("2 years", 731),
            ("4 years", 1461),
        ];
        for (written, days) in table {
            assert_eq!(span(written).most_days(), days, "{written}");
        }
        assert_eq!(Span::NONE.most_days(), 0);
    }

    #[test]
    fn a_leap_day_is_kept_to_the_last_of_february() {
        let horizon = |today| span("2 years").before_date(date(today));
        assert!(date("2024-02-29") >= horizon("2026-02-28"));
        assert!(date("2024-02-29") < horizon("2026-03-01"));
    }

    #[test]
    fn the_ends_of_time_do_not_break_it() {
        let longest = span("100000 years");
        assert_eq!(
            longest.before(DateTime::<Utc>::MIN_UTC),
            DateTime::<Utc>::MIN_UTC
        );
        assert_eq!(
            longest.after(DateTime::<Utc>::MAX_UTC),
            DateTime::<Utc>::MAX_UTC
        );
        assert_eq!(longest.before_date(NaiveDate::MIN), NaiveDate::MIN);
    }

    #[test]
    fn reads_and_prints() {
        let table = [
            ("2 years", "2 years"),
            ("1 year", "1 year"),
            ("1 years", "1 year"),
            ("18 months", "18 months"),
            ("30 days", "30 days"),
            ("24 h", "24 h"),
            ("24h", "24 h"),
            ("24 hours", "24 h"),
            ("15 minutes", "15 min"),
        ];
        for (written, printed) in table {
            assert_eq!(span(written).to_string(), printed);
        }
    }

    #[test]
    fn refuses_what_is_no_span() {
        let table = [
            ("", "it must begin with a whole number"),
            ("two years", "it must begin with a whole number"),
            ("-2 years", "it must begin with a whole number"),
            ("1.5 years", "it must begin with a whole number"),
            ("2", "the unit is missing"),
            ("2 jears", "the units are min, h, days, months and years"),
            ("2 Years", "the units are min, h, days, months and years"),
            (
                "1 year 6 months",
                "the units are min, h, days, months and years",
            ),
            ("0 days", "the number must lie between 1 and 100000"),
            ("100001 days", "the number must lie between 1 and 100000"),
            (
                "4294967297 days",
                "the number must lie between 1 and 100000",
            ),
            ("99999999999999999999 days", "the number is too large"),
        ];
        for (written, why) in table {
            let error = written.parse::<Span>().expect_err(written);
            assert_eq!(error.to_string(), why, "{written}");
        }
    }
}
