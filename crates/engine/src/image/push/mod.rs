//! `push`: an image of the store goes to a registry, as it came if it came from one.
//!
//! A layer that the registry has already, or can take over from another of its repositories, needs no bytes. One that
//! was pulled from elsewhere is passed on from there, so that it keeps its digest; only where that fails, and for
//! layers that were made here, the store compresses it. A push ends with its client.

mod blobs;
mod index;
mod layer;
mod source;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use oci::{Descriptor, Digest, Document, Manifest, Platform, Reference};
use registry::client::{BlobSource, Repository, Target};
use store::{KeptManifest, LayerBlob, PushPlan, Pushed};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::Progress;
use super::pull::{BACKLOG, News};
use crate::container::task::blocking;
use crate::error::{Error, Result};
use crate::registry::{Credentials, Current, Doing, failed};
use crate::{Engine, Stream};
pub(crate) use blobs::Blobs;
use layer::Sent;

/// What is to be pushed.
#[derive(Debug, Clone, Default)]
pub struct PushOptions {
    /// Name; its tag does not matter.
    pub image: String,
    /// Tag; empty = all that there are.
    pub tag: String,
    /// `os/arch[/variant]`: the image must be for it; empty = whatever it is for.
    pub platform: String,
    /// Id of the image that is pushed without a tag, by its digest alone; the tag does not matter then.
    pub by_digest: Option<String>,
    /// Who pushes.
    pub credentials: Credentials,
}

impl Engine {
    /// Pushes an image, or all tags of a repository. It ends when nobody listens any more.
    ///
    /// # Errors
    /// The reference is malformed. In the stream: whatever else.
    pub async fn image_push(&self, options: PushOptions) -> Result<Stream<Progress>> {
        let wrong = |error: oci::ReferenceError| Error::bad_parameter(error.to_string());
        let named = Reference::parse(&options.image).map_err(wrong)?;
        let tag = if options.tag.is_empty() { named.tag().unwrap_or_default() } else { &options.tag };
        if named.digest().is_some() || tag.contains(':') {
            return Err(Error::bad_parameter("cannot push a digest reference"));
        }
        let name = Reference::parse(&named.name()).map_err(wrong)?;
        let wanted = match tag {
            "" => None,
            tag => Some(name.clone().with_tag(tag).map_err(wrong)?),
        };
        let platform = match options.platform.as_str() {
            "" => None,
            text => Some(Platform::parse(text).map_err(Error::bad_parameter)?),
        };
        let (sender, receiver) = mpsc::channel(BACKLOG);
        let engine = self.clone();
        tokio::spawn(async move {
            let news = News::new(sender);
            let current = engine.0.registries.current();
            let repository = current.repository(&name, &options.credentials);
            let credentials = options.credentials;
            let by_digest = options.by_digest.as_deref().and_then(super::parse_id);
            let tagged = by_digest.is_none();
            let pusher = Pusher {
                engine,
                current,
                repository,
                credentials,
                name,
                platform,
                tagged,
                news: news.clone(),
            };
            let run = async {
                match &by_digest {
                    Some(id) => pusher.one(&pusher.name.clone().with_default_tag(), id).await,
                    None => pusher.run(wanted).await,
                }
            };
            let done = tokio::select! {
                done = run => done,
                () = news.abandoned() => return,
            };
            if let Err(error) = done {
                news.failed(error).await;
            }
        });
        Ok(super::archive::stream(receiver))
    }
}

/// One client's push.
struct Pusher {
    engine: Engine,
    current: Arc<Current>,
    repository: Repository,
    credentials: Credentials,
    /// Without a tag.
    name: Reference,
    platform: Option<Platform>,
    /// The registry gets a tag, too.
    tagged: bool,
    news: News,
}

/// A manifest that the registry gets.
struct Chosen {
    kept: KeptManifest,
    bytes: Vec<u8>,
    manifest: Manifest,
    /// The store makes the same one of the same layers: they need not be had from elsewhere.
    ours: bool,
}

