//! Retention of random lakes, held against the rule as a person would carry it out with a calendar.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use lakewarden::demo::BUCKETS;
use proptest::prelude::*;
use proptest::sample::select;

use crate::support::events::{ADA, BOB, bucket, event, lines, raw_key};
use crate::support::lake::time;
use crate::support::{Lake, tables};

/// Zones that never change their clocks, with their minutes east of UTC.
const ZONES: [(&str, i64); 5] = [
    ("UTC", 0),
    ("Asia/Tokyo", 540),
    ("Asia/Kolkata", 330),
    ("America/Phoenix", -420),
    ("Pacific/Kiritimati", 840),
];

/// Days on which calendars go wrong, and others.
const TODAYS: [&str; 6] = [
    "2028-02-29",
    "2029-02-28",
    "2028-03-31",
    "2027-12-31",
    "2028-03-01",
    "2027-07-15",
];

#[derive(Debug, Clone, Copy)]
enum Unit {
    Days,
    Months,
    Years,
}

#[derive(Debug, Clone, Copy)]
enum Scope {
    /// Hours before the line of the last night, and how many days from there.
    Days(i64, u64),
    Ada,
}

#[derive(Debug, Clone)]
struct Case {
    keep: (u32, Unit),
    zone: (&'static str, i64),
    /// The night on which retention is looked at, and how many days before it everything was compacted.
    night: DateTime<Utc>,
    compacted_before: u64,
    /// By object: hours before the line of the last night, and whether Ada's.
    objects: Vec<Vec<(i64, bool)>>,
    hold: Option<Scope>,
}

impl Case {
    fn local(&self, at: DateTime<Utc>) -> NaiveDate {
        (at + TimeDelta::minutes(self.zone.1)).date_naive()
    }

    /// The first local day that is kept at `now`.
    fn first_day(&self, now: DateTime<Utc>) -> NaiveDate {
        let (count, unit) = self.keep;
        let mut day = self.local(now);
        let of_month = day.day();
        let months = match unit {
            Unit::Days => {
                for _ in 0..count {
                    day = day.pred_opt().unwrap();
                }
                return day;
            }
            Unit::Months => count,
            Unit::Years => 12 * count,
        };
        for _ in 0..months {
            day = day.with_day(1).unwrap().pred_opt().unwrap();
        }
        // The month is right; of its days the same one, or the last.
        (1..=of_month)
            .rev()
            .find_map(|number| day.with_day(number))
            .unwrap()
    }

    /// The first moment that is kept at `now`.
    fn line(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.first_day(now).and_time(NaiveTime::MIN).and_utc() - TimeDelta::minutes(self.zone.1)
    }

    fn compaction(&self) -> DateTime<Utc> {
        self.night - Days::new(self.compacted_before)
    }

    /// Time and person of every event, by object; all happened before they were compacted.
    fn events(&self) -> Vec<Vec<(DateTime<Utc>, &'static str)>> {
        let line = self.line(self.night);
        let at = |hours: &i64| (line - TimeDelta::hours(*hours)).min(self.compaction());
        let whose = |is_hers: &bool| if *is_hers { ADA } else { BOB };
        let objects = self.objects.iter();
        objects
            .map(|events| {
                events
                    .iter()
                    .map(|(hours, hers)| (at(hours), whose(hers)))
                    .collect()
            })
            .collect()
    }

    fn held_days(&self, from: i64, count: u64) -> (NaiveDate, NaiveDate) {
        let first = (self.line(self.night) - TimeDelta::hours(from)).date_naive();
        (first, first + Days::new(count))
    }

    fn is_held(&self, (at, whose): (DateTime<Utc>, &str)) -> bool {
        match self.hold {
            None => false,
            Some(Scope::Ada) => whose == ADA,
            Some(Scope::Days(from, count)) => {
                let (first, last) = self.held_days(from, count);
                (first..=last).contains(&at.date_naive())
            }
        }
    }

    /// Of a raw object it is known from which day to which its events are.
    fn may_be_held(&self, object: &[Event]) -> bool {
        let days = || object.iter().map(|(at, _)| at.date_naive());
        match self.hold {
            None => false,
            Some(Scope::Ada) => object.iter().any(|(_, whose)| whose == ADA),
            Some(Scope::Days(from, count)) => {
                let (first, last) = self.held_days(from, count);
                days().any(|day| day <= last) && days().any(|day| day >= first)
            }
        }
    }

    /// A lake with this rule everywhere, and the events in carts.
    fn lake(&self) -> Lake {
        let lake = Lake::empty();
        let unit = match self.keep.1 {
            Unit::Days => "days",
            Unit::Months => "months",
            Unit::Years => "years",
        };
        let rule = format!("keep: {} {unit}\n  zone: {}", self.keep.0, self.zone.0);
        for (dataset, _) in BUCKETS {
            lake.change_policy(
                &format!("datasets/{dataset}.yaml"),
                "  keep: 2 years",
                &format!("  {rule}"),
            );
        }
        lake.change_policy("curated/booking_funnel_daily.yaml", "keep: 2 years", &rule);
        let store = lake.store(&text(self.compaction()));
        for (start, events) in (0..).step_by(100).zip(self.events()) {
            let records = events
                .iter()
                .map(|(at, whose)| event("cart", whose, &text(*at)));
            let body = lines(&records.collect::<Vec<_>>());
            store.put(bucket("cart"), &raw_key("cart", 0, start), body);
        }
        lake
    }

