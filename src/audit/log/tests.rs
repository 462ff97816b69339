use super::*;

/// Three entries as they lie in the lake, by name.
fn three() -> Vec<(String, Vec<u8>)> {
    let (mut log, mut files) = (AuditLog::default(), Vec::new());
    for (name, request) in [
        ("0000000001.json", "first"),
        ("0000000002.json", "second"),
        ("0000000003.json", "third"),
    ] {
        let entry = Entry {
            version: 1,
            number: log.next_number(),
            at: DateTime::UNIX_EPOCH,
            run: "run".into(),
            event: Event::CertificateIssued(Issued {
                request: request.into(),
                certificate_sha256: "ab".into(),
                page_sha256: "cd".into(),
                public_key: "ef".into(),
            }),
            previous: files
                .last()
                .map(|(_, bytes): &(String, Vec<u8>)| digest(bytes)),
        };
        let bytes = serde_json::to_vec_pretty(&entry).unwrap();
        log.take(name, &bytes).unwrap();
        files.push((name.to_owned(), bytes));
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
