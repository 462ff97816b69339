//! The fingerprints of a batch's rows, column by column, without making the rows events again.
//!
//! Every column adds its values' leaves to the sums of the rows; what is in `_rescued` is added once per
//! distinct text and row. Where an entry stands in place of something that the columns hold as well
//! (several values, an element of a list), the row is rebuilt.
//!
//! Hazards: a struct whose fields are all absent is a leaf of its own, unless `_rescued` has something in
//! it; a place that `_rescued` names has to be there, or the row could never be rebuilt. So every struct
//! that is present is held against what its row rescues. Keeps invariant 5.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, GenericListArray, OffsetSizeTrait, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Float64Type, Int64Type};

use super::document::{Content, Document, Value};
use super::fingerprint::{Path, ROOT, fingerprint, finish, hash_text, leaves};
use super::json::MAX_DEPTH;
use super::names::{RESCUED, is_reserved};
use super::number::{Number, short_number_of};
use super::rescued::names_of;
use super::tape::Tape;
use super::{RebuildError, rebuild};

/// The fingerprint of every row of a batch as read back from a file, in order: that of the event which
/// [`rebuild`] makes of it.
pub fn fingerprints(batch: &RecordBatch) -> Result<Vec<u64>, RebuildError> {
    let schema = batch.schema();
    let columns: Vec<Column<'_>> = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .filter(|(field, _)| !is_reserved(field.name()))
        .collect();
    let texts = batch
        .column_by_name(RESCUED)
        .ok_or(RebuildError::NoRescuedColumn)?;
    let texts = cast(texts, &DataType::Utf8)?;
    let mut rows = Rows::of(texts.as_string::<i32>(), &columns);
    let places: Vec<Place> = (0..batch.num_rows())
        .map(|row| Place {
            index: row,
            row,
            path: ROOT,
        })
        .collect();
    rows.add_members(&columns, &places)?;
    rows.finish(batch)
}

type Column<'batch> = (&'batch FieldRef, &'batch ArrayRef);

/// A value of an array and where in which row it stands.
#[derive(Clone, Copy)]
struct Place {
    index: usize,
    row: usize,
    path: Path,
}

/// What one text of `_rescued` adds to a row.
struct Rescue {
    leaves: u64,
    /// The objects that it has something in, each once.
    parents: Vec<Path>,
    /// It stands in place of what columns hold as well, or is not understood.
    replaces: bool,
}

struct Rows {
    sums: Vec<u64>,
    /// Positions in `rescues`.
    rescue_of: Vec<Option<usize>>,
    rescues: Vec<Rescue>,
    /// How many of its rescue's parents each row was seen to have.
    parents_seen: Vec<usize>,
}

