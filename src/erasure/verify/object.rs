//! One object version: its key, what is noted of it, and its contents.

use std::sync::Arc;

use bytes::Bytes;

use super::coverage::Form;
use super::event::Findings;
use super::kind::{Kind, Kinds};
use super::off_thread;
use super::parquet::{FileError, FileLook, MAGIC};
use super::search::Searcher;
use super::source::Source;
use super::text::{Reading, TextLook, bytes};
use super::unpack::StoredLook;
use crate::decode::{Limits, Plain, RawFormat, Reason};
use crate::lake::error::{S3Error, S3ErrorKind};
use crate::lake::s3::{Object, ObjectVersion, Pick, ReadS3};

/// Larger objects are read piece by piece.
const WHOLE: u64 = 16 * 1024 * 1024;
const PIECE: u64 = 8 * 1024 * 1024;
const AVRO: &[u8] = b"Obj\x01";

/// What looking at object versions takes.
pub(super) struct Looking<'a> {
    pub s3: &'a ReadS3,
    pub searcher: Arc<Searcher>,
    pub kinds: Kinds,
}

impl Looking<'_> {
    /// Looks at the contents of a version and at what is noted of it; none if it has gone meanwhile.
    pub async fn look(
        &self,
        bucket: &str,
        version: &ObjectVersion,
        raw_of: Option<&str>,
    ) -> Result<Option<Findings>, S3Error> {
        match self.look_inside(bucket, version, raw_of).await {
            Ok(findings) => Ok(Some(findings)),
            Err(error) if error.kind == S3ErrorKind::NotFound => Ok(None),
            Err(error) if error.concerns_one_object() => Ok(Some(Findings {
                is_unreadable: true,
                ..Findings::default()
            })),
            Err(error) => Err(error),
        }
    }

    async fn look_inside(
        &self,
        bucket: &str,
        version: &ObjectVersion,
        raw_of: Option<&str>,
    ) -> Result<Findings, S3Error> {
        let (key, pick) = (&version.key, Pick::Version(&version.version));
        let is_small = version.size <= WHOLE;
        let first = if is_small {
            self.s3.get(bucket, key, pick).await?
        } else {
            self.s3.get_range(bucket, key, pick, 0..PIECE).await?
        };
        let mut source = Source {
            s3: self.s3,
            bucket,
            version,
            whole: is_small.then(|| first.bytes.clone()),
        };
        let kind = self.kinds.of(key, raw_of);
        let mut findings = if first.bytes.starts_with(MAGIC) || ends_as_parquet(key) {
            self.look_at_parquet(&source, kind).await?
        } else if first.bytes.starts_with(AVRO) {
            if !is_small {
                source.whole = Some(self.s3.get(bucket, key, pick).await?.bytes);
            }
            let whole = source.whole.clone().unwrap_or_default();
            let searcher = Arc::clone(&self.searcher);
            off_thread(move || look_at_avro(&searcher, &kind.reading, &whole)).await
        } else {
            let reading = kind.reading;
            self.look_at_text(&source, first.bytes.clone(), reading)
                .await?
        };
        let tags = if first.has_tags {
            source.tags().await?
        } else {
            Vec::new()
        };
        self.look_at_notes(&first, &tags, &mut findings);
        Ok(findings)
    }

    async fn look_at_parquet(&self, source: &Source<'_>, kind: Kind) -> Result<Findings, S3Error> {
        let look = FileLook {
            searcher: Arc::clone(&self.searcher),
            fields: kind.columns,
            form: kind.form,
            time_of_rows: kind.time_of_rows,
        };
        match look.look(source).await {
            Ok(findings) => Ok(findings),
            Err(FileError::Store(error)) => Err(error),
            Err(FileError::Unreadable(_)) => {
                let first = source.range(0..PIECE).await?;
                let mut findings = self.look_at_text(source, first, Reading::Bytes).await?;
                findings.is_unreadable = true;
                Ok(findings)
            }
        }
    }

    async fn look_at_text(
        &self,
        source: &Source<'_>,
        first: Bytes,
        reading: Reading,
    ) -> Result<Findings, S3Error> {
        let text = TextLook::new(Arc::clone(&self.searcher), reading);
        let mut stored = StoredLook::new(text);
        let (mut position, mut piece) = (0, first);
        while !piece.is_empty() {
            position += piece.len() as u64;
            stored = off_thread(move || {
                stored.push(&piece);
                stored
            })
            .await;
            piece = Bytes::new();
            if position < source.size() {
                let end = source.size().min(position + PIECE);
                piece = source.range(position..end).await?;
            }
        }
        let mut findings = off_thread(move || stored.finish()).await;
        findings.is_unreadable |= position < source.size();
        Ok(findings)
    }

    /// What is noted of an object beside its contents: user metadata, tags, and the headers that it was
    /// written with.
    fn look_at_notes(&self, object: &Object, tags: &[(String, String)], findings: &mut Findings) {
        let metadata = object.metadata.iter();
        let metadata = metadata.flat_map(|(name, value)| [name, value]);
        let tags = tags.iter().flat_map(|(name, value)| [name, value]);
        let headers = [
            &object.content_type,
            &object.content_encoding,
            &object.content_disposition,
            &object.content_language,
            &object.cache_control,
        ];
        for text in metadata.chain(tags).chain(headers.into_iter().flatten()) {
            let hits = self.searcher.find(text.as_bytes(), true).hits;
            findings.add_hits(&self.searcher, &hits, false, Form::Metadata);
        }
    }

    /// What a key gives away. A short identifier means something there as a whole name between slashes,
    /// less its ending, or behind `=`.
    pub fn look_at_key(&self, key: &str) -> Findings {
        let mut findings = Findings::default();
        for part in key.split('/') {
            let stem = part.split('.').next().unwrap_or_default();
            for text in [part, stem] {
                let hits = self.searcher.find(text.as_bytes(), true).hits;
                findings.add_hits(&self.searcher, &hits, false, Form::Key);
            }
        }
        let hits = self.searcher.find(key.as_bytes(), false).hits;
        findings.add_hits(&self.searcher, &hits, false, Form::Key);
        findings
    }
}

fn ends_as_parquet(key: &str) -> bool {
    std::path::Path::new(key)
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("parquet"))
}

/// An Avro container: its records as the JSON lines that they are taken in as, what could not be read as
/// one, and the file's own metadata. Blocks are unpacked by `decode`, which is the only part of it that is
/// used here.
fn look_at_avro(searcher: &Arc<Searcher>, reading: &Reading, stored: &[u8]) -> Findings {
    let limits = Limits::default();
    let plain = Plain::of(stored, RawFormat::Avro, &limits);
    let mut text = StoredLook::new(TextLook::new(Arc::clone(searcher), reading.clone()));
    text.push(&plain.data);
    let mut findings = text.finish();
    for record in plain.records(&limits) {
        if record.content.is_err() {
            bytes(searcher, record.bytes, true, Form::Broken, &mut findings);
        }
    }
    bytes(
        searcher,
        &plain.metadata,
        false,
        Form::Metadata,
        &mut findings,
    );
    findings.is_unreadable |= plain
        .damage
        .is_some_and(|damage| damage != Reason::CompressionTruncated);
    findings
}
