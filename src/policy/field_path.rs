//! Which field of an event is meant: dotted paths, as policies write them.

use super::error::ValueError;
use crate::decode::FieldPath;

/// Reads `userId` or `customer.email`. A field whose own name holds a dot cannot be written.
pub(super) fn parse(text: &str) -> Result<FieldPath, ValueError> {
    let segments: Vec<String> = text.split('.').map(str::to_owned).collect();
    for segment in &segments {
        if segment.is_empty() {
            return Err(ValueError::new("a name before or after a dot is empty"));
        }
        if segment.trim() != segment || segment.contains(char::is_control) {
            return Err(ValueError::new(
                "a name has white space at an end or a control character",
            ));
        }
    }
    Ok(FieldPath::from_names(segments))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints() {
        let path = parse("customer.email").expect("a path");
        assert_eq!(path.names(), ["customer", "email"]);
        assert_eq!(path.to_string(), "customer.email");
    }

    #[test]
    fn refuses_what_is_no_path() {
        let empty = "a name before or after a dot is empty";
        let space = "a name has white space at an end or a control character";
        let table = [
            ("", empty),
            (".userId", empty),
            ("customer..email", empty),
            ("customer. email", space),
            ("userId ", space),
            ("user\u{0}Id", space),
        ];
        for (written, why) in table {
            let error = parse(written).expect_err(written);
            assert_eq!(error.to_string(), why, "{written:?}");
        }
    }
}
