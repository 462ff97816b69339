//! Raw objects: read with care, and rewritten without some of their records.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use md5::{Digest, Md5};

use super::error::{S3Error, S3ErrorKind};
use super::facts::FactsError;
use super::ledger::{Ledger, Rewrite};
use super::rows::KafkaPosition;
use super::s3::{Object, ObjectVersion, Pick, PutIf, as_query};
use super::site::Site;
use super::tables::Table;
use crate::decode::{self, Json, Limits, Plain, RawFormat, Reason, Record, TimeRule};
use crate::policy::{self, DatasetPolicy, EventsPolicy};

/// What rewriting a raw object came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rewritten {
    /// No record had to go.
    Untouched,
    /// So many records went.
    Without(u64),
    /// The consumer replaced the object meanwhile; the next plan will see it.
    Moved,
    /// Part of the object cannot be read, so it cannot be rewritten without losing that part.
    Damaged,
    /// A hold is on records of it, and it has several versions: none of them goes without the others.
    Held,
}

/// Which records go.
pub struct Sieve<'a> {
    /// Whether a record has to go.
    pub drops: &'a (dyn Fn(&Record<'_>) -> bool + Sync),
    /// Whether a hold is on it: then it stays.
    pub holds: &'a (dyn Fn(&Record<'_>) -> bool + Sync),
    /// Whether there is no such hold, and so nothing to ask.
    pub holds_nothing: bool,
}

/// Whether there may be more in an object than what was decompressed. Of a stream that ends too early
/// nothing more can be had.
pub fn is_partly_unread(damage: Option<Reason>) -> bool {
    damage.is_some_and(|reason| reason != Reason::CompressionTruncated)
}

/// The ledger as it is now, this run's compaction and rewrites included.
pub async fn ledger_now(site: &Site, policy: &DatasetPolicy) -> Result<Ledger, FactsError> {
    let table = Table::open(Arc::clone(&site.store), &site.places.events(&policy.name)).await?;
    Ledger::of(
        site.s3.read(),
        &site.places.ledger(&policy.name),
        table.as_ref(),
    )
    .await
}