    fn place_hold(&self, lake: &Lake) -> Option<String> {
        let mut add = [
            "hold",
            "add",
            "--output",
            "json",
            "--reason",
            "x",
            "--owner",
            "y",
            "--review",
            "2040-01-01",
        ]
        .map(str::to_owned)
        .to_vec();
        match self.hold? {
            Scope::Ada => add.extend(["--identifier".into(), format!("user_id={ADA}")]),
            Scope::Days(from, count) => {
                let (first, last) = self.held_days(from, count);
                add.extend([
                    "--from".into(),
                    first.to_string(),
                    "--until".into(),
                    last.to_string(),
                ]);
            }
        }
        let add: Vec<&str> = add.iter().map(String::as_str).collect();
        let placed = lake.command(&text(self.compaction()), &add).json();
        Some(placed[0]["id"].as_str().unwrap().to_owned())
    }
}

fn text(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Time and person of an event.
type Event = (DateTime<Utc>, String);

fn told(event: &str) -> Event {
    let event: serde_json::Value = serde_json::from_str(event).unwrap();
    let field = |name: &str| event[name].as_str().unwrap().to_owned();
    (time(&field("timestamp")), field("userId"))
}

fn rows(lake: &Lake) -> Vec<Event> {
    let rows = tables::rows(lake, "cart");
    let mut events: Vec<Event> = rows.iter().map(|row| told(&row.event)).collect();
    events.sort();
    events
}

/// The events of the raw objects, by object.
fn raw(lake: &Lake, now: &str) -> Vec<Vec<Event>> {
    let store = lake.store(now);
    let versions = store.versions(bucket("cart"), "");
    let body = |key: &str| String::from_utf8(store.current(bucket("cart"), key).unwrap()).unwrap();
    versions
        .iter()
        .map(|version| body(&version.key).lines().map(told).collect())
        .collect()
}

fn expected(case: &Case, stays: impl Fn((DateTime<Utc>, &str)) -> bool) -> Vec<Event> {
    let all = case.events().into_iter().flatten();
    let mut events: Vec<Event> = all
        .filter(|event| stays(*event))
        .map(|(at, whose)| (at, whose.to_owned()))
        .collect();
    events.sort();
    events
}

fn cases() -> impl Strategy<Value = Case> {
    let keep = (
        1..=3_u32,
        select(vec![Unit::Months, Unit::Years, Unit::Days]),
    );
    let keep = keep.prop_map(|(count, unit)| match unit {
        Unit::Days => (30 * count, unit),
        _ => (count, unit),
    });
    let night = (select(&TODAYS[..]), 0..24_u32).prop_map(|(day, hour)| {
        let day: NaiveDate = day.parse().unwrap();
        day.and_hms_opt(hour, 30, 0).unwrap().and_utc()
    });
    let hours = prop_oneof![-30..30_i64, -1000..1000_i64];
    let objects = prop::collection::vec(prop::collection::vec((hours, any::<bool>()), 1..5), 1..5);
    let hold = prop_oneof![
        Just(None),
        Just(Some(Scope::Ada)),
        (-50..50_i64, 0..3_u64).prop_map(|(from, count)| Some(Scope::Days(from, count))),
    ];
    (keep, select(&ZONES[..]), night, 0..45_u64, objects, hold).prop_map(
        |(keep, zone, night, compacted_before, objects, hold)| Case {
            keep,
            zone,
            night,
            compacted_before,
            objects,
            hold,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 24, ..ProptestConfig::default() })]

    #[test]
    fn rows_leave_to_the_day_and_nothing_that_is_held(case in cases()) {
        let lake = case.lake();
        let (first, last) = (text(case.compaction()), text(case.night));
        let admitted = case.line(case.compaction());
        lake.run(&first);
        prop_assert_eq!(rows(&lake), expected(&case, |(at, _)| at >= admitted));

        let hold = case.place_hold(&lake);
        let line = case.line(case.night);
        lake.run(&last);
        let stays = |event: (DateTime<Utc>, &str)| event.0 >= line || case.is_held(event);
        prop_assert_eq!(rows(&lake), expected(&case, |event| event.0 >= admitted && stays(event)));
        for object in raw(&lake, &last) {
            let is_old = |(at, _): &Event| *at < line;
            prop_assert!(!object.iter().any(is_old) || case.may_be_held(&object), "{:?}", object);
        }
        lake.expect_nothing_to_do(&last);

        if let Some(id) = hold {
            lake.command(&last, &["hold", "lift", &id, "--reason", "z"]).expect_exit(0);
            lake.run(&last);
        }
        prop_assert_eq!(rows(&lake), expected(&case, |(at, _)| at >= line));
        prop_assert!(raw(&lake, &last).iter().flatten().all(|(at, _)| *at >= line));
        lake.expect_nothing_to_do(&last);
    }
}
