//! An S3 server over a folder, in the same process: for the demo and for tests.
//!
//! `s3s` does routing, signatures and chunked bodies; the backend here keeps
//! versions, honours conditions and lays current objects out as plain files, so
//! that a person can open them. Clients plug in without a socket:
//!
//! ```ignore
//! let s3 = EmbeddedS3::open(Path::new("demo"))?;
//! let config = aws_sdk_s3::Config::builder()
//!     .endpoint_url(EmbeddedS3::ENDPOINT)
//!     .force_path_style(true)
//!     .http_client(s3.sdk_http_client());
//! ```
//!
//! Hazards: addressing is path style only. A write survives the death of the
//! process at any instant, but nothing is synced to the disk, so not the loss
//! of power. The credentials are fixed and public: listen on loopback only.
//! Lifecycle rules are checked and remembered, and not carried out. Restoring an
//! archived object answers `NotImplemented`.
//!
//! Object Lock goes by the clock that the server was opened with. Server-side
//! encryption is remembered and told, but nothing is encrypted; entity tags are
//! no MD5s with KMS, as S3's are not. Who asks for none is told of none, where
//! S3 would say `AES256`, and a KMS key that is not named has no name.
//!
//! The access log is what shows invariant 6 (a dry run changes nothing) on the
//! wire; the physical removal of deleted versions is what invariant 8 (no
//! trace) is tested against.

pub mod access_log;
mod api;
mod checksums;
mod conditions;
mod gets;
mod store;
mod transport;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;

pub use access_log::{AccessLogEntry, is_mutating};
pub use store::{Clock, OpenError};
pub use transport::{InProcessConnector, InProcessSdkClient};

use access_log::AccessLog;
use gets::Gets;
use store::Store;
use transport::LoggedService;

/// An open folder that answers as S3; clones share it. The folder is released
/// when the last clone and the last client made from one are gone.
#[derive(Debug, Clone)]
pub struct EmbeddedS3 {
    service: LoggedService,
}

/// What can be chosen when a folder is opened.
#[derive(Clone)]
pub struct EmbeddedOptions {
    /// Gives the time of writes, and by it retention ends; the system's clock by
    /// default.
    pub clock: Clock,
    /// A file to append every request to, a line each: `METHOD path?query status`, then bytes received,
    /// sent and copied.
    pub access_log_file: Option<PathBuf>,
    /// How much later than it could every GET begins its answer; zero by default.
    pub get_delay: Duration,
}

#[expect(
    clippy::disallowed_methods,
    reason = "a server outside any run has the system's clock"
)]
impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            clock: Arc::new(chrono::Utc::now),
            access_log_file: None,
            get_delay: Duration::ZERO,
        }
    }
}

impl EmbeddedS3 {
    /// The access key of the only account.
    pub const ACCESS_KEY: &str = "testaccess";
    /// Its secret key; no secret, the server is local.
    pub const SECRET_KEY: &str = "testsecret";
    /// The region to sign for; any other is accepted too.
    pub const REGION: &str = "us-east-1";
    /// An endpoint for clients in the process; it is never connected to.
    pub const ENDPOINT: &str = "http://localhost:9";

    /// Opens the folder `root`, making it where it is missing.
    ///
    /// # Errors
    /// When another process has it open, or it cannot be read or written.
    pub fn open(root: &Path) -> Result<Self, OpenError> {
        Self::open_with(root, EmbeddedOptions::default())
    }

    /// The same, with a clock that gives the time of writes and ends retention.
    pub fn open_with_clock(root: &Path, clock: Clock) -> Result<Self, OpenError> {
        let options = EmbeddedOptions {
            clock,
            ..EmbeddedOptions::default()
        };
        Self::open_with(root, options)
    }

    /// The same, with all that can be chosen.
    pub fn open_with(root: &Path, options: EmbeddedOptions) -> Result<Self, OpenError> {
        let store = Store::open(root, options.clock)?;
        let log = match &options.access_log_file {
            Some(file) => AccessLog::with_file(file)
                .map_err(|source| OpenError::at("open the access log", file, source))?,
            None => AccessLog::default(),
        };
        let mut builder = S3ServiceBuilder::new(api::Backend::new(store));
        builder.set_auth(SimpleAuth::from_single(Self::ACCESS_KEY, Self::SECRET_KEY));
        Ok(Self {
            service: LoggedService {
                service: builder.build(),
                log: Arc::new(log),
                gets: Arc::new(Gets::delayed_by(options.get_delay)),
            },
        })
    }

    /// An HTTP client for `aws_sdk_s3::Config::builder().http_client(..)` that
    /// answers in process.
    pub fn sdk_http_client(&self) -> InProcessSdkClient {
        InProcessSdkClient(self.service.clone())
    }

    /// A connector for `object_store`'s
    /// `AmazonS3Builder::with_http_connector(..)` that answers in process.
    pub fn object_store_connector(&self) -> InProcessConnector {
        InProcessConnector(self.service.clone())
    }

    /// The latest requests of all clients, oldest first; at most
    /// [`access_log::REMEMBERED`].
    pub fn access_log(&self) -> Vec<AccessLogEntry> {
        self.service.log.entries()
    }

    /// The same, and forgets them.
    pub fn drain_access_log(&self) -> Vec<AccessLogEntry> {
        self.service.log.drain()
    }

    /// The most GETs of all clients that were under way at once.
    pub fn most_gets_at_once(&self) -> usize {
        self.service.gets.most_at_once()
    }

    /// Serves HTTP on `listener` until `shutdown` completes; requests under way
    /// get a few seconds to finish.
    ///
    /// It serves whatever address the listener is bound to: since the
    /// credentials are public, the caller has to keep that to loopback.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        transport::serve(self.service.clone(), listener, shutdown).await
    }
}
