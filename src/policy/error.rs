//! What is wrong with a policy file, where, and what to write instead: for
//! people (`Display`) and for programs (`Serialize`).
//!
//! Hazard: a message may quote a value of a policy file. Policies name fields,
//! never people, and the one value that could be a secret (the key's source)
//! is never quoted.

use std::cell::RefCell;
use std::fmt;

use serde::Serialize;

/// One thing that is wrong in one policy file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PolicyError {
    /// The file, with the folder that was asked for in front.
    pub file: String,
    /// Line, counted from 1; none where the file as a whole is meant.
    pub line: Option<usize>,
    /// Column in characters, counted from 1; none where the file as a whole is meant.
    pub column: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

impl PolicyError {
    /// An error about a whole file.
    pub(super) fn about_file(
        file: impl Into<String>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            file: file.into(),
            line: None,
            column: None,
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// An error about one place of a file.
    pub(super) fn at(
        file: impl Into<String>,
        at: Position,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            line: Some(at.line),
            column: Some(at.column),
            ..Self::about_file(file, message, hint)
        }
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:", self.file)?;
        for place in [self.line, self.column].into_iter().flatten() {
            write!(formatter, "{place}:")?;
        }
        write!(formatter, " {}\n  hint: {}", self.message, self.hint)
    }
}

/// Everything that was found wrong, by file and place; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(transparent)]
#[error("{}", blocks(.0))]
pub struct PolicyErrors(Vec<PolicyError>);

impl PolicyErrors {
    pub(super) fn of(mut errors: Vec<PolicyError>) -> Self {
        errors.sort();
        Self(errors)
    }

    /// The same errors with file names as `rename` gives them.
    pub(super) fn rename_files(mut self, rename: impl Fn(&str) -> String) -> Self {
        for error in &mut self.0 {
            error.file = rename(&error.file);
        }
        self
    }

    /// The single errors, by file and place.
    pub fn as_slice(&self) -> &[PolicyError] {
        &self.0
    }
}

fn blocks(errors: &[PolicyError]) -> String {
    let blocks: Vec<String> = errors.iter().map(ToString::to_string).collect();
    blocks.join("\n")
}

/// Why a text is not the value that it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ValueError(String);

impl ValueError {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// A place in a file: line and column, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub line: usize,
    pub column: usize,
}

impl Position {
    /// Where a file begins.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// Collects what is wrong with one file, so that all of it is reported at once.
pub(super) struct Report<'a> {
    file: &'a str,
    errors: RefCell<Vec<PolicyError>>,
}

impl<'a> Report<'a> {
    pub fn new(file: &'a str) -> Self {
        Self {
            file,
            errors: RefCell::default(),
        }
    }

    pub fn refuse(&self, at: Position, message: impl Into<String>, hint: impl Into<String>) {
        let error = PolicyError::at(self.file, at, message, hint);
        self.errors.borrow_mut().push(error);
    }

    /// What was read, or what was found wrong. A reader that gives nothing has
    /// reported why.
    pub fn conclude<T>(self, read: Option<T>) -> Result<T, Vec<PolicyError>> {
        let errors = self.errors.into_inner();
        match read {
            Some(value) if errors.is_empty() => Ok(value),
            _ => Err(errors),
        }
    }
}
