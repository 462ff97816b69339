//! What fuzzing found: each input as small as it still went wrong.

use crate::decode::{Limits, Reason, Records};

/// An object that is no UTF-8 text was cut at the record limit even where it is no larger than a window.
#[test]
fn an_unreadable_object_in_a_window_is_kept_whole() {
    let data = b"\xff\x00\x00\x00\x0a\x7d";
    let limits = Limits {
        max_record_bytes: 2,
        ..Limits::default()
    };
    let mut records = Records::new(&data[..], &limits);
    let record = records.next_record().unwrap();
    assert_eq!(
        (record.offset, record.length, record.bytes),
        (0, 6, &data[..])
    );
    assert_eq!(record.content.unwrap_err(), Reason::RecordTooLarge);
    assert!(records.next_record().is_none());
}
