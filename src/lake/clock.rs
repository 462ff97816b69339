//! The one place that reads the system clock (invariant 13).
//!
//! A run has one `now`, taken at its start or given by `--now`; every rule is held against it. Only
//! leases, which other machines look at while we run, use the time of day.

use chrono::{DateTime, SubsecRound, Utc};

/// Where a run's `now` comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    simulated: Option<DateTime<Utc>>,
}

impl Clock {
    /// The system clock.
    pub fn system() -> Self {
        Self { simulated: None }
    }

    /// A clock that stands still at `now`.
    pub fn simulated(now: DateTime<Utc>) -> Self {
        Self {
            simulated: Some(now),
        }
    }

    /// Whether `now` was given rather than read.
    pub fn is_simulated(self) -> bool {
        self.simulated.is_some()
    }

    /// The time that rules are held against, in whole milliseconds (what a Delta log can hold).
    pub fn now(self) -> DateTime<Utc> {
        self.simulated.unwrap_or_else(time_of_day).trunc_subsecs(3)
    }
}

/// The time of day, simulated clock or not: for leases alone.
#[expect(
    clippy::disallowed_methods,
    reason = "the clock is where the system clock is read"
)]
pub fn time_of_day() -> DateTime<Utc> {
    Utc::now()
}
