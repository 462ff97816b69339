//! What files of records come to, by hand: rows of the table in [`super`], and broken files.

mod avro;
mod avro_broken;
mod parquet;
mod parquet_broken;

use super::{Converted, RawFormat};
use crate::decode::{Limits, Plain};

/// The lines of a file that is whole.
fn lines(converted: &Converted) -> Vec<&str> {
    assert_eq!(converted.damage, None);
    str::from_utf8(&converted.lines).unwrap().lines().collect()
}

/// A record a line, as framing and admission see it: its text, or the code of why it is broken, its place
/// among the records and its bytes.
fn outline(raw: &[u8], format: RawFormat) -> Vec<String> {
    let limits = Limits::default();
    let plain = Plain::of(raw, format, &limits);
    let records = plain.records(&limits);
    let told = records.iter().map(|record| {
        let place = plain.place(record.ordinal);
        let place = place.map_or("?".into(), |place| place.to_string());
        let bytes = String::from_utf8_lossy(record.bytes);
        match record.content {
            Ok(_) => format!("{place} {bytes}"),
            Err(reason) => format!("{place} {}: {bytes}", reason.code()),
        }
    });
    told.collect()
}

/// The file without its records at `ordinals`.
fn without(raw: &[u8], format: RawFormat, ordinals: &[u64]) -> Option<Vec<u8>> {
    let limits = Limits::default();
    let plain = Plain::of(raw, format, &limits);
    let dropped = ordinals.iter().copied().collect();
    plain.without(raw, &plain.records(&limits), &dropped, &limits)
}
