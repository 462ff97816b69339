//! The step that aborts unfinished uploads, whichever duty wants it.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::erasure;
use crate::erasure::request::OpenRequest;
use crate::lake::facts::FactsError;
use crate::lake::uploads::{PlacedUpload, Unfinished};
use crate::plan::{Abort, Action, Due, Step};
use crate::policy::LakePolicy;
use crate::retention;

/// The step that aborts what stands in an erasure's way or was given up, and when others will be aborted.
pub fn plan(
    policy: &LakePolicy,
    requests: &[OpenRequest],
    unfinished: &[PlacedUpload],
    now: DateTime<Utc>,
) -> (Option<Step>, Vec<Due>) {
    let (in_the_way, mut due) =
        erasure::uploads::in_the_way(requests, unfinished, policy.uncommitted_grace, now);
    let (abandoned, next) = retention::abandoned(unfinished, policy.unfinished_uploads, now);
    due.extend(next);
    let mut reasons = Vec::new();
    if !in_the_way.is_empty() {
        reasons.push(format!(
            "{} are from before an erasure request and cannot be read, so they may hold the subject",
            in_the_way.len()
        ));
    }
    if !abandoned.is_empty() {
        reasons.push(format!(
            "{} were begun more than {} ago",
            abandoned.len(),
            policy.unfinished_uploads
        ));
    }
    let uploads: BTreeSet<PlacedUpload> = in_the_way.into_iter().chain(abandoned).collect();
    let step = (!uploads.is_empty()).then(|| Step {
        id: "abort-uploads".into(),
        why: format!(
            "abort {} unfinished uploads: {}",
            uploads.len(),
            reasons.join("; ")
        ),
        action: Action::Abort(Abort {
            uploads: uploads.into_iter().collect(),
        }),
    });
    (step, due)
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
