//! The pass over a lake: what it covers, in what order, and whom it answers.

use super::{
    ADA, CUTOFF, EARLIER, LAKE, LATER, Lake, MAIL, RAW, coverage_of, event, forms, quarry,
};
use crate::erasure::verify::{Amount, Coverage, Place, Quarry, Sample, verify};

#[tokio::test]
async fn a_lake_without_traces_is_clean_and_all_of_it_was_looked_at() {
    let lake = Lake::new().await;
    let bob = event("1", EARLIER, "");
    let objects = [
        (RAW, "cart/a.json", format!("{bob}\n{bob}\n"), Place::Raw),
        (
            LAKE,
            "events/cart/_delta_log/0.json",
            "{}".into(),
            Place::Logs,
        ),
        (
            LAKE,
            "quarantine/cart/1.jsonl",
            "{\"record\":\"x\"}".into(),
            Place::Quarantine,
        ),
        (
            LAKE,
            "system/lease.json",
            "{\"size\": 789456}".into(),
            Place::System,
        ),
        (LAKE, "notes.txt", "hello".into(), Place::Other),
        (LAKE, "curated/funnel/readme", "x".into(), Place::Tables),
    ];
    for (bucket, key, body, _) in &objects {
        lake.put(bucket, key, body.clone()).await;
    }
    lake.put(RAW, "elsewhere/a.json", event(ADA, EARLIER, ""))
        .await;
    let coverage = lake.coverage().await;
    assert!(coverage.is_clean(), "{coverage:?}");
    assert_eq!(coverage.looked_at.len(), 6);
    for (_, key, body, place) in &objects {
        let expected = Amount {
            versions: 1,
            bytes: body.len() as u64,
        };
        assert_eq!(coverage.looked_at.get(place), Some(&expected), "{key}");
    }
    // Two raw records, a quarantine line, and the two JSON files of the program.
    assert_eq!(coverage.records, 5);
    let text = serde_json::to_string(&coverage).unwrap();
    assert!(text.contains("\"raw\":{\"versions\":1,"), "{text}");
    assert_eq!(serde_json::from_str::<Coverage>(&text).unwrap(), coverage);
}

#[tokio::test]
async fn each_request_is_answered_for_itself_in_one_pass() {
    let lake = Lake::new().await;
    lake.put(RAW, "cart/a.json", event(ADA, EARLIER, "")).await;
    lake.put(RAW, "cart/b.json", event("555", LATER, "")).await;
    let mut quarries: Vec<Quarry> = (0..1000)
        .map(|number| Quarry {
            request: format!("r{number}"),
            identifiers: vec![("user_id".into(), format!("{}", 9_000_000 + number))],
            composites: Vec::new(),
            linked: Vec::new(),
            cutoff: CUTOFF.parse().unwrap(),
        })
        .collect();
    quarries.push(quarry());
    quarries.push(Quarry {
        request: "again".into(),
        ..quarry()
    });
    quarries.push(Quarry {
        request: "later".into(),
        identifiers: vec![("user_id".into(), "555".into())],
        ..quarry()
    });
    let coverages = lake.coverages(&quarries).await;
    assert_eq!(coverages.len(), 1003);
    for (request, coverage) in &coverages {
        let expected = usize::from(request == "one" || request == "again");
        assert_eq!(coverage.traces.len(), expected, "{request}");
        assert_eq!(
            coverage.later_events,
            u64::from(request == "later"),
            "{request}"
        );
        assert_eq!(coverage.records, 2);
    }
    assert_eq!(coverages["one"], coverages["again"]);
    assert_eq!(coverages["one"], lake.coverages(&quarries).await["one"]);
}

#[tokio::test]
async fn a_sample_is_repeatable_and_says_what_it_left_out() {
    let lake = Lake::new().await;
    for number in 0..60 {
        let key = format!("cart/{number}.json");
        lake.put(RAW, &key, event(ADA, EARLIER, "")).await;
    }
    let some = |share| {
        let lake = &lake;
        async move {
            let sample = Sample::Share(share);
            let verified = verify(lake.s3.read(), &super::policies(), &[quarry()], sample).await;
            verified.unwrap().remove("one").unwrap()
        }
    };
    let (third, again, whole) = (some(0.3).await, some(0.3).await, some(1.0).await);
    assert_eq!(third, again);
    let versions = |coverage: &Coverage| coverage.looked_at[&Place::Raw].versions;
    assert_eq!(versions(&third) + third.left_out, 60);
    assert!((5..35).contains(&versions(&third)), "{}", versions(&third));
    assert_eq!((versions(&whole), whole.left_out), (60, 0));
    // What is in a smaller sample is in a larger one.
    let half = some(0.5).await;
    assert!(third.traces.iter().all(|trace| half.traces.contains(trace)));
}

#[tokio::test]
async fn keys_that_hold_an_identifier_are_withheld() {
    for key in [
        "cart/user=789456/a.json",
        "cart/789456.json",
        "cart/ada@example.org/a.json",
        "cart/x-ada%40example.org",
    ] {
        let coverage = coverage_of(RAW, key, "{}").await;
        assert_eq!(forms(&coverage), ["key"], "{key}");
        assert_eq!(coverage.traces[0].key, "(withheld)");
        let told = serde_json::to_string(&coverage).unwrap();
        assert!(!told.contains(ADA) && !told.contains("ada@"), "{told}");
    }
    for key in [
        "cart/1789456.json",
        "cart/topic+0+0000789456.json",
        "cart/hour=22/a",
    ] {
        let coverage = coverage_of(RAW, key, "{}").await;
        assert!(coverage.is_clean(), "{key}");
    }
    let lake = Lake::new().await;
    lake.put(
        RAW,
        "cart/789456.gz",
        &b"\x1f\x8b\x08garbage that is no stream"[..],
    )
    .await;
    assert_eq!(lake.coverage().await.unreadable, ["(withheld)"]);
}

#[tokio::test]
async fn large_objects_are_read_piece_by_piece() {
    let lake = Lake::new().await;
    let mut body = vec![b'x'; 17 * 1024 * 1024];
    let border = 8 * 1024 * 1024 - 5;
    body[border..border + MAIL.len()].copy_from_slice(MAIL.as_bytes());
    lake.put(LAKE, "backup/large.bin", body).await;
    let coverage = lake.coverage().await;
    assert_eq!(forms(&coverage), ["bytes"]);
    assert_eq!(coverage.looked_at[&Place::Other].bytes, 17 * 1024 * 1024);
}
