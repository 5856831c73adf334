//! One layer of a push.

use std::sync::Arc;

use oci::{Descriptor, Digest, Reference};
use registry::client::{BlobSource, Mount, Repository, Session};
use store::{Form, Kind, LayerBlob, PushLayer, PushPlan};
use tokio::sync::{Semaphore, watch};

use super::source::{Compressed, Relayed};
use crate::error::{Error, Result};
use crate::image::pull::{Meter, News};
use crate::registry::{Credentials, Current, Doing, failed};

/// Repositories that a layer is asked of before its bytes are sent.
const MOUNTS: usize = 4;

/// All that it takes to send a layer.
pub(super) struct Send {
    pub(super) plan: Arc<PushPlan>,
    pub(super) position: usize,
    /// The blob that the kept manifest names.
    pub(super) wanted: Option<Descriptor>,
    /// Where the manifest was pulled from or pushed to.
    pub(super) repositories: Vec<String>,
    /// Compressed here, a layer has the digest that the manifest names, if there is one.
    pub(super) ours: bool,
    pub(super) current: Arc<Current>,
    pub(super) repository: Repository,
    /// Who pushes, for other repositories of the same registry.
    pub(super) credentials: Credentials,
    pub(super) name: Reference,
    pub(super) news: News,
    /// Uploads of one push that may go on at the same time.
    pub(super) slots: Arc<Semaphore>,
}

/// The blob that the registry has of a layer.
#[derive(Clone)]
pub(super) struct Sent {
    pub(super) blob: LayerBlob,
}

/// What a manifest says of a layer's blob.
pub(super) fn blob_of(descriptor: &Descriptor) -> LayerBlob {
    LayerBlob {
        digest: descriptor.digest.clone(),
        size: descriptor.size,
        media_type: descriptor.media_type.clone(),
        repositories: Vec::new(),
    }
}

impl Send {
    /// Sees to it that the registry has the layer.
    pub(super) async fn run(self) -> Result<(usize, Sent)> {
        let closed = |error| Error::because("wait for an upload", error);
        let _slot = match self.slots.try_acquire() {
            Ok(slot) => slot,
            Err(_taken) => {
                self.news.layer(self.id(), "Waiting").await;
                self.slots.acquire().await.map_err(closed)?
            }
        };
        let blob = self.send().await?;
        Ok((self.position, Sent { blob }))
    }

    fn layer(&self) -> &PushLayer {
        &self.plan.layers[self.position]
    }

    fn id(&self) -> &str {
        self.layer().diff_id.short()
    }

    async fn send(&self) -> Result<LayerBlob> {
        if let Some(foreign) = self.foreign() {
            self.news.layer(self.id(), "Skipped foreign layer").await;
            return Ok(foreign);
        }
        let candidates = self.candidates();
        for blob in &candidates {
            let found = self.repository.exists(&blob.digest).await.map_err(|error| self.failed(error))?;
            if found == Some(blob.size) {
                self.news.layer(self.id(), "Layer already exists").await;
                return Ok(blob.clone());
            }
        }
        let mut session = None;
        for blob in &candidates {
            if let Some(from) = self.mount(blob, &mut session).await? {
                self.news.layer(self.id(), &format!("Mounted from {from}")).await;
                return Ok(blob.clone());
            }
        }
        let blob = match self.relay(&candidates, &mut session).await? {
            Some(blob) => blob,
            None => self.compress(session).await?,
        };
        self.news.layer(self.id(), "Pushed").await;
        Ok(blob)
    }

    /// A layer that may not be passed on, unless the daemon is told that this registry may have it.
    fn foreign(&self) -> Option<LayerBlob> {
        let wanted = self.wanted.as_ref()?;
        let named = ["foreign", "nondistributable"].iter().any(|word| wanted.media_type.contains(word));
        let kept = named && !wanted.urls.is_empty() && !self.current.config.takes_foreign(self.name.domain());
        kept.then(|| blob_of(wanted))
    }

