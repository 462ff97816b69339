//! Lifecycle rules: what is kept, and what S3 would refuse.

use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::builders::{LifecycleRuleBuilder, LifecycleRuleFilterBuilder};
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, ExpirationStatus,
    LifecycleExpiration, LifecycleRule, LifecycleRuleAndOperator, LifecycleRuleFilter,
    NoncurrentVersionExpiration, NoncurrentVersionTransition, Tag, Transition,
    TransitionStorageClass,
};

use super::{BUCKET, Lake, code_of};

impl Lake {
    /// `ok` or the error code.
    async fn set_rules(&self, rules: Vec<LifecycleRule>) -> String {
        let configuration = BucketLifecycleConfiguration::builder().set_rules(Some(rules));
        let request = self.client.put_bucket_lifecycle_configuration();
        let request = request.bucket(BUCKET);
        let request = request.lifecycle_configuration(configuration.build().unwrap());
        let sent = request.send().await;
        sent.map_or_else(|error| code_of(&error), |_| "ok".to_owned())
    }

    /// The rules, or the error code.
    async fn rules(&self) -> Result<Vec<LifecycleRule>, String> {
        let request = self.client.get_bucket_lifecycle_configuration();
        let got = request.bucket(BUCKET).send().await;
        let got = got.map_err(|error| code_of(&error))?;
        Ok(got.rules().to_vec())
    }
}

/// Enabled, for all objects, without an action.
fn rule() -> LifecycleRuleBuilder {
    LifecycleRule::builder()
        .status(ExpirationStatus::Enabled)
        .filter(filter().prefix("").build())
}

fn filter() -> LifecycleRuleFilterBuilder {
    LifecycleRuleFilter::builder()
}

fn days(days: i32) -> LifecycleExpiration {
    LifecycleExpiration::builder().days(days).build()
}

fn of_markers() -> LifecycleExpiration {
    LifecycleExpiration::builder()
        .expired_object_delete_marker(true)
        .build()
}

fn on(date: &str) -> LifecycleExpiration {
    let date: chrono::DateTime<chrono::Utc> = date.parse().unwrap();
    LifecycleExpiration::builder()
        .date(DateTime::from_secs(date.timestamp()))
        .build()
}

fn noncurrent(days: i32, newer: Option<i32>) -> NoncurrentVersionExpiration {
    NoncurrentVersionExpiration::builder()
        .noncurrent_days(days)
        .set_newer_noncurrent_versions(newer)
        .build()
}

fn abort(days: i32) -> AbortIncompleteMultipartUpload {
    AbortIncompleteMultipartUpload::builder()
        .days_after_initiation(days)
        .build()
}

fn tag(key: &str) -> Tag {
    Tag::builder().key(key).value("1").build().unwrap()
}

fn to_class(class: &str) -> Transition {
    Transition::builder()
        .days(0)
        .storage_class(TransitionStorageClass::from(class))
        .build()
}

/// One of each kind.
fn all_kinds() -> Vec<LifecycleRule> {
    let and = LifecycleRuleAndOperator::builder().prefix("q/");
    let and = and.tags(tag("a")).tags(tag("b")).object_size_less_than(9);
    let archived = NoncurrentVersionTransition::builder().noncurrent_days(3);
    let archived = archived.storage_class(TransitionStorageClass::DeepArchive);
    let builders = [
        rule().id("all").expiration(days(1)),
        rule()
            .id("net")
            .filter(filter().prefix("raw/").build())
            .expiration(of_markers())
            .noncurrent_version_expiration(noncurrent(7, Some(100)))
            .abort_incomplete_multipart_upload(abort(2)),
        rule()
            .id("some")
            .filter(filter().and(and.build()).build())
            .expiration(on("2030-01-01T00:00:00Z")),
        rule()
            .id("tagged")
            .filter(filter().tag(tag("a")).build())
            .transitions(to_class("GLACIER"))
            .noncurrent_version_transitions(archived.build()),
        // The older way to say which objects.
        #[expect(deprecated, reason = "clients still send it")]
        LifecycleRule::builder()
            .id("old")
            .prefix("old/")
            .status(ExpirationStatus::Disabled)
            .expiration(days(30)),
    ];
    builders.map(|builder| builder.build().unwrap()).to_vec()
}

#[tokio::test]
async fn rules_are_kept_as_they_are_until_they_are_deleted() {
    let lake = Lake::new().await;
    assert_eq!(
        lake.rules().await.unwrap_err(),
        "NoSuchLifecycleConfiguration"
    );
    assert_eq!(lake.set_rules(all_kinds()).await, "ok");
    let lake = lake.reopened(|_| {});
    assert_eq!(lake.rules().await.unwrap(), all_kinds());

    let other = rule().id("other").expiration(days(5)).build().unwrap();
    assert_eq!(lake.set_rules(vec![other.clone()]).await, "ok");
    assert_eq!(lake.rules().await.unwrap(), [other], "all are replaced");
    for _ in 0..2 {
        let request = lake.client.delete_bucket_lifecycle().bucket(BUCKET);
        request.send().await.unwrap();
    }
    let lake = lake.reopened(|_| {});
    assert_eq!(
        lake.rules().await.unwrap_err(),
        "NoSuchLifecycleConfiguration"
    );
}

