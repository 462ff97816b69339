//! Objects without some of their records.

use crate::Switches;
use crate::decode::{Record, frame, remove_records};

pub fn check(data: &[u8], switches: Switches) {
    let limits = crate::limits();
    let records = frame(data, &limits);
    let drop = |ordinal: u64| switches.chooses(ordinal);
    let body = remove_records(data, &records, &drop);
    let kept: Vec<&Record<'_>> = records
        .iter()
        .filter(|record| !drop(record.ordinal))
        .collect();
    let left = frame(&body, &limits);
    let bytes_of_left = left.iter().map(|record| record.bytes);
    let is_exact = kept.iter().map(|record| record.bytes).eq(bytes_of_left);
    let all_whole = records.iter().all(|record| record.content.is_ok());
    assert!(is_exact || !all_whole, "other records went too");
    if !is_exact {
        return;
    }
    for (kept, left) in kept.iter().zip(&left) {
        if kept.content.is_ok() {
            assert_eq!(kept.content, left.content);
        }
    }
}
