//! What a run says of itself afterwards.

pub mod report;
