use arrow::datatypes::{Field, Fields};

use super::*;
use crate::erasure::request::{Erased, Filing, Written};
use crate::lake::key::Key;
use crate::policy::ErasurePolicy;

const LAKE: &str = "version: 1\nlake: s3://lake/\nkey: { env: KEY }\n";

fn dataset(name: &str, pii: &str) -> (String, String) {
    let text = format!(
        "version: 1\ndataset: {name}\nraw: {{ location: s3://raw-{name}/ }}\nevents: {{ time: t }}\n\
         table: {{ sort_by: [t] }}\nschema: {{ on_new_field: add }}\nretention: {{ keep: 2 years }}\n\
         pii: {pii}\n"
    );
    (format!("datasets/{name}.yaml"), text)
}

fn curated(name: &str, more: &str, query: &str) -> [(String, String); 2] {
    let text = format!(
        "version: 1\ntable: {name}\npartition_by: event_date\nretention: {{ keep: 2 years }}\n{more}"
    );
    [
        (format!("curated/{name}.yaml"), text),
        (format!("curated/{name}.sql"), query.into()),
    ]
}

fn policies(files: impl IntoIterator<Item = (String, String)>) -> Policies {
    let mut all = vec![("lake.yaml".to_owned(), LAKE.to_owned())];
    all.extend(files);
    Policies::parse(&all).unwrap()
}

fn days(days: &[&str]) -> BTreeSet<NaiveDate> {
    days.iter().map(|day| day.parse().unwrap()).collect()
}

/// A request that hit `tables`: name, rows, days.
fn request(identifiers: &[(&str, &str)], tables: &[(&str, u64, &[&str])]) -> Request {
    let key = Key::parse(&"ab".repeat(32)).unwrap();
    let written = identifiers
        .iter()
        .map(|(kind, text)| ((*kind).to_owned(), (*text).to_owned()));
    let mut request = Request::new(
        &key,
        &ErasurePolicy {
            composites: BTreeSet::from(["pass".to_owned()]),
            ..ErasurePolicy::default()
        },
        "2026-11-20T03:00:00Z".parse().unwrap(),
        &Written(written.collect()),
        Filing::default(),
    )
    .unwrap();
    for (name, rows, on) in tables {
        let erased = Erased {
            rows: *rows,
            days: days(on),
            ..Erased::default()
        };
        request.tables.insert((*name).to_owned(), erased);
    }
    request
}

fn columns(table: &str, fields: Vec<Field>) -> BTreeMap<String, SchemaRef> {
    BTreeMap::from([(table.to_owned(), SchemaRef::new(Schema::new(fields)))])
}

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

#[test]
fn an_event_table_is_deleted_from_by_bind_variables_or_by_day() {
    let policies = policies([
        dataset("cart", "{ identifiers: { user_id: [userId] } }"),
        dataset("payment", "{ identifiers: { user_id: [userId] } }"),
    ]);
    let hit: [(&str, u64, &[&str]); 2] = [
        ("cart", 3, &["2026-11-18", "2026-11-19"]),
        ("payment", 0, &[]),
    ];
    let request = request(&[("user_id", "5550001")], &hit);
    let found = manifests(&policies, &request, &columns("cart", vec![text("userId")]));
    let expected = Manifest {
        table: "cart".into(),
        location: "s3://lake/events/cart/".into(),
        days: days(&["2026-11-18", "2026-11-19"]),
        rows: Some(3),
        by_identifier: Some(ByIdentifier {
            sql: "DELETE FROM \"cart\" WHERE (\"userId\" = ?) AND \"_event_time\" <= '2026-11-20T03:00:00Z';"
                .into(),
            bind: vec!["user_id".into()],
        }),
        by_day: "DELETE FROM \"cart\" WHERE \"event_date\" IN ('2026-11-18', '2026-11-19');".into(),
    };
    assert_eq!(found, [expected]);
    let script = found[0].sql();
    assert!(
        script.starts_with("-- Bind the subject's user_id\nDELETE"),
        "{script}"
    );
    assert!(script.contains("load them again from s3://lake/events/cart/\nDELETE"));
    assert!(!script.contains("5550001"));
}

