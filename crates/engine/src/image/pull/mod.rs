//! `pull`: what a registry has becomes an image here.
//!
//! Each client has a pull of its own, which ends with the client, and asks the registry with the client's own
//! credentials. Layers are shared: the store lets one pull fetch a blob at a time, the others hear how it goes, and
//! go on with what has come when it ends before its end.

mod documents;
mod layer;
mod report;

use std::sync::Arc;

use oci::{Digest, Platform, Reference};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::Progress;
use crate::container::task::blocking;
use crate::engine::Inner;
use crate::error::{Error, Result};
use crate::registry::{Credentials, Doing, failed};
use crate::{Engine, Stream};
use documents::{Documents, Found};
pub(super) use report::{Count, Meter, News};

/// News that may wait for a slow client.
pub(super) const BACKLOG: usize = 64;

/// What is to be pulled.
#[derive(Debug, Clone, Default)]
pub struct PullOptions {
    /// Name, perhaps with a tag or digest.
    pub image: String,
    /// Tag or digest; empty = the name's, and all tags of a name without either.
    pub tag: String,
    /// `os[/arch[/variant]]`; empty = the host's.
    pub platform: String,
    /// Who asks.
    pub credentials: Credentials,
}

impl Engine {
    /// Pulls an image, or all tags of a repository. It ends when nobody listens any more.
    ///
    /// # Errors
    /// The reference is malformed. In the stream: whatever else.
    pub async fn image_pull(&self, options: PullOptions) -> Result<Stream<Progress>> {
        let wish = wish(&options.image, &options.tag)?;
        let platform = platform(&options.platform)?;
        let (sender, receiver) = mpsc::channel(BACKLOG);
        let engine = self.clone();
        tokio::spawn(async move {
            let news = News::new(sender);
            let puller = Puller { engine, platform, news: news.clone(), credentials: options.credentials };
            let done = tokio::select! {
                done = puller.run(wish) => done,
                // what has arrived stays for the next pull
                () = news.abandoned() => return,
            };
            if let Err(error) = done {
                news.failed(error).await;
            }
        });
        Ok(super::archive::stream(receiver))
    }
}

/// Which references are meant.
enum Wish {
    One(Reference),
    AllTags(Reference),
}

/// Docker's rules for the two parameters: a digest in the name goes before all, then the tag.
fn wish(image: &str, tag: &str) -> Result<Wish> {
    let wrong = |error: oci::ReferenceError| Error::bad_parameter(error.to_string());
    let named = Reference::parse(image).map_err(wrong)?;
    if let Some(digest) = named.digest() {
        let digest = digest.clone();
        return Ok(Wish::One(named.with_digest(digest)));
    }
    if tag.contains(':') {
        let digest = tag.parse::<Digest>().map_err(|error| wrong(error.into()))?;
        return Ok(Wish::One(named.with_digest(digest)));
    }
    if !tag.is_empty() {
        return named.with_tag(tag).map(Wish::One).map_err(wrong);
    }
    Ok(if named.is_name_only() { Wish::AllTags(named) } else { Wish::One(named) })
}

/// The platform that was asked for, if one was.
fn platform(text: &str) -> Result<Option<Platform>> {
    if text.is_empty() {
        return Ok(None);
    }
    Platform::parse(text).map(Some).map_err(Error::bad_parameter)
}

/// One client's pull.
struct Puller {
    engine: Engine,
    platform: Option<Platform>,
    news: News,
    credentials: Credentials,
}

impl Puller {
    async fn run(&self, wish: Wish) -> Result<()> {
        let (shown, changed) = match wish {
            Wish::One(reference) => {
                let changed = self.one(&reference).await?;
                (reference.familiar(), changed)
            }
            Wish::AllTags(name) => {
                let current = self.engine.0.registries.current();
                let repository = current.repository(&name, &self.credentials);
                let tags = repository.tags().await.map_err(|error| failed(error, Doing::Pulling(&name)))?;
                let mut changed = false;
                for tag in tags {
                    let reference = name.clone().with_tag(&tag).map_err(|error| {
                        Error::system(format!("the registry names a tag {tag:?}: {error}"))
                    })?;
                    changed |= self.one(&reference).await?;
                }
                (name.familiar(), changed)
            }
        };
        let status = if changed { "Downloaded newer image for" } else { "Image is up to date for" };
        self.news.say(format!("Status: {status} {shown}")).await;
        Ok(())
    }

