//! Bodies on their way in and out.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use s3s::dto::StreamingBlob;
use s3s::stream::{ByteStream, RemainingLength};
use s3s::{S3Result, StdError, TrailingHeaders, s3_error};

use crate::embedded::checksums::{ChecksumAlgorithm, ClaimedDigests};
use crate::embedded::store::bucket::storage_failed;
use crate::embedded::store::files::{BucketFiles, WrittenBody};

/// A body that a request brings.
pub struct IncomingBody {
    pub stream: Option<StreamingBlob>,
    /// Bytes that the request announced.
    pub length: Option<i64>,
    pub claimed: ClaimedDigests,
    pub trailers: Option<TrailingHeaders>,
}

impl IncomingBody {
    /// Writes the body to disk and verifies what the request claimed of it.
    /// `checksum` is computed where the request names no algorithm.
    pub async fn receive(
        mut self,
        files: &BucketFiles,
        checksum: Option<ChecksumAlgorithm>,
    ) -> S3Result<WrittenBody> {
        let checksum = self.claimed.algorithm.or(checksum);
        let failed = |error| storage_failed("write a body", error);
        let mut writer = files.new_body(checksum).map_err(failed)?;
        if let Some(mut stream) = self.stream {
            while let Some(chunk) = stream.next().await {
                let chunk = chunk.map_err(|error| incomplete(&error))?;
                writer.write(&chunk).map_err(failed)?;
            }
        }
        let written = writer.finish();
        let announced = self.length.and_then(|length| u64::try_from(length).ok());
        if announced.is_some_and(|length| length != written.size) {
            return Err(s3_error!(IncompleteBody));
        }
        self.claimed.add_trailers(self.trailers.as_ref())?;
        self.claimed.verify(&written.digests)?;
        Ok(written)
    }
}

/// A body that broke off, or whose signature does not hold.
fn incomplete(error: &StdError) -> s3s::S3Error {
    if error.to_string().to_lowercase().contains("mismatch") {
        return s3_error!(BadDigest, "the body does not match its signature");
    }
    s3_error!(IncompleteBody, "the body could not be read to its end")
}

/// Part of a file as a response's body.
pub struct OutgoingBody {
    file: File,
    left: u64,
}

/// Bytes read from a file at a time.
const READ_BUFFER: u64 = 256 * 1024;

impl OutgoingBody {
    pub fn new(mut file: File, range: &ops::Range<u64>) -> io::Result<Self> {
        if range.start > 0 {
            file.seek(SeekFrom::Start(range.start))?;
        }
        Ok(Self {
            file,
            left: range.end - range.start,
        })
    }

    fn read_chunk(&mut self) -> io::Result<Bytes> {
        let length = self.left.min(READ_BUFFER);
        let mut chunk = Vec::with_capacity(length as usize);
        let read = (&self.file).take(length).read_to_end(&mut chunk)?;
        if (read as u64) < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= length;
        Ok(Bytes::from(chunk))
    }
}

impl Stream for OutgoingBody {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(self.read_chunk().map_err(StdError::from)))
    }
}

impl ByteStream for OutgoingBody {
    fn remaining_length(&self) -> RemainingLength {
        usize::try_from(self.left)
            .map_or_else(|_| RemainingLength::unknown(), RemainingLength::new_exact)
    }
}
