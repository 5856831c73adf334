//! Uploads: how long they are, what hash they have so far, and how they become blobs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use oci::{Algorithm, Digest};
use sha2::{Digest as _, Sha256, Sha512};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::time::timeout;

use super::Repository;
use crate::server::error::{Code, Error, Result};
use crate::server::limits;
use crate::server::storage::{Chunks, Key, Meta, StorageError, UploadId};

/// A hash in the making.
#[derive(Clone, Debug)]
pub(crate) enum Hasher {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
            _ => Self::Sha256(Sha256::new()),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// The hexadecimal digits.
    fn finish(self) -> String {
        match self {
            Self::Sha256(hasher) => hex::encode(hasher.finalize()),
            Self::Sha512(hasher) => hex::encode(hasher.finalize()),
        }
    }
}

/// What is known of an upload beside the storage. Whoever has the session's lock is the only one who appends here.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// How many bytes the hash is of.
    pub(crate) hashed: u64,
    /// None: to be computed from the storage (after a restart, or when another instance took a part).
    pub(crate) hasher: Option<Hasher>,
}

/// The sessions of this instance.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<HashMap<UploadId, Arc<AsyncMutex<Session>>>>);

impl Sessions {
    /// Waits for the session to be ours.
    async fn lock(&self, id: &UploadId) -> Result<OwnedMutexGuard<Session>> {
        let session = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() >= limits::HASHED_UPLOADS {
                // a hash that is forgotten is computed anew; what is in use now stays
                all.retain(|_, session| Arc::strong_count(session) > 1);
            }
            Arc::clone(all.entry(id.clone()).or_default())
        };
        timeout(limits::UPLOAD_BUSY, session.lock_owned()).await.map_err(|_elapsed| {
            Error::new(Code::BlobUploadInvalid, "another request is writing to this upload")
        })
    }

    fn forget(&self, id: &UploadId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

/// An upload that is ours until this is dropped.
pub(crate) struct Upload {
    pub(crate) id: UploadId,
    pub(crate) key: Key,
    pub(crate) size: u64,
    pub(crate) session: OwnedMutexGuard<Session>,
}

impl Repository<'_> {
    /// Begins an upload; its hash will be of this algorithm.
    pub(crate) async fn begin_upload(&self, algorithm: Algorithm) -> Result<Upload> {
        let id = UploadId::random().map_err(|source| StorageError::Io {
            what: "name",
            key: "an upload".into(),
            source,
        })?;
        let key = Key::upload(self.name, &id);
        self.storage().upload_begin(&key).await?;
        let mut session = self.registry.uploads.lock(&id).await?;
        session.hasher = Some(Hasher::new(algorithm));
        Ok(Upload { id, key, size: 0, session })
    }

    /// How many bytes an upload has.
    ///
    /// # Errors
    /// `BLOB_UPLOAD_UNKNOWN`
    pub(crate) async fn upload_size(&self, id: &UploadId) -> Result<u64> {
        let found = self.storage().upload_stat(&Key::upload(self.name, id)).await?;
        Ok(found.ok_or(StorageError::NoUpload)?.size)
    }

    /// Takes an upload, to append to it or to finish it.
    ///
    /// # Errors
    /// `BLOB_UPLOAD_UNKNOWN`
    pub(crate) async fn take_upload(&self, id: &UploadId) -> Result<Upload> {
        // before the lock: an id that does not exist makes no session
        self.upload_size(id).await?;
        let mut session = self.registry.uploads.lock(id).await?;
        let size = match self.upload_size(id).await {
            Ok(size) => size,
            Err(error) => {
                drop(session);
                self.registry.uploads.forget(id);
                return Err(error);
            }
        };
        if session.hashed != size {
            session.hasher = None;
        } else if size == 0 && session.hasher.is_none() {
            session.hasher = Some(Hasher::new(Algorithm::Sha256));
        }
        Ok(Upload { id: id.clone(), key: Key::upload(self.name, id), size, session })
    }

    /// Gives an upload up.
    pub(crate) async fn abort_upload(&self, upload: Upload) -> Result<()> {
        self.storage().upload_abort(&upload.key).await?;
        self.registry.uploads.forget(&upload.id);
        Ok(())
    }

    /// Makes an upload a blob of this repository. With another digest than the one that was promised it is gone.
    ///
    /// # Errors
    /// `DIGEST_INVALID`
    pub(crate) async fn finish_upload(&self, mut upload: Upload, digest: &Digest) -> Result<()> {
        let hasher = match upload.session.hasher.take() {
            Some(hasher) if hasher.algorithm() == digest.algorithm() => hasher,
            _ => self.hash_again(&upload, digest.algorithm()).await?,
        };
        let found = hasher.finish();
        if found != digest.hex() {
            let algorithm = digest.algorithm().as_str();
            let detail = serde_json::json!({ "digest": digest, "found": format!("{algorithm}:{found}") });
            self.abort_upload(upload).await?;
            let message = "provided digest did not match uploaded content";
            return Err(Error::new(Code::DigestInvalid, message).detail(detail));
        }
        let _hold = self.registry.activity.hold(digest);
        let blob = Key::blob(digest);
        // a blob of another length is a damaged one, and mended by this; an old one may be about to be collected
        let is_there = |meta: Meta| meta.size == upload.size && self.registry.is_young(&meta);
        if self.storage().stat(&blob).await?.is_some_and(is_there) {
            self.storage().upload_abort(&upload.key).await?;
        } else {
            self.storage().upload_finish(&upload.key, &blob).await?;
        }
        self.link_blob(digest).await?;
        self.registry.uploads.forget(&upload.id);
        Ok(())
    }

    /// Reads the upload again.
    async fn hash_again(&self, upload: &Upload, algorithm: Algorithm) -> Result<Hasher> {
        let object = self.storage().upload_open(&upload.key).await?.ok_or(StorageError::NoUpload)?;
        hash(object.read(0..upload.size), Hasher::new(algorithm)).await
    }
}

/// Hashes what comes, on threads that may be busy.
async fn hash(mut chunks: Chunks, mut hasher: Hasher) -> Result<Hasher> {
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        let hashing = tokio::task::spawn_blocking(move || {
            hasher.update(&chunk);
            hasher
        });
        hasher = hashing.await.map_err(|error| StorageError::Io {
            what: "hash",
            key: "an upload".into(),
            source: std::io::Error::other(error),
        })?;
    }
    Ok(hasher)
}

/// The digest of bytes in memory.
pub(crate) fn digest_of(algorithm: Algorithm, bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(bytes);
    format!("{}:{}", algorithm.as_str(), hasher.finish()).parse().unwrap_or_else(|_| Digest::sha256(bytes))
}
