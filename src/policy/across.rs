//! What must hold between policies: no name and no raw object belongs to two.
//!
//! A raw object read by two datasets would count twice (invariant 3), and raw
//! inside the lake would feed the lake to itself; so would an inventory inside
//! raw.

use super::curated::PlacedCurated;
use super::dataset::PlacedDataset;
use super::error::{PolicyError, Position};
use super::lake::LakePolicy;

/// Everything that contradicts something in another file.
pub(super) fn check(
    lake: Option<&LakePolicy>,
    datasets: &[PlacedDataset],
    curated: &[PlacedCurated],
) -> Vec<PolicyError> {
    let mut errors = shared_names(datasets, curated);
    errors.extend(shared_raw(datasets));
    errors.extend(inventories_in_raw(datasets));
    if let Some(lake) = lake {
        errors.extend(raw_in_lake(lake, datasets));
    }
    errors
}

/// Queries name event tables and curated tables alike, so they share one space.
fn shared_names(datasets: &[PlacedDataset], curated: &[PlacedCurated]) -> Vec<PolicyError> {
    let mut names: Vec<(&str, &str, Position)> = Vec::new();
    for dataset in datasets {
        names.push((&dataset.policy.name, &dataset.file, dataset.name_at));
    }
    for table in curated {
        names.push((&table.policy.table, &table.file, table.name_at));
    }
    let mut errors = Vec::new();
    for (index, (name, file, at)) in names.iter().enumerate() {
        let earlier = names.iter().take(index).find(|(other, ..)| other == name);
        if let Some((_, first, _)) = earlier {
            let message = format!("the name `{name}` is taken by {first}");
            let hint = "give every dataset and curated table a name of its own";
            errors.push(PolicyError::at(*file, *at, message, hint));
        }
    }
    errors
}

fn shared_raw(datasets: &[PlacedDataset]) -> Vec<PolicyError> {
    let mut errors = Vec::new();
    for (index, dataset) in datasets.iter().enumerate() {
        let location = &dataset.policy.raw.location;
        for other in datasets.iter().take(index) {
            let taken = &other.policy.raw.location;
            if !location.overlaps(taken) {
                continue;
            }
            let message = format!(
                "the raw location {location} overlaps that of {}, {taken}",
                other.file
            );
            let hint = "give every dataset a prefix of its own";
            let at = dataset.location_at;
            errors.push(PolicyError::at(&dataset.file, at, message, hint));
        }
    }
    errors
}

/// The lists of an inventory would be read as events.
fn inventories_in_raw(datasets: &[PlacedDataset]) -> Vec<PolicyError> {
    let mut errors = Vec::new();
    for dataset in datasets {
        let discovery = dataset.policy.raw.discovery.as_ref();
        let inventory = discovery.and_then(|discovery| discovery.inventory.as_ref());
        let (Some(inventory), Some(at)) = (inventory, dataset.inventory_at) else {
            continue;
        };
        let locations = datasets.iter().map(|other| &other.policy.raw.location);
        for location in locations.filter(|location| location.overlaps(inventory)) {
            let message = format!("the inventory {inventory} overlaps the raw location {location}");
            let hint = "let S3 Inventory deliver to another bucket or prefix";
            errors.push(PolicyError::at(&dataset.file, at, message, hint));
        }
    }
    errors
}

fn raw_in_lake(lake: &LakePolicy, datasets: &[PlacedDataset]) -> Vec<PolicyError> {
    let mut errors = Vec::new();
    for dataset in datasets {
        let location = &dataset.policy.raw.location;
        if !location.overlaps(&lake.location) {
            continue;
        }
        let message = format!(
            "the raw location {location} overlaps the lake, {}",
            lake.location
        );
        let hint = "name the service's own bucket, or move the lake to another prefix";
        let at = dataset.location_at;
        errors.push(PolicyError::at(&dataset.file, at, message, hint));
    }
    errors
}
