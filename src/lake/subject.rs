//! Whom an event is about: identifiers, how they are compared, and who may not come back.
//!
//! An identifier is compared by its canonical text: a JSON string stands for itself, an integer for its
//! digits, so that `12345` and `"12345"` are one customer. What leaves the process is a keyed hash of
//! `v1:<kind>:<text>` (invariant 9).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use super::error::{S3Error, S3ErrorKind};
use super::key::{Hasher, Key, KeyError, Purpose};
use super::s3::{Pick, ReadS3};
use crate::decode::{Document, FieldPath, Json};
use crate::policy::{PiiPolicy, S3Location};

/// Suppression entries read at the same time.
const READ_AT_ONCE: usize = 16;

/// One identifier of a subject. Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identifier {
    /// The kind, as policies name it: `user_id`.
    pub kind: String,
    /// The canonical text.
    pub text: String,
}

impl std::fmt::Debug for Identifier {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}=…", self.kind)
    }
}

impl Identifier {
    /// What is hashed in its stead.
    pub fn canonical_form(&self) -> String {
        format!("v1:{}:{}", self.kind, self.text)
    }
}

/// The canonical text of a value, if it can be an identifier.
pub fn canonical(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => match number.to_exact_i64() {
            Some(integer) => Some(integer.to_string()),
            None => number.is_integer_text().then(|| number.to_string()),
        },
        _ => None,
    }
}

/// An event in any form, as far as identifiers stand in it.
pub trait Fields {
    /// All values at a path; see [`Json::at`].
    fn values_at(&self, path: &FieldPath) -> Vec<Cow<'_, Json>>;
}

impl Fields for Json {
    fn values_at(&self, path: &FieldPath) -> Vec<Cow<'_, Json>> {
        self.at(path).into_iter().map(Cow::Borrowed).collect()
    }
}

impl Fields for Document {
    fn values_at(&self, path: &FieldPath) -> Vec<Cow<'_, Json>> {
        self.at(path).into_iter().map(Cow::Owned).collect()
    }
}

/// The canonical texts at a path of an event, those in lists included.
fn texts_at(event: &impl Fields, path: &FieldPath) -> Vec<String> {
    fn push(value: &Json, texts: &mut Vec<String>) {
        match value {
            Json::Array(elements) => elements.iter().for_each(|element| push(element, texts)),
            _ => texts.extend(canonical(value)),
        }
    }
    let mut texts = Vec::new();
    for value in event.values_at(path) {
        push(&value, &mut texts);
    }
    texts
}

/// All identifiers that an event holds where the policy says.
pub fn identifiers_of(event: &impl Fields, pii: &PiiPolicy) -> Vec<Identifier> {
    let mut found = Vec::new();
    for (kind, paths) in &pii.identifiers {
        for path in paths {
            found.extend(texts_at(event, path).into_iter().map(|text| Identifier {
                kind: kind.clone(),
                text,
            }));
        }
    }
    found
}

/// Finds events of given subjects in one dataset.
#[derive(Debug, Clone)]
pub struct Matcher {
    wanted: BTreeMap<FieldPath, BTreeSet<String>>,
    tokens: BTreeSet<String>,
}

impl Matcher {
    /// Looks for any of `identifiers` where `pii` says that their kind stands.
    pub fn new<'a>(identifiers: impl IntoIterator<Item = &'a Identifier>, pii: &PiiPolicy) -> Self {
        let mut matcher = Self {
            wanted: BTreeMap::new(),
            tokens: BTreeSet::new(),
        };
        for identifier in identifiers {
            matcher.tokens.insert(identifier.text.clone());
            for path in pii.identifiers.get(&identifier.kind).into_iter().flatten() {
                let texts = matcher.wanted.entry(path.clone()).or_default();
                texts.insert(identifier.text.clone());
            }
        }
        matcher
    }

    /// Whether the event is about one of the subjects.
    pub fn hits(&self, event: &Json) -> bool {
        self.wanted.iter().any(|(path, wanted)| {
            texts_at(event, path)
                .iter()
                .any(|text| wanted.contains(text))
        })
    }

    /// Whether bytes that could not be understood hold an identifier as a whole token.
    pub fn mentions(&self, bytes: &[u8]) -> bool {
        self.tokens
            .iter()
            .any(|token| contains_token(bytes, token.as_bytes()))
    }

    /// What to ask a file's Bloom filters for.
    pub fn wanted(&self) -> Vec<super::parquet_files::Wanted> {
        let mut wanted = Vec::new();
        for (path, texts) in &self.wanted {
            wanted.extend(texts.iter().map(|text| super::parquet_files::Wanted {
                path: path.clone(),
                text: text.clone(),
            }));
        }
        wanted
    }
}

