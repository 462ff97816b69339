//! The `lakewarden` command.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    lakewarden::cli::main().await
}
