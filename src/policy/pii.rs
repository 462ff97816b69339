//! `pii` of a dataset or curated table: which fields identify a person, which other ids belong to that
//! person, and what an erasure does to the person's rows.
//!
//! Hazard: a field that identifies a person and that the policy forgets would survive every erasure, so a
//! policy names its identifiers or says outright that there are none. Redaction is pseudonymisation (GDPR
//! Art. 4(5)) and no erasure, so it needs a legal basis (Art. 17(3)) and an end, and covers every field by
//! which the person could be found.

use std::collections::{BTreeMap, BTreeSet};

use super::dataset::is_longer;
use super::error::ValueError;
use super::field_path;
use super::names::name;
use super::section::{Key, Section};
use super::span::Span;
use super::spelling::shown;
use super::yaml::{Content, Entry};
use crate::decode::FieldPath;

/// Which fields identify a person, and what becomes of their rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PiiPolicy {
    /// Kind of identifier (`user_id`) → the fields that hold one, no field
    /// twice; empty only if the policy says `pii: none`.
    pub identifiers: BTreeMap<String, Vec<FieldPath>>,
    /// Kind of identifier → fields that identify a person only together.
    pub composites: BTreeMap<String, Vec<Vec<FieldPath>>>,
    /// Field that identifies a person → fields of the same event whose values belong to that person.
    pub links: BTreeMap<FieldPath, Vec<FieldPath>>,
    /// What an erasure does.
    pub on_erasure: OnErasure,
    /// Fields that look like identifiers of a person and are none.
    pub not_personal: Vec<FieldPath>,
    /// How identifiers are compared, by kind; from `lake.yaml`, the same for all tables.
    pub compare: BTreeMap<String, Compare>,
    /// Kinds whose values say whose an event is: those that any dataset has links from.
    pub owners: BTreeSet<String>,
}

/// What an erasure does to a person's rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum OnErasure {
    /// They go.
    #[default]
    Delete,
    /// They stay without what identifies the person, as long as a law wants them kept.
    Redact(Redaction),
}

/// How rows are pseudonymised, why, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redaction {
    /// What each field becomes.
    pub fields: BTreeMap<FieldPath, Replacement>,
    /// Counted from `event_date`; after it the row goes.
    pub keep: Span,
    /// The legal basis, as the policy words it.
    pub basis: String,
}

/// What a field becomes by redaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replacement {
    /// Nothing: the field goes.
    Null,
    /// A keyed hash, the same for the same value.
    Hash,
    /// This text.
    Constant(String),
}

/// How values of a kind of identifier are compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compare {
    /// As text; a whole number stands for its digits, so `12345`, `12345.0` and `"12345"` are equal.
    #[default]
    Text,
    /// As text without regard to case and to white space around it.
    IgnoreCase,
    /// Text that reads as a number stands for the number: `"007"`, `"7.0"` and `7` are equal.
    Number,
}

/// Fields that hold a kind of identifier; several stand for one that they make up together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentifyingFields {
    /// The kind.
    pub kind: String,
    /// The fields.
    pub paths: Vec<FieldPath>,
}

impl PiiPolicy {
    /// Every place where an identifier or a linked id may stand.
    pub fn fields(&self) -> Vec<IdentifyingFields> {
        let mut fields = Vec::new();
        let mut push = |kind: &str, paths: &[FieldPath]| {
            fields.push(IdentifyingFields {
                kind: kind.to_owned(),
                paths: paths.to_vec(),
            });
        };
        for (kind, paths) in &self.identifiers {
            for path in paths {
                push(kind, std::slice::from_ref(path));
            }
        }
        for (kind, composites) in &self.composites {
            for paths in composites {
                push(kind, paths);
            }
        }
        for path in self.linked() {
            if !self.is_identifier(path) {
                push(&self.kind_of(path), std::slice::from_ref(path));
            }
        }
        fields
    }

    /// The fields that links lead to.
    pub fn linked(&self) -> BTreeSet<&FieldPath> {
        self.links.values().flatten().collect()
    }

    /// The kind of what stands in a field: that under which it is listed, else the field's own name.
    pub fn kind_of(&self, path: &FieldPath) -> String {
        let listed = self
            .identifiers
            .iter()
            .find(|(_, paths)| paths.contains(path));
        listed.map_or_else(|| path.to_string(), |(kind, _)| kind.clone())
    }

    /// How values of a kind are compared.
    pub fn compare(&self, kind: &str) -> Compare {
        self.compare.get(kind).copied().unwrap_or_default()
    }

    fn is_identifier(&self, path: &FieldPath) -> bool {
        self.identifiers
            .values()
            .flatten()
            .any(|other| other == path)
    }

