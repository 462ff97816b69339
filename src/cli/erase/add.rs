//! `erase add`: file one request, or a file of them. What it would hit is shown first.

use std::io::Read as _;
use std::path::PathBuf;

use chrono::NaiveDate;

use super::filed::Filed;
use super::list::Listed;
use super::writer;
use crate::cli::open::Opened;
use crate::cli::{Exit, Failure, Global};
use crate::erasure;
use crate::erasure::filing::{self, Handed};
use crate::erasure::inbox;
use crate::erasure::request::{Filing, OpenRequest, Request, Waiting, Written};
use crate::lake::facts::Places;
use crate::lake::key::Key;
use crate::lake::s3::WriteS3;

/// Arguments of `erase add`.
#[derive(Debug, clap::Args)]
pub struct Add {
    /// `KIND=VALUE`, such as `user_id=789456`; several for one subject. `-` reads such lines from standard
    /// input, which leaves no trace in the shell's history.
    #[arg(long, value_name = "KIND=VALUE", required_unless_present = "file")]
    identifier: Vec<String>,
    /// A file of requests, a line each: CSV with a header, or JSON lines. `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["identifier", "received", "reference", "identity_checked_by", "approved_by"])]
    file: Option<PathBuf>,
    /// The day on which the subject asked, if it was not today: the month of Art. 12(3) starts there.
    #[arg(long, value_name = "DATE")]
    received: Option<NaiveDate>,
    /// The number under which the request is known elsewhere.
    #[arg(long, value_name = "TEXT")]
    reference: Option<String>,
    /// Who made sure that the subject is who they say.
    #[arg(long = "identity-checked", value_name = "BY")]
    identity_checked_by: Option<String>,
    /// Who approved the request.
    #[arg(long, value_name = "NAME")]
    approved_by: Option<String>,
    /// Let it hit up to so many rows, more than `max_rows_per_subject`.
    #[arg(long, value_name = "ROWS")]
    confirm_rows: Option<u64>,
    /// Show what it would hit, and file nothing.
    #[arg(long)]
    preview: bool,
}

/// Files what `add` says.
pub async fn main(global: &Global, lake: &Opened, add: &Add) -> Result<(), Failure> {
    let handed = handed(lake, add)?;
    let key = lake.key().map_err(Failure::from_error)?;
    let filed = Filed::read(lake).await?;
    filed.refuse_other_key(&key)?;
    let mut requests = Vec::with_capacity(handed.len());
    for handed in handed {
        requests.push(new(lake, &key, handed, add)?);
    }
    let reader = lake.reader();
    let mut held = filed.held(lake, &key)?;
    let reach = erasure::reach_unfiled(&reader, &lake.policies, &mut requests, &mut held).await;
    let reach = reach.map_err(Failure::from_error)?;
    let excess = reach.left_out.values().next();
    if let (None, Some(why), false) = (&add.file, excess, add.preview) {
        refuse_excess(why)?;
    }
    for (id, why) in &reach.left_out {
        crate::cli::say(&why.finding(id));
    }
    inbox::note_preview(&mut requests, &reach);
    if !add.preview {
        file(lake, &requests).await?;
    }
    let shown = requests.iter().map(|open| filed.whole(&open.request));
    crate::cli::print(global, &Listed(shown.collect()))
}

async fn file(lake: &Opened, requests: &[OpenRequest]) -> Result<(), Failure> {
    let s3: WriteS3 = writer(lake).await?;
    let places = Places::new(&lake.policies.lake.location);
    for open in requests {
        let filed = open.request.file(&s3, &places).await;
        filed.map_err(Failure::from_error)?;
    }
    Ok(())
}

