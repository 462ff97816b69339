//! A JSON value → what it gives away, without building it: a visitor over `serde_json`'s parser that sees
//! every member of every object, duplicate keys included.
//!
//! Of numbers it sees what `serde_json` makes of them: integers of 64 bits exactly, any other as a float.
//! Longer integers are found by their digits as bytes.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::composite::PartField;
use super::event::Event;
use super::fields::{Field, Fields, Role, Spot};
use super::search::Searcher;
use super::time::{Written, moment};

/// JSON in strings in JSON is opened so many times.
const MOST_OPENED: usize = 4;

/// A walk through one value.
pub(super) struct Walk<'a> {
    pub searcher: &'a Searcher,
    pub fields: &'a Fields,
    /// Whether the text may have numbers with an exponent.
    pub has_exponent: bool,
    pub event: Event,
    /// The broken records that it keeps, and in which form.
    pub records: Vec<(Role, String)>,
    /// The objects around the present value, outermost first; none if it may belong to any.
    pub objects: Option<Vec<usize>>,
    objects_so_far: usize,
    opened: usize,
}

impl<'a> Walk<'a> {
    pub fn new(searcher: &'a Searcher, fields: &'a Fields, has_exponent: bool) -> Self {
        Self {
            searcher,
            fields,
            has_exponent,
            event: Event::default(),
            records: Vec::new(),
            objects: Some(Vec::new()),
            objects_so_far: 0,
            opened: 0,
        }
    }

    /// Walks through the one value in `text`, from `spot`.
    pub fn through(&mut self, text: &[u8], spot: Spot) -> serde_json::Result<()> {
        let mut parser = serde_json::Deserializer::from_slice(text);
        At::new(self, spot).deserialize(&mut parser)?;
        parser.end()
    }

    /// Walks through the text of `_rescued`: members named by pointers, each a list of values.
    pub fn through_rescued(&mut self, text: &[u8]) -> serde_json::Result<()> {
        let mut parser = serde_json::Deserializer::from_slice(text);
        self.objects = None;
        let mut root = At::new(self, Fields::ROOT);
        root.by_pointer = true;
        root.deserialize(&mut parser)?;
        parser.end()
    }

    /// A decoded string.
    pub fn see_text(&mut self, spot: Spot, text: &str) {
        let field = self.fields.at(spot);
        if let Some(field) = field {
            if matches!(field.role, Role::Record | Role::RecordInBase64) {
                self.records.push((field.role, text.to_owned()));
                return;
            }
            self.event.names_someone |= field.names_owner && !text.trim().is_empty();
            if field.role == Role::Time {
                self.see_time(Written::Text(text));
            }
            self.see_parts(self.searcher.terms_of_text(text), &field.parts);
            if !field.kinds.is_empty() && self.see_identifier(text, &field.kinds) {
                return;
            }
        }
        if self.opens(text) {
            return;
        }
        let is_identifier = field.is_some_and(|field| !field.kinds.is_empty());
        for hit in self.searcher.find(text.as_bytes(), true).hits {
            // Another value of an identifier field is another customer's, much as it may look like this one.
            if is_identifier && is_joined(text.as_bytes(), hit.range.start, hit.range.end) {
                continue;
            }
            self.event
                .see_hit(self.searcher, &hit, self.fields.values_tell());
        }
    }

    fn see_parts(&mut self, terms: impl IntoIterator<Item = usize>, fields: &[PartField]) {
        if fields.is_empty() {
            return;
        }
        for term in terms {
            let objects = self.objects.as_deref();
            self.event.see_part(self.searcher, term, fields, objects);
        }
    }

    /// Whether the whole text is somebody's identifier.
    fn see_identifier(&mut self, text: &str, kinds: &[String]) -> bool {
        let mut is_one = false;
        for term in self.searcher.terms_of_text(text) {
            self.event.see_value(self.searcher, term, kinds);
            is_one = true;
        }
        is_one
    }

    /// Reads a string that holds JSON; answers whether it need not be looked at as text any more.
    fn opens(&mut self, text: &str) -> bool {
        let may_be_json = text.trim_start().starts_with(['{', '[']);
        let needs_it = self.fields.opens_strings() || text.contains('\\');
        if !may_be_json || !needs_it || self.opened >= MOST_OPENED {
            return false;
        }
        self.opened += 1;
        let opened = self.through(text.as_bytes(), None);
        self.opened -= 1;
        opened.is_ok() && self.fields.opens_strings()
    }

    /// Bytes that are no text.
    pub fn see_bytes(&mut self, bytes: &[u8]) {
        for hit in self.searcher.find(bytes, true).hits {
            self.event
                .see_hit(self.searcher, &hit, self.fields.values_tell());
        }
    }

