//! What lies at a URL and belongs to no registry: fetched as nobody, by the same transport.

use bytes::Bytes;
use hyper::Method;
use hyper::header::{HeaderMap, USER_AGENT};

use super::Client;
use super::error::{Error, Result};
use super::exchange::{finish, location, refusal};
use super::limits::MAX_REDIRECTS;
use super::net::{Body, Payload, Request};
use super::url::{Scheme, Url};

/// A file on its way.
pub struct Download {
    body: Body,
}

impl Download {
    /// How many bytes it has, when the server says so.
    pub fn length(&self) -> Option<u64> {
        self.body.length()
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
        let mut url = Url::parse(text).map_err(|error| Error::url("the URL", text, error))?;
        let transport = &self.0.transport;
        let trust = transport.everyone().await?;
        for _ in 0..=MAX_REDIRECTS {
            let mut headers = HeaderMap::new();
            headers.insert(USER_AGENT, self.0.user_agent.clone());
            let request = Request {
                method: Method::GET,
                url: url.clone(),
                headers,
                payload: Payload::Empty,
                before: 0,
            };
            let answer = transport.send(request, &trust.others, None).await?;
            match answer.status.as_u16() {
                200 => return Ok(Download { body: answer.body }),
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
