//! Objects put together from ranges of another object, which the store copies itself, and bytes that are
//! sent.
//!
//! S3 puts objects together from parts: each but the last has at least 5 MiB, a copied one at most 5 GiB.
//! Who orders the stretches has to see to it that what is sent between copies is that long; S3 refuses
//! anything else.
//!
//! Hazards: an upload that is never ended is invisible in listings of objects and holds what was sent, so
//! one that fails is aborted. Only a copy knows whether its source is still the same, so each names the
//! entity tag.

use std::ops::Range;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::{BufMut, Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt};

use super::{Pick, PutIf, WriteS3, collected, quoted};
use crate::lake::error::{S3Error, S3ErrorKind};

/// Bytes that every part but the last must have.
pub const SMALLEST_PART: u64 = 5 * 1024 * 1024;
/// Bytes that one copied part can have.
const LARGEST_COPY: u64 = 5 * 1024 * 1024 * 1024;
/// An object of so many bytes is not worth more than one request.
pub const ONE_REQUEST: u64 = 16 * 1024 * 1024;
/// Parts on their way at the same time: they are in memory while they are sent.
const PARTS_AT_ONCE: usize = 2;

/// A stretch of an object that is put together. Ranges are of the source, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stretch {
    /// The store copies it.
    Copied(Range<u64>),
    /// It is fetched and sent.
    Fetched(Range<u64>),
    /// It is sent.
    Own(Bytes),
}

impl Stretch {
    /// Its length in bytes.
    pub fn length(&self) -> u64 {
        match self {
            Self::Copied(range) | Self::Fetched(range) => range.end.saturating_sub(range.start),
            Self::Own(bytes) => bytes.len() as u64,
        }
    }

    /// Takes off its first `length` bytes; all of it where it has no more.
    fn take(&mut self, length: u64) -> Self {
        let length = length.min(self.length());
        match self {
            Self::Copied(range) => Self::Copied(take(range, length)),
            Self::Fetched(range) => Self::Fetched(take(range, length)),
            Self::Own(bytes) => Self::Own(bytes.split_to(length as usize)),
        }
    }
}

fn take(range: &mut Range<u64>, length: u64) -> Range<u64> {
    let start = range.start;
    range.start += length;
    start..range.start
}

/// The object that ranges are taken from; it lies in the bucket of the new one.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Its key.
    pub key: &'a str,
    /// Its entity tag, without quotes.
    pub etag: &'a str,
}

/// What one request puts into the object.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Copied(Range<u64>),
    Sent(Vec<Stretch>),
}

impl WriteS3 {
    /// Writes an object under a name that was never used, out of `stretches` in order. Should there be an
    /// object all the same, it is our own, whose answer was lost on the way.
    ///
    /// # Errors
    /// When the source is not the one meant any more, a request fails, or fewer than [`SMALLEST_PART`]
    /// bytes are to be sent before a copy. Nothing is left behind then.
    pub async fn compose(
        &self,
        bucket: &str,
        key: &str,
        source: Source<'_>,
        stretches: Vec<Stretch>,
    ) -> Result<(), S3Error> {
        let parts = parts(stretches);
        if let [Part::Sent(stretches)] = parts.as_slice() {
            let body = self.body(bucket, source, stretches).await?;
            self.put(bucket, key, body, PutIf::Absent).await?;
            return Ok(());
        }
        let upload = self.begin_upload(bucket, key).await?;
        let outcome = match self.fill(bucket, key, &upload, source, &parts).await {
            Ok(completed) => self.complete(bucket, key, &upload, completed).await,
            Err(error) => Err(error),
        };
        if outcome.is_err() {
            self.abort(bucket, key, &upload).await;
        }
        outcome
    }

    async fn begin_upload(&self, bucket: &str, key: &str) -> Result<String, S3Error> {
        let attempted = || format!("begin an upload of s3://{bucket}/{key}");
        let request = self.read.connection.client().create_multipart_upload();
        let answer = request.bucket(bucket).key(key).send().await;
        let answer = answer.map_err(|error| S3Error::from_sdk(attempted(), &error))?;
        let upload = answer.upload_id().map(str::to_owned);
        upload.ok_or_else(|| {
            S3Error::new(
                attempted(),
                "the answer has no upload id",
                S3ErrorKind::Other,
            )
        })
    }

