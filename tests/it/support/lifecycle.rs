//! Lifecycle rules of buckets as `aws s3api` takes them: JSON.

use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, LifecycleExpiration,
    LifecycleRule, LifecycleRuleFilter, NoncurrentVersionExpiration,
};
use serde_json::{Value, json};

/// Rules that leave nothing behind and delete nothing that anybody may want, whatever the policies say.
pub fn harmless() -> Value {
    json!({ "Rules": [{
        "ID": "behind",
        "Status": "Enabled",
        "Filter": { "Prefix": "" },
        "Expiration": { "ExpiredObjectDeleteMarker": true },
        "NoncurrentVersionExpiration": { "NoncurrentDays": 30 },
        "AbortIncompleteMultipartUpload": { "DaysAfterInitiation": 7 },
    }]})
}

/// The same for the SDK; nothing of it may be left over.
pub fn configuration(json: &Value) -> BucketLifecycleConfiguration {
    let rules = json["Rules"].as_array().unwrap().iter().map(rule);
    BucketLifecycleConfiguration::builder()
        .set_rules(Some(rules.collect()))
        .build()
        .unwrap()
}

fn rule(json: &Value) -> LifecycleRule {
    let mut rule = LifecycleRule::builder();
    for (key, value) in json.as_object().unwrap() {
        rule = match key.as_str() {
            "ID" => rule.id(value.as_str().unwrap()),
            "Status" => rule.status(value.as_str().unwrap().into()),
            "Filter" => {
                let prefix = only(value, "Prefix").as_str().unwrap();
                rule.filter(LifecycleRuleFilter::builder().prefix(prefix).build())
            }
            "Expiration" => rule.expiration(expiration(value)),
            "NoncurrentVersionExpiration" => {
                let expiration = NoncurrentVersionExpiration::builder();
                let days = days(only(value, "NoncurrentDays"));
                rule.noncurrent_version_expiration(expiration.noncurrent_days(days).build())
            }
            "AbortIncompleteMultipartUpload" => {
                let abort = AbortIncompleteMultipartUpload::builder();
                let days = days(only(value, "DaysAfterInitiation"));
                rule.abort_incomplete_multipart_upload(abort.days_after_initiation(days).build())
            }
            _ => panic!("{key} in {json}"),
        };
    }
    rule.build().unwrap()
}

fn expiration(json: &Value) -> LifecycleExpiration {
    let expiration = LifecycleExpiration::builder();
    if json.get("Days").is_some() {
        return expiration.days(days(only(json, "Days"))).build();
    }
    let markers = only(json, "ExpiredObjectDeleteMarker").as_bool().unwrap();
    expiration.expired_object_delete_marker(markers).build()
}

fn days(json: &Value) -> i32 {
    json.as_i64().unwrap().try_into().unwrap()
}

/// The value of the only key.
fn only<'a>(json: &'a Value, key: &str) -> &'a Value {
    assert_eq!(json.as_object().unwrap().len(), 1, "{json}");
    &json[key]
}
