//! The rules that serve as a net behind the program: they remove what it leaves to others and, long after
//! its time, what it should have removed itself.
//!
//! Hazard: S3 knows of no policy. Raw objects that are still waiting for something then go all the same.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::place::Place;
use crate::lake::s3::NetRule;
use crate::policy::Policies;

/// Days for which a service's replaced and deleted objects can be brought back.
const BROUGHT_BACK: u32 = 30;

/// Days that raw objects stay after the program should have removed them, at least.
const LATE: u32 = 30;

/// Days that replaced versions in the lake stay after the last reader.
const AFTER_READERS: u32 = 7;

/// Days that an upload may take.
const UPLOAD: u32 = 7;

/// All rules of a bucket, in the shape of `aws s3api put-bucket-lifecycle-configuration`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Configuration {
    /// One a location.
    pub rules: Vec<NetRule>,
}

/// The configuration of each bucket of the policies.
pub fn net(policies: &Policies) -> BTreeMap<String, Configuration> {
    let mut buckets: BTreeMap<String, Configuration> = BTreeMap::new();
    for place in Place::all(policies) {
        let bucket = place.location().bucket.clone();
        buckets.entry(bucket).or_default().rules.push(rule(&place));
    }
    buckets
}

/// One rule a location: S3 has refused rules of one kind whose prefixes overlap.
pub fn rule(place: &Place) -> NetRule {
    let prefix = place.location().prefix.clone();
    match place {
        Place::Raw(policy) => NetRule {
            id: format!("lakewarden-raw-{}", policy.name),
            prefix,
            // S3 counts from when an object was put, `raw.keep` from when it was compacted, which may be
            // weeks later: nights fail, and what cannot be read waits for somebody to mend it. Twice the
            // span, and a month more than it at least, leave time for that. Without `raw.keep` an object stays
            // as long as its events, which are no younger than it: whatever waits by then is too old.
            expire_after: Some(match policy.raw.keep {
                Some(keep) => keep.most_days().saturating_add(keep.most_days().max(LATE)),
                None => policy.retention.keep.most_days().saturating_add(LATE),
            }),
            noncurrent_after: BROUGHT_BACK,
            abort_after: UPLOAD,
        },
        Place::Lake(policies) => NetRule {
            id: "lakewarden-lake".to_owned(),
            prefix,
            // Tables name their files for as long as they are in use.
            expire_after: None,
            noncurrent_after: policies
                .lake
                .readers_grace
                .most_days()
                .saturating_add(AFTER_READERS),
            abort_after: UPLOAD,
        },
    }
}

impl fmt::Display for NetRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}`: ", self.id)?;
        match self.prefix.as_str() {
            "" => formatter.write_str("in the whole bucket ")?,
            prefix => write!(formatter, "under {prefix} ")?,
        }
        if let Some(days) = self.expire_after {
            write!(
                formatter,
                "objects go {days} days after they were put, compacted or not, "
            )?;
        }
        write!(
            formatter,
            "versions go {} days after they were replaced or deleted, delete markers once nothing is under \
             them, and uploads that are unfinished after {} days",
            self.noncurrent_after, self.abort_after
        )
    }
}
