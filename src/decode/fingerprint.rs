//! A hash of what an event means, to compare what was read with what was written (invariant 5).
//!
//! Hazard: it must not depend on spelling or key order, and must not confuse values that only look
//! alike when written side by side; so every part goes in with a tag and its length.

use twox_hash::xxhash3_128::Hasher;

use arrow::array::RecordBatch;

use super::json::by_key;
use super::number::Decimal;
use super::{Json, RebuildError, rebuild};

/// Hash of the canonical form. Equal for two events exactly if they are
/// [`super::semantically_equal`], as far as 64 bits tell.
pub fn fingerprint(event: &Json) -> u64 {
    let mut hasher = Hasher::new();
    add_value(&mut hasher, event);
    hasher.finish_128() as u64
}

/// The fingerprint of every row of a batch as read back from a file, in order.
pub fn fingerprints(batch: &RecordBatch) -> Result<Vec<u64>, RebuildError> {
    (0..batch.num_rows())
        .map(|row| Ok(fingerprint(&rebuild(batch, row)?)))
        .collect()
}

fn add_value(hasher: &mut Hasher, value: &Json) {
    match value {
        Json::Null => hasher.write(b"n"),
        Json::Bool(value) => hasher.write(if *value { b"t" } else { b"f" }),
        Json::Number(number) => add_decimal(hasher, &number.decimal()),
        Json::String(text) => add_text(hasher, b"s", text),
        Json::Array(elements) => {
            add_length(hasher, b"a", elements.len());
            for element in elements {
                add_value(hasher, element);
            }
        }
        Json::Object(members) => {
            let mut gathered = by_key(members);
            gathered.sort_unstable_by_key(|(key, _)| *key);
            add_length(hasher, b"o", gathered.len());
            for (key, values) in gathered {
                add_text(hasher, b"k", key);
                add_length(hasher, b"v", values.len());
                for value in values {
                    add_value(hasher, value);
                }
            }
        }
    }
}

fn add_decimal(hasher: &mut Hasher, decimal: &Decimal) {
    match decimal {
        Decimal::Zero => hasher.write(b"0"),
        Decimal::Digits {
            negative,
            digits,
            power_of_ten,
        } => {
            add_text(hasher, if *negative { b"-" } else { b"+" }, digits);
            hasher.write(&power_of_ten.to_le_bytes());
        }
        Decimal::Immense(spelling) => add_text(hasher, b"e", spelling),
    }
}

fn add_text(hasher: &mut Hasher, tag: &[u8], text: &str) {
    add_length(hasher, tag, text.len());
    hasher.write(text.as_bytes());
}

fn add_length(hasher: &mut Hasher, tag: &[u8], length: usize) {
    hasher.write(tag);
    hasher.write(&(length as u64).to_le_bytes());
}
