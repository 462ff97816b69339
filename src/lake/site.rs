//! What applying a plan works with: the writer, the places, the run's name and its one `now`.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use object_store::ObjectStore;

use super::error::S3Error;
use super::facts::Places;
use super::s3::WriteS3;
use super::subject::Suppression;
use crate::policy::Policies;

/// The lake, open for a run.
pub struct Site {
    /// The writer.
    pub s3: WriteS3,
    /// The lake's bucket as Delta and DataFusion see it.
    pub store: Arc<dyn ObjectStore>,
    /// Where things lie.
    pub places: Places,
    /// The run's name.
    pub run: String,
    /// The run's time.
    pub now: DateTime<Utc>,
    /// Who may not come back.
    pub suppression: Suppression,
    /// Whether raw objects may be rewritten or deleted, and files purged.
    pub may_destroy: bool,
}

impl Site {
    /// Opens the lake of `policies` for writing.
    pub fn open(
        s3: WriteS3,
        policies: &Policies,
        run: String,
        now: DateTime<Utc>,
        suppression: Suppression,
        may_destroy: bool,
    ) -> Result<Self, S3Error> {
        Ok(Self {
            store: s3.store(&policies.lake.location.bucket)?,
            places: Places::new(&policies.lake.location),
            s3,
            run,
            now,
            suppression,
            may_destroy,
        })
    }
}
