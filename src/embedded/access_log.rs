//! What went over the wire: every request with its answer's status.
//!
//! Kept in memory, the latest [`REMEMBERED`] of them, and on request appended to
//! a file, so that a test can show that a dry run sent nothing that changes
//! anything (invariant 6). The paths hold keys: the log is for tests and local
//! runs, not to be kept.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;

use super::store::bucket::held;

/// Requests that the log in memory holds; older ones fall out.
pub const REMEMBERED: usize = 65_536;

/// One request and the status of its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLogEntry {
    /// The HTTP method.
    pub method: String,
    /// `/bucket/key` as sent, percent-encoded.
    pub path: String,
    /// Without the question mark; empty where there is none.
    pub query: String,
    /// The HTTP status of the answer.
    pub status: u16,
}

impl AccessLogEntry {
    /// The bucket that the request was about; empty for a listing of buckets.
    pub fn bucket(&self) -> &str {
        let path = self.path.strip_prefix('/').unwrap_or(&self.path);
        path.split('/').next().unwrap_or_default()
    }

    /// Whether this kind of request can change what is stored, whatever came
    /// of it. See [`is_mutating`].
    pub fn is_mutating(&self) -> bool {
        is_mutating(self)
    }
}

/// Whether a request of this kind can change what is stored, whatever came of
/// it: everything but reads, listings and `select` queries.
pub fn is_mutating(entry: &AccessLogEntry) -> bool {
    let is_select = || {
        let mut parameters = entry.query.split('&');
        parameters.any(|parameter| parameter.split('=').next() == Some("select"))
    };
    match entry.method.as_str() {
        "GET" | "HEAD" | "OPTIONS" => false,
        "POST" => !is_select(),
        _ => true,
    }
}

/// The log of one server.
#[derive(Debug, Default)]
pub struct AccessLog {
    entries: Mutex<VecDeque<AccessLogEntry>>,
    file: Option<Mutex<File>>,
}

impl AccessLog {
    /// A log that is also appended to `file`.
    pub fn with_file(file: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(file)?;
        Ok(Self {
            entries: Mutex::default(),
            file: Some(Mutex::new(file)),
        })
    }

    pub fn add(&self, entry: AccessLogEntry) {
        if let Some(file) = &self.file
            && let Err(error) = held(file.lock()).write_all(line(&entry).as_bytes())
        {
            tracing::warn!(%error, "a request is missing from the access log file");
        }
        let mut entries = held(self.entries.lock());
        if entries.len() == REMEMBERED {
            entries.pop_front();
        }
        entries.push_back(entry);
    }

    /// The remembered requests, oldest first.
    pub fn entries(&self) -> Vec<AccessLogEntry> {
        held(self.entries.lock()).iter().cloned().collect()
    }

    /// The same, and forgets them.
    pub fn drain(&self) -> Vec<AccessLogEntry> {
        held(self.entries.lock()).drain(..).collect()
    }
}

fn line(entry: &AccessLogEntry) -> String {
    let mark = if entry.query.is_empty() { "" } else { "?" };
    format!(
        "{} {}{mark}{} {}\n",
        entry.method, entry.path, entry.query, entry.status
    )
}
