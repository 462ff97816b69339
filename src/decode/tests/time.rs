//! Rows 13 to 15: when an event happened.

use chrono::FixedOffset;

use super::json;
use crate::decode::{FieldPath, Reason, TimeRule, TimeUnit, event_time};

/// The time in RFC 3339 with all its digits, or why there is none.
fn time(value: &str, unit: TimeUnit, zone_hours: Option<i32>) -> Result<String, Reason> {
    let rule = TimeRule {
        path: FieldPath::from_names(["t"]),
        unit,
        zone: zone_hours.map(|hours| FixedOffset::east_opt(hours * 3600).unwrap()),
    };
    let event = json(&format!("{{\"t\":{value}}}"));
    event_time(&event, &rule).map(|time| time.to_rfc3339())
}

#[test]
fn texts_with_an_offset() {
    for (text, expected) in [
        ("2024-08-14T14:00:00Z", "2024-08-14T14:00:00+00:00"),
        (
            "2024-08-14 16:00:00.123456789+02:00",
            "2024-08-14T14:00:00.123456789+00:00",
        ),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59+00:00"),
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00+00:00"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:60+00:00"),
        ("2017-01-01T00:59:60+01:00", "2016-12-31T23:59:60+00:00"),
    ] {
        assert_eq!(
            time(&format!("\"{text}\""), TimeUnit::Text, None),
            Ok(expected.to_owned())
        );
    }
}

#[test]
fn texts_that_are_no_time() {
    for text in [
        "",
        "yesterday",
        "2023-02-29T00:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-08-14",
        "14:00:00Z",
        "2024-08-14T14:00:60Z",
        "2024-08-14T24:00:00Z",
        "2024-08-14T14:00:00ZZ",
        "20240814T140000Z",
        "1723644000",
    ] {
        assert_eq!(
            time(&format!("\"{text}\""), TimeUnit::Text, Some(0)),
            Err(Reason::TimeUnparsable),
            "{text}"
        );
    }
    assert_eq!(
        time("1723644000", TimeUnit::Text, None),
        Err(Reason::TimeUnparsable)
    );
    assert_eq!(
        time("\"0000-01-01T00:00:00Z\"", TimeUnit::Text, None),
        Err(Reason::TimeOutOfRange)
    );
    assert_eq!(
        time("\"9999-12-31T23:59:59-01:00\"", TimeUnit::Text, None),
        Err(Reason::TimeOutOfRange)
    );
}

#[test]
fn naive_texts_need_a_declared_zone() {
    let naive = "\"2024-09-06T10:00:00.5\"";
    assert_eq!(
        time(naive, TimeUnit::Text, None),
        Err(Reason::TimeWithoutZone)
    );
    assert_eq!(
        time(naive, TimeUnit::Text, Some(2)),
        Ok("2024-09-06T08:00:00.500+00:00".to_owned())
    );
    assert_eq!(
        time("\"2016-12-31T23:59:60\"", TimeUnit::Text, Some(0)),
        Ok("2016-12-31T23:59:60+00:00".to_owned())
    );
}

#[test]
fn epochs_by_unit() {
    let expected = Ok("2024-08-14T14:00:00.250+00:00".to_owned());
    assert_eq!(
        time("1723644000.25", TimeUnit::EpochSeconds, None),
        expected
    );
    assert_eq!(
        time("1723644000250", TimeUnit::EpochMilliseconds, None),
        expected
    );
    assert_eq!(
        time("\"1723644000250\"", TimeUnit::EpochMilliseconds, None),
        expected
    );
    assert_eq!(
        time("1.72364400025e15", TimeUnit::EpochMicroseconds, None),
        expected
    );
    assert_eq!(
        time("-0.0000000001", TimeUnit::EpochSeconds, None),
        Ok("1969-12-31T23:59:59.999999999+00:00".to_owned())
    );
}

#[test]
fn epochs_that_are_no_time() {
    for value in [
        "1723644000000",
        "1e30",
        "1e400",
        "-1e30",
        "1e99999999999999999999",
    ] {
        assert_eq!(
            time(value, TimeUnit::EpochSeconds, None),
            Err(Reason::TimeOutOfRange),
            "{value}"
        );
    }
    for value in ["\"soon\"", "true", "{}", "[1]", "\"\""] {
        assert_eq!(
            time(value, TimeUnit::EpochSeconds, None),
            Err(Reason::TimeUnparsable),
            "{value}"
        );
    }
}

#[test]
fn exactly_one_time() {
    let rule = TimeRule {
        path: FieldPath::from_names(["t"]),
        unit: TimeUnit::Text,
        zone: None,
    };
    assert_eq!(event_time(&json("{}"), &rule), Err(Reason::TimeMissing));
    assert_eq!(
        event_time(&json(r#"{"t":null}"#), &rule),
        Err(Reason::TimeMissing)
    );
    let twice = r#"{"t":"2024-08-14T14:00:00Z","t":"2024-08-14T14:00:00Z"}"#;
    assert_eq!(event_time(&json(twice), &rule), Err(Reason::TimeAmbiguous));
}
