//! Killed at any moment, a night is made good by the next run, as if nothing had happened.

use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::support::command::{BINARY, environment, text};
use crate::support::events::{ADA, small_lake};
use crate::support::{Lake, NOW, Server, tables, traces};

const POLL: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the night until it has sent `mutations` requests that change something, then kills it. Answers
/// whether it was killed before its end.
fn run_and_kill(lake: &Lake, server: &Server, mutations: usize) -> bool {
    let mut run = start(lake, server);
    let deadline = Instant::now() + PATIENCE;
    loop {
        if run.try_wait().unwrap().is_some() {
            return false;
        }
        if server.mutations().len() >= mutations {
            run.kill().unwrap();
            return !run.wait().unwrap().success();
        }
        assert!(Instant::now() < deadline, "the run hangs");
        sleep(POLL);
    }
}

fn start(lake: &Lake, server: &Server) -> Child {
    Command::new(BINARY)
        .env_clear()
        .envs(environment())
        .args(["run", "--dir", text(&lake.dir()), "--now", NOW])
        .args(["--endpoint", &server.endpoint])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Kills a night of a lake made by `make` after each of `moments` (in percent of its mutations), and holds
/// what the next run makes of it against a night that was left alone. `subject` has asked to be erased.
#[track_caller]
fn survives_kills(make: fn() -> Lake, subject: &str, moments: &[usize]) {
    let undisturbed = make();
    let server = Server::of(&undisturbed, NOW);
    let run = ["run", "--output", "json"];
    server.command(&undisturbed, NOW, &run).json();
    let total = server.mutations().len();
    let expected = tables::all_rows(&undisturbed);
    let funnel = tables::funnel(&undisturbed);

    let mut killed = 0;
    for moment in moments {
        let lake = make();
        let server = Server::of(&lake, NOW);
        killed += usize::from(run_and_kill(&lake, &server, 1 + total * moment / 100));
        let report = server.command(&lake, NOW, &run).json();
        assert_eq!(report["failures"], serde_json::json!([]), "{moment} %");
        // What the killed run left over may wait for one more night, but nothing else may.
        let plan = server
            .command(&lake, NOW, &["plan", "--output", "json"])
            .json();
        let mut left = plan["steps"].as_array().unwrap().iter();
        assert!(
            left.all(|step| step["action"] == "purge"),
            "{moment} %: {plan}"
        );
        if plan["steps"] != serde_json::json!([]) {
            server.command(&lake, NOW, &run).json();
        }
        drop(server);
        lake.expect_nothing_to_do(NOW);
        assert_eq!(tables::all_rows(&lake), expected, "{moment} %");
        assert_eq!(tables::funnel(&lake), funnel, "{moment} %");
        assert_eq!(lake.request_states(NOW), ["certified"], "{moment} %");
        let left = traces::mentioning(&lake.s3(), subject);
        assert!(left.is_empty(), "{moment} %: {left:?}");
        let table = tables::table(&lake, "cart");
        let live = tables::live_files(&table).into_keys().collect();
        assert_eq!(
            tables::stored_files(&table),
            live,
            "{moment} %: nothing is left over"
        );
    }
    assert!(
        killed > moments.len() / 2,
        "{killed} of {} were killed",
        moments.len()
    );
}

fn small_lake_with_a_request() -> Lake {
    let lake = small_lake();
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    lake
}

#[test]
fn while_it_compacts() {
    survives_kills(small_lake_with_a_request, ADA, &[3, 13, 25]);
}

#[test]
fn while_it_erases() {
    survives_kills(small_lake_with_a_request, ADA, &[36, 47, 58]);
}

#[test]
fn while_it_retains_curates_purges_and_certifies() {
    survives_kills(small_lake_with_a_request, ADA, &[69, 82, 95]);
}

#[test]
fn with_the_demo_lake() {
    survives_kills(Lake::prepared, lakewarden::demo::SUBJECT_ERASED, &[45]);
}
