//! The command line: a file a command; the only place that prints. Data goes to standard output,
//! everything else to standard error.

mod apply;
mod demo;
mod erase;
mod failure;
mod hold;
mod lifecycle;
mod open;
mod plan;
mod policy;
mod run;
mod serve;
mod subject;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::{Parser, Subcommand, ValueEnum};

pub use failure::{Exit, Failure};

/// Keeps an event lake on S3 sound: compaction, curated tables, retention, GDPR erasure.
///
/// Exit codes: 0 done; 1 something failed; 2 wrong usage; 3 the policies are wrong; 4 S3 cannot be used
/// (credentials, bucket, access, region, network); 5 --confirm is needed; 6 the lake has moved or another
/// run is at work: try again; 7 the key is missing or another one.
#[derive(Debug, Parser)]
#[command(name = "lakewarden", version)]
pub struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Args)]
struct Global {
    /// Folder with lake.yaml, datasets/ and curated/.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "policies",
        env = "LAKEWARDEN_POLICIES"
    )]
    policies: PathBuf,
    /// S3 endpoint, if it is not AWS. Credentials come from the standard AWS environment and profiles.
    #[arg(long, global = true, value_name = "URL", value_parser = endpoint)]
    endpoint: Option<String>,
    /// A demo folder, in place of --policies and --endpoint.
    #[arg(long, global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// How to print data.
    #[arg(long, global = true, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// Take this as the time, instead of the clock's. For a real lake --simulated-clock must be given too.
    #[arg(long, global = true, value_name = "RFC3339")]
    now: Option<DateTime<Utc>>,
    /// Allow --now on a real lake.
    #[arg(long, global = true)]
    simulated_clock: bool,
}

fn endpoint(text: &str) -> Result<String, String> {
    match url::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
            Ok(text.to_owned())
        }
        _ => Err("it must be like http://127.0.0.1:9000".to_owned()),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a lake in a fresh folder, with 50,000 events, and run a night on it.
    Demo(demo::Demo),
    /// Show what a run would do, and why. Changes nothing.
    Plan,
    /// Plan and do it.
    Run(run::Run),
    /// Do what a saved plan says (`plan --output json > FILE`), or refuse if the lake has moved.
    Apply(apply::Apply),
    /// Erasure requests (GDPR Art. 17).
    Erase(erase::Erase),
    /// Reasons to keep what a rule would delete.
    Hold(hold::Hold),
    /// What the lake knows of a person (GDPR Art. 15 and 20).
    Subject(subject::Subject),
    /// The lifecycle rules that would serve as a net behind the program, for each bucket of the policies.
    Lifecycle,
    /// The policy files.
    Policy(policy::Policy),
    /// Serve a folder as S3, for demo and tests.
    ServeS3(serve::Serve),
}

/// Parses the command line, does what it says, and answers with the exit code.
pub async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log_to_standard_error();
    let global = &arguments.global;
    let outcome = match &arguments.command {
        Command::Demo(command) => demo::main(global, command).await,
        Command::Plan => plan::main(global).await,
        Command::Run(command) => run::main(global, command).await,
        Command::Apply(command) => apply::main(global, command).await,
        Command::Erase(command) => erase::main(global, command).await,
        Command::Hold(command) => hold::main(global, command).await,
        Command::Subject(command) => subject::main(global, command).await,
        Command::Lifecycle => lifecycle::main(global),
        Command::Policy(command) => policy::main(global, command),
        Command::ServeS3(command) => serve::main(global, command).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            ExitCode::from(failure.exit as u8)
        }
    }
}

/// Warnings of our own by default; `RUST_LOG` for more.
fn log_to_standard_error() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error,s3s=off,lakewarden=warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .without_time()
        .init();
}

/// Prints data: as JSON if that was asked for, else as text.
fn print(
    global: &Global,
    value: &(impl serde::Serialize + std::fmt::Display),
) -> Result<(), Failure> {
    let text = match global.output {
        Output::Text => value.to_string(),
        Output::Json => serde_json::to_string_pretty(value).map_err(Failure::from_error)? + "\n",
    };
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        // Whoever reads along has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.map_err(Failure::from_error),
    }
}

/// Says something to the person at the terminal.
#[expect(
    clippy::print_stderr,
    reason = "everything but data goes to standard error"
)]
fn say(text: &str) {
    eprintln!("{text}");
}
