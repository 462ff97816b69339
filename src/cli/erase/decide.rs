//! What people decide about a request: hold, release, cancel, reject, extend, confirm, acknowledge.

use chrono::{DateTime, Utc};

use super::list::{Listed, Shown};
use super::{find, writer};
use crate::cli::open::Opened;
use crate::cli::{Failure, Global};
use crate::erasure::request::{self, Acknowledged, Request, RequestError};
use crate::lake::facts::Places;

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
    change(global, lake, &hold.id, |request, now| {
        request.hold(&hold.reason, now)
    })
    .await
}

pub async fn release(global: &Global, lake: &Opened, id: &str) -> Result<(), Failure> {
    change(global, lake, id, Request::release).await
}

pub async fn cancel(global: &Global, lake: &Opened, cancel: &Reasoned) -> Result<(), Failure> {
    let reason = &cancel.reason;
    change(global, lake, &cancel.id, |request, now| {
        request.cancel(reason, now)
    })
    .await
}

pub async fn reject(global: &Global, lake: &Opened, reject: &Reasoned) -> Result<(), Failure> {
    let basis = &reject.reason;
    change(global, lake, &reject.id, |request, now| {
        request.reject(basis, now)
    })
    .await
}

pub async fn extend(global: &Global, lake: &Opened, extend: &Reasoned) -> Result<(), Failure> {
    let reason = &extend.reason;
    change(global, lake, &extend.id, |request, now| {
        request.extend(reason, now)
    })
    .await
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
    let (request, _) = find(lake, &told.id).await?;
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

/// Changes a request in the lake and shows it. Once it is closed nothing that it sealed stays.
async fn change(
    global: &Global,
    lake: &Opened,
    id: &str,
    decide: impl FnOnce(&mut Request, DateTime<Utc>) -> Result<(), RequestError>,
) -> Result<(), Failure> {
    let (mut request, etag) = find(lake, id).await?;
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
    crate::cli::print(global, &Listed(vec![Shown::whole(&request, now)]))
}
