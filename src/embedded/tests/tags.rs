//! Tags of objects and their versions.

use std::fs;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, Tag, Tagging, TaggingDirective};

use super::{BUCKET, Lake, code_of};

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build().unwrap()
}

impl Lake {
    /// The version id.
    async fn put_tagged(&self, key: &str, tagging: &str) -> Result<String, String> {
        let request = self.client.put_object().bucket(BUCKET).key(key);
        let request = request.tagging(tagging).body(ByteStream::from_static(b"1"));
        let put = request.send().await.map_err(|error| code_of(&error))?;
        Ok(put.version_id().unwrap_or_default().to_owned())
    }

    /// `key=value` of each tag, or the error code.
    async fn tags(&self, key: &str, version: Option<&str>) -> Result<Vec<String>, String> {
        let request = self.client.get_object_tagging().bucket(BUCKET).key(key);
        let request = request.set_version_id(version.map(str::to_owned));
        let got = request.send().await.map_err(|error| code_of(&error))?;
        let mut tags = Vec::new();
        for tag in got.tag_set() {
            tags.push(format!("{}={}", tag.key(), tag.value()));
        }
        Ok(tags)
    }

    /// `ok` or the error code.
    async fn set_tags(&self, key: &str, version: Option<&str>, tags: &[Tag]) -> String {
        let tagging = Tagging::builder().set_tag_set(Some(tags.to_vec()));
        let request = self.client.put_object_tagging().bucket(BUCKET).key(key);
        let request = request.set_version_id(version.map(str::to_owned));
        let sent = request.tagging(tagging.build().unwrap()).send().await;
        sent.map_or_else(|error| code_of(&error), |_| "ok".to_owned())
    }
}

#[tokio::test]
async fn every_version_has_its_own_tags() {
    let lake = Lake::versioned().await;
    let first = lake.put_tagged("k", "team=a%20b&source=web").await.unwrap();
    let second = lake.put("k", b"2").await;
    let changed = [tag("erased", "yes")];
    assert_eq!(lake.set_tags("k", Some(&second), &changed).await, "ok");

    let before = lake.versions().await;
    let lake = lake.reopened(|_| {});
    assert_eq!(lake.versions().await, before);
    assert_eq!(
        lake.tags("k", Some(&first)).await.unwrap(),
        ["source=web", "team=a b"]
    );
    assert_eq!(lake.tags("k", None).await.unwrap(), ["erased=yes"]);

    assert_eq!(
        lake.set_tags("k", Some(&first), &[tag("x", "")]).await,
        "ok"
    );
    assert_eq!(lake.tags("k", Some(&first)).await.unwrap(), ["x="]);
    assert_eq!(lake.tags("k", None).await.unwrap(), ["erased=yes"]);
    assert_eq!(lake.versions().await, before);
    assert_eq!(lake.get_version("k", Some(&first)).await.unwrap(), b"1");
    assert_eq!(fs::read(lake.plain("k")).unwrap(), b"2");
}

#[tokio::test]
async fn their_number_is_told() {
    let lake = Lake::new().await;
    lake.put_tagged("two", "a=1&b=2").await.unwrap();
    lake.put("none", b"1").await;
    for (key, count) in [("two", Some(2)), ("none", None)] {
        let head = lake.client.head_object().bucket(BUCKET).key(key);
        assert_eq!(head.send().await.unwrap().tag_count(), count);
        let got = lake.client.get_object().bucket(BUCKET).key(key);
        assert_eq!(got.send().await.unwrap().tag_count(), count);
    }
}

#[tokio::test]
async fn deleted_tags_leave_no_byte() {
    let lake = Lake::new().await;
    lake.put_tagged("k", "customer=alice@example.com")
        .await
        .unwrap();
    let request = lake.client.delete_object_tagging().bucket(BUCKET).key("k");
    request.send().await.unwrap();
    assert_eq!(lake.tags("k", None).await.unwrap(), [""; 0]);
    for file in lake.files() {
        let bytes = fs::read(file).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("alice"));
    }
    assert_eq!(lake.get("k").await.unwrap(), b"1");
}

