//! `commit`: an image out of a container.

use std::sync::Arc;

use oci::{Digest, Reference};

use crate::Engine;
use crate::container::merge;
use crate::container::registry::Entry;
use crate::container::task::{Request, blocking};
use crate::container::view::SCAFFOLD;
use crate::container::{Container, ContainerConfig, Status};
use crate::error::{Error, Result};

/// What the image is to be.
#[derive(Debug, Clone, Default)]
pub struct CommitOptions {
    /// `repository`; empty = no name.
    pub repository: String,
    /// Tag; empty = `latest`.
    pub tag: String,
    /// A remark.
    pub comment: String,
    /// Who.
    pub author: String,
    /// Freeze it meanwhile.
    pub pause: bool,
    /// Dockerfile instructions on the configuration.
    pub changes: Vec<String>,
    /// Goes before the container's own configuration.
    pub config: Option<ContainerConfig>,
}

impl Engine {
    /// Makes an image of a container, running or not; gives its id. Volumes are not in it.
    ///
    /// # Errors
    /// No such container; its image is gone; the name or a change is wrong; the disk is full.
    pub async fn container_commit(&self, name: &str, options: CommitOptions) -> Result<String> {
        let entry = self.0.containers.find(name)?;
        let container = entry.snapshot();
        super::not_going(&container, "commit")?;
        let reference = reference(&options)?;
        let image = described(&container, &options, reference.clone())?;
        let pause = options.pause && container.state.status() == Status::Running;
        // a container that has ended meanwhile holds still by itself
        let paused = pause && entry.ask(|reply| Request::Pause { recorded: false, reply }).await.is_ok();
        // not left frozen when the client goes away in the middle
        let engine = self.clone();
        let committed = tokio::spawn(async move { engine.commit(&entry, image, paused).await });
        let id = committed.await.map_err(|error| Error::because("internal task", error))??;
        self.announce(&container, &options, &id, reference.as_ref());
        Ok(id.as_str().to_owned())
    }

    async fn commit(&self, entry: &Arc<Entry>, image: store::CommitOptions, paused: bool) -> Result<Digest> {
        let (store, container) = (self.0.store.clone(), entry.snapshot());
        let committed = blocking(move || {
            let parent: Digest = container
                .image_id
                .parse()
                .map_err(|error| Error::because("image of the container", error))?;
            Ok(store.commit(&container.id, &parent, &SCAFFOLD, image)?)
        })
        .await;
        if paused && let Err(error) = entry.ask(Request::Unpause).await {
            tracing::warn!(container = %entry.id, %error, "not unpaused after a commit");
        }
        committed
    }

    fn announce(
        &self,
        container: &Container,
        options: &CommitOptions,
        id: &Digest,
        name: Option<&Reference>,
    ) {
        let name = name.map(Reference::familiar).unwrap_or_default();
        if !name.is_empty() {
            self.image_event("tag", id.as_str(), &name);
        }
        let more =
            [("comment", options.comment.clone()), ("imageID", id.as_str().to_owned()), ("imageRef", name)];
        self.container_event(container, "commit", &more);
    }
}

/// The name that is wished for.
fn reference(options: &CommitOptions) -> Result<Option<Reference>> {
    let wrong = |error: oci::ReferenceError| Error::bad_parameter(error.to_string());
    if options.repository.is_empty() {
        return Ok(None);
    }
    let name = Reference::parse(&options.repository).map_err(wrong)?;
    if options.tag.is_empty() {
        return Ok(Some(name.with_default_tag()));
    }
    name.with_tag(&options.tag).map(Some).map_err(wrong)
}

/// What the image will say of itself.
fn described(
    container: &Container,
    options: &CommitOptions,
    name: Option<Reference>,
) -> Result<store::CommitOptions> {
    let own = || (*container.config).clone();
    let mut config = merge::to_image(options.config.clone().unwrap_or_else(own));
    for change in &options.changes {
        crate::image::change::apply(&mut config, change)?;
    }
    let mut config = merge::from_image(&config);
    merge::with_image(&mut config, own());
    Ok(store::CommitOptions {
        name,
        config: merge::to_image(config),
        author: options.author.clone(),
        comment: options.comment.clone(),
        created_by: container.config.cmd.clone().unwrap_or_default().join(" "),
    })
}
