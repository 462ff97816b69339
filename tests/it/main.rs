//! The whole program, as people run it: the real binary against a real S3 endpoint.
//!
//! Expected values come from outside the program's own planner, decoder and SQL: from the
//! [`Truth`](lakewarden::demo::Truth) that the demo's generator counts while it writes, or by hand. What
//! the program left is read with other means than its own: Delta logs as JSON lines, Parquet files with
//! the `parquet` crate, everything else as plain files.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails fails its test"
)]

mod subject_export;
mod support;

mod bad_input;
mod certificate;
mod discovery;
mod dry_run;
mod erasure;
mod erasure_links;
mod erasure_objects;
mod erasure_redaction;
mod erasure_requests;
mod first_night;
mod formats;
mod grace;
mod guards;
mod holds;
mod holds_on_people;
mod inventory;
mod killed;
mod late_and_again;
mod late_links;
mod ledger;
mod lifecycle;
mod locked;
mod own_files;
mod put_back;
mod real_lake;
mod refusals;
mod retention;
mod retention_model;
mod saved_plan;
mod schema;
mod table_history;
mod two_at_once;
mod upkeep;
mod verification;
