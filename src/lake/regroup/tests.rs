//! Files of many kinds against the embedded server, compared with a naive filter of the same rows.

#![expect(
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "row numbers and offsets of small files"
)]

mod arranging;
mod large;
mod properties;
mod sample;
mod single;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow::array::RecordBatch;
use bytes::Bytes;

use super::{Regrouped, regroup};
use crate::embedded::EmbeddedS3;
use crate::lake::connect::Connection;
use crate::lake::facts::Places;
use crate::lake::rows::RowsError;
use crate::lake::s3::{PutIf, WriteS3};
use crate::lake::site::Site;
use crate::lake::spill::SpillFolder;
use crate::lake::subject::Suppression;
use crate::lake::tables::DataFile;
use crate::policy::S3Location;

/// A lake with a table's folder in it.
struct Lake {
    site: Site,
    table: S3Location,
    _folder: tempfile::TempDir,
}

impl Lake {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = EmbeddedS3::open(&folder.path().join("s3")).unwrap();
        let s3 = WriteS3::new(Connection::embedded(&server));
        s3.create_bucket("lake").await.unwrap();
        let root = S3Location {
            bucket: "lake".into(),
            prefix: String::new(),
        };
        let site = Site {
            store: s3.store("lake").unwrap(),
            s3,
            places: Places::new(&root),
            run: "run".into(),
            now: "2026-11-20T03:00:00Z".parse().unwrap(),
            suppression: Arc::new(Suppression::default()),
            held: Arc::default(),
            spill: Arc::new(SpillFolder::create(&folder.path().join("spill")).unwrap()),
            memory: 64 << 20,
            may_destroy: true,
            is_demo: true,
            lease_lost: Arc::new(AtomicBool::new(false)),
        };
        let table = site.places.events("cart");
        Self {
            site,
            table,
            _folder: folder,
        }
    }

    async fn put(&self, file: &Bytes) -> DataFile {
        let path = "event_date=2026-11-19/part-old.parquet".to_owned();
        let key = self.table.join(&path).prefix;
        let s3 = &self.site.s3;
        s3.put("lake", &key, file.clone(), PutIf::Always)
            .await
            .unwrap();
        DataFile {
            path,
            event_date: "2026-11-19".parse().unwrap(),
            size: file.len() as u64,
            rows: 0,
        }
    }

    async fn regroup(
        &self,
        old: &DataFile,
        groups: BTreeMap<usize, Vec<RecordBatch>>,
    ) -> Result<Option<(Regrouped, Bytes)>, RowsError> {
        let Some(regrouped) = regroup(&self.site, &self.table, old, groups).await? else {
            return Ok(None);
        };
        let key = self.table.join(&regrouped.file.path).prefix;
        let found = self
            .site
            .s3
            .read()
            .find("lake", &key)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.bytes.len() as u64, regrouped.file.size);
        assert_eq!(regrouped.sent + regrouped.copied, regrouped.file.size);
        Ok(Some((regrouped, found.bytes)))
    }
}
