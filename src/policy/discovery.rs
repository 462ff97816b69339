//! `raw.discovery`: how new raw objects are found without listing all of them
//! every night.
//!
//! Hazard: a rule that is narrower than what the writer does would overlook
//! objects. So whatever a rule leaves out is found by the sweep, a full listing
//! at an interval, and a rule that cannot be understood is refused.

use std::fmt::Write as _;

use chrono::{Datelike, NaiveDate};

use super::error::{Position, ValueError};
use super::location::{S3Location, is_unsafe};
use super::section::{Key, Section};
use super::span::Span;

/// How the raw objects of a dataset are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiscoveryPolicy {
    /// What the keys tell about when an object was put.
    pub keys: KeyRule,
    /// How far back, in key dates or in key order, writers may still put
    /// objects. What comes later still is found by the next sweep.
    pub late: Span,
    /// After so long all objects are looked at again, in a full listing or an
    /// inventory.
    pub sweep: Span,
    /// Where S3 Inventory delivers lists of the raw bucket, which then stand in
    /// for full listings: `<prefix>/<source bucket>/<configuration>/`.
    pub inventory: Option<S3Location>,
}

/// What keys tell about when an object was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyRule {
    /// They begin, after the location, with a date.
    Dates(DatePattern),
    /// Those of a folder (of a topic and partition, where names hold them) only
    /// grow.
    Ascending,
    /// Nothing: only an inventory tells what is new.
    Silent,
}

/// Where a key holds the date, up to the day: `year=%Y/month=%m/day=%d`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatePattern {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Year,
    Month,
    Day,
}

const DATE: [Piece; 3] = [Piece::Year, Piece::Month, Piece::Day];

impl DatePattern {
    /// What the keys of a day begin with, after the location.
    pub fn day_prefix(&self, day: NaiveDate) -> String {
        let mut prefix = String::new();
        for piece in &self.pieces {
            // Writing to a string cannot fail.
            let _ = match piece {
                Piece::Literal(text) => prefix.write_str(text),
                Piece::Year => write!(prefix, "{:04}", day.year()),
                Piece::Month => write!(prefix, "{:02}", day.month()),
                Piece::Day => write!(prefix, "{:02}", day.day()),
            };
        }
        prefix
    }

    /// The part of a key, taken after the location, that holds its date; none
    /// if the key does not follow the pattern.
    pub fn dated_part<'key>(&self, key: &'key str) -> Option<&'key str> {
        let mut rest = key;
        for piece in &self.pieces {
            rest = match piece {
                Piece::Literal(text) => rest.strip_prefix(text.as_str())?,
                Piece::Year => without_digits(rest, 4)?,
                Piece::Month | Piece::Day => without_digits(rest, 2)?,
            };
        }
        key.get(..key.len() - rest.len())
    }
}

fn without_digits(text: &str, count: usize) -> Option<&str> {
    let (digits, rest) = text.split_at_checked(count)?;
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then_some(rest)
}

const DISCOVERY: &[Key] = &[
    Key::new("dates", "\"year=%Y/month=%m/day=%d/\""),
    Key::new("order", "ascending"),
    Key::new("late", "3 days"),
    Key::new("sweep", "7 days"),
    Key::new("inventory", "s3://acme-inventory/acme-cart-events/nightly/"),
];
/// The sample of the section, for the section that it stands in.
pub(super) const SAMPLE: &str = "{ dates: \"year=%Y/month=%m/day=%d/\" }";

/// Reads the section `discovery` under `raw`, which may be left out, and where
/// it names an inventory.
pub(super) fn read(raw: &Section<'_>) -> Option<(Option<DiscoveryPolicy>, Option<Position>)> {
    if raw.find("discovery").is_none() {
        return Some((None, None));
    }
    let section = raw.section("discovery", DISCOVERY)?;
    let dates = section.or_default("dates", None, |text| date_pattern(text).map(Some));
    let ascending = section.or_default("order", false, |text| ascending(text).map(|()| true));
    let late = section.or_default("late", Span::days(3), str::parse);
    let sweep = section.or_default("sweep", Span::days(7), str::parse);
    let inventory = section.or_default("inventory", None, |text| text.parse().map(Some));
    let (dates, ascending, inventory) = (dates?, ascending?, inventory?);
    let keys = match (dates, ascending) {
        (Some(_), true) => {
            section.refuse(
                section.value_at("order"),
                "`dates` and `order` under `raw.discovery` exclude each other",
                "keep `dates`, which needs fewer requests",
            );
            return None;
        }
        (Some(pattern), false) => KeyRule::Dates(pattern),
        (None, true) => KeyRule::Ascending,
        (None, false) => KeyRule::Silent,
    };
    if keys == KeyRule::Silent {
        check_silent(&section, inventory.is_some());
    }
    let inventory_at = section.find("inventory").map(|entry| entry.value.at);
    let policy = DiscoveryPolicy {
        keys,
        late: late?,
        sweep: sweep?,
        inventory,
    };
    Some((Some(policy), inventory_at))
}

/// Without a rule for keys there has to be an inventory, and nothing can be late.
fn check_silent(section: &Section<'_>, has_inventory: bool) {
    if !has_inventory {
        section.refuse(
            section.at(),
            "`discovery` under `raw` says neither by `dates` nor by `order` nor by `inventory` how \
             new objects are found",
            "write `discovery: { dates: \"year=%Y/month=%m/day=%d/\" }`, or remove it to list everything \
             every time",
        );
    } else if section.find("late").is_some() {
        section.refuse(
            section.value_at("late"),
            "`late` under `raw.discovery` is for `dates` and `order`",
            "remove it, or add one of them",
        );
    }
}

fn ascending(text: &str) -> Result<(), ValueError> {
    match text {
        "ascending" => Ok(()),
        _ => Err(ValueError::new("it is ascending")),
    }
}

/// Reads a pattern such as `year=%Y/month=%m/day=%d/hour=%H/`. What follows the
/// day is not needed to list by it, and only checked.
fn date_pattern(text: &str) -> Result<DatePattern, ValueError> {
    if text.starts_with('/') || !text.ends_with('/') {
        return Err(ValueError::new(
            "it stands after the location and ends in `/`",
        ));
    }
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut has_date = false;
    let mut signs = text.chars();
    while let Some(sign) = signs.next() {
        if sign != '%' {
            if is_unsafe(sign) {
                return Err(ValueError::new(format!("{sign:?} is not safe in a prefix")));
            }
            literal.push(sign);
            continue;
        }
        let piece = match signs.next() {
            Some('Y') => Piece::Year,
            Some('m') => Piece::Month,
            Some('d') => Piece::Day,
            Some('H') if has_date => continue,
            Some('H') => return Err(ValueError::new("the hour comes after the whole date")),
            _ => return Err(ValueError::new("it knows %Y, %m, %d and %H")),
        };
        if pieces.contains(&piece) {
            return Err(ValueError::new("%Y, %m and %d stand in it once each"));
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
        }
        pieces.push(piece);
        has_date = DATE.iter().all(|part| pieces.contains(part));
    }
    if !has_date {
        return Err(ValueError::new("it needs %Y, %m and %d"));
    }
    Ok(DatePattern { pieces })
}
