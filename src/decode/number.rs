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
        match self.decimal() {
            Decimal::Zero if self.0.starts_with('-') => None,
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

    /// The same decimal as an `f64`, if the shortest text of one says exactly this number.
    pub fn to_exact_f64(&self) -> Option<f64> {
        let float: f64 = self.0.parse().ok()?;
        let survives = float.is_finite() && Decimal::of(&format!("{float:e}")) == self.decimal();
        survives.then_some(float)
    }

    /// Whether the text has neither fraction nor exponent.
    pub fn is_integer_text(&self) -> bool {
        !self.0.contains(['.', 'e', 'E'])
    }
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
    fn of(text: &str) -> Self {
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

fn is_json_number(text: &[u8]) -> bool {
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
