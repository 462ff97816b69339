//! Unfinished multipart uploads: their parts cannot be read, so they may hold a subject.
//!
//! One that began before a request and is older than any upload takes is aborted; a younger one may be a
//! consumer's at work, and the certificate waits for it.

use chrono::{DateTime, Utc};

use super::request::OpenRequest;
use crate::lake::error::S3Error;
use crate::lake::s3::{ReadS3, Upload};
use crate::plan::{Abort, Action, Due, PlacedUpload, Step};
use crate::policy::{Policies, S3Location};

/// The step's name.
const ABORT: &str = "abort-uploads";

/// The unfinished uploads in the lake and in raw locations, if any request is open.
pub async fn unfinished(
    s3: &ReadS3,
    policies: &Policies,
    requests: &[OpenRequest],
) -> Result<Vec<PlacedUpload>, S3Error> {
    let mut found = Vec::new();
    if requests.is_empty() {
        return Ok(found);
    }
    let raw = policies.datasets.iter().map(|policy| &policy.raw.location);
    let places: Vec<&S3Location> = raw.chain([&policies.lake.location]).collect();
    for place in places {
        for upload in s3.uploads(&place.bucket, &place.prefix).await? {
            found.push(PlacedUpload {
                bucket: place.bucket.clone(),
                upload,
            });
        }
    }
    Ok(found)
}

/// The step that aborts what began before a request, and when the others can be.
pub fn plan(
    policies: &Policies,
    requests: &[OpenRequest],
    unfinished: &[PlacedUpload],
    now: DateTime<Utc>,
) -> (Option<Step>, Vec<Due>) {
    let newest = requests.iter().map(|open| open.request.until()).max();
    let grace = policies.lake.uncommitted_grace;
    let (mut uploads, mut due) = (Vec::new(), Vec::new());
    for placed in unfinished {
        let Upload { initiated, .. } = placed.upload;
        if initiated > newest {
            continue;
        }
        match initiated.map(|at| grace.after(at)).filter(|at| *at > now) {
            Some(at) => due.push(Due {
                at,
                what: format!(
                    "abort an unfinished upload in s3://{}: it is from before an erasure request and cannot be \
                     read, but may still be under way",
                    placed.bucket
                ),
            }),
            None => uploads.push(placed.clone()),
        }
    }
    let step = (!uploads.is_empty()).then(|| Step {
        id: ABORT.into(),
        why: format!(
            "abort {} unfinished uploads from before an erasure request: they cannot be read, so they may hold \
             the subject",
            uploads.len()
        ),
        action: Action::Abort(Abort { uploads }),
    });
    (step, due)
}
