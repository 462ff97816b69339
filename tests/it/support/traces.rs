//! Looks for an identifier in every file of a folder, in every form that it could have.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow_avro::reader::ReaderBuilder;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::tables;

/// All files under `folder`, hidden ones too.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(folder) else {
            continue;
        };
        for entry in entries {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

/// The files under `folder` that hold `identifier` as a whole word: in their name, in their bytes, in
/// their bytes once decompressed, in a value of a Parquet or Avro file.
pub fn mentioning(folder: &Path, identifier: &str) -> Vec<PathBuf> {
    let mut found = files(folder);
    found.retain(|file| {
        let name = file.strip_prefix(folder).unwrap();
        holds_word(name.to_str().unwrap().as_bytes(), identifier) || mentions(file, identifier)
    });
    found
}

fn mentions(file: &Path, identifier: &str) -> bool {
    let bytes = fs::read(file).unwrap();
    if holds_word(&bytes, identifier) {
        return true;
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut plain = Vec::new();
        // What a damaged stream holds before its damage counts too.
        let _ = MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain);
        return holds_word(&plain, identifier);
    }
    batches_mention(&batches(&bytes), identifier)
}

/// The rows of a Parquet file or an Avro container; none of any other.
pub fn batches(bytes: &[u8]) -> Vec<RecordBatch> {
    if bytes.starts_with(b"PAR1") {
        let reader =
            ParquetRecordBatchReaderBuilder::try_new(Bytes::copy_from_slice(bytes)).unwrap();
        return reader.build().unwrap().map(Result::unwrap).collect();
    }
    if bytes.starts_with(b"Obj\x01") {
        let reader = ReaderBuilder::new().build(bytes).unwrap();
        return reader.map(Result::unwrap).collect();
    }
    Vec::new()
}

fn batches_mention(batches: &[RecordBatch], identifier: &str) -> bool {
    for batch in batches {
        for field in batch.schema().fields() {
            for row in 0..batch.num_rows() {
                let cell = tables::cell(batch, field.name(), row);
                if holds_word(cell.as_bytes(), identifier) {
                    return true;
                }
            }
        }
    }
    false
}

fn holds_word(bytes: &[u8], word: &str) -> bool {
    let is_word = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let mut windows = bytes.windows(word.len()).enumerate();
    windows.any(|(start, window)| {
        window == word.as_bytes()
            && !is_word(start.checked_sub(1).and_then(|before| bytes.get(before)))
            && !is_word(bytes.get(start + word.len()))
    })
}
