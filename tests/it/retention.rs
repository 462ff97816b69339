//! Nothing stays longer than its policy allows, nothing goes a day sooner.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use lakewarden::demo::BUCKETS;
use serde_json::Value;

use crate::support::events::{ADA, BOB, bucket, event, gzip, lines, raw_key, small_lake};
use crate::support::lake::LAKE_BUCKET;
use crate::support::{Lake, NOW, tables, traces};

const NEXT_NIGHT: &str = "2026-11-21T03:00:00Z";

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

#[test]
fn days_beyond_two_calendar_years_leave_tables_curated_tables_and_raw_objects() {
    let lake = Lake::after_an_undisturbed_night();
    let (before, funnel) = (tables::all_rows(&lake), tables::funnel(&lake));
    let raw_before = raw_events(&lake);
    let line = day("2024-11-21");
    let report = lake.run(NEXT_NIGHT);

    let first_day = |rows: &[tables::Row]| rows.iter().filter(|row| row.day < line).count();
    for (name, mut rows) in before {
        let old = first_day(&rows);
        assert!(old > 0, "{name} has nothing to lose");
        assert_eq!(report["datasets"][name]["retired_rows"], old, "{name}");
        rows.retain(|row| row.day >= line);
        assert_eq!(tables::rows(&lake, name), rows, "{name}");
    }
    let kept: Vec<_> = funnel
        .into_iter()
        .filter(|row| day(&row["event_date"]) >= line)
        .collect();
    assert_eq!(tables::funnel(&lake), kept);

    let mut raw = raw_before;
    for events in raw.values_mut() {
        events.retain(|(date, _)| *date >= line);
    }
    assert_eq!(raw_events(&lake), raw, "all versions of all raw objects");
    for (dataset, _) in BUCKETS {
        let table = tables::table(&lake, dataset);
        let named = tables::live_files(&table).into_keys().collect();
        assert_eq!(
            tables::stored_files(&table),
            named,
            "{dataset}: purged, too"
        );
    }
    lake.expect_nothing_to_do(NEXT_NIGHT);
}

#[test]
fn raw_objects_go_thirty_days_after_compaction_and_tables_stay() {
    let lake = Lake::after_a_night();
    let line = day("2024-12-20");
    // NOW is 20 November, 03:00.
    lake.run("2026-12-20T02:59:59Z");
    assert!(raw_events(&lake).values().all(|events| !events.is_empty()));
    let before = tables::all_rows(&lake);
    assert!(before.values().flatten().all(|row| row.day >= line));
    lake.run("2026-12-20T03:00:00Z");
    for (bucket, events) in raw_events(&lake) {
        assert_eq!(events, [], "{bucket}");
    }
    assert_eq!(tables::all_rows(&lake), before);
    lake.expect_nothing_to_do("2026-12-20T03:00:00Z");
    tables::expect_funnel_to_fit(&lake);
}

