//! Which columns a dataset gets from the events seen so far.
//!
//! Hazards: a column, once there, is read by others, so it is never changed or narrowed; names
//! may clash or be refused; one producer's map keyed by id would become thousands of columns, named by people's
//! identifiers.
//! What gets no column loses nothing: it is rescued (invariant 2).
//!
//! A type that the policy declares for a field counts for more than what is seen, on first sight of the
//! field only: an existing column stays what it is.
//!
//! The result depends on how often things occur, not on the order of the events.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};

use super::column_type::ColumnType;
use super::names::{fold_case, is_allowed, is_reserved, looks_like_a_value};
use super::shape::{SeenKind, Shape};
use super::{Document, FieldPath, Json};

/// What becomes of fields that have no column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewFields {
    /// They get one.
    Add,
    /// They stay in `_rescued`.
    Rescue,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaRules {
    /// Of fields that are not in `types`.
    pub on_new_field: NewFields,
    /// Most leaf columns of the table, existing ones included. New ones beyond are rescued, the
    /// rarest first.
    pub max_columns: usize,
    /// Fields whose type people decided. They get a column of it on first sight, whatever kind of value
    /// comes, whatever happens to other new fields.
    pub types: BTreeMap<FieldPath, ColumnType>,
    /// Fields that hold identifiers. If one holds an object, the names in it are the identifiers, and no
    /// columns.
    pub identifying: BTreeSet<FieldPath>,
}

impl SchemaRules {
    fn declared(&self, path: &Path) -> Option<ColumnType> {
        let found = self.types.iter().find(|(field, _)| field.names() == path);
        found.map(|(_, declared)| *declared)
    }

    fn is_identifying(&self, path: &Path) -> bool {
        self.identifying.iter().any(|field| field.names() == path)
    }

    /// Whether people have named this field, or one inside it.
    fn names(&self, path: &Path) -> bool {
        self.declared(path).is_some() || self.declares_inside(path)
    }

    /// Whether a field inside the one at `path` has a declared type.
    fn declares_inside(&self, path: &Path) -> bool {
        let is_inside =
            |names: &[String]| names.len() > path.len() && names.starts_with(path.as_slice());
        self.types.keys().any(|field| is_inside(field.names()))
    }
}

/// A field that will be rescued in every event that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RescuedField {
    /// Dotted, for people. Field names come from events: someone who keys a map by identifiers puts
    /// identifiers here.
    pub path: String,
    pub why: RescueCause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RescueCause {
    #[error("a column may not have this name")]
    NameNotAllowed,
    #[error("the table uses this name itself")]
    NameReserved,
    #[error("the name differs only in case from a column's")]
    NameDiffersInCase,
    #[error("the table has as many columns as its policy allows")]
    TooManyColumns,
    /// Told of the field that the name stands in.
    #[error(
        "names in it look like values that a map is keyed by; if they identify people, list it under `identifiers`"
    )]
    NamesLookLikeValues,
    #[error("names in it identify people")]
    NamesIdentify,
    #[error("the policy adds no new fields")]
    Policy,
}

/// The columns for the next commit.
#[derive(Clone, Debug)]
pub struct Learned {
    /// Payload columns only: existing ones as they were and in their order, then new ones by name.
    pub schema: SchemaRef,
    /// New leaf columns as dotted path and type, for people.
    pub added: Vec<String>,
    pub rescued_for_good: Vec<RescuedField>,
}

/// What was seen of a dataset's events, one after the other.
#[derive(Debug, Default)]
pub struct Learning {
    seen: Shape,
}

impl Learning {
    /// Takes an event into account. Events that bring nothing new to a schema may be left out.
    pub fn observe(&mut self, event: &Document) {
        self.seen.observe(event.root());
    }

    /// The columns for what was seen, on top of an existing schema.
    pub fn conclude(&self, existing: Option<&Schema>, rules: &SchemaRules) -> Learned {
        let existing = existing
            .map(|schema| schema.fields().clone())
            .unwrap_or_default();
        let payload = existing.iter().filter(|field| !is_reserved(field.name()));
        let existing: Fields = payload.cloned().collect();
        let mut learner = Learner {
            rules,
            new_leaves: Vec::new(),
            rescued: Vec::new(),
        };
        let fields = learner.merge(&existing, &self.seen.members, &Vec::new());
        let refused = learner.refuse_leaves(&existing);
        let fields = without(&fields, &refused, &mut Vec::new());
        learner
            .rescued
            .sort_by(|one, other| one.path.cmp(&other.path));
        learner.rescued.dedup();
        Learned {
            schema: Arc::new(Schema::new(fields)),
            added: learner.new_leaves.iter().map(Leaf::describe).collect(),
            rescued_for_good: learner.rescued,
        }
    }
}

