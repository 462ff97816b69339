//! Certificates of erasure: what they say, that they hold, and that nothing that was changed does.

use std::fs;
use std::path::PathBuf;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::killed::run_and_kill;
use crate::support::command::text;
use crate::support::events::{ADA, BOB, small_lake};
use crate::support::lake::LAKE_BUCKET;
use crate::support::{Lake, NOW, Server, traces};

const NOWHERE: [PathBuf; 0] = [];
const CERTIFICATES: &str = "system/erasure/certificates";
const FIRST: &str = "system/audit/0000000001.json";
const SECOND: &str = "system/audit/0000000002.json";

/// A small lake whose policy names a recipient.
fn lake_with_a_recipient() -> Lake {
    let lake = small_lake();
    let recipients = "erasure: { recipients: [Snowflake] }\nkey:";
    lake.change_policy("lake.yaml", "key:", recipients);
    lake
}

fn certified(lake: &Lake) -> String {
    let id = lake.request_erasure(NOW, &format!("user_id={ADA}"));
    lake.run(NOW);
    id
}

#[test]
fn it_says_what_was_done_and_who_still_has_to_act() {
    let lake = lake_with_a_recipient();
    let file = ["erase", "add", "--output", "json", "--identifier"];
    let ada = format!("user_id={ADA}");
    let said = [
        "--reference",
        "DSR <7>",
        "--identity-checked",
        "Eve",
        "--approved-by",
        "Dan",
    ];
    let arguments: Vec<&str> = file.into_iter().chain([&*ada]).chain(said).collect();
    let filed = lake.command(NOW, &arguments).json();
    let id = filed[0]["id"].as_str().unwrap();
    let show = ["erase", "certificate", id];
    lake.command(NOW, &show)
        .refused(2, &["has no certificate", "received"]);
    let why = ["erase", "extend", id, "--reason", "many systems"];
    lake.command(NOW, &why).expect_exit(0);
    lake.run(NOW);

    let outcome = lake.command(NOW, &show);
    outcome.does_not_mention(ADA);
    assert!(outcome.stderr.contains("audit log (entry 1) hold"));
    assert!(outcome.stderr.contains("Snowflake has not acknowledged"));
    let certificate = outcome.json();
    assert_eq!(certificate["reference"], "DSR <7>");
    assert_eq!(certificate["identity_checked_by"], "Eve");
    assert_eq!(certificate["approved_by"], "Dan");
    assert_eq!(certificate["deadline"], "2027-02-20T03:00:00Z");
    assert_eq!(certificate["extended"]["reason"], "many systems");
    assert_eq!(certificate["in_time"], true);
    let states = certificate["history"].as_array().unwrap().iter();
    let states: Vec<&str> = states
        .map(|passed| passed["state"].as_str().unwrap())
        .collect();
    let life = [
        "received",
        "planned",
        "erased",
        "purged",
        "verified",
        "certified",
    ];
    assert_eq!(states, life);
    assert_eq!(certificate["tables"]["cart"]["rows"], 2);
    assert_eq!(certificate["tables"]["cart"]["quarantined"], 1);
    assert_eq!(certificate["erased"]["rows"], 8);
    assert_eq!(certificate["exceptions"], json!([]));
    let recipients = json!([{"name": "Snowflake", "acknowledged": null}]);
    assert_eq!(certificate["recipients"], recipients);
    expect_manifests(&certificate);

    let told = [
        "erase",
        "acknowledge",
        id,
        "--recipient",
        "Snowflake",
        "--by",
        "Kim",
    ];
    lake.command(NOW, &told).expect_exit(0);
    let after = lake.command(NOW, &show);
    assert!(!after.stderr.contains("acknowledged"), "{}", after.stderr);
    assert_eq!(after.stdout, outcome.stdout, "a certificate stays as it is");
    lake.expect_nothing_to_do(NOW);
}

fn expect_manifests(certificate: &Value) {
    let manifests = certificate["manifests"].as_array().unwrap();
    let tables: Vec<&str> = manifests
        .iter()
        .map(|manifest| manifest["table"].as_str().unwrap())
        .collect();
    let changed = [
        "cart",
        "payment",
        "post_purchase",
        "product",
        "booking_funnel_daily",
    ];
    assert_eq!(tables, changed);
    let days = json!(["2026-11-18", "2026-11-19"]);
    assert_eq!(manifests[0]["days"], days);
    assert_eq!(manifests[0]["rows"], 2);
    assert_eq!(manifests[0]["location"], "s3://acme-lake/events/cart/");
    let by_identifier = json!({
        "sql": "DELETE FROM \"cart\" WHERE (\"userId\" = ?) AND \"_event_time\" <= '2026-11-20T03:00:00Z';",
        "bind": ["user_id"],
    });
    assert_eq!(manifests[0]["by_identifier"], by_identifier);
    assert_eq!(manifests[4]["days"], days);
    assert_eq!(manifests[4]["by_identifier"], Value::Null);
    assert_eq!(
        manifests[4]["by_day"],
        "DELETE FROM \"booking_funnel_daily\" WHERE \"event_date\" IN ('2026-11-18', '2026-11-19');"
    );
}

