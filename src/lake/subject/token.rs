//! Identifiers in bytes that could not be understood.

/// Tokens shorter than this turn up in dates and counts everywhere.
const TELLING: usize = 5;

/// Whether `token` stands somewhere in `bytes` as a word.
#[cfg(test)]
pub fn contains_token(bytes: &[u8], token: &[u8]) -> bool {
    if token.is_empty() || bytes.len() < token.len() {
        return false;
    }
    let windows = bytes.windows(token.len()).enumerate();
    windows
        .filter(|(_, window)| *window == token)
        .any(|(start, _)| stands_alone(bytes, start, token.len()))
}

/// Whether the bytes from `start` on are a word: with no letter or digit on either side. A short one must
/// stand where a value does, in quotes or behind `:` or `=`.
pub fn stands_alone(bytes: &[u8], start: usize, length: usize) -> bool {
    let is_word = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let before = bytes.get(..start).unwrap_or_default();
    let behind = bytes.get(start + length);
    !is_word(before.last()) && !is_word(behind) && (length >= TELLING || is_value(before, behind))
}

fn is_value(before: &[u8], behind: Option<&u8>) -> bool {
    let in_quotes = before.last() == Some(&b'"') && behind == Some(&b'"');
    let assigned = before
        .trim_ascii_end()
        .last()
        .is_some_and(|byte| b":=".contains(byte));
    in_quotes || assigned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_stands_alone() {
        for text in [
            "789456",
            "x 789456 y",
            "\"789456\"",
            "id=789456",
            "-789456-",
        ] {
            assert!(contains_token(text.as_bytes(), b"789456"), "{text}");
        }
        for text in ["1789456", "7894567", "a789456", "78945", ""] {
            assert!(!contains_token(text.as_bytes(), b"789456"), "{text}");
        }
        assert!(contains_token(b"17894561 789456", b"789456"));
        for text in ["\"userId\": 22,", "\"22\"", "id=22"] {
            assert!(contains_token(text.as_bytes(), b"22"), "{text}");
        }
        for text in [
            "2026-11-22",
            "day=22x",
            "at 22 o'clock",
            "{\"at\":\"2026-11-22\"}",
        ] {
            assert!(!contains_token(text.as_bytes(), b"22"), "{text}");
        }
    }
}
