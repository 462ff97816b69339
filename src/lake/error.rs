//! What can go wrong between us and an S3 endpoint, told so that a person knows what to do next.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId;

/// Why a request failed, as far as it decides what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum S3ErrorKind {
    /// No credentials were found, or the endpoint does not know them.
    Credentials,
    /// The endpoint's clock and ours differ by more than it takes (15 minutes on S3).
    Clock,
    /// The bucket does not exist.
    NoSuchBucket,
    /// The object, version or upload does not exist.
    NotFound,
    /// The credentials are known but not allowed to do this.
    AccessDenied,
    /// No region is set, or the bucket lives in another one.
    Region,
    /// A condition (`If-Match`, `If-None-Match`) did not hold: somebody else was first.
    Precondition,
    /// The object is archived and must be restored before it can be read.
    Archived,
    /// Object Lock keeps the version from being deleted yet.
    Locked,
    /// The endpoint did not answer.
    Unreachable,
    /// The local disk failed, not S3.
    LocalDisk,
    /// Anything else.
    Other,
}

impl S3ErrorKind {
    fn hint(self) -> Option<&'static str> {
        Some(match self {
            Self::Credentials => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run `aws sso login`"
            }
            Self::Clock => {
                "correct this machine's clock: what is too old is counted from it, so nothing may be deleted by a \
                 wrong one"
            }
            Self::NoSuchBucket => {
                "create the bucket, or correct the s3:// location in the policies; lakewarden creates none"
            }
            Self::AccessDenied => {
                "the credentials work but may not do this; grant the action to their role"
            }
            Self::Region => "set AWS_REGION to the region of the bucket",
            Self::Unreachable => {
                "check --endpoint (or AWS_ENDPOINT_URL) and the network, then try again"
            }
            Self::Archived => "restore the object from its archive first",
            Self::LocalDisk => "free space there, or name another folder in `lake.yaml` as `spill`",
            Self::NotFound | Self::Precondition | Self::Locked | Self::Other => return None,
        })
    }
}

/// A failed S3 request: what was attempted, and why it failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("could not {attempted}: {reason}")]
pub struct S3Error {
    /// The request in words, such as `list s3://bucket/prefix`.
    pub attempted: String,
    /// What the endpoint or the client said.
    pub reason: String,
    /// The kind, for callers that can go on.
    pub kind: S3ErrorKind,
}

impl S3Error {
    /// Whether it says something of one object, and not of the bucket, the credentials or the network.
    pub fn concerns_one_object(&self) -> bool {
        !matches!(
            self.kind,
            S3ErrorKind::Credentials
                | S3ErrorKind::NoSuchBucket
                | S3ErrorKind::Region
                | S3ErrorKind::Unreachable
                | S3ErrorKind::LocalDisk
        )
    }

    /// One line of advice, where there is any.
    pub fn hint(&self) -> Option<&'static str> {
        self.kind.hint()
    }

    /// An error of our own, where no request failed.
    pub fn new(attempted: impl Into<String>, reason: impl Into<String>, kind: S3ErrorKind) -> Self {
        Self {
            attempted: attempted.into(),
            reason: reason.into(),
            kind,
        }
    }

    /// Translates an SDK error.
    pub fn from_sdk<E, R>(attempted: String, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug + 'static,
        SdkError<E, R>: ProvideErrorMetadata + RequestId,
    {
        let code = error.code();
        let kind = match error {
            SdkError::ServiceError(_) => kind_of_code(code),
            SdkError::DispatchFailure(failure) if failure.is_io() || failure.is_timeout() => {
                S3ErrorKind::Unreachable
            }
            SdkError::TimeoutError(_) => S3ErrorKind::Unreachable,
            _ => kind_of_text(&chain(error)),
        };
        let reason = match (code, error.message()) {
            (Some(code), Some(message)) if !message.is_empty() => format!("{message} ({code})"),
            (Some(code), _) => code.to_owned(),
            // A missing credential is explained provider by provider, a line each: the first says it.
            _ => chain(error)
                .lines()
                .next()
                .unwrap_or_default()
                .trim_end_matches(". Attempted:")
                .to_owned(),
        };
        Self {
            attempted,
            reason,
            kind,
        }
    }
}

fn kind_of_code(code: Option<&str>) -> S3ErrorKind {
    match code.unwrap_or_default() {
        "NoSuchBucket" => S3ErrorKind::NoSuchBucket,
        "NoSuchKey" | "NotFound" | "NoSuchVersion" | "NoSuchUpload" => S3ErrorKind::NotFound,
        "AccessDenied" | "Forbidden" | "AllAccessDisabled" => S3ErrorKind::AccessDenied,
        "InvalidAccessKeyId"
        | "NotSignedUp"
        | "SignatureDoesNotMatch"
        | "ExpiredToken"
        | "InvalidToken"
        | "TokenRefreshRequired" => S3ErrorKind::Credentials,
        "RequestTimeTooSkewed" => S3ErrorKind::Clock,
        "PermanentRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException"
        | "MovedPermanently" => S3ErrorKind::Region,
        "PreconditionFailed" | "ConditionalRequestConflict" => S3ErrorKind::Precondition,
        "SlowDown" | "ServiceUnavailable" | "InternalError" | "RequestTimeout" => {
            S3ErrorKind::Unreachable
        }
        "InvalidObjectState" => S3ErrorKind::Archived,
        _ => S3ErrorKind::Other,
    }
}

/// Failures before a request leaves the machine carry no code, only words.
fn kind_of_text(text: &str) -> S3ErrorKind {
    let text = text.to_ascii_lowercase();
    if text.contains("region must be set") || text.contains("missingregion") {
        S3ErrorKind::Region
    } else if text.contains("credential") || text.contains("identity") {
        S3ErrorKind::Credentials
    } else if text.contains("connect") || text.contains("dns") || text.contains("timed out") {
        S3ErrorKind::Unreachable
    } else {
        S3ErrorKind::Other
    }
}

/// An error and its causes on one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
