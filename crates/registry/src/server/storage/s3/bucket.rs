//! Requests to a bucket: signed, sent by this crate's own client, and made again when that may help.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use jiff::Timestamp;
use rustls::ClientConfig;
use rusty_s3::{Bucket as Place, Method as Verb, UrlStyle, signing};

use super::super::{Result, StorageError};
use super::credentials::Source;
use super::xml::Element;
use crate::client::net::{Authorities, Payload, Proxies, Request, Response, Tls, TlsFiles, Transport};
use crate::client::url::Url;
use crate::client::{self, Time};
use crate::server::config;
use crate::server::random;

/// The most bytes of a document that a store answers with: a thousand keys of a thousand bytes, and as much around them.
const MOST_DOCUMENT: u64 = 8 << 20;

/// Bytes that a store copies or joins before it answers, at most.
const MOST_WORK: u64 = 5 << 30;

/// The most bytes of an answer that says no.
const MOST_REFUSAL: usize = 64 << 10;

/// How often a request is made.
const ATTEMPTS: u32 = 6;

/// The first wait between two attempts; each following one is twice as long, by chance up to a half shorter.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest that a store is waited for when it says how long.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How long a signature is good for: clocks may differ, and a store may be slow.
const SIGNED_FOR: Duration = Duration::from_secs(15 * 60);

/// For connections, TLS, and heads of answers.
const TIME: Time = Time {
    connect: Duration::from_secs(5),
    handshake: Duration::from_secs(10),
    head: Duration::from_secs(30),
    stall: Duration::from_secs(30),
    stall_bytes: 4096,
};

/// A bucket, and how it is reached.
pub(super) struct Bucket {
    transport: Transport,
    trust: Arc<ClientConfig>,
    place: Place,
    /// With a slash at its end, if it is not empty.
    prefix: String,
    credentials: Source,
}

/// A request.
#[derive(Clone)]
pub(super) struct Ask {
    /// A verb, for errors.
    pub(super) what: &'static str,
    pub(super) method: Method,
    /// The key below the prefix. None: it is about the bucket.
    pub(super) key: Option<String>,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
}

impl Ask {
    pub(super) fn new(what: &'static str, method: Method, key: impl Into<Option<String>>) -> Self {
        let (query, headers, key) = (Vec::new(), Vec::new(), key.into());
        Self { what, method, key, query, headers, body: Bytes::new() }
    }

    pub(super) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }
}

/// Why a request came to nothing.
#[derive(Debug)]
pub(super) struct Failed {
    what: &'static str,
    key: String,
    pub(super) status: Option<u16>,
    /// S3's word for it.
    pub(super) code: String,
    text: String,
    may_pass: bool,
    /// How often it was tried.
    pub(super) made: u32,
    wait: Option<Duration>,
}

impl Failed {
    fn new(ask: &Ask, text: String, may_pass: bool) -> Self {
        let key = ask.key.clone().unwrap_or_else(|| "the bucket".into());
        Self { what: ask.what, key, status: None, code: String::new(), text, may_pass, made: 1, wait: None }
    }

    /// The store has answered, and what it has answered can't be used.
    pub(super) fn is_unusable(&self) -> bool {
        self.status.is_none() && !self.may_pass
    }

    pub(super) fn is_absent(&self) -> bool {
        self.status == Some(404)
    }
}

impl From<Failed> for StorageError {
    fn from(failed: Failed) -> Self {
        let Failed { what, key, text, may_pass, made, .. } = failed;
        if may_pass {
            let times = if made > 1 { format!(" ({made} times)") } else { String::new() };
            return Self::Unavailable { what, key, reason: format!("{text}{times}") };
        }
        Self::Io { what, key, source: std::io::Error::other(text) }
    }
}

