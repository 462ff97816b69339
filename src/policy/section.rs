//! One section of a policy file: which keys it may have, and how their values
//! are read. Whatever is wrong goes to the report; the reading goes on, so that
//! a person sees all of it at once.
//!
//! Every method that returns an `Option` has reported the reason before it
//! returns none.

use super::error::{Position, Report, ValueError};
use super::spelling::{closest, shown};
use super::yaml::{Content, Entry, Node};

/// A key that a section knows.
pub(super) struct Key {
    name: &'static str,
    /// A good value, for hints.
    sample: &'static str,
}

/// Stands for keys that the writer of the policy chooses.
const ANY: &str = "*";

impl Key {
    pub const fn new(name: &'static str, sample: &'static str) -> Self {
        Self { name, sample }
    }

    /// Any key that has no entry of its own.
    pub const fn any(sample: &'static str) -> Self {
        Self::new(ANY, sample)
    }
}

/// The keys of a mapping, checked against those that may stand there.
pub(super) struct Section<'a> {
    /// Dotted path; empty for the file itself.
    path: String,
    at: Position,
    entries: &'a [Entry],
    keys: &'static [Key],
    report: &'a Report<'a>,
}

impl<'a> Section<'a> {
    /// The file as a whole.
    pub fn file(entries: &'a [Entry], keys: &'static [Key], report: &'a Report<'a>) -> Self {
        Self::open(String::new(), Position::START, entries, keys, report)
    }

    fn open(
        path: String,
        at: Position,
        entries: &'a [Entry],
        keys: &'static [Key],
        report: &'a Report<'a>,
    ) -> Self {
        let section = Self {
            path,
            at,
            entries,
            keys,
            report,
        };
        for entry in entries {
            section.refuse_unknown(entry);
        }
        section
    }

    /// A section that must be there.
    pub fn section(&self, name: &str, keys: &'static [Key]) -> Option<Section<'a>> {
        let entry = self.expect(name)?;
        self.section_of(entry, keys)
    }

    /// A section whose keys may all be left out, and so may it.
    pub fn section_or_empty(&self, name: &str, keys: &'static [Key]) -> Option<Section<'a>> {
        match self.find(name) {
            Some(entry) => self.section_of(entry, keys),
            None => Some(Self::open(
                self.below(name),
                self.at,
                &[],
                keys,
                self.report,
            )),
        }
    }

    fn section_of(&self, entry: &'a Entry, keys: &'static [Key]) -> Option<Section<'a>> {
        match &entry.value.content {
            Content::Map(entries) => Some(Self::open(
                self.below(&entry.key),
                entry.at,
                entries,
                keys,
                self.report,
            )),
            Content::Empty => self.refuse_empty(entry),
            _ => {
                let message = format!("{} must hold keys of its own", self.label(&entry.key));
                self.report
                    .refuse(entry.value.at, message, self.sample_hint(&entry.key));
                None
            }
        }
    }

    /// A single value that must be there.
    pub fn required<T>(
        &self,
        name: &str,
        read: impl Fn(&str) -> Result<T, ValueError>,
    ) -> Option<T> {
        self.value(self.expect(name)?, read)
    }

    /// A single value that may be left out.
    pub fn or_default<T>(
        &self,
        name: &str,
        default: T,
        read: impl Fn(&str) -> Result<T, ValueError>,
    ) -> Option<T> {
        match self.find(name) {
            Some(entry) => self.value(entry, read),
            None => Some(default),
        }
    }

    /// A list that must be there, without repetitions.
    pub fn required_list<T>(
        &self,
        name: &str,
        read: impl Fn(&str) -> Result<T, ValueError>,
    ) -> Option<Vec<T>> {
        self.list(self.expect(name)?, read)
    }

    /// A list that may be left out, without repetitions.
    pub fn list_or_empty<T>(
        &self,
        name: &str,
        read: impl Fn(&str) -> Result<T, ValueError>,
    ) -> Option<Vec<T>> {
        match self.find(name) {
            Some(entry) => self.list(entry, read),
            None => Some(Vec::new()),
        }
    }

    /// The text of a single value that must be there, unread.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.single(self.expect(name)?)
    }

