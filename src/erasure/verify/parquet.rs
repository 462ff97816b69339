//! Parquet files: the rows, column by column, and what a file says beside its rows.
//!
//! A file is read row group by row group. What a dictionary, a statistic or a page index holds is a trace
//! if no row of the group holds it in that column: a writer that copies pages can leave it there. What rows
//! hold has been judged by the rows.
//!
//! Hazard: a row group is in memory whole, as it is stored.

mod columns;
mod leaves;
mod pages;

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::FutureExt;
use futures::future::BoxFuture;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::arrow::async_reader::MetadataFetch;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{
    PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};
use parquet::file::reader::{ChunkReader, Length};

use super::coverage::Form;
use super::event::{Event, Findings};
use super::fields::Fields;
use super::search::Searcher;
use super::source::Source;
use super::text;
use super::walk::Walk;

/// What every Parquet file begins with.
pub(super) const MAGIC: &[u8] = b"PAR1";
/// The footer is usually within so many bytes of the end.
const FOOTER: usize = 64 * 1024;

/// What a file's columns are.
#[derive(Clone)]
pub(super) struct FileLook {
    pub searcher: Arc<Searcher>,
    pub fields: Arc<Fields>,
    /// What a term outside identifier columns is called.
    pub form: Form,
    /// The time that counts for rows that do not tell theirs.
    pub time_of_rows: Option<DateTime<Utc>>,
}

/// Terms that rows of a group hold, by leaf column.
type Held = BTreeSet<(usize, usize)>;

/// Why a file was not read to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("{0}")]
    Store(#[from] crate::lake::error::S3Error),
    /// It is damaged, encrypted, or of a kind not known here.
    #[error("could not read a Parquet file: {0}")]
    Unreadable(#[from] ParquetError),
}

impl FileLook {
    /// Looks at a file.
    pub async fn look(self, source: &Source<'_>) -> Result<Findings, FileError> {
        let metadata = Arc::new(footer(source).await?);
        let mut findings = Findings::default();
        self.look_at_footer(&metadata, &mut findings);
        for group in 0..metadata.num_row_groups() {
            let range = range_of(metadata.row_group(group));
            let window = Window {
                start: range.start,
                file_size: source.size(),
                bytes: source.range(range).await?,
            };
            let (look, metadata) = (self.clone(), Arc::clone(&metadata));
            findings = super::off_thread(move || -> ParquetResult<Findings> {
                look.look_at_group(&metadata, group, &window, &mut findings)?;
                Ok(findings)
            })
            .await?;
        }
        Ok(findings)
    }

    /// Names of columns, and what the writer noted. Statistics are looked at with their row groups.
    fn look_at_footer(&self, metadata: &ParquetMetaData, findings: &mut Findings) {
        let file = metadata.file_metadata();
        let columns = file.schema_descr().columns().iter();
        let names = columns.flat_map(|column| column.path().parts());
        let notes = file.key_value_metadata().into_iter().flatten();
        let notes = notes.flat_map(|note| [Some(&note.key), note.value.as_ref()]);
        let texts = names.chain(notes.flatten());
        for text in texts.map(String::as_str).chain(file.created_by()) {
            self.look_at_text(text, Form::Schema, findings);
        }
    }

    fn look_at_text(&self, text: &str, form: Form, findings: &mut Findings) {
        let hits = self.searcher.find(text.as_bytes(), true).hits;
        findings.add_hits(&self.searcher, &hits, false, form);
        if text.contains('\\') {
            text::bytes(&self.searcher, text.as_bytes(), false, form, findings);
        }
    }

    fn look_at_group(
        &self,
        metadata: &Arc<ParquetMetaData>,
        group: usize,
        window: &Window,
        findings: &mut Findings,
    ) -> ParquetResult<()> {
        let options = ArrowReaderOptions::new();
        let arrow = ArrowReaderMetadata::try_new(Arc::clone(metadata), options)?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(window.clone(), arrow);
        let mut held = Held::new();
        for batch in builder.with_row_groups(vec![group]).build()? {
            let batch = batch?;
            findings.rows += batch.num_rows() as u64;
            self.look_at_rows(&batch, &mut held, findings)?;
        }
        self.look_at_pages(metadata, group, window, &held, findings)
    }

    /// An event that one row is.
    fn judge(&self, mut event: Event, findings: &mut Findings) {
        if event.times.is_empty() {
            event.times.extend(self.time_of_rows.map(Some));
        }
        event.judge(&self.searcher, self.form, findings);
    }

    fn walk(&self) -> Walk<'_> {
        Walk::new(&self.searcher, &self.fields, true)
    }
}

async fn footer(source: &Source<'_>) -> Result<ParquetMetaData, FileError> {
    struct Fetch<'a>(&'a Source<'a>);
    impl MetadataFetch for Fetch<'_> {
        fn fetch(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
            let source = self.0;
            async move {
                let got = source.range(range).await;
                got.map_err(|error| ParquetError::External(Box::new(error)))
            }
            .boxed()
        }
    }
    let reader = ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Optional)
        .with_prefetch_hint(Some(FOOTER));
    let read = reader.load_and_finish(Fetch(source), source.size()).await;
    read.map_err(|error| match error {
        ParquetError::External(error) => match error.downcast() {
            Ok(error) => FileError::Store(*error),
            Err(error) => ParquetError::External(error).into(),
        },
        error => error.into(),
    })
}

/// Where a row group's columns lie.
fn range_of(group: &RowGroupMetaData) -> Range<u64> {
    let ranges = group.columns().iter().map(|column| {
        let (start, length) = column.byte_range();
        start..start.saturating_add(length)
    });
    ranges
        .reduce(|one, other| one.start.min(other.start)..one.end.max(other.end))
        .unwrap_or_default()
}

/// Part of a file, where the file has it.
#[derive(Clone)]
struct Window {
    start: u64,
    file_size: u64,
    bytes: Bytes,
}

impl Window {
    fn from(&self, start: u64) -> ParquetResult<Bytes> {
        let skipped = start.checked_sub(self.start).map(usize::try_from);
        match skipped {
            Some(Ok(skipped)) if skipped <= self.bytes.len() => Ok(self.bytes.slice(skipped..)),
            _ => Err(outside()),
        }
    }
}

fn outside() -> ParquetError {
    ParquetError::EOF("a column reaches beyond its row group".to_owned())
}

impl Length for Window {
    fn len(&self) -> u64 {
        self.file_size
    }
}

impl ChunkReader for Window {
    type T = WindowReader;

    fn get_read(&self, start: u64) -> ParquetResult<WindowReader> {
        Ok(WindowReader(self.from(start)?))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let bytes = self.from(start)?;
        if bytes.len() < length {
            return Err(outside());
        }
        Ok(bytes.slice(..length))
    }
}

/// Reads what is left of a window.
struct WindowReader(Bytes);

impl Read for WindowReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut rest: &[u8] = &self.0;
        let length = rest.read(buffer)?;
        self.0 = self.0.slice(length..);
        Ok(length)
    }
}
