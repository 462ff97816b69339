//! `lake.yaml`: the lake's own bucket, the graces before a purge, and where the
//! key for identifiers comes from. Keeps invariant 9: the key itself can stand
//! neither in a policy nor in the lake, and its place is never quoted back.

use std::path::{Path, PathBuf};

use super::erasure::{self, ErasurePolicy};
use super::error::{PolicyError, Report, ValueError};
use super::guards::{self, GuardsPolicy};
use super::location::S3Location;
use super::names::check_version;
use super::pii::days_or_longer;
use super::section::{Key, Section};
use super::size::ByteSize;
use super::snowflake::{self, SnowflakePolicy};
use super::span::Span;
use super::yaml;

/// What holds for the lake as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LakePolicy {
    /// Where the lake's tables, quarantine and system files lie.
    pub location: S3Location,
    /// How long replaced table files stay readable before they are purged, so
    /// that a query that began before the replacement can end.
    pub readers_grace: Span,
    /// How old a file that no commit names must be before it is purged, so that
    /// a commit under way keeps its files.
    pub uncommitted_grace: Span,
    /// For how long tables can be read as they were: older commits of their logs
    /// are removed.
    pub table_history: Span,
    /// How old an unfinished multipart upload must be before it is aborted.
    pub unfinished_uploads: Span,
    /// How long reports of runs are kept.
    pub reports: Span,
    /// What a run may use of memory.
    pub memory: ByteSize,
    /// The folder on local disk for events that do not fit into memory, if it is
    /// named; see [`LakePolicy::spill_folder`].
    pub spill: Option<PathBuf>,
    /// Where the key comes from, with which identifiers are hashed.
    pub key: KeySource,
    /// What holds for erasure requests in all datasets.
    pub erasure: ErasurePolicy,
    /// What a run may take away unasked.
    pub guards: GuardsPolicy,
    /// For how long Snowflake keeps what was deleted, if there are copies.
    pub snowflake: Option<SnowflakePolicy>,
}

impl LakePolicy {
    /// The folder on local disk for events that do not fit into memory. `/tmp` is
    /// often memory itself, so `/var/tmp` comes before it, but not before what
    /// `TMPDIR` names.
    pub fn spill_folder(&self) -> PathBuf {
        let on_disk = Path::new("/var/tmp");
        match &self.spill {
            Some(folder) => folder.clone(),
            None if std::env::var_os("TMPDIR").is_none() && on_disk.is_dir() => on_disk.to_owned(),
            None => std::env::temp_dir(),
        }
    }
}

/// Where the key for identifiers comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// The environment variable of this name.
    Env(String),
    /// The file at this absolute path.
    File(PathBuf),
    /// What this program prints, given these arguments; no shell is between.
    Command(Vec<String>),
}

const FILE: &[Key] = &[
    Key::new("version", "1"),
    Key::new("lake", "s3://acme-lake/"),
    Key::new("readers_grace", "24 h"),
    Key::new("uncommitted_grace", "24 h"),
    Key::new("table_history", "30 days"),
    Key::new("unfinished_uploads", "7 days"),
    Key::new("reports", "2 years"),
    Key::new("memory", "512 MB"),
    Key::new("spill", "/var/tmp/lakewarden"),
    Key::new("key", "{ env: LAKEWARDEN_KEY }"),
    Key::new("erasure", erasure::SAMPLE),
    Key::new("guards", guards::SAMPLE),
    Key::new("snowflake", snowflake::SAMPLE),
];

const KEY: &[Key] = &[
    Key::new("env", "LAKEWARDEN_KEY"),
    Key::new("file", "/etc/lakewarden/key"),
    Key::new("command", "vault kv get -field=key secret/lakewarden"),
];

const DEFAULT_MEMORY: ByteSize = ByteSize::new(512_000_000);
/// Below that the program itself and one file under way leave no room for rows.
const LEAST_MEMORY: ByteSize = ByteSize::new(256_000_000);

/// Reads `lake.yaml`.
pub(super) fn read(path: &str, text: &str) -> Result<LakePolicy, Vec<PolicyError>> {
    let report = Report::new(path);
    let entries = yaml::parse(text, &report);
    let policy = entries
        .as_deref()
        .and_then(|entries| lake(&Section::file(entries, FILE, &report)));
    report.conclude(policy)
}

