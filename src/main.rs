//! The `lakewarden` command.

use std::process::ExitCode;

/// Batches are made on one thread and freed on another, for hours: memory has to stay within its limit.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    lakewarden::cli::main().await
}
