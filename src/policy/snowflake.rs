//! `snowflake` in `lake.yaml`: for how long Snowflake keeps what was deleted from the copies there. It is
//! outside the lake, so nothing is done about it: plans and reports tell from when on it is out.

use super::error::ValueError;
use super::section::{Key, Section};
use super::span::Span;

/// For how long Snowflake keeps deleted rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnowflakePolicy {
    /// Where queries can still see them: `DATA_RETENTION_TIME_IN_DAYS` of the tables.
    pub time_travel: Span,
    /// After that, where only Snowflake's own people can: 7 days, or none for transient tables.
    pub fail_safe: Span,
}

pub(super) const SAMPLE: &str = "{ time_travel: 1 day, fail_safe: 7 days }";
const SNOWFLAKE: &[Key] = &[
    Key::new("time_travel", "1 day"),
    Key::new("fail_safe", "7 days"),
];

/// What Snowflake sets at most.
const LONGEST_TIME_TRAVEL: u32 = 90;
const FAIL_SAFE: u32 = 7;

/// Reads the section, which must be there.
pub(super) fn read(file: &Section<'_>) -> Option<SnowflakePolicy> {
    let section = file.section("snowflake", SNOWFLAKE)?;
    let time_travel = section.or_default("time_travel", Span::DAY, time_travel);
    let fail_safe = section.or_default("fail_safe", Span::days(FAIL_SAFE), fail_safe);
    Some(SnowflakePolicy {
        time_travel: time_travel?,
        fail_safe: fail_safe?,
    })
}

fn time_travel(text: &str) -> Result<Span, ValueError> {
    let days = (0..=LONGEST_TIME_TRAVEL).map(Span::days);
    let wrong = || ValueError::new("Snowflake keeps 0 days to 90 days");
    one_of(days, text).ok_or_else(wrong)
}

fn fail_safe(text: &str) -> Result<Span, ValueError> {
    let days = [0, FAIL_SAFE].into_iter().map(Span::days);
    let wrong = || ValueError::new("Snowflake keeps 7 days, or 0 days for transient tables");
    one_of(days, text).ok_or_else(wrong)
}

fn one_of(mut spans: impl Iterator<Item = Span>, text: &str) -> Option<Span> {
    let span = match text {
        "0 days" => Span::days(0),
        _ => text.parse().ok()?,
    };
    spans.find(|allowed| *allowed == span)
}
