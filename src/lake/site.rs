//! What applying a plan works with: the writer, the places, the run's name and its one `now`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use object_store::ObjectStore;

use super::facts::Places;
use super::hold::HeldPeople;
use super::s3::WriteS3;
use super::spill::SpillFolder;
use super::subject::Suppression;

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
    pub suppression: Arc<Suppression>,
    /// Whom holds are on.
    pub held: Arc<HeldPeople>,
    /// Where events lie that do not fit into memory.
    pub spill: Arc<SpillFolder>,
    /// What the run may use of memory, in bytes.
    pub memory: usize,
    /// Whether raw objects may be rewritten or deleted, and files purged.
    pub may_destroy: bool,
    /// Whether it is a demo, where nobody is asked.
    pub is_demo: bool,
    /// Set when another run has taken the lease.
    pub lease_lost: Arc<AtomicBool>,
}

impl Site {
    /// Whether another run has taken the lease.
    pub fn lease_is_lost(&self) -> bool {
        self.lease_lost.load(Ordering::Relaxed)
    }
}
