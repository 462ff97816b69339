//! Text that is no policy at all, and how errors are reported together.

use super::*;

const SYNTAX_HINT: &str =
    "hint: check the indentation and the brackets, and quote text that holds `: ` or ` #`";

fn refusal(cart: &str) -> String {
    parse(&[("lake.yaml", LAKE), ("datasets/cart.yaml", cart)])
        .expect_err("a refusal")
        .to_string()
}

#[test]
fn all_errors_of_all_files_are_reported_at_once() {
    let lake = LAKE.replace("version: 1", "version: one");
    let cart = CART
        .replace("2 years", "2 jears")
        .replace("time:", "tiem:")
        .replace("[userId]", "userId");
    let errors =
        parse(&[("lake.yaml", &lake), ("datasets/cart.yaml", &cart)]).expect_err("refusals");
    let places: Vec<_> = errors
        .as_slice()
        .iter()
        .map(|error| (error.file.as_str(), error.line, error.column))
        .collect();
    assert_eq!(
        places,
        [
            // `time` is missing and `tiem` unknown.
            ("datasets/cart.yaml", Some(5), Some(1)),
            ("datasets/cart.yaml", Some(6), Some(3)),
            ("datasets/cart.yaml", Some(8), Some(12)),
            ("datasets/cart.yaml", Some(10), Some(9)),
            ("datasets/cart.yaml", Some(13), Some(14)),
            ("lake.yaml", Some(1), Some(10)),
        ]
    );
}

#[test]
fn errors_are_data_too() {
    let cart = CART.replace("2 years", "2");
    let errors = parse(&[("datasets/cart.yaml", &cart)]).expect_err("refusals");
    assert_eq!(
        serde_json::to_value(&errors).expect("JSON"),
        serde_json::json!([
            {
                "file": "datasets/cart.yaml",
                "line": 10,
                "column": 9,
                "message": "`keep` under `retention` cannot be `2`: the unit is missing",
                "hint": "write `keep: 2 years`",
            },
            {
                "file": "lake.yaml",
                "line": null,
                "column": null,
                "message": "the file is missing",
                "hint": "policies are lake.yaml, datasets/<dataset>.yaml, and \
                         curated/<table>.yaml with <table>.sql",
            },
        ])
    );
}

#[test]
fn a_key_written_twice_is_refused() {
    assert_eq!(
        refusal(&CART.replace("2 years", "2 years\n  keep: 3 years")),
        "datasets/cart.yaml:11:3: the key `keep` is written twice; the first is on line 10\n  \
         hint: keep one of the two"
    );
}

#[test]
fn broken_yaml_is_refused_with_its_place() {
    let refused = refusal(&CART.replace("sort_by: [userId]", "sort_by: [userId"));
    assert!(
        refused.starts_with("datasets/cart.yaml:9:10: this is not YAML: "),
        "{refused}"
    );
    assert!(refused.ends_with(SYNTAX_HINT), "{refused}");

    let tabbed = refusal(&CART.replace("  keep", "\tkeep"));
    assert!(tabbed.contains(": this is not YAML: "), "{tabbed}");

    let nested = format!("version: {}{}\n", "[".repeat(10_000), "]".repeat(10_000));
    let refused = refusal(&nested);
    assert!(
        refused.starts_with("datasets/cart.yaml:1:18: this is not YAML: "),
        "{refused}"
    );
}

#[test]
fn references_and_tags_are_refused() {
    for (value, column) in [("&two 2 years", 14), ("!!str 2 years", 15)] {
        assert_eq!(
            refusal(&CART.replace("2 years", value)),
            format!(
                "datasets/cart.yaml:10:{column}: anchors (`&`), aliases (`*`) and tags (`!`) are \
                 not read in policies\n  \
                 hint: write the value out, in quotes if it begins with one of these signs"
            )
        );
    }
    let merged = CART.replace("retention:\n", "retention: &keep\n  <<: *keep\n");
    assert!(refusal(&merged).contains("anchors (`&`)"));
}

#[test]
fn a_second_document_is_refused() {
    assert_eq!(
        refusal(&format!("{CART}---\n{CART}")),
        "datasets/cart.yaml:14:1: a second document begins here\n  \
         hint: keep one policy in a file and remove the `---`"
    );
}

#[test]
fn a_file_without_keys_is_refused() {
    for text in ["", "# a comment\n", "just text\n", "- a list\n", "---\n"] {
        let refused = refusal(text);
        assert!(
            refused.ends_with(": the file holds no keys\n  hint: begin it with `version: 1`"),
            "{refused}"
        );
    }
    assert_eq!(
        refusal(&CART.replace("version: 1", "version: 1\n[a]: b")),
        format!("datasets/cart.yaml:2:1: a key must be a plain word\n  {SYNTAX_HINT}")
    );
}

/// Whatever is cut out of a file, it is read or it is refused with a reason.
#[test]
fn no_damage_goes_unexplained() {
    for (start, _) in CART.char_indices() {
        for length in [1, 2, 7, CART.len()] {
            let end = CART.len().min(start + length);
            let damaged = format!("{}{}", &CART[..start], &CART[end..]);
            let outcome = parse(&[("lake.yaml", LAKE), ("datasets/cart.yaml", &damaged)]);
            if let Err(errors) = outcome {
                assert!(!errors.as_slice().is_empty(), "{damaged}");
            }
        }
    }
}
