//! `erase certificate`: check the certificate of a request, and print it or write it into files. What does not
//! hold is refused, and nothing of it is printed.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::filed::Filed;
use crate::audit::log::AuditLog;
use crate::cli::open::Opened;
use crate::cli::{Exit, Failure, say};
use crate::erasure::proof::{self, Proven};
use crate::erasure::request::{Request, State};
use crate::lake::facts::Places;

/// Arguments of `erase certificate`.
#[derive(Debug, clap::Args)]
pub struct Certificate {
    /// The request's id.
    id: String,
    /// Print the page for people, not the JSON file.
    #[arg(long, conflicts_with = "to")]
    html: bool,
    /// Write ID.json, ID.html, ID.sig and ID.pem into this folder, for whoever wants to check them without
    /// this program.
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

pub async fn main(lake: &Opened, asked: &Certificate) -> Result<(), Failure> {
    let (request, _) = Filed::read(lake).await?.find(&asked.id)?;
    if request.state != State::Certified {
        return Err(Failure::usage(
            format!(
                "erasure request {} has no certificate: it is {}",
                request.id, request.state
            ),
            "a run issues it once a scan has found nothing",
        ));
    }
    let (s3, places) = (lake.reader(), Places::new(&lake.policies.lake.location));
    let log = AuditLog::load(&s3, &places).await;
    let log = log.map_err(Failure::from_error)?;
    let proven = proof::read(&s3, &places, &log, &request.id).await;
    let proven = proven.map_err(Failure::from_error)?;
    say(&format!(
        "certificate of erasure request {}: the signature, both digests and the audit log (entry {}) hold\n\
         public key (Ed25519): {}",
        request.id, proven.entry, proven.signature.public_key
    ));
    say_who_is_missing(&request);
    match &asked.to {
        Some(folder) => write(folder, &request.id, &proven),
        None if asked.html => print(&proven.page),
        None => print(&proven.json),
    }
}

/// The certificate stays as it was issued; recipients answer later.
fn say_who_is_missing(request: &Request) {
    let recipients = request.recipients.iter();
    for recipient in recipients.filter(|one| one.acknowledged.is_none()) {
        say(&format!(
            "{} has not acknowledged yet that its copies are erased (Art. 19); note it with `erase acknowledge {} \
             --recipient {:?} --by NAME`",
            recipient.name, request.id, recipient.name
        ));
    }
}

fn print(bytes: &[u8]) -> Result<(), Failure> {
    match std::io::stdout().lock().write_all(bytes) {
        // Whoever reads along has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.map_err(Failure::from_error),
    }
}

fn write(folder: &Path, id: &str, proven: &Proven) -> Result<(), Failure> {
    if Path::new(id).file_name() != Some(id.as_ref()) {
        return Err(Failure::usage(
            format!("no file can be called {id:?}"),
            "print it instead: leave out --to",
        ));
    }
    let failed = |path: &Path, error: std::io::Error| {
        let message = format!("could not write {}: {error}", path.display());
        Failure::new(Exit::Failed, message, "")
    };
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    let signature = proven.signature.bytes().map_err(Failure::from_error)?;
    for (ending, bytes) in [
        ("json", &*proven.json),
        ("html", &*proven.page),
        ("sig", &*signature),
        ("pem", proven.signature.public_key_pem.as_bytes()),
    ] {
        let path = folder.join(format!("{id}.{ending}"));
        std::fs::write(&path, bytes).map_err(|error| failed(&path, error))?;
        say(&format!("wrote {}", path.display()));
    }
    say(&format!(
        "check it with: openssl pkeyutl -verify -pubin -inkey {id}.pem -rawin -in {id}.json -sigfile {id}.sig"
    ));
    Ok(())
}
