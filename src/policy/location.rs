//! Where in S3 something lies.

use std::fmt;
use std::str::FromStr;

use super::error::ValueError;

/// Signs that S3 or Hive-style paths give a meaning of their own.
const NOT_IN_PREFIX: &str = "\\{}^%`[]\"<>~#|*?";

/// A bucket and a prefix in it, written `s3://bucket/prefix/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct S3Location {
    /// The bucket's name.
    pub bucket: String,
    /// What the keys begin with: empty for the whole bucket, else ends in `/`.
    pub prefix: String,
}

impl S3Location {
    /// The location `below` this one, where `below` is a relative prefix or key:
    /// `events/cart/` below `s3://acme-lake/` is `s3://acme-lake/events/cart/`.
    #[must_use]
    pub fn join(&self, below: &str) -> Self {
        Self {
            bucket: self.bucket.clone(),
            prefix: format!("{}{below}", self.prefix),
        }
    }

    /// Whether some key would lie in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let nested =
            self.prefix.starts_with(&other.prefix) || other.prefix.starts_with(&self.prefix);
        self.bucket == other.bucket && nested
    }
}

impl FromStr for S3Location {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let Some(path) = text.strip_prefix("s3://") else {
            return Err(ValueError::new("it must begin with `s3://`"));
        };
        let Some((bucket, prefix)) = path.split_once('/') else {
            return Err(ValueError::new("it must end in `/`"));
        };
        check_bucket(bucket)?;
        check_prefix(prefix)?;
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        })
    }
}

impl fmt::Display for S3Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "s3://{}/{}", self.bucket, self.prefix)
    }
}

fn check_bucket(bucket: &str) -> Result<(), ValueError> {
    let allowed = bucket
        .chars()
        .all(|sign| matches!(sign, 'a'..='z' | '0'..='9' | '-' | '.'));
    let framed = !bucket.starts_with(['-', '.']) && !bucket.ends_with(['-', '.']);
    if allowed && framed && (3..=63).contains(&bucket.len()) {
        return Ok(());
    }
    Err(ValueError::new(
        "a bucket's name has 3 to 63 small letters, digits, `-` and `.`, a letter or digit at both ends",
    ))
}

fn check_prefix(prefix: &str) -> Result<(), ValueError> {
    let Some(folders) = prefix.strip_suffix('/') else {
        if prefix.is_empty() {
            return Ok(());
        }
        return Err(ValueError::new("it must end in `/`"));
    };
    for folder in folders.split('/') {
        if matches!(folder, "" | "." | "..") {
            return Err(ValueError::new(
                "a part between two `/` is empty, `.` or `..`",
            ));
        }
        if let Some(sign) = folder.chars().find(|sign| is_unsafe(*sign)) {
            return Err(ValueError::new(format!("{sign:?} is not safe in a prefix")));
        }
    }
    Ok(())
}

pub(super) fn is_unsafe(sign: char) -> bool {
    sign.is_whitespace() || sign.is_control() || NOT_IN_PREFIX.contains(sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(text: &str) -> S3Location {
        text.parse().expect(text)
    }

    #[test]
    fn reads_prints_and_joins() {
        let raw = location("s3://acme-cart-events/topics/cart/");
        assert_eq!(raw.bucket, "acme-cart-events");
        assert_eq!(raw.prefix, "topics/cart/");
        assert_eq!(raw.to_string(), "s3://acme-cart-events/topics/cart/");

        let lake = location("s3://acme-lake/");
        assert_eq!(lake.prefix, "");
        let table = lake.join("events/cart/");
        assert_eq!(table.to_string(), "s3://acme-lake/events/cart/");
    }

    #[test]
    fn overlaps_by_whole_folders() {
        let cart = location("s3://acme/topics/cart/");
        assert!(cart.overlaps(&cart));
        assert!(cart.overlaps(&location("s3://acme/topics/")));
        assert!(cart.overlaps(&location("s3://acme/topics/cart/v2/")));
        assert!(cart.overlaps(&location("s3://acme/")));
        assert!(!cart.overlaps(&location("s3://acme/topics/cart_old/")));
        assert!(!cart.overlaps(&location("s3://acme-2/topics/cart/")));
    }

    #[test]
    fn refuses_what_is_no_location() {
        let bucket = "a bucket's name has 3 to 63 small letters, digits, `-` and `.`, a letter or digit at both ends";
        let part = "a part between two `/` is empty, `.` or `..`";
        let table = [
            ("acme/topics/", "it must begin with `s3://`"),
            ("https://acme/topics/", "it must begin with `s3://`"),
            ("s3://acme", "it must end in `/`"),
            ("s3://acme/topics/cart", "it must end in `/`"),
            ("s3://Acme/topics/", bucket),
            ("s3://ac/topics/", bucket),
            ("s3:///topics/", bucket),
            ("s3://acme-/topics/", bucket),
            ("s3://acme//", part),
            ("s3://acme/topics//cart/", part),
            ("s3://acme/../cart/", part),
            ("s3://acme/topics/*/", "'*' is not safe in a prefix"),
            ("s3://acme/my topics/", "' ' is not safe in a prefix"),
        ];
        for (written, why) in table {
            let error = written.parse::<S3Location>().expect_err(written);
            assert_eq!(error.to_string(), why, "{written}");
        }
    }
}
