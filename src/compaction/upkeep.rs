//! Which small files of an event table are folded into files near the target size. Pure.
//!
//! Nights of late data leave small files in days long compacted, and every file costs a query an open.
//! Rewriting costs too, so a day is folded by size tiers, as log-structured merge trees do it:
//!
//! - Only files smaller than half the target are candidates.
//! - A day's candidates, smallest first, fall into tiers: a file begins a new tier if it is larger than
//!   four times all smaller ones together.
//! - Up to the last tier of at least four files all candidates are folded into one file or, if they are
//!   too much for one, into several of which at most the last is smaller than half the target.
//!
//! So a file of 100 MB is not rewritten for 30 kB of late data, and two or three files of a tier stay: the
//! opens saved are not worth the rewrite.
//!
//! **No ping-pong.** After folding a day, planning it again yields nothing (invariant 12), however well
//! the rewrite compressed. Of the result at most one file, of size R, is a candidate, and R is at most the
//! sum S of what was folded. The next candidate was larger than 4 S, so R is a tier of its own. For each
//! candidate above, the sum of the smaller ones has not grown, so tiers above may have split but not
//! merged; none of them had four files.
//!
//! **Worth it.** A file in a folded tier is at most four times what lies below it (or is joined by a larger
//! one), so each rewrite puts a byte into a file at least a quarter larger: a byte that came in a file of
//! size s is rewritten at most log(target / s) / log(5/4) times, whatever comes when.
//!
//! **Bounded.** After folding, a tier has at most three files, and each tier makes the sum at least five
//! times what it was: a day holds at most 3 (1 + log(target / s) / log 5) candidates.
//!
//! Sizes are those of the files as they were really written, so how well a dataset compresses is in them
//! already.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::lake::rows::is_redacted;
use crate::lake::tables::DataFile;
use crate::plan::{Action, Fold, Step, megabytes};
use crate::policy::DatasetPolicy;

/// A file larger than so many times all smaller ones together is not rewritten for their sake.
const TIER_RATIO: u64 = 4;
/// Fewer files of a tier are not worth a rewrite.
const FEWEST_FILES: usize = 4;

/// Files of one day that are to be folded, smallest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The day.
    pub day: NaiveDate,
    /// The files, at least four.
    pub files: Vec<DataFile>,
}

impl Group {
    /// Bytes of the files.
    pub fn size(&self) -> u64 {
        size_of(&self.files)
    }

    /// How many files would come of it if rewriting changed no sizes.
    fn outputs(&self, target: u64) -> u64 {
        outputs(self.size(), target)
    }
}

/// How many files so many bytes make: some of about the target, and a last one of up to one and a half.
fn outputs(bytes: u64, target: u64) -> u64 {
    let target = target.max(1);
    (bytes.saturating_add(target / 2) / target).max(1)
}

/// Whether a file is small enough to be folded.
pub fn is_small(size: u64, target: u64) -> bool {
    size < target.div_ceil(2)
}

/// The files of a table that are worth folding, by day.
pub fn groups(files: &[DataFile], target: u64) -> Vec<Group> {
    let by_day = candidates(files, target).into_iter();
    by_day
        .filter_map(|(day, files)| group(day, &files))
        .collect()
}

fn candidates(files: &[DataFile], target: u64) -> BTreeMap<NaiveDate, Vec<&DataFile>> {
    let mut by_day: BTreeMap<NaiveDate, Vec<&DataFile>> = BTreeMap::new();
    // Redacted rows keep files of their own, which go by another rule.
    let rows = files.iter().filter(|file| !is_redacted(&file.path));
    for file in rows.filter(|file| is_small(file.size, target)) {
        by_day.entry(file.event_date).or_default().push(file);
    }
    by_day
}

fn group(day: NaiveDate, candidates: &[&DataFile]) -> Option<Group> {
    let mut ascending = candidates.to_vec();
    ascending.sort_by(|one, other| (one.size, &one.path).cmp(&(other.size, &other.path)));
    let (mut below, mut in_tier, mut folded) = (0_u64, 0, 0);
    for (index, file) in ascending.iter().enumerate() {
        if file.size > below.saturating_mul(TIER_RATIO) {
            in_tier = 0;
        }
        in_tier += 1;
        below = below.saturating_add(file.size);
        if in_tier >= FEWEST_FILES {
            folded = index + 1;
        }
    }
    ascending.truncate(folded);
    let files: Vec<DataFile> = ascending.into_iter().cloned().collect();
    (!files.is_empty()).then_some(Group { day, files })
}

/// Steps of the same night that come before a fold.
#[derive(Debug, Clone, Copy, Default)]
pub struct Earlier<'a> {
    /// Those that compact: each adds at most one small file to a day.
    pub compactions: &'a [String],
    /// The one that erases: it may make any file smaller.
    pub erasure: Option<&'a str>,
}

/// The step that folds small files: what is worth it now, and what `earlier` steps may make worth it.
/// Days before `keep_from` leave tonight and are let be.
pub fn plan(
    policy: &DatasetPolicy,
    files: &[DataFile],
    keep_from: NaiveDate,
    earlier: Earlier<'_>,
) -> Option<Step> {
    let target = policy.table.target_file_size.bytes();
    let stay = files.iter().filter(|file| file.event_date >= keep_from);
    let stay: Vec<DataFile> = stay.cloned().collect();
    let groups = groups(&stay, target);
    let after = if may_come(&stay, target, earlier) {
        let erasure = earlier.erasure.map(str::to_owned);
        earlier.compactions.iter().cloned().chain(erasure).collect()
    } else {
        Vec::new()
    };
    if groups.is_empty() && after.is_empty() {
        return None;
    }
    let name = &policy.name;
    Some(Step {
        id: format!("fold-{name}"),
        why: why(name, &groups, target, !after.is_empty()),
        action: Action::Fold(Fold {
            dataset: name.clone(),
            files: groups.into_iter().flat_map(|group| group.files).collect(),
            after,
        }),
    })
}

fn why(name: &str, groups: &[Group], target: u64, more_may_come: bool) -> String {
    if groups.is_empty() {
        return format!(
            "fold the small files of {name} where the steps above make a day come to {FEWEST_FILES} alike"
        );
    }
    let files: usize = groups.iter().map(|group| group.files.len()).sum();
    let outputs: u64 = groups.iter().map(|group| group.outputs(target)).sum();
    let days = match groups.len() {
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    };
    format!(
        "fold {files} small files of {days} of {name} into {outputs} ({}){}: queries open fewer files",
        megabytes(groups.iter().map(Group::size).sum()),
        if more_may_come {
            ", and what the steps above leave small"
        } else {
            ""
        }
    )
}

/// Whether earlier steps may make a group where there is none: a day has to come to enough candidates.
fn may_come(files: &[DataFile], target: u64, earlier: Earlier<'_>) -> bool {
    let new = earlier.compactions.len();
    if new == 0 && earlier.erasure.is_none() {
        return false;
    }
    // Half of this is larger than any file.
    let limit = match earlier.erasure {
        Some(_) => u64::MAX,
        None => target,
    };
    let most = candidates(files, limit)
        .into_values()
        .map(|files| files.len());
    most.max().unwrap_or(0) + new >= FEWEST_FILES
}

/// Bytes of files.
fn size_of(files: &[DataFile]) -> u64 {
    files.iter().map(|file| file.size).sum()
}

#[cfg(test)]
mod tests;
