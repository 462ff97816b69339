//! What tonight's raw objects seem to do to a dataset's columns, for people. The plan is made without
//! reading all of them, so this comes from a sample: it is no part of what the plan promises, nor of its
//! digest.
//!
//! Hazard: field names come from events, and somebody who keys a map by identifiers puts identifiers into
//! them. Names that look like one are withheld (invariant 9).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::plural;
use crate::decode::looks_like_a_value;

/// So many fields of a dataset are shown.
pub const SHOWN_FIELDS: usize = 20;
/// So many characters of a name are shown.
const LONGEST_NAME: usize = 80;

/// What a sample of the new raw objects of a dataset says of its columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaChange {
    /// Events in the sample.
    pub events: u64,
    /// Raw objects in the sample.
    pub objects: usize,
    /// New raw objects that there are.
    pub of_objects: usize,
    /// Columns that would be added.
    pub new_columns: usize,
    /// Whether the table has no columns of events yet; `fields` is empty then.
    pub is_new_table: bool,
    /// The first fields that something happens to, new columns first.
    pub fields: Vec<FieldChange>,
    /// How many more there are.
    pub more: usize,
}

/// What happens to one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Its path, dotted.
    pub field: String,
    /// What happens to it.
    #[serde(flatten)]
    pub fate: FieldFate,
}

/// The fates of new fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fate", rename_all = "snake_case")]
pub enum FieldFate {
    /// It becomes a column.
    Added {
        /// The column's type.
        column_type: String,
        /// How many events of the sample have it.
        in_events: u64,
    },
    /// It stays in `_rescued`.
    Rescued {
        /// Why.
        why: String,
    },
    /// Objects that bring it are refused.
    Refused,
}

impl SchemaChange {
    /// The lines that tell people of it, each indented.
    pub(super) fn describe(
        &self,
        dataset: &str,
        formatter: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        write!(
            formatter,
            "  schema of {dataset} (from a sample of {} event{} in {} of {} object{}):",
            grouped(self.events),
            plural(self.events),
            grouped(self.objects as u64),
            grouped(self.of_objects as u64),
            plural(self.of_objects as u64)
        )?;
        if self.is_new_table {
            return writeln!(formatter, " a new table of {} columns", self.new_columns);
        }
        writeln!(formatter)?;
        for field in &self.fields {
            writeln!(formatter, "    {field}")?;
        }
        if self.more > 0 {
            writeln!(
                formatter,
                "    and {} more field{}",
                grouped(self.more as u64),
                plural(self.more as u64)
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for FieldChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = &self.field;
        match &self.fate {
            FieldFate::Added {
                column_type,
                in_events,
            } => write!(
                formatter,
                "+ {field}: {column_type}   (in {} event{})",
                grouped(*in_events),
                plural(*in_events)
            ),
            FieldFate::Rescued { why } => {
                write!(formatter, "~ {field}: stays in _rescued, {why}")
            }
            FieldFate::Refused => write!(
                formatter,
                "! {field}: objects that bring it are refused, the policy says `on_new_field: fail`"
            ),
        }
    }
}

/// A field's dotted path as people may see it.
pub fn shown_field(path: &str) -> String {
    if path.split('.').any(looks_like_a_value) || looks_like_a_value(path) {
        return "<name withheld>".to_owned();
    }
    let clean = |letter: char| if letter.is_control() { ' ' } else { letter };
    let mut shown: String = path.chars().take(LONGEST_NAME).map(clean).collect();
    if path.chars().nth(LONGEST_NAME).is_some() {
        shown.push('…');
    }
    shown
}

/// Columns (`path: type`) as people may see them: the first ones, and how many more.
pub fn shown_columns(columns: &[String]) -> Vec<String> {
    let mut shown: Vec<String> = columns
        .iter()
        .take(SHOWN_FIELDS)
        .map(|column| match column.rsplit_once(": ") {
            Some((path, column_type)) => format!("{}: {column_type}", shown_field(path)),
            None => shown_field(column),
        })
        .collect();
    if columns.len() > SHOWN_FIELDS {
        shown.push(format!("and {} more", columns.len() - SHOWN_FIELDS));
    }
    shown
}

/// A count with its thousands apart.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_like_identifiers_are_withheld() {
        for path in [
            "7",
            "visits.5550001.count",
            "a@example.org",
            "customer-789456",
            "byUser.0a1b2c3d-aaaa-bbbb-cccc-ddddeeeeffff",
            "byUser.abcdefgh-aaaa-bbbb-cccc-zzzzyyyyxxxx",
            "+44 7700 900123",
        ] {
            assert_eq!(shown_field(path), "<name withheld>", "{path}");
        }
        for path in [
            "items.seatNumber",
            "address2",
            "sha256",
            "a-b-c",
            "überraschung",
        ] {
            assert_eq!(shown_field(path), path);
        }
        assert_eq!(shown_field("two\nlines"), "two lines");
        assert_eq!(shown_field(&"a".repeat(81)), format!("{}…", "a".repeat(80)));
    }

    #[test]
    fn no_more_columns_are_shown_than_a_person_reads() {
        let columns: Vec<String> = (0..23).map(|_| "a: b: text".to_owned()).collect();
        let shown = shown_columns(&columns);
        assert_eq!(shown.len(), 21);
        assert_eq!(shown[0], "a: b: text");
        assert_eq!(shown[20], "and 3 more");
        assert_eq!(
            shown_columns(&["5550001: text".into()]),
            ["<name withheld>: text"]
        );
    }

    #[test]
    fn thousands_stand_apart() {
        let table = [
            (0, "0"),
            (999, "999"),
            (4_000, "4,000"),
            (1_234_567, "1,234,567"),
        ];
        for (count, text) in table {
            assert_eq!(grouped(count), text);
        }
    }
}
