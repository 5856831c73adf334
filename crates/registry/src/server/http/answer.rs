//! Answers: a status, headers, and a body that may stream.

use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

use crate::server::error::Error;
use crate::server::storage::{Chunks, StorageError};

/// The body of an answer.
pub(crate) type Body = UnsyncBoxBody<Bytes, StorageError>;

/// An answer.
pub(crate) type Answer = Response<Body>;

/// The digest of what is answered or was put.
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// The upload that is answered for.
pub(crate) const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
/// The version of Docker's protocol.
pub(crate) const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
/// The subject of a manifest that was put is understood.
pub(crate) const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// What a list of referrers was filtered by.
pub(crate) const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// An answer in the making.
#[derive(Debug)]
pub(crate) struct Builder {
    status: StatusCode,
    headers: HeaderMap,
}

/// An answer with this status.
pub(crate) fn status(status: StatusCode) -> Builder {
    Builder { status, headers: HeaderMap::new() }
}

impl Builder {
    /// With a header. A value that no header may have is left out: all are made of checked parts.
    pub(crate) fn header(mut self, name: HeaderName, value: impl AsRef<str>) -> Self {
        if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
            self.headers.append(name, value);
        }
        self
    }

    /// With the length of a body that is (or would be) sent.
    pub(crate) fn length(mut self, bytes: u64) -> Self {
        self.headers.insert(header::CONTENT_LENGTH, bytes.into());
        self
    }

    /// Without a body.
    pub(crate) fn empty(self) -> Answer {
        self.with(Empty::new().map_err(|never| match never {}).boxed_unsync())
    }

    /// With bytes.
    pub(crate) fn bytes(self, bytes: Bytes) -> Answer {
        let length = bytes.len() as u64;
        self.length(length).with(Full::new(bytes).map_err(|never| match never {}).boxed_unsync())
    }

    /// With JSON.
    pub(crate) fn json(self, value: &impl Serialize) -> Answer {
        // what is written here consists of strings and numbers, which always have a text
        let bytes = serde_json::to_vec(value).unwrap_or_default();
        self.header(header::CONTENT_TYPE, "application/json").bytes(bytes.into())
    }

    /// With bytes as they come from the storage.
    pub(crate) fn stream(self, chunks: Chunks) -> Answer {
        self.with(StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data))).boxed_unsync())
    }

    fn with(self, body: Body) -> Answer {
        let mut answer = Response::new(body);
        *answer.status_mut() = self.status;
        *answer.headers_mut() = self.headers;
        answer
    }
}

/// The answer that an error is. What is the registry's own fault is logged here, and only here.
pub(crate) fn error(error: &Error) -> Answer {
    if let Some(cause) = error.cause() {
        tracing::error!("{cause}");
    }
    let mut builder = status(error.code.status());
    for (name, value) in error.headers() {
        builder = builder.header(name.clone(), value);
    }
    builder.json(&error.body())
}
