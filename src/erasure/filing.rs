//! Requests as other people and systems hand them in: CSV with a header, or JSON lines.
//!
//! A column or key is the name of a kind of identifier (`user_id`), or `received` (a date), `reference`,
//! `identity_checked_by`, `approved_by`. A line that cannot be read is told by its number: what stands in
//! it is personal data and is not repeated (invariant 9).

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::request::{Filing, Written};

/// One request that was handed in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Handed {
    /// The line of the file, counted from 1.
    pub line: u64,
    /// The day on which the subject asked, if it was not today.
    pub received: Option<NaiveDate>,
    /// Whom it is about.
    pub written: Written,
    /// What else was said.
    pub filing: Filing,
}

/// A line that is no request, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct Misread {
    /// The line, counted from 1.
    pub line: u64,
    /// Why.
    pub why: &'static str,
}

/// What was read of a file.
#[derive(Debug, Default)]
pub struct HandedIn {
    /// Requests.
    pub requests: Vec<Handed>,
    /// Lines that are none.
    pub misread: Vec<Misread>,
}

/// Reads a file of requests; one that begins with `{` holds JSON lines.
pub fn read(bytes: &[u8], kinds: &BTreeSet<&str>) -> HandedIn {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let handed_in = if bytes.trim_ascii_start().starts_with(b"{") {
        json_lines(bytes, kinds)
    } else {
        comma_separated(bytes, kinds)
    };
    if handed_in.requests.is_empty() && handed_in.misread.is_empty() {
        return misread(handed_in, 1, "there is no request in it");
    }
    handed_in
}

/// Up to when on the day that was named, or now, the subject had asked.
pub fn received_at(
    received: Option<NaiveDate>,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, &'static str> {
    let Some(date) = received else {
        return Ok(now);
    };
    if date > now.date_naive() {
        return Err("`received` lies in the future");
    }
    let end_of_day = date.and_hms_opt(23, 59, 59);
    Ok(end_of_day.map_or(now, |time| time.and_utc().min(now)))
}

fn json_lines(bytes: &[u8], kinds: &BTreeSet<&str>) -> HandedIn {
    let mut handed_in = HandedIn::default();
    for (line, text) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        if text.trim_ascii().is_empty() {
            continue;
        }
        match json_line(text, line, kinds) {
            Ok(handed) => handed_in.requests.push(handed),
            Err(why) => handed_in.misread.push(Misread { line, why }),
        }
    }
    handed_in
}

fn json_line(text: &[u8], line: u64, kinds: &BTreeSet<&str>) -> Result<Handed, &'static str> {
    let Pairs(object) = serde_json::from_slice(text).map_err(|_| "it is no JSON object")?;
    let mut handed = Handed {
        line,
        ..Handed::default()
    };
    for (key, value) in object {
        match value {
            Value::Null => {}
            Value::Array(values) => {
                for value in &values {
                    take(&mut handed, kinds, &key, &scalar(value)?)?;
                }
            }
            value => take(&mut handed, kinds, &key, &scalar(&value)?)?,
        }
    }
    complete(handed)
}

/// An object of which no key is lost, however often it comes.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Pairs;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(All)
    }
}

fn scalar(value: &Value) -> Result<String, &'static str> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Ok(number.to_string()),
        Value::Number(_) => Err("a number has too many digits, or a fraction: write it as text"),
        _ => Err("a value is neither text nor number"),
    }
}

fn comma_separated(bytes: &[u8], kinds: &BTreeSet<&str>) -> HandedIn {
    let mut handed_in = HandedIn::default();
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(bytes);
    let headers = match reader.headers() {
        Ok(headers) => headers.clone(),
        Err(_) => return misread(handed_in, 1, "the header is not text in UTF-8"),
    };
    if !headers.iter().all(|key| is_known(key, kinds)) {
        return misread(handed_in, 1, UNKNOWN);
    }
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                handed_in = misread(handed_in, line, "it has not the fields of the header");
                continue;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        let mut handed = Ok(Handed {
            line,
            ..Handed::default()
        });
        for (key, text) in headers.iter().zip(&record) {
            if !text.is_empty() {
                handed = handed.and_then(|mut handed| {
                    take(&mut handed, kinds, key, text)?;
                    Ok(handed)
                });
            }
        }
        match handed.and_then(complete) {
            Ok(handed) => handed_in.requests.push(handed),
            Err(why) => handed_in.misread.push(Misread { line, why }),
        }
    }
    handed_in
}

fn misread(mut handed_in: HandedIn, line: u64, why: &'static str) -> HandedIn {
    handed_in.misread.push(Misread { line, why });
    handed_in
}

const UNKNOWN: &str = "a column or key is neither a kind of identifier that the policies know, nor received, \
                       reference, identity_checked_by or approved_by";

fn is_known(key: &str, kinds: &BTreeSet<&str>) -> bool {
    let others = [
        "received",
        "reference",
        "identity_checked_by",
        "approved_by",
    ];
    others.contains(&key) || kinds.contains(key)
}

fn take(
    handed: &mut Handed,
    kinds: &BTreeSet<&str>,
    key: &str,
    text: &str,
) -> Result<(), &'static str> {
    let said = |text: &str| Some(text.to_owned());
    if text.contains(['\n', '\r']) {
        return Err("a value holds a line break: is a quote not closed?");
    }
    match key {
        "received" => {
            let date = text
                .parse()
                .map_err(|_| "`received` is no date such as 2026-11-22")?;
            handed.received = Some(date);
        }
        "reference" => handed.filing.reference = said(text),
        "identity_checked_by" => handed.filing.identity_checked_by = said(text),
        "approved_by" => handed.filing.approved_by = said(text),
        kind if !kinds.contains(kind) => return Err(UNKNOWN),
        _ if text.is_empty() => return Err("an identifier is empty"),
        kind => handed.written.0.push((kind.to_owned(), text.to_owned())),
    }
    Ok(())
}

