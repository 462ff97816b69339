//! Nothing stays longer than its policy allows, nothing goes a day sooner.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use lakewarden::demo::BUCKETS;

use crate::support::events::{BOB, bucket, event, lines, raw_key};
use crate::support::{Lake, NOW, tables, traces};

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

#[test]
fn days_beyond_two_calendar_years_leave_tables_curated_tables_and_raw_objects() {
    let lake = Lake::after_an_undisturbed_night();
    let (before, funnel) = (tables::all_rows(&lake), tables::funnel(&lake));
    let raw_before = raw_events(&lake);
    let (next_night, line) = ("2026-11-21T03:00:00Z", day("2024-11-21"));
    let report = lake.run(next_night);

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
    lake.expect_nothing_to_do(next_night);
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
    lake.change_policy("datasets/cart.yaml", keep, in_berlin);
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
