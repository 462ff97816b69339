//! A raw object without some of its records, everything else byte for byte.
//!
//! Hazards: a comma too many breaks a top-level array, a line break too few joins neighbours.
//! Broken records have no grammar: once what stood between `{"a":`, `{}` and `}` on lines of their
//! own is gone, the three are one document. No byte is lost by that, but whoever deletes what was
//! replaced compares the framing of the result first (invariant 5).

use super::Record;
use super::frame::{is_line_start, skip_blank, skip_separators};
use super::scan::{is_white_space, skip_white_space};

/// The data without the records for which `drop` holds. Their line breaks and, in a top-level
/// array, their commas go with them.
pub fn remove_records(data: &[u8], framed: &[Record<'_>], drop: &dyn Fn(u64) -> bool) -> Vec<u8> {
    let mut kept = Vec::with_capacity(data.len());
    let mut copied_to = 0;
    let mut previous_end = 0;
    let go_together = |one: &Record<'_>, next: &Record<'_>| {
        drop(one.ordinal) == drop(next.ordinal)
            && share_container(data, end_of(one), start_of(next))
    };
    for run in framed.chunk_by(go_together) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else {
            continue;
        };
        let (start, end) = (start_of(first), end_of(last));
        if drop(first.ordinal) {
            let (cut_start, cut_end) = cut(data, previous_end, start, end);
            kept.extend_from_slice(data.get(copied_to..cut_start).unwrap_or_default());
            copied_to = cut_end;
            if would_join(&kept, data, cut_end) {
                kept.push(b'\n');
            }
        }
        previous_end = end;
    }
    kept.extend_from_slice(data.get(copied_to..).unwrap_or_default());
    kept
}

/// Whether no array opens or ends between two records.
fn share_container(data: &[u8], end: usize, start: usize) -> bool {
    let gap = data.get(end..start).unwrap_or_default();
    !gap.iter().any(|byte| matches!(byte, b'[' | b']'))
}

fn start_of(record: &Record<'_>) -> usize {
    usize::try_from(record.offset).unwrap_or(usize::MAX)
}

fn end_of(record: &Record<'_>) -> usize {
    start_of(record).saturating_add(record.bytes.len())
}

/// What to cut out for the records in `start..end`. The bytes between `gap_start` and `start`
/// belong to no record.
fn cut(data: &[u8], gap_start: usize, start: usize, end: usize) -> (usize, usize) {
    let gap = data.get(gap_start..start).unwrap_or_default();
    let before = gap.iter().rposition(|byte| !is_white_space(*byte));
    let opening = before.filter(|position| gap.get(*position) == Some(&b'['));
    let behind = skip_separators(data, end);
    if let Some(position) = opening.filter(|_| behind == data.len()) {
        // The bracket of an array that never ends would be a broken record on its own.
        return (gap_start + position, behind);
    }
    let next = skip_white_space(data, end);
    if data.get(next) == Some(&b',') {
        return (start, skip_white_space(data, next + 1));
    }
    if let Some(position) = before.filter(|position| gap.get(*position) == Some(&b',')) {
        return (gap_start + position, end);
    }
    whole_lines(data, start, end).unwrap_or((start, end))
}

/// With the line break, if nothing else stands on the lines of `start..end`.
fn whole_lines(data: &[u8], start: usize, end: usize) -> Option<(usize, usize)> {
    let is_margin = |byte: &u8| is_white_space(*byte) && *byte != b'\n';
    let before = data.get(..start)?;
    let margin = before
        .iter()
        .rev()
        .take_while(|byte| is_margin(byte))
        .count();
    let after = data.get(end..)?;
    let tail = after.iter().take_while(|byte| is_margin(byte)).count();
    if !is_line_start(data, start - margin) {
        return None;
    }
    match data.get(end + tail) {
        None => Some((start - margin, end + tail)),
        Some(b'\n') => Some((start - margin, end + tail + 1)),
        Some(_) => None,
    }
}

/// Whether text that was apart would now touch in a way that could read as one.
fn would_join(kept: &[u8], data: &[u8], next: usize) -> bool {
    let (Some(before), Some(after)) = (kept.last(), data.get(next)) else {
        return false;
    };
    let touches = skip_blank(data, next) == next && !is_white_space(*before);
    touches && !b"{}[],".contains(before) && !b"{}[],".contains(after)
}
