//! Policies: what people decided about datasets and curated tables, from a
//! folder of YAML files to checked types with units.
//!
//! ```text
//! policies/
//!   lake.yaml              the lake's bucket, graces, where the key comes from
//!   datasets/cart.yaml     one file a dataset
//!   curated/funnel.yaml    one file a curated table, its query in funnel.sql
//! ```
//!
//! Hazards: everything that the program deletes, it deletes because a policy
//! says so. So nothing is guessed and nothing ignored: unknown keys, numbers
//! without a unit, files that nobody reads and rules that the program cannot
//! carry out yet are errors, each with its place and what to write instead; and
//! all of them are reported at once.
//!
//! Keeps invariant 7 together with saved plans: [`Policies::digest`] changes
//! whenever a policy file does. Keeps invariant 9: the key for identifiers can
//! stand outside the lake only.

mod across;
mod column_types;
mod curated;
mod dataset;
mod discovery;
mod erasure;
mod error;
mod field_path;
mod folder;
mod guards;
mod horizon;
mod lake;
mod location;
mod names;
mod pii;
mod section;
mod size;
mod snowflake;
mod span;
mod spelling;
mod yaml;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};

pub use curated::{CuratedPolicy, Incremental};
pub use dataset::{
    BesidePolicy, DatasetPolicy, EventsPolicy, OnNewField, RawPolicy, RetentionPolicy,
    SchemaPolicy, TablePolicy, TimeUnit,
};
pub use discovery::{DatePattern, DiscoveryPolicy, KeyRule};
pub use erasure::ErasurePolicy;
pub use error::{PolicyError, PolicyErrors, ValueError};
pub use guards::GuardsPolicy;
pub use horizon::Horizon;
pub use lake::{KeySource, LakePolicy};
pub use location::S3Location;
pub use pii::{Compare, IdentifyingFields, OnErasure, PiiPolicy, Redaction, Replacement, TOGETHER};
pub use size::ByteSize;
pub use snowflake::SnowflakePolicy;
pub use span::Span;

use curated::PlacedCurated;
use dataset::PlacedDataset;
use folder::Role;

/// All policies, read and checked together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policies {
    /// What holds for the lake as a whole.
    pub lake: LakePolicy,
    /// One a dataset, sorted by name; at least one.
    pub datasets: Vec<DatasetPolicy>,
    /// One a curated table, sorted by name.
    pub curated: Vec<CuratedPolicy>,
    /// SHA-256, as 64 hexadecimal digits, over the names and texts of all
    /// policy and query files, whatever order they came in.
    pub digest: String,
}

impl Policies {
    /// Reads the folder and checks everything in it.
    ///
    /// # Errors
    /// Everything that is wrong, with `folder` in front of the file names.
    pub fn load(folder: &Path) -> Result<Self, PolicyErrors> {
        let loaded = match folder::read(folder) {
            Ok(files) => Self::parse(&files),
            Err(errors) => Err(PolicyErrors::of(errors)),
        };
        loaded.map_err(|errors| {
            errors.rename_files(|file| match file {
                "" => folder.display().to_string(),
                _ => folder.join(file).display().to_string(),
            })
        })
    }

    /// Checks files that were read already: the path relative to the folder,
    /// with `/`, and the text of each.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn parse(files: &[(String, String)]) -> Result<Self, PolicyErrors> {
        let mut files: Vec<(&str, &str)> = files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .filter(|(path, _)| folder::role(path) != Role::Other)
            .collect();
        files.sort_unstable();
        let mut draft = Draft::default();
        for (path, text) in &files {
            draft.read(path, text, &files);
        }
        draft.check_whole(&files);
        draft.conclude(digest(&files))
    }

    /// The policy of the dataset of that name.
    pub fn dataset(&self, name: &str) -> Option<&DatasetPolicy> {
        self.datasets.iter().find(|dataset| dataset.name == name)
    }

    /// The kinds of identifier that any dataset has: `user_id`, `email`.
    pub fn identifier_kinds(&self) -> BTreeSet<&str> {
        self.datasets
            .iter()
            .flat_map(|dataset| {
                let pii = &dataset.pii;
                pii.identifiers.keys().chain(pii.composites.keys())
            })
            .map(String::as_str)
            .collect()
    }
}

