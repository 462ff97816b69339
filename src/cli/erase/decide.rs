//! What people decide about a request: hold, release, cancel, reject, extend, confirm, acknowledge.

use std::fmt::Display;

use chrono::{DateTime, Utc};

use super::filed::Filed;
use super::list::Listed;
use super::writer;
use crate::cli::open::Opened;
use crate::cli::{Failure, Global, say};
use crate::erasure::request::{self, Acknowledged, Request, RequestError, Written};
use crate::lake::facts::Places;
use crate::lake::lease::Lease;

/// A request, and why.
#[derive(Debug, clap::Args)]
pub struct Reasoned {
    /// The request's id.
    id: String,
    /// Why; for a refusal the legal basis. It is kept with the request: nothing about the person in it.
    #[arg(long, value_name = "TEXT", value_parser = not_blank)]
    reason: String,
}

fn not_blank(text: &str) -> Result<String, &'static str> {
    match text.trim() {
        "" => Err("it says nothing"),
        text => Ok(text.to_owned()),
    }
}

/// A request, and how many rows it may hit.
#[derive(Debug, clap::Args)]
pub struct Confirm {
    /// The request's id.
    id: String,
    /// Up to so many rows.
    #[arg(long, value_name = "ROWS")]
    rows: u64,
}

/// A recipient's word.
#[derive(Debug, clap::Args)]
pub struct Acknowledge {
    /// The request's id.
    id: String,
    /// The recipient, as `lake.yaml` names them.
    #[arg(long, value_name = "NAME")]
    recipient: String,
    /// Who said so.
    #[arg(long, value_name = "NAME")]
    by: String,
}

pub async fn hold(global: &Global, lake: &Opened, hold: &Reasoned) -> Result<(), Failure> {
    decide(global, lake, hold, Request::hold).await?;
    let s3 = writer(lake).await?;
    let is_held = Lease::is_held(&s3, &lake.policies.lake.location).await;
    if is_held.map_err(Failure::from_error)? {
        say(
            "warning: a run is at work; it begins nothing more for the request, but finishes what it has begun: see \
             its report",
        );
    }
    Ok(())
}

pub async fn release(global: &Global, lake: &Opened, id: &str) -> Result<(), Failure> {
    change(global, lake, id, Request::release).await
}

pub async fn cancel(global: &Global, lake: &Opened, cancel: &Reasoned) -> Result<(), Failure> {
    decide(global, lake, cancel, Request::cancel).await
}

pub async fn reject(global: &Global, lake: &Opened, reject: &Reasoned) -> Result<(), Failure> {
    decide(global, lake, reject, Request::reject).await
}

pub async fn extend(global: &Global, lake: &Opened, extend: &Reasoned) -> Result<(), Failure> {
    decide(global, lake, extend, Request::extend).await
}

pub async fn confirm(global: &Global, lake: &Opened, confirm: &Confirm) -> Result<(), Failure> {
    change(global, lake, &confirm.id, |request, _| {
        request.confirm(confirm.rows)
    })
    .await
}

pub async fn acknowledge(
    global: &Global,
    lake: &Opened,
    told: &Acknowledge,
) -> Result<(), Failure> {
    let (request, _) = Filed::read(lake).await?.find(&told.id)?;
    let names: Vec<&str> = request
        .recipients
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    if !names.contains(&told.recipient.as_str()) {
        return Err(Failure::usage(
            format!(
                "{} is no recipient of erasure request {}",
                told.recipient, told.id
            ),
            &format!("its recipients are: {}", names.join(", ")),
        ));
    }
    change(global, lake, &told.id, |request, now| {
        let mut recipients = request.recipients.iter_mut();
        if let Some(recipient) = recipients.find(|one| one.name == told.recipient) {
            recipient.acknowledged = Some(Acknowledged {
                at: now,
                by: told.by.clone(),
            });
        }
        Ok(())
    })
    .await
}

/// Decides about a request for a reason.
async fn decide(
    global: &Global,
    lake: &Opened,
    reasoned: &Reasoned,
    how: impl FnOnce(&mut Request, &str, DateTime<Utc>) -> Result<(), RequestError>,
) -> Result<(), Failure> {
    let reason = &reasoned.reason;
    let (request, _) = Filed::read(lake).await?.find(&reasoned.id)?;
    if request.sealed.is_some() {
        let key = lake.key().map_err(RequestError::from);
        let secrets = key.and_then(|key| request.secrets(&key));
        refuse_naming(secrets.map(|(written, _)| written), reason)?;
    }
    change(global, lake, &reasoned.id, |request, now| {
        how(request, reason, now)
    })
    .await
}

/// Refuses words that name the person. What nobody can open any more may still be closed.
pub fn refuse_naming(person: Result<Written, impl Display>, said: &str) -> Result<(), Failure> {
    match person {
        Ok(written) if written.is_named_in(said) => Err(Failure::usage(
            "an identifier of the person stands in what is kept and shown, and not sealed: `--reason` or `--owner`",
            "nothing was changed; say it without the identifier",
        )),
        Ok(_) => Ok(()),
        Err(error) => {
            say(&format!(
                "warning: nobody can tell whether these words name the person: {error}"
            ));
            Ok(())
        }
    }
}

/// Changes a request in the lake and shows it. Once it is closed nothing that it sealed stays.
async fn change(
    global: &Global,
    lake: &Opened,
    id: &str,
    decide: impl FnOnce(&mut Request, DateTime<Utc>) -> Result<(), RequestError>,
) -> Result<(), Failure> {
    let filed = Filed::read(lake).await?;
    let (mut request, etag) = filed.find(id)?;
    let now = lake.clock.now();
    decide(&mut request, now).map_err(|error| Failure::usage(error.to_string(), ""))?;
    let s3 = writer(lake).await?;
    let places = Places::new(&lake.policies.lake.location);
    let updated = request.update(&s3, &places, &etag).await;
    updated.map_err(Failure::from_error)?;
    if !request.state.is_open() {
        let forgotten = request::forget_older_versions(&s3, &places, id).await;
        forgotten.map_err(Failure::from_error)?;
    }
    crate::cli::print(global, &Listed(vec![filed.whole(&request)]))
}
