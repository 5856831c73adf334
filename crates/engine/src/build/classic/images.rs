//! The images that a Dockerfile names: those that are here, or what registries have.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use ::build::graph::OciLayoutSource;
use ::build::lower::Images;
use ::build::{Error, Result};
use futures_util::StreamExt as _;
use oci::{Digest, ImageConfig, Platform, Reference};

use super::super::lent::Lent;
use super::super::travel::LentImage;
use super::super::worker::{ImageKey, layout_key};
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
    /// The client, if it can be asked for its own.
    lent: Option<Arc<dyn Lent>>,
    layouts: RefCell<HashMap<ImageKey, LentImage>>,
}

/// Images that were looked up.
pub(in crate::build) struct Known {
    /// Layers of those that are here, lowest first.
    pub(in crate::build) layers: HashMap<ImageKey, Vec<Digest>>,
    /// Those that the client has.
    pub(in crate::build) lent: HashMap<ImageKey, LentImage>,
}

impl<'a> BaseImages<'a> {
    pub(in crate::build) fn new(
        engine: &'a Engine,
        pull: bool,
        runtime: &'a tokio::runtime::Handle,
        credentials: &'a dyn Fn(&Reference) -> Result<Credentials>,
        tell: &'a dyn Fn(Progress) -> Result<()>,
    ) -> Self {
        let (known, layouts) = (RefCell::default(), RefCell::default());
        Self { engine, pull, runtime, credentials, tell, known, lent: None, layouts }
    }

    /// The client can be asked for its own.
    pub(in crate::build) fn with(self, lent: &Arc<dyn Lent>) -> Self {
        Self { lent: Some(Arc::clone(lent)), ..self }
    }

    /// What was looked up.
    pub(in crate::build) fn known(self) -> Known {
        let layers = |(key, config): (ImageKey, ImageConfig)| (key, config.rootfs.diff_ids);
        let layers = self.known.into_inner().into_iter().map(layers).collect();
        Known { layers, lent: self.layouts.into_inner() }
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

    fn layout(&self, layout: &OciLayoutSource, platform: Option<&Platform>) -> Result<ImageConfig> {
        let key = layout_key(layout, platform);
        if let Some(known) = self.layouts.borrow().get(&key) {
            return Ok(known.config.clone());
        }
        let nobody = || Error::Unsupported("an OCI layout in a build of the classic protocol".into());
        let image = LentImage::open(Arc::clone(self.lent.as_ref().ok_or_else(nobody)?), layout, platform)?;
        let config = image.config.clone();
        self.layouts.borrow_mut().insert(key, image);
        Ok(config)
    }
}
