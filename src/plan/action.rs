//! The kinds of steps, each with exactly what it touches.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::lake::hold::Held;
use crate::lake::s3::ObjectVersion;
use crate::lake::tables::DataFile;
use crate::lake::uploads::PlacedUpload;
use crate::policy::Horizon;

/// The kinds of steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// Raw objects into the event table, one commit.
    Compact(Compact),
    /// Small files of an event table into larger ones; the rows stay the same.
    Fold(Fold),
    /// Requests that were dropped into the lake are filed.
    FileRequests(FileRequests),
    /// Who belongs to the subjects of requests, before anything of them is deleted.
    Identify(Identify),
    /// Subjects out of a dataset.
    Erase(Erase),
    /// Subjects out of a curated table that carries identifiers.
    EraseCurated(EraseCurated),
    /// What is too old out of a dataset.
    Retain(Retain),
    /// What is too old out of a curated table.
    RetainCurated(RetainCurated),
    /// Partitions of a curated table made anew.
    Curate(Curate),
    /// Unfinished uploads that may hold a subject, or that were given up.
    Abort(Abort),
    /// Physical removal of what tables no longer use.
    Purge(Purge),
    /// A checkpoint of a table's log.
    Checkpoint(Checkpoint),
    /// What a table's log says of versions before its history.
    CleanLog(CleanLog),
    /// The beginning of a ledger, which says nothing that matters any more.
    TrimLedger(TrimLedger),
    /// The scan for traces and the certificate of a request.
    Certify(Certify),
}

impl Action {
    /// The dataset whose raw objects or events it is about, if it is about those.
    pub fn dataset(&self) -> Option<&str> {
        match self {
            Self::Compact(action) => Some(&action.dataset),
            Self::Fold(action) => Some(&action.dataset),
            Self::Erase(action) => Some(&action.dataset),
            Self::Retain(action) => Some(&action.dataset),
            Self::TrimLedger(action) => Some(&action.dataset),
            Self::FileRequests(_)
            | Self::Abort(_)
            | Self::Identify(_)
            | Self::EraseCurated(_)
            | Self::RetainCurated(_)
            | Self::Curate(_)
            | Self::Purge(_)
            | Self::Checkpoint(_)
            | Self::CleanLog(_)
            | Self::Certify(_) => None,
        }
    }

    /// Whether it takes away what a hold may keep.
    pub fn takes_away(&self) -> bool {
        match self {
            Self::Erase(_)
            | Self::EraseCurated(_)
            | Self::Retain(_)
            | Self::RetainCurated(_)
            | Self::Curate(_)
            | Self::Abort(_)
            | Self::Purge(_) => true,
            Self::Compact(_)
            | Self::Fold(_)
            | Self::FileRequests(_)
            | Self::Identify(_)
            | Self::Checkpoint(_)
            | Self::CleanLog(_)
            | Self::TrimLedger(_)
            | Self::Certify(_) => false,
        }
    }

    /// Whether it is certain to take rows out of tables by age, to rewrite or delete raw objects, or to purge.
    pub fn is_destructive(&self) -> bool {
        match self {
            Self::Compact(_)
            | Self::Fold(_)
            | Self::Curate(_)
            | Self::FileRequests(_)
            | Self::Identify(_)
            | Self::EraseCurated(_)
            | Self::Checkpoint(_)
            | Self::Certify(_) => false,
            Self::Erase(_)
            | Self::Abort(_)
            | Self::CleanLog(_)
            | Self::TrimLedger(_)
            | Self::RetainCurated(_) => true,
            Self::Retain(retain) => {
                let versions = [&retain.raw, &retain.trim, &retain.quarantine];
                let files = [&retain.files, &retain.partly, &retain.straddling];
                versions.iter().any(|versions| !versions.is_empty())
                    || files.iter().any(|files| !files.is_empty())
            }
            Self::Purge(purge) => !purge.versions.is_empty(),
        }
    }
}

/// Raw objects to compact in one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compact {
    /// The dataset.
    pub dataset: String,
    /// The objects, all of them current versions.
    pub objects: Vec<ObjectVersion>,
    /// Older events are not admitted.
    pub keep_from: Horizon,
}

/// Small files of an event table to fold into files near its target size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fold {
    /// The dataset.
    pub dataset: String,
    /// The files that are worth it now. What is folded follows by the same rule from the table as earlier
    /// steps leave it.
    pub files: Vec<DataFile>,
    /// Steps that may leave more small files.
    pub after: Vec<String>,
}

/// Requests to file from the inbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRequests {
    /// Their ids.
    pub requests: Vec<String>,
    /// All versions of the files that they came in, which go.
    pub files: Vec<ObjectVersion>,
}

