//! Where a value ends, held against a scanner that is as plain as can be.

use proptest::collection::vec;
use proptest::prelude::*;

use super::generators::cases;
use crate::decode::Reason;
use crate::decode::scan::end_of_value;

/// Reads a value by the book, one byte after the other.
struct Plain<'data> {
    data: &'data [u8],
    position: usize,
}

impl Plain<'_> {
    fn peek(&mut self) -> Option<u8> {
        while matches!(
            self.data.get(self.position),
            Some(b' ' | b'\t' | b'\n' | b'\r')
        ) {
            self.position += 1;
        }
        self.data.get(self.position).copied()
    }

    fn value(&mut self, depth: usize) -> Result<(), Reason> {
        match self.peek() {
            Some(b'{') => self.container(depth, b'}', true),
            Some(b'[') => self.container(depth, b']', false),
            Some(b'"') => self.string(),
            None | Some(b'}' | b']' | b',' | b':') => Err(self.unexpected()),
            Some(_) => {
                let delimiters = b" \t\n\r{}[]:,\"";
                while self
                    .data
                    .get(self.position)
                    .is_some_and(|byte| !delimiters.contains(byte))
                {
                    self.position += 1;
                }
                Ok(())
            }
        }
    }

    fn container(&mut self, depth: usize, closer: u8, has_keys: bool) -> Result<(), Reason> {
        if depth == 0 {
            return Err(Reason::TooDeep);
        }
        self.position += 1;
        let mut is_first = true;
        while self.peek() != Some(closer) {
            if !is_first {
                self.expect(b',')?;
            }
            // A comma promises another one.
            is_first = false;
            if has_keys {
                if self.peek() != Some(b'"') {
                    return Err(self.unexpected());
                }
                self.string()?;
                self.expect(b':')?;
            }
            self.value(depth - 1)?;
        }
        self.position += 1;
        Ok(())
    }

    fn expect(&mut self, byte: u8) -> Result<(), Reason> {
        if self.peek() != Some(byte) {
            return Err(self.unexpected());
        }
        self.position += 1;
        Ok(())
    }

    fn string(&mut self) -> Result<(), Reason> {
        self.position += 1;
        loop {
            match self.data.get(self.position..).unwrap_or_default() {
                [b'"', ..] => break,
                [b'\n', ..] | [b'\\', b'\n', ..] => return Err(Reason::BrokenString),
                [b'\\', _, ..] => self.position += 2,
                [] | [b'\\'] => return Err(Reason::Truncated),
                _ => self.position += 1,
            }
        }
        self.position += 1;
        Ok(())
    }

    fn unexpected(&mut self) -> Reason {
        match self.peek() {
            None => Reason::Truncated,
            Some(b'"') => self.string().err().unwrap_or(Reason::Syntax),
            Some(_) => Reason::Syntax,
        }
    }
}

fn by_the_book(data: &[u8], max_depth: usize) -> Result<usize, Reason> {
    let mut plain = Plain { data, position: 0 };
    plain.value(max_depth)?;
    Ok(plain.position)
}

fn token() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"a\"",
        "\"",
        "\"a\":",
        "1",
        "-2.5e3",
        "true",
        " ",
        "\n",
        "\\",
        "\\\"",
        "\t",
        "{}",
        "[]",
        "\"long enough for more than a word\"",
        "\"\\u00e9 and \\\\ and \\\" in it\"",
        "{\"a\":1,",
        "[1,",
        "\"seven b",
        "\u{1}",
        "é",
    ])
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn values_end_where_they_should(tokens in vec(token(), 0..30), max_depth in 0_usize..6) {
        let text = tokens.concat();
        prop_assert_eq!(
            end_of_value(text.as_bytes(), 0, max_depth),
            by_the_book(text.as_bytes(), max_depth),
            "{}", text
        );
    }
}

#[test]
fn special_bytes_are_found_at_every_place_of_a_word() {
    for length in 0..40 {
        let clean = "é".repeat(length / 2) + if length % 2 == 1 { "x" } else { "" };
        for (special, expected) in [
            ("\"", Ok(length + 2)),
            ("\n\"", Err(Reason::BrokenString)),
            ("\\\"\"", Ok(length + 4)),
            ("\u{1f}\"", Ok(length + 3)),
            ("", Err(Reason::Truncated)),
        ] {
            let text = format!("\"{clean}{special}");
            assert_eq!(end_of_value(text.as_bytes(), 0, 1), expected, "{text:?}");
        }
    }
}
