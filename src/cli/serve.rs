//! `serve-s3`: a folder as an S3 endpoint on loopback.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::net::TcpListener;

use super::open::{DEMO_POLICIES, DEMO_STORE, clock, embedded};
use super::{Exit, Failure, Global};
use crate::embedded::EmbeddedS3;

/// Arguments of `serve-s3`; the folder is --dir.
#[derive(Debug, clap::Args)]
pub struct Serve {
    /// Address to listen on; loopback only, for the credentials are public.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// Append each request to this file: method, path, status.
    #[arg(long, value_name = "FILE")]
    access_log: Option<PathBuf>,
}

/// Serves until interrupted.
pub async fn main(global: &Global, command: &Serve) -> Result<(), Failure> {
    let Some(dir) = &global.dir else {
        return Err(Failure::usage("serve-s3 needs --dir DIR", ""));
    };
    if !command.listen.ip().is_loopback() {
        return Err(Failure::usage(
            format!("{} is not a loopback address", command.listen),
            "the embedded server's credentials are public; listen on 127.0.0.1",
        ));
    }
    let is_demo = dir.join(DEMO_POLICIES).is_dir();
    let root = if is_demo {
        dir.join(DEMO_STORE)
    } else {
        dir.clone()
    };
    let server = embedded(&root, clock(global), command.access_log.clone())?;
    let failed = |error: std::io::Error| {
        Failure::new(
            Exit::Failed,
            format!("could not listen on {}: {error}", command.listen),
            "",
        )
    };
    let listener = TcpListener::bind(command.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    super::say(&format!(
        "serving {} at http://{address} (AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={}); stop with Ctrl-C",
        root.display(),
        EmbeddedS3::ACCESS_KEY,
        EmbeddedS3::SECRET_KEY
    ));
    server.serve(listener, stopped()).await.map_err(failed)
}

async fn stopped() {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            }
            return;
        }
    }
    // Without a signal to wait for, serve on.
    if interrupted.await.is_err() {
        std::future::pending::<()>().await;
    }
}
