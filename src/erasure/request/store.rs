//! How requests lie in the lake: one object each under `system/erasure/requests/`.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt};

use super::{OpenRequest, Request, RequestError, State};
use crate::lake::error::{S3Error, S3ErrorKind};
use crate::lake::facts::Places;
use crate::lake::key::{Key, KeyError};
use crate::lake::ledger::put_json;
use crate::lake::s3::{ObjectVersion, Pick, PutIf, ReadS3, WriteS3};
use crate::policy::S3Location;

const READ_AT_ONCE: usize = 16;

impl Request {
    /// Files the request; returns its entity tag.
    pub async fn file(&self, s3: &WriteS3, places: &Places) -> Result<String, S3Error> {
        let place = place(places, &self.id);
        put_json(s3, &place.bucket, &place.prefix, self, PutIf::Absent).await
    }

    /// Writes a request's new state over the one that was read; returns its new entity tag.
    pub async fn update(
        &self,
        s3: &WriteS3,
        places: &Places,
        etag: &str,
    ) -> Result<String, S3Error> {
        let place = place(places, &self.id);
        put_json(s3, &place.bucket, &place.prefix, self, PutIf::Matches(etag)).await
    }
}

/// Where a request lies.
pub fn place(places: &Places, id: &str) -> S3Location {
    places.system(&format!("erasure/requests/{id}.json"))
}

/// All requests with their entity tags, by id.
pub async fn all(s3: &ReadS3, places: &Places) -> Result<Vec<(Request, String)>, S3Error> {
    let folder = &places.system("erasure/requests/");
    let keys = s3.keys(&folder.bucket, &folder.prefix).await?;
    futures::stream::iter(&keys)
        .map(|key| async move {
            let object = s3.get(&folder.bucket, key, Pick::Current).await?;
            let request = serde_json::from_slice(&object.bytes).map_err(|error| {
                S3Error::new(
                    format!("read erasure request s3://{}/{key}", folder.bucket),
                    error.to_string(),
                    S3ErrorKind::Other,
                )
            })?;
            Ok((request, object.etag))
        })
        .buffered(READ_AT_ONCE)
        .try_collect()
        .await
}

/// Older versions of closed requests: they still hold the sealed identifiers.
pub async fn sealed_remains(s3: &ReadS3, places: &Places) -> Result<Vec<ObjectVersion>, S3Error> {
    let folder = places.system("erasure/requests/");
    let mut versions = s3.versions(&folder.bucket, &folder.prefix).await?;
    versions.retain(|version| !version.latest);
    if versions.is_empty() {
        return Ok(versions);
    }
    let mut closed = all(s3, places).await?;
    closed.retain(|(request, _)| !request.state.is_open());
    let keys: BTreeSet<String> = closed
        .iter()
        .map(|(request, _)| place(places, &request.id).prefix)
        .collect();
    versions.retain(|version| keys.contains(&version.key));
    Ok(versions)
}

/// Of `all` requests those that runs have to do with, given the holds `in_force`. The key is asked for only if
/// there is one.
pub fn open(
    all: Vec<(Request, String)>,
    in_force: &BTreeSet<String>,
    key: &dyn Fn() -> Result<Key, KeyError>,
    now: DateTime<Utc>,
) -> Result<Vec<OpenRequest>, RequestError> {
    let mut unfinished = all;
    for (request, _) in &mut unfinished {
        if request.can_go_on(in_force) {
            request.release(now)?;
        }
    }
    unfinished.retain(|(request, _)| request.state.is_open() && request.state != State::Held);
    unseal(unfinished, key)
}

/// Of `all` requests those that a person has put on hold.
pub fn on_hold(
    mut all: Vec<(Request, String)>,
    key: &dyn Fn() -> Result<Key, KeyError>,
) -> Result<Vec<OpenRequest>, RequestError> {
    all.retain(|(request, _)| request.is_on_hold());
    unseal(all, key)
}

fn unseal(
    sealed: Vec<(Request, String)>,
    key: &dyn Fn() -> Result<Key, KeyError>,
) -> Result<Vec<OpenRequest>, RequestError> {
    if sealed.is_empty() {
        return Ok(Vec::new());
    }
    let key = key()?;
    let mut requests = Vec::with_capacity(sealed.len());
    for (request, etag) in sealed {
        let (written, linked) = request.secrets(&key)?;
        requests.push(OpenRequest {
            request,
            written,
            linked,
            etag,
            waiting: None,
            known_rows: 0,
        });
    }
    Ok(requests)
}

/// Removes older versions of a closed request, which still hold the sealed identifiers.
pub async fn forget_older_versions(s3: &WriteS3, places: &Places, id: &str) -> Result<(), S3Error> {
    let place = place(places, id);
    s3.delete_replaced(&place.bucket, &place.prefix).await?;
    Ok(())
}
