//! Builds by BuildKit that clients ask for over HTTP (`docker` before 23.0 does).

use hyper::StatusCode;

use crate::request::Asked;
use crate::response::{self, Response};

/// `POST /build/cancel`: a build that is over already is no error.
pub(crate) fn cancel_build(asked: &Asked) -> Response {
    asked.app.builds.cancel(asked.query.get("id").unwrap_or_default());
    response::empty(StatusCode::OK)
}
