//! `raw.discovery`: what is read, and every refusal.

use super::*;

const LOCATION: &str = "  location: s3://acme-cart-events/topics/cart/\n";

/// The cart policy with these lines under `discovery`.
fn cart_with(lines: &str) -> String {
    let discovery = format!("{LOCATION}  discovery:\n{lines}");
    CART.replacen(LOCATION, &discovery, 1)
}

fn discovery(lines: &str) -> DiscoveryPolicy {
    let policies = with_cart(&cart_with(lines));
    let found = policies.datasets[0].raw.discovery.clone();
    found.expect("a discovery")
}

fn refusal(lines: &str) -> String {
    let cart = cart_with(lines);
    let errors = parse(&[("lake.yaml", LAKE), ("datasets/cart.yaml", &cart)]);
    errors.expect_err("a refusal").to_string()
}

#[test]
fn every_key_is_read_and_none_is_needed() {
    assert_eq!(with_cart(CART).datasets[0].raw.discovery, None);
    let dates = discovery(
        "    dates: \"year=%Y/month=%m/day=%d/hour=%H/\"\n    late: 36 h\n    sweep: 14 days\n    \
         inventory: s3://acme-inventory/acme-cart-events/nightly/\n",
    );
    assert_eq!(dates.late.to_string(), "36 h");
    assert_eq!(dates.sweep.to_string(), "14 days");
    assert_eq!(
        dates.inventory.expect("an inventory").to_string(),
        "s3://acme-inventory/acme-cart-events/nightly/"
    );
    let ascending = discovery("    order: ascending\n");
    assert_eq!(ascending.keys, KeyRule::Ascending);
    assert_eq!(ascending.late.to_string(), "3 days");
    assert_eq!(ascending.sweep.to_string(), "7 days");
    assert_eq!(ascending.inventory, None);
    let silent = discovery("    inventory: s3://acme-inventory/\n");
    assert_eq!(silent.keys, KeyRule::Silent);
}

#[test]
fn a_date_pattern_finds_the_day_in_both_directions() {
    let table = [
        (
            "year=%Y/month=%m/day=%d/hour=%H/",
            "year=2026/month=03/day=07",
            "year=2026/month=03/day=07/hour=10/cart+0+1.json",
        ),
        ("%Y/%m/%d/", "2026/03/07", "2026/03/07/x.json"),
        ("dt=%Y%m%d-raw/", "dt=20260307", "dt=20260307-raw/x.json"),
        ("%d.%m.%Y/", "07.03.2026", "07.03.2026/x.json"),
    ];
    let day = "2026-03-07".parse().expect("a date");
    for (written, prefix, key) in table {
        let KeyRule::Dates(pattern) = discovery(&format!("    dates: \"{written}\"\n")).keys else {
            panic!("{written} is no pattern");
        };
        assert_eq!(pattern.day_prefix(day), prefix);
        assert_eq!(pattern.dated_part(key), Some(prefix));
        for stranger in ["x.json", "", "year=26/month=03/day=07/x", "2026/03", "é/ü"] {
            assert_eq!(pattern.dated_part(stranger), None, "{stranger}");
        }
    }
}

#[test]
fn what_cannot_be_understood_says_where_and_what_instead() {
    let hint = "write `dates: \"year=%Y/month=%m/day=%d/\"`";
    let dates = [
        ("%Y/%m/", "it needs %Y, %m and %d"),
        ("%Y/%m/%d", "it stands after the location and ends in `/`"),
        ("/%Y/%m/%d/", "it stands after the location and ends in `/`"),
        ("%Y/%m/%d/%m/", "%Y, %m and %d stand in it once each"),
        ("%Y/%m/%j/", "it knows %Y, %m, %d and %H"),
        ("%H/%Y/%m/%d/", "the hour comes after the whole date"),
        ("part=*/%Y/%m/%d/", "'*' is not safe in a prefix"),
    ];
    for (written, why) in dates {
        assert_eq!(
            refusal(&format!("    dates: \"{written}\"\n")),
            format!(
                "datasets/cart.yaml:6:12: `dates` under `raw.discovery` cannot be `{written}`: {why}\n  \
                 hint: {hint}"
            )
        );
    }
    let table = [
        (
            "    order: descending\n",
            "6:12: `order` under `raw.discovery` cannot be `descending`: it is ascending\n  \
             hint: write `order: ascending`",
        ),
        (
            "    dates: \"%Y/%m/%d/\"\n    order: ascending\n",
            "7:12: `dates` and `order` under `raw.discovery` exclude each other\n  \
             hint: keep `dates`, which needs fewer requests",
        ),
        (
            "    dates: \"%Y/%m/%d/\"\n    late: 3\n",
            "7:11: `late` under `raw.discovery` cannot be `3`: the unit is missing\n  \
             hint: write `late: 3 days`",
        ),
        (
            "    sweep: 1 day\n",
            "5:3: `discovery` under `raw` says neither by `dates` nor by `order` nor by `inventory` how \
             new objects are found\n  hint: write `discovery: { dates: \"year=%Y/month=%m/day=%d/\" }`, \
             or remove it to list everything every time",
        ),
        (
            "    inventory: s3://acme-inventory/\n    late: 1 day\n",
            "7:11: `late` under `raw.discovery` is for `dates` and `order`\n  \
             hint: remove it, or add one of them",
        ),
        (
            "    inventory: s3://acme-cart-events/topics/\n",
            "6:16: the inventory s3://acme-cart-events/topics/ overlaps the raw location \
             s3://acme-cart-events/topics/cart/\n  \
             hint: let S3 Inventory deliver to another bucket or prefix",
        ),
        (
            "    date: \"%Y/%m/%d/\"\n",
            "6:5: unknown key `date` under `raw.discovery`\n  \
             hint: did you mean `dates`? write `dates: \"year=%Y/month=%m/day=%d/\"`",
        ),
    ];
    for (lines, expected) in table {
        let expected = format!("datasets/cart.yaml:{expected}");
        let said = refusal(lines);
        assert!(
            said.split("\ndatasets/")
                .any(|error| { error == expected || format!("datasets/{error}") == expected }),
            "{said}\ninstead of\n{expected}"
        );
    }
}
