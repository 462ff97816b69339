//! Issuing certificates: the scan, the files, the audit log, the request.
//!
//! The order of writes is JSON, page, signature, audit log, request. Up to the log's entry the files are a
//! draft that counts for nothing, and from then on the certificate stands and only the request has to follow
//! it. So a run that was killed in between is finished by the next one, and no request gets two certificates
//! that contradict each other: the JSON file is written where there is none, and a draft that still fits its
//! request is taken up as it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use bytes::Bytes;

use super::proof;
use super::signature::public_key;
use super::{Certificate, JSON, PAGE, SIGNATURE, Scan, Signature, VERSION, page, place, scan};
use crate::audit::log::{AuditLog, Issued};
use crate::erasure::apply::ErasureError;
use crate::erasure::request::{self, OpenRequest, Request, State};
use crate::lake::error::{S3Error, S3ErrorKind};
use crate::lake::key::{Key, digest};
use crate::lake::ledger::put_json;
use crate::lake::s3::PutIf;
use crate::lake::site::Site;
use crate::lake::tables::Table;
use crate::policy::Policies;

/// What became of a request that was scanned for.
#[derive(Debug)]
pub struct Outcome {
    /// The request.
    pub request: String,
    /// Its scan.
    pub scan: Scan,
}

/// Scans for the subjects of `requests`, in one pass, after all that may go is purged, and certifies those of
/// whom nothing is left; the others are to be erased again. One whose certificate stands already, because
/// a run was killed right after issuing it, keeps that one and is not scanned for.
pub async fn certify(
    site: &Site,
    policies: &Policies,
    key: &Key,
    requests: Vec<&mut OpenRequest>,
) -> Result<Vec<Outcome>, ErasureError> {
    let log = AuditLog::load(site.s3.read(), &site.places).await?;
    let mut office = Office {
        site,
        policies,
        key,
        log,
    };
    let mut pending = Vec::with_capacity(requests.len());
    for open in requests {
        if office.log.issued(&open.request.id).is_some() {
            office.conclude(open).await?;
            continue;
        }
        pending.push(open);
    }
    if pending.is_empty() {
        return Ok(Vec::new());
    }
    let sought: Vec<&OpenRequest> = pending.iter().map(|open| &**open).collect();
    let mut scans = scan(site, policies, &sought).await?;
    let columns = columns(site, policies).await?;
    let mut outcomes = Vec::with_capacity(pending.len());
    for open in pending {
        // Scanning takes long.
        if site.lease_is_lost() {
            return Err(ErasureError::LeaseLost);
        }
        let Some(scan) = scans.remove(&open.request.id) else {
            continue;
        };
        // Object Lock keeps versions from being purged, and there may be some that nobody knew of.
        if scan.traces.is_empty() && open.request.state == State::Erased {
            office.pass(open, State::Purged).await?;
        }
        if scan.is_clean() {
            if open.request.state != State::Verified {
                office.pass(open, State::Verified).await?;
            }
            office.issue(&columns, open, &scan).await?;
        } else {
            office.withdraw(&open.request.id).await?;
            let mut again = open.request.clone();
            again.pass(State::Received, site.now);
            again.left = scan.left();
            office.update(open, again).await?;
        }
        outcomes.push(Outcome {
            request: open.request.id.clone(),
            scan,
        });
    }
    Ok(outcomes)
}

/// The columns of all tables.
async fn columns(
    site: &Site,
    policies: &Policies,
) -> Result<BTreeMap<String, SchemaRef>, ErasureError> {
    let datasets = policies.datasets.iter().map(|policy| &policy.name);
    let events = datasets.map(|name| (name, site.places.events(name)));
    let curated = policies.curated.iter().map(|policy| &policy.table);
    let curated = curated.map(|name| (name, site.places.curated(name)));
    let mut columns = BTreeMap::new();
    for (name, folder) in events.chain(curated) {
        if let Some(table) = Table::open(Arc::clone(&site.store), &folder).await? {
            columns.insert(name.clone(), table.schema()?);
        }
    }
    Ok(columns)
}

/// Who issues certificates.
struct Office<'a> {
    site: &'a Site,
    policies: &'a Policies,
    key: &'a Key,
    log: AuditLog,
}

