//! Every byte belongs to one record, whatever the bytes are.

use proptest::prelude::*;

use super::framed;
use super::generators::cases;

/// Bytes that look like JSON more often than not.
fn jsonish() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        &b"{"[..],
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\"",
        b"\"a\"",
        b"\"a\":",
        b"1",
        b"true",
        b"\n",
        b"\r\n",
        b" ",
        b"\n{",
        b"\n  ",
        b"{\"a\":1}",
        b"{\"n\":{}}\n",
        b"}{",
        b"\\",
        b"\xff",
        b"\xef\xbb\xbf",
        b"garbage",
        b"\x0c",
        b"\0",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

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
    fn no_byte_vanishes(data in prop::collection::vec(any::<u8>(), 0..200)) {
        check_nothing_vanishes(&data)?;
    }

    #[test]
    fn no_byte_of_what_looks_like_json_vanishes(data in jsonish()) {
        check_nothing_vanishes(&data)?;
    }
}
