//! What goes to a registry and is no image: layers of stacks, documents, and a manifest over them.

use std::sync::Arc;

use bytes::Bytes;
use oci::{Descriptor, Digest, Reference};
use registry::client::{BlobSource, Repository, Target};
use store::{LayerBlob, PushPlan};
use tokio::sync::{Semaphore, mpsc};

use super::layer::Send;
use super::source::Whole;
use crate::engine::Inner;
use crate::error::Result;
use crate::image::pull::News;
use crate::registry::{Credentials, Current, Doing, failed};

/// A repository that takes them.
#[derive(Clone)]
pub(crate) struct Blobs {
    current: Arc<Current>,
    repository: Repository,
    credentials: Credentials,
    name: Reference,
    slots: Arc<Semaphore>,
}

impl Blobs {
    /// The repository of `name`.
    pub(crate) fn new(engine: &Inner, name: &Reference, credentials: Credentials) -> Self {
        let current = engine.registries.current();
        let repository = current.repository(name, &credentials);
        let most = match current.config.max_uploads {
            0 => Semaphore::MAX_PERMITS,
            most => most,
        };
        Self { current, repository, credentials, name: name.clone(), slots: Arc::new(Semaphore::new(most)) }
    }

    /// Sees to it that the registry has a layer, and says which blob of it.
    ///
    /// # Errors
    /// The registry's refusal.
    pub(crate) async fn layer(&self, plan: Arc<PushPlan>, position: usize) -> Result<LayerBlob> {
        // nobody listens to how it goes
        let (news, _) = mpsc::channel(1);
        let send = Send {
            plan,
            position,
            wanted: None,
            repositories: Vec::new(),
            ours: true,
            current: Arc::clone(&self.current),
            repository: self.repository.clone(),
            credentials: self.credentials.clone(),
            name: self.name.clone(),
            news: News::new(news),
            slots: Arc::clone(&self.slots),
        };
        send.run().await.map(|(_, sent)| sent.blob)
    }

    /// A document.
    ///
    /// # Errors
    /// The registry's refusal.
    pub(crate) async fn document(&self, media_type: &str, bytes: Vec<u8>) -> Result<Descriptor> {
        let descriptor = Descriptor::new(media_type, Digest::sha256(&bytes), bytes.len() as u64);
        let refused = |error| failed(error, Doing::Pushing);
        if self.repository.exists(&descriptor.digest).await.map_err(refused)?.is_none() {
            let source: Arc<dyn BlobSource> = Arc::new(Whole(Bytes::from(bytes)));
            let upload = self.repository.upload(&descriptor.digest, descriptor.size, &source, None);
            upload.await.map_err(refused)?;
        }
        Ok(descriptor)
    }

    /// The manifest over what was sent before, under the name's tag.
    ///
    /// # Errors
    /// The registry's refusal.
    pub(crate) async fn manifest(&self, media_type: &str, bytes: Vec<u8>) -> Result<Descriptor> {
        let target = Target::Tag(self.name.tag().unwrap_or(oci::DEFAULT_TAG).to_owned());
        let size = bytes.len() as u64;
        let put = self.repository.put_manifest(&target, media_type, bytes.into()).await;
        let digest = put.map_err(|error| failed(error, Doing::Pushing))?;
        Ok(Descriptor::new(media_type, digest, size))
    }
}
