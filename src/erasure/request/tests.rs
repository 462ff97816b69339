use super::*;

const NOW: &str = "2026-11-20T03:00:00Z";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn key(byte: &str) -> Key {
    Key::parse(&byte.repeat(32)).unwrap()
}

fn written() -> Written {
    Written(vec![
        ("user_id".into(), "789456".into()),
        ("email".into(), "Ada@Example.org".into()),
    ])
}

fn request(received: &str) -> Request {
    let policy = ErasurePolicy::default();
    Request::new(
        &key("ab"),
        &policy,
        at(received),
        &written(),
        Filing::default(),
    )
    .unwrap()
}

#[test]
fn the_deadline_is_one_calendar_month_later_or_the_last_day_of_that_month() {
    for (received, deadline) in [
        ("2026-11-20T03:00:00Z", "2026-12-20T03:00:00Z"),
        ("2026-01-31T23:59:59Z", "2026-02-28T23:59:59Z"),
        ("2028-01-31T00:00:00Z", "2028-02-29T00:00:00Z"),
        ("2026-12-31T12:00:00Z", "2027-01-31T12:00:00Z"),
    ] {
        assert_eq!(request(received).deadline, at(deadline), "{received}");
    }
}

#[test]
fn the_deadline_moves_by_two_more_months_once_and_with_a_reason() {
    let mut request = request("2026-11-30T00:00:00Z");
    request.extend("three services at once", at(NOW)).unwrap();
    assert_eq!(request.deadline, at("2027-02-28T00:00:00Z"));
    assert_eq!(
        request.extended.as_ref().unwrap().reason,
        "three services at once"
    );
    assert!(request.extend("again", at(NOW)).is_err());
    assert!(!request.is_overdue(at("2027-02-28T00:00:00Z")));
    assert!(request.is_overdue(at("2027-02-28T00:00:01Z")));
}

#[test]
fn what_is_sealed_opens_with_the_key_it_was_sealed_with() {
    let mut request = request(NOW);
    let linked = BTreeSet::from([Identifier {
        kind: "sessionId".into(),
        text: "s-1".into(),
    }]);
    request.seal(&key("ab"), &written(), &linked).unwrap();
    assert_eq!(request.secrets(&key("ab")).unwrap(), (written(), linked));
    assert_eq!(request.linked_ids, 1);
    assert!(matches!(
        request.secrets(&key("cd")),
        Err(RequestError::Key(KeyError::Changed(_)))
    ));
    let text = serde_json::to_string(&request).unwrap();
    assert!(
        !text.contains("789456") && !text.contains("s-1") && !text.to_lowercase().contains("ada@")
    );
    assert_eq!(format!("{:?}", written()), r#"["user_id", "email"]"#);
}

#[test]
fn a_closed_request_seals_nothing() {
    for close in [Request::cancel, Request::reject] {
        let mut request = request(NOW);
        close(&mut request, "withdrawn", at(NOW)).unwrap();
        assert_eq!(request.sealed, None);
        assert!(!request.state.is_open());
        assert!(close(&mut request, "again", at(NOW)).is_err());
        assert!(request.hold("why", at(NOW)).is_err());
    }
}

#[test]
fn what_has_begun_can_be_held_but_not_cancelled() {
    let mut request = request(NOW);
    request.pass(State::Planned, at(NOW));
    assert!(request.cancel("too late", at(NOW)).is_err());
    request.hold("litigation", at(NOW)).unwrap();
    assert!(request.reject("too late as well", at(NOW)).is_err());
    assert!(request.sealed.is_some());
    request.release(at(NOW)).unwrap();
    assert_eq!((request.state, &request.decision), (State::Planned, &None));
    assert!(request.release(at(NOW)).is_err());
}

#[test]
fn what_was_erased_once_can_be_neither_cancelled_nor_rejected() {
    let mut request = request("2026-11-02T09:00:00Z");
    for state in [State::Planned, State::Erased, State::Received] {
        request.pass(state, at("2026-11-03T03:00:00Z"));
    }
    assert!(
        request
            .cancel("withdrawn", at("2026-11-04T03:00:00Z"))
            .is_err()
    );
    assert!(
        request
            .reject("Art. 17(3)(b)", at("2026-11-04T03:00:00Z"))
            .is_err()
    );
    assert_eq!(request.state, State::Received);
}

#[test]
fn a_hold_does_not_move_the_day_of_erasure() {
    let mut request = request(NOW);
    request.pass(State::Erased, at(NOW));
    request
        .hold("litigation", at("2026-11-21T00:00:00Z"))
        .unwrap();
    request.release(at("2026-11-22T00:00:00Z")).unwrap();
    assert_eq!(
        (request.state, request.erased_at),
        (State::Erased, Some(at(NOW)))
    );
    let states: Vec<State> = request.history.iter().map(|passed| passed.state).collect();
    assert_eq!(
        states,
        [State::Received, State::Erased, State::Held, State::Erased]
    );
}

#[test]
fn requests_of_the_first_format_are_read() {
    let first = r#"{"version":1,"id":"20261120-aa","received":"2026-11-20T03:00:00Z",
        "deadline":"2026-12-20T03:00:00Z","state":"erased","erased_at":"2026-11-20T03:00:00Z",
        "certified_at":null,"subject":[],"key":"k","sealed":null,
        "done":{"rows":3,"files":1,"raw_records":0,"raw_objects":0,"quarantined":0}}"#;
    let request: Request = serde_json::from_str(first).unwrap();
    assert_eq!((request.state, request.done.rows), (State::Erased, 3));
    assert_eq!(request.until(), at(NOW));
}
