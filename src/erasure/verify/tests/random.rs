//! Random lakes: what was planted is found, and nothing else.

use std::sync::Arc;

use proptest::prelude::*;

use super::{policies, quarry};
use crate::erasure::verify::kind::Kinds;
use crate::erasure::verify::search::Searcher;
use crate::erasure::verify::text::TextLook;
use crate::erasure::verify::unpack::StoredLook;

/// Ways to write a number or a text into an event's field `userId`, by hand.
fn planted(way: usize, digits: &str) -> String {
    let mut escaped = String::new();
    for digit in digits.bytes() {
        escaped.push_str("\\u00");
        escaped.push_str(&hex::encode([digit]));
    }
    let value = match way % 6 {
        0 => digits.to_owned(),
        1 => format!("\"{digits}\""),
        2 => format!("{digits}.000"),
        3 => format!("{digits}00e-2"),
        4 => format!("\"{escaped}\""),
        _ => format!("[[\"x\"], {digits}]"),
    };
    format!("{{\"userId\":{value},\"timestamp\":\"2026-11-19T08:00:00Z\"}}")
}

/// An event of somebody else with all kinds of values; none of them has a `7`.
fn anybody() -> impl Strategy<Value = String> {
    let text = "[a-f0-68-9 \\\\\"/-]{0,12}";
    let number = prop_oneof![
        (0_u32..999).prop_map(|number| number.to_string().replace('7', "1")),
        Just("1.5e3".to_owned()),
        Just("60.00".to_owned()),
    ];
    (number, text).prop_map(|(user, text)| {
        let text = serde_json::to_string(&text).unwrap();
        format!(
            "{{\"userId\":{user},\"n\":{{\"t\":{text}}},\"timestamp\":\"2026-11-19T08:00:00Z\"}}"
        )
    })
}

proptest! {
    #[test]
    fn what_is_planted_is_found_and_nothing_else(
        events in prop::collection::vec(anybody(), 0..30),
        digits in "7[0-9]{1,11}",
        plant in prop::option::of((any::<prop::sample::Index>(), 0_usize..6)),
        separator in prop::sample::select(vec!["\n", "", "\r\n", ",\n"]),
        packing in 0..3,
        piece in 1_usize..400,
    ) {
        let mut records = events;
        if let Some((at, way)) = plant {
            let at = at.index(records.len() + 1);
            records.insert(at, planted(way, &digits));
        }
        let text = records.join(separator);
        let stored = match packing {
            0 => text.into_bytes(),
            1 => zstd::encode_all(text.as_bytes(), 1).unwrap(),
            _ => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        };
        let mut subject = quarry();
        subject.identifiers = vec![("user_id".into(), digits)];
        let searcher = Arc::new(Searcher::new(&[subject]).unwrap());
        let reading = Kinds::new(&policies()).of("a", Some("cart")).reading;
        let mut look = StoredLook::new(TextLook::new(searcher, reading));
        stored.chunks(piece).for_each(|piece| look.push(piece));
        let found = look.finish();
        prop_assert_eq!(found.traces.len(), usize::from(plant.is_some()));
        prop_assert_eq!(found.records, records.len() as u64);
    }
}
