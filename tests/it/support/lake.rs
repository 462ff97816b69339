//! Lakes in temporary folders, and the commands on them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Once, OnceLock};

use chrono::{DateTime, Utc};
use lakewarden::demo::{BUCKETS, Demo, generate};
use serde_json::Value;
use tempfile::TempDir;

use super::command::{Outcome, lakewarden, lakewarden_with, text};
use super::lifecycle;
use super::store::Store;

/// The time of the first night.
pub const NOW: &str = "2026-11-20T03:00:00Z";
/// The seed of the demo's events.
pub const SEED: u64 = 1;
/// How many there are.
pub const EVENTS: usize = 250;
/// The lake's own bucket.
pub const LAKE_BUCKET: &str = "acme-lake";

/// A lake in a folder of its own, as `demo --dir` lays it out.
pub struct Lake {
    folder: TempDir,
}

/// A lake that several tests start from, each with a copy of its own.
struct Pattern {
    dir: PathBuf,
    /// Of its night, if there was one.
    report: Value,
}

/// Made by `demo --prepare-only`: raw objects and an erasure request, no night yet.
fn prepared() -> &'static Pattern {
    static PREPARED: OnceLock<Pattern> = OnceLock::new();
    PREPARED.get_or_init(|| demo("prepared", &["--prepare-only"]))
}

/// Made by `demo`: one night went by.
fn night() -> &'static Pattern {
    static NIGHT: OnceLock<Pattern> = OnceLock::new();
    NIGHT.get_or_init(|| demo("night", &["--output", "json"]))
}

/// The same night without any erasure request.
fn undisturbed() -> &'static Pattern {
    static UNDISTURBED: OnceLock<Pattern> = OnceLock::new();
    UNDISTURBED.get_or_init(|| {
        let lake = Lake::prepared();
        lake.forget_requests();
        let report = lake.run(NOW);
        let dir = pattern_folder().join("undisturbed");
        copy(&lake.dir(), &dir);
        Pattern { dir, report }
    })
}

/// A folder of this process. Nothing runs at its end that could remove it, so the next one does.
fn pattern_folder() -> PathBuf {
    static SWEPT: Once = Once::new();
    let patterns = Path::new(env!("CARGO_TARGET_TMPDIR")).join("patterns");
    SWEPT.call_once(|| {
        let is_gone = |process: &Path| {
            Path::new("/proc/self").exists() && !Path::new("/proc").join(process).exists()
        };
        for folder in fs::read_dir(&patterns).into_iter().flatten() {
            let folder = folder.unwrap();
            if is_gone(Path::new(&folder.file_name())) {
                // Another process may be sweeping too.
                let _ = fs::remove_dir_all(folder.path());
            }
        }
    });
    patterns.join(std::process::id().to_string())
}

fn demo(name: &str, more: &[&str]) -> Pattern {
    let dir = pattern_folder().join(name);
    let (seed, events) = (SEED.to_string(), EVENTS.to_string());
    let mut arguments = vec!["demo", "--dir", text(&dir), "--now", NOW];
    arguments.extend(["--seed", &seed, "--events", &events]);
    arguments.extend(more);
    let outcome = lakewarden(&arguments);
    outcome.expect_exit(0);
    Pattern {
        report: serde_json::from_str(&outcome.stdout).unwrap_or(Value::Null),
        dir,
    }
}

/// The demo's input, with what is true of it.
pub fn generated() -> &'static Demo {
    static GENERATED: OnceLock<Demo> = OnceLock::new();
    GENERATED.get_or_init(|| generate(SEED, EVENTS, time(NOW)))
}

/// A time as it is written in arguments.
pub fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

impl Lake {
    /// With the demo's raw objects and its erasure request.
    pub fn prepared() -> Self {
        Self::copy_of(prepared())
    }

    /// After the demo's first night.
    pub fn after_a_night() -> Self {
        Self::copy_of(night())
    }

    /// After the demo's first night, but nobody asked to be erased.
    pub fn after_an_undisturbed_night() -> Self {
        Self::copy_of(undisturbed())
    }

