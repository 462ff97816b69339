//! Rules that are right, too early, too late or missing, by a table; and that what is printed is right.

use super::*;
use crate::embedded::EmbeddedS3;
use crate::lake::connect::Connection;
use crate::lake::s3::{NoncurrentExpiration, WriteS3};

/// Two datasets in one bucket, of which one says nothing of its raw objects, and a lake below a prefix of
/// another.
fn policies() -> Policies {
    policies_with(&[
        ("cart", "keep: 30 days after compaction", "2 years"),
        ("visits", "", "2 years"),
    ])
}

/// Name, `raw.keep` and `retention.keep` of each dataset.
fn policies_with(datasets: &[(&str, &str, &str)]) -> Policies {
    let lake = "version: 1\nlake: s3://lake/main/\nreaders_grace: 3 days\nkey: { env: KEY }\n";
    let mut files = vec![("lake.yaml".to_owned(), lake.to_owned())];
    for (name, raw, keep) in datasets {
        let text = format!(
            "version: 1\ndataset: {name}\nraw:\n  location: s3://raw/{name}/\n  {raw}\n\
             events: {{ time: at }}\ntable: {{ sort_by: [id] }}\nretention: {{ keep: {keep} }}\npii: none\n"
        );
        files.push((format!("datasets/{name}.yaml"), text));
    }
    Policies::parse(&files).unwrap()
}

/// Enabled, and does nothing.
fn rule(prefix: &str) -> LifecycleRule {
    LifecycleRule {
        id: "theirs".to_owned(),
        enabled: true,
        prefix: prefix.to_owned(),
        is_narrow: false,
        expiration: None,
        noncurrent: None,
        abort_after: None,
        classes: Vec::new(),
    }
}

fn expiring(prefix: &str, days: u32) -> LifecycleRule {
    LifecycleRule {
        expiration: Some(Expiration::AfterDays(days)),
        ..rule(prefix)
    }
}

fn removing_versions(prefix: &str, days: u32) -> LifecycleRule {
    let keeps_some = false;
    LifecycleRule {
        noncurrent: Some(NoncurrentExpiration { days, keeps_some }),
        ..rule(prefix)
    }
}

fn archiving(prefix: &str, class: &str) -> LifecycleRule {
    LifecycleRule {
        classes: vec!["STANDARD_IA".to_owned(), class.to_owned()],
        ..rule(prefix)
    }
}

fn narrow(rule: LifecycleRule) -> LifecycleRule {
    LifecycleRule {
        is_narrow: true,
        ..rule
    }
}

/// All that a net needs.
fn net_over(prefix: &str) -> LifecycleRule {
    LifecycleRule {
        expiration: Some(Expiration::Markers),
        abort_after: Some(7),
        ..removing_versions(prefix, 30)
    }
}

fn told_of(bucket: &str, rules: Vec<LifecycleRule>) -> Vec<String> {
    let told = BTreeMap::from([(bucket.to_owned(), Lifecycle::Rules(rules))]);
    findings(&policies(), &told)
}

/// That each finding says all of its words.
#[track_caller]
fn expect(found: &[String], expected: &[&[&str]], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}: {found:#?}");
    for (finding, words) in found.iter().zip(expected) {
        for word in *words {
            assert!(finding.contains(word), "{what}: no `{word}` in: {finding}");
        }
    }
}

