//! Requests as they lie in the lake, and what keeps them from being carried out.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::list::Shown;
use crate::cli::Failure;
use crate::cli::open::Opened;
use crate::erasure::request::{self, Request};
use crate::lake::facts::Places;
use crate::lake::hold::{self, HeldPeople};
use crate::lake::key::Key;

/// All requests, and the holds in force.
pub struct Filed {
    /// With their entity tags.
    pub requests: Vec<(Request, String)>,
    pub holds: Vec<hold::Hold>,
    now: DateTime<Utc>,
}

impl Filed {
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
        let on_hold = self.requests.iter().map(|(request, _)| request);
        let on_hold: BTreeSet<String> = on_hold
            .filter(|request| request.is_on_hold())
            .map(|request| request.id.clone())
            .collect();
        let in_force = self.holds.iter().map(|hold| hold.id.clone()).collect();
        let waits = request.waits_for(&in_force, &on_hold).cloned();
        Shown::of(request, waits, !in_force.is_empty(), self.now)
    }

    /// With all that is known of it.
    pub fn whole(&self, request: &Request) -> Shown {
        self.line(request).with_details(request)
    }
}
