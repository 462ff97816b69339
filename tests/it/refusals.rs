//! What is refused, with which exit code, and whether a person can tell what to do.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use lakewarden::lake::key::Key;
use tempfile::TempDir;

use crate::support::command::{lakewarden, lakewarden_with, text};
use crate::support::{Lake, NOW, Server};

#[test]
fn wrong_policies_are_told_with_file_and_line() {
    let lake = Lake::empty();
    lake.change_policy(
        "datasets/cart.yaml",
        "target_file_size: 256 MiB",
        "target_file_size: 256 parsecs",
    );
    lake.change_policy("datasets/product.yaml", "retention:", "retentoin:");
    let line = |path: &str, part: &str| {
        let text = fs::read_to_string(lake.policy(path)).unwrap();
        let index = text.lines().position(|line| line.contains(part)).unwrap();
        format!("{path}:{}", index + 1)
    };
    let places = [
        line("datasets/cart.yaml", "parsecs"),
        line("datasets/product.yaml", "retentoin"),
    ];
    let words = [&*places[0], &*places[1], "retention"];
    for command in [
        &["policy", "check"][..],
        &["plan"],
        &["run"],
        &["erase", "list"],
    ] {
        lake.command(NOW, command).refused(3, &words);
    }
}

#[test]
fn good_policies_pass_the_check() {
    let repository = concat!(env!("CARGO_MANIFEST_DIR"), "/policies");
    lakewarden(&["policy", "check", "--policies", repository]).expect_exit(0);
    let lake = Lake::empty();
    lake.command(NOW, &["policy", "check"]).expect_exit(0);
}

#[test]
fn a_forgotten_pii_section_is_an_error() {
    let lake = Lake::empty();
    let policy = lake.policy("datasets/cart.yaml");
    let text = fs::read_to_string(&policy).unwrap();
    fs::write(policy, &text[..text.find("pii:").unwrap()]).unwrap();
    lake.command(NOW, &["run"])
        .refused(3, &["datasets/cart.yaml", "pii"]);
}

#[test]
fn a_missing_bucket_is_named() {
    let lake = Lake::empty();
    lake.change_policy(
        "datasets/cart.yaml",
        "s3://acme-cart-events/",
        "s3://acme-nowhere-events/",
    );
    lake.command(NOW, &["run"])
        .refused(4, &["acme-nowhere-events", "hint: create the bucket"]);
}

#[test]
fn a_wrong_secret_is_told_as_wrong_credentials() {
    let lake = Lake::empty();
    let server = Server::of(&lake, NOW);
    let dir = lake.dir();
    let arguments = ["plan", "--dir", text(&dir), "--endpoint", &server.endpoint];
    lakewarden_with(&arguments, &[("AWS_SECRET_ACCESS_KEY", "another")], "")
        .refused(4, &["hint: set AWS_ACCESS_KEY_ID"])
        .does_not_mention("another");
}

#[test]
fn without_credentials_the_hint_says_where_they_come_from() {
    let lake = Lake::empty();
    let server = Server::of(&lake, NOW);
    let dir = lake.dir();
    let outcome = assert_cmd::Command::new(crate::support::command::BINARY)
        .env_clear()
        .env("HOME", "/nonexistent")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .args(["plan", "--dir", text(&dir), "--endpoint", &server.endpoint])
        .output()
        .unwrap();
    assert_eq!(outcome.status.code(), Some(4));
    let said = String::from_utf8(outcome.stderr).unwrap();
    assert!(said.contains("hint: set AWS_ACCESS_KEY_ID"), "{said}");
}

#[test]
fn an_endpoint_where_nothing_listens_is_unreachable() {
    let lake = Lake::empty();
    // Bound and let go, so that nothing listens there.
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let endpoint = format!("http://{free}");
    let dir = lake.dir();
    let arguments = ["plan", "--dir", text(&dir), "--endpoint", &endpoint];
    lakewarden_with(&arguments, &[("AWS_MAX_ATTEMPTS", "1")], "")
        .refused(4, &["hint: check --endpoint"]);
}

#[test]
fn aws_without_a_region_says_so() {
    let lake = Lake::empty();
    let policies = lake.dir().join("policies");
    lakewarden(&["plan", "--policies", text(&policies)])
        .refused(4, &["region", "hint: set AWS_REGION"]);
}

#[test]
fn a_real_lake_keeps_real_time() {
    let lake = Lake::empty();
    let policies = lake.dir().join("policies");
    let arguments = [
        "run",
        "--policies",
        text(&policies),
        "--endpoint",
        "http://127.0.0.1:9",
        "--now",
        NOW,
    ];
    lakewarden(&arguments).refused(2, &["--now", "--simulated-clock"]);
}

