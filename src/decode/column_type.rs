//! The types that leaf columns have, by the names that policies and plans call them.

use std::fmt;
use std::str::FromStr;

use arrow::datatypes::DataType;

/// The type of a column that holds one JSON value a row (or a list element).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// Strings.
    Text,
    /// Whole numbers of 64 bits.
    Integer,
    /// Numbers that a 64-bit float holds exactly.
    Decimal,
    /// `true` and `false`.
    Boolean,
}

/// No type has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is text, integer, decimal or boolean")]
pub struct UnknownType;

impl ColumnType {
    /// The type of an existing column; none for structs, lists and types that no event brings.
    pub fn of(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(Self::Text),
            DataType::Int64 => Some(Self::Integer),
            DataType::Float64 => Some(Self::Decimal),
            DataType::Boolean => Some(Self::Boolean),
            _ => None,
        }
    }

    pub(super) fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Integer => DataType::Int64,
            Self::Decimal => DataType::Float64,
            Self::Boolean => DataType::Boolean,
        }
    }
}

impl FromStr for ColumnType {
    type Err = UnknownType;

    fn from_str(name: &str) -> Result<Self, UnknownType> {
        match name {
            "text" => Ok(Self::Text),
            "integer" => Ok(Self::Integer),
            "decimal" => Ok(Self::Decimal),
            "boolean" => Ok(Self::Boolean),
            _ => Err(UnknownType),
        }
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::Boolean => "boolean",
        })
    }
}
