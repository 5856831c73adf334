//! Authorisation plugins: others who say which requests may be answered, and which answers given.
//!
//! Docker's protocol (<https://docs.docker.com/engine/extend/plugins_authorization/>), with one promise more: what a
//! plugin should judge it sees whole, or the request is refused. A body that handlers would read as JSON is sent whole,
//! however it came and however long it may be; a longer one is refused before anyone is asked. A plugin that fails,
//! is not there or does not answer in time has refused.

mod find;
mod message;
mod plugin;

use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, StatusCode};

use crate::error::{ApiError, Result};
use crate::request::{RequestBody, is_json};
use crate::response::Response;
use crate::serve::Peer;
use message::Message;
pub(crate) use plugin::Plugin;

/// The longest answer that plugins see the body of, in bytes; of a longer one, and of a stream, they see status and
/// headers.
const MAX_ANSWER: u64 = 4 << 20;

/// The plugins in force; they change when the configuration is reloaded.
#[derive(Default)]
pub(crate) struct Authorization(RwLock<Arc<[Plugin]>>);

impl Authorization {
    /// These plugins judge from now on.
    pub(crate) fn set(&self, plugins: Vec<Plugin>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = plugins.into();
    }

    /// Names of those in force, in the order in which they are asked.
    pub(crate) fn names(&self) -> Vec<String> {
        self.plugins().iter().map(|plugin| plugin.name().to_owned()).collect()
    }

    fn plugins(&self) -> Arc<[Plugin]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is to be judged; `None`: nobody judges.
    pub(crate) fn case(
        &self,
        peer: Option<&Peer>,
        method: &str,
        uri: &hyper::Uri,
        headers: &HeaderMap,
    ) -> Option<Case> {
        let plugins = self.plugins();
        if plugins.is_empty() {
            return None;
        }
        // Docker keeps logins from plugins.
        let secret = uri.path().ends_with("/auth");
        let shows_body = !secret && is_json(headers);
        Some(Case { plugins, message: Message::request(peer, method, uri, headers), secret, shows_body })
    }
}

/// One request on its way through the plugins, and its answer on the way back.
pub(crate) struct Case {
    plugins: Arc<[Plugin]>,
    message: Message,
    /// Neither body is shown.
    secret: bool,
    shows_body: bool,
}

impl Case {
    /// Asks whether the request may be answered, with the body if that is shown, which is read for it and given back.
    ///
    /// # Errors
    /// A plugin refuses or fails (403, 500); the body can't be read or is too long.
    pub(crate) async fn admit(&mut self, body: RequestBody) -> Result<RequestBody> {
        if !self.shows_body {
            self.admit_bytes(&[]).await?;
            return Ok(body);
        }
        let bytes = Bytes::from(body.collect().await?);
        self.admit_bytes(&bytes).await?;
        Ok(RequestBody::ready(bytes))
    }

    /// As [`Self::admit`], with a body that was read already.
    pub(crate) async fn admit_bytes(&mut self, body: &[u8]) -> Result<()> {
        if self.shows_body {
            self.message.set_request_body(body);
        }
        let asked = self.message.encode();
        for plugin in self.plugins.iter() {
            judged(plugin, plugin.request(&asked).await)?;
        }
        Ok(())
    }

    /// Asks whether an answer may be given. One that is streamed is judged by its head, before anything of it is sent.
    ///
    /// # Errors
    /// A plugin refuses or fails.
    pub(crate) async fn release(&mut self, response: Response) -> Result<Response> {
        let (parts, mut body) = response.into_parts();
        let json = parts.headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
        let length = body.size_hint().exact();
        let mut shown = Bytes::new();
        if json && !self.secret && length.is_some_and(|length| length <= MAX_ANSWER) {
            let broken = |error: crate::response::BodyError| {
                ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
            };
            shown = body.collect().await.map_err(broken)?.to_bytes();
            body = http_body_util::Full::new(shown.clone()).map_err(|never| match never {}).boxed_unsync();
        }
        self.release_head(parts.status, &parts.headers, &shown).await?;
        Ok(Response::from_parts(parts, body))
    }

    /// As [`Self::release`], for an answer that is still to be written.
    ///
    /// # Errors
    /// A plugin refuses or fails.
    pub(crate) async fn release_head(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<()> {
        self.message.set_response(status, headers, body);
        let asked = self.message.encode();
        for plugin in self.plugins.iter() {
            judged(plugin, plugin.response(&asked).await)?;
        }
        Ok(())
    }
}

/// A plugin's word as ours, in Docker's sentences.
fn judged(plugin: &Plugin, verdict: Result<message::Verdict, String>) -> Result<()> {
    let name = plugin.name();
    let failed = |text: &str| {
        tracing::error!("authorization plugin {name}: {text}");
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, format!("plugin {name} failed with error: {text}"))
    };
    match verdict {
        Err(text) => Err(failed(&text)),
        Ok(verdict) if !verdict.allow => Err(ApiError::new(
            StatusCode::FORBIDDEN,
            format!("authorization denied by plugin {name}: {}", verdict.text()),
        )),
        // one that allows and says that it failed can't be believed
        Ok(verdict) if !verdict.error.is_empty() => Err(failed(&verdict.error)),
        Ok(_) => Ok(()),
    }
}

/// Finds plugins by name, and asks each whether it is one.
///
/// # Errors
/// Names the plugin and the reason.
pub(crate) async fn open(names: &[String], exec_root: &std::path::Path) -> anyhow::Result<Vec<Plugin>> {
    let mut plugins: Vec<Plugin> = Vec::new();
    for name in names {
        // Docker asks each once, too
        if plugins.iter().any(|plugin| plugin.name() == name) {
            continue;
        }
        let invalid =
            |error| anyhow::anyhow!("Error validating authorization plugin: plugin \"{name}\" {error}");
        let address = find::find(name, exec_root).map_err(invalid)?;
        let plugin = Plugin::new(name, address);
        plugin.activate().await.map_err(invalid)?;
        plugins.push(plugin);
    }
    Ok(plugins)
}
