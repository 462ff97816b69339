//! Every refusal of a dataset policy, in the words that a person reads.

use super::*;

/// The errors of the cart policy with `instead` in place of `text`.
fn instead(text: &str, instead: &str) -> String {
    assert!(CART.contains(text), "the cart policy has no {text}");
    let cart = CART.replacen(text, instead, 1);
    parse(&[("lake.yaml", LAKE), ("datasets/cart.yaml", &cart)])
        .expect_err("a refusal")
        .to_string()
}

/// Tries `(text, instead, place and message, hint)` on the cart policy.
fn check_table(table: &[(&str, &str, &str, &str)]) {
    for (text, new_text, message, hint) in table {
        assert_eq!(
            instead(text, new_text),
            format!("datasets/cart.yaml:{message}\n  hint: {hint}")
        );
    }
}

#[test]
fn an_unknown_key_names_its_place_and_the_right_one() {
    check_table(&[
        (
            "  keep: 2 years",
            "  retention_days: 730\n  keep: 2 years",
            "10:3: unknown key `retention_days` under `retention`",
            "the keys here are keep, zone, quarantine, ledger",
        ),
        (
            "table:\n",
            "table:\n  sortby: [userId]\n",
            "8:3: unknown key `sortby` under `table`",
            "did you mean `sort_by`? write `sort_by: [userId]`",
        ),
        (
            "table:\n",
            "table:\n  compression: zstd\n",
            "8:3: unknown key `compression` under `table`",
            "the keys here are partition_by, sort_by, target_file_size",
        ),
        (
            "version: 1\n",
            "version: 1\nowner: cart team\n",
            "2:1: unknown key `owner`",
            "the keys here are version, dataset, raw, events, table, schema, retention, pii",
        ),
        (
            "pii:\n",
            "pii:\n  mask: all\n",
            "12:3: unknown key `mask` under `pii`",
            "the keys here are identifiers, links, not_personal, on_erasure, redact, legal_minimum",
        ),
    ]);
}

#[test]
fn redaction_needs_a_basis_an_end_and_every_field_that_identifies() {
    check_table(&[
        (
            "pii:\n",
            "pii:\n  on_erasure: redact\n",
            "11:1: `on_erasure: redact` keeps rows of an erased person, which needs a legal basis and an end",
            "write `legal_minimum: { keep: 90 days, reason: \"chargebacks\" }`, or `on_erasure: delete`",
        ),
        (
            "pii:\n",
            "pii:\n  on_erasure: redact\n  legal_minimum: { keep: 90 days }\n  redact: { userId: hash }\n",
            "13:3: `reason` under `pii.legal_minimum` is missing",
            "write `reason: chargebacks`",
        ),
        (
            "pii:\n",
            "pii:\n  on_erasure: redact\n  legal_minimum: { keep: 3 years, reason: x }\n  redact: { userId: hash }\n",
            "13:26: `keep` under `pii.legal_minimum` is longer than `keep` under `retention`: the rows would go \
             before",
            "write `keep: 2 years`, or less, or a longer `keep` under `retention`",
        ),
        (
            "pii:\n",
            "pii:\n  on_erasure: redact\n  legal_minimum: { keep: 90 days, reason: x }\n  redact: { email: null }\n",
            "14:11: `redact` under `pii` leaves `userId`, by which the person could still be found",
            "add `userId: hash` or `userId: null`",
        ),
        (
            "pii:\n",
            "pii:\n  on_erasure: redact\n  legal_minimum: { keep: 90 days, reason: x }\n  redact: { userId: blank }\n",
            "14:21: `userId` under `pii.redact` cannot be `blank`: it is null, hash or `constant TEXT`",
            "write `userId: hash`",
        ),
        (
            "pii:\n",
            "pii:\n  redact: { userId: hash }\n",
            "12:3: `redact` under `pii` says nothing while `on_erasure` is `delete`",
            "write `on_erasure: redact`, or remove it",
        ),
        (
            "pii:\n",
            "pii:\n  legal_minimum: { keep: 90 days, reason: x }\n",
            "12:3: `legal_minimum` under `pii` says nothing while `on_erasure` is `delete`",
            "write `on_erasure: redact`, or remove it",
        ),
        (
            "pii:\n",
            "pii:\n  on_erasure: hash\n",
            "12:15: `on_erasure` under `pii` cannot be `hash`: it is delete or redact",
            "write `on_erasure: delete`",
        ),
        (
            "pii:\n",
            "pii:\n  links: { userId: [userId] }\n",
            "12:20: `userId` under `pii.links` leads to itself",
            "remove it from its own list",
        ),
    ]);
}

