//! The people whom a step erases.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::request::{Erased, OpenRequest};
use crate::lake::subject::{Identifier, Roster, Subject};
use crate::policy::{ErasurePolicy, PiiPolicy};

/// The subjects of some requests, in the order that rosters number them in.
#[derive(Debug)]
pub struct People {
    requests: Vec<String>,
    subjects: Vec<Subject>,
}

impl People {
    /// Those of the requests called `ids`.
    pub fn new(requests: &[OpenRequest], ids: &[String], policy: &ErasurePolicy) -> Self {
        let named = requests
            .iter()
            .filter(|open| ids.contains(&open.request.id));
        let (requests, subjects) = named
            .map(|open| (open.request.id.clone(), open.subject(policy)))
            .unzip();
        Self { requests, subjects }
    }

    /// The requests of the subjects of these numbers.
    pub fn requests_of(&self, numbers: &BTreeSet<usize>) -> BTreeSet<String> {
        let ids = numbers
            .iter()
            .filter_map(|number| self.requests.get(*number));
        ids.cloned().collect()
    }

    /// How one table's events name them.
    pub fn roster(&self, pii: &PiiPolicy) -> Arc<Roster> {
        Arc::new(Roster::new(pii, &self.subjects))
    }

    /// All that is known of them.
    pub fn identifiers(&self) -> BTreeSet<&Identifier> {
        let subjects = self.subjects.iter();
        subjects
            .flat_map(|subject| subject.named.iter().chain(&subject.linked))
            .collect()
    }
}

/// What was done for whom.
#[derive(Debug, Default)]
pub struct Accounts {
    /// By request.
    pub erased: BTreeMap<String, Erased>,
}

impl Accounts {
    /// An account for everyone, so that who lost nothing is told so.
    pub fn of(people: &People) -> Self {
        let ids = people.requests.iter().cloned();
        Self {
            erased: ids.map(|id| (id, Erased::default())).collect(),
        }
    }

    /// The account of the subject of this number.
    pub fn of_subject(&mut self, people: &People, number: usize) -> Option<&mut Erased> {
        self.erased.get_mut(people.requests.get(number)?)
    }

    /// Adds one object: `hits` has a subject for each of its records that is theirs.
    pub fn count(
        &mut self,
        people: &People,
        hits: &[usize],
        each: fn(&mut Erased),
        once: fn(&mut Erased),
    ) {
        for number in hits {
            self.of_subject(people, *number).map(each);
        }
        for number in hits.iter().collect::<BTreeSet<_>>() {
            self.of_subject(people, *number).map(once);
        }
    }
}
