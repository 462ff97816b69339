//! The one source of chance: a seeded stream of numbers that no platform and no release of a
//! random number library changes, because the ways to draw from it are written out here.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Draws numbers; the same seed draws the same ones.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number from 0 up to, not including, `limit` (0 where `limit` is 0).
    pub(super) fn below(&mut self, limit: u32) -> u32 {
        let scaled = u64::from(self.0.next_u32()) * u64::from(limit);
        (scaled >> 32) as u32
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(high - low + 1)
    }

    /// A position in something of `length` elements.
    pub(super) fn position(&mut self, length: usize) -> usize {
        self.below(u32::try_from(length).unwrap_or(u32::MAX)) as usize
    }

    /// True `percent` times of a hundred.
    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// One of `options`.
    pub(super) fn pick<T: Copy, const N: usize>(&mut self, options: [T; N]) -> T {
        options[self.position(N)]
    }

    /// Digits in groups of these widths (at most nine) with hyphens between: like a UUID and not
    /// one. It never holds the digits of a named customer.
    pub(super) fn identifier<const N: usize>(&mut self, widths: [u32; N]) -> String {
        loop {
            let groups = widths.map(|width| self.digits(width));
            let identifier = groups.join("-");
            if !super::names_a_subject(&identifier) {
                return identifier;
            }
        }
    }

    /// A number of exactly `width` digits, at most nine.
    fn digits(&mut self, width: u32) -> String {
        let lowest = 10_u32.pow(width - 1);
        self.between(lowest, lowest * 9 + (lowest - 1)).to_string()
    }
}
