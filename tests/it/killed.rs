//! Killed at any moment, a night is made good by the next run, as if nothing had happened.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::support::command::{BINARY, environment, text};
use crate::support::events::{ADA, small_lake};
use crate::support::lake::LAKE_BUCKET;
use crate::support::server::Request;
use crate::support::{Lake, NOW, Server, tables, traces};

const POLL: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_mins(1);

/// Runs the night until it has sent `mutations` requests that change something, then kills it. Answers
/// whether it was killed before its end.
pub fn run_and_kill(lake: &Lake, server: &Server, now: &str, mutations: usize) -> bool {
    let mut run = start(lake, server, now);
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

/// Starts a night.
pub fn start(lake: &Lake, server: &Server, now: &str) -> Child {
    Command::new(BINARY)
        .env_clear()
        .envs(environment())
        .args(["run", "--dir", text(&lake.dir()), "--now", now])
        .args(["--endpoint", &server.endpoint])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Stops a run once the server has seen a request that it `awaits`, does something, and lets the run go on;
/// its exit code.
pub fn meanwhile(
    mut run: Child,
    server: &Server,
    awaits: impl Fn(&Request) -> bool,
    act: impl FnOnce(),
) -> Option<i32> {
    let signal = |name: &str| {
        let pid = run.id().to_string();
        let mut kill = Command::new("kill");
        assert!(kill.args([name, &pid]).status().unwrap().success());
    };
    while !server.mutations().iter().any(&awaits) {
        std::thread::yield_now();
    }
    signal("-STOP");
    act();
    signal("-CONT");
    run.wait().unwrap().code()
}

/// What a night makes that nobody kills.
struct Undisturbed {
    rows: BTreeMap<&'static str, Vec<tables::Row>>,
    funnel: Vec<BTreeMap<String, String>>,
    /// Requests that changed something.
    mutations: usize,
}

fn undisturbed() -> &'static Undisturbed {
    static UNDISTURBED: OnceLock<Undisturbed> = OnceLock::new();
    UNDISTURBED.get_or_init(|| {
        let lake = small_lake_with_a_request();
        let server = Server::of(&lake, NOW);
        server.command(&lake, NOW, &["run"]).expect_exit(0);
        Undisturbed {
            rows: tables::all_rows(&lake),
            funnel: tables::funnel(&lake),
            mutations: server.mutations().len(),
        }
    })
}

/// Kills a night after each of `moments` (in percent of its mutations), and holds what the next run makes
/// of it against a night that was left alone. Ada has asked to be erased.
#[track_caller]
fn survives_kills(moments: &[usize]) {
    let run = ["run", "--output", "json"];
    let expected = undisturbed();
    let mut killed = 0;
    for moment in moments {
        let lake = small_lake_with_a_request();
        let server = Server::of(&lake, NOW);
        killed += usize::from(run_and_kill(
            &lake,
            &server,
            NOW,
            1 + expected.mutations * moment / 100,
        ));
        let report = server.command(&lake, NOW, &run).json();
        assert_eq!(report["failures"], serde_json::json!([]), "{moment} %");
        drop(server);
        lake.expect_nothing_to_do(NOW);
        assert_eq!(tables::all_rows(&lake), expected.rows, "{moment} %");
        assert_eq!(tables::funnel(&lake), expected.funnel, "{moment} %");
        assert_eq!(lake.request_states(NOW), ["certified"], "{moment} %");
        let left = traces::mentioning(&lake.s3(), ADA);
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
    survives_kills(&[3, 13, 25]);
}

#[test]
fn while_it_erases() {
    survives_kills(&[36, 47, 58]);
}

#[test]
fn while_it_retains_curates_purges_and_certifies() {
    survives_kills(&[69, 82, 95]);
}

#[test]
fn with_the_demo_lake() {
    let lake = Lake::prepared();
    let server = Server::of(&lake, NOW);
    assert!(run_and_kill(&lake, &server, NOW, 100), "it was too quick");
    drop(server);
    lake.run(NOW);
    let calm = Lake::after_a_night();
    assert_eq!(tables::all_rows(&lake), tables::all_rows(&calm));
    assert_eq!(tables::funnel(&lake), tables::funnel(&calm));
    assert_eq!(lake.request_states(NOW), ["certified"]);
}

#[test]
fn what_a_killed_run_left_in_quarantine_is_gone_after_the_next() {
    let lake = small_lake();
    let left = format!("{{\"object\":\"x\",\"record\":\"{ADA}\"}}\n");
    lake.store(NOW).put(
        LAKE_BUCKET,
        "quarantine/cart/000000000001-0badcafe.jsonl",
        left,
    );
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    lake.run(NOW);
    lake.expect_nothing_to_do(NOW);
}

#[test]
fn a_run_that_was_killed_at_work_has_left_its_time() {
    let lake = small_lake();
    let server = Server::of(&lake, NOW);
    // The lease, the lease with its time, and the first of its work.
    assert!(run_and_kill(&lake, &server, NOW, 3));
    drop(server);
    lake.command("2026-11-19T03:00:00Z", &["run"])
        .refused(6, &["the clock went back"]);
}
