//! Carrying out an erasure: who belongs to the subjects, then the event table, quarantine and raw objects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use chrono::{DateTime, Utc};

use super::certificate::proof::ProofError;
use super::people::{Accounts, People};
use super::reach::{self, close};
use super::request::{Erased, OpenRequest, RequestError, State, Waiting};
use super::rows::{Target, erase_rows};
use crate::audit::log::AuditError;
use crate::decode::{self, Json, Limits, Plain, Record};
use crate::lake::error::{S3Error, S3ErrorKind};
use crate::lake::facts::{Facts, FactsError};
use crate::lake::hold::{Held, HeldPeople};
use crate::lake::key::{Hasher, Key, Purpose};
use crate::lake::ledger::{Ledger, put_json};
use crate::lake::quarantine::quarantined_record;
use crate::lake::raw::{self, Rewritten, Sieve, time_rule};
use crate::lake::rows::RowsError;
use crate::lake::s3::{ObjectVersion, Pick, PutIf, by_key};
use crate::lake::site::Site;
use crate::lake::subject::{Identifier, Roster, Suppressed};
use crate::lake::tables::{DataFile, TableError};
use crate::plan::{Erase, EraseCurated, Identify};
use crate::policy::{CuratedPolicy, DatasetPolicy, Policies};

/// So often a raw object is looked at again whose consumer replaced it meanwhile.
const ATTEMPTS: usize = 3;

