//! The ways into the server: in process for the AWS SDK and for `object_store`,
//! and over a socket. All of them pass the access log.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::config::{HttpClient as SdkHttpClient, RuntimeComponents};
use aws_smithy_runtime_api::client::http::{
    HttpConnector as SdkHttpConnector, HttpConnectorFuture, HttpConnectorSettings,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest as SdkRequest;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderValue, Uri};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};
use s3s::service::S3Service;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::access_log::{AccessLog, AccessLogEntry};
use super::gets::Gets;

/// The S3 service with its log and its GETs: what all ways in share.
#[derive(Clone)]
pub struct LoggedService {
    pub service: S3Service,
    pub log: Arc<AccessLog>,
    pub gets: Arc<Gets>,
}

/// How long open connections may take to finish once the server shuts down.
const GRACE: Duration = Duration::from_secs(5);

/// How long to wait after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl LoggedService {
    async fn call(&self, request: s3s::HttpRequest) -> Result<s3s::HttpResponse, s3s::HttpError> {
        let headers = request.headers();
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let method = request.method().as_str();
        let mut entry = AccessLogEntry::of_request(method, request.uri(), header);
        let answer = self.service.call(request);
        let response = self.gets.carry_out(&entry.method, answer).await;
        match &response {
            Ok(found) => entry.answered(found.status().into(), found.body().size_hint().exact()),
            Err(_) => entry.answered(500, None),
        }
        self.log.add(entry);
        response
    }
}

impl std::fmt::Debug for LoggedService {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("LoggedService")
            .finish_non_exhaustive()
    }
}

/// What `aws_sdk_s3::Config` takes as its HTTP client.
#[derive(Debug, Clone)]
pub struct InProcessSdkClient(pub(super) LoggedService);

impl SdkHttpClient for InProcessSdkClient {
    fn http_connector(
        &self,
        _settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl SdkHttpConnector for InProcessSdkClient {
    fn call(&self, request: SdkRequest) -> HttpConnectorFuture {
        let connector = s3s_aws::Connector::from(self.0.service.clone());
        let log = Arc::clone(&self.0.log);
        let gets = Arc::clone(&self.0.gets);
        let uri: Uri = request.uri().parse().unwrap_or_default();
        let header = |name| request.headers().get(name);
        let mut entry = AccessLogEntry::of_request(request.method(), &uri, header);
        HttpConnectorFuture::new(async move {
            let answer = connector.call(request);
            let response = gets.carry_out(&entry.method, answer).await;
            match &response {
                Ok(found) => {
                    entry.answered(found.status().as_u16(), found.body().content_length());
                }
                Err(_) => entry.answered(500, None),
            }
            log.add(entry);
            response
        })
    }
}

/// What `object_store`'s `AmazonS3Builder` takes as its HTTP connector.
#[derive(Debug, Clone)]
pub struct InProcessConnector(pub(super) LoggedService);

impl HttpConnector for InProcessConnector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for InProcessConnector {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (mut parts, body) = request.into_parts();
        // What a client on the wire would add.
        let length = HeaderValue::from(body.content_length());
        parts.headers.entry(CONTENT_LENGTH).or_insert(length);
        if let Some(authority) = parts.uri.authority()
            && let Ok(host) = HeaderValue::from_str(authority.as_str())
        {
            parts.headers.entry(HOST).or_insert(host);
        }
        let request = http::Request::from_parts(parts, s3s::Body::http_body_unsync(body));
        let response = self.0.call(request).await;
        let response = response.map_err(|error| {
            HttpError::new(HttpErrorKind::Unknown, io::Error::other(error_of(error)))
        })?;
        Ok(response.map(|body| {
            HttpResponseBody::new(body.map_err(|error| {
                HttpError::new(HttpErrorKind::Interrupted, io::Error::other(error))
            }))
        }))
    }
}

fn error_of(error: s3s::HttpError) -> Box<dyn std::error::Error + Send + Sync> {
    error.into()
}

/// Serves connections until `shutdown`, then lets requests under way finish.
pub async fn serve(
    service: LoggedService,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let (closing, closed) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _peer)) => {
                    connections.spawn(serve_connection(service.clone(), stream, closed.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_finished) = connections.join_next() => {}
        }
    }
    drop(listener);
    let _ = closing.send(());
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, drained).await.is_err() {
        tracing::warn!("connections were cut that did not finish in time");
    }
    Ok(())
}

async fn serve_connection(
    service: LoggedService,
    stream: TcpStream,
    mut closing: watch::Receiver<()>,
) {
    let _ = stream.set_nodelay(true);
    let answer = hyper::service::service_fn(move |request: hyper::Request<_>| {
        let service = service.clone();
        async move {
            let request = request.map(|body: hyper::body::Incoming| s3s::Body::from(body));
            let response = service.call(request).await;
            Ok::<_, Infallible>(response.unwrap_or_else(|_error| internal_error()))
        }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), answer));
    let served = tokio::select! {
        served = connection.as_mut() => served,
        _ = closing.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}

fn internal_error() -> s3s::HttpResponse {
    let mut response = http::Response::new(s3s::Body::empty());
    *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
    response
}