    /// A number that is an integer.
    pub fn see_integer(&mut self, spot: Spot, integer: i128) {
        self.see_number(
            spot,
            self.searcher.term_of_number(integer),
            Written::Integer(integer),
        );
    }

    /// Any other number.
    pub fn see_float(&mut self, spot: Spot, float: f64) {
        let term = self.searcher.term_of_float(float, self.has_exponent);
        self.see_number(spot, term, Written::Float(float));
    }

    fn see_number(&mut self, spot: Spot, term: Option<usize>, written: Written<'_>) {
        let mut kinds: &[String] = &[];
        if let Some(field) = self.fields.at(spot) {
            self.event.names_someone |= field.names_owner;
            if field.role == Role::Time {
                self.see_time(written);
            }
            kinds = &field.kinds;
            self.see_parts(term, &field.parts);
        }
        let is_count = self.fields.numbers_are_counts() && kinds.is_empty();
        if let Some(term) = term
            && !is_count
        {
            self.event.see_value(self.searcher, term, kinds);
        }
    }

    fn see_time(&mut self, written: Written<'_>) {
        let time = moment(written, self.fields.clock);
        self.event.times.push(time);
    }

    fn enter_object(&mut self) {
        self.objects_so_far += 1;
        if let Some(objects) = &mut self.objects {
            objects.push(self.objects_so_far);
        }
    }

    fn leave_object(&mut self) {
        if let Some(objects) = &mut self.objects {
            objects.pop();
        }
    }

    fn see_no_time(&mut self, spot: Spot) {
        if self
            .fields
            .at(spot)
            .is_some_and(|field| field.role == Role::Time)
        {
            self.event.times.push(None);
        }
    }
}

/// Whether what stands there is joined to more by signs that identifiers are made of.
fn is_joined(text: &[u8], start: usize, end: usize) -> bool {
    let joins = |byte: &u8| byte.is_ascii_alphanumeric() || b"._+-".contains(byte) || *byte > 0x7f;
    let before = start.checked_sub(1).and_then(|before| text.get(before));
    before.is_some_and(joins) || text.get(end).is_some_and(joins)
}

/// The value at a spot.
struct At<'walk, 'a> {
    walk: &'walk mut Walk<'a>,
    spot: Spot,
    /// Whether its members are named by JSON Pointers.
    by_pointer: bool,
}

impl<'walk, 'a> At<'walk, 'a> {
    fn new(walk: &'walk mut Walk<'a>, spot: Spot) -> Self {
        Self {
            walk,
            spot,
            by_pointer: false,
        }
    }
}

impl<'de> DeserializeSeed<'de> for At<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, parser: D) -> Result<(), D::Error> {
        parser.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.walk.see_no_time(self.spot);
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.walk.see_no_time(self.spot);
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.walk.see_integer(self.spot, number.into());
        Ok(())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.walk.see_integer(self.spot, number.into());
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.walk.see_float(self.spot, number);
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.walk.see_text(self.spot, text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        self.walk.see_no_time(self.spot);
        loop {
            let element = At::new(&mut *self.walk, self.spot);
            if elements.next_element_seed(element)?.is_none() {
                return Ok(());
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.walk.see_no_time(self.spot);
        let (walk, around, by_pointer) = (self.walk, self.spot, self.by_pointer);
        walk.enter_object();
        loop {
            let name = Name {
                walk: &mut *walk,
                around,
                by_pointer,
            };
            let Some(spot) = members.next_key_seed(name)? else {
                walk.leave_object();
                return Ok(());
            };
            members.next_value_seed(At::new(&mut *walk, spot))?;
        }
    }
}

/// The name of a member: gives the member's spot.
struct Name<'walk, 'a> {
    walk: &'walk mut Walk<'a>,
    around: Spot,
    by_pointer: bool,
}

impl<'de> DeserializeSeed<'de> for Name<'_, '_> {
    type Value = Spot;

    fn deserialize<D: Deserializer<'de>>(self, parser: D) -> Result<Spot, D::Error> {
        parser.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_, '_> {
    type Value = Spot;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name of a member")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Spot, E> {
        let walk = self.walk;
        let spot = if self.by_pointer {
            walk.fields.step_by_pointer(name)
        } else {
            walk.fields.step(self.around, name)
        };
        if spot.is_none() {
            // The names of an object where an identifier is expected are identifiers.
            let names_people = |around: &&Field| !around.kinds.is_empty();
            let around = walk.fields.at(self.around).filter(names_people);
            walk.see_text(around.and(self.around), name);
        }
        Ok(spot)
    }
}
