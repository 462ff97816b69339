//! The rows of an inventory's data files, gzipped CSV or Parquet.
//!
//! CSV files have no heading: the manifest names the columns. Their keys are URL-encoded, a space as `+`.

use std::io::Read;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use flate2::read::MultiGzDecoder;

use crate::lake::parquet_files;
use crate::lake::s3::ObjectVersion;
use crate::policy::S3Location;

/// What is needed of a row: its name in CSV, its name in Parquet.
const COLUMNS: [(&str, &str); 8] = [
    ("Bucket", "bucket"),
    ("Key", "key"),
    ("VersionId", "version_id"),
    ("IsLatest", "is_latest"),
    ("IsDeleteMarker", "is_delete_marker"),
    ("Size", "size"),
    ("LastModifiedDate", "last_modified_date"),
    ("ETag", "e_tag"),
];

/// How data files are written.
#[derive(Debug, PartialEq, Eq)]
pub enum Format {
    /// With where each of [`COLUMNS`] stands.
    Csv([usize; 8]),
    Parquet,
}

/// A row as it is written, CSV or Parquet.
struct Row<'a> {
    bucket: &'a str,
    key: String,
    version: &'a str,
    latest: bool,
    marker: bool,
    size: Option<u64>,
    last_modified: Option<DateTime<Utc>>,
    etag: &'a str,
}

impl Format {
    /// By what the manifest says.
    pub fn of(format: &str, schema: &str) -> Result<Self, String> {
        match format.to_ascii_uppercase().as_str() {
            "CSV" => {
                let names: Vec<&str> = schema.split(',').map(str::trim).collect();
                let places = COLUMNS.map(|(name, _)| names.iter().position(|other| *other == name));
                Ok(Self::Csv(all(places)?))
            }
            "PARQUET" => Ok(Self::Parquet),
            _ => Err(format!(
                "it is {format}; let S3 Inventory deliver CSV or Parquet"
            )),
        }
    }

    /// The versions below `location` that a data file names.
    pub fn read(&self, file: Bytes, location: &S3Location) -> Result<Vec<ObjectVersion>, String> {
        let mut found = Vec::new();
        match self {
            Self::Csv(places) => {
                let mut plain = String::new();
                let mut decoder = MultiGzDecoder::new(&file[..]);
                let unpacked = decoder.read_to_string(&mut plain);
                unpacked.map_err(|error| error.to_string())?;
                let mut rest = plain.as_str();
                while !rest.is_empty() {
                    let fields = line(&mut rest)?;
                    found.extend(csv_row(&fields, places)?.version(location)?);
                }
            }
            Self::Parquet => {
                let batches = parquet_files::decode(file).map_err(|error| error.to_string())?;
                for batch in &batches {
                    read_batch(batch, location, &mut found)?;
                }
            }
        }
        Ok(found)
    }
}

/// All columns, or which are missing and what to change.
fn all<T>(places: [Option<T>; 8]) -> Result<[T; 8], String> {
    let named = places.iter().zip(COLUMNS);
    let missing: Vec<&str> = named
        .filter(|(place, _)| place.is_none())
        .map(|(_, (name, _))| name)
        .collect();
    let found: Vec<T> = places.into_iter().flatten().collect();
    found.try_into().map_err(|_| {
        format!(
            "it lacks {}; configure it for all versions, with the fields Size, Last modified date and ETag",
            missing.join(", ")
        )
    })
}

impl Row<'_> {
    /// `None` for what lies elsewhere.
    fn version(self, location: &S3Location) -> Result<Option<ObjectVersion>, String> {
        if self.bucket != location.bucket || !self.key.starts_with(&location.prefix) {
            return Ok(None);
        }
        let (Some(last_modified), Some(size)) =
            (self.last_modified, self.size.or(self.marker.then_some(0)))
        else {
            return Err("a row has no size or no time".into());
        };
        if self.etag.is_empty() && !self.marker {
            return Err("a row has no entity tag".into());
        }
        let etag = if self.marker { "" } else { self.etag };
        let version = match self.version {
            "" => "null",
            version => version,
        };
        Ok(Some(ObjectVersion {
            key: self.key,
            version: version.to_owned(),
            etag: etag.trim_matches('"').to_owned(),
            size,
            latest: self.latest,
            marker: self.marker,
            last_modified,
        }))
    }
}