/// Tokens shorter than this turn up in dates and counts everywhere.
const TELLING: usize = 5;

/// Whether `token` stands in `bytes` as a word: with no letter or digit on either side. A short one must
/// stand where a value does, in quotes or behind `:` or `=`.
pub fn contains_token(bytes: &[u8], token: &[u8]) -> bool {
    if token.is_empty() || bytes.len() < token.len() {
        return false;
    }
    let is_word = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    bytes
        .windows(token.len())
        .enumerate()
        .any(|(start, window)| {
            let before = bytes.get(..start).unwrap_or_default();
            let behind = bytes.get(start + token.len());
            window == token
                && !is_word(before.last())
                && !is_word(behind)
                && (token.len() >= TELLING || is_value(before, behind))
        })
}

fn is_value(before: &[u8], behind: Option<&u8>) -> bool {
    let in_quotes = before.last() == Some(&b'"') && behind == Some(&b'"');
    let assigned = before
        .trim_ascii_end()
        .last()
        .is_some_and(|byte| b":=".contains(byte));
    in_quotes || assigned
}

/// One identifier that may not come back, as it lies in the lake.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Suppressed {
    /// Format of this file.
    pub version: u32,
    /// Which key hashed it.
    pub key: String,
    /// Keyed hashes of the identifiers, by kind.
    pub hashes: BTreeMap<String, BTreeSet<String>>,
    /// Events up to this time do not come back.
    pub before: DateTime<Utc>,
}

/// The suppression list: late events of erased subjects are recognised by it.
#[derive(Default)]
pub struct Suppression {
    /// By kind and hash: the newest request's time.
    before: BTreeMap<(String, String), DateTime<Utc>>,
    hasher: Option<Hasher>,
}

impl std::fmt::Debug for Suppression {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Suppression({} hashes)", self.before.len())
    }
}