/// The position of the first record of an object that Kafka Connect named
/// `<topic>+<partition>+<start offset>.<ending>`.
pub fn first_position(key: &str) -> Option<KafkaPosition> {
    let name = key.rsplit('/').next()?;
    let mut parts = name.split('+');
    let (topic, partition, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let offset = rest.split('.').next()?;
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if parts.next().is_some() || topic.is_empty() || !plain(partition) || !plain(offset) {
        return None;
    }
    Some(KafkaPosition {
        topic: Arc::from(topic),
        partition: partition.parse().ok()?,
        offset: offset.parse().ok()?,
    })
}

/// Whether an object holds no events by its name or size: folders, success markers and empty objects.
pub fn is_marker(version: &ObjectVersion) -> bool {
    let name = version.key.rsplit('/').next().unwrap_or_default();
    version.size == 0 || name.is_empty() || name == "_SUCCESS"
}

/// How the policy says that an event's time is written.
pub fn time_rule(policy: &EventsPolicy) -> TimeRule {
    TimeRule {
        path: policy.time.clone(),
        unit: match policy.time_unit {
            policy::TimeUnit::Text => decode::TimeUnit::Text,
            policy::TimeUnit::EpochSeconds => decode::TimeUnit::EpochSeconds,
            policy::TimeUnit::EpochMilliseconds => decode::TimeUnit::EpochMilliseconds,
            policy::TimeUnit::EpochMicroseconds => decode::TimeUnit::EpochMicroseconds,
        },
        zone: policy.zone,
    }
}

/// When what a record tells happened, where that can be told.
pub fn time_of(record: &Record<'_>, rule: &TimeRule) -> Option<DateTime<Utc>> {
    let event = record.content.as_ref().ok()?;
    decode::event_time(event, rule).ok()
}

/// The date (UTC) of an event, where it has one.
pub fn event_date(event: &Json, policy: &DatasetPolicy) -> Option<NaiveDate> {
    decode::event_time(event, &time_rule(&policy.events))
        .ok()
        .map(|time| time.date_naive())
}

/// Whether an object that the ledger does not know by its entity tag is one that we wrote in place of a
/// compacted one. A bucket encrypted with a KMS key gives tags that cannot be announced before the write;
/// the content's MD5, `content`, was.
pub async fn recognise(
    site: &Site,
    policy: &DatasetPolicy,
    version: &ObjectVersion,
    content: String,
    ledger: &Ledger,
) -> Result<bool, S3Error> {
    let Some(compacted) = ledger.compacted(&version.key, &content) else {
        return Ok(false);
    };
    let known = Rewrite {
        version: 1,
        key: version.key.clone(),
        from: content,
        to: version.etag.clone(),
        size: version.size,
        first_date: compacted.first_date,
        last_date: compacted.last_date,
        run: site.run.clone(),
    };
    Ledger::announce(&site.s3, &site.places.ledger(&policy.name), &known).await?;
    Ok(true)
}

/// What one version of a raw object came to.
enum Step {
    Untouched,
    /// Some records went; the version itself can go.
    Without(u64),
    /// All records went; the version must go.
    Emptied(u64),
    Moved,
    Damaged,
}

/// Takes records out of a raw object, given all its versions: out of the current one by writing a new
/// one in its place, out of an older one by deleting it. If nothing is left of the current one, all its
/// versions go, or an older one would come to light again. Of what is held nothing goes.
pub async fn rewrite(
    site: &Site,
    policy: &DatasetPolicy,
    ledger: &Ledger,
    versions: &[&ObjectVersion],
    sieve: &Sieve<'_>,
) -> Result<Rewritten, S3Error> {
    let objects = versions.iter().filter(|version| !version.marker);
    if !sieve.holds_nothing && objects.clone().count() > 1 {
        for version in objects {
            if holds_a_record(site, policy, version, sieve).await? {
                return Ok(Rewritten::Held);
            }
        }
    }
    let mut dropped = 0;
    let mut gone = Vec::new();
    for version in versions.iter().filter(|version| !version.marker) {
        match rewrite_version(site, policy, ledger, version, sieve).await? {
            Step::Untouched => {}
            Step::Moved => return Ok(Rewritten::Moved),
            Step::Damaged => return Ok(Rewritten::Damaged),
            Step::Emptied(count) if version.latest => {
                announce(site, policy, version, String::new(), 0, &BTreeSet::new()).await?;
                dropped += count;
                gone = versions.iter().map(|version| (*version).clone()).collect();
                break;
            }
            Step::Without(count) | Step::Emptied(count) => {
                dropped += count;
                // Without bucket versions the write itself has replaced it; deleting looks before.
                gone.push((*version).clone());
            }
        }
    }
    site.s3
        .delete_versions(&policy.raw.location.bucket, &gone)
        .await?;
    Ok(match dropped {
        0 => Rewritten::Untouched,
        count => Rewritten::Without(count),
    })
}

/// Whether a hold is on a record of this version.
async fn holds_a_record(
    site: &Site,
    policy: &DatasetPolicy,
    version: &ObjectVersion,
    sieve: &Sieve<'_>,
) -> Result<bool, S3Error> {
    let bucket = &policy.raw.location.bucket;
    let pick = Pick::Version(&version.version);
    let object = match site.s3.read().get(bucket, &version.key, pick).await {
        Ok(object) => object,
        Err(error) if error.kind == S3ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let limits = Limits::default();
    let plain = Plain::of(&object.bytes, policy.raw.format, &limits);
    Ok(plain
        .records(&limits)
        .iter()
        .any(|record| (sieve.holds)(record)))
}

/// Records in the ledger what `version` is about to become.
async fn announce(
    site: &Site,
    policy: &DatasetPolicy,
    version: &ObjectVersion,
    to: String,
    bytes: u64,
    dates: &BTreeSet<NaiveDate>,
) -> Result<(), S3Error> {
    let rewrite = Rewrite {
        version: 1,
        key: version.key.clone(),
        from: version.etag.clone(),
        to,
        size: bytes,
        first_date: dates.first().copied(),
        last_date: dates.last().copied(),
        run: site.run.clone(),
    };
    Ledger::announce(&site.s3, &site.places.ledger(&policy.name), &rewrite).await
}

async fn rewrite_version(
    site: &Site,
    policy: &DatasetPolicy,
    ledger: &Ledger,
    version: &ObjectVersion,
    sieve: &Sieve<'_>,
) -> Result<Step, S3Error> {
    let bucket = &policy.raw.location.bucket;
    let object = match site
        .s3
        .read()
        .get(bucket, &version.key, Pick::Version(&version.version))
        .await
    {
        Ok(object) => object,
        Err(error) if error.kind == S3ErrorKind::NotFound => return Ok(Step::Moved),
        Err(error) => return Err(error),
    };
    if object.etag != version.etag {
        return Ok(Step::Moved);
    }
    let limits = Limits::default();
    let bytes = object.bytes.clone();
    let plain = Plain::of(&bytes, policy.raw.format, &limits);
    let records = plain.records(&limits);
    let mut dropped: BTreeSet<u64> = records
        .iter()
        .filter(|record| !(sieve.holds)(record) && (sieve.drops)(record))
        .map(|record| record.ordinal)
        .collect();
    if dropped.is_empty() {
        return Ok(Step::Untouched);
    }
    if is_partly_unread(plain.damage) {
        return Ok(Step::Damaged);
    }
    // What is not in the table yet waits: taking records out would shift the Kafka offsets of the others.
    if version.latest && ledger.compacted(&version.key, &version.etag).is_none() {
        return Ok(Step::Moved);
    }
    let count = dropped.len() as u64;
    if count == records.len() as u64 {
        return Ok(Step::Emptied(count));
    }
    if !version.latest {
        return Ok(Step::Without(count));
    }
    let Some(body) = without(&plain, &bytes, policy.raw.format, &records, &mut dropped) else {
        return Err(S3Error::new(
            format!("rewrite s3://{bucket}/{}", version.key),
            "its broken records cannot be told apart once others are gone; look at it by hand",
            S3ErrorKind::Other,
        ));
    };
    let dates: BTreeSet<NaiveDate> = left(&records, &dropped)
        .filter_map(|record| event_date(record.content.as_ref().ok()?, policy))
        .collect();
    let replaced = replace(site, policy, version, object, body, &dates).await?;
    Ok(if replaced {
        Step::Without(count)
    } else {
        Step::Moved
    })
}

fn left<'a>(
    records: &'a [Record<'a>],
    dropped: &'a BTreeSet<u64>,
) -> impl Iterator<Item = &'a Record<'a>> {
    records
        .iter()
        .filter(|record| !dropped.contains(&record.ordinal))
}

