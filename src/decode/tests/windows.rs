//! Objects read window by window come out as if they had been framed as wholes.

use std::io::Read;

use proptest::collection::vec;
use proptest::prelude::*;

use super::generators::{cases, event, jsonish};
use crate::decode::{Document, Json, Limits, Reason, Records, frame};

type Outline = Vec<(u64, u64, Vec<u8>, Result<Json, Reason>)>;

fn as_a_whole(data: &[u8], limits: &Limits) -> Outline {
    frame(data, limits)
        .into_iter()
        .map(|record| {
            (
                record.ordinal,
                record.offset,
                record.bytes.to_vec(),
                record.content,
            )
        })
        .collect()
}

fn by_windows(data: &[u8], limits: &Limits, chunk: usize) -> Outline {
    let mut records = Records::with_chunk(data, limits, chunk);
    let mut outline = Vec::new();
    while let Some(record) = records.next_record() {
        let content = record.content.map(Document::to_json);
        outline.push((
            record.ordinal,
            record.offset,
            record.bytes.to_vec(),
            content,
        ));
    }
    assert_eq!(
        (records.damage(), records.failure().is_none()),
        (None, true)
    );
    outline
}

/// What stands in objects, whole and broken, in all layouts.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => jsonish().prop_map(<[u8]>::to_vec),
        1 => event().prop_map(|event| event.to_string().into_bytes()),
        1 => event().prop_map(|event| format!("{event}\n").into_bytes()),
        1 => vec(event(), 0..4).prop_map(|events| {
            let events: Vec<String> = events.iter().map(ToString::to_string).collect();
            format!("[{}]\n", events.join(",\n")).into_bytes()
        }),
    ]
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn windows_do_not_show(pieces in vec(piece(), 0..24), chunk in 1_usize..60) {
        let data = pieces.concat();
        let limits = Limits::default();
        prop_assert_eq!(by_windows(&data, &limits, chunk), as_a_whole(&data, &limits));
        let strict = Limits { max_record_bytes: 30, max_depth: 3, ..limits };
        prop_assert_eq!(by_windows(&data, &strict, chunk), as_a_whole(&data, &strict));
    }

    #[test]
    fn windows_do_not_show_in_any_bytes(data in vec(any::<u8>(), 0..100), chunk in 1_usize..9) {
        let limits = Limits::default();
        prop_assert_eq!(by_windows(&data, &limits, chunk), as_a_whole(&data, &limits));
    }
}

/// So little that a window is some 64 KiB.
const SMALL: Limits = Limits {
    max_object_bytes: 1 << 30,
    max_expansion: 200,
    max_record_bytes: 1000,
    max_depth: 8,
};

/// A record a line: what it holds, or the code of why not and its length.
fn fates(data: &[u8]) -> Vec<String> {
    let mut records = Records::with_chunk(data, &SMALL, 5000);
    let mut fates = Vec::new();
    while let Some(record) = records.next_record() {
        assert!(record.bytes.len() as u64 <= record.length.min(70_000));
        fates.push(match record.content {
            Ok(event) => event.to_json().to_string(),
            Err(reason) => format!("{} {}", reason.code(), record.length),
        });
    }
    fates
}

fn numbered(count: usize, separator: &str) -> String {
    let events: Vec<String> = (0..count).map(|n| format!("{{\"n\":{n}}}")).collect();
    events.join(separator)
}

