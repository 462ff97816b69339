use serde_json::json;

use super::*;
use crate::lake::subject::contains_token;

/// What people wrote is markup, if nobody sees to it.
const MARKUP: &str = "<img src=x onerror=\"alert('&')\">";
const SAFE: &str = "&lt;img src=x onerror=&quot;alert(&apos;&amp;&apos;)&quot;&gt;";

fn certificate() -> Certificate {
    let erased = json!({
        "rows": 12_345_678, "redacted": 23_456, "files": 34_567, "raw_records": 45_678,
        "raw_objects": 56_789, "quarantined": 67_890, "days": ["2026-11-18"],
    });
    let scan = Scan {
        records: 78_901,
        ..Scan::default()
    };
    let certificate = json!({
        "version": 2, "request": "20261120-abcdef12", "reference": MARKUP,
        "identity_checked_by": MARKUP, "approved_by": MARKUP,
        "received": "2026-11-20T03:00:00Z", "deadline": "2026-12-20T03:00:00Z",
        "extended": {"at": "2026-11-21T03:00:00Z", "reason": MARKUP, "from": "received"},
        "erased_at": "2026-11-20T03:00:00Z", "certified_at": "2026-11-22T03:00:00Z", "in_time": true,
        "history": [{"at": "2026-11-20T03:00:00Z", "state": "received"}],
        "subject": [{"kind": MARKUP, "hash": "00ff"}], "linked_ids": 89_012, "key": "0123456789abcdef",
        "until": "2026-11-20T03:00:00Z", "scope": ["s3://lake/"], "method": [MARKUP],
        "program": "lakewarden", "run": "run", "policies": "abcd",
        "erased": erased, "tables": {"payment": erased}, "result": "no trace of the subject was found",
        "verification": scan,
        "exceptions": [{
            "table": "payment", "rows": 23_456, "basis": MARKUP, "pseudonymised_until": "2027-02-16",
        }],
        "recipients": [
            {"name": MARKUP, "acknowledged": null},
            {"name": "dbt", "acknowledged": {"at": "2026-11-21T03:00:00Z", "by": MARKUP}},
        ],
        "manifests": [{
            "table": "payment", "location": "s3://lake/events/payment/", "days": ["2026-11-18"],
            "rows": 90_123, "by_identifier": {"sql": MARKUP, "bind": ["user_id"]}, "by_day": MARKUP,
        }],
        "outside": [{"what": MARKUP, "who": MARKUP}],
    });
    serde_json::from_value(certificate).unwrap()
}

#[test]
fn the_page_holds_every_text_and_no_markup_but_its_own() {
    let page = page::render(&certificate(), "1234", "5678");
    assert!(!page.contains("<img"), "{page}");
    assert_eq!(page.matches(SAFE).count(), 13);
    for told in [
        "20261120-abcdef12",
        "2026-12-20 03:00 UTC",
        "12,345,678",
        "pseudonymised until",
        "2027-02-16",
        "still to be told",
        "s3://lake/events/payment/",
    ] {
        assert!(page.to_lowercase().contains(&told.to_lowercase()), "{told}");
    }
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let page = page::render(&certificate(), "1234", "5678").to_lowercase();
    for foreign in [
        "<script", "<link", "<iframe", "http:", "https:", "url(", "@import", " src=\"", " href=",
    ] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert!(page.contains("@media print"));
}

/// Scans for later requests read the page.
#[test]
fn no_number_on_the_page_looks_like_an_identifier() {
    let page = page::render(&certificate(), "1234", "5678");
    for count in [
        "12345678", "12322222", "23456", "34567", "45678", "56789", "67890", "78901", "89012",
        "90123",
    ] {
        assert!(
            !contains_token(page.as_bytes(), count.as_bytes()),
            "{count}"
        );
    }
    // The minutes of 03:00 are the one exception.
    for short in (1..10_000).map(|number| number.to_string()) {
        assert!(
            !contains_token(page.as_bytes(), short.as_bytes()),
            "{short}"
        );
    }
}
