//! Whose an event is, and what it gives away: decided once all of it has been looked at.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::composite::{self, PartField, SeenPart};
use super::coverage::Form;
use super::search::{Hit, Searcher, Standing, TELLING};

/// What one object version gives away, by quarry.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    pub traces: BTreeSet<(usize, Form)>,
    pub later: BTreeMap<usize, u64>,
    pub mentions: BTreeSet<usize>,
    pub records: u64,
    pub rows: u64,
    pub is_unreadable: bool,
}

/// How a term stands in an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// As the value of a field of its kind.
    Field,
    /// Elsewhere, in a form that means something there.
    Telling,
    /// Elsewhere, in a form that may mean something else.
    Doubtful,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sighting {
    term: usize,
    quarry: usize,
    linked: bool,
    how: How,
}

/// An event, a row, or a whole text of another kind, as far as it has been looked at.
#[derive(Debug, Default)]
pub(super) struct Event {
    sightings: Vec<Sighting>,
    parts: Vec<SeenPart>,
    /// Whether a field that says whose the event is has a value.
    pub names_someone: bool,
    /// What stands where the time is expected; none for what is no time.
    pub times: Vec<Option<DateTime<Utc>>>,
}

impl Event {
    /// A term is the whole value of a field that holds identifiers of `kinds`.
    pub fn see_value(&mut self, searcher: &Searcher, term: usize, kinds: &[String]) {
        self.see(searcher, term, |is_long, kind| match kind {
            kind if kinds.iter().any(|one| one == kind) => How::Field,
            _ if is_long => How::Telling,
            _ => How::Doubtful,
        });
    }

    /// A term is the whole value of a field that holds parts of identifiers. `objects`: those that the field
    /// is in, outermost first.
    pub fn see_part(
        &mut self,
        searcher: &Searcher,
        term: usize,
        fields: &[PartField],
        objects: Option<&[usize]>,
    ) {
        for part in composite::seen(searcher, term, fields, objects) {
            if !self.parts.contains(&part) {
                self.parts.push(part);
            }
        }
    }

    /// A term turns up somewhere else. `values_tell`: a short one that stands as a value means it there.
    pub fn see_hit(&mut self, searcher: &Searcher, hit: &Hit, values_tell: bool) {
        let is_telling = is_telling(searcher, hit);
        let how = match hit.standing {
            _ if hit.is_long => How::Telling,
            Standing::Value if values_tell && is_telling => How::Telling,
            Standing::Word if !is_telling => return,
            _ => How::Doubtful,
        };
        self.see(searcher, hit.term, |_, _| how);
    }

    fn see(&mut self, searcher: &Searcher, term: usize, how: impl Fn(bool, &str) -> How) {
        let Some(found) = searcher.terms.get(term) else {
            return;
        };
        for claim in &found.claims {
            let sighting = Sighting {
                term,
                quarry: claim.quarry,
                linked: claim.linked,
                how: how(found.is_long, &claim.kind),
            };
            if !self.sightings.contains(&sighting) {
                self.sightings.push(sighting);
            }
        }
    }

    /// Whether anything was seen.
    pub fn is_of_interest(&self) -> bool {
        !self.sightings.is_empty() || !self.parts.is_empty()
    }

    /// The terms that were seen.
    pub fn terms(&self) -> impl Iterator<Item = usize> {
        self.sightings.iter().map(|one| one.term)
    }

    /// Takes in what was seen of another part of the same event.
    pub fn join(&mut self, part: Self) {
        self.names_someone |= part.names_someone;
        self.times.extend(part.times);
        self.parts.extend(part.parts);
        for sighting in part.sightings {
            if !self.sightings.contains(&sighting) {
                self.sightings.push(sighting);
            }
        }
    }

    /// What was seen of terms that are not `known`, as a text of its own.
    pub fn without(mut self, known: impl Fn(usize) -> bool) -> Self {
        self.sightings.retain(|one| !known(one.term));
        Self {
            sightings: self.sightings,
            ..Self::default()
        }
    }

    /// Adds what the event gives away. `form`: what a term elsewhere is called.
    pub fn judge(&self, searcher: &Searcher, form: Form, findings: &mut Findings) {
        let whole = composite::whole(searcher, &self.parts);
        let mut quarries: BTreeSet<usize> = self.sightings.iter().map(|one| one.quarry).collect();
        quarries.extend(&whole);
        for quarry in quarries {
            let has_whole = whole.contains(&quarry);
            let seen = || {
                self.sightings
                    .iter()
                    .filter(move |one| one.quarry == quarry)
            };
            let names_subject = has_whole || seen().any(|one| one.how == How::Field && !one.linked);
            let is_others = self.names_someone && !names_subject;
            let belongs = |one: &Sighting| one.linked && one.how != How::Doubtful;
            let is_subjects = names_subject || !is_others && seen().any(belongs);
            if is_subjects && self.is_after(searcher.cutoffs.get(quarry)) {
                *findings.later.entry(quarry).or_default() += 1;
                continue;
            }
            if has_whole {
                findings.traces.insert((quarry, Form::Field));
            }
            for sighting in seen().filter(|one| !(one.linked && is_others)) {
                match sighting.how {
                    How::Field => findings.traces.insert((quarry, Form::Field)),
                    How::Telling => findings.traces.insert((quarry, form)),
                    How::Doubtful => findings.mentions.insert(quarry),
                };
            }
        }
    }

    /// Whether its only time is a time after `cutoff`.
    fn is_after(&self, cutoff: Option<&DateTime<Utc>>) -> bool {
        match (self.times.as_slice(), cutoff) {
            ([Some(time)], Some(cutoff)) => time > cutoff,
            _ => false,
        }
    }
}

fn is_telling(searcher: &Searcher, hit: &Hit) -> bool {
    let term = searcher.terms.get(hit.term);
    term.is_some_and(|term| term.text.chars().count() >= TELLING)
}

impl Findings {
    /// Adds what bytes give away that are no event. `any_length`: short texts count too where they stand
    /// as a value, and so do parts of identifiers that are there whole; elsewhere texts have to have
    /// [`TELLING`] characters at least.
    pub fn add_hits(&mut self, searcher: &Searcher, hits: &[Hit], any_length: bool, form: Form) {
        for hit in hits {
            let is_telling = is_telling(searcher, hit);
            let is_value = hit.standing == Standing::Value;
            let counts = hit.is_long || is_value && (any_length || is_telling);
            let term = searcher.terms.get(hit.term);
            for claim in term.iter().flat_map(|term| &term.claims) {
                if counts {
                    self.traces.insert((claim.quarry, form));
                } else if is_telling {
                    self.mentions.insert(claim.quarry);
                }
            }
        }
        if any_length {
            let whole = composite::whole_in_record(searcher, hits);
            self.traces
                .extend(whole.into_iter().map(|quarry| (quarry, form)));
        }
    }
}