/// Why the suppression list could not be used.
#[derive(Debug, thiserror::Error)]
pub enum SuppressionError {
    /// It could not be read.
    #[error("{0}")]
    Store(#[from] S3Error),
    /// The key does not fit.
    #[error("{0}")]
    Key(#[from] KeyError),
}

impl Suppression {
    /// Reads the list in `folder`. The key is asked for only if the list is not empty.
    pub async fn load(
        s3: &ReadS3,
        folder: &S3Location,
        key: impl FnOnce() -> Result<Key, KeyError>,
    ) -> Result<Self, SuppressionError> {
        let keys = s3.keys(&folder.bucket, &folder.prefix).await?;
        if keys.is_empty() {
            return Ok(Self::default());
        }
        let key = key()?;
        let mark = key.mark()?;
        let entries: Vec<Suppressed> = futures::stream::iter(&keys)
            .map(|name| read_entry(s3, folder, name))
            .buffered(READ_AT_ONCE)
            .try_collect()
            .await?;
        let mut list = Self {
            before: BTreeMap::new(),
            hasher: Some(key.hasher(Purpose::Suppression)?),
        };
        for entry in entries {
            if entry.key != mark {
                return Err(KeyError::Changed("the suppression list".into()).into());
            }
            list.admit(entry);
        }
        Ok(list)
    }

    fn admit(&mut self, entry: Suppressed) {
        for (kind, hashes) in entry.hashes {
            for hash in hashes {
                let before = self
                    .before
                    .entry((kind.clone(), hash))
                    .or_insert(entry.before);
                *before = (*before).max(entry.before);
            }
        }
    }

    /// Whether a record that could not be understood holds an identifier that may not come back. Each
    /// word of it is asked for, as what it may be of each kind.
    pub fn mentions(&self, record: &[u8]) -> bool {
        let Some(hasher) = &self.hasher else {
            return false;
        };
        let kinds: BTreeSet<&str> = self.before.keys().map(|(kind, _)| kind.as_str()).collect();
        let text = String::from_utf8_lossy(record);
        let plain = text.split(|sign: char| !sign.is_alphanumeric());
        let joined = text.split(|sign: char| !(sign.is_alphanumeric() || "-_.@+".contains(sign)));
        let words: BTreeSet<&str> = plain
            .chain(joined)
            .filter(|word| !word.is_empty())
            .collect();
        kinds.iter().any(|kind| {
            words.iter().any(|word| {
                let hash = hasher.hash(&format!("v1:{kind}:{word}"));
                self.before.contains_key(&((*kind).to_owned(), hash))
            })
        })
    }

    /// Whether this event may not come back, its own time being unknown.
    pub fn covers_at_any_time(&self, event: &impl Fields, pii: &PiiPolicy) -> bool {
        self.covers(event, DateTime::<Utc>::MIN_UTC, pii)
    }

    /// Whether this event of this time may not come back.
    pub fn covers(&self, event: &impl Fields, time: DateTime<Utc>, pii: &PiiPolicy) -> bool {
        let Some(hasher) = &self.hasher else {
            return false;
        };
        identifiers_of(event, pii).into_iter().any(|identifier| {
            let hash = hasher.hash(&identifier.canonical_form());
            let before = self.before.get(&(identifier.kind, hash));
            before.is_some_and(|before| time <= *before)
        })
    }
}

async fn read_entry(s3: &ReadS3, folder: &S3Location, key: &str) -> Result<Suppressed, S3Error> {
    let object = s3.get(&folder.bucket, key, Pick::Current).await?;
    serde_json::from_slice(&object.bytes).map_err(|error| {
        S3Error::new(
            format!("read s3://{}/{key}", folder.bucket),
            error.to_string(),
            S3ErrorKind::Other,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_stands_alone() {
        for text in [
            "789456",
            "x 789456 y",
            "\"789456\"",
            "id=789456",
            "-789456-",
        ] {
            assert!(contains_token(text.as_bytes(), b"789456"), "{text}");
        }
        for text in ["1789456", "7894567", "a789456", "78945", ""] {
            assert!(!contains_token(text.as_bytes(), b"789456"), "{text}");
        }
        assert!(contains_token(b"17894561 789456", b"789456"));
        for text in ["\"userId\": 22,", "\"22\"", "id=22"] {
            assert!(contains_token(text.as_bytes(), b"22"), "{text}");
        }
        for text in [
            "2026-11-22",
            "day=22x",
            "at 22 o'clock",
            "{\"at\":\"2026-11-22\"}",
        ] {
            assert!(!contains_token(text.as_bytes(), b"22"), "{text}");
        }
    }

    #[test]
    fn numbers_and_strings_are_one_customer() {
        let canonical = |text: &str| canonical(&Json::parse(text.as_bytes()).unwrap());
        assert_eq!(canonical("12345").as_deref(), Some("12345"));
        assert_eq!(canonical("\"12345\"").as_deref(), Some("12345"));
        assert_eq!(canonical("12345.0").as_deref(), Some("12345"));
        assert_eq!(canonical("12345e0").as_deref(), Some("12345"));
        assert_eq!(canonical("0").as_deref(), Some("0"));
        assert_eq!(canonical("\"\"").as_deref(), Some(""));
        assert_eq!(canonical("1.5"), None);
        assert_eq!(canonical("true"), None);
        assert_eq!(canonical("[1]"), None);
    }

    #[test]
    fn a_subject_is_found_wherever_the_policy_points() {
        let pii = PiiPolicy {
            identifiers: BTreeMap::from([(
                "user_id".to_owned(),
                vec![
                    FieldPath::from_names(["users"]),
                    FieldPath::from_names(["buyer", "id"]),
                ],
            )]),
        };
        let seven = Identifier {
            kind: "user_id".into(),
            text: "7".into(),
        };
        let matcher = Matcher::new([&seven], &pii);
        let hits = |text: &str| matcher.hits(&Json::parse(text.as_bytes()).unwrap());
        assert!(hits(r#"{"users":["6","7"]}"#));
        assert!(hits(r#"{"users":[[7]]}"#));
        assert!(hits(r#"{"buyer":{"id":7}}"#));
        assert!(hits(r#"{"buyer":[{"id":1},{"id":"7"}]}"#));
        assert!(hits(r#"{"buyer":{"id":"1"},"buyer":{"id":"7"}}"#));
        assert!(!hits(r#"{"users":["77"],"seller":{"id":7}}"#));
    }
}