fn new(lake: &Opened, key: &Key, handed: Handed, add: &Add) -> Result<OpenRequest, Failure> {
    let now = lake.clock.now();
    let received = filing::received_at(handed.received, now);
    let received =
        received.map_err(|why| Failure::usage(format!("line {}: {why}", handed.line), ""))?;
    let policy = &lake.policies.lake.erasure;
    let request = Request::new(key, policy, received, &handed.written, handed.filing);
    let mut request = request.map_err(Failure::from_error)?;
    request.confirmed_rows = add.confirm_rows;
    Ok(OpenRequest {
        request,
        written: handed.written,
        linked: std::collections::BTreeSet::new(),
        etag: String::new(),
        waiting: None,
        known_rows: 0,
    })
}

/// What looks mistyped is not filed; what waits for a hold is, for its month has begun.
fn refuse_excess(why: &Waiting) -> Result<(), Failure> {
    let hint = match why {
        Waiting::Rows { .. } => {
            "nothing was filed; give `--confirm-rows` with that number if it is right"
        }
        Waiting::Links { .. } => {
            "nothing was filed; with `--file` it is, and waits until the policies are mended"
        }
        Waiting::Hold { .. } | Waiting::Request { .. } => return Ok(()),
    };
    Err(Failure::new(Exit::Confirm, why.to_string(), hint))
}

fn handed(lake: &Opened, add: &Add) -> Result<Vec<Handed>, Failure> {
    let Some(path) = &add.file else {
        let handed = filing::complete(Handed {
            line: 1,
            received: add.received,
            written: written(lake, &add.identifier)?,
            filing: said(add),
        });
        let handed = handed.map_err(|why| Failure::usage(why, "nothing was filed"))?;
        return Ok(vec![handed]);
    };
    let bytes = if path.as_os_str() == "-" {
        standard_input()?.into_bytes()
    } else {
        std::fs::read(path).map_err(|error| {
            Failure::usage(format!("could not read {}: {error}", path.display()), "")
        })?
    };
    let handed_in = filing::read(&bytes, &lake.policies.identifier_kinds());
    if let Some(first) = handed_in.misread.first() {
        return Err(Failure::usage(
            format!(
                "{} of its lines are no requests; {first}",
                handed_in.misread.len()
            ),
            "nothing was filed; mend the file and give it again",
        ));
    }
    Ok(handed_in.requests)
}

fn said(add: &Add) -> Filing {
    Filing {
        reference: add.reference.clone(),
        identity_checked_by: add.identity_checked_by.clone(),
        approved_by: add.approved_by.clone(),
    }
}

/// The identifiers that the arguments name, those on standard input for `-`.
pub fn written(lake: &Opened, arguments: &[String]) -> Result<Written, Failure> {
    let mut lines = Vec::new();
    for text in arguments {
        if text == "-" {
            let input = standard_input()?;
            let told = input.lines().map(str::trim).filter(|line| !line.is_empty());
            lines.extend(told.map(str::to_owned));
        } else {
            lines.push(text.clone());
        }
    }
    let mut written = Written::default();
    for line in &lines {
        written.0.push(identifier(lake, line)?);
    }
    if written.0.is_empty() {
        return Err(Failure::usage(
            "no identifier was given",
            "write KIND=VALUE, such as user_id=789456",
        ));
    }
    Ok(written)
}

fn standard_input() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(Failure::from_error)?;
    Ok(text)
}

/// The value is never repeated in an error.
fn identifier(lake: &Opened, line: &str) -> Result<(String, String), Failure> {
    let kinds: Vec<&str> = lake.policies.identifier_kinds().into_iter().collect();
    let hint = format!(
        "write KIND=VALUE; the policies know the kinds {}",
        kinds.join(", ")
    );
    let Some((kind, value)) = line.split_once('=') else {
        return Err(Failure::usage("an identifier has no `=`", &hint));
    };
    if !kinds.contains(&kind) {
        return Err(Failure::usage(
            "an identifier's kind is in no policy",
            &hint,
        ));
    }
    if value.trim().is_empty() {
        return Err(Failure::usage(format!("the {kind} is empty"), &hint));
    }
    Ok((kind.to_owned(), value.to_owned()))
}
