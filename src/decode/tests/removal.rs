//! A raw object without some of its records.

use proptest::collection::vec;
use proptest::prelude::*;

use super::generators::{cases, event};
use super::{framed, outline};
use crate::decode::remove_records;

fn without(data: &str, ordinals: &[u64]) -> String {
    let records = framed(data.as_bytes());
    let kept = remove_records(data.as_bytes(), &records, &|ordinal| {
        ordinals.contains(&ordinal)
    });
    String::from_utf8(kept).unwrap()
}

#[test]
fn line_breaks_go_with_their_record() {
    let lines = "{\"a\":1}\r\n{\"b\": 2}\r\n\r\n{\"c\":3}";
    assert_eq!(without(lines, &[0]), "{\"b\": 2}\r\n\r\n{\"c\":3}");
    assert_eq!(without(lines, &[1]), "{\"a\":1}\r\n\r\n{\"c\":3}");
    assert_eq!(without(lines, &[2]), "{\"a\":1}\r\n{\"b\": 2}\r\n\r\n");
    assert_eq!(without(lines, &[0, 1, 2]), "");
    assert_eq!(without(lines, &[]), lines);
    assert_eq!(
        without("\u{feff}{\"a\":1}\n{\"b\":2}\n", &[0]),
        "\u{feff}{\"b\":2}\n"
    );
}

#[test]
fn neighbours_on_the_line_stay() {
    let line = "{\"a\":1}{\"b\":2} {\"c\":3}\n";
    assert_eq!(without(line, &[0]), "{\"b\":2} {\"c\":3}\n");
    assert_eq!(without(line, &[1]), "{\"a\":1} {\"c\":3}\n");
    assert_eq!(without(line, &[0, 1, 2]), "");
    let pretty = "{\n  \"a\": 1\n}\n{\n  \"b\": 2\n}\n";
    assert_eq!(without(pretty, &[0]), "{\n  \"b\": 2\n}\n");
}

#[test]
fn commas_of_an_array_are_mended() {
    let array = "[ {\"a\":1}, {\"b\":2} , {\"c\":3} ]\n";
    assert_eq!(without(array, &[0]), "[ {\"b\":2} , {\"c\":3} ]\n");
    assert_eq!(without(array, &[1]), "[ {\"a\":1}, {\"c\":3} ]\n");
    assert_eq!(without(array, &[2]), "[ {\"a\":1}, {\"b\":2}  ]\n");
    assert_eq!(without(array, &[1, 2]), "[ {\"a\":1} ]\n");
    assert_eq!(without(array, &[0, 1, 2]), "[  ]\n");
    let pretty = "[\n  {\"a\":1},\n  {\"b\":2}\n]\n";
    assert_eq!(without(pretty, &[0]), "[\n  {\"b\":2}\n]\n");
    assert_eq!(without(pretty, &[1]), "[\n  {\"a\":1}\n]\n");
}

/// One thing that stands in an object, with what follows it: an event in some layout, several in
/// an array, or a line that is broken (but not by a closing
/// bracket too many, which may complete another broken line).
fn piece() -> impl Strategy<Value = String> {
    let broken = prop::sample::select(vec![
        "{\"a\":1,\"b\":\"cut",
        "{\"a\":[{\"b\":1},",
        "{\"a\":{\"b\":1}",
        "garbage \" {",
        "{\"a\":NaN}",
        "7",
        "{\"a\":",
        "{\n  \"a\": 1\n  \"b\": 2\n}",
    ]);
    let pretty = |name: &str, text: String| format!("{{\n  \"{name}\": {text}\n}}");
    prop_oneof![
        4 => event().prop_map(|event| format!("{event}\n")),
        2 => event().prop_map(|event| format!("{event}")),
        1 => event().prop_map(move |event| pretty("p", event.to_string()) + "\r\n"),
        2 => vec(event(), 0..4).prop_map(|events| {
            let events: Vec<String> = events.iter().map(ToString::to_string).collect();
            format!("[{}]\n", events.join(",\n"))
        }),
        2 => broken.prop_map(|text| format!("\n{text}\n")),
        1 => Just("\r\n".to_owned()),
    ]
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn what_is_left_frames_as_what_was_not_removed(pieces in vec(piece(), 0..8), choice in any::<u64>()) {
        let data = pieces.concat();
        let drop = |ordinal: u64| choice >> (ordinal % 64) & 1 == 1;
        let records = framed(data.as_bytes());
        let kept: Vec<&[u8]> =
            records.iter().filter(|record| !drop(record.ordinal)).map(|record| record.bytes).collect();
        let result = remove_records(data.as_bytes(), &records, &drop);
        let left = framed(&result);
        let left_bytes: Vec<&[u8]> = left.iter().map(|record| record.bytes).collect();
        prop_assert_eq!(left_bytes, kept, "{:?}\n{:?}", data, outline(&result));
    }
}
