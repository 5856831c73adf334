//! The images that a Dockerfile names: those that are here, or what registries have.

use std::cell::RefCell;
use std::collections::HashMap;

use ::build::lower::Images;
use ::build::{Error, Result};
use futures_util::StreamExt as _;
use oci::{Digest, ImageConfig, Platform, Reference};

use super::super::worker::ImageKey;
use super::{BuildNews, BuildRequest, News};
use crate::Engine;
use crate::image::PullOptions;
use crate::registry::Credentials;

/// Looks images up, each once.
pub(super) struct BaseImages<'a> {
    engine: &'a Engine,
    request: &'a BuildRequest,
    runtime: &'a tokio::runtime::Handle,
    news: &'a News,
    known: RefCell<HashMap<ImageKey, ImageConfig>>,
}

impl<'a> BaseImages<'a> {
    pub(super) fn new(
        engine: &'a Engine,
        request: &'a BuildRequest,
        runtime: &'a tokio::runtime::Handle,
        news: &'a News,
    ) -> Self {
        Self { engine, request, runtime, news, known: RefCell::default() }
    }

    /// Their layers, lowest first.
    pub(super) fn into_layers(self) -> HashMap<ImageKey, Vec<Digest>> {
        let layers = |(key, config): (ImageKey, ImageConfig)| (key, config.rootfs.diff_ids);
        self.known.into_inner().into_iter().map(layers).collect()
    }

    fn find(&self, image: &Reference, platform: Option<&Platform>) -> Option<ImageConfig> {
        let found = self.engine.0.find_image(&image.to_string()).ok()?;
        let fits = platform.is_none_or(|platform| platform.rank(&found.image.platform()).is_some());
        fits.then(|| found.image.config().clone())
    }

    fn pull(&self, image: &Reference, platform: Option<&Platform>) -> Result<()> {
        let failed = |error: crate::Error| Error::Invalid(error.to_string());
        let options = PullOptions {
            image: image.to_string(),
            tag: String::new(),
            platform: platform.map(ToString::to_string).unwrap_or_default(),
            credentials: self.credentials(image),
        };
        self.runtime.block_on(async {
            let mut progress = self.engine.image_pull(options).await.map_err(failed)?;
            while let Some(step) = progress.next().await {
                let step = step.map_err(failed)?;
                if !self.request.quiet && self.news.0.send(BuildNews::Pull(step)).await.is_err() {
                    return Err(Error::Cancelled);
                }
            }
            Ok(())
        })
    }

    fn credentials(&self, image: &Reference) -> Credentials {
        let domain = image.domain();
        let names: &[&str] = match domain {
            "docker.io" => &["https://index.docker.io/v1/", "docker.io", "index.docker.io"],
            domain => &[domain],
        };
        let known = |name: &&str| {
            let bare = |key: &str| {
                let key = key.trim_start_matches("https://").trim_start_matches("http://");
                key.split('/').next().unwrap_or(key).to_owned()
            };
            let mut all = self.request.credentials.iter();
            all.find(|(key, _)| key.as_str() == *name || bare(key) == *name).map(|(_, who)| who.clone())
        };
        names.iter().find_map(known).unwrap_or_default()
    }
}

impl Images for BaseImages<'_> {
    fn config(&self, image: &Reference, platform: Option<&Platform>) -> Result<ImageConfig> {
        let key = (image.to_string(), platform.map(ToString::to_string));
        if let Some(known) = self.known.borrow().get(&key) {
            return Ok(known.clone());
        }
        let here = if self.request.pull { None } else { self.find(image, platform) };
        let config = match here {
            Some(here) => here,
            None => {
                self.pull(image, platform)?;
                let missing = || Error::Invalid(format!("image {} was pulled and is gone", image.familiar()));
                self.find(image, platform).ok_or_else(missing)?
            }
        };
        self.known.borrow_mut().insert(key, config.clone());
        Ok(config)
    }
}