    async fn fill(
        &self,
        bucket: &str,
        key: &str,
        upload: &str,
        source: Source<'_>,
        parts: &[Part],
    ) -> Result<Vec<CompletedPart>, S3Error> {
        futures::stream::iter((1..).zip(parts))
            .map(|(number, part)| async move {
                match part {
                    Part::Copied(range) => {
                        self.copy_part(bucket, key, upload, number, source, range)
                            .await
                    }
                    Part::Sent(stretches) => {
                        let body = self.body(bucket, source, stretches).await?;
                        self.send_part(bucket, key, upload, number, body).await
                    }
                }
            })
            .buffered(PARTS_AT_ONCE)
            .try_collect()
            .await
    }

    async fn copy_part(
        &self,
        bucket: &str,
        key: &str,
        upload: &str,
        number: i32,
        source: Source<'_>,
        range: &Range<u64>,
    ) -> Result<CompletedPart, S3Error> {
        let attempted = || {
            let bytes = http_range(range);
            format!("copy {bytes} of s3://{bucket}/{} into {key}", source.key)
        };
        let request = self.read.connection.client().upload_part_copy();
        let answer = request
            .bucket(bucket)
            .key(key)
            .upload_id(upload)
            .part_number(number)
            .copy_source(format!("{bucket}/{}", percent_encoded(source.key)))
            .copy_source_if_match(quoted(source.etag))
            .copy_source_range(http_range(range))
            .customize()
            // Ceph's gateway waits for a body where it is not told that there is none.
            .mutate_request(|request| {
                request.headers_mut().insert("content-length", "0");
            })
            .send()
            .await
            .map_err(|error| S3Error::from_sdk(attempted(), &error))?;
        let copied = answer.copy_part_result().ok_or_else(|| {
            S3Error::new(attempted(), "the answer names no part", S3ErrorKind::Other)
        })?;
        Ok(CompletedPart::builder()
            .part_number(number)
            .set_e_tag(copied.e_tag().map(str::to_owned))
            .set_checksum_crc32(copied.checksum_crc32().map(str::to_owned))
            .set_checksum_crc64_nvme(copied.checksum_crc64_nvme().map(str::to_owned))
            .build())
    }

    async fn send_part(
        &self,
        bucket: &str,
        key: &str,
        upload: &str,
        number: i32,
        body: Bytes,
    ) -> Result<CompletedPart, S3Error> {
        let request = self.read.connection.client().upload_part();
        let answer = request
            .bucket(bucket)
            .key(key)
            .upload_id(upload)
            .part_number(number)
            .body(ByteStream::from(body))
            .send()
            .await
            .map_err(|error| {
                let attempted = format!("send part {number} of s3://{bucket}/{key}");
                S3Error::from_sdk(attempted, &error)
            })?;
        Ok(CompletedPart::builder()
            .part_number(number)
            .set_e_tag(answer.e_tag().map(str::to_owned))
            .set_checksum_crc32(answer.checksum_crc32().map(str::to_owned))
            .set_checksum_crc64_nvme(answer.checksum_crc64_nvme().map(str::to_owned))
            .build())
    }

    async fn body(
        &self,
        bucket: &str,
        source: Source<'_>,
        stretches: &[Stretch],
    ) -> Result<Bytes, S3Error> {
        if let [Stretch::Own(bytes)] = stretches {
            return Ok(bytes.clone());
        }
        let length: u64 = stretches.iter().map(Stretch::length).sum();
        let mut body = BytesMut::with_capacity(length as usize);
        for stretch in stretches {
            match stretch {
                Stretch::Own(bytes) => body.put_slice(bytes),
                Stretch::Copied(range) | Stretch::Fetched(range) => {
                    let pick = Pick::IfMatch(source.etag);
                    let answer = self
                        .read
                        .ask(bucket, source.key, pick, Some(http_range(range)));
                    body.put(collected(answer.await?.body, bucket, source.key).await?);
                }
            }
        }
        if body.len() as u64 != length {
            return Err(S3Error::new(
                format!("read ranges of s3://{bucket}/{}", source.key),
                format!("{} bytes came where {length} were asked for", body.len()),
                S3ErrorKind::Other,
            ));
        }
        Ok(body.freeze())
    }

