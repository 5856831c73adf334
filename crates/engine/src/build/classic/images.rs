//! The images that a Dockerfile names: those that are here, or what registries have.

use std::cell::RefCell;
use std::collections::HashMap;

use ::build::lower::Images;
use ::build::{Error, Result};
use futures_util::StreamExt as _;
use oci::{Digest, ImageConfig, Platform, Reference};

use super::super::worker::ImageKey;
use crate::Engine;
use crate::image::{Progress, PullOptions};
use crate::registry::Credentials;

/// Looks images up, each once.
pub(in crate::build) struct BaseImages<'a> {
    engine: &'a Engine,
    /// Registries are asked for images that are here.
    pull: bool,
    runtime: &'a tokio::runtime::Handle,
    credentials: &'a dyn Fn(&Reference) -> Result<Credentials>,
    tell: &'a dyn Fn(Progress) -> Result<()>,
    known: RefCell<HashMap<ImageKey, ImageConfig>>,
}

impl<'a> BaseImages<'a> {
    pub(in crate::build) fn new(
        engine: &'a Engine,
        pull: bool,
        runtime: &'a tokio::runtime::Handle,
        credentials: &'a dyn Fn(&Reference) -> Result<Credentials>,
        tell: &'a dyn Fn(Progress) -> Result<()>,
    ) -> Self {
        Self { engine, pull, runtime, credentials, tell, known: RefCell::default() }
    }

    /// Their layers, lowest first.
    pub(in crate::build) fn into_layers(self) -> HashMap<ImageKey, Vec<Digest>> {
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
            credentials: (self.credentials)(image)?,
        };
        // what is told may have to wait, and must not do so within the loop
        let mut progress = self.runtime.block_on(self.engine.image_pull(options)).map_err(failed)?;
        while let Some(step) = self.runtime.block_on(progress.next()) {
            (self.tell)(step.map_err(failed)?)?;
        }
        Ok(())
    }
}

impl Images for BaseImages<'_> {
    fn config(&self, image: &Reference, platform: Option<&Platform>) -> Result<ImageConfig> {
        let key = (image.to_string(), platform.map(ToString::to_string));
        if let Some(known) = self.known.borrow().get(&key) {
            return Ok(known.clone());
        }
        let here = if self.pull { None } else { self.find(image, platform) };
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