#[test]
fn a_missing_key_is_named_where_it_belongs() {
    check_table(&[
        (
            "  keep: 2 years\n",
            "  {}\n",
            "9:1: `keep` under `retention` is missing",
            "write `keep: 2 years`",
        ),
        (
            "retention:\n  keep: 2 years\n",
            "",
            "1:1: `retention` is missing",
            "write `retention: { keep: 2 years }`",
        ),
        (
            "  keep: 2 years\n",
            "",
            "9:1: `retention` is empty",
            "write `retention: { keep: 2 years }`",
        ),
        (
            "version: 1\n",
            "",
            "1:1: `version` is missing",
            "write `version: 1`",
        ),
    ]);
}

#[test]
fn forgotten_identifiers_are_refused() {
    const PII: &str = "pii:\n  identifiers:\n    user_id: [userId]\n";
    const OR_NONE: &str = "write `pii: { identifiers: { user_id: [userId] } }` or `pii: none`";
    const OR_NO_FIELD: &str = "write `identifiers: { user_id: [userId] }`, \
         or `pii: none` if no field identifies a person";
    check_table(&[
        (PII, "", "1:1: `pii` is missing", OR_NONE),
        (PII, "pii:\n", "11:1: `pii` is empty", OR_NONE),
        (
            PII,
            "pii: all\n",
            "11:6: `pii` must hold keys of its own",
            OR_NONE,
        ),
        (
            PII,
            "pii: { identifiers: {} }\n",
            "11:8: `identifiers` under `pii` names no field",
            OR_NO_FIELD,
        ),
        (
            "user_id: [userId]",
            "user_id: []",
            "13:5: the identifier `user_id` names no field",
            OR_NO_FIELD,
        ),
    ]);
}

#[test]
fn identifiers_are_lists_of_distinct_fields() {
    check_table(&[
        (
            "user_id: [userId]",
            "user_id: userId",
            "13:14: `user_id` under `pii.identifiers` must be a list",
            "write `user_id: [userId]`",
        ),
        (
            "user_id: [userId]",
            "user_id: { path: userId }",
            "13:14: `user_id` under `pii.identifiers` must be a list",
            "write `user_id: [userId]`",
        ),
        (
            "user_id: [userId]",
            "user_id: [userId, userId]",
            "13:23: `user_id` under `pii.identifiers` lists `userId` twice",
            "keep one of the two",
        ),
        (
            "user_id: [userId]",
            "user_id: [userId]\n    email: [mail, userId]",
            "14:12: `userId` is listed under two kinds of identifier",
            "keep one of the two",
        ),
        (
            "user_id: [userId]",
            "UserId: [userId]",
            "13:5: an identifier cannot be called `UserId`: \
             a name has up to 64 small letters, digits and `_`, a letter first",
            "write `user_id: [userId]`",
        ),
    ]);
}

