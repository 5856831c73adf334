//! What lies at a URL and belongs to no registry: fetched as nobody, by the same transport.

use base64::Engine as _;
use bytes::Bytes;
use hyper::Method;
use hyper::header::{
    AUTHORIZATION, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
    USER_AGENT,
};

use super::Client;
use super::config::Credentials;
use super::error::{Error, Result};
use super::exchange::{finish, location, refusal};
use super::limits::MAX_REDIRECTS;
use super::net::{Body, Payload, Request};
use super::url::{Scheme, Url};

/// What a server has said of a file, by which it tells later whether it still is the same (RFC 9110 section 8.8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// `ETag`
    pub etag: Option<String>,
    /// `Last-Modified`
    pub modified: Option<String>,
}

impl Validators {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name: HeaderName| Some(headers.get(name)?.to_str().ok()?.to_owned());
        Self { etag: text(ETAG), modified: text(LAST_MODIFIED) }
    }

    /// Nothing is known.
    pub fn is_empty(&self) -> bool {
        self.etag.is_none() && self.modified.is_none()
    }

    fn ask(&self, headers: &mut HeaderMap) {
        for (name, text) in [(IF_NONE_MATCH, &self.etag), (IF_MODIFIED_SINCE, &self.modified)] {
            // what can't be sent was not said by a server
            if let Some(value) = text.as_ref().and_then(|text| HeaderValue::try_from(text).ok()) {
                headers.insert(name, value);
            }
        }
    }
}

/// A file on its way.
pub struct Download {
    body: Body,
    validators: Validators,
}

impl Download {
    /// How many bytes it has, when the server says so.
    pub fn length(&self) -> Option<u64> {
        self.body.length()
    }

    /// What the server says of this state of the file.
    pub fn validators(&self) -> &Validators {
        &self.validators
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// The connection broke before the end, or too little came for too long.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        self.body.chunk().await
    }
}

impl Client {
    /// Begins to fetch what a URL (`http` or `https`) leads to, through the configured proxies and with the trust of
    /// the machine, but without any credentials. What begins over TLS does not go on in clear. How many bytes may
    /// come is for the caller to say.
    ///
    /// # Errors
    /// The text is no URL; [`Error::Refused`]; [`Error`].
    pub async fn fetch(&self, text: &str) -> Result<Download> {
        let fetched = self.fetch_changed(text, &Credentials::Anonymous, &Validators::default()).await?;
        fetched.ok_or_else(|| Error::protocol(text, "says \"not modified\" of what nobody knows"))
    }

    /// As [`Self::fetch`], when it is not as it was; `None` if it is. `credentials` are for the URL's own origin: no
    /// redirect to another takes them along.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    pub async fn fetch_changed(
        &self,
        text: &str,
        credentials: &Credentials,
        known: &Validators,
    ) -> Result<Option<Download>> {
        let first = Url::parse(text).map_err(|error| Error::url("the URL", text, error))?;
        let mut url = first.clone();
        let transport = &self.0.transport;
        let trust = transport.everyone().await?;
        for _ in 0..=MAX_REDIRECTS {
            let mut headers = HeaderMap::new();
            headers.insert(USER_AGENT, self.0.user_agent.clone());
            known.ask(&mut headers);
            if url.origin() == first.origin() {
                authorize(&mut headers, credentials)?;
            }
            let request = Request {
                method: Method::GET,
                url: url.clone(),
                headers,
                payload: Payload::Empty,
                before: 0,
            };
            let answer = transport.send(request, &trust.others, None).await?;
            match answer.status.as_u16() {
                200 => {
                    let validators = Validators::of(&answer.headers);
                    return Ok(Some(Download { body: answer.body, validators }));
                }
                304 if !known.is_empty() => {
                    finish(answer).await;
                    return Ok(None);
                }
                301..=303 | 307 | 308 => {
                    let next = location(&answer.headers, &url)?
                        .ok_or_else(|| Error::protocol(&url, "redirects without saying where to"))?;
                    let (from, to) = (url.origin().scheme, next.origin().scheme);
                    if from == Scheme::Https && to == Scheme::Http {
                        return Err(Error::protocol(
                            &url,
                            format!("leads from TLS to {next}, which is in clear"),
                        ));
                    }
                    finish(answer).await;
                    url = next;
                }
                _ => return Err(refusal(answer).await),
            }
        }
        Err(Error::protocol(text, format!("stopped after {MAX_REDIRECTS} redirects")))
    }
}

fn authorize(headers: &mut HeaderMap, credentials: &Credentials) -> Result<()> {
    let value = match credentials {
        Credentials::Anonymous => return Ok(()),
        Credentials::Basic { username, password } => {
            let both = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
            format!("Basic {both}")
        }
        Credentials::IdentityToken(token) | Credentials::RegistryToken(token) => format!("Bearer {token}"),
    };
    let mut value =
        HeaderValue::try_from(value).map_err(|_unfit| Error::config("credentials", "can't be sent"))?;
    value.set_sensitive(true);
    headers.insert(AUTHORIZATION, value);
    Ok(())
}
