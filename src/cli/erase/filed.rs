//! Requests as they lie in the lake, and what keeps them from being carried out.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::list::{Shown, Standing};
use crate::cli::Failure;
use crate::cli::open::Opened;
use crate::erasure::request::{self, Request, Waiting};
use crate::lake::facts::Places;
use crate::lake::hold::{self, HeldPeople};
use crate::lake::key::{Key, KeyError};

/// All requests, and the holds in force.
pub struct Filed {
    /// With their entity tags.
    pub requests: Vec<(Request, String)>,
    pub holds: Vec<hold::Hold>,
    now: DateTime<Utc>,
}

impl Filed {
    /// What is sealed with another key could not be carried out.
    pub fn refuse_other_key(&self, key: &Key) -> Result<(), Failure> {
        let mark = key.mark().map_err(Failure::from_error)?;
        match self.requests.iter().find(|(other, _)| other.key != mark) {
            Some((other, _)) => {
                let changed = KeyError::Changed(format!("erasure request {}", other.id));
                Err(Failure::from_error(changed))
            }
            None => Ok(()),
        }
    }

    pub async fn read(lake: &Opened) -> Result<Self, Failure> {
        let (s3, places) = (lake.reader(), Places::new(&lake.policies.lake.location));
        let requests = request::all(&s3, &places).await;
        let holds = hold::active(&s3, &places).await;
        Ok(Self {
            requests: requests.map_err(Failure::from_error)?,
            holds: holds.map_err(Failure::from_error)?,
            now: lake.clock.now(),
        })
    }

    /// The request of that id, with its entity tag.
    pub fn find(&self, id: &str) -> Result<(Request, String), Failure> {
        let mut requests = self.requests.iter();
        let found = requests.find(|(request, _)| request.id == id);
        found.cloned().ok_or_else(|| {
            Failure::usage(
                format!("there is no erasure request {id}"),
                "`erase list` shows all",
            )
        })
    }

    /// People whom holds are on, and those whose requests are on hold.
    pub fn held(&self, lake: &Opened, key: &Key) -> Result<HeldPeople, Failure> {
        let policy = &lake.policies.lake.erasure;
        let key = || Ok(key.clone());
        let mut held = HeldPeople::of(&self.holds, policy, &key).map_err(Failure::from_error)?;
        let on_hold = request::on_hold(self.requests.clone(), &key).map_err(Failure::from_error)?;
        held.asked = request::subjects(&on_hold, policy);
        Ok(held)
    }

    /// As a line of a list.
    pub fn line(&self, request: &Request) -> Shown {
        let all = self.requests.iter().map(|(request, _)| request);
        let on_hold: Vec<&Request> = all.filter(|request| request.is_on_hold()).collect();
        let ids = on_hold.iter().map(|request| request.id.clone()).collect();
        let in_force: BTreeSet<String> = self.holds.iter().map(|hold| hold.id.clone()).collect();
        let same_person = on_hold.iter().find(|other| {
            request.state.is_pending()
                && other
                    .subject
                    .iter()
                    .any(|one| request.subject.contains(one))
        });
        let waits = request.waits_for(&in_force, &ids).cloned();
        let waits = waits.or_else(|| {
            same_person.map(|other| Waiting::Request {
                request: other.id.clone(),
            })
        });
        let standing = Standing {
            waits,
            goes_on: request.can_go_on(&in_force),
            holds: !in_force.is_empty(),
        };
        Shown::of(request, standing, self.now)
    }

    /// With all that is known of it.
    pub fn whole(&self, request: &Request) -> Shown {
        self.line(request).with_details(request)
    }
}
