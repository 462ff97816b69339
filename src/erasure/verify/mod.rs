//! Verification that an erased subject has left no trace, independent of the code that erased (invariant 8).
//!
//! One pass over every version of every object of the lake and of the raw locations serves all requests to
//! be certified. Nothing that found the rows to erase is used here: no filters, no statistics, no ledger,
//! no framing, no decoding of events of ours. JSON is read by `serde_json`, columns by `parquet` and
//! `arrow`, compression by `flate2` and `zstd`; only the blocks of Avro containers are unpacked by
//! [`crate::decode::Plain`].
//!
//! # What counts
//!
//! An identifier is looked for as it is, percent-encoded, in UTF-16, in hexadecimal and in base64;
//! JSON escapes are resolved, numbers compared as numbers, so `12345`, `"12345"`, `12345.0` and `1.2345e4`
//! are one. What it is worth depends on its length and on where it stands:
//!
//! | | 1 to 4 characters | 5 to 7 | 8 and more |
//! |---|---|---|---|
//! | whole value of an identifier field of its kind | trace | trace | trace, in any case |
//! | elsewhere in an event | mention, as a value | mention, as a word | trace |
//! | broken record | trace, as a value | trace, as a value | trace |
//! | curated cell, the program's own files, logs, other objects, keys, metadata | – | trace, as a value | trace |
//!
//! A *word* has no letter or digit beside it. A *value* is a word that is a whole text, stands in quotes, or
//! behind `:` or `=`. Eight characters mean something wherever they turn up, in the middle of a longer word
//! too; but digits with more digits beside them are another number. A *mention* is counted and does not
//! withhold a certificate: `22` may be anything.
//!
//! - An identifier that is made up of several fields is a trace where its parts are the values of those
//!   fields in one object of an event, or all stand as values in one broken record. Elsewhere it is not
//!   looked for: alone, a part may be anybody's.
//! - Another value of an identifier field is another customer's, however alike: `ana@example.org` is not
//!   found in `susana@example.org` there.
//! - Numbers in the program's own files and in logs are counts and sizes; they count under the last name of
//!   an identifier field alone. In other columns of curated tables a short number is a mention.
//! - An event of the subject from after the cutoff is a new customer's. It is counted, and not searched for
//!   this subject. If its time is missing or doubtful it is not excused.
//! - An event that names somebody else is his, though it holds an id that is linked to the subject.
//! - In Parquet files, what dictionaries and statistics hold is a trace if no row holds it.
//!
//! What cannot be read (archived, damaged, packed or encoded in an unknown way) is listed: then nobody knows.
//!
//! Hazards: the objects are anybody's. Memory is bounded by [`MOST_MEMORY`] for what is read at the same
//! time, and a few megabytes a decompressor, whatever comes out of it; a row group of a foreign Parquet
//! file and an Avro container are in memory whole.

mod composite;
mod coverage;
mod event;
mod fields;
mod forms;
mod kind;
mod object;
mod parquet;
mod quarry;
mod search;
mod source;
mod text;
mod time;
mod unpack;
mod walk;
mod wide;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use futures::{StreamExt, TryStreamExt};
use tokio::sync::Semaphore;

pub use coverage::{Amount, Coverage, Place, Trace};
pub use quarry::Quarry;

use coverage::Form;
use event::Findings;
use kind::Kinds;
use object::Looking;
use search::Searcher;

use crate::lake::error::{S3Error, S3ErrorKind};
use crate::lake::s3::{ObjectVersion, ReadS3, Upload};
use crate::policy::{Policies, S3Location};

const READ_AT_ONCE: usize = 16;
/// What the stored bytes of objects may take that are read at the same time.
pub const MOST_MEMORY: usize = 192 * MEGABYTE;
const MEGABYTE: usize = 1024 * 1024;
/// What is in memory of one object, unless it is of an unusual kind: a row group.
const MOST_AT_ONCE: u64 = 64 * MEGABYTE as u64;

/// How much of the lake is looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sample {
    /// All of it.
    All,
    /// This share of the object versions, above 0 and up to 1: the same ones each time. Keys and unfinished
    /// uploads are looked at all the same.
    Share(f64),
}

/// Looks for the subjects of all `quarries` in one pass; answers by request.
///
/// # Errors
/// What concerns more than one object: credentials, a bucket, the network.
pub async fn verify(
    s3: &ReadS3,
    policies: &Policies,
    quarries: &[Quarry],
    sample: Sample,
) -> Result<BTreeMap<String, Coverage>, S3Error> {
    let searcher = Searcher::new(quarries).map_err(|error| {
        S3Error::new(
            format!("look for {} subjects at once", quarries.len()),
            format!("{error}; certify fewer requests a run"),
            S3ErrorKind::Other,
        )
    })?;
    let mut pass = Pass {
        looking: Looking {
            s3,
            searcher: Arc::new(searcher),
            kinds: Kinds::new(policies),
        },
        sample,
        coverages: vec![Coverage::default(); quarries.len()],
    };
    pass.look_in(&policies.lake.location, None).await?;
    for policy in &policies.datasets {
        let name = Some(policy.name.as_str());
        pass.look_in(&policy.raw.location, name).await?;
    }
    let requests = quarries.iter().map(|quarry| quarry.request.clone());
    Ok(requests.zip(pass.coverages).collect())
}

/// One pass over the lake.
struct Pass<'a> {
    looking: Looking<'a>,
    sample: Sample,
    /// By quarry.
    coverages: Vec<Coverage>,
}

