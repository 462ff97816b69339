//! Lifecycle rules of buckets, by which S3 itself deletes and archives. They are advice to look at:
//! reading them never fails, so that a role without leave to read them can still run the night.

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::types;
use chrono::NaiveDate;
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::json;

use super::{ReadS3, WriteS3, time_of};
use crate::lake::error::{S3Error, S3ErrorKind};

/// What an endpoint tells of a bucket's lifecycle rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lifecycle {
    /// The rules; empty if the bucket has none.
    Rules(Vec<LifecycleRule>),
    /// The credentials may not read them.
    Denied,
    /// Something else came back, such as that the endpoint has no lifecycle rules: its words.
    Unknown(String),
}

/// One rule, as far as it decides what goes, what is archived, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifecycleRule {
    /// Its name in the bucket.
    pub id: String,
    /// Whether it is carried out.
    pub enabled: bool,
    /// What the keys that it is about begin with.
    pub prefix: String,
    /// Whether tags or sizes narrow down which objects under the prefix it is about.
    pub is_narrow: bool,
    /// What happens to current objects.
    pub expiration: Option<Expiration>,
    /// What happens to noncurrent versions.
    pub noncurrent: Option<NoncurrentExpiration>,
    /// Days after which unfinished uploads are aborted.
    pub abort_after: Option<u32>,
    /// The storage classes that it moves current objects or noncurrent versions to.
    pub classes: Vec<String>,
}

/// When a rule deletes current objects, or that it deletes delete markers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiration {
    /// So many days after they were put, and delete markers alone on their key too.
    AfterDays(u32),
    /// All of them from this day on, whatever their age.
    From(NaiveDate),
    /// Delete markers alone on their key, and no objects.
    Markers,
}

/// When a rule removes noncurrent versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoncurrentExpiration {
    /// Days after they were replaced or deleted.
    pub days: u32,
    /// Whether the newest of them stay for good.
    pub keeps_some: bool,
}

/// A rule that removes what is left behind under a prefix, whole. Serialises as `aws s3api` takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetRule {
    /// Its name in the bucket.
    pub id: String,
    /// What the keys that it is about begin with.
    pub prefix: String,
    /// Days after which current objects go; none means never.
    pub expire_after: Option<u32>,
    /// Days after which noncurrent versions go.
    pub noncurrent_after: u32,
    /// Days after which unfinished uploads are aborted.
    pub abort_after: u32,
}

impl ReadS3 {
    /// The lifecycle rules of a bucket.
    pub async fn lifecycle(&self, bucket: &str) -> Lifecycle {
        let request = self
            .connection
            .client()
            .get_bucket_lifecycle_configuration();
        match request.bucket(bucket).send().await {
            Ok(answer) => Lifecycle::Rules(answer.rules().iter().map(rule_of).collect()),
            Err(error) if error.code() == Some("NoSuchLifecycleConfiguration") => {
                Lifecycle::Rules(Vec::new())
            }
            Err(error) => {
                let attempted = format!("read the lifecycle rules of bucket {bucket}");
                let error = S3Error::from_sdk(attempted, &error);
                match error.kind {
                    S3ErrorKind::AccessDenied => Lifecycle::Denied,
                    _ => Lifecycle::Unknown(error.reason),
                }
            }
        }
    }
}

impl WriteS3 {
    /// Gives a bucket these rules in place of all that it has.
    pub async fn put_lifecycle(&self, bucket: &str, rules: &[NetRule]) -> Result<(), S3Error> {
        let attempted = || format!("set the lifecycle rules of bucket {bucket}");
        let unsound = |reason: String| S3Error::new(attempted(), reason, S3ErrorKind::Other);
        let mut configuration = types::BucketLifecycleConfiguration::builder();
        for rule in rules {
            let rule = rule.to_sdk().build();
            configuration = configuration.rules(rule.map_err(|error| unsound(error.to_string()))?);
        }
        let configuration = configuration.build();
        let configuration = configuration.map_err(|error| unsound(error.to_string()))?;
        let client = self.read.connection.client();
        let request = client.put_bucket_lifecycle_configuration().bucket(bucket);
        let sent = request.lifecycle_configuration(configuration).send().await;
        sent.map_err(|error| S3Error::from_sdk(attempted(), &error))?;
        Ok(())
    }
}

