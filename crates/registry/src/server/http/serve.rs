//! From a request to its answer: who asks, for what, the headers that all answers have, the line in the log.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request};

use super::answer::{self, API_VERSION, Answer};
use super::call::Call;
use super::route::Route;
use crate::server::Registry;
use crate::server::auth::{self, Caller, Need};
use crate::server::error::{Code, Error, Result};
use crate::server::handlers;

/// Answers a request. What changes something runs to its end though the client goes away.
pub(crate) async fn answer(
    registry: Arc<Registry>,
    request: Request<Incoming>,
    peer: Option<SocketAddr>,
) -> Answer {
    let since = Instant::now();
    let metered = Arc::clone(&registry);
    let line = registry.config.log.requests.then(|| {
        let agent =
            request.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or("-");
        (request.method().clone(), request.uri().clone(), agent.to_owned())
    });
    let kind = (request.method().clone(), request.uri().path().to_owned());
    let outcome = if matches!(*request.method(), Method::GET | Method::HEAD) {
        handle(registry, request, peer).await
    } else {
        let handled = tokio::spawn(handle(registry, request, peer)).await;
        handled.unwrap_or_else(|error| {
            tracing::error!("a request's handler failed: {error}");
            Err(Error::new(Code::Unknown, "the registry failed"))
        })
    };
    let mut answer = outcome.unwrap_or_else(|error| answer::error(&error));
    metered.metrics.answered(&kind.0, Route::kind(&kind.1), answer.status(), since.elapsed());
    let headers = answer.headers_mut();
    headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some((method, uri, agent)) = line {
        let from = peer.map_or_else(|| "-".to_owned(), |peer| peer.ip().to_string());
        let (status, took) = (answer.status().as_u16(), since.elapsed().as_millis());
        tracing::info!("{from} {method} {uri} {status} {took}ms {agent:?}");
    }
    answer
}

async fn handle(
    registry: Arc<Registry>,
    request: Request<Incoming>,
    peer: Option<SocketAddr>,
) -> Result<Answer> {
    let route = Route::parse(request.uri().path());
    let live = registry.live();
    let caller = match route.as_ref().map(|route| handlers::need(request.method(), route)) {
        Ok(Some(need)) if matches!(route, Ok(Route::Page(_))) => {
            // a browser knows passwords, and no tokens
            let caller =
                live.auth.caller(request.headers()).await.map_err(|error| live.auth.prompt(error))?;
            live.auth.allow(&caller, need, "").map_err(|error| live.auth.prompt(error.bare()))?;
            caller
        }
        Ok(Some(need)) => {
            let origin = auth::origin(request.headers(), live.tls.is_some());
            let caller = live.auth.caller(request.headers()).await.map_err(|error| match error.code {
                Code::Unauthorized => live.auth.challenge(error, need, &origin, Some("invalid_token")),
                _ => error,
            })?;
            live.auth.allow(&caller, need, &origin)?;
            caller
        }
        Ok(None) => Caller::nobody(),
        // who is not let in does not learn either what is well-formed
        Err(_) => {
            let caller = live.auth.caller(request.headers()).await?;
            let origin = auth::origin(request.headers(), live.tls.is_some());
            live.auth.allow(&caller, Need::Base, &origin)?;
            caller
        }
    };
    let route = route?;
    handlers::handle(Call::new(registry, request, caller, peer), route).await
}
