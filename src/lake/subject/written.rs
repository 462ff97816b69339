//! Identifiers as people write them.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Identifier, canonical_text, contains_token};
use crate::policy::ErasurePolicy;

/// Identifiers as people wrote them: kind and text. Its `Debug` does not show the texts.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Written(pub Vec<(String, String)>);

impl fmt::Debug for Written {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = self.0.iter().map(|(kind, _)| kind);
        formatter.debug_list().entries(kinds).finish()
    }
}

impl Written {
    /// The identifiers in the form in which they are compared.
    pub fn identifiers(&self, policy: &ErasurePolicy) -> BTreeSet<Identifier> {
        let compare = |kind: &String| policy.compare.get(kind).copied().unwrap_or_default();
        let identifier = |(kind, text): &(String, String)| {
            if policy.composites.contains(kind) {
                return Identifier::written(kind, text, compare(kind));
            }
            Identifier {
                kind: kind.clone(),
                text: canonical_text(text, compare(kind)),
            }
        };
        self.0.iter().map(identifier).collect()
    }

    /// Whether one of them stands in `text`, in any case.
    pub fn is_named_in(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        let mut identifiers = self.0.iter().map(|(_, id)| id.to_lowercase());
        identifiers.any(|id| contains_token(text.as_bytes(), id.as_bytes()))
    }
}
