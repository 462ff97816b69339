//! Identifiers in bytes that could not be understood.

/// Tokens shorter than this turn up in dates and counts everywhere.
const TELLING: usize = 5;

/// Whether `token` stands somewhere in `bytes` as a word.
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

/// `bytes` with JSON's escapes resolved, if there are any; what is none stays as it is.
pub fn spelled_out(bytes: &[u8]) -> Option<Vec<u8>> {
    if !bytes.contains(&b'\\') {
        return None;
    }
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, behind)) = rest.split_first() {
        let escape = (*first == b'\\').then(|| escape(behind)).flatten();
        if let Some((sign, length)) = escape {
            plain.extend_from_slice(sign.encode_utf8(&mut [0; 4]).as_bytes());
            rest = behind.get(length..).unwrap_or_default();
        } else {
            plain.push(*first);
            rest = behind;
        }
    }
    Some(plain)
}

/// The character that an escape stands for, and how many bytes it takes behind its backslash.
fn escape(bytes: &[u8]) -> Option<(char, usize)> {
    let sign = match bytes.first()? {
        b'u' => return unicode(bytes),
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        same @ (b'"' | b'\\' | b'/') => char::from(*same),
        _ => return None,
    };
    Some((sign, 1))
}

/// One or, for what lies beyond 16 bits, two units of UTF-16.
fn unicode(bytes: &[u8]) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let digits = bytes.get(at..at + 4)?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let first = unit(1)?;
    if let Some(sign) = char::from_u32(first.into()) {
        return Some((sign, 5));
    }
    let second = bytes.get(5..7).filter(|start| start == b"\\u");
    let second = second.and_then(|_| unit(7))?;
    let sign = char::decode_utf16([first, second]).next()?.ok()?;
    Some((sign, 11))
}

/// What stands between quotes in `bytes`, its escapes resolved.
pub fn quoted(bytes: &[u8]) -> Vec<String> {
    let mut texts = Vec::new();
    let mut start = None;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (byte, start) {
            (b'\\', _) => at += 1,
            (b'"', None) => start = Some(at + 1),
            (b'"', Some(first)) => {
                let text = bytes.get(first..at).unwrap_or_default();
                let plain = spelled_out(text).unwrap_or_else(|| text.to_vec());
                texts.push(String::from_utf8_lossy(&plain).into_owned());
                start = None;
            }
            _ => {}
        }
        at += 1;
    }
    texts
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
    fn escapes_are_spelled_out() {
        let plain =
            |text: &str| spelled_out(text.as_bytes()).map(|out| String::from_utf8(out).unwrap());
        assert_eq!(plain("josé"), None);
        assert_eq!(
            plain(r#"jos\u00e9 \ud83c\udfab o\"b \\ \q \u00"#).unwrap(),
            "josé 🎫 o\"b \\ \\q \\u00"
        );
        assert_eq!(
            quoted(r#"{"a": "Ann Example", "b\"c": 5, "open"#.as_bytes()),
            ["a", "Ann Example", "b\"c"]
        );
    }

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
