//! Erasure (GDPR Art. 17): a subject leaves raw objects, event tables, curated tables and quarantine, old
//! versions included; a scan shows it; a certificate says so (invariants 5, 8, 9).
//!
//! One pass a night covers all pending requests. First the suppression list, so that nothing comes back
//! while we work; then tables, quarantine and raw objects. Curated tables follow because their inputs have
//! changed. A request is `erased` when no reader sees the subject, `certified` when the replaced files are
//! gone too and the scan found nothing.

mod apply;
mod certificate;
pub mod export;
pub mod filing;
pub mod inbox;
mod manifest;
mod people;
mod reach;
pub mod request;
mod rows;
mod scan;
pub mod unlisted;
pub mod uploads;
pub mod verify;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::lake::facts::{DatasetFacts, Facts, FactsError, Grace, Places};
use crate::lake::hold::{Held, HeldPeople};
use crate::lake::s3::{ObjectVersion, ReadS3};
use crate::lake::search::FileHits;
use crate::plan::{
    Action, Certify, Due, Erase, EraseCurated, Identify, Purge, Step, megabytes, total_size,
};
use crate::policy::{CuratedPolicy, DatasetPolicy, Policies};
use request::OpenRequest;

pub use apply::{DatasetErasure, Earlier, ErasureError, apply, apply_curated, identify};
pub use certificate::{Certificate, Outcome, certify, proof};
pub use manifest::{ByIdentifier, Manifest};
pub use people::People;
pub use reach::Reach;
pub use request::hashes_of;
pub use scan::{Scan, quarry};
pub use verify::Trace;

/// Who belongs to the subjects of pending requests and to `held` people, and where their rows are. Both get
/// what links led to.
pub async fn reach(
    s3: &ReadS3,
    policies: &Policies,
    facts: &Facts,
    requests: &mut [OpenRequest],
    held: &mut HeldPeople,
) -> Result<Reach, FactsError> {
    let mut pending: Vec<&mut OpenRequest> = requests
        .iter_mut()
        .filter(|open| open.request.state.is_pending())
        .collect();
    if pending.is_empty() && held.is_nobody() {
        return Ok(Reach::default());
    }
    let places = Places::new(&policies.lake.location);
    let store = s3.store(&places.lake().bucket)?;
    let tables = reach::tables(policies, facts);
    Ok(reach::close(&store, &policies.lake.erasure, &tables, &mut pending, held).await?)
}

/// The same for requests that are not filed yet, in one pass.
pub async fn reach_unfiled(
    s3: &ReadS3,
    policies: &Policies,
    requests: &mut [OpenRequest],
    held: &mut HeldPeople,
) -> Result<Reach, FactsError> {
    let facts = Facts::tables(s3, policies).await?;
    reach(s3, policies, &facts, requests, held).await
}

/// How many rows by table are theirs.
pub async fn rows_of(
    s3: &ReadS3,
    policies: &Policies,
    people: &mut HeldPeople,
) -> Result<BTreeMap<String, u64>, FactsError> {
    let facts = Facts::tables(s3, policies).await?;
    let reach = reach(s3, policies, &facts, &mut [], people).await?;
    let tables = reach.held.into_iter();
    let rows = tables.map(|(name, files)| (name, files.iter().map(FileHits::rows).sum::<u64>()));
    Ok(rows.filter(|(_, rows)| *rows > 0).collect())
}

/// Ids of the requests that tonight's steps carry out.
fn carried_out(requests: &[OpenRequest], reach: &Reach) -> Vec<String> {
    requests
        .iter()
        .filter(|open| open.request.state.is_pending())
        .map(|open| open.request.id.clone())
        .filter(|id| !reach.left_out.contains_key(id))
        .collect()
}

/// The step that makes sure of who belongs to the subjects, before anything is deleted.
pub fn plan_identify(
    requests: &[OpenRequest],
    reach: &Reach,
    filed: &[String],
    compactions: &[String],
) -> Option<Step> {
    let ids = carried_out(requests, reach);
    if ids.is_empty() {
        return None;
    }
    let named = requests
        .iter()
        .filter(|open| ids.contains(&open.request.id));
    let linked: usize = named.map(|open| open.linked.len()).sum();
    Some(Step {
        id: IDENTIFY.into(),
        why: format!(
            "identify {} subject(s): {linked} linked ids so far{}; seal them with the requests, and put them on \
             the suppression list",
            ids.len(),
            if compactions.is_empty() {
                ""
            } else {
                ", more may come from what is compacted above"
            }
        ),
        action: Action::Identify(Identify {
            requests: ids,
            after: filed.iter().chain(compactions).cloned().collect(),
        }),
    })
}

/// The name of the step that identifies subjects.
const IDENTIFY: &str = "identify-subjects";

