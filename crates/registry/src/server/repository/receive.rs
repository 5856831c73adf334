//! Bytes of an upload on their way in: while one batch is written and hashed, the next is gathered.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::uploads::{Hasher, Upload};
use crate::server::error::{Code, Error, Result};
use crate::server::limits;
use crate::server::storage::{Append, Storage, StorageError};

/// What a body may be.
pub(crate) struct Terms {
    /// The most bytes that the whole upload may have then.
    pub(crate) limit: Option<u64>,
    /// How long the client may be silent.
    pub(crate) patience: Duration,
}

/// Appends a body to an upload. What came before an error stays, and can be gone on from.
///
/// # Errors
/// `SIZE_INVALID` when the upload grows too large, or the body does not come to its end.
pub(crate) async fn receive(
    storage: &dyn Storage,
    upload: &mut Upload,
    body: &mut Incoming,
    terms: &Terms,
) -> Result<()> {
    let end = storage.upload_append(&upload.key, upload.size).await?;
    let mut work =
        Work::Ready(Box::new(State { end, hasher: upload.session.hasher.take(), size: upload.size }));
    let mut batch = Batch::default();
    let outcome = loop {
        let frame = match timeout(terms.patience, body.frame()).await {
            Ok(None) => break Ok(()),
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => break Err(broken(&format!("the body broke off: {error}"))),
            Err(_elapsed) => break Err(broken("the body does not go on")),
        };
        let Ok(data) = frame.into_data() else { continue };
        batch.add(data);
        if terms.limit.is_some_and(|limit| work.size() + batch.pending + batch.length > limit) {
            let limit = terms.limit.unwrap_or_default();
            break Err(Error::new(Code::TooLarge, format!("a blob may have {limit} bytes at most")));
        }
        if batch.length >= limits::BATCH as u64 {
            work = work.go_on(&mut batch).await?;
        }
    };
    let work = work.go_on(&mut batch).await?;
    let state = work.ready().await?;
    upload.size = state.end.close().await?;
    upload.session.hashed = upload.size;
    upload.session.hasher = state.hasher;
    outcome
}

fn broken(message: &str) -> Error {
    Error::new(Code::SizeInvalid, message)
}

/// Pieces as they came.
#[derive(Default)]
struct Batch {
    pieces: Vec<Bytes>,
    length: u64,
    /// Bytes of the batch that is being written.
    pending: u64,
}

impl Batch {
    fn add(&mut self, piece: Bytes) {
        self.length += piece.len() as u64;
        self.pieces.push(piece);
    }
}

/// The upload's end, and its hash so far.
struct State {
    end: Box<dyn Append>,
    hasher: Option<Hasher>,
    size: u64,
}

enum Work {
    Ready(Box<State>),
    /// The size before, and what is being done.
    Busy(u64, JoinHandle<Result<Box<State>, StorageError>>),
}

impl Work {
    /// Bytes that are written.
    fn size(&self) -> u64 {
        match self {
            Self::Ready(state) => state.size,
            Self::Busy(size, _) => *size,
        }
    }

    async fn ready(self) -> Result<Box<State>> {
        match self {
            Self::Ready(state) => Ok(state),
            Self::Busy(_, handle) => Ok(handle.await.map_err(lost)??),
        }
    }

    /// Begins with a batch once the one before is done.
    async fn go_on(self, batch: &mut Batch) -> Result<Self> {
        let state = self.ready().await?;
        let (pieces, length) = (std::mem::take(&mut batch.pieces), std::mem::take(&mut batch.length));
        batch.pending = length;
        if pieces.is_empty() {
            return Ok(Self::Ready(state));
        }
        Ok(Self::Busy(state.size, tokio::spawn(take(state, pieces, length))))
    }
}

/// Writes and hashes, both at once.
async fn take(mut state: Box<State>, pieces: Vec<Bytes>, length: u64) -> Result<Box<State>, StorageError> {
    let hashing = state.hasher.take().map(|mut hasher| {
        let pieces = pieces.clone();
        tokio::task::spawn_blocking(move || {
            pieces.iter().for_each(|piece| hasher.update(piece));
            hasher
        })
    });
    state.end.write(&pieces).await?;
    state.size += length;
    if let Some(hashing) = hashing {
        state.hasher = Some(hashing.await.map_err(lost)?);
    }
    Ok(state)
}

fn lost(error: tokio::task::JoinError) -> StorageError {
    StorageError::Io { what: "append to", key: "an upload".into(), source: io::Error::other(error) }
}
