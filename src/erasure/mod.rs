//! Erasure (GDPR Art. 17): a subject leaves raw objects, event tables, curated tables and quarantine, old
//! versions included; a scan shows it; a certificate says so (invariants 5, 8, 9).
//!
//! One pass a night covers all pending requests. First the suppression list, so that nothing comes back
//! while we work; then tables, quarantine and raw objects. Curated tables follow because their inputs have
//! changed. A request is `erased` when no reader sees the subject, `certified` when the replaced files are
//! gone too and the scan found nothing.

mod apply;
mod certificate;
pub mod request;
mod scan;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt};

use crate::decode::{self, Json, RESCUED, TimeRule};
use crate::lake::facts::{DatasetFacts, FactsError, Grace, Places};
use crate::lake::parquet_files;
use crate::lake::raw::time_rule;
use crate::lake::s3::ObjectVersion;
use crate::lake::s3::ReadS3;
use crate::lake::subject::Matcher;
use crate::lake::tables::{DataFile, TableError};
use crate::plan::{Action, Certify, Due, Erase, Purge, Step, megabytes, total_size};
use crate::policy::{DatasetPolicy, Policies};
use request::{OpenRequest, State};

pub use apply::{DatasetErasure, ErasureError, apply, suppress};
pub use certificate::{Certificate, Outcome, certify};
pub use scan::{Scan, Trace};

const LOOK_AT_ONCE: usize = 16;

/// The subject of a request, as one dataset's events name it.
pub struct Sought {
    /// Finds the subject's events.
    pub matcher: Matcher,
    received: DateTime<Utc>,
    time: TimeRule,
}

impl Sought {
    /// The subject of `open` in the dataset of `policy`.
    pub fn new(open: &OpenRequest, policy: &DatasetPolicy) -> Self {
        Self {
            matcher: Matcher::new(&open.identifiers, &policy.pii),
            received: open.request.received,
            time: time_rule(&policy.events),
        }
    }

    /// Whether the event is the subject's and has to go: whoever comes back after the request is a new
    /// customer.
    pub fn covers(&self, event: &Json) -> bool {
        self.matcher.hits(event) && !self.is_later(event)
    }

    /// Whether the event is the subject's, from after the request.
    pub fn came_back(&self, event: &Json) -> bool {
        self.matcher.hits(event) && self.is_later(event)
    }

    fn is_later(&self, event: &Json) -> bool {
        decode::event_time(event, &self.time).is_ok_and(|time| time > self.received)
    }
}

/// Which table files may hold a pending subject, by dataset: their Bloom filters say so.
#[derive(Debug, Default)]
pub struct Suspects {
    files: BTreeMap<String, Vec<DataFile>>,
}

/// Looks at the filters of every table file for the subjects of pending requests.
pub async fn suspects(
    s3: &ReadS3,
    policies: &Policies,
    datasets: &BTreeMap<String, DatasetFacts>,
    requests: &[OpenRequest],
) -> Result<Suspects, FactsError> {
    let mut suspects = Suspects::default();
    let identifiers: Vec<_> = pending(requests)
        .flat_map(|open| &open.identifiers)
        .collect();
    if identifiers.is_empty() {
        return Ok(suspects);
    }
    let places = Places::new(&policies.lake.location);
    let store = s3.store(&policies.lake.location.bucket)?;
    for policy in &policies.datasets {
        let Some(facts) = datasets.get(&policy.name) else {
            continue;
        };
        let wanted = Matcher::new(identifiers.iter().copied(), &policy.pii).wanted();
        let folder = places.events(&policy.name);
        let found: Vec<Option<DataFile>> = futures::stream::iter(&facts.events.files)
            .map(|file| {
                let (store, wanted) = (store.clone(), &wanted);
                let key = folder.join(&file.path).prefix;
                async move {
                    let held =
                        parquet_files::may_hold(store, &key, file.size, wanted, RESCUED).await;
                    held.map(|held| held.then(|| file.clone()))
                        .map_err(|error| TableError {
                            attempted: format!("look for a subject in {key}"),
                            reason: error.to_string(),
                            conflict: false,
                        })
                }
            })
            .buffered(LOOK_AT_ONCE)
            .try_collect()
            .await?;
        suspects
            .files
            .insert(policy.name.clone(), found.into_iter().flatten().collect());
    }
    Ok(suspects)
}

/// Requests that are still to be carried out.
fn pending(requests: &[OpenRequest]) -> impl Iterator<Item = &OpenRequest> {
    requests
        .iter()
        .filter(|open| open.request.state == State::Received)
}

/// The step that takes pending subjects out of a dataset.
pub fn plan(
    policy: &DatasetPolicy,
    facts: &DatasetFacts,
    suspects: &Suspects,
    requests: &[OpenRequest],
    compactions: &[String],
) -> Option<Step> {
    let ids: Vec<String> = pending(requests)
        .map(|open| open.request.id.clone())
        .collect();
    if ids.is_empty() {
        return None;
    }
    let files = suspects
        .files
        .get(&policy.name)
        .cloned()
        .unwrap_or_default();
    let raw: Vec<_> = facts
        .raw
        .iter()
        .filter(|version| !version.marker)
        .cloned()
        .collect();
    let name = &policy.name;
    Some(Step {
        id: format!("erase-{name}"),
        why: format!(
            "erase {} subject(s) from {name}: search {} of {} table files, {} raw object versions ({}) and {} \
             quarantine objects{}",
            ids.len(),
            files.len(),
            facts.events.files.len(),
            raw.len(),
            megabytes(total_size(&raw)),
            facts.quarantine.len(),
            if compactions.is_empty() {
                ""
            } else {
                ", and what is compacted above"
            },
        ),
        action: Action::Erase(Erase {
            dataset: name.clone(),
            requests: ids,
            files,
            raw,
            quarantine: facts.quarantine.clone(),
            after: compactions.to_vec(),
        }),
    })
}

/// What purges of sealed identifiers name as their owner.
pub const REQUESTS: &str = "erasure requests";

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
    earlier: &[String],
    grace: Grace,
    now: DateTime<Utc>,
) -> (Vec<Step>, Vec<Due>) {
    let (mut steps, mut due) = (Vec::new(), Vec::new());
    for open in requests {
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
