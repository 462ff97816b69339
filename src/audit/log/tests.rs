use super::*;
use crate::embedded::EmbeddedS3;
use crate::lake::connect::Connection;

fn certificate(request: &str) -> Issued {
    Issued {
        request: request.into(),
        certificate_sha256: "ab".into(),
        page_sha256: "cd".into(),
        public_key: "ef".into(),
    }
}

/// Three entries as they lie in the lake, by name, chained by hand.
fn three() -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for (number, request) in [(1, "first"), (2, "second"), (3, "third")] {
        let previous = files.last().map(|(_, bytes)| digest(bytes));
        let entry = serde_json::json!({
            "version": 1, "number": number, "at": "2026-11-20T03:00:00Z", "run": "run",
            "event": "certificate_issued", "request": request, "certificate_sha256": "ab",
            "page_sha256": "cd", "public_key": "ef", "previous": previous,
        });
        let name = format!("000000000{number}.json");
        files.push((name, serde_json::to_vec(&entry).unwrap()));
    }
    files
}

fn walk(files: &[(String, Vec<u8>)]) -> Result<AuditLog, AuditError> {
    let mut log = AuditLog::default();
    for (name, bytes) in files {
        log.take(name, bytes)?;
    }
    Ok(log)
}

#[test]
fn a_whole_chain_names_the_entry_of_a_request() {
    let log = walk(&three()).unwrap();
    assert_eq!(log.issued("second").unwrap().0.number, 2);
    assert!(log.issued("fourth").is_none());
}

#[test]
fn a_changed_entry_is_noticed_at_the_next_one() {
    let mut files = three();
    let text = String::from_utf8(files[1].1.clone()).unwrap();
    files[1].1 = text.replace("second", "other").into_bytes();
    let broken = walk(&files).unwrap_err();
    assert!(matches!(broken, AuditError::Broken { number: 3 }));
    assert!(broken.to_string().contains("entry 2"), "{broken}");
    // White space is no news, but another file.
    let mut files = three();
    files[0].1.push(b'\n');
    let broken = walk(&files).unwrap_err();
    assert!(matches!(broken, AuditError::Broken { number: 2 }));
}

#[test]
fn a_missing_entry_is_noticed() {
    let mut files = three();
    files.remove(1);
    assert!(matches!(walk(&files), Err(AuditError::Missing(2))));
    files.remove(0);
    assert!(matches!(walk(&files), Err(AuditError::Missing(1))));
}

#[test]
fn entries_in_another_order_are_noticed() {
    let files = three();
    let swapped = [
        files[0].clone(),
        (files[1].0.clone(), files[2].1.clone()),
        (files[2].0.clone(), files[1].1.clone()),
    ];
    let broken = walk(&swapped).unwrap_err();
    assert!(matches!(broken, AuditError::Broken { number: 2 }));
    // The first one cannot be replaced by one that has a predecessor.
    let moved = [(files[0].0.clone(), files[1].1.clone())];
    assert!(matches!(walk(&moved), Err(AuditError::Foreign(_))));
}

#[test]
fn what_is_no_entry_is_noticed() {
    for (name, bytes) in [
        ("0000000001.json", "{}"),
        ("0000000001.json", "no JSON"),
        ("1.json", "{}"),
        ("notes.txt", ""),
    ] {
        let files = [(name.to_owned(), bytes.as_bytes().to_vec())];
        assert!(
            matches!(walk(&files), Err(AuditError::Foreign(_))),
            "{name}"
        );
    }
}

#[tokio::test]
async fn rivals_take_numbers_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let s3 = WriteS3::new(Connection::embedded(
        &EmbeddedS3::open(folder.path()).unwrap(),
    ));
    s3.create_bucket("lake").await.unwrap();
    let places = Places::new(&"s3://lake/".parse().unwrap());
    let requests = ["a", "b", "c", "d", "a", "b"];
    // None of them knows of the others' entries.
    let rivals = (0..).zip(requests).map(|(run, request)| {
        let (s3, places) = (&s3, &places);
        async move {
            let mut log = AuditLog::default();
            let run = format!("run-{run}");
            let at = DateTime::UNIX_EPOCH;
            let issued = log.issue(s3, places, &run, at, certificate(request)).await;
            assert_eq!(issued.unwrap(), certificate(request));
        }
    });
    futures::future::join_all(rivals).await;
    let log = AuditLog::load(s3.read(), &places).await.unwrap();
    let numbers: Vec<u64> = log.entries.iter().map(|entry| entry.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4], "one entry a request");
    for request in ["a", "b", "c", "d"] {
        assert!(log.issued(request).is_some(), "{request}");
    }
}