impl Office<'_> {
    async fn pass(&self, open: &mut OpenRequest, state: State) -> Result<(), S3Error> {
        let mut passed = open.request.clone();
        passed.pass(state, self.site.now);
        self.update(open, passed).await
    }

    async fn update(&self, open: &mut OpenRequest, request: Request) -> Result<(), S3Error> {
        let (s3, places) = (&self.site.s3, &self.site.places);
        open.etag = request.update(s3, places, &open.etag).await?;
        open.request = request;
        Ok(())
    }

    async fn issue(
        &mut self,
        columns: &BTreeMap<String, SchemaRef>,
        open: &mut OpenRequest,
        scan: &Scan,
    ) -> Result<(), ErasureError> {
        let (site, id) = (self.site, &open.request.id);
        let (certificate, json) = match self.draft(&open.request).await? {
            Some(draft) => draft,
            None => self.write(columns, &open.request, scan).await?,
        };
        let signer = self.key.signer()?;
        let public_key = hex::encode(public_key(&signer));
        let page = page::render(&certificate, &digest(&json), &public_key);
        let page = Bytes::from(page);
        let signature = Signature::new(id, &signer, &json, &page)?;
        let issued = Issued {
            request: id.clone(),
            certificate_sha256: signature.certificate_sha256.clone(),
            page_sha256: signature.page_sha256.clone(),
            public_key,
        };
        let at = place(&site.places, id, PAGE);
        let put = site.s3.put(&at.bucket, &at.prefix, page, PutIf::Always);
        put.await?;
        let at = place(&site.places, id, SIGNATURE);
        put_json(&site.s3, &at.bucket, &at.prefix, &signature, PutIf::Always).await?;
        self.log
            .issue(&site.s3, &site.places, &site.run, site.now, issued)
            .await?;
        self.conclude(open).await
    }

    /// The certificate that a run left that was killed before it could issue it. One that tells another story
    /// of the request than the request itself goes.
    async fn draft(&self, request: &Request) -> Result<Option<(Certificate, Bytes)>, S3Error> {
        let at = place(&self.site.places, &request.id, JSON);
        let found = self.site.s3.read().find(&at.bucket, &at.prefix).await?;
        let Some(object) = found else {
            return Ok(None);
        };
        let draft = serde_json::from_slice::<Certificate>(&object.bytes);
        match draft {
            Ok(draft) if fits(&draft, request) => Ok(Some((draft, object.bytes))),
            _ => {
                self.withdraw(&request.id).await?;
                Ok(None)
            }
        }
    }

    async fn write(
        &self,
        columns: &BTreeMap<String, SchemaRef>,
        request: &Request,
        scan: &Scan,
    ) -> Result<(Certificate, Bytes), S3Error> {
        let site = self.site;
        let mut certified = request.clone();
        certified.pass(State::Certified, site.now);
        let certificate = Certificate::new(site, self.policies, columns, &certified, scan);
        let at = place(&site.places, &request.id, JSON);
        let json = serde_json::to_vec_pretty(&certificate).map_err(|error| {
            S3Error::new(format!("write {at}"), error.to_string(), S3ErrorKind::Other)
        })?;
        let json = Bytes::from(json);
        let put = site
            .s3
            .put(&at.bucket, &at.prefix, json.clone(), PutIf::Absent);
        put.await?;
        Ok((certificate, json))
    }

    /// Removes the files of a draft, all versions of them.
    async fn withdraw(&self, id: &str) -> Result<(), S3Error> {
        let (s3, drafts) = (&self.site.s3, place(&self.site.places, id, ""));
        let versions = s3.read().versions(&drafts.bucket, &drafts.prefix).await?;
        s3.delete_versions(&drafts.bucket, &versions).await?;
        Ok(())
    }

    /// Reads the certificate back, and closes its request.
    async fn conclude(&self, open: &mut OpenRequest) -> Result<(), ErasureError> {
        let (site, id) = (self.site, open.request.id.clone());
        let proven = proof::read(site.s3.read(), &site.places, &self.log, &id).await?;
        let mut certified = open.request.clone();
        certified.pass(State::Certified, proven.certified_at);
        self.update(open, certified).await?;
        request::forget_older_versions(&site.s3, &site.places, &id).await?;
        Ok(())
    }
}

/// Whether nothing has happened to the request since the draft was written.
fn fits(draft: &Certificate, request: &Request) -> bool {
    let mut history = draft.history.iter();
    let since = history.next_back();
    draft.version == VERSION
        && draft.request == request.id
        && since.is_some_and(|passed| passed.state == State::Certified)
        && history.eq(&request.history)
}