fn lake(file: &Section<'_>) -> Option<LakePolicy> {
    check_version(file);
    let location = file.required("lake", str::parse);
    let readers_grace = file.or_default("readers_grace", Span::DAY_OF_HOURS, grace);
    let uncommitted_grace = file.or_default("uncommitted_grace", Span::DAY_OF_HOURS, grace);
    let table_history = file.or_default("table_history", Span::days(30), days_or_longer);
    let uploads = file.or_default("unfinished_uploads", Span::days(7), days_or_longer);
    let reports = file.or_default("reports", Span::years(2), days_or_longer);
    let memory = file.or_default("memory", DEFAULT_MEMORY, memory);
    let spill = file.or_default("spill", None, |text| absolute(text).map(Some));
    let key = key_source(file);
    let erasure = erasure::read(file);
    let guards = guards::read(file);
    let snowflake = match file.find("snowflake") {
        Some(_) => snowflake::read(file).map(Some),
        None => Some(None),
    };
    Some(LakePolicy {
        location: location?,
        readers_grace: readers_grace?,
        uncommitted_grace: uncommitted_grace?,
        table_history: table_history?,
        unfinished_uploads: uploads?,
        reports: reports?,
        memory: memory?,
        spill: spill?,
        key: key?,
        erasure: erasure?,
        guards: guards?,
        snowflake: snowflake?,
    })
}

fn memory(text: &str) -> Result<ByteSize, ValueError> {
    let size: ByteSize = text.parse()?;
    if size < LEAST_MEMORY {
        return Err(ValueError::new(format!("the least is {LEAST_MEMORY}")));
    }
    Ok(size)
}

/// A relative path would depend on where the program is started.
fn absolute(text: &str) -> Result<PathBuf, ValueError> {
    let path = PathBuf::from(text);
    if path.is_absolute() {
        return Ok(path);
    }
    Err(ValueError::new("it must be an absolute path"))
}

/// A lake that nobody else reads can do without.
pub(super) fn grace(text: &str) -> Result<Span, ValueError> {
    if text == "0 h" {
        return Ok(Span::NONE);
    }
    text.parse()
}

fn key_source(file: &Section<'_>) -> Option<KeySource> {
    let section = file.section("key", KEY)?;
    let sources = ["env", "file", "command"].map(|source| section.find(source).is_some());
    match sources {
        [true, false, false] => env_source(&section),
        [false, true, false] => file_source(&section),
        [false, false, true] => section.required("command", command).map(KeySource::Command),
        _ => {
            section.refuse(
                section.at(),
                "`key` must name one source",
                "write `key: { env: LAKEWARDEN_KEY }` or `key: { file: /etc/lakewarden/key }`",
            );
            None
        }
    }
}

/// The value is not quoted when it is wrong: it may be the key itself.
fn env_source(section: &Section<'_>) -> Option<KeySource> {
    let variable = section.text("env")?;
    if is_variable_name(variable) {
        return Some(KeySource::Env(variable.to_owned()));
    }
    section.refuse(
        section.value_at("env"),
        "`env` under `key` is not the name of an environment variable",
        "write `env: LAKEWARDEN_KEY` and put the key into that variable, never into this file",
    );
    None
}

/// A relative path would depend on where the program is started.
fn file_source(section: &Section<'_>) -> Option<KeySource> {
    let path = PathBuf::from(section.text("file")?);
    if path.is_absolute() {
        return Some(KeySource::File(path));
    }
    section.refuse(
        section.value_at("file"),
        "`file` under `key` is not an absolute path",
        "write `file: /etc/lakewarden/key`, a file outside the lake and outside this folder",
    );
    None
}

/// A program and its arguments, parted by white space.
fn command(text: &str) -> Result<Vec<String>, ValueError> {
    let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    if words.is_empty() {
        return Err(ValueError::new("it names a program that prints the key"));
    }
    Ok(words)
}

fn is_variable_name(text: &str) -> bool {
    let begins_well = text.starts_with(|sign: char| sign.is_ascii_alphabetic() || sign == '_');
    begins_well
        && text
            .chars()
            .all(|sign| sign.is_ascii_alphanumeric() || sign == '_')
}
