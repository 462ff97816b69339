//! What every test stands on.

pub mod command;
pub mod denying;
pub mod events;
pub mod failing;
pub mod inventory;
pub mod lake;
pub mod lifecycle;
pub mod server;
pub mod store;
pub mod tables;
pub mod traces;

pub use command::Outcome;

pub use lake::{Lake, NOW};
pub use server::Server;