/// Learns columns from events on top of an existing schema.
pub fn learn<'events>(
    existing: Option<&Schema>,
    events: impl Iterator<Item = &'events Json>,
    rules: &SchemaRules,
) -> Learned {
    let mut learning = Learning::default();
    for document in events.filter_map(|event| Document::of(event).ok()) {
        learning.observe(&document);
    }
    learning.conclude(existing, rules)
}

/// Names from the outside in; lists on the way are left out.
type Path = Vec<String>;

struct Leaf {
    path: Path,
    count: u64,
    is_declared: bool,
    column_type: ColumnType,
}

impl Leaf {
    fn describe(&self) -> String {
        format!("{}: {}", self.path.join("."), self.column_type)
    }
}

struct Learner<'rules> {
    rules: &'rules SchemaRules,
    new_leaves: Vec<Leaf>,
    rescued: Vec<RescuedField>,
}

impl Learner<'_> {
    /// Existing fields, with new children inside them, then new fields.
    fn merge(&mut self, existing: &Fields, seen: &BTreeMap<String, Shape>, path: &Path) -> Fields {
        let mut fields: Vec<FieldRef> = Vec::with_capacity(existing.len());
        let mut taken = HashSet::new();
        for field in existing {
            taken.insert(fold_case(field.name()));
            fields.push(match seen.get(field.name()) {
                Some(shape) => self.widen(field, shape, &child(path, field.name())),
                None => Arc::clone(field),
            });
        }
        let known: HashSet<&str> = existing.iter().map(|field| field.name().as_str()).collect();
        for (name, shape) in self.by_precedence(seen, path) {
            if known.contains(name.as_str()) {
                continue;
            }
            if let Some(field) = self.new_field(name, shape, path, &mut taken) {
                fields.push(field);
            }
        }
        if let Some(new) = fields.get_mut(existing.len()..) {
            new.sort_by(|one, other| one.name().cmp(other.name()));
        }
        fields.into()
    }

    fn new_field(
        &mut self,
        name: &str,
        shape: &Shape,
        path: &Path,
        taken: &mut HashSet<String>,
    ) -> Option<FieldRef> {
        let path_here = child(path, name);
        let refused = if !is_allowed(name) {
            Some(RescueCause::NameNotAllowed)
        } else if path.is_empty() && is_reserved(name) {
            Some(RescueCause::NameReserved)
        } else if taken.contains(&fold_case(name)) {
            Some(RescueCause::NameDiffersInCase)
        } else if looks_like_a_value(name) && !self.rules.names(&path_here) {
            let around = if path.is_empty() { &path_here } else { path };
            self.rescue(around, RescueCause::NamesLookLikeValues);
            return None;
        } else {
            None
        };
        if let Some(why) = refused {
            self.rescue(&path_here, why);
            return None;
        }
        let data_type = self.new_type(shape, &path_here)?;
        taken.insert(fold_case(name));
        Some(Arc::new(Field::new(name, data_type, true)))
    }

    /// The declared type, else that of the most frequent kind which has one.
    fn new_type(&mut self, shape: &Shape, path: &Path) -> Option<DataType> {
        if let Some(declared) = self.rules.declared(path) {
            return self.declared_type(declared, shape, path);
        }
        for (kind, count) in shape.kinds_by_frequency() {
            let data_type = match kind {
                SeenKind::Object if self.rules.is_identifying(path) => {
                    self.rescue(path, RescueCause::NamesIdentify);
                    None
                }
                SeenKind::Object => {
                    let fields = self.merge(&Fields::empty(), &shape.members, path);
                    (!fields.is_empty()).then_some(DataType::Struct(fields))
                }
                SeenKind::Array => {
                    let elements = shape.elements.as_deref();
                    let element = elements.and_then(|elements| self.new_type(elements, path));
                    element.map(|element| DataType::new_list(element, true))
                }
                SeenKind::Scalar(_) if self.rules.declares_inside(path) => None,
                SeenKind::Scalar(column_type) => {
                    self.new_leaves.push(Leaf {
                        path: path.clone(),
                        count,
                        is_declared: false,
                        column_type,
                    });
                    Some(column_type.data_type())
                }
            };
            if data_type.is_some() {
                return data_type;
            }
        }
        None
    }

    /// A column of the declared type, or a list of them where lists prevail. What was only seen null or
    /// empty does not tell which, and waits.
    fn declared_type(
        &mut self,
        declared: ColumnType,
        shape: &Shape,
        path: &Path,
    ) -> Option<DataType> {
        if shape.is_mostly_lists() {
            let element = self.declared_type(declared, shape.elements.as_deref()?, path)?;
            return Some(DataType::new_list(element, true));
        }
        if shape.count() == 0 {
            return None;
        }
        self.new_leaves.push(Leaf {
            path: path.clone(),
            count: shape.count(),
            is_declared: true,
            column_type: declared,
        });
        Some(declared.data_type())
    }

    /// The same field, with new children where it is a struct or a list of structs.
    fn widen(&mut self, field: &FieldRef, shape: &Shape, path: &Path) -> FieldRef {
        let elements = shape.elements.as_deref();
        let data_type = match (field.data_type(), elements) {
            // A struct without fields is not ours: leave it as it is.
            (DataType::Struct(fields), _)
                if !fields.is_empty() && !self.rules.is_identifying(path) =>
            {
                DataType::Struct(self.merge(fields, &shape.members, path))
            }
            (DataType::List(element), Some(elements)) => {
                DataType::List(self.widen(element, elements, path))
            }
            (DataType::LargeList(element), Some(elements)) => {
                DataType::LargeList(self.widen(element, elements, path))
            }
            _ => return Arc::clone(field),
        };
        Arc::new(field.as_ref().clone().with_data_type(data_type))
    }

    /// Takes out of `new_leaves` what the rules do not admit and returns their paths.
    fn refuse_leaves(&mut self, existing: &Fields) -> HashSet<Path> {
        let (room, why) = match self.rules.on_new_field {
            NewFields::Rescue => (0, RescueCause::Policy),
            NewFields::Add => {
                let room = self
                    .rules
                    .max_columns
                    .saturating_sub(count_leaves(existing));
                (room, RescueCause::TooManyColumns)
            }
        };
        self.new_leaves.sort_by(|one, other| {
            let declared_first = other.is_declared.cmp(&one.is_declared);
            declared_first
                .then_with(|| other.count.cmp(&one.count))
                .then_with(|| one.path.cmp(&other.path))
        });
        let declared = self.new_leaves.iter().filter(|leaf| leaf.is_declared);
        let room = room.max(declared.count());
        let refused = self.new_leaves.split_off(room.min(self.new_leaves.len()));
        self.new_leaves
            .sort_by(|one, other| one.path.cmp(&other.path));
        for leaf in &refused {
            self.rescue(&leaf.path, why);
        }
        refused.into_iter().map(|leaf| leaf.path).collect()
    }

    /// Of several names that differ in case the first one wins: declared ones come first, then the most
    /// frequent, then by name.
    fn by_precedence<'seen>(
        &self,
        seen: &'seen BTreeMap<String, Shape>,
        path: &Path,
    ) -> Vec<(&'seen String, &'seen Shape)> {
        let mut fields: Vec<_> = seen.iter().collect();
        fields.sort_by_cached_key(|(name, shape)| {
            let path = child(path, name);
            (!self.rules.names(&path), std::cmp::Reverse(shape.count()))
        });
        fields
    }

    fn rescue(&mut self, path: &Path, why: RescueCause) {
        let path = path.join(".");
        self.rescued.push(RescuedField { path, why });
    }
}

