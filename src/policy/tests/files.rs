//! The folder: which files are read, and what holds between them.

use std::fs;

use super::*;

const LAYOUT_HINT: &str = "hint: policies are lake.yaml, datasets/<dataset>.yaml, and \
     curated/<table>.yaml with <table>.sql";

/// The errors of a folder that holds these files besides the lake and the cart.
fn refusal(more: &[(&str, &str)]) -> String {
    let mut list = vec![("lake.yaml", LAKE), ("datasets/cart.yaml", CART)];
    list.extend_from_slice(more);
    parse(&list).expect_err("a refusal").to_string()
}

#[test]
fn raw_locations_are_apart_from_each_other_and_from_the_lake() {
    let wishes = |location: &str| {
        CART.replace("dataset: cart", "dataset: wishes")
            .replace("s3://acme-cart-events/topics/cart/", location)
    };
    assert_eq!(
        refusal(&[(
            "datasets/wishes.yaml",
            &wishes("s3://acme-cart-events/topics/")
        )]),
        "datasets/wishes.yaml:4:13: the raw location s3://acme-cart-events/topics/ overlaps that \
         of datasets/cart.yaml, s3://acme-cart-events/topics/cart/\n  \
         hint: give every dataset a prefix of its own"
    );
    assert_eq!(
        refusal(&[("datasets/wishes.yaml", &wishes("s3://acme-lake/raw/"))]),
        "datasets/wishes.yaml:4:13: the raw location s3://acme-lake/raw/ overlaps the lake, \
         s3://acme-lake/\n  \
         hint: name the service's own bucket, or move the lake to another prefix"
    );
    let beside = wishes("s3://acme-cart-events/topics/wishes/");
    parse(&[
        ("lake.yaml", LAKE),
        ("datasets/cart.yaml", CART),
        ("datasets/wishes.yaml", &beside),
    ])
    .expect("prefixes side by side");
}

#[test]
fn a_lake_inside_a_raw_location_is_refused() {
    let lake = LAKE.replace("acme-lake/", "acme-cart-events/topics/cart/lake/");
    let errors = parse(&[("lake.yaml", &lake), ("datasets/cart.yaml", CART)]);
    assert_eq!(
        errors.expect_err("a refusal").to_string(),
        "datasets/cart.yaml:4:13: the raw location s3://acme-cart-events/topics/cart/ overlaps \
         the lake, s3://acme-cart-events/topics/cart/lake/\n  \
         hint: name the service's own bucket, or move the lake to another prefix"
    );
}

#[test]
fn datasets_and_curated_tables_share_one_space_of_names() {
    assert_eq!(
        refusal(&[
            ("curated/cart.yaml", &FUNNEL.replace("funnel", "cart")),
            ("curated/cart.sql", "SELECT event_date FROM cart"),
        ]),
        "curated/cart.yaml:2:8: the name `cart` is taken by datasets/cart.yaml\n  \
         hint: give every dataset and curated table a name of its own"
    );
}

#[test]
fn a_curated_table_needs_its_query() {
    let policy = ("curated/funnel.yaml", FUNNEL);
    assert_eq!(
        refusal(&[policy]),
        "curated/funnel.yaml:2:8: the query curated/funnel.sql is missing\n  \
         hint: write the table's SELECT into curated/funnel.sql"
    );
    assert_eq!(
        refusal(&[policy, ("curated/funnel.sql", " \n")]),
        "curated/funnel.yaml:2:8: the query curated/funnel.sql is empty\n  \
         hint: write the table's SELECT into curated/funnel.sql"
    );
}

#[test]
fn files_that_nobody_would_read_are_refused() {
    for stray in [
        "datasets/payment.yml",
        "datasets/payment.YAML",
        "datasets/eu/payment.yaml",
        "datasets/payment.sql",
        "payment.yaml",
        "dataset/payment.yaml",
        "curated/orphan.sql",
    ] {
        assert_eq!(
            refusal(&[(stray, CART)]),
            format!("{stray}: no policy is read from here\n  {LAYOUT_HINT}")
        );
    }
    parse(&[
        ("lake.yaml", LAKE),
        ("datasets/cart.yaml", CART),
        ("README.md", "how we decide"),
        ("datasets/cart.yaml~", "a backup"),
    ])
    .expect("other files are welcome");
}

#[test]
fn a_folder_without_lake_or_datasets_is_refused() {
    assert_eq!(
        parse(&[]).expect_err("a refusal").to_string(),
        format!(
            "datasets/<dataset>.yaml: the file is missing\n  {LAYOUT_HINT}\n\
             lake.yaml: the file is missing\n  {LAYOUT_HINT}"
        )
    );
}

#[test]
fn the_digest_depends_on_every_file_and_not_on_their_order() {
    let digest = |list: &[(&str, &str)]| parse(list).expect("policies").digest;
    let (lake, cart) = (("lake.yaml", LAKE), ("datasets/cart.yaml", CART));
    let funnel = ("curated/funnel.yaml", FUNNEL);
    let query = ("curated/funnel.sql", "SELECT 1");
    let whole = digest(&[lake, cart, funnel, query]);

    assert_eq!(whole, digest(&[query, funnel, cart, lake]));
    let readme = ("README.md", "how we decide");
    assert_eq!(whole, digest(&[lake, cart, funnel, query, readme]));

    let other_query = ("curated/funnel.sql", "SELECT 2");
    assert_ne!(whole, digest(&[lake, cart, funnel, other_query]));
    assert_ne!(whole, digest(&[lake, cart]));
    let commented = format!("{CART}# a comment\n");
    let other_cart = ("datasets/cart.yaml", commented.as_str());
    assert_ne!(whole, digest(&[lake, other_cart, funnel, query]));
}

#[test]
fn a_folder_is_read_with_its_name_in_front_of_errors() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |path: &str, text: &str| {
        let place = folder.path().join(path);
        fs::create_dir_all(place.parent().expect("a parent")).expect("a folder");
        fs::write(place, text).expect("a file");
    };
    let list = [
        ("lake.yaml", LAKE),
        ("datasets/cart.yaml", CART),
        ("curated/funnel.yaml", FUNNEL),
        ("curated/funnel.sql", "SELECT 1"),
    ];
    for (path, text) in list {
        write(path, text);
    }
    write("README.md", "how we decide");
    write(".git/config.yaml", "hidden");
    assert_eq!(Policies::load(folder.path()), parse(&list));

    write("datasets/cart.yaml", &CART.replace("2 years", "2"));
    write("datasets/eu/payment.yaml", CART);
    let errors = Policies::load(folder.path()).expect_err("refusals");
    let place = folder.path().join("datasets").display().to_string();
    let files: Vec<(&str, Option<usize>)> = errors
        .as_slice()
        .iter()
        .map(|error| (error.file.as_str(), error.line))
        .collect();
    assert_eq!(
        files,
        [
            (format!("{place}/cart.yaml").as_str(), Some(10)),
            (format!("{place}/eu/payment.yaml").as_str(), None),
        ]
    );
}

#[test]
fn what_cannot_be_read_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let absent = folder.path().join("absent");
    let refusal = Policies::load(&absent).expect_err("no folder").to_string();
    assert!(refusal.contains("/absent: cannot be read: "), "{refusal}");

    fs::write(folder.path().join("lake.yaml"), b"lake: \xff\xfe").expect("a file");
    let refusal = Policies::load(folder.path()).expect_err("no text");
    let refusal = refusal.to_string();
    assert!(refusal.contains("lake.yaml: cannot be read: "), "{refusal}");
}
