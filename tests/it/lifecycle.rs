//! Lifecycle rules of the buckets: held against the policies, and the ones that `lifecycle` prints.

use lakewarden::demo::BUCKETS;
use serde_json::{Value, json};

use crate::support::command::{lakewarden, text};
use crate::support::denying::denying;
use crate::support::events::{bucket, small_lake};
use crate::support::lake::LAKE_BUCKET;
use crate::support::{Lake, NOW, Server};

/// The findings that are about lifecycle rules.
fn told(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap().iter();
    let texts = findings.map(|finding| finding.as_str().unwrap().to_owned());
    texts.filter(|text| text.contains("lifecycle")).collect()
}

/// What `lifecycle` prints.
fn printed(lake: &Lake) -> Value {
    lake.command(NOW, &["lifecycle", "--output", "json"]).json()
}

#[test]
fn a_rule_that_heeds_no_hold_is_told() {
    let lake = small_lake();
    let because = ["--reason", "x", "--owner", "y", "--review", "2027-01-01"];
    let add = [
        &["hold", "add", "--table", "cart", "--output", "json"][..],
        &because,
    ]
    .concat();
    let rules = printed(&lake);
    let store = lake.store(NOW);
    for dataset in ["cart", "payment"] {
        store.put_lifecycle(bucket(dataset), &rules[bucket(dataset)]);
    }
    drop(store);
    assert_eq!(told(&lake.plan(NOW)), [""; 0]);
    let held = lake.command(NOW, &add).json();
    let findings = told(&lake.plan(NOW));
    let id = held[0]["id"].as_str().unwrap();
    let words =
        format!("of bucket acme-cart-events deletes raw objects of cart whatever hold {id} keeps");
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert!(findings[0].contains(&words), "{findings:#?}");
}

#[test]
fn what_goes_against_the_policies_is_told_by_plan_and_run_until_the_printed_rules_are_put() {
    let lake = small_lake();
    let cart = bucket("cart");
    let mut hasty = crate::support::lifecycle::harmless();
    hasty["Rules"][0]["ID"] = "tidy-up".into();
    hasty["Rules"][0]["Expiration"] = json!({ "Days": 1 });
    let store = lake.store(NOW);
    store.put_lifecycle(cart, &hasty);
    store.delete_lifecycle(LAKE_BUCKET);
    drop(store);

    let plan = lake.plan(NOW);
    let findings = told(&plan);
    assert_eq!(findings.len(), 2, "{findings:#?}");
    for (word, index) in [
        (
            "rule `tidy-up` of bucket acme-cart-events deletes raw objects of cart 1 day after",
            0,
        ),
        ("30 days after compaction", 0),
        (
            "under s3://acme-lake/: bucket acme-lake needs a lifecycle rule",
            1,
        ),
        ("`lakewarden lifecycle` prints", 1),
    ] {
        assert!(findings[index].contains(word), "{findings:#?}");
    }
    let said = lake.command(NOW, &["plan"]).stdout;
    for finding in &findings {
        assert!(said.contains(&format!("finding: {finding}")), "{said}");
    }
    assert_eq!(told(&lake.run(NOW)), findings);

    let rules = printed(&lake);
    let store = lake.store(NOW);
    for (bucket, configuration) in rules.as_object().unwrap() {
        store.put_lifecycle(bucket, configuration);
    }
    drop(store);
    assert_eq!(told(&lake.plan(NOW)), [""; 0]);
    assert_eq!(told(&lake.run(NOW)), [""; 0]);
}

#[test]
fn a_dry_run_asks_each_bucket_once_and_changes_nothing() {
    let lake = small_lake();
    lake.store(NOW).delete_lifecycle(LAKE_BUCKET);
    let server = Server::of(&lake, NOW);
    let plan = server.command(&lake, NOW, &["plan", "--output", "json"]);
    assert_eq!(told(&plan.json()).len(), 1);
    assert_eq!(server.mutations(), []);
    let requests = server.requests().into_iter().map(|request| request.path);
    let mut asked: Vec<String> = requests
        .filter(|path| path.contains("?lifecycle"))
        .collect();
    asked.sort();
    let mut buckets: Vec<String> = BUCKETS
        .iter()
        .map(|(_, bucket)| *bucket)
        .chain([LAKE_BUCKET])
        .map(|bucket| format!("/{bucket}/?lifecycle"))
        .collect();
    buckets.sort();
    assert_eq!(asked, buckets);
}