/// What was read so far, and what was wrong with it.
#[derive(Default)]
struct Draft {
    lake: Option<LakePolicy>,
    datasets: Vec<PlacedDataset>,
    curated: Vec<PlacedCurated>,
    errors: Vec<PolicyError>,
}

impl Draft {
    fn read(&mut self, path: &str, text: &str, files: &[(&str, &str)]) {
        let outcome = match folder::role(path) {
            Role::Lake => lake::read(path, text).map(|policy| self.lake = Some(policy)),
            Role::Dataset => dataset::read(path, text).map(|placed| self.datasets.push(placed)),
            Role::Curated => {
                let query = text_of(&curated::query_path(path), files);
                curated::read(path, text, query).map(|placed| self.curated.push(placed))
            }
            Role::Query if text_of(&curated::policy_path(path), files).is_some() => Ok(()),
            Role::Query | Role::Stray => Err(vec![folder::stray(path)]),
            Role::Other => Ok(()),
        };
        if let Err(errors) = outcome {
            self.errors.extend(errors);
        }
    }

    /// A folder without datasets is one that was not found, not one without work.
    fn check_whole(&mut self, files: &[(&str, &str)]) {
        let holds = |role: Role| files.iter().any(|(path, _)| folder::role(path) == role);
        if !holds(Role::Lake) {
            self.errors.push(folder::missing("lake.yaml"));
        }
        if !holds(Role::Dataset) {
            self.errors.push(folder::missing("datasets/<dataset>.yaml"));
        }
        let contradictions = across::check(self.lake.as_ref(), &self.datasets, &self.curated);
        self.errors.extend(contradictions);
    }

    fn conclude(self, digest: String) -> Result<Policies, PolicyErrors> {
        let Some(mut lake) = self.lake.filter(|_| self.errors.is_empty()) else {
            return Err(PolicyErrors::of(self.errors));
        };
        let mut datasets: Vec<DatasetPolicy> = self
            .datasets
            .into_iter()
            .map(|placed| placed.policy)
            .collect();
        datasets.sort_by(|one, other| one.name.cmp(&other.name));
        let mut curated: Vec<CuratedPolicy> = self
            .curated
            .into_iter()
            .map(|placed| placed.policy)
            .collect();
        curated.sort_by(|one, other| one.table.cmp(&other.table));
        let owners: BTreeSet<String> = datasets
            .iter()
            .flat_map(|policy| policy.pii.links.keys().map(|path| policy.pii.kind_of(path)))
            .collect();
        let datasets_pii = datasets.iter_mut().map(|policy| &mut policy.pii);
        for pii in datasets_pii.chain(curated.iter_mut().map(|policy| &mut policy.pii)) {
            pii.compare.clone_from(&lake.erasure.compare);
            pii.owners.clone_from(&owners);
            let composites = pii.composites.keys().cloned();
            lake.erasure.composites.extend(composites);
        }
        Ok(Policies {
            lake,
            datasets,
            curated,
            digest,
        })
    }
}

fn text_of<'a>(path: &str, files: &[(&str, &'a str)]) -> Option<&'a str> {
    let file = files.iter().find(|(other, _)| *other == path);
    file.map(|(_, text)| *text)
}

/// Every name and text goes in with its length, so that no two folders run
/// together into the same bytes.
fn digest(files: &[(&str, &str)]) -> String {
    let mut context = Context::new(&SHA256);
    for part in files.iter().flat_map(|(path, text)| [path, text]) {
        context.update(&part.len().to_be_bytes());
        context.update(part.as_bytes());
    }
    hex::encode(context.finish())
}
