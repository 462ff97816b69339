//! Objects as they are stored: compressed, cut, damaged, in files of records.

use crate::decode::{Codec, Plain, RawFormat, Reason, compress, decompress};
use crate::{Switches, framing, limits};

/// What a cut object still gives is the beginning of what it was, and that it was cut shows.
pub fn check_cut(data: &[u8], switches: Switches) {
    let codec = codec(switches);
    let whole = compress(data, codec);
    let expected = decompress(&whole, &limits());
    assert!(expected.damage.is_none() && *expected.data == *data);
    let cut = &whole[..usize::from(switches.amount) * whole.len() / 256];
    framing::check_whole(cut, &limits());
    let left = decompress(cut, &limits());
    if left.codec != Codec::Plain {
        assert!(data.starts_with(&left.data), "something else came out");
        assert_eq!(left.damage, Some(Reason::CompressionTruncated));
    }
}

/// A wrong byte somewhere.
pub fn check_damaged(data: &[u8], switches: Switches) {
    let mut stored = compress(data, codec(switches));
    let position = usize::from(switches.amount) * stored.len() / 256;
    if let Some(byte) = stored.get_mut(position) {
        *byte ^= switches.choice | 1;
    }
    framing::check_whole(&stored, &limits());
}

fn codec(switches: Switches) -> Codec {
    if switches.choice % 2 == 0 {
        Codec::Gzip
    } else {
        Codec::Zstd
    }
}

/// A file of records: whatever is wrong with it, nothing breaks.
pub fn check_container(stored: &[u8], format: RawFormat) {
    let limits = limits();
    let plain = Plain::of(stored, format, &limits);
    let records = plain.records(&limits);
    for record in &records {
        let _ = plain.place(record.ordinal);
    }
    let dropped = std::collections::BTreeSet::from([0]);
    let _ = plain.without(stored, &records, &dropped, &limits);
}
