//! Compressed bytes of a raw object → its data, and back.
//!
//! Hazards: names lie about compression, so magic bytes decide; members of a gzip file and frames of a
//! zstd file follow one another; a small object may decompress to terabytes, so output is capped while
//! it is made; a truncated file still holds good records before the cut; a source that fails is no
//! damage of the object.

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};

use flate2::bufread::MultiGzDecoder;
use flate2::{Compression, GzBuilder};

use super::{Limits, Reason};

/// How an object's bytes are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    Plain,
    Gzip,
    Zstd,
}

impl Codec {
    /// Tells by the first four bytes.
    fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // The second is that of a frame to skip, with which parallel compressors start.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::Plain,
        }
    }
}

/// An object's data, as much as could be had of it.
#[derive(Debug)]
pub struct Decompressed<'raw> {
    pub codec: Codec,
    /// Never more than `max_object_bytes` where it was compressed.
    pub data: Cow<'raw, [u8]>,
    /// Why `data` is not all: the last record may be cut, the raw object has to be kept.
    pub damage: Option<Reason>,
}

/// Decompresses a whole object by magic bytes. Damage does not discard what came out before it.
pub fn decompress<'raw>(raw: &'raw [u8], limits: &Limits) -> Decompressed<'raw> {
    const CHUNK: usize = 256 * 1024;
    let limits = Limits {
        max_expansion: 0,
        ..*limits
    };
    let mut data = DataReader::new(raw, &limits);
    if data.codec() == Codec::Plain {
        return Decompressed {
            codec: Codec::Plain,
            data: raw.into(),
            damage: None,
        };
    }
    let mut all = Vec::new();
    while !data.is_at_end() {
        data.read(&mut all, CHUNK);
    }
    Decompressed {
        codec: data.codec(),
        data: all.into(),
        damage: data.damage(),
    }
}

/// Compresses so that equal data gives equal bytes: no time and no name in the header.
pub fn compress(data: &[u8], codec: Codec) -> Vec<u8> {
    let compressed = match codec {
        Codec::Plain => Ok(data.to_vec()),
        Codec::Gzip => {
            let mut encoder = GzBuilder::new()
                .mtime(0)
                .write(Vec::new(), Compression::default());
            encoder.write_all(data).and_then(|()| encoder.finish())
        }
        Codec::Zstd => zstd::encode_all(data, zstd::DEFAULT_COMPRESSION_LEVEL),
    };
    match compressed {
        Ok(compressed) => compressed,
        Err(error) => unreachable!("writing to memory does not fail: {error}"),
    }
}

/// Gives an object's data piece by piece.
pub(super) struct DataReader<Source> {
    decoder: Decoder<Source>,
    limits: Limits,
    count: u64,
    is_at_end: bool,
    damage: Option<Reason>,
}

/// A decoder that comes across damage gives nothing of the piece that it was asked for. So the pieces are
/// always those of a buffer's size, however much is wanted.
enum Decoder<Source> {
    Plain(Stored<Source>),
    Gzip(Box<BufReader<MultiGzDecoder<BufReader<Stored<Source>>>>>),
    Zstd(Box<BufReader<zstd::Decoder<'static, BufReader<Stored<Source>>>>>),
}

impl<Source: Read> DataReader<Source> {
    pub fn new(source: Source, limits: &Limits) -> Self {
        let stored = Stored::new(source);
        let decoder = match Codec::of(stored.head()) {
            Codec::Plain => Decoder::Plain(stored),
            Codec::Gzip => {
                let decoder = MultiGzDecoder::new(BufReader::new(stored));
                Decoder::Gzip(Box::new(BufReader::new(decoder)))
            }
            Codec::Zstd => match zstd::Decoder::with_buffer(BufReader::new(stored)) {
                Ok(decoder) => Decoder::Zstd(Box::new(BufReader::new(decoder))),
                Err(error) => unreachable!("a decoder without options can be had: {error}"),
            },
        };
        Self::with(decoder, limits)
    }

    /// The source's bytes as they are.
    pub fn plain(source: Source, limits: &Limits) -> Self {
        Self::with(Decoder::Plain(Stored::new(source)), limits)
    }

    fn with(decoder: Decoder<Source>, limits: &Limits) -> Self {
        Self {
            decoder,
            limits: *limits,
            count: 0,
            is_at_end: false,
            damage: None,
        }
    }

