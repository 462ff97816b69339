//! The private folder on local disk in which a run keeps what does not fit into memory.
//!
//! Hazards: it holds events, so nobody else may read it and nothing may stay behind. Sorted runs are
//! files without a name, which vanish with the process whatever ends it; files on their way to S3 need
//! one, so the folder is removed at the end, and what a killed run left is removed at the start of the
//! next. A folder in use is known by a lock that its process holds.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempDir};

const LOCK: &str = "lock";
const NAME: &str = "lakewarden-spill-";

/// The folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "could not {attempted} in the spill folder {}: {reason}; name another in `lake.yaml`, as \
     `spill: /var/tmp/lakewarden`", folder.display()
)]
pub struct SpillError {
    attempted: &'static str,
    folder: PathBuf,
    reason: io::Error,
}

/// A run's own folder. It is removed when it is dropped.
#[derive(Debug)]
pub struct SpillFolder {
    folder: TempDir,
    /// Held as long as the folder is in use.
    _lock: File,
}

impl SpillFolder {
    /// Removes what dead runs left below `parent` and makes a new folder there, for this user alone.
    pub fn create(parent: &Path) -> Result<Self, SpillError> {
        let failed = |attempted| {
            move |reason| SpillError {
                attempted,
                folder: parent.to_owned(),
                reason,
            }
        };
        std::fs::create_dir_all(parent).map_err(failed("make a folder"))?;
        remove_abandoned(parent).map_err(failed("remove what an earlier run left"))?;
        loop {
            let folder = tempfile::Builder::new()
                .prefix(NAME)
                .permissions(Permissions::from_mode(0o700))
                .tempdir_in(parent)
                .map_err(failed("make a folder"))?;
            let name = folder.path().join(LOCK);
            let lock = File::create(&name).map_err(failed("make a file"))?;
            lock.lock().map_err(failed("lock a file"))?;
            // Another run may have taken it for abandoned before it was locked.
            if name.exists() {
                return Ok(Self {
                    folder,
                    _lock: lock,
                });
            }
        }
    }

    /// A file without a name: it is gone when it is closed.
    pub fn unnamed_file(&self) -> Result<File, SpillError> {
        tempfile::tempfile_in(self.folder.path()).map_err(|reason| self.failed(reason))
    }

    /// A file with a name: it is removed when it is dropped.
    pub fn named_file(&self) -> Result<NamedTempFile, SpillError> {
        NamedTempFile::new_in(self.folder.path()).map_err(|reason| self.failed(reason))
    }

    fn failed(&self, reason: io::Error) -> SpillError {
        SpillError {
            attempted: "make a file",
            folder: self.folder.path().to_owned(),
            reason,
        }
    }
}

/// Removes folders of ours whose lock nobody holds. One whose lock cannot be opened is left alone: it is
/// just being made, or another user's.
fn remove_abandoned(parent: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(parent)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(NAME) {
            continue;
        }
        let Ok(lock) = File::open(entry.path().join(LOCK)) else {
            continue;
        };
        if lock.try_lock().is_ok() {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn names(parent: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(parent).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn nothing_stays_behind_and_nobody_else_may_look() {
        let parent = tempfile::tempdir().unwrap();
        let spill = SpillFolder::create(parent.path()).unwrap();
        let mode = std::fs::metadata(spill.folder.path()).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o700);
        let mut named = spill.named_file().unwrap();
        named.write_all(b"x").unwrap();
        spill.unnamed_file().unwrap().write_all(b"x").unwrap();
        assert_eq!(
            names(spill.folder.path()).len(),
            2,
            "the lock and the named file"
        );
        drop(spill);
        assert!(names(parent.path()).is_empty());
    }

    #[test]
    fn a_dead_run_is_cleaned_up_and_a_live_one_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let dead = parent.path().join(format!("{NAME}dead"));
        std::fs::create_dir(&dead).unwrap();
        std::fs::write(dead.join(LOCK), "").unwrap();
        std::fs::write(dead.join("rows"), "x").unwrap();
        let foreign = parent.path().join("something-else");
        std::fs::create_dir(&foreign).unwrap();
        let live = SpillFolder::create(parent.path()).unwrap();
        assert!(!dead.exists());
        let second = SpillFolder::create(parent.path()).unwrap();
        assert!(live.folder.path().exists());
        assert!(foreign.exists());
        drop((live, second));
        assert_eq!(names(parent.path()), ["something-else"]);
    }
}
