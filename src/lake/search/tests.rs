//! Searching real files: what the filters may never rule out, and that they rule out the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use arrow::array::{Int64Array, StringArray, TimestampMicrosecondArray};
use chrono::NaiveDate;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use proptest::prelude::*;

use super::*;
use crate::lake::subject::Subject;
use crate::policy::{Compare, PiiPolicy};

const DAY: &str = "2026-11-19";

fn path(text: &str) -> FieldPath {
    text.parse().unwrap()
}

fn pii(kinds: &[(&str, &str)]) -> PiiPolicy {
    let listed = |(kind, dotted): &(&str, &str)| ((*kind).to_owned(), vec![path(dotted)]);
    PiiPolicy {
        identifiers: kinds.iter().map(listed).collect(),
        ..PiiPolicy::default()
    }
}

fn subjects(kind: &str, texts: &[&str], compare: Compare) -> Vec<Subject> {
    let subject = |text: &&str| Subject {
        named: BTreeSet::from([Identifier::written(kind, text, compare)]),
        linked: BTreeSet::new(),
        until: DateTime::<Utc>::MAX_UTC,
    };
    texts.iter().map(subject).collect()
}

/// A batch with these columns, and what every event table has.
fn batch(columns: Vec<(&str, ArrayRef)>, rescued: &[Option<&str>]) -> RecordBatch {
    let rows = rescued.len();
    let mut columns = columns;
    columns.push((RESCUED, Arc::new(StringArray::from(rescued.to_vec()))));
    let times = TimestampMicrosecondArray::from(vec![0; rows]).with_timezone("UTC");
    columns.push((EVENT_TIME, Arc::new(times)));
    let named = columns
        .into_iter()
        .map(|(name, column)| (name, column, true));
    RecordBatch::try_from_iter_with_nullable(named).unwrap()
}

async fn stored(bytes: Vec<u8>) -> (Arc<dyn ObjectStore>, DataFile) {
    let store = InMemory::new();
    let file = DataFile {
        path: "part.parquet".into(),
        event_date: DAY.parse::<NaiveDate>().unwrap(),
        size: bytes.len() as u64,
        rows: 0,
    };
    store
        .put(&Path::from("events/cart/part.parquet"), bytes.into())
        .await
        .unwrap();
    (Arc::new(store), file)
}

fn folder() -> S3Location {
    "s3://lake/events/cart/".parse().unwrap()
}

async fn hits(bytes: Vec<u8>, pii: &PiiPolicy, subjects: &[Subject]) -> Vec<(usize, Vec<Hit>)> {
    let (store, file) = stored(bytes).await;
    let roster = Arc::new(Roster::new(pii, subjects));
    let wanted = subjects.iter().flat_map(|subject| &subject.named);
    let sought = Arc::new(roster.sought(wanted));
    let found = search(&store, &folder(), &[file], &roster, &sought)
        .await
        .unwrap();
    let groups = found.files.into_iter().flat_map(|file| file.groups);
    groups.collect()
}

fn encoded(batch: &RecordBatch, properties: WriterProperties) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

/// As our own files are: filters, page indexes, pages of three rows, groups of ten.
fn ours() -> WriterProperties {
    WriterProperties::builder()
        .set_created_by("lakewarden 1".into())
        .set_bloom_filter_enabled(true)
        .set_max_row_group_row_count(Some(10))
        .set_data_page_row_count_limit(3)
        .set_write_batch_size(1)
        .build()
}

fn rows_of(found: &[(usize, Vec<Hit>)]) -> Vec<(usize, u32, u32)> {
    let hits = |(group, hits): &(usize, Vec<Hit>)| -> Vec<(usize, u32, u32)> {
        hits.iter()
            .map(|hit| (*group, hit.row, hit.subject))
            .collect()
    };
    found.iter().flat_map(hits).collect()
}

