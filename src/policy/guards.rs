//! `guards` in `lake.yaml`: what a run may take away without a person having agreed to that very plan.

use super::error::ValueError;
use super::pii::days_or_longer;
use super::section::{Key, Section};
use super::size::ByteSize;
use super::span::Span;

/// Caps on what a run takes away by age, and on the pause between two runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardsPolicy {
    /// Of the rows of one table, in percent.
    pub max_percent: u64,
    /// Partitions of one table.
    pub max_partitions: u64,
    /// Object versions, of all buckets together.
    pub max_objects: u64,
    /// Their bytes.
    pub max_bytes: ByteSize,
    /// A longer pause since the last run means a clock that jumped, or a job that nobody missed.
    pub max_pause: Span,
}

impl Default for GuardsPolicy {
    fn default() -> Self {
        Self {
            max_percent: 25,
            max_partitions: 31,
            max_objects: 1_000_000,
            max_bytes: ByteSize::new(1 << 40),
            max_pause: Span::days(31),
        }
    }
}

pub(super) const SAMPLE: &str = "{ max_percent: 25 }";
const GUARDS: &[Key] = &[
    Key::new("max_percent", "25"),
    Key::new("max_partitions", "31"),
    Key::new("max_objects", "1000000"),
    Key::new("max_bytes", "1024 GiB"),
    Key::new("max_pause", "31 days"),
];

/// Reads the section, which may be left out.
pub(super) fn read(file: &Section<'_>) -> Option<GuardsPolicy> {
    let section = file.section_or_empty("guards", GUARDS)?;
    let usual = GuardsPolicy::default();
    let percent = section.or_default("max_percent", usual.max_percent, percent);
    let partitions = section.or_default("max_partitions", usual.max_partitions, limit);
    let objects = section.or_default("max_objects", usual.max_objects, limit);
    let bytes = section.or_default("max_bytes", usual.max_bytes, str::parse);
    let pause = section.or_default("max_pause", usual.max_pause, days_or_longer);
    Some(GuardsPolicy {
        max_percent: percent?,
        max_partitions: partitions?,
        max_objects: objects?,
        max_bytes: bytes?,
        max_pause: pause?,
    })
}

fn percent(text: &str) -> Result<u64, ValueError> {
    match text.parse() {
        Ok(percent @ 1..=100) => Ok(percent),
        _ => Err(ValueError::new("it is a whole number from 1 to 100")),
    }
}

/// At least one.
pub(super) fn limit(text: &str) -> Result<u64, ValueError> {
    match text.parse() {
        Ok(0) | Err(_) => Err(ValueError::new("it is a whole number of at least 1")),
        Ok(count) => Ok(count),
    }
}