#[test]
fn a_clock_that_the_endpoint_refuses_is_told_and_not_corrected_in_secret() {
    let lake = Lake::empty();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let signed: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&signed);
    // Where it is 2099. It ends with the process.
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let lines = BufReader::new(client.try_clone().unwrap()).lines();
            let head = lines
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty());
            seen.lock()
                .unwrap()
                .extend(head.filter(|line| line.starts_with("x-amz-date:")));
            let error = "<Error><Code>RequestTimeTooSkewed</Code><Message>no</Message></Error>";
            let _ = write!(
                client,
                "HTTP/1.1 403 No\r\nDate: Thu, 01 Jan 2099 00:00:00 GMT\r\nConnection: close\r\n\
                 Content-Length: {}\r\n\r\n{error}",
                error.len()
            );
        }
    });
    let dir = lake.dir();
    for command in ["plan", "run"] {
        let arguments = [command, "--dir", text(&dir), "--endpoint", &endpoint];
        lakewarden(&arguments)
            .refused(4, &["RequestTimeTooSkewed", "correct this machine's clock"]);
    }
    let signed = signed.lock().unwrap();
    assert!(!signed.is_empty());
    let of_2099 = signed.iter().filter(|date| date.contains(": 2099"));
    assert_eq!(of_2099.count(), 0, "{signed:?}");
}

#[test]
fn one_process_at_a_time_has_the_folder() {
    let lake = Lake::empty();
    let _server = Server::of(&lake, NOW);
    lake.command(NOW, &["plan"])
        .refused(4, &["another process has it open"]);
    let dir = lake.dir();
    lakewarden(&["serve-s3", "--dir", text(&dir), "--listen", "127.0.0.1:0"])
        .refused(4, &["another process has it open"]);
}

#[test]
fn the_embedded_server_stays_on_loopback() {
    let lake = Lake::empty();
    let dir = lake.dir();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:9000"] {
        lakewarden(&["serve-s3", "--dir", text(&dir), "--listen", address])
            .refused(2, &["not a loopback address"]);
    }
}

#[test]
fn the_demo_takes_only_a_fresh_folder() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("thesis.txt"), "mine").unwrap();
    lakewarden(&["demo", "--dir", text(folder.path())]).refused(2, &["is not empty"]);
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1);
}

#[test]
fn a_folder_that_is_no_demo_is_refused() {
    let folder = TempDir::new().unwrap();
    lakewarden(&["run", "--dir", text(folder.path())]).refused(2, &["is not a demo folder"]);
}

#[test]
fn a_clock_that_went_back_is_refused() {
    let lake = Lake::after_a_night();
    lake.command("2026-11-20T02:59:59Z", &["run"])
        .refused(6, &["the clock went back"]);
}

#[test]
fn erasures_need_the_key_and_the_right_one() {
    let lake = Lake::prepared();
    let key = lake.dir().join("lakewarden.key");
    let right = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    lake.command(NOW, &["run"]).refused(7, &["lakewarden.key"]);
    fs::write(&key, Key::generate().unwrap()).unwrap();
    lake.command(NOW, &["run"]).refused(7, &["key"]);
    fs::write(&key, right).unwrap();
    lake.run(NOW);
}

#[test]
fn identifiers_that_no_policy_knows_are_refused_and_not_repeated() {
    let lake = Lake::empty();
    for identifier in ["passport=C01X00T47", "C01X00T47", "user_id="] {
        let arguments = ["erase", "add", "--identifier", identifier];
        lake.command(NOW, &arguments)
            .refused(2, &["user_id"])
            .does_not_mention("C01X00T47");
    }
    let arguments = ["erase", "add", "--identifier", "-"];
    lake.command_with(NOW, &arguments, "\n\n")
        .refused(2, &["no identifier"]);
    let arguments = [
        "erase",
        "add",
        "--identifier",
        "user_id=1",
        "--received",
        "2026-11-21",
    ];
    lake.command(NOW, &arguments).refused(2, &["future"]);
    assert_eq!(lake.request_states(NOW), Vec::<String>::new());
}

#[test]
fn a_curated_table_that_breaks_its_check_stays_as_it_was() {
    let lake = Lake::after_a_night();
    let before = crate::support::tables::funnel(&lake);
    lake.change_policy(
        "curated/booking_funnel_daily.yaml",
        "drop_off between 0 and 1",
        "drop_off between 2 and 3",
    );
    lake.change_policy(
        "curated/booking_funnel_daily.sql",
        "SELECT\n    counted.event_date,",
        "SELECT\n\n    counted.event_date,",
    );
    let outcome = lake.command(NOW, &["run"]);
    outcome.expect_exit(1);
    assert!(
        outcome
            .stdout
            .contains("failed: curate-booking_funnel_daily"),
        "{}",
        outcome.stdout
    );
    assert!(
        outcome.stdout.contains("drop_off between 2 and 3"),
        "{}",
        outcome.stdout
    );
    assert_eq!(crate::support::tables::funnel(&lake), before);
}
