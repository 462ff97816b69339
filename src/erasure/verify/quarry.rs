//! Whom to look for: the identifiers of all requests as terms, each distinct text once, however many
//! requests name it.

use std::collections::HashMap;
use std::fmt;

use chrono::{DateTime, Utc};

use super::forms::LONG;

/// The subject of one request. Its `Debug` shows no identifier.
#[derive(Clone)]
pub struct Quarry {
    /// The request.
    pub request: String,
    /// The subject's identifiers: kind, and text as people write it.
    pub identifiers: Vec<(String, String)>,
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
}

/// All texts of all quarries.
pub(super) fn terms(quarries: &[Quarry]) -> Vec<Term> {
    let mut terms: Vec<Term> = Vec::new();
    let mut index_of: HashMap<&str, usize> = HashMap::new();
    for (quarry, subject) in quarries.iter().enumerate() {
        let named = subject.identifiers.iter().map(|one| (one, false));
        let linked = subject.linked.iter().map(|one| (one, true));
        for ((kind, text), linked) in named.chain(linked) {
            if text.is_empty() {
                continue;
            }
            let index = *index_of.entry(text).or_insert(terms.len());
            if index == terms.len() {
                terms.push(Term::new(text));
            }
            let claim = Claim {
                quarry,
                kind: kind.clone(),
                linked,
            };
            if let Some(term) = terms.get_mut(index) {
                term.claims.push(claim);
            }
        }
    }
    terms
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
        }
    }
}