/// A rule beside a net, and for each finding that it makes what that says.
type Case = (
    &'static str,
    LifecycleRule,
    &'static [&'static [&'static str]],
);

const SILENT: &[&[&str]] = &[];

#[track_caller]
fn expect_each<const COUNT: usize>(bucket: &str, cases: [Case; COUNT]) {
    for (what, rule, expected) in cases {
        expect(&told_of(bucket, vec![net_over(""), rule]), expected, what);
    }
}

#[test]
fn raw_objects_that_go_before_their_time() {
    let date = chrono::NaiveDate::from_ymd_opt(2030, 1, 1).unwrap();
    let dated = LifecycleRule {
        expiration: Some(Expiration::From(date)),
        ..rule("cart/")
    };
    let disabled = LifecycleRule {
        enabled: false,
        ..expiring("cart/", 1)
    };
    expect_each(
        "raw",
        [
            (
                "early enough to lose what was never compacted",
                expiring("cart/", 1),
                &[&[
                    "rule `theirs` of bucket raw deletes raw objects of cart 1 day after they were put",
                    "keeps them 30 days after compaction",
                    "never compacted",
                    "make it wait 37 days or more",
                ]],
            ),
            (
                "a day too early",
                expiring("cart/", 36),
                &[&["36 days after"]],
            ),
            ("early enough", expiring("cart/", 37), SILENT),
            (
                "before all their events are over",
                expiring("visits/", 737),
                &[&[
                    "of visits",
                    "keeps them as long as their events, 2 years",
                    "make it wait 738 days or more",
                ]],
            ),
            ("after that", expiring("visits/", 738), SILENT),
            (
                "a date",
                dated,
                &[&["deletes all raw objects of cart from 2030-01-01 on"]],
            ),
            (
                "some days of it",
                expiring("cart/year=2024/", 1),
                &[&["of cart"]],
            ),
            (
                "the whole bucket",
                expiring("", 1),
                &[&["of cart"], &["of visits", "never compacted"]],
            ),
            (
                "keys that begin like it",
                expiring("ca", 1),
                &[&["of cart"]],
            ),
            ("another folder", expiring("carts/", 1), SILENT),
            ("disabled", disabled, SILENT),
            (
                "only some objects",
                narrow(expiring("cart/", 1)),
                &[&["of bucket raw (for some tags or sizes) deletes"]],
            ),
        ],
    );
}

#[test]
fn raw_objects_whose_versions_go_early_or_that_are_archived() {
    expect_each(
        "raw",
        [
            (
                "replaced versions",
                removing_versions("cart/", 6),
                &[&[
                    "removes versions of raw objects of cart 6 days after",
                    "make it wait 7 days",
                ]],
            ),
            (
                "versions late enough",
                removing_versions("cart/", 7),
                SILENT,
            ),
            (
                "an archive",
                archiving("cart/", "GLACIER"),
                &[&["moves raw objects of cart to GLACIER", "restores it"]],
            ),
            (
                "a deep one for some",
                narrow(archiving("visits/2024/", "DEEP_ARCHIVE")),
                &[&["(for some tags or sizes) moves", "DEEP_ARCHIVE"]],
            ),
            ("no archive", archiving("cart/", "GLACIER_IR"), SILENT),
        ],
    );
}

#[test]
fn whatever_a_rule_does_to_tables() {
    expect_each(
        "lake",
        [
            (
                "tables",
                expiring("main/events/cart/", 36_500),
                &[&[
                    "deletes objects of the lake",
                    "files that are gone",
                    "take s3://lake/main/ out",
                ]],
            ),
            (
                "the lake's own files",
                expiring("main/system/", 9),
                &[&["the lake"]],
            ),
            ("the lake's bucket", expiring("", 9), &[&["the lake"]]),
            ("beside the lake", expiring("other/", 1), SILENT),
            ("no folder of ours", expiring("main/scratch/", 1), SILENT),
            (
                "readers",
                removing_versions("main/", 2),
                &[&[
                    "removes versions of objects of the lake 2 days after",
                    "`readers_grace` is 3 days",
                ]],
            ),
            ("no reader any more", removing_versions("main/", 3), SILENT),
            (
                "tables in an archive",
                archiving("main/", "GLACIER"),
                &[&["moves objects of the lake"]],
            ),
            ("a net", net_over("main/"), SILENT),
        ],
    );
}

#[test]
fn a_net_has_no_holes() {
    let versions = "replaced versions";
    let markers = "expired delete markers";
    let uploads = "unfinished uploads";
    let all = [versions, markers, uploads];
    let disabled = LifecycleRule {
        enabled: false,
        ..net_over("")
    };
    let keeping_some = LifecycleRule {
        noncurrent: Some(NoncurrentExpiration {
            days: 30,
            keeps_some: true,
        }),
        ..net_over("")
    };
    // Markers go with old objects; 37 days are allowed for cart.
    let expiring_and_aborting = LifecycleRule {
        abort_after: Some(7),
        ..expiring("cart/", 37)
    };
    let folders = ["events/", "curated/", "quarantine/", "system/"];
    let by_folder = folders
        .map(|folder| net_over(&format!("main/{folder}")))
        .to_vec();
    let table: [(&str, &str, Vec<LifecycleRule>, &[&str]); 11] = [
        ("no rule", "raw", vec![], &all),
        ("a net", "raw", vec![net_over("")], &[]),
        (
            "two nets",
            "raw",
            vec![net_over("cart/"), net_over("visits/")],
            &[],
        ),
        ("half a net", "raw", vec![net_over("cart/")], &all),
        ("a narrow net", "raw", vec![narrow(net_over(""))], &all),
        ("a disabled net", "raw", vec![disabled], &all),
        (
            "one that keeps some",
            "raw",
            vec![keeping_some],
            &[versions],
        ),
        (
            "of several rules",
            "raw",
            vec![
                removing_versions("", 30),
                expiring_and_aborting,
                net_over("visits/"),
            ],
            &[],
        ),
        (
            "versions only",
            "raw",
            vec![removing_versions("", 30)],
            &[markers, uploads],
        ),
        ("a net by folder", "lake", by_folder[1..].to_vec(), &all),
        ("all folders", "lake", by_folder, &[]),
    ];
    for (what, bucket, rules, missing) in table {
        let found = told_of(bucket, rules);
        if missing.is_empty() {
            expect(&found, &[], what);
            continue;
        }
        let mut words = vec![
            "S3 does not remove",
            bucket,
            "`lakewarden lifecycle` prints",
        ];
        words.extend(missing);
        expect(&found, &[&words], what);
        for kind in all.iter().filter(|kind| !missing.contains(kind)) {
            assert!(!found[0].contains(kind), "{what}: {}", found[0]);
        }
    }
}

#[test]
fn a_hole_in_a_net_is_told_with_its_place() {
    let found = told_of("raw", vec![net_over("cart/")]);
    assert!(found[0].contains("under s3://raw/visits/:"), "{found:?}");
    let found = told_of("raw", Vec::new());
    let both = "under s3://raw/cart/ and s3://raw/visits/:";
    assert!(found[0].contains(both), "{found:?}");
}

#[test]
fn versions_that_outlive_their_events_are_told() {
    let late = |days| LifecycleRule {
        noncurrent: removing_versions("", days).noncurrent,
        ..net_over("")
    };
    assert_eq!(told_of("lake", vec![late(731)]), [""; 0]);
    let found = told_of("lake", vec![late(732)]);
    let words = [
        "only 732 days after",
        "keep events 2 years",
        "wait 731 days or less",
    ];
    expect(&found, &[&words], "two years and a day");
    // A rule for some objects only is not to blame, whatever it does.
    let all = LifecycleRule {
        id: "all".to_owned(),
        ..late(800)
    };
    let found = told_of("lake", vec![narrow(late(790)), all]);
    let words = ["rule `all` of bucket lake removes", "only 800 days after"];
    expect(&found, &[&words], "beside a narrow one");
    // The first rule that fits is carried out.
    let earlier = removing_versions("main/", 30);
    assert_eq!(told_of("lake", vec![late(732), earlier]), [""; 0]);
}

#[test]
fn rules_that_cannot_be_read_are_told_and_nothing_else() {
    let told = BTreeMap::from([
        ("lake".to_owned(), Lifecycle::Denied),
        (
            "raw".to_owned(),
            Lifecycle::Unknown("not here (NotImplemented)".to_owned()),
        ),
    ]);
    let found = findings(&policies(), &told);
    let denied = [
        "bucket lake could not be read",
        "ask for s3:GetLifecycleConfiguration",
    ];
    let unknown = ["bucket raw could not be read", "not here (NotImplemented)"];
    expect(&found, &[&denied, &unknown], "unread");
}

#[tokio::test]
async fn the_printed_rules_are_taken_and_have_no_fault() {
    let datasets = [
        ("unsaid", "", "2 years"),
        ("short", "keep: 1 days after compaction", "2 years"),
        ("month", "keep: 1 months after compaction", "2 years"),
        ("long", "keep: 2 years after compaction", "10 years"),
        ("fleeting", "keep: 1 days after compaction", "5 days"),
    ];
    let policies = policies_with(&datasets);
    let folder = tempfile::tempdir().unwrap();
    let server = EmbeddedS3::open(folder.path()).unwrap();
    let s3 = WriteS3::new(Connection::embedded(&server));
    for bucket in ["raw", "lake"] {
        s3.create_bucket(bucket).await.unwrap();
    }
    let told = read(s3.read(), &policies).await;
    let nothing = Lifecycle::Rules(Vec::new());
    let expected = ["lake", "raw"].map(|bucket| (bucket.to_owned(), nothing.clone()));
    assert_eq!(told, expected.into());
    assert_eq!(findings(&policies, &told).len(), 2);

    for (bucket, configuration) in net(&policies) {
        s3.put_lifecycle(&bucket, &configuration.rules)
            .await
            .unwrap();
    }
    let told = read(s3.read(), &policies).await;
    assert_eq!(findings(&policies, &told), [""; 0]);
    let Lifecycle::Rules(rules) = &told["raw"] else {
        panic!("{told:?}");
    };
    // In the order of the datasets' names: fleeting, long, month, short, unsaid.
    let kept: Vec<Option<Expiration>> = rules.iter().map(|rule| rule.expiration).collect();
    let days = |days| Some(Expiration::AfterDays(days));
    let expected = [days(31), days(1462), days(62), days(31), days(761)];
    assert_eq!(kept, expected);
    assert_eq!(
        server
            .access_log()
            .iter()
            .filter(|entry| entry.status >= 500)
            .count(),
        0
    );
}