#[test]
fn a_year_is_a_calendar_year_on_the_29th_of_february_too() {
    let lake = Lake::empty();
    let days = ["2026-02-27", "2026-02-28", "2026-03-01"];
    let clicks = days.map(|day| event("cart", BOB, &format!("{day}T23:59:59Z")));
    lake.store(NOW)
        .put(bucket("cart"), &raw_key("cart", 0, 0), lines(&clicks));
    let days_at = |now: &str| {
        lake.run(now);
        let rows = tables::rows(&lake, "cart");
        rows.iter()
            .map(|row| row.day.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(days_at("2028-02-27T23:59:59Z"), days);
    assert_eq!(days_at("2028-02-28T00:00:00Z"), days[1..]);
    // Two years before 29 February 2028 is 28 February 2026.
    assert_eq!(days_at("2028-02-29T12:00:00Z"), days[1..]);
    assert_eq!(days_at("2028-03-01T00:00:00Z"), days[2..]);
    assert_eq!(days_at("2028-03-02T00:00:00Z"), [""; 0]);
}

#[test]
fn without_a_rule_raw_objects_stay() {
    let lake = Lake::empty();
    let keep = "keep: 30 days after compaction";
    lake.change_policy("datasets/cart.yaml", keep, "");
    let body = lines(&[event("cart", BOB, "2026-11-19T08:00:00Z")]);
    lake.store(NOW)
        .put(bucket("cart"), &raw_key("cart", 0, 0), body.clone());
    lake.run(NOW);
    lake.run("2027-11-20T03:00:00Z");
    let versions = lake.store(NOW).versions(bucket("cart"), "");
    assert_eq!(versions.len(), 1);
    assert_eq!(versions[0].bytes, body);
}

#[test]
fn the_plan_tells_what_leaves_next() {
    let lake = Lake::after_a_night();
    let due = lake.plan(NOW)["due"].clone();
    let texts: Vec<String> = due
        .as_array()
        .unwrap()
        .iter()
        .map(|due| format!("{} {}", due["at"], due["what"]))
        .collect();
    for (dataset, _) in BUCKETS {
        let events =
            format!("\"2026-11-21T00:00:00Z\" \"events of 2024-11-20 leave {dataset} (2 years)\"");
        let raw = format!(
            "\"2026-12-20T03:00:00Z\" \"raw objects of {dataset} go, 30 days after compaction\""
        );
        assert!(texts.contains(&events), "{texts:#?}");
        assert!(texts.contains(&raw), "{texts:#?}");
    }
}

#[test]
fn reports_go_two_years_after_their_run() {
    let lake = Lake::empty();
    let click = lines(&[event("cart", BOB, "2026-11-19T08:00:00Z")]);
    lake.store(NOW)
        .put(bucket("cart"), &raw_key("cart", 0, 0), click);
    let run = lake.run(NOW)["run"].as_str().unwrap().to_owned();
    let report = format!("system/reports/{run}.json");
    assert!(lake.lake_file(&report).exists());
    lake.run("2028-11-20T02:59:59Z");
    assert!(lake.lake_file(&report).exists());
    lake.run("2028-11-20T03:00:00Z");
    let left = lake.store(NOW).versions(LAKE_BUCKET, &report);
    assert_eq!(left, []);
    lake.expect_nothing_to_do("2028-11-20T03:00:00Z");
}

#[test]
fn broken_records_go_when_the_policy_says_so() {
    let lake = Lake::empty();
    let keep = ("  keep: 2 years", "  keep: 2 years\n  quarantine: 90 days");
    lake.change_policy("datasets/cart.yaml", keep.0, keep.1);
    for dataset in ["cart", "payment"] {
        let click = event(dataset, BOB, "2026-11-19T08:00:00Z");
        let body = lines(&[click, r#"{"userId": "#.to_owned()]);
        lake.store(NOW)
            .put(bucket(dataset), &raw_key(dataset, 0, 0), body);
    }
    let quarantined = |dataset: &str| {
        let folder = format!("quarantine/{dataset}/");
        lake.store(NOW).versions(LAKE_BUCKET, &folder).len()
    };
    lake.run(NOW);
    // 90 days after 20 November.
    lake.run("2027-02-18T02:59:59Z");
    assert_eq!(["cart", "payment"].map(quarantined), [1, 1]);
    lake.run("2027-02-18T03:00:00Z");
    assert_eq!(["cart", "payment"].map(quarantined), [0, 1]);
    lake.expect_nothing_to_do("2027-02-18T03:00:00Z");
    lake.run("2028-11-20T03:00:00Z");
    assert_eq!(["cart", "payment"].map(quarantined), [0, 0]);
    lake.expect_nothing_to_do("2028-11-20T03:00:00Z");
}

#[test]
fn uploads_that_nobody_finishes_are_aborted_after_a_week() {
    let lake = small_lake();
    let (cart, begun) = (bucket("cart"), "2026-11-13T03:00:00Z");
    let store = lake.store(begun);
    store.begin_upload(cart, "topics/cart/given-up.json");
    store.begin_upload(cart, "elsewhere/not-ours.json");
    store.begin_upload(LAKE_BUCKET, "events/cart/given-up.parquet");
    drop(store);
    let store = lake.store("2026-11-13T03:00:01Z");
    store.begin_upload(cart, "topics/cart/younger.json");
    drop(store);
    assert_eq!(aborted(&lake.plan(NOW)), 2);
    lake.run(NOW);
    let left = ["elsewhere/not-ours.json", "topics/cart/younger.json"];
    assert_eq!(lake.store(NOW).uploads(cart), left);
    assert_eq!(lake.store(NOW).uploads(LAKE_BUCKET), [""; 0]);
    let due = lake.plan(NOW)["due"].to_string();
    assert!(due.contains("2026-11-20T03:00:01Z"), "{due}");
    lake.expect_nothing_to_do(NOW);

    // One step, although an erasure wants it too.
    lake.request_erasure(NEXT_NIGHT, &format!("user_id={ADA}"));
    assert_eq!(aborted(&lake.plan(NEXT_NIGHT)), 1);
    lake.run(NEXT_NIGHT);
    assert_eq!(lake.request_states(NEXT_NIGHT), ["certified"]);
    assert_eq!(lake.store(NOW).uploads(cart), left[..1]);
}

/// How many uploads the one step names that aborts some.
#[track_caller]
fn aborted(plan: &Value) -> usize {
    let steps = plan["steps"].as_array().unwrap().iter();
    let aborts: Vec<&Value> = steps.filter(|step| step["action"] == "abort").collect();
    assert_eq!(aborts.len(), 1);
    aborts[0]["uploads"].as_array().unwrap().len()
}

/// The events of all versions of all raw objects by bucket, with their day and text, sorted.
fn raw_events(lake: &Lake) -> BTreeMap<&'static str, Vec<(NaiveDate, String)>> {
    let mut found = BTreeMap::new();
    for (_, bucket) in BUCKETS {
        let bodies = lake.s3().join(".s3/buckets").join(bucket).join("bodies");
        let mut events = Vec::new();
        for body in traces::files(&bodies) {
            let limits = lakewarden::decode::Limits::default();
            let bytes = std::fs::read(body).unwrap();
            let plain = lakewarden::decode::decompress(&bytes, &limits);
            for record in lakewarden::decode::frame(&plain.data, &limits) {
                let Ok(event) = record.content else { continue };
                let text = tables::spelled_alike(&event);
                let event: serde_json::Value = serde_json::from_str(&text).unwrap();
                let time = event["timestamp"].as_str().unwrap_or_default();
                // Without a readable day it is a broken record.
                if let Ok(day) = time.get(..10).unwrap_or_default().parse() {
                    events.push((day, text));
                }
            }
        }
        events.sort();
        found.insert(bucket, events);
    }
    found
}

#[test]
fn days_are_counted_in_the_policys_zone_and_a_file_that_straddles_the_line_is_trimmed() {
    let lake = Lake::empty();
    let keep = "keep: 2 years";
    let in_berlin = "keep: 2 years\n  zone: Europe/Berlin";
    for (dataset, _) in BUCKETS {
        lake.change_policy(&format!("datasets/{dataset}.yaml"), keep, in_berlin);
    }
    lake.change_policy("curated/booking_funnel_daily.yaml", keep, in_berlin);
    // Berlin was an hour ahead of UTC: its 20 November 2024 began at 23:00.
    let times = [
        "2024-11-19T22:59:59.999Z",
        "2024-11-19T23:00:00Z",
        "2024-11-20T12:00:00Z",
        "2024-11-20T22:59:59.999Z",
        "2024-11-20T23:00:00Z",
    ];
    let clicks = times.map(|time| event("cart", BOB, time));
    let put = |start: u64, events: &[String]| {
        let key = raw_key("cart", 0, start);
        lake.store(NOW).put(bucket("cart"), &key, lines(events));
    };
    put(0, &clicks);
    let times_at = |now: &str| {
        let report = lake.run(now);
        lake.expect_nothing_to_do(now);
        let rows = tables::rows(&lake, "cart");
        let mut left: Vec<String> = rows
            .iter()
            .map(|row| serde_json::from_str::<serde_json::Value>(&row.event).unwrap())
            .map(|event| event["timestamp"].as_str().unwrap().to_owned())
            .collect();
        left.sort();
        (left, report["datasets"]["cart"]["retired_rows"].clone())
    };
    assert_eq!(times_at("2026-11-19T22:59:59Z").0, times);
    let (left, retired) = times_at("2026-11-19T23:00:00Z");
    assert_eq!(
        (left, retired),
        (
            times[1..]
                .to_vec()
                .iter()
                .map(ToString::to_string)
                .collect(),
            1.into()
        )
    );
    assert_eq!(times_at("2026-11-20T22:59:59Z").0, times[1..]);
    // Too old on arrival, though of a day in UTC that is still there.
    put(
        100,
        &[
            event("cart", BOB, "2024-11-19T22:30:00Z"),
            event("cart", BOB, "2024-11-19T23:30:00Z"),
        ],
    );
    let (left, _) = times_at("2026-11-20T22:59:59Z");
    assert_eq!(left.len(), 5, "{left:?}");
    assert_eq!(times_at("2026-11-20T23:00:00Z").0, times[4..]);
}

#[test]
fn the_forecast_says_what_the_nights_to_come_take() {
    let lake = Lake::after_an_undisturbed_night();
    let plan = lake.plan(NOW);
    let forecast = |days: u64| {
        let all = plan["forecast"].as_array().unwrap().iter();
        let mut within = all.filter(|one| one["days"] == days);
        within.next().unwrap()["leaving"].clone()
    };
    // What is there now and is not there any more after a night in thirty days.
    let later = lake.another();
    later.run("2026-12-20T03:00:00Z");
    let raw = |lake: &Lake, bucket: &str| -> BTreeMap<String, u64> {
        let versions = lake.store(NOW).versions(bucket, "").into_iter();
        let current = versions.filter(|version| version.latest);
        current
            .map(|version| (version.key, version.bytes.len() as u64))
            .collect()
    };
    let (mut objects, mut bytes) = (BTreeMap::new(), BTreeMap::new());
    for (dataset, bucket) in BUCKETS {
        let mut gone = raw(&lake, bucket);
        let stay = raw(&later, bucket);
        gone.retain(|key, _| !stay.contains_key(key));
        let files = tables::live_files(&tables::table(&lake, dataset)).into_iter();
        let leaving = files.filter(|(_, date)| *date < day("2024-12-20"));
        let sizes = leaving.map(|(file, _)| std::fs::metadata(file).unwrap().len());
        let sizes: Vec<u64> = sizes.chain(gone.into_values()).collect();
        objects.insert(dataset, sizes.len() as u64);
        bytes.insert(dataset, sizes.iter().sum::<u64>());
    }
    for (dataset, _) in BUCKETS {
        assert_eq!(
            forecast(30)[dataset]["objects"],
            objects[dataset],
            "{dataset}"
        );
        assert_eq!(forecast(30)[dataset]["bytes"], bytes[dataset], "{dataset}");
    }
    let report = lake.run("2026-11-27T03:00:00Z");
    for (dataset, _) in BUCKETS {
        let retired = &report["datasets"][dataset]["retired_rows"];
        assert!(retired.as_u64().unwrap() > 0);
        assert_eq!(&forecast(7)[dataset]["events"], retired, "{dataset}");
    }
}

#[test]
fn the_forecast_counts_older_versions_and_knows_of_held_people() {
    let lake = Lake::empty();
    let (key, other) = (raw_key("cart", 0, 0), raw_key("cart", 0, 10));
    let of = |user: &str, time: &str| event("cart", user, time);
    let (old, young) = ("2024-11-21T10:00:00Z", "2026-11-19T10:00:00Z");
    let store = lake.store(NOW);
    store.put(bucket("cart"), &key, lines(&[of(BOB, young)]));
    store.put(bucket("cart"), &key, lines(&[of(BOB, old), of(ADA, old)]));
    store.put(bucket("cart"), &other, lines(&[of(ADA, old)]));
    drop(store);
    lake.run(NOW);
    let add = "hold add --reason x --owner y --review 2040-01-01 --identifier";
    let ada = format!("user_id={ADA}");
    let add: Vec<&str> = add.split(' ').chain([ada.as_str()]).collect();
    lake.command(NOW, &add).expect_exit(0);
    let within = |now: &str, days: u64| {
        let plan = lake.plan(now);
        let all = plan["forecast"].as_array().unwrap().clone();
        let one = all.into_iter().find(|one| one["days"] == days).unwrap();
        one["leaving"]["cart"].clone()
    };
    // Bob's row; the file stays for Ada's, and so far nobody has looked into the raw objects.
    assert_eq!(within(NOW, 7)["events"], 1);
    let raw: u64 = lake
        .store(NOW)
        .versions(bucket("cart"), "")
        .iter()
        .map(|version| version.bytes.len() as u64)
        .sum();
    let leaving = within(NOW, 7);
    assert_eq!(
        (&leaving["objects"], &leaving["bytes"]),
        (&3.into(), &raw.into())
    );
    let after = "2026-11-22T03:00:00Z";
    lake.run(after);
    assert_eq!(lake.store(NOW).versions(bucket("cart"), "").len(), 3);
    assert_eq!(within(after, 90), Value::Null);
    let due = lake.plan("2027-01-20T03:00:00Z")["due"].clone();
    let times = due.as_array().unwrap().iter();
    let past = times.filter(|due| due["at"].as_str().unwrap() < "2027-01-20T03:00:00Z");
    assert_eq!(past.count(), 0, "{due}");
}

#[test]
fn raw_objects_of_which_nobody_knows_what_is_in_them_are_told() {
    let lake = Lake::empty();
    let (deleted, damaged) = (raw_key("cart", 0, 0), raw_key("cart", 0, 10));
    let store = lake.store(NOW);
    store.put(bucket("cart"), &deleted, lines(&[event("cart", BOB, NOW)]));
    store.delete(bucket("cart"), &deleted);
    let whole = gzip(&lines(&[event("cart", BOB, NOW), event("cart", ADA, NOW)]));
    store.put(bucket("cart"), &damaged, whole[..whole.len() - 20].to_vec());
    drop(store);
    lake.run(NOW);
    let report = lake.run(NEXT_NIGHT);
    let told = [
        "1 raw object versions of cart (",
        "were deleted by their service before a night had compacted them",
        "could be read in part only",
    ];
    for findings in [
        &report["findings"],
        &lake.plan("2029-01-01T03:00:00Z")["findings"],
    ] {
        let findings = findings.to_string();
        assert!(
            told.iter().all(|words| findings.contains(words)),
            "{findings}"
        );
    }
}

#[test]
fn a_delete_marker_goes_with_the_last_version_that_it_hides() {
    let lake = Lake::empty();
    let of = |time: &str| lines(&[event("cart", BOB, time)]);
    let keys = [0, 10].map(|start| raw_key("cart", 0, start));
    let store = lake.store(NOW);
    for (key, time) in keys
        .iter()
        .zip(["2024-11-20T10:00:00Z", "2026-11-19T10:00:00Z"])
    {
        store.put(bucket("cart"), key, of(time));
    }
    drop(store);
    lake.run(NOW);
    let store = lake.store(NOW);
    for key in &keys {
        store.delete(bucket("cart"), key);
    }
    drop(store);
    let left = || {
        let store = lake.store(NOW);
        (
            store.versions(bucket("cart"), "").len(),
            store.markers(bucket("cart")),
        )
    };
    assert_eq!(left(), (2, keys.to_vec()));
    lake.run(NEXT_NIGHT);
    assert_eq!(left(), (1, vec![keys[1].clone()]));
    lake.expect_nothing_to_do(NEXT_NIGHT);
    lake.run("2026-12-24T03:00:00Z");
    assert_eq!(left(), (0, vec![]), "30 days after compaction");
    lake.expect_nothing_to_do("2026-12-24T03:00:00Z");
}

#[test]
fn an_older_version_goes_by_what_is_in_it() {
    let lake = Lake::empty();
    let key = raw_key("cart", 0, 0);
    let of = |time: &str| lines(&[event("cart", BOB, time)]);
    let put = |now: &str, body: Vec<u8>| {
        lake.store(now).put(bucket("cart"), &key, body);
    };
    put(NOW, of("2024-11-21T10:00:00Z"));
    lake.run(NOW);
    // Nothing of it is ever compacted, and it hides what was.
    put("2026-11-20T04:00:00Z", Vec::new());
    let versions = || lake.store(NOW).versions(bucket("cart"), "").len();
    lake.run(NEXT_NIGHT);
    assert_eq!(versions(), 2);
    lake.run("2026-11-22T03:00:00Z");
    assert_eq!(versions(), 1);
    lake.expect_nothing_to_do("2026-11-22T03:00:00Z");

    // An object that is put again and again.
    put("2026-11-22T04:00:00Z", of("2026-11-19T10:00:00Z"));
    lake.run("2026-11-23T03:00:00Z");
    put("2026-12-10T04:00:00Z", of("2026-11-19T11:00:00Z"));
    lake.run("2026-12-11T03:00:00Z");
    assert_eq!(versions(), 3);
    let due = lake.plan("2026-12-22T03:00:00Z")["due"].to_string();
    assert!(due.contains("2026-12-23T03:00:00Z"), "{due}");
    lake.run("2026-12-23T03:00:00Z");
    // Thirty days after it was compacted.
    assert_eq!(versions(), 2);
    lake.expect_nothing_to_do("2026-12-23T03:00:00Z");
}
