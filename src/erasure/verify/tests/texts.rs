//! What counts in texts, of raw objects and of others, without a server.

use std::io::Write;
use std::sync::Arc;

use super::{ADA, EARLIER, LATER, MAIL, SESSION, event, policies, quarry};
use crate::erasure::verify::event::Findings;
use crate::erasure::verify::kind::Kinds;
use crate::erasure::verify::search::Searcher;
use crate::erasure::verify::text::TextLook;
use crate::erasure::verify::unpack::StoredLook;

const FIELD: &str = "value at an identifier field";
const EVENT: &str = "token in an event";
const BROKEN: &str = "broken record";
const TEXT: &str = "token in a text";
const BYTES: &str = "bytes";

/// Looks at an object that comes in pieces of that size.
fn look_by(size: usize, key: &str, raw_of: Option<&str>, stored: &[u8]) -> Findings {
    let searcher = Arc::new(Searcher::new(&[quarry()]).unwrap());
    let reading = Kinds::new(&policies()).of(key, raw_of).reading;
    let mut look = StoredLook::new(TextLook::new(searcher, reading));
    for piece in stored.chunks(size) {
        look.push(piece);
    }
    look.finish()
}

fn forms_of(findings: &Findings) -> Vec<String> {
    let forms = findings.traces.iter().map(|(_, form)| form.to_string());
    forms.collect()
}

/// The forms found in a raw object.
fn raw(stored: impl AsRef<[u8]>) -> Vec<String> {
    let findings = look_by(1000, "cart/a.json", Some("cart"), stored.as_ref());
    assert!(!findings.is_unreadable);
    forms_of(&findings)
}

/// The forms found in another object.
fn other(key: &str, stored: impl AsRef<[u8]>) -> Vec<String> {
    forms_of(&look_by(1000, key, None, stored.as_ref()))
}

#[test]
fn every_spelling_of_a_value_at_an_identifier_field_is_found() {
    for value in [
        "789456",
        "\"789456\"",
        "789456.0",
        "7.89456e5",
        "7.89456E+5",
        "78945600e-2",
        "\"\\u0037\\u003894\\u00356\"",
        "[1, [2, 789456]]",
    ] {
        assert_eq!(raw(event(value, EARLIER, "")), [FIELD], "{value}");
        let nested = format!("{{\"buyer\": [{{\"ids\": {value}}}]}}");
        assert_eq!(raw(nested), [FIELD], "{value}");
    }
    for value in [
        "ada@example.org",
        "Ada@Example.ORG",
        "ada\\u0040example.org",
    ] {
        assert_eq!(
            raw(format!("{{\"mail\": \"{value}\"}}")),
            [FIELD],
            "{value}"
        );
    }
    let twice = "{\"userId\": 789456, \"userId\": 1, \"userId\": 2}";
    assert_eq!(raw(twice), [FIELD]);
}

#[test]
fn other_values_of_an_identifier_field_are_other_customers() {
    for value in [
        "1789456",
        "7894561",
        "789456.5",
        "-789456",
        "78945",
        "\"0789456\"",
        "\"789456-1\"",
        "7.89456e6",
        "true",
        "null",
    ] {
        assert!(raw(event(value, EARLIER, "")).is_empty(), "{value}");
    }
    for value in [
        "susada@example.org",
        "ada@example.org.uk",
        "x.ada@example.org",
    ] {
        let text = format!("{{\"mail\": \"{value}\"}}");
        assert!(raw(text).is_empty(), "{value}");
    }
    // But what names this one is found.
    assert_eq!(raw("{\"mail\": \"Ada <ada@example.org>\"}"), [EVENT]);
}

