//! Whether policies keep shorter than at the last run, and what would newly go.

use std::collections::{BTreeMap, BTreeSet};

use super::{GuardKind, Takes, Watch};
use crate::lake::last_run::LastRun;
use crate::lake::s3::ObjectVersion;
use crate::lake::tables::DataFile;
use crate::plan::{Action, megabytes, plural, total_size};
use crate::policy::{OnErasure, Policies, RetentionPolicy, Span};

impl Watch<'_> {
    pub(super) fn shorter_policies(&mut self, last: &LastRun) {
        for (name, retention) in rules(self.policies) {
            let Some(known) = last.tables.get(name) else {
                continue;
            };
            if let Some(before) = known.retention() {
                self.shorter_keep(name, before, retention);
            }
        }
        self.shorter_spans(last);
        self.no_longer_redacted(last);
    }

    /// Rows that stayed redacted because a law wanted them kept, and that no rule keeps any more.
    fn no_longer_redacted(&mut self, last: &LastRun) {
        let now: BTreeSet<String> = spans(self.policies)
            .into_iter()
            .map(|(_, what, _)| what)
            .collect();
        for policy in &self.policies.datasets {
            let what = redacted_rows(&policy.name);
            let before = last.spans.get(&what).filter(|_| !now.contains(&what));
            if let Some(before) = before {
                let told =
                    format!("{what} were kept {before} at the last run and are not kept any more");
                let newly = self.newly_unredacted(&policy.name);
                self.push(GuardKind::ShorterPolicy, format!("{told}{newly}"));
            }
        }
    }

    /// Redacted rows that leave though their day does not.
    fn newly_unredacted(&self, name: &str) -> String {
        let first_day = self.policies.dataset(name);
        let first_day = first_day.map(|policy| policy.retention.horizon(self.now).first_day());
        let (whole, _) = self.leaving_files(name);
        let stays = |file: &&DataFile| first_day.is_some_and(|day| file.event_date >= day);
        let Takes { rows, .. } = Takes::of(whole.iter().filter(stays));
        match rows {
            0 => String::new(),
            rows => format!(": {rows} row{} would newly go", plural(rows)),
        }
    }

    fn shorter_keep(&mut self, name: &str, before: RetentionPolicy, after: RetentionPolicy) {
        let (old, new) = (before.horizon(self.now), after.horizon(self.now));
        if new <= old {
            return;
        }
        let newly = |file: &&DataFile| file.event_date >= old.first_day();
        let (whole, partly) = self.leaving_files(name);
        let Takes { rows, days } = Takes::of(whole.iter().filter(newly));
        let partly = partly.iter().filter(newly).count();
        let in_part = match partly {
            0 => String::new(),
            files => format!(", and part of {files} table file{}", plural(files as u64)),
        };
        let zones = if before.zone == after.zone {
            String::new()
        } else {
            format!(
                " (days were those of {} and are those of {})",
                before.zone, after.zone
            )
        };
        let what = format!(
            "{name} kept {} at the last run and keeps {} now{zones}: {rows} rows of {} days from {old} to before \
             {new}{in_part} would newly go",
            before.keep,
            after.keep,
            days.len()
        );
        self.push(GuardKind::ShorterPolicy, what);
    }

    fn shorter_spans(&mut self, last: &LastRun) {
        let rows = rules(self.policies).map(|(name, rule)| (name, rule.keep));
        let rows: BTreeMap<&str, Span> = rows.collect();
        for (name, what, keep) in spans(self.policies) {
            // Nothing beside rows is kept longer than these: what follows them was told with them.
            if rows.get(name) == Some(&keep) {
                continue;
            }
            let before = last.spans.get(&what);
            let is_shorter = match before.map(|before| before.parse::<Span>()) {
                // Of all others, what kept them is new itself.
                None => what == raw_objects(name) && last.tables.contains_key(name),
                Some(Ok(before)) => keep.before(self.now) > before.before(self.now),
                Some(Err(_)) => false,
            };
            if is_shorter {
                let kept = before.map_or("forever", String::as_str);
                let told =
                    format!("{what} were kept {kept} at the last run and are kept {keep} now");
                let before = before.and_then(|before| before.parse().ok());
                let newly = self.newly_leaving(name, &what, before);
                self.push(GuardKind::ShorterPolicy, format!("{told}{newly}"));
            }
        }
    }

    /// What leaves now and would not by the span `before`, where objects leave by themselves.
    fn newly_leaving(&self, name: &str, what: &str, before: Option<Span>) -> String {
        let (Some(policy), Some(dataset)) =
            (self.policies.dataset(name), self.facts.datasets.get(name))
        else {
            return String::new();
        };
        if what == redacted_rows(name) {
            return self.newly_unredacted(name);
        }
        let (is_raw, is_broken) = (what == raw_objects(name), what == broken_records(name));
        let stayed = |since| before.is_none_or(|keep| keep.after(since) > self.now);
        let is_new = |version: &&ObjectVersion| {
            let ledger = &dataset.ledger;
            let raw = ledger.compacted(&version.key, &version.etag);
            let broken = ledger.quarantine.get(&version.key);
            is_raw && raw.is_some_and(|raw| raw.outlives(before, policy.retention, self.now))
                || is_broken && broken.is_some_and(|broken| stayed(broken.at))
        };
        let retains = self
            .plan
            .steps
            .iter()
            .filter_map(|step| match &step.action {
                Action::Retain(action) if action.dataset == name => Some(action),
                _ => None,
            });
        let leaving = retains.flat_map(|action| action.raw.iter().chain(&action.quarantine));
        let newly: Vec<ObjectVersion> = leaving.filter(is_new).cloned().collect();
        if newly.is_empty() {
            return String::new();
        }
        format!(
            ": {} object version{} ({}) would newly go",
            newly.len(),
            plural(newly.len() as u64),
            megabytes(total_size(&newly))
        )
    }

    /// The files that leave a table by age, whole and in part.
    fn leaving_files(&self, name: &str) -> (Vec<DataFile>, Vec<DataFile>) {
        let (mut whole, mut partly) = (Vec::new(), Vec::new());
        for step in &self.plan.steps {
            match &step.action {
                Action::Retain(action) if action.dataset == name => {
                    whole.extend(action.files.iter().cloned());
                    partly.extend(action.partly.iter().chain(&action.straddling).cloned());
                }
                Action::RetainCurated(action) if action.table == name => {
                    whole.extend(action.files.iter().cloned());
                    partly.extend(action.partly.iter().cloned());
                }
                _ => {}
            }
        }
        (whole, partly)
    }
}