impl Pusher {
    async fn run(&self, wanted: Option<Reference>) -> Result<()> {
        self.news.say(format!("The push refers to repository [{}]", self.name.name())).await;
        let tags = self.tags();
        if tags.is_empty() {
            return Err(Error::not_found(format!(
                "An image does not exist locally with the tag: {}",
                self.name.familiar_name()
            )));
        }
        let Some(reference) = wanted else {
            for (reference, id) in tags {
                self.one(&reference, &id).await?;
            }
            return Ok(());
        };
        let id = tags
            .get(&reference)
            .ok_or_else(|| Error::not_found(format!("tag does not exist: {}", reference.familiar())))?;
        self.one(&reference, id).await
    }

    /// The tags of the repository here.
    fn tags(&self) -> BTreeMap<Reference, Digest> {
        let mut tags = BTreeMap::new();
        for image in self.engine.0.store.images() {
            let own = image.tags.iter().filter(|tag| tag.name() == self.name.name());
            tags.extend(own.map(|tag| (tag.clone(), image.id.clone())));
        }
        tags
    }

    async fn one(&self, reference: &Reference, id: &Digest) -> Result<()> {
        let (store, image) = (self.engine.0.store.clone(), id.clone());
        let plan = Arc::new(blocking(move || Ok(store.push_plan(&image)?)).await?);
        self.check(&plan, reference)?;
        let chosen = self.choose(&plan).await?;
        let sent = self.layers(&plan, chosen.as_ref()).await?;
        self.config(&plan, chosen.as_ref()).await?;
        let tag = reference.tag().unwrap_or(oci::DEFAULT_TAG);
        let pushed = self.manifest(&plan, chosen, sent, reference).await?;
        self.news.say(format!("{tag}: digest: {} size: {}", pushed.digest, pushed.size)).await;
        self.news.pushed(tag, &pushed).await;
        let labels = self.engine.image_labels(id.as_str());
        self.engine.image_event_with("push", &reference.familiar(), &reference.familiar_name(), labels);
        Ok(())
    }

    fn check(&self, plan: &PushPlan, reference: &Reference) -> Result<()> {
        let Some(wanted) = &self.platform else { return Ok(()) };
        let actual = plan.image().platform();
        if actual.matches(wanted) {
            return Ok(());
        }
        Err(Error::not_found(format!(
            "image with reference {} was found but does not provide the specified platform ({wanted}): it is for {actual}",
            reference.familiar()
        )))
    }

    /// The manifest that the image came with: the one of this repository, else the newest.
    async fn choose(&self, plan: &Arc<PushPlan>) -> Result<Option<Chosen>> {
        let here = |kept: &&KeptManifest| kept.repositories.contains(&self.name.name());
        let kept = plan.manifests.iter().find(here).or_else(|| plan.manifests.first()).cloned();
        match kept {
            Some(kept) => self.read(plan, kept).await,
            None => Ok(None),
        }
    }

    /// A manifest that the image is known by, if it fits.
    async fn read(&self, plan: &Arc<PushPlan>, kept: KeptManifest) -> Result<Option<Chosen>> {
        let (store, plan) = (self.engine.0.store.clone(), Arc::clone(plan));
        blocking(move || {
            let bytes = store.document(&kept.manifest.digest)?;
            let manifest = match Document::parse(&bytes) {
                Ok(Document::Manifest(manifest)) if manifest.layers.len() == plan.layers.len() => manifest,
                _ => return Ok(None),
            };
            let blobs: Vec<LayerBlob> = manifest.layers.iter().map(layer::blob_of).collect();
            let ours = plan.manifest(&blobs)?.bytes == bytes;
            Ok(Some(Chosen { kept, bytes, manifest, ours }))
        })
        .await
    }

