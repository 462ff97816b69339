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
        if !is_worth_it(plan, name, coverage, failed) {
            continue;
        }
        let swept_at = coverage.swept_at(plan.now);
        let mark = Mark::new(swept_at, plan.now, &plan.rules(), facts.ledger.committed);
        mark.write(site, name).await?;
    }
    Ok(())
}

fn is_worth_it(plan: &Plan, dataset: &str, coverage: &Coverage, failed: &BTreeSet<String>) -> bool {
    let mut steps = plan.steps.iter();
    let has_failed =
        steps.any(|step| step.action.dataset() == Some(dataset) && failed.contains(&step.id));
    let is_sweep = matches!(coverage, Coverage::Everything | Coverage::Inventory { .. });
    !has_failed && (is_sweep || !plan.is_empty())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::{DateTime, Utc};

    use super::*;
    use crate::plan::{Action, Compact, Step};

    fn plan(datasets: &[&str]) -> Plan {
        let step = |dataset: &&str| Step {
            id: format!("compact-{dataset}-1"),
            why: String::new(),
            action: Action::Compact(Compact {
                dataset: (*dataset).to_owned(),
                objects: Vec::new(),
                keep_from: DateTime::<Utc>::MIN_UTC.into(),
            }),
        };
        let steps = datasets.iter().map(step).collect();
        Plan::new(DateTime::UNIX_EPOCH, "policies", BTreeMap::new(), steps)
    }

    #[test]
    fn a_dataset_with_a_failed_step_is_looked_through_again() {
        let swept_at: DateTime<Utc> = DateTime::UNIX_EPOCH;
        let new = Coverage::New {
            since: swept_at,
            swept_at,
        };
        let of = swept_at;
        let failed: BTreeSet<String> = ["compact-cart-1".to_owned()].into();
        let both = plan(&["cart", "payment"]);
        for coverage in [Coverage::Everything, Coverage::Inventory { of }, new] {
            assert!(!is_worth_it(&both, "cart", &coverage, &failed));
            assert!(is_worth_it(&both, "payment", &coverage, &failed));
            assert!(is_worth_it(&both, "cart", &coverage, &BTreeSet::new()));
        }
    }

    #[test]
    fn an_empty_night_is_remembered_only_if_it_looked_at_everything() {
        let swept_at: DateTime<Utc> = DateTime::UNIX_EPOCH;
        let (empty, none) = (plan(&[]), BTreeSet::new());
        assert!(is_worth_it(&empty, "cart", &Coverage::Everything, &none));
        let due = Coverage::Due { swept_at };
        assert!(!is_worth_it(&empty, "cart", &due, &none));
    }
}
