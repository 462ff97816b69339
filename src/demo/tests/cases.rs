//! Every case that the demo promises is in the smallest one too.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::naive::{self, Opened, holds, open_all};
use super::{Demo, NOW, SUBJECT_ERASED, SUBJECT_SAMPLE, generate, moment, names_a_subject};

#[test]
fn every_case_is_in_the_smallest_demo_too() {
    for (seed, events) in [(7, 500), (1, 0), (2, 0), (3, 0), (4, 0)] {
        let demo = generate(seed, events, moment(NOW));
        assert_formats(&demo);
        assert_forms_of_customers(&demo);
        assert_broken_records(&demo);
        assert_repeats(&demo);
        assert_subjects(&demo);
    }
}

fn assert_formats(demo: &Demo) {
    let opened = open_all(demo);
    let some = |test: &dyn Fn(&Opened) -> bool| opened.iter().filter(|object| test(object)).count();
    assert_eq!(some(&|object| object.plain.starts_with(b"[")), 1);
    assert!(some(&|object| object.plain.starts_with(b"\xEF\xBB\xBF")) > 0);
    assert!(some(&|object| holds(&object.plain, "\r\n")) > 0);
    assert!(some(&|object| object.plain.starts_with(b"{\n    \"eventType\"")) > 0);
    for object in &opened {
        assert_eq!(
            object.is_gzip(),
            object.object.key.rsplit('.').next() == Some("gz")
        );
    }
    let mut endings = BTreeSet::new();
    for object in demo.objects.iter().filter(|object| object.body.is_empty()) {
        assert_eq!(object.bucket, "acme-product-events");
        let ending = ["/", "/_SUCCESS", ".json"]
            .into_iter()
            .find(|ending| object.key.ends_with(ending));
        endings.insert(ending.unwrap());
    }
    assert_eq!(endings.len(), 3);
}

fn assert_forms_of_customers(demo: &Demo) {
    let mut forms = BTreeSet::new();
    let mut devices = BTreeSet::new();
    for object in open_all(demo) {
        for event in object.read().into_iter().filter_map(|record| record.event) {
            devices.extend(
                event["deviceDetails"]["deviceType"]
                    .as_str()
                    .map(str::to_owned),
            );
            let named = naive::customer(&event).is_some_and(|customer| names_a_subject(&customer));
            forms.insert(match event.get("userId") {
                None => ("absent", named),
                Some(Value::Null) => ("null", named),
                Some(Value::Number(_)) => ("number", named),
                Some(_) => ("text", named),
            });
        }
    }
    assert_eq!(
        forms.len(),
        6,
        "text and number of both, absent and null of others: {forms:?}"
    );
    assert_eq!(
        devices.into_iter().collect::<Vec<_>>(),
        ["Desktop", "Mobile", "Tablet"]
    );
}

fn assert_broken_records(demo: &Demo) {
    let mut broken = Vec::new();
    for object in open_all(demo) {
        for (position, record) in object.read().iter().enumerate() {
            if record.event.is_none() {
                assert!(position > 0, "first in {}", object.object.key);
                assert!(object.plain.split(|byte| *byte == b'\n').count() > object.records.len());
                broken.push(object.records[position].clone());
            }
        }
    }
    assert_eq!(broken.len(), 24);
    let of_erased = broken
        .iter()
        .filter(|record| holds(record, SUBJECT_ERASED))
        .count();
    assert_eq!(of_erased, 5);
    let kinds: [fn(&[u8]) -> bool; 8] = [
        |record| !record.ends_with(b"}") && record.starts_with(b"{"),
        |record| record.ends_with(b",}"),
        |record| holds(record, ": NaN,"),
        |record| record == b"undefined",
        |record| str::from_utf8(record).is_err(),
        |record| !holds(record, "timestamp") && record.starts_with(b"{"),
        |record| holds(record, "\"timestamp\": \"yesterday at noon\""),
        |record| holds(record, "\\ud83d\""),
    ];
    for (number, kind) in kinds.iter().enumerate() {
        let count = broken.iter().filter(|record| kind(record)).count();
        assert_eq!(count, 3, "kind {number}");
    }
}

fn assert_repeats(demo: &Demo) {
    let mut folders: BTreeMap<(String, u32, u64), BTreeSet<String>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut overlaps = 0;
    for object in open_all(demo) {
        let place = (object.dataset.clone(), object.partition, object.start);
        let is_first = folders
            .entry(place.clone())
            .or_default()
            .insert(object.folder.clone());
        assert!(is_first, "the same batch twice in one folder");
        overlaps += usize::from(seen.contains(&place) && folders[&place].len() == 1);
        let offsets = object.read().into_iter().map(|record| record.offset);
        seen.extend(offsets.map(|offset| (object.dataset.clone(), object.partition, offset)));
    }
    assert!(
        folders.values().any(|folders| folders.len() == 2),
        "a whole batch again"
    );
    assert!(
        overlaps > 0,
        "an object that starts in the middle of another"
    );
}

fn assert_subjects(demo: &Demo) {
    for subject in [SUBJECT_ERASED, SUBJECT_SAMPLE] {
        let mut datasets = BTreeSet::new();
        let mut days = BTreeSet::new();
        let mut stored = BTreeSet::new();
        let mut events = 0;
        for object in open_all(demo) {
            for event in object.read().into_iter().filter_map(|record| record.event) {
                if naive::customer(&event).as_deref() != Some(subject) {
                    continue;
                }
                events += 1;
                datasets.insert(object.dataset.clone());
                days.insert(naive::time(&event).unwrap().date_naive());
                stored.insert(object.is_gzip());
            }
        }
        assert!(events >= 24, "{events} events");
        assert_eq!((datasets.len(), stored.len()), (4, 2));
        assert!(days.len() >= 6);
    }
    let erased: Vec<_> = demo
        .truth
        .datasets
        .values()
        .map(|dataset| &dataset.of_erased)
        .collect();
    assert!(
        erased
            .iter()
            .all(|subject| subject.kept > 0 && subject.expired > 0 && subject.broken > 0)
    );
    assert!(erased.iter().map(|subject| subject.duplicates).sum::<u64>() >= 2);
}
