//! What leaves in the days to come, for people who plan ahead.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{megabytes, plural};

/// What leaves by age within some days, if nothing else happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// How many days, from the plan's time on.
    pub days: u32,
    /// By dataset or curated table; those that lose nothing are left out.
    pub leaving: BTreeMap<String, Leaving>,
}

/// What leaves a dataset or a curated table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaving {
    /// Rows of its table.
    pub events: u64,
    /// Table files, raw objects and quarantine objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl fmt::Display for Forecast {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "within {} days by age:", self.days)?;
        for (position, (name, leaving)) in self.leaving.iter().enumerate() {
            let separator = if position > 0 { ";" } else { "" };
            let Leaving {
                events,
                objects,
                bytes,
            } = leaving;
            let size = megabytes(*bytes);
            write!(
                formatter,
                "{separator} {events} event{} and {objects} object{} of {name} ({size})",
                plural(*events),
                plural(*objects)
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_thing_is_told_in_the_singular() {
        let leaving = |events, objects| Leaving {
            events,
            objects,
            bytes: 700,
        };
        let forecast = Forecast {
            days: 7,
            leaving: BTreeMap::from([
                ("cart".to_owned(), leaving(1, 1)),
                ("payment".to_owned(), leaving(0, 2)),
            ]),
        };
        assert_eq!(
            forecast.to_string(),
            "within 7 days by age: 1 event and 1 object of cart (700 B); 0 events and 2 objects of payment \
             (700 B)"
        );
    }
}
