//! `subject export`: what the lake knows of a person, for that person (GDPR Art. 15 and 20).

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::erase::written;
use super::open::Opened;
use super::{Exit, Failure, Global};
use crate::decode::Json;
use crate::erasure::export::{Export, Known, export};
use crate::lake::parquet_files::{self, Layout};

/// Arguments of `subject`.
#[derive(Debug, clap::Args)]
pub struct Subject {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Write what the lake knows of a person into a new folder, as JSON lines and Parquet. Changes nothing
    /// in the lake.
    Export(Arguments),
}

#[derive(Debug, clap::Args)]
struct Arguments {
    /// `KIND=VALUE`, as for `erase add`; `-` reads such lines from standard input.
    #[arg(long, value_name = "KIND=VALUE", required = true)]
    identifier: Vec<String>,
    /// The folder to make. It will hold personal data, readable by you alone.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Give out up to so many rows, more than `max_rows_per_subject`.
    #[arg(long, value_name = "ROWS")]
    confirm_rows: Option<u64>,
}

/// Does what `command` says.
pub async fn main(global: &Global, command: &Subject) -> Result<(), Failure> {
    let Verb::Export(arguments) = &command.verb;
    let lake = Opened::open(global).await?;
    let subject = written(&lake, &arguments.identifier)?;
    let now = lake.clock.now();
    let (reader, most_rows) = (lake.reader(), arguments.confirm_rows);
    let found = export(&reader, &lake.policies, subject, most_rows, now).await;
    let found = found.map_err(Failure::from_error)?;
    if let Some(excess) = found.excess {
        let hint = "give `--confirm-rows` with that number if it is right";
        return Err(Failure::new(Exit::Confirm, excess.to_string(), hint));
    }
    write(&arguments.to, &found)?;
    super::print(global, &Written::of(&arguments.to, &found))
}

fn write(folder: &Path, found: &Export) -> Result<(), Failure> {
    make(folder).map_err(|error| refused(folder, &error))?;
    let path = folder.join("subject.jsonl");
    let lines = create(&path).and_then(|file| write_lines(file, &found.known));
    lines.map_err(|error| refused(&path, &error))?;
    for (table, rows) in &found.rows {
        let path = folder.join(format!("{table}.parquet"));
        let layout = Layout {
            sort_by: &[],
            identifiers: &[],
        };
        let bytes = parquet_files::encode(rows, layout).map_err(Failure::from_error)?;
        let written = create(&path).and_then(|mut file| file.write_all(&bytes));
        written.map_err(|error| refused(&path, &error))?;
    }
    Ok(())
}

fn refused(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("could not write {}: {error}", path.display()), "")
}

/// A folder for nobody else.
fn make(folder: &Path) -> std::io::Result<()> {
    fs::create_dir(folder)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

fn create(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

fn write_lines(file: File, known: &[Known]) -> std::io::Result<()> {
    let mut file = BufWriter::new(file);
    for one in known {
        let origin = serde_json::to_string(one)?;
        let origin = origin.strip_suffix('}').unwrap_or(&origin);
        // An event's text is taken over as it is: its numbers keep their digits. What is no JSON stays text.
        let (name, value) = match Json::parse(one.text.as_bytes()) {
            Ok(event) => ("event", event.to_string()),
            Err(_) => ("record", serde_json::to_string(&one.text)?),
        };
        writeln!(file, "{origin},\"{name}\":{value}}}")?;
    }
    file.flush()
}

/// What was written.
#[derive(Debug, Serialize)]
struct Written {
    folder: PathBuf,
    rows: usize,
    quarantined: usize,
    raw: usize,
}

impl Written {
    fn of(folder: &Path, found: &Export) -> Self {
        let count = |kind: &str| {
            found
                .known
                .iter()
                .filter(|known| known.kind == kind)
                .count()
        };
        Self {
            folder: folder.to_owned(),
            rows: count("table"),
            quarantined: count("quarantine"),
            raw: count("raw"),
        }
    }
}

impl std::fmt::Display for Written {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            formatter,
            "{} rows of tables, {} quarantined records, {} records that no table has yet: {}",
            self.rows,
            self.quarantined,
            self.raw,
            self.folder.display()
        )
    }
}
