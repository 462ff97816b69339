//! What went over the wire: every request with its answer's status, and how many bytes.
//!
//! Bytes are those that were announced: a body that breaks off counts in full.
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

use http::Uri;

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
    /// Bytes of the request's body, without what a signature in chunks adds.
    pub received: u64,
    /// Bytes of the answer's body.
    pub sent: u64,
    /// Bytes that the server copies itself, where the request names a range.
    pub copied: u64,
}

impl AccessLogEntry {
    /// The entry of a request whose answer is not known yet.
    pub fn of_request<'a>(
        method: &str,
        uri: &Uri,
        header: impl Fn(&'static str) -> Option<&'a str>,
    ) -> Self {
        let length = header("x-amz-decoded-content-length").or_else(|| header("content-length"));
        let copied = header("x-amz-copy-source-range").and_then(range_length);
        Self {
            method: method.to_owned(),
            path: uri.path().to_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
            status: 0,
            received: length.and_then(|text| text.parse().ok()).unwrap_or(0),
            sent: 0,
            copied: copied.unwrap_or(0),
        }
    }

    /// Notes the answer, with the length of its body where one was announced.
    pub fn answered(&mut self, status: u16, length: Option<u64>) {
        self.status = status;
        // The answer to a HEAD tells of a body, and has none.
        self.sent = length.filter(|_| self.method != "HEAD").unwrap_or(0);
    }

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

/// The length of `bytes=first-last`.
fn range_length(range: &str) -> Option<u64> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    last.checked_sub(first)?.checked_add(1)
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
        "{} {}{mark}{} {} {} {} {}\n",
        entry.method,
        entry.path,
        entry.query,
        entry.status,
        entry.received,
        entry.sent,
        entry.copied
    )
}
