//! The order of the new file's bytes keeps the store's rules and sends little.

use std::ops::Range;

use bytes::Bytes;
use proptest::prelude::*;

use crate::lake::regroup::layout::{Arrangement, MAGIC};
use crate::lake::s3::{ONE_REQUEST, SMALLEST_PART, Stretch};

const MIB: u64 = 1024 * 1024;
static ZEROS: [u8; 8 << 20] = [0; 8 << 20];

fn own(lengths: &[u64]) -> Vec<Bytes> {
    let bytes = lengths.iter().map(|length| &ZEROS[..*length as usize]);
    bytes.map(Bytes::from_static).collect()
}

/// A letter a stretch and its length in MiB: C opied, F etched, O wn.
fn picture(arrangement: &Arrangement) -> String {
    let stretches = arrangement.stretches.iter().map(|stretch| {
        let letter = match stretch {
            Stretch::Copied(_) => 'C',
            Stretch::Fetched(_) => 'F',
            Stretch::Own(_) => 'O',
        };
        format!("{letter}{}", stretch.length() / MIB)
    });
    stretches.collect::<Vec<_>>().join(" ")
}

/// `clean` as first and last MiB.
fn arranged(clean: &[(u64, u64)], own_lengths: &[u64]) -> String {
    let clean = clean.iter().map(|(start, end)| {
        let start = (start * MIB).max(MAGIC.len() as u64);
        start..end * MIB
    });
    let own_lengths: Vec<u64> = own_lengths.iter().map(|length| length * MIB).collect();
    picture(&Arrangement::new(clean.collect(), own(&own_lengths)))
}

#[test]
fn layouts() {
    // The file begins as the old one did, so all that is sent comes last.
    assert_eq!(arranged(&[(0, 20), (24, 40)], &[3]), "C20 C16 O3");
    assert_eq!(
        arranged(&[(0, 20), (24, 26), (30, 40)], &[3]),
        "C20 C10 F2 O3"
    );
    // The first group is hit, so what is sent comes first: long enough by itself,
    assert_eq!(arranged(&[(6, 40)], &[5]), "O0 O5 C34");
    // with bytes off a copy that can spare them, which moves up,
    assert_eq!(arranged(&[(6, 13), (15, 40)], &[2]), "O0 O2 F2 C22 C7");
    // with a whole range that is no longer copied,
    assert_eq!(
        arranged(&[(6, 12), (14, 20), (21, 27)], &[2]),
        "O0 O2 F6 C6 C6"
    );
    // and the old file's first bytes are no use where their range is short.
    assert_eq!(arranged(&[(0, 2), (4, 40)], &[4]), "O0 O4 F1 C36");
    // A small file is sent in one piece.
    assert_eq!(arranged(&[(0, 12)], &[2]), "O0 O2 F11");
}

proptest! {
    #[test]
    fn arrangements_are_sound(
        gaps_and_lengths in prop::collection::vec((1..3 * MIB, 1..30 * MIB), 0..8),
        begins_clean in any::<bool>(),
        own_lengths in prop::collection::vec(1..8 * MIB, 0..4),
    ) {
        let mut end = MAGIC.len() as u64;
        let mut clean = Vec::new();
        for (index, (gap, length)) in gaps_and_lengths.into_iter().enumerate() {
            let start = if index == 0 && begins_clean { end } else { end + gap };
            clean.push(start..start + length);
            end = start + length;
        }
        check(&clean, &own_lengths);
    }
}

fn check(clean: &[Range<u64>], own_lengths: &[u64]) {
    let header = MAGIC.len() as u64;
    let arrangement = Arrangement::new(clean.to_vec(), own(own_lengths));
    let own_total: u64 = own_lengths.iter().sum();
    let clean_total: u64 = clean.iter().map(length).sum();
    assert_eq!(arrangement.end, header + own_total + clean_total);
    match &arrangement.stretches[0] {
        Stretch::Own(bytes) => assert_eq!(&bytes[..], MAGIC),
        Stretch::Copied(range) => assert_eq!(range.start, 0),
        Stretch::Fetched(_) => panic!("the file has to begin with its magic bytes"),
    }
    // Every clean range lies in one piece, and nothing else of the old file is taken.
    for range in clean {
        let first = arrangement.moved(range.start).unwrap();
        let last = arrangement.moved(range.end - 1).unwrap();
        assert_eq!(last - first, range.end - 1 - range.start);
    }
    let (mut at, mut taken, mut sent, mut sent_before_copy) = (0, 0, 0, 0);
    for stretch in &arrangement.stretches {
        if let Stretch::Fetched(range) | Stretch::Copied(range) = stretch {
            assert_eq!(
                arrangement.moved(range.end - 1),
                Some(at + length(range) - 1)
            );
            taken += range.end - range.start.max(header);
        }
        if matches!(stretch, Stretch::Copied(_)) {
            assert!(stretch.length() >= SMALLEST_PART);
            assert!(sent_before_copy == 0 || sent_before_copy >= SMALLEST_PART);
            sent_before_copy = 0;
        } else {
            sent_before_copy += stretch.length();
            sent += stretch.length();
        }
        at += stretch.length();
    }
    assert_eq!(taken, clean_total);
    let short = clean
        .iter()
        .map(length)
        .filter(|length| *length < SMALLEST_PART);
    let has_to_be_sent = own_total + short.sum::<u64>();
    let most = header + has_to_be_sent.max(3 * SMALLEST_PART);
    assert!(sent <= most || arrangement.end <= ONE_REQUEST);
}

fn length(range: &Range<u64>) -> u64 {
    range.end - range.start
}
