//! What a table's log says of changed rows.

use std::collections::BTreeSet;

use chrono::NaiveDate;

use super::{PARTITION, Table, TableError};

impl Table {
    /// The days whose rows changed after version `since`; `None` where the log no longer tells.
    pub async fn days_changed_since(
        &self,
        since: u64,
    ) -> Result<Option<BTreeSet<NaiveDate>>, TableError> {
        let mut days = BTreeSet::new();
        for version in since + 1..=self.version() {
            let entry = self.delta.log_store().read_commit_entry(version).await;
            let Some(entry) = entry.map_err(|error| self.failed("read the log of", &error))? else {
                return Ok(None);
            };
            for line in entry.split(|byte| *byte == b'\n') {
                match day_changed(line) {
                    DayChanged::None => {}
                    DayChanged::Day(day) => {
                        days.insert(day);
                    }
                    DayChanged::Unknown => return Ok(None),
                }
            }
        }
        Ok(Some(days))
    }
}

/// What a line of the log says of rows.
enum DayChanged {
    /// It is not a change of rows.
    None,
    /// Rows of this day changed.
    Day(NaiveDate),
    /// Rows changed, and it does not say of which day.
    Unknown,
}

fn day_changed(line: &[u8]) -> DayChanged {
    let Ok(action) = serde_json::from_slice::<serde_json::Value>(line) else {
        return if line.is_empty() {
            DayChanged::None
        } else {
            DayChanged::Unknown
        };
    };
    let Some(file) = action.get("add").or_else(|| action.get("remove")) else {
        return DayChanged::None;
    };
    if file.get("dataChange").and_then(serde_json::Value::as_bool) == Some(false) {
        return DayChanged::None;
    }
    let day = file
        .get("partitionValues")
        .and_then(|values| values.get(PARTITION));
    let day = day
        .and_then(serde_json::Value::as_str)
        .and_then(|day| day.parse().ok());
    day.map_or(DayChanged::Unknown, DayChanged::Day)
}
