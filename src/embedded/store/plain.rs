//! The plain files: a bucket's current objects where a person can open them.
//!
//! Every plain file is a link to (or, where links do not work, a copy of) a
//! body under `.s3`. They follow from the records and are never read back, so
//! a missing or a wrong one is no loss: opening puts it right. A key that
//! cannot be a path (`..`, an empty or overlong segment, a trailing slash, a
//! key that is also a folder of another key) simply has no plain file.
//!
//! Hazard: what a person writes into such a folder is not an object, and is
//! replaced when an object of that key comes.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::files::link_or_copy;

/// A bucket's folder of plain files.
#[derive(Debug, Clone)]
pub struct PlainFiles {
    folder: PathBuf,
    /// The file system takes `A` and `a` for one name.
    folds_case: bool,
}

/// Bytes that a file name may have on the common file systems.
const LONGEST_NAME: usize = 255;

impl PlainFiles {
    pub fn new(folder: PathBuf, folds_case: bool) -> Self {
        Self { folder, folds_case }
    }

    /// Makes the bucket's folder.
    pub fn create(&self) -> io::Result<()> {
        fs::create_dir_all(&self.folder)
    }

    /// Removes the bucket's folder, unless someone put files of their own there.
    pub fn remove(&self) {
        let _ = fs::remove_dir(&self.folder);
    }

    /// Where the object of `key` lies; `None` for a key that cannot be a path.
    pub fn path_of(&self, key: &str) -> Option<PathBuf> {
        if self.folds_case && !(key.is_ascii() && key == key.to_ascii_lowercase()) {
            return None;
        }
        let mut path = self.folder.clone();
        for segment in key.split('/') {
            if !is_file_name(segment) {
                return None;
            }
            path.push(segment);
        }
        Some(path)
    }

    /// Makes the plain file of `key` show `body`.
    ///
    /// # Errors
    /// When something is in the way, such as a folder of that name.
    pub fn show(&self, key: &str, body: &Path, scratch: &Path) -> io::Result<()> {
        let Some(path) = self.path_of(key) else {
            return Ok(());
        };
        match fs::hard_link(body, &path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if let Some(parent) = path.parent() {
                    fs::create_dir_all(parent)?;
                }
            }
            Err(_) => {}
        }
        link_or_copy(body, scratch)?;
        let shown = fs::rename(scratch, &path);
        // Renaming a link over another link to the same file leaves both.
        let _ = fs::remove_file(scratch);
        shown
    }

    /// Removes the plain file of `key` and the folders that this leaves empty.
    pub fn hide(&self, key: &str) {
        let Some(path) = self.path_of(key) else {
            return;
        };
        if fs::remove_file(&path).is_err() {
            return;
        }
        for folder in path.ancestors().skip(1) {
            if folder == self.folder || fs::remove_dir(folder).is_err() {
                return;
            }
        }
    }

    /// Whether the plain file of `key` is a link to `body`, or rightly absent.
    pub fn shows(&self, key: &str, body: &Path) -> bool {
        self.path_of(key)
            .is_none_or(|path| is_same_file(&path, body))
    }
}

fn is_file_name(segment: &str) -> bool {
    let forbidden = |character: char| {
        character.is_control() || (cfg!(windows) && r#"<>:"\|?*"#.contains(character))
    };
    !segment.is_empty()
        && segment != "."
        && segment != ".."
        && segment.len() <= LONGEST_NAME
        && !segment.contains(forbidden)
}

#[cfg(unix)]
fn is_same_file(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (fs::symlink_metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => one.dev() == other.dev() && one.ino() == other.ino(),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_same_file(_one: &Path, _other: &Path) -> bool {
    false
}
