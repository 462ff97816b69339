//! A hash of what an event means, to compare what was read with what was written (invariant 5).
//!
//! An event is taken apart into its leaves: scalars, explicit nulls, empty objects, empty lists. A leaf
//! hashes as its path, the kind of value and the value; the fingerprint is the sum of the leaves, mixed
//! once more. So it can be had from a record, from a tree, and from columns one after the other
//! ([`super::row_fingerprints`]), and key order means nothing.
//!
//! - A path goes from the outside in: from a constant, over the hash of every key's text and the index
//!   of every list element; of a duplicate key, the later values add which occurrence they are.
//! - Texts hash as XXH3-64. Numbers hash as decimals, so `1`, `1.0` and `1e0` are one: as mantissa and
//!   power of ten where up to [`MOST_DIGITS`] digits matter, by their digits otherwise.
//! - Two numbers mix into one as both halves of the 128 bits of their product.
//!
//! Hazard: the path comes from the key's own text and never from the column that the key was put into,
//! or a wrong column would go unseen.

use std::collections::HashMap;

use twox_hash::XxHash3_64;

use super::document::{Content, Document, Members, Value};
use super::number::{Decimal, ShortNumber};
use super::{Json, json::by_key};

/// So many digits go into a mantissa.
const MOST_DIGITS: usize = 18;
/// The first number with more.
const MOST_SHORT: u64 = 1_000_000_000_000_000_000;

/// Where an event starts.
pub(super) const ROOT: Path = Path(0x9e37_79b9_7f4a_7c15);

const ELEMENT: u64 = 0xd1b5_4a32_d192_ed03;
const OCCURRENCE: u64 = 0x8cb9_2ba7_2f3d_8dd7;
const NULL: u64 = 0x1656_67b1_9e37_79f9;
const BOOLEAN: u64 = 0x27d4_eb2f_1656_67c5;
const NUMBER: u64 = 0x94d0_49bb_1331_11eb;
const LONG_NUMBER: u64 = 0xbf58_476d_1ce4_e5b9;
const TEXT: u64 = 0xff51_afd7_ed55_8ccd;
const EMPTY_OBJECT: u64 = 0xc4ce_b9fe_1a85_ec53;
const EMPTY_ARRAY: u64 = 0xb492_b66f_be98_f273;

/// A hash of an event's meaning. Equal for two events exactly if they are
/// [`super::semantically_equal`], as far as 64 bits tell.
pub fn fingerprint(event: &Json) -> u64 {
    finish(tree(event, ROOT))
}

/// The same of a record.
pub(super) fn of_document(document: &Document) -> u64 {
    let mut seen = Vec::with_capacity(64);
    finish(object(&document.members(), ROOT, &mut seen))
}

/// The sum of an event's leaves → its fingerprint.
pub(super) fn finish(leaves: u64) -> u64 {
    mix(leaves, ROOT.0)
}

/// Where in an event a value is, hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Path(u64);

impl Path {
    /// One key further in; `key` is [`hash_text`] of its text.
    #[inline]
    pub fn member(self, key: u64) -> Self {
        Self(mix(self.0, key))
    }

    /// The same place for a later value of a duplicate key, counted from 0.
    #[inline]
    fn occurrence(self, count: u64) -> Self {
        match count {
            0 => self,
            count => Self(mix(self.0 ^ OCCURRENCE, count)),
        }
    }

    #[inline]
    pub fn element(self, index: usize) -> Self {
        Self(mix(self.0 ^ ELEMENT, index as u64))
    }

    pub fn null(self) -> u64 {
        mix(self.0, NULL)
    }

    pub fn empty_object(self) -> u64 {
        mix(self.0, EMPTY_OBJECT)
    }

    pub fn empty_array(self) -> u64 {
        mix(self.0, EMPTY_ARRAY)
    }

    pub fn boolean(self, value: bool) -> u64 {
        mix(self.0 ^ BOOLEAN, u64::from(value))
    }

    #[inline]
    pub fn text(self, text: &str) -> u64 {
        mix(self.0 ^ TEXT, hash_text(text))
    }

    #[inline]
    pub fn integer(self, value: i64) -> u64 {
        if value.unsigned_abs() >= MOST_SHORT {
            return self.decimal(&Decimal::of(&value.to_string()));
        }
        self.short_number(ShortNumber {
            negative: value < 0,
            mantissa: value.unsigned_abs(),
            places: 0,
        })
    }

    /// A number as JSON spells it.
    #[inline]
    pub fn number(self, spelling: &str) -> u64 {
        match ShortNumber::read(spelling) {
            Some(number) => self.short_number(number),
            None => self.decimal(&Decimal::of(spelling)),
        }
    }

    #[inline]
    pub fn short_number(self, number: ShortNumber) -> u64 {
        let ShortNumber {
            negative,
            mut mantissa,
            places,
        } = number;
        let mut power = -i64::from(places);
        if mantissa == 0 {
            return self.canonical_number(false, 0, 0);
        }
        while mantissa % 10 == 0 {
            mantissa /= 10;
            power += 1;
        }
        self.canonical_number(negative, mantissa, power)
    }

