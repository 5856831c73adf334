//! Webhooks: each event is posted to a URL, in the envelope of Docker's registry
//! (`application/vnd.docker.distribution.events.v1+json`), signed if there is a secret.
//!
//! A webhook that is slow holds nobody up: events wait for it in the channel of [`super::events`], which forgets the oldest
//! when they are too many.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, StatusCode};
use ring::hmac;
use rustls::ClientConfig;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{sleep, timeout};

use super::Registry;
use super::auth::glob;
use super::config::{Happening, Webhook};
use super::events::{Action, Event, Target};
use super::storage::UploadId;
use crate::client;
use crate::client::net::{Authorities, Payload, Proxies, Request, Tls, TlsFiles, Transport};
use crate::client::url::Url;

/// The media type of an envelope.
const ENVELOPE: &str = "application/vnd.docker.distribution.events.v1+json";

/// `sha256=` and the HMAC-SHA256 of the body, in hexadecimal digits.
const SIGNATURE: HeaderName = HeaderName::from_static("x-berth-signature-256");

/// The wait before the second attempt; twice as long before each further one.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The most bytes of a secret.
const SECRET: u64 = 64 << 10;

/// Why a webhook can't be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The file with the secret can't be read, or is empty or much too long.
    #[error("cannot read the secret {}: {reason}", path.display())]
    Secret {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// Authorities can't be read.
    #[error(transparent)]
    Tls(#[from] client::Error),
}

/// Whom to post to, and how.
struct Poster {
    url: Url,
    transport: Transport,
    trust: Arc<ClientConfig>,
    key: Option<hmac::Key>,
    timeout: Duration,
    attempts: u32,
}

/// Posts what the webhook wants to know, until it is dropped. Events count from the call on.
///
/// # Errors
/// When files that the configuration names can't be used.
pub fn forever(
    registry: Arc<Registry>,
    config: Webhook,
) -> Result<impl Future<Output = ()> + Send + 'static, WebhookError> {
    let poster = Poster::new(&config)?;
    let mut events = registry.events.listen();
    Ok(async move {
        // as Docker's registry names itself: which instance it was
        let instance = UploadId::random().map_or_else(|_| String::new(), |id| id.to_string());
        loop {
            match events.recv().await {
                Ok(event) if wants(&config, &event) => {
                    let body = envelope(&event, &instance);
                    match poster.deliver(body).await {
                        Ok(()) => registry.metrics.delivered(),
                        Err(reason) => {
                            registry.metrics.undelivered(1);
                            tracing::warn!("an event was not taken by {}: {reason}", poster.place());
                        }
                    }
                }
                Ok(_) => {}
                Err(RecvError::Lagged(count)) => {
                    registry.metrics.undelivered(count);
                    tracing::warn!("{} is too slow: {count} events are lost to it", poster.place());
                }
                Err(RecvError::Closed) => return,
            }
        }
    })
}

fn wants(config: &Webhook, event: &Event) -> bool {
    let happening = match event.action {
        Action::Push => Happening::Push,
        Action::Pull => Happening::Pull,
        Action::Mount => Happening::Mount,
        Action::Delete => Happening::Delete,
    };
    config.actions.contains(&happening)
        && (config.blobs || !matches!(event.target, Target::Blob { .. }))
        && config.repositories.iter().any(|pattern| glob::fits(pattern, event.repository.as_str()))
}

impl Poster {
    fn new(config: &Webhook) -> Result<Self, WebhookError> {
        let url = Url::parse(&config.url).map_err(|error| client::Error::Config {
            what: "webhooks.url".into(),
            reason: error.to_string(),
        })?;
        let authorities = config.ca.iter().cloned().collect();
        let files = TlsFiles { authorities, ..TlsFiles::default() };
        let tls = Tls::new(&files, &Authorities::default())?;
        let key = config.secret.as_ref().map(secret).transpose()?;
        Ok(Self {
            url,
            transport: Transport::new(Proxies::default(), client::Time::default(), Authorities::default()),
            trust: tls.own,
            key,
            timeout: config.timeout.0,
            attempts: config.attempts,
        })
    }

