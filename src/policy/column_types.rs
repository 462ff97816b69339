//! `schema.types` of a dataset's policy: which fields become columns of which type.
//!
//! Hazard: a column, once there, is never changed. So what could not become that column is refused here
//! and not found out a year later.

use std::collections::BTreeMap;

use super::error::ValueError;
use super::field_path;
use super::section::{Key, Section};
use super::spelling::shown;
use super::yaml::Entry;
use crate::decode::{ColumnType, FieldPath, is_allowed, is_reserved, same_but_for_case};

const TYPES: &[Key] = &[Key::any("text")];

/// The declared types; empty if the section is left out.
pub(super) fn read(schema: &Section<'_>) -> Option<BTreeMap<FieldPath, ColumnType>> {
    let section = schema.section_or_empty("types", TYPES)?;
    let mut types: BTreeMap<FieldPath, ColumnType> = BTreeMap::new();
    let mut complete = true;
    for entry in section.entries() {
        let path = path(&section, entry, &types);
        let column_type = section.required(&entry.key, column_type);
        match (path, column_type) {
            (Some(path), Some(column_type)) => {
                types.insert(path, column_type);
            }
            _ => complete = false,
        }
    }
    complete.then_some(types)
}

/// The path that a key is, if a column can lie there beside those declared above it.
fn path(
    section: &Section<'_>,
    entry: &Entry,
    above: &BTreeMap<FieldPath, ColumnType>,
) -> Option<FieldPath> {
    let refuse = |why: &str, hint: &str| {
        let message = format!(
            "a field under `schema.types` cannot be `{}`: {why}",
            shown(&entry.key)
        );
        section.refuse(entry.at, message, hint);
    };
    let path = match field_path::parse(&entry.key) {
        Ok(path) => path,
        Err(why) => {
            refuse(
                &why.to_string(),
                "write `userId: text`, nested fields by dots",
            );
            return None;
        }
    };
    if path.names().first().is_some_and(|name| is_reserved(name)) {
        refuse(
            "the table uses `event_date` and names that begin with `_` itself",
            "remove it: an event's field of that name stays in `_rescued`",
        );
        return None;
    }
    if !path.names().iter().all(|name| is_allowed(name)) {
        refuse(
            "a column name has at most 255 bytes and none of ` ,;{}()=`",
            "remove it: a field of that name stays in `_rescued`",
        );
        return None;
    }
    for other in above.keys() {
        if let Some((why, hint)) = clash(&path, other) {
            refuse(&why, hint);
            return None;
        }
    }
    Some(path)
}

/// Why two columns cannot be there together.
fn clash(path: &FieldPath, other: &FieldPath) -> Option<(String, &'static str)> {
    let common = path.names().iter().zip(other.names());
    for (name, others) in common {
        if name != others {
            let hint = "keep the spelling that the events have";
            let why = format!("it differs from `{other}` only in case");
            return same_but_for_case(name, others).then_some((why, hint));
        }
    }
    // Two keys that are written alike were refused when the file was read.
    let (outer, inner) = if path.names().len() < other.names().len() {
        (path, other)
    } else {
        (other, path)
    };
    let why = format!("`{inner}` lies inside `{outer}`, which therefore has no type of its own");
    Some((why, "keep the inner one"))
}

fn column_type(text: &str) -> Result<ColumnType, ValueError> {
    text.parse()
        .map_err(|why: crate::decode::UnknownType| ValueError::new(why.to_string()))
}
