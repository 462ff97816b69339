//! Identifiers that are made up of several fields: whether all parts of one stand together.
//!
//! A part alone may be anybody's (a club, a number within it), so it counts for nothing. Together are parts
//! that stand in their fields in one object of an event; what a JSON Pointer of `_rescued` leads to, and a
//! column of a curated table, may belong to any object of its row.

use std::collections::BTreeSet;

use super::search::{Hit, Searcher, Standing};
use crate::decode::FieldPath;

/// One subject's identifier of several parts.
pub(super) struct Composite {
    /// Which of the quarries.
    pub quarry: usize,
    /// The kind of identifier.
    pub kind: String,
    /// How many parts it has.
    pub parts: usize,
}

/// That a term is part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// Which of the composites.
    pub composite: usize,
    pub position: usize,
}

/// That a field holds a part of such identifiers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PartField {
    /// The kind of identifier.
    pub kind: String,
    /// The fields with the same number make one up together.
    pub group: usize,
    pub position: usize,
    /// How many names lead to the object that all of them are in; none if it may be any.
    pub depth: Option<usize>,
}

/// A part that stands in its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SeenPart {
    part: Part,
    group: usize,
    /// In which object of the event; none if it may be any.
    object: Option<usize>,
}

/// How many names lead to the object that has all of these fields.
pub(super) fn common_depth(paths: &[FieldPath]) -> usize {
    let names = |path: &FieldPath| path.names().len();
    let most = paths.iter().map(names).min().map_or(0, |least| least - 1);
    let agree = |depth: &usize| {
        let mut name = paths.iter().map(|path| path.names().get(*depth));
        let first = name.next();
        name.all(|other| Some(other) == first)
    };
    (0..most).take_while(agree).count()
}

/// What a term that is the whole value of a field is a part of there. `objects`: those that the field is
/// in, outermost first.
pub(super) fn seen<'a>(
    searcher: &'a Searcher,
    term: usize,
    fields: &'a [PartField],
    objects: Option<&'a [usize]>,
) -> impl Iterator<Item = SeenPart> + 'a {
    let parts = searcher.terms.get(term).map(|term| term.parts.as_slice());
    parts.unwrap_or_default().iter().flat_map(move |part| {
        let kind = searcher.composites.get(part.composite);
        let kind = kind.map(|composite| composite.kind.as_str());
        let own = fields.iter().filter(move |field| {
            Some(field.kind.as_str()) == kind && field.position == part.position
        });
        own.map(move |field| SeenPart {
            part: *part,
            group: field.group,
            object: field.depth.and_then(|depth| objects?.get(depth).copied()),
        })
    })
}

/// The quarries of which an identifier is there whole.
pub(super) fn whole(searcher: &Searcher, seen: &[SeenPart]) -> BTreeSet<usize> {
    let is_with = |one: &SeenPart, other: &SeenPart| {
        one.group == other.group && (other.object == one.object || other.object.is_none())
    };
    let quarry_of = |one: &SeenPart| {
        let together = seen.iter().filter(|other| is_with(one, other));
        whole_of(
            searcher,
            one.part.composite,
            together.map(|other| other.part),
        )
    };
    seen.iter().filter_map(quarry_of).collect()
}

/// The quarries of which all parts stand as values in a record that nobody can read as an event.
pub(super) fn whole_in_record(searcher: &Searcher, hits: &[Hit]) -> BTreeSet<usize> {
    let values = hits.iter().filter(|hit| hit.standing == Standing::Value);
    let terms = values.filter_map(|hit| searcher.terms.get(hit.term));
    let parts: Vec<Part> = terms.flat_map(|term| term.parts.iter().copied()).collect();
    let quarry_of = |part: &Part| whole_of(searcher, part.composite, parts.iter().copied());
    parts.iter().filter_map(quarry_of).collect()
}

fn whole_of(
    searcher: &Searcher,
    composite: usize,
    parts: impl Iterator<Item = Part>,
) -> Option<usize> {
    let own = parts.filter(|part| part.composite == composite);
    let positions: BTreeSet<usize> = own.map(|part| part.position).collect();
    let composite = searcher.composites.get(composite)?;
    (positions.len() == composite.parts).then_some(composite.quarry)
}