    /// The report that the demo printed for its first night.
    pub fn report_of_the_night() -> &'static Value {
        &night().report
    }

    /// The demo's policies, key and buckets (with lifecycle rules that nobody minds), and nothing in them.
    pub fn empty() -> Self {
        Self::with_buckets(Store::create_bucket)
    }

    /// The same, but the buckets keep no versions.
    pub fn without_versions() -> Self {
        Self::with_buckets(Store::create_bucket_without_versions)
    }

    fn with_buckets(create: fn(&Store, &str)) -> Self {
        let folder = TempDir::new().unwrap();
        let (from, to) = (&prepared().dir, folder.path().join("lake"));
        copy(&from.join("policies"), &to.join("policies"));
        fs::copy(from.join("lakewarden.key"), to.join("lakewarden.key")).unwrap();
        let lake = Self { folder };
        lake.rename_key();
        let store = lake.store(NOW);
        let raw = BUCKETS.iter().map(|(_, bucket)| *bucket);
        for bucket in raw.chain([LAKE_BUCKET]) {
            create(&store, bucket);
            store.put_lifecycle(bucket, &lifecycle::harmless());
        }
        lake
    }

    /// A copy, as it is now.
    pub fn another(&self) -> Self {
        Self::copy_of_folder(&self.dir())
    }

    fn copy_of(pattern: &Pattern) -> Self {
        Self::copy_of_folder(&pattern.dir)
    }

    fn copy_of_folder(from: &Path) -> Self {
        let folder = TempDir::new().unwrap();
        copy(from, &folder.path().join("lake"));
        let lake = Self { folder };
        lake.rename_key();
        lake
    }

    /// `lake.yaml` names the key by its absolute path, which the copy has another of.
    fn rename_key(&self) {
        let lines = fs::read_to_string(self.policy("lake.yaml")).unwrap();
        let (before, _) = lines.split_once("  file:").unwrap();
        let key = Value::from(text(&self.dir().join("lakewarden.key")));
        fs::write(self.policy("lake.yaml"), format!("{before}  file: {key}\n")).unwrap();
    }

    /// The folder for `--dir`.
    pub fn dir(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    /// What S3 holds, as plain files and in `.s3`.
    pub fn s3(&self) -> PathBuf {
        self.dir().join("s3")
    }

    /// A policy file.
    pub fn policy(&self, path: &str) -> PathBuf {
        self.dir().join("policies").join(path)
    }

    /// Changes a policy file; `from` must stand in it.
    pub fn change_policy(&self, path: &str, from: &str, to: &str) {
        let old = fs::read_to_string(self.policy(path)).unwrap();
        assert!(old.contains(from), "{from} is not in {path}");
        fs::write(self.policy(path), old.replace(from, to)).unwrap();
    }

    /// The current object at `key` of the lake's bucket, as a plain file.
    pub fn lake_file(&self, key: &str) -> PathBuf {
        self.s3().join(LAKE_BUCKET).join(key)
    }

    /// The folder's content through S3, while no other process has it open.
    pub fn store(&self, now: &str) -> Store {
        Store::open(&self.s3(), time(now))
    }

    /// A command on this folder.
    pub fn command(&self, now: &str, arguments: &[&str]) -> Outcome {
        self.command_with(now, arguments, "")
    }

    /// A command on this folder with something on its standard input.
    pub fn command_with(&self, now: &str, arguments: &[&str], input: &str) -> Outcome {
        let dir = self.dir();
        let mut all = vec!["--dir", text(&dir), "--now", now];
        all.extend(arguments);
        lakewarden_with(&all, &[], input)
    }

    /// A night that must go well; its report.
    #[track_caller]
    pub fn run(&self, now: &str) -> Value {
        let report = self.command(now, &["run", "--output", "json"]).json();
        assert_eq!(report["failures"], serde_json::json!([]));
        report
    }

    /// The dry run.
    #[track_caller]
    pub fn plan(&self, now: &str) -> Value {
        self.command(now, &["plan", "--output", "json"]).json()
    }

    /// That a night right now would find nothing to do.
    #[track_caller]
    pub fn expect_nothing_to_do(&self, now: &str) {
        assert_eq!(self.plan(now)["steps"], serde_json::json!([]));
    }

    /// Files an erasure request; its id.
    #[track_caller]
    pub fn request_erasure(&self, now: &str, identifier: &str) -> String {
        let arguments = [
            "erase",
            "add",
            "--identifier",
            identifier,
            "--output",
            "json",
        ];
        let filed = self.command(now, &arguments).json();
        filed[0]["id"].as_str().unwrap().to_owned()
    }

    /// The states of all erasure requests.
    #[track_caller]
    pub fn request_states(&self, now: &str) -> Vec<String> {
        let listed = self
            .command(now, &["erase", "list", "--output", "json"])
            .json();
        let requests = listed.as_array().unwrap().iter();
        requests
            .map(|request| request["state"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Takes the erasure requests out of the lake, as if nobody had filed one.
    pub fn forget_requests(&self) {
        let store = self.store(NOW);
        store.remove_all(LAKE_BUCKET, "system/erasure/requests/");
    }
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
