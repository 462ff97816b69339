//! The night: what the four duties plan, put in order, and carried out.
//!
//! compact → erase → retain → fold small files → curate → purge what is due → scan for traces → certify.
//! `plan` and `run` are the same code up to the last step; only [`apply`] is given something that can write.

mod apply;
mod copies;
mod planner;
mod remember;
mod uploads;

pub use apply::{NightError, apply};
pub use planner::{PlanError, Planned, plan};
