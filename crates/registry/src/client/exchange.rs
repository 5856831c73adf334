//! Asking one endpoint: authenticated when it is the endpoint itself, followed through redirects, and again when it
//! may help.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER, USER_AGENT};
use hyper::{Method, StatusCode};

use super::Inner;
use super::auth::{Claim, Scopes, insufficient};
use super::config::{Credentials, Retry};
use super::endpoint::Endpoint;
use super::error::{Error, Refusal, RemoteError, Result, clean, remote_errors};
use super::limits::{MAX_ERROR_BODY, MAX_REDIRECTS, MAX_RETRY_AFTER};
use super::net::{Payload, Request, Response};
use super::retry::Attempts;
use super::upload::Source;
use super::url::{Scheme, Url};

/// What a token means that does not suffice (RFC 6750 section 3.1, `insufficient_scope`): code and text as Docker has them.
const DENIED: (&str, &str) = ("DENIED", "requested access to the resource is denied");

/// How often a request is authenticated anew: once for a token that has ended, once for more rights.
const MAX_CHALLENGED: usize = 2;

/// An endpoint, asked by someone.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) inner: Arc<Inner>,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) credentials: Credentials,
}

/// A request that can be made more than once.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) content: Content,
    pub(crate) scopes: Scopes,
    /// Named by a manifest or another stranger: never authenticated, wherever it leads.
    pub(crate) outside: bool,
    /// Bytes that the registry may hash and move before it answers.
    pub(crate) before: u64,
}

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    /// Where it came from in the end.
    pub(crate) url: Url,
    pub(crate) bytes: bytes::Bytes,
}

/// A body that can be had more than once.
#[derive(Clone, Default)]
pub(crate) enum Content {
    #[default]
    None,
    Bytes(bytes::Bytes),
    /// From an offset on, so many bytes or up to the end.
    From(Source, u64, Option<u64>),
}

impl Content {
    async fn open(&self) -> Result<Payload> {
        Ok(match self {
            Self::None => Payload::Empty,
            Self::Bytes(bytes) => Payload::Whole(bytes.clone()),
            Self::From(source, offset, length) => {
                let chunks = source.open(*offset).await.map_err(Error::Source)?;
                Payload::stream(chunks, *length)
            }
        })
    }
}

impl Call {
    pub(crate) fn new(method: Method, url: Url, scopes: Scopes) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            content: Content::None,
            scopes,
            outside: false,
            before: 0,
        }
    }

    pub(crate) fn header(mut self, name: hyper::header::HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }
}

impl Peer {
    /// How often it is asked: after a mirror comes somebody else.
    pub(crate) fn retry(&self) -> Retry {
        let retry = self.inner.config.retry;
        if self.endpoint.mirror { Retry { attempts: retry.attempts.min(2), ..retry } } else { retry }
    }

    /// Waits for the next attempt, where there is to be one: who cannot be reached, and is not the only one who may be
    /// asked, is not waited for.
    ///
    /// # Errors
    /// `error`, when it is the last word of this endpoint.
    pub(crate) async fn again(&self, attempts: &mut Attempts, error: Error) -> Result<()> {
        if (self.endpoint.mirror || self.endpoint.probing) && error.is_unreachable() {
            return Err(error);
        }
        attempts.again(error).await
    }

    /// Makes the request until its answer is one of `expected`, or an error that does not pass.
    pub(crate) async fn call(&self, call: &Call, expected: &[u16]) -> Result<Response> {
        let mut attempts = Attempts::new(self.retry());
        loop {
            match self.once(call, expected).await {
                Ok(answer) => return Ok(answer),
                Err(error) => self.again(&mut attempts, error).await?,
            }
        }
    }

    /// Makes the request and reads its whole answer, of at most `limit` bytes, until that succeeds or an error does
    /// not pass. `what` names the answer.
    pub(crate) async fn fetch(&self, call: &Call, limit: u64, what: &str) -> Result<Answer> {
        let mut attempts = Attempts::new(self.retry());
        loop {
            let fetched = async {
                let mut answer = self.once(call, &[200]).await?;
                let bytes = answer.body.collect(limit, what).await?;
                Ok(Answer { headers: answer.headers, url: answer.place.url, bytes })
            };
            match fetched.await {
                Ok(answer) => return Ok(answer),
                Err(error) => self.again(&mut attempts, error).await?,
            }
        }
    }

