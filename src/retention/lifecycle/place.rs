//! The parts of buckets that the policies speak of, and what S3 may do in them by itself.

use std::fmt;

use crate::lake::s3::LifecycleRule;
use crate::policy::{DatasetPolicy, Policies, S3Location, Span};

/// Days within which a night compacts an object, be it that several nights in a row fail.
pub const COMPACTED_WITHIN: u32 = 7;

/// The lake's folders, below its location.
const FOLDERS: [&str; 4] = ["events/", "curated/", "quarantine/", "system/"];

/// A part of a bucket for which one policy speaks.
pub enum Place<'a> {
    /// Where a service's raw objects lie.
    Raw(&'a DatasetPolicy),
    /// The lake's own location.
    Lake(&'a Policies),
}

impl<'a> Place<'a> {
    /// All of them.
    pub fn all(policies: &'a Policies) -> Vec<Self> {
        let raw = policies.datasets.iter().map(Self::Raw);
        raw.chain([Self::Lake(policies)]).collect()
    }

    /// Where it is.
    pub fn location(&self) -> &'a S3Location {
        match self {
            Self::Raw(policy) => &policy.raw.location,
            Self::Lake(policies) => &policies.lake.location,
        }
    }

    /// Whether a rule is about some of its keys.
    pub fn is_touched_by(&self, rule: &LifecycleRule) -> bool {
        self.prefixes().iter().any(|prefix| {
            prefix.starts_with(&rule.prefix) || rule.prefix.starts_with(prefix.as_str())
        })
    }

    /// Whether every key of it has a rule that leaves nothing out and does `something`.
    pub fn is_covered(
        &self,
        rules: &[&LifecycleRule],
        something: impl Fn(&LifecycleRule) -> bool,
    ) -> bool {
        let covers = |rule: &LifecycleRule, prefix: &str| {
            !rule.is_narrow && prefix.starts_with(&rule.prefix) && something(rule)
        };
        let prefixes = self.prefixes();
        prefixes
            .iter()
            .all(|prefix| rules.iter().any(|rule| covers(rule, prefix)))
    }

    fn prefixes(&self) -> Vec<String> {
        let location = self.location();
        match self {
            Self::Raw(_) => vec![location.prefix.clone()],
            Self::Lake(_) => FOLDERS.map(|folder| location.join(folder).prefix).into(),
        }
    }

    /// Days after which a rule may delete current objects; none means never.
    pub fn objects_may_go_after(&self) -> Option<u32> {
        match self {
            // The policy counts from the compaction, S3 from when the object was put.
            Self::Raw(policy) => {
                let keep = policy.raw.keep.unwrap_or(policy.retention.keep);
                Some(keep.most_days().saturating_add(COMPACTED_WITHIN))
            }
            Self::Lake(_) => None,
        }
    }

    /// Why current objects stay so long.
    pub fn why_objects_stay(&self) -> String {
        match self {
            Self::Raw(policy) => match policy.raw.keep {
                Some(keep) => format!("the policy keeps them {keep} after compaction"),
                None => format!(
                    "the policy keeps them as long as their events, {}",
                    policy.retention.keep
                ),
            },
            Self::Lake(_) => "tables would name files that are gone".to_owned(),
        }
    }

    /// Days after which a rule may remove noncurrent versions.
    pub fn versions_may_go_after(&self) -> u32 {
        match self {
            Self::Raw(_) => COMPACTED_WITHIN,
            Self::Lake(policies) => policies.lake.readers_grace.most_days(),
        }
    }

    /// Why noncurrent versions stay so long.
    pub fn why_versions_stay(&self) -> String {
        match self {
            Self::Raw(_) => {
                "what is replaced or deleted by mistake before it was compacted could not be brought back"
                    .to_owned()
            }
            Self::Lake(policies) => {
                format!("`readers_grace` is {}", policies.lake.readers_grace)
            }
        }
    }

    /// How long the policies keep the events in it; of several spans the shortest.
    pub fn events_stay(&self) -> Option<Span> {
        match self {
            Self::Raw(policy) => Some(policy.retention.keep),
            Self::Lake(policies) => {
                let datasets = policies.datasets.iter().map(|policy| policy.retention);
                let curated = policies.curated.iter().map(|policy| policy.retention);
                let spans = datasets.chain(curated).map(|retention| retention.keep);
                spans.min_by_key(|keep| keep.most_days())
            }
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raw(policy) => write!(formatter, "raw objects of {}", policy.name),
            Self::Lake(_) => formatter.write_str("objects of the lake"),
        }
    }
}