    /// Blobs that would do: the one that the manifest names, else all that are known.
    fn candidates(&self) -> Vec<LayerBlob> {
        let known = &self.layer().blobs;
        let Some(wanted) = &self.wanted else { return known.clone() };
        // The manifest's own repositories have its blobs, also those that were never fetched because the layer was
        // here; what they have is what the manifest says, whoever passes it on.
        let mut repositories = self.repositories.clone();
        let found = known.iter().find(|blob| blob.digest == wanted.digest);
        repositories.extend(found.map(|blob| blob.repositories.clone()).unwrap_or_default());
        vec![LayerBlob { repositories, ..blob_of(wanted) }]
    }

    /// Takes the blob over from another repository of the registry, and says which.
    async fn mount(&self, blob: &LayerBlob, session: &mut Option<Session>) -> Result<Option<String>> {
        let here = |name: &&String| *name != &self.name.name();
        let own = blob.repositories.iter().rev().filter(here).filter_map(|name| Reference::parse(name).ok());
        for from in own.filter(|from| from.domain() == self.name.domain()).take(MOUNTS) {
            match self.repository.mount(&blob.digest, from.path()).await {
                Ok(Mount::Mounted) => return Ok(Some(from.path().to_owned())),
                Ok(Mount::Refused(waiting)) => *session = Some(waiting),
                // It may not be read there: its bytes go.
                Err(error) if error.is_denied() || error.is_not_found() => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(None)
    }

    /// Passes a blob on from the registry that has its exact bytes.
    async fn relay(
        &self,
        candidates: &[LayerBlob],
        session: &mut Option<Session>,
    ) -> Result<Option<LayerBlob>> {
        let kept = self.layer().kept.as_ref();
        let is_here = kept.is_some() && kept == self.wanted.as_ref().map(|wanted| &wanted.digest);
        if self.ours || is_here || self.wanted.is_none() {
            return Ok(None);
        }
        for blob in candidates {
            let names = blob.repositories.iter().rev().filter_map(|name| Reference::parse(name).ok());
            for from in names.filter(|from| from.name() != self.name.name()) {
                // Whoever pushes here has said nothing of who they are at another registry.
                let known = from.domain() == self.name.domain();
                let credentials = if known { &self.credentials } else { &Credentials::Anonymous };
                let other = self.current.repository(&from, credentials);
                let (counts, mut heard) = watch::channel((0, 0));
                let source: Arc<dyn BlobSource> =
                    Arc::new(Relayed { repository: other, blob: blob.clone(), counts });
                let upload = self.repository.upload(&blob.digest, blob.size, &source, session.take());
                match self.meter().during("Pushing", &mut heard, |count| *count, upload).await {
                    Ok(()) => return Ok(Some(blob.clone())),
                    Err(registry::client::Error::Source(error)) => {
                        tracing::info!(layer = %blob.digest, from = %from.name(), %error,
                            "not passed on from where it came: compressing it instead");
                    }
                    Err(error) => return Err(self.failed(error)),
                }
            }
        }
        Ok(None)
    }

    async fn compress(&self, session: Option<Session>) -> Result<LayerBlob> {
        let (counts, mut heard) = watch::channel((0, 0));
        let form =
            self.wanted.as_ref().filter(|_| self.layer().kept.is_none()).map(|wanted| {
                match Kind::of(&wanted.media_type) {
                    Kind::None => Form::Plain,
                    Kind::Gzip => Form::Gzip(None),
                    Kind::Zstd => Form::Zstd(None),
                }
            });
        let compressed = Arc::new(Compressed::new(Arc::clone(&self.plan), self.position, form, counts));
        let source: Arc<dyn BlobSource> = Arc::clone(&compressed) as Arc<dyn BlobSource>;
        let upload = self.repository.upload_stream(&source, session);
        let sent = self.meter().during("Pushing", &mut heard, |count| *count, upload).await;
        let (digest, size): (Digest, u64) = sent.map_err(|error| self.failed(error))?;
        match compressed.result() {
            Some(blob) if blob.digest == digest && blob.size == size => Ok(blob),
            _ => Err(Error::system(format!(
                "layer {}: what was sent is not what was compressed",
                self.layer().diff_id
            ))),
        }
    }

    fn meter(&self) -> Meter {
        Meter::new(self.news.clone(), self.id())
    }

    fn failed(&self, error: registry::client::Error) -> Error {
        failed(error, Doing::Pushing)
    }
}
