//! Finds every spelling of every term in bytes, in one pass over them.
//!
//! What stands beside a spelling decides what it is worth: a long one counts wherever it turns up, unless
//! digits run on from its own, for then it is part of another number; a short one counts as a whole word
//! only, and in most places only where a value stands ([`Standing`]).

use std::collections::HashMap;
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError, MatchKind};
use chrono::{DateTime, Utc};

use super::composite::Composite;
use super::forms::{Spelling, spellings};
use super::quarry::{Quarry, Term, Terms};

/// Shorter texts turn up in dates and counts everywhere.
pub(super) const TELLING: usize = 5;
/// The table of a deterministic automaton takes some 500 bytes for each byte looked for.
const MOST_BYTES_FOR_TABLE: usize = 64 * 1024;

/// How a spelling stands among its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Within a longer word; only long spellings are reported so.
    Part,
    /// With no ASCII letter or digit on either side.
    Word,
    /// A word that is a whole text, stands in quotes, or behind `:` or `=`.
    Value,
}

/// A spelling that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hit {
    pub term: usize,
    pub range: Range<usize>,
    pub is_long: bool,
    pub standing: Standing,
}

/// What was found in a text, in order of where it ends.
#[derive(Debug, Default)]
pub(super) struct Hits {
    pub hits: Vec<Hit>,
    /// Where a digit is followed by `e`: the number there may be spelled with an exponent.
    pub exponents: Vec<usize>,
}

/// All terms, ready to be looked for.
pub(super) struct Searcher {
    pub terms: Vec<Term>,
    pub composites: Vec<Composite>,
    /// By quarry.
    pub cutoffs: Vec<DateTime<Utc>>,
    automaton: AhoCorasick,
    patterns: Vec<Pattern>,
    by_text: HashMap<String, Vec<usize>>,
    by_number: HashMap<i128, usize>,
    numbers: Option<(i128, i128)>,
    /// Bytes of the longest spelling.
    pub longest: usize,
}

enum Pattern {
    Spelling { term: usize, spelling: Spelling },
    Exponent,
}

impl Searcher {
    pub fn new(quarries: &[Quarry]) -> Result<Self, BuildError> {
        let Terms {
            all: terms,
            composites,
            ..
        } = Terms::of(quarries);
        let mut patterns = Vec::new();
        let (mut by_text, mut by_number) = (HashMap::<String, Vec<usize>>::new(), HashMap::new());
        for (index, term) in terms.iter().enumerate() {
            for spelling in spellings(&term.text) {
                patterns.push(Pattern::Spelling {
                    term: index,
                    spelling,
                });
            }
            by_text.entry(folded(term)).or_default().push(index);
            by_number.extend(term.number.map(|number| (number, index)));
        }
        let numbers = by_number.keys().min().copied();
        let numbers = numbers.zip(by_number.keys().max().copied());
        let mut texts: Vec<Vec<u8>> = patterns.iter().filter_map(Pattern::bytes).collect();
        let longest = texts.iter().map(Vec::len).max().unwrap_or(0);
        if numbers.is_some() {
            texts.extend((b'0'..=b'9').map(|digit| vec![digit, b'e']));
            patterns.extend((0..10).map(|_| Pattern::Exponent));
        }
        let bytes: usize = texts.iter().map(Vec::len).sum();
        let kind = (bytes <= MOST_BYTES_FOR_TABLE).then_some(AhoCorasickKind::DFA);
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(kind)
            .build(&texts)?;
        Ok(Self {
            terms,
            composites,
            cutoffs: quarries.iter().map(|quarry| quarry.cutoff).collect(),
            automaton,
            patterns,
            by_text,
            by_number,
            numbers,
            longest,
        })
    }

    /// Everything in `bytes`. `is_whole`: whether they are a decoded text, so that what fills them is a
    /// value.
    pub fn find(&self, bytes: &[u8], is_whole: bool) -> Hits {
        let mut found = Hits::default();
        for hit in self.automaton.find_overlapping_iter(bytes) {
            match self.patterns.get(hit.pattern().as_usize()) {
                Some(Pattern::Spelling { term, spelling }) => {
                    let spelled = bytes.get(hit.range()).unwrap_or_default();
                    if spelling.exact && spelled != spelling.bytes {
                        continue;
                    }
                    let Some(standing) = standing(bytes, hit.range(), spelling.is_long, is_whole)
                    else {
                        continue;
                    };
                    found.hits.push(Hit {
                        term: *term,
                        range: hit.range(),
                        is_long: spelling.is_long,
                        standing,
                    });
                }
                Some(Pattern::Exponent) if is_exponent(bytes, hit.start()) => {
                    found.exponents.push(hit.start());
                }
                _ => {}
            }
        }
        found
    }