fn child(path: &Path, name: &str) -> Path {
    let mut path = path.clone();
    path.push(name.to_owned());
    path
}

fn count_leaves(fields: &Fields) -> usize {
    fields
        .iter()
        .map(|field| count_leaves_of(field.data_type()))
        .sum()
}

fn count_leaves_of(data_type: &DataType) -> usize {
    match data_type {
        DataType::Struct(fields) => count_leaves(fields),
        DataType::List(element) | DataType::LargeList(element) => {
            count_leaves_of(element.data_type())
        }
        _ => 1,
    }
}

/// The fields without refused leaves and without structs that have no leaf left.
fn without(fields: &Fields, refused: &HashSet<Path>, path: &mut Path) -> Fields {
    let mut kept: Vec<FieldRef> = Vec::with_capacity(fields.len());
    for field in fields {
        path.push(field.name().clone());
        if let Some(data_type) = type_without(field.data_type(), refused, path) {
            kept.push(Arc::new(field.as_ref().clone().with_data_type(data_type)));
        }
        path.pop();
    }
    kept.into()
}

fn type_without(
    data_type: &DataType,
    refused: &HashSet<Path>,
    path: &mut Path,
) -> Option<DataType> {
    match data_type {
        DataType::Struct(fields) => {
            let kept = without(fields, refused, path);
            (fields.is_empty() || !kept.is_empty()).then_some(DataType::Struct(kept))
        }
        DataType::List(element) => {
            let inner = type_without(element.data_type(), refused, path)?;
            let element = element.as_ref().clone().with_data_type(inner);
            Some(DataType::List(Arc::new(element)))
        }
        DataType::LargeList(element) => {
            let inner = type_without(element.data_type(), refused, path)?;
            let element = element.as_ref().clone().with_data_type(inner);
            Some(DataType::LargeList(Arc::new(element)))
        }
        leaf => (!refused.contains(path)).then(|| leaf.clone()),
    }
}
