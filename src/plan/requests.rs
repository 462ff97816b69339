//! What plans and reports tell of an erasure request.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// How far a request has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestReport {
    /// Its id.
    pub id: String,
    /// Its state: `received`, `held`, `certified`.
    pub state: String,
    /// By when it must be done.
    pub deadline: DateTime<Utc>,
    /// Whether that is over.
    #[serde(default)]
    pub overdue: bool,
    /// Why it is not carried out, if it is left to a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<String>,
}

impl fmt::Display for RequestReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "erasure request {}: {} (deadline {}{})",
            self.id,
            self.state,
            self.deadline.format("%Y-%m-%d"),
            if self.overdue { ", OVERDUE" } else { "" }
        )?;
        match &self.waits {
            Some(why) => write!(formatter, ", waits: {why}"),
            None => Ok(()),
        }
    }
}
