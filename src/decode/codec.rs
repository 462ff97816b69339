//! Compressed bytes of a raw object → its data, and back.
//!
//! Hazards: names lie about compression, so magic bytes decide; members of a gzip file follow one
//! another; a small object may decompress to terabytes, so output is capped while it is made;
//! a truncated file still holds good records before the cut.

use std::borrow::Cow;
use std::io::{ErrorKind, Read, Write};

use flate2::bufread::MultiGzDecoder;
use flate2::{Compression, GzBuilder};

use super::{Limits, Reason};

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];

/// How an object's bytes are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    Plain,
    Gzip,
}

/// An object's data, as much as could be had of it.
#[derive(Debug)]
pub struct Decompressed<'raw> {
    pub codec: Codec,
    /// Never more than `max_object_bytes`.
    pub data: Cow<'raw, [u8]>,
    /// Why `data` is not all: the last record may be cut, the raw object has to be kept.
    pub damage: Option<Reason>,
}

/// Decompresses by magic bytes. Damage does not discard what came out before it.
pub fn decompress<'raw>(raw: &'raw [u8], limits: &Limits) -> Decompressed<'raw> {
    let cap = usize::try_from(limits.max_object_bytes).unwrap_or(usize::MAX);
    if raw.starts_with(GZIP_MAGIC) {
        let (data, damage) = inflate(raw, cap);
        return Decompressed {
            codec: Codec::Gzip,
            data: data.into(),
            damage,
        };
    }
    let kept = raw.get(..cap);
    Decompressed {
        codec: Codec::Plain,
        data: kept.unwrap_or(raw).into(),
        damage: (raw.len() > cap).then_some(Reason::ObjectTooLarge),
    }
}

fn inflate(raw: &[u8], cap: usize) -> (Vec<u8>, Option<Reason>) {
    let mut decoder = MultiGzDecoder::new(raw);
    let mut data = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        let count = match decoder.read(&mut chunk) {
            Ok(0) => return (data, None),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                return (data, Some(Reason::CompressionTruncated));
            }
            Err(_) => return (data, Some(Reason::CompressionCorrupt)),
        };
        let room = cap - data.len();
        data.extend(chunk.iter().take(count.min(room)));
        if count > room {
            return (data, Some(Reason::ObjectTooLarge));
        }
    }
}

/// Compresses so that equal data gives equal bytes: no time and no name in the header.
pub fn compress(data: &[u8], codec: Codec) -> Vec<u8> {
    match codec {
        Codec::Plain => data.to_vec(),
        Codec::Gzip => {
            let mut encoder = GzBuilder::new()
                .mtime(0)
                .write(Vec::new(), Compression::default());
            match encoder.write_all(data).and_then(|()| encoder.finish()) {
                Ok(compressed) => compressed,
                Err(error) => unreachable!("writing to memory does not fail: {error}"),
            }
        }
    }
}
