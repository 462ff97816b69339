//! Whom to look for: the identifiers of all requests as terms, each distinct text once, however many
//! requests name it, and however many parts of identifiers it is.

use std::collections::HashMap;
use std::fmt;

use chrono::{DateTime, Utc};

use super::composite::{Composite, Part};
use super::forms::LONG;

/// The subject of one request. Its `Debug` shows no identifier.
#[derive(Clone)]
pub struct Quarry {
    /// The request.
    pub request: String,
    /// The subject's identifiers: kind, and text as people write it.
    pub identifiers: Vec<(String, String)>,
    /// Those that are made up of several fields: kind, and the texts of its parts.
    pub composites: Vec<(String, Vec<String>)>,
    /// Other ids that belong to the subject: kind and text. An event that holds one and names somebody
    /// else is somebody else's.
    pub linked: Vec<(String, String)>,
    /// Events of the subject from after it are a new customer's and may stay.
    pub cutoff: DateTime<Utc>,
}

impl fmt::Debug for Quarry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Quarry({})", self.request)
    }
}

/// That a term is one subject's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    /// Which of the quarries.
    pub quarry: usize,
    /// The kind of identifier.
    pub kind: String,
    /// Whether it only belongs to the subject, and does not name him.
    pub linked: bool,
}

/// A text to look for.
pub(super) struct Term {
    pub text: String,
    /// Whether it means something wherever it turns up.
    pub is_long: bool,
    /// The integer that it is the usual spelling of.
    pub number: Option<i128>,
    pub claims: Vec<Claim>,
    /// Of which identifiers it is only a part.
    pub parts: Vec<Part>,
}

/// All texts of all quarries.
#[derive(Default)]
pub(super) struct Terms<'a> {
    pub all: Vec<Term>,
    pub composites: Vec<Composite>,
    index_of: HashMap<&'a str, usize>,
}

impl<'a> Terms<'a> {
    pub fn of(quarries: &'a [Quarry]) -> Self {
        let mut terms = Self::default();
        for (quarry, subject) in quarries.iter().enumerate() {
            terms.push_singles(quarry, subject);
            terms.push_composites(quarry, subject);
        }
        terms
    }

    fn push_singles(&mut self, quarry: usize, subject: &'a Quarry) {
        let named = subject.identifiers.iter().map(|one| (one, false));
        let linked = subject.linked.iter().map(|one| (one, true));
        for ((kind, text), linked) in named.chain(linked) {
            if text.is_empty() {
                continue;
            }
            let claim = Claim {
                quarry,
                kind: kind.clone(),
                linked,
            };
            self.term(text).claims.push(claim);
        }
    }

    fn push_composites(&mut self, quarry: usize, subject: &'a Quarry) {
        for (kind, texts) in &subject.composites {
            let composite = self.composites.len();
            for (position, text) in texts.iter().enumerate() {
                let part = Part {
                    composite,
                    position,
                };
                self.term(text).parts.push(part);
            }
            self.composites.push(Composite {
                quarry,
                kind: kind.clone(),
                parts: texts.len(),
            });
        }
    }

    fn term(&mut self, text: &'a str) -> &mut Term {
        let index = *self.index_of.entry(text).or_insert(self.all.len());
        if index == self.all.len() {
            self.all.push(Term::new(text));
        }
        // Every index is that of a term.
        &mut self.all[index]
    }
}

impl Term {
    fn new(text: &str) -> Self {
        let number: Option<i128> = text.parse().ok();
        Self {
            is_long: text.chars().count() >= LONG,
            // `007` and `+7` are other texts than the number 7.
            number: number.filter(|number| number.to_string() == text),
            text: text.to_owned(),
            claims: Vec::new(),
            parts: Vec::new(),
        }
    }
}
