//! Stored bytes that come in pieces → their plain text, handed to a [`TextLook`].
//!
//! The first bytes decide, not the name. Output is searched as it is made, so a bomb costs time and not
//! memory. A stream that ends too soon is read as far as it goes, for nothing more can be had of it; one
//! that is damaged, or packed in a way not known here, is unreadable.
//!
//! Wide text (UTF-16, UTF-32) is decoded as a whole, up to [`MOST_WIDE`] bytes of it.

use std::io::{self, ErrorKind, Write};

use flate2::write::MultiGzDecoder;

use super::event::Findings;
use super::text::TextLook;
use super::wide;

/// So much wide text is decoded; more is searched as bytes and counts as unreadable.
const MOST_WIDE: usize = 64 * 1024 * 1024;

/// How many of the first bytes tell.
pub(super) const HEAD: usize = 8;

/// Looks at stored bytes that are written to it.
pub(super) struct StoredLook {
    packing: Packing,
    is_unreadable: bool,
}

enum Packing {
    /// Not known before there are some bytes.
    Unknown(Plain, Vec<u8>),
    None(Plain),
    Gzip(Box<MultiGzDecoder<Plain>>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Plain>>),
    /// Nothing more can be read.
    Lost,
}

impl StoredLook {
    pub fn new(text: TextLook) -> Self {
        Self {
            packing: Packing::Unknown(Plain::new(text), Vec::new()),
            is_unreadable: false,
        }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, piece: &[u8]) {
        let written = match &mut self.packing {
            Packing::Unknown(_, head) => {
                head.extend_from_slice(piece);
                if head.len() >= HEAD {
                    self.open();
                }
                return;
            }
            Packing::None(plain) => plain.write_all(piece),
            Packing::Gzip(decoder) => decoder.write_all(piece),
            Packing::Zstd(decoder) => decoder.write_all(piece),
            Packing::Lost => return,
        };
        self.is_unreadable |= written.is_err();
    }

    fn open(&mut self) {
        let Packing::Unknown(plain, head) = std::mem::replace(&mut self.packing, Packing::Lost)
        else {
            return;
        };
        self.is_unreadable |= is_packed_otherwise(&head);
        self.packing = match head.as_slice() {
            [0x1f, 0x8b, ..] => Packing::Gzip(Box::new(MultiGzDecoder::new(plain))),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                match zstd::stream::write::Decoder::new(plain) {
                    Ok(decoder) => Packing::Zstd(Box::new(decoder)),
                    Err(_) => Packing::Lost,
                }
            }
            _ => Packing::None(plain),
        };
        self.is_unreadable |= matches!(self.packing, Packing::Lost);
        self.push(&head);
    }

    /// Looks at what is left; answers what was found.
    pub fn finish(mut self) -> Findings {
        if matches!(self.packing, Packing::Unknown(..)) {
            self.open();
        }
        let plain = match self.packing {
            Packing::Gzip(mut decoder) => {
                let ended = decoder.try_finish();
                let is_cut = |error: &io::Error| error.kind() == ErrorKind::UnexpectedEof;
                self.is_unreadable |= ended.is_err_and(|error| !is_cut(&error));
                // What came out is in there; finishing twice gives the same error twice.
                std::mem::replace(decoder.get_mut(), Plain::gone())
            }
            Packing::Zstd(mut decoder) => {
                self.is_unreadable |= decoder.flush().is_err();
                decoder.into_inner()
            }
            Packing::None(plain) | Packing::Unknown(plain, _) => plain,
            Packing::Lost => Plain::gone(),
        };
        let mut findings = plain.finish();
        findings.is_unreadable |= self.is_unreadable;
        findings
    }
}

/// Compression that is not undone here: bzip2, xz, LZ4, snappy, zip, `compress`.
fn is_packed_otherwise(head: &[u8]) -> bool {
    const OTHERS: [&[u8]; 6] = [
        b"BZh",
        b"\xfd7zXZ\0",
        b"\x04\x22\x4d\x18",
        b"\xff\x06\0\0sNaP",
        b"PK\x03\x04",
        b"\x1f\x9d",
    ];
    OTHERS.iter().any(|magic| head.starts_with(magic))
}

/// What comes out of a decompressor: text, or wide text that is gathered first.
struct Plain {
    text: Option<TextLook>,
    head: Option<Vec<u8>>,
    wide: Option<Vec<u8>>,
    is_unreadable: bool,
}

impl Plain {
    fn new(text: TextLook) -> Self {
        Self {
            text: Some(text),
            head: Some(Vec::new()),
            wide: None,
            is_unreadable: false,
        }
    }

    fn gone() -> Self {
        Self {
            text: None,
            head: None,
            wide: None,
            is_unreadable: false,
        }
    }

    fn take(&mut self, piece: &[u8]) {
        match &mut self.wide {
            Some(wide) if wide.len() + piece.len() <= MOST_WIDE => wide.extend_from_slice(piece),
            _ => self.hand_on(piece),
        }
    }

    fn hand_on(&mut self, piece: &[u8]) {
        if let Some(wide) = self.wide.take() {
            self.is_unreadable = true;
            self.hand_on(&wide);
        }
        if let Some(text) = &mut self.text {
            // A search does not fail.
            let _ = text.write_all(piece);
        }
    }

    fn decide(&mut self) {
        let Some(head) = self.head.take() else {
            return;
        };
        // What is packed twice is not unpacked twice.
        self.is_unreadable |= is_packed(&head);
        let is_text = self.text.as_ref().is_some_and(TextLook::is_text);
        self.wide = (is_text && wide::is_wide(&head)).then(Vec::new);
        self.take(&head);
    }

    fn finish(mut self) -> Findings {
        self.decide();
        if let Some(wide) = self.wide.take() {
            let decoded = wide::decoded(&wide);
            self.is_unreadable |= decoded.is_none();
            self.hand_on(&decoded.unwrap_or(wide));
        }
        let mut findings = self.text.map(TextLook::finish).unwrap_or_default();
        findings.is_unreadable |= self.is_unreadable;
        findings
    }
}

fn is_packed(head: &[u8]) -> bool {
    head.starts_with(b"\x1f\x8b\x08")
        || head.starts_with(b"\x28\xb5\x2f\xfd")
        || is_packed_otherwise(head)
}

impl Write for Plain {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        match &mut self.head {
            Some(head) => {
                head.extend_from_slice(piece);
                if head.len() >= HEAD {
                    self.decide();
                }
            }
            None => self.take(piece),
        }
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
