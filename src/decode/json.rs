//! A JSON value that keeps what JSON text says: digits of numbers, key order, duplicate keys.
//!
//! Hazard: `Drop`, `Clone`, `Display` and comparison recurse. Values come from [`Json::parse`],
//! which refuses more than [`MAX_DEPTH`] levels, so the stack is safe. Keeps invariant 2.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::str::FromStr;

use super::tape::Tape;
use super::{Document, Number, Reason};

/// Deepest nesting of any value. Two levels above what a record may have, because `_rescued`
/// wraps a record's values in an object and a list.
pub const MAX_DEPTH: usize = 512;

/// A JSON value. `==` compares spelling and order; see [`semantically_equal`] for meaning.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    Array(Vec<Json>),
    /// Members in the order of the text, duplicate keys included.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads exactly one JSON value with nothing but white space around it.
    pub fn parse(text: &[u8]) -> Result<Self, Reason> {
        let document = Document::value(text, MAX_DEPTH, &mut Tape::default())?;
        Ok(document.to_json())
    }

    /// All values at a path, in order of appearance. Lists on the way are descended into, duplicate
    /// keys all followed; a list at the path's end is returned as that list.
    pub fn at(&self, path: &FieldPath) -> Vec<&Json> {
        let mut found = Vec::new();
        self.collect(&path.0, &mut found);
        found
    }

    fn collect<'json>(&'json self, path: &[String], found: &mut Vec<&'json Json>) {
        let Some((name, rest)) = path.split_first() else {
            found.push(self);
            return;
        };
        match self {
            Self::Object(members) => {
                for (_, value) in members.iter().filter(|(key, _)| key == name) {
                    value.collect(rest, found);
                }
            }
            Self::Array(elements) => {
                for element in elements {
                    element.collect(path, found);
                }
            }
            _ => {}
        }
    }
}

/// The members of an object gathered by key: keys in order of first appearance, values in order.
pub(super) fn by_key(members: &[(String, Json)]) -> Vec<(&str, Vec<&Json>)> {
    let mut gathered: Vec<(&str, Vec<&Json>)> = Vec::with_capacity(members.len());
    let mut position_of: HashMap<&str, usize> = HashMap::with_capacity(members.len());
    for (key, value) in members {
        let next = gathered.len();
        let position = *position_of.entry(key).or_insert(next);
        match gathered.get_mut(position) {
            Some((_, values)) => values.push(value),
            None => gathered.push((key, vec![value])),
        }
    }
    gathered
}

/// Whether two values mean the same: key order does not count, numbers are equal as decimals,
/// the values of a duplicate key are compared as a sequence.
pub fn semantically_equal(left: &Json, right: &Json) -> bool {
    match (left, right) {
        (Json::Number(left), Json::Number(right)) => left.decimal() == right.decimal(),
        (Json::Array(left), Json::Array(right)) => all_equal(left.iter(), right.iter()),
        (Json::Object(left), Json::Object(right)) => {
            let left = by_key(left);
            let right: HashMap<&str, Vec<&Json>> = by_key(right).into_iter().collect();
            left.len() == right.len()
                && left.into_iter().all(|(key, values)| {
                    right
                        .get(key)
                        .is_some_and(|others| all_equal(values.into_iter(), others.iter().copied()))
                })
        }
        _ => left == right,
    }
}

fn all_equal<'json>(
    left: impl ExactSizeIterator<Item = &'json Json>,
    right: impl ExactSizeIterator<Item = &'json Json>,
) -> bool {
    left.len() == right.len()
        && left
            .zip(right)
            .all(|(one, other)| semantically_equal(one, other))
}

/// Compact JSON text.
impl fmt::Display for Json {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => formatter.write_str("null"),
            Self::Bool(value) => write!(formatter, "{value}"),
            Self::Number(number) => write!(formatter, "{number}"),
            Self::String(text) => write_quoted(formatter, text),
            Self::Array(elements) => {
                formatter.write_char('[')?;
                for (position, element) in elements.iter().enumerate() {
                    let comma = if position > 0 { "," } else { "" };
                    write!(formatter, "{comma}{element}")?;
                }
                formatter.write_char(']')
            }
            Self::Object(members) => {
                formatter.write_char('{')?;
                for (position, (key, value)) in members.iter().enumerate() {
                    formatter.write_str(if position > 0 { "," } else { "" })?;
                    write_quoted(formatter, key)?;
                    write!(formatter, ":{value}")?;
                }
                formatter.write_char('}')
            }
        }
    }
}

fn write_quoted(formatter: &mut fmt::Formatter<'_>, string: &str) -> fmt::Result {
    let mut quoted = String::new();
    push_quoted(&mut quoted, string);
    formatter.write_str(&quoted)
}

/// Writes a JSON string with its quotes.
pub(super) fn push_quoted(text: &mut String, string: &str) {
    text.push('"');
    push_escaped(text, string);
    text.push('"');
}

/// Writes what stands between the quotes of a JSON string.
pub(super) fn push_escaped(text: &mut String, string: &str) {
    let mut rest = string;
    while let Some(position) = rest.bytes().position(needs_escape) {
        let (clean, from) = rest.split_at(position);
        text.push_str(clean);
        let mut characters = from.chars();
        match characters.next() {
            Some('"') => text.push_str("\\\""),
            Some('\\') => text.push_str("\\\\"),
            Some('\n') => text.push_str("\\n"),
            Some('\r') => text.push_str("\\r"),
            Some('\t') => text.push_str("\\t"),
            Some(control) => {
                // Writing to memory does not fail.
                let _ = write!(text, "\\u{:04x}", u32::from(control));
            }
            None => {}
        }
        rest = characters.as_str();
    }
    text.push_str(rest);
}

fn needs_escape(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

/// Where in an event a value is: names of fields from the outside in, lists left out, as in
/// `items.adultTickets.price`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(Vec<String>);

/// A field path with an empty name in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("reading a field path: a name is empty; write names with single dots between them")]
pub struct EmptyName;

impl FieldPath {
    /// From names as they are, for names that hold dots.
    pub fn from_names<Name: Into<String>>(names: impl IntoIterator<Item = Name>) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }

    pub fn names(&self) -> &[String] {
        &self.0
    }
}

impl FromStr for FieldPath {
    type Err = EmptyName;

    fn from_str(dotted: &str) -> Result<Self, EmptyName> {
        let names: Vec<String> = dotted.split('.').map(str::to_owned).collect();
        if names.iter().any(String::is_empty) {
            return Err(EmptyName);
        }
        Ok(Self(names))
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join("."))
    }
}
