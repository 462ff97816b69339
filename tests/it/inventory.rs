//! S3 Inventory stands in for listing, and is believed only as far as it can be.

use serde_json::{Value, json};

use crate::support::events::{BOB, bucket, event, lines, raw_key};
use crate::support::inventory::{BUCKET, Format, PLACE, deliver, place, prepare};
use crate::support::{Lake, NOW, tables};

const NEXT_NIGHT: &str = "2026-11-21T03:00:00Z";
/// An hour before the first night, and before the second.
const FIRST: &str = "2026-11-20T02-00Z";
const SECOND: &str = "2026-11-21T02-00Z";

fn put(lake: &Lake, key: &str, time: &str) {
    let body = lines(&[event("cart", BOB, time)]);
    lake.store(NOW).put(bucket("cart"), key, body);
}

/// What befalls a delivery.
type Damage<'a> = &'a dyn Fn(&Lake);

/// Three objects, one with an older version, one deleted by its owner.
fn filled() -> Lake {
    let lake = Lake::empty();
    prepare(&lake);
    put(&lake, &raw_key("cart", 0, 0), "2026-11-18T09:00:00Z");
    put(&lake, &raw_key("cart", 0, 0), "2026-11-18T10:00:00Z");
    put(&lake, &raw_key("cart", 0, 1), "2026-11-18T11:00:00Z");
    put(&lake, &raw_key("cart", 1, 0), "2026-11-18T12:00:00Z");
    lake.store(NOW)
        .delete(bucket("cart"), &raw_key("cart", 1, 0));
    lake
}

fn use_inventory(lake: &Lake, more: &str) {
    let keep = "  keep: 30 days after compaction\n";
    let discovery = format!("{keep}  discovery: {{ inventory: \"{PLACE}\"{more} }}\n");
    lake.change_policy("datasets/cart.yaml", keep, &discovery);
}

fn looked_at(plan: &Value) -> &Value {
    &plan["coverage"]["cart"]["looked_at"]
}

fn compacted(report: &Value) -> &Value {
    &report["datasets"]["cart"]["objects"]
}

#[track_caller]
fn expect_finding(plan: &Value, words: &str) {
    let findings = plan["findings"].to_string();
    assert!(findings.contains(words), "{findings}");
}

#[test]
fn an_inventory_gives_the_plan_that_a_listing_gives() {
    for format in [Format::Csv, Format::Parquet] {
        let lake = filled();
        let by_listing = lake.plan(NOW);
        deliver(&lake, format, FIRST, NOW);
        use_inventory(&lake, "");
        let by_inventory = lake.plan(NOW);
        assert_eq!(looked_at(&by_inventory), "inventory", "{by_inventory}");
        assert_eq!(by_inventory["steps"], by_listing["steps"], "{format:?}");
        assert_eq!(compacted(&lake.run(NOW)), 2);
        lake.expect_nothing_to_do(NOW);
    }
}

#[test]
fn what_comes_after_an_inventory_waits_for_the_next_or_is_listed() {
    for (rule, by_listing) in [("", 0), (", dates: \"year=%Y/month=%m/day=%d/\"", 1)] {
        let lake = filled();
        deliver(&lake, Format::Csv, FIRST, NOW);
        use_inventory(&lake, rule);
        put(&lake, &raw_key("cart", 0, 2), "2026-11-19T09:00:00Z");
        assert_eq!(compacted(&lake.run(NOW)), 2 + by_listing);
        let plan = lake.plan(NEXT_NIGHT);
        let expected = if by_listing == 1 { "new" } else { "due" };
        assert_eq!(looked_at(&plan), expected);
        assert_eq!(plan["steps"], json!([]));
        deliver(&lake, Format::Csv, SECOND, NOW);
        assert_eq!(compacted(&lake.run(NEXT_NIGHT)), 1 - by_listing);
        assert_eq!(tables::rows(&lake, "cart").len(), 3);
    }
}

#[test]
fn an_object_that_is_gone_since_then_does_no_harm() {
    let lake = filled();
    deliver(&lake, Format::Parquet, FIRST, NOW);
    use_inventory(&lake, "");
    lake.store(NOW)
        .remove_all(bucket("cart"), &raw_key("cart", 0, 1));
    let report = lake.run(NOW);
    assert_eq!(compacted(&report), 1);
    expect_finding(&report, "replaced or deleted while it was read");
    lake.expect_nothing_to_do(NOW);
}

