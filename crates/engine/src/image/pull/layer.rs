//! One layer of a pull: fetched, and unpacked while it arrives.

use std::future::ready;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use oci::{Descriptor, Reference};
use registry::client::{BlobSink, Repository};
use store::{BlobWriter, Claim, Finished, Ingest, LayerNews, Listener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::report::{Count, Meter, News};
use crate::container::task::blocking;
use crate::error::{Error, Result};
use crate::registry::{Doing, failed};
use crate::system::Counters;

/// All that it takes to bring a layer in.
pub(super) struct Fetch {
    pub(super) pull: Arc<store::Pull>,
    pub(super) position: usize,
    pub(super) descriptor: Descriptor,
    pub(super) repository: Repository,
    pub(super) reference: Reference,
    pub(super) news: News,
    /// Downloads of one pull that may go on at the same time.
    pub(super) slots: Arc<Semaphore>,
    /// What has arrived is counted.
    pub(super) counters: Arc<Counters>,
    /// Held by whatever may still have a hand on the blob, also in threads that outlive this task.
    pub(super) busy: Busy,
}

/// While copies of it live, something is done to what has arrived.
pub(super) type Busy = mpsc::Sender<std::convert::Infallible>;

/// How far somebody's work on the blob is, in bytes.
#[derive(Clone, Copy, Default)]
struct Counts {
    downloaded: u64,
    extracted: u64,
    total: u64,
    ended: bool,
}

impl Counts {
    fn of_download(&self) -> Count {
        (self.downloaded, self.total)
    }

    fn of_unpacking(&self) -> Count {
        (self.extracted, self.total)
    }

    fn is_downloaded(&self) -> bool {
        self.total > 0 && self.downloaded >= self.total
    }
}

impl Fetch {
    /// Claims the layer and brings it in; while another pull does so, waits for that one.
    pub(super) async fn run(self) -> Result<()> {
        loop {
            let slot = self.slot().await?;
            let (counts, heard) = watch::channel(Counts::default());
            match self.claim(counts).await? {
                Claim::Present => {
                    self.tell("Already exists").await;
                    return Ok(());
                }
                Claim::Ours(ingest) => return self.fetch(ingest, slot, heard).await,
                Claim::Theirs(_waiter) => {
                    // it downloads in its own slot
                    drop(slot);
                    self.wait(heard).await;
                    let (counts, _) = watch::channel(Counts::default());
                    // keeps it for this pull
                    if self.is_present() && matches!(self.claim(counts).await?, Claim::Present) {
                        self.tell("Pull complete").await;
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn tell(&self, status: &str) {
        self.news.layer(self.descriptor.digest.short(), status).await;
    }

    fn meter(&self) -> Meter {
        Meter::new(self.news.clone(), self.descriptor.digest.short())
    }

    async fn slot(&self) -> Result<OwnedSemaphorePermit> {
        let closed = |error| Error::because("wait for a download", error);
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            return Ok(slot);
        }
        self.tell("Waiting").await;
        Arc::clone(&self.slots).acquire_owned().await.map_err(closed)
    }

    fn is_present(&self) -> bool {
        self.pull.layers().get(self.position).is_some_and(|layer| layer.present)
    }

    async fn claim(&self, counts: watch::Sender<Counts>) -> Result<Claim> {
        let listener: Listener = Arc::new(move |news: &LayerNews| {
            counts.send_modify(|counts| match *news {
                LayerNews::Downloaded { current, total } => {
                    (counts.downloaded, counts.total) = (current, total);
                }
                LayerNews::Extracted { current, total } => {
                    (counts.extracted, counts.total) = (current, total)
                }
                LayerNews::Ended => counts.ended = true,
            });
        });
        let (pull, position) = (Arc::clone(&self.pull), self.position);
        self.held(move || Ok(pull.claim(position, listener)?)).await
    }

    /// Does `work` in a thread of its own; what comes of it and is wanted by nobody any more goes before `busy` does.
    async fn held<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let busy = self.busy.clone();
        let (value, _busy) = blocking(move || {
            let value = work()?;
            Ok((value, busy))
        })
        .await?;
        Ok(value)
    }

    /// Waits until another pull has ended with the layer, and tells how it goes.
    async fn wait(&self, heard: watch::Receiver<Counts>) {
        let (mut numbers, mut other) = (heard.clone(), heard);
        // Who tells is gone when it has ended.
        let downloaded = async {
            let next = other.wait_for(|counts| counts.ended || counts.is_downloaded()).await;
            next.is_ok_and(|counts| counts.is_downloaded())
        };
        if !self.meter().during("Downloading", &mut numbers, Counts::of_download, downloaded).await {
            return;
        }
        self.tell("Download complete").await;
        let ended = async {
            let _ = other.wait_for(|counts| counts.ended).await;
        };
        self.meter().during("Extracting", &mut numbers, Counts::of_unpacking, ended).await;
    }

    async fn fetch(
        &self,
        ingest: Box<Ingest>,
        slot: OwnedSemaphorePermit,
        mut heard: watch::Receiver<Counts>,
    ) -> Result<()> {
        let (mut slot, mut ingest) = (slot, Held(Some(ingest), self.busy.clone()));
        loop {
            let sink: Arc<dyn BlobSink> = Arc::new(Sink(ingest.get()?.writer(), Arc::clone(&self.counters)));
            let download = self.repository.blob(&self.descriptor, &sink);
            match self.meter().during("Downloading", &mut heard, Counts::of_download, download).await {
                Ok(()) => {
                    self.tell("Verifying Checksum").await;
                    self.tell("Download complete").await;
                }
                // It takes no more because it can't be unpacked; its end tells why.
                Err(registry::client::Error::Sink(_)) => {}
                Err(error) => {
                    let doing = Doing::Fetching(&self.reference, &self.descriptor.digest);
                    return Err(failed(error, doing));
                }
            }
            // the next one may download while this one is unpacked
            drop(slot);
            let whole = ingest.take()?;
            let finish = self.held(move || Ok(whole.finish()?));
            match self.meter().during("Extracting", &mut heard, Counts::of_unpacking, finish).await? {
                Finished::Done => break,
                // what an interrupted pull had left was of no use
                Finished::Again(anew) => {
                    ingest = Held(Some(anew), self.busy.clone());
                    slot = self.slot().await?;
                }
            }
        }
        self.tell("Pull complete").await;
        Ok(())
    }
}

/// Where the client puts what it fetches.
struct Sink(BlobWriter, Arc<Counters>);

impl BlobSink for Sink {
    fn missing(&self) -> Vec<Range<u64>> {
        self.0.missing()
    }

    /// The bytes go to the page cache: this does not wait.
    fn write_at(&self, offset: u64, bytes: Bytes) -> BoxFuture<'_, io::Result<()>> {
        self.1.pulled(bytes.len());
        let written = self.0.write_at(offset, &bytes).map_err(io::Error::other);
        Box::pin(ready(written))
    }
}

/// An ingest that waits for its threads elsewhere when it is dropped: not in a thread that others share.
struct Held(Option<Box<Ingest>>, Busy);

impl Held {
    fn get(&self) -> Result<&Ingest> {
        self.0.as_deref().ok_or_else(|| Error::system("the layer is finished already"))
    }

    fn take(&mut self) -> Result<Box<Ingest>> {
        self.0.take().ok_or_else(|| Error::system("the layer is finished already"))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let (Some(ingest), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            let busy = self.1.clone();
            runtime.spawn_blocking(move || {
                drop(ingest);
                drop(busy);
            });
        }
    }
}
