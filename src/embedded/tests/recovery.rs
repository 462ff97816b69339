//! What a kill can leave behind, and a folder that opens again.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::from_slice;

use super::{BUCKET, Lake, files_below};

fn hidden(root: &Path, part: &str) -> PathBuf {
    root.join(".s3/buckets").join(BUCKET).join(part)
}

/// The one file below a folder.
fn only_file(folder: &Path) -> PathBuf {
    let files = files_below(folder);
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

#[tokio::test]
async fn a_body_without_a_record_never_was() {
    let lake = Lake::new().await;
    lake.put("k", b"kept").await;
    let before = lake.files();
    let lake = lake.reopened(|root| {
        let shelf = hidden(root, "bodies/ab");
        fs::create_dir_all(&shelf).unwrap();
        fs::write(shelf.join("abandoned"), b"half a bo").unwrap();
        fs::write(root.join(".s3/scratch/half"), b"{\"key\":").unwrap();
        let never_begun = hidden(root, "uploads/never-begun");
        fs::create_dir(never_begun).unwrap();
    });
    assert_eq!(lake.files(), before);
    assert_eq!(lake.get("k").await.unwrap(), b"kept");
    let uploads = lake.client.list_multipart_uploads().bucket(BUCKET);
    assert_eq!(uploads.send().await.unwrap().uploads().len(), 0);
}

#[tokio::test]
async fn the_record_decides_which_body_counts() {
    let lake = Lake::new().await;
    lake.put("k", b"old").await;
    let root = lake.folder.path().to_owned();
    let old_record = only_file(&hidden(&root, "records"));
    let old_body = only_file(&hidden(&root, "bodies"));
    let (record, body) = (fs::read(&old_record).unwrap(), fs::read(&old_body).unwrap());
    lake.put("k", b"newer").await;
    // As if killed after the new body and before the new record.
    let lake = lake.reopened(|_| {
        fs::write(&old_record, &record).unwrap();
        fs::create_dir_all(old_body.parent().unwrap()).unwrap();
        fs::write(&old_body, &body).unwrap();
    });
    let head = lake.client.head_object().bucket(BUCKET).key("k");
    let head = head.send().await.unwrap();
    assert_eq!(head.content_length(), Some(3));
    assert_eq!(head.e_tag(), Some("\"149603e6c03516362a8da23f624db945\""));
    assert_eq!(lake.get("k").await.unwrap(), b"old");
    assert_eq!(fs::read(lake.plain("k")).unwrap(), b"old");
    assert_eq!(only_file(&hidden(&root, "bodies")), old_body);
}

#[tokio::test]
async fn plain_files_follow_the_records() {
    let lake = Lake::versioned().await;
    lake.put("dir/missing", b"1").await;
    lake.put("stale", b"2").await;
    lake.put("gone", b"3").await;
    lake.delete("gone", None).await;
    let plain = lake.plain("");
    let lake = lake.reopened(|_| {
        fs::remove_dir_all(plain.join("dir")).unwrap();
        fs::remove_file(plain.join("stale")).unwrap();
        fs::write(plain.join("stale"), b"an older version").unwrap();
        fs::write(plain.join("gone"), b"3").unwrap();
        fs::write(plain.join("notes.txt"), b"a person's own").unwrap();
    });
    assert_eq!(fs::read(lake.plain("dir/missing")).unwrap(), b"1");
    assert_eq!(fs::read(lake.plain("stale")).unwrap(), b"2");
    assert!(!lake.plain("gone").exists());
    assert!(
        lake.plain("notes.txt").exists(),
        "nobody's object, so left alone"
    );
    assert_eq!(lake.keys().await, ["dir/missing", "stale"]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_plain_file_cannot_be_edited_in_place() {
    use std::os::unix::fs::PermissionsExt;
    let lake = Lake::new().await;
    lake.put("k", b"1").await;
    let permissions = fs::metadata(lake.plain("k")).unwrap().permissions();
    assert_eq!(permissions.mode() & 0o777, 0o444);
}

#[tokio::test]
async fn a_completed_upload_that_was_not_removed_goes() {
    use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
    let lake = Lake::new().await;
    let request = lake
        .client
        .create_multipart_upload()
        .bucket(BUCKET)
        .key("k");
    let upload = request
        .send()
        .await
        .unwrap()
        .upload_id()
        .unwrap()
        .to_owned();
    let request = lake.client.upload_part().bucket(BUCKET).key("k");
    let request = request.upload_id(&upload).part_number(1);
    let sent = request
        .body("part".as_bytes().to_vec().into())
        .send()
        .await
        .unwrap();
    let folder = hidden(lake.folder.path(), &format!("uploads/{upload}"));
    let description = fs::read(folder.join("upload.json")).unwrap();
    let part = CompletedPart::builder()
        .part_number(1)
        .e_tag(sent.e_tag().unwrap());
    let parts = CompletedMultipartUpload::builder()
        .parts(part.build())
        .build();
    let request = lake
        .client
        .complete_multipart_upload()
        .bucket(BUCKET)
        .key("k");
    let request = request.upload_id(&upload).multipart_upload(parts);
    request.send().await.unwrap();
    assert!(!folder.exists());

    let lake = lake.reopened(|_| {
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("upload.json"), description).unwrap();
    });
    assert!(!folder.exists());
    assert_eq!(lake.get("k").await.unwrap(), b"part");
}

#[tokio::test]
async fn an_unreadable_record_is_named() {
    let lake = Lake::new().await;
    lake.put("k", b"1").await;
    let Lake {
        folder, s3, client, ..
    } = lake;
    drop((s3, client));
    let record = only_file(&hidden(folder.path(), "records"));
    fs::write(&record, b"{").unwrap();
    let refused = super::EmbeddedS3::open(folder.path()).unwrap_err();
    assert!(
        refused.to_string().contains(record.to_str().unwrap()),
        "{refused}"
    );
}

#[tokio::test]
async fn a_folder_of_an_older_release_opens() {
    let lake = Lake::versioned().await;
    let version = lake.put("k", b"1").await;
    let without = |file: &Path, path: &str, newer: &[&str]| {
        let mut record: serde_json::Value = from_slice(&fs::read(file).unwrap()).unwrap();
        let fields = record.pointer_mut(path).unwrap().as_object_mut().unwrap();
        for field in newer {
            assert!(fields.remove(*field).is_some(), "{field}");
        }
        fs::write(file, record.to_string()).unwrap();
    };
    let lake = lake.reopened(|root| {
        let record = only_file(&hidden(root, "records"));
        without(&record, "/content", &["tags", "lock"]);
        without(&record, "/content/headers", &["encryption"]);
        without(&hidden(root, "bucket.json"), "", &["object_lock"]);
    });
    assert_eq!(lake.get("k").await.unwrap(), b"1");
    let request = lake.client.get_object_tagging().bucket(BUCKET).key("k");
    assert_eq!(request.send().await.unwrap().tag_set(), []);
    lake.delete("k", Some(&version)).await;
    assert_eq!(lake.versions().await, []);
}