impl Rows {
    fn of(texts: &arrow::array::StringArray, columns: &[Column<'_>]) -> Self {
        let mut rescues = Vec::new();
        let mut known: HashMap<&str, usize> = HashMap::new();
        let mut rescue_of = Vec::with_capacity(texts.len());
        for text in texts {
            rescue_of.push(text.map(|text| {
                *known.entry(text).or_insert_with(|| {
                    rescues.push(Rescue::read(text, columns));
                    rescues.len() - 1
                })
            }));
        }
        Self {
            sums: vec![0; texts.len()],
            rescue_of,
            rescues,
            parents_seen: vec![0; texts.len()],
        }
    }

    fn finish(self, batch: &RecordBatch) -> Result<Vec<u64>, RebuildError> {
        let mut fingerprints = Vec::with_capacity(self.sums.len());
        let rows = self
            .sums
            .iter()
            .zip(&self.rescue_of)
            .zip(&self.parents_seen);
        for (row, ((sum, rescue), parents_seen)) in rows.enumerate() {
            let rescue = rescue.and_then(|rescue| self.rescues.get(rescue));
            fingerprints.push(match rescue {
                None => finish(*sum),
                Some(rescue) if !rescue.replaces && rescue.parents.len() == *parents_seen => {
                    finish(sum.wrapping_add(rescue.leaves))
                }
                Some(_) => fingerprint(&rebuild(batch, row)?),
            });
        }
        Ok(fingerprints)
    }

    #[inline]
    fn add(&mut self, row: usize, leaf: u64) {
        if let Some(sum) = self.sums.get_mut(row) {
            *sum = sum.wrapping_add(leaf);
        }
    }

    /// Adds the fields of the objects that stand at `places`.
    fn add_members(
        &mut self,
        columns: &[Column<'_>],
        places: &[Place],
    ) -> Result<(), RebuildError> {
        let mut is_empty = vec![true; places.len()];
        let mut inside = Vec::with_capacity(places.len());
        for (field, array) in columns {
            let key = hash_text(field.name());
            let array = without_dictionary(array)?;
            inside.clear();
            for (place, is_empty) in places.iter().zip(&mut is_empty) {
                if is_value(&array, place.index) {
                    *is_empty = false;
                    inside.push(Place {
                        path: place.path.member(key),
                        ..*place
                    });
                }
            }
            self.add_values(&array, &inside)?;
        }
        for (place, is_empty) in places.iter().zip(is_empty) {
            if !self.is_rescued_from(place) && is_empty {
                self.add(place.row, place.path.empty_object());
            }
        }
        Ok(())
    }

    /// Whether the row rescues something of the object at a place, which is counted as seen.
    fn is_rescued_from(&mut self, place: &Place) -> bool {
        let rescue = self.rescue_of.get(place.row).copied().flatten();
        let Some(rescue) = rescue.and_then(|rescue| self.rescues.get(rescue)) else {
            return false;
        };
        let is_parent = rescue.parents.contains(&place.path);
        if is_parent && let Some(seen) = self.parents_seen.get_mut(place.row) {
            *seen += 1;
        }
        is_parent
    }

    /// Adds the values of an array that stand at `places`; none of them is null.
    fn add_values(&mut self, array: &ArrayRef, places: &[Place]) -> Result<(), RebuildError> {
        match array.data_type() {
            _ if places.is_empty() => {}
            DataType::Boolean => {
                let values = array.as_boolean();
                for Place { index, row, path } in places {
                    self.add(*row, path.boolean(values.value(*index)));
                }
            }
            DataType::Int64 => {
                let values = array.as_primitive::<Int64Type>();
                for Place { index, row, path } in places {
                    self.add(*row, path.integer(values.value(*index)));
                }
            }
            DataType::Float64 => {
                let values = array.as_primitive::<Float64Type>();
                for Place { index, row, path } in places {
                    self.add(*row, decimal(*path, values.value(*index))?);
                }
            }
            DataType::Utf8 => {
                let values = array.as_string::<i32>();
                for Place { index, row, path } in places {
                    self.add(*row, path.text(values.value(*index)));
                }
            }
            DataType::LargeUtf8 => {
                let values = array.as_string::<i64>();
                for Place { index, row, path } in places {
                    self.add(*row, path.text(values.value(*index)));
                }
            }
            DataType::Utf8View => {
                let values = array.as_string_view();
                for Place { index, row, path } in places {
                    self.add(*row, path.text(values.value(*index)));
                }
            }
            DataType::Struct(fields) => {
                let columns: Vec<Column<'_>> =
                    fields.iter().zip(array.as_struct().columns()).collect();
                self.add_members(&columns, places)?;
            }
            DataType::List(_) => self.add_elements(array.as_list::<i32>(), places)?,
            DataType::LargeList(_) => self.add_elements(array.as_list::<i64>(), places)?,
            other => return Err(RebuildError::UnsupportedType(other.clone())),
        }
        Ok(())
    }

    fn add_elements<Offset: OffsetSizeTrait>(
        &mut self,
        lists: &GenericListArray<Offset>,
        places: &[Place],
    ) -> Result<(), RebuildError> {
        let elements = without_dictionary(lists.values())?;
        let offsets = lists.value_offsets();
        let mut inside = Vec::new();
        for Place { index, row, path } in places {
            let (Some(start), Some(end)) = (offsets.get(*index), offsets.get(index + 1)) else {
                continue;
            };
            let (start, end) = (start.as_usize(), end.as_usize());
            if start == end {
                self.add(*row, path.empty_array());
            }
            for element in start..end {
                let path = path.element(element - start);
                if is_value(&elements, element) {
                    inside.push(Place {
                        index: element,
                        row: *row,
                        path,
                    });
                } else {
                    self.add(*row, path.null());
                }
            }
        }
        self.add_values(&elements, &inside)
    }
}

fn without_dictionary(array: &ArrayRef) -> Result<ArrayRef, RebuildError> {
    Ok(match array.data_type() {
        DataType::Dictionary(_, value_type) => cast(array, value_type)?,
        _ => ArrayRef::clone(array),
    })
}

fn is_value(array: &ArrayRef, index: usize) -> bool {
    array.is_valid(index) && *array.data_type() != DataType::Null
}

fn decimal(path: Path, value: f64) -> Result<u64, RebuildError> {
    if let Some(short) = short_number_of(value) {
        return Ok(path.short_number(short));
    }
    let number = Number::from_f64(value).ok_or(RebuildError::NotANumber)?;
    Ok(path.number(number.as_str()))
}

impl Rescue {
    fn read(text: &str, columns: &[Column<'_>]) -> Self {
        let mut rescue = Self {
            leaves: 0,
            parents: Vec::new(),
            replaces: false,
        };
        let document = Document::value(text.as_bytes(), MAX_DEPTH, &mut Tape::default());
        if document.is_ok_and(|document| rescue.take(&document, columns).is_some()) {
            return rescue;
        }
        // Whoever rebuilds the row says what is wrong.
        rescue.replaces = true;
        rescue
    }

    /// `None` for what is not understood.
    fn take(&mut self, document: &Document, columns: &[Column<'_>]) -> Option<()> {
        let Content::Object(entries) = document.root().content() else {
            return None;
        };
        let mut paths = Vec::new();
        for (pointer, values) in entries {
            let Content::Array(mut values) = values.content() else {
                return None;
            };
            let spot = Spot::find(pointer, columns)?;
            let value: Value<'_> = values.next()?;
            if spot.is_element || values.next().is_some() || paths.contains(&spot.path) {
                return None;
            }
            paths.push(spot.path);
            if !self.parents.contains(&spot.parent) {
                self.parents.push(spot.parent);
            }
            self.leaves = self
                .leaves
                .wrapping_add(leaves(value, spot.path, &mut Vec::new()));
        }
        Some(())
    }
}

/// A place that a pointer names, as the columns see it.
struct Spot {
    path: Path,
    parent: Path,
    is_element: bool,
}

impl Spot {
    /// `None` where the columns have no such place.
    fn find(pointer: &str, columns: &[Column<'_>]) -> Option<Self> {
        let mut names = names_of(pointer)?;
        let first = names.next()?;
        let column = columns.iter().find(|(field, _)| *field.name() == *first);
        let mut inside = column.map(|(field, _)| field.data_type());
        let mut spot = Self {
            path: ROOT.member(hash_text(&first)),
            parent: ROOT,
            is_element: false,
        };
        for name in names {
            spot.parent = spot.path;
            match inside? {
                DataType::Struct(fields) => {
                    spot.path = spot.path.member(hash_text(&name));
                    spot.is_element = false;
                    let field = fields.iter().find(|field| *field.name() == *name);
                    inside = field.map(|field| field.data_type());
                }
                DataType::List(element) | DataType::LargeList(element) => {
                    let index: usize = name
                        .parse()
                        .ok()
                        .filter(|index: &usize| index.to_string() == name)?;
                    spot.path = spot.path.element(index);
                    spot.is_element = true;
                    inside = Some(element.data_type());
                }
                _ => return None,
            }
        }
        Some(spot)
    }
}
