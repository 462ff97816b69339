//! The structure of JSON text: where a value ends, and what it consists of.
//!
//! Framing and parsing stand on this one scanner, so they cannot disagree about where a record ends.
//! It knows strings, escapes and brackets; what is inside strings and words (numbers, `true`, `NaN`)
//! is for whoever listens to judge, so a bad one breaks its record only.
//!
//! Hazards: depth must not cost the call stack, so open containers are bits of a fixed array; every
//! byte of every object passes here, so strings are read eight bytes at a time.

use super::Reason;
use super::json::MAX_DEPTH;

/// What a scan comes across, in the order of the text. Positions are those of the scanned data.
pub(super) trait Listener {
    /// A bracket opens an object or a list.
    fn open(&mut self, container: Container, position: usize);
    /// The innermost container ends.
    fn close(&mut self);
    /// The inside of a string, of a key as of a value. `is_plain`: it stands for itself, without escapes
    /// and control characters.
    fn text(&mut self, start: usize, end: usize, is_plain: bool);
    /// Anything else up to white space, a quote, a bracket, a colon or a comma.
    fn word(&mut self, start: usize, word: &[u8]);
}

/// Listens to nothing: for those who only want to know where a value ends.
struct Nobody;

impl Listener for Nobody {
    fn open(&mut self, _: Container, _: usize) {}
    fn close(&mut self) {}
    fn text(&mut self, _: usize, _: usize, _: bool) {}
    fn word(&mut self, _: usize, _: &[u8]) {}
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    Object,
    Array,
}

/// The containers that are open, a bit each.
struct Nesting {
    is_object: [u64; MAX_DEPTH / 64],
    depth: usize,
    max_depth: usize,
}

impl Nesting {
    fn open(&mut self, container: Container) -> Result<(), Reason> {
        if self.depth >= self.max_depth {
            return Err(Reason::TooDeep);
        }
        let bit = 1 << (self.depth % 64);
        let bits = self
            .is_object
            .get_mut(self.depth / 64)
            .ok_or(Reason::TooDeep)?;
        match container {
            Container::Object => *bits |= bit,
            Container::Array => *bits &= !bit,
        }
        self.depth += 1;
        Ok(())
    }

    fn innermost(&self) -> Option<Container> {
        let depth = self.depth.checked_sub(1)?;
        let bits = self.is_object.get(depth / 64)?;
        Some(match bits >> (depth % 64) & 1 {
            1 => Container::Object,
            _ => Container::Array,
        })
    }
}

/// Where the JSON value that starts at `start` ends, or why it has no end.
pub(super) fn end_of_value(data: &[u8], start: usize, max_depth: usize) -> Result<usize, Reason> {
    scan(data, start, max_depth, &mut Nobody)
}

/// Reads one value from `start` on, at most `max_depth` containers deep, and tells `listener` what it
/// consists of. Returns where it ends.
pub(super) fn scan<Hearing: Listener>(
    data: &[u8],
    start: usize,
    max_depth: usize,
    listener: &mut Hearing,
) -> Result<usize, Reason> {
    let mut nesting = Nesting {
        is_object: [0; MAX_DEPTH / 64],
        depth: 0,
        max_depth,
    };
    let mut position = skip_white_space(data, start);
    loop {
        position = match data.get(position) {
            Some(b'"') => string(data, position, listener)?,
            Some(b'{') => {
                nesting.open(Container::Object)?;
                listener.open(Container::Object, position);
                position = skip_white_space(data, position + 1);
                if data.get(position) != Some(&b'}') {
                    position = key(data, position, listener)?;
                    continue;
                }
                position
            }
            Some(b'[') => {
                nesting.open(Container::Array)?;
                listener.open(Container::Array, position);
                position = skip_white_space(data, position + 1);
                if data.get(position) != Some(&b']') {
                    continue;
                }
                position
            }
            None | Some(b'}' | b']' | b':' | b',') => return Err(misplaced(data, position)),
            Some(_) => {
                let end = end_of_word(data, position + 1);
                listener.word(position, data.get(position..end).unwrap_or_default());
                end
            }
        };
        // A value has ended, or a container ends at once: on to where the next value starts.
        loop {
            let Some(container) = nesting.innermost() else {
                return Ok(position);
            };
            position = skip_white_space(data, position);
            match (data.get(position), container) {
                (Some(b','), Container::Object) => {
                    position = key(data, skip_white_space(data, position + 1), listener)?;
                    break;
                }
                (Some(b','), Container::Array) => {
                    position = skip_white_space(data, position + 1);
                    break;
                }
                (Some(b'}'), Container::Object) | (Some(b']'), Container::Array) => {
                    nesting.depth -= 1;
                    listener.close();
                    position += 1;
                }
                _ => return Err(misplaced(data, position)),
            }
        }
    }
}

