//! The daemon itself.

use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, HeaderName, HeaderValue, PRAGMA};

use crate::convert;
use crate::error::Result;
use crate::request::Asked;
use crate::response::{self, Response};

/// `GET` and `HEAD /_ping`: hyper leaves the body of a HEAD out.
pub(crate) fn ping(asked: &Asked) -> Result<Response> {
    let mut response =
        response::bytes(StatusCode::OK, HeaderValue::from_static("text/plain; charset=utf-8"), "OK");
    let builder = HeaderValue::from_static(if asked.app.buildkit { "2" } else { "1" });
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, must-revalidate"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(HeaderName::from_static("builder-version"), builder);
    headers.insert(HeaderName::from_static("swarm"), HeaderValue::from_static("inactive"));
    Ok(response)
}

/// `GET /version`
pub(crate) fn version(asked: &Asked) -> Result<Response> {
    Ok(response::ok(&convert::version(asked.engine().version(), asked.engine().config().experimental)))
}

/// `GET /info`
pub(crate) async fn info(asked: Asked) -> Result<Response> {
    let mut info = asked.engine().info().await?;
    let reloaded = asked.app.reloaded();
    (info.labels, info.debug) = (reloaded.labels, reloaded.debug);
    let mut answer = convert::info(info, asked.version);
    answer.plugins.authorization = Some(asked.app.authorization.names()).filter(|names| !names.is_empty());
    // one counts for `/metrics`
    answer.n_events_listener = answer.n_events_listener.saturating_sub(1);
    answer.experimental_build = asked.engine().config().experimental;
    Ok(response::ok(&answer))
}

/// `GET /system/df`
pub(crate) async fn disk_usage(asked: Asked) -> Result<Response> {
    let wanted = convert::DfWanted::parse(&asked.query, asked.version)?;
    let usage = asked.engine().disk_usage().await?;
    let data_root = asked.engine().config().data_root.display().to_string();
    Ok(response::ok(&convert::disk_usage(&usage, data_root, wanted, asked.version)))
}
