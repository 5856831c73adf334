//! A blob on its way: written once, and read by all who want it as far as it has come.

use std::io;
use std::sync::{Arc, PoisonError};

use futures_util::StreamExt as _;
use oci::Digest;
use tokio::sync::watch;

use super::Upstream;
use crate::client;
use crate::server::Registry;
use crate::server::error::{Code, Error, Result};
use crate::server::name::Name;
use crate::server::repository::Repository;
use crate::server::repository::blobs::unknown;
use crate::server::storage::{Chunks, Key, Object, Pieces, StorageError, UploadId};

/// How far it is.
#[derive(Clone, Debug, Default)]
struct State {
    /// It is known whether there is one.
    is_open: bool,
    size: Option<u64>,
    at: u64,
    outcome: Option<Result<(), (Code, String)>>,
}

/// A blob that somebody fetches.
#[derive(Clone)]
pub(crate) struct Fetch {
    state: watch::Receiver<State>,
    upload: Key,
    blob: Key,
}

impl Upstream {
    /// Fetches a blob, or joins those who do; it is open when this answers.
    pub(crate) async fn fetch(
        &self,
        registry: &Arc<Registry>,
        name: &Name,
        digest: &Digest,
    ) -> Result<Fetch> {
        let mut fetch = self.join(registry, name, digest)?;
        let state = fetch.state.wait_for(|state| state.is_open || state.outcome.is_some()).await;
        let outcome = state.map_err(|_closed| gone())?.outcome.clone();
        match outcome {
            Some(Err((code, message))) => Err(Error::new(code, message)),
            _ => Ok(fetch),
        }
    }

    fn join(&self, registry: &Arc<Registry>, name: &Name, digest: &Digest) -> Result<Fetch> {
        let mut fetches = self.fetches.lock().unwrap_or_else(PoisonError::into_inner);
        let at = (name.clone(), digest.clone());
        if let Some(fetch) = fetches.get(&at) {
            return Ok(fetch.clone());
        }
        let id = UploadId::random().map_err(|source| StorageError::Io {
            what: "name",
            key: "an upload".into(),
            source,
        })?;
        let (tell, state) = watch::channel(State::default());
        let fetch = Fetch { state, upload: Key::upload(name, &id), blob: Key::blob(digest) };
        fetches.insert(at, fetch.clone());
        let (registry, name, digest, upload) =
            (Arc::clone(registry), name.clone(), digest.clone(), fetch.upload.clone());
        // goes on though who asked first goes away: others may have joined, and the next one finds it here
        tokio::spawn(async move {
            let _at = Registered { registry: &registry, at: (name.clone(), digest.clone()) };
            let outcome = run(&registry, &name, &digest, &upload, &tell).await;
            if outcome.is_err() {
                drop(registry.storage.upload_abort(&upload).await);
            }
            let outcome = outcome.map_err(|error| {
                if let Some(cause) = error.cause() {
                    tracing::error!("{cause}");
                }
                (error.code, error.message)
            });
            tell.send_modify(|state| state.outcome = Some(outcome));
        });
        Ok(fetch)
    }
}

/// A fetch that others can join.
struct Registered<'a> {
    registry: &'a Registry,
    at: (Name, Digest),
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        if let Some(upstream) = &self.registry.upstream {
            upstream.fetches.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.at);
        }
    }
}

