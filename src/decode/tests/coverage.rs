//! Every byte belongs to one record, whatever the bytes are.

use proptest::collection::vec;
use proptest::prelude::*;

use super::framed;
use super::generators::{cases, jsonish};

fn check_nothing_vanishes(data: &[u8]) -> Result<(), TestCaseError> {
    let mut position = 0;
    for (ordinal, record) in framed(data).iter().enumerate() {
        prop_assert_eq!(record.ordinal, ordinal as u64);
        let start = usize::try_from(record.offset).unwrap();
        prop_assert!(start >= position && !record.bytes.is_empty());
        prop_assert_eq!(&data[start..start + record.bytes.len()], record.bytes);
        check_gap(&data[position..start])?;
        position = start + record.bytes.len();
    }
    check_gap(&data[position..])
}

fn check_gap(gap: &[u8]) -> Result<(), TestCaseError> {
    let allowed = b" \t\r\n[],\xef\xbb\xbf";
    prop_assert!(
        gap.iter().all(|byte| allowed.contains(byte)),
        "{:?}",
        String::from_utf8_lossy(gap)
    );
    Ok(())
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn no_byte_vanishes(data in vec(any::<u8>(), 0..200)) {
        check_nothing_vanishes(&data)?;
    }

    #[test]
    fn no_byte_of_what_looks_like_json_vanishes(pieces in vec(jsonish(), 0..40)) {
        check_nothing_vanishes(&pieces.concat())?;
    }
}
