//! The suppression list: an event of an erased subject from before the request does not come back. Ids that only
//! such an event links to them are taken note of, for a request that follows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use super::token::{quoted, spelled_out, stands_alone};
use super::{FieldRule, Fields, Identifier, canonical_text, identifiers_in, redact};
use crate::decode::{Document, Json};
use crate::lake::error::{S3Error, S3ErrorKind};
use crate::lake::key::{Hasher, Key, KeyError, Purpose};
use crate::lake::s3::{Pick, ReadS3};
use crate::policy::{Compare, PiiPolicy, Redaction, S3Location};

/// Entries read at the same time.
const READ_AT_ONCE: usize = 16;

/// One subject that may not come back, as it lies in the lake.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Suppressed {
    /// Format of this file.
    pub version: u32,
    /// Which key hashed it.
    pub key: String,
    /// Keyed hashes of the identifiers that the request names, by kind.
    pub hashes: BTreeMap<String, BTreeSet<String>>,
    /// Keyed hashes of the ids that links led to, by kind.
    #[serde(default)]
    pub linked: BTreeMap<String, BTreeSet<String>>,
    /// Events up to this time do not come back.
    pub before: DateTime<Utc>,
}

/// The suppression list: late events of erased subjects are recognised by it.
#[derive(Default)]
pub struct Suppression {
    /// By kind and hash: the newest request's time, of those that name it.
    named: BTreeMap<(String, String), DateTime<Utc>>,
    /// The same, of those that it was linked to.
    linked: BTreeMap<(String, String), DateTime<Utc>>,
    hasher: Option<Hasher>,
    /// For redacted events.
    redaction: Option<Hasher>,
    /// Ids that late events linked to erased people, and up to when events are theirs.
    late_links: Mutex<BTreeMap<Identifier, DateTime<Utc>>>,
}

impl std::fmt::Debug for Suppression {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Suppression({} hashes)", self.named.len())
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

/// What of a text may be an identifier: words with and without the signs that join them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let plain = text.split(|sign: char| !sign.is_alphanumeric());
    let joined = text.split(|sign: char| !(sign.is_alphanumeric() || "-_.@+".contains(sign)));
    plain.chain(joined).filter(|word| {
        let start = word.as_ptr() as usize - text.as_ptr() as usize;
        !word.is_empty() && stands_alone(text.as_bytes(), start, word.len())
    })
}

