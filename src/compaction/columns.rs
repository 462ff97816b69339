//! Which columns a dataset gets: its policy's rules, and what they make of a sample of new events.
//!
//! Hazard: two answers to one question. Planning's forecast and apply's learning follow the same rules,
//! made here.

use std::collections::BTreeSet;

use arrow::datatypes::{DataType, Fields, Schema};

use crate::decode::{self, ColumnType, FieldPath, Json, NewFields, RescueCause, SchemaRules};
use crate::lake::parquet_files::leaf_paths;
use crate::plan::{FieldChange, FieldFate, SHOWN_FIELDS, SchemaChange, shown_field};
use crate::policy::{DatasetPolicy, OnNewField, PiiPolicy};

/// Events of a few of the new raw objects.
#[derive(Debug, Default)]
pub struct Sample {
    /// Those that would be admitted.
    pub events: Vec<Json>,
    /// Objects that were read.
    pub objects: usize,
    /// New objects that there are.
    pub of_objects: usize,
}

/// The rules for learning on top of `existing`, the events' own columns. A table without any, because it
/// so far holds nothing but quarantined records, has nothing that a field could be new to.
pub fn rules(policy: &DatasetPolicy, existing: Option<&Schema>) -> SchemaRules {
    let there = existing.map_or(0, |existing| leaf_paths(existing).len());
    let on_new_field = match (policy.schema.on_new_field, there) {
        (_, 0) | (OnNewField::Add, _) => NewFields::Add,
        (OnNewField::Rescue | OnNewField::Fail, _) => NewFields::Rescue,
    };
    SchemaRules {
        on_new_field,
        max_columns: there + policy.schema.max_new_columns,
        types: policy.schema.types.clone(),
        identifying: keyed_by_people(&policy.pii),
    }
}

/// Fields that hold identifiers, less those inside which other such fields lie.
fn keyed_by_people(pii: &PiiPolicy) -> BTreeSet<FieldPath> {
    let paths = pii.paths();
    let is_inside = |outer: &FieldPath, inner: &FieldPath| {
        inner != outer && inner.names().starts_with(outer.names())
    };
    let innermost = |path: &&FieldPath| !paths.iter().any(|other| is_inside(path, other));
    paths.iter().filter(innermost).cloned().collect()
}

/// What the sample would do to the columns of `existing`; none if nothing.
pub fn change(
    policy: &DatasetPolicy,
    existing: Option<&Schema>,
    sample: &Sample,
) -> Option<SchemaChange> {
    let old = existing.map(leaf_paths).unwrap_or_default();
    let learned = decode::learn(existing, sample.events.iter(), &rules(policy, existing));
    let mut added = leaf_paths(&learned.schema);
    added.retain(|path| !old.contains(path));
    let mut change = SchemaChange {
        events: sample.events.len() as u64,
        objects: sample.objects,
        of_objects: sample.of_objects,
        new_columns: added.len(),
        is_new_table: old.is_empty(),
        fields: Vec::new(),
        more: 0,
    };
    if change.is_new_table {
        return (!added.is_empty()).then_some(change);
    }
    let all = added.len() + learned.rescued_for_good.len();
    let columns = added.iter().map(|path| FieldChange {
        field: shown_field(&path.join(".")),
        fate: FieldFate::Added {
            column_type: type_name(&learned.schema, path),
            in_events: events_with(&sample.events, path),
        },
    });
    let kept_out = learned.rescued_for_good.iter().map(|field| FieldChange {
        field: shown_field(&field.path),
        fate: fate(policy, field.why),
    });
    change.fields = columns.chain(kept_out).take(SHOWN_FIELDS).collect();
    change.more = all - change.fields.len();
    (all > 0).then_some(change)
}

fn fate(policy: &DatasetPolicy, why: RescueCause) -> FieldFate {
    match (why, policy.schema.on_new_field) {
        (RescueCause::Policy, OnNewField::Fail) => FieldFate::Refused,
        (RescueCause::Policy, _) => FieldFate::Rescued {
            why: "the policy says `on_new_field: rescue`".to_owned(),
        },
        _ => FieldFate::Rescued {
            why: why.to_string(),
        },
    }
}

