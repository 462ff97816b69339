//! Sizes of files.

use std::fmt;
use std::str::FromStr;

use super::error::ValueError;
use super::span::number_and_unit;

/// From the largest to the smallest.
const UNITS: [(&str, u64); 6] = [
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
];

/// A positive size in bytes, written as `256 MiB` (1024s) or `256 MB` (1000s).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl ByteSize {
    /// A size of so many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (number, unit) = number_and_unit(text)?;
        if number == 0 {
            return Err(ValueError::new("it must be more than nothing"));
        }
        let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            let why = match unit {
                "" => "the unit is missing",
                _ => "the units are KiB, MiB, GiB, KB, MB and GB",
            };
            return Err(ValueError::new(why));
        };
        number
            .checked_mul(*factor)
            .map(Self)
            .ok_or_else(|| ValueError::new("the number is too large"))
    }
}

/// Prints the largest unit that leaves a whole number: `256 MiB`, `1500 bytes`.
impl fmt::Display for ByteSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, factor) in UNITS {
            if self.0 >= factor && self.0.is_multiple_of(factor) {
                return write!(formatter, "{} {name}", self.0 / factor);
            }
        }
        write!(formatter, "{} bytes", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints() {
        let table = [
            ("256 MiB", 268_435_456, "256 MiB"),
            ("1 GiB", 1_073_741_824, "1 GiB"),
            ("64KiB", 65_536, "64 KiB"),
            ("250 MB", 250_000_000, "250 MB"),
            ("3 KB", 3_000, "3 KB"),
            ("2 GB", 2_000_000_000, "2 GB"),
            ("2048 MiB", 2_147_483_648, "2 GiB"),
        ];
        for (written, bytes, printed) in table {
            let size: ByteSize = written.parse().expect(written);
            assert_eq!(size.bytes(), bytes, "{written}");
            assert_eq!(size.to_string(), printed);
        }
        assert_eq!(ByteSize::new(1_500).to_string(), "1500 bytes");
    }

    #[test]
    fn refuses_what_is_no_size() {
        let table = [
            ("256", "the unit is missing"),
            ("256 mb", "the units are KiB, MiB, GiB, KB, MB and GB"),
            ("0 MiB", "it must be more than nothing"),
            ("1.5 GiB", "it must begin with a whole number"),
            ("big", "it must begin with a whole number"),
            ("18446744073709551615 KiB", "the number is too large"),
        ];
        for (written, why) in table {
            let error = written.parse::<ByteSize>().expect_err(written);
            assert_eq!(error.to_string(), why, "{written}");
        }
    }
}
