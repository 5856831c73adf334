//! Blobs: asked for, fetched whole or in parts, deleted.

mod download;
pub(crate) mod ranges;
mod stream;

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyper::Method;
use hyper::header::CONTENT_LENGTH;
use oci::{Descriptor, Digest};

pub use stream::BlobStream;

use super::auth::Scopes;
use super::digest;
use super::endpoint::Capability;
use super::error::{Error, Result};
use super::exchange::{Call, Peer, finish};
use super::limits::MAX_FOREIGN_URLS;
use super::repository::Repository;
use super::url::Url;

/// Where the bytes of one blob go. Several connections write at once, each its own part; what was written before
/// (by an earlier attempt, or an earlier life of the daemon) need not come again.
pub trait BlobSink: Send + Sync + 'static {
    /// The parts that are not there yet: `[0..size]` in the beginning. Asked before each attempt at a registry, never
    /// while something is written.
    fn missing(&self) -> Vec<Range<u64>>;

    /// Keeps `bytes`, whose first is at `offset` of the blob. Nothing outside of what was missing is written, and
    /// nothing twice in one attempt. While the future is pending, the connection that the bytes came from waits.
    ///
    /// An error ends the download; it comes back as [`Error::Sink`].
    fn write_at(&self, offset: u64, bytes: Bytes) -> BoxFuture<'_, io::Result<()>>;
}

/// A layer that its registry need not have.
fn is_foreign(blob: &Descriptor) -> bool {
    !blob.urls.is_empty()
        && (blob.media_type.contains(".foreign.") || blob.media_type.contains(".nondistributable."))
}

impl Repository {
    /// Fetches what is missing of a blob. Large ones come over several connections; what breaks is resumed where it
    /// broke; foreign layers come from their URLs when the registry does not have them.
    ///
    /// When this returns, nothing is missing. The bytes have the right places and the right number; their digest is
    /// for the sink to check: when it is wrong, drop all and ask once more.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is no such blob; [`Error::Sink`]; [`Error`].
    pub async fn blob(&self, blob: &Descriptor, sink: &Arc<dyn BlobSink>) -> Result<()> {
        let mut tries = self.tries(Capability::Pull).await?;
        loop {
            let peer = tries.peer();
            let call = Call::new(Method::GET, self.blob_url(peer, &blob.digest), self.pulling());
            let result = download::download(peer, call, self.blob_name(&blob.digest), blob, sink).await;
            let Some(result) = tries.judge(result) else { continue };
            return match result {
                Err(error) if error.is_not_found() && is_foreign(blob) => {
                    self.foreign_blob(tries.peer(), error, blob, sink).await
                }
                result => result,
            };
        }
    }

    /// Fetches a small blob (an image's configuration) into memory. It has its digest and its size.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when the descriptor says more than `limit` bytes; [`Error::Digest`]; [`Error::Size`];
    /// [`Error::is_not_found`]; [`Error`].
    pub async fn small_blob(&self, blob: &Descriptor, limit: u64) -> Result<Bytes> {
        if blob.size > limit {
            return Err(Error::TooLarge { what: format!("blob {}", blob.digest), limit });
        }
        let mut tries = self.tries(Capability::Pull).await?;
        loop {
            let result = self.small_blob_at(tries.peer(), blob).await;
            if let Some(result) = tries.judge(result) {
                return result;
            }
        }
    }

    /// The size of a blob, if the registry has it.
    ///
    /// # Errors
    /// [`Error`]; that it is not there is none.
    pub async fn exists(&self, digest: &Digest) -> Result<Option<u64>> {
        let mut tries = self.tries(Capability::Push).await?;
        loop {
            let call = Call::new(Method::HEAD, self.blob_url(tries.peer(), digest), self.pushing());
            let result = match tries.peer().call(&call, &[200, 404]).await {
                Ok(answer) if answer.status == 404 => Ok(None),
                Ok(answer) => {
                    let size = answer
                        .headers
                        .get(CONTENT_LENGTH)
                        .and_then(|value| value.to_str().ok()?.parse().ok());
                    size.map(Some).ok_or_else(|| {
                        Error::protocol(&answer.place.url, "does not say how large the blob is")
                    })
                }
                Err(error) => Err(error),
            };
            if let Some(result) = tries.judge(result) {
                return result;
            }
        }
    }

    /// Deletes a blob.
    ///
    /// # Errors
    /// [`Error::is_not_found`]; status 405 when the registry deletes nothing; [`Error`].
    pub async fn delete_blob(&self, digest: &Digest) -> Result<()> {
        let mut tries = self.tries(Capability::Push).await?;
        loop {
            let call = Call::new(Method::DELETE, self.blob_url(tries.peer(), digest), self.deleting());
            let result = match tries.peer().call(&call, &[200, 202, 204]).await {
                Ok(answer) => {
                    finish(answer).await;
                    Ok(())
                }
                Err(error) => Err(error),
            };
            if let Some(result) = tries.judge(result) {
                return result;
            }
        }
    }

    /// Asks the places that a foreign layer's descriptor names, as nobody: the manifest is a stranger's word.
    async fn foreign_blob(
        &self,
        peer: &Peer,
        error: Error,
        blob: &Descriptor,
        sink: &Arc<dyn BlobSink>,
    ) -> Result<()> {
        let mut last = error;
        for text in blob.urls.iter().take(MAX_FOREIGN_URLS) {
            let url =
                Url::parse(text).map_err(|error| Error::url(self.blob_name(&blob.digest), text, error))?;
            peer.check_clear(&peer.endpoint.base, &url)?;
            let call = Call { outside: true, ..Call::new(Method::GET, url, Scopes::default()) };
            match download::download(peer, call, self.blob_name(&blob.digest), blob, sink).await {
                Ok(()) => return Ok(()),
                Err(error @ Error::Sink(_)) => return Err(error),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn blob_name(&self, digest: &Digest) -> String {
        format!("{}/{}: blob {digest}", self.registry.domain, self.path)
    }

    pub(crate) fn blob_url(&self, peer: &Peer, digest: &Digest) -> Url {
        peer.endpoint.url(&format!("/{}/blobs/{digest}", self.path))
    }

    async fn small_blob_at(&self, peer: &Peer, blob: &Descriptor) -> Result<Bytes> {
        let what = self.blob_name(&blob.digest);
        let call = Call::new(Method::GET, self.blob_url(peer, &blob.digest), self.pulling());
        let size = |found| Error::Size { what: what.clone(), expected: blob.size, found };
        let bytes = match peer.fetch(&call, blob.size, &what).await {
            Ok(answer) => answer.bytes,
            Err(Error::TooLarge { .. }) => return Err(size(blob.size + 1)),
            Err(error) => return Err(error),
        };
        if bytes.len() as u64 != blob.size {
            return Err(size(bytes.len() as u64));
        }
        digest::compare(&what, &blob.digest, &digest::text(blob.digest.algorithm(), &bytes))?;
        Ok(bytes)
    }
}