impl Suppression {
    /// Reads the list in `folder`, less what requests that are not to be carried out now have on it. The key is
    /// asked for only if the list is not empty.
    pub async fn load(
        s3: &ReadS3,
        folder: &S3Location,
        key: impl FnOnce() -> Result<Key, KeyError>,
        undecided: &BTreeSet<String>,
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
            named: BTreeMap::new(),
            linked: BTreeMap::new(),
            hasher: Some(key.hasher(Purpose::Suppression)?),
            redaction: Some(key.hasher(Purpose::Redaction)?),
            late_links: Mutex::default(),
        };
        for (name, entry) in keys.iter().zip(entries) {
            if entry.key != mark {
                return Err(KeyError::Changed("the suppression list".into()).into());
            }
            let request = name.rsplit('/').next().unwrap_or_default();
            if !undecided.contains(request.trim_end_matches(".json")) {
                list.admit(entry);
            }
        }
        Ok(list)
    }

    fn admit(&mut self, entry: Suppressed) {
        for (list, hashes) in [
            (&mut self.named, entry.hashes),
            (&mut self.linked, entry.linked),
        ] {
            for (kind, hashes) in hashes {
                for hash in hashes {
                    let before = list.entry((kind.clone(), hash)).or_insert(entry.before);
                    *before = (*before).max(entry.before);
                }
            }
        }
    }

    /// Whether a record that could not be understood holds an identifier that may not come back. Each
    /// word of it is asked for, as what it may be of each kind.
    pub fn mentions(&self, record: &[u8], pii: &PiiPolicy) -> bool {
        let Some(hasher) = &self.hasher else {
            return false;
        };
        let spelled = spelled_out(record);
        let texts = [Some(record), spelled.as_deref()].into_iter().flatten();
        let texts: Vec<_> = texts.map(String::from_utf8_lossy).collect();
        let quoted = quoted(record);
        let words = texts.iter().flat_map(|text| words(text));
        let words: BTreeSet<&str> = words.chain(quoted.iter().map(String::as_str)).collect();
        let lists = [&self.named, &self.linked];
        let kinds: BTreeSet<&str> = lists
            .iter()
            .flat_map(|list| list.keys().map(|(kind, _)| kind.as_str()))
            .collect();
        kinds.iter().any(|kind| {
            let compare = pii.compare.get(*kind).copied().unwrap_or(Compare::Text);
            words.iter().any(|word| {
                let text = canonical_text(word, compare);
                let entry = (
                    (*kind).to_owned(),
                    hasher.hash(&format!("v1:{kind}:{text}")),
                );
                lists.iter().any(|list| list.contains_key(&entry))
            })
        })
    }

    /// The event as it may come back, if `redaction` wants it kept.
    pub fn redact(&self, event: &Document, redaction: &Redaction, pii: &PiiPolicy) -> Option<Json> {
        let hasher = self.redaction.as_ref()?;
        Some(redact(&event.to_json(), redaction, pii, hasher))
    }

    /// Whether this event may not come back, its own time being unknown.
    pub fn covers_at_any_time(&self, event: &impl Fields, rules: &[FieldRule]) -> bool {
        self.covers(event, DateTime::<Utc>::MIN_UTC, rules)
    }

    /// Whether this event of this time may not come back. An event that names somebody else does not
    /// become the subject's by an id that people share.
    pub fn covers(&self, event: &impl Fields, time: DateTime<Utc>, rules: &[FieldRule]) -> bool {
        self.covered_until(event, time, rules).is_some()
    }

    /// Up to when events like it may not come back, if this one may not.
    fn covered_until(
        &self,
        event: &impl Fields,
        time: DateTime<Utc>,
        rules: &[FieldRule],
    ) -> Option<DateTime<Utc>> {
        let hasher = self.hasher.as_ref()?;
        let (mut linked, mut names_owner) = (None, false);
        for rule in rules {
            let is_owner = rule.is_owner;
            for identifier in identifiers_in(event, &rule.fields, rule.compare) {
                let hash = hasher.hash(&identifier.canonical_form());
                let entry = (identifier.kind, hash);
                let listed = |list: &BTreeMap<(String, String), DateTime<Utc>>| {
                    list.get(&entry).copied().filter(|before| time <= *before)
                };
                let of_owner = listed(&self.linked).filter(|_| is_owner);
                if let Some(before) = listed(&self.named).or(of_owner) {
                    return Some(before);
                }
                names_owner |= is_owner;
                linked = linked.or(listed(&self.linked));
            }
        }
        linked.filter(|_| !names_owner)
    }

    /// Takes note of ids that a covered event links to its subject, and that are not on the list.
    pub fn note_links(&self, event: &impl Fields, time: DateTime<Utc>, rules: &[FieldRule]) {
        let (Some(hasher), Some(until)) = (&self.hasher, self.covered_until(event, time, rules))
        else {
            return;
        };
        let mut late = self
            .late_links
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for rule in rules.iter().filter(|rule| rule.is_linked) {
            for identifier in identifiers_in(event, &rule.fields, rule.compare) {
                let hash = hasher.hash(&identifier.canonical_form());
                let entry = (identifier.kind.clone(), hash);
                let is_known = |list: &BTreeMap<(String, String), DateTime<Utc>>| {
                    list.get(&entry).is_some_and(|before| until <= *before)
                };
                if !is_known(&self.named) && !is_known(&self.linked) {
                    late.insert(identifier, until);
                }
            }
        }
    }

    /// The ids that were taken note of.
    pub fn late_links(&self) -> BTreeMap<Identifier, DateTime<Utc>> {
        let late = self
            .late_links
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        late.clone()
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
