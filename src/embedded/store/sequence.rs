//! The order of versions: a number that rises with every write.
//!
//! The clock cannot give that order: it may stand still within a millisecond,
//! or go back.

use std::sync::atomic::{AtomicU64, Ordering};

/// Hands out rising numbers.
#[derive(Debug, Default)]
pub struct Sequence(AtomicU64);

impl Sequence {
    /// A number above all that were handed out or seen.
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Takes note of a number found in a record.
    pub fn saw(&self, number: u64) {
        self.0.fetch_max(number, Ordering::SeqCst);
    }
}
