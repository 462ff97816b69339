//! What keeps an object version from going: Object Lock, a legal hold, missing leave, an endpoint in
//! trouble; and what keeps it from being read: an archive.
//!
//! Nothing here gets around a lock: governance mode is never bypassed. Delete markers cannot be locked.

use std::fmt;

use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::{
    ObjectLockEnabled, ObjectLockLegalHoldStatus, ObjectLockMode, StorageClass,
};
use chrono::{DateTime, Utc};

use super::{ObjectVersion, ReadS3, time_of};
use crate::lake::error::{S3Error, S3ErrorKind};

/// Storage classes that cannot be read before an object is restored.
pub const ARCHIVES: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];

/// Why a version that should go stays. In order of how long it lasts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obstacle {
    /// Object Lock keeps it.
    Locked {
        /// Until then.
        until: DateTime<Utc>,
        /// `governance` or `compliance`.
        mode: String,
    },
    /// It stays until a person lifts the hold.
    LegalHold,
    /// The credentials may not delete it, or not see the lock that is on it.
    Denied,
    /// An error code that passes, but did not in several attempts.
    Failed(String),
}

impl Obstacle {
    /// Whether somebody wanted it to stay, so that nothing is wrong.
    pub fn is_meant(&self) -> bool {
        matches!(self, Self::Locked { .. } | Self::LegalHold)
    }

    /// The kind of error that it is for those who cannot go on without the version gone.
    pub(super) fn kind(&self) -> S3ErrorKind {
        match self {
            Self::Locked { .. } | Self::LegalHold => S3ErrorKind::Locked,
            Self::Denied => S3ErrorKind::AccessDenied,
            Self::Failed(_) => S3ErrorKind::Other,
        }
    }

    fn of(head: &HeadObjectOutput) -> Option<Self> {
        if head.object_lock_legal_hold_status() == Some(&ObjectLockLegalHoldStatus::On) {
            return Some(Self::LegalHold);
        }
        let until = head.object_lock_retain_until_date().and_then(time_of)?;
        let mode = head
            .object_lock_mode()
            .map_or("unknown", ObjectLockMode::as_str);
        Some(Self::Locked {
            until,
            mode: mode.to_lowercase(),
        })
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked { until, mode } => write!(
                formatter,
                "locked ({mode}), can go from {} on",
                until.format("%Y-%m-%d %H:%M UTC")
            ),
            Self::LegalHold => {
                formatter.write_str("under a legal hold, can go once the hold is lifted")
            }
            Self::Denied => formatter.write_str("AccessDenied"),
            Self::Failed(code) => formatter.write_str(code),
        }
    }
}

/// Whether versions in a bucket may be locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectLocking {
    /// They may.
    On,
    /// They cannot be, or the endpoint knows no locks.
    Off,
    /// The credentials may not ask.
    Denied,
}

/// What is in the way of deleting or reading a version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hindrance {
    /// Why it cannot be deleted; its lock may be over.
    pub lock: Option<Obstacle>,
    /// Whether it has to be restored before it can be read.
    pub is_archived: bool,
}

impl ReadS3 {
    /// Whether versions in a bucket may be locked.
    pub async fn object_locking(&self, bucket: &str) -> Result<ObjectLocking, S3Error> {
        let request = self.connection.client().get_object_lock_configuration();
        match request.bucket(bucket).send().await {
            Ok(answer) => {
                let configuration = answer.object_lock_configuration();
                let enabled = configuration.and_then(|found| found.object_lock_enabled());
                Ok(if enabled == Some(&ObjectLockEnabled::Enabled) {
                    ObjectLocking::On
                } else {
                    ObjectLocking::Off
                })
            }
            Err(error) => {
                let attempted = format!("ask whether bucket {bucket} has Object Lock");
                let error = S3Error::from_sdk(attempted, &error);
                match error.kind {
                    S3ErrorKind::AccessDenied => Ok(ObjectLocking::Denied),
                    S3ErrorKind::NotFound | S3ErrorKind::Other => Ok(ObjectLocking::Off),
                    _ => Err(error),
                }
            }
        }
    }

    /// What is in the way of a version. Of one that is gone or may not be looked at nothing is known:
    /// whoever deletes it will be told.
    pub async fn hindrance(
        &self,
        bucket: &str,
        version: &ObjectVersion,
    ) -> Result<Hindrance, S3Error> {
        let request = self.connection.client().head_object().bucket(bucket);
        let request = request.key(&version.key).version_id(&version.version);
        match request.send().await {
            Ok(head) => Ok(Hindrance {
                lock: Obstacle::of(&head),
                is_archived: is_archived(&head),
            }),
            Err(error) => {
                let attempted = format!("look at s3://{bucket}/{}", version.key);
                let error = S3Error::from_sdk(attempted, &error);
                if error.concerns_one_object() {
                    return Ok(Hindrance::default());
                }
                Err(error)
            }
        }
    }
}

/// Whether it cannot be read: by its class or, in intelligent tiering, by its tier; a restored copy can.
fn is_archived(head: &HeadObjectOutput) -> bool {
    let class = head.storage_class().map(StorageClass::as_str);
    let archived = class.is_some_and(|class| ARCHIVES.contains(&class));
    let restored = head
        .restore()
        .is_some_and(|state| state.contains("ongoing-request=\"false\""));
    (archived || head.archive_status().is_some()) && !restored
}
