//! `erase list` and `erase show`: how far requests are. Nothing of the subject is shown.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};

use super::filed::Filed;
use crate::cli::open::Opened;
use crate::cli::{Failure, Global};
use crate::erasure::request::{
    Decision, Filing, Passed, Reached, Recipient, Request, State, Waiting,
};

/// Arguments of `erase list`.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Only those that runs still have to do with.
    #[arg(long)]
    open: bool,
}

pub async fn main(global: &Global, lake: &Opened, list: &List) -> Result<(), Failure> {
    let filed = Filed::read(lake).await?;
    let requests = filed.requests.iter().map(|(request, _)| request);
    let mut listed: Vec<&Request> = requests
        .filter(|request| request.state.is_open() || !list.open)
        .collect();
    listed.sort_by_key(|request| (!request.state.is_open(), request.deadline));
    let shown = listed.into_iter().map(|request| filed.line(request));
    crate::cli::print(global, &Listed(shown.collect()))
}

pub async fn show(global: &Global, lake: &Opened, id: &str) -> Result<(), Failure> {
    let filed = Filed::read(lake).await?;
    let (request, _) = filed.find(id)?;
    crate::cli::print(global, &Listed(vec![filed.whole(&request)]))
}

/// A request as it is shown: nothing of the subject.
#[derive(Debug, serde::Serialize)]
pub struct Shown {
    id: String,
    state: State,
    received: DateTime<Utc>,
    deadline: DateTime<Utc>,
    erased_at: Option<DateTime<Utc>>,
    certified_at: Option<DateTime<Utc>>,
    overdue: bool,
    /// Places in which the last verification found the subject, or could not look.
    left: u64,
    #[serde(flatten)]
    standing: Standing,
    #[serde(flatten)]
    filing: Filing,
    recipients: Vec<Recipient>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details>,
}

/// What the next run will do about it.
#[derive(Debug, serde::Serialize)]
pub struct Standing {
    /// Why it does not carry it out, if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits: Option<Waiting>,
    /// Whether the holds are lifted for which it was put off.
    #[serde(skip)]
    pub goes_on: bool,
    /// Whether anything is held.
    #[serde(skip)]
    pub holds: bool,
}

/// What is shown of one request, but not in a list.
#[derive(Debug, serde::Serialize)]
struct Details {
    preview: BTreeMap<String, Reached>,
    linked_ids: u64,
    confirmed_rows: Option<u64>,
    decision: Option<Decision>,
    extended: Option<Decision>,
    history: Vec<Passed>,
}

impl Shown {
    /// As a line of a list.
    pub fn of(request: &Request, standing: Standing, now: DateTime<Utc>) -> Self {
        Self {
            standing,
            left: request.left,
            overdue: request.is_overdue(now),
            id: request.id.clone(),
            state: request.state,
            received: request.received,
            deadline: request.deadline,
            erased_at: request.erased_at,
            certified_at: request.certified_at,
            filing: request.filing.clone(),
            recipients: request.recipients.clone(),
            details: None,
        }
    }

    /// With all that is known of it.
    #[must_use]
    pub fn with_details(self, request: &Request) -> Self {
        Self {
            details: Some(Details {
                preview: request.preview.clone(),
                linked_ids: request.linked_ids,
                confirmed_rows: request.confirmed_rows,
                decision: request.decision.clone(),
                extended: request.extended.clone(),
                history: request.history.clone(),
            }),
            ..self
        }
    }
}

/// Requests, one below the other.
#[derive(Debug, serde::Serialize)]
#[serde(transparent)]
pub struct Listed(pub Vec<Shown>);

impl fmt::Display for Listed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for shown in &self.0 {
            shown.fmt_line(formatter)?;
            if let Some(details) = &shown.details {
                details.fmt(formatter)?;
            }
        }
        Ok(())
    }
}

impl Shown {
    fn fmt_line(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match (self.state, &self.standing.waits) {
            (state, Some(why)) => format!("{state}, waits: {why}"),
            (State::Held, None) if self.standing.goes_on => {
                "held until now, the next run goes on".to_owned()
            }
            (State::Received, None) if self.left > 0 => format!(
                "received again: {} places were left when it was verified, which `erase verify {}` names; the next \
                 run goes on",
                self.left, self.id
            ),
            (State::Received, None) if self.standing.holds => {
                "received, the next run erases what no hold keeps".to_owned()
            }
            (State::Received, None) => "received, the next run erases".to_owned(),
            (State::Planned, None) => "planned, a run has begun".to_owned(),
            (State::Erased, None) => "erased, not certified yet".to_owned(),
            (other, None) => other.to_string(),
        };
        write!(
            formatter,
            "{}  {state}  received {}  deadline {}",
            self.id,
            self.received.format("%Y-%m-%d"),
            self.deadline.format("%Y-%m-%d"),
        )?;
        if let Some(reference) = &self.filing.reference {
            write!(formatter, "  {reference}")?;
        }
        let waiting = self
            .recipients
            .iter()
            .filter(|one| one.acknowledged.is_none())
            .count();
        if waiting > 0 && self.certified_at.is_some() {
            write!(formatter, "  {waiting} recipient(s) still to acknowledge")?;
        }
        writeln!(formatter, "{}", if self.overdue { "  OVERDUE" } else { "" })
    }
}

impl fmt::Display for Details {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.preview.is_empty() {
            writeln!(formatter, "  no rows were found when it was filed")?;
        }
        for (table, reached) in &self.preview {
            let (first, last) = (reached.days.first(), reached.days.last());
            if let (Some(first), Some(last)) = (first, last) {
                writeln!(
                    formatter,
                    "  {table}: {} rows on {} day(s) from {first} to {last}",
                    reached.rows,
                    reached.days.len()
                )?;
            }
        }
        if self.linked_ids > 0 {
            writeln!(formatter, "  {} linked ids", self.linked_ids)?;
        }
        if let Some(rows) = self.confirmed_rows {
            writeln!(formatter, "  confirmed for up to {rows} rows")?;
        }
        if let Some(decision) = &self.decision {
            writeln!(
                formatter,
                "  since {}: {}",
                decision.at.format("%Y-%m-%d"),
                decision.reason
            )?;
        }
        if let Some(extended) = &self.extended {
            writeln!(
                formatter,
                "  deadline extended (Art. 12(3)): {}",
                extended.reason
            )?;
        }
        for passed in &self.history {
            writeln!(
                formatter,
                "  {}  {}",
                passed.at.format("%Y-%m-%d %H:%M UTC"),
                passed.state
            )?;
        }
        Ok(())
    }
}
