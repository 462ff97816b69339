//! Avro object container files: read as JSON lines, and written again without some of their records.
//!
//! The file's framing is read here and not by a library, because neither of those for Avro says where in
//! a block a record lies. Knowing it, one bad record costs its block's rest and no more, a damaged block
//! costs itself, and a rewrite copies the bytes of what stays: no value goes through a decoder and back.
//!
//! Hazards: a file may be cut, and a block may claim any number of records or bytes. What a block says is
//! believed if the file's sync marker stands where the block says that it ends; else the next sync marker
//! is looked for.

pub(super) mod codec;
mod datum;
mod schema;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use self::codec::BlockCodec;
use self::datum::Input;
use self::schema::Schema;
use super::lines::Lines;
use super::{Broken, Converted};
use crate::decode::{Limits, Reason};

const MAGIC: &[u8] = b"Obj\x01";
const SYNC_BYTES: usize = 16;

/// The records of an Avro container as JSON lines.
pub fn to_json_lines(raw: &[u8], limits: &Limits) -> Converted {
    let header = match Header::read(raw) {
        Ok(header) => header,
        Err(reason) => return Converted::unreadable(raw, reason, limits),
    };
    let mut lines = Lines::new(limits);
    let mut damage = None;
    let mut blocks = Blocks::new(&header, raw, &lines);
    while let Some(block) = blocks.next() {
        let offset = block.stored.start as u64;
        let units = block.content.and_then(|content| {
            let units = content.units(&header.schema, offset, &mut lines);
            units.ok_or(Lost::TOO_LARGE)
        });
        let Err(lost) = units else { continue };
        damage.get_or_insert(lost.reason);
        let is_too_large = lost.reason == Reason::ObjectTooLarge;
        let stored = if is_too_large { 0..0 } else { block.stored };
        lines.push_broken(Broken {
            reason: lost.reason,
            offset,
            bytes: raw.get(stored).unwrap_or_default().to_vec(),
            stands_for: lost.records,
        });
        if is_too_large {
            break;
        }
    }
    lines.conclude(damage, header.described)
}

/// The container without the records whose ordinals are `dropped`: the same header, other blocks byte for
/// byte, blocks that lose records compressed anew by the same codec.
pub fn without(raw: &[u8], dropped: &BTreeSet<u64>, limits: &Limits) -> Result<Vec<u8>, Reason> {
    let header = Header::read(raw)?;
    let mut lines = Lines::new(limits);
    let mut kept = raw.get(..header.length).unwrap_or_default().to_vec();
    let mut blocks = Blocks::new(&header, raw, &lines);
    while let Some(block) = blocks.next() {
        let content = block.content.map_err(|lost| lost.reason)?;
        let units = content.units(&header.schema, block.stored.start as u64, &mut lines);
        let units = units.ok_or(Reason::ObjectTooLarge)?;
        let stays = |unit: &&Unit| !dropped.contains(&unit.ordinal);
        if units.iter().all(|unit| stays(&unit)) {
            kept.extend_from_slice(raw.get(block.stored).unwrap_or_default());
            continue;
        }
        let (mut records, mut data) = (0, Vec::new());
        for unit in units.iter().filter(stays) {
            records += unit.records;
            data.extend_from_slice(content.data.get(unit.bytes.clone()).unwrap_or_default());
        }
        if !data.is_empty() {
            header.write_block(records, &data, &mut kept)?;
        }
    }
    Ok(kept)
}

struct Header {
    schema: Schema,
    codec: BlockCodec,
    sync: [u8; SYNC_BYTES],
    /// Where the first block begins.
    length: usize,
    /// Its metadata, a text a line.
    described: Vec<u8>,
}

impl Header {
    fn read(raw: &[u8]) -> Result<Self, Reason> {
        let Some(rest) = raw.strip_prefix(MAGIC) else {
            let is_cut = MAGIC.starts_with(raw);
            return Err(if is_cut {
                Reason::ContainerTruncated
            } else {
                Reason::WrongFormat
            });
        };
        let mut input = Input::new(rest, 0);
        let (mut schema, mut codec) = (None, None);
        let mut described = Vec::new();
        loop {
            let entries = input.items()?;
            if entries == 0 {
                break;
            }
            // An entry takes two bytes at least, so the input ends before many are made up.
            for _ in 0..entries {
                let (name, value) = (input.bytes()?, input.bytes()?);
                match name {
                    b"avro.schema" => schema = Some(value),
                    b"avro.codec" => codec = Some(value),
                    _ => {}
                }
                for text in [name, value] {
                    described.extend_from_slice(text);
                    described.push(b'\n');
                }
            }
        }
        let sync = input.take(SYNC_BYTES)?;
        Ok(Self {
            schema: Schema::parse(schema.ok_or(Reason::ContainerSchema)?)?,
            codec: BlockCodec::named(codec).ok_or(Reason::UnknownCompression)?,
            sync: sync.try_into().map_err(|_| Reason::ContainerTruncated)?,
            length: MAGIC.len() + input.position,
            described,
        })
    }