    /// Where anything begins in `bytes` that may be a hit, whatever stands beside it: of texts that lie one
    /// behind the other without a gap.
    pub fn places(&self, bytes: &[u8]) -> Vec<usize> {
        let found = self.automaton.find_overlapping_iter(bytes);
        found.map(|hit| hit.start()).collect()
    }

    /// The terms that a decoded text is: long ones in any case, short ones as they are.
    pub fn terms_of_text<'a>(&'a self, text: &str) -> impl Iterator<Item = usize> + 'a {
        let exact = self.by_text.get(text);
        let folded = text.to_lowercase();
        let folded = (folded != text).then(|| self.by_text.get(&folded));
        exact.into_iter().chain(folded.flatten()).flatten().copied()
    }

    /// The term that a number is.
    pub fn term_of_number(&self, number: i128) -> Option<usize> {
        let (least, most) = self.numbers?;
        if number < least || number > most {
            return None;
        }
        self.by_number.get(&number).copied()
    }

    /// The same for a number that is not spelled as an integer. From 2^53 on a float stands for several
    /// integers, so there it counts only if the text has an exponent to be explained.
    pub fn term_of_float(&self, number: f64, has_exponent: bool) -> Option<usize> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if number.fract() != 0.0 || number.abs() > 1e37 {
            return None;
        }
        if number.abs() < EXACT {
            return self.term_of_number(number as i128);
        }
        let is_nearest = |integer: &i128| (*integer as f64).to_bits() == number.to_bits();
        let mut terms = self.by_number.iter();
        let nearest = terms.find(|(integer, _)| has_exponent && is_nearest(integer));
        nearest.map(|(_, term)| *term)
    }
}

/// Under which text a term is looked up.
fn folded(term: &Term) -> String {
    if term.is_long {
        return term.text.to_lowercase();
    }
    term.text.clone()
}

impl Pattern {
    fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Spelling { spelling, .. } => Some(spelling.bytes.clone()),
            Self::Exponent => None,
        }
    }
}

/// How what is at `range` stands; none if it does not count.
fn standing(bytes: &[u8], range: Range<usize>, is_long: bool, is_whole: bool) -> Option<Standing> {
    let before = bytes.get(..range.start).unwrap_or_default();
    let behind = bytes.get(range.end..).unwrap_or_default();
    let spelled = bytes.get(range).unwrap_or_default();
    let is_word = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    if !is_word(before.last()) && !is_word(behind.first()) {
        let fills = is_whole && before.trim_ascii().is_empty() && behind.trim_ascii().is_empty();
        let is_value = fills || stands_as_value(before, behind);
        return Some(if is_value {
            Standing::Value
        } else {
            Standing::Word
        });
    }
    let is_another_number = spelled.iter().all(u8::is_ascii_digit)
        && (is_digit(before.last()) || is_digit(behind.first()));
    (is_long && !is_another_number).then_some(Standing::Part)
}

fn stands_as_value(before: &[u8], behind: &[u8]) -> bool {
    match (before.last(), behind.first()) {
        (Some(b'"'), Some(b'"')) | (Some(b'\''), Some(b'\'')) => return true,
        _ => {}
    }
    let blank = before.trim_ascii_end();
    blank.last().is_some_and(|byte| b":=".contains(byte))
}

/// Whether the digit at `digit`, before an `e`, may belong to a number: no other word or text is around.
fn is_exponent(bytes: &[u8], digit: usize) -> bool {
    let power = bytes.get(digit + 2);
    if !power.is_some_and(|byte| byte.is_ascii_digit() || b"+-".contains(byte)) {
        return false;
    }
    let before = bytes.get(..digit).unwrap_or_default();
    let is_of_number = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    let mantissa = before
        .iter()
        .rev()
        .take_while(|byte| is_of_number(byte))
        .count();
    let before = before.get(..before.len() - mantissa).unwrap_or_default();
    let before = before.strip_suffix(b"-").unwrap_or(before);
    before
        .last()
        .is_none_or(|byte| b":,[ \t\r\n".contains(byte))
}
