//! Digests of bodies: the MD5 behind the `ETag` and the five S3 checksums.
//!
//! Hazard: a checksum may come in a header or, with chunked bodies, in a
//! trailer that exists only once the body has been read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderMap;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use s3s::{S3Result, TrailingHeaders, dto, s3_error};
use serde::{Deserialize, Serialize};

/// The checksum algorithms of S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ChecksumAlgorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

/// A checksum kept with an object or a part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredChecksum {
    pub algorithm: ChecksumAlgorithm,
    /// Base64; of a composite checksum with `-` and the number of parts.
    pub value: String,
    /// Over the parts' checksums, not over the bytes.
    #[serde(default)]
    pub composite: bool,
}

/// What a client says the digests of its body are.
#[derive(Debug, Default)]
pub struct ClaimedDigests {
    /// To compute, whether or not a value was claimed.
    pub algorithm: Option<ChecksumAlgorithm>,
    value: Option<String>,
    md5: Option<[u8; 16]>,
}

/// The digests of a body that was read to its end.
#[derive(Debug)]
pub struct BodyDigests {
    pub md5: [u8; 16],
    pub checksum: Option<StoredChecksum>,
}

/// Computes the digests while a body goes by.
pub struct BodyHasher {
    md5: Md5,
    checksum: Option<ChecksumAlgorithm>,
    hasher: ChecksumHasher,
}

/// Each algorithm with its header and the bytes of its digest.
const ALGORITHMS: [(ChecksumAlgorithm, &str, usize); 5] = [
    (ChecksumAlgorithm::Crc32, "x-amz-checksum-crc32", 4),
    (ChecksumAlgorithm::Crc32c, "x-amz-checksum-crc32c", 4),
    (ChecksumAlgorithm::Crc64Nvme, "x-amz-checksum-crc64nvme", 8),
    (ChecksumAlgorithm::Sha1, "x-amz-checksum-sha1", 20),
    (ChecksumAlgorithm::Sha256, "x-amz-checksum-sha256", 32),
];

impl ChecksumAlgorithm {
    /// Parses the name that S3 uses on the wire.
    pub fn parse(name: &str) -> S3Result<Self> {
        for (algorithm, _, _) in ALGORITHMS {
            if algorithm.wire_name().eq_ignore_ascii_case(name) {
                return Ok(algorithm);
            }
        }
        Err(s3_error!(InvalidRequest, "unknown checksum algorithm"))
    }

    /// The name on the wire.
    pub fn wire_name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    pub fn to_dto(self) -> dto::ChecksumAlgorithm {
        dto::ChecksumAlgorithm::from_static(self.wire_name())
    }
}

impl StoredChecksum {
    /// The checksum as the API's set of fields, one of them filled.
    pub fn to_dto(&self) -> dto::Checksum {
        let mut fields = dto::Checksum::default();
        let value = Some(self.value.clone());
        match self.algorithm {
            ChecksumAlgorithm::Crc32 => fields.checksum_crc32 = value,
            ChecksumAlgorithm::Crc32c => fields.checksum_crc32c = value,
            ChecksumAlgorithm::Crc64Nvme => fields.checksum_crc64nvme = value,
            ChecksumAlgorithm::Sha1 => fields.checksum_sha1 = value,
            ChecksumAlgorithm::Sha256 => fields.checksum_sha256 = value,
        }
        fields.checksum_type = Some(checksum_type(self.composite));
        fields
    }

    /// Takes the filled field out of the API's set.
    pub fn from_dto(fields: &dto::Checksum) -> Option<Self> {
        let candidates = [
            (ChecksumAlgorithm::Crc32, &fields.checksum_crc32),
            (ChecksumAlgorithm::Crc32c, &fields.checksum_crc32c),
            (ChecksumAlgorithm::Crc64Nvme, &fields.checksum_crc64nvme),
            (ChecksumAlgorithm::Sha1, &fields.checksum_sha1),
            (ChecksumAlgorithm::Sha256, &fields.checksum_sha256),
        ];
        for (algorithm, value) in candidates {
            if let Some(value) = value {
                return Some(Self {
                    algorithm,
                    value: value.clone(),
                    composite: false,
                });
            }
        }
        None
    }

    /// The raw digest; `None` for what is not base64.
    pub fn digest(&self) -> Option<Vec<u8>> {
        BASE64.decode(&self.value).ok()
    }
}

/// The API's word for a composite or a whole-object checksum.
pub fn checksum_type(composite: bool) -> dto::ChecksumType {
    dto::ChecksumType::from_static(if composite {
        dto::ChecksumType::COMPOSITE
    } else {
        dto::ChecksumType::FULL_OBJECT
    })
}

/// The checksum over the digests of an upload's parts, in order.
pub fn composite_checksum(algorithm: ChecksumAlgorithm, digests: &[Vec<u8>]) -> StoredChecksum {
    let mut hasher = BodyHasher::new(Some(algorithm));
    for digest in digests {
        hasher.update(digest);
    }
    let value = hasher.finish().checksum.map(|checksum| checksum.value);
    StoredChecksum {
        algorithm,
        value: format!("{}-{}", value.unwrap_or_default(), digests.len()),
        composite: true,
    }
}

