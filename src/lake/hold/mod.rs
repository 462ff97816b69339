//! Holds: a reason to keep what a rule would delete. A hold wins over retention and over erasure (invariant
//! 11), is shown in every plan and report, and ends only when a person lifts it; the next run catches up.
//!
//! A hold is on tables, all of them or those named, on all their days or on some; or on a person, everywhere.
//! What it holds are rows, and the raw objects and broken records that may hold events of these days or of that
//! person. An erasure request that would take such rows stays open.
//!
//! Who is held stands sealed in the hold, and nowhere once it is lifted (invariant 9).

mod people;
mod store;

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::key::digest_of;

pub use people::{HeldPeople, HeldPerson, HoldError};
pub use store::{active, all, find, place};

/// Days in UTC, both ends included; without an end they go on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Days {
    /// The first.
    pub from: Option<NaiveDate>,
    /// The last.
    pub until: Option<NaiveDate>,
}

/// A hold as it lies in the lake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Format of this file.
    pub version: u32,
    /// Its id.
    pub id: String,
    /// Datasets and curated tables; none: all of them.
    pub tables: BTreeSet<String>,
    /// The days of the events.
    #[serde(flatten)]
    pub days: Days,
    /// The person whom it is on, if it is on one.
    #[serde(default)]
    pub person: Option<HeldPerson>,
    /// Why, as it was worded.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// When somebody has to look whether it is still needed.
    pub review: NaiveDate,
    /// When it was placed.
    pub placed_at: DateTime<Utc>,
    /// When it was lifted, and why.
    #[serde(default)]
    pub lifted: Option<Lifted>,
}

/// The end of a hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifted {
    /// When.
    pub at: DateTime<Utc>,
    /// Why, as it was worded.
    pub reason: String,
}

impl Days {
    /// Whether `day` is one of them.
    pub fn contains(&self, day: NaiveDate) -> bool {
        self.from.is_none_or(|from| day >= from) && self.until.is_none_or(|until| day <= until)
    }

    /// Whether any day from `first` to `last` is one of them; an end that is not known may be any day.
    fn meets(self, first: Option<NaiveDate>, last: Option<NaiveDate>) -> bool {
        let begins_in_time = match (self.until, first) {
            (Some(until), Some(first)) => first <= until,
            _ => true,
        };
        let ends_in_time = match (self.from, last) {
            (Some(from), Some(last)) => last >= from,
            _ => true,
        };
        begins_in_time && ends_in_time
    }
}

/// Names the policies, whose digest is given, together with these holds.
pub fn rules(policies: &str, holds: &[Hold]) -> String {
    if holds.is_empty() {
        return policies.to_owned();
    }
    let ids: Vec<&str> = holds.iter().map(|hold| hold.id.as_str()).collect();
    digest_of(&(policies, ids))
}

/// What of one table is held.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Held(Vec<Days>);

impl Held {
    /// What these holds hold of the table called `name`, whoever it is about.
    pub fn of(holds: &[Hold], name: &str) -> Self {
        let on_table = |hold: &&Hold| hold.person.is_none() && hold.is_on(name);
        Self(
            holds
                .iter()
                .filter(on_table)
                .map(|hold| hold.days)
                .collect(),
        )
    }

    /// Whether nothing is.
    pub fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether rows of `day` are.
    pub fn holds(&self, day: NaiveDate) -> bool {
        self.0.iter().any(|days| days.contains(day))
    }

    /// Whether something that happened at `time` is; what has no time may be of any day.
    pub fn holds_at(&self, time: Option<DateTime<Utc>>) -> bool {
        match time {
            Some(time) => self.holds(time.date_naive()),
            None => !self.is_nothing(),
        }
    }

    /// Whether something that has events from `first` to `last` is, where these are known.
    pub fn may_hold(&self, first: Option<NaiveDate>, last: Option<NaiveDate>) -> bool {
        self.0.iter().any(|days| days.meets(first, last))
    }
}

impl Hold {
    /// Whether it keeps something of the table called `name`.
    pub fn is_on(&self, name: &str) -> bool {
        self.tables.is_empty() || self.tables.contains(name)
    }

    /// The same without what is sealed, for plans and reports.
    #[must_use]
    pub fn shown(&self) -> Self {
        let mut shown = self.clone();
        if let Some(person) = &mut shown.person {
            person.forget();
        }
        shown
    }
}

impl fmt::Display for Days {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.from, self.until) {
            (None, None) => formatter.write_str("all days"),
            (Some(from), None) => write!(formatter, "from {from} on"),
            (None, Some(until)) => write!(formatter, "up to {until}"),
            (Some(from), Some(until)) => write!(formatter, "{from} to {until}"),
        }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        formatter.write_str(&days.join(", "))
    }
}

/// What it is on, why, and who answers for it.
impl fmt::Display for Hold {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tables: Vec<&str> = self.tables.iter().map(String::as_str).collect();
        let tables = if tables.is_empty() {
            "all tables".to_owned()
        } else {
            tables.join(", ")
        };
        write!(formatter, "hold {} on ", self.id)?;
        match &self.person {
            Some(person) => write!(formatter, "{person}")?,
            None => write!(formatter, "{tables}, {}", self.days)?,
        }
        write!(
            formatter,
            ": {} (owner {}; review {})",
            self.reason, self.owner, self.review
        )?;
        if let Some(lifted) = &self.lifted {
            let at = lifted.at.format("%Y-%m-%d");
            write!(formatter, "; lifted {at}: {}", lifted.reason)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn hold(tables: &[&str], from: Option<&str>, until: Option<&str>) -> Hold {
        Hold {
            version: 1,
            id: "h".into(),
            tables: tables.iter().map(|name| (*name).to_owned()).collect(),
            days: Days {
                from: from.map(day),
                until: until.map(day),
            },
            person: None,
            reason: "litigation".into(),
            owner: "legal".into(),
            review: day("2027-01-01"),
            placed_at: DateTime::UNIX_EPOCH,
            lifted: None,
        }
    }

    #[test]
    fn both_ends_are_held() {
        let holds = [hold(&["cart"], Some("2024-11-01"), Some("2024-11-30"))];
        let held = Held::of(&holds, "cart");
        for (text, expected) in [
            ("2024-10-31", false),
            ("2024-11-01", true),
            ("2024-11-30", true),
            ("2024-12-01", false),
        ] {
            assert_eq!(held.holds(day(text)), expected, "{text}");
        }
        assert!(Held::of(&holds, "payment").is_nothing());
        assert!(Held::of(&[hold(&[], None, None)], "payment").holds(NaiveDate::MIN));
    }

    #[test]
    fn what_has_unknown_ends_may_be_held() {
        let holds = [hold(&[], Some("2024-11-01"), Some("2024-11-30"))];
        let held = Held::of(&holds, "cart");
        let some = |text: &str| (!text.is_empty()).then(|| day(text));
        for (first, last, expected) in [
            ("2024-10-01", "2024-10-31", false),
            ("2024-10-01", "2024-11-01", true),
            ("2024-11-30", "2024-12-05", true),
            ("2024-12-01", "2024-12-05", false),
            ("2024-10-01", "2024-12-05", true),
            ("", "", true),
            ("2024-12-01", "", false),
            ("", "2024-10-31", false),
            ("", "2024-11-01", true),
        ] {
            assert_eq!(
                held.may_hold(some(first), some(last)),
                expected,
                "{first} {last}"
            );
        }
    }
}
