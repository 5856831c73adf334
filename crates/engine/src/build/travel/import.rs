//! Results from elsewhere: what there is is read before the build, layers are fetched when one of them is used.

use std::sync::Arc;

use ::build::cache::exchange::{CONFIG_TYPE, Incoming, IncomingLayer, MAX_CONFIG};
use ::build::{Cancel, Error, Result};
use jiff::Timestamp;
use oci::manifest::MAX_DOCUMENT;
use oci::{Descriptor, Digest, Document, Image, Platform, Reference};
use registry::client::Target;
use store::{Hold, Store};

use super::super::lent::Lent;
use super::origin::Origin;
use super::{CacheImport, STORE};
use crate::engine::Inner;
use crate::registry::Credentials;

/// A cache that a build looks at.
pub(in crate::build) struct Imported {
    name: String,
    known: Vec<Incoming>,
    origin: Origin,
}

/// The layers of each output, held, and when they were made.
pub(in crate::build) type Fetched = (Vec<(u32, Hold)>, Timestamp);

/// Reads what there is.
///
/// # Errors
/// It is not there, or is none.
pub(in crate::build) fn open(
    engine: &Inner,
    runtime: &tokio::runtime::Handle,
    import: &CacheImport,
    lent: &Arc<dyn Lent>,
    credentials: &dyn Fn(&Reference) -> Result<Credentials>,
) -> Result<Imported> {
    let (name, origin, target) = match import {
        CacheImport::Registry(reference) => {
            let repository = engine.registries.current().repository(reference, &credentials(reference)?);
            let origin = Origin::Registry(repository, runtime.clone());
            (reference.familiar(), origin, Target::of(reference))
        }
        CacheImport::Client { src, digest } => {
            let origin = Origin::Client(Arc::clone(lent), format!("{STORE}{src}"));
            (src.clone(), origin, Target::Digest(digest.clone()))
        }
    };
    let mut imported = Imported { name, known: Vec::new(), origin };
    let found = imported.manifest(&target)?;
    imported.read(found)?;
    if imported.known.iter().all(Incoming::is_empty) {
        tracing::info!(cache = %imported.name, "nothing of this cache can be used");
    }
    Ok(imported)
}

impl Imported {
    fn manifest(&self, target: &Target) -> Result<Document> {
        self.origin.manifest(target, &format!("import the cache {}", self.name))
    }

    /// A cache as a manifest or as an index, an image, or an index of images.
    fn read(&mut self, found: Document) -> Result<()> {
        let manifest = match found {
            Document::Manifest(manifest) => manifest,
            Document::Index(index) => {
                if let Some(config) = index.manifests.iter().find(|one| one.media_type == CONFIG_TYPE) {
                    return self.read_cache(config, &index.manifests);
                }
                let host = Platform::host();
                let ours = |one: &&Descriptor| one.platform.as_ref().is_some_and(|own| own.matches(&host));
                let Some(ours) = index.manifests.iter().find(ours) else { return Ok(()) };
                match self.manifest(&Target::Digest(ours.digest.clone()))? {
                    Document::Manifest(manifest) => manifest,
                    Document::Index(_) => return Ok(()),
                }
            }
        };
        if manifest.config.media_type == CONFIG_TYPE {
            return self.read_cache(&manifest.config, &manifest.layers);
        }
        self.read_image(&manifest)
    }

    fn read_cache(&mut self, config: &Descriptor, blobs: &[Descriptor]) -> Result<()> {
        let what = format!("import the cache {}", self.name);
        let bytes = self.origin.small(config, MAX_CONFIG as u64, &what)?;
        self.known.push(Incoming::read(&bytes, blobs)?);
        Ok(())
    }

    /// An image that carries what has led to it.
    fn read_image(&mut self, manifest: &oci::Manifest) -> Result<()> {
        use base64::Engine as _;
        let what = format!("import the cache {}", self.name);
        let bytes = self.origin.small(&manifest.config, MAX_DOCUMENT, &what)?;
        let image = Image::parse(bytes.to_vec())
            .map_err(|error| Error::because(format!("read the configuration of {}", self.name), error))?;
        let Some(cache) = &image.config().build_cache else { return Ok(()) };
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(cache)
            .map_err(|error| Error::because(format!("read the cache of {}", self.name), error))?;
        if image.diff_ids().len() != manifest.layers.len() {
            return Err(Error::Invalid(format!("{} has not one blob for each layer", self.name)));
        }
        let layers: Vec<IncomingLayer> =
            manifest.layers.iter().cloned().zip(image.diff_ids().iter().cloned()).collect();
        self.known.push(Incoming::inline(&bytes, &layers)?);
        Ok(())
    }

    /// The layers of each output of a piece of work, fetched; `None` when this cache doesn't have all of them.
    ///
    /// # Errors
    /// They can't be had, or are not what they are said to be.
    pub(in crate::build) fn fetch(
        &self,
        store: &Store,
        key: &Digest,
        outputs: &[u32],
        cancel: &Cancel,
    ) -> Result<Option<Fetched>> {
        let find = |known: &Incoming| -> Option<Vec<_>> {
            outputs.iter().map(|output| Some((*output, known.find(key, *output)?))).collect()
        };
        let Some(found) = self.known.iter().find_map(find) else { return Ok(None) };
        let made = found.iter().map(|(_, (_, at))| *at).max().unwrap_or(Timestamp::UNIX_EPOCH);
        let what = format!("take layers of the cache {}", self.name);
        let holds = found
            .into_iter()
            .map(|(output, (layers, _))| Ok((output, self.origin.stack(store, &layers, cancel, &what)?)));
        Ok(Some((holds.collect::<Result<_>>()?, made)))
    }
}
