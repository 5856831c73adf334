//! One store, spoken to through whichever of its members answers.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::{PathAndQuery, Uri};
use tonic::metadata::MetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::error::{Error, Result};
use crate::options::{StoreOptions, TlsFiles};
use crate::wire::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse, LeaseRevokeRequest,
    LeaseRevokeResponse, RangeRequest, RangeResponse, TxnRequest, TxnResponse, WatchCreateRequest,
    WatchRequest, WatchResponse, method, watch_request,
};

/// How long a member has for a connection, and for an answer.
const CONNECT: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(3);
/// A connection on which nothing comes is asked so often, and given up after so long.
const PROBE: Duration = Duration::from_secs(10);
const PROBE_ANSWER: Duration = Duration::from_secs(5);
/// Longest answer that is read.
const MAX_ANSWER: usize = 64 << 20;
/// Longest file of certificates.
const MAX_FILE: u64 = 1 << 20;
/// How a certificate begins (RFC 7468).
const PEM: &[u8] = b"-----BEGIN CERTIFICATE-----";
/// Longest explanation of a server's that is passed on.
const MAX_REASON: usize = 300;

/// A store.
#[derive(Debug)]
pub(crate) struct Client {
    url: String,
    members: Vec<Channel>,
    /// The member that answered last.
    current: AtomicUsize,
}

impl Client {
    /// Connects to nobody yet.
    ///
    /// # Errors
    /// A member's name is not known; a file of certificates can't be read, or holds none.
    pub(crate) fn new(options: &StoreOptions) -> Result<Self> {
        let tls = options.tls.as_ref().map(read_tls).transpose()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let channel = |member: &String| {
            let address = crate::resolve::member(member)?;
            let wrong = |error: tonic::transport::Error| {
                Error::Option(format!("cluster store {member}: {}", chain(&error)))
            };
            let mut endpoint = Endpoint::from_shared(format!("{scheme}://{member}"))
                .map_err(wrong)?
                .connect_timeout(CONNECT)
                .http2_keep_alive_interval(PROBE)
                .keep_alive_timeout(PROBE_ANSWER)
                .keep_alive_while_idle(true);
            if let Some(tls) = &tls {
                endpoint = endpoint.tls_config(tls.clone()).map_err(wrong)?;
            }
            // tonic's own way to a member would look its name up through the C library
            let connector = tower::service_fn(move |_: Uri| async move {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Ok::<_, std::io::Error>(TokioIo::new(stream))
            });
            Ok(endpoint.connect_with_connector_lazy(connector))
        };
        let members = options.members.iter().map(channel).collect::<Result<_>>()?;
        Ok(Self { url: options.url.clone(), members, current: AtomicUsize::new(0) })
    }

    pub(crate) async fn range(&self, request: RangeRequest) -> Result<RangeResponse> {
        self.ask(method::RANGE, request).await
    }

    pub(crate) async fn txn(&self, request: TxnRequest) -> Result<TxnResponse> {
        self.ask(method::TXN, request).await
    }

