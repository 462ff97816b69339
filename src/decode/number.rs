//! A JSON number as its digits say it. A float would lose digits, and with them invariant 2.

use std::fmt;

use super::Reason;

/// The text of a valid JSON number. `==` compares spelling; [`Number::decimal`] compares value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number(Box<str>);

impl Number {
    /// Takes the text as it is if JSON allows it, otherwise [`Reason::BadNumber`].
    pub fn parse(text: &str) -> Result<Self, Reason> {
        if is_json_number(text.as_bytes()) {
            return Ok(Self(text.into()));
        }
        Err(Reason::BadNumber)
    }

    /// Takes text that is known to be a JSON number.
    pub(super) fn valid(text: &str) -> Self {
        Self(text.into())
    }

    /// `None` for what JSON cannot say: infinities and not-a-number.
    pub fn from_f64(float: f64) -> Option<Self> {
        float.is_finite().then(|| Self(format!("{float:?}").into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value, independent of spelling.
    pub fn decimal(&self) -> Decimal {
        Decimal::of(&self.0)
    }

    /// The same decimal as an `i64`, if there is one. `-0` has none: its sign would be lost.
    pub fn to_exact_i64(&self) -> Option<i64> {
        exact_i64(&self.0)
    }

    /// The same decimal as an `f64`, if the shortest text of one says exactly this number.
    pub fn to_exact_f64(&self) -> Option<f64> {
        exact_f64(&self.0)
    }

    /// Whether the text has neither fraction nor exponent.
    pub fn is_integer_text(&self) -> bool {
        is_integer_text(&self.0)
    }
}

pub(super) fn is_integer_text(number: &str) -> bool {
    !number.contains(['.', 'e', 'E'])
}

/// A number of few digits without an exponent: `mantissa` divided by ten to `places`.
#[derive(Clone, Copy)]
pub(super) struct ShortNumber {
    pub negative: bool,
    pub mantissa: u64,
    pub places: u32,
}

/// So many digits fit an `i64` whatever they are.
const MOST_SHORT_DIGITS: usize = 18;

impl ShortNumber {
    /// `None` for what is longer, or has an exponent.
    #[inline]
    pub fn read(number: &str) -> Option<Self> {
        let (negative, unsigned) = match number.as_bytes() {
            [b'-', unsigned @ ..] => (true, unsigned),
            unsigned => (false, unsigned),
        };
        if unsigned.len() > MOST_SHORT_DIGITS + 1 {
            return None;
        }
        let mut mantissa = 0_u64;
        let mut places = None;
        for byte in unsigned {
            match byte {
                b'0'..=b'9' => {
                    mantissa = mantissa * 10 + u64::from(byte - b'0');
                    places = places.map(|places| places + 1);
                }
                b'.' => places = Some(0),
                _ => return None,
            }
        }
        if places.is_none() && unsigned.len() > MOST_SHORT_DIGITS {
            return None;
        }
        let places = places.unwrap_or(0);
        Some(Self {
            negative,
            mantissa,
            places,
        })
    }
}

pub(super) const POWERS_OF_TEN: [u64; 19] = powers_of_ten();

const fn powers_of_ten() -> [u64; 19] {
    let mut powers = [1; 19];
    let mut power = 1;
    while power < 19 {
        powers[power] = powers[power - 1] * 10;
        power += 1;
    }
    powers
}

/// See [`Number::to_exact_i64`].
pub(super) fn exact_i64(number: &str) -> Option<i64> {
    let Some(short) = ShortNumber::read(number) else {
        return exact_i64_of_any(number);
    };
    if short.mantissa == 0 && short.negative {
        return None;
    }
    let divisor = *POWERS_OF_TEN.get(short.places as usize)?;
    if short.mantissa % divisor != 0 {
        return None;
    }
    let magnitude = i64::try_from(short.mantissa / divisor).ok()?;
    Some(if short.negative {
        -magnitude
    } else {
        magnitude
    })
}

#[cold]
fn exact_i64_of_any(number: &str) -> Option<i64> {
    match Decimal::of(number) {
        Decimal::Zero if number.starts_with('-') => None,
        Decimal::Zero => Some(0),
        Decimal::Digits {
            negative,
            digits,
            power_of_ten,
        } => {
            let zeros = usize::try_from(power_of_ten).ok()?;
            if zeros > MOST_I64_DIGITS {
                return None;
            }
            let sign = if negative { "-" } else { "" };
            format!("{sign}{digits}{}", "0".repeat(zeros)).parse().ok()
        }
        Decimal::Immense(_) => None,
    }
}

/// Every decimal of so many digits is the shortest text of the `f64` next to it.
const SAFE_MANTISSA: u64 = POWERS_OF_TEN[15];

/// See [`Number::to_exact_f64`]. A mantissa and a power of ten that an `f64` holds exactly give the
/// nearest `f64` in one division (Clinger 1990).
pub(super) fn exact_f64(number: &str) -> Option<f64> {
    if let Some(short) = ShortNumber::read(number)
        && short.mantissa < SAFE_MANTISSA
    {
        let divisor = *POWERS_OF_TEN.get(short.places as usize)?;
        let magnitude = short.mantissa as f64 / divisor as f64;
        return Some(if short.negative {
            -magnitude
        } else {
            magnitude
        });
    }
    exact_f64_of_any(number)
}

#[cold]
fn exact_f64_of_any(number: &str) -> Option<f64> {
    let float: f64 = number.parse().ok()?;
    let survives = float.is_finite() && Decimal::of(&format!("{float:e}")) == Decimal::of(number);
    survives.then_some(float)
}

/// The decimal that the shortest text of a finite `f64` says, if it has few digits and is not small:
/// found by trying, because printing is slow.
pub(super) fn short_number_of(float: f64) -> Option<ShortNumber> {
    for (places, power) in POWERS_OF_TEN.iter().enumerate().take(5) {
        let scaled = (float.abs() * *power as f64).round();
        if scaled >= SAFE_MANTISSA as f64 {
            return None;
        }
        if (scaled / *power as f64).to_bits() == float.abs().to_bits() {
            return Some(ShortNumber {
                negative: float < 0.0,
                mantissa: (scaled as i64).unsigned_abs(),
                places: places as u32,
            });
        }
    }
    None
}

const MOST_I64_DIGITS: usize = 19;

impl From<i64> for Number {
    fn from(integer: i64) -> Self {
        Self(integer.to_string().into())
    }
}

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A number's value: two are equal if they are the same decimal, so `1.0`, `1` and `1e0` are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decimal {
    /// All spellings of zero, `-0` too.
    Zero,
    /// `digits` (no zero at either end) times ten to `power_of_ten`.
    Digits {
        negative: bool,
        digits: String,
        power_of_ten: i128,
    },
    /// The exponent itself is beyond 64 bits: compared by spelling.
    Immense(String),
}

impl Decimal {
    pub(super) fn of(text: &str) -> Self {
        let unsigned = text.trim_start_matches('-');
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = format!("{whole}{fraction}");
        let without_tail = all_digits.trim_end_matches('0');
        let digits = without_tail.trim_start_matches('0');
        if digits.is_empty() {
            return Self::Zero;
        }
        let Ok(exponent) = exponent.parse::<i64>() else {
            return Self::Immense(text.to_owned());
        };
        let dropped_zeros = all_digits.len() - without_tail.len();
        Self::Digits {
            negative: text.starts_with('-'),
            digits: digits.to_owned(),
            power_of_ten: i128::from(exponent) - fraction.len() as i128 + dropped_zeros as i128,
        }
    }
}

/// Whether JSON allows this text as a number.
pub(super) fn is_json_number(text: &[u8]) -> bool {
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let after_whole = match unsigned {
        [b'0', rest @ ..] => rest,
        [b'1'..=b'9', rest @ ..] => skip_digits(rest),
        _ => return false,
    };
    let after_fraction = match after_whole {
        [b'.', b'0'..=b'9', rest @ ..] => skip_digits(rest),
        rest => rest,
    };
    match after_fraction {
        [b'e' | b'E', b'+' | b'-', b'0'..=b'9', rest @ ..]
        | [b'e' | b'E', b'0'..=b'9', rest @ ..] => skip_digits(rest).is_empty(),
        rest => rest.is_empty(),
    }
}

fn skip_digits(text: &[u8]) -> &[u8] {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    text.get(count..).unwrap_or_default()
}
