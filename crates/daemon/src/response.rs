//! Answers.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::StatusCode;
use hyper::body::{Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;

/// Why a body broke off.
pub(crate) type BodyError = Box<dyn std::error::Error + Send + Sync>;
/// An answer's body: ready or streamed.
pub(crate) type Body = UnsyncBoxBody<Bytes, BodyError>;
/// An answer.
pub(crate) type Response = hyper::Response<Body>;

/// JSON, one object or one per line.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// A tar archive.
pub(crate) const TAR: HeaderValue = HeaderValue::from_static("application/x-tar");
/// An archive that is none of the registered kinds, as Docker calls an export.
pub(crate) const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
/// Bytes as a terminal gives them.
pub(crate) const RAW_STREAM: &str = "application/vnd.docker.raw-stream";
/// Frames of [`api::stdcopy`].
pub(crate) const MULTIPLEXED_STREAM: &str = "application/vnd.docker.multiplexed-stream";

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    with_body(status, Empty::new().map_err(|never| match never {}).boxed_unsync())
}

/// An answer of ready bytes.
pub(crate) fn bytes(status: StatusCode, content_type: HeaderValue, bytes: impl Into<Bytes>) -> Response {
    let body = Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync();
    typed(with_body(status, body), content_type)
}

/// An answer of one JSON value, with the newline that Go's encoder writes.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match line(value) {
        Ok(body) => bytes(status, JSON, body),
        // Our types have string keys only, so this can't be seen; if it is, the client hears of it.
        Err(error) => {
            let body = format!(
                "{{\"message\":\"cannot write the answer: {}\"}}\n",
                error.to_string().replace('"', "'")
            );
            bytes(StatusCode::INTERNAL_SERVER_ERROR, JSON, body)
        }
    }
}

/// 200 with one JSON value.
pub(crate) fn ok(value: &impl Serialize) -> Response {
    json(StatusCode::OK, value)
}

/// 200 with a body that is written as it comes.
pub(crate) fn stream<S, E>(content_type: HeaderValue, stream: S) -> Response
where
    S: Stream<Item = Result<Bytes, E>> + Send + 'static,
    E: Into<BodyError> + 'static,
{
    let body = StreamBody::new(stream.map_ok(Frame::data).map_err(Into::into)).boxed_unsync();
    typed(with_body(StatusCode::OK, body), content_type)
}

/// 200 with one JSON value per line, written as they come.
pub(crate) fn lines<S, T>(values: S) -> Response
where
    S: Stream<Item = T> + Send + 'static,
    T: Serialize + Send + 'static,
{
    stream(JSON, values.map(|value| line(&value).map(Bytes::from)))
}

/// 200 with headers at once and one JSON value when it is there.
pub(crate) fn later<F, T>(value: F) -> Response
where
    F: Future<Output = T> + Send + 'static,
    T: Serialize + Send + 'static,
{
    lines(stream::once(value))
}

/// One JSON value and a newline.
fn line(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut out = serde_json::to_vec(value)?;
    out.push(b'\n');
    Ok(out)
}

fn with_body(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

fn typed(mut response: Response, content_type: HeaderValue) -> Response {
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// A body that says when it is gone: written out, or given up.
pub(crate) struct Watched<F: FnOnce() + Unpin> {
    body: Body,
    gone: Option<F>,
}

impl<F: FnOnce() + Unpin> Watched<F> {
    /// Calls `gone` when the body is dropped.
    pub(crate) fn new(body: Body, gone: F) -> Self {
        Self { body, gone: Some(gone) }
    }
}

impl<F: FnOnce() + Unpin> Drop for Watched<F> {
    fn drop(&mut self) {
        if let Some(gone) = self.gone.take() {
            gone();
        }
    }
}

impl<F: FnOnce() + Unpin> hyper::body::Body for Watched<F> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
