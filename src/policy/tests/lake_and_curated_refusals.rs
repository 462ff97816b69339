//! Every refusal of `lake.yaml` and of curated policies, in the words that a
//! person reads.

use super::*;

fn lake_refusal(lake: &str) -> String {
    parse(&[("lake.yaml", lake), ("datasets/cart.yaml", CART)])
        .expect_err("a refusal")
        .to_string()
}

/// The errors of the funnel policy with one line more.
fn funnel_refusal(line: &str) -> String {
    let funnel = format!("{FUNNEL}{line}\n");
    parse(&[
        ("lake.yaml", LAKE),
        ("datasets/cart.yaml", CART),
        ("curated/funnel.yaml", &funnel),
        ("curated/funnel.sql", "SELECT 1"),
    ])
    .expect_err("a refusal")
    .to_string()
}

#[test]
fn the_lake_needs_a_place_and_a_key() {
    const ONE_SOURCE: &str = "3:1: `key` must name one source\n  hint: write \
         `key: { env: LAKEWARDEN_KEY }` or `key: { file: /etc/lakewarden/key }`";
    let table = [
        (
            "lake: s3://acme-lake/",
            "lake: acme-lake",
            "2:7: `lake` cannot be `acme-lake`: it must begin with `s3://`\n  \
             hint: write `lake: s3://acme-lake/`",
        ),
        (
            "version: 1\n",
            "version: 1\nreaders_grace: 0 days\n",
            "2:16: `readers_grace` cannot be `0 days`: the number must lie between 1 and 100000\n  \
             hint: write `readers_grace: 24 h`",
        ),
        (
            "version: 1\n",
            "version: 1\ntable_history: 0 h\n",
            "2:16: `table_history` cannot be `0 h`: the number must lie between 1 and 100000\n  \
             hint: write `table_history: 30 days`",
        ),
        (
            "version: 1\n",
            "version: 1\nunfinished_uploads: 12 h\n",
            "2:21: `unfinished_uploads` cannot be `12 h`: it must count days, months or years\n  \
             hint: write `unfinished_uploads: 7 days`",
        ),
        (
            "version: 1\n",
            "version: 1\nreports: forever\n",
            "2:10: `reports` cannot be `forever`: it must begin with a whole number\n  \
             hint: write `reports: 2 years`",
        ),
        (
            "version: 1\n",
            "version: 1\nmemory: 64 MB\n",
            "2:9: `memory` cannot be `64 MB`: the least is 256 MB\n  hint: write `memory: 512 MB`",
        ),
        (
            "version: 1\n",
            "version: 1\nspill: tmp/rows\n",
            "2:8: `spill` cannot be `tmp/rows`: it must be an absolute path\n  \
             hint: write `spill: /var/tmp/lakewarden`",
        ),
        (
            "version: 1\n",
            "version: 1\nreader_grace: 1 h\n",
            "2:1: unknown key `reader_grace`\n  \
             hint: did you mean `readers_grace`? write `readers_grace: 24 h`",
        ),
        (
            "key:\n  env: LAKEWARDEN_KEY\n",
            "",
            "1:1: `key` is missing\n  hint: write `key: { env: LAKEWARDEN_KEY }`",
        ),
        ("  env: LAKEWARDEN_KEY", "  {}", ONE_SOURCE),
        (
            "  env: LAKEWARDEN_KEY",
            "  env: LAKEWARDEN_KEY\n  file: /etc/key",
            ONE_SOURCE,
        ),
        (
            "env: LAKEWARDEN_KEY",
            "env: 2nd-key",
            "4:8: `env` under `key` is not the name of an environment variable\n  \
             hint: write `env: LAKEWARDEN_KEY` and put the key into that variable, \
             never into this file",
        ),
        (
            "env: LAKEWARDEN_KEY",
            "file: keys/mine",
            "4:9: `file` under `key` is not an absolute path\n  \
             hint: write `file: /etc/lakewarden/key`, \
             a file outside the lake and outside this folder",
        ),
    ];
    for (text, instead, refusal) in table {
        assert!(LAKE.contains(text), "the lake policy has no {text}");
        assert_eq!(
            lake_refusal(&LAKE.replace(text, instead)),
            format!("lake.yaml:{refusal}")
        );
    }
}

#[test]
fn snowflake_keeps_only_what_it_can_be_set_to() {
    let table = [
        (
            "{ time_travel: 91 days }",
            "2:27: `time_travel` under `snowflake` cannot be `91 days`: Snowflake keeps 0 days to 90 days\n  \
             hint: write `time_travel: 1 day`",
        ),
        (
            "{ time_travel: 24 h }",
            "2:27: `time_travel` under `snowflake` cannot be `24 h`: Snowflake keeps 0 days to 90 days\n  \
             hint: write `time_travel: 1 day`",
        ),
        (
            "{ fail_safe: 1 day }",
            "2:25: `fail_safe` under `snowflake` cannot be `1 day`: Snowflake keeps 7 days, or 0 days for \
             transient tables\n  hint: write `fail_safe: 7 days`",
        ),
        (
            "{ failsafe: 7 days }",
            "2:14: unknown key `failsafe` under `snowflake`\n  \
             hint: did you mean `fail_safe`? write `fail_safe: 7 days`",
        ),
        (
            "8 days",
            "2:12: `snowflake` must hold keys of its own\n  \
             hint: write `snowflake: { time_travel: 1 day, fail_safe: 7 days }`",
        ),
    ];
    for (section, refusal) in table {
        let line = format!("version: 1\nsnowflake: {section}\n");
        let told = lake_refusal(&LAKE.replace("version: 1\n", &line));
        assert_eq!(told, format!("lake.yaml:{refusal}"));
    }
}

#[test]
fn a_key_that_stands_in_the_policy_is_not_repeated() {
    let secret = "9f86d081884c7d65-9a2feaa0c55ad015";
    for key in [
        format!("key: {{ env: {secret} }}"),
        format!("key: {{ file: {secret} }}"),
        format!("key: {secret}"),
        format!("key: [{secret}]"),
        format!("key: {{ value: {secret} }}"),
    ] {
        let refusal = lake_refusal(&format!("version: 1\nlake: s3://acme-lake/\n{key}\n"));
        assert!(!refusal.contains(secret), "{refusal}");
    }
}

#[test]
fn a_wrong_curated_setting_says_why_and_what_instead() {
    let table = [
        (
            "incremental: daily",
            "4:14: `incremental` cannot be `daily`: it is by_partition or full\n  \
             hint: write `incremental: by_partition`",
        ),
        (
            "partition_by: day",
            "4:15: `partition_by` cannot be `day`: tables are partitioned by event_date\n  \
             hint: write `partition_by: event_date`",
        ),
        (
            "checks: [\" \"]",
            "4:10: `checks` cannot list ` `: a check needs a condition\n  \
             hint: write `checks: [\"not_null(event_date)\"]`",
        ),
        (
            "checks: not_null(event_date)",
            "4:9: `checks` must be a list\n  hint: write `checks: [not_null(event_date)]`",
        ),
        (
            "raw: none",
            "4:1: unknown key `raw`\n  \
             hint: the keys here are version, table, partition_by, incremental, retention, checks, pii",
        ),
    ];
    for (line, refusal) in table {
        assert_eq!(
            funnel_refusal(line),
            format!("curated/funnel.yaml:{refusal}")
        );
    }
}
