//! Logs of tables: what they say of versions before the history that the lake's policy keeps.
//!
//! A plan names the checkpoint at which the history begins and all that is about older versions; see
//! [`TableLog`](crate::lake::tables::TableLog) for the rule. Nothing goes before the table was read from that
//! checkpoint alone (invariant 5), for it has all that is still asked for: live files, files that were removed
//! and may not be purged yet, and the application transactions on which exactly-once rests (invariant 3).

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::apply::delete;
use super::removal::{Removal, What};
use super::{Blocked, RetentionError};
use crate::lake::facts::TableFacts;
use crate::lake::site::Site;
use crate::lake::tables::Table;
use crate::plan::{Action, CleanLog, Step, megabytes, total_size};
use crate::policy::{S3Location, Span};

/// The step that removes what the log of a table says of versions before its history. `read_from`: the first
/// commit that a curated table has not looked at yet.
pub fn plan_log(
    table: &str,
    facts: &TableFacts,
    read_from: Option<u64>,
    history: Span,
    blocked: &Blocked,
    now: DateTime<Utc>,
) -> Option<Step> {
    let from = facts.log.needed_from(history.before(now), read_from)?;
    let mut versions = facts.log.before(from);
    blocked.spare(&mut versions);
    (!versions.is_empty()).then(|| Step {
        id: format!("clean-log-{table}"),
        why: format!(
            "clean the log of {table} before version {from}: {} object versions ({}) of it go, the table's \
             history of {history} begins at the checkpoint of that version",
            versions.len(),
            megabytes(total_size(&versions)),
        ),
        action: Action::CleanLog(CleanLog {
            table: table.to_owned(),
            from,
            versions,
        }),
    })
}

/// Carries out a step for the table in `folder`; tells what stays.
pub async fn clean_log(
    site: &Site,
    step: &CleanLog,
    folder: &S3Location,
) -> Result<Removal, RetentionError> {
    let table = Table::open_at(Arc::clone(&site.store), folder, step.from).await?;
    table.files()?;
    table.tombstones().await?;
    delete(
        site,
        &folder.bucket,
        &step.versions,
        &What::log(&step.table),
    )
    .await
}
