//! Rows 1 to 5, 16, 17, 21 to 24: bytes into records.

use super::{framed, json, only_reason, outline};
use crate::decode::{Json, Limits, Reason, frame};

#[test]
fn byte_order_mark_is_stripped() {
    assert_eq!(
        outline(b"\xef\xbb\xbf{\"a\":1}\n{\"b\":2}\n"),
        [r#"{"a":1}"#, r#"{"b":2}"#]
    );
    assert_eq!(framed(b"\xef\xbb\xbf{\"a\":1}")[0].offset, 3);
}

#[test]
fn utf_16_and_utf_32_are_one_broken_record() {
    let text = "{\"a\":1}\n{\"b\":2}\n";
    let utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf_16_marked = [
        b"\xfe\xff".to_vec(),
        text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
    ]
    .concat();
    let utf_32 = |to_bytes: fn(u32) -> [u8; 4]| -> Vec<u8> {
        text.chars()
            .flat_map(|character| to_bytes(u32::from(character)))
            .collect()
    };
    let (big, little) = (utf_32(u32::to_be_bytes), utf_32(u32::to_le_bytes));
    for data in [utf_16, utf_16_marked, big, little] {
        assert_eq!(only_reason(&data), Reason::WideEncoding);
    }
}

#[test]
fn what_is_not_json_is_refused() {
    let cases: [(&[u8], Reason); 26] = [
        (br#"{"a":1 "b":2}"#, Reason::Syntax),
        (br#"{"a":1,}"#, Reason::Syntax),
        (br#"{"a":[1,]}"#, Reason::Syntax),
        (br#"{"a":[1 2]}"#, Reason::Syntax),
        (br#"{"a" 1}"#, Reason::Syntax),
        (br"{'a':1}", Reason::Syntax),
        (br#"{"a":'x'}"#, Reason::BadLiteral),
        (br#"{"a":1} // why"#, Reason::TrailingText),
        (br#"{"a":1 /* why */}"#, Reason::Syntax),
        (br#"{"a":NaN}"#, Reason::BadLiteral),
        (br#"{"a":Infinity}"#, Reason::BadLiteral),
        (br#"{"a":-Infinity}"#, Reason::BadNumber),
        (br#"{"a":01}"#, Reason::BadNumber),
        (br#"{"a":1.}"#, Reason::BadNumber),
        (br#"{"a":+1}"#, Reason::BadLiteral),
        (br#"{"a":1e}"#, Reason::BadNumber),
        (br#"{"a":tru}"#, Reason::BadLiteral),
        (b"{\"a\":\"\xff\"}", Reason::NotUtf8),
        (b"{\"a\":\"\xed\xa0\x80\"}", Reason::NotUtf8),
        (b"{\"a\":\"tab\there\"}", Reason::BadString),
        (br#"{"a":"\x"}"#, Reason::BadString),
        (br#"{"a":"\ud800"}"#, Reason::BadString),
        (br#"{"\udc00":1}"#, Reason::BadString),
        (br#"{"a":"\ud800\u0041"}"#, Reason::BadString),
        (br#"{"a":1"#, Reason::Truncated),
        (br#"{"a":1}}"#, Reason::TrailingText),
    ];
    for (data, reason) in cases {
        assert_eq!(
            only_reason(data),
            reason,
            "{}",
            String::from_utf8_lossy(data)
        );
    }
}

#[test]
fn scalars_are_no_events() {
    assert_eq!(
        outline(b"1\n\"x\"\nnull\n[[], {\"a\":1}, 7]\n"),
        [
            "not_an_object: 1",
            "not_an_object: \"x\"",
            "not_an_object: null",
            "not_an_object: []",
            r#"{"a":1}"#,
            "not_an_object: 7",
        ]
    );
}

#[test]
fn a_broken_line_goes_alone() {
    let broken_lines: [&[u8]; 16] = [
        br#"{"a":1,"b":"trunc"#,
        br#"{"a":1,"b":"#,
        br#"{"a":1,"#,
        br#"{"a":[1,"#,
        br#"{"a":[{"b":1},"#,
        br#"{"a":{"b":1}"#,
        br#"{"a":{"b":1}}}"#,
        br#"{"a":{"b":1"#,
        br#"{"a":"x}"#,
        br#"{"a":x"}"#,
        b"%%% garbage with \" a quote and a { brace",
        b"[INFO] started",
        b"}",
        b"{\"a\":\"\xff\"}",
        br#"[{"a":1},{"b":"#,
        br#"{"a":1},"#,
    ];
    for broken in broken_lines {
        let mut data = b"{\"n\":1}\r\n".to_vec();
        data.extend_from_slice(broken);
        data.extend_from_slice(b"\r\n\r\n{\"n\":2}\r\n{\"n\":3}");
        let records = framed(&data);
        let good: Vec<String> = records
            .iter()
            .filter_map(|record| record.content.as_ref().ok())
            .map(Json::to_string)
            .collect();
        let name = String::from_utf8_lossy(broken);
        let neighbours: Vec<_> = good
            .iter()
            .filter(|event| event.contains("\"n\""))
            .collect();
        assert_eq!(
            neighbours,
            [r#"{"n":1}"#, r#"{"n":2}"#, r#"{"n":3}"#],
            "{name}"
        );
        assert!(
            records.iter().any(|record| record.content.is_err()),
            "{name}"
        );
        assert!(
            good.len() == 3 || broken.starts_with(b"[{"),
            "{name}: {good:?}"
        );
        // The first and the only record of an object are broken in the same way.
        let alone = [broken, b"\n{\"n\":1}\n"].concat();
        assert_eq!(outline(&alone).last().unwrap(), r#"{"n":1}"#, "{name}");
    }
}

#[test]
fn two_broken_lines_are_two_records() {
    assert_eq!(
        outline(b"garbage one\n{\"a\":\n{\"b\":\ngarbage two\n{\"n\":1}\n"),
        [
            "trailing_text: garbage one",
            "syntax: {\"a\":",
            "syntax: {\"b\":",
            "trailing_text: garbage two",
            r#"{"n":1}"#,
        ]
    );
}

#[test]
fn documents_in_any_layout() {
    let expected = [r#"{"a":1}"#, r#"{"b":[{"c":2}]}"#, r#"{"d":3}"#];
    let layouts: [&[u8]; 8] = [
        b"{\"a\":1}\n{\"b\":[{\"c\":2}]}\n{\"d\":3}\n",
        b"{\"a\":1}{\"b\":[{\"c\":2}]}{\"d\":3}",
        b"{\n  \"a\": 1\n}\n{\n  \"b\": [\n    {\n      \"c\": 2\n    }\n  ]\n}{\n\"d\":3}",
        b"[{\"a\":1},{\"b\":[{\"c\":2}]},{\"d\":3}]",
        b"[\n  {\"a\": 1},\n  {\"b\": [{\"c\": 2}]},\n  {\"d\": 3}\n]\n",
        b"[{\"a\":1}]\n[{\"b\":[{\"c\":2}]},{\"d\":3}]\n[]\n",
        b"\r\n\r\n{\"a\":1}\r\n\t{\"b\":[{\"c\":2}]} {\"d\":3}\r\n",
        b"{\"a\":1}\n[{\"b\":[{\"c\":2}]}]{\"d\":3}",
    ];
    for layout in layouts {
        assert_eq!(
            outline(layout),
            expected,
            "{}",
            String::from_utf8_lossy(layout)
        );
    }
}

#[test]
fn line_separators_in_strings_break_no_record() {
    assert_eq!(
        outline("{\"a\":\"x\u{2028}y\u{85}z\"}".as_bytes()),
        ["{\"a\":\"x\u{2028}y\u{85}z\"}"]
    );
}

#[test]
fn a_broken_pretty_document_goes_alone() {
    let good = "{\n  \"n\": 1,\n  \"items\": [\n    {\n      \"x\": {}\n    }\n  ]\n}";
    let broken_documents = [
        "{\n  \"a\": 1\n  \"b\": {\n    \"c\": 2\n  }\n}",
        "{\n  \"a\" {\n    \"c\": 2\n  }\n}",
        "{\n  \"a\": [\n    {\n      \"c\": 2\n    }\n    {\n      \"c\": 3\n    }\n  ]\n}",
        "{\n  \"a\": \"x,\n  \"b\": {\n    \"c\": 2\n  }\n}",
        "{\n  \"a\": {\n    \"c\": 2\n  }",
        "{\n  \"a\": {\n    \"c\": 2,",
        "{\n  \"a\":",
        "{\n  \"a\": 1,\n}",
        "{\n  \"a\": 1\n}}",
        "{\n  \"a\": NaN\n}",
        "{\n\"a\": 1\n\"b\": {\n\"c\": 2\n}\n}",
    ];
    for broken in broken_documents {
        for glue in ["\n", "\r\n\r\n"] {
            let data = [good, broken, good].join(glue);
            let records = framed(data.as_bytes());
            assert_eq!(
                records.len(),
                3,
                "{broken}\n{:#?}",
                outline(data.as_bytes())
            );
            assert_eq!(*records[0].content.as_ref().unwrap(), json(good));
            assert!(records[1].content.is_err());
            assert_eq!(records[1].bytes, broken.as_bytes());
            assert_eq!(*records[2].content.as_ref().unwrap(), json(good));
        }
    }
}

#[test]
fn a_broken_document_between_others_on_one_line_goes_alone() {
    for broken in [
        r#"{"a":1 "b":[{"x":1},{"y":2}]}"#,
        r#"{"a":{"x":1}{"y":2}}"#,
        r#"{"a":"x}"#,
        r#"{"a":[1,2}"#,
        r#"{"a":{"x":1}}}"#,
        "garbage",
    ] {
        let data = format!(r#"{{"n":1}}{broken}{{"n":2}}{{"n":3}}"#);
        let records = framed(data.as_bytes());
        let good: Vec<_> = records
            .iter()
            .filter_map(|record| record.content.as_ref().ok())
            .collect();
        let expected = [json(r#"{"n":1}"#), json(r#"{"n":2}"#), json(r#"{"n":3}"#)];
        // A bracket too many cannot be told from a bracket of the first document.
        let tail = &expected[expected.len() - good.len()..];
        assert!(
            good.len() >= 2 && good.iter().copied().eq(tail),
            "{broken}: {good:?}"
        );
    }
}

#[test]
fn a_broken_element_of_an_array_goes_alone() {
    for broken in [
        r#"{"a" 1}"#,
        r#"{"a":[{"x":1},{"y":2}}"#,
        r#"{"a":1"#,
        "nonsense here",
        r#"{"a":1,}"#,
        r#"{"a":{"b":1}}}"#,
    ] {
        for (open, comma, close) in [("[", ",", "]"), ("[\n  ", ",\n  ", "\n]\n")] {
            let data = [
                open,
                r#"{"n":1}"#,
                comma,
                broken,
                comma,
                r#"{"n":2}"#,
                close,
            ]
            .concat();
            let good: Vec<_> = framed(data.as_bytes())
                .into_iter()
                .filter_map(|record| record.content.ok())
                .collect();
            assert_eq!(good, [json(r#"{"n":1}"#), json(r#"{"n":2}"#)], "{data}");
        }
    }
}

#[test]
fn a_truncated_array_keeps_its_whole_elements() {
    assert_eq!(
        outline(br#"[{"a":1},{"b":2},{"c":"#),
        [r#"{"a":1}"#, r#"{"b":2}"#, r#"truncated: {"c":"#]
    );
    assert_eq!(
        outline(b"[{\"a\":1},\n{\"b\":2},\n{\"c\":"),
        [r#"{"a":1}"#, r#"{"b":2}"#, r#"truncated: {"c":"#]
    );
}

#[test]
fn nesting_without_end_overflows_no_stack() {
    for depth in [129, 10_000, 1_000_000] {
        let mut data = b"{\"n\":1}\n{\"a\":".to_vec();
        data.extend(std::iter::repeat_n(b'[', depth));
        data.extend(std::iter::repeat_n(b']', depth));
        data.extend_from_slice(b"}\n{\"n\":2}\n");
        let records = framed(&data);
        assert_eq!(records.len(), 3);
        assert_eq!(*records[1].content.as_ref().unwrap_err(), Reason::TooDeep);
    }
}

#[test]
fn the_deepest_nesting_is_parsed_compared_and_dropped() {
    let limits = Limits {
        max_depth: usize::MAX,
        ..Limits::default()
    };
    let nested = |depth: usize| {
        format!(
            "{{\"a\":{}{}}}",
            "[".repeat(depth - 1),
            "]".repeat(depth - 1)
        )
    };
    assert!(frame(nested(510).as_bytes(), &limits)[0].content.is_ok());
    assert_eq!(
        *frame(nested(511).as_bytes(), &limits)[0]
            .content
            .as_ref()
            .unwrap_err(),
        Reason::TooDeep
    );
}

#[test]
fn a_record_over_the_limit_goes_alone() {
    let limits = Limits {
        max_record_bytes: 20,
        ..Limits::default()
    };
    let data = format!(
        "{{\"n\":1}}\n{{\"a\":\"{}\"}}\n{{\"n\":2}}\n",
        "x".repeat(100)
    );
    let records = frame(data.as_bytes(), &limits);
    assert_eq!(records.len(), 3);
    assert_eq!(
        *records[1].content.as_ref().unwrap_err(),
        Reason::RecordTooLarge
    );
    assert_eq!((records[2].ordinal, records[2].offset), (2, 117));
}

#[test]
fn nothing_comes_of_nothing() {
    assert!(framed(b"").is_empty());
    assert!(framed(b" \r\n\t\n").is_empty());
    assert!(framed(b"\xef\xbb\xbf").is_empty());
    assert_eq!(outline(b"{}"), ["{}"]);
}

#[test]
fn many_lines_cut_at_a_bracket_are_framed_in_reasonable_time() {
    let data = b"{\"a\":[\n".repeat(20_000);
    assert_eq!(framed(&data).len(), 20_000);
}

/// Each of these cost the square of its size once: minutes instead of moments.
#[test]
fn garbage_without_end_is_framed_in_reasonable_time() {
    for (head, unit, tail) in [
        ("1.", "[{\"a\":1}e {\"a\0}]", ""),
        ("[", "\n", ""),
        ("]}", ":,x{\"a\":1}{\n", ""),
        (" {", "\0 {\"a\":1}\n[\n:", "\0x{\"a\""),
        ("[{\"a\"", "1{\"a\":1}\n\\{\nx", "{\"a\":1}\n"),
        ("[", "{", "}"),
        ("[{\"a\" ", "[", "}"),
        ("", "{\"a\" 1}{\"b\":1}", ""),
    ] {
        let times = 300_000 / unit.len();
        let data = format!("{head}{}{}", unit.repeat(times), tail.repeat(times));
        assert!(!framed(data.as_bytes()).is_empty());
    }
}

#[test]
fn zstd_is_named_as_unsupported() {
    assert_eq!(
        only_reason(b"\x28\xb5\x2f\xfd\x00{}\n{}"),
        Reason::UnknownCompression
    );
}