#[test]
fn an_array_larger_than_any_window_is_framed_element_by_element() {
    for separator in [",", ", \r\n  "] {
        let events = numbered(30_000, separator);
        for array in [
            format!("[{events}]"),
            format!("[\n{events}\n]\n"),
            format!("[{events}"),
            format!("[{events},"),
        ] {
            let fates = fates(array.as_bytes());
            assert_eq!(fates.len(), 30_000);
            assert_eq!(fates[29_999], r#"{"n":29999}"#);
        }
        let behind = format!("[{events}]\n{{\"n\":-1}}\n[{{\"n\":-2}}]");
        let fates = fates(behind.as_bytes());
        assert_eq!(
            fates[29_999..],
            [r#"{"n":29999}"#, r#"{"n":-1}"#, r#"{"n":-2}"#]
        );
    }
}

#[test]
fn a_broken_element_of_a_huge_array_goes_alone() {
    let events = numbered(20_000, ",\n");
    for broken in [
        "{\"a\" 1}",
        "{\"a\":NaN}",
        "nonsense",
        "7",
        "[1]",
        "{\"a\":1,}",
    ] {
        let array = format!("[{events},\n{broken},\n{events}]");
        let fates = fates(array.as_bytes());
        assert_eq!(fates.len(), 40_001, "{broken}");
        let bad = fates.iter().filter(|fate| !fate.starts_with('{')).count();
        assert_eq!(bad, 1, "{broken}");
    }
}

#[test]
fn a_record_larger_than_any_window_goes_alone() {
    let long = "x".repeat(200_000);
    let many_lines = "    1,\n".repeat(30_000);
    for large in [
        format!("{{\"a\":\"{long}\"}}"),
        format!("{{\"a\":\"{long}"),
        format!("{{\n  \"a\": [\n{many_lines}    1\n  ]\n}}"),
        long.clone(),
    ] {
        let data = format!("{{\"n\":1}}\n{large}\n{{\"n\":2}}\n");
        let fates = fates(data.as_bytes());
        assert_eq!(fates.len(), 3, "{large:.40}");
        assert!(fates[1].starts_with("record_too_large "));
        let length: usize = fates[1].split(' ').nth(1).unwrap().parse().unwrap();
        assert!(large.len() - length <= 1, "{length} of {}", large.len());
        assert_eq!((&*fates[0], &*fates[2]), (r#"{"n":1}"#, r#"{"n":2}"#));
    }
    let events = numbered(20_000, ",");
    let array = format!("[{events},{{\"a\":\"{long}\"}},{events}]");
    let fates = fates(array.as_bytes());
    assert_eq!(fates.len(), 40_001);
    assert_eq!(fates[20_000], "record_too_large 200008");
}

#[test]
fn white_space_without_end_is_passed_over() {
    for blank in [" ", "\n", "\r\n\t"] {
        let data = format!("{{\"n\":1}}{}{{\"n\":2}}", blank.repeat(300_000));
        assert_eq!(fates(data.as_bytes()), [r#"{"n":1}"#, r#"{"n":2}"#]);
    }
}

#[test]
fn a_huge_object_that_is_no_text_is_one_record() {
    let data: Vec<u8> = numbered(20_000, "\n")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(fates(&data), [format!("record_too_large {}", data.len())]);
}

#[test]
fn a_source_that_fails_is_no_damage() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::ConnectionReset.into())
        }
    }
    let lines = &b"{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n"[..];
    let mut records = Records::new(lines.chain(Failing), &Limits::default());
    let mut events = 0;
    while let Some(record) = records.next_record() {
        events += usize::from(record.content.is_ok());
    }
    assert_eq!((events, records.damage()), (3, None));
    let failure = records.failure().unwrap();
    assert_eq!(failure.kind(), std::io::ErrorKind::ConnectionReset);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases().cases / 20, ..cases() })]

    #[test]
    fn both_ways_of_reading_a_large_object_agree(
        pieces in vec((piece(), 1_usize..2000), 1..12), chunk in 1000_usize..9000,
    ) {
        let repeated: Vec<Vec<u8>> = pieces.iter().map(|(piece, times)| piece.repeat(*times)).collect();
        let data = repeated.concat();
        let whole = as_a_whole(&data, &SMALL);
        let by_windows = by_windows(&data, &SMALL, chunk);
        prop_assert_eq!(whole.len(), by_windows.len());
        for (one, other) in whole.iter().zip(&by_windows) {
            prop_assert_eq!((one.0, one.1, &one.3), (other.0, other.1, &other.3));
            prop_assert!(one.2.starts_with(&other.2));
        }
        let mut end = 0;
        for (_, offset, bytes, _) in &whole {
            let start = usize::try_from(*offset).unwrap();
            prop_assert!(start >= end && !bytes.is_empty());
            prop_assert!(data[end..start].iter().all(|byte| b" \t\r\n[],\xef\xbb\xbf".contains(byte)));
            end = start + bytes.len();
        }
        prop_assert!(data[end..].iter().all(|byte| b" \t\r\n[],\xef\xbb\xbf".contains(byte)));
    }
}
