//! The report of a run: counts, never identifiers (invariant 9). It is printed, and kept in the lake under
//! `system/reports/`.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::erasure::Scan;
use crate::lake::discovery::Coverage;
use crate::lake::hold::Hold;
use crate::lake::ledger::Counts;
use crate::plan::{Due, RequestReport, megabytes, write_coverage};
use crate::policy::Policies;

/// What a run did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunReport {
    /// Format of this value.
    pub version: u32,
    /// The run's name.
    pub run: String,
    /// Its time.
    pub now: DateTime<Utc>,
    /// The plan that it carried out.
    pub plan: String,
    /// How the raw objects of each dataset were found.
    #[serde(default)]
    pub coverage: BTreeMap<String, Coverage>,
    /// Steps carried out; 0 when there was nothing to do.
    pub actions: u64,
    /// By dataset.
    pub datasets: BTreeMap<String, DatasetReport>,
    /// By curated table.
    pub curated: BTreeMap<String, CuratedReport>,
    /// Object versions physically removed.
    pub purged: u64,
    /// What keeps data although a rule would delete it.
    #[serde(default)]
    pub holds: Vec<Hold>,
    /// From when on what had to go, and could not yet, can.
    #[serde(default)]
    pub due: Vec<Due>,
    /// Erasure requests that were open when the run began, the most urgent first.
    pub requests: Vec<RequestReport>,
    /// Scans for traces, by request.
    pub scans: BTreeMap<String, Scan>,
    /// What a person should know.
    pub findings: Vec<String>,
    /// Steps that failed.
    pub failures: Vec<String>,
}

/// What a run did to a dataset.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DatasetReport {
    /// Steps carried out.
    pub actions: u64,
    /// What became of the records of the raw objects compacted (invariant 1).
    #[serde(flatten)]
    pub counts: Counts,
    /// Raw objects compacted.
    pub objects: u64,
    /// Their bytes.
    pub raw_bytes: u64,
    /// Table files written for them.
    pub files: u64,
    /// Their bytes.
    pub table_bytes: u64,
    /// Small table files folded into larger ones; the rows stay the same.
    #[serde(default)]
    pub folded_files: u64,
    /// Files that came of them.
    #[serde(default)]
    pub folded_into: u64,
    /// Their bytes.
    #[serde(default)]
    pub fold_bytes: u64,
    /// Columns added to its event table, as path and type: the first ones, and how many more.
    #[serde(default)]
    pub columns_added: Vec<String>,
    /// Rows of the event table after the run: those before it, plus `written`, `redacted` and
    /// `redacted_rows`, less `retired_rows` and `erased_rows`.
    pub table_rows: u64,
    /// Rows that left the event table by age.
    pub retired_rows: u64,
    /// Raw object versions deleted by age.
    pub raw_deleted: u64,
    /// Records taken out of raw objects by age, or because they came late for an erased subject.
    pub raw_trimmed: u64,
    /// Rows erased.
    pub erased_rows: u64,
    /// Of these, rows that came back redacted, as a law wants them kept.
    #[serde(default)]
    pub redacted_rows: u64,
    /// Records of raw objects erased.
    pub erased_raw_records: u64,
    /// Quarantined records erased.
    pub erased_quarantined: u64,
}

/// What a run did to a curated table.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CuratedReport {
    /// Partitions made anew.
    pub days: u64,
    /// Rows in them.
    pub rows: u64,
    /// Rows that left by age.
    pub retired_rows: u64,
    /// Rows erased.
    #[serde(default)]
    pub erased_rows: u64,
}

impl RunReport {
    /// An empty report that names every dataset.
    pub fn new(run: &str, now: DateTime<Utc>, plan: &str, policies: &Policies) -> Self {
        let datasets = policies.datasets.iter();
        Self {
            version: 1,
            run: run.to_owned(),
            now,
            plan: plan.to_owned(),
            coverage: BTreeMap::new(),
            actions: 0,
            datasets: datasets
                .map(|policy| (policy.name.clone(), DatasetReport::default()))
                .collect(),
            curated: BTreeMap::new(),
            purged: 0,
            holds: Vec::new(),
            due: Vec::new(),
            requests: Vec::new(),
            scans: BTreeMap::new(),
            findings: Vec::new(),
            failures: Vec::new(),
        }
    }
}

impl fmt::Display for RunReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.actions == 0 && self.failures.is_empty() {
            writeln!(formatter, "nothing to do")?;
        } else {
            self.fmt_datasets(formatter)?;
        }
        for (table, curated) in &self.curated {
            writeln!(
                formatter,
                "curated {table}: {} days made anew, {} rows; {} rows too old",
                curated.days, curated.rows, curated.retired_rows
            )?;
        }
        if self.purged > 0 {
            writeln!(formatter, "purged {} object versions", self.purged)?;
        }
        for hold in &self.holds {
            writeln!(formatter, "{hold}")?;
        }
        for due in &self.due {
            writeln!(formatter, "{due}")?;
        }
        for request in &self.requests {
            writeln!(formatter, "{request}")?;
        }
        write_coverage(formatter, &self.coverage)?;
        for finding in &self.findings {
            writeln!(formatter, "finding: {finding}")?;
        }
        for failure in &self.failures {
            writeln!(formatter, "failed: {failure}")?;
        }
        Ok(())
    }
}

impl RunReport {
    fn fmt_datasets(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{:<14} {:>7} = {:>7} + {:>11} + {:>10} + {:>8} + {:>7} + {:>12}   {:>10}",
            "records",
            "read",
            "written",
            "quarantined",
            "suppressed",
            "redacted",
            "expired",
            "deduplicated",
            "table rows"
        )?;
        for (name, report) in &self.datasets {
            let counts = &report.counts;
            writeln!(
                formatter,
                "{name:<14} {:>7} = {:>7} + {:>11} + {:>10} + {:>8} + {:>7} + {:>12}   {:>10}",
                counts.read,
                counts.written,
                counts.quarantined,
                counts.suppressed,
                counts.redacted,
                counts.expired,
                counts.deduplicated,
                report.table_rows
            )?;
        }
        for (name, report) in &self.datasets {
            if report.objects > 0 {
                writeln!(
                    formatter,
                    "compacted {name}: {} objects, {} -> {} files, {}",
                    report.objects,
                    megabytes(report.raw_bytes),
                    report.files,
                    megabytes(report.table_bytes)
                )?;
            }
            if !report.columns_added.is_empty() {
                let columns = report.columns_added.join(", ");
                writeln!(formatter, "columns added to {name}: {columns}")?;
            }
            if report.folded_files > 0 {
                writeln!(
                    formatter,
                    "folded in {name}: {} files -> {} files, {}",
                    report.folded_files,
                    report.folded_into,
                    megabytes(report.fold_bytes)
                )?;
            }
            let erased = report.erased_rows + report.erased_raw_records + report.erased_quarantined;
            if erased > 0 {
                writeln!(
                    formatter,
                    "erased from {name}: {} rows, {} raw records, {} quarantined records",
                    report.erased_rows, report.erased_raw_records, report.erased_quarantined
                )?;
            }
            let retired = report.retired_rows + report.raw_deleted + report.raw_trimmed;
            if retired > 0 {
                writeln!(
                    formatter,
                    "too old in {name}: {} rows, {} raw object versions, {} records in raw objects",
                    report.retired_rows, report.raw_deleted, report.raw_trimmed
                )?;
            }
        }
        Ok(())
    }
}
