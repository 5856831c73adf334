//! Where the bytes of what is pushed come from.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use oci::Descriptor;
use registry::client::{BlobSink, BlobSource, Chunks, Repository};
use store::{Form, LayerBlob, PushPlan};
use tokio::sync::{mpsc, watch};

use crate::image::pull::Count;

/// Pieces that wait for the registry.
const AHEAD: usize = 4;

type Pieces = mpsc::Sender<io::Result<Bytes>>;

fn chunks(receiver: mpsc::Receiver<io::Result<Bytes>>) -> Chunks {
    futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    })
    .boxed()
}

/// Bytes that are in memory.
pub(super) struct Whole(pub(super) Bytes);

impl BlobSource for Whole {
    fn open(&self, offset: u64) -> BoxFuture<'_, io::Result<Chunks>> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(self.0.len());
        let rest = self.0.slice(from..);
        Box::pin(async move { Ok(futures_util::stream::iter([Ok(rest)]).boxed()) })
    }
}

/// A layer of the store, compressed while it is sent.
pub(super) struct Compressed {
    plan: Arc<PushPlan>,
    position: usize,
    /// The form that a manifest wants; without it the blob that is kept, or ours.
    form: Option<Form>,
    counts: watch::Sender<Count>,
    result: Arc<Mutex<Option<LayerBlob>>>,
}

impl Compressed {
    pub(super) fn new(
        plan: Arc<PushPlan>,
        position: usize,
        form: Option<Form>,
        counts: watch::Sender<Count>,
    ) -> Self {
        Self { plan, position, form, counts, result: Arc::default() }
    }

    /// What has come out, once all has.
    pub(super) fn result(&self) -> Option<LayerBlob> {
        self.result.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl BlobSource for Compressed {
    fn open(&self, offset: u64) -> BoxFuture<'_, io::Result<Chunks>> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let (plan, position, form) = (Arc::clone(&self.plan), self.position, self.form);
        let (counts, result) = (self.counts.clone(), Arc::clone(&self.result));
        tokio::task::spawn_blocking(move || {
            match compress(&plan, (position, form), offset, &counts, &sender) {
                Ok(Some(blob)) => *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(blob),
                // nobody wants the rest
                Ok(None) => {}
                Err(error) => {
                    let _ = sender.blocking_send(Err(io::Error::other(error)));
                }
            }
        });
        Box::pin(async move { Ok(chunks(receiver)) })
    }
}

/// Compresses a layer and sends what lies behind `offset`.
fn compress(
    plan: &PushPlan,
    (position, form): (usize, Option<Form>),
    offset: u64,
    counts: &watch::Sender<Count>,
    sender: &Pieces,
) -> store::Result<Option<LayerBlob>> {
    let total = plan.layers.get(position).map_or(0, |layer| layer.tar_size);
    let mut compressing = match form {
        Some(form) => plan.encode(position, form)?,
        None => plan.compress(position)?,
    };
    let mut at = 0;
    // The last piece is held back until the store has noted the whole: the end of the stream is the end of the work.
    let mut held: Option<Bytes> = None;
    while let Some(chunk) = compressing.next_chunk()? {
        let chunk = Bytes::from(chunk);
        let skip = offset.saturating_sub(at).min(chunk.len() as u64);
        at += chunk.len() as u64;
        let rest = chunk.slice(usize::try_from(skip).unwrap_or(0)..);
        if let Some(ready) = held.replace(rest).filter(|ready| !ready.is_empty())
            && sender.blocking_send(Ok(ready)).is_err()
        {
            return Ok(None);
        }
        counts.send_replace((compressing.tar_bytes(), total));
    }
    let blob = compressing.finish()?;
    let sent = held.map_or(Ok(()), |last| sender.blocking_send(Ok(last)));
    Ok(sent.is_ok().then_some(blob))
}

/// A blob of another registry, passed on as it comes.
pub(super) struct Relayed {
    pub(super) repository: Repository,
    pub(super) blob: LayerBlob,
    pub(super) counts: watch::Sender<Count>,
}

impl BlobSource for Relayed {
    fn open(&self, offset: u64) -> BoxFuture<'_, io::Result<Chunks>> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let repository = self.repository.clone();
        let blob = Descriptor::new(&self.blob.media_type, self.blob.digest.clone(), self.blob.size);
        let sink = Arc::new(InOrder {
            next: watch::Sender::new(offset),
            size: blob.size,
            pieces: sender.clone(),
            counts: self.counts.clone(),
        });
        tokio::spawn(async move {
            let sink: Arc<dyn BlobSink> = sink;
            let fetched = tokio::select! {
                fetched = repository.blob(&blob, &sink) => fetched,
                () = sender.closed() => return,
            };
            if let Err(error) = fetched {
                let _ = sender.send(Err(io::Error::other(error))).await;
            }
        });
        Box::pin(async move { Ok(chunks(receiver)) })
    }
}

/// Lets the pieces of several connections through in their order; those that are early wait, and their connections
/// with them.
struct InOrder {
    next: watch::Sender<u64>,
    size: u64,
    pieces: Pieces,
    counts: watch::Sender<Count>,
}

impl BlobSink for InOrder {
    fn missing(&self) -> Vec<Range<u64>> {
        let next = *self.next.borrow();
        std::iter::once(next..self.size).filter(|rest| !rest.is_empty()).collect()
    }

    fn write_at(&self, offset: u64, bytes: Bytes) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async move {
            let gone = || io::Error::other("the upload has ended");
            self.next.subscribe().wait_for(|next| *next >= offset).await.map_err(|_closed| gone())?;
            let end = offset + bytes.len() as u64;
            self.pieces.send(Ok(bytes)).await.map_err(|_closed| gone())?;
            self.next.send_replace(end);
            self.counts.send_replace((end, self.size));
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn early_pieces_wait() {
        let (sender, mut receiver) = mpsc::channel(1);
        let counts = watch::Sender::new((0, 0));
        let sink = Arc::new(InOrder { next: watch::Sender::new(2), size: 6, pieces: sender, counts });
        assert_eq!(sink.missing().first(), Some(&(2..6)));
        let late = tokio::spawn({
            let sink = Arc::clone(&sink);
            async move { sink.write_at(4, Bytes::from_static(b"ef")).await }
        });
        sink.write_at(2, Bytes::from_static(b"cd")).await.unwrap();
        assert_eq!(receiver.recv().await.unwrap().unwrap(), "cd");
        assert_eq!(receiver.recv().await.unwrap().unwrap(), "ef");
        late.await.unwrap().unwrap();
        assert!(sink.missing().is_empty());
    }
}
