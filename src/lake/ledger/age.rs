//! How old a raw object counts as, by what is known of it since its compaction.

use chrono::{DateTime, NaiveDate, Utc};

use super::KnownObject;
use crate::policy::{RetentionPolicy, Span};

impl KnownObject {
    /// Whether it stays at `now`, kept for `keep` after its compaction and while one of its events is kept by
    /// `retention`. One that could be read in part only does.
    pub fn outlives(
        &self,
        keep: Option<Span>,
        retention: RetentionPolicy,
        now: DateTime<Utc>,
    ) -> bool {
        let is_kept = keep.is_none_or(|keep| keep.after(self.at) > now);
        self.damaged || is_kept && self.last_day() >= retention.horizon(now).first_day()
    }

    /// When one that is not damaged can go whole: from then on it no longer [outlives](Self::outlives).
    pub fn goes_at(&self, keep: Option<Span>, retention: RetentionPolicy) -> DateTime<Utc> {
        let by_age = retention.leaves_at(self.last_day());
        keep.map_or(by_age, |keep| keep.after(self.at).min(by_age))
    }

    /// Whether events from before `first_day`, or of erased subjects, can be taken out of it.
    pub fn holds_older_than(&self, first_day: NaiveDate) -> bool {
        let straddles = self.first_date.is_some_and(|first| first < first_day);
        !self.damaged && (straddles || self.suppressed > 0)
    }

    /// The day of its newest event.
    fn last_day(&self) -> NaiveDate {
        match self.last_date {
            Some(last) if !self.has_broken => last,
            // Of what has no readable time the day of compaction stands in for the age.
            _ => self.at.date_naive(),
        }
    }
}
