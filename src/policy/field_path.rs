//! Which field of an event is meant.

use std::fmt;
use std::str::FromStr;

use super::error::ValueError;

/// A field of an event, nested fields by dots: `userId`, `customer.email`.
/// A field whose own name holds a dot cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(Vec<String>);

impl FieldPath {
    /// The names from the outermost field inwards; never empty.
    pub fn segments(&self) -> &[String] {
        &self.0
    }
}

impl From<&FieldPath> for crate::decode::FieldPath {
    fn from(path: &FieldPath) -> Self {
        Self::from_names(path.segments())
    }
}

impl FromStr for FieldPath {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
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
        Ok(Self(segments))
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints() {
        let path: FieldPath = "customer.email".parse().expect("a path");
        assert_eq!(path.segments(), ["customer", "email"]);
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
            let error = written.parse::<FieldPath>().expect_err(written);
            assert_eq!(error.to_string(), why, "{written:?}");
        }
    }
}
