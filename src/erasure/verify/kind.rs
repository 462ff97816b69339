//! What an object is: by where it lies and by its first bytes, never by what its name ends in alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use super::coverage::{Form, Place};
use super::fields::Fields;
use super::text::Reading;
use crate::policy::{DatasetPolicy, Policies};

/// The fields of interest everywhere in the lake.
pub(super) struct Kinds {
    lake_prefix: String,
    raw: BTreeMap<String, Arc<Fields>>,
    rows: BTreeMap<String, Arc<Fields>>,
    quarantine: Arc<Fields>,
    curated: Arc<Fields>,
    own: Arc<Fields>,
}

/// How an object is looked at.
pub(super) struct Kind {
    pub place: Place,
    /// If it is text.
    pub reading: Reading,
    /// If it is a Parquet file.
    pub columns: Arc<Fields>,
    /// What a term outside identifier fields of a Parquet file is called.
    pub form: Form,
    /// The time that counts for its rows, if they do not tell theirs.
    pub time_of_rows: Option<DateTime<Utc>>,
}

impl Kinds {
    pub fn new(policies: &Policies) -> Self {
        let of_each = |fields: fn(&DatasetPolicy) -> Fields| {
            let datasets = policies.datasets.iter();
            let named = datasets.map(|policy| (policy.name.clone(), Arc::new(fields(policy))));
            named.collect::<BTreeMap<_, _>>()
        };
        Self {
            lake_prefix: policies.lake.location.prefix.clone(),
            raw: of_each(Fields::of_raw),
            rows: of_each(Fields::of_rows),
            quarantine: Arc::new(Fields::of_quarantine(policies)),
            curated: Arc::new(Fields::of_curated(policies)),
            own: Arc::new(Fields::of_own_files(policies)),
        }
    }

    /// What the object of that key is. `raw_of`: the dataset whose raw location it lies in.
    pub fn of(&self, key: &str, raw_of: Option<&str>) -> Kind {
        if let Some(dataset) = raw_of {
            let fields = self.events_of(dataset);
            return Kind {
                place: Place::Raw,
                reading: Reading::Events(Arc::clone(&fields)),
                columns: fields,
                form: Form::Event,
                time_of_rows: None,
            };
        }
        let path = key.strip_prefix(&self.lake_prefix).unwrap_or(key);
        let mut parts = path.split('/');
        let is_log = path.contains("/_delta_log/");
        match (parts.next(), parts.next()) {
            (Some("events" | "curated"), _) if is_log => self.own(Place::Logs),
            (Some("events"), dataset) => match dataset.and_then(|name| self.rows.get(name)) {
                Some(fields) => Kind {
                    columns: Arc::clone(fields),
                    form: Form::Event,
                    time_of_rows: None,
                    ..self.table(path)
                },
                None => self.table(path),
            },
            (Some("curated"), _) => self.table(path),
            (Some("quarantine"), Some(dataset)) => Kind {
                reading: Reading::Quarantine(Arc::clone(&self.quarantine), self.events_of(dataset)),
                ..self.own(Place::Quarantine)
            },
            (Some("system"), _) => self.own(Place::System),
            _ => Kind {
                place: Place::Other,
                ..self.table(path)
            },
        }
    }

    /// Those of a dataset, or of any where there is no policy for it any more.
    fn events_of(&self, dataset: &str) -> Arc<Fields> {
        Arc::clone(self.raw.get(dataset).unwrap_or(&self.curated))
    }

    fn table(&self, path: &str) -> Kind {
        Kind {
            place: Place::Tables,
            reading: Reading::Bytes,
            columns: Arc::clone(&self.curated),
            form: Form::Text,
            time_of_rows: end_of_partition(path),
        }
    }

    fn own(&self, place: Place) -> Kind {
        Kind {
            place,
            reading: Reading::Own(Arc::clone(&self.own)),
            columns: Arc::clone(&self.own),
            form: Form::Text,
            time_of_rows: None,
        }
    }
}

/// When the day of a partition ends. A row of the day on which somebody asked may be made of what happened after
/// that; of what happened before nothing is left in the events, which are looked at too.
fn end_of_partition(path: &str) -> Option<DateTime<Utc>> {
    let day = path
        .split('/')
        .find_map(|part| part.strip_prefix("event_date="))?;
    let day: NaiveDate = day.parse().ok()?;
    Some(day.succ_opt()?.and_time(NaiveTime::MIN).and_utc())
}
