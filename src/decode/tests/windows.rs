//! Objects read window by window come out as if they had been framed as wholes.

use proptest::collection::vec;
use proptest::prelude::*;

use super::generators::{cases, event};
use crate::decode::{Json, Limits, Reason, Records, frame};

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
        let content = record.content.map(|event| event.to_json());
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
    let text = prop::sample::select(vec![
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
        b"-",
        b"true",
        b"NaN",
        b"\n",
        b"\r\n",
        b" ",
        b"\n{",
        b"\n  ",
        b"\n    ",
        b"{\"a\":1}",
        b"{\"n\":{}}\n",
        b"}{",
        b"\\",
        b"\xff",
        b"\xef\xbb\xbf",
        b"garbage",
        b"\x0c",
        b"\0",
        b"[{\"a\":1},\n",
        b"{\"a\":\"\\ud800\"}\n",
        b"{\"a\":\"tab\there\"}",
        b"{\n  \"a\": 1\n  \"b\": 2\n}",
        b"{\n  \"a\": [\n    {}\n  ]\n}\n",
        b"{\"a\":{\"b\":1}",
        b"{\"a\":01}",
        b"{\"a\":\"x\\n\\u00e9\"}",
        b"\xef\xbb",
        b"[[1],{\"b\":2}]",
    ]);
    prop_oneof![
        3 => text.prop_map(<[u8]>::to_vec),
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
