//! Objects as the consumers leave them: keys as Kafka Connect lays them, bodies in the formats that
//! four teams came up with, and a few markers without a record.

use std::io::Write;

use chrono::{DateTime, Datelike, Timelike, Utc};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::RawObject;
use super::delivery::Delivery;
use super::document::Spacing;
use super::partition::Partition;
use super::visit::Stage;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// How the records of an object follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// A record a line.
    Lines,
    /// Pretty-printed documents, one after the other.
    Documents,
    /// The elements of one top-level array.
    Array,
}

/// How an object is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) framing: Framing,
    pub(super) gzip: bool,
    pub(super) byte_order_mark: bool,
    pub(super) carriage_returns: bool,
}

impl Layout {
    /// One top-level array, plain.
    pub(super) const ARRAY: Self = Self {
        framing: Framing::Array,
        gzip: false,
        byte_order_mark: false,
        carriage_returns: false,
    };

    /// The layout of the `turn`th object: of 24 in a row, eight are gzip, five are pretty-printed,
    /// two have a byte order mark, two have CRLF; most are JSON lines.
    pub(super) fn scheduled(turn: usize) -> Self {
        let turn = turn % 24;
        Self {
            framing: if [3, 11, 17, 20, 22].contains(&turn) {
                Framing::Documents
            } else {
                Framing::Lines
            },
            gzip: turn % 3 == 1,
            byte_order_mark: [14, 20].contains(&turn),
            carriage_returns: [5, 10].contains(&turn),
        }
    }

    fn encode(self, delivery: &Delivery) -> Vec<u8> {
        let mut body = Vec::with_capacity(delivery.records.len() * 1024);
        if self.byte_order_mark {
            body.extend_from_slice(BYTE_ORDER_MARK);
        }
        let (spacing, opening, separator, closing) = self.frame();
        body.extend_from_slice(opening);
        for (index, record) in delivery.records.iter().enumerate() {
            if index > 0 {
                body.extend_from_slice(separator);
            }
            body.extend(record.bytes(spacing));
        }
        body.extend_from_slice(closing);
        if self.gzip { compress(&body) } else { body }
    }

    /// How a record is spaced, and what stands before, between and after the records.
    fn frame(self) -> (Spacing, &'static [u8], &'static [u8], &'static [u8]) {
        match (self.framing, self.carriage_returns) {
            (Framing::Lines, false) => (Spacing::Line, b"", b"\n", b"\n"),
            (Framing::Lines, true) => (Spacing::Line, b"", b"\r\n", b"\r\n"),
            // As in most of the services' samples: no line break at the end.
            (Framing::Documents, _) => (Spacing::Pretty, b"", b"\n", b""),
            (Framing::Array, _) => (Spacing::Line, b"[", b",\n", b"]"),
        }
    }
}

pub(super) fn write(delivery: &Delivery) -> RawObject {
    let suffix = if delivery.layout.gzip { ".gz" } else { "" };
    RawObject {
        bucket: delivery.stage.bucket().to_owned(),
        key: format!(
            "{}{}{suffix}",
            hour_folder(delivery.stage, delivery.written),
            file_name(delivery.stage, delivery.partition, delivery.start)
        ),
        body: delivery.layout.encode(delivery),
    }
}

/// An empty object, a success marker and a folder marker, all in the product bucket.
pub(super) fn markers(partitions: &[Partition]) -> Vec<RawObject> {
    let newest = partitions.first().and_then(|partition| {
        let batch = partition.batches.last()?;
        let end = batch.start + batch.records.len() as u64;
        Some((partition, end, batch.records.last()?.event.arrival))
    });
    let Some((partition, end, arrival)) = newest else {
        return Vec::new();
    };
    let stage = partition.stage;
    let folder = hour_folder(stage, arrival);
    let keys = [
        format!("{folder}{}", file_name(stage, partition.number, end)),
        format!("{folder}_SUCCESS"),
        format!("topics/{}/", stage.dataset()),
    ];
    let marker = |key| RawObject {
        bucket: stage.bucket().to_owned(),
        key,
        body: Vec::new(),
    };
    keys.map(marker).into()
}

fn hour_folder(stage: Stage, written: DateTime<Utc>) -> String {
    format!(
        "topics/{}/year={:04}/month={:02}/day={:02}/hour={:02}/",
        stage.dataset(),
        written.year(),
        written.month(),
        written.day(),
        written.hour()
    )
}

fn file_name(stage: Stage, partition: u32, start: u64) -> String {
    format!("{}+{partition}+{start:010}.json", stage.dataset())
}

#[expect(clippy::expect_used, reason = "writing to memory does not fail")]
fn compress(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(body)
        .and_then(|()| encoder.finish())
        .expect("writing to memory does not fail")
}
