//! `erase`: requests from the day they come in to their certificate. A file a verb, or a few that belong
//! together.

mod add;
mod certificate;
mod decide;
mod filed;
mod list;
mod verify;

pub use add::written;
pub use decide::refuse_naming;
pub use filed::Filed;

use super::open::Opened;
use super::{Failure, Global};
use crate::lake::lease::Lease;
use crate::lake::s3::WriteS3;

/// Arguments of `erase`.
#[derive(Debug, clap::Args)]
pub struct Erase {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// File a request, or a file of them; the next run carries it out.
    Add(add::Add),
    /// Show all requests, the most urgent first.
    List(list::List),
    /// Show one request with its life and what it hits.
    Show(Named),
    /// Let a request hit more rows than `max_rows_per_subject`.
    Confirm(decide::Confirm),
    /// Keep runs from carrying a request out.
    Hold(decide::Reasoned),
    /// Let runs go on with a request that was held.
    Release(Named),
    /// Close a request that the subject withdrew.
    Cancel(decide::Reasoned),
    /// Refuse a request on a legal basis (GDPR Art. 17(3)).
    Reject(decide::Reasoned),
    /// Move the deadline of a complex request by two months (GDPR Art. 12(3)).
    Extend(decide::Reasoned),
    /// Look for traces of a request's subject, without changing anything.
    Verify(verify::Verify),
    /// Note that a recipient has done their part (GDPR Art. 19).
    Acknowledge(decide::Acknowledge),
    /// Check the certificate of a request, and print it.
    Certificate(certificate::Certificate),
}

/// Which request.
#[derive(Debug, clap::Args)]
struct Named {
    /// The request's id.
    id: String,
}

/// Does what `command` says.
pub async fn main(global: &Global, command: &Erase) -> Result<(), Failure> {
    let lake = Opened::open(global).await?;
    match &command.verb {
        Verb::Add(add) => add::main(global, &lake, add).await,
        Verb::List(list) => list::main(global, &lake, list).await,
        Verb::Show(named) => list::show(global, &lake, &named.id).await,
        Verb::Confirm(confirm) => decide::confirm(global, &lake, confirm).await,
        Verb::Hold(hold) => decide::hold(global, &lake, hold).await,
        Verb::Release(named) => decide::release(global, &lake, &named.id).await,
        Verb::Cancel(cancel) => decide::cancel(global, &lake, cancel).await,
        Verb::Reject(reject) => decide::reject(global, &lake, reject).await,
        Verb::Extend(extend) => decide::extend(global, &lake, extend).await,
        Verb::Verify(arguments) => verify::main(global, &lake, arguments).await,
        Verb::Acknowledge(told) => decide::acknowledge(global, &lake, told).await,
        Verb::Certificate(asked) => certificate::main(&lake, asked).await,
    }
}

/// A writer, unless the clock went back since the last run.
async fn writer(lake: &Opened) -> Result<WriteS3, Failure> {
    let s3 = WriteS3::new(lake.connection.clone());
    let place = &lake.policies.lake.location;
    let refused = Lease::refuse_earlier(&s3, place, lake.clock.now()).await;
    refused.map_err(Failure::from_error)?;
    Ok(s3)
}
