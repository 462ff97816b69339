//! The text of `_rescued`: written along the way through an event, read when it is rebuilt.
//! The module documentation of `decode` says what it means. Keeps invariant 2.

use std::collections::BTreeMap;

use super::Json;

/// The place in the event that is being decoded, and what has been rescued so far.
#[derive(Default)]
pub(super) struct Trail {
    pointer: String,
    /// Above zero within a value that is rescued as a whole: its parts need no entry.
    silenced: usize,
    entries: Vec<(String, Json)>,
}

impl Trail {
    /// Does `work` one name or index further in.
    pub fn inside<Outcome>(
        &mut self,
        name: &str,
        work: impl FnOnce(&mut Self) -> Outcome,
    ) -> Outcome {
        let length = self.pointer.len();
        self.pointer.push('/');
        self.pointer
            .push_str(&name.replace('~', "~0").replace('/', "~1"));
        let outcome = work(self);
        self.pointer.truncate(length);
        outcome
    }

    /// Does `work` without rescuing anything.
    pub fn silently<Outcome>(&mut self, work: impl FnOnce(&mut Self) -> Outcome) -> Outcome {
        self.silenced += 1;
        let outcome = work(self);
        self.silenced -= 1;
        outcome
    }

    /// Rescues all values at this place.
    pub fn keep(&mut self, values: &[&Json]) {
        if self.silenced == 0 {
            let values = values.iter().map(|value| (*value).clone()).collect();
            self.entries
                .push((self.pointer.clone(), Json::Array(values)));
        }
    }

    /// The text for the row, `None` if everything fitted.
    pub fn into_text(self) -> Option<String> {
        (!self.entries.is_empty()).then(|| Json::Object(self.entries).to_string())
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
            for name in pointer.strip_prefix('/')?.split('/') {
                let name = name.replace("~1", "/").replace("~0", "~");
                place = place.below.entry(name).or_default();
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
