//! The folder of policies: which file is what, and reading them.
//!
//! Hazard: a policy under a name that nobody reads (`cart.yml`, a subfolder) is
//! a rule that silently does not hold, so such files are refused.

use std::fs;
use std::io;
use std::path::Path;

use super::error::PolicyError;

/// Deeper than this no policy can lie; it also ends a circle of links.
const DEEPEST: usize = 4;

const LAYOUT: &str =
    "policies are lake.yaml, datasets/<dataset>.yaml, and curated/<table>.yaml with <table>.sql";

/// What a file in the folder is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Role {
    Lake,
    Dataset,
    Curated,
    Query,
    /// It looks like a policy or query, but stands where none is read.
    Stray,
    /// Something else, such as a README.
    Other,
}

/// What the file at this path, relative to the folder, is.
pub(super) fn role(path: &str) -> Role {
    if path == "lake.yaml" {
        return Role::Lake;
    }
    let in_folder = path.split_once('/').filter(|(_, file)| !file.contains('/'));
    match (in_folder, extension(path)) {
        (Some(("datasets", _)), "yaml") => Role::Dataset,
        (Some(("curated", _)), "yaml") => Role::Curated,
        (Some(("curated", _)), "sql") => Role::Query,
        _ if looks_like_policy(path) => Role::Stray,
        _ => Role::Other,
    }
}

/// The error for a file that stands where none is read.
pub(super) fn stray(path: &str) -> PolicyError {
    PolicyError::about_file(path, "no policy is read from here", LAYOUT)
}

/// The error for a folder that lacks what every folder of policies has.
pub(super) fn missing(path: &str) -> PolicyError {
    PolicyError::about_file(path, "the file is missing", LAYOUT)
}

fn looks_like_policy(path: &str) -> bool {
    let extension = extension(path).to_ascii_lowercase();
    matches!(extension.as_str(), "yaml" | "yml" | "sql")
}

fn extension(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// The policy and query files of the folder: path relative to it, with `/`, and text.
pub(super) fn read(folder: &Path) -> Result<Vec<(String, String)>, Vec<PolicyError>> {
    let mut reading = Reading {
        folder,
        files: Vec::new(),
        errors: Vec::new(),
    };
    reading.enter("", 0);
    if reading.errors.is_empty() {
        return Ok(reading.files);
    }
    Err(reading.errors)
}

struct Reading<'a> {
    folder: &'a Path,
    files: Vec<(String, String)>,
    errors: Vec<PolicyError>,
}

impl Reading<'_> {
    fn enter(&mut self, below: &str, depth: usize) {
        match names_in(&self.folder.join(below)) {
            Ok(names) => {
                for name in names {
                    self.visit(&format!("{below}{name}"), depth);
                }
            }
            Err(error) => self.refuse(below.trim_end_matches('/'), &error),
        }
    }

    fn visit(&mut self, path: &str, depth: usize) {
        let place = self.folder.join(path);
        match fs::metadata(&place) {
            Ok(found) if found.is_dir() && depth < DEEPEST => {
                self.enter(&format!("{path}/"), depth + 1);
            }
            Ok(found) if found.is_dir() => self.errors.push(stray(path)),
            Ok(_) if !looks_like_policy(path) => {}
            Ok(_) => match fs::read_to_string(&place) {
                Ok(text) => self.files.push((path.to_owned(), text)),
                Err(error) => self.refuse(path, &error),
            },
            Err(error) => self.refuse(path, &error),
        }
    }

    fn refuse(&mut self, path: &str, error: &io::Error) {
        let message = format!("cannot be read: {error}");
        let hint = "check that it exists, may be read and is UTF-8 text";
        self.errors
            .push(PolicyError::about_file(path, message, hint));
    }
}

/// The names in a folder, less hidden ones, which editors and mounts leave behind.
fn names_in(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            names.push(name);
        }
    }
    Ok(names)
}