#[test]
fn a_wrong_span_or_place_says_why_and_what_instead() {
    check_table(&[
        (
            "keep: 2 years",
            "keep: 2",
            "10:9: `keep` under `retention` cannot be `2`: the unit is missing",
            "write `keep: 2 years`",
        ),
        (
            "keep: 2 years",
            "keep: 0 years",
            "10:9: `keep` under `retention` cannot be `0 years`: \
             the number must lie between 1 and 100000",
            "write `keep: 2 years`",
        ),
        (
            "keep: 2 years",
            "keep: 48 h",
            "10:9: `keep` under `retention` cannot be `48 h`: it must count days, months or years",
            "write `keep: 2 years`",
        ),
        (
            "keep: 2 years",
            "keep: [2 years]",
            "10:9: `keep` under `retention` must be a single value",
            "write `keep: 2 years`",
        ),
        (
            "keep: 2 years",
            "keep: 2 years\n  quarantine: 25 months",
            "11:15: `quarantine` under `retention` is longer than `keep`: \
             broken records would outlive the events",
            "write `quarantine: 2 years`, or less",
        ),
        (
            "keep: 2 years",
            "keep: 2 years\n  ledger: none",
            "11:11: `ledger` under `retention` cannot be `none`: it must begin with a whole number",
            "write `ledger: 2 years`",
        ),
        (
            "raw:\n",
            "raw:\n  keep: 30 days\n",
            "4:9: `keep` under `raw` cannot be `30 days`: it must end in `after compaction`",
            "write `keep: 30 days after compaction`",
        ),
        (
            "raw:\n",
            "raw:\n  keep: 6 h after compaction\n",
            "4:9: `keep` under `raw` cannot be `6 h after compaction`: \
             it must count days, months or years",
            "write `keep: 30 days after compaction`",
        ),
        (
            "raw:\n",
            "raw:\n  keep:\n",
            "4:3: `keep` under `raw` is empty",
            "write `keep: 30 days after compaction`",
        ),
        (
            "topics/cart/",
            "topics/cart",
            "4:13: `location` under `raw` cannot be `s3://acme-cart-events/topics/cart`: \
             it must end in `/`",
            "write `location: s3://acme-cart-events/topics/cart/`",
        ),
    ]);
}

#[test]
fn a_wrong_event_setting_says_why_and_what_instead() {
    check_table(&[
        (
            "time: timestamp",
            "time: a..b",
            "6:9: `time` under `events` cannot be `a..b`: a name before or after a dot is empty",
            "write `time: timestamp`",
        ),
        (
            "events:\n",
            "  format: csv\nevents:\n",
            "5:11: `format` under `raw` cannot be `csv`: it is json, avro or parquet",
            "write `format: json`",
        ),
        (
            "events:\n",
            "events:\n  time_unit: seconds\n",
            "6:14: `time_unit` under `events` cannot be `seconds`: \
             it is text, epoch_seconds, epoch_milliseconds or epoch_microseconds",
            "write `time_unit: text`",
        ),
        (
            "events:\n",
            "events:\n  zone: Europe/London\n",
            "6:9: `zone` under `events` cannot be `Europe/London`: \
             it is UTC or an offset such as +01:00",
            "write `zone: UTC`",
        ),
        (
            "events:\n",
            "events:\n  zone: UTC\n  time_unit: epoch_seconds\n",
            "6:9: `zone` under `events` is for times written as text; epoch times are in UTC",
            "remove it",
        ),
        (
            "events:\n",
            "events:\n  max_ahead: 0 days\n",
            "6:14: `max_ahead` under `events` cannot be `0 days`: \
             the number must lie between 1 and 100000",
            "write `max_ahead: 1 day`",
        ),
    ]);
}

#[test]
fn a_wrong_table_or_schema_setting_says_why_and_what_instead() {
    check_table(&[
        (
            "table:\n",
            "table:\n  partition_by: userId\n",
            "8:17: `partition_by` under `table` cannot be `userId`: \
             tables are partitioned by event_date",
            "write `partition_by: event_date`",
        ),
        (
            "table:\n",
            "table:\n  target_file_size: 256\n",
            "8:21: `target_file_size` under `table` cannot be `256`: the unit is missing",
            "write `target_file_size: 256 MiB`",
        ),
        (
            "table:\n",
            "table:\n  target_file_size: 6 GiB\n",
            "8:21: `target_file_size` under `table` cannot be `6 GiB`: the most is 5 GiB",
            "write `target_file_size: 256 MiB`",
        ),
        (
            "sort_by: [userId]",
            "sort_by: [{ a: b }]",
            "8:13: an item of `sort_by` under `table` must be a single value",
            "write `sort_by: [userId]`",
        ),
        (
            "sort_by: [userId]",
            "sort_by: [a.]",
            "8:13: `sort_by` under `table` cannot list `a.`: \
             a name before or after a dot is empty",
            "write `sort_by: [userId]`",
        ),
        (
            "table:\n",
            "schema: { on_new_field: drop }\ntable:\n",
            "7:25: `on_new_field` under `schema` cannot be `drop`: it is add, rescue or fail",
            "write `on_new_field: add`",
        ),
        (
            "table:\n",
            "schema: { max_new_columns: 0 }\ntable:\n",
            "7:28: `max_new_columns` under `schema` cannot be `0`: \
             it is a number between 1 and 10000",
            "write `max_new_columns: 1000`",
        ),
        (
            "table:\n",
            "schema: add\ntable:\n",
            "7:9: `schema` must hold keys of its own",
            "write `schema: { on_new_field: add }`",
        ),
    ]);
}

