//! A whole step against the embedded server, with so little memory that it spills, merges and commits in
//! several rounds; compared with a naive reading of the same objects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use chrono::{DateTime, Utc};

use super::{Compacted, apply};
use crate::decode::{Json, rebuild};
use crate::embedded::EmbeddedS3;
use crate::lake::connect::Connection;
use crate::lake::facts::Places;
use crate::lake::parquet_files;
use crate::lake::rows;
use crate::lake::s3::{PutIf, WriteS3};
use crate::lake::site::Site;
use crate::lake::spill::SpillFolder;
use crate::lake::subject::Suppression;
use crate::plan::Compact;
use crate::policy::{DatasetPolicy, Policies};

const LAKE: &str = "version: 1\nlake: s3://lake/\nkey: { env: LAKEWARDEN_KEY }\n";
const CART: &str = "version: 1
dataset: cart
raw: { location: s3://cart/raw/ }
events: { time: timestamp, deduplicate_by: [id] }
table: { sort_by: [userId], target_file_size: 100 KB }
retention: { keep: 2 years }
pii: none
";

struct Lake {
    site: Site,
    policy: DatasetPolicy,
    _folder: tempfile::TempDir,
}

impl Lake {
    async fn new(memory: usize, policy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = EmbeddedS3::open(&folder.path().join("s3")).unwrap();
        let s3 = WriteS3::new(Connection::embedded(&server));
        for bucket in ["lake", "cart"] {
            s3.create_bucket(bucket).await.unwrap();
        }
        let files = [("lake.yaml", LAKE), ("datasets/cart.yaml", policy)];
        let files = files.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let policies = Policies::parse(&files).unwrap();
        let site = Site {
            store: s3.store("lake").unwrap(),
            s3,
            places: Places::new(&policies.lake.location),
            run: "run".into(),
            now: time("2026-11-20T03:00:00Z"),
            suppression: Arc::new(Suppression::default()),
            held: Arc::default(),
            spill: Arc::new(SpillFolder::create(&folder.path().join("spill")).unwrap()),
            memory,
            may_destroy: true,
            is_demo: true,
            lease_lost: Arc::new(AtomicBool::new(false)),
        };
        Self {
            site,
            policy: policies.datasets.into_iter().next().unwrap(),
            _folder: folder,
        }
    }

    async fn put(&self, name: &str, records: &[String]) {
        let (key, body) = (format!("raw/{name}"), records.join("\n"));
        let s3 = &self.site.s3;
        s3.put("cart", &key, body, PutIf::Absent).await.unwrap();
    }

    async fn compact(&self) -> Compacted {
        let objects = self.site.s3.read().versions("cart", "raw/").await.unwrap();
        let step = Compact {
            dataset: "cart".into(),
            objects,
            keep_from: "2024-11-20T00:00:00Z"
                .parse::<DateTime<Utc>>()
                .unwrap()
                .into(),
        };
        apply(&self.site, &self.policy, &step).await.unwrap()
    }

    /// The events of every file, in the files' order.
    async fn files(&self, files: &[crate::lake::tables::DataFile]) -> Vec<Vec<Json>> {
        let folder = self.site.places.events("cart");
        let mut found = Vec::new();
        for file in files {
            let read = self.site.s3.read();
            let bytes = rows::read_bytes(read, &folder, &file.path).await.unwrap();
            let mut events = Vec::new();
            for batch in parquet_files::decode(bytes).unwrap() {
                events.extend((0..batch.num_rows()).map(|row| rebuild(&batch, row).unwrap()));
            }
            found.push(events);
        }
        found
    }
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn event(number: usize) -> String {
    let (user, day) = (number * 7919 % 500, 10 + number % 3);
    // Half-way new fields appear, in a list too.
    let new = if number > 3000 {
        r#","coupon":"x""#
    } else {
        ""
    };
    let seat = if number > 4000 { r#","seat":7"# } else { "" };
    format!(
        r#"{{"timestamp":"2026-11-{day}T10:00:{:02}Z","userId":"{user}","id":{number},"items":[{{"price":{}.50{seat}}},{{}}]{new}}}"#,
        number % 60,
        number % 90,
    )
}

fn text_at(event: &Json, name: &str) -> String {
    event.at(&name.parse().unwrap())[0].to_string()
}

#[tokio::test]
async fn with_hardly_any_memory_every_event_is_there_once_and_in_order() {
    // A megabyte: identities fill their share after some 1,700 events, rows after some 170 kB.
    let lake = Lake::new(1 << 20, CART).await;
    let events: Vec<String> = (0..6000).map(event).collect();
    for (number, records) in events.chunks(500).enumerate() {
        lake.put(&format!("part-{number:02}.json"), records).await;
    }
    let repeated: Vec<String> = (0..6000).step_by(600).map(event).collect();
    lake.put("z-again.json", &repeated).await;
    let done = lake.compact().await;

    assert_eq!((done.counts.read, done.counts.written), (6010, 6000));
    assert_eq!(done.counts.deduplicated, 10);
    let ledger: BTreeSet<&str> = done
        .entries
        .iter()
        .map(|entry| entry.key.as_str())
        .collect();
    assert_eq!((done.entries.len(), ledger.len()), (13, 13));
    let added: BTreeSet<&str> = done.columns_added.iter().map(String::as_str).collect();
    let expected = [
        "coupon: text",
        "id: integer",
        "items.price: decimal",
        "items.seat: integer",
        "timestamp: text",
        "userId: text",
    ];
    assert_eq!(added, BTreeSet::from(expected));

    let files = lake.files(&done.files).await;
    let mut ids: BTreeMap<String, usize> = BTreeMap::new();
    for (file, events) in done.files.iter().zip(&files) {
        let mut before = String::new();
        for event in events {
            let stamp = text_at(event, "timestamp");
            assert!(stamp.contains(&file.event_date.to_string()), "{stamp}");
            let key = text_at(event, "userId") + &stamp;
            assert!(before <= key, "{before} comes before {key}");
            before = key;
            *ids.entry(text_at(event, "id")).or_default() += 1;
        }
    }
    assert_eq!(ids.len(), 6000);
    assert!(ids.values().all(|times| *times == 1));
    let first = files
        .concat()
        .into_iter()
        .find(|event| text_at(event, "id") == "4711");
    let expected = Json::parse(event(4711).as_bytes()).unwrap();
    assert!(crate::decode::semantically_equal(
        &first.unwrap(),
        &expected
    ));

    let again = lake.compact().await;
    assert_eq!(again.counts.read, 0, "the ledger knows them all");
}

#[tokio::test]
async fn files_end_near_the_target_size() {
    let lake = Lake::new(1 << 28, CART).await;
    let random = |number: usize| {
        let noise = twox_hash::XxHash3_128::oneshot(&number.to_le_bytes());
        format!(
            r#"{{"timestamp":"2026-11-10T10:00:00Z","userId":"{number}","id":{number},"noise":"{noise:032x}{:032x}"}}"#,
            noise.wrapping_mul(noise)
        )
    };
    let records: Vec<String> = (0..20_000).map(random).collect();
    lake.put("part.json", &records).await;
    let done = lake.compact().await;
    assert!(done.files.len() > 5, "{}", done.files.len());
    let (_, whole) = done.files.split_last().unwrap();
    for file in whole {
        assert!((80_000..400_000).contains(&file.size), "{}", file.size);
    }
}

fn delivered(offsets: std::ops::Range<usize>) -> Vec<String> {
    offsets.map(event).collect()
}

#[tokio::test]
async fn gaps_and_overlaps_of_offsets_are_told_and_the_overlap_counts_once() {
    let lake = Lake::new(1 << 28, CART).await;
    lake.put("cart+0+0000000100.json", &delivered(100..150))
        .await;
    lake.put("cart+0+0000000200.json", &delivered(200..220))
        .await;
    lake.put("cart+0+0000000215.json", &delivered(215..230))
        .await;
    lake.put("cart+1+0000000000.json", &delivered(0..10)).await;
    let first = lake.compact().await;
    assert_eq!((first.counts.read, first.counts.deduplicated), (95, 5));
    assert_eq!(
        first.findings,
        [
            "cart: offsets 150 to 199 of topic cart, partition 0 are missing between the raw objects",
            "cart: 5 offsets of topic cart, partition 0 came in more than one raw object",
        ]
    );
    // Another night fills the gap and repeats both of its edges, one offset with other content.
    let mut behind = delivered(148..203);
    behind[1] = event(9000);
    lake.put("cart+0+0000000148.json", &behind).await;
    lake.put("cart+1+0000000010.json", &delivered(10..12)).await;
    let second = lake.compact().await;
    assert_eq!((second.counts.read, second.counts.deduplicated), (57, 4));
    assert_eq!(
        second.findings,
        [
            "cart: 5 offsets of topic cart, partition 0 came in more than one raw object",
            "cart: 1 events share the identity of another with other content; both are kept",
        ]
    );
}
