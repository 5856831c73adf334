//! A blob as a stream: in order, resumed where it breaks, with the right digest or with an error at its end.

use bytes::{Buf as _, Bytes};
use hyper::Method;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_RANGE, HeaderMap, HeaderValue, RANGE};
use oci::Digest;

use super::download::PROGRESS;
use super::ranges::content_range;
use crate::client::digest::{self, Hasher};
use crate::client::endpoint::Capability;
use crate::client::error::{Error, Result};
use crate::client::exchange::{Call, Peer};
use crate::client::net::Body;
use crate::client::repository::Repository;
use crate::client::retry::Attempts;

/// A blob on its way. Its last piece only comes when the whole is known to have the digest.
pub struct BlobStream {
    peer: Peer,
    call: Call,
    what: String,
    digest: Digest,
    /// `None` when it has ended.
    body: Option<Body>,
    size: Option<u64>,
    at: u64,
    /// Where it broke the last time.
    failed_at: u64,
    hasher: Hasher,
    held: Option<Bytes>,
    attempts: Attempts,
}

impl Repository {
    /// Opens a blob whose size need not be known.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is no such blob; [`Error`].
    pub async fn blob_stream(&self, digest: &Digest) -> Result<BlobStream> {
        let mut tries = self.tries(Capability::Pull).await?;
        loop {
            let result = self.open_at(tries.peer(), digest).await;
            if let Some(result) = tries.judge(result) {
                return result;
            }
        }
    }

    async fn open_at(&self, peer: &Peer, digest: &Digest) -> Result<BlobStream> {
        let mut call = Call::new(Method::GET, self.blob_url(peer, digest), self.pulling());
        call.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let answer = peer.call(&call, &[200]).await?;
        let what = self.blob_name(digest);
        check_encoding(&answer.headers, &what)?;
        Ok(BlobStream {
            size: answer.body.length(),
            body: Some(answer.body),
            peer: peer.clone(),
            call,
            what,
            digest: digest.clone(),
            at: 0,
            failed_at: 0,
            hasher: Hasher::new(digest.algorithm()),
            held: None,
            attempts: Attempts::new(peer.retry()),
        })
    }
}

impl BlobStream {
    /// How long the whole is, when the registry says so.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// The next piece; `None` at the end of a blob that has its digest.
    ///
    /// # Errors
    /// [`Error::Digest`] or [`Error::Size`] in place of the last piece; [`Error`].
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        while let Some(body) = &mut self.body {
            match body.chunk().await {
                Ok(Some(bytes)) => {
                    self.at += bytes.len() as u64;
                    if let Some(size) = self.size.filter(|size| self.at > *size) {
                        self.body = None;
                        return Err(Error::Size { what: self.what.clone(), expected: size, found: self.at });
                    }
                    self.hasher.update(&bytes);
                    if let Some(before) = self.held.replace(bytes) {
                        return Ok(Some(before));
                    }
                }
                Ok(None) => {
                    self.body = None;
                    let found = self.hasher.clone().hex();
                    let found = format!("{}:{found}", self.digest.algorithm().as_str());
                    digest::compare(&self.what, &self.digest, &found)?;
                }
                Err(error) => self.resume(error).await?,
            }
        }
        Ok(self.held.take())
    }

    /// Goes on at another connection.
    async fn resume(&mut self, error: Error) -> Result<()> {
        self.body = None;
        if self.at - self.failed_at >= PROGRESS {
            self.attempts.progress();
        }
        self.failed_at = self.at;
        let mut error = error;
        loop {
            self.attempts.again(error).await?;
            match self.open_again().await {
                Ok(body) => {
                    self.body = Some(body);
                    return Ok(());
                }
                Err(next) => error = next,
            }
        }
    }

    async fn open_again(&mut self) -> Result<Body> {
        let mut call = Call::new(Method::GET, self.call.url.clone(), self.call.scopes.clone());
        call.headers.clone_from(&self.call.headers);
        let range = HeaderValue::try_from(format!("bytes={}-", self.at))
            .map_err(|error| Error::protocol(&self.what, error.to_string()))?;
        call.headers.insert(RANGE, range);
        let answer = self.peer.once(&call, &[200, 206]).await?;
        check_encoding(&answer.headers, &self.what)?;
        let mut body = answer.body;
        let again = body.length().filter(|_| answer.status == 200);
        if let (Some(expected), Some(found)) = (self.size, again)
            && expected != found
        {
            return Err(Error::Size { what: self.what.clone(), expected, found });
        }
        if answer.status == 206 {
            let said =
                answer.headers.get(CONTENT_RANGE).and_then(|value| content_range(value.to_str().ok()?));
            let fits = said.is_some_and(|(range, size)| {
                range.start == self.at
                    && self.size.is_none_or(|whole| range.end == whole && size != Some(whole + 1))
            });
            if !fits {
                return Err(Error::protocol(&self.what, "answers a request for a part with another one"));
            }
            return Ok(body);
        }
        // the whole once more: what was passed on already is left out
        let mut left = self.at;
        while left > 0 {
            let Some(mut bytes) = body.chunk().await? else {
                return Err(Error::Size {
                    what: self.what.clone(),
                    expected: self.at,
                    found: self.at - left,
                });
            };
            let count = left.min(bytes.len() as u64);
            left -= count;
            bytes.advance(count as usize);
            if !bytes.is_empty() {
                body.put_back(bytes);
            }
        }
        Ok(body)
    }
}

fn check_encoding(headers: &HeaderMap, what: &str) -> Result<()> {
    match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity" | b"") => Ok(()),
        Some(other) => Err(Error::protocol(
            what,
            format!("the registry sends it encoded as {:?}", String::from_utf8_lossy(other)),
        )),
    }
}
