//! The verification of erasures, on lakes that the real program left.

use std::collections::BTreeSet;

use lakewarden::demo::SUBJECT_SAMPLE;
use lakewarden::embedded::EmbeddedS3;
use lakewarden::erasure::verify::{Coverage, Quarry, Sample, verify};
use lakewarden::lake::connect::Connection;
use lakewarden::lake::s3::ReadS3;
use lakewarden::policy::Policies;

use crate::support::events::{bucket, raw_key};
use crate::support::lake::time;
use crate::support::{Lake, NOW, traces};

/// What is found of the sample's customer, by the policies of the lake.
fn verified(lake: &Lake, cutoff: &str) -> Coverage {
    let policies = Policies::load(&lake.dir().join("policies")).unwrap();
    let server = EmbeddedS3::open(&lake.s3()).unwrap();
    let quarries = [Quarry {
        request: "sample".into(),
        identifiers: vec![("user_id".into(), SUBJECT_SAMPLE.into())],
        composites: Vec::new(),
        linked: Vec::new(),
        cutoff: time(cutoff),
    }];
    let s3 = ReadS3::new(Connection::embedded(&server));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let verifying = verify(&s3, &policies, &quarries, Sample::All);
    let mut coverages = runtime.block_on(verifying).unwrap();
    coverages.remove("sample").unwrap()
}

#[test]
fn nothing_is_left_of_an_erased_customer_and_everything_was_found_before() {
    let lake = Lake::after_a_night();
    let before = verified(&lake, NOW);
    // Current objects lie under their keys as plain files; whole words in them are found there naively.
    let found: BTreeSet<String> = before
        .traces
        .iter()
        .map(|trace| format!("{}/{}", trace.bucket, trace.key))
        .collect();
    for file in traces::mentioning(&lake.s3(), SUBJECT_SAMPLE) {
        let file = file.strip_prefix(lake.s3()).unwrap().to_str().unwrap();
        assert!(file.starts_with(".s3") || found.contains(file), "{file}");
    }
    assert_eq!(before.later_events, 0);
    assert!(before.unreadable.is_empty());

    lake.request_erasure(NOW, &format!("user_id={SUBJECT_SAMPLE}"));
    lake.run(NOW);
    let after = verified(&lake, NOW);
    assert_eq!(after.traces, []);
    assert!(after.is_clean());
    assert!(after.records > 0 && after.rows > 0);
}

#[test]
fn later_events_do_not_stand_in_the_way() {
    let lake = Lake::after_a_night();
    let coverage = verified(&lake, "2020-01-01T00:00:00Z");
    assert_eq!(coverage.traces, []);
    assert!(coverage.later_events > 0);
    assert!(coverage.is_clean());
}

#[test]
fn by_hand_it_asks_for_the_identifier_again_and_tells_what_it_covered() {
    let lake = Lake::after_a_night();
    let id = lake.request_erasure(NOW, &format!("user_id={SUBJECT_SAMPLE}"));
    lake.run(NOW);
    let verify = |more: &[&str], identifier: &str| {
        let arguments = [&["erase", "verify", &id], more].concat();
        lake.command_with(NOW, &arguments, &format!("{identifier}\n"))
    };
    let given = ["--identifier", "-"];
    let subject = format!("user_id={SUBJECT_SAMPLE}");
    verify(&[], "").expect_exit(2);
    verify(&given, "user_id=somebody").expect_exit(2);
    let clean = verify(&given, &subject);
    clean.expect_exit(0).does_not_mention(SUBJECT_SAMPLE);
    assert!(clean.stdout.contains("nothing found"), "{}", clean.stdout);
    assert!(
        clean.stdout.contains("not known any more"),
        "{}",
        clean.stdout
    );

    let some = ["--identifier", "-", "--sample", "0.2", "--output", "json"];
    let sampled = verify(&some, &subject).json();
    assert!(sampled["left_out"].as_u64().unwrap() > 0, "{sampled}");

    let event = format!(r#"{{"userId": "{SUBJECT_SAMPLE}", "timestamp": "2026-11-01T08:00:00Z"}}"#);
    lake.store(NOW)
        .put(bucket("cart"), &raw_key("cart", 7, 0), event);
    let found = verify(&given, &subject);
    found.expect_exit(1).does_not_mention(SUBJECT_SAMPLE);
    assert!(
        found.stdout.contains("value at an identifier field"),
        "{}",
        found.stdout
    );
}
