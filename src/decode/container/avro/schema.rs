//! An Avro schema as its writer put it into the file: what follows what in the bytes.
//!
//! Hazards: a schema may name itself, and may name types before anybody defined them. Names are
//! resolved once, into places in a list, so that a recursive schema is no recursive value. A logical type
//! that does not fit the type below it is passed over, as the specification wants it.

use std::collections::HashMap;

use serde_json::Value;

use super::super::lines::quoted;
use super::super::values::{Meaning, Unit};
use crate::decode::Reason;

/// A type within [`Schema`].
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    Null,
    Boolean,
    Int(Meaning),
    Long(Meaning),
    Float,
    Double,
    Bytes(Meaning),
    Array(Box<Type>),
    Map(Box<Type>),
    Union(Vec<Type>),
    /// A named type: where in the list it stands.
    Named(usize),
}

/// A type that has a name, so that others can refer to it.
#[derive(Clone, Debug, PartialEq)]
pub enum Named {
    Record(Vec<Field>),
    /// Its symbols.
    Enum(Vec<String>),
    Fixed(usize, Meaning),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// As JSON text.
    pub name: Vec<u8>,
    pub of: Type,
}

/// What the datums of a file are.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    pub root: Type,
    pub named: Vec<Named>,
}

impl Schema {
    /// Reads the JSON text of a schema.
    pub fn parse(text: &[u8]) -> Result<Self, Reason> {
        let json: Value = serde_json::from_slice(text).map_err(|_| Reason::ContainerSchema)?;
        let mut names = Names::default();
        let root = names.read(&json, "").ok_or(Reason::ContainerSchema)?;
        Ok(Self {
            root,
            named: names.named,
        })
    }
}

/// The named types met so far.
#[derive(Default)]
struct Names {
    named: Vec<Named>,
    places: HashMap<String, usize>,
}

impl Names {
    fn read(&mut self, json: &Value, namespace: &str) -> Option<Type> {
        match json {
            Value::String(name) => primitive(name, Meaning::Itself)
                .or_else(|| {
                    self.places
                        .get(&full_name(name, namespace))
                        .copied()
                        .map(Type::Named)
                })
                .or_else(|| self.places.get(name).copied().map(Type::Named)),
            Value::Array(branches) => {
                let branches = branches.iter().map(|branch| self.read(branch, namespace));
                branches.collect::<Option<_>>().map(Type::Union)
            }
            Value::Object(_) => self.read_object(json, namespace),
            _ => None,
        }
    }

    fn read_object(&mut self, json: &Value, namespace: &str) -> Option<Type> {
        let kind = match json.get("type")? {
            Value::String(kind) => kind.as_str(),
            // A type wrapped once more, as some writers do.
            wrapped => return self.read(wrapped, namespace),
        };
        match kind {
            "array" => Some(Type::Array(Box::new(
                self.read(json.get("items")?, namespace)?,
            ))),
            "map" => Some(Type::Map(Box::new(
                self.read(json.get("values")?, namespace)?,
            ))),
            "record" | "error" | "enum" | "fixed" => self.define(kind, json, namespace),
            _ => primitive(kind, meaning(json)).or_else(|| self.read(json.get("type")?, namespace)),
        }
    }

    fn define(&mut self, kind: &str, json: &Value, namespace: &str) -> Option<Type> {
        let name = json.get("name")?.as_str()?;
        let own = json.get("namespace").and_then(Value::as_str);
        let full = full_name(name, own.unwrap_or(namespace));
        let place = self.named.len();
        if self.places.insert(full.clone(), place).is_some() {
            return None;
        }
        // Its own fields may refer to it.
        self.named.push(Named::Record(Vec::new()));
        let namespace = full.rsplit_once('.').map_or("", |(namespace, _)| namespace);
        let definition = match kind {
            "enum" => {
                let symbols = json.get("symbols")?.as_array()?.iter();
                let symbols = symbols.map(|symbol| symbol.as_str().map(str::to_owned));
                Named::Enum(symbols.collect::<Option<_>>()?)
            }
            "fixed" => {
                let size = usize::try_from(json.get("size")?.as_u64()?).ok()?;
                Named::Fixed(size, fixed_meaning(meaning(json), size))
            }
            _ => {
                let fields = json.get("fields")?.as_array()?.iter();
                let fields = fields.map(|field| self.field(field, namespace));
                Named::Record(fields.collect::<Option<_>>()?)
            }
        };
        *self.named.get_mut(place)? = definition;
        Some(Type::Named(place))
    }