    /// All fields by which a person is found, each once.
    pub fn paths(&self) -> Vec<FieldPath> {
        let fields = self.fields();
        let paths: BTreeSet<&FieldPath> = fields.iter().flat_map(|field| &field.paths).collect();
        paths.into_iter().cloned().collect()
    }
}

const PII: &[Key] = &[
    Key::new("identifiers", "{ user_id: [userId] }"),
    Key::new("links", "{ userId: [sessionId, cartId] }"),
    Key::new("not_personal", "[museumId]"),
    Key::new("on_erasure", "delete"),
    Key::new("redact", "{ userId: hash, cardHolderEmail: null }"),
    Key::new(
        "legal_minimum",
        "{ keep: 90 days, reason: \"chargebacks\" }",
    ),
];
const CURATED_PII: &[Key] = &[
    Key::new("identifiers", "{ user_id: [user_id] }"),
    Key::new("not_personal", "[museum_id]"),
];
const KINDS: &[Key] = &[Key::any("[userId]")];
const LINKS: &[Key] = &[Key::any("[sessionId, cartId]")];
const REDACT: &[Key] = &[Key::any("hash")];
const LEGAL_MINIMUM: &[Key] = &[
    Key::new("keep", "90 days"),
    Key::new("reason", "chargebacks"),
];

/// Reads the section `pii` of a dataset, whose rows are kept for `keep`, if that could be read.
pub(super) fn read(file: &Section<'_>, keep: Option<Span>) -> Option<PiiPolicy> {
    if says_none(file) {
        return Some(PiiPolicy::default());
    }
    let section = file.section("pii", PII)?;
    let redacts = section.or_default("on_erasure", false, on_erasure);
    let policy = identifiers(&section);
    let links = links(&section);
    let not_personal = section.list_or_empty("not_personal", field_path::parse);
    let policy = PiiPolicy {
        links: links?,
        not_personal: not_personal?,
        ..policy?
    };
    let on_erasure = if redacts? {
        OnErasure::Redact(redaction(&section, &policy, keep)?)
    } else {
        delete(&section)
    };
    Some(PiiPolicy {
        on_erasure,
        ..policy
    })
}

fn says_none(file: &Section<'_>) -> bool {
    let entry = file.find("pii");
    entry.is_some_and(|entry| matches!(&entry.value.content, Content::Text(text) if text == "none"))
}

/// Reads the section `pii` of a curated table, which may be left out.
pub(super) fn read_curated(file: &Section<'_>) -> Option<PiiPolicy> {
    if file.find("pii").is_none() || says_none(file) {
        return Some(PiiPolicy::default());
    }
    let section = file.section("pii", CURATED_PII)?;
    let not_personal = section.list_or_empty("not_personal", field_path::parse);
    Some(PiiPolicy {
        not_personal: not_personal?,
        ..identifiers(&section)?
    })
}

fn identifiers(pii: &Section<'_>) -> Option<PiiPolicy> {
    const HINT: &str = "write `identifiers: { user_id: [userId] }`, or `pii: none` if no field identifies a person";
    let section = pii.section("identifiers", KINDS)?;
    if section.entries().is_empty() {
        section.refuse(
            section.at(),
            "`identifiers` under `pii` names no field",
            HINT,
        );
    }
    let mut policy = PiiPolicy::default();
    for entry in section.entries() {
        if let Err(why) = name(&entry.key) {
            let message = format!("an identifier cannot be called `{}`: {why}", entry.key);
            section.refuse(entry.at, message, "write `user_id: [userId]`");
        }
        let Some(listed) = section.list(entry, together) else {
            continue;
        };
        if listed.is_empty() {
            let message = format!("the identifier `{}` names no field", entry.key);
            section.refuse(entry.at, message, HINT);
        }
        let (composites, single): (Vec<_>, Vec<_>) =
            listed.into_iter().partition(|paths| paths.len() > 1);
        let single: Vec<FieldPath> = single.into_iter().flatten().collect();
        for path in &single {
            if policy.is_identifier(path) {
                let message = format!("`{path}` is listed under two kinds of identifier");
                section.refuse(entry.value.at, message, "keep one of the two");
            }
        }
        if !single.is_empty() && !composites.is_empty() {
            let message = format!(
                "the identifier `{}` has both single fields and fields that only count together",
                entry.key
            );
            section.refuse(entry.value.at, message, "make them two kinds of identifier");
        }
        if composites.is_empty() {
            policy.identifiers.insert(entry.key.clone(), single);
        } else {
            policy.composites.insert(entry.key.clone(), composites);
        }
    }
    Some(policy)
}

/// What stands between fields that identify a person only together.
pub const TOGETHER: &str = " and ";