#[test]
fn a_wrong_version_or_name_says_why_and_what_instead() {
    check_table(&[
        (
            "version: 1",
            "version: 2",
            "1:10: `version` cannot be `2`: this program reads version 1",
            "write `version: 1`",
        ),
        (
            "dataset: cart",
            "dataset: Cart",
            "2:10: `dataset` cannot be `Cart`: \
             a name has up to 64 small letters, digits and `_`, a letter first",
            "write `dataset: cart`",
        ),
        (
            "dataset: cart",
            "dataset: basket",
            "2:10: `dataset` is `basket`, but the file is datasets/cart.yaml",
            "write `dataset: cart`, or name the file basket.yaml",
        ),
    ]);
}

#[test]
fn a_wrong_declared_type_says_why_and_what_instead() {
    check_table(&[
        (
            "table:\n",
            "schema: { types: { userId: number } }\ntable:\n",
            "7:28: `userId` under `schema.types` cannot be `number`: \
             it is text, integer, decimal or boolean",
            "write `userId: text`",
        ),
        (
            "table:\n",
            "schema: { types: { items.: text } }\ntable:\n",
            "7:20: a field under `schema.types` cannot be `items.`: \
             a name before or after a dot is empty",
            "write `userId: text`, nested fields by dots",
        ),
        (
            "table:\n",
            "schema: { types: { _topic: text } }\ntable:\n",
            "7:20: a field under `schema.types` cannot be `_topic`: \
             the table uses `event_date` and names that begin with `_` itself",
            "remove it: an event's field of that name stays in `_rescued`",
        ),
        (
            "table:\n",
            "schema: { types: { Event_Date: text } }\ntable:\n",
            "7:20: a field under `schema.types` cannot be `Event_Date`: \
             the table uses `event_date` and names that begin with `_` itself",
            "remove it: an event's field of that name stays in `_rescued`",
        ),
        (
            "table:\n",
            "schema: { types: { a b: text } }\ntable:\n",
            "7:20: a field under `schema.types` cannot be `a b`: \
             a column name has at most 255 bytes and none of ` ,;{}()=`",
            "remove it: a field of that name stays in `_rescued`",
        ),
        (
            "table:\n",
            "schema: { types: { userId: text, userid: text } }\ntable:\n",
            "7:34: a field under `schema.types` cannot be `userid`: \
             it differs from `userId` only in case",
            "keep the spelling that the events have",
        ),
        (
            "table:\n",
            "schema: { types: { items.price: decimal, items: text } }\ntable:\n",
            "7:42: a field under `schema.types` cannot be `items`: \
             `items.price` lies inside `items`, which therefore has no type of its own",
            "keep the inner one",
        ),
        (
            "table:\n",
            "schema:\n  types:\n    userId: text\n    userId: integer\ntable:\n",
            "10:5: the key `userId` is written twice; the first is on line 9",
            "keep one of the two",
        ),
        (
            "table:\n",
            "schema: { types: [userId] }\ntable:\n",
            "7:18: `types` under `schema` must hold keys of its own",
            "write `types: { userId: text }`",
        ),
    ]);
}
