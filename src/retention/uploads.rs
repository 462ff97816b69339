//! Unfinished multipart uploads that their writers have given up: nobody finishes one after days.

use chrono::{DateTime, Utc};

use crate::lake::uploads::PlacedUpload;
use crate::plan::Due;
use crate::policy::Span;

/// The uploads that were begun `keep` ago or earlier, and when the next one will be that old. One that does
/// not tell when it was begun stays.
pub fn abandoned(
    unfinished: &[PlacedUpload],
    keep: Span,
    now: DateTime<Utc>,
) -> (Vec<PlacedUpload>, Option<Due>) {
    let (mut uploads, mut later) = (Vec::new(), Vec::new());
    for placed in unfinished {
        match placed.upload.initiated.map(|at| keep.after(at)) {
            Some(at) if at <= now => uploads.push(placed.clone()),
            Some(at) => later.push(at),
            None => {}
        }
    }
    let due = later.iter().min().map(|at| Due {
        at: *at,
        what: format!(
            "abort unfinished uploads ({} of them), {keep} after they were begun",
            later.len()
        ),
    });
    (uploads, due)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::s3::Upload;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn an_upload_is_given_up_by_the_time_at_which_it_was_begun() {
        let placed = |key: &str, initiated: Option<&str>| PlacedUpload {
            bucket: "raw".into(),
            upload: Upload {
                key: key.into(),
                id: "id".into(),
                initiated: initiated.map(at),
            },
        };
        let unfinished = [
            placed("week", Some("2026-11-13T03:00:00Z")),
            placed("younger", Some("2026-11-13T03:00:01Z")),
            placed("new", Some("2026-11-20T02:00:00Z")),
            placed("undated", None),
        ];
        let keep = "7 days".parse().unwrap();
        let (uploads, due) = abandoned(&unfinished, keep, at("2026-11-20T03:00:00Z"));
        assert_eq!(uploads, unfinished[..1]);
        assert_eq!(due.unwrap().at, at("2026-11-20T03:00:01Z"));
    }
}
