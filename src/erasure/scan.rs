//! From requests to what verification looks for.

use std::collections::BTreeMap;

use super::request::OpenRequest;
use super::verify::{Coverage, Quarry, Sample, verify};
use crate::lake::error::S3Error;
use crate::lake::site::Site;
use crate::lake::subject::Identifier;
use crate::policy::Policies;

/// What a scan covered and found.
pub type Scan = Coverage;

/// Scans for the subjects of `requests`, all in one pass; by request.
pub async fn scan(
    site: &Site,
    policies: &Policies,
    requests: &[&OpenRequest],
) -> Result<BTreeMap<String, Scan>, S3Error> {
    let quarries: Vec<Quarry> = requests.iter().map(|open| quarry(open, policies)).collect();
    verify(site.s3.read(), policies, &quarries, Sample::All).await
}

/// What to look for of a request's subject. An identifier that is made up of several fields is looked for
/// as none of them alone: each may be many people's.
pub fn quarry(open: &OpenRequest, policies: &Policies) -> Quarry {
    let is_single = |kind: &str| {
        let mut datasets = policies.datasets.iter();
        !datasets.any(|policy| policy.pii.composites.contains_key(kind))
    };
    let linked = open.linked.iter();
    let linked = linked.map(|Identifier { kind, text }| (kind.clone(), text.clone()));
    let named = open.written.0.iter().filter(|(kind, _)| is_single(kind));
    Quarry {
        request: open.request.id.clone(),
        identifiers: named.cloned().collect(),
        linked: linked.filter(|(kind, _)| is_single(kind)).collect(),
        cutoff: open.request.until(),
    }
}