#[test]
fn names_are_quoted_and_kinds_are_compared_as_policies_say() {
    let fields = |paths: &[&[&str]]| IdentifyingFields {
        kind: "kind".into(),
        paths: paths
            .iter()
            .map(|names| FieldPath::from_names(names.iter().copied()))
            .collect(),
    };
    let user = Fields::from(vec![text("the \"id\"")]);
    let list = DataType::new_list(DataType::Utf8, true);
    let schema = Schema::new(vec![
        text("a\"; DROP TABLE b; --"),
        Field::new("user", DataType::Struct(user), true),
        Field::new("users", list, true),
        Field::new("number", DataType::Int64, true),
    ]);
    let sql = |paths: &[&[&str]], compare| condition(&schema, &fields(paths), compare);
    assert_eq!(
        sql(&[&["a\"; DROP TABLE b; --"]], Compare::Text).as_deref(),
        Some(r#""a""; DROP TABLE b; --" = ?"#)
    );
    assert_eq!(
        sql(&[&["user", "the \"id\""]], Compare::IgnoreCase).as_deref(),
        Some(r#"LOWER(TRIM(TO_VARCHAR("user":"the ""id"""))) = LOWER(TRIM(?))"#)
    );
    let both: [&[&str]; 2] = [&["user", "the \"id\""], &["a\"; DROP TABLE b; --"]];
    assert_eq!(
        sql(&both, Compare::Text).as_deref(),
        Some(r#"(TO_VARCHAR("user":"the ""id""") = ? AND "a""; DROP TABLE b; --" = ?)"#)
    );
    assert_eq!(
        sql(&[&["number"]], Compare::Number).as_deref(),
        Some(r#"TRY_TO_NUMBER(TO_VARCHAR("number")) = TRY_TO_NUMBER(?)"#)
    );
    // No single value stands there, or nothing at all.
    for path in [&["users"][..], &["user"], &["users", "id"], &["missing"]] {
        assert_eq!(sql(&[path], Compare::Text), None, "{path:?}");
    }
    assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
}

#[test]
fn every_identifier_that_the_request_names_is_bound() {
    let pii =
        "{ identifiers: { user_id: [userId, guestId], email: [mail], pass: [club and member] } }";
    let policies = policies([dataset("cart", pii)]);
    let named = [
        ("user_id", "1"),
        ("user_id", "2"),
        ("pass", "club and member"),
    ];
    let request = request(&named, &[("cart", 1, &["2026-11-18"])]);
    let fields = ["userId", "mail", "club", "member"].map(text).to_vec();
    let found = manifests(&policies, &request, &columns("cart", fields));
    let by_identifier = found[0].by_identifier.as_ref().unwrap();
    assert_eq!(
        by_identifier.sql,
        "DELETE FROM \"cart\" WHERE (\"userId\" = ? OR \"userId\" = ? OR (\"club\" = ? AND \"member\" = ?)) \
         AND \"_event_time\" <= '2026-11-20T03:00:00Z';"
    );
    assert_eq!(by_identifier.bind, ["user_id", "user_id", "pass", "pass"]);
}

#[test]
fn curated_tables_follow_their_inputs_however_far() {
    let cart = dataset("cart", "{ identifiers: { user_id: [userId] } }");
    let payment = dataset("payment", "none");
    let daily = curated("daily", "", "SELECT event_date FROM cart");
    let monthly = curated(
        "monthly",
        "incremental: full\n",
        "SELECT event_date FROM daily",
    );
    let people = curated(
        "people",
        "pii: { identifiers: { user_id: [user_id] } }\n",
        "SELECT event_date, userId AS user_id FROM daily",
    );
    let other = curated("other", "", "SELECT event_date FROM payment");
    let curated = [daily, monthly, people, other].into_iter().flatten();
    let policies = policies([cart, payment].into_iter().chain(curated));
    let hit: [(&str, u64, &[&str]); 2] =
        [("cart", 1, &["2026-11-18"]), ("people", 2, &["2026-11-17"])];
    let request = request(&[("user_id", "1")], &hit);
    let found = manifests(
        &policies,
        &request,
        &columns("people", vec![text("user_id")]),
    );
    let of = |name: &str| {
        found
            .iter()
            .find(|manifest| manifest.table == name)
            .unwrap()
    };
    let names: Vec<&str> = found.iter().map(|one| &*one.table).collect();
    assert_eq!(names, ["cart", "daily", "monthly", "people"]);
    assert_eq!(of("daily").rows, None);
    assert_eq!(of("daily").by_identifier, None);
    assert_eq!(of("daily").location, "s3://lake/curated/daily/");
    assert_eq!(
        of("daily").sql(),
        "-- Delete these days, then load them again from s3://lake/curated/daily/\n\
         DELETE FROM \"daily\" WHERE \"event_date\" IN ('2026-11-18');"
    );
    assert_eq!(of("monthly").by_day, "DELETE FROM \"monthly\";");
    assert_eq!(of("people").rows, Some(2));
    assert_eq!(of("people").days, days(&["2026-11-17", "2026-11-18"]));
    let by_identifier = of("people").by_identifier.as_ref().unwrap();
    assert_eq!(
        by_identifier.sql,
        "DELETE FROM \"people\" WHERE \"user_id\" = ?;"
    );
}
