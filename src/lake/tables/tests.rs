//! The promises of a table, held against a real (embedded) endpoint.

use arrow::datatypes::{DataType, Field};

use super::*;
use crate::embedded::EmbeddedS3;
use crate::lake::connect::Connection;
use crate::lake::s3::WriteS3;

struct Lake {
    _folder: tempfile::TempDir,
    s3: WriteS3,
    store: Arc<dyn ObjectStore>,
    place: S3Location,
}

async fn lake() -> Lake {
    let folder = tempfile::tempdir().unwrap();
    let server = EmbeddedS3::open(folder.path()).unwrap();
    let s3 = WriteS3::new(Connection::embedded(&server));
    s3.create_bucket("lake").await.unwrap();
    Lake {
        store: s3.store("lake").unwrap(),
        place: "s3://lake/events/cart/".parse().unwrap(),
        s3,
        _folder: folder,
    }
}

async fn table(lake: &Lake) -> Table {
    let schema = Schema::new(vec![
        Field::new("userId", DataType::Utf8, true),
        Field::new(PARTITION, DataType::Date32, true),
    ]);
    Table::create(Arc::clone(&lake.store), &lake.place, &schema)
        .await
        .unwrap()
}

async fn open(lake: &Lake) -> Table {
    Table::open(Arc::clone(&lake.store), &lake.place)
        .await
        .unwrap()
        .unwrap()
}

fn file(name: &str, day: &str) -> DataFile {
    DataFile {
        path: format!("{PARTITION}={day}/{name}.parquet"),
        event_date: day.parse().unwrap(),
        size: 10,
        rows: 1,
    }
}

fn adding(file: DataFile, number: u64) -> Change {
    Change {
        add: vec![file],
        transactions: vec![("app".into(), number)],
        ..Change::default()
    }
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_checkpoint_forgets_nothing() {
    let lake = lake().await;
    let now = time("2026-11-22T02:00:00Z");
    let mut table = table(&lake).await;
    table
        .commit(adding(file("a", "2026-11-20"), 1), now)
        .await
        .unwrap();
    table
        .commit(adding(file("b", "2026-11-21"), 2), now)
        .await
        .unwrap();
    let later = time("2026-11-22T03:00:00Z");
    let replacing = Change {
        remove: vec![file("a", "2026-11-20")],
        deletes: true,
        ..Change::default()
    };
    table.commit(replacing, later).await.unwrap();
    table.checkpoint().await.unwrap();

    let table = open(&lake).await;
    assert_eq!(table.version(), 3);
    assert_eq!(table.files().unwrap(), [file("b", "2026-11-21")]);
    assert_eq!(table.transaction("app").await.unwrap(), Some(2));
    let removed = Tombstone {
        path: file("a", "2026-11-20").path,
        removed_at: later,
    };
    assert_eq!(table.tombstones().await.unwrap(), [removed]);
    let day = |text: &str| text.parse::<NaiveDate>().unwrap();
    assert_eq!(
        table.days_changed_since(1).await.unwrap(),
        Some(BTreeSet::from([day("2026-11-20"), day("2026-11-21")]))
    );
    assert_eq!(
        table.days_changed_since(3).await.unwrap(),
        Some(BTreeSet::new())
    );
}

#[tokio::test]
async fn a_log_is_cleaned_by_the_times_that_its_commits_tell() {
    let lake = lake().await;
    let mut table = table(&lake).await;
    for (name, number, now) in [
        ("a", 1, "2026-09-01T03:00:00Z"),
        ("b", 2, "2026-10-01T03:00:00Z"),
        ("c", 3, "2026-11-01T03:00:00Z"),
    ] {
        let change = Change {
            remove: table.files().unwrap(),
            ..adding(file(name, "2026-08-31"), number)
        };
        table.commit(change, time(now)).await.unwrap();
        table.checkpoint().await.unwrap();
    }
    let history = time("2026-10-15T03:00:00Z");
    let mut stored = lake.s3.read().versions("lake", "events/").await.unwrap();
    let mut log = TableLog::out_of(&lake.place, &mut stored);
    assert_eq!((stored, log.checkpoint()), (Vec::new(), Some(3)));
    log.look_back(lake.s3.read(), history).await.unwrap();
    assert_eq!(log.needed_from(history, None), Some(2));
    let gone = log.before(2);
    assert_eq!(gone.len(), 3, "two commits and a checkpoint: {gone:?}");
    lake.s3.delete_versions("lake", &gone).await.unwrap();

    let cleaned = open(&lake).await;
    assert_eq!(cleaned.files().unwrap(), [file("c", "2026-08-31")]);
    assert_eq!(cleaned.transaction("app").await.unwrap(), Some(3));
    let removed = cleaned.tombstones().await.unwrap();
    let removed: Vec<&str> = removed.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(
        removed,
        ["a", "b"].map(|name| file(name, "2026-08-31").path)
    );
    let at = Table::open_at(Arc::clone(&lake.store), &lake.place, 2).await;
    assert_eq!(at.unwrap().files().unwrap(), [file("b", "2026-08-31")]);
    assert!(cleaned.days_changed_since(1).await.unwrap().is_some());
    assert_eq!(cleaned.days_changed_since(0).await.unwrap(), None);
}

#[tokio::test]
async fn of_two_commits_on_one_version_the_second_is_a_conflict() {
    let lake = lake().await;
    let now = time("2026-11-22T02:00:00Z");
    let mut first = table(&lake).await;
    let mut second = open(&lake).await;
    first
        .commit(adding(file("a", "2026-11-20"), 1), now)
        .await
        .unwrap();
    let error = second
        .commit(adding(file("b", "2026-11-20"), 1), now)
        .await
        .unwrap_err();
    assert!(error.conflict, "{error}");
    assert_eq!(
        open(&lake).await.files().unwrap(),
        [file("a", "2026-11-20")]
    );
}

#[tokio::test]
async fn a_commit_that_landed_but_answered_an_error_is_believed() {
    let lake = lake().await;
    let now = time("2026-11-22T02:00:00Z");
    let mut first = table(&lake).await;
    let mut same = open(&lake).await;
    first
        .commit(adding(file("a", "2026-11-20"), 1), now)
        .await
        .unwrap();
    // The same commit again, as a client does whose first answer was lost on the way.
    assert_eq!(
        same.commit(adding(file("a", "2026-11-20"), 1), now)
            .await
            .unwrap(),
        1
    );
    assert_eq!(same.files().unwrap().len(), 1);
}
