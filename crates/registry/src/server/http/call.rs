//! A request: its head taken apart, and its body to be read.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName};
use hyper::{Method, Request, Uri};
use percent_encoding::percent_decode_str;
use tokio::time::timeout;

use crate::server::Registry;
use crate::server::auth::Caller;
use crate::server::error::{Code, Error, Result};

/// A request, and who makes it.
pub(crate) struct Call {
    /// What is asked.
    pub(crate) registry: Arc<Registry>,
    /// The method.
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) uri: Uri,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// What the client sends.
    pub(crate) body: Incoming,
    /// Who is asking.
    pub(crate) caller: Caller,
    /// From where.
    pub(crate) peer: Option<SocketAddr>,
}

impl Call {
    /// Takes a request apart.
    pub(crate) fn new(
        registry: Arc<Registry>,
        request: Request<Incoming>,
        caller: Caller,
        peer: Option<SocketAddr>,
    ) -> Self {
        let (head, body) = request.into_parts();
        Self { registry, method: head.method, uri: head.uri, headers: head.headers, body, caller, peer }
    }

    /// A header's text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A parameter of the query, decoded; of several of one name, the first.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        query(&self.uri, name).next()
    }

    /// The length that the client says its body has.
    pub(crate) fn length(&self) -> Option<u64> {
        self.header(&header::CONTENT_LENGTH)?.parse().ok()
    }

    /// The whole body, into memory.
    ///
    /// # Errors
    /// When it has more bytes than `limit`, or does not come.
    pub(crate) async fn read(&mut self, limit: usize) -> Result<Bytes> {
        let too_large = || {
            Error::new(Code::TooLarge, format!("the body has more than the {limit} bytes that are allowed"))
        };
        if self.length().is_some_and(|length| length > limit as u64) {
            return Err(too_large());
        }
        let patience = self.registry.config.http.idle_timeout.0;
        let mut bytes = Vec::new();
        loop {
            let frame = match timeout(patience, self.body.frame()).await {
                Ok(None) => return Ok(bytes.into()),
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(_))) | Err(_) => {
                    return Err(Error::new(Code::SizeInvalid, "the body does not come to its end"));
                }
            };
            if let Ok(data) = frame.into_data() {
                if bytes.len() + data.len() > limit {
                    return Err(too_large());
                }
                bytes.extend_from_slice(&data);
            }
        }
    }
}

/// The values of a parameter of a query, decoded.
pub(crate) fn query<'a>(uri: &'a Uri, name: &'a str) -> impl Iterator<Item = String> + 'a {
    uri.query().unwrap_or_default().split('&').filter_map(move |pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key)? == name).then(|| decode(value))?
    })
}

/// A word of a query or a form.
pub(crate) fn decode(word: &str) -> Option<String> {
    let spaced = word.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}