/// Why an erasure step failed. The request stays open; the next run goes on.
#[derive(Debug, thiserror::Error)]
pub enum ErasureError {
    /// An S3 request.
    #[error("{0}")]
    Store(#[from] S3Error),
    /// The event table.
    #[error("{0}")]
    Table(#[from] TableError),
    /// The rows.
    #[error("{0}")]
    Rows(#[from] RowsError),
    /// The request.
    #[error("{0}")]
    Request(#[from] RequestError),
    /// The key.
    #[error("{0}")]
    Key(#[from] crate::lake::key::KeyError),
    /// The ledger.
    #[error("{0}")]
    Ledger(#[from] FactsError),
    /// The audit log.
    #[error("{0}")]
    Audit(#[from] AuditError),
    /// A certificate that does not hold.
    #[error("{0}")]
    Proof(#[from] ProofError),
    /// Another run is at work.
    #[error("the lease was lost to another run; nothing more was certified")]
    LeaseLost,
}

/// What an erasure step did.
#[derive(Debug, Default)]
pub struct DatasetErasure {
    /// Rows that left the table, each counted once.
    pub rows: u64,
    /// Rows of these that came back redacted.
    pub redacted: u64,
    /// By request; a row about two subjects counts for both.
    pub erased: BTreeMap<String, Erased>,
    /// Raw objects that subjects could not be taken out of, and why: the request stays open.
    pub waiting: Vec<String>,
    /// Requests of which something is held.
    pub held: BTreeSet<String>,
}

/// Makes sure of who belongs to the subjects, now that `fresh` files have come by table; seals it with the
/// requests, and puts them on the suppression list.
pub async fn identify(
    site: &Site,
    policies: &Policies,
    key: &Key,
    step: &Identify,
    requests: &mut [OpenRequest],
    fresh: &BTreeMap<String, Vec<DataFile>>,
) -> Result<Identified, ErasureError> {
    let facts = Facts::tables(site.s3.read(), policies).await?;
    let mut tables = reach::tables(policies, &facts);
    for table in &mut tables {
        table.fresh = fresh.get(&table.name).cloned().unwrap_or_default();
    }
    let mut named: Vec<&mut OpenRequest> = requests
        .iter_mut()
        .filter(|open| step.requests.contains(&open.request.id))
        .collect();
    let policy = &policies.lake.erasure;
    let linked =
        |named: &[&mut OpenRequest]| named.iter().map(|open| open.linked.len()).sum::<usize>();
    let known = linked(&named);
    let mut held = HeldPeople::clone(&site.held);
    let reach = close(&site.store, policy, &tables, &mut named, &mut held).await?;
    let has_new_links = linked(&named) > known;
    let hasher = key.hasher(Purpose::Suppression)?;
    for open in named {
        if reach.left_out.contains_key(&open.request.id) {
            continue;
        }
        let mut request = open.request.clone();
        request.seal(key, &open.written, &open.linked)?;
        request.pass(State::Planned, site.now);
        open.etag = request.update(&site.s3, &site.places, &open.etag).await?;
        open.request = request;
        suppress(site, key, &hasher, open, &open.written.identifiers(policy)).await?;
    }
    Ok(Identified {
        left_out: reach.left_out,
        has_new_links,
    })
}

/// What came of identifying subjects.
#[derive(Debug, Default)]
pub struct Identified {
    /// By request, why one is left to a person.
    pub left_out: BTreeMap<String, Waiting>,
    /// Whether there are ids that the plan did not know: files that it does not name may hold them.
    pub has_new_links: bool,
}

/// What earlier steps of a run left for an erasure.
pub struct Earlier<'a> {
    /// Files that came into the table.
    pub files: &'a [DataFile],
    /// Quarantine objects that were written.
    pub quarantine: &'a [String],
    /// See [`Identified`].
    pub has_new_links: bool,
}

impl Earlier<'_> {
    /// Which files to search: those that the plan names and those that have come, or all of them.
    fn searched<'a>(&'a self, planned: &'a [DataFile]) -> Option<BTreeSet<&'a str>> {
        let files = planned.iter().chain(self.files);
        (!self.has_new_links).then(|| files.map(|file| file.path.as_str()).collect())
    }
}

async fn suppress(
    site: &Site,
    key: &Key,
    hasher: &Hasher,
    open: &OpenRequest,
    named: &BTreeSet<Identifier>,
) -> Result<(), ErasureError> {
    let sorted_by_kind = |identifiers: &BTreeSet<Identifier>| {
        let mut by_kind: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for identifier in identifiers {
            let of_kind = by_kind.entry(identifier.kind.clone()).or_default();
            of_kind.insert(hasher.hash(&identifier.canonical_form()));
        }
        by_kind
    };
    let entry = Suppressed {
        version: 1,
        key: key.mark()?,
        hashes: sorted_by_kind(named),
        linked: sorted_by_kind(&open.linked),
        before: open.request.until(),
    };
    let place = site
        .places
        .system(&format!("erasure/suppression/{}.json", open.request.id));
    put_json(
        &site.s3,
        &place.bucket,
        &place.prefix,
        &entry,
        PutIf::Always,
    )
    .await?;
    Ok(())
}

/// Carries out `step`.
pub async fn apply(
    site: &Site,
    policy: &DatasetPolicy,
    step: &Erase,
    people: &People,
    key: &Key,
    earlier: &Earlier<'_>,
) -> Result<DatasetErasure, ErasureError> {
    let mut accounts = Accounts::of(people);
    let target = Target {
        folder: site.places.events(&policy.name),
        pii: &policy.pii,
        held: &step.held,
        dataset: Some(policy),
        hasher: &key.hasher(Purpose::Redaction)?,
    };
    let searched = earlier.searched(&step.files);
    let searched = searched.as_ref();
    let (rows, redacted) = erase_rows(site, &target, people, searched, &mut accounts).await?;
    let roster = people.roster(&policy.pii);
    let mut sweep = Sweep {
        site,
        policy,
        people,
        roster: &roster,
        held: &step.held,
        held_people: site.held.roster_for_erasure(&policy.pii),
        accounts,
        kept: Mutex::default(),
    };
    let planned = step.quarantine.iter().map(|version| version.key.as_str());
    let keys: BTreeSet<&str> = planned
        .chain(earlier.quarantine.iter().map(String::as_str))
        .collect();
    for key in keys {
        sweep.erase_quarantined(key).await?;
    }
    let waiting = sweep.erase_raw(&step.raw).await?;
    for version in &step.kept {
        sweep.look_at(version).await?;
    }
    let kept = sweep.kept.into_inner().unwrap_or_default();
    Ok(DatasetErasure {
        rows,
        redacted,
        erased: sweep.accounts.erased,
        waiting,
        held: people.requests_of(&kept),
    })
}

/// Takes subjects out of a curated table that carries identifiers.
pub async fn apply_curated(
    site: &Site,
    policy: &CuratedPolicy,
    step: &EraseCurated,
    people: &People,
    key: &Key,
) -> Result<DatasetErasure, ErasureError> {
    let mut accounts = Accounts::of(people);
    let target = Target {
        folder: site.places.curated(&step.table),
        pii: &policy.pii,
        held: &step.held,
        dataset: None,
        hasher: &key.hasher(Purpose::Redaction)?,
    };
    let (rows, _) = erase_rows(site, &target, people, None, &mut accounts).await?;
    Ok(DatasetErasure {
        rows,
        erased: accounts.erased,
        ..DatasetErasure::default()
    })
}

/// Goes through the raw objects and quarantine of a dataset.
struct Sweep<'a> {
    site: &'a Site,
    policy: &'a DatasetPolicy,
    people: &'a People,
    roster: &'a Roster,
    held: &'a Held,
    held_people: Roster,
    accounts: Accounts,
    /// Subjects of whom something is held.
    kept: Mutex<BTreeSet<usize>>,
}

impl Sweep<'_> {
    fn keep(&self, subjects: &[usize]) {
        if let Ok(mut kept) = self.kept.lock() {
            kept.extend(subjects);
        }
    }

    /// Whether a hold is on a record.
    fn is_held(&self, record: &Record<'_>) -> bool {
        let rule = time_rule(&self.policy.events);
        self.held_people.has(record) || self.held.holds_at(raw::time_of(record, &rule))
    }

    /// Notes whose records are in a raw object that stays.
    async fn look_at(&self, version: &ObjectVersion) -> Result<(), S3Error> {
        let bucket = &self.policy.raw.location.bucket;
        let pick = Pick::Version(&version.version);
        let object = match self.site.s3.read().get(bucket, &version.key, pick).await {
            Ok(object) => object,
            Err(error) if error.kind == S3ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let limits = Limits::default();
        let plain = Plain::of(&object.bytes, self.policy.raw.format, &limits);
        for record in plain.records(&limits) {
            self.keep(&self.of_record(&record));
        }
        Ok(())
    }

    fn time(&self, event: &Json) -> Option<DateTime<Utc>> {
        decode::event_time(event, &time_rule(&self.policy.events)).ok()
    }

    /// Takes the subjects' broken records out of a quarantine object; its older versions go.
    async fn erase_quarantined(&mut self, key: &str) -> Result<(), ErasureError> {
        let site = self.site;
        let bucket = &site.places.lake().bucket;
        let Some(object) = site.s3.read().find(bucket, key).await? else {
            return Ok(());
        };
        let (mut left, mut hits) = (Vec::new(), Vec::new());
        for line in object.bytes.split_inclusive(|byte| *byte == b'\n') {
            let record = quarantined_record(line);
            let mut of_record = self.roster.mentioned(&record);
            if let Ok(event) = Json::parse(&record) {
                of_record.extend(self.roster.of_event_at(&event, self.time(&event)));
            }
            of_record.sort_unstable();
            of_record.dedup();
            // Broken records have no day.
            if !self.held.is_nothing() || self.held_people.is_in(&record) {
                self.keep(&of_record);
                of_record.clear();
            }
            if of_record.is_empty() {
                left.extend_from_slice(line);
            }
            hits.extend(of_record);
        }
        if !hits.is_empty() {
            let each = |erased: &mut Erased| erased.quarantined += 1;
            self.accounts.count(self.people, &hits, each, |_| {});
            site.s3
                .put(bucket, key, left, PutIf::Matches(&object.etag))
                .await?;
        }
        let mut versions = site.s3.read().versions(bucket, key).await?;
        versions.retain(|version| version.key == key && !version.latest);
        site.s3.delete_versions(bucket, &versions).await?;
        Ok(())
    }

    /// Answers which raw objects have to wait, and why.
    async fn erase_raw(&mut self, raw: &[ObjectVersion]) -> Result<Vec<String>, ErasureError> {
        let mut waiting = Vec::new();
        let ledger = raw::ledger_now(self.site, self.policy).await?;
        for (key, versions) in by_key(raw) {
            let versions: Vec<ObjectVersion> = versions.into_iter().cloned().collect();
            match self.erase_object(&ledger, key, versions).await {
                Ok(true) => {}
                Ok(false) => waiting.push(format!(
                    "{key}: subjects could not be taken out of it: it is damaged, or its consumer replaced it \
                     and it is not compacted yet"
                )),
                Err(ErasureError::Store(error)) if error.concerns_one_object() => {
                    let advice = error.hint().map_or(String::new(), |hint| format!("; {hint}"));
                    waiting.push(format!("{error}{advice}"));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(waiting)
    }

    /// Whether the subjects' records are out of all versions of an object. A write that was lost to the
    /// consumer's is tried again from what lies there now.
    async fn erase_object(
        &mut self,
        ledger: &Ledger,
        key: &str,
        mut versions: Vec<ObjectVersion>,
    ) -> Result<bool, ErasureError> {
        let (site, policy, bucket) = (self.site, self.policy, &self.policy.raw.location.bucket);
        for _ in 0..ATTEMPTS {
            let hits = Mutex::new(Vec::new());
            let of_subject = |record: &Record<'_>| {
                let subjects = self.of_record(record);
                let is_hit = !subjects.is_empty();
                if let Ok(mut hits) = hits.lock() {
                    hits.extend(subjects);
                }
                is_hit
            };
            let named: Vec<&ObjectVersion> = versions.iter().collect();
            let holds = |record: &Record<'_>| {
                let is_held = self.is_held(record);
                if is_held {
                    self.keep(&self.of_record(record));
                }
                is_held
            };
            let sieve = Sieve {
                drops: &of_subject,
                holds: &holds,
                holds_nothing: self.held.is_nothing()
                    && site.held.is_nobody()
                    && site.held.asked.is_empty(),
            };
            let outcome = raw::rewrite(site, policy, ledger, &named, &sieve).await?;
            let hits = hits.into_inner().unwrap_or_default();
            if outcome == Rewritten::Held {
                return Ok(true);
            }
            if outcome == Rewritten::Damaged {
                return Ok(false);
            }
            if outcome != Rewritten::Moved {
                let each = |erased: &mut Erased| erased.raw_records += 1;
                let once = |erased: &mut Erased| erased.raw_objects += 1;
                self.accounts.count(self.people, &hits, each, once);
                return Ok(true);
            }
            let mut now = site.s3.read().versions(bucket, key).await?;
            now.retain(|version| version.key == key);
            if now == versions {
                // Nobody replaced it: it waits until it is compacted.
                return Ok(false);
            }
            versions = now;
        }
        Ok(false)
    }

    /// The subjects that a record is to be erased for, broken or not.
    fn of_record(&self, record: &Record<'_>) -> Vec<usize> {
        match &record.content {
            Ok(event) => self.roster.of_event_at(event, self.time(event)),
            Err(_) => self.roster.mentioned(record.bytes),
        }
    }
}