    fn field(&mut self, json: &Value, namespace: &str) -> Option<Field> {
        Some(Field {
            name: quoted(json.get("name")?.as_str()?),
            of: self.read(json.get("type")?, namespace)?,
        })
    }
}

fn full_name(name: &str, namespace: &str) -> String {
    if namespace.is_empty() || name.contains('.') {
        return name.to_owned();
    }
    format!("{namespace}.{name}")
}

fn primitive(kind: &str, meaning: Meaning) -> Option<Type> {
    let or_itself = |fits: bool| if fits { meaning } else { Meaning::Itself };
    let is_32_bits = matches!(
        meaning,
        Meaning::Date | Meaning::TimeOfDay(Unit::Milliseconds)
    );
    let is_64_bits = match meaning {
        Meaning::TimeOfDay(unit) => unit == Unit::Microseconds,
        Meaning::Instant(_) | Meaning::Local(_) => true,
        _ => false,
    };
    Some(match kind {
        "null" => Type::Null,
        "boolean" => Type::Boolean,
        "int" => Type::Int(or_itself(is_32_bits)),
        "long" => Type::Long(or_itself(is_64_bits)),
        "float" => Type::Float,
        "double" => Type::Double,
        "bytes" => Type::Bytes(or_itself(matches!(meaning, Meaning::Decimal { .. }))),
        // A UUID in a string is text already.
        "string" => Type::Bytes(Meaning::Text),
        _ => return None,
    })
}

fn fixed_meaning(meaning: Meaning, size: usize) -> Meaning {
    match meaning {
        Meaning::Decimal { .. } => meaning,
        Meaning::Uuid if size == 16 => meaning,
        Meaning::Duration if size == 12 => meaning,
        _ => Meaning::Itself,
    }
}

fn meaning(json: &Value) -> Meaning {
    let logical = json.get("logicalType").and_then(Value::as_str);
    match logical.unwrap_or_default() {
        "decimal" => decimal(json).unwrap_or(Meaning::Itself),
        "date" => Meaning::Date,
        "time-millis" => Meaning::TimeOfDay(Unit::Milliseconds),
        "time-micros" => Meaning::TimeOfDay(Unit::Microseconds),
        "timestamp-millis" => Meaning::Instant(Unit::Milliseconds),
        "timestamp-micros" => Meaning::Instant(Unit::Microseconds),
        "timestamp-nanos" => Meaning::Instant(Unit::Nanoseconds),
        "local-timestamp-millis" => Meaning::Local(Unit::Milliseconds),
        "local-timestamp-micros" => Meaning::Local(Unit::Microseconds),
        "local-timestamp-nanos" => Meaning::Local(Unit::Nanoseconds),
        "uuid" => Meaning::Uuid,
        "duration" => Meaning::Duration,
        _ => Meaning::Itself,
    }
}

/// A scale left out is 0; more decimal places than digits make it no decimal.
fn decimal(json: &Value) -> Option<Meaning> {
    let precision = json.get("precision")?.as_u64()?;
    let scale = match json.get("scale") {
        Some(scale) => scale.as_u64()?,
        None => 0,
    };
    let scale = usize::try_from(scale).ok()?;
    (scale as u64 <= precision && scale <= LARGEST_SCALE).then_some(Meaning::Decimal { scale })
}

/// Beyond it a decimal would be mostly zeros that the file does not hold.
const LARGEST_SCALE: usize = 1024;
