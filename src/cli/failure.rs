//! From errors to one clear line, a hint and an exit code.

use std::error::Error;

use crate::lake::error::{S3Error, S3ErrorKind};
use crate::lake::key::KeyError;
use crate::lake::lease::LeaseError;
use crate::lake::tables::TableError;
use crate::plan::Stale;
use crate::policy::PolicyErrors;

/// What the process exits with; documented in `--help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Something failed.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The policies are wrong.
    Policies = 3,
    /// S3 cannot be used.
    Storage = 4,
    /// `--confirm` is needed.
    Confirm = 5,
    /// The lake has moved, or another run is at work.
    TryAgain = 6,
    /// The key is missing or another one.
    Key = 7,
}

/// Why a command failed, for the person at the terminal.
#[derive(Debug)]
pub struct Failure {
    /// One line, or a block for several errors.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// The exit code.
    pub exit: Exit,
}

impl Failure {
    /// A failure of our own.
    pub fn new(exit: Exit, message: impl Into<String>, hint: &str) -> Self {
        Self {
            message: message.into(),
            hint: (!hint.is_empty()).then(|| hint.to_owned()),
            exit,
        }
    }

    /// Wrong usage.
    pub fn usage(message: impl Into<String>, hint: &str) -> Self {
        Self::new(Exit::Usage, message, hint)
    }

    /// Translates an error by what caused it.
    pub fn from_error(error: impl Error + 'static) -> Self {
        let mut failure = Self {
            message: error.to_string(),
            hint: None,
            exit: Exit::Failed,
        };
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(error) = cause {
            failure.classify(error);
            cause = error.source();
        }
        failure
    }

    fn classify(&mut self, error: &(dyn Error + 'static)) {
        if let Some(error) = error.downcast_ref::<S3Error>() {
            self.hint = error.hint().map(str::to_owned);
            self.exit = match error.kind {
                S3ErrorKind::Credentials
                | S3ErrorKind::Clock
                | S3ErrorKind::NoSuchBucket
                | S3ErrorKind::AccessDenied
                | S3ErrorKind::Region
                | S3ErrorKind::Unreachable => Exit::Storage,
                S3ErrorKind::Precondition => Exit::TryAgain,
                S3ErrorKind::NotFound
                | S3ErrorKind::Archived
                | S3ErrorKind::Locked
                | S3ErrorKind::LocalDisk
                | S3ErrorKind::Other => Exit::Failed,
            };
        } else if error.is::<PolicyErrors>() {
            self.exit = Exit::Policies;
        } else if error.is::<KeyError>() {
            self.exit = Exit::Key;
        } else if error.is::<Stale>() || is_held(error) || is_conflict(error) {
            self.exit = Exit::TryAgain;
        }
    }

    /// Prints the failure to standard error.
    pub fn print(&self) {
        super::say(&format!("error: {}", self.message));
        if let Some(hint) = &self.hint {
            super::say(&format!("hint: {hint}"));
        }
    }
}

fn is_held(error: &(dyn Error + 'static)) -> bool {
    matches!(
        error.downcast_ref::<LeaseError>(),
        Some(LeaseError::Held { .. } | LeaseError::Lost | LeaseError::ClockWentBack { .. })
    )
}

fn is_conflict(error: &(dyn Error + 'static)) -> bool {
    error
        .downcast_ref::<TableError>()
        .is_some_and(|error| error.conflict)
}