#[test]
fn nothing_is_deleted_on_the_word_of_an_inventory() {
    let lake = filled();
    use_inventory(&lake, "");
    deliver(&lake, Format::Csv, FIRST, NOW);
    lake.run(NOW);
    // By the inventory that is read next, these two are due; one has been replaced since.
    deliver(&lake, Format::Csv, "2026-12-20T02-00Z", NOW);
    let replaced = raw_key("cart", 0, 1);
    put(&lake, &replaced, "2026-12-19T09:00:00Z");
    let night = "2026-12-20T03:00:00Z";
    let report = lake.run(night);
    assert_eq!(looked_at(&report), "inventory");
    assert_eq!(
        report["datasets"]["cart"]["raw_deleted"], 3,
        "both versions of the other one, and the older one of this"
    );
    assert_eq!(compacted(&report), 1);
    let left = lake.store(NOW).versions(bucket("cart"), &replaced);
    assert_eq!(
        left.len(),
        1,
        "what has replaced it stays, whatever the inventory says"
    );
    lake.expect_nothing_to_do(night);
}

#[test]
fn an_inventory_that_cannot_be_trusted_is_refused_and_everything_listed() {
    let break_data = |lake: &Lake| {
        let key = format!("nightly/acme-cart-events/all/data/{FIRST}-list.csv.gz");
        lake.store(NOW).put(BUCKET, &key, "another file");
    };
    let break_manifest = |lake: &Lake| {
        let key = place(FIRST, "manifest.checksum");
        lake.store(NOW)
            .put(BUCKET, &key, "d41d8cd98f00b204e9800998ecf8427e");
    };
    let lose_data = |lake: &Lake| {
        let key = format!("nightly/acme-cart-events/all/data/{FIRST}-list.csv.gz");
        lake.store(NOW).remove_all(BUCKET, &key);
    };
    let not_complete = |lake: &Lake| {
        let key = place(FIRST, "manifest.checksum");
        lake.store(NOW).remove_all(BUCKET, &key);
    };
    let lose_all = |lake: &Lake| lake.store(NOW).remove_all(BUCKET, "");
    let table: [(Damage<'_>, &str); 5] = [
        (
            &break_data,
            "is not the one that the manifest names (size or MD5)",
        ),
        (
            &break_manifest,
            "manifest.json does not fit manifest.checksum",
        ),
        (&lose_data, "-list.csv.gz is missing"),
        (
            &not_complete,
            "no complete delivery has come since 2026-11-13 03:00 UTC",
        ),
        (
            &lose_all,
            "no complete delivery has come since 2026-11-13 03:00 UTC",
        ),
    ];
    let lake = filled();
    let by_listing = lake.plan(NOW);
    use_inventory(&lake, "");
    for (damage, why) in table {
        deliver(&lake, Format::Csv, FIRST, NOW);
        assert_eq!(looked_at(&lake.plan(NOW)), "inventory");
        damage(&lake);
        let plan = lake.plan(NOW);
        assert_eq!(looked_at(&plan), "everything");
        assert_eq!(plan["steps"], by_listing["steps"]);
        expect_finding(
            &plan,
            "cart: everything was listed, because its inventory cannot be used:",
        );
        expect_finding(&plan, why);
    }
}

#[test]
fn an_older_delivery_serves_while_the_newest_is_not_complete() {
    let lake = filled();
    use_inventory(&lake, "");
    deliver(&lake, Format::Csv, "2026-11-19T02-00Z", NOW);
    deliver(&lake, Format::Csv, FIRST, NOW);
    lake.store(NOW)
        .remove_all(BUCKET, &place(FIRST, "manifest.checksum"));
    let plan = lake.plan(NOW);
    assert_eq!(looked_at(&plan), "inventory");
    assert_eq!(plan["coverage"]["cart"]["of"], "2026-11-19T02:00:00Z");
    expect_finding(
        &plan,
        "the inventory of 2026-11-20 02:00 UTC is not complete",
    );
}