/// Requests whose subjects are identified, by links too, and put on the suppression list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identify {
    /// Ids of the requests.
    pub requests: Vec<String>,
    /// Steps that may bring more links.
    pub after: Vec<String>,
}

/// Subjects to erase from a curated table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EraseCurated {
    /// The table.
    pub table: String,
    /// Ids of the requests.
    pub requests: Vec<String>,
    /// Files with a row of theirs.
    pub files: Vec<DataFile>,
    /// What stays whoever asks.
    #[serde(default)]
    pub held: Held,
    /// Requests of which rows are held: they stay open.
    #[serde(default)]
    pub held_requests: Vec<String>,
    /// Steps that must have been done.
    pub after: Vec<String>,
}

/// Subjects to erase from one dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erase {
    /// The dataset.
    pub dataset: String,
    /// Ids of the requests.
    pub requests: Vec<String>,
    /// Table files with a row of theirs. What earlier steps of the run bring, and what newly found links
    /// lead to, is searched too.
    pub files: Vec<DataFile>,
    /// Raw object versions to search.
    pub raw: Vec<ObjectVersion>,
    /// Others, which are held: it is only looked whose they are.
    #[serde(default)]
    pub kept: Vec<ObjectVersion>,
    /// Quarantine objects to search, all versions.
    pub quarantine: Vec<ObjectVersion>,
    /// What stays whoever asks.
    #[serde(default)]
    pub held: Held,
    /// Requests of which rows are held: they stay open.
    #[serde(default)]
    pub held_requests: Vec<String>,
    /// Steps whose output is searched too.
    pub after: Vec<String>,
}

/// What leaves a dataset by age.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retain {
    /// The dataset.
    pub dataset: String,
    /// What is older goes.
    pub keep_from: Horizon,
    /// Table files of older partitions.
    pub files: Vec<DataFile>,
    /// Others, of which held people's rows stay.
    #[serde(default)]
    pub partly: Vec<DataFile>,
    /// Table files of the line's own day that hold older rows too: those rows go.
    #[serde(default)]
    pub straddling: Vec<DataFile>,
    /// Those rows.
    #[serde(default)]
    pub straddling_rows: u64,
    /// Raw object versions that go whole.
    pub raw: Vec<ObjectVersion>,
    /// All versions of raw objects that straddle the line, or hold events of erased subjects: those
    /// records go.
    pub trim: Vec<ObjectVersion>,
    /// Quarantine object versions that go.
    pub quarantine: Vec<ObjectVersion>,
    /// What stays however old it is.
    #[serde(default)]
    pub held: Held,
    /// Keys of raw objects that are compacted tonight while older versions of them never were: what must
    /// not stay is taken out of all their versions.
    pub older: Vec<String>,
    /// Steps that may find more raw objects to trim.
    pub after: Vec<String>,
}

/// What leaves a curated table by age.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetainCurated {
    /// The table.
    pub table: String,
    /// The oldest date that stays.
    pub keep_from: NaiveDate,
    /// Files of older partitions.
    pub files: Vec<DataFile>,
    /// Others, of which held people's rows stay.
    #[serde(default)]
    pub partly: Vec<DataFile>,
}

/// Partitions to make anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Curate {
    /// The table.
    pub table: String,
    /// The days, or `None` for all of them.
    pub days: Option<BTreeSet<NaiveDate>>,
    /// Of these, what stays as it is.
    #[serde(default)]
    pub held: Held,
    /// Steps that may touch more days.
    pub after: Vec<String>,
}

/// Unfinished uploads to abort.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abort {
    /// The uploads.
    pub uploads: Vec<PlacedUpload>,
}

/// Object versions to remove for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purge {
    /// The table or dataset whose folder it is, as the plan's `tables` name it.
    pub owner: String,
    /// The versions.
    pub versions: Vec<ObjectVersion>,
    /// Steps whose removed files are purged too, readers' grace being zero.
    pub after: Vec<String>,
}

/// A table whose log has grown long: the checkpoint saves readers from reading all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The table.
    pub table: String,
}

/// What a table's log says of versions that nobody may need any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CleanLog {
    /// The table.
    pub table: String,
    /// The version whose checkpoint and commit stay, with all that came after.
    pub from: u64,
    /// The object versions that go.
    pub versions: Vec<ObjectVersion>,
}

/// The beginning of a dataset's ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrimLedger {
    /// The dataset.
    pub dataset: String,
    /// The number of the first segment that stays.
    pub from: u64,
    /// The object versions that go.
    pub versions: Vec<ObjectVersion>,
    /// Steps that remove what the segments name.
    pub after: Vec<String>,
}

/// A request to scan for and certify.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certify {
    /// The request's id.
    pub request: String,
    /// Steps that must have been done.
    pub after: Vec<String>,
}
