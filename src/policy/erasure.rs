//! `erasure` in `lake.yaml`: what holds for erasure requests in all datasets.

use std::collections::{BTreeMap, BTreeSet};

use super::error::ValueError;
use super::guards::limit;
use super::lake::grace;
use super::pii::Compare;
use super::section::{Key, Section};
use super::span::Span;

/// What holds for erasure requests in all datasets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasurePolicy {
    /// How values of a kind of identifier are compared; as text where it is not named.
    pub compare: BTreeMap<String, Compare>,
    /// Kinds of identifiers that are made up of several fields, by the policies of datasets and curated tables.
    pub composites: BTreeSet<String>,
    /// A request that hits more rows than these was mistyped, or its identifier is shared by many: it
    /// waits for a person.
    pub max_rows_per_subject: u64,
    /// How many linked ids may belong to one subject; more means that the links lead to other people.
    pub max_linked_ids: u64,
    /// Events up to so long after the request count as from before it.
    pub late_grace: Span,
    /// Who has to be told of erasures because they hold copies of the tables (GDPR Art. 19).
    pub recipients: Vec<String>,
}

impl Default for ErasurePolicy {
    fn default() -> Self {
        Self {
            compare: BTreeMap::new(),
            composites: BTreeSet::new(),
            max_rows_per_subject: 10_000,
            max_linked_ids: 10_000,
            late_grace: Span::NONE,
            recipients: Vec::new(),
        }
    }
}

pub(super) const SAMPLE: &str = "{ max_rows_per_subject: 10000 }";
const ERASURE: &[Key] = &[
    Key::new("compare", "{ email: ignore_case }"),
    Key::new("max_rows_per_subject", "10000"),
    Key::new("max_linked_ids", "10000"),
    Key::new("late_grace", "1 h"),
    Key::new("recipients", "[Snowflake]"),
];
const COMPARE: &[Key] = &[Key::any("ignore_case")];

/// Reads the section, which may be left out.
pub(super) fn read(file: &Section<'_>) -> Option<ErasurePolicy> {
    let section = file.section_or_empty("erasure", ERASURE)?;
    let usual = ErasurePolicy::default();
    let compare = compare(&section);
    let rows = section.or_default("max_rows_per_subject", usual.max_rows_per_subject, limit);
    let links = section.or_default("max_linked_ids", usual.max_linked_ids, limit);
    let late_grace = section.or_default("late_grace", usual.late_grace, grace);
    let recipients = section.list_or_empty("recipients", recipient);
    Some(ErasurePolicy {
        compare: compare?,
        composites: BTreeSet::new(),
        max_rows_per_subject: rows?,
        max_linked_ids: links?,
        late_grace: late_grace?,
        recipients: recipients?,
    })
}

fn compare(erasure: &Section<'_>) -> Option<BTreeMap<String, Compare>> {
    let section = erasure.section_or_empty("compare", COMPARE)?;
    let mut kinds = BTreeMap::new();
    for entry in section.entries() {
        kinds.insert(entry.key.clone(), section.required(&entry.key, way)?);
    }
    Some(kinds)
}

fn way(text: &str) -> Result<Compare, ValueError> {
    match text {
        "text" => Ok(Compare::Text),
        "ignore_case" => Ok(Compare::IgnoreCase),
        "number" => Ok(Compare::Number),
        _ => Err(ValueError::new("it is text, ignore_case or number")),
    }
}

fn recipient(text: &str) -> Result<String, ValueError> {
    if text.trim().is_empty() {
        return Err(ValueError::new("a recipient needs a name"));
    }
    Ok(text.trim().to_owned())
}