    #[cold]
    pub fn decimal(self, decimal: &Decimal) -> u64 {
        match decimal {
            Decimal::Zero => self.canonical_number(false, 0, 0),
            Decimal::Digits {
                negative,
                digits,
                power_of_ten,
            } => match (digits.parse(), i64::try_from(*power_of_ten)) {
                (Ok(mantissa), Ok(power)) if digits.len() <= MOST_DIGITS => {
                    self.canonical_number(*negative, mantissa, power)
                }
                _ => {
                    let sign = if *negative { "-" } else { "" };
                    self.long_number(&format!("{sign}{digits}e{power_of_ten}"))
                }
            },
            Decimal::Immense(spelling) => self.long_number(spelling),
        }
    }

    fn long_number(self, canonical: &str) -> u64 {
        mix(self.0 ^ LONG_NUMBER, hash_text(canonical))
    }

    /// `mantissa` does not end in a zero.
    #[inline]
    fn canonical_number(self, negative: bool, mantissa: u64, power_of_ten: i64) -> u64 {
        let tag = if negative { !NUMBER } else { NUMBER };
        mix(mix(self.0 ^ tag, power_of_ten.cast_unsigned()), mantissa)
    }
}

#[inline]
pub(super) fn hash_text(text: &str) -> u64 {
    hash_bytes(text.as_bytes())
}

#[inline]
fn hash_bytes(bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot(bytes)
}

#[inline]
fn mix(one: u64, other: u64) -> u64 {
    const ONE: u64 = 0xa076_1d64_78bd_642f;
    const OTHER: u64 = 0xe703_7ed1_a0b4_28db;
    let product = u128::from(one ^ ONE) * u128::from(other ^ OTHER);
    (product as u64) ^ (product >> 64) as u64
}

/// The leaves of a value.
pub(super) fn leaves(value: Value<'_>, path: Path, seen: &mut Vec<u64>) -> u64 {
    match value.content() {
        Content::Null => path.null(),
        Content::Bool(value) => path.boolean(value),
        Content::Number(spelling) => path.number(spelling),
        Content::Text(text) => path.text(text),
        Content::Array(elements) if elements.is_empty() => path.empty_array(),
        Content::Array(elements) => {
            let mut sum = 0_u64;
            for (index, element) in elements.enumerate() {
                sum = sum.wrapping_add(leaves(element, path.element(index), seen));
            }
            sum
        }
        Content::Object(members) => object(&members, path, seen),
    }
}

/// The leaves of an object. `seen` holds the keys of the objects around it.
fn object(members: &Members<'_>, path: Path, seen: &mut Vec<u64>) -> u64 {
    if members.is_empty() {
        return path.empty_object();
    }
    let first = seen.len();
    let mut occurrences = Occurrences::default();
    let (mut keys, mut values) = (members.clone(), members.clone());
    let mut sum = 0_u64;
    while let (Some(key), Some(value)) = (keys.next_key(), values.next_value()) {
        let hash = hash_bytes(key);
        let occurrence = occurrences.count(hash, seen, first);
        let place = path.member(hash).occurrence(occurrence);
        sum = sum.wrapping_add(leaves(value, place, seen));
    }
    seen.truncate(first);
    sum
}

/// How often a key was seen before in its object. Few keys are compared one by one.
#[derive(Default)]
struct Occurrences {
    /// A bit for some of each key's: where it is not set the key is new.
    bits: u64,
    counts: Option<HashMap<u64, u64>>,
}

impl Occurrences {
    /// `seen` from `first` on: the keys of this object.
    #[inline]
    fn count(&mut self, key: u64, seen: &mut Vec<u64>, first: usize) -> u64 {
        const MOST_COMPARED: usize = 64;
        let before = seen.get(first..).unwrap_or_default();
        if before.len() >= MOST_COMPARED {
            return self.count_among_many(key, before);
        }
        let bit = 1 << (key >> 58);
        let is_new = self.bits & bit == 0;
        self.bits |= bit;
        let mut count = 0;
        if !is_new {
            count = before.iter().filter(|other| **other == key).count() as u64;
        }
        seen.push(key);
        count
    }

    #[cold]
    fn count_among_many(&mut self, key: u64, first_keys: &[u64]) -> u64 {
        let counts = self.counts.get_or_insert_with(|| {
            let mut counts = HashMap::new();
            for key in first_keys {
                *counts.entry(*key).or_default() += 1;
            }
            counts
        });
        let count = counts.entry(key).or_default();
        *count += 1;
        *count - 1
    }
}

/// The leaves of a tree: the plain form of the definition, which the others are held against.
fn tree(value: &Json, path: Path) -> u64 {
    match value {
        Json::Null => path.null(),
        Json::Bool(value) => path.boolean(*value),
        Json::Number(number) => path.decimal(&number.decimal()),
        Json::String(text) => path.text(text),
        Json::Array(elements) if elements.is_empty() => path.empty_array(),
        Json::Object(members) if members.is_empty() => path.empty_object(),
        Json::Array(elements) => {
            let mut sum = 0_u64;
            for (index, element) in elements.iter().enumerate() {
                sum = sum.wrapping_add(tree(element, path.element(index)));
            }
            sum
        }
        Json::Object(members) => {
            let mut sum = 0_u64;
            for (key, values) in by_key(members) {
                for (count, value) in (0..).zip(values) {
                    let place = path.member(hash_text(key)).occurrence(count);
                    sum = sum.wrapping_add(tree(value, place));
                }
            }
            sum
        }
    }
}