/// The step that takes pending subjects out of a dataset.
pub fn plan(
    policy: &DatasetPolicy,
    facts: &DatasetFacts,
    reach: &Reach,
    requests: &[OpenRequest],
    compactions: &[String],
    held: &Held,
) -> Option<Step> {
    let ids = carried_out(requests, reach);
    if ids.is_empty() {
        return None;
    }
    let hits = free_hits(reach, &policy.name, held);
    let is_held = |version: &ObjectVersion| facts.ledger.may_be_held(held, version);
    let raw = facts.raw.iter().filter(|version| !version.marker).cloned();
    let (kept, raw): (Vec<_>, Vec<_>) = raw.partition(is_held);
    let quarantine = &facts.quarantine;
    let name = &policy.name;
    Some(Step {
        id: format!("erase-{name}"),
        why: format!(
            "erase {} subject(s) from {name}: {} rows in {} of {} table files; search {} raw object versions \
             ({}) and {} quarantine objects{}",
            ids.len(),
            hits.iter().map(|hits| hits.rows()).sum::<u64>(),
            hits.len(),
            facts.events.files.len(),
            raw.len(),
            megabytes(total_size(&raw)),
            quarantine.len(),
            if compactions.is_empty() {
                ""
            } else {
                ", and what is compacted above"
            },
        ),
        action: Action::Erase(Erase {
            dataset: name.clone(),
            requests: ids,
            files: hits.iter().map(|hits| hits.file.clone()).collect(),
            raw,
            kept,
            quarantine: quarantine.clone(),
            held: held.clone(),
            held_requests: held_requests(requests, reach, name, held),
            after: with_identify(compactions),
        }),
    })
}

/// The step that takes pending subjects out of a curated table that carries identifiers.
pub fn plan_curated(
    policy: &CuratedPolicy,
    reach: &Reach,
    requests: &[OpenRequest],
    held: &Held,
) -> Option<Step> {
    let ids = carried_out(requests, reach);
    if ids.is_empty() || policy.pii.fields().is_empty() {
        return None;
    }
    let hits = free_hits(reach, &policy.table, held);
    let rows: u64 = hits.iter().map(|hits| hits.rows()).sum();
    Some(Step {
        id: format!("erase-{}", policy.table),
        why: format!(
            "erase {} subject(s) from {}: {rows} rows in {} table files",
            ids.len(),
            policy.table,
            hits.len()
        ),
        action: Action::EraseCurated(EraseCurated {
            table: policy.table.clone(),
            requests: ids,
            files: hits.iter().map(|hits| hits.file.clone()).collect(),
            held: held.clone(),
            held_requests: held_requests(requests, reach, &policy.table, held),
            after: with_identify(&[]),
        }),
    })
}

/// The files of a table with rows of subjects, less those that are held.
fn free_hits<'a>(reach: &'a Reach, table: &str, held: &Held) -> Vec<&'a FileHits> {
    let hits = reach.tables.get(table).into_iter().flatten();
    hits.filter(|hits| !held.holds(hits.file.event_date))
        .collect()
}

/// The requests of which rows of a table are held.
fn held_requests(requests: &[OpenRequest], reach: &Reach, table: &str, held: &Held) -> Vec<String> {
    let pending = requests
        .iter()
        .filter(|open| open.request.state.is_pending());
    let is_held = |number: usize| {
        let mut days = reach
            .of(number)
            .get(table)
            .into_iter()
            .flat_map(|table| &table.days);
        days.any(|day| held.holds(*day))
    };
    let named = pending.enumerate().filter(|(number, open)| {
        !reach.left_out.contains_key(&open.request.id) && is_held(*number)
    });
    named.map(|(_, open)| open.request.id.clone()).collect()
}

fn with_identify(others: &[String]) -> Vec<String> {
    let identify = [IDENTIFY.to_owned()];
    identify.iter().chain(others).cloned().collect()
}

/// What purges of sealed identifiers name as their owner.
const REQUESTS: &str = "erasure requests";

/// The step that removes what a run left that died between certifying a request and forgetting it.
pub fn plan_forgetting(remains: &[ObjectVersion]) -> Option<Step> {
    (!remains.is_empty()).then(|| Step {
        id: "purge-requests".into(),
        why: format!(
            "purge {} older versions of certified erasure requests",
            remains.len()
        ),
        action: Action::Purge(Purge {
            owner: REQUESTS.into(),
            versions: remains.to_vec(),
            after: Vec::new(),
        }),
    })
}

/// The steps that certify requests, and when the others can be.
pub fn plan_certificates(
    requests: &[OpenRequest],
    reach: &Reach,
    earlier: &[String],
    grace: Grace,
    now: DateTime<Utc>,
) -> (Vec<Step>, Vec<Due>) {
    let (mut steps, mut due) = (Vec::new(), Vec::new());
    let erased_tonight = |open: &&OpenRequest| {
        let state = open.request.state;
        state.is_erased() || (state.is_pending() && !reach.left_out.contains_key(&open.request.id))
    };
    for open in requests.iter().filter(erased_tonight) {
        let id = &open.request.id;
        let erased_at = open.request.erased_at.unwrap_or(now);
        let at = grace.readers.after(erased_at);
        if at > now {
            due.push(Due {
                at,
                what: format!(
                    "certify erasure request {id}: replaced files wait {} for readers (deadline {})",
                    grace.readers,
                    open.request.deadline.format("%Y-%m-%d")
                ),
            });
            continue;
        }
        steps.push(Step {
            id: format!("certify-{id}"),
            why: format!(
                "certify erasure request {id} (deadline {}): scan every object version for traces first",
                open.request.deadline.format("%Y-%m-%d")
            ),
            action: Action::Certify(Certify {
                request: id.clone(),
                after: earlier.to_vec(),
            }),
        });
    }
    (steps, due)
}
