//! Which field each key of an object goes to.
//!
//! Events of one dataset have the same keys in nearly the same order, so the keys of the last object are
//! kept with what was found out about them, and a key is only looked up where it differs.
//!
//! Hazard: an object with duplicate keys must not pass as one without, or a value would be lost
//! (invariant 2).

use std::collections::{HashMap, HashSet};

use arrow::datatypes::Fields;

use super::document::{Members, Value};
use super::names::{fold_case, is_allowed, is_reserved};
use super::rescued::pointer_name;

/// Objects with more keys are rather maps by some id: there is no layout to remember.
const MOST_SLOTS: usize = 128;

/// The keys of the last object of a struct.
pub(super) struct Layout {
    position_of: HashMap<String, usize>,
    folded: HashSet<String>,
    is_event: bool,
    slots: Vec<Slot>,
    /// So many slots at the start are known to differ from one another.
    distinct: usize,
    /// So many slots at the start describe the adopted object.
    adopted: usize,
}

/// What becomes of the values under a key.
#[derive(Clone, Debug, Default)]
pub(super) struct Slot {
    key: String,
    /// The key as `_rescued` spells it.
    pub pointer_name: String,
    /// The position of the key's field, if there is one.
    pub field: Option<usize>,
    /// Whether learning could make a column for it.
    pub may_be_column: bool,
}

impl Layout {
    /// `is_event`: the struct is the event itself, where some names are reserved.
    pub fn new(fields: &Fields, is_event: bool) -> Self {
        let names = fields.iter().enumerate().rev();
        Self {
            position_of: names
                .map(|(position, field)| (field.name().clone(), position))
                .collect(),
            folded: fields.iter().map(|field| fold_case(field.name())).collect(),
            is_event,
            slots: Vec::new(),
            distinct: 0,
            adopted: 0,
        }
    }

    /// Makes the slots those of an object; false if it has duplicate keys or too many.
    pub fn adopt(&mut self, members: &Members<'_>) -> bool {
        let mut keys = members.clone();
        self.adopted = 0;
        for slot in &self.slots {
            let Some(key) = keys.next_key() else { break };
            if key != slot.key.as_bytes() {
                break;
            }
            self.adopted += 1;
        }
        if self.adopted < self.slots.len() || !keys.is_empty() {
            let rest = members.clone().skip(self.adopted);
            for (key, _) in rest {
                if self.adopted == MOST_SLOTS {
                    return false;
                }
                self.set(self.adopted, key);
                self.adopted += 1;
            }
        }
        while self.distinct < self.adopted {
            let (before, after) = self.slots.split_at(self.distinct);
            let is_repeated = |next: &Slot| before.iter().any(|slot| slot.key == next.key);
            if after.first().is_some_and(is_repeated) {
                return false;
            }
            self.distinct += 1;
        }
        true
    }

    /// The slots of the adopted object.
    pub fn slots(&self) -> &[Slot] {
        self.slots.get(..self.adopted).unwrap_or_default()
    }

    fn set(&mut self, position: usize, key: &str) {
        self.distinct = self.distinct.min(position);
        let slot = self.slot_of(key);
        match self.slots.get_mut(position) {
            Some(known) => *known = slot,
            None => self.slots.push(slot),
        }
    }

    /// What becomes of the values under any key.
    pub fn slot_of(&self, key: &str) -> Slot {
        let field = self.position_of.get(key).copied();
        let may_be_column = || {
            // A struct without fields is not ours: it stays as it is.
            let grows = self.is_event || !self.position_of.is_empty();
            let is_reserved = self.is_event && is_reserved(key);
            grows && is_allowed(key) && !is_reserved && !self.folded.contains(&fold_case(key))
        };
        Slot {
            key: key.to_owned(),
            pointer_name: pointer_name(key),
            field,
            may_be_column: field.is_none() && may_be_column(),
        }
    }
}

/// The members of an object by key: keys in order of first appearance, values in order.
pub(super) struct Gathered<'document> {
    pub by_key: Vec<(&'document str, Vec<Value<'document>>)>,
}

impl<'document> Gathered<'document> {
    pub fn of(members: Members<'document>) -> Self {
        let mut by_key: Vec<(&str, Vec<Value<'_>>)> = Vec::new();
        let mut position_of: HashMap<&str, usize> = HashMap::new();
        for (key, value) in members {
            let next = by_key.len();
            let position = *position_of.entry(key).or_insert(next);
            match by_key.get_mut(position) {
                Some((_, values)) => values.push(value),
                None => by_key.push((key, vec![value])),
            }
        }
        Self { by_key }
    }
}