#[test]
fn anybody_can_check_the_files_that_it_is_written_into() {
    let lake = small_lake();
    let id = certified(&lake);
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("new");
    let outcome = lake.command(NOW, &["erase", "certificate", &id, "--to", text(&to)]);
    outcome.expect_exit(0);
    assert_eq!(outcome.stdout, "");
    let read = |ending: &str| fs::read(to.join(format!("{id}.{ending}"))).unwrap();
    let stored =
        |ending: &str| fs::read(lake.lake_file(&format!("{CERTIFICATES}/{id}.{ending}"))).unwrap();
    assert_eq!(read("json"), stored("json"));
    assert_eq!(read("html"), stored("html"));
    let pem = String::from_utf8(read("pem")).unwrap();
    let key_info = BASE64.decode(pem.lines().nth(1).unwrap()).unwrap();
    let public_key = &key_info[key_info.len() - 32..];
    let signature = read("sig");
    assert_eq!(signature.len(), 64);
    let key = UnparsedPublicKey::new(&ED25519, public_key);
    key.verify(&read("json"), &signature).unwrap();
    assert!(key.verify(&read("html"), &signature).is_err());

    assert_eq!(traces::mentioning(folder.path(), ADA), NOWHERE);
    assert_eq!(traces::mentioning(&lake.lake_file("system"), ADA), NOWHERE);
    let page = lake.command(NOW, &["erase", "certificate", &id, "--html"]);
    assert_eq!(page.expect_exit(0).stdout.as_bytes(), stored("html"));
    assert!(page.stdout.contains("no trace of the subject was found"));
}

#[test]
fn nothing_that_was_changed_is_believed() {
    let (lake, earlier, later) = two_certified();
    // Which file, what stands in it, what then does, whose certificate is asked for, what is said.
    let changes = [
        (
            of(&earlier, "json"),
            "\"in_time\": true",
            "\"in_time\": false",
            &earlier,
            "JSON file is not the one",
        ),
        (
            of(&earlier, "html"),
            "Certificate",
            "certificate",
            &earlier,
            "page is not the one",
        ),
        (
            of(&earlier, "signature.json"),
            "\"signature\": \"",
            "\"signature\": \"AAAA",
            &earlier,
            "signature",
        ),
        (
            of(&earlier, "signature.json"),
            "\"Ed25519\"",
            "\"none\"",
            &earlier,
            "public key",
        ),
        (
            FIRST.into(),
            "\"run\": \"",
            "\"run\": \"x",
            &later,
            "entry 2 does not follow from entry 1",
        ),
        (
            SECOND.into(),
            "\"certificate_sha256\": \"",
            "\"certificate_sha256\": \"0",
            &later,
            "another digest",
        ),
        (
            SECOND.into(),
            "\"page_sha256\": \"",
            "\"page_sha256\": \"0",
            &later,
            "digest of its page",
        ),
        (
            SECOND.into(),
            "\"public_key\": \"",
            "\"public_key\": \"0",
            &later,
            "another key",
        ),
    ];
    for (file, from, to, asked, said) in changes {
        let lake = lake.another();
        let whole = fs::read_to_string(lake.lake_file(&file)).unwrap();
        assert!(whole.contains(from), "{from} is not in {file}");
        let tampered = whole.replacen(from, to, 1);
        lake.store(NOW).put(LAKE_BUCKET, &file, tampered);
        lake.command(NOW, &["erase", "certificate", asked])
            .refused(1, &[said]);
    }
}

/// A lake with two certificates; their requests in the order of the audit log.
fn two_certified() -> (Lake, String, String) {
    let lake = small_lake();
    let ada = lake.request_erasure(NOW, &format!("user_id={ADA}"));
    let bob = lake.request_erasure(NOW, &format!("user_id={BOB}"));
    lake.run(NOW);
    let first = fs::read(lake.lake_file(FIRST)).unwrap();
    let first: Value = serde_json::from_slice(&first).unwrap();
    for id in [&ada, &bob] {
        let show = ["erase", "certificate", id];
        lake.command(NOW, &show).expect_exit(0);
    }
    if first["request"] == *ada {
        (lake, ada, bob)
    } else {
        (lake, bob, ada)
    }
}

