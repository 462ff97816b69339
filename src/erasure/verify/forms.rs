//! The forms that a text takes in bytes: as it is, percent-encoded, in UTF-16, in hexadecimal, in base64.
//!
//! JSON escapes are no form: strings are decoded where they may hold one.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// From so many characters on, a form means something wherever its bytes turn up.
pub(super) const LONG: usize = 8;

/// A text as bytes spell it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spelling {
    pub bytes: Vec<u8>,
    /// Whether it means something wherever it turns up.
    pub is_long: bool,
    /// Whether it counts only in this very case.
    pub exact: bool,
}

/// All spellings of a text, the text itself first. ASCII letters stand for both cases unless `exact` says
/// otherwise; other letters' cases are spelled out.
pub(super) fn spellings(text: &str) -> Vec<Spelling> {
    let is_long = text.chars().count() >= LONG;
    let mut spellings = Vec::new();
    // Two short texts that differ in case may be two customers.
    push(&mut spellings, text.as_bytes().to_vec(), is_long, !is_long);
    let mut cases = vec![text.to_owned()];
    if is_long {
        cases.extend([text.to_lowercase(), text.to_uppercase()]);
    }
    for text in &cases {
        push(&mut spellings, text.as_bytes().to_vec(), is_long, !is_long);
        for unreserved in ["-_.~", "-_.~@", "-_.~@:/?&=+$,;"] {
            let encoded = percent_encoded(text, unreserved);
            let is_long = encoded.chars().count() >= LONG;
            if is_long && encoded != *text {
                push(&mut spellings, encoded.into_bytes(), true, false);
            }
        }
        if is_long {
            push_wide(&mut spellings, text);
            push(&mut spellings, hex::encode(text).into_bytes(), true, false);
        }
    }
    if is_long {
        for text in &cases {
            push_base64(&mut spellings, text.as_bytes());
        }
    }
    spellings
}

fn push(spellings: &mut Vec<Spelling>, bytes: Vec<u8>, is_long: bool, exact: bool) {
    let is_new = |other: &Spelling| {
        let case_matters = exact || other.exact;
        other.bytes != bytes && (case_matters || !other.bytes.eq_ignore_ascii_case(&bytes))
    };
    if spellings.iter().all(is_new) {
        spellings.push(Spelling {
            bytes,
            is_long,
            exact,
        });
    }
}

fn push_wide(spellings: &mut Vec<Spelling>, text: &str) {
    let little = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    push(spellings, little, true, false);
    push(spellings, big, true, false);
}

/// What is in the base64 of any text that holds `text`: of the three ways in which it can lie across the
/// groups of three bytes, the digits that its neighbours have no part in.
fn push_base64(spellings: &mut Vec<Spelling>, text: &[u8]) {
    for before in 0..3_usize {
        let padded = [&[0_u8; 2][..before.min(2)], text].concat();
        let digits_of_before = (before * 8).div_ceil(6);
        let whole_digits = padded.len() * 8 / 6;
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let encoded = engine.encode(&padded).into_bytes();
            let own = encoded.get(digits_of_before..whole_digits);
            push(spellings, own.unwrap_or_default().to_vec(), true, true);
        }
    }
}

fn percent_encoded(text: &str, unreserved: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        let sign = char::from(byte);
        if sign.is_ascii_alphanumeric() || unreserved.contains(sign) {
            encoded.push(sign);
        } else {
            // Writing to memory does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
