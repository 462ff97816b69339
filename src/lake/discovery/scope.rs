//! Which keys are listed: decided from policy, ledger and time alone.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, Utc};

use crate::lake::ledger::Ledger;
use crate::lake::raw::first_position;
use crate::lake::s3::KeyRange;
use crate::policy::{DatePattern, KeyRule};

/// Keys to list: those under a prefix that lie in a range.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    /// The prefix.
    pub prefix: String,
    /// The range.
    pub range: KeyRange,
}

impl Part {
    /// All keys under `prefix`.
    fn whole(prefix: String) -> Self {
        Self {
            prefix,
            range: KeyRange::default(),
        }
    }

    /// Whether listing it would tell of this key.
    pub fn covers(&self, key: &str) -> bool {
        key.starts_with(&self.prefix) && self.range.holds(key)
    }
}

/// Where new objects turn up. `location` is the raw prefix; what was put under an earlier date, or before a
/// key that was known, more than the policy's `late` ago, lies before `since`.
pub fn of_new(
    location: &str,
    rule: &KeyRule,
    ledger: &Ledger,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Vec<Part> {
    match rule {
        KeyRule::Dates(pattern) => days(location, pattern, since, now),
        KeyRule::Ascending => after_the_known(location, ledger, since),
        KeyRule::Silent => Vec::new(),
    }
}

/// A day more on both sides: nobody says in which time zone the writer dates its objects.
fn days(
    location: &str,
    pattern: &DatePattern,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Vec<Part> {
    let day = Days::new(1);
    let first = since.date_naive().checked_sub_days(day);
    let last = now.date_naive().checked_add_days(day);
    let (first, last) = (
        first.unwrap_or(NaiveDate::MIN),
        last.unwrap_or(NaiveDate::MAX),
    );
    first
        .iter_days()
        .take_while(|day| *day <= last)
        .map(|day| Part::whole(format!("{location}{}", pattern.day_prefix(day))))
        .collect()
}

/// Everything but what lies, in a sequence of keys, up to the last one that was known at `since`. Sequences
/// that nobody knew lie between the known ones, and are listed too.
fn after_the_known(location: &str, ledger: &Ledger, since: DateTime<Utc>) -> Vec<Part> {
    let mut last_known: BTreeMap<&str, &str> = BTreeMap::new();
    for (key, known) in ledger.known() {
        if known.at < since && key.starts_with(location) {
            let last = last_known.entry(sequence(key)).or_insert(key);
            *last = (*last).max(key);
        }
    }
    let (mut known, mut new) = (Vec::new(), Vec::new());
    for (sequence, last) in last_known {
        let end = after_all(sequence);
        known.push(KeyRange {
            from: Some(sequence.to_owned()),
            to: end.clone(),
        });
        new.push(KeyRange {
            from: Some(after(last)),
            to: end,
        });
    }
    new.extend(between(joined(known)));
    joined(new)
        .into_iter()
        .map(|range| Part {
            prefix: location.to_owned(),
            range,
        })
        .collect()
}

/// Ranges that touch become one: a request less.
fn joined(mut ranges: Vec<KeyRange>) -> Vec<KeyRange> {
    ranges.sort();
    let mut joined: Vec<KeyRange> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if last.to.is_none() => {}
            Some(last) if range.from <= last.to => match range.to {
                Some(to) => last.to = last.to.take().max(Some(to)),
                None => last.to = None,
            },
            _ => joined.push(range),
        }
    }
    joined
}

/// All keys that lie in none of these ranges, which are in order and do not touch.
fn between(ranges: Vec<KeyRange>) -> Vec<KeyRange> {
    let mut gaps = Vec::new();
    let mut from = None;
    for range in ranges {
        if range.from.as_deref() != Some("") {
            let to = range.from;
            gaps.push(KeyRange { from, to });
        }
        if range.to.is_none() {
            return gaps;
        }
        from = range.to;
    }
    gaps.push(KeyRange { from, to: None });
    gaps
}

/// Where these keys lie: by their date or sequence, from the first to the last.
pub fn of_keys<'a>(
    location: &str,
    rule: &KeyRule,
    keys: impl IntoIterator<Item = &'a str>,
) -> Vec<Part> {
    let mut ends: BTreeMap<String, (&str, &str)> = BTreeMap::new();
    for key in keys {
        let (first, last) = ends.entry(group(location, rule, key)).or_insert((key, key));
        *first = (*first).min(key);
        *last = (*last).max(key);
    }
    ends.into_iter()
        .map(|(prefix, (first, last))| Part {
            prefix,
            range: KeyRange {
                from: Some(first.to_owned()),
                to: Some(after(last)),
            },
        })
        .collect()
}

/// What a key shares with those that were put along with it.
fn group(location: &str, rule: &KeyRule, key: &str) -> String {
    if let KeyRule::Dates(pattern) = rule
        && let Some(below) = key.strip_prefix(location)
        && let Some(dated) = pattern.dated_part(below)
    {
        return format!("{location}{dated}");
    }
    sequence(key).to_owned()
}

/// What the keys of a sequence begin with: folder, topic and partition where names hold them, else the
/// folder.
fn sequence(key: &str) -> &str {
    let offset = first_position(key).and_then(|_| key.rfind('+'));
    let end = offset.or_else(|| key.rfind('/')).map_or(0, |end| end + 1);
    key.get(..end).unwrap_or_default()
}

/// The first key after `key`.
fn after(key: &str) -> String {
    format!("{key}\0")
}

/// The first key after all that begin with `prefix`; none if there can be none.
fn after_all(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        if let Some(next) = char::from_u32(u32::from(last) + 1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests;