fn of(id: &str, ending: &str) -> String {
    format!("{CERTIFICATES}/{id}.{ending}")
}

#[test]
fn a_certificate_with_missing_or_foreign_files_is_not_believed() {
    let (lake, earlier, later) = two_certified();
    for (file, asked, said) in [
        (
            of(&earlier, "json"),
            &earlier,
            "there is no s3://acme-lake/system/erasure/certificates/",
        ),
        (of(&earlier, "html"), &earlier, "is not whole"),
        (of(&earlier, "signature.json"), &earlier, "is not whole"),
        (FIRST.into(), &later, "entry 1 is missing"),
        (SECOND.into(), &later, "no entry for it"),
    ] {
        let lake = lake.another();
        lake.store(NOW).remove_all(LAKE_BUCKET, &file);
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("new");
        lake.command(NOW, &["erase", "certificate", asked, "--to", text(&to)])
            .refused(1, &[said]);
        assert!(!to.exists(), "nothing is written of what does not hold");
    }
    let swapped = lake.another();
    for ending in ["json", "html", "signature.json"] {
        let other = fs::read(lake.lake_file(&of(&later, ending))).unwrap();
        swapped
            .store(NOW)
            .put(LAKE_BUCKET, &of(&earlier, ending), other);
    }
    swapped
        .command(NOW, &["erase", "certificate", &earlier])
        .refused(1, &["another request"]);
}

#[test]
fn no_certificate_is_added_to_a_log_that_is_not_whole() {
    let lake = small_lake();
    certified(&lake);
    lake.store(NOW)
        .put(LAKE_BUCKET, "system/audit/0000000001.json", "{}");
    lake.request_erasure(NOW, &format!("user_id={BOB}"));
    let outcome = lake.command(NOW, &["run"]);
    outcome.expect_exit(1);
    assert!(
        outcome.stdout.contains("audit log is not whole"),
        "{}",
        outcome.stdout
    );
    assert!(lake.request_states(NOW).contains(&"erased".to_owned()));
}

#[test]
fn rows_that_a_law_wants_kept_are_exceptions_with_an_end() {
    let lake = small_lake();
    let redact = "on_erasure: redact\n  redact: { userId: hash, sessionId: null, cartId: null, paymentId: null }\n  \
                  legal_minimum: { keep: 90 days, reason: chargebacks }";
    lake.change_policy("datasets/payment.yaml", "on_erasure: delete", redact);
    let id = certified(&lake);
    let certificate = lake.command(NOW, &["erase", "certificate", &id]).json();
    let exceptions = json!([{
        "table": "payment", "rows": 2, "basis": "chargebacks", "pseudonymised_until": "2027-02-17",
    }]);
    assert_eq!(certificate["exceptions"], exceptions);
    let page = lake.command(NOW, &["erase", "certificate", &id, "--html"]);
    assert!(
        page.stdout
            .contains("<td>chargebacks</td><td>2027-02-17</td>")
    );
}

/// A run is killed before one of its last requests that change something: the draft, the log's entry, the
/// request. The next one finishes it, and there is one certificate.
#[test]
fn a_kill_while_it_is_issued_leaves_one_certificate() {
    let calm = small_lake();
    calm.request_erasure(NOW, &format!("user_id={ADA}"));
    let mutations = {
        let lake = calm.another();
        let server = Server::of(&lake, NOW);
        server.command(&lake, NOW, &["run"]).expect_exit(0);
        server.mutations().len()
    };
    let mut killed = 0;
    for left in [8, 6, 5, 4] {
        let lake = calm.another();
        let server = Server::of(&lake, NOW);
        killed += usize::from(run_and_kill(&lake, &server, NOW, mutations - left));
        server.command(&lake, NOW, &["run"]).expect_exit(0);
        drop(server);
        assert_eq!(lake.request_states(NOW), ["certified"], "{left}");
        let listed = lake
            .command(NOW, &["erase", "list", "--output", "json"])
            .json();
        let id = listed[0]["id"].as_str().unwrap();
        lake.command(NOW, &["erase", "certificate", id])
            .expect_exit(0);
        let log = traces::files(&lake.lake_file("system/audit"));
        assert_eq!(
            log,
            [lake.lake_file("system/audit/0000000001.json")],
            "{left}"
        );
        let store = lake.store(NOW);
        let certificates = store.versions(LAKE_BUCKET, &format!("{CERTIFICATES}/{id}.json"));
        assert_eq!(certificates.len(), 1, "{left}: written once");
        drop(store);
        lake.expect_nothing_to_do(NOW);
    }
    assert!(killed > 1, "{killed} were killed");
}