    /// How many records the block has, and its packed bytes, if a sync marker stands behind them.
    fn framed<'raw>(&self, input: &mut Input<'raw>) -> Result<(u64, &'raw [u8]), Reason> {
        let records = input.size()? as u64;
        let packed = input.bytes()?;
        if input.take(SYNC_BYTES)? != self.sync {
            return Err(Reason::ContainerCorrupt);
        }
        Ok((records, packed))
    }

    fn write_block(&self, records: u64, data: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
        let packed = self.codec.compress(data);
        let packed = packed.map_err(|_| Reason::ContainerCorrupt)?;
        write_long(out, records);
        write_long(out, packed.len() as u64);
        out.extend_from_slice(&packed);
        out.extend_from_slice(&self.sync);
        Ok(())
    }
}

/// The blocks of a file, one after the other.
struct Blocks<'raw> {
    header: &'raw Header,
    raw: &'raw [u8],
    position: usize,
    /// How many bytes the blocks left may come to, decompressed.
    room: usize,
}

impl<'raw> Blocks<'raw> {
    fn new(header: &'raw Header, raw: &'raw [u8], lines: &Lines) -> Self {
        Self {
            header,
            raw,
            position: header.length,
            room: lines.max_object_bytes(),
        }
    }

    fn next(&mut self) -> Option<Block<'raw>> {
        if self.position >= self.raw.len() {
            return None;
        }
        let start = self.position;
        let mut input = Input::new(self.raw, start);
        let content = match self.header.framed(&mut input) {
            Ok((records, packed)) => {
                self.position = input.position;
                self.content(records, packed)
            }
            Err(_) => Err(self.lose_block()),
        };
        Some(Block {
            stored: start..self.position,
            content,
        })
    }

    fn content(&mut self, records: u64, packed: &'raw [u8]) -> Result<Content<'raw>, Lost> {
        let data = match self.header.codec.decompress(packed, self.room) {
            Ok(data) => data,
            Err(Reason::ObjectTooLarge) => return Err(Lost::TOO_LARGE),
            Err(reason) => {
                return Err(Lost {
                    reason,
                    records: Some(records),
                });
            }
        };
        self.room -= data.len().min(self.room);
        // A record takes a byte at least, or there would be nothing in it.
        if records > data.len() as u64 {
            return Err(Lost {
                reason: Reason::ContainerCorrupt,
                records: None,
            });
        }
        Ok(Content { records, data })
    }

    /// Moves on behind the next sync marker, or to the end.
    fn lose_block(&mut self) -> Lost {
        let rest = self.raw.get(self.position..).unwrap_or_default();
        let mut windows = rest.windows(SYNC_BYTES);
        let marker = windows.position(|window| window == self.header.sync);
        self.position = match marker {
            Some(marker) => self.position + marker + SYNC_BYTES,
            None => self.raw.len(),
        };
        Lost {
            reason: match marker {
                Some(_) => Reason::ContainerCorrupt,
                None => Reason::ContainerTruncated,
            },
            records: None,
        }
    }
}

struct Block<'raw> {
    /// Where in the file it lies, its sync marker included.
    stored: Range<usize>,
    content: Result<Content<'raw>, Lost>,
}

struct Lost {
    reason: Reason,
    records: Option<u64>,
}

impl Lost {
    const TOO_LARGE: Self = Self {
        reason: Reason::ObjectTooLarge,
        records: None,
    };
}

/// A block's records, decompressed.
struct Content<'raw> {
    records: u64,
    data: Cow<'raw, [u8]>,
}

/// Bytes of a block that stay or go together: a record, or the rest of a block that cannot be read.
struct Unit {
    ordinal: u64,
    bytes: Range<usize>,
    /// How many of the block's records it holds.
    records: u64,
}

impl Content<'_> {
    /// Adds the records to `lines`; answers where they lie, or none if the text gets too long.
    fn units(&self, schema: &Schema, block: u64, lines: &mut Lines) -> Option<Vec<Unit>> {
        let mut units = Vec::new();
        let mut input = Input::new(&self.data, 0);
        let mut left = self.records;
        let mut reason = Reason::ContainerCorrupt;
        while left > 0 {
            let (start, ordinal) = (input.position, lines.ordinal());
            if let Err(why) = datum::read(schema, &mut input, lines) {
                reason = why;
                input.position = start;
                break;
            }
            if !lines.finish(block) {
                return None;
            }
            left -= 1;
            units.push(Unit {
                ordinal,
                bytes: start..input.position,
                records: 1,
            });
        }
        // Bytes behind the last record that the block owns up to are a record of nobody knows what.
        let rest = self.data.get(input.position..).unwrap_or_default();
        if left > 0 || !rest.is_empty() {
            units.push(Unit {
                ordinal: lines.ordinal(),
                bytes: input.position..self.data.len(),
                records: left,
            });
            lines.push_broken(Broken {
                reason,
                offset: block,
                bytes: rest.to_vec(),
                stands_for: Some(left),
            });
        }
        Some(units)
    }
}

fn write_long(out: &mut Vec<u8>, value: u64) {
    let mut folded = value << 1;
    while folded >= 0x80 {
        out.push((folded & 0x7f) as u8 | 0x80);
        folded >>= 7;
    }
    out.push(folded as u8);
}
