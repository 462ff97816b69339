//! Objects without some of their records.

use crate::decode::{Record, frame, remove_records};
use crate::{Switches, limits};

/// Of an object that holds nothing broken, exactly the other events are left. What is broken may run
/// together with others, or be gone and leave an array's bracket behind; whoever removes compares.
pub fn check(data: &[u8], switches: Switches) {
    let records = frame(data, &limits());
    let chosen = |record: &Record<'_>| switches.chooses(record.ordinal);
    let is_exact = leaves_the_others(data, &records, &chosen);
    assert!(is_exact || records.iter().any(|record| record.content.is_err()));
}

fn leaves_the_others(
    data: &[u8],
    records: &[Record<'_>],
    drop: &dyn Fn(&Record<'_>) -> bool,
) -> bool {
    let dropped: Vec<bool> = records.iter().map(drop).collect();
    let body = remove_records(data, records, &|ordinal| dropped[ordinal as usize]);
    let kept = records.iter().filter(|record| !drop(record));
    let left = frame(&body, &limits());
    let reading = |record: &Record<'_>| (record.bytes.to_vec(), record.content.clone());
    kept.map(reading).eq(left.iter().map(reading))
}
