//! `erase verify`: look for traces of a subject by hand, at any time. Changes nothing.

use std::fmt;

use super::add::written;
use super::filed::Filed;
use crate::cli::open::Opened;
use crate::cli::{Exit, Failure, Global};
use crate::erasure::request::{OpenRequest, Request, Written};
use crate::erasure::verify::{Coverage, Sample, verify};
use crate::erasure::{hashes_of, quarry};
use crate::plan::megabytes;

/// Arguments of `erase verify`.
#[derive(Debug, clap::Args)]
pub struct Verify {
    /// The request's id.
    id: String,
    /// `KIND=VALUE` of its subject, or `-` for standard input: of a closed request only the hashes are kept.
    #[arg(long, value_name = "KIND=VALUE")]
    identifier: Vec<String>,
    /// Look at this share of the object versions, such as 0.1: the same ones each time.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    sample: Option<f64>,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if share > 0.0 && share <= 1.0 => Ok(share),
        _ => Err("it is above 0 and at most 1".to_owned()),
    }
}

pub async fn main(global: &Global, lake: &Opened, arguments: &Verify) -> Result<(), Failure> {
    let (request, etag) = Filed::read(lake).await?.find(&arguments.id)?;
    let open = opened(lake, arguments, request, etag)?;
    let is_closed = open.request.sealed.is_none();
    let quarry = quarry(&open, &lake.policies);
    let sample = arguments.sample.map_or(Sample::All, Sample::Share);
    let reader = lake.reader();
    let found = verify(&reader, &lake.policies, &[quarry], sample).await;
    let mut found = found.map_err(Failure::from_error)?;
    let coverage = found.remove(&arguments.id).unwrap_or_default();
    let clean = coverage.is_clean();
    let shown = Shown {
        coverage,
        linked_ids_looked_for: !is_closed,
    };
    crate::cli::print(global, &shown)?;
    if clean {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Failed,
        "the subject, or something that cannot be read, is still there",
        "",
    ))
}

/// The request with its identifiers: those that it has sealed, or those given if their hashes are its own.
fn opened(
    lake: &Opened,
    arguments: &Verify,
    request: Request,
    etag: String,
) -> Result<OpenRequest, Failure> {
    let key = lake.key().map_err(Failure::from_error)?;
    if request.sealed.is_some() {
        let (written, linked) = request.secrets(&key).map_err(Failure::from_error)?;
        return Ok(OpenRequest {
            request,
            written,
            linked,
            etag,
            waiting: None,
            known_rows: 0,
        });
    }
    if arguments.identifier.is_empty() {
        return Err(Failure::usage(
            "the request is closed, and only hashes of its identifiers are kept",
            "give them again: `--identifier -` reads KIND=VALUE from standard input",
        ));
    }
    let written: Written = written(lake, &arguments.identifier)?;
    let given = hashes_of(&key, &lake.policies.lake.erasure, &written);
    let given = given.map_err(Failure::from_error)?;
    if given.iter().any(|one| !request.subject.contains(one)) {
        return Err(Failure::usage(
            "an identifier is not one of this request",
            "`erase show` names the kinds; the value has to be the one that was filed",
        ));
    }
    Ok(OpenRequest {
        request,
        written,
        linked: std::collections::BTreeSet::new(),
        etag,
        waiting: None,
        known_rows: 0,
    })
}

/// What was covered and found.
#[derive(Debug, serde::Serialize)]
struct Shown {
    #[serde(flatten)]
    coverage: Coverage,
    /// Of a closed request nobody knows them any more.
    linked_ids_looked_for: bool,
}

impl fmt::Display for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let coverage = &self.coverage;
        for (place, amount) in &coverage.looked_at {
            writeln!(
                formatter,
                "{place:?}: {} object versions, {}",
                amount.versions,
                megabytes(amount.bytes)
            )?;
        }
        if coverage.left_out > 0 {
            writeln!(
                formatter,
                "left out by sampling: {} object versions",
                coverage.left_out
            )?;
        }
        writeln!(
            formatter,
            "{} raw records and {} rows decoded; {} events from after the request; {} mentions",
            coverage.records, coverage.rows, coverage.later_events, coverage.mentions
        )?;
        if !self.linked_ids_looked_for {
            writeln!(
                formatter,
                "the request is closed: ids that were linked to the subject are not known any more"
            )?;
        }
        for trace in &coverage.traces {
            writeln!(
                formatter,
                "trace: {} in s3://{}/{}",
                trace.form, trace.bucket, trace.key
            )?;
        }
        for key in &coverage.unreadable {
            writeln!(formatter, "unreadable: {key}")?;
        }
        if coverage.unfinished_uploads > 0 {
            writeln!(
                formatter,
                "{} unfinished uploads",
                coverage.unfinished_uploads
            )?;
        }
        writeln!(
            formatter,
            "{}",
            if coverage.is_clean() {
                "nothing found"
            } else {
                "not clean"
            }
        )
    }
}
