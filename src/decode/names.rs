//! Which names may be columns.
//!
//! Hazards: Delta refuses some characters without column mapping; readers that fold case see
//! `id` and `Id` as one; the table's own columns must not be taken by an event's field.

/// The column that keeps what did not fit.
pub const RESCUED: &str = "_rescued";

/// Names that the table uses itself, besides every top-level name that starts with `_`.
pub const RESERVED: &[&str] = &["event_date"];

/// Snowflake's limit for an identifier.
const MOST_NAME_BYTES: usize = 255;

/// Whether a top-level name, in any case, belongs to the table and not to events.
pub fn is_reserved(name: &str) -> bool {
    name.starts_with('_') || RESERVED.contains(&fold_case(name).as_str())
}

/// Whether a Delta column at any level may have this name.
pub fn is_allowed(name: &str) -> bool {
    let is_fit_length = (1..=MOST_NAME_BYTES).contains(&name.len());
    is_fit_length && !name.contains([' ', ',', ';', '{', '}', '(', ')', '=', '\t', '\n', '\r'])
}

/// Whether readers that fold case take two names for one.
pub fn same_but_for_case(one: &str, other: &str) -> bool {
    fold_case(one) == fold_case(other)
}

/// Equal for names that differ only in case.
pub(super) fn fold_case(name: &str) -> String {
    name.to_lowercase()
}
