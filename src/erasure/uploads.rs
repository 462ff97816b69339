//! Unfinished multipart uploads: their parts cannot be read, so they may hold a subject.
//!
//! One that began before a request and is older than any upload takes has to go; a younger one may be a
//! consumer's at work, and the certificate waits for it.

use chrono::{DateTime, Utc};

use super::request::OpenRequest;
use crate::lake::s3::Upload;
use crate::lake::uploads::PlacedUpload;
use crate::plan::Due;
use crate::policy::Span;

/// The uploads that began before a request and can be aborted, and when the others can be.
pub fn in_the_way(
    requests: &[OpenRequest],
    unfinished: &[PlacedUpload],
    grace: Span,
    now: DateTime<Utc>,
) -> (Vec<PlacedUpload>, Vec<Due>) {
    let (mut uploads, mut due) = (Vec::new(), Vec::new());
    let Some(newest) = requests.iter().map(|open| open.request.until()).max() else {
        return (uploads, due);
    };
    for placed in unfinished {
        let Upload { initiated, .. } = placed.upload;
        if initiated > Some(newest) {
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
    (uploads, due)
}