impl Pass<'_> {
    async fn look_in(
        &mut self,
        location: &S3Location,
        raw_of: Option<&str>,
    ) -> Result<(), S3Error> {
        let (bucket, prefix) = (&location.bucket, &location.prefix);
        for upload in self.looking.s3.uploads(bucket, prefix).await? {
            self.take_upload(bucket, &upload);
        }
        let versions = self.looking.s3.versions(bucket, prefix).await?;
        let memory = Semaphore::new(MOST_MEMORY / MEGABYTE);
        let (looking, sample) = (&self.looking, self.sample);
        let mut coverages = std::mem::take(&mut self.coverages);
        let mut looks = futures::stream::iter(&versions)
            .map(|version| {
                let memory = &memory;
                async move {
                    if version.marker || !sample.takes(bucket, version) {
                        return Ok::<_, S3Error>((version, Looked::Key));
                    }
                    let share = version.size.min(MOST_AT_ONCE).div_ceil(MEGABYTE as u64);
                    let _permit = memory.acquire_many(share.max(1) as u32).await;
                    let found = looking.look(bucket, version, raw_of).await?;
                    Ok((version, found.map_or(Looked::Gone, Looked::Whole)))
                }
            })
            .buffered(READ_AT_ONCE);
        while let Some((version, looked)) = looks.try_next().await? {
            let place = looking.kinds.of(&version.key, raw_of).place;
            let of_key = looking.look_at_key(&version.key);
            let object = Found {
                bucket,
                version,
                place,
                of_key,
            };
            object.add_to(&mut coverages, looked);
        }
        drop(looks);
        self.coverages = coverages;
        Ok(())
    }

    fn take_upload(&mut self, bucket: &str, upload: &Upload) {
        let of_key = self.looking.look_at_key(&upload.key);
        let cutoffs = &self.looking.searcher.cutoffs;
        let coverages = self.coverages.iter_mut().zip(cutoffs).enumerate();
        for (quarry, (coverage, cutoff)) in coverages {
            let is_old = upload.initiated.is_none_or(|at| at < *cutoff);
            coverage.unfinished_uploads += u64::from(is_old);
            if of_key.traces.contains(&(quarry, Form::Key)) {
                coverage.traces.push(Trace {
                    bucket: bucket.to_owned(),
                    key: WITHHELD.to_owned(),
                    version: String::new(),
                    form: Form::Key.to_string(),
                });
            }
        }
    }
}

/// Stands for a key that holds an identifier.
const WITHHELD: &str = "(withheld)";

/// How far an object version was looked at.
enum Looked {
    /// Its key alone: it is a delete marker, or not in the sample.
    Key,
    /// It has gone since it was listed.
    Gone,
    Whole(Findings),
}

/// An object version that was looked at.
struct Found<'a> {
    bucket: &'a str,
    version: &'a ObjectVersion,
    place: Place,
    of_key: Findings,
}

impl Found<'_> {
    fn add_to(&self, coverages: &mut [Coverage], looked: Looked) {
        let left_out = matches!(looked, Looked::Key) && !self.version.marker;
        let inside = match looked {
            Looked::Gone => return,
            Looked::Key => None,
            Looked::Whole(findings) => Some(findings),
        };
        for (quarry, coverage) in coverages.iter_mut().enumerate() {
            coverage.left_out += u64::from(left_out);
            self.add_traces(quarry, &self.of_key, coverage);
            if let Some(inside) = &inside {
                self.add_inside(quarry, inside, coverage);
            }
            let findings = [Some(&self.of_key), inside.as_ref()];
            let mut findings = findings.into_iter().flatten();
            let is_mention = findings.any(|findings| findings.mentions.contains(&quarry));
            coverage.mentions += u64::from(is_mention);
        }
    }

    fn add_inside(&self, quarry: usize, inside: &Findings, coverage: &mut Coverage) {
        let amount = coverage.looked_at.entry(self.place).or_default();
        amount.versions += 1;
        amount.bytes += self.version.size;
        coverage.records += inside.records;
        coverage.rows += inside.rows;
        coverage.later_events += inside.later.get(&quarry).copied().unwrap_or(0);
        if inside.is_unreadable {
            coverage.unreadable.push(self.shown_key());
        }
        self.add_traces(quarry, inside, coverage);
    }

    fn add_traces(&self, quarry: usize, findings: &Findings, coverage: &mut Coverage) {
        let of_quarry = (quarry, Form::Field)..=(quarry, Form::Metadata);
        for (_, form) in findings.traces.range(of_quarry) {
            coverage.traces.push(Trace {
                bucket: self.bucket.to_owned(),
                key: self.shown_key(),
                version: self.version.version.clone(),
                form: form.to_string(),
            });
        }
    }

    /// The key, unless it holds an identifier itself, this subject's or another's.
    fn shown_key(&self) -> String {
        if self.of_key.traces.is_empty() && self.of_key.mentions.is_empty() {
            return self.version.key.clone();
        }
        WITHHELD.to_owned()
    }
}

impl Sample {
    fn takes(self, bucket: &str, version: &ObjectVersion) -> bool {
        let Self::Share(share) = self else {
            return true;
        };
        let name = [bucket, &version.key, &version.version].join("\n");
        let hash = digest(&SHA256, name.as_bytes());
        let first = hash.as_ref().first_chunk::<4>().copied();
        let place = f64::from(u32::from_be_bytes(first.unwrap_or_default()));
        place < share * (f64::from(u32::MAX) + 1.0)
    }
}

/// Works on a thread where waiting is no concern of others.
async fn off_thread<Outcome: Send + 'static>(
    work: impl FnOnce() -> Outcome + Send + 'static,
) -> Outcome {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}