/// Reads a key and its colon; returns where its value starts.
#[expect(clippy::inline_always, reason = "measured: a tenth of the scan")]
#[inline(always)]
fn key<Hearing: Listener>(
    data: &[u8],
    position: usize,
    listener: &mut Hearing,
) -> Result<usize, Reason> {
    if data.get(position) != Some(&b'"') {
        return Err(misplaced(data, position));
    }
    let end = string(data, position, listener)?;
    let colon = skip_white_space(data, end);
    if data.get(colon) != Some(&b':') {
        return Err(misplaced(data, colon));
    }
    Ok(skip_white_space(data, colon + 1))
}

/// Why what stands at `position` cannot stand there.
#[cold]
pub(super) fn misplaced(data: &[u8], position: usize) -> Reason {
    match data.get(position) {
        None => Reason::Truncated,
        Some(b'"') => match string(data, position, &mut Nobody) {
            Ok(_) => Reason::Syntax,
            Err(reason) => reason,
        },
        Some(_) => Reason::Syntax,
    }
}

#[inline]
pub(super) fn is_white_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[inline]
pub(super) fn skip_white_space(data: &[u8], mut position: usize) -> usize {
    while data.get(position).is_some_and(|byte| is_white_space(*byte)) {
        position += 1;
    }
    position
}

/// Reads the string whose quote is at `quote`; returns where it ends, behind its other quote.
#[expect(clippy::inline_always, reason = "measured: a tenth of the scan")]
#[inline(always)]
fn string<Hearing: Listener>(
    data: &[u8],
    quote: usize,
    listener: &mut Hearing,
) -> Result<usize, Reason> {
    let start = quote + 1;
    let mut position = end_of_plain_text(data, start);
    let is_plain = data.get(position) == Some(&b'"');
    if !is_plain {
        position = end_of_text(data, position)?;
    }
    listener.text(start, position, is_plain);
    Ok(position + 1)
}

/// The first quote, backslash or control character.
#[expect(clippy::inline_always, reason = "measured: a tenth of the scan")]
#[inline(always)]
fn end_of_plain_text(data: &[u8], mut position: usize) -> usize {
    while let Some(bytes) = data.get(position..).and_then(<[u8]>::first_chunk::<8>) {
        let special = special_bytes(u64::from_le_bytes(*bytes));
        if special != 0 {
            return position + (special.trailing_zeros() / 8) as usize;
        }
        position += 8;
    }
    while data
        .get(position)
        .is_some_and(|byte| *byte >= b' ' && *byte != b'"' && *byte != b'\\')
    {
        position += 1;
    }
    position
}

/// The highest bit of every byte of a word that is a quote, a backslash or a control character. Bits
/// above the lowest of them may be wrong: only the first such byte can be told.
#[inline]
fn special_bytes(word: u64) -> u64 {
    const LOWEST: u64 = 0x0101_0101_0101_0101;
    const HIGHEST: u64 = 0x8080_8080_8080_8080;
    let zero_bytes = |word: u64| word.wrapping_sub(LOWEST) & !word;
    let quotes = zero_bytes(word ^ (LOWEST * u64::from(b'"')));
    let backslashes = zero_bytes(word ^ (LOWEST * u64::from(b'\\')));
    let controls = word.wrapping_sub(LOWEST * u64::from(b' ')) & !word;
    (quotes | backslashes | controls) & HIGHEST
}

/// The quote that ends a string with escapes or control characters.
#[cold]
fn end_of_text(data: &[u8], mut position: usize) -> Result<usize, Reason> {
    loop {
        match data.get(position) {
            Some(b'"') => return Ok(position),
            // A line break in a string is where a truncated line ends.
            Some(b'\n') => return Err(Reason::BrokenString),
            Some(b'\\') if data.get(position + 1).is_some_and(|next| *next != b'\n') => {
                position += 2;
            }
            Some(_) => position += 1,
            None => return Err(Reason::Truncated),
        }
        position = end_of_plain_text(data, position);
    }
}

fn end_of_word(data: &[u8], mut position: usize) -> usize {
    while data.get(position).is_some_and(|byte| !ends_word(*byte)) {
        position += 1;
    }
    position
}

#[inline]
fn ends_word(byte: u8) -> bool {
    is_white_space(byte) || matches!(byte, b'{' | b'}' | b'[' | b']' | b':' | b',' | b'"')
}
