//! One request to one place, and its answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderMap, HeaderValue, PROXY_AUTHORIZATION};
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::sync::OnceCell;

use super::body::broken;
use super::payload::Meter;
use super::pool::{Connection, Key, Pool, Trust};
use super::proxy::Kind;
use super::tls::{Authorities, Tls, TlsFiles};
use super::{Body, Payload, Proxies, Proxy, connect};
use crate::client::config::Time;
use crate::client::error::{Cause, Error, NetworkError, Result};
use crate::client::limits::{MAX_HEADERS, READ_BUFFER};
use crate::client::url::{Scheme, Url};

/// Bytes a second that a registry hashes and moves at least, when it takes a blob over.
const TAKEN_OVER: u64 = 8 << 20;

/// What is asked.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload,
    /// Bytes that the other side has to work on before it answers, beside those of the payload.
    pub(crate) before: u64,
}

/// What is answered.
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    pub(crate) place: Place,
}

/// Which request it is, for messages.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) method: Method,
    pub(crate) url: Url,
}

impl Place {
    pub(crate) fn error(&self, cause: Cause) -> Error {
        Error::Network(Box::new(NetworkError { method: self.verb(), url: self.url.to_string(), cause }))
    }

    /// `Get`, as Go writes it.
    pub(crate) fn verb(&self) -> String {
        let name = self.method.as_str();
        name.chars().take(1).chain(name.chars().skip(1).map(|c| c.to_ascii_lowercase())).collect()
    }
}

/// Makes connections and keeps them.
pub(crate) struct Transport {
    pool: Arc<Pool>,
    proxies: Proxies,
    pub(crate) time: Time,
    pub(crate) authorities: Authorities,
    /// For proxies and other places that no registry's certificates are for.
    everyone: OnceCell<Tls>,
}

impl Transport {
    pub(crate) fn new(proxies: Proxies, time: Time, authorities: Authorities) -> Self {
        Self { pool: Arc::default(), proxies, time, authorities, everyone: OnceCell::new() }
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// `dial`: how long a connection may take, when not as long as elsewhere.
    pub(crate) async fn send(
        &self,
        request: Request,
        trust: &Arc<ClientConfig>,
        dial: Option<Duration>,
    ) -> Result<Response> {
        let place = Place { method: request.method, url: request.url };
        let proxy = self.proxies.to(place.url.origin());
        let key = Key {
            origin: place.url.origin().clone(),
            trust: Trust(Arc::clone(trust)),
            proxy: proxy.cloned(),
        };
        let mut headers = request.headers;
        let target = address(&place, proxy, &mut headers)?;
        let mut payload = request.payload;
        let patience = self.time.head + Duration::from_secs(request.before / TAKEN_OVER);
        while let Some(mut connection) = self.pool.take(&key).await {
            let again = if place.method == Method::POST { None } else { payload.again() };
            let meter = payload.meter();
            let http = assemble(&place, &target, &headers, payload)?;
            match self.exchange(&mut connection, http, meter, (&place, patience)).await {
                Ok(answer) => return Ok(self.answer(answer, key, connection, place)),
                // it was closed while it waited: that says nothing of the request
                Err((_, Some(unsent))) => payload = unsent,
                Err((error, None)) => match (closed_before_answer(&error), again) {
                    (true, Some(again)) => payload = again,
                    _ => return Err(error),
                },
            }
        }
        let mut connection = self.connect(&place, trust, proxy, dial).await?;
        let meter = payload.meter();
        let http = assemble(&place, &target, &headers, payload)?;
        match self.exchange(&mut connection, http, meter, (&place, patience)).await {
            Ok(answer) => Ok(self.answer(answer, key, connection, place)),
            Err((error, _)) => Err(error),
        }
    }

    fn answer(
        &self,
        answer: hyper::Response<Incoming>,
        key: Key,
        connection: Connection,
        place: Place,
    ) -> Response {
        let (head, incoming) = answer.into_parts();
        let home = (Arc::clone(&self.pool), key, connection);
        let body = Body::new(incoming, home, &self.time, place.clone());
        Response { status: head.status, headers: head.headers, body, place }
    }

    /// The trust of the machine.
    ///
    /// # Errors
    /// Its authorities can't be read.
    pub(crate) async fn everyone(&self) -> Result<&Tls> {
        let read = || async { Tls::new(&TlsFiles::default(), &self.authorities) };
        self.everyone.get_or_try_init(read).await
    }

    async fn connect(
        &self,
        place: &Place,
        trust: &Arc<ClientConfig>,
        proxy: Option<&Proxy>,
        dial: Option<Duration>,
    ) -> Result<Connection> {
        let proxy = match proxy {
            Some(proxy) => Some((proxy, &self.everyone().await?.others)),
            None => None,
        };
        let time = Time { connect: dial.unwrap_or(self.time.connect), ..self.time };
        let stream = connect::open(place.url.origin(), trust, proxy, &time)
            .await
            .map_err(|cause| place.error(cause))?;
        let (sender, connection) = http1::Builder::new()
            .max_headers(MAX_HEADERS)
            .max_buf_size(READ_BUFFER)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| place.error(Cause::Broken(broken(&error))))?;
        // ends with its sender and the body of its last answer; errors reach who waits for those
        tokio::spawn(connection);
        Ok(sender)
    }