    /// Makes the request once; redirects and challenges are part of it.
    pub(crate) async fn once(&self, call: &Call, expected: &[u16]) -> Result<Response> {
        let mut claim = Claim { credentials: &self.credentials, scopes: call.scopes.clone() };
        let mut url = call.url.clone();
        let (mut challenged, mut redirects) = (0, 0);
        loop {
            let own = !call.outside && url.origin() == self.endpoint.origin();
            let authorization = if own {
                let transport = &self.inner.transport;
                self.inner.authenticator.authorization(transport, &self.endpoint, &claim).await?
            } else {
                None
            };
            let answer = self.send(call, &url, own, authorization.as_ref()).await?;
            if answer.status == StatusCode::UNAUTHORIZED && own && challenged < MAX_CHALLENGED {
                challenged += 1;
                let sent = authorization.as_ref();
                let learned =
                    self.inner.authenticator.learn(&self.endpoint, &answer.headers, &mut claim, sent).await?;
                if !learned {
                    return Err(refusal(answer).await);
                }
                finish(answer).await;
                continue;
            }
            if let Some(next) = self.redirect(call, &answer)? {
                redirects += 1;
                if redirects > MAX_REDIRECTS {
                    return Err(Error::protocol(
                        &call.url,
                        format!("stopped after {MAX_REDIRECTS} redirects"),
                    ));
                }
                finish(answer).await;
                url = next;
                continue;
            }
            if expected.contains(&answer.status.as_u16()) {
                return Ok(answer);
            }
            return Err(refusal(answer).await);
        }
    }

    async fn send(
        &self,
        call: &Call,
        url: &Url,
        own: bool,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response> {
        let mut headers = call.headers.clone();
        headers.insert(USER_AGENT, self.inner.user_agent.clone());
        if own {
            for (name, value) in &self.endpoint.headers {
                headers.append(name, value.clone());
            }
        }
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, value.clone());
        }
        let payload = call.content.open().await?;
        let (method, before) = (call.method.clone(), call.before);
        let request = Request { method, url: url.clone(), headers, payload, before };
        let dial = self.endpoint.dial.filter(|_| own);
        self.inner.transport.send(request, self.endpoint.trust(url, false), dial).await
    }

    /// Where an answer sends us, if it does.
    fn redirect(&self, call: &Call, answer: &Response) -> Result<Option<Url>> {
        let reads = matches!(call.method, Method::GET | Method::HEAD);
        match answer.status.as_u16() {
            301..=303 if reads => {}
            307 | 308 => {}
            _ => return Ok(None),
        }
        let at = &answer.place.url;
        let location = location(&answer.headers, at)?
            .ok_or_else(|| Error::protocol(at, "redirects without saying where to"))?;
        self.check_clear(at, &location)?;
        Ok(Some(location))
    }

    /// What was reached over TLS does not lead to a place in clear, where anyone could read and change what goes by.
    pub(crate) fn check_clear(&self, at: &Url, to: &Url) -> Result<()> {
        let to_clear = to.origin().scheme == Scheme::Http;
        if to_clear && self.endpoint.origin().scheme == Scheme::Https && !self.endpoint.is_insecure() {
            return Err(Error::protocol(
                at,
                format!(
                    "leads from TLS to {to}, which is in clear (a registry behind a proxy has to be told its own URL)"
                ),
            ));
        }
        Ok(())
    }
}

/// The `Location` of an answer, resolved.
pub(crate) fn location(headers: &HeaderMap, at: &Url) -> Result<Option<Url>> {
    let Some(value) = headers.get(LOCATION) else { return Ok(None) };
    let text = value.to_str().map_err(|error| Error::protocol(at, format!("Location: {error}")))?;
    at.join(text).map(Some).map_err(|error| Error::url(format_args!("{at}: Location"), text, error))
}

/// Reads what is left of an answer that nobody needs, so that its connection can be used again.
pub(crate) async fn finish(mut answer: Response) {
    if answer.body.length().is_some_and(|length| length <= MAX_ERROR_BODY as u64) {
        answer.body.beginning(MAX_ERROR_BODY).await;
    }
}

/// The error that an answer means.
pub(crate) async fn refusal(mut answer: Response) -> Error {
    let retry_after = answer.headers.get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?));
    let body = answer.body.beginning(MAX_ERROR_BODY).await;
    let mut errors = remote_errors(&body);
    if answer.status.is_client_error() && insufficient(&answer.headers) {
        errors.retain(|error| error.code != DENIED.0);
        errors.insert(0, RemoteError { code: DENIED.0.into(), message: DENIED.1.into() });
    }
    Error::Refused(Box::new(Refusal {
        method: answer.place.verb(),
        url: clean(&answer.place.url.to_string()),
        status: answer.status.as_u16(),
        errors,
        retry_after,
    }))
}

/// `Retry-After`: seconds or a date, RFC 9110 section 10.2.3.
fn retry_after(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let wait = date.duration_since(jiff::Timestamp::now());
    Some(Duration::try_from(wait).unwrap_or_default().min(MAX_RETRY_AFTER * 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_in_both_forms() {
        assert_eq!(retry_after(" 12 "), Some(Duration::from_secs(12)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        let soon = jiff::Timestamp::now() + Duration::from_secs(60);
        let text = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&soon).unwrap();
        let wait = retry_after(&text).unwrap();
        assert!((58..=60).contains(&wait.as_secs()), "{wait:?}");
        assert_eq!(retry_after("soon"), None);
        assert_eq!(retry_after("-3"), None);
    }
}