    /// The keys in the order of the file.
    pub fn entries(&self) -> &'a [Entry] {
        self.entries
    }

    /// The key of that name, if the file has it.
    pub fn find(&self, name: &str) -> Option<&'a Entry> {
        self.entries.iter().find(|entry| entry.key == name)
    }

    /// Reports what only the reader of this section can see.
    pub fn refuse(&self, at: Position, message: impl Into<String>, hint: impl Into<String>) {
        self.report.refuse(at, message, hint);
    }

    /// Where the section begins.
    pub fn at(&self) -> Position {
        self.at
    }

    /// Where the value of a key begins; where the section begins if it is missing.
    pub fn value_at(&self, name: &str) -> Position {
        self.find(name).map_or(self.at, |entry| entry.value.at)
    }

    /// The items of a list, without repetitions.
    pub fn list<T>(
        &self,
        entry: &'a Entry,
        read: impl Fn(&str) -> Result<T, ValueError>,
    ) -> Option<Vec<T>> {
        let items = match &entry.value.content {
            Content::List(items) => items,
            Content::Empty => return self.refuse_empty(entry),
            Content::Text(text) => return self.refuse_unlisted(entry, &format!("[{text}]")),
            Content::Map(_) => {
                let sample = self.sample(&entry.key).unwrap_or_default();
                return self.refuse_unlisted(entry, sample);
            }
        };
        let mut seen: Vec<&str> = Vec::new();
        let mut values: Vec<Option<T>> = Vec::new();
        for item in items {
            values.push(self.item(entry, item, &mut seen, &read));
        }
        values.into_iter().collect()
    }

    fn item<T>(
        &self,
        entry: &Entry,
        item: &'a Node,
        seen: &mut Vec<&'a str>,
        read: impl Fn(&str) -> Result<T, ValueError>,
    ) -> Option<T> {
        let label = self.label(&entry.key);
        let Content::Text(text) = &item.content else {
            let message = format!("an item of {label} must be a single value");
            self.report
                .refuse(item.at, message, self.sample_hint(&entry.key));
            return None;
        };
        if seen.contains(&text.as_str()) {
            let message = format!("{label} lists `{}` twice", shown(text));
            self.report.refuse(item.at, message, "keep one of the two");
            return None;
        }
        seen.push(text);
        match read(text) {
            Ok(value) => Some(value),
            Err(why) => {
                let message = format!("{label} cannot list `{}`: {why}", shown(text));
                self.report
                    .refuse(item.at, message, self.sample_hint(&entry.key));
                None
            }
        }
    }

    fn value<T>(
        &self,
        entry: &'a Entry,
        read: impl Fn(&str) -> Result<T, ValueError>,
    ) -> Option<T> {
        let text = self.single(entry)?;
        match read(text) {
            Ok(value) => Some(value),
            Err(why) => {
                let message = format!(
                    "{} cannot be `{}`: {why}",
                    self.label(&entry.key),
                    shown(text)
                );
                self.report
                    .refuse(entry.value.at, message, self.sample_hint(&entry.key));
                None
            }
        }
    }

    fn single(&self, entry: &'a Entry) -> Option<&'a str> {
        match &entry.value.content {
            Content::Text(text) => Some(text),
            Content::Empty => self.refuse_empty(entry),
            _ => {
                let message = format!("{} must be a single value", self.label(&entry.key));
                self.report
                    .refuse(entry.value.at, message, self.sample_hint(&entry.key));
                None
            }
        }
    }

    fn expect(&self, name: &str) -> Option<&'a Entry> {
        let entry = self.find(name);
        if entry.is_none() {
            let message = format!("{} is missing", self.label(name));
            self.report.refuse(self.at, message, self.sample_hint(name));
        }
        entry
    }

    fn refuse_empty<T>(&self, entry: &Entry) -> Option<T> {
        let message = format!("{} is empty", self.label(&entry.key));
        self.report
            .refuse(entry.at, message, self.sample_hint(&entry.key));
        None
    }

    fn refuse_unlisted<T>(&self, entry: &Entry, instead: &str) -> Option<T> {
        let message = format!("{} must be a list", self.label(&entry.key));
        let hint = format!("write `{}: {instead}`", entry.key);
        self.report.refuse(entry.value.at, message, hint);
        None
    }

    fn refuse_unknown(&self, entry: &Entry) {
        let mut keys = self.keys.iter();
        if !keys.any(|key| key.name == entry.key || key.name == ANY) {
            let message = format!("unknown key {}", self.label(&entry.key));
            let hint = self.unknown_hint(&entry.key);
            self.report.refuse(entry.at, message, hint);
        }
    }

    fn unknown_hint(&self, unknown: &str) -> String {
        let names: Vec<&str> = self.keys.iter().map(|key| key.name).collect();
        if let [only] = names.as_slice() {
            return self.sample_hint(only);
        }
        match closest(unknown, &names) {
            Some(name) => format!("did you mean `{name}`? {}", self.sample_hint(name)),
            None => format!("the keys here are {}", names.join(", ")),
        }
    }

    fn sample(&self, name: &str) -> Option<&'static str> {
        let mut keys = self.keys.iter();
        let key = keys.find(|key| key.name == name || key.name == ANY)?;
        Some(key.sample)
    }

    fn sample_hint(&self, name: &str) -> String {
        let sample = self.sample(name).unwrap_or_default();
        format!("write `{name}: {sample}`")
    }

    fn label(&self, name: &str) -> String {
        let name = shown(name);
        if self.path.is_empty() {
            return format!("`{name}`");
        }
        format!("`{name}` under `{}`", self.path)
    }

    fn below(&self, name: &str) -> String {
        if self.path.is_empty() {
            return name.to_owned();
        }
        format!("{}.{name}", self.path)
    }
}