    /// The error comes with the payload when nothing of it was sent.
    async fn exchange(
        &self,
        connection: &mut Connection,
        http: hyper::Request<Payload>,
        meter: Option<Arc<Meter>>,
        (place, patience): (&Place, Duration),
    ) -> Result<hyper::Response<Incoming>, (Error, Option<Payload>)> {
        let answer = connection.try_send_request(http);
        let answer = match &meter {
            None => tokio::time::timeout(patience, answer).await.map_err(|_elapsed| Cause::HeadTimeout),
            Some(meter) => self.watch(answer, meter, patience).await,
        };
        let failed = || meter.as_ref().and_then(|meter| meter.failure()).map(Error::Source);
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(mut error)) => {
                let unsent = error.take_message().map(hyper::Request::into_body);
                let cause = Cause::Broken(broken(error.error()));
                Err((failed().unwrap_or_else(|| place.error(cause)), unsent))
            }
            Err(cause) => Err((place.error(cause), None)),
        }
    }

    /// Waits for an answer as long as the body goes out.
    async fn watch<F: Future>(&self, answer: F, meter: &Meter, head: Duration) -> Result<F::Output, Cause> {
        let mut answer = std::pin::pin!(answer);
        let mut before = 0;
        let mut idle = Duration::ZERO;
        loop {
            let done = meter.done.load(Ordering::Relaxed);
            let span = if done { head } else { self.time.stall };
            if let Ok(answer) = tokio::time::timeout(span, &mut answer).await {
                return Ok(answer);
            }
            let sent = meter.sent.load(Ordering::Relaxed);
            if done {
                return Err(Cause::HeadTimeout);
            }
            if meter.done.load(Ordering::Relaxed) || meter.awaits_source.load(Ordering::Relaxed) {
                idle = Duration::ZERO;
            } else if sent - before < self.time.stall_bytes {
                idle += span;
                // what was written may wait in the buffers of both ends: two spans
                if idle > span {
                    return Err(Cause::Stalled { bytes: sent - before, time: idle });
                }
            } else {
                idle = Duration::ZERO;
            }
            before = sent;
        }
    }
}

/// Did the other side close the connection without a word?
fn closed_before_answer(error: &Error) -> bool {
    matches!(error, Error::Network(error) if matches!(error.cause, Cause::Broken(_)))
}

/// The first line's target and the `Host` field.
fn address(place: &Place, proxy: Option<&Proxy>, headers: &mut HeaderMap) -> Result<String> {
    let origin = place.url.origin();
    let host = HeaderValue::try_from(origin.authority())
        .map_err(|error| Error::protocol(&place.url, error.to_string()))?;
    headers.insert(HOST, host);
    let by_proxy = proxy.filter(|proxy| origin.scheme == Scheme::Http && proxy.kind != Kind::Socks);
    let Some(proxy) = by_proxy else { return Ok(place.url.target()) };
    if let Some(value) = proxy.authorization() {
        let mut value = HeaderValue::try_from(value).map_err(|error| Error::config(proxy, error))?;
        value.set_sensitive(true);
        headers.insert(PROXY_AUTHORIZATION, value);
    }
    Ok(place.url.full())
}

fn assemble(
    place: &Place,
    target: &str,
    headers: &HeaderMap,
    payload: Payload,
) -> Result<hyper::Request<Payload>> {
    let mut request = hyper::Request::builder()
        .method(place.method.clone())
        .uri(target)
        .body(payload)
        .map_err(|error| Error::protocol(&place.url, error.to_string()))?;
    request.headers_mut().clone_from(headers);
    Ok(request)
}