impl NetRule {
    fn to_sdk(&self) -> types::builders::LifecycleRuleBuilder {
        let expiration = types::LifecycleExpiration::builder();
        let expiration = match self.expire_after {
            Some(days) => expiration.days(signed(days)),
            None => expiration.expired_object_delete_marker(true),
        };
        let noncurrent = types::NoncurrentVersionExpiration::builder();
        let abort = types::AbortIncompleteMultipartUpload::builder();
        types::LifecycleRule::builder()
            .id(&self.id)
            .status(types::ExpirationStatus::Enabled)
            .filter(
                types::LifecycleRuleFilter::builder()
                    .prefix(&self.prefix)
                    .build(),
            )
            .expiration(expiration.build())
            .noncurrent_version_expiration(
                noncurrent
                    .noncurrent_days(signed(self.noncurrent_after))
                    .build(),
            )
            .abort_incomplete_multipart_upload(
                abort
                    .days_after_initiation(signed(self.abort_after))
                    .build(),
            )
    }
}

impl Serialize for NetRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let expiration = match self.expire_after {
            Some(days) => json!({ "Days": days }),
            None => json!({ "ExpiredObjectDeleteMarker": true }),
        };
        let filter = json!({ "Prefix": self.prefix });
        let noncurrent = json!({ "NoncurrentDays": self.noncurrent_after });
        let abort = json!({ "DaysAfterInitiation": self.abort_after });
        let mut rule = serializer.serialize_map(None)?;
        rule.serialize_entry("ID", &self.id)?;
        rule.serialize_entry("Status", "Enabled")?;
        rule.serialize_entry("Filter", &filter)?;
        rule.serialize_entry("Expiration", &expiration)?;
        rule.serialize_entry("NoncurrentVersionExpiration", &noncurrent)?;
        rule.serialize_entry("AbortIncompleteMultipartUpload", &abort)?;
        rule.end()
    }
}

#[expect(
    deprecated,
    reason = "rules that were made long ago have their prefix there"
)]
fn rule_of(rule: &types::LifecycleRule) -> LifecycleRule {
    let filter = rule.filter();
    let and = filter.and_then(types::LifecycleRuleFilter::and);
    let prefix = filter
        .and_then(types::LifecycleRuleFilter::prefix)
        .or(and.and_then(types::LifecycleRuleAndOperator::prefix))
        .or(rule.prefix());
    let classes = rule.transitions().iter().map(|step| step.storage_class());
    let noncurrent = rule.noncurrent_version_transitions().iter();
    let classes = classes.chain(noncurrent.map(|step| step.storage_class()));
    LifecycleRule {
        id: rule.id().unwrap_or_default().to_owned(),
        enabled: *rule.status() == types::ExpirationStatus::Enabled,
        prefix: prefix.unwrap_or_default().to_owned(),
        is_narrow: filter.is_some_and(is_narrow),
        expiration: rule.expiration().and_then(expiration_of),
        noncurrent: rule.noncurrent_version_expiration().map(|expiration| {
            let newer = expiration.newer_noncurrent_versions();
            NoncurrentExpiration {
                days: unsigned(expiration.noncurrent_days()),
                keeps_some: newer.is_some_and(|count| count > 0),
            }
        }),
        abort_after: rule
            .abort_incomplete_multipart_upload()
            .map(|abort| unsigned(abort.days_after_initiation())),
        classes: classes
            .flatten()
            .map(|class| class.as_str().to_owned())
            .collect(),
    }
}

fn is_narrow(filter: &types::LifecycleRuleFilter) -> bool {
    let by_all = filter.and().is_some_and(|and| {
        !and.tags().is_empty()
            || and.object_size_greater_than().is_some()
            || and.object_size_less_than().is_some()
    });
    by_all
        || filter.tag().is_some()
        || filter.object_size_greater_than().is_some()
        || filter.object_size_less_than().is_some()
}

fn expiration_of(expiration: &types::LifecycleExpiration) -> Option<Expiration> {
    if let Some(date) = expiration.date() {
        let date = time_of(date).unwrap_or_default().date_naive();
        return Some(Expiration::From(date));
    }
    if let Some(days) = expiration.days() {
        return Some(Expiration::AfterDays(unsigned(Some(days))));
    }
    let of_markers = expiration.expired_object_delete_marker() == Some(true);
    of_markers.then_some(Expiration::Markers)
}