async fn run(
    registry: &Arc<Registry>,
    name: &Name,
    digest: &Digest,
    upload: &Key,
    tell: &watch::Sender<State>,
) -> Result<()> {
    let Some(upstream) = &registry.upstream else { return Err(gone()) };
    let failed = |error: client::Error| upstream.failed(&error, unknown(digest));
    let (repository, storage) = (Repository::new(registry, name), &registry.storage);
    let _hold = registry.activity.hold(digest);
    let mut coming = upstream.repository(name).blob_stream(digest).await.map_err(failed)?;
    let size = coming.size();
    tell.send_modify(|state| (state.is_open, state.size) = (true, size));
    // that the other registry shows it in this repository is enough when another one has brought the bytes
    if let Some(meta) = storage.stat(&Key::blob(digest)).await?
        && size == Some(meta.size)
        && registry.is_young(&meta)
    {
        repository.link_blob(digest).await?;
        tell.send_modify(|state| state.at = meta.size);
        return Ok(());
    }
    let limit = registry.config.uploads.max_size.map_or(u64::MAX, |limit| limit.0);
    storage.upload_begin(upload).await?;
    let mut end = storage.upload_append(upload, 0).await?;
    let mut at = 0;
    while let Some(piece) = coming.next().await.map_err(failed)? {
        at += piece.len() as u64;
        if at > limit {
            return Err(Error::new(Code::Denied, format!("the blob has more than {limit} bytes")));
        }
        end.write(&[piece]).await?;
        let settled = end.settled();
        tell.send_modify(|state| state.at = settled);
    }
    end.close().await?;
    tell.send_modify(|state| state.at = at);
    // its last piece came only because the whole has the digest
    storage.upload_finish(upload, &Key::blob(digest)).await?;
    repository.link_blob(digest).await
}

fn gone() -> Error {
    Error::new(Code::Unavailable, "the blob was not fetched to its end")
}

impl Fetch {
    /// How large it is, if the other registry says so.
    pub(crate) fn size(&self) -> Option<u64> {
        self.state.borrow().size
    }

    /// Waits until it is here.
    pub(crate) async fn done(mut self) -> Result<()> {
        let state = self.state.wait_for(|state| state.outcome.is_some()).await.map_err(|_closed| gone())?;
        match &state.outcome {
            Some(Err((code, message))) => Err(Error::new(*code, message.clone())),
            _ => Ok(()),
        }
    }

    /// Its bytes from the beginning, as they come.
    pub(crate) fn chunks(self, registry: &Arc<Registry>) -> Chunks {
        Reader { registry: Arc::clone(registry), fetch: self, at: 0, broke_at: None, current: None }.chunks()
    }
}

/// Somebody who reads a blob that comes.
struct Reader {
    registry: Arc<Registry>,
    fetch: Fetch,
    at: u64,
    /// Where reading failed last.
    broke_at: Option<u64>,
    current: Option<Chunks>,
}

impl Pieces for Reader {
    async fn next(&mut self) -> Result<Option<bytes::Bytes>, StorageError> {
        loop {
            if let Some(chunks) = &mut self.current {
                match chunks.next().await {
                    Some(Ok(chunk)) => {
                        self.at += chunk.len() as u64;
                        self.broke_at = None;
                        return Ok(Some(chunk));
                    }
                    // an upload that becomes the blob may be gone under its reader: once more, from the blob
                    Some(Err(error)) if self.broke_at == Some(self.at) => return Err(error),
                    Some(Err(_)) => self.broke_at = Some(self.at),
                    None => {}
                }
                self.current = None;
            }
            let state = self.fetch.state.borrow_and_update().clone();
            if state.at > self.at
                && let Some(object) = open(&self.registry, &self.fetch).await?
            {
                self.current = Some(object.read(self.at..state.at));
                continue;
            }
            match state.outcome {
                Some(Ok(())) if self.at == state.at => return Ok(None),
                Some(_) => return Err(self.broken()),
                None if self.fetch.state.changed().await.is_err() => return Err(self.broken()),
                None => {}
            }
        }
    }
}

impl Reader {
    fn broken(&self) -> StorageError {
        StorageError::Io {
            what: "fetch",
            key: self.fetch.blob.to_string(),
            source: io::Error::other("the other registry did not give it to its end"),
        }
    }
}

/// What has come: an upload until it is whole, then the blob.
async fn open(registry: &Registry, fetch: &Fetch) -> Result<Option<Box<dyn Object>>, StorageError> {
    match registry.storage.upload_open(&fetch.upload).await? {
        Some(object) => Ok(Some(object)),
        None => registry.storage.open(&fetch.blob).await,
    }
}
