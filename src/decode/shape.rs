//! What kinds of values were seen at each place of the events, and how often.
//!
//! Hazard: nesting. A table's schema is read by programs that recurse, so what lies more than
//! [`MAX_COLUMN_DEPTH`] levels deep is not looked at; it will be rescued.

use std::collections::BTreeMap;

use super::column_type::ColumnType;
use super::document::{Content, Value};
use super::names::is_allowed;
use super::number::{exact_f64, exact_i64, is_integer_text};

/// Delta keeps its schema as JSON, three levels for each of ours, and readers stop at 128.
const MAX_COLUMN_DEPTH: usize = 24;

/// The values seen at one place.
#[derive(Debug, Default)]
pub(super) struct Shape {
    booleans: u64,
    integers: u64,
    decimals: u64,
    texts: u64,
    objects: u64,
    arrays: u64,
    pub members: BTreeMap<String, Shape>,
    pub elements: Option<Box<Shape>>,
}

pub(super) enum SeenKind {
    Object,
    Array,
    Scalar(ColumnType),
}

impl Shape {
    /// Counts a value and what is in it. Nulls, empty containers and numbers that no column can
    /// hold exactly say nothing about a type.
    pub fn observe(&mut self, value: Value<'_>) {
        self.observe_at(value, 0);
    }

    fn observe_at(&mut self, value: Value<'_>, depth: usize) {
        match value.content() {
            Content::Null => {}
            Content::Bool(_) => self.booleans += 1,
            Content::Number(number) => self.observe_number(number),
            Content::Text(_) => self.texts += 1,
            Content::Object(_) | Content::Array(_) if depth >= MAX_COLUMN_DEPTH => {}
            Content::Object(members) => {
                self.objects += u64::from(!members.is_empty());
                for (name, member) in members {
                    if !self.members.contains_key(name) {
                        self.members.insert(name.to_owned(), Self::default());
                    }
                    if let Some(shape) = self.members.get_mut(name) {
                        shape.observe_at(member, depth + 1);
                    }
                }
            }
            Content::Array(elements) => {
                self.arrays += u64::from(!elements.is_empty());
                let shape = self.elements.get_or_insert_default();
                for element in elements {
                    shape.observe_at(element, depth + 1);
                }
            }
        }
    }

    fn observe_number(&mut self, number: &str) {
        if is_integer_text(number) {
            self.integers += u64::from(exact_i64(number).is_some());
        } else {
            self.decimals += u64::from(exact_f64(number).is_some());
        }
    }

    /// How many values say something about a type.
    pub fn count(&self) -> u64 {
        self.booleans + self.integers + self.decimals + self.texts + self.objects + self.arrays
    }

    /// Whether most of the values that say something are lists.
    pub fn is_mostly_lists(&self) -> bool {
        self.arrays * 2 > self.count()
    }

    /// Most frequent kind first; of equals, text first.
    pub fn kinds_by_frequency(&self) -> Vec<(SeenKind, u64)> {
        let number = if self.decimals > 0 {
            ColumnType::Decimal
        } else {
            ColumnType::Integer
        };
        let mut kinds = vec![
            (SeenKind::Scalar(ColumnType::Text), self.texts),
            (SeenKind::Object, self.objects),
            (SeenKind::Array, self.arrays),
            (SeenKind::Scalar(number), self.integers + self.decimals),
            (SeenKind::Scalar(ColumnType::Boolean), self.booleans),
        ];
        kinds.retain(|(_, count)| *count > 0);
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        kinds
    }
}

/// Whether observing a value `depth` levels deep could give a column.
pub(super) fn says_something(value: Value<'_>, depth: usize) -> bool {
    match value.content() {
        Content::Null => false,
        Content::Bool(_) | Content::Text(_) => true,
        Content::Number(number) if is_integer_text(number) => exact_i64(number).is_some(),
        Content::Number(number) => exact_f64(number).is_some(),
        Content::Object(_) | Content::Array(_) if depth >= MAX_COLUMN_DEPTH => false,
        Content::Object(mut members) => {
            members.any(|(name, member)| is_allowed(name) && says_something(member, depth + 1))
        }
        Content::Array(mut elements) => elements.any(|element| says_something(element, depth + 1)),
    }
}