impl Bucket {
    pub(super) fn new(config: &config::S3) -> Result<Self> {
        let wrong = |reason: String| StorageError::Format(format!("[storage.s3]: {reason}"));
        let endpoint: url::Url =
            config.endpoint().parse().map_err(|error| wrong(format!("endpoint: {error}")))?;
        let style = if config.path_style { UrlStyle::Path } else { UrlStyle::VirtualHost };
        let place = Place::new(endpoint, style, config.bucket.clone(), config.region.clone())
            .map_err(|error| wrong(error.to_string()))?;
        let authorities = Authorities::new(None);
        let files = TlsFiles { authorities: config.ca.iter().cloned().collect(), ..TlsFiles::default() };
        let trust = Tls::new(&files, &authorities).map_err(|error| wrong(error.to_string()))?.own;
        let transport = Transport::new(Proxies::default(), TIME, authorities);
        let prefix = if config.prefix.is_empty() { String::new() } else { format!("{}/", config.prefix) };
        Ok(Self { transport, trust, place, prefix, credentials: Source::new(config)? })
    }

    pub(super) fn name(&self) -> &str {
        self.place.name()
    }

    /// A key as the store knows it.
    pub(super) fn full(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// A key of the store as it is called here.
    pub(super) fn short<'a>(&self, full: &'a str) -> Option<&'a str> {
        full.strip_prefix(&self.prefix)
    }

    /// The value of `x-amz-copy-source` for a key.
    pub(super) fn source(&self, key: &str) -> String {
        let full = self.full(key);
        let parts: Vec<String> = full.split('/').map(client::url::encode).collect();
        format!("/{}/{}", self.name(), parts.join("/"))
    }

    /// The URL of a request, good for `time` for whoever knows it.
    pub(super) fn sign(&self, ask: &Ask, time: Duration) -> String {
        let url = match &ask.key {
            Some(key) => self.place.object_url(&self.full(key)),
            None => self.place.base_url().clone(),
        };
        let verb = match ask.method {
            Method::HEAD => Verb::Head,
            Method::PUT => Verb::Put,
            Method::POST => Verb::Post,
            Method::DELETE => Verb::Delete,
            _ => Verb::Get,
        };
        let mut query: Vec<(&str, &str)> =
            ask.query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        query.sort_unstable();
        let headers = ask.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let mut signed: Vec<(&str, &str)> = headers.filter(|(name, _)| name.starts_with("x-amz-")).collect();
        signed.sort_unstable();
        let who = self.credentials.now();
        let (key, secret, token) = (who.key(), who.secret(), who.token());
        let (now, region, seconds) = (Timestamp::now(), self.place.region(), time.as_secs());
        let (query, signed) = (query.iter().copied(), signed.iter().copied());
        signing::sign(&now, verb, url, key, secret, token, region, seconds, query, signed).into()
    }

    /// Makes a request until its answer has one of these statuses.
    pub(super) async fn send(&self, ask: &Ask, expected: &[u16]) -> Result<Response, Failed> {
        let mut made = 0;
        loop {
            match self.once(ask, expected).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => self.again(failed, &mut made).await?,
            }
        }
    }

    /// Makes a request until its whole answer is there; `None` for 404.
    pub(super) async fn whole(&self, ask: &Ask, limit: u64) -> Result<Option<(HeaderMap, Bytes)>, Failed> {
        let mut made = 0;
        loop {
            let asked = async {
                let mut answer = self.once(ask, &[200, 206]).await?;
                let bytes = answer.body.collect(limit, "the answer").await;
                Ok::<_, Failed>((answer.headers, bytes.map_err(|error| broken(ask, &error))?))
            };
            match asked.await {
                Ok(whole) => return Ok(Some(whole)),
                Err(failed) if failed.is_absent() && failed.code != "NoSuchBucket" => return Ok(None),
                Err(failed) => self.again(failed, &mut made).await?,
            }
        }
    }

    /// Makes a request until its answer is a document that is no error. Some answers say 200 before they know.
    pub(super) async fn document(&self, ask: &Ask) -> Result<(HeaderMap, Element), Failed> {
        let mut made = 0;
        loop {
            let asked = async {
                let mut answer = self.once(ask, &[200]).await?;
                let bytes = answer.body.collect(MOST_DOCUMENT, "the answer").await;
                let bytes = bytes.map_err(|error| broken(ask, &error))?;
                match Element::parse(&bytes) {
                    Some(element) if element.name == "Error" => Err(refused(ask, 500, Some(&element))),
                    Some(element) => Ok((answer.headers, element)),
                    None => Err(Failed::new(ask, "the answer is no whole document".into(), true)),
                }
            };
            match asked.await {
                Ok(document) => return Ok(document),
                Err(failed) => self.again(failed, &mut made).await?,
            }
        }
    }

    /// Waits for the next attempt, if there is to be one.
    async fn again(&self, failed: Failed, made: &mut u32) -> Result<(), Failed> {
        *made += 1;
        let failed = Failed { made: *made, ..failed };
        if !failed.may_pass || *made >= ATTEMPTS {
            return Err(failed);
        }
        let chance = random::bytes::<1>().map_or(0, |[byte]| u32::from(byte));
        let full = FIRST_WAIT * (1 << (*made - 1));
        let wait = (full - full * chance / 512).max(failed.wait.unwrap_or_default().min(LONGEST_WAIT));
        tracing::debug!("{} {}: {}: once more in {wait:?}", failed.what, failed.key, failed.text);
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// Makes a request once.
    pub(super) async fn once(&self, ask: &Ask, expected: &[u16]) -> Result<Response, Failed> {
        let failed = |text: String| Failed::new(ask, text, false);
        let url = Url::parse(&self.sign(ask, SIGNED_FOR)).map_err(|error| failed(error.to_string()))?;
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("berth/", env!("CARGO_PKG_VERSION"))));
        if !ask.body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        }
        for (name, value) in &ask.headers {
            let value = HeaderValue::from_str(value).map_err(|error| failed(error.to_string()))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        if ask.body.is_empty() && matches!(ask.method, Method::PUT | Method::POST) {
            headers.insert(hyper::header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let payload = if ask.body.is_empty() { Payload::Empty } else { Payload::Whole(ask.body.clone()) };
        let before = if ask.method == Method::GET || ask.method == Method::HEAD { 0 } else { MOST_WORK };
        let request = Request { method: ask.method.clone(), url, headers, payload, before };
        let answer = self.transport.send(request, &self.trust, None).await;
        let mut answer = answer.map_err(|error| broken(ask, &error))?;
        let status = answer.status.as_u16();
        if expected.contains(&status) {
            return Ok(answer);
        }
        let wait = answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let body = answer.body.beginning(MOST_REFUSAL).await;
        let failed = refused(ask, status, Element::parse(&body).as_ref());
        Err(Failed { wait: wait.map(Duration::from_secs), ..failed })
    }
}

/// The request or its answer did not get through.
fn broken(ask: &Ask, error: &client::Error) -> Failed {
    let may_pass = error.is_transient() || error.is_refused_connection();
    Failed::new(ask, error.to_string(), may_pass)
}

/// The store says no.
fn refused(ask: &Ask, status: u16, error: Option<&Element>) -> Failed {
    let word = |name| error.and_then(|error| error.value(name)).unwrap_or_default();
    let (code, message) = (word("Code"), word("Message"));
    let said = client::clean(&format!("{code} {message}"));
    let text = match (status, said.trim()) {
        (_, "") => format!("the store answers {status}"),
        (_, said) => format!("the store answers {status}: {said}"),
    };
    let passing = ["InternalError", "SlowDown", "ServiceUnavailable", "RequestTimeout", "OperationAborted"];
    let may_pass = matches!(status, 408 | 429 | 500 | 502 | 503 | 504) && code != "NotImplemented"
        || passing.contains(&code);
    Failed { status: Some(status), code: code.into(), ..Failed::new(ask, text, may_pass) }
}
