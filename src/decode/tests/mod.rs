//! What nasty input must come to, by the rows of the list of hard cases.

mod codec;
mod columns;
mod columns_of;
mod coverage;
mod declared;
mod framing;
mod fuzz_found;
mod generators;
mod hard_cases;
mod learning;
mod removal;
mod round_trip;
mod samples;
mod scanning;
mod time;
mod values;
mod windows;

use super::{Json, Limits, Reason, Record, frame};

fn json(text: &str) -> Json {
    Json::parse(text.as_bytes()).unwrap()
}

fn framed(data: &[u8]) -> Vec<Record<'_>> {
    frame(data, &Limits::default())
}

/// A record a line: what it holds, or the code of why not and its bytes.
fn outline(data: &[u8]) -> Vec<String> {
    let describe = |record: &Record<'_>| match &record.content {
        Ok(event) => event.to_string(),
        Err(reason) => format!(
            "{}: {}",
            reason.code(),
            String::from_utf8_lossy(record.bytes)
        ),
    };
    framed(data).iter().map(describe).collect()
}

/// Why the only record is broken.
fn only_reason(data: &[u8]) -> Reason {
    let records = framed(data);
    assert_eq!(records.len(), 1, "{:?}", outline(data));
    assert_eq!(records[0].bytes, data);
    *records[0].content.as_ref().unwrap_err()
}
