//! `apply FILE`: carry out a plan that was saved.

use std::path::PathBuf;

use super::open::Opened;
use super::run::{Source, conclude, night};
use super::{Failure, Global};

/// Arguments of `apply`.
#[derive(Debug, clap::Args)]
pub struct Apply {
    /// A plan as `plan --output json` prints it.
    file: PathBuf,
    /// The digest of the plan, if a guard stops it.
    #[arg(long, value_name = "DIGEST")]
    confirm: Option<String>,
}

/// Carries out the plan in the file, or refuses.
pub async fn main(global: &Global, command: &Apply) -> Result<(), Failure> {
    let plan = crate::plan::read(&command.file).map_err(Failure::from_error)?;
    let lake = Opened::open(global).await?;
    let report = night(
        &lake,
        Source::Saved(Box::new(plan)),
        command.confirm.as_deref(),
    )
    .await?;
    super::print(global, &report)?;
    conclude(&report)
}
