//! `serve-s3`: a folder as an S3 endpoint on loopback.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::net::TcpListener;

use super::open::{DEMO_POLICIES, DEMO_STORE, clock, embedded};
use super::{Exit, Failure, Global};
use crate::embedded::{EmbeddedOptions, EmbeddedS3};

/// Arguments of `serve-s3`; the folder is --dir.
#[derive(Debug, clap::Args)]
pub struct Serve {
    /// Address to listen on; loopback only, for the credentials are public.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// Append each request to this file: method, path, status, bytes received, sent, and copied in the
    /// server.
    #[arg(long, value_name = "FILE")]
    access_log: Option<PathBuf>,
    /// Begin the answer to every GET that much later, as a distant S3 would: 100ms.
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = milliseconds)]
    get_delay: Duration,
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix("ms").and_then(|count| count.parse().ok());
    number
        .map(Duration::from_millis)
        .ok_or_else(|| "it must be in whole milliseconds, like 100ms".to_owned())
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
    let options = EmbeddedOptions {
        access_log_file: command.access_log.clone(),
        get_delay: command.get_delay,
        ..EmbeddedOptions::default()
    };
    let server = embedded(&root, clock(global), options)?;
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
    server.serve(listener, stopped()).await.map_err(failed)?;
    super::say(&format!(
        "at most {} GETs were under way at once",
        server.most_gets_at_once()
    ));
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_names_its_unit() {
        assert_eq!(milliseconds("100ms"), Ok(Duration::from_millis(100)));
        for wrong in ["100", "0.1s", "-1ms", "ms", "1 ms"] {
            assert!(milliseconds(wrong).is_err(), "{wrong}");
        }
    }
}
