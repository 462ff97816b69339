//! Which fields of an event name a person, and which one says when it happened: the one place where the
//! policy is turned into what is looked for.

use std::collections::HashMap;

use chrono::FixedOffset;

use super::composite::{PartField, common_depth};
use crate::policy::{DatasetPolicy, EventsPolicy, Policies, TimeUnit};

/// Where in an event something stands; none where no field of interest can be below.
pub(super) type Spot = Option<usize>;

/// What a field of interest is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Field {
    below: HashMap<String, usize>,
    /// The kinds of identifier that it holds.
    pub kinds: Vec<String>,
    /// Of which identifiers it holds only a part.
    pub parts: Vec<PartField>,
    /// Whether its value says whose the event is.
    pub names_owner: bool,
    pub role: Role,
}

/// What a field is beside a place for identifiers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Role {
    #[default]
    None,
    /// It says when the event happened.
    Time,
    /// It keeps a broken record, as text.
    Record,
    /// It keeps a broken record, in base64.
    RecordInBase64,
    /// It is `_rescued`.
    Rescued,
}

/// Whose fields they are, which decides what their names and values mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nature {
    /// Events, as the policy describes them.
    Events,
    /// What queries made of events.
    Curated,
    /// What this program and the tables' writers note.
    Own,
}

/// How times are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clock {
    pub unit: TimeUnit,
    pub zone: Option<FixedOffset>,
}

/// The fields of interest of one kind of object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fields {
    all: Vec<Field>,
    pub clock: Clock,
    nature: Nature,
}

/// The column of an event table that holds the event's time.
const EVENT_TIME: &str = "_event_time";
const RESCUED: &str = "_rescued";

impl Fields {
    /// Those of a dataset's events, as the policy says.
    pub fn of_events(policy: &DatasetPolicy) -> Self {
        let mut fields = Self::empty(&policy.events);
        let linked = policy.pii.linked();
        for (group, identifying) in policy.pii.fields().into_iter().enumerate() {
            // Of what identifies somebody only together with other fields, none says whose an event is.
            if let [path] = identifying.paths.as_slice() {
                let field = fields.at_path(path.names());
                field.kinds.push(identifying.kind);
                field.names_owner = !linked.contains(path);
                continue;
            }
            let depth = common_depth(&identifying.paths);
            for (position, path) in identifying.paths.iter().enumerate() {
                fields.at_path(path.names()).parts.push(PartField {
                    kind: identifying.kind.clone(),
                    group,
                    position,
                    depth: Some(depth),
                });
            }
        }
        fields
    }

    /// Those of a raw object's events.
    pub fn of_raw(policy: &DatasetPolicy) -> Self {
        let mut fields = Self::of_events(policy);
        fields.at_path(policy.events.time.names()).role = Role::Time;
        fields
    }

    /// Those of an event table's rows.
    pub fn of_rows(policy: &DatasetPolicy) -> Self {
        let mut fields = Self::of_events(policy);
        fields.at_path(&[EVENT_TIME.to_owned()]).role = Role::Time;
        fields.at_path(&[RESCUED.to_owned()]).role = Role::Rescued;
        fields
    }

    /// Those of a line of a quarantine object: the record that it keeps. Of the rest, only strings say
    /// something.
    pub fn of_quarantine(policies: &Policies) -> Self {
        let mut fields = Self::of_own_files(policies);
        fields.at_path(&["record".to_owned()]).role = Role::Record;
        fields.at_path(&["record_base64".to_owned()]).role = Role::RecordInBase64;
        fields
    }

