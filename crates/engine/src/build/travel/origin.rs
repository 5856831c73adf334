//! Where blobs come from: a registry's repository, or a store of the client's.

use std::io::Read;
use std::sync::Arc;

use ::build::{Cancel, Error, Result};
use bytes::Bytes;
use oci::manifest::MAX_DOCUMENT;
use oci::{Descriptor, Digest, Document};
use registry::client::{BlobStream, Repository, Target};
use store::{Hold, Store};

use super::super::lent::Lent;
use ::build::cache::exchange::IncomingLayer;

/// A place that has blobs.
pub(in crate::build) enum Origin {
    /// A repository.
    Registry(Repository, tokio::runtime::Handle),
    /// A store of the client's, by its name there.
    Client(Arc<dyn Lent>, String),
}

impl Origin {
    /// A manifest or an index.
    ///
    /// # Errors
    /// It is not there, or is none.
    pub(super) fn manifest(&self, target: &Target, what: &str) -> Result<Document> {
        match (self, target) {
            (Self::Registry(repository, runtime), target) => {
                let found = runtime.block_on(repository.manifest(target));
                found.map(|found| found.document).map_err(|error| Error::because(what, error))
            }
            (Self::Client(..), Target::Digest(digest)) => {
                let bytes = self.bytes(digest, MAX_DOCUMENT, what)?;
                Document::parse(&bytes).map_err(|error| Error::because(what, error))
            }
            (Self::Client(..), Target::Tag(_)) => {
                Err(Error::Invalid(format!("{what}: blobs of a client's have no tags")))
            }
        }
    }

    /// A small blob, whole.
    ///
    /// # Errors
    /// It is not there, is larger than `limit`, or has another digest.
    pub(super) fn small(&self, blob: &Descriptor, limit: u64, what: &str) -> Result<Bytes> {
        match self {
            Self::Registry(repository, runtime) => {
                let bytes = runtime.block_on(repository.small_blob(blob, limit));
                bytes.map_err(|error| Error::because(what, error))
            }
            Self::Client(..) => self.bytes(&blob.digest, limit, what).map(Bytes::from),
        }
    }

    fn bytes(&self, digest: &Digest, limit: u64, what: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = self.stream(digest, &Cancel::default(), what)?.take(limit + 1).read_to_end(&mut bytes);
        read.map_err(|error| Error::because(what, error))?;
        if bytes.len() as u64 > limit {
            return Err(Error::Invalid(format!("{what}: blob {digest} has more than {limit} bytes")));
        }
        let found = Digest::sha256(&bytes);
        if found != *digest {
            return Err(Error::Invalid(format!("{what}: blob {digest} has the digest {found}")));
        }
        Ok(bytes)
    }

    /// A blob as bytes that are waited for; whoever takes them looks at their digest.
    ///
    /// # Errors
    /// It is not there.
    fn stream(&self, digest: &Digest, cancel: &Cancel, what: &str) -> Result<Box<dyn Read + Send>> {
        match self {
            Self::Registry(repository, runtime) => {
                let stream = runtime
                    .block_on(repository.blob_stream(digest))
                    .map_err(|error| Error::because(what, error))?;
                let (rest, runtime, cancel) = (Bytes::new(), runtime.clone(), cancel.clone());
                Ok(Box::new(BlobRead { stream, rest, runtime, cancel }))
            }
            Self::Client(lent, store) => {
                let found = lent
                    .content(store, digest)
                    .map_err(|error| Error::Invalid(format!("{what}: {error}")))?;
                found.ok_or_else(|| Error::Invalid(format!("{what}: blob {digest} is not there")))
            }
        }
    }

    /// Sees to it that these layers are here, on each other. None of them waits for a disk.
    ///
    /// # Errors
    /// They can't be had, or are not what they are said to be.
    pub(super) fn stack(
        &self,
        store: &Store,
        layers: &[IncomingLayer],
        cancel: &Cancel,
        what: &str,
    ) -> Result<Hold> {
        let failed = |error| Error::because(what, error);
        let ids: Vec<Digest> = layers.iter().map(|(_, id)| id.clone()).collect();
        let here = ids.iter().take_while(|id| store.has_layer(id)).count();
        let mut held = store.restack(&ids[..here]).map_err(failed)?;
        for (place, (blob, id)) in layers.iter().enumerate().skip(here) {
            cancel.check()?;
            held = match store.has_layer(id) {
                true => store.restack(&ids[..=place]).map_err(failed)?,
                false => {
                    let mut read = self.stream(&blob.digest, cancel, what)?;
                    store.add_layer(&ids[..place], id, &blob.digest, &mut read).map_err(failed)?
                }
            };
        }
        Ok(held)
    }
}

/// A registry's blob as bytes that are waited for.
struct BlobRead {
    stream: BlobStream,
    rest: Bytes,
    runtime: tokio::runtime::Handle,
    cancel: Cancel,
}

impl Read for BlobRead {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.rest.is_empty() {
            self.cancel.check().map_err(std::io::Error::other)?;
            match self.runtime.block_on(self.stream.next()).map_err(std::io::Error::other)? {
                Some(bytes) => self.rest = bytes,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.rest.len());
        buffer[..count].copy_from_slice(&self.rest.split_to(count));
        Ok(count)
    }
}
