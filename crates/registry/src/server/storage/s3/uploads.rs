//! Uploads: an object that says that there is one, and one for each part as it came. So any instance goes on with it, all
//! can read it, and a part may have any size.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use tokio::task::JoinHandle;

use super::super::layout::offset_of;
use super::super::{Append, Key, Meta, Prefix, Result, StorageError};
use super::bucket::Bucket;
use crate::server::random;

/// The parts of an upload, without gaps from zero on.
#[derive(Debug)]
pub(super) struct Parts {
    /// Keys and places.
    pub(super) list: Vec<(String, Range<u64>)>,
    /// What lies behind a gap, and belongs to nothing.
    pub(super) lost: Vec<String>,
    pub(super) meta: Meta,
}

impl Bucket {
    /// What an upload consists of. None: there is none.
    pub(super) async fn parts(&self, upload: &Key) -> Result<Option<Parts>> {
        let (mut found, mut is_there, mut token) = (Vec::new(), false, None);
        let mut modified = SystemTime::UNIX_EPOCH;
        loop {
            let (page, next, _) = self.below(Prefix::parts(upload).as_str(), token).await?;
            for one in page {
                modified = modified.max(one.modified);
                let offset = one.key.rsplit('/').next().and_then(offset_of);
                match offset {
                    Some(offset) => found.push((offset, one)),
                    None => is_there |= one.key == Key::begun(upload).as_str(),
                }
            }
            token = next;
            if token.is_none() {
                break;
            }
        }
        if !is_there {
            return Ok(None);
        }
        found.sort_by_key(|(offset, _)| *offset);
        let (mut list, mut lost, mut size) = (Vec::new(), Vec::new(), 0_u64);
        for (offset, part) in found {
            if offset == size && lost.is_empty() {
                size = size.saturating_add(part.size);
                list.push((part.key, offset..size));
            } else {
                lost.push(part.key);
            }
        }
        Ok(Some(Parts { list, lost, meta: Meta { size, modified } }))
    }
}

/// How much all uploads together hold in memory.
#[derive(Debug)]
pub(super) struct Budget {
    held: AtomicUsize,
    most: usize,
}

impl Budget {
    pub(super) fn new(most: usize) -> Self {
        Self { held: AtomicUsize::new(0), most }
    }

    /// Notes that so much more is held; whether that is too much.
    fn add(&self, length: usize) -> bool {
        self.held.fetch_add(length, Ordering::Relaxed) + length > self.most
    }

    fn sub(&self, length: usize) {
        self.held.fetch_sub(length, Ordering::Relaxed);
    }
}

/// The end of an upload, and what was gathered behind it: while one part is sent, the next one is gathered.
pub(super) struct Tail {
    bucket: Arc<Bucket>,
    budget: Arc<Budget>,
    upload: Key,
    /// How much the store has.
    settled: u64,
    /// A part on its way, and its length.
    sending: Option<(u64, JoinHandle<Result<()>>)>,
    /// A part was not taken.
    is_broken: bool,
    gathered: BytesMut,
    /// Beyond, it is sent.
    part: usize,
}

impl Tail {
    pub(super) fn new(
        bucket: &Arc<Bucket>,
        budget: &Arc<Budget>,
        upload: &Key,
        settled: u64,
        part: usize,
    ) -> Self {
        Self {
            bucket: Arc::clone(bucket),
            budget: Arc::clone(budget),
            upload: upload.clone(),
            settled,
            sending: None,
            is_broken: false,
            gathered: BytesMut::new(),
            part,
        }
    }

    /// Waits for the part that is on its way.
    async fn settle(&mut self) -> Result<()> {
        let Some((length, sending)) = self.sending.take() else { return Ok(()) };
        let outcome = sending.await.unwrap_or_else(|error| {
            let (key, source) = (self.upload.to_string(), io::Error::other(error));
            Err(StorageError::Io { what: "write", key, source })
        });
        match &outcome {
            Ok(()) => self.settled += length,
            Err(_) => {
                // what lies behind a gap belongs to nothing
                self.is_broken = true;
                self.budget.sub(self.gathered.len());
                self.gathered.clear();
            }
        }
        outcome
    }

    /// Begins to send what was gathered, once the part before is there.
    async fn send(&mut self) -> Result<()> {
        self.settle().await?;
        let bytes = std::mem::take(&mut self.gathered).freeze();
        if bytes.is_empty() {
            return Ok(());
        }
        let (bucket, budget) = (Arc::clone(&self.bucket), Arc::clone(&self.budget));
        let (upload, offset, length) = (self.upload.clone(), self.settled, bytes.len());
        let sending = tokio::spawn(async move {
            let outcome = send(&bucket, &upload, offset, bytes).await;
            budget.sub(length);
            outcome
        });
        self.sending = Some((length as u64, sending));
        Ok(())
    }
}

async fn send(bucket: &Bucket, upload: &Key, offset: u64, bytes: Bytes) -> Result<()> {
    let failed = |source| StorageError::Io { what: "write", key: upload.to_string(), source };
    let writer = hex::encode(random::bytes::<16>().map_err(failed)?);
    if bucket.create(Key::part(upload, offset).as_str(), bytes, &writer).await? {
        return Ok(());
    }
    // somebody else went on with it meanwhile
    let size = bucket.parts(upload).await?.ok_or(StorageError::NoUpload)?.meta.size;
    Err(StorageError::Offset { size, offset })
}

#[async_trait::async_trait]
impl Append for Tail {
    async fn write(&mut self, pieces: &[Bytes]) -> Result<()> {
        if self.is_broken {
            let (key, reason) = (self.upload.to_string(), "a part before was not taken".into());
            return Err(StorageError::Unavailable { what: "write", key, reason });
        }
        for piece in pieces {
            let is_tight = self.budget.add(piece.len());
            self.gathered.extend_from_slice(piece);
            if is_tight || self.gathered.len() >= self.part {
                self.send().await?;
            }
        }
        Ok(())
    }

    fn settled(&self) -> u64 {
        self.settled
    }

    async fn close(mut self: Box<Self>) -> Result<u64> {
        self.send().await?;
        self.settle().await?;
        Ok(self.settled)
    }
}

impl Drop for Tail {
    /// The client went away, or the request was given up: what it was promised is sent all the same.
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.gathered).freeze();
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len();
        let (bucket, budget) = (Arc::clone(&self.bucket), Arc::clone(&self.budget));
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return budget.sub(length) };
        let (upload, settled, before) = (self.upload.clone(), self.settled, self.sending.take());
        runtime.spawn(async move {
            let offset = match before {
                None => Some(settled),
                // behind a gap it would belong to nothing
                Some((length, sending)) => matches!(sending.await, Ok(Ok(()))).then_some(settled + length),
            };
            if let Some(offset) = offset
                && let Err(error) = send(&bucket, &upload, offset, bytes).await
            {
                tracing::debug!("the end of {upload} is lost, and can be sent again: {error}");
            }
            budget.sub(length);
        });
    }
}
