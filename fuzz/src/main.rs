//! Fuzzes the decoder: whatever the bytes are, what it promises holds.
//!
//! The first three bytes of an input are its [`Switches`], the rest is the object. Every object goes
//! through framing, columns and removal; the switches say what else happens to it.

#![no_main]

#[path = "../../src/decode/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the program uses all of it")]
mod decode;

mod events;
mod framing;
mod removal;
mod stored;

use libfuzzer_sys::fuzz_target;

use decode::{Limits, RawFormat, decompress};

/// What is tried with an object, from the input's first bytes. Digits and letters serve, so inputs can be
/// written by hand.
#[derive(Clone, Copy)]
struct Switches {
    /// Which of the further checks.
    check: u8,
    /// How much, how large, how deep: what it means is up to the check.
    amount: u8,
    /// Which records, bit by bit.
    choice: u8,
}

impl Switches {
    fn split(input: &[u8]) -> Option<(Self, &[u8])> {
        let ([check, amount, choice], object) = input.split_first_chunk()?;
        let switches = Self {
            check: check % 8,
            amount: *amount,
            choice: *choice,
        };
        Some((switches, object))
    }

    fn chooses(self, ordinal: u64) -> bool {
        self.choice >> (ordinal % 8) & 1 == 1
    }
}

/// The program's limits, but what is compressed comes to 64 KiB at most, so that inputs are quick.
fn limits() -> Limits {
    Limits {
        max_object_bytes: 64 * 1024,
        max_expansion: 0,
        ..Limits::default()
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((switches, object)) = Switches::split(input) else {
        return;
    };
    framing::check_whole(object, &limits());
    match switches.check {
        0 => framing::check_strict(object, switches),
        1 => framing::check_long(object, switches),
        2 => framing::check_small_windows(object, switches),
        3 => stored::check_cut(object, switches),
        4 => stored::check_damaged(object, switches),
        5 => stored::check_container(object, RawFormat::Avro),
        _ => {}
    }
    let plain = decompress(object, &limits());
    removal::check(&plain.data, switches);
    events::check(&plain.data, switches);
});
