//! The records of one object, one after the other.

use std::io::{self, Read};

use super::{Codec, Document, Limits, Reason, decompress, frame};

/// A piece of an object that stands for one event, understood or not.
#[derive(Debug)]
pub struct FramedRecord<'window> {
    /// Counts the records of the object from 0, broken ones too.
    pub ordinal: u64,
    /// Where the record starts in the decompressed object, in bytes.
    pub offset: u64,
    /// How long the record is, in bytes: longer than `bytes` only where [`Reason::RecordTooLarge`] cut it.
    pub length: u64,
    /// The record without the white space around it.
    pub bytes: &'window [u8],
    /// The event, or why the record goes to quarantine.
    pub content: Result<Document, Reason>,
}

/// Reads an object record by record.
pub struct Records<Source> {
    source: Option<Source>,
    limits: Limits,
    codec: Codec,
    damage: Option<Reason>,
    failure: Option<io::Error>,
    data: Vec<u8>,
    ready: std::vec::IntoIter<(u64, usize, usize, Result<Document, Reason>)>,
}

impl<Source: Read> Records<Source> {
    /// `source` gives the object's bytes as stored; how they are compressed is told by their first bytes.
    pub fn new(source: Source, limits: &Limits) -> Self {
        Self {
            source: Some(source),
            limits: *limits,
            codec: Codec::Plain,
            damage: None,
            failure: None,
            data: Vec::new(),
            ready: Vec::new().into_iter(),
        }
    }

    /// The next record; `None` at the end, see then [`Self::damage`] and [`Self::failure`].
    pub fn next_record(&mut self) -> Option<FramedRecord<'_>> {
        if let Some(source) = self.source.take() {
            self.read(source);
        }
        let (ordinal, offset, length, content) = self.ready.next()?;
        Some(FramedRecord {
            ordinal,
            offset: offset as u64,
            length: length as u64,
            bytes: self.data.get(offset..offset + length).unwrap_or_default(),
            content,
        })
    }

    fn read(&mut self, mut source: Source) {
        let mut stored = Vec::new();
        if let Err(error) = source.read_to_end(&mut stored) {
            self.failure = Some(error);
        }
        let plain = decompress(&stored, &self.limits);
        (self.codec, self.damage) = (plain.codec, plain.damage);
        let framed: Vec<_> = frame(&plain.data, &self.limits)
            .into_iter()
            .map(|record| {
                let start = usize::try_from(record.offset).unwrap_or(usize::MAX);
                let content = record.content.and_then(|json| Document::of(&json));
                (record.ordinal, start, record.bytes.len(), content)
            })
            .collect();
        self.ready = framed.into_iter();
        self.data = plain.data.into_owned();
    }

    /// After the end: why there may be more in the object than was read.
    pub fn damage(&self) -> Option<Reason> {
        self.damage
    }

    /// After the end: why the source could not be read on. The object is not at fault; read it again.
    pub fn failure(&self) -> Option<&io::Error> {
        self.failure.as_ref()
    }

    /// How the object is compressed, known once a record was asked for.
    pub fn codec(&self) -> Codec {
        self.codec
    }
}
