//! Rows 18 to 20: compressed objects.

use super::{framed, outline};
use crate::decode::{Codec, Limits, Reason, compress, decompress};

#[test]
fn gzip_is_told_by_its_magic_and_its_members_follow_one_another() {
    let one = compress(b"{\"a\":1}\n", Codec::Gzip);
    let both = [one.clone(), compress(b"{\"b\":2}\n", Codec::Gzip)].concat();
    let plain = decompress(b"{\"a\":1}", &Limits::default());
    assert_eq!((plain.codec, plain.damage), (Codec::Plain, None));
    let unpacked = decompress(&both, &Limits::default());
    assert_eq!((unpacked.codec, unpacked.damage), (Codec::Gzip, None));
    assert_eq!(outline(&unpacked.data), [r#"{"a":1}"#, r#"{"b":2}"#]);
    assert_eq!(one, compress(b"{\"a\":1}\n", Codec::Gzip));
    assert_eq!(one[4..8], [0; 4]);
}

#[test]
fn truncated_gzip_keeps_complete_records() {
    let lines: Vec<String> = (0..20_000)
        .map(|count| format!("{{\"count\":{count},\"odd\":{}}}\n", count * 7919 % 10_007))
        .collect();
    let lines = lines.concat();
    let whole = compress(lines.as_bytes(), Codec::Gzip);
    let cut = decompress(&whole[..whole.len() / 2], &Limits::default());
    assert_eq!(cut.damage, Some(Reason::CompressionTruncated));
    assert!(cut.data.len() > 1000 && lines.as_bytes().starts_with(&cut.data));
    let records = framed(&cut.data);
    let broken = records
        .iter()
        .filter(|record| record.content.is_err())
        .count();
    assert!(records.len() > 100 && broken <= 1);
    let mut damaged = whole.clone();
    let last = damaged.len() - 6;
    damaged[last] ^= 1;
    assert_eq!(
        decompress(&damaged, &Limits::default()).damage,
        Some(Reason::CompressionCorrupt)
    );
}

#[test]
fn a_bomb_is_capped() {
    let limits = Limits {
        max_object_bytes: 1000,
        ..Limits::default()
    };
    let bomb = compress(&vec![b' '; 5_000_000], Codec::Gzip);
    let unpacked = decompress(&bomb, &limits);
    assert_eq!(
        (unpacked.data.len(), unpacked.damage),
        (1000, Some(Reason::ObjectTooLarge))
    );
    let exact = compress(&[b' '; 1000], Codec::Gzip);
    assert_eq!(decompress(&exact, &limits).damage, None);
    // What is stored as it is has its size already.
    assert_eq!(decompress(&[b' '; 1001], &limits).damage, None);
}
