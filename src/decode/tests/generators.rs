//! Arbitrary JSON with everything that hurts.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::decode::{Json, Number};

/// A few hundred cases; as many as `PROPTEST_CASES` says for a long run. Failures are printed, not
/// kept in files.
pub fn cases() -> ProptestConfig {
    let wanted = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: wanted.unwrap_or(300),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Few names, so that they clash, repeat and meet columns; odd ones among them.
pub fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::sample::select(vec!["a", "b", "c", "A", "0", "1"]),
        2 => prop::sample::select(vec![
            "", "~", "/", "a/b", "~1", "a.b", "a b", "é", "É", "😀", "_rescued", "_x", "event_date",
            "Event_Date", "\u{0}", "\"", "\\", "(", "a,b", "line\nbreak",
        ]),
    ]
    .prop_map(str::to_owned)
}

pub fn number() -> impl Strategy<Value = Json> {
    prop_oneof![
        3 => any::<i64>().prop_map(|integer| integer.to_string()),
        3 => (-3_i64..3).prop_map(|integer| integer.to_string()),
        2 => any::<f64>().prop_filter("finite", |float| float.is_finite()).prop_map(|float| format!("{float:?}")),
        3 => "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,25})?([eE][+-]?[0-9]{1,4})?",
        1 => prop::sample::select(vec![
            "-0", "-0.0", "1.0", "60.00", "1e400", "1e-400", "9007199254740993", "9223372036854775808",
            "-9223372036854775808", "0.1", "1E+2", "0e99999999999999999999", "1e99999999999999999999",
        ]).prop_map(str::to_owned),
    ]
    .prop_map(|text| Json::Number(Number::parse(&text).unwrap()))
}

fn leaf() -> impl Strategy<Value = Json> {
    prop_oneof![
        2 => Just(Json::Null),
        2 => any::<bool>().prop_map(Json::Bool),
        4 => number(),
        3 => prop::sample::select(vec!["", "007", "x", "\u{2028}", "😀\u{0}", "\"\\"])
            .prop_map(|text| Json::String(text.to_owned())),
        1 => any::<String>().prop_map(Json::String),
    ]
}

pub fn value() -> impl Strategy<Value = Json> {
    leaf().prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            2 => vec(inner.clone(), 0..4).prop_map(Json::Array),
            3 => vec((name(), inner), 0..5).prop_map(Json::Object),
        ]
    })
}

pub fn event() -> impl Strategy<Value = Json> {
    vec((name(), value()), 0..6).prop_map(Json::Object)
}

/// The same value with its object keys in another order (duplicates among themselves in order).
pub fn reordered(value: &Json) -> Json {
    match value {
        Json::Array(elements) => Json::Array(elements.iter().map(reordered).collect()),
        Json::Object(members) => {
            let mut members: Vec<_> = members
                .iter()
                .map(|(key, value)| (key.clone(), reordered(value)))
                .collect();
            members.sort_by(|one, other| other.0.cmp(&one.0));
            Json::Object(members)
        }
        other => other.clone(),
    }
}

/// Bytes that look like JSON more often than not, whole and broken.
pub fn jsonish() -> impl Strategy<Value = &'static [u8]> {
    prop::sample::select(vec![
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
    ])
}