fn csv_row<'a>(fields: &'a [String], places: &[usize; 8]) -> Result<Row<'a>, String> {
    let texts = places.map(|place| fields.get(place).map(String::as_str));
    let texts: Option<Vec<&str>> = texts.into_iter().collect();
    let Some([bucket, key, version, latest, marker, size, modified, etag]) =
        texts.as_deref().and_then(|texts| texts.first_chunk())
    else {
        return Err("a row is too short".into());
    };
    Ok(Row {
        bucket,
        key: url_decoded(key).ok_or("a key is not URL-encoded")?,
        version,
        latest: truth(latest)?,
        marker: truth(marker)?,
        size: size.parse().ok(),
        last_modified: modified.parse().ok(),
        etag,
    })
}

fn truth(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("a row has neither true nor false where one of them should stand".into()),
    }
}

/// Takes a line off `rest`: fields between commas, in quotes or not, a quote within quotes doubled.
fn line(rest: &mut &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut field = String::new();
    let mut is_quoted = false;
    let mut signs = rest.char_indices().peekable();
    while let Some((_, sign)) = signs.next() {
        match sign {
            '"' if is_quoted && signs.next_if(|(_, next)| *next == '"').is_some() => {
                field.push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(std::mem::take(&mut field)),
            '\n' if !is_quoted => break,
            '\r' if !is_quoted => {}
            _ => field.push(sign),
        }
    }
    if is_quoted {
        return Err("a quote is not closed".into());
    }
    fields.push(field);
    let next = signs.next().map_or(rest.len(), |(next, _)| next);
    *rest = rest.get(next..).unwrap_or_default();
    Ok(fields)
}

fn url_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                *hex::decode(digits).ok()?.first()?
            }
            _ => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn read_batch(
    batch: &RecordBatch,
    location: &S3Location,
    found: &mut Vec<ObjectVersion>,
) -> Result<(), String> {
    let columns = all(COLUMNS.map(|(_, name)| batch.column_by_name(name)))?;
    let as_type = |column: &ArrayRef, kind: &DataType| {
        cast(column, kind).map_err(|error| format!("a column is of another type: {error}"))
    };
    let [bucket, key, version, latest, marker, size, modified, etag] = columns;
    let texts = [bucket, key, version, etag];
    let mut cast_texts = Vec::with_capacity(texts.len());
    for column in texts {
        cast_texts.push(as_type(column, &DataType::Utf8)?);
    }
    let milliseconds = DataType::Timestamp(TimeUnit::Millisecond, None);
    let modified = as_type(&as_type(modified, &milliseconds)?, &DataType::Int64)?;
    let size = as_type(size, &DataType::Int64)?;
    let latest = as_type(latest, &DataType::Boolean)?;
    let marker = as_type(marker, &DataType::Boolean)?;
    let text = |column: usize, row: usize| {
        let column = cast_texts.get(column).map(AsArray::as_string::<i32>);
        let column = column.filter(|column| column.is_valid(row));
        column.map_or("", |column| column.value(row))
    };
    let number = |column: &ArrayRef, row: usize| {
        let is_there = column.is_valid(row);
        is_there.then(|| column.as_primitive::<Int64Type>().value(row))
    };
    let truth =
        |column: &ArrayRef, row: usize| column.is_valid(row) && column.as_boolean().value(row);
    for row in 0..batch.num_rows() {
        let read = Row {
            bucket: text(0, row),
            key: text(1, row).to_owned(),
            version: text(2, row),
            latest: truth(&latest, row),
            marker: truth(&marker, row),
            size: number(&size, row).and_then(|size| u64::try_from(size).ok()),
            last_modified: number(&modified, row).and_then(DateTime::from_timestamp_millis),
            etag: text(3, row),
        };
        found.extend(read.version(location)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