fn events_with(events: &[Json], path: &[String]) -> u64 {
    let path = FieldPath::from_names(path);
    let has = |event: &&Json| {
        event
            .at(&path)
            .into_iter()
            .any(|value| *value != Json::Null)
    };
    events.iter().filter(has).count() as u64
}

/// Where the policy declares another type than the table has. Columns never change, so a person has to
/// decide.
pub fn contradictions(policy: &DatasetPolicy, existing: &Schema) -> Vec<String> {
    let name = &policy.name;
    let mut findings = Vec::new();
    for (field, declared) in &policy.schema.types {
        let Some((depth, found)) = deepest(existing.fields(), field.names()) else {
            continue;
        };
        let is_all = depth == field.names().len();
        if is_all && ColumnType::of(found) == Some(*declared)
            || !is_all && matches!(found, DataType::Struct(_))
        {
            continue;
        }
        let there = field.names().iter().take(depth).cloned();
        let there = FieldPath::from_names(there);
        findings.push(format!(
            "the event table of {name} has `{there}` as {}, its policy says `{field}: {declared}` under \
             `schema.types`; columns never change: make a new table, or correct the policy",
            described(found)
        ));
    }
    findings
}

fn type_name(schema: &Schema, path: &[String]) -> String {
    let found = deepest(schema.fields(), path);
    found.map_or_else(String::new, |(_, data_type)| described(data_type))
}

fn described(data_type: &DataType) -> String {
    match (data_type, ColumnType::of(data_type)) {
        (_, Some(known)) => known.to_string(),
        (DataType::Struct(_), None) => "an object".to_owned(),
        _ => "another type".to_owned(),
    }
}