#[tokio::test]
async fn nothing_goes_by_a_rule() {
    let lake = Lake::versioned().await;
    lake.put("k", b"1").await;
    let past = rule().expiration(on("2000-01-01T00:00:00Z"));
    assert_eq!(lake.set_rules(vec![past.build().unwrap()]).await, "ok");
    let lake = lake.reopened(|_| {});
    assert_eq!(lake.keys().await, ["k"]);
}

#[tokio::test]
async fn a_rule_without_an_id_gets_one() {
    let lake = Lake::new().await;
    let bare = || expiring().build().unwrap();
    let long = rule().id("é".repeat(255)).expiration(days(1));
    let rules = vec![bare(), bare(), long.build().unwrap()];
    assert_eq!(lake.set_rules(rules).await, "ok");
    let rules = lake.rules().await.unwrap();
    let ids: Vec<&str> = rules.iter().filter_map(|rule| rule.id()).collect();
    assert_eq!(ids.len(), 3);
    assert!(!ids[0].is_empty() && ids[0] != ids[1], "{ids:?}");
}

/// That each rule is refused with its code, alone.
async fn expect_refusals<const COUNT: usize>(table: [(&str, LifecycleRuleBuilder, &str); COUNT]) {
    let lake = Lake::new().await;
    for (what, builder, code) in table {
        let rules = vec![builder.build().unwrap()];
        assert_eq!(lake.set_rules(rules).await, code, "{what}");
    }
    assert_eq!(
        lake.rules().await.unwrap_err(),
        "NoSuchLifecycleConfiguration"
    );
}

fn expiring() -> LifecycleRuleBuilder {
    rule().expiration(days(1))
}

#[tokio::test]
async fn filters_that_s3_refuses() {
    let filtered = |filter: LifecycleRuleFilterBuilder| rule().filter(filter.build());
    let two = filtered(filter().prefix("a/").tag(tag("a"))).expiration(days(1));
    let lonely = LifecycleRuleAndOperator::builder().tags(tag("a")).build();
    let lonely = filtered(filter().and(lonely)).expiration(days(1));
    let tagged = LifecycleRuleAndOperator::builder()
        .prefix("")
        .tags(tag("a"));
    let tagged = filtered(filter().and(tagged.build()));
    let sized = filtered(filter().object_size_greater_than(1));
    #[expect(deprecated, reason = "clients still send it")]
    let both = expiring().prefix("a/");
    expect_refusals([
        ("none", expiring().set_filter(None), "MalformedXML"),
        ("a prefix too", both, "MalformedXML"),
        ("two conditions", two, "MalformedXML"),
        ("one condition under And", lonely, "MalformedXML"),
        (
            "uploads by tag",
            tagged.abort_incomplete_multipart_upload(abort(1)),
            "InvalidRequest",
        ),
        (
            "uploads by size",
            sized.abort_incomplete_multipart_upload(abort(1)),
            "InvalidRequest",
        ),
        (
            "markers by tag",
            filtered(filter().tag(tag("a"))).expiration(of_markers()),
            "InvalidRequest",
        ),
    ])
    .await;
}

#[tokio::test]
async fn actions_that_s3_refuses() {
    let ends = LifecycleExpiration::builder;
    let two_ends = ends().days(1).expired_object_delete_marker(true).build();
    let nowhere = Transition::builder().days(1).build();
    let never = Transition::builder().storage_class(TransitionStorageClass::Glacier);
    expect_refusals([
        ("none", rule(), "InvalidRequest"),
        ("no days", rule().expiration(days(0)), "InvalidArgument"),
        ("two ends", rule().expiration(two_ends), "MalformedXML"),
        ("no end", rule().expiration(ends().build()), "MalformedXML"),
        (
            "an hour",
            rule().expiration(on("2030-01-01T00:00:01Z")),
            "InvalidArgument",
        ),
        (
            "noncurrent days",
            rule().noncurrent_version_expiration(noncurrent(0, None)),
            "InvalidArgument",
        ),
        (
            "newer versions",
            rule().noncurrent_version_expiration(noncurrent(1, Some(101))),
            "InvalidArgument",
        ),
        (
            "days of uploads",
            rule().abort_incomplete_multipart_upload(abort(0)),
            "InvalidArgument",
        ),
        ("no class", rule().transitions(nowhere), "MalformedXML"),
        (
            "an unknown class",
            rule().transitions(to_class("ATTIC")),
            "MalformedXML",
        ),
        ("no time", rule().transitions(never.build()), "MalformedXML"),
    ])
    .await;
}

#[tokio::test]
async fn names_and_numbers_of_rules_that_s3_refuses() {
    expect_refusals([
        (
            "an unknown status",
            expiring().status("On".into()),
            "MalformedXML",
        ),
        (
            "a long ID",
            expiring().id("x".repeat(256)),
            "InvalidArgument",
        ),
    ])
    .await;
    let lake = Lake::new().await;
    let twice = || expiring().id("twice").build().unwrap();
    assert_eq!(
        lake.set_rules(vec![twice(), twice()]).await,
        "InvalidArgument"
    );
    let many = |count| vec![expiring().build().unwrap(); count];
    assert_eq!(lake.set_rules(Vec::new()).await, "MalformedXML");
    assert_eq!(lake.set_rules(many(1001)).await, "MalformedXML");
    assert_eq!(lake.set_rules(many(1000)).await, "ok");
    let missing = lake.client.get_bucket_lifecycle_configuration();
    let missing = missing.bucket("missing").send().await.unwrap_err();
    assert_eq!(code_of(&missing), "NoSuchBucket");
}
