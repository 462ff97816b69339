//! Two runs at once on one lake: nothing counts twice, nothing is lost.

use std::thread;

use crate::support::events::{ADA, small_lake};
use crate::support::{NOW, Outcome, Server, tables, traces};

/// That a run did its work, or stepped back because another was at it.
fn worked(outcome: &Outcome) -> bool {
    if outcome.exit == 0 {
        return true;
    }
    outcome.refused(6, &["another run holds the lease"]);
    false
}

#[test]
fn of_two_runs_that_start_together_one_works() {
    let alone = small_lake();
    alone.run(NOW);
    for _ in 0..2 {
        let lake = small_lake();
        let server = Server::of(&lake, NOW);
        let run = || server.command(&lake, NOW, &["run"]);
        let (one, other) = thread::scope(|scope| {
            let one = scope.spawn(run);
            (run(), one.join().unwrap())
        });
        let (one, other) = (worked(&one), worked(&other));
        assert!(one || other);
        assert_eq!(tables::all_rows(&lake), tables::all_rows(&alone));
        assert_eq!(tables::funnel(&lake), tables::funnel(&alone));
        let plan = server.command(&lake, NOW, &["plan", "--output", "json"]);
        assert_eq!(plan.json()["steps"], serde_json::json!([]));
    }
}

#[test]
fn a_request_filed_during_a_run_is_carried_out_by_the_next() {
    let lake = small_lake();
    let server = Server::of(&lake, NOW);
    let identifier = format!("user_id={ADA}");
    thread::scope(|scope| {
        let run = scope.spawn(|| server.command(&lake, NOW, &["run"]));
        let filed = server.command(&lake, NOW, &["erase", "add", "--identifier", &identifier]);
        filed.expect_exit(0);
        run.join().unwrap().expect_exit(0);
    });
    server.command(&lake, NOW, &["run"]).expect_exit(0);
    drop(server);
    assert_eq!(lake.request_states(NOW), ["certified"]);
    let left = traces::mentioning(&lake.s3(), ADA);
    assert_eq!(left, Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_dry_run_beside_a_run_does_no_harm() {
    let alone = small_lake();
    alone.request_erasure(NOW, &format!("user_id={ADA}"));
    alone.run(NOW);
    let lake = small_lake();
    lake.request_erasure(NOW, &format!("user_id={ADA}"));
    let server = Server::of(&lake, NOW);
    thread::scope(|scope| {
        let run = scope.spawn(|| server.command(&lake, NOW, &["run"]));
        while !run.is_finished() {
            // It may see a lake on the move; it may not hang or hurt.
            server.command(&lake, NOW, &["plan"]);
        }
        run.join().unwrap().expect_exit(0);
    });
    assert_eq!(tables::all_rows(&lake), tables::all_rows(&alone));
    let plan = server.command(&lake, NOW, &["plan", "--output", "json"]);
    assert_eq!(plan.json()["steps"], serde_json::json!([]));
}
