//! `plan`: the dry run.

use super::open::Opened;
use super::{Failure, Global};
use crate::job;

/// Prints what a run would do.
pub async fn main(global: &Global) -> Result<(), Failure> {
    let lake = Opened::open(global).await?;
    let planned = job::plan(
        &lake.reader(),
        &lake.policies,
        &|| lake.key(),
        lake.clock.now(),
        None,
    )
    .await
    .map_err(Failure::from_error)?;
    super::print(global, &planned.plan)
}
