//! `erase`: file requests, and see how far they are.

use std::fmt::Write as _;
use std::io::Read as _;

use chrono::{DateTime, NaiveDate, Utc};

use super::open::Opened;
use super::{Failure, Global};
use crate::erasure::request::{self, Request, State};
use crate::lake::facts::Places;
use crate::lake::lease::Lease;
use crate::lake::s3::WriteS3;
use crate::lake::subject::Identifier;
use crate::policy::Policies;

/// Arguments of `erase`.
#[derive(Debug, clap::Args)]
pub struct Erase {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// File a request; the next run carries it out.
    Add(Add),
    /// Show all requests, the most urgent first.
    List,
}

#[derive(Debug, clap::Args)]
struct Add {
    /// `KIND=VALUE`, such as `user_id=789456`; several for one subject. `-` reads such lines from standard
    /// input, which leaves no trace in the shell's history.
    #[arg(long, value_name = "KIND=VALUE", required = true)]
    identifier: Vec<String>,
    /// The day on which the subject asked, if it was not today: the month of Art. 12(3) starts there.
    #[arg(long, value_name = "DATE")]
    received: Option<NaiveDate>,
}

/// Does what `command` says.
pub async fn main(global: &Global, command: &Erase) -> Result<(), Failure> {
    let lake = Opened::open(global).await?;
    match &command.verb {
        Verb::Add(add) => file(global, &lake, add).await,
        Verb::List => list(global, &lake).await,
    }
}

async fn file(global: &Global, lake: &Opened, add: &Add) -> Result<(), Failure> {
    let mut lines = Vec::new();
    for text in &add.identifier {
        if text == "-" {
            lines.extend(standard_input()?);
        } else {
            lines.push(text.clone());
        }
    }
    let mut identifiers = Vec::new();
    for line in &lines {
        identifiers.push(identifier(&lake.policies, line)?);
    }
    if identifiers.is_empty() {
        return Err(Failure::usage(
            "no identifier was given",
            "write KIND=VALUE, such as user_id=789456",
        ));
    }
    let received = received(add, lake.clock.now())?;
    let key = lake.key().map_err(Failure::from_error)?;
    let request = Request::new(&key, received, &identifiers).map_err(Failure::from_error)?;
    let s3 = WriteS3::new(lake.connection.clone());
    let places = Places::new(&lake.policies.lake.location);
    Lease::refuse_earlier(&s3, places.lake(), lake.clock.now())
        .await
        .map_err(Failure::from_error)?;
    request
        .file(&s3, &places)
        .await
        .map_err(Failure::from_error)?;
    super::print(global, &Listed(vec![Shown::of(&request, lake.clock.now())]))
}

fn standard_input() -> Result<Vec<String>, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(Failure::from_error)?;
    Ok(text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect())
}

/// The value is never repeated in an error.
fn identifier(policies: &Policies, line: &str) -> Result<Identifier, Failure> {
    let kinds: Vec<&str> = policies.identifier_kinds().into_iter().collect();
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
    if value.is_empty() {
        return Err(Failure::usage(format!("the {kind} is empty"), &hint));
    }
    Ok(Identifier {
        kind: kind.to_owned(),
        text: value.to_owned(),
    })
}

fn received(add: &Add, now: DateTime<Utc>) -> Result<DateTime<Utc>, Failure> {
    let Some(date) = add.received else {
        return Ok(now);
    };
    let end_of_day = date
        .and_hms_opt(23, 59, 59)
        .map_or(now, |time| time.and_utc());
    if date > now.date_naive() {
        return Err(Failure::usage("--received lies in the future", ""));
    }
    Ok(end_of_day.min(now))
}

async fn list(global: &Global, lake: &Opened) -> Result<(), Failure> {
    let places = Places::new(&lake.policies.lake.location);
    let mut all = request::all(&lake.reader(), &places)
        .await
        .map_err(Failure::from_error)?;
    all.sort_by_key(|(request, _)| (request.state == State::Certified, request.deadline));
    super::print(
        global,
        &Listed(
            all.iter()
                .map(|(request, _)| Shown::of(request, lake.clock.now()))
                .collect(),
        ),
    )
}

/// A request as it is shown: nothing of the subject.
#[derive(Debug, serde::Serialize)]
struct Shown {
    id: String,
    state: State,
    received: DateTime<Utc>,
    deadline: DateTime<Utc>,
    erased_at: Option<DateTime<Utc>>,
    certified_at: Option<DateTime<Utc>>,
    overdue: bool,
}

impl Shown {
    fn of(request: &Request, now: DateTime<Utc>) -> Self {
        Self {
            overdue: request.state != State::Certified && request.deadline < now,
            id: request.id.clone(),
            state: request.state,
            received: request.received,
            deadline: request.deadline,
            erased_at: request.erased_at,
            certified_at: request.certified_at,
        }
    }
}

#[derive(Debug, serde::Serialize)]
#[serde(transparent)]
struct Listed(Vec<Shown>);

impl std::fmt::Display for Listed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        for shown in &self.0 {
            let state = match shown.state {
                State::Received => "received, the next run erases",
                State::Erased => "erased, not certified yet",
                State::Certified => "certified",
            };
            writeln!(
                text,
                "{}  {state}  received {}  deadline {}{}",
                shown.id,
                shown.received.format("%Y-%m-%d"),
                shown.deadline.format("%Y-%m-%d"),
                if shown.overdue { "  OVERDUE" } else { "" }
            )?;
        }
        formatter.write_str(&text)
    }
}
