//! Compaction: raw objects of a dataset into its event table (invariants 1 to 5).
//!
//! Planning takes every current raw object version that the ledger does not know and groups them into
//! batches; each batch becomes one commit. Applying reads the objects, sorts records into what is written and
//! what is not, writes a file a day, reads it back, and commits the rows together with the ledger. What
//! nights of late data leave small is folded later in the night.
//!
//! Hazards: an object may be replaced while it is read (read with `If-Match`, else left for the next
//! plan); a run may die between any two requests (files and segments without a commit are void).

mod admit;
mod apply;
mod columns;
mod duplicates;
mod fetch;
mod fields;
mod fold;
mod intake;
mod late;
mod positions;
mod quarantine;
mod rows;
mod sample;
mod upkeep;

#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};

use crate::lake::facts::DatasetFacts;
use crate::lake::raw::is_marker;
use crate::lake::s3::ObjectVersion;
use crate::plan::{Action, Compact, Step, megabytes, total_size};
use crate::policy::DatasetPolicy;

pub use apply::{Compacted, CompactionError, apply};
pub use columns::contradictions;
pub use fold::{Folded, fold};
pub use sample::schema_changes;
pub use upkeep::{Earlier, plan as plan_fold};

/// Raw bytes, as stored, that one commit takes in: what a killed run has to do again.
const BATCH_BYTES: u64 = 8 * 1024 * 1024 * 1024;
/// Objects that one commit takes in.
const BATCH_OBJECTS: usize = 100_000;

/// The steps that compact what is new.
pub fn plan(policy: &DatasetPolicy, facts: &DatasetFacts, now: DateTime<Utc>) -> Vec<Step> {
    let new = new_objects(facts);
    let keep_from = policy.retention.horizon(now);
    batches(&new)
        .into_iter()
        .enumerate()
        .map(|(index, objects)| Step {
            id: format!("compact-{}-{}", policy.name, index + 1),
            why: format!(
                "compact {} raw objects of {} ({}): they are not in its event table yet",
                objects.len(),
                policy.name,
                megabytes(total_size(&objects)),
            ),
            action: Action::Compact(Compact {
                dataset: policy.name.clone(),
                objects,
                keep_from,
            }),
        })
        .collect()
}

/// The current raw objects that the ledger does not know, in key order.
fn new_objects(facts: &DatasetFacts) -> Vec<&ObjectVersion> {
    facts
        .raw
        .iter()
        .filter(|version| version.latest && !version.marker && !is_marker(version))
        .filter(|version| {
            facts
                .ledger
                .compacted(&version.key, &version.etag)
                .is_none()
        })
        .collect()
}

fn batches(objects: &[&ObjectVersion]) -> Vec<Vec<ObjectVersion>> {
    let mut batches: Vec<Vec<ObjectVersion>> = Vec::new();
    let mut bytes = 0;
    for object in objects {
        let full = batches
            .last()
            .is_none_or(|batch| batch.len() >= BATCH_OBJECTS || bytes + object.size > BATCH_BYTES);
        if full {
            batches.push(Vec::new());
            bytes = 0;
        }
        bytes += object.size;
        if let Some(batch) = batches.last_mut() {
            batch.push((*object).clone());
        }
    }
    batches
}
