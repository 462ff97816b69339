//! How the blocks of an Avro file are compressed, by the name in its header.
//!
//! Hazard: a block says neither truly nor at all how large it becomes, so what comes out is counted.

use std::borrow::Cow;
use std::io::{Read, Write};

use bzip2::read::BzDecoder;
use bzip2::write::BzEncoder;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use liblzma::read::XzDecoder;
use liblzma::write::XzEncoder;

use crate::decode::Reason;

/// The codecs of the Avro specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockCodec {
    Null,
    Deflate,
    Snappy,
    Zstandard,
    Bzip2,
    Xz,
}

const CHECKSUM_BYTES: usize = 4;
const XZ_LEVEL: u32 = 6;

impl BlockCodec {
    /// By its name; a file that names none has none.
    pub fn named(name: Option<&[u8]>) -> Option<Self> {
        Some(match name {
            None | Some(b"null") => Self::Null,
            Some(b"deflate") => Self::Deflate,
            Some(b"snappy") => Self::Snappy,
            Some(b"zstandard") => Self::Zstandard,
            Some(b"bzip2") => Self::Bzip2,
            Some(b"xz") => Self::Xz,
            Some(_) => return None,
        })
    }

    /// At most `cap` bytes come out.
    pub fn decompress(self, packed: &[u8], cap: usize) -> Result<Cow<'_, [u8]>, Reason> {
        match self {
            Self::Null => Ok(packed.into()),
            Self::Deflate => all_of(DeflateDecoder::new(packed), cap),
            Self::Snappy => snappy(packed, cap),
            Self::Zstandard => {
                let decoder = zstd::Decoder::new(packed).map_err(|_| Reason::ContainerCorrupt)?;
                all_of(decoder, cap)
            }
            Self::Bzip2 => all_of(BzDecoder::new(packed), cap),
            Self::Xz => all_of(XzDecoder::new(packed), cap),
        }
    }

    /// Compresses a block anew.
    pub fn compress(self, data: &[u8]) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Null => Ok(data.to_vec()),
            Self::Deflate => {
                let mut encoder = DeflateEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(data)?;
                encoder.finish()
            }
            Self::Snappy => {
                let packed = snap::raw::Encoder::new().compress_vec(data);
                let mut packed = packed.map_err(std::io::Error::other)?;
                packed.extend(crc32fast::hash(data).to_be_bytes());
                Ok(packed)
            }
            Self::Zstandard => zstd::encode_all(data, zstd::DEFAULT_COMPRESSION_LEVEL),
            Self::Bzip2 => {
                let mut encoder = BzEncoder::new(Vec::new(), bzip2::Compression::default());
                encoder.write_all(data)?;
                encoder.finish()
            }
            Self::Xz => {
                let mut encoder = XzEncoder::new(Vec::new(), XZ_LEVEL);
                encoder.write_all(data)?;
                encoder.finish()
            }
        }
    }
}

fn all_of<'data>(decoder: impl Read, cap: usize) -> Result<Cow<'data, [u8]>, Reason> {
    let mut data = Vec::new();
    let most = (cap as u64).saturating_add(1);
    let read = decoder.take(most).read_to_end(&mut data);
    read.map_err(|_| Reason::ContainerCorrupt)?;
    if data.len() > cap {
        return Err(Reason::ObjectTooLarge);
    }
    Ok(data.into())
}

/// A raw snappy block, and after it the CRC-32 of what it holds, the highest byte first.
fn snappy(packed: &[u8], cap: usize) -> Result<Cow<'_, [u8]>, Reason> {
    let corrupt = Reason::ContainerCorrupt;
    let end = packed.len().checked_sub(CHECKSUM_BYTES).ok_or(corrupt)?;
    let (packed, checksum) = packed.split_at(end);
    if snap::raw::decompress_len(packed).map_err(|_| corrupt)? > cap {
        return Err(Reason::ObjectTooLarge);
    }
    let data = snap::raw::Decoder::new().decompress_vec(packed);
    let data = data.map_err(|_| corrupt)?;
    if crc32fast::hash(&data).to_be_bytes() != checksum {
        return Err(corrupt);
    }
    Ok(data.into())
}