#[test]
fn a_demo_has_the_printed_rules() {
    let lake = Lake::after_a_night();
    assert_eq!(told(Lake::report_of_the_night()), [""; 0]);
    let rules = printed(&lake);
    let store = lake.store(NOW);
    for (bucket, configuration) in rules.as_object().unwrap() {
        let expected = crate::support::lifecycle::configuration(configuration);
        assert_eq!(store.lifecycle(bucket), expected.rules(), "{bucket}");
    }
    assert_eq!(rules.as_object().unwrap().len(), BUCKETS.len() + 1);
}

#[test]
fn the_rules_come_of_the_policies_alone() {
    let lake = Lake::empty();
    lake.change_policy("lake.yaml", "s3://acme-lake/", "s3://acme-data/lake/");
    lake.change_policy("lake.yaml", "readers_grace: 0 h", "readers_grace: 36 h");
    lake.change_policy(
        "datasets/cart.yaml",
        "s3://acme-cart-events/",
        "s3://acme-product-events/",
    );
    lake.change_policy("datasets/cart.yaml", "keep: 30 days after compaction", "");
    lake.change_policy("datasets/payment.yaml", "30 days after", "90 days after");
    let rule = |id: &str, prefix: &str, expiration: Value, versions: u32| {
        json!({
            "ID": id,
            "Status": "Enabled",
            "Filter": { "Prefix": prefix },
            "Expiration": expiration,
            "NoncurrentVersionExpiration": { "NoncurrentDays": versions },
            "AbortIncompleteMultipartUpload": { "DaysAfterInitiation": 7 },
        })
    };
    let markers = json!({ "ExpiredObjectDeleteMarker": true });
    let after = |days: u32| json!({ "Days": days });
    let raw = |dataset: &str, expiration: Value| {
        let id = format!("lakewarden-raw-{dataset}");
        rule(&id, &format!("topics/{dataset}/"), expiration, 30)
    };
    let expected = json!({
        "acme-data": { "Rules": [rule("lakewarden-lake", "lake/", markers, 9)] },
        "acme-payment-events": { "Rules": [raw("payment", after(180))] },
        "acme-post-purchase-events": { "Rules": [raw("post_purchase", after(60))] },
        "acme-product-events": { "Rules": [raw("cart", after(761)), raw("product", after(60))] },
    });
    // Another process has the buckets, which it does not need.
    let _server = Server::of(&lake, NOW);
    assert_eq!(printed(&lake), expected);
    let policies = lake.dir().join("policies");
    let outcome = lakewarden(&["lifecycle", "--policies", text(&policies)]);
    outcome.expect_exit(0);
    for words in [
        "`lakewarden-raw-payment`: under topics/payment/ objects go 180 days after they were put,",
        "`lakewarden-raw-cart`: under topics/cart/ objects go 761 days after they were put,",
        "\"NoncurrentDays\": 9",
        "--bucket acme-data --lifecycle-configuration file://acme-data.json",
    ] {
        assert!(outcome.stdout.contains(words), "{}", outcome.stdout);
    }
    assert!(outcome.stderr.contains("hint:"), "{}", outcome.stderr);
}

#[test]
fn rules_that_may_not_be_read_are_a_finding_and_stop_nothing() {
    let lake = small_lake();
    let server = Server::of(&lake, NOW);
    let dir = lake.dir();
    for (status, code, words) in [
        (403, "AccessDenied", "ask for s3:GetLifecycleConfiguration"),
        (501, "NotImplemented", "(NotImplemented)"),
    ] {
        let endpoint = denying(&server, "lifecycle", status, code);
        let arguments = ["plan", "--dir", text(&dir), "--endpoint", &endpoint];
        let more = ["--now", NOW, "--output", "json"];
        let plan = lakewarden(&[&arguments[..], &more].concat()).json();
        let findings = told(&plan);
        assert_eq!(findings.len(), BUCKETS.len() + 1, "{findings:#?}");
        assert!(
            findings.iter().all(|finding| finding.contains(words)),
            "{findings:#?}"
        );
        assert_ne!(plan["steps"], json!([]));
    }
}
