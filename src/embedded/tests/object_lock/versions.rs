//! What keeps a version, and how that may change.

use aws_sdk_s3::types::{
    Delete, ObjectIdentifier, ObjectLockLegalHoldStatus as Hold, ObjectLockMode,
    ObjectLockRetention,
};

use super::{BUCKET, COMPLIANCE, GOVERNANCE, Vault, retention, sdk_time};

#[tokio::test]
async fn a_retained_version_goes_only_when_its_time_has_come() {
    for mode in [GOVERNANCE, COMPLIANCE] {
        let vault = Vault::new().await;
        let until = "2024-03-01T12:00:00Z";
        let version = vault.put_retained("k", mode, until).await;
        assert_eq!(vault.retention("k").await, format!("{mode} {until}"));
        assert_eq!(vault.delete("k", &version, false).await, "AccessDenied");

        vault.set_clock("2024-03-01T11:59:59Z");
        let vault = vault.reopened();
        assert_eq!(vault.delete("k", &version, false).await, "AccessDenied");
        assert_eq!(vault.lake.get("k").await.unwrap(), b"1");
        vault.set_clock(until);
        assert_eq!(vault.delete("k", &version, false).await, "ok");
        assert_eq!(vault.lake.versions().await, []);
    }
}

#[tokio::test]
async fn markers_come_and_go_over_a_locked_version() {
    let vault = Vault::new().await;
    let version = vault
        .put_retained("k", COMPLIANCE, "2030-01-01T00:00:00Z")
        .await;
    vault.lake.delete("k", None).await;
    assert_eq!(vault.lake.get("k").await.unwrap_err(), "NoSuchKey");
    let kept = vault.lake.get_version("k", Some(&version)).await;
    assert_eq!(kept.unwrap(), b"1");
    let versions = vault.lake.versions().await;
    let (_, marker, _, _) = versions.iter().find(|entry| entry.2).unwrap();
    assert_eq!(vault.delete("k", marker, false).await, "ok");
    assert_eq!(vault.lake.get("k").await.unwrap(), b"1");
    // A newer version is no more locked than it asks to be.
    let newer = vault.lake.put("k", b"2").await;
    assert_eq!(vault.delete("k", &newer, false).await, "ok");
}

#[tokio::test]
async fn only_governance_gives_way_to_a_bypass() {
    let vault = Vault::new().await;
    let until = "2030-01-01T00:00:00Z";
    let governed = vault.put_retained("g", GOVERNANCE, until).await;
    let complied = vault.put_retained("c", COMPLIANCE, until).await;
    assert_eq!(vault.delete("g", &governed, false).await, "AccessDenied");
    assert_eq!(vault.delete("g", &governed, true).await, "ok");
    assert_eq!(vault.delete("c", &complied, true).await, "AccessDenied");
    assert_eq!(vault.lake.keys().await, ["c"]);
}

#[tokio::test]
async fn a_batch_tells_of_each_locked_version() {
    let vault = Vault::new().await;
    let until = "2030-01-01T00:00:00Z";
    let governed = vault.put_retained("g", GOVERNANCE, until).await;
    let complied = vault.put_retained("c", COMPLIANCE, until).await;
    let free = vault.lake.put("free", b"1").await;
    let batch = async |bypass: bool| {
        let named = |key: &str, version: &str| {
            let named = ObjectIdentifier::builder().key(key);
            named.version_id(version).build().unwrap()
        };
        let batch = Delete::builder()
            .objects(named("c", &complied))
            .objects(named("free", &free))
            .objects(named("g", &governed));
        let request = vault.client().delete_objects().bucket(BUCKET);
        let request = request.delete(batch.build().unwrap());
        let request = request.bypass_governance_retention(bypass);
        let done = request.send().await.unwrap();
        let mut outcomes = Vec::new();
        for error in done.errors() {
            let (key, code) = (error.key().unwrap(), error.code().unwrap());
            outcomes.push(format!("{key} {code}"));
        }
        for deleted in done.deleted() {
            outcomes.push(deleted.key().unwrap().to_owned());
        }
        outcomes
    };
    let outcomes = batch(false).await;
    assert_eq!(outcomes, ["c AccessDenied", "g AccessDenied", "free"]);
    let outcomes = batch(true).await;
    assert_eq!(outcomes, ["c AccessDenied", "free", "g"]);
}

