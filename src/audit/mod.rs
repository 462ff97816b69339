//! What a run says of itself afterwards: its report, and a log that nobody can rewrite unnoticed.

pub mod log;
pub mod report;
