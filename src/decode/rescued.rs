//! The text of `_rescued`: written along the way through an event, read when it is rebuilt.
//! The module documentation of `decode` says what it means. Keeps invariant 2.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Json;
use super::document::Value;
use super::json::push_escaped;
use super::shape::says_something;

/// Where in an event a value is: a name or an index, and the place around it.
#[derive(Clone, Copy)]
pub(super) struct Place<'way> {
    around: Option<&'way Place<'way>>,
    step: Step<'way>,
}

#[derive(Clone, Copy)]
enum Step<'way> {
    /// As [`pointer_name`] spells it.
    Name(&'way str),
    Index(usize),
}

impl<'way> Place<'way> {
    /// A member of the object at `around`, or of the event itself. `name`: what [`pointer_name`] makes of
    /// its key.
    pub fn member(around: Option<&'way Self>, name: &'way str) -> Self {
        Self {
            around,
            step: Step::Name(name),
        }
    }

    /// An element of the list at `around`.
    pub fn element(around: &'way Self, index: usize) -> Self {
        Self {
            around: Some(around),
            step: Step::Index(index),
        }
    }

    /// How many containers are around the place.
    fn depth(&self) -> usize {
        1 + self.around.map_or(0, Self::depth)
    }

    /// Writes the pointer to the place, as inside a JSON string.
    fn write_pointer(&self, text: &mut String) {
        if let Some(around) = self.around {
            around.write_pointer(text);
        }
        text.push('/');
        match self.step {
            Step::Index(index) => {
                // Writing to memory does not fail.
                let _ = write!(text, "{index}");
            }
            Step::Name(name) => text.push_str(name),
        }
    }
}

/// A key as it stands in a pointer that stands in a JSON string.
pub(super) fn pointer_name(key: &str) -> String {
    let mut name = String::with_capacity(key.len());
    push_escaped(&mut name, &key.replace('~', "~0").replace('/', "~1"));
    name
}

/// What has been rescued of the event that is being decoded.
#[derive(Default)]
pub(super) struct Trail {
    /// The text so far, its last bracket missing.
    text: String,
    is_begun: bool,
    /// Above zero within a value that is rescued as a whole: its parts need no entry.
    silenced: usize,
    pub brings_new_fields: bool,
}

impl Trail {
    /// Does `work` without rescuing anything.
    pub fn silently<Outcome>(&mut self, work: impl FnOnce(&mut Self) -> Outcome) -> Outcome {
        self.silenced += 1;
        let outcome = work(self);
        self.silenced -= 1;
        outcome
    }

    /// Rescues all values at a place.
    pub fn keep(&mut self, place: &Place<'_>, values: &[Value<'_>]) {
        if self.silenced > 0 {
            return;
        }
        if !self.is_begun {
            self.text.clear();
            self.is_begun = true;
        }
        self.text
            .push_str(if self.text.is_empty() { "{\"" } else { ",\"" });
        place.write_pointer(&mut self.text);
        self.text.push_str("\":[");
        for (position, value) in values.iter().enumerate() {
            self.text.push_str(if position > 0 { "," } else { "" });
            value.write_to(&mut self.text);
        }
        self.text.push(']');
    }

    /// Notes whether a value that has no column could get one.
    pub fn look_for_new_fields(
        &mut self,
        may_be_column: bool,
        value: Value<'_>,
        place: &Place<'_>,
    ) {
        if may_be_column && !self.brings_new_fields {
            self.brings_new_fields = says_something(value, place.depth());
        }
    }

    /// Ends the row: its text, `None` if everything fitted.
    pub fn take_row(&mut self) -> Option<&str> {
        if !self.is_begun {
            return None;
        }
        self.is_begun = false;
        self.text.push('}');
        Some(&self.text)
    }
}

/// What was rescued at a place and below it.
#[derive(Default)]
pub(super) struct Rescued {
    /// All values at this place, if they were rescued.
    pub values: Option<Vec<Json>>,
    pub below: BTreeMap<String, Rescued>,
}

impl Rescued {
    /// Reads the text of `_rescued`; `None` if it is not what [`Trail`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let Ok(Json::Object(entries)) = Json::parse(text.as_bytes()) else {
            return None;
        };
        let mut root = Self::default();
        for (pointer, values) in entries {
            let Json::Array(values) = values else {
                return None;
            };
            let mut place = &mut root;
            for name in names_of(&pointer)? {
                place = place.below.entry(name.into_owned()).or_default();
            }
            place.values = Some(values);
        }
        Some(root)
    }

    /// Whether there is nothing left to place.
    pub fn is_empty(&self) -> bool {
        self.values.is_none() && self.below.is_empty()
    }
}

/// The names and indexes of a JSON Pointer; `None` if it is none, or that of the whole.
pub(super) fn names_of(pointer: &str) -> Option<impl Iterator<Item = Cow<'_, str>>> {
    let names = pointer.strip_prefix('/')?.split('/');
    Some(names.map(|name| {
        if name.contains('~') {
            name.replace("~1", "/").replace("~0", "~").into()
        } else {
            name.into()
        }
    }))
}
