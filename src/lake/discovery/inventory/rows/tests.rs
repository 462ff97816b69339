//! Rows as S3 writes them.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

const SCHEMA: &str =
    "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, StorageClass";

fn raw() -> S3Location {
    "s3://raw/t/".parse().unwrap()
}

fn csv(schema: &str, rows: &str) -> Result<Vec<ObjectVersion>, String> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(rows.as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    Format::of("CSV", schema)?.read(packed.into(), &raw())
}

#[test]
fn rows_become_versions() {
    let rows = concat!(
        r#""raw","t/day%3D1/cart%2B0%2B7.json","v2","true","false","12","2026-11-19T08:00:00.000Z","aa-2","STANDARD""#,
        "\r\n",
        r#""raw","t/a+b%20%C3%BC,","","true","false","3","2026-11-19T08:00:00Z","bb","GLACIER""#,
        "\n",
        r#"raw,t/gone,v9,false,true,,2026-11-19T08:00:00.000Z,,"#,
        "\n",
        r#""raw","other/x","v1","true","false","3","2026-11-19T08:00:00.000Z","cc","STANDARD""#,
        "\n",
    );
    let version = |key: &str, version: &str, etag: &str, size, latest, marker| ObjectVersion {
        key: key.into(),
        version: version.into(),
        etag: etag.into(),
        size,
        latest,
        marker,
        last_modified: "2026-11-19T08:00:00Z".parse().unwrap(),
    };
    assert_eq!(
        csv(SCHEMA, rows).unwrap(),
        [
            version("t/day=1/cart+0+7.json", "v2", "aa-2", 12, true, false),
            version("t/a b ü,", "null", "bb", 3, true, false),
            version("t/gone", "v9", "", 0, false, true),
        ]
    );
}

#[test]
fn what_is_missing_is_named() {
    let current_only = csv("Bucket, Key, Size, LastModifiedDate", "").unwrap_err();
    assert_eq!(
        current_only,
        "it lacks VersionId, IsLatest, IsDeleteMarker, ETag; configure it for all versions, with the fields \
         Size, Last modified date and ETag"
    );
    let orc = Format::of("ORC", "struct<bucket:string>").unwrap_err();
    assert_eq!(orc, "it is ORC; let S3 Inventory deliver CSV or Parquet");
}

#[test]
fn a_row_that_is_not_whole_refuses_the_file() {
    let table = [
        (r#""raw","t/x","v1","true""#, "a row is too short"),
        (
            r#""raw","t/%zz","v1","true","false","1","2026-11-19T08:00:00Z","aa","""#,
            "a key is not URL-encoded",
        ),
        (
            r#""raw","t/x","v1","yes","false","1","2026-11-19T08:00:00Z","aa","""#,
            "a row has neither true nor false where one of them should stand",
        ),
        (
            r#""raw","t/x","v1","true","false","","2026-11-19T08:00:00Z","aa","""#,
            "a row has no size or no time",
        ),
        (
            r#""raw","t/x","v1","true","false","1","2026-11-19T08:00:00Z","","""#,
            "a row has no entity tag",
        ),
        (r#""raw","t/x"#, "a quote is not closed"),
    ];
    for (row, why) in table {
        assert_eq!(csv(SCHEMA, row).unwrap_err(), why, "{row}");
    }
    let no_gzip = Format::of("CSV", SCHEMA).unwrap();
    assert!(
        no_gzip
            .read(Bytes::from_static(b"raw,t/x"), &raw())
            .is_err()
    );
    assert!(
        Format::Parquet
            .read(Bytes::from_static(b"raw"), &raw())
            .is_err()
    );
}

#[test]
fn fields_are_taken_apart_at_commas_outside_quotes() {
    let mut rest = "\"a,\"\"b\"\"\",c,,\"d\ne\"\nnext";
    assert_eq!(line(&mut rest).unwrap(), ["a,\"b\"", "c", "", "d\ne"]);
    assert_eq!(rest, "next");
    assert_eq!(line(&mut rest).unwrap(), ["next"]);
    assert_eq!(rest, "");
}
