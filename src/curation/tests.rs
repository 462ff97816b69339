//! What may be made of what, and how long logs are needed for it.

use super::*;

/// Carts, and visits made from them, kept by these rules.
fn visits(cart: &str, visits: &str) -> Result<(), CurationError> {
    let lake = "version: 1\nlake: s3://lake/\nkey: { env: KEY }\n".to_owned();
    let cart = format!(
        "version: 1\ndataset: cart\nraw: {{ location: s3://raw/ }}\nevents: {{ time: at }}\n\
         table: {{ sort_by: [id] }}\nretention: {{ {cart} }}\npii: none\n"
    );
    let table = format!(
        "version: 1\ntable: visits\npartition_by: event_date\nincremental: by_partition\n\
         retention: {{ {visits} }}\npii: none\n"
    );
    let query = "SELECT event_date, count(*) AS visits FROM cart GROUP BY event_date".to_owned();
    let files = [
        ("lake.yaml".to_owned(), lake),
        ("datasets/cart.yaml".to_owned(), cart),
        ("curated/visits.yaml".to_owned(), table),
        ("curated/visits.sql".to_owned(), query),
    ];
    check(&Policies::parse(&files).unwrap())
}

#[test]
fn nothing_is_kept_longer_than_what_it_is_made_from() {
    for (of_cart, of_visits, expected) in [
        ("keep: 2 years", "keep: 2 years", None),
        ("keep: 2 years", "keep: 1 years", None),
        (
            "keep: 2 years",
            "keep: 25 months",
            Some("kept 25 months, longer than"),
        ),
        // At 23:30 in UTC it is the next day in Berlin; at 7:00 it becomes the next day in Phoenix.
        (
            "keep: 2 years, zone: Europe/Berlin",
            "keep: 2 years",
            Some("write `zone: Europe/Berlin`"),
        ),
        (
            "keep: 2 years, zone: America/Phoenix",
            "keep: 2 years",
            Some("write `zone: America/Phoenix`"),
        ),
        (
            "keep: 2 years, zone: America/Phoenix",
            "keep: 2 years, zone: America/Phoenix",
            None,
        ),
        (
            "keep: 2 years, zone: America/Phoenix",
            "keep: 23 months",
            None,
        ),
        // London is where UTC is in winter alone.
        (
            "keep: 2 years",
            "keep: 2 years, zone: Europe/London",
            Some("write `zone: UTC`"),
        ),
    ] {
        let told = visits(of_cart, of_visits)
            .err()
            .map(|error| error.to_string());
        let is_expected = match (&told, expected) {
            (None, None) => true,
            (Some(told), Some(words)) => told.contains(words),
            _ => false,
        };
        assert!(is_expected, "{of_cart}; {of_visits}: {told:?}");
    }
}

#[test]
fn a_log_is_kept_for_the_curated_table_that_has_looked_at_the_least() {
    let curatable = |table: &str, made_from: u64| Curatable {
        held: Held::default(),
        table: table.into(),
        inputs: ["cart".to_owned()].into(),
        stale: Staleness::Fresh,
        made_from: [("cart".to_owned(), made_from)].into(),
    };
    let lineage = Lineage {
        tables: vec![curatable("funnel", 7), curatable("journeys", 4)],
        broken: Vec::new(),
    };
    let changing =
        |table: &str, step: &str| BTreeMap::from([(table.to_owned(), vec![step.to_owned()])]);
    assert_eq!(lineage.read_from("cart", &BTreeMap::new()), Some(5));
    assert_eq!(lineage.read_from("payment", &BTreeMap::new()), None);
    let made_tonight = changing("journeys", "curate-journeys");
    assert_eq!(lineage.read_from("cart", &made_tonight), Some(8));
    let erased_tonight = changing("journeys", "erase-journeys");
    assert_eq!(lineage.read_from("cart", &erased_tonight), Some(5));
}