    /// A new lease of this many seconds: its id.
    pub(crate) async fn grant(&self, ttl: Duration) -> Result<i64> {
        let ttl = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX);
        let granted: LeaseGrantResponse =
            self.ask(method::LEASE_GRANT, LeaseGrantRequest { ttl, id: 0 }).await?;
        if granted.error.is_empty() && granted.id != 0 {
            return Ok(granted.id);
        }
        Err(Error::Refused(shorten(&granted.error)))
    }

    pub(crate) async fn revoke(&self, id: i64) -> Result<()> {
        self.ask::<_, LeaseRevokeResponse>(method::LEASE_REVOKE, LeaseRevokeRequest { id }).await.map(drop)
    }

    /// A sign of life: whether the lease is still there.
    pub(crate) async fn keep_alive(&self, id: i64) -> Result<bool> {
        self.try_members(|channel| async move {
            let mut grpc = grpc(channel).await?;
            let path = PathAndQuery::from_static(method::LEASE_KEEP_ALIVE);
            let once = tokio_stream::once(LeaseKeepAliveRequest { id });
            let codec = ProstCodec::<_, LeaseKeepAliveResponse>::default();
            let mut answers = grpc.streaming(Request::new(once), path, codec).await?.into_inner();
            let answer = answers.message().await?;
            answer
                .map(|answer| answer.ttl > 0)
                .ok_or_else(|| Status::unavailable("no answer to a sign of life"))
        })
        .await
    }

    /// Everything that happens from a revision on.
    pub(crate) async fn watch(&self, span: (Vec<u8>, Vec<u8>), start_revision: i64) -> Result<Watch> {
        self.try_members(|channel| {
            let (key, range_end) = span.clone();
            async move {
                let create = WatchCreateRequest { key, range_end, start_revision, progress_notify: true };
                let request = WatchRequest { request: Some(watch_request::Request::Create(create)) };
                let (asking, questions) = mpsc::channel(1);
                // there is room for one
                let _ = asking.try_send(request);
                let mut request = Request::new(ReceiverStream::new(questions));
                // a member that has lost the others ends the watch instead of staying silent
                request.metadata_mut().insert("hasleader", MetadataValue::from_static("true"));
                let mut grpc = grpc(channel).await?;
                let path = PathAndQuery::from_static(method::WATCH);
                let answers = grpc.streaming(request, path, ProstCodec::default()).await?.into_inner();
                Ok(Watch { answers, _asking: asking })
            }
        })
        .await
    }

    async fn ask<Q, A>(&self, path: &'static str, question: Q) -> Result<A>
    where
        Q: prost::Message + Clone + 'static,
        A: prost::Message + Default + 'static,
    {
        self.try_members(|channel| {
            let question = question.clone();
            async move {
                let mut grpc = grpc(channel).await?;
                let path = PathAndQuery::from_static(path);
                let answer = grpc.unary(Request::new(question), path, ProstCodec::<Q, A>::default()).await?;
                Ok(answer.into_inner())
            }
        })
        .await
    }

    /// Asks the member that answered last; if it can't be reached, the others in turn. A question may so reach the store
    /// twice: ours may all be repeated.
    async fn try_members<T, F>(&self, ask: impl Fn(Channel) -> F) -> Result<T>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let (count, first) = (self.members.len(), self.current.load(Ordering::Relaxed));
        let mut why = String::new();
        for member in (first..first + count).map(|at| at % count) {
            match tokio::time::timeout(ANSWER, ask(self.members[member].clone())).await {
                Ok(Ok(answer)) => {
                    self.current.store(member, Ordering::Relaxed);
                    return Ok(answer);
                }
                Ok(Err(status)) if is_absence(status.code()) => why = explain(&status),
                Ok(Err(status)) => return Err(refusal(&status)),
                Err(_) => why = format!("no answer in {} seconds", ANSWER.as_secs()),
            }
        }
        Err(Error::Unavailable { store: self.url.clone(), why })
    }

    /// The store can't be reached any more, and so it ended.
    pub(crate) fn gone(&self, why: &str) -> Error {
        Error::Unavailable { store: self.url.clone(), why: shorten(why) }
    }
}

/// Answers to one question that do not end.
pub(crate) struct Watch {
    answers: Streaming<WatchResponse>,
    /// While it is open, the answers come.
    _asking: mpsc::Sender<WatchRequest>,
}

impl Watch {
    /// What happened next; `None` when the member has ended the watch.
    ///
    /// # Errors
    /// The connection is lost; the store has forgotten what we asked for.
    pub(crate) async fn next(&mut self) -> Result<Option<WatchResponse>, Status> {
        self.answers.message().await
    }
}

async fn grpc(channel: Channel) -> Result<Grpc<Channel>, Status> {
    let mut grpc = Grpc::new(channel).max_decoding_message_size(MAX_ANSWER);
    grpc.ready().await.map_err(|error| Status::unavailable(chain(&error)))?;
    Ok(grpc)
}

/// Whether another member may do better.
fn is_absence(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown | Code::Internal
    )
}

fn refusal(status: &Status) -> Error {
    // etcd's words for a revision that is compacted
    if status.code() == Code::OutOfRange && status.message().contains("compacted") {
        return Error::Compacted(0);
    }
    // and for a lease that has run out
    if status.code() == Code::NotFound && status.message().contains("lease") {
        return Error::Expired;
    }
    Error::Refused(explain(status))
}

/// A status with what lies behind it.
pub(crate) fn explain(status: &Status) -> String {
    let deeper = std::error::Error::source(status).map(chain).unwrap_or_default();
    let said = status.message();
    shorten(&match () {
        () if deeper.is_empty() || said.contains(&deeper) => said.to_owned(),
        () if deeper.contains(said) => deeper,
        () => format!("{said}: {deeper}"),
    })
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let (mut text, mut next) = (error.to_string(), error.source());
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = cause.source();
    }
    text
}

fn shorten(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect()
}

fn read_tls(files: &TlsFiles) -> Result<ClientTlsConfig> {
    let read = |path: &std::path::PathBuf| {
        let failed =
            |why: String| Error::Option(format!("cluster store certificates {}: {why}", path.display()));
        match fs::metadata(path) {
            Ok(found) if found.len() > MAX_FILE => Err(failed(format!("longer than {MAX_FILE} bytes"))),
            _ => fs::read(path).map_err(|error| failed(error.to_string())),
        }
    };
    // what is none would be passed over, and nobody would be trusted
    let certificates = |path: &std::path::PathBuf| {
        let text = read(path)?;
        if text.windows(PEM.len()).any(|window| window == PEM) {
            return Ok(text);
        }
        Err(Error::Option(format!("cluster store certificates {}: it holds none (PEM)", path.display())))
    };
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(certificates(&files.ca)?));
    let Some((cert, key)) = &files.identity else { return Ok(tls) };
    Ok(tls.identity(Identity::from_pem(certificates(cert)?, read(key)?)))
}
