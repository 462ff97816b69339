//! `policy check`.

use super::open::policy_folder;
use super::{Exit, Failure, Global, Output};
use crate::curation;
use crate::policy::Policies;

/// Arguments of `policy`.
#[derive(Debug, clap::Args)]
pub struct Policy {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Check all policy files: file, line, and what to write instead.
    Check,
}

/// Checks the policies.
pub fn main(global: &Global, command: &Policy) -> Result<(), Failure> {
    let Verb::Check = command.verb;
    let folder = policy_folder(global);
    match Policies::load(&folder) {
        Ok(policies) => {
            curation::check(&policies)
                .map_err(|error| Failure::new(Exit::Policies, error.to_string(), ""))?;
            super::say(&format!(
                "{}: {} datasets, {} curated tables, no errors",
                folder.display(),
                policies.datasets.len(),
                policies.curated.len()
            ));
            Ok(())
        }
        Err(errors) => {
            let count = errors.as_slice().len();
            if global.output == Output::Json {
                super::print(global, &errors)?;
            }
            let message = match global.output {
                Output::Json => format!("{count} errors in {}", folder.display()),
                Output::Text => format!("{count} errors in {}\n{errors}", folder.display()),
            };
            Err(Failure::new(Exit::Policies, message, ""))
        }
    }
}