#[test]
fn elsewhere_in_an_event_long_identifiers_are_traces_and_short_ones_are_mentions() {
    let cart = |text: &str| look_by(1000, "a", Some("cart"), text.as_bytes());
    for text in [
        "{\"note\": \"write to ada@example.org.\"}",
        "{\"note\": \"ADA@EXAMPLE.ORG\"}",
        "{\"note\": \"xada@example.orgx\"}",
        "{\"link\": \"?to=ada%40example.org&x=1\"}",
        "{\"payload\": \"x YWRhQGV4YW1wbGUub3Jn x\"}",
        "{\"payload\": \"IGFkYUBleGFtcGxlLm9yZyA\"}",
        "{\"payload\": \"ICBhZGFAZXhhbXBsZS5vcmcg\"}",
        "{\"payload\": \"616461406578616d706c652e6f7267\"}",
        "{\"ada@example.org\": 1}",
        "{\"deep\": {\"nested\": [\"ada@\\u0065xample.org\"]}}",
        "{\"json\": \"{\\\"to\\\": \\\"ada\\\\u0040example.org\\\"}\"}",
    ] {
        assert_eq!(forms_of(&cart(text)), [EVENT], "{text}");
    }
    for text in [
        "{\"note\": \"was 789456 before\"}",
        "{\"ref\": 789456}",
        "{\"789456\": 1}",
        "{\"mail\": 789456}",
    ] {
        let found = cart(text);
        assert!(found.traces.is_empty(), "{text}");
        assert_eq!(found.mentions.len(), 1, "{text}");
    }
    for text in [
        "{\"ref\": 1789456}",
        "{\"ref\": \"x789456\"}",
        "{\"ref\": 789456.5}",
    ] {
        let found = cart(text);
        assert!(
            found.traces.is_empty() && found.mentions.is_empty(),
            "{text}"
        );
    }
}

#[test]
fn a_longer_number_is_another_number_however_long_the_identifier() {
    let mut subject = quarry();
    subject.identifiers = vec![("user_id".into(), "12345678".into())];
    let searcher = Searcher::new(&[subject]).unwrap();
    let counts = |text: &str| searcher.find(text.as_bytes(), false).hits.len();
    for text in ["12345678", "x12345678x", "a/12345678.json", "-12345678.5"] {
        assert_eq!(counts(text), 1, "{text}");
    }
    for text in ["123456789", "1712345678000", "012345678"] {
        assert_eq!(counts(text), 0, "{text}");
    }
}

#[test]
fn an_event_of_the_subject_from_after_the_request_is_counted_and_left_alone() {
    let cart = |text: &str| look_by(1000, "a", Some("cart"), text.as_bytes());
    let with_mail = format!(", \"note\": \"{MAIL}\"");
    let found = cart(&event(ADA, LATER, &with_mail));
    assert!(found.traces.is_empty());
    assert_eq!(found.later.get(&0), Some(&1));
    // In the policy's zone.
    let found = cart(&event(ADA, "2026-11-20 00:00:01", ""));
    assert_eq!(found.later.get(&0), Some(&1));
    // Doubtful times excuse nothing.
    for time in [
        super::CUTOFF,
        "2026-11-20T00:59:59+01:00",
        "tomorrow",
        "2026-13-01T00:00:00Z",
        &format!("{LATER}\", \"timestamp\": \"{LATER}"),
    ] {
        assert_eq!(raw(event(ADA, time, "")), [FIELD], "{time}");
    }
    assert_eq!(
        raw("{\"userId\": 789456, \"timestamp\": 9999999999}"),
        [FIELD]
    );
    assert_eq!(
        raw(format!(
            "{{\"userId\": 1, \"timestamp\": \"{LATER}\"{with_mail}}}"
        )),
        [EVENT]
    );
}

