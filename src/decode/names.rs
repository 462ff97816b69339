//! Which names may be columns.
//!
//! Hazards: Delta refuses some characters without column mapping; readers that fold case see
//! `id` and `Id` as one; the table's own columns must not be taken by an event's field; a table keeps the names
//! of its columns for good, so no identifier of a person may become one.

/// The column that keeps what did not fit.
pub const RESCUED: &str = "_rescued";

/// Names that the table uses itself, besides every top-level name that starts with `_`.
pub const RESERVED: &[&str] = &["event_date"];

/// Customer numbers, telephone numbers and dates of birth have as many digits.
const DIGITS_OF_AN_IDENTIFIER: usize = 6;

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

/// Whether it is more likely a value by which somebody keys a map than the name of a field: a number, a mail
/// address, a UUID, many digits.
pub fn looks_like_a_value(name: &str) -> bool {
    let digits = name.chars().filter(char::is_ascii_digit).count();
    let is_number = digits > 0 && digits == name.chars().count();
    is_number || digits >= DIGITS_OF_AN_IDENTIFIER || name.contains('@') || is_like_uuid(name)
}

/// Groups of 8, 4, 4, 4 and 12 letters or digits.
fn is_like_uuid(name: &str) -> bool {
    let is_plain = |group: &str| group.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let groups: Vec<&str> = name.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12] && groups.into_iter().all(is_plain)
}

/// Whether readers that fold case take two names for one.
pub fn same_but_for_case(one: &str, other: &str) -> bool {
    fold_case(one) == fold_case(other)
}

/// Equal for names that differ only in case.
pub(super) fn fold_case(name: &str) -> String {
    name.to_lowercase()
}
