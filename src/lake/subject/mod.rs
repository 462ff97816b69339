//! Whom an event is about: identifiers, how they are compared, and who may not come back.
//!
//! An identifier is compared by its canonical text, which its kind's [`Compare`] says how to make: a JSON
//! string stands for itself, an integer for its digits, so that `12345` and `"12345"` are one customer.
//! What leaves the process is a keyed hash of `v1:<kind>:<text>` (invariant 9).

mod redaction;
mod roster;
mod suppression;
mod token;
mod written;

use std::borrow::Cow;

use crate::decode::{Document, FieldPath, Json, Number};
use crate::policy::{Compare, IdentifyingFields, TOGETHER};

pub use redaction::{kept_by_law, redact};
pub use roster::{FieldRule, Roster, Sought, Subject};
pub use suppression::{Suppressed, Suppression, SuppressionError};
pub use token::contains_token;
pub use written::Written;

/// Stands between the parts of an identifier that is made up of several fields.
const PART: char = '\u{1f}';

/// One identifier of a subject. Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier {
    /// The kind, as policies name it: `user_id`.
    pub kind: String,
    /// The canonical text; of a composite identifier, that of its parts.
    pub text: String,
}

impl std::fmt::Debug for Identifier {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}=…", self.kind)
    }
}

impl Identifier {
    /// What a person wrote as `text` of a composite kind, made canonical; its parts are parted by ` and `.
    pub fn written(kind: &str, text: &str, compare: Compare) -> Self {
        let parts = text.split(TOGETHER);
        let parts: Vec<String> = parts.map(|part| canonical_text(part, compare)).collect();
        Self {
            kind: kind.to_owned(),
            text: parts.join(&PART.to_string()),
        }
    }

    /// The texts that it is made up of: one, unless it is composite.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.text.split(PART)
    }

    /// What is hashed in its stead.
    pub fn canonical_form(&self) -> String {
        format!("v1:{}:{}", self.kind, self.text)
    }
}

/// The canonical text of a value, if it can be an identifier.
pub fn canonical(value: &Json, compare: Compare) -> Option<String> {
    match value {
        Json::String(text) => Some(canonical_text(text, compare)),
        Json::Number(number) => match number.to_exact_i64() {
            Some(integer) => Some(integer.to_string()),
            None if is_negative_zero(number) => Some("0".to_owned()),
            None if compare == Compare::Number => Some(number.to_string()),
            None => number.is_integer_text().then(|| number.to_string()),
        },
        _ => None,
    }
}

/// Zero has no other sign for people.
fn is_negative_zero(number: &Number) -> bool {
    let text = number.to_string();
    let magnitude = text
        .strip_prefix('-')
        .and_then(|text| Number::parse(text).ok());
    magnitude.is_some_and(|magnitude| magnitude.to_exact_i64() == Some(0))
}

/// The canonical text of a string.
pub fn canonical_text(text: &str, compare: Compare) -> String {
    match compare {
        Compare::Text => text.to_owned(),
        Compare::IgnoreCase => text.trim().to_lowercase(),
        Compare::Number => whole_number(text).unwrap_or_else(|| text.to_owned()),
    }
}

/// The digits of a whole number, however it is written: `007`, `+7`, `7.0`, `7e0`.
fn whole_number(text: &str) -> Option<String> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let stripped = digits.trim_start_matches('0');
    let zero = if stripped.starts_with(|sign: char| sign.is_ascii_digit()) {
        ""
    } else {
        "0"
    };
    let whole = |text: &str| Number::parse(text).ok()?.to_exact_i64();
    let number = whole(&format!("{sign}{zero}{stripped}")).or_else(|| {
        let magnitude = whole(&format!("{zero}{stripped}"))?;
        (magnitude == 0).then_some(0)
    })?;
    (!digits.is_empty()).then(|| number.to_string())
}

/// An event in any form, as far as identifiers stand in it.
pub trait Fields {
    /// All values at a path; see [`Json::at`].
    fn values_at(&self, path: &FieldPath) -> Vec<Cow<'_, Json>>;
}

impl Fields for Json {
    fn values_at(&self, path: &FieldPath) -> Vec<Cow<'_, Json>> {
        self.at(path).into_iter().map(Cow::Borrowed).collect()
    }
}

impl Fields for Document {
    fn values_at(&self, path: &FieldPath) -> Vec<Cow<'_, Json>> {
        self.at(path).into_iter().map(Cow::Owned).collect()
    }
}

/// The canonical texts of a value, those in lists and the names in an object included; an empty one identifies
/// nobody.
fn push_texts(value: &Json, compare: Compare, texts: &mut Vec<String>) {
    match value {
        Json::Array(elements) => {
            for element in elements {
                push_texts(element, compare, texts);
            }
        }
        Json::Object(members) => {
            let names = members
                .iter()
                .map(|(name, _)| canonical_text(name, compare));
            texts.extend(names.filter(|name| !name.is_empty()));
        }
        _ => texts.extend(canonical(value, compare).filter(|text| !text.is_empty())),
    }
}

/// The identifiers that an event holds in these fields.
fn identifiers_in(
    event: &impl Fields,
    fields: &IdentifyingFields,
    compare: Compare,
) -> Vec<Identifier> {
    let mut texts = Vec::new();
    if let [path] = fields.paths.as_slice() {
        for value in event.values_at(path) {
            push_texts(&value, compare, &mut texts);
        }
    } else {
        let common = common_names(&fields.paths);
        for object in event.values_at(&FieldPath::from_names(common.iter().cloned())) {
            push_together(&object, common.len(), &fields.paths, compare, &mut texts);
        }
    }
    let identifier = |text| Identifier {
        kind: fields.kind.clone(),
        text,
    };
    texts.into_iter().map(identifier).collect()
}

/// The names that all paths begin with.
fn common_names(paths: &[FieldPath]) -> &[String] {
    let Some((first, others)) = paths.split_first() else {
        return &[];
    };
    let names = first.names();
    let is_common = |length: &usize| {
        let begin = &names[..*length];
        others.iter().all(|path| path.names().starts_with(begin))
    };
    let length = (0..names.len()).rev().find(is_common).unwrap_or(0);
    &names[..length]
}

/// What the fields come to in each object: all of them have to be there, in the same one.
fn push_together(
    object: &Json,
    depth: usize,
    paths: &[FieldPath],
    compare: Compare,
    texts: &mut Vec<String>,
) {
    if let Json::Array(elements) = object {
        for element in elements {
            push_together(element, depth, paths, compare, texts);
        }
        return;
    }
    let mut together = vec![String::new()];
    for (position, path) in paths.iter().enumerate() {
        let names = path.names().iter().skip(depth).cloned();
        let mut parts = Vec::new();
        for value in object.at(&FieldPath::from_names(names)) {
            push_texts(value, compare, &mut parts);
        }
        let joined = |begin: &String| -> Vec<String> {
            let separator = if position > 0 {
                PART.to_string()
            } else {
                String::new()
            };
            let parts = parts.iter();
            parts
                .map(|part| format!("{begin}{separator}{part}"))
                .collect()
        };
        together = together.iter().flat_map(joined).collect();
    }
    texts.extend(together);
}

#[cfg(test)]
mod tests;
