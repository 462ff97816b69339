//! One record that is an event, parsed: its text and the tape of its values.
//!
//! Hazard: an event is walked several times (time, identity, fingerprint, columns), so a walk must
//! cost next to nothing: values are views, nothing is copied. Keeps invariant 2: every digit, every
//! key of the text, duplicates too.

use chrono::{DateTime, Utc};

use super::json::{MAX_DEPTH, push_quoted};
use super::number::Number;
use super::scan::{misplaced, skip_white_space};
use super::tape::{Kind, Node, Tape};
use super::time::{Scalar, TimeRule, time_of};
use super::{FieldPath, Json, Limits, Reason};

/// The content of a record: a JSON object.
#[derive(Debug, Default, Clone)]
pub struct Document {
    text: String,
    nodes: Vec<Node>,
    /// The strings that hold escapes, decoded, one after the other.
    decoded: String,
}

impl Document {
    /// Reads exactly one JSON object with nothing but white space around it.
    pub fn parse(record: &[u8], limits: &Limits) -> Result<Self, Reason> {
        Self::parse_with(record, limits, &mut Tape::default())
    }

    pub(super) fn parse_with(
        record: &[u8],
        limits: &Limits,
        tape: &mut Tape,
    ) -> Result<Self, Reason> {
        if record.len() as u64 > limits.record_bytes() {
            return Err(Reason::RecordTooLarge);
        }
        Self::value(record, limits.depth(), tape)?.only_objects()
    }

    /// An event from its tree.
    pub(super) fn of(event: &Json) -> Result<Self, Reason> {
        let text = event.to_string();
        Self::value(text.as_bytes(), MAX_DEPTH, &mut Tape::default())?.only_objects()
    }

    /// Reads exactly one JSON value of any kind.
    pub(super) fn value(record: &[u8], max_depth: usize, tape: &mut Tape) -> Result<Self, Reason> {
        let text = str::from_utf8(record).map_err(|_| Reason::NotUtf8)?;
        let outcome = tape.read(record, max_depth);
        let mut document = Self::default();
        document.judge(text, tape)?;
        let rest = skip_white_space(record, outcome?);
        if rest == record.len() {
            return Ok(document);
        }
        Err(match misplaced(record, rest) {
            Reason::Syntax => Reason::TrailingText,
            reason => reason,
        })
    }

    /// Becomes the value that `tape` has just read at the start of `text`. Buffers serve one document after
    /// the other.
    pub(super) fn judge(&mut self, text: &str, tape: &mut Tape) -> Result<(), Reason> {
        self.decoded.clear();
        tape.judge(text, &mut self.decoded)?;
        self.text.clear();
        self.text.push_str(text);
        std::mem::swap(&mut self.nodes, &mut tape.nodes);
        Ok(())
    }

    pub(super) fn only_objects(self) -> Result<Self, Reason> {
        match self.nodes.first().map(|node| node.kind()) {
            Some(Kind::Object) => Ok(self),
            _ => Err(Reason::NotAnObject),
        }
    }

    /// All values at a path, in order of appearance; see [`Json::at`].
    pub fn at(&self, path: &FieldPath) -> Vec<Json> {
        let mut found = Vec::new();
        self.root()
            .each_at(path.names(), &mut |value| found.push(value.to_json()));
        found
    }

    /// When the event happened; see [`super::event_time`].
    pub fn time(&self, rule: &TimeRule) -> Result<DateTime<Utc>, Reason> {
        let mut found = None;
        let mut count = 0_usize;
        self.root().each_at(rule.path.names(), &mut |value| {
            found = Some(value);
            count += 1;
        });
        match (count, found) {
            (1, Some(value)) => time_of(value.scalar(), rule),
            (0, _) | (_, None) => Err(Reason::TimeMissing),
            _ => Err(Reason::TimeAmbiguous),
        }
    }

