//! Images of the client's own, in image layouts that it lends (`oci-layout://`).

use std::sync::Arc;

use ::build::cache::exchange::IncomingLayer;
use ::build::graph::OciLayoutSource;
use ::build::{Cancel, Error, Result};
use oci::manifest::MAX_DOCUMENT;
use oci::{Document, Image, ImageConfig, Platform};
use registry::client::Target;
use store::{Hold, Store};

use super::super::lent::Lent;
use super::origin::Origin;

/// What begins the name that a client's session gives an image layout.
const STORE: &str = "oci:";

/// An image of the client's that was looked up.
pub(in crate::build) struct LentImage {
    /// What it says of itself.
    pub(in crate::build) config: ImageConfig,
    layers: Vec<IncomingLayer>,
    origin: Origin,
    what: String,
}

impl LentImage {
    /// Reads what an image is; its layers stay where they are.
    ///
    /// # Errors
    /// It is not there, or not for this platform, or malformed.
    pub(in crate::build) fn open(
        lent: Arc<dyn Lent>,
        layout: &OciLayoutSource,
        platform: Option<&Platform>,
    ) -> Result<Self> {
        let what = format!("load {} from the client's image layout", layout.reference.familiar());
        let digest = layout.reference.digest();
        let digest = digest.ok_or_else(|| Error::Invalid(format!("{what}: its digest is not said")))?;
        let origin = Origin::Client(lent, format!("{STORE}{}", layout.store));
        let manifest = match origin.manifest(&Target::Digest(digest.clone()), &what)? {
            Document::Manifest(manifest) => manifest,
            Document::Index(index) => {
                let wanted = platform.cloned().unwrap_or_else(Platform::host);
                let ranked = index.manifests.iter().filter_map(|one| {
                    // one that doesn't say is for whoever asks, after those that do
                    let rank = match &one.platform {
                        Some(offered) => wanted.rank(offered)?,
                        None => usize::MAX,
                    };
                    Some((rank, one))
                });
                let best = ranked.min_by_key(|(rank, _)| *rank).map(|(_, one)| one);
                let best =
                    best.ok_or_else(|| Error::Invalid(format!("{what}: no match for platform {wanted}")))?;
                match origin.manifest(&Target::Digest(best.digest.clone()), &what)? {
                    Document::Manifest(manifest) => manifest,
                    Document::Index(_) => {
                        return Err(Error::Invalid(format!("{what}: an index within an index is no image")));
                    }
                }
            }
        };
        let bytes = origin.small(&manifest.config, MAX_DOCUMENT, &what)?;
        let image = Image::parse(bytes.to_vec()).map_err(|error| Error::because(&what, error))?;
        if image.diff_ids().len() != manifest.layers.len() {
            return Err(Error::Invalid(format!("{what}: it has not one blob for each layer")));
        }
        let layers = manifest.layers.into_iter().zip(image.diff_ids().iter().cloned()).collect();
        Ok(Self { config: image.config().clone(), layers, origin, what })
    }

    /// Brings its layers.
    ///
    /// # Errors
    /// They can't be had, or are not what they are said to be.
    pub(in crate::build) fn fetch(&self, store: &Store, cancel: &Cancel) -> Result<Hold> {
        self.origin.stack(store, &self.layers, cancel, &self.what)
    }
}
