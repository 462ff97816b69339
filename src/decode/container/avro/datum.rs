//! One datum of an Avro file → JSON text.
//!
//! Avro bytes say nothing about themselves: where a datum ends is known only by reading it, and a wrong
//! byte takes the rest of its block along.
//!
//! Hazards: a recursive schema lets a few bytes nest a million levels, so containers that are open stand
//! in a list and not on the stack. Nulls and empty records take no bytes, so an array may claim any number
//! of them, and records within records double at every level: values that take no bytes are counted.

use super::super::lines::Lines;
use super::super::values;
use super::schema::{Field, Named, Schema, Type};
use crate::decode::Reason;

/// Containers within one another, beyond which a datum is no datum.
const MOST_OPEN: usize = 65_536;
/// Values one after another that take no bytes, beyond which a datum is no datum.
const MOST_WITHOUT_BYTES: usize = 1 << 20;

/// Avro bytes and how far they were read.
pub struct Input<'data> {
    data: &'data [u8],
    pub position: usize,
}

impl<'data> Input<'data> {
    pub fn new(data: &'data [u8], position: usize) -> Self {
        Self { data, position }
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'data [u8], Reason> {
        let end = self.position.checked_add(count);
        let taken = end.and_then(|end| self.data.get(self.position..end));
        let taken = taken.ok_or(Reason::ContainerTruncated)?;
        self.position += count;
        Ok(taken)
    }

    fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], Reason> {
        let taken = self.take(LENGTH)?;
        taken.try_into().map_err(|_| Reason::ContainerTruncated)
    }

    /// A number of up to 64 bits: seven a byte, the lowest first, the sign in the lowest bit.
    pub fn long(&mut self) -> Result<i64, Reason> {
        let mut folded: u64 = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Reason::ContainerCorrupt);
            }
            folded |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok((folded >> 1).cast_signed() ^ -(folded & 1).cast_signed());
            }
        }
        Err(Reason::ContainerCorrupt)
    }

    fn int(&mut self) -> Result<i32, Reason> {
        i32::try_from(self.long()?).map_err(|_| Reason::ContainerCorrupt)
    }

    /// A count or a size, which is never negative.
    pub fn size(&mut self) -> Result<usize, Reason> {
        usize::try_from(self.long()?).map_err(|_| Reason::ContainerCorrupt)
    }

    /// Bytes after their length.
    pub fn bytes(&mut self) -> Result<&'data [u8], Reason> {
        let length = self.size()?;
        self.take(length)
    }

    /// How many items the next block of an array or map has; 0 at its end.
    pub fn items(&mut self) -> Result<u64, Reason> {
        let count = self.long()?;
        if count < 0 {
            // The block's size in bytes follows, for those who skip it.
            self.size()?;
        }
        Ok(count.unsigned_abs())
    }
}

/// A container of which not everything has been read.
enum Open<'schema> {
    Record {
        fields: &'schema [Field],
        next: usize,
    },
    Items {
        of: &'schema Type,
        is_map: bool,
        left: u64,
        is_first: bool,
    },
}

/// Reads one datum and adds its text. After an error nobody knows where the datum ends.
pub fn read(schema: &Schema, input: &mut Input<'_>, lines: &mut Lines) -> Result<(), Reason> {
    let mut open = Vec::new();
    let mut next = Some(&schema.root);
    let (mut position, mut without_bytes) = (input.position, 0);
    while let Some(of) = next {
        value(schema, of, input, lines, &mut open)?;
        next = next_value(input, lines, &mut open)?;
        without_bytes = if input.position == position {
            without_bytes + 1
        } else {
            0
        };
        position = input.position;
        if without_bytes > MOST_WITHOUT_BYTES {
            return Err(Reason::RecordTooLarge);
        }
        if open.len() > MOST_OPEN {
            return Err(Reason::TooDeep);
        }
    }
    Ok(())
}

/// Adds a value, or the beginning of one that holds others.
fn value<'schema>(
    schema: &'schema Schema,
    of: &'schema Type,
    input: &mut Input<'_>,
    lines: &mut Lines,
    open: &mut Vec<Open<'schema>>,
) -> Result<(), Reason> {
    match of {
        Type::Null => lines.raw(b"null"),
        Type::Boolean => match input.array()? {
            [0] => values::boolean(lines, false),
            [1] => values::boolean(lines, true),
            _ => return Err(Reason::ContainerCorrupt),
        },
        Type::Int(meaning) => values::int(lines, input.int()?, *meaning),
        Type::Long(meaning) => values::long(lines, input.long()?, *meaning),
        Type::Float => values::float(lines, f32::from_le_bytes(input.array()?)),
        Type::Double => values::double(lines, f64::from_le_bytes(input.array()?)),
        Type::Bytes(meaning) => values::bytes(lines, input.bytes()?, *meaning),
        Type::Array(of) => {
            lines.open(b'[');
            open.push(items(of, false));
        }
        Type::Map(of) => {
            lines.open(b'{');
            open.push(items(of, true));
        }
        Type::Union(branches) => {
            let branch = branches.get(input.size()?);
            // A union holds no union, so this goes one level down.
            return match branch {
                None | Some(Type::Union(_)) => Err(Reason::ContainerCorrupt),
                Some(branch) => value(schema, branch, input, lines, open),
            };
        }
        Type::Named(place) => match schema.named.get(*place) {
            Some(Named::Record(fields)) => {
                lines.open(b'{');
                open.push(Open::Record { fields, next: 0 });
            }
            Some(Named::Enum(symbols)) => {
                let symbol = symbols.get(input.size()?);
                lines.string(symbol.ok_or(Reason::ContainerCorrupt)?.as_bytes());
            }
            Some(Named::Fixed(size, meaning)) => {
                values::bytes(lines, input.take(*size)?, *meaning);
            }
            None => return Err(Reason::ContainerSchema),
        },
    }
    Ok(())
}

fn items(of: &Type, is_map: bool) -> Open<'_> {
    Open::Items {
        of,
        is_map,
        left: 0,
        is_first: true,
    }
}

/// Adds what stands between two values; answers what the next one is, or none at the datum's end.
fn next_value<'schema>(
    input: &mut Input<'_>,
    lines: &mut Lines,
    open: &mut Vec<Open<'schema>>,
) -> Result<Option<&'schema Type>, Reason> {
    while let Some(container) = open.last_mut() {
        match container {
            Open::Record { fields, next } => {
                if let Some(field) = fields.get(*next) {
                    lines.raw(if *next > 0 { b"," } else { b"" });
                    lines.raw(&field.name);
                    lines.raw(b":");
                    *next += 1;
                    return Ok(Some(&field.of));
                }
                lines.close(b'}');
            }
            Open::Items {
                of,
                is_map,
                left,
                is_first,
            } => {
                if *left == 0 {
                    *left = input.items()?;
                }
                if *left > 0 {
                    *left -= 1;
                    lines.raw(if *is_first { b"" } else { b"," });
                    *is_first = false;
                    if *is_map {
                        lines.string(input.bytes()?);
                        lines.raw(b":");
                    }
                    return Ok(Some(of));
                }
                lines.close(if *is_map { b'}' } else { b']' });
            }
        }
        open.pop();
    }
    Ok(None)
}