#[tokio::test]
async fn what_did_not_fit_its_column_is_found_too() {
    let users = Int64Array::from(vec![Some(7), None, None, Some(8)]);
    let rescued = [
        None,
        Some(r#"{"/userId":["7"]}"#),
        Some(r#"{"/note":["7"]}"#),
        None,
    ];
    let batch = batch(vec![("userId", Arc::new(users))], &rescued);
    let found = hits(
        encoded(&batch, ours()),
        &pii(&[("user_id", "userId")]),
        &subjects("user_id", &["7"], Compare::Text),
    )
    .await;
    assert_eq!(rows_of(&found), [(0, 0, 0), (0, 1, 0)]);
}

#[tokio::test]
async fn a_value_that_is_compared_without_case_is_not_ruled_out_by_filters() {
    let emails = StringArray::from(vec![
        "Ada@Example.org",
        "bob@example.org",
        "ADA@EXAMPLE.ORG ",
    ]);
    let batch = batch(vec![("email", Arc::new(emails))], &[None, None, None]);
    let pii = PiiPolicy {
        compare: BTreeMap::from([("email".to_owned(), Compare::IgnoreCase)]),
        ..pii(&[("email", "email")])
    };
    let ada = subjects("email", &["ada@example.org"], Compare::IgnoreCase);
    let found = hits(encoded(&batch, ours()), &pii, &ada).await;
    assert_eq!(rows_of(&found), [(0, 0, 0), (0, 2, 0)]);
}

#[tokio::test]
async fn data_pages_are_read_only_where_a_filter_says_maybe() {
    let users: Vec<String> = (0..1000)
        .map(|number| format!("user-{number:04}"))
        .collect();
    let batch = batch(
        vec![("userId", Arc::new(StringArray::from(users)))],
        &vec![None; 1000],
    );
    let bytes = encoded(&batch, ours());
    let (inner, file) = stored(bytes).await;
    let counting = Arc::new(Counting {
        inner,
        read: Mutex::new(0),
    });
    let pii = pii(&[("user_id", "userId")]);
    let search_for = |text: &'static str| {
        let people = subjects("user_id", &[text], Compare::Text);
        let roster = Arc::new(Roster::new(&pii, &people));
        let sought = Arc::new(roster.sought(people.iter().flat_map(|one| &one.named)));
        let store: Arc<dyn ObjectStore> = Arc::clone(&counting) as Arc<dyn ObjectStore>;
        let (folder, file) = (folder(), file.clone());
        async move {
            search(&store, &folder, &[file], &roster, &sought)
                .await
                .unwrap()
        }
    };
    let nobody = search_for("user-0500x").await;
    assert!(nobody.files.is_empty());
    let for_nobody = counting.take();
    let one = search_for("user-0500").await;
    assert_eq!(
        rows_of(&one.files[0].groups.clone().into_iter().collect::<Vec<_>>()),
        [(50, 0, 0)]
    );
    let for_one = counting.take();
    assert!(for_nobody < file.size / 2, "{for_nobody} of {}", file.size);
    assert!(for_one < file.size, "{for_one} of {}", file.size);
}

/// The user's rows were taken out by a program that kept the dictionary: no row uses `ada` any more.
#[tokio::test]
async fn a_dictionary_of_another_writer_that_holds_the_value_is_told() {
    let properties = |writer: &str| {
        WriterProperties::builder()
            .set_created_by(writer.into())
            .set_statistics_enabled(EnabledStatistics::None)
            .build()
    };
    let users = || -> ArrayRef { Arc::new(StringArray::from(vec!["ada", "bob", "bob"])) };
    let batch = batch(vec![("userId", users())], &[None, None, None]);
    let (pii, ada) = (
        pii(&[("user_id", "userId")]),
        subjects("user_id", &["ada"], Compare::Text),
    );
    for (writer, expected) in [("parquet-mr", 1), ("lakewarden 1", 0)] {
        let mut bytes = encoded(&batch, properties(writer));
        assert_eq!(rows_of(&hits(bytes.clone(), &pii, &ada).await), [(0, 0, 0)]);
        // The data page ends in: bit width 1, one group of eight (3), the bits 0b110. Ada's row becomes Bob's.
        let place = bytes
            .windows(3)
            .position(|window| window == [1, 3, 0b110])
            .unwrap();
        bytes[place + 2] = 0b111;
        let found = hits(bytes, &pii, &ada).await;
        assert_eq!(rows_of(&found), [], "{writer}");
        assert_eq!(found.len(), expected, "{writer}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Against a look at every value.
    #[test]
    fn what_is_found_is_what_a_look_at_every_row_finds(
        users in proptest::collection::vec(proptest::option::of(0_u8..12), 1..60),
        wanted in proptest::collection::btree_set(0_u8..14, 1..4),
        sorted in any::<bool>(),
        is_number in any::<bool>(),
    ) {
        let mut users = users;
        if sorted {
            users.sort_unstable();
        }
        let column: ArrayRef = if is_number {
            Arc::new(users.iter().map(|user| user.map(i64::from)).collect::<Int64Array>())
        } else {
            Arc::new(users.iter().map(|user| user.map(|user| user.to_string())).collect::<StringArray>())
        };
        let batch = batch(vec![("userId", column)], &vec![None; users.len()]);
        let texts: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let people = subjects("user_id", &texts, Compare::Text);
        let mut expected = Vec::new();
        for (row, user) in users.iter().enumerate() {
            let subject = user.and_then(|user| wanted.iter().position(|one| *one == user));
            if let Some(subject) = subject {
                expected.push((row / 10, u32::try_from(row % 10).unwrap(), u32::try_from(subject).unwrap()));
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let found = runtime.block_on(hits(encoded(&batch, ours()), &pii(&[("user_id", "userId")]), &people));
        prop_assert_eq!(rows_of(&found), expected);
    }
}

/// Counts the bytes that are read.
#[derive(Debug)]
struct Counting {
    inner: Arc<dyn ObjectStore>,
    read: Mutex<u64>,
}

impl Counting {
    fn take(&self) -> u64 {
        std::mem::take(&mut self.read.lock().unwrap())
    }
}

impl std::fmt::Display for Counting {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("counting")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Counting {
    async fn get_opts(
        &self,
        location: &Path,
        options: object_store::GetOptions,
    ) -> object_store::Result<object_store::GetResult> {
        let result = self.inner.get_opts(location, options).await?;
        *self.read.lock().unwrap() += result.range.end - result.range.start;
        Ok(result)
    }

    async fn put_opts(
        &self,
        location: &Path,
        payload: object_store::PutPayload,
        options: object_store::PutOptions,
    ) -> object_store::Result<object_store::PutResult> {
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: object_store::PutMultipartOptions,
    ) -> object_store::Result<Box<dyn object_store::MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: futures::stream::BoxStream<'static, object_store::Result<Path>>,
    ) -> futures::stream::BoxStream<'static, object_store::Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(
        &self,
        prefix: Option<&Path>,
    ) -> futures::stream::BoxStream<'static, object_store::Result<object_store::ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(
        &self,
        prefix: Option<&Path>,
    ) -> object_store::Result<object_store::ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        options: object_store::CopyOptions,
    ) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