impl Filing {
    /// Whether what is kept in the clear names the subject.
    fn names(&self, written: &Written) -> bool {
        let said = [
            &self.reference,
            &self.identity_checked_by,
            &self.approved_by,
        ];
        let mut said = said.into_iter().flatten();
        said.any(|text| written.is_named_in(text))
    }
}

/// # Errors
/// If nobody is named, or if what is kept in the clear names them.
pub fn complete(handed: Handed) -> Result<Handed, &'static str> {
    if handed.written.0.is_empty() {
        return Err("it names no identifier");
    }
    if handed.filing.names(&handed.written) {
        return Err(
            "an identifier also stands in the reference, or in who checked or approved it, which are not sealed",
        );
    }
    Ok(handed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_with_kinds(text: &str) -> HandedIn {
        read(text.as_bytes(), &BTreeSet::from(["user_id", "email"]))
    }

    fn pairs(pairs: &[(&str, &str)]) -> Written {
        let owned = |(kind, text): &(&str, &str)| ((*kind).to_owned(), (*text).to_owned());
        Written(pairs.iter().map(owned).collect())
    }

    #[test]
    fn a_table_with_a_header_is_one_request_a_line() {
        let text = "\u{feff}reference,user_id,email,received\nT-1,789456,,2026-11-02\nT-2, 7 ,\"a,b@c\",\n";
        let handed_in = read_with_kinds(text);
        assert_eq!(handed_in.misread, []);
        let [first, second] = handed_in.requests.as_slice() else {
            panic!("two requests")
        };
        assert_eq!(first.written, pairs(&[("user_id", "789456")]));
        assert_eq!(first.received, "2026-11-02".parse().ok());
        assert_eq!(first.filing.reference.as_deref(), Some("T-1"));
        assert_eq!(
            second.written,
            pairs(&[("user_id", "7"), ("email", "a,b@c")])
        );
        assert_eq!((second.line, second.received), (3, None));
    }

    #[test]
    fn json_lines_may_name_several_identifiers_and_numbers() {
        let text = "{\"user_id\": [0, \"007\"], \"email\": null}\n\n{\"email\": \"x@y\", \"approved_by\": \"dpo\"}\n";
        let handed_in = read_with_kinds(text);
        assert_eq!(handed_in.misread, []);
        let written: Vec<&Written> = handed_in.requests.iter().map(|one| &one.written).collect();
        assert_eq!(
            written,
            [
                &pairs(&[("user_id", "0"), ("user_id", "007")]),
                &pairs(&[("email", "x@y")])
            ]
        );
    }

    #[test]
    fn what_cannot_be_read_is_told_by_its_line_and_not_repeated() {
        let handed_in = read_with_kinds(
            "{\"user_id\":1}\n{\"userid\":55}\nnonsense 55\n{}\n{\"user_id\":{}}\n",
        );
        assert_eq!(handed_in.requests.len(), 1);
        let lines: Vec<u64> = handed_in.misread.iter().map(|one| one.line).collect();
        assert_eq!(lines, [2, 3, 4, 5]);
        assert!(
            handed_in
                .misread
                .iter()
                .all(|one| !one.to_string().contains("55"))
        );
        let table =
            read_with_kinds("user_id,received\n5,yesterday\n,2026-01-01\n6,2026-01-01,extra\n7,\n");
        let lines: Vec<u64> = table.misread.iter().map(|one| one.line).collect();
        assert_eq!((table.requests.len(), lines), (1, vec![2, 3, 4]));
    }

    #[test]
    fn a_file_without_a_request_is_misread() {
        for text in [
            "",
            "\n",
            "user_id\n",
            "5551234\n",
            "[{\"user_id\":\"5\"}]",
            "user_id;received",
        ] {
            let handed_in = read_with_kinds(text);
            assert!(handed_in.requests.is_empty(), "{text}");
            assert_eq!(handed_in.misread.len(), 1, "{text}");
            assert_eq!(handed_in.misread[0].line, 1, "{text}");
        }
    }

    #[test]
    fn no_identifier_is_lost_or_changed() {
        let twice = read_with_kinds(r#"{"user_id":"a","user_id":"b"}"#);
        assert_eq!(
            twice.requests[0].written,
            pairs(&[("user_id", "a"), ("user_id", "b")])
        );
        for text in [
            r#"{"user_id":123456789012345678901234}"#,
            r#"{"user_id":12345.0}"#,
            "user_id\n\"5557771\n5557772\n",
            r#"{"user_id":"789456","reference":"mail of 789456"}"#,
            "user_id,approved_by\nAnn Example,Ann Example\n",
        ] {
            let handed_in = read_with_kinds(text);
            assert!(handed_in.requests.is_empty(), "{text}");
            assert_eq!(handed_in.misread.len(), 1, "{text}");
        }
    }

    #[test]
    fn a_day_means_its_end_and_never_the_future() {
        let now: DateTime<Utc> = "2026-11-20T03:00:00Z".parse().unwrap();
        let at = |date: &str| received_at(date.parse().ok(), now);
        assert_eq!(
            at("2026-11-02"),
            Ok("2026-11-02T23:59:59Z".parse().unwrap())
        );
        assert_eq!(at("2026-11-20"), Ok(now));
        assert!(at("2026-11-21").is_err());
        assert_eq!(received_at(None, now), Ok(now));
    }
}
