//! From requests to what verification looks for.

use std::collections::BTreeMap;

use super::request::OpenRequest;
use super::verify::{Coverage, Quarry, Sample, verify};
use crate::lake::error::S3Error;
use crate::lake::site::Site;
use crate::lake::subject::Identifier;
use crate::policy::{Policies, TOGETHER};

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

/// What to look for of a request's subject.
pub fn quarry(open: &OpenRequest, policies: &Policies) -> Quarry {
    let is_composite = |kind: &str| {
        let mut datasets = policies.datasets.iter();
        datasets.any(|policy| policy.pii.composites.contains_key(kind))
    };
    let named = open.written.0.iter().cloned();
    let (composites, identifiers): (Vec<_>, Vec<_>) =
        named.partition(|(kind, _)| is_composite(kind));
    let parts = |text: &str| text.split(TOGETHER).map(str::to_owned).collect();
    let composites = composites.into_iter();
    let linked = open.linked.iter();
    Quarry {
        request: open.request.id.clone(),
        identifiers,
        composites: composites
            .map(|(kind, text)| (kind, parts(&text)))
            .collect(),
        linked: linked
            .map(|Identifier { kind, text }| (kind.clone(), text.clone()))
            .collect(),
        cutoff: open.request.until(),
    }
}
