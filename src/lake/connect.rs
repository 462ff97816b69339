//! How the program reaches an S3 endpoint: a real one, or the embedded one in this process.
//!
//! Two clients share one credential chain: `aws-sdk-s3` for what only it can do (versions, conditional
//! writes), `object_store` for what Delta and DataFusion move.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, ProvideCredentials, Region};
use object_store::ObjectStore;
use object_store::aws::{AmazonS3Builder, AwsCredential, Checksum};

use crate::embedded::EmbeddedS3;
use crate::lake::error::{S3Error, S3ErrorKind, chain};

/// An S3 endpoint with credentials; hands out clients.
#[derive(Clone)]
pub struct Connection {
    client: Client,
    stores: Stores,
    /// By bucket: each has connections of its own to keep alive.
    opened: Arc<Mutex<BTreeMap<String, Arc<dyn ObjectStore>>>>,
}

#[derive(Clone)]
enum Stores {
    Embedded(EmbeddedS3),
    Remote {
        endpoint: Option<String>,
        region: String,
        credentials: Arc<SdkCredentials>,
    },
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Connection")
    }
}

impl Connection {
    /// The embedded server, without a socket.
    pub fn embedded(server: &EmbeddedS3) -> Self {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .force_path_style(true)
            .endpoint_url(EmbeddedS3::ENDPOINT)
            .credentials_provider(Credentials::new(
                EmbeddedS3::ACCESS_KEY,
                EmbeddedS3::SECRET_KEY,
                None,
                None,
                "embedded",
            ))
            .http_client(server.sdk_http_client())
            .build();
        Self {
            client: Client::from_conf(config),
            stores: Stores::Embedded(server.clone()),
            opened: Arc::default(),
        }
    }

    /// A real endpoint: AWS by the standard environment, profile and SSO settings, or any other server
    /// at `endpoint` (path style).
    pub async fn remote(endpoint: Option<&str>) -> Result<Self, S3Error> {
        let shared = aws_config::load_defaults(BehaviorVersion::latest()).await;
        let endpoint = endpoint.or(shared.endpoint_url()).map(str::to_owned);
        let region = match (shared.region(), &endpoint) {
            (Some(region), _) => region.clone(),
            (None, Some(_)) => Region::new("us-east-1"),
            (None, None) => {
                return Err(S3Error::new(
                    "connect to S3",
                    "no region is set",
                    S3ErrorKind::Region,
                ));
            }
        };
        let credentials = Arc::new(SdkCredentials::new(&shared)?);
        // The SDK would sign by the endpoint's clock once that refuses ours, and hide that ours is wrong: rules are
        // held against it (invariant 13).
        let mut builder = aws_sdk_s3::config::Builder::from(&shared)
            .region(region.clone())
            .disable_clock_skew_correction(true);
        if let Some(endpoint) = &endpoint {
            builder = builder.endpoint_url(endpoint).force_path_style(true);
        }
        Ok(Self {
            client: Client::from_conf(builder.build()),
            stores: Stores::Remote {
                endpoint,
                region: region.to_string(),
                credentials,
            },
            opened: Arc::default(),
        })
    }

    /// The SDK client. Only [`super::s3`] may have it: it is what can change anything.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// A store over one bucket, able to write. Only [`super::s3`] may have it.
    pub(super) fn store(&self, bucket: &str) -> Result<Arc<dyn ObjectStore>, S3Error> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = opened.get(bucket) {
            return Ok(Arc::clone(store));
        }
        let store = self.open(bucket)?;
        opened.insert(bucket.to_owned(), Arc::clone(&store));
        Ok(store)
    }

    fn open(&self, bucket: &str) -> Result<Arc<dyn ObjectStore>, S3Error> {
        let builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            // Without one, a bucket with Object Lock takes nothing.
            .with_checksum_algorithm(Checksum::SHA256)
            .with_allow_http(true);
        let builder = match &self.stores {
            Stores::Embedded(server) => builder
                .with_endpoint(EmbeddedS3::ENDPOINT)
                .with_region("us-east-1")
                .with_access_key_id(EmbeddedS3::ACCESS_KEY)
                .with_secret_access_key(EmbeddedS3::SECRET_KEY)
                .with_http_connector(server.object_store_connector()),
            Stores::Remote {
                endpoint,
                region,
                credentials,
            } => {
                let builder = builder
                    .with_region(region)
                    .with_credentials(credentials.clone());
                match endpoint {
                    Some(endpoint) => builder.with_endpoint(endpoint),
                    None => builder,
                }
            }
        };
        let store = builder.build().map_err(|error| {
            S3Error::new(
                format!("open bucket {bucket}"),
                chain(&error),
                S3ErrorKind::Other,
            )
        })?;
        Ok(Arc::new(store))
    }
}

/// The SDK's credential chain as `object_store` wants it.
#[derive(Debug)]
struct SdkCredentials(aws_sdk_s3::config::SharedCredentialsProvider);

impl SdkCredentials {
    fn new(shared: &aws_config::SdkConfig) -> Result<Self, S3Error> {
        match shared.credentials_provider() {
            Some(provider) => Ok(Self(provider)),
            None => Err(S3Error::new(
                "connect to S3",
                "no credentials provider is configured",
                S3ErrorKind::Credentials,
            )),
        }
    }
}

#[async_trait::async_trait]
impl object_store::CredentialProvider for SdkCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let credentials =
            self.0
                .provide_credentials()
                .await
                .map_err(|error| object_store::Error::Generic {
                    store: "S3",
                    source: Box::new(error),
                })?;
        Ok(Arc::new(AwsCredential {
            key_id: credentials.access_key_id().to_owned(),
            secret_key: credentials.secret_access_key().to_owned(),
            token: credentials.session_token().map(str::to_owned),
        }))
    }
}
