//! A trace is found wherever it lies, and what only looks like one is not.

mod composite;
mod lake;
mod planted;
mod random;
mod table_files;
mod texts;

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use chrono::{DateTime, Utc};
use tempfile::TempDir;

use super::{Coverage, Quarry, Sample, verify};
use crate::embedded::EmbeddedS3;
use crate::lake::connect::Connection;
use crate::lake::s3::{Object, PutIf, WriteS3};
use crate::policy::Policies;

const CUTOFF: &str = "2026-11-20T00:00:00Z";
const EARLIER: &str = "2026-11-19T08:00:00Z";
const LATER: &str = "2026-11-21T08:00:00Z";
const RAW: &str = "raw";
const LAKE: &str = "lake";

/// A short identifier, and long ones.
const ADA: &str = "789456";
const MAIL: &str = "ada@example.org";
const SESSION: &str = "s-4711-ada-x";
/// Of an identifier that is made up of two fields.
const CLUB: &str = "gold";
const NUMBER: &str = "17";

fn policies() -> Policies {
    let lake = "version: 1\nlake: s3://lake/\nkey: { env: LAKEWARDEN_KEY }\n";
    let cart = "version: 1\ndataset: cart\nraw: { location: s3://raw/cart/ }\n\
        events: { time: timestamp, zone: UTC }\ntable: { sort_by: [userId] }\n\
        schema: { on_new_field: add }\nretention: { keep: 2 years }\n\
        pii: { identifiers: { user_id: [userId, buyer.ids], email: [mail], \
        member: [club and number, cards.club and cards.number] } }\n";
    let files = [("lake.yaml", lake), ("datasets/cart.yaml", cart)];
    Policies::parse(&files.map(|(path, text)| (path.to_owned(), text.to_owned()))).unwrap()
}

fn quarry() -> Quarry {
    let pair = |kind: &str, text: &str| (kind.to_owned(), text.to_owned());
    Quarry {
        request: "one".into(),
        identifiers: vec![pair("user_id", ADA), pair("email", MAIL)],
        composites: vec![("member".into(), vec![CLUB.into(), NUMBER.into()])],
        linked: vec![pair("session", SESSION)],
        cutoff: CUTOFF.parse().unwrap(),
    }
}

fn event(user: &str, time: &str, more: &str) -> String {
    format!("{{\"userId\": {user}, \"timestamp\": \"{time}\"{more}}}")
}

/// A lake in this process.
struct Lake {
    _folder: TempDir,
    client: Client,
    s3: WriteS3,
}

impl Lake {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now: DateTime<Utc> = EARLIER.parse().unwrap();
        let server = EmbeddedS3::open_with_clock(folder.path(), Arc::new(move || now)).unwrap();
        let s3 = WriteS3::new(Connection::embedded(&server));
        for bucket in [RAW, LAKE] {
            s3.create_bucket(bucket).await.unwrap();
            s3.enable_versioning(bucket).await.unwrap();
        }
        let (user, secret) = (EmbeddedS3::ACCESS_KEY, EmbeddedS3::SECRET_KEY);
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(EmbeddedS3::REGION))
            .force_path_style(true)
            .endpoint_url(EmbeddedS3::ENDPOINT)
            .credentials_provider(Credentials::new(user, secret, None, None, "test"))
            .http_client(server.sdk_http_client());
        Self {
            _folder: folder,
            client: Client::from_conf(config.build()),
            s3,
        }
    }

    async fn put(&self, bucket: &str, key: &str, body: impl Into<bytes::Bytes>) {
        let put = self.s3.put(bucket, key, body, PutIf::Always).await;
        put.unwrap();
    }

    async fn put_noted(&self, key: &str, name: &str, value: &str) {
        let object = Object {
            bytes: "{}".into(),
            metadata: BTreeMap::from([(name.to_owned(), value.to_owned())]),
            ..Object::default()
        };
        let put = self.s3.put_like(RAW, key, object, PutIf::Always).await;
        put.unwrap();
    }

    async fn coverages(&self, quarries: &[Quarry]) -> BTreeMap<String, Coverage> {
        let read = self.s3.read();
        let verified = verify(read, &policies(), quarries, Sample::All).await;
        verified.unwrap()
    }

    async fn coverage(&self) -> Coverage {
        self.coverages(&[quarry()]).await.remove("one").unwrap()
    }
}

/// What is found in a lake whose only object is this.
async fn coverage_of(bucket: &str, key: &str, body: impl Into<bytes::Bytes>) -> Coverage {
    let lake = Lake::new().await;
    lake.put(bucket, key, body).await;
    lake.coverage().await
}

fn forms(coverage: &Coverage) -> Vec<&str> {
    coverage
        .traces
        .iter()
        .map(|trace| trace.form.as_str())
        .collect()
}
