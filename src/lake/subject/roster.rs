//! Finds the events of many subjects at once in one table.
//!
//! An event is a subject's if it holds an identifier that the request names; or an id that links led to
//! and that says whose the event is; or any other linked id, unless the event names an owner: an id that
//! people share, as a session on a shared computer, does not make another person's event the subject's.

use std::collections::{BTreeSet, HashMap};

use aho_corasick::{AhoCorasick, MatchKind};
use chrono::{DateTime, Utc};

use super::token::{spelled_out, stands_alone};
use super::{Fields, Identifier, identifiers_in};
use crate::decode::{FieldPath, Json, Record};
use crate::policy::{Compare, IdentifyingFields, PiiPolicy};

/// A person who is to be erased.
#[derive(Debug, Clone)]
pub struct Subject {
    /// What the request names.
    pub named: BTreeSet<Identifier>,
    /// What links led to.
    pub linked: BTreeSet<Identifier>,
    /// Events up to this time are the subject's; whoever comes back later is a new customer.
    pub until: DateTime<Utc>,
}

/// Values to look for in fields of one kind.
#[derive(Debug, Clone)]
pub struct Sought {
    /// The fields; several stand for one value that they make up together.
    pub paths: Vec<FieldPath>,
    /// How values are compared.
    pub compare: Compare,
    /// The identifiers, as canonical texts, one for each path.
    pub texts: Vec<Vec<String>>,
}

/// How an identifier belongs to a subject.
#[derive(Debug, Clone, Copy)]
struct Claim {
    subject: u32,
    is_named: bool,
}

/// Fields that identify people in one table, with what their values are worth.
#[derive(Debug, Clone)]
pub struct FieldRule {
    pub(super) fields: IdentifyingFields,
    pub(super) compare: Compare,
    /// Its values say whose an event is.
    pub(super) is_owner: bool,
    /// Links lead here.
    pub(super) is_linked: bool,
}

impl FieldRule {
    /// All of a table's: made once, and used for every event.
    pub fn all(pii: &PiiPolicy) -> Vec<Self> {
        let linked = pii.linked();
        let rule = |fields: IdentifyingFields| Self {
            compare: pii.compare(&fields.kind),
            is_owner: pii.owners.contains(&fields.kind),
            is_linked: fields.paths.iter().any(|path| linked.contains(path)),
            fields,
        };
        pii.fields().into_iter().map(rule).collect()
    }
}

/// Subjects, as the events of one table name them. They are known by their position in the list that the
/// roster was made from.
#[derive(Debug)]
pub struct Roster {
    fields: Vec<FieldRule>,
    claims: HashMap<Identifier, Vec<Claim>>,
    until: Vec<DateTime<Utc>>,
    words: Option<Words>,
}

/// The identifiers as words of bytes that could not be understood.
#[derive(Debug)]
struct Words {
    automaton: AhoCorasick,
    /// By pattern: the word, whether its case counts, and the identifiers that it is part of.
    patterns: Vec<(String, bool, Vec<Identifier>)>,
}

impl Roster {
    /// A roster of `subjects` for the table whose policy `pii` is.
    pub fn new(pii: &PiiPolicy, subjects: &[Subject]) -> Self {
        let mut roster = Self {
            fields: FieldRule::all(pii),
            claims: HashMap::new(),
            until: subjects.iter().map(|subject| subject.until).collect(),
            words: None,
        };
        for (number, subject) in (0_u32..).zip(subjects) {
            for (identifiers, is_named) in [(&subject.named, true), (&subject.linked, false)] {
                for identifier in identifiers {
                    let claims = roster.claims.entry(identifier.clone()).or_default();
                    claims.push(Claim {
                        subject: number,
                        is_named,
                    });
                }
            }
        }
        roster.words = Words::of(pii, roster.claims.keys());
        roster
    }

    /// The fields by which events are told to be somebody's.
    pub fn paths(&self) -> impl Iterator<Item = &FieldPath> {
        self.fields.iter().flat_map(|field| &field.fields.paths)
    }

    /// The subjects whose event this is, of whatever time; each once, in order.
    pub fn of_event(&self, event: &impl Fields) -> Vec<usize> {
        let (mut certain, mut by_link, mut is_owned) = (BTreeSet::new(), BTreeSet::new(), false);
        for field in &self.fields {
            for identifier in identifiers_in(event, &field.fields, field.compare) {
                for claim in self.claims.get(&identifier).into_iter().flatten() {
                    if claim.is_named || field.is_owner {
                        certain.insert(claim.subject as usize);
                    } else {
                        by_link.insert(claim.subject as usize);
                    }
                }
                is_owned |= field.is_owner;
            }
        }
        if !is_owned {
            certain.append(&mut by_link);
        }
        certain.into_iter().collect()
    }

