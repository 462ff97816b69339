//! lakewarden keeps an event lake on S3 sound: the one nightly job that compacts the small JSON objects
//! which Kafka consumers leave into date-partitioned Parquet, makes curated tables, enforces retention,
//! carries out GDPR erasure, and shows beforehand what it would do.
//!
//! The way of the data is one direction, no going back:
//!
//! ```text
//! policies + clock + facts read from the lake --plan--> Plan --apply--> changed lake --verify--> report
//! ```
//!
//! [`plan::Plan`] is what everything turns around: the duties ([`compaction`], [`erasure`],
//! [`retention`], [`curation`]) plan it from [`lake::facts::Facts`] without I/O, and carry it out through
//! [`lake::site::Site`], the only thing that can write. `docs/ARCHITECTURE.md` has the picture.

pub mod audit;
pub mod cli;
pub mod compaction;
pub mod curation;
pub mod decode;
pub mod demo;
pub mod embedded;
pub mod erasure;
pub mod job;
pub mod lake;
pub mod plan;
pub mod policy;
pub mod retention;
