//! Random histories against a naive model of S3 versions.

use std::collections::BTreeMap;

use aws_sdk_s3::types::BucketVersioningStatus;
use proptest::collection::vec;
use proptest::prelude::*;

use super::{BUCKET, Lake};

/// Keys that get in each other's way as paths.
const KEYS: [&str; 4] = ["a", "a/b", "a/b/", "a/b/c"];

#[derive(Debug, Clone)]
enum Step {
    Put {
        key: usize,
        body: u8,
    },
    PutIfAbsent {
        key: usize,
        body: u8,
    },
    Delete {
        key: usize,
    },
    /// The version at that place of the listing, counted round.
    DeleteVersion {
        key: usize,
        place: usize,
    },
    Enable,
    Suspend,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0..KEYS.len();
    let step = prop_oneof![
        4 => (key.clone(), any::<u8>()).prop_map(|(key, body)| Step::Put { key, body }),
        1 => (key.clone(), any::<u8>()).prop_map(|(key, body)| Step::PutIfAbsent { key, body }),
        3 => key.clone().prop_map(|key| Step::Delete { key }),
        3 => (key, 0..4_usize).prop_map(|(key, place)| Step::DeleteVersion { key, place }),
        1 => Just(Step::Enable),
        1 => Just(Step::Suspend),
        1 => Just(Step::Reopen),
    ];
    vec(step, 1..25)
}

#[derive(Debug, Clone, PartialEq)]
struct ModelVersion {
    id: String,
    /// `None` is a delete marker.
    body: Option<u8>,
}

#[derive(Default)]
struct Model {
    /// Newest first.
    keys: BTreeMap<&'static str, Vec<ModelVersion>>,
    versioning: Option<bool>,
}

impl Model {
    fn add(&mut self, key: &'static str, id: &str, body: Option<u8>) {
        let versions = self.keys.entry(key).or_default();
        if self.versioning != Some(true) {
            versions.retain(|version| version.id != "null");
        }
        let id = id.to_owned();
        versions.insert(0, ModelVersion { id, body });
    }

    fn current(&self, key: &str) -> Option<u8> {
        self.keys.get(key)?.first()?.body
    }

    fn remove(&mut self, key: &str, id: &str) {
        if let Some(versions) = self.keys.get_mut(key) {
            versions.retain(|version| version.id != id);
        }
        self.keys.retain(|_, versions| !versions.is_empty());
    }
}

async fn apply(mut lake: Lake, model: &mut Model, step: Step) -> Lake {
    match step {
        Step::Put { key, body } => {
            let key = KEYS[key];
            let id = lake.put(key, &[body]).await;
            let id = if id.is_empty() { "null" } else { &id };
            model.add(key, id, Some(body));
        }
        Step::PutIfAbsent { key, body } => {
            let key = KEYS[key];
            let request = lake.client.put_object().bucket(BUCKET).key(key);
            let request = request.if_none_match("*").body(vec![body].into());
            let put = request.send().await;
            assert_eq!(put.is_ok(), model.current(key).is_none());
            if let Ok(put) = put {
                model.add(key, put.version_id().unwrap_or("null"), Some(body));
            }
        }
        Step::Delete { key } => {
            let key = KEYS[key];
            let request = lake.client.delete_object().bucket(BUCKET).key(key);
            let deleted = request.send().await.unwrap();
            match deleted.version_id() {
                Some(id) => model.add(key, id, None),
                None => model.remove(key, "null"),
            }
            assert_eq!(
                deleted.delete_marker().is_some(),
                model.versioning.is_some()
            );
        }
        Step::DeleteVersion { key, place } => {
            let key = KEYS[key];
            let versions = model.keys.get(key).cloned().unwrap_or_default();
            if let Some(version) = versions.iter().cycle().take(8).nth(place) {
                lake.delete(key, Some(&version.id)).await;
                model.remove(key, &version.id);
            }
        }
        Step::Enable => {
            lake.set_versioning(BucketVersioningStatus::Enabled).await;
            model.versioning = Some(true);
        }
        Step::Suspend => {
            lake.set_versioning(BucketVersioningStatus::Suspended).await;
            model.versioning = Some(false);
        }
        Step::Reopen => lake = lake.reopened(|_| {}),
    }
    lake
}

async fn compare(lake: &Lake, model: &Model) {
    let mut expected = Vec::new();
    for (key, versions) in &model.keys {
        for (place, version) in versions.iter().enumerate() {
            let is_marker = version.body.is_none();
            expected.push(((*key).to_owned(), version.id.clone(), is_marker, place == 0));
            if let Some(body) = version.body {
                let got = lake.get_version(key, Some(&version.id)).await;
                assert_eq!(got.unwrap(), [body]);
            }
        }
    }
    // The API lists versions before markers.
    expected.sort_by_key(|entry| entry.2);
    assert_eq!(lake.versions().await, expected);

    let mut current = Vec::new();
    for key in KEYS {
        let body = model.current(key);
        assert_eq!(lake.get(key).await.ok(), body.map(|body| vec![body]));
        current.extend(body.map(|_| key.to_owned()));
        let plain = lake.plain(key);
        if !key.ends_with('/') && plain.is_file() {
            assert_eq!(
                std::fs::read(plain).ok(),
                body.map(|body| vec![body]),
                "{key}"
            );
        }
    }
    assert_eq!(lake.keys().await, current);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_as_the_model(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut lake = Lake::new().await;
            let mut model = Model::default();
            for step in steps {
                lake = apply(lake, &mut model, step).await;
            }
            compare(&lake, &model).await;
            compare(&lake.reopened(|_| {}), &model).await;
        });
    }
}