    /// The event's fingerprint; see [`super::fingerprint`].
    pub fn fingerprint(&self) -> u64 {
        super::fingerprint::of_document(self)
    }

    /// The event as a tree.
    pub fn to_json(&self) -> Json {
        self.root().to_json()
    }

    pub(super) fn root(&self) -> Value<'_> {
        Value {
            document: self,
            index: 0,
        }
    }

    /// The members of the event.
    pub(super) fn members(&self) -> Members<'_> {
        let nothing = Inside {
            document: self,
            index: 0,
            end: 0,
        };
        self.root().members().unwrap_or(Members(nothing))
    }
}

/// A value of a document.
#[derive(Clone, Copy)]
pub(super) struct Value<'document> {
    document: &'document Document,
    index: usize,
}

/// What a value is.
#[derive(Clone)]
pub(super) enum Content<'document> {
    Null,
    Bool(bool),
    /// As it is spelled.
    Number(&'document str),
    Text(&'document str),
    Array(Elements<'document>),
    Object(Members<'document>),
}

impl<'document> Value<'document> {
    #[inline]
    pub fn content(self) -> Content<'document> {
        let Some(node) = self.node() else {
            return Content::Null;
        };
        match node.kind() {
            Kind::Null => Content::Null,
            Kind::True => Content::Bool(true),
            Kind::False => Content::Bool(false),
            Kind::Number => Content::Number(spelled(&self.document.text, node)),
            Kind::Text => Content::Text(spelled(&self.document.text, node)),
            Kind::Decoded => Content::Text(spelled(&self.document.decoded, node)),
            Kind::Array => Content::Array(Elements(self.inside(node))),
            Kind::Object => Content::Object(Members(self.inside(node))),
        }
    }

    #[inline]
    fn node(self) -> Option<Node> {
        self.document.nodes.get(self.index).copied()
    }

    /// The text of a string.
    #[inline]
    pub fn text(self) -> Option<&'document str> {
        let node = self.node()?;
        match node.kind() {
            Kind::Text => Some(spelled(&self.document.text, node)),
            Kind::Decoded => Some(spelled(&self.document.decoded, node)),
            _ => None,
        }
    }

    /// A number as it is spelled.
    #[inline]
    pub fn number(self) -> Option<&'document str> {
        let node = self.node().filter(|node| node.kind() == Kind::Number)?;
        Some(spelled(&self.document.text, node))
    }

    #[inline]
    pub fn boolean(self) -> Option<bool> {
        match self.node()?.kind() {
            Kind::True => Some(true),
            Kind::False => Some(false),
            _ => None,
        }
    }

    /// The members of an object.
    #[inline]
    pub fn members(self) -> Option<Members<'document>> {
        let node = self.node().filter(|node| node.kind() == Kind::Object)?;
        Some(Members(self.inside(node)))
    }

    /// The elements of a list.
    #[inline]
    pub fn elements(self) -> Option<Elements<'document>> {
        let node = self.node().filter(|node| node.kind() == Kind::Array)?;
        Some(Elements(self.inside(node)))
    }

    #[inline]
    fn inside(self, node: Node) -> Inside<'document> {
        Inside {
            document: self.document,
            index: self.index + 1,
            end: self.index + 1 + node.extent(),
        }
    }

    #[inline]
    pub fn is_null(self) -> bool {
        self.node().is_none_or(|node| node.kind() == Kind::Null)
    }

    /// See [`Json::at`].
    fn each_at(self, path: &[String], found: &mut dyn FnMut(Self)) {
        let Some((name, rest)) = path.split_first() else {
            found(self);
            return;
        };
        match self.content() {
            Content::Object(members) => {
                for (_, value) in members.filter(|(key, _)| key == name) {
                    value.each_at(rest, found);
                }
            }
            Content::Array(elements) => {
                for element in elements {
                    element.each_at(path, found);
                }
            }
            _ => {}
        }
    }

    fn scalar(self) -> Scalar<'document> {
        match self.content() {
            Content::Null => Scalar::Null,
            Content::Number(spelling) => Scalar::Number(spelling),
            Content::Text(text) => Scalar::Text(text),
            _ => Scalar::Other,
        }
    }

    pub fn to_json(self) -> Json {
        match self.content() {
            Content::Null => Json::Null,
            Content::Bool(value) => Json::Bool(value),
            Content::Number(spelling) => Json::Number(Number::valid(spelling)),
            Content::Text(text) => Json::String(text.to_owned()),
            Content::Array(elements) => {
                let mut copies = Vec::new();
                for element in elements {
                    copies.push(element.to_json());
                }
                Json::Array(copies)
            }
            Content::Object(members) => {
                let mut copies = Vec::new();
                for (key, value) in members {
                    copies.push((key.to_owned(), value.to_json()));
                }
                Json::Object(copies)
            }
        }
    }

    /// Compact JSON text, as [`Json`] prints it.
    pub fn write_to(self, text: &mut String) {
        match self.content() {
            Content::Null => text.push_str("null"),
            Content::Bool(true) => text.push_str("true"),
            Content::Bool(false) => text.push_str("false"),
            Content::Number(spelling) => text.push_str(spelling),
            Content::Text(string) => push_quoted(text, string),
            Content::Array(elements) => {
                text.push('[');
                for (position, element) in elements.enumerate() {
                    text.push_str(if position > 0 { "," } else { "" });
                    element.write_to(text);
                }
                text.push(']');
            }
            Content::Object(members) => {
                text.push('{');
                for (position, (key, value)) in members.enumerate() {
                    text.push_str(if position > 0 { "," } else { "" });
                    push_quoted(text, key);
                    text.push(':');
                    value.write_to(text);
                }
                text.push('}');
            }
        }
    }
}