/// A record's bytes, and whether they read as an event: what follows them has a say.
fn reading<'data>(record: &Record<'data>) -> (&'data [u8], bool) {
    (record.bytes, record.content.is_ok())
}

/// The object without the dropped records, but only if it reads as exactly the others. Where broken records
/// would run together they go too: quarantine keeps them whole.
fn without(
    plain: &Plain<'_>,
    raw: &[u8],
    format: RawFormat,
    records: &[Record<'_>],
    dropped: &mut BTreeSet<u64>,
) -> Option<Vec<u8>> {
    let limits = Limits::default();
    for also_broken in [false, true] {
        if also_broken {
            let broken = records.iter().filter(|record| record.content.is_err());
            dropped.extend(broken.map(|record| record.ordinal));
        }
        let body = plain.without(raw, records, dropped, &limits)?;
        let read_back = Plain::of(&body, format, &limits);
        let again = read_back.records(&limits);
        let same = left(records, dropped)
            .map(reading)
            .eq(again.iter().map(reading));
        if same {
            return Some(body);
        }
    }
    None
}

/// Writes `body` in place of `version`; `false` if the consumer was first.
async fn replace(
    site: &Site,
    policy: &DatasetPolicy,
    version: &ObjectVersion,
    object: Object,
    body: Vec<u8>,
    dates: &BTreeSet<NaiveDate>,
) -> Result<bool, S3Error> {
    let length = body.len() as u64;
    let to = hex::encode(Md5::digest(&body));
    announce(site, policy, version, to.clone(), length, dates).await?;
    let bucket = &policy.raw.location.bucket;
    let tags = if object.has_tags {
        let tags = site.s3.read().tags(bucket, &version.key, &version.version);
        Some(as_query(&tags.await?))
    } else {
        None
    };
    let kept = Object {
        bytes: body.into(),
        tags,
        ..object
    };
    let condition = PutIf::Matches(&version.etag);
    match site
        .s3
        .put_like(bucket, &version.key, kept, condition)
        .await
    {
        Ok(etag) => {
            // A bucket encrypted with a KMS key answers with a tag that cannot be foretold.
            if etag != to {
                announce(site, policy, version, etag, length, dates).await?;
            }
            Ok(true)
        }
        Err(error)
            if matches!(
                error.kind,
                S3ErrorKind::Precondition | S3ErrorKind::NotFound
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without_first(data: &str) -> Option<(String, usize)> {
        without_some(data, BTreeSet::from([0]))
    }

    fn without_some(data: &str, mut dropped: BTreeSet<u64>) -> Option<(String, usize)> {
        let (raw, format) = (data.as_bytes(), RawFormat::Json);
        let plain = Plain::of(raw, format, &Limits::default());
        let records = plain.records(&Limits::default());
        let body = without(&plain, raw, format, &records, &mut dropped)?;
        Some((String::from_utf8(body).unwrap(), dropped.len()))
    }

    #[test]
    fn what_stays_reads_as_it_did() {
        let lines = "{\"a\":1}\r\n{\"a\":2}\n";
        assert_eq!(without_first(lines), Some(("{\"a\":2}\n".into(), 1)));
        let array = "[{\"a\":1},\n {\"a\":2}]";
        let (body, _) = without_first(array).unwrap();
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&body).unwrap(),
            serde_json::json!([{"a": 2}])
        );
    }

    #[test]
    fn an_event_is_still_one_when_others_are_gone() {
        let data = "{\"a\":1} {\"b\":2}\n{\"c\":3}\n]";
        let (body, dropped) = without_some(data, BTreeSet::from([2])).unwrap();
        assert_eq!((body.trim_end(), dropped), ("{\"a\":1} {\"b\":2}", 2));
    }

    #[test]
    fn kafka_connect_names_give_positions_and_others_none() {
        let position = first_position("topics/cart/year=2026/month=11/cart+2+0000000120.json.gz");
        let position = position.unwrap();
        assert_eq!(&*position.topic, "cart");
        assert_eq!((position.partition, position.offset), (2, 120));
        for key in [
            "a/cart+2.json",
            "a/b.json",
            "a/cart+x+1.json",
            "a/cart+1+2+3.json",
            "+1+2.json",
        ] {
            assert!(first_position(key).is_none(), "{key}");
        }
    }
}