#[tokio::test]
async fn what_has_no_object_has_no_tags() {
    let lake = Lake::versioned().await;
    assert_eq!(lake.tags("k", None).await.unwrap_err(), "NoSuchKey");
    assert_eq!(lake.set_tags("k", None, &[]).await, "NoSuchKey");
    lake.put("k", b"1").await;
    lake.delete("k", None).await;
    let versions = lake.versions().await;
    let (_, marker, _, _) = versions.iter().find(|entry| entry.2).unwrap();
    assert_eq!(lake.tags("k", None).await.unwrap_err(), "NoSuchKey");
    let refused = lake.set_tags("k", Some(marker), &[]).await;
    assert_eq!(refused, "MethodNotAllowed");
    let refused = lake.tags("k", Some("nothing")).await.unwrap_err();
    assert_eq!(refused, "NoSuchVersion");
}

#[tokio::test]
async fn copies_take_the_tags_along_or_get_new_ones() {
    let lake = Lake::new().await;
    lake.put_tagged("from", "a=1").await.unwrap();
    let copy = |key: &str| {
        let request = lake.client.copy_object().bucket(BUCKET).key(key);
        request.copy_source(format!("{BUCKET}/from"))
    };
    copy("same").send().await.unwrap();
    let new = copy("new").tagging_directive(TaggingDirective::Replace);
    new.tagging("b=2").send().await.unwrap();
    let none = copy("none").tagging_directive(TaggingDirective::Replace);
    none.send().await.unwrap();
    assert_eq!(lake.tags("same", None).await.unwrap(), ["a=1"]);
    assert_eq!(lake.tags("new", None).await.unwrap(), ["b=2"]);
    assert_eq!(lake.tags("none", None).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn an_upload_keeps_them_until_it_is_complete() {
    let lake = Lake::new().await;
    let request = lake.client.create_multipart_upload().bucket(BUCKET);
    let created = request.key("k").tagging("a=1").send().await.unwrap();
    let upload = created.upload_id().unwrap().to_owned();
    let lake = lake.reopened(|_| {});
    let request = lake.client.upload_part().bucket(BUCKET).key("k");
    let request = request.upload_id(&upload).part_number(1);
    let sent = request.send().await.unwrap();
    let part = CompletedPart::builder().part_number(1);
    let part = part.e_tag(sent.e_tag().unwrap()).build();
    let parts = CompletedMultipartUpload::builder().parts(part).build();
    let request = lake.client.complete_multipart_upload().bucket(BUCKET);
    let request = request.key("k").upload_id(upload).multipart_upload(parts);
    request.send().await.unwrap();
    assert_eq!(lake.tags("k", None).await.unwrap(), ["a=1"]);
}

#[tokio::test]
async fn limits() {
    let lake = Lake::new().await;
    lake.put_tagged("k", "kept=1").await.unwrap();
    let set = async |tags: &[Tag]| lake.set_tags("k", None, tags).await;
    let numbered = |count: usize| -> Vec<Tag> {
        let numbers = 0..count;
        numbers
            .map(|number| tag(&number.to_string(), "v"))
            .collect()
    };
    let long = |length: usize| "ü".repeat(length);
    assert_eq!(set(&numbered(11)).await, "BadRequest");
    assert_eq!(set(&[tag("a", "1"), tag("a", "2")]).await, "InvalidTag");
    assert_eq!(set(&[tag(&long(129), "")]).await, "InvalidTag");
    assert_eq!(set(&[tag("a", &long(257))]).await, "InvalidTag");
    assert_eq!(set(&[tag("", "v")]).await, "InvalidTag");
    assert_eq!(set(&[tag("a?", "v")]).await, "InvalidTag");
    assert_eq!(set(&[tag("aws:a", "v")]).await, "InvalidTag");
    let refused = lake.put_tagged("k", "a=1&a=2").await.unwrap_err();
    assert_eq!(refused, "InvalidTag");
    let eleven = "a=&b=&c=&d=&e=&f=&g=&h=&i=&j=&k=";
    let refused = lake.put_tagged("k", eleven).await.unwrap_err();
    assert_eq!(refused, "BadRequest");
    assert_eq!(lake.tags("k", None).await.unwrap(), ["kept=1"]);

    assert_eq!(set(&numbered(10)).await, "ok");
    let longest = tag(&long(128), &long(256));
    assert_eq!(set(&[longest, tag("a_.:/=+-@ 1", "")]).await, "ok");
}
