//! Names that policies give, and what all policy files begin with.

use super::error::ValueError;
use super::section::Section;

/// A name that becomes part of keys, tables and columns: small letters, digits
/// and `_`, a letter first.
pub(super) fn name(text: &str) -> Result<String, ValueError> {
    const LONGEST: usize = 64;
    let allowed = text
        .chars()
        .all(|sign| matches!(sign, 'a'..='z' | '0'..='9' | '_'));
    let begins_well = text.starts_with(|sign: char| sign.is_ascii_lowercase());
    if allowed && begins_well && text.len() <= LONGEST {
        return Ok(text.to_owned());
    }
    Err(ValueError::new(format!(
        "a name has up to {LONGEST} small letters, digits and `_`, a letter first"
    )))
}

/// Checks the `version` of the file, so that a later layout is never misread.
pub(super) fn check_version(file: &Section<'_>) {
    file.required("version", |text| match text {
        "1" => Ok(()),
        _ => Err(ValueError::new("this program reads version 1")),
    });
}

/// Reads the name that the file gives under `key`; the file bears it too, so
/// that a copied file cannot silently speak for its original.
pub(super) fn name_of_file(file: &Section<'_>, path: &str, key: &str) -> Option<String> {
    let name = file.required(key, name)?;
    let stem = stem(path);
    if name != stem {
        let message = format!("`{key}` is `{name}`, but the file is {path}");
        let hint = format!("write `{key}: {stem}`, or name the file {name}.yaml");
        file.refuse(file.value_at(key), message, hint);
    }
    Some(name)
}

/// The file's name without folder and extension.
pub(super) fn stem(path: &str) -> &str {
    let file = path.rsplit_once('/').map_or(path, |(_, file)| file);
    file.rsplit_once('.').map_or(file, |(stem, _)| stem)
}

/// What tables are partitioned by: nothing else is carried out.
pub(super) fn check_partition(text: &str) -> Result<(), ValueError> {
    match text {
        "event_date" => Ok(()),
        _ => Err(ValueError::new("tables are partitioned by event_date")),
    }
}
