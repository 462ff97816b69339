//! How messages show what was written, and guess what was meant.

/// A value as a message shows it: on one line, and not too long.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut shown: String = text
        .chars()
        .take(LONGEST)
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// The name that differs from `written` by at most two slips, and by fewer
/// than half of its letters.
pub(super) fn closest<'a>(written: &str, names: &[&'a str]) -> Option<&'a str> {
    const MOST_SLIPS: usize = 2;
    names
        .iter()
        .map(|name| (slips(written, name), *name))
        .filter(|(slips, name)| *slips <= MOST_SLIPS && slips * 2 < name.len())
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, name)| name)
}

/// How many letters have to be put in, left out or replaced (Levenshtein).
fn slips(written: &str, meant: &str) -> usize {
    let meant: Vec<char> = meant.chars().collect();
    let mut above: Vec<usize> = (0..=meant.len()).collect();
    for (row, letter) in written.chars().enumerate() {
        let mut last = row + 1;
        let mut costs = vec![last];
        for (other, [replace, leave_out]) in meant.iter().zip(above.array_windows()) {
            let replace = replace + usize::from(letter != *other);
            last = replace.min(leave_out + 1).min(last + 1);
            costs.push(last);
        }
        above = costs;
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_slips() {
        let table = [
            ("keep", "keep", 0),
            ("kep", "keep", 1),
            ("keeep", "keep", 1),
            ("kepe", "keep", 2),
            ("", "keep", 4),
            ("raw", "", 3),
        ];
        for (written, meant, expected) in table {
            assert_eq!(slips(written, meant), expected, "{written} for {meant}");
        }
    }

    #[test]
    fn guesses_only_what_is_close() {
        let names = ["sort_by", "partition_by", "target_file_size"];
        assert_eq!(closest("sortby", &names), Some("sort_by"));
        assert_eq!(closest("partitoin_by", &names), Some("partition_by"));
        assert_eq!(closest("size", &names), None);
        assert_eq!(closest("ra", &["raw"]), Some("raw"));
        assert_eq!(closest("r", &["raw"]), None);
    }

    #[test]
    fn shows_long_text_on_one_line() {
        assert_eq!(shown("two\nlines"), "two lines");
        assert_eq!(shown(&"a".repeat(81)), format!("{}…", "a".repeat(80)));
    }
}