    async fn complete(
        &self,
        bucket: &str,
        key: &str,
        upload: &str,
        parts: Vec<CompletedPart>,
    ) -> Result<(), S3Error> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts));
        let request = self.read.connection.client().complete_multipart_upload();
        let answer = request
            .bucket(bucket)
            .key(key)
            .upload_id(upload)
            .if_none_match("*")
            .multipart_upload(parts.build())
            .send()
            .await;
        let Err(error) = answer else {
            return Ok(());
        };
        let error = S3Error::from_sdk(format!("end the upload of s3://{bucket}/{key}"), &error);
        let may_be_done = [S3ErrorKind::Precondition, S3ErrorKind::NotFound];
        if may_be_done.contains(&error.kind) && self.read.etag(bucket, key, None).await?.is_some() {
            return Ok(());
        }
        Err(error)
    }

    /// The failure before it is the one that counts, so this one is only logged.
    async fn abort(&self, bucket: &str, key: &str, upload: &str) {
        let request = self.read.connection.client().abort_multipart_upload();
        let answer = request.bucket(bucket).key(key).upload_id(upload).send();
        if let Err(error) = answer.await {
            let attempted = format!("abort the upload of s3://{bucket}/{key}");
            let error = S3Error::from_sdk(attempted, &error);
            tracing::warn!(%error, "an unfinished upload stays behind");
        }
    }
}

/// What is sent between copies goes into parts of nearly equal length.
fn parts(stretches: Vec<Stretch>) -> Vec<Part> {
    let copies = |stretch: &Stretch| matches!(stretch, Stretch::Copied(_));
    let total: u64 = stretches.iter().map(Stretch::length).sum();
    if total <= ONE_REQUEST && !stretches.iter().any(copies) {
        return vec![Part::Sent(stretches)];
    }
    let mut parts = Vec::new();
    let mut to_send = Vec::new();
    for stretch in stretches {
        let Stretch::Copied(mut range) = stretch else {
            to_send.push(stretch);
            continue;
        };
        push_sent(&mut parts, std::mem::take(&mut to_send));
        let length = range.end.saturating_sub(range.start);
        for length in even(length, length.div_ceil(LARGEST_COPY)) {
            parts.push(Part::Copied(take(&mut range, length)));
        }
    }
    push_sent(&mut parts, to_send);
    parts
}

fn push_sent(parts: &mut Vec<Part>, stretches: Vec<Stretch>) {
    let total: u64 = stretches.iter().map(Stretch::length).sum();
    let mut rest = stretches.into_iter().peekable();
    for mut missing in even(total, (total / SMALLEST_PART).max(1)) {
        let mut part = Vec::new();
        while missing > 0
            && let Some(stretch) = rest.peek_mut()
        {
            let taken = stretch.take(missing);
            missing -= taken.length();
            if stretch.length() == 0 {
                rest.next();
            }
            part.push(taken);
        }
        if !part.is_empty() {
            parts.push(Part::Sent(part));
        }
    }
}

/// `total` as a sum of `count` numbers that differ by at most one.
fn even(total: u64, count: u64) -> impl Iterator<Item = u64> {
    (0..count).map(move |index| total / count + u64::from(index < total % count))
}

fn http_range(range: &Range<u64>) -> String {
    format!("bytes={}-{}", range.start, range.end.saturating_sub(1))
}

/// A key as it may stand in a header that S3 decodes like a URL's path.
fn percent_encoded(key: &str) -> String {
    let mut encoded = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                encoded.push(char::from(byte));
            }
            _ => {
                encoded.push('%');
                encoded.push_str(&hex::encode_upper([byte]));
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
