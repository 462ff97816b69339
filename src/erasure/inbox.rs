//! Requests that another system drops into the lake, under `system/erasure/inbox/`: files as `erase add
//! --file` takes them.
//!
//! Such a file holds identifiers in the clear, so a run files its requests, sealed, and removes it with
//! all versions. A file with lines that are no requests stays, and is reported, until somebody mends it.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::filing::{self, Handed};
use super::request::{OpenRequest, Request, RequestError};
use crate::lake::error::S3ErrorKind;
use crate::lake::facts::Places;
use crate::lake::key::{Key, KeyError, Purpose};
use crate::lake::s3::{ObjectVersion, Pick, ReadS3, by_key};
use crate::plan::{Action, FileRequests, Step};
use crate::policy::Policies;

/// What lies in the inbox.
#[derive(Debug, Default)]
pub struct Inbox {
    /// Requests that are not filed yet.
    pub requests: Vec<OpenRequest>,
    /// All versions of files whose requests can be filed, all of them.
    pub files: Vec<ObjectVersion>,
    /// What could not be read.
    pub findings: Vec<String>,
}

/// Reads the inbox; requests among `filed` are not read again. The key is asked for only if there is one.
pub async fn read(
    s3: &ReadS3,
    policies: &Policies,
    key: &dyn Fn() -> Result<Key, KeyError>,
    filed: &BTreeSet<String>,
    now: DateTime<Utc>,
) -> Result<Inbox, RequestError> {
    let folder = Places::new(&policies.lake.location).system("erasure/inbox/");
    let versions = s3.versions(&folder.bucket, &folder.prefix).await?;
    let mut inbox = Inbox::default();
    for (name, versions) in by_key(&versions) {
        let current = versions
            .iter()
            .find(|version| version.latest && !version.marker);
        let Some(current) = current else {
            // Deleted by hand: what is left of it would still hold identifiers.
            inbox.files.extend(versions.into_iter().cloned());
            continue;
        };
        let object = match s3
            .get(&folder.bucket, name, Pick::IfMatch(&current.etag))
            .await
        {
            Ok(object) => object,
            // It is being replaced: the next run will see it.
            Err(error) if error.kind == S3ErrorKind::Precondition => continue,
            Err(error) => return Err(error.into()),
        };
        // Names of files may be people's: nothing keeps them.
        let file = format!(
            "erasure inbox, the file of {}",
            current.last_modified.format("%Y-%m-%d %H:%M:%S UTC")
        );
        let handed_in = filing::read(&object.bytes, &policies.identifier_kinds());
        let mut is_whole = handed_in.misread.is_empty();
        for misread in handed_in.misread {
            inbox.findings.push(format!("{file}: {misread}"));
        }
        for handed in handed_in.requests {
            let line = handed.line;
            match request(policies, &key()?, current, handed, now)? {
                Ok(open) if filed.contains(&open.request.id) => {}
                Ok(open) => inbox.requests.push(open),
                Err(why) => {
                    inbox.findings.push(format!("{file}: line {line}: {why}"));
                    is_whole = false;
                }
            }
        }
        if is_whole {
            inbox.files.extend(versions.into_iter().cloned());
        }
    }
    Ok(inbox)
}

/// The request of a line. Its id follows from the file and the line, so that a run which died between
/// filing it and removing the file does not file it twice.
fn request(
    policies: &Policies,
    key: &Key,
    file: &ObjectVersion,
    handed: Handed,
    now: DateTime<Utc>,
) -> Result<Result<OpenRequest, &'static str>, RequestError> {
    let dropped = file.last_modified.min(now);
    let received = match filing::received_at(handed.received, dropped) {
        Ok(received) => received,
        Err(why) => return Ok(Err(why)),
    };
    let origin = format!("inbox:{}:{}:{}", file.key, file.etag, handed.line);
    let hash = key.hash(Purpose::Request, &origin)?;
    let id = format!("{}-{}", received.format("%Y%m%d"), &hash[..8]);
    let policy = &policies.lake.erasure;
    let request = Request::with_id(id, key, policy, received, &handed.written, handed.filing)?;
    Ok(Ok(OpenRequest {
        request,
        written: handed.written,
        linked: BTreeSet::new(),
        etag: String::new(),
        waiting: None,
        known_rows: 0,
    }))
}

/// The step that files what lies in the inbox.
pub fn plan(inbox: &Inbox) -> Option<Step> {
    if inbox.files.is_empty() && inbox.requests.is_empty() {
        return None;
    }
    let requests: Vec<String> = inbox
        .requests
        .iter()
        .map(|open| open.request.id.clone())
        .collect();
    Some(Step {
        id: "file-requests".into(),
        why: format!(
            "file {} erasure requests from the inbox, and remove {} object versions there, which hold \
             identifiers in the clear",
            requests.len(),
            inbox.files.len()
        ),
        action: Action::FileRequests(FileRequests {
            requests,
            files: inbox.files.clone(),
        }),
    })
}

/// What requests that are not filed yet would hit, and why they wait, if they do; kept with them.
pub fn note_preview(requests: &mut [OpenRequest], reach: &super::Reach) {
    let pending = requests
        .iter_mut()
        .filter(|open| open.request.state.is_pending());
    for (number, open) in pending.enumerate() {
        if open.etag.is_empty() {
            open.request.preview = reach.of(number).clone();
            open.request.linked_ids = open.linked.len() as u64;
            open.request.waiting.clone_from(&open.waiting);
        }
    }
}