    /// Those of curated tables: fields of any dataset, by their last names.
    pub fn of_curated(policies: &Policies) -> Self {
        let mut fields = match policies.datasets.first() {
            Some(policy) => Self::empty(&policy.events),
            None => Self::without_time(),
        };
        fields.nature = Nature::Curated;
        let mut groups = 0..;
        for policy in &policies.datasets {
            for (kind, paths) in &policy.pii.identifiers {
                for name in paths.iter().filter_map(|path| path.names().last()) {
                    let field = fields.at_path(std::slice::from_ref(name));
                    field.names_owner = true;
                    if !field.kinds.contains(kind) {
                        field.kinds.push(kind.clone());
                    }
                }
            }
            let composites = policy.pii.composites.iter();
            let composites =
                composites.flat_map(|(kind, all)| all.iter().map(move |one| (kind, one)));
            for ((kind, paths), group) in composites.zip(&mut groups) {
                for (position, path) in paths.iter().enumerate() {
                    let name = path.names().last().map(std::slice::from_ref);
                    fields
                        .at_path(name.unwrap_or_default())
                        .parts
                        .push(PartField {
                            kind: kind.clone(),
                            group,
                            position,
                            depth: None,
                        });
                }
            }
        }
        // Queries may name them anew.
        for (kind, paths) in policies
            .curated
            .iter()
            .flat_map(|policy| &policy.pii.identifiers)
        {
            for name in paths.iter().filter_map(|path| path.names().last()) {
                let field = fields.at_path(std::slice::from_ref(name));
                field.names_owner = true;
                if !field.kinds.contains(kind) {
                    field.kinds.push(kind.clone());
                }
            }
        }
        fields.at_path(&[EVENT_TIME.to_owned()]).role = Role::Time;
        fields
    }

    /// Those of the program's own files and of the tables' logs: as in curated tables, but numbers are
    /// counts, and a string may hold JSON.
    pub fn of_own_files(policies: &Policies) -> Self {
        let mut fields = Self::of_curated(policies);
        fields.nature = Nature::Own;
        for field in &mut fields.all {
            field.names_owner = false;
            // Least and greatest values of columns stand there side by side, and are nobody's together.
            field.parts.clear();
        }
        fields
    }

    fn empty(events: &EventsPolicy) -> Self {
        Self {
            clock: Clock {
                unit: events.time_unit,
                zone: events.zone,
            },
            ..Self::without_time()
        }
    }

    fn without_time() -> Self {
        Self {
            all: vec![Field::default()],
            clock: Clock {
                unit: TimeUnit::Text,
                zone: None,
            },
            nature: Nature::Events,
        }
    }

    fn at_path(&mut self, names: &[String]) -> &mut Field {
        let mut spot = 0;
        for name in names {
            let next = self.all.len();
            let below = self.all.get_mut(spot).map(|field| &mut field.below);
            spot = below.map_or(0, |below| *below.entry(name.clone()).or_insert(next));
            if spot == next {
                self.all.push(Field::default());
            }
        }
        // Every spot was pushed before it was named.
        &mut self.all[spot]
    }

    /// Where an object's members are looked up from.
    pub const ROOT: Spot = Some(0);

    /// Whether numbers elsewhere are counts and sizes, which may look like an identifier and are none.
    pub fn numbers_are_counts(&self) -> bool {
        self.nature == Nature::Own
    }

    /// Whether a string that holds JSON is read as such and not as text.
    pub fn opens_strings(&self) -> bool {
        self.nature == Nature::Own
    }

    /// Whether a whole string that is a short identifier means it, whatever the field is called.
    pub fn values_tell(&self) -> bool {
        self.nature != Nature::Events
    }

    /// The member `name` of what stands at `spot`. Lists on the way make no difference. But for events a
    /// field is known by its last name, wherever it stands: nobody knows what became of the events' paths.
    pub fn step(&self, spot: Spot, name: &str) -> Spot {
        let spot = if self.nature == Nature::Events {
            spot?
        } else {
            0
        };
        self.all.get(spot)?.below.get(name).copied()
    }

    /// The place that a JSON Pointer of `_rescued` names; indexes of lists lead nowhere else.
    pub fn step_by_pointer(&self, pointer: &str) -> Spot {
        let mut spot = Self::ROOT;
        for name in pointer.strip_prefix('/')?.split('/') {
            let name = name.replace("~1", "/").replace("~0", "~");
            let is_index = name.bytes().all(|byte| byte.is_ascii_digit());
            match self.step(spot, &name) {
                None if is_index => {}
                below => spot = below,
            }
        }
        spot
    }

    /// What stands at `spot`.
    pub fn at(&self, spot: Spot) -> Option<&Field> {
        self.all.get(spot?)
    }
}
