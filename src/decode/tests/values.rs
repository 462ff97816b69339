//! Rows 6, 9, 22, 26: values keep what their text says.

use super::json;
use crate::decode::{FieldPath, Json, Reason, fingerprint, semantically_equal};

#[test]
fn text_is_kept_to_the_letter() {
    for text in [
        r#"{"b":1,"a":2,"b":3}"#,
        "[1.0,60.00,-0,1E+5,123456789012345678901234567890,1e400]",
        r#"{"":"\u0000\u001f\"\\","a.b":"😀"}"#,
        "null",
    ] {
        assert_eq!(json(text).to_string(), text);
    }
    assert_eq!(
        json(r#""\ud83d\ude00\/\u00e9""#),
        Json::String("😀/é".into())
    );
}

#[test]
fn only_one_value_is_read() {
    assert_eq!(Json::parse(b"{} {}"), Err(Reason::TrailingText));
    assert_eq!(Json::parse(b""), Err(Reason::Truncated));
    assert_eq!(Json::parse(b"\"abc"), Err(Reason::Truncated));
}

#[test]
fn numbers_are_equal_as_decimals() {
    let equal = [
        ("1.0", "1"),
        ("1e0", "1"),
        ("100", "1e2"),
        ("0.5", "5E-1"),
        ("-0", "0.00"),
        ("0e5", "0"),
    ];
    for (one, other) in equal {
        assert!(
            semantically_equal(&json(one), &json(other)),
            "{one} {other}"
        );
        assert_eq!(fingerprint(&json(one)), fingerprint(&json(other)));
    }
    let different = [
        ("1", "-1"),
        ("1", "10"),
        ("9007199254740993", "9007199254740992"),
        ("0.1", "0.10000000000000001"),
        ("1e400", "1e401"),
        ("1", "\"1\""),
        ("1", "true"),
        ("null", "0"),
    ];
    for (one, other) in different {
        assert!(
            !semantically_equal(&json(one), &json(other)),
            "{one} {other}"
        );
        assert_ne!(fingerprint(&json(one)), fingerprint(&json(other)));
    }
}

#[test]
fn order_counts_in_lists_and_among_duplicates_only() {
    let same = [
        (r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#),
        (r#"{"a":1,"b":0,"a":2}"#, r#"{"a":1,"a":2,"b":0}"#),
    ];
    for (one, other) in same {
        assert!(semantically_equal(&json(one), &json(other)));
        assert_eq!(fingerprint(&json(one)), fingerprint(&json(other)));
    }
    let different = [
        ("[1,2]", "[2,1]"),
        (r#"{"a":1,"a":2}"#, r#"{"a":2,"a":1}"#),
        (r#"{"a":1,"a":1}"#, r#"{"a":1}"#),
        ("{}", "[]"),
        ("{}", r#"{"a":null}"#),
        ("[[],1]", "[[1]]"),
        (r#"["ab","c"]"#, r#"["a","bc"]"#),
    ];
    for (one, other) in different {
        assert!(
            !semantically_equal(&json(one), &json(other)),
            "{one} {other}"
        );
        assert_ne!(fingerprint(&json(one)), fingerprint(&json(other)));
    }
}

#[test]
fn paths_go_through_lists_and_duplicates() {
    let event = json(r#"{"a":[{"b":1},{"b":[2]},[{"b":3}],{"c":0}],"a":{"b":4},"x.y":5}"#);
    let path: FieldPath = "a.b".parse().unwrap();
    let found: Vec<String> = event.at(&path).into_iter().map(Json::to_string).collect();
    assert_eq!(found, ["1", "[2]", "3", "4"]);
    assert_eq!(event.at(&FieldPath::from_names(["x.y"])), [&json("5")]);
    assert_eq!(path.to_string(), "a.b");
    assert!("a..b".parse::<FieldPath>().is_err());
}
