//! Which segments and rewrites count.

use super::*;

fn segment(number: u64, previous: Option<u64>, etag: &str) -> Segment {
    Segment {
        version: 1,
        number,
        previous,
        run: "run".into(),
        at: DateTime::UNIX_EPOCH,
        objects: vec![Entry {
            key: "a".into(),
            etag: etag.into(),
            size: 1,
            counts: Counts::default(),
            first_date: None,
            last_date: None,
            damaged: false,
        }],
        quarantine: Some(format!("quarantine/{number}")),
    }
}

fn folder() -> S3Location {
    S3Location {
        bucket: "lake".into(),
        prefix: "system/ledger/cart/".into(),
    }
}

fn parts(segments: Vec<Segment>, rewrites: Vec<Rewrite>) -> Parts {
    let rewrites = rewrites.into_iter().enumerate();
    Parts {
        segments: segments
            .into_iter()
            .map(|segment| (segment.number, segment))
            .collect(),
        rewrites: rewrites
            .map(|(number, rewrite)| (rewrite_key(number), rewrite))
            .collect(),
        begins: None,
    }
}

fn rewrite_key(number: usize) -> String {
    format!("system/ledger/cart/rewrites/{number}.json")
}

fn ledger(segments: Vec<Segment>, rewrites: Vec<Rewrite>, committed: Option<u64>) -> Ledger {
    Ledger::from_parts(parts(segments, rewrites), committed, &folder()).unwrap()
}

fn rewrite(from: &str, to: &str) -> Rewrite {
    Rewrite {
        version: 1,
        key: "a".into(),
        from: from.into(),
        to: to.into(),
        size: 1,
        first_date: None,
        last_date: None,
        run: "run".into(),
    }
}

#[test]
fn a_segment_without_its_commit_is_void_and_its_number_is_not_used_again() {
    let segments = vec![
        segment(1, None, "one"),
        segment(2, Some(1), "died"),
        segment(3, Some(1), "three"),
        segment(4, Some(3), "died too"),
    ];
    let ledger = ledger(segments, vec![], Some(3));
    assert!(ledger.compacted("a", "one").is_some());
    assert!(ledger.compacted("a", "three").is_some());
    assert!(ledger.compacted("a", "died").is_none());
    assert!(ledger.compacted("a", "died too").is_none());
    assert!(ledger.is_valid_quarantine("quarantine/3"));
    assert!(!ledger.is_valid_quarantine("quarantine/2"));
    assert_eq!(ledger.next, 5);
}

#[test]
fn a_missing_segment_stops_everything() {
    let parts = parts(vec![segment(2, Some(1), "two")], vec![]);
    assert!(Ledger::from_parts(parts, Some(2), &folder()).is_err());
}

#[test]
fn a_ledger_may_begin_where_it_says_and_nowhere_else() {
    let from = |begins: u64, numbers: &[u64], committed: u64| {
        let segments = numbers
            .iter()
            .map(|number| segment(*number, number.checked_sub(1), "etag"));
        let parts = Parts {
            begins: Some(begins),
            ..parts(segments.collect(), vec![])
        };
        Ledger::from_parts(parts, Some(committed), &folder())
    };
    assert_eq!(from(3, &[3, 4], 4).unwrap().next, 5);
    assert!(from(3, &[4], 4).is_err(), "segment 3 is missing");
    assert!(from(3, &[3, 4], 5).is_err(), "the last one is missing");
    // A table that was put back to an older state needs the segments of that state.
    assert!(from(3, &[3, 4], 2).is_err());
}

#[test]
fn of_a_ledgers_folder_goes_what_is_about_older_segments() {
    let segments = vec![segment(2, Some(1), "two"), segment(3, Some(2), "three")];
    let rewrites = vec![
        rewrite("two", "two again"),
        rewrite("two again", "two at last"),
        rewrite("three", "three again"),
        rewrite("one", "one again"),
    ];
    let parts = Parts {
        begins: Some(2),
        ..parts(segments, rewrites)
    };
    let ledger = Ledger::from_parts(parts, Some(3), &folder()).unwrap();
    let goes = |name: &str, from: u64| {
        let key = format!("system/ledger/cart/{name}");
        ledger.is_before(&key, &folder(), from)
    };
    for (name, before_two, before_three) in [
        ("000000000001.json", true, true),
        ("000000000002.json", false, true),
        ("000000000003.json", false, false),
        ("begins/000000000001.json", true, true),
        ("begins/000000000002.json", false, true),
        ("rewrites/0.json", false, true),
        ("rewrites/1.json", false, true),
        ("rewrites/2.json", false, false),
        // What it follows from went with segment 1.
        ("rewrites/3.json", true, true),
        ("rewrites/new.json", false, false),
        ("notes.txt", false, false),
    ] {
        assert_eq!(goes(name, 2), before_two, "{name} before 2");
        assert_eq!(goes(name, 3), before_three, "{name} before 3");
    }
    assert!(!ledger.is_before("elsewhere/000000000001.json", &folder(), 2));
}

#[test]
fn a_rewrite_may_follow_from_a_segment_that_does_not_count_yet() {
    let parts = Parts {
        begins: Some(2),
        ..parts(
            vec![segment(2, Some(1), "two"), segment(3, Some(2), "void")],
            vec![rewrite("void", "void again")],
        )
    };
    let ledger = Ledger::from_parts(parts, Some(2), &folder()).unwrap();
    assert!(!ledger.is_before(&rewrite_key(0), &folder(), 2));
}

#[test]
fn rewrites_inherit_through_any_number_of_steps_but_from_nothing_nothing() {
    let rewrites = vec![
        rewrite("two", "three"),
        rewrite("one", "two"),
        rewrite("x", "y"),
    ];
    let ledger = ledger(vec![segment(1, None, "one")], rewrites, Some(1));
    assert!(ledger.compacted("a", "three").is_some());
    assert!(ledger.compacted("a", "y").is_none());
}