    /// The place, for the log: without the path and the query, which may have a secret in them.
    fn place(&self) -> String {
        let origin = self.url.origin();
        format!("{}://{}", origin.scheme.as_str(), origin.authority())
    }

    async fn deliver(&self, body: Bytes) -> Result<(), String> {
        let mut wait = FIRST_WAIT;
        for attempt in 1.. {
            let outcome = match timeout(self.timeout, self.post(&body)).await {
                Err(_elapsed) => Err((true, "no answer in time".to_owned())),
                Ok(outcome) => outcome,
            };
            match outcome {
                Ok(()) => return Ok(()),
                Err((true, _)) if attempt < self.attempts => {
                    sleep(wait).await;
                    wait = LONGEST_WAIT.min(wait * 2);
                }
                Err((_, reason)) => return Err(reason),
            }
        }
        Ok(())
    }

    /// Once; whether another attempt may help, and what was wrong. A redirect is not followed: it would show what is in the
    /// event to somebody else.
    async fn post(&self, body: &Bytes) -> Result<(), (bool, String)> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(ENVELOPE));
        let agent = HeaderValue::from_static(concat!("berth-registry/", env!("CARGO_PKG_VERSION")));
        headers.insert(USER_AGENT, agent);
        if let Some(key) = &self.key {
            let text = format!("sha256={}", hex::encode(hmac::sign(key, body)));
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(SIGNATURE, value);
            }
        }
        let (url, payload) = (self.url.clone(), Payload::Whole(body.clone()));
        let request = Request { method: Method::POST, url, headers, payload, before: 0 };
        let answer = self.transport.send(request, &self.trust, None).await;
        // the error as a whole names the URL; the log must not
        let reason = |error: client::Error| match error {
            client::Error::Network(error) => error.cause.to_string(),
            _ => "it can't be reached".into(),
        };
        let status = answer.map_err(|error| (true, reason(error)))?.status;
        if status.is_success() {
            return Ok(());
        }
        let passes = status.is_server_error()
            || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
        Err((passes, format!("it answered {}", status.as_u16())))
    }
}

fn secret(path: &PathBuf) -> Result<hmac::Key, WebhookError> {
    let wrong = |reason: String| WebhookError::Secret { path: path.clone(), reason };
    let read = || -> io::Result<Vec<u8>> {
        use io::Read as _;
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(SECRET + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error| wrong(error.to_string()))?;
    if bytes.len() as u64 > SECRET {
        return Err(wrong(format!("it has more than {SECRET} bytes")));
    }
    let secret = bytes.trim_ascii();
    if secret.is_empty() {
        return Err(wrong("it is empty".into()));
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, secret))
}

/// One event as Docker's registry tells it.
fn envelope(event: &Event, instance: &str) -> Bytes {
    let id = || UploadId::random().map_or_else(|_| String::new(), |id| id.to_string());
    let mut target = match &event.target {
        Target::Blob { digest, size } => {
            json!({"mediaType": "application/octet-stream", "digest": digest, "size": size, "length": size})
        }
        Target::Manifest { digest, size, media_type, tag } => json!({
            "mediaType": media_type, "digest": digest, "size": size, "length": size,
            "tag": tag.as_ref().map(super::name::Tag::as_str),
        }),
        Target::Tag(tag) => json!({"tag": tag.as_str()}),
    };
    target["repository"] = event.repository.as_str().into();
    let action = match event.action {
        Action::Push => "push",
        Action::Pull => "pull",
        Action::Mount => "mount",
        Action::Delete => "delete",
    };
    let mut body = json!({"events": [{
        "id": id(),
        "timestamp": event.at.to_string(),
        "action": action,
        "target": target,
        "request": {
            "id": id(),
            "addr": event.peer.map(|peer| peer.to_string()),
            "useragent": event.agent,
        },
        "actor": {"name": event.user},
        "source": {"instanceID": instance},
    }]});
    without_nothing(&mut body);
    body.to_string().into()
}

/// Leaves out what is not known.
fn without_nothing(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(without_nothing);
        }
        Value::Array(list) => list.iter_mut().for_each(without_nothing),
        _ => {}
    }
}