impl ClaimedDigests {
    /// Reads what the request's headers claim.
    pub fn from_headers(headers: &HeaderMap, content_md5: Option<&str>) -> S3Result<Self> {
        let mut claimed = Self {
            md5: content_md5.map(decode_md5).transpose()?,
            ..Self::default()
        };
        for (algorithm, header, _) in ALGORITHMS {
            let Some(value) = headers.get(header) else {
                continue;
            };
            if claimed.value.is_some() {
                return Err(s3_error!(
                    InvalidRequest,
                    "expecting a single x-amz-checksum- header"
                ));
            }
            claimed.claim(algorithm, value.as_bytes())?;
        }
        if claimed.algorithm.is_none() {
            claimed.algorithm = announced_algorithm(headers)?;
        }
        Ok(claimed)
    }

    /// Whether the request claims nothing of its body.
    pub fn is_empty(&self) -> bool {
        self.md5.is_none() && self.algorithm.is_none()
    }

    /// Adds what came after the body, where anything did.
    pub fn add_trailers(&mut self, trailers: Option<&TrailingHeaders>) -> S3Result<()> {
        let Some(trailers) = trailers.and_then(TrailingHeaders::take) else {
            return Ok(());
        };
        for (algorithm, header, _) in ALGORITHMS {
            if let Some(value) = trailers.get(header) {
                self.claim(algorithm, value.as_bytes())?;
            }
        }
        Ok(())
    }

    /// Refuses a body whose digests are not the claimed ones.
    pub fn verify(&self, digests: &BodyDigests) -> S3Result<()> {
        if self.md5.is_some_and(|claimed| claimed != digests.md5) {
            return Err(s3_error!(
                BadDigest,
                "the Content-MD5 you specified did not match what we received"
            ));
        }
        let computed = digests.checksum.as_ref().map(|checksum| &checksum.value);
        if self.value.is_some() && self.value.as_ref() != computed {
            return Err(s3_error!(
                BadDigest,
                "the checksum you specified did not match the calculated checksum"
            ));
        }
        Ok(())
    }

    fn claim(&mut self, algorithm: ChecksumAlgorithm, value: &[u8]) -> S3Result<()> {
        let invalid = || {
            s3_error!(
                InvalidRequest,
                "value for x-amz-checksum- header is invalid"
            )
        };
        let length = BASE64.decode(value).map_err(|_| invalid())?.len();
        let expected = ALGORITHMS.iter().find(|entry| entry.0 == algorithm);
        if expected.is_none_or(|entry| entry.2 != length) {
            return Err(invalid());
        }
        let text = std::str::from_utf8(value).map_err(|_| invalid())?;
        self.algorithm = Some(algorithm);
        self.value = Some(text.to_owned());
        Ok(())
    }
}

fn announced_algorithm(headers: &HeaderMap) -> S3Result<Option<ChecksumAlgorithm>> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    for (algorithm, header, _) in ALGORITHMS {
        if text("x-amz-trailer").is_some_and(|trailer| trailer.trim().eq_ignore_ascii_case(header))
        {
            return Ok(Some(algorithm));
        }
    }
    text("x-amz-sdk-checksum-algorithm")
        .map(ChecksumAlgorithm::parse)
        .transpose()
}

fn decode_md5(text: &str) -> S3Result<[u8; 16]> {
    let decoded = BASE64.decode(text).ok();
    decoded
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| s3_error!(InvalidDigest, "the Content-MD5 you specified is not valid"))
}

impl BodyHasher {
    pub fn new(checksum: Option<ChecksumAlgorithm>) -> Self {
        let mut hasher = ChecksumHasher::default();
        match checksum {
            Some(ChecksumAlgorithm::Crc32) => hasher.crc32 = Some(Crc32::new()),
            Some(ChecksumAlgorithm::Crc32c) => hasher.crc32c = Some(Crc32c::new()),
            Some(ChecksumAlgorithm::Crc64Nvme) => hasher.crc64nvme = Some(Crc64Nvme::new()),
            Some(ChecksumAlgorithm::Sha1) => hasher.sha1 = Some(Sha1::new()),
            Some(ChecksumAlgorithm::Sha256) => hasher.sha256 = Some(Sha256::new()),
            None => {}
        }
        Self {
            md5: Md5::new(),
            checksum,
            hasher,
        }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        if self.checksum.is_some() {
            self.hasher.update(bytes);
        }
    }

    pub fn finish(self) -> BodyDigests {
        BodyDigests {
            md5: self.md5.finalize(),
            checksum: StoredChecksum::from_dto(&self.hasher.finalize()),
        }
    }
}

/// The `ETag` of a multipart object: the MD5 of its parts' MD5s and their number.
pub fn multipart_etag(part_etags: &[&str]) -> S3Result<String> {
    let mut md5 = Md5::new();
    for etag in part_etags {
        let digest = hex::decode(etag).map_err(|_| s3_error!(InvalidPart))?;
        md5.update(&digest);
    }
    Ok(format!(
        "{}-{}",
        hex::encode(md5.finalize()),
        part_etags.len()
    ))
}
