//! What people decide about a request.

use std::collections::BTreeSet;

use chrono::{DateTime, Months, Utc};

use super::{Decision, Request, RequestError, State, after};

/// GDPR Art. 12(3): one month, and two more where the request is complex.
const EXTENDED: Months = Months::new(3);

impl Request {
    /// Lets it hit up to so many rows.
    pub fn confirm(&mut self, rows: u64) -> Result<(), RequestError> {
        if !self.state.is_pending() && self.state != State::Held {
            return Err(
                self.refused("only a request that is still to be carried out can be confirmed")
            );
        }
        self.confirmed_rows = Some(rows);
        Ok(())
    }

    /// Keeps runs from going on with it.
    pub fn hold(&mut self, reason: &str, now: DateTime<Utc>) -> Result<(), RequestError> {
        if !self.state.is_open() || self.state == State::Held {
            return Err(self.refused("only an open request can be held"));
        }
        self.decide(State::Held, reason, now);
        Ok(())
    }

    /// Puts it off until one of `holds` is lifted.
    pub fn put_off(
        &mut self,
        holds: BTreeSet<String>,
        now: DateTime<Utc>,
    ) -> Result<(), RequestError> {
        let ids: Vec<&str> = holds.iter().map(String::as_str).collect();
        self.hold(&format!("hold {} keeps the rest", ids.join(" or ")), now)?;
        self.kept_by = holds;
        Ok(())
    }

    /// Whether a person keeps runs from going on with it, and not a hold.
    pub fn is_on_hold(&self) -> bool {
        self.state == State::Held && self.kept_by.is_empty()
    }

    /// Whether a person keeps runs from beginning with it.
    pub fn is_undecided(&self) -> bool {
        let held = self.decision.as_ref();
        self.is_on_hold() && held.is_some_and(|held| held.from.is_pending())
    }

    /// Whether it was put off for holds of which one is not among those `in_force` any more.
    pub fn can_go_on(&self, in_force: &BTreeSet<String>) -> bool {
        self.state == State::Held && !self.kept_by.is_subset(in_force)
    }

    /// Lets runs go on with it.
    pub fn release(&mut self, now: DateTime<Utc>) -> Result<(), RequestError> {
        match self.decision.take_if(|_| self.state == State::Held) {
            Some(held) => {
                self.kept_by.clear();
                // Going back to `erased` must not look like erasing at this moment.
                let erased_at = self.erased_at;
                self.pass(held.from, now);
                self.erased_at = erased_at;
                Ok(())
            }
            None => Err(self.refused("only a held request can be released")),
        }
    }

    /// Closes it because the subject withdrew it.
    pub fn cancel(&mut self, reason: &str, now: DateTime<Utc>) -> Result<(), RequestError> {
        self.close(State::Cancelled, reason, now)
    }

    /// Closes it on a legal basis (GDPR Art. 12(4), 17(3)).
    pub fn reject(&mut self, basis: &str, now: DateTime<Utc>) -> Result<(), RequestError> {
        self.close(State::Rejected, basis, now)
    }

    /// Moves the deadline by two months (GDPR Art. 12(3)).
    pub fn extend(&mut self, reason: &str, now: DateTime<Utc>) -> Result<(), RequestError> {
        if !self.state.is_open() || self.extended.is_some() {
            return Err(self.refused("only an open request can be extended, and only once"));
        }
        self.deadline = after(self.received, EXTENDED);
        self.extended = Some(Decision {
            at: now,
            reason: reason.to_owned(),
            from: self.state,
        });
        Ok(())
    }

    fn close(
        &mut self,
        state: State,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<(), RequestError> {
        let begun = match &self.decision {
            Some(held) if self.state == State::Held => held.from,
            _ => self.state,
        };
        // Traces that were found take it back to where it began; what was erased by then is gone.
        let was_erased = self
            .history
            .iter()
            .any(|passed| passed.state == State::Erased);
        if begun != State::Received || was_erased {
            return Err(
                self.refused("it is being carried out, and what is erased cannot be brought back")
            );
        }
        self.decide(state, reason, now);
        Ok(())
    }

    fn decide(&mut self, state: State, reason: &str, now: DateTime<Utc>) {
        self.decision = Some(Decision {
            at: now,
            reason: reason.to_owned(),
            from: self.state,
        });
        self.pass(state, now);
    }

    fn refused(&self, why: &'static str) -> RequestError {
        RequestError::State {
            id: self.id.clone(),
            state: self.state,
            why,
        }
    }
}