    /// The subjects whose event of this time this is.
    pub fn of_event_at(&self, event: &impl Fields, time: Option<DateTime<Utc>>) -> Vec<usize> {
        let mut subjects = self.of_event(event);
        subjects.retain(|subject| !self.is_later(*subject, time));
        subjects
    }

    /// Whether the time lies behind what is erased for the subject. What has no time may be from before.
    pub fn is_later(&self, subject: usize, time: Option<DateTime<Utc>>) -> bool {
        let until = self.until.get(subject);
        time.is_some_and(|time| until.is_some_and(|until| time > *until))
    }

    /// The ids in an event that belong to whoever the event belongs to.
    pub fn links_in(&self, event: &impl Fields) -> Vec<Identifier> {
        let linked = self.fields.iter().filter(|field| field.is_linked);
        linked
            .flat_map(|field| identifiers_in(event, &field.fields, field.compare))
            .collect()
    }

    /// The subjects that a record which could not be understood mentions as whole words.
    pub fn mentioned(&self, record: &[u8]) -> Vec<usize> {
        let Some(words) = &self.words else {
            return Vec::new();
        };
        let mut subjects = BTreeSet::new();
        let plain = spelled_out(record);
        let plain = plain.iter().flat_map(|plain| words.in_bytes(plain));
        for identifier in words.in_bytes(record).into_iter().chain(plain) {
            let claims = self.claims.get(identifier).into_iter().flatten();
            subjects.extend(claims.map(|claim| claim.subject as usize));
        }
        subjects.into_iter().collect()
    }

    /// Whether a record of a raw object is anybody's.
    pub fn has(&self, record: &Record<'_>) -> bool {
        match &record.content {
            Ok(event) => !self.of_event(event).is_empty(),
            Err(_) => !self.mentioned(record.bytes).is_empty(),
        }
    }

    /// Whether a broken record may be anybody's.
    pub fn is_in(&self, record: &[u8]) -> bool {
        let event = Json::parse(record).ok();
        !self.mentioned(record).is_empty()
            || event.is_some_and(|event| !self.of_event(&event).is_empty())
    }

    /// What to look for in the table's files to find all events with one of `identifiers`.
    pub fn sought<'a>(&self, identifiers: impl IntoIterator<Item = &'a Identifier>) -> Vec<Sought> {
        let mut by_kind: HashMap<&str, BTreeSet<&Identifier>> = HashMap::new();
        for identifier in identifiers {
            by_kind
                .entry(&identifier.kind)
                .or_default()
                .insert(identifier);
        }
        let mut sought = Vec::new();
        for field in &self.fields {
            let paths = &field.fields.paths;
            let of_kind = by_kind
                .get(field.fields.kind.as_str())
                .into_iter()
                .flatten();
            let texts: Vec<Vec<String>> = of_kind
                .map(|identifier| identifier.parts().map(str::to_owned).collect::<Vec<_>>())
                .filter(|parts| parts.len() == paths.len())
                .collect();
            if !texts.is_empty() {
                sought.push(Sought {
                    paths: paths.clone(),
                    compare: field.compare,
                    texts,
                });
            }
        }
        sought
    }
}

impl Words {
    fn of<'a>(pii: &PiiPolicy, identifiers: impl Iterator<Item = &'a Identifier>) -> Option<Self> {
        let mut by_word: HashMap<(String, bool), Vec<Identifier>> = HashMap::new();
        for identifier in identifiers {
            let counts_case = pii.compare(&identifier.kind) != Compare::IgnoreCase;
            for part in identifier.parts().filter(|part| !part.is_empty()) {
                let word = by_word.entry((part.to_owned(), counts_case)).or_default();
                word.push(identifier.clone());
            }
        }
        let ignores_case = by_word.keys().any(|(_, counts_case)| !counts_case);
        let patterns: Vec<_> = by_word
            .into_iter()
            .map(|((word, counts_case), identifiers)| (word, counts_case, identifiers))
            .collect();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(ignores_case)
            .build(patterns.iter().map(|(word, ..)| word))
            .ok()?;
        Some(Self {
            automaton,
            patterns,
        })
    }

    /// The identifiers all of whose parts stand in `bytes`.
    fn in_bytes(&self, bytes: &[u8]) -> Vec<&Identifier> {
        let mut seen: HashMap<&Identifier, BTreeSet<&str>> = HashMap::new();
        for found in self.automaton.find_overlapping_iter(bytes) {
            let Some((word, counts_case, identifiers)) =
                self.patterns.get(found.pattern().as_usize())
            else {
                continue;
            };
            let is_equal = !counts_case || bytes.get(found.range()) == Some(word.as_bytes());
            if is_equal && stands_alone(bytes, found.start(), found.len()) {
                for identifier in identifiers {
                    seen.entry(identifier).or_default().insert(word);
                }
            }
        }
        seen.retain(|identifier, words| identifier.parts().all(|part| words.contains(part)));
        seen.into_keys().collect()
    }
}
