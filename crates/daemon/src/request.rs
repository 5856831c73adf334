//! What a handler is given.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use api::{Filters, Query, Version};
use bytes::Bytes;
use engine::Engine;
use futures_util::TryStreamExt as _;
use http_body_util::{BodyExt as _, Limited};
use hyper::HeaderMap;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::error::{ApiError, Result};

/// Longest JSON body that is read, in bytes.
pub(crate) const MAX_JSON: usize = 8 << 20;

/// A request without its body.
pub(crate) struct Asked {
    /// The daemon's state.
    pub(crate) app: Arc<App>,
    /// The version whose rules hold.
    pub(crate) version: Version,
    /// The path's `{id}` or `{name}`.
    pub(crate) param: String,
    /// The path's second parameter.
    pub(crate) second: String,
    /// Parameters.
    pub(crate) query: Query,
    /// Headers.
    pub(crate) headers: HeaderMap,
}

impl Asked {
    /// All verbs.
    pub(crate) fn engine(&self) -> &Engine {
        &self.app.engine
    }

    /// Whether the client speaks at least `1.minor`.
    pub(crate) fn since(&self, minor: u16) -> bool {
        self.version >= Version::minor(minor)
    }

    /// The `filters` parameter.
    pub(crate) fn filters(&self) -> Result<Filters> {
        Ok(Filters::parse(self.query.get("filters").unwrap_or_default())?)
    }

    /// An integer parameter.
    pub(crate) fn int(&self, name: &str) -> Result<Option<i64>> {
        self.query.int(name).map_err(ApiError::bad_request)
    }

    /// A JSON body of `bytes`. An empty one is an error unless `optional`.
    pub(crate) fn json<T: DeserializeOwned + Default>(&self, bytes: &[u8], optional: bool) -> Result<T> {
        if bytes.is_empty() {
            return if optional {
                Ok(T::default())
            } else {
                Err(ApiError::bad_request("invalid JSON: got EOF while reading request body"))
            };
        }
        self.expect_json()?;
        serde_json::from_slice(bytes).map_err(|error| ApiError::bad_request(refusal(&error.to_string())))
    }

    fn expect_json(&self) -> Result<()> {
        if is_json(&self.headers) {
            return Ok(());
        }
        let content_type =
            self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Err(ApiError::bad_request(format!(
            "unsupported Content-Type header ({content_type}): must be 'application/json'"
        )))
    }
}

/// Whether a body is said to be JSON. No other is read as JSON by any handler, and every such is shown to those who
/// authorise requests: both ask here.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

/// Why a body is refused. Ports are checked while they are read, and Docker checks them later: their sentence stands
/// alone, without the place in the JSON.
fn refusal(error: &str) -> String {
    let sentence = error.rsplit_once(" at line ").map_or(error, |(sentence, _place)| sentence);
    if sentence.starts_with(oci::ports::INVALID) {
        return sentence.to_owned();
    }
    format!("invalid JSON: {error}")
}

/// A request's body, which says when it was read to its end.
pub(crate) struct RequestBody {
    /// Taken only when dropped.
    incoming: Option<Incoming>,
    read: Option<Box<dyn FnOnce() + Send + Sync>>,
    /// What was read of it before anybody asked.
    first: Option<Frame<Bytes>>,
}

/// A client that is refused half-way may go on sending before it looks for the answer: a connection closed on
/// it would show it "broken pipe" instead of the reason. So what is left of a body is read and thrown away.
impl Drop for RequestBody {
    fn drop(&mut self) {
        if self.is_end_stream() {
            return;
        }
        let (Some(mut incoming), Ok(runtime)) = (self.incoming.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        runtime.spawn(async move { while let Some(Ok(_)) = incoming.frame().await {} });
    }
}

impl RequestBody {
    /// Calls `read` when the body has been read to its end.
    pub(crate) fn new(incoming: Incoming, read: impl FnOnce() + Send + Sync + 'static) -> Self {
        let mut body = Self { incoming: Some(incoming), read: Some(Box::new(read)), first: None };
        if body.is_end_stream() {
            body.finish();
        }
        body
    }

    /// A body that was read already.
    pub(crate) fn ready(bytes: Bytes) -> Self {
        let first = (!bytes.is_empty()).then(|| Frame::data(bytes));
        Self { incoming: None, read: None, first }
    }

    fn finish(&mut self) {
        if let Some(read) = self.read.take() {
            read();
        }
    }

    /// The whole body, at most [`MAX_JSON`] bytes.
    pub(crate) async fn collect(self) -> Result<Vec<u8>> {
        let announced = usize::try_from(self.size_hint().lower()).unwrap_or(MAX_JSON).min(MAX_JSON);
        let mut body = Vec::with_capacity(announced);
        let mut limited = Limited::new(self, MAX_JSON);
        while let Some(frame) = limited.frame().await {
            let frame = frame
                .map_err(|error| ApiError::bad_request(format!("cannot read the request body: {error}")))?;
            body.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
        }
        Ok(body)
    }

    /// Waits for its first bytes: a client that waits for `100 Continue` is told so only before the answer begins, and
    /// some answers begin before anything else of the body is read.
    pub(crate) async fn begun(mut self) -> Self {
        self.first = match self.frame().await {
            Some(Ok(frame)) => Some(frame),
            // whoever reads on hears of it again
            Some(Err(_)) | None => None,
        };
        self
    }

    /// The body as it comes.
    pub(crate) fn reader(self) -> engine::Reader {
        Box::new(tokio_util::io::StreamReader::new(self.into_data_stream().map_err(std::io::Error::other)))
    }
}

impl hyper::body::Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let polled = Pin::new(incoming).poll_frame(cx);
        if matches!(polled, Poll::Ready(None)) || self.is_end_stream() {
            self.finish();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.first.as_ref().and_then(Frame::data_ref).map_or(0, |data| data.len() as u64);
        match &self.incoming {
            Some(incoming) => incoming.size_hint(),
            None => SizeHint::with_exact(held),
        }
    }
}