#[inline]
fn spelled(text: &str, node: Node) -> &str {
    text.get(node.start()..node.start() + node.extent())
        .unwrap_or_default()
}

/// The nodes inside a container.
#[derive(Clone)]
struct Inside<'document> {
    document: &'document Document,
    index: usize,
    end: usize,
}

impl<'document> Inside<'document> {
    #[inline]
    fn next(&mut self) -> Option<Value<'document>> {
        let value = Value {
            document: self.document,
            index: self.index,
        };
        self.next_node()?;
        Some(value)
    }

    #[inline]
    fn next_node(&mut self) -> Option<Node> {
        if self.index >= self.end {
            return None;
        }
        let node = self.document.nodes.get(self.index).copied()?;
        self.index += node.nodes();
        Some(node)
    }
}

/// The elements of a list.
#[derive(Clone)]
pub(super) struct Elements<'document>(Inside<'document>);

impl<'document> Iterator for Elements<'document> {
    type Item = Value<'document>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl Elements<'_> {
    pub fn is_empty(&self) -> bool {
        self.0.index >= self.0.end
    }
}

/// The members of an object in the order of the text.
#[derive(Clone)]
pub(super) struct Members<'document>(Inside<'document>);

impl<'document> Iterator for Members<'document> {
    type Item = (&'document str, Value<'document>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let key = self.0.next()?.text().unwrap_or_default();
        Some((key, self.0.next()?))
    }
}

impl<'document> Members<'document> {
    pub fn is_empty(&self) -> bool {
        self.0.index >= self.0.end
    }

    /// The values without their keys.
    #[inline]
    pub fn next_value(&mut self) -> Option<Value<'document>> {
        self.0.index += 1;
        self.0.next()
    }

    /// The keys as bytes, without their values: what is quickest to compare and to hash.
    #[inline]
    pub fn next_key(&mut self) -> Option<&'document [u8]> {
        let key = self.0.next_node()?;
        let text = match key.kind() {
            Kind::Text => &self.0.document.text,
            _ => &self.0.document.decoded,
        };
        self.0.next_node()?;
        text.as_bytes().get(key.start()..key.start() + key.extent())
    }
}
