//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;

use super::sniff::{Signs, Sniff};
use super::{MAX_HEAD, MAX_HEADERS, Peer, Transport, hijack};
use crate::app::App;
use crate::error::ApiError;
use crate::request::RequestBody;
use crate::response::{Response, Watched};
use crate::router;

/// Bytes that hyper reads at once: more than the longest head, and less than a piece of memory that the kernel would
/// have to map, clear and unmap for each read ([`sys::memory::return_large_pieces`]).
const MAX_BUFFER: usize = MAX_HEAD + MAX_HEAD / 2;

/// Serves a connection until either side ends it.
pub(crate) async fn connection(app: Arc<App>, io: Box<dyn Transport>) {
    let signs = Arc::new(Signs::default());
    let peer = io.peer().map(Arc::new);
    let sniff = Sniff::new(io, Arc::clone(&signs));
    let service = service_fn(|request| serve(Arc::clone(&app), Arc::clone(&signs), peer.clone(), request));
    let served = http1::Builder::new()
        .title_case_headers(true)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(sniff), service)
        .without_shutdown()
        .await;
    match served {
        Ok(parts) => {
            let (mut io, held) = parts.io.into_inner().into_parts();
            if signs.hijacked() {
                hijack::serve(app, io, held).await;
            } else {
                // The peer may be gone already: there is nobody to tell.
                let _ = io.shutdown().await;
            }
        }
        Err(error) => tracing::debug!("connection ended: {error}"),
    }
}

async fn serve(
    app: Arc<App>,
    signs: Arc<Signs>,
    peer: Option<Arc<Peer>>,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Watched<impl FnOnce() + Unpin>>, Infallible> {
    let (parts, incoming) = request.into_parts();
    if !incoming.is_end_stream() {
        signs.body_begins();
    }
    let read = Arc::clone(&signs);
    let body = RequestBody::new(incoming, move || read.body_ends());
    let busy = app.busy();
    let response = guarded(judged(app, peer.as_deref(), parts, body)).await;
    drop(busy);
    let (parts, body) = response.into_parts();
    Ok(hyper::Response::from_parts(parts, Watched::new(body, move || signs.answered())))
}

/// Answers a request if those who authorise requests let it be.
async fn judged(
    app: Arc<App>,
    peer: Option<&Peer>,
    parts: hyper::http::request::Parts,
    body: RequestBody,
) -> Response {
    let case = app.authorization.case(peer, parts.method.as_str(), &parts.uri, &parts.headers);
    let Some(mut case) = case else {
        return counted(&app, &parts.method, &parts.uri, parts.headers, body).await;
    };
    let judged = match case.admit(body).await {
        Ok(body) => case.release(counted(&app, &parts.method, &parts.uri, parts.headers, body).await).await,
        Err(error) => Err(error),
    };
    judged.unwrap_or_else(|error| {
        app.metrics.denied(error.status());
        router::with_common_headers(&app, error.into_response())
    })
}

/// Answers a request, and notes how long that took.
async fn counted(
    app: &Arc<App>,
    method: &hyper::Method,
    uri: &hyper::Uri,
    headers: hyper::HeaderMap,
    body: RequestBody,
) -> Response {
    let begun = std::time::Instant::now();
    let response = router::handle(Arc::clone(app), method, uri, headers, body).await;
    let action = response.extensions().get::<Option<api::Action>>().copied().flatten();
    app.metrics.request(action, response.status(), begun.elapsed());
    response
}

/// A panic in a handler is a fault of ours: the client hears of it, and the daemon goes on.
async fn guarded(handler: impl Future<Output = Response>) -> Response {
    match AssertUnwindSafe(handler).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => {
            let reason = panic_text(panic.as_ref());
            tracing::error!("handler panicked: {reason}");
            ApiError::new(
                hyper::StatusCode::INTERNAL_SERVER_ERROR,
                format!("internal error: {reason}; this is a bug in Berth"),
            )
            .into_response()
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("panic without a message")
}
