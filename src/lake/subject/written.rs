//! Identifiers as people write them.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Identifier;
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
        let written = self.0.iter();
        written
            .map(|(kind, text)| Identifier::written(kind, text, compare(kind)))
            .collect()
    }
}