/// What makes no sense counts as at once.
fn unsigned(days: Option<i32>) -> u32 {
    days.and_then(|days| u32::try_from(days).ok())
        .unwrap_or_default()
}

fn signed(days: u32) -> i32 {
    i32::try_from(days).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> types::builders::LifecycleRuleBuilder {
        types::LifecycleRule::builder().status(types::ExpirationStatus::Enabled)
    }

    fn read(rule: types::builders::LifecycleRuleBuilder) -> LifecycleRule {
        rule_of(&rule.build().unwrap())
    }

    fn filtered(filter: types::builders::LifecycleRuleFilterBuilder) -> LifecycleRule {
        read(rule().filter(filter.build()))
    }

    #[test]
    fn what_a_rule_is_about_is_read_from_all_forms_of_its_filter() {
        let filter = types::LifecycleRuleFilter::builder;
        let tag = || types::Tag::builder().key("a").value("b").build().unwrap();
        let and = || types::LifecycleRuleAndOperator::builder().prefix("raw/");
        #[expect(deprecated, reason = "what is tested")]
        let old = read(rule().prefix("raw/"));
        let table = [
            (filtered(filter().prefix("raw/")), "raw/", false),
            (old, "raw/", false),
            (filtered(filter()), "", false),
            (read(rule()), "", false),
            (filtered(filter().tag(tag())), "", true),
            (filtered(filter().object_size_less_than(9)), "", true),
            (filtered(filter().object_size_greater_than(9)), "", true),
            (
                filtered(filter().and(and().tags(tag()).build())),
                "raw/",
                true,
            ),
            (
                filtered(filter().and(and().object_size_less_than(9).build())),
                "raw/",
                true,
            ),
            (
                filtered(filter().and(and().object_size_greater_than(9).build())),
                "raw/",
                true,
            ),
        ];
        for (index, (rule, prefix, is_narrow)) in table.into_iter().enumerate() {
            assert_eq!(
                (rule.prefix.as_str(), rule.is_narrow),
                (prefix, is_narrow),
                "{index}"
            );
        }
    }

    #[test]
    fn what_a_rule_does_is_read_whole() {
        let expiring = |expiration: types::builders::LifecycleExpirationBuilder| {
            read(rule().expiration(expiration.build())).expiration
        };
        let expiration = types::LifecycleExpiration::builder;
        let new_year = aws_sdk_s3::primitives::DateTime::from_secs(1_893_456_000);
        let date = NaiveDate::from_ymd_opt(2030, 1, 1).unwrap();
        assert_eq!(
            expiring(expiration().days(3)),
            Some(Expiration::AfterDays(3))
        );
        assert_eq!(
            expiring(expiration().date(new_year)),
            Some(Expiration::From(date))
        );
        let markers = |expired| expiring(expiration().expired_object_delete_marker(expired));
        assert_eq!(markers(true), Some(Expiration::Markers));
        assert_eq!(markers(false), None);

        let versions = types::NoncurrentVersionExpiration::builder().noncurrent_days(4);
        let uploads = types::AbortIncompleteMultipartUpload::builder().days_after_initiation(5);
        let current =
            types::Transition::builder().storage_class(types::TransitionStorageClass::Glacier);
        let noncurrent = types::NoncurrentVersionTransition::builder();
        let noncurrent = noncurrent.storage_class(types::TransitionStorageClass::DeepArchive);
        let whole = rule()
            .id("all")
            .status(types::ExpirationStatus::Disabled)
            .noncurrent_version_expiration(versions.clone().build())
            .abort_incomplete_multipart_upload(uploads.build())
            .transitions(current.build())
            .noncurrent_version_transitions(noncurrent.build());
        let expected = LifecycleRule {
            id: "all".to_owned(),
            enabled: false,
            prefix: String::new(),
            is_narrow: false,
            expiration: None,
            noncurrent: Some(NoncurrentExpiration {
                days: 4,
                keeps_some: false,
            }),
            abort_after: Some(5),
            classes: vec!["GLACIER".to_owned(), "DEEP_ARCHIVE".to_owned()],
        };
        assert_eq!(read(whole), expected);
        let keeping = versions.newer_noncurrent_versions(1).build();
        let keeping = read(rule().noncurrent_version_expiration(keeping));
        assert!(keeping.noncurrent.unwrap().keeps_some);
    }
}
