//! Which keys a night lists, by policy, ledger and time.

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// `prefix [from, to)`; limits that are none are left out.
fn shown(parts: &[Part]) -> Vec<String> {
    let limit = |key: &Option<String>| key.clone().unwrap_or_default().replace('\0', "+0");
    let shown = parts.iter().map(|part| {
        let (from, to) = (limit(&part.range.from), limit(&part.range.to));
        format!("{} [{from}, {to})", part.prefix)
    });
    shown.collect()
}

fn dates() -> KeyRule {
    let text = "version: 1\ndataset: cart\nraw:\n  location: s3://raw/t/\n  discovery: { dates: \"%Y/%m/%d/\" }\n\
                events: { time: at }\ntable: { sort_by: [id] }\nretention: { keep: 2 years }\npii: none\n";
    let lake = "version: 1\nlake: s3://lake/\nkey: { env: KEY }\n";
    let files = [("lake.yaml", lake), ("datasets/cart.yaml", text)];
    let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
    let policies = crate::policy::Policies::parse(&files).unwrap();
    policies.datasets[0].raw.discovery.clone().unwrap().keys
}

fn ascending(known: &[(&str, DateTime<Utc>)]) -> Vec<String> {
    let ledger = Ledger::of_objects(known);
    let since = at("2026-11-17T03:00:00Z");
    shown(&of_new("t/", &KeyRule::Ascending, &ledger, since, since))
}

#[test]
fn by_dates_the_window_and_a_day_around_it_are_listed() {
    let parts = of_new(
        "t/",
        &dates(),
        &Ledger::default(),
        at("2026-02-27T23:00:00Z"),
        at("2026-03-01T03:00:00Z"),
    );
    let days = ["02/26", "02/27", "02/28", "03/01", "03/02"];
    assert_eq!(shown(&parts), days.map(|day| format!("t/2026/{day} [, )")));
    assert!(parts[2].covers("t/2026/02/28/x.json"));
    assert!(!parts[2].covers("t/2026/02/27/x.json"));
}

#[test]
fn by_an_inventory_alone_nothing_new_is_listed() {
    let since = at("2026-11-17T03:00:00Z");
    let parts = of_new("t/", &KeyRule::Silent, &Ledger::default(), since, since);
    assert_eq!(parts, []);
}

#[test]
fn in_order_what_comes_after_the_last_key_known_before_the_window_is_listed() {
    let (old, new) = (at("2026-11-10T03:00:00Z"), at("2026-11-18T03:00:00Z"));
    assert_eq!(ascending(&[]), ["t/ [, )"]);
    assert_eq!(ascending(&[("t/x", new)]), ["t/ [, )"]);
    // Partitions in folders; what is known since the window began is listed again, strangers too.
    let folders = [
        ("t/partition=0/cart+0+0000000100.json", old),
        ("t/partition=0/cart+0+0000000200.json", old),
        ("t/partition=0/cart+0+0000000300.json", new),
        ("t/partition=1/cart+1+0000000150.json", old),
    ];
    assert_eq!(
        ascending(&folders),
        [
            "t/ [, t/partition=0/cart+0+)",
            "t/ [t/partition=0/cart+0+0000000200.json+0, t/partition=1/cart+1+)",
            "t/ [t/partition=1/cart+1+0000000150.json+0, )",
        ]
    );
    // Two partitions in one folder.
    let flat = [
        ("t/cart+0+0000000200.json", old),
        ("t/cart+1+0000000150.json", old),
    ];
    assert_eq!(
        ascending(&flat),
        [
            "t/ [, t/cart+0+)",
            "t/ [t/cart+0+0000000200.json+0, t/cart+1+)",
            "t/ [t/cart+1+0000000150.json+0, )",
        ]
    );
}

#[test]
fn a_folder_within_a_folder_has_an_end_of_its_own() {
    let old = at("2026-11-10T03:00:00Z");
    let nested = [
        ("t/a/1.json", old),
        ("t/a/b/7.json", old),
        ("t/a/z.json", old),
    ];
    assert_eq!(
        ascending(&nested),
        [
            "t/ [, t/a/)",
            "t/ [t/a/b/7.json+0, t/a/b0)",
            "t/ [t/a/z.json+0, )",
        ]
    );
    // Without a folder the bucket itself is the sequence.
    let ledger = Ledger::of_objects(&[("5.json", old), ("a/7.json", old)]);
    let since = at("2026-11-17T03:00:00Z");
    let parts = of_new("", &KeyRule::Ascending, &ledger, since, since);
    assert_eq!(shown(&parts), [" [5.json+0, )"]);
}

#[test]
fn named_keys_are_listed_by_day_or_by_sequence() {
    let keys = [
        "t/2026/01/02/b.json",
        "t/2026/01/02/a.json",
        "t/2026/01/03/c.json",
        "t/odd/cart+0+0000000200.json",
        "t/odd/x.json",
    ];
    assert_eq!(
        shown(&of_keys("t/", &dates(), keys)),
        [
            "t/2026/01/02 [t/2026/01/02/a.json, t/2026/01/02/b.json+0)",
            "t/2026/01/03 [t/2026/01/03/c.json, t/2026/01/03/c.json+0)",
            "t/odd/ [t/odd/x.json, t/odd/x.json+0)",
            "t/odd/cart+0+ [t/odd/cart+0+0000000200.json, t/odd/cart+0+0000000200.json+0)",
        ]
    );
}

#[test]
fn the_end_of_a_prefix_lies_behind_all_its_keys() {
    let table = [
        ("t/", Some("t0")),
        ("t/cart+0+", Some("t/cart+0,")),
        ("t\u{10ffff}", Some("u")),
        ("\u{10ffff}", None),
        ("", None),
    ];
    for (prefix, end) in table {
        assert_eq!(after_all(prefix).as_deref(), end, "{prefix}");
    }
}
