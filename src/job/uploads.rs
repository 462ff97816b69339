//! The step that aborts unfinished uploads, whichever duty wants it.
//!
//! Hazard: nobody can read an upload, so below a dataset's raw location any of them may be what a hold keeps.
//! They stay as long as a hold is on the dataset or on a person (invariant 11), and a request waits for them.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::erasure;
use crate::erasure::request::OpenRequest;
use crate::lake::facts::FactsError;
use crate::lake::hold::Hold;
use crate::lake::uploads::{PlacedUpload, Unfinished};
use crate::plan::{Abort, Action, Due, Step, plural};
use crate::policy::{DatasetPolicy, LakePolicy, Policies};
use crate::retention;

/// What becomes of unfinished uploads.
pub struct Ending {
    /// Aborts those that stand in an erasure's way or were given up.
    pub step: Option<Step>,
    /// When others will be aborted.
    pub due: Vec<Due>,
    /// Which stay because of holds.
    pub findings: Vec<String>,
}

/// Decides over the uploads that are `unfinished`.
pub fn plan(
    policies: &Policies,
    holds: &[Hold],
    requests: &[OpenRequest],
    unfinished: &[PlacedUpload],
    now: DateTime<Utc>,
) -> Ending {
    let mut free = unfinished.to_vec();
    let mut findings = Vec::new();
    for policy in &policies.datasets {
        let holds: Vec<&str> = holds_on(holds, policy).collect();
        if holds.is_empty() {
            continue;
        }
        let below = |placed: &PlacedUpload| is_below(placed, policy);
        let (held, others): (Vec<_>, Vec<_>) = free.into_iter().partition(below);
        free = others;
        let unwanted = Unwanted::among(&held, &policies.lake, requests, now);
        let staying = unwanted.all();
        if !staying.is_empty() {
            findings.push(format!(
                "{} under {} {}: {} {}",
                counted(staying.len()),
                policy.raw.location,
                if staying.len() == 1 { "stays" } else { "stay" },
                if holds.len() == 1 { "hold" } else { "holds" },
                holds.join(", ")
            ));
        }
    }
    let unwanted = Unwanted::among(&free, &policies.lake, requests, now);
    Ending {
        step: unwanted.step(&policies.lake),
        due: unwanted.due,
        findings,
    }
}

/// The ids of the holds that may keep something of what lies below a dataset's raw location.
fn holds_on<'a>(holds: &'a [Hold], policy: &'a DatasetPolicy) -> impl Iterator<Item = &'a str> {
    holds
        .iter()
        .filter(|hold| hold.person.is_some() || hold.is_on(&policy.name))
        .map(|hold| hold.id.as_str())
}

fn is_below(placed: &PlacedUpload, policy: &DatasetPolicy) -> bool {
    let place = &policy.raw.location;
    placed.bucket == place.bucket && placed.upload.key.starts_with(&place.prefix)
}

fn counted(uploads: usize) -> String {
    format!("{uploads} unfinished upload{}", plural(uploads as u64))
}

/// Uploads that a duty wants to abort.
struct Unwanted {
    in_the_way: Vec<PlacedUpload>,
    abandoned: Vec<PlacedUpload>,
    /// When the others will be unwanted.
    due: Vec<Due>,
}

impl Unwanted {
    fn among(
        uploads: &[PlacedUpload],
        policy: &LakePolicy,
        requests: &[OpenRequest],
        now: DateTime<Utc>,
    ) -> Self {
        let grace = policy.uncommitted_grace;
        let (in_the_way, mut due) = erasure::uploads::in_the_way(requests, uploads, grace, now);
        let (abandoned, next) = retention::abandoned(uploads, policy.unfinished_uploads, now);
        due.extend(next);
        Self {
            in_the_way,
            abandoned,
            due,
        }
    }

    /// Each once, though both duties may want it.
    fn all(&self) -> BTreeSet<&PlacedUpload> {
        self.in_the_way.iter().chain(&self.abandoned).collect()
    }

    fn step(&self, policy: &LakePolicy) -> Option<Step> {
        let mut reasons = Vec::new();
        if !self.in_the_way.is_empty() {
            reasons.push(format!(
                "{} from before an erasure request and unreadable, so the subject may be in there",
                self.in_the_way.len()
            ));
        }
        if !self.abandoned.is_empty() {
            reasons.push(format!(
                "{} begun more than {} ago",
                self.abandoned.len(),
                policy.unfinished_uploads
            ));
        }
        let uploads = self.all();
        (!uploads.is_empty()).then(|| Step {
            id: "abort-uploads".into(),
            why: format!("abort {}: {}", counted(uploads.len()), reasons.join("; ")),
            action: Action::Abort(Abort {
                uploads: uploads.into_iter().cloned().collect(),
            }),
        })
    }
}

/// What a person should know of locations whose uploads cannot be listed. An open request needs all of them:
/// what cannot be seen may hold its subject.
pub fn refused(
    unfinished: &Unfinished,
    requests: &[OpenRequest],
) -> Result<Vec<String>, FactsError> {
    match unfinished.refused.first() {
        Some(error) if !requests.is_empty() => Err(error.clone().into()),
        _ => Ok(unfinished
            .refused
            .iter()
            .map(|error| format!("unfinished uploads stay where they cannot be seen: {error}"))
            .collect()),
    }
}
