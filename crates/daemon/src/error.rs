//! Failures as HTTP answers: `{"message": …}` with the documented status.

use api::ErrorResponse;
use hyper::StatusCode;

use crate::response::{self, Response};

/// A failure on its way to the client.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ApiError {
    status: StatusCode,
    message: String,
}

/// Result of a handler.
pub(crate) type Result<T, E = ApiError> = std::result::Result<T, E>;

impl ApiError {
    /// A failure with this status.
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// 400: the request itself is wrong.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 501: documented, and not there.
    pub(crate) fn not_implemented(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, message)
    }

    /// 404 for a path that the API does not have.
    pub(crate) fn page_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "page not found")
    }

    /// The status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The JSON body.
    pub(crate) fn body(&self) -> ErrorResponse {
        ErrorResponse::new(&self.message)
    }

    /// The whole answer. 304 has no body.
    pub(crate) fn into_response(self) -> Response {
        if self.status == StatusCode::NOT_MODIFIED {
            return response::empty(self.status);
        }
        response::json(self.status, &self.body())
    }
}

impl From<engine::Error> for ApiError {
    fn from(error: engine::Error) -> Self {
        Self::new(status(error.kind()), error.to_string())
    }
}

impl From<api::version::VersionError> for ApiError {
    fn from(error: api::version::VersionError) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<api::filters::FilterError> for ApiError {
    fn from(error: api::filters::FilterError) -> Self {
        Self::bad_request(error.to_string())
    }
}

fn status(kind: engine::Kind) -> StatusCode {
    match kind {
        engine::Kind::NotFound => StatusCode::NOT_FOUND,
        engine::Kind::Conflict => StatusCode::CONFLICT,
        engine::Kind::BadParameter => StatusCode::BAD_REQUEST,
        engine::Kind::NotModified => StatusCode::NOT_MODIFIED,
        engine::Kind::Forbidden => StatusCode::FORBIDDEN,
        engine::Kind::Unauthorized => StatusCode::UNAUTHORIZED,
        engine::Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        engine::Kind::NotImplemented => StatusCode::NOT_IMPLEMENTED,
        engine::Kind::System => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_and_bodies() {
        let error = ApiError::from(engine::Error::no_such_container("x"));
        assert_eq!(error.status(), 404);
        assert_eq!(error.body().message, "No such container: x");
        assert_eq!(ApiError::from(engine::Error::not_modified("")).into_response().status(), 304);
    }
}
