//! Remembering, at the end of a run, how far raw objects have been looked through.

use std::collections::BTreeSet;

use crate::lake::discovery::{Coverage, Mark};
use crate::lake::error::S3Error;
use crate::lake::facts::Facts;
use crate::lake::site::Site;
use crate::plan::Plan;
use crate::policy::Policies;

/// Writes the mark of every dataset that lists by a policy of its own, where all its steps were carried out.
/// A run that listed little and found nothing writes none: right after a run there is nothing to write.
pub async fn remember(
    site: &Site,
    policies: &Policies,
    plan: &Plan,
    facts: &Facts,
    failed: &BTreeSet<String>,
) -> Result<(), S3Error> {
    if site.lease_is_lost() {
        return Ok(());
    }
    for policy in &policies.datasets {
        let name = policy.name.as_str();
        let (Some(_), Some(coverage), Some(facts)) = (
            &policy.raw.discovery,
            plan.coverage.get(name),
            facts.datasets.get(name),
        ) else {
            continue;
        };
        let mut steps = plan.steps.iter();
        if steps.any(|step| step.action.dataset() == Some(name) && failed.contains(&step.id)) {
            continue;
        }
        let is_sweep = matches!(coverage, Coverage::Everything | Coverage::Inventory { .. });
        if !is_sweep && plan.is_empty() {
            continue;
        }
        let swept_at = coverage.swept_at(plan.now);
        let mark = Mark::new(swept_at, plan.now, &plan.policies, facts.ledger.committed);
        mark.write(site, name).await?;
    }
    Ok(())
}