/// Reads `userId`, or `programme and memberNumber`.
fn together(text: &str) -> Result<Vec<FieldPath>, ValueError> {
    text.split(TOGETHER)
        .map(|path| field_path::parse(path.trim()))
        .collect()
}

fn links(pii: &Section<'_>) -> Option<BTreeMap<FieldPath, Vec<FieldPath>>> {
    let section = pii.section_or_empty("links", LINKS)?;
    let mut links = BTreeMap::new();
    for entry in section.entries() {
        let from = key_path(&section, entry)?;
        let to = section.list(entry, field_path::parse)?;
        if to.contains(&from) {
            let message = format!("`{from}` under `pii.links` leads to itself");
            section.refuse(entry.value.at, message, "remove it from its own list");
        }
        links.insert(from, to);
    }
    Some(links)
}

fn key_path(section: &Section<'_>, entry: &Entry) -> Option<FieldPath> {
    match field_path::parse(&entry.key) {
        Ok(path) => Some(path),
        Err(why) => {
            let message = format!("`{}` is no field: {why}", shown(&entry.key));
            section.refuse(
                entry.at,
                message,
                "write a field's name, nested fields by dots",
            );
            None
        }
    }
}

/// A law that wants rows kept cannot stand beside an erasure that deletes them.
fn delete(pii: &Section<'_>) -> OnErasure {
    for key in ["redact", "legal_minimum"] {
        if let Some(entry) = pii.find(key) {
            let message =
                format!("`{key}` under `pii` says nothing while `on_erasure` is `delete`");
            pii.refuse(
                entry.at,
                message,
                "write `on_erasure: redact`, or remove it",
            );
        }
    }
    OnErasure::Delete
}

fn redaction(pii: &Section<'_>, policy: &PiiPolicy, rows_keep: Option<Span>) -> Option<Redaction> {
    if pii.find("legal_minimum").is_none() {
        pii.refuse(
            pii.at(),
            "`on_erasure: redact` keeps rows of an erased person, which needs a legal basis and an end",
            "write `legal_minimum: { keep: 90 days, reason: \"chargebacks\" }`, or `on_erasure: delete`",
        );
        return None;
    }
    let minimum = pii.section("legal_minimum", LEGAL_MINIMUM)?;
    let keep = minimum.required("keep", days_or_longer);
    let basis = minimum.required("reason", reason);
    if let (Some(keep), Some(rows_keep)) = (keep, rows_keep)
        && is_longer(keep, rows_keep)
    {
        minimum.refuse(
            minimum.value_at("keep"),
            "`keep` under `pii.legal_minimum` is longer than `keep` under `retention`: the rows would go before",
            format!("write `keep: {rows_keep}`, or less, or a longer `keep` under `retention`"),
        );
    }
    let fields = replacements(pii)?;
    for path in policy.paths() {
        if !fields.contains_key(&path) {
            let message = format!(
                "`redact` under `pii` leaves `{path}`, by which the person could still be found"
            );
            let hint = format!("add `{path}: hash` or `{path}: null`");
            pii.refuse(pii.value_at("redact"), message, hint);
        }
    }
    Some(Redaction {
        fields,
        keep: keep?,
        basis: basis?,
    })
}

fn replacements(pii: &Section<'_>) -> Option<BTreeMap<FieldPath, Replacement>> {
    let section = pii.section("redact", REDACT)?;
    let mut fields = BTreeMap::new();
    for entry in section.entries() {
        let path = key_path(&section, entry)?;
        let replacement = match &entry.value.content {
            Content::Empty => Replacement::Null,
            _ => section.required(&entry.key, replacement)?,
        };
        fields.insert(path, replacement);
    }
    Some(fields)
}

fn replacement(text: &str) -> Result<Replacement, ValueError> {
    match (text, text.strip_prefix("constant ")) {
        ("hash", _) => Ok(Replacement::Hash),
        (_, Some(constant)) => Ok(Replacement::Constant(constant.to_owned())),
        _ => Err(ValueError::new("it is null, hash or `constant TEXT`")),
    }
}

fn on_erasure(text: &str) -> Result<bool, ValueError> {
    match text {
        "delete" => Ok(false),
        "redact" => Ok(true),
        _ => Err(ValueError::new("it is delete or redact")),
    }
}

fn reason(text: &str) -> Result<String, ValueError> {
    if text.trim().is_empty() {
        return Err(ValueError::new("it names the law or the claim"));
    }
    Ok(text.trim().to_owned())
}

/// A span that counts whole days of the calendar.
pub(super) fn days_or_longer(text: &str) -> Result<Span, ValueError> {
    let span: Span = text.parse()?;
    if span.is_whole_days() {
        return Ok(span);
    }
    Err(ValueError::new("it must count days, months or years"))
}
