//! Why a record, an object or a time could not be understood.
//!
//! Hazard: reasons end up in quarantine, logs and reports, so they hold no byte of the record
//! (invariant 9).

/// Why something of a raw object was not understood. `Display` is for people, [`Reason::code`] for reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Reason {
    #[error("the record is not UTF-8 text")]
    NotUtf8,
    #[error("the object is UTF-16 or UTF-32 text, only UTF-8 is read")]
    WideEncoding,
    #[error("the object is compressed in a way that is not supported")]
    UnknownCompression,
    #[error("the record is not JSON: a comma, colon, bracket or value is missing or misplaced")]
    Syntax,
    #[error("the record ends before its JSON value does")]
    Truncated,
    #[error("the record holds a line break inside a string")]
    BrokenString,
    #[error("something that is not JSON follows the value")]
    TrailingText,
    #[error("the record holds a word that JSON does not know")]
    BadLiteral,
    #[error("the record holds a number that JSON does not allow")]
    BadNumber,
    #[error(
        "the record holds a string with a control character, a bad escape or half a surrogate pair"
    )]
    BadString,
    #[error("the record is nested more deeply than the limit")]
    TooDeep,
    #[error("the record is larger than the limit")]
    RecordTooLarge,
    #[error("the record is JSON but not an object")]
    NotAnObject,
    #[error("the compressed data ends too early")]
    CompressionTruncated,
    #[error("the compressed data is damaged")]
    CompressionCorrupt,
    #[error("the object is larger than the limit once decompressed")]
    ObjectTooLarge,
    #[error("the record holds NaN or an infinity, which JSON cannot say")]
    NotFinite,
    #[error("the object is not in the raw format that the policy names")]
    WrongFormat,
    #[error("the file's own schema cannot be read or holds a type that is not supported")]
    ContainerSchema,
    #[error("the file of records ends too early")]
    ContainerTruncated,
    #[error("the file of records is damaged")]
    ContainerCorrupt,
    #[error("the event has no time")]
    TimeMissing,
    #[error("the event has more than one time")]
    TimeAmbiguous,
    #[error("the event's time cannot be read in its declared unit")]
    TimeUnparsable,
    #[error("the event's time has no zone and the policy declares none")]
    TimeWithoutZone,
    #[error("the event's time lies outside the years 1 to 9999")]
    TimeOutOfRange,
    #[error("the event's time lies further ahead than the policy allows")]
    TimeAhead,
}

impl Reason {
    /// Short and stable: reports and quarantine files are searched by it, so it never changes.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotUtf8 => "not_utf8",
            Self::WideEncoding => "wide_encoding",
            Self::UnknownCompression => "unknown_compression",
            Self::Syntax => "syntax",
            Self::Truncated => "truncated",
            Self::BrokenString => "broken_string",
            Self::TrailingText => "trailing_text",
            Self::BadLiteral => "bad_literal",
            Self::BadNumber => "bad_number",
            Self::BadString => "bad_string",
            Self::TooDeep => "too_deep",
            Self::RecordTooLarge => "record_too_large",
            Self::NotAnObject => "not_an_object",
            Self::CompressionTruncated => "compression_truncated",
            Self::CompressionCorrupt => "compression_corrupt",
            Self::ObjectTooLarge => "object_too_large",
            Self::NotFinite => "not_finite",
            Self::WrongFormat => "wrong_format",
            Self::ContainerSchema => "container_schema",
            Self::ContainerTruncated => "container_truncated",
            Self::ContainerCorrupt => "container_corrupt",
            Self::TimeMissing => "time_missing",
            Self::TimeAmbiguous => "time_ambiguous",
            Self::TimeUnparsable => "time_unparsable",
            Self::TimeWithoutZone => "time_without_zone",
            Self::TimeOutOfRange => "time_out_of_range",
            Self::TimeAhead => "time_ahead",
        }
    }
}
