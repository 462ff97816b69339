//! What the duties stand on: S3, tables, rows, the ledger, the lease, the key and the clock.
//!
//! Nothing here knows what compaction or erasure is. [`s3::ReadS3`] is for planning, [`s3::WriteS3`] for
//! applying; that is how a dry run is kept from changing anything (invariant 6).

pub mod clock;
pub mod connect;
pub mod discovery;
pub mod error;
pub mod facts;
pub mod hold;
pub mod key;
pub mod last_run;
pub mod lease;
pub mod ledger;
pub mod parquet_files;
pub mod quarantine;
pub mod raw;
pub mod read_only;
pub mod regroup;
pub mod row_groups;
pub mod rows;
pub mod s3;
pub mod search;
pub mod site;
pub mod sort;
pub mod spill;
pub mod subject;
pub mod table_files;
pub mod tables;
pub mod trim;
pub mod uploads;