/// How far the columns go along a path, and what lies there; list levels add no name.
fn deepest<'schema>(
    fields: &'schema Fields,
    names: &[String],
) -> Option<(usize, &'schema DataType)> {
    let (first, rest) = names.split_first()?;
    let field = fields.iter().find(|field| field.name() == first)?;
    let mut data_type = field.data_type();
    while let DataType::List(element) | DataType::LargeList(element) = data_type {
        data_type = element.data_type();
    }
    if let DataType::Struct(fields) = data_type
        && let Some((depth, found)) = deepest(fields, rest)
    {
        return Some((depth + 1, found));
    }
    Some((1, data_type))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policies;

    /// A policy for the cart with these rules for its schema.
    fn policy(schema: &str) -> DatasetPolicy {
        let lake = "version: 1\nlake: s3://lake/\nkey: { env: KEY }\n";
        let cart = format!(
            "version: 1\ndataset: cart\nraw: {{ location: s3://cart/ }}\nevents: {{ time: t }}\n\
             table: {{ sort_by: [u] }}\nschema: {schema}\nretention: {{ keep: 2 years }}\npii: none\n"
        );
        let files = [("lake.yaml", lake.to_owned()), ("datasets/cart.yaml", cart)];
        let files = files.map(|(path, text)| (path.to_owned(), text));
        Policies::parse(&files).unwrap().datasets.remove(0)
    }

    fn sample(events: &[&str]) -> Sample {
        let events = events.iter();
        Sample {
            events: events
                .map(|event| Json::parse(event.as_bytes()).unwrap())
                .collect(),
            objects: 2,
            of_objects: 3,
        }
    }

    fn existing(events: &[&str]) -> Schema {
        let policy = policy("{ on_new_field: add }");
        let learned = decode::learn(None, sample(events).events.iter(), &rules(&policy, None));
        learned.schema.as_ref().clone()
    }

    /// The lines that tell of what the events do to a table that has a column `id` and a list `items`.
    fn told(schema: &str, events: &[&str]) -> Vec<String> {
        let existing = existing(&[r#"{"id":1,"items":[{"price":1}]}"#]);
        let change = change(&policy(schema), Some(&existing), &sample(events));
        let fields = change.into_iter().flat_map(|change| change.fields);
        fields.map(|field| field.to_string()).collect()
    }

    #[test]
    fn new_columns_are_told_with_type_and_number_of_events() {
        let events = [
            r#"{"id":1,"items":[{"price":1,"seat":1},{"seat":2}],"Id":2}"#,
            r#"{"id":2,"items":[{"seat":7}],"voucher":"x"}"#,
            r#"{"id":"odd","voucher":null}"#,
        ];
        assert_eq!(
            told("{ on_new_field: add }", &events),
            [
                "+ items.seat: integer   (in 2 events)",
                "+ voucher: text   (in 1 event)",
                "~ Id: stays in _rescued, the name differs only in case from a column's",
            ]
        );
    }

    #[test]
    fn what_the_policy_keeps_out_is_told() {
        let events = [r#"{"id":1,"voucher":"x","seat":1}"#];
        assert_eq!(
            told("{ on_new_field: rescue, types: { seat: text } }", &events),
            [
                "+ seat: text   (in 1 event)",
                "~ voucher: stays in _rescued, the policy says `on_new_field: rescue`",
            ]
        );
        assert_eq!(
            told("{ on_new_field: fail, types: { seat: text } }", &events),
            [
                "+ seat: text   (in 1 event)",
                "! voucher: objects that bring it are refused, the policy says `on_new_field: fail`",
            ]
        );
    }

    #[test]
    fn nothing_new_is_nothing_to_tell() {
        for rule in ["add", "rescue", "fail"] {
            let schema = format!("{{ on_new_field: {rule} }}");
            assert_eq!(told(&schema, &[r#"{"id":"x","items":[]}"#]), [""; 0]);
            let nothing = change(&policy(&schema), None, &sample(&[]));
            assert_eq!(nothing, None);
        }
    }

    #[test]
    fn of_a_new_table_the_number_of_columns_is_told() {
        let policy = policy("{ on_new_field: fail }");
        let change = change(&policy, None, &sample(&[r#"{"a":1,"o":{"b":1,"c":1}}"#])).unwrap();
        assert_eq!((change.is_new_table, change.new_columns), (true, 3));
        assert!(change.fields.is_empty());
        assert_eq!(
            (change.events, change.objects, change.of_objects),
            (1, 2, 3)
        );
    }

    #[test]
    fn no_more_is_told_than_a_person_reads_and_no_identifier() {
        let event = |seats: u32| {
            let members: Vec<String> = (0..seats).map(|seat| format!("\"seat{seat}\":1")).collect();
            let keyed = r#""5550001":{"n":1},"guests":{"5550002":1,"5550003":1}"#;
            format!("{{{},{keyed}}}", members.join(","))
        };
        let existing = existing(&[r#"{"id":1}"#]);
        let policy = policy("{ on_new_field: add }");
        let told = change(&policy, Some(&existing), &sample(&[&event(30)])).unwrap();
        assert_eq!((told.fields.len(), told.more), (20, 12));
        let change = change(&policy, Some(&existing), &sample(&[&event(10)])).unwrap();
        let names: Vec<&str> = change.fields.iter().map(|one| one.field.as_str()).collect();
        assert_eq!(names[10..], ["<name withheld>", "guests"]);
        let text = serde_json::to_string(&change).unwrap();
        assert!(
            !text.contains("555000") && text.contains("list it under `identifiers`"),
            "{text}"
        );
    }

    #[test]
    fn a_table_of_another_type_than_declared_is_reported() {
        let existing = existing(&[r#"{"id":1,"items":[{"price":1}],"flag":"x","same":"x"}"#]);
        let declared = "{ types: { id: text, items.price: integer, flag.deep: boolean, same: text, \
                        new: text, items.new: text } }";
        let says = |there: &str, field: &str| {
            format!(
                "the event table of cart has {there}, its policy says `{field}` under `schema.types`; \
                 columns never change: make a new table, or correct the policy"
            )
        };
        assert_eq!(
            contradictions(&policy(declared), &existing),
            [
                says("`flag` as text", "flag.deep: boolean"),
                says("`id` as integer", "id: text"),
            ]
        );
        assert_eq!(
            contradictions(&policy("{ types: { items: text } }"), &existing),
            [says("`items` as an object", "items: text")]
        );
    }
}