#[test]
fn an_event_of_somebody_else_may_hold_an_id_that_is_linked() {
    let session = format!(", \"session\": \"{SESSION}\"");
    assert!(raw(event("1", EARLIER, &session)).is_empty());
    assert_eq!(raw(event("null", EARLIER, &session)), [EVENT]);
    assert_eq!(raw(event("\"\"", EARLIER, &session)), [EVENT]);
    assert_eq!(raw(event(ADA, EARLIER, &session)), [FIELD, EVENT]);
    let later = look_by(
        1000,
        "a",
        Some("cart"),
        event("null", LATER, &session).as_bytes(),
    );
    assert_eq!((later.traces.len(), later.later.get(&0)), (0, Some(&1)));
}

#[test]
fn records_are_found_in_any_layout() {
    let (ada, bob) = (event(ADA, EARLIER, ""), event("1", EARLIER, ""));
    let pretty = "{\n  \"userId\":\n    789456\n}";
    let layouts = [
        (format!("{bob}\n{ada}\n"), 2),
        (format!("\u{feff}{bob}\r\n\r\n{ada}"), 2),
        (format!("{bob}{ada}{bob}"), 3),
        (format!("[{bob}, {ada}]"), 2),
        (format!("[\n{bob},\n{ada}\n]\n"), 2),
        (format!("{bob}\n{pretty}\n{bob}"), 3),
        (format!("{{\"a\": \n{bob}\n{ada}\n"), 3),
    ];
    for (text, records) in layouts {
        for size in [1, 7, 1000] {
            let found = look_by(size, "a", Some("cart"), text.as_bytes());
            assert_eq!(found.traces.len(), 1, "{text}");
            assert_eq!(found.records, records, "{text}");
        }
    }
}

#[test]
fn broken_records_are_searched_as_bytes() {
    for text in [
        "{\"userId\": 789456",
        "{\"userId\": \"789456\",,}",
        "{'userId': '789456'}",
        "userId=789456",
        "\"\\u003789456\"",
        "{\"userId\": \"\\u003789456\", \"bad\": \"\\ud800\"}",
        "{\"bad\": NaN, \"mail\": \"xada@example.orgx\"}",
        "789456",
    ] {
        let found = raw(text);
        let expected: &[&str] = if text == "789456" { &[] } else { &[BROKEN] };
        assert_eq!(found, expected, "{text}");
    }
    assert!(raw("{\"userId\": 1789456").is_empty());
    let invalid = [b"{\"userId\": \"789456\", \"x\": \"", &[0xff][..], b"\"}"].concat();
    assert_eq!(raw(invalid), [BROKEN]);
    // What follows on a line of its own is an event again: this one is another's, this one later.
    let after = format!(
        "{{\"x\": oops\n  \"userId\": 5}}\n{}\n",
        event(ADA, LATER, "")
    );
    let found = look_by(1000, "a", Some("cart"), after.as_bytes());
    assert_eq!(
        (found.records, found.traces.len(), found.later.len()),
        (2, 0, 1)
    );
    let deep = format!("{}789456{}", "{\"userId\":".repeat(9000), "}".repeat(9000));
    assert_eq!(raw(deep), [BROKEN]);
}

#[test]
fn compression_and_wide_text_are_undone() {
    let text = format!("{}\n", event(ADA, EARLIER, ""));
    let gzip = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let two_members = [gzip("{}\n"), gzip(&text)].concat();
    assert_eq!(raw(&two_members), [FIELD]);
    assert_eq!(raw(&two_members[..two_members.len() - 9]), [FIELD]);
    let frame = |text: &str| zstd::encode_all(text.as_bytes(), 3).unwrap();
    assert_eq!(raw([frame("{}\n"), frame(&text)].concat()), [FIELD]);
    for mark in ["", "\u{feff}"] {
        let marked = format!("{mark}{text}");
        let little: Vec<u8> = marked.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = marked.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let widest: Vec<u8> = marked
            .chars()
            .flat_map(|sign| u32::from(sign).to_le_bytes())
            .collect();
        for wide in [little, big, widest] {
            assert_eq!(raw(wide), [FIELD]);
        }
    }
}