/// The retention of every table.
pub(super) fn rules(policies: &Policies) -> impl Iterator<Item = (&str, RetentionPolicy)> {
    let datasets = policies.datasets.iter();
    let curated = policies.curated.iter();
    datasets
        .map(|policy| (policy.name.as_str(), policy.retention))
        .chain(curated.map(|policy| (policy.table.as_str(), policy.retention)))
}

/// How long what is not rows is kept: of which table, what it is, in words.
pub(super) fn spans(policies: &Policies) -> Vec<(&str, String, Span)> {
    let mut spans = Vec::new();
    for policy in &policies.datasets {
        let name = policy.name.as_str();
        if let Some(keep) = policy.raw.keep {
            spans.push((name, raw_objects(name), keep));
        }
        let (quarantine, ledger) = (policy.beside.quarantine, policy.beside.ledger);
        spans.push((name, broken_records(name), quarantine));
        spans.push((name, segments(name), ledger));
        if let OnErasure::Redact(redaction) = &policy.pii.on_erasure {
            spans.push((name, redacted_rows(name), redaction.keep));
        }
    }
    let lake = &policies.lake;
    for (what, keep) in [
        ("run reports", lake.reports),
        ("logs of tables", lake.table_history),
        ("unfinished uploads", lake.unfinished_uploads),
        ("files that tables have replaced", lake.readers_grace),
        ("files that no table names", lake.uncommitted_grace),
    ] {
        spans.push(("", what.to_owned(), keep));
    }
    spans
}

pub(super) fn raw_objects(name: &str) -> String {
    format!("raw objects of {name}, once compacted,")
}

pub(super) fn redacted_rows(name: &str) -> String {
    format!("redacted rows of {name}")
}

pub(super) fn broken_records(name: &str) -> String {
    format!("broken records of {name}")
}

pub(super) fn segments(name: &str) -> String {
    format!("ledger segments of {name}")
}
