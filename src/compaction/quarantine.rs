//! Broken records, gathered as JSON lines in the spill folder and then written as one quarantine object.

use std::io::Write;

use tempfile::NamedTempFile;

use super::admit::Quarantined;
use super::apply::CompactionError;
use crate::lake::site::Site;
use crate::lake::sort::SortError;
use crate::lake::spill::SpillFolder;
use crate::policy::DatasetPolicy;

/// A round ends when so much is gathered: S3 takes no more than 5 GB at once.
const MOST_BYTES: u64 = 1024 * 1024 * 1024;

/// The lines, if there are any.
#[derive(Default)]
pub struct QuarantineFile {
    file: Option<NamedTempFile>,
    bytes: u64,
}

impl QuarantineFile {
    pub fn is_full(&self) -> bool {
        self.bytes >= MOST_BYTES
    }

    pub fn add(&mut self, folder: &SpillFolder, records: &[Quarantined]) -> Result<(), SortError> {
        for record in records {
            let mut line = serde_json::to_vec(record).map_err(std::io::Error::from)?;
            line.push(b'\n');
            let file = match &mut self.file {
                Some(file) => file,
                none => none.insert(folder.named_file()?),
            };
            file.write_all(&line)?;
            self.bytes += line.len() as u64;
        }
        Ok(())
    }

    /// Writes the quarantine object of segment `number`; answers with its key.
    pub async fn put(
        self,
        site: &Site,
        policy: &DatasetPolicy,
        number: u64,
    ) -> Result<Option<String>, CompactionError> {
        let Some(file) = self.file else {
            return Ok(None);
        };
        let folder = site.places.quarantine(&policy.name);
        // The number alone would let a second run write over what the first one's segment names.
        let random = uuid::Uuid::new_v4().simple().to_string();
        let key = folder
            .join(&format!("{number:012}-{}.jsonl", &random[..8]))
            .prefix;
        site.s3.put_file(&folder.bucket, &key, file.path()).await?;
        Ok(Some(key))
    }
}