#[test]
fn what_cannot_be_read_is_said() {
    let gzip = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&[b'{'; 5000]).unwrap();
        encoder.finish().unwrap()
    };
    let mut corrupt = gzip.clone();
    let checksum = corrupt.len() - 8;
    corrupt[checksum] ^= 1;
    let twice = zstd::encode_all(&gzip[..], 3).unwrap();
    let cases: [&[u8]; 6] = [
        &corrupt,
        &twice,
        b"BZh91AY&SY",
        b"PK\x03\x04....",
        b"\xff\xfe{\0\0\xd8",
        b"\x28\xb5\x2f\xfdgarbage...",
    ];
    for stored in cases {
        let found = look_by(1000, "a", Some("cart"), stored);
        assert!(found.is_unreadable, "{stored:?}");
    }
    assert!(!look_by(3, "a", Some("cart"), &gzip[..gzip.len() - 9]).is_unreadable);
}

#[test]
fn in_the_programs_own_files_strings_count_and_numbers_do_not() {
    let log = "events/cart/_delta_log/00000000000000000001.json";
    let ledger = "system/ledger/cart/000000000001.json";
    for key in [log, ledger] {
        for text in [
            "{\"size\": 789456, \"rows\": 789456}",
            "{\"stats\": \"{\\\"numRecords\\\":789456}\"}",
            "{\"path\": \"part-1789456.parquet\"}",
            "{\"0\": 1}",
        ] {
            assert!(other(key, text).is_empty(), "{text}");
        }
        for text in [
            "{\"predicate\": \"userId = 789456\"}",
            "{\"values\": [\"789456\"]}",
            "{\"raw\": \"{\\\"to\\\":\\\"ada@example.org\\\"}\"}",
            "{\"name\": \"\\u0061da@example.org\"}",
        ] {
            assert_eq!(other(key, text), [TEXT], "{text}");
        }
        let stats = "{\"stats\": \"{\\\"minValues\\\":{\\\"userId\\\":789456}}\"}";
        assert_eq!(other(key, stats), [FIELD]);
    }
    assert_eq!(other(ledger, "not JSON, for ada@example.org"), [BYTES]);
    assert_eq!(other("else/list.csv", "1;x\n2;ada@example.org\n"), [BYTES]);
    assert_eq!(other("else/list.txt", "user: 789456"), [BYTES]);
    assert!(other("else/list.txt", "1 789456 2").is_empty());
}

#[test]
fn quarantined_records_are_opened() {
    let key = "quarantine/cart/000000000001-abc.jsonl";
    let line = |field: &str, record: &str| {
        let object = "cart/789456789.json";
        serde_json::json!({ "object": object, "offset": 789_456, field: record }).to_string()
    };
    assert_eq!(
        other(key, line("record", &event(ADA, "never", ""))),
        [FIELD]
    );
    assert_eq!(other(key, line("record", "{\"userId\": 789456")), [BROKEN]);
    // {"userId": 789456, and a byte that is no text
    assert_eq!(
        other(key, line("record_base64", "eyJ1c2VySWQiOiA3ODk0NTYs/w==")),
        [BROKEN]
    );
    assert!(other(key, line("record", &event("1", "never", ""))).is_empty());
    let later = look_by(
        100,
        key,
        None,
        line("record", &event(ADA, LATER, "")).as_bytes(),
    );
    assert_eq!((later.traces.len(), later.later.get(&0)), (0, Some(&1)));
}

#[test]
fn a_trace_across_windows_is_found() {
    // Windows are four megabytes.
    let filler = "x".repeat(4 * 1024 * 1024 - 7);
    assert_eq!(
        other("else/large", format!("{filler}{MAIL}{filler}")),
        [BYTES]
    );
    assert_eq!(raw(format!("broken {filler} {MAIL} {filler}")), [BROKEN]);
    let event = format!("{{\"x\": \"{filler}{filler}\", \"userId\": 789456}}");
    assert_eq!(raw(event), [FIELD]);
}