#[tokio::test]
async fn compliance_is_extended_and_never_weakened() {
    let vault = Vault::new().await;
    let until = "2025-01-01T00:00:00Z";
    vault.put_retained("k", COMPLIANCE, until).await;
    let nothing = || ObjectLockRetention::builder().build();
    for bypass in [false, true] {
        let shorter = retention(COMPLIANCE, "2024-12-31T23:59:59Z");
        assert_eq!(vault.retain("k", shorter, bypass).await, "AccessDenied");
        let weaker = retention(GOVERNANCE, "2030-01-01T00:00:00Z");
        assert_eq!(vault.retain("k", weaker, bypass).await, "AccessDenied");
        assert_eq!(vault.retain("k", nothing(), bypass).await, "AccessDenied");
    }
    assert_eq!(vault.retention("k").await, format!("{COMPLIANCE} {until}"));
    let same = retention(COMPLIANCE, until);
    assert_eq!(vault.retain("k", same, false).await, "ok");
    let longer = retention(COMPLIANCE, "2025-01-01T00:00:00.001Z");
    assert_eq!(vault.retain("k", longer, false).await, "ok");
    let vault = vault.reopened();
    let told = vault.retention("k").await;
    assert_eq!(told, format!("{COMPLIANCE} 2025-01-01T00:00:00.001Z"));

    // Once it has run out, it is nobody's any more.
    vault.set_clock("2025-01-02T00:00:00Z");
    assert_eq!(vault.retain("k", nothing(), false).await, "ok");
    assert_eq!(vault.retention("k").await, "NoSuchObjectLockConfiguration");
}

#[tokio::test]
async fn governance_is_weakened_by_a_bypass_alone() {
    let vault = Vault::new().await;
    let version = vault
        .put_retained("k", GOVERNANCE, "2025-01-01T00:00:00Z")
        .await;
    let longer = retention(GOVERNANCE, "2026-01-01T00:00:00Z");
    assert_eq!(vault.retain("k", longer, false).await, "ok");
    let weaker = [
        retention(GOVERNANCE, "2025-01-01T00:00:00Z"),
        retention(COMPLIANCE, "2026-01-01T00:00:00Z"),
        ObjectLockRetention::builder().build(),
    ];
    for wanted in &weaker {
        let outcome = vault.retain("k", wanted.clone(), false).await;
        assert_eq!(outcome, "AccessDenied");
    }
    let [shorter, _, nothing] = weaker;
    assert_eq!(vault.retain("k", shorter, true).await, "ok");
    let told = vault.retention("k").await;
    assert_eq!(told, format!("{GOVERNANCE} 2025-01-01T00:00:00Z"));
    assert_eq!(vault.retain("k", nothing, true).await, "ok");
    assert_eq!(vault.delete("k", &version, false).await, "ok");
}

#[tokio::test]
async fn a_legal_hold_stands_beside_retention() {
    let vault = Vault::new().await;
    let until = "2024-03-01T00:00:00Z";
    let version = vault.put_retained("k", GOVERNANCE, until).await;
    assert_eq!(vault.hold_of("k").await, "NoSuchObjectLockConfiguration");
    vault.hold("k", &version, Hold::On).await;
    assert_eq!(vault.delete("k", &version, true).await, "AccessDenied");
    assert_eq!(vault.retention("k").await, format!("{GOVERNANCE} {until}"));

    vault.set_clock("2024-04-01T00:00:00Z");
    let vault = vault.reopened();
    assert_eq!(vault.hold_of("k").await, "ON");
    assert_eq!(vault.delete("k", &version, false).await, "AccessDenied");
    vault.set_clock("2024-02-29T12:00:00Z");
    vault.hold("k", &version, Hold::Off).await;
    assert_eq!(vault.hold_of("k").await, "OFF");
    assert_eq!(vault.delete("k", &version, false).await, "AccessDenied");
    assert_eq!(vault.delete("k", &version, true).await, "ok");
}

#[tokio::test]
async fn reading_an_object_tells_its_lock() {
    let vault = Vault::new().await;
    let until = "2025-01-01T00:00:00.5Z";
    let version = vault.put_retained("k", GOVERNANCE, until).await;
    vault.hold("k", &version, Hold::On).await;
    let head = vault.client().head_object().bucket(BUCKET).key("k");
    let head = head.send().await.unwrap();
    let got = vault.client().get_object().bucket(BUCKET).key("k");
    let got = got.send().await.unwrap();
    let governance = Some(&ObjectLockMode::Governance);
    assert_eq!(head.object_lock_mode(), governance);
    assert_eq!(got.object_lock_mode(), governance);
    let until = sdk_time(until);
    assert_eq!(head.object_lock_retain_until_date(), Some(&until));
    assert_eq!(got.object_lock_retain_until_date(), Some(&until));
    assert_eq!(head.object_lock_legal_hold_status(), Some(&Hold::On));
    assert_eq!(got.object_lock_legal_hold_status(), Some(&Hold::On));
}
