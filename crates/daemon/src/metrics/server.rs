//! `metrics-addr`: the page on an address of its own, and nothing else there.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use engine::HostPorts;
use hyper::StatusCode;
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::{PATH, render};
use crate::app::App;
use crate::response::{self, Response};

/// Most connections at one time.
const MAX_CONNECTIONS: usize = 32;
/// How long a client may take for a request's head.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// Listens on `address`, `HOST:PORT`; through `outside`, if the daemon does not live in the host's network.
///
/// # Errors
/// Names the address and the reason.
pub(crate) fn listen(address: &str, outside: Option<&HostPorts>) -> Result<TcpListener> {
    crate::listen::bind(address, outside).with_context(|| format!("cannot serve metrics on {address}"))
}

/// Serves the page until dropped.
pub(crate) async fn serve(listener: TcpListener, app: Arc<App>) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                crate::listen::refused(&error).await;
                continue;
            }
        };
        let app = Arc::clone(&app);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&app), request));
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIME)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::debug!("metrics: connection ended: {error}");
            }
            drop(slot);
        });
    }
}

async fn answer(
    app: Arc<App>,
    request: hyper::Request<hyper::body::Incoming>,
) -> std::result::Result<Response, Infallible> {
    let known = request.uri().path() == PATH;
    let reads = matches!(*request.method(), hyper::Method::GET | hyper::Method::HEAD);
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    Ok(match (known, reads) {
        (true, true) => render(&app).await,
        (true, false) => response::bytes(StatusCode::METHOD_NOT_ALLOWED, text, "GET alone\n"),
        (false, _) => response::bytes(StatusCode::NOT_FOUND, text, "404 page not found\n"),
    })
}
