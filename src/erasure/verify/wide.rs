//! UTF-16 and UTF-32 text → UTF-8. What cannot be decoded whole is not decoded at all.

/// The text as UTF-8; none if it is not recognised as wide, or not valid.
pub(super) fn decoded(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = match width(bytes)? {
        Width::Two { big } => of_sixteen(bytes, big)?,
        Width::Four { big } => of_thirty_two(bytes, big)?,
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    Some(text.as_bytes().to_vec())
}

/// Whether the first bytes are those of wide text.
pub(super) fn is_wide(bytes: &[u8]) -> bool {
    width(bytes).is_some()
}

enum Width {
    Two { big: bool },
    Four { big: bool },
}

/// By a byte order mark, or by the zeros that ASCII signs are made wide with.
fn width(bytes: &[u8]) -> Option<Width> {
    Some(match bytes {
        [0xff, 0xfe, 0, 0, ..] | [1..=0x7f, 0, 0, 0, ..] => Width::Four { big: false },
        [0, 0, 0xfe, 0xff, ..] | [0, 0, 0, 1..=0x7f, ..] => Width::Four { big: true },
        [0xff, 0xfe, ..] | [1..=0x7f, 0, 1..=0x7f, 0, ..] => Width::Two { big: false },
        [0xfe, 0xff, ..] | [0, 1..=0x7f, 0, 1..=0x7f, ..] => Width::Two { big: true },
        _ => return None,
    })
}

fn of_sixteen(bytes: &[u8], big: bool) -> Option<String> {
    let units = bytes.chunks(2).map(|unit| {
        let unit: [u8; 2] = unit.try_into().ok()?;
        Some(if big {
            u16::from_be_bytes(unit)
        } else {
            u16::from_le_bytes(unit)
        })
    });
    let units: Option<Vec<u16>> = units.collect();
    String::from_utf16(&units?).ok()
}

fn of_thirty_two(bytes: &[u8], big: bool) -> Option<String> {
    let signs = bytes.chunks(4).map(|sign| {
        let sign: [u8; 4] = sign.try_into().ok()?;
        char::from_u32(if big {
            u32::from_be_bytes(sign)
        } else {
            u32::from_le_bytes(sign)
        })
    });
    signs.collect()
}