    /// Appends `wanted` bytes to `data`, fewer only at the end.
    pub fn read(&mut self, data: &mut Vec<u8>, wanted: usize) {
        let before = data.len();
        data.reserve(wanted);
        let outcome = match &mut self.decoder {
            Decoder::Plain(stored) => stored.take(wanted as u64).read_to_end(data),
            Decoder::Gzip(decoder) => read_by_pieces(decoder, data, wanted),
            Decoder::Zstd(decoder) => read_by_pieces(decoder, data, wanted),
        };
        let read = data.len() - before;
        self.count += read as u64;
        self.is_at_end = read < wanted;
        if let Err(error) = outcome {
            self.is_at_end = true;
            if self.failure().is_none() {
                self.damage = Some(match error.kind() {
                    ErrorKind::UnexpectedEof => Reason::CompressionTruncated,
                    _ => Reason::CompressionCorrupt,
                });
            }
        }
        let excess = self.count.saturating_sub(self.most());
        if excess > 0 {
            let kept = data
                .len()
                .saturating_sub(usize::try_from(excess).unwrap_or(usize::MAX));
            data.truncate(kept);
            self.is_at_end = true;
            self.damage = Some(Reason::ObjectTooLarge);
        }
    }

    /// How many bytes the object may decompress to, as far as is known by now.
    fn most(&self) -> u64 {
        if self.codec() == Codec::Plain {
            return u64::MAX;
        }
        let stored = self.stored().count;
        let by_expansion = stored.saturating_mul(self.limits.max_expansion);
        by_expansion.max(self.limits.max_object_bytes)
    }

    pub fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    pub fn damage(&self) -> Option<Reason> {
        self.damage
    }

    /// Why the source could not be read on.
    pub fn failure(&self) -> Option<&io::Error> {
        self.stored().failure.as_ref()
    }

    pub fn codec(&self) -> Codec {
        match &self.decoder {
            Decoder::Plain(_) => Codec::Plain,
            Decoder::Gzip(_) => Codec::Gzip,
            Decoder::Zstd(_) => Codec::Zstd,
        }
    }

    fn stored(&self) -> &Stored<Source> {
        match &self.decoder {
            Decoder::Plain(stored) => stored,
            Decoder::Gzip(decoder) => decoder.get_ref().get_ref().get_ref(),
            Decoder::Zstd(decoder) => decoder.get_ref().get_ref().get_ref(),
        }
    }
}

/// Appends `wanted` bytes to `data`, fewer at the end or before an error.
fn read_by_pieces(
    decoder: &mut impl BufRead,
    data: &mut Vec<u8>,
    mut wanted: usize,
) -> io::Result<usize> {
    let before = data.len();
    while wanted > 0 {
        let piece = match decoder.fill_buf() {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            piece => piece?,
        };
        let piece = piece.get(..wanted).unwrap_or(piece);
        let length = piece.len();
        if length == 0 {
            break;
        }
        data.extend_from_slice(piece);
        decoder.consume(length);
        wanted -= length;
    }
    Ok(data.len() - before)
}

/// The bytes of an object as stored, counted.
struct Stored<Source> {
    source: Source,
    head: [u8; 4],
    /// Which bytes of `head` are still to be handed on.
    head_from: usize,
    head_to: usize,
    count: u64,
    failure: Option<io::Error>,
}

impl<Source: Read> Stored<Source> {
    fn new(source: Source) -> Self {
        let mut stored = Self {
            source,
            head: [0; 4],
            head_from: 0,
            head_to: 0,
            count: 0,
            failure: None,
        };
        let mut head = Vec::with_capacity(4);
        // What fails here fails again, or has been noted.
        let _ = stored.by_ref().take(4).read_to_end(&mut head);
        stored.head_to = head.len();
        for (byte, read) in stored.head.iter_mut().zip(head) {
            *byte = read;
        }
        stored.count = 0;
        stored
    }

    fn head(&self) -> &[u8] {
        self.head
            .get(self.head_from..self.head_to)
            .unwrap_or_default()
    }
}

impl<Source: Read> Read for Stored<Source> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut count = self.head().read(buffer)?;
        self.head_from += count;
        if count == 0 {
            if let Some(failure) = &self.failure {
                return Err(failure.kind().into());
            }
            count = match self.source.read(buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
                Err(error) => {
                    let kind = error.kind();
                    self.failure = Some(error);
                    return Err(kind.into());
                }
            };
        }
        self.count += count as u64;
        Ok(count)
    }
}