    /// Sees to it that the registry has every layer, the topmost first, several at a time.
    async fn layers(&self, plan: &Arc<PushPlan>, chosen: Option<&Chosen>) -> Result<Vec<Sent>> {
        let most = match self.current.config.max_uploads {
            0 => Semaphore::MAX_PERMITS,
            most => most,
        };
        let slots = Arc::new(Semaphore::new(most));
        // The same layer may be in an image several times.
        let mut positions: BTreeMap<Digest, Vec<usize>> = BTreeMap::new();
        let mut order = Vec::new();
        for (position, layer) in plan.layers.iter().enumerate().rev() {
            let all = positions.entry(layer.diff_id.clone()).or_default();
            if all.is_empty() {
                order.push(position);
            }
            all.push(position);
        }
        for position in &order {
            self.news.layer(plan.layers[*position].diff_id.short(), "Preparing").await;
        }
        let mut tasks = JoinSet::new();
        for position in order {
            let send = layer::Send {
                plan: Arc::clone(plan),
                position,
                wanted: chosen.map(|chosen| chosen.manifest.layers[position].clone()),
                repositories: chosen.map(|chosen| chosen.kept.repositories.clone()).unwrap_or_default(),
                ours: chosen.is_none_or(|chosen| chosen.ours),
                current: Arc::clone(&self.current),
                repository: self.repository.clone(),
                credentials: self.credentials.clone(),
                name: self.name.clone(),
                news: self.news.clone(),
                slots: Arc::clone(&slots),
            };
            tasks.spawn(send.run());
        }
        let mut sent: Vec<Option<Sent>> = plan.layers.iter().map(|_| None).collect();
        while let Some(done) = tasks.join_next().await {
            let (position, one) = done.map_err(|error| Error::because("internal task", error))??;
            for position in positions.get(&plan.layers[position].diff_id).into_iter().flatten() {
                sent[*position] = Some(one.clone());
            }
        }
        let lost = || Error::system("a layer was not pushed");
        sent.into_iter().map(|one| one.ok_or_else(lost)).collect()
    }

    /// The image's config is a blob like any other.
    async fn config(&self, plan: &PushPlan, chosen: Option<&Chosen>) -> Result<()> {
        let bytes = Bytes::copy_from_slice(plan.image().raw());
        let digest = chosen.map_or(plan.image().id(), |chosen| &chosen.manifest.config.digest);
        if self.repository.exists(digest).await.map_err(|error| self.failed(error))?.is_some() {
            return Ok(());
        }
        let size = bytes.len() as u64;
        let source: Arc<dyn BlobSource> = Arc::new(source::Whole(bytes));
        self.repository.upload(digest, size, &source, None).await.map_err(|error| self.failed(error))
    }

    /// Puts the manifest, under the tag. Says what the tag leads to.
    async fn manifest(
        &self,
        plan: &Arc<PushPlan>,
        chosen: Option<Chosen>,
        sent: Vec<Sent>,
        reference: &Reference,
    ) -> Result<Descriptor> {
        let blobs: Vec<LayerBlob> = sent.into_iter().map(|one| one.blob).collect();
        let same = |chosen: &Chosen| {
            chosen.manifest.layers.iter().zip(&blobs).all(|(layer, blob)| layer.digest == blob.digest)
        };
        let target = |digest: &Digest| match self.tagged {
            true => Target::Tag(reference.tag().unwrap_or(oci::DEFAULT_TAG).to_owned()),
            false => Target::Digest(digest.clone()),
        };
        let (pushed, descriptor) = match chosen.filter(same) {
            Some(chosen) => {
                let mut kept = chosen.kept.clone();
                if !self.index(&chosen, &target).await? {
                    if let Some(index) = kept.indexes.first().filter(|_| self.platform.is_none()) {
                        self.news.pushed_instead(index, &kept.manifest).await;
                    }
                    kept.indexes.clear();
                    kept.companions.clear();
                    kept.attachments.clear();
                    let manifest = &chosen.kept.manifest;
                    self.put(&target(&manifest.digest), &manifest.media_type, chosen.bytes).await?;
                }
                let descriptor = kept.top().clone();
                (Pushed::Kept(Box::new(kept)), descriptor)
            }
            None => {
                let raw = plan.manifest(&blobs)?;
                let digest = self
                    .put(&target(&Digest::sha256(&raw.bytes)), &raw.media_type, raw.bytes.clone())
                    .await?;
                let descriptor = Descriptor::new(&raw.media_type, digest, raw.bytes.len() as u64);
                (Pushed::New(raw), descriptor)
            }
        };
        let (plan, name) = (Arc::clone(plan), self.name.clone());
        blocking(move || Ok(plan.pushed(&name, pushed, &blobs)?)).await?;
        Ok(descriptor)
    }

    async fn put(&self, target: &Target, media_type: &str, bytes: Vec<u8>) -> Result<Digest> {
        let put = self.repository.put_manifest(target, media_type, bytes.into());
        put.await.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: registry::client::Error) -> Error {
        failed(error, Doing::Pushing)
    }
}
