//! `serve-s3` in a process of its own, which ends with its guard.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};

use tempfile::TempDir;

use super::command::{BINARY, Outcome, environment, lakewarden, text};
use super::lake::Lake;

/// A lake's folder, served on a free port of the loopback address.
pub struct Server {
    process: Child,
    pub endpoint: String,
    log: PathBuf,
    _folder: TempDir,
    /// Kept open, so that the server can go on talking.
    _stderr: BufReader<ChildStderr>,
}

/// One line of the access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// With the query.
    pub path: String,
    pub status: u16,
}

impl Request {
    fn parse(line: &str) -> Self {
        let mut words = line.split(' ');
        Self {
            method: words.next().unwrap().to_owned(),
            path: words.next().unwrap().to_owned(),
            status: words.next().unwrap().parse().unwrap(),
        }
    }

    /// Whether a request of this kind can change anything.
    pub fn is_mutating(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "HEAD")
    }
}

impl Server {
    /// Serves `lake`; objects are dated `now`.
    pub fn of(lake: &Lake, now: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let log = folder.path().join("access.log");
        let mut process = Command::new(BINARY)
            .env_clear()
            .envs(environment())
            .args(["serve-s3", "--listen", "127.0.0.1:0", "--now", now])
            .args(["--dir", text(&lake.dir()), "--access-log", text(&log)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut stderr = BufReader::new(process.stderr.take().unwrap());
        stderr.read_line(&mut said).unwrap();
        let mut words = said.split_whitespace();
        let endpoint = words.find(|word| word.starts_with("http://"));
        let endpoint = endpoint.unwrap_or_else(|| panic!("the server said: {said}"));
        Self {
            endpoint: endpoint.to_owned(),
            process,
            log,
            _folder: folder,
            _stderr: stderr,
        }
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        let log = fs::read_to_string(&self.log).unwrap();
        // The last line may still be on its way.
        let whole = log.rfind('\n').map_or("", |end| &log[..end]);
        whole.lines().map(Request::parse).collect()
    }

    /// Those of them that can change something.
    pub fn mutations(&self) -> Vec<Request> {
        let mut requests = self.requests();
        requests.retain(Request::is_mutating);
        requests
    }

    /// A command on the demo folder of `lake`, by way of this server.
    pub fn command(&self, lake: &Lake, now: &str, arguments: &[&str]) -> Outcome {
        let dir = lake.dir();
        let mut all = vec![
            "--dir",
            text(&dir),
            "--endpoint",
            &self.endpoint,
            "--now",
            now,
        ];
        all.extend(arguments);
        lakewarden(&all)
    }

    /// A command on the lake as a real one: by its policies, with a simulated clock.
    pub fn real(&self, lake: &Lake, now: &str, arguments: &[&str]) -> Outcome {
        let policies = lake.dir().join("policies");
        let mut all = vec!["--policies", text(&policies), "--endpoint", &self.endpoint];
        all.extend(["--now", now, "--simulated-clock"]);
        all.extend(arguments);
        lakewarden(&all)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