    /// Pulls one reference. Says whether anything is new.
    async fn one(&self, reference: &Reference) -> Result<bool> {
        let engine = Arc::clone(&self.engine.0);
        let current = engine.registries.current();
        let repository = current.repository(reference, &self.credentials);
        let documents = Documents { engine: &engine, repository: &repository, reference };
        let top = documents.top().await?;
        let id = match reference.digest() {
            // as Docker shows it
            Some(_) => reference.to_string(),
            None => reference.tag().unwrap_or_default().to_owned(),
        };
        self.news.step(id, format!("Pulling from {}", reference.path())).await;
        let wanted = self.platform.clone().unwrap_or_else(Platform::host);
        let Found { request, top, config } = documents.find(top, &wanted).await?;
        let leading =
            request.indexes.iter().chain([&request.manifest]).map(|document| document.bytes.clone());
        crate::trust::admit(&engine, &repository, reference, leading.collect(), &config).await?;
        let old = known(&engine, reference);
        if !(old.as_ref() == Some(&config) && is_complete(&engine, &config, reference, &top)) {
            let store = engine.store.clone();
            let pull = Arc::new(blocking(move || Ok(store.pull(request)?)).await?);
            // Of an image that is here only the name is new, and nothing is said of its layers.
            if engine.store.image(&config).is_err() || pull.layers().iter().any(|layer| !layer.present) {
                self.layers(&pull, &current, &repository, reference).await?;
            }
            blocking(move || Ok(pull.commit(&|_renamed| {})?)).await?;
        }
        self.news.say(format!("Digest: {top}")).await;
        self.mismatch(&config, reference).await;
        let labels = self.engine.image_labels(config.as_str());
        self.engine.image_event_with("pull", &reference.familiar(), &reference.familiar_name(), labels);
        Ok(old.as_ref() != Some(&config))
    }

    /// Brings in what is missing, several layers at a time.
    async fn layers(
        &self,
        pull: &Arc<store::Pull>,
        current: &crate::registry::Current,
        repository: &registry::client::Repository,
        reference: &Reference,
    ) -> Result<()> {
        let most = match current.config.max_downloads {
            0 => Semaphore::MAX_PERMITS,
            most => most,
        };
        let slots = Arc::new(Semaphore::new(most));
        let all = pull.layers();
        for layer in &all {
            let status = if layer.present { "Already exists" } else { "Pulling fs layer" };
            self.news.layer(layer.descriptor.digest.short(), status).await;
        }
        let (busy, mut idle) = mpsc::channel(1);
        // Dropped with this future: then nothing is fetched any more.
        let mut tasks = JoinSet::new();
        for (position, layer) in all.into_iter().enumerate().filter(|(_, layer)| !layer.present) {
            let fetch = layer::Fetch {
                pull: Arc::clone(pull),
                position,
                descriptor: layer.descriptor,
                repository: repository.clone(),
                reference: reference.clone(),
                news: self.news.clone(),
                slots: Arc::clone(&slots),
                counters: Arc::clone(&self.engine.0.counters),
                busy: busy.clone(),
            };
            tasks.spawn(fetch.run());
        }
        drop(busy);
        while let Some(done) = tasks.join_next().await {
            let done = done.map_err(|error| Error::because("internal task", error)).flatten();
            if let Err(error) = done {
                // What has arrived is nobody's when the client hears of it: a prune finds it.
                tasks.shutdown().await;
                idle.recv().await;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Docker warns of an image that is for another platform than the one that was asked for.
    async fn mismatch(&self, config: &Digest, reference: &Reference) {
        let Some(wanted) = &self.platform else { return };
        let Ok(image) = self.engine.0.store.image(config) else { return };
        let actual = image.image.platform();
        if wanted.rank(&actual).is_none() {
            self.news
                .say(format!(
                    "WARNING: image with reference {} was found but does not provide the specified platform \
                     ({wanted}): it is for {actual}",
                    reference.familiar()
                ))
                .await;
        }
    }
}

/// The image that a reference means here.
fn known(engine: &Inner, reference: &Reference) -> Option<Digest> {
    engine.store.resolve(&reference.to_string()).ok()
}

/// Whether an image has this repository's digest already: then there is nothing to add to it.
fn is_complete(engine: &Inner, id: &Digest, reference: &Reference, top: &Digest) -> bool {
    let name = reference.clone().with_digest(top.clone());
    engine.store.image(id).is_ok_and(|image| image.digests.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(image: &str, tag: &str) -> String {
        match wish(image, tag) {
            Ok(Wish::One(reference)) => reference.familiar(),
            Ok(Wish::AllTags(reference)) => format!("all of {}", reference.familiar()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_the_two_parameters_mean() {
        let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(meant("a", ""), "all of a");
        assert_eq!(meant("a:1", ""), "a:1");
        assert_eq!(meant("a:1", "2"), "a:2");
        assert_eq!(meant("a", digest), format!("a@{digest}"));
        assert_eq!(meant(&format!("a:1@{digest}"), "2"), format!("a@{digest}"));
        assert_eq!(
            meant("A", "1"),
            "invalid reference format: repository name (library/A) must be lowercase"
        );
        assert_eq!(meant("a", "sha256:x"), "invalid checksum digest length");
    }
}
