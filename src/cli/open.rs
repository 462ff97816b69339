//! From the global arguments to a lake: policies, connection, key and clock.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Exit, Failure, Global};
use crate::embedded::{Clock as EmbeddedClock, EmbeddedOptions, EmbeddedS3};
use crate::lake::clock::{Clock, time_of_day};
use crate::lake::connect::Connection;
use crate::lake::key::{Key, KeyError};
use crate::lake::s3::ReadS3;
use crate::policy::{KeySource, Policies};

/// The file below a demo folder that holds its key.
pub const DEMO_KEY: &str = "lakewarden.key";
/// The folder below a demo folder that holds its policies.
pub const DEMO_POLICIES: &str = "policies";
/// The folder below a demo folder that the embedded server serves.
pub const DEMO_STORE: &str = "s3";

/// A lake as the commands get it.
pub struct Opened {
    /// The policies.
    pub policies: Policies,
    /// The connection.
    pub connection: Connection,
    /// The clock.
    pub clock: Clock,
    /// Where the key comes from.
    key: KeySource,
    /// Whether it is a demo folder, on which everything is allowed.
    pub is_demo: bool,
}

impl Opened {
    /// Opens what `global` names.
    pub async fn open(global: &Global) -> Result<Self, Failure> {
        let clock = clock(global);
        if let Some(dir) = &global.dir {
            return Self::open_demo(global, dir, clock).await;
        }
        if clock.is_simulated() && !global.simulated_clock {
            return Err(Failure::usage(
                "--now on a real lake would hold its rules against another time than the real one",
                "give --simulated-clock too if that is what you want",
            ));
        }
        let policies = Policies::load(&global.policies).map_err(Failure::from_error)?;
        let connection = Connection::remote(global.endpoint.as_deref())
            .await
            .map_err(Failure::from_error)?;
        Ok(Self {
            key: policies.lake.key.clone(),
            policies,
            connection,
            clock,
            is_demo: false,
        })
    }

    /// Opens a demo folder: its own policies and key, on the embedded server or on `--endpoint`.
    pub async fn open_demo(global: &Global, dir: &Path, clock: Clock) -> Result<Self, Failure> {
        let folder = dir.join(DEMO_POLICIES);
        if !folder.is_dir() {
            return Err(Failure::usage(
                format!(
                    "{} is not a demo folder: it has no {DEMO_POLICIES} folder",
                    dir.display()
                ),
                "make one with `lakewarden demo --dir DIR`, or use --policies for a real lake",
            ));
        }
        let policies = Policies::load(&folder).map_err(Failure::from_error)?;
        let connection = match &global.endpoint {
            Some(endpoint) => Connection::remote(Some(endpoint))
                .await
                .map_err(Failure::from_error)?,
            None => Connection::embedded(&embedded(
                &dir.join(DEMO_STORE),
                clock,
                EmbeddedOptions::default(),
            )?),
        };
        Ok(Self {
            key: KeySource::File(dir.join(DEMO_KEY)),
            policies,
            connection,
            clock,
            is_demo: true,
        })
    }

    /// Reads the key.
    pub fn key(&self) -> Result<Key, KeyError> {
        Key::load(&self.key)
    }

    /// A reader.
    pub fn reader(&self) -> ReadS3 {
        ReadS3::new(self.connection.clone())
    }
}

/// The folder with the policies that `global` names.
pub fn policy_folder(global: &Global) -> PathBuf {
    match &global.dir {
        Some(dir) => dir.join(DEMO_POLICIES),
        None => global.policies.clone(),
    }
}

/// The clock that the arguments ask for.
pub fn clock(global: &Global) -> Clock {
    global.now.map_or_else(Clock::system, Clock::simulated)
}

/// Opens a folder as S3. Objects are dated by `clock`, whatever `options` say.
pub fn embedded(
    root: &Path,
    clock: Clock,
    options: EmbeddedOptions,
) -> Result<EmbeddedS3, Failure> {
    let dated: EmbeddedClock = if clock.is_simulated() {
        Arc::new(move || clock.now())
    } else {
        Arc::new(time_of_day)
    };
    let options = EmbeddedOptions {
        clock: dated,
        ..options
    };
    EmbeddedS3::open_with(root, options)
        .map_err(|error| Failure::new(Exit::Storage, error.to_string(), ""))
}
