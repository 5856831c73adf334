//! What the archive asks for, in whichever layout it does.

use std::sync::Arc;

use oci::{Digest, Image, Reference};

use super::archive::Contents;
use super::{docker, oci_layout};
use crate::{Error, Result};

/// An image that the archive describes.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) image: Arc<Image>,
    pub(super) names: Vec<Reference>,
    /// Names of the layers' files, lowest first.
    pub(super) layers: Vec<String>,
}

impl Wanted {
    /// Checks that config and layers belong together.
    pub(super) fn new(config: &[u8], names: Vec<Reference>, layers: Vec<String>) -> Result<Self> {
        let image = Image::parse(config.to_vec()).map_err(|error| Error::Document(error.to_string()))?;
        let (found, expected) = (layers.len(), image.diff_ids().len());
        if found != expected {
            return Err(Error::Archive(format!(
                "invalid manifest, layers length mismatch: expected {expected}, got {found}"
            )));
        }
        let sha256 = |id: &Digest| id.algorithm() == oci::Algorithm::Sha256;
        if let Some(id) = image.diff_ids().iter().find(|id| !sha256(id)) {
            return Err(Error::Document(format!("diffID {id}: unsupported digest algorithm")));
        }
        Ok(Self { image: Arc::new(image), names, layers })
    }
}

/// All images of the archive. `manifest.json` is what Docker reads; an OCI layout without one has its index.
pub(super) fn images(contents: &Contents) -> Result<Vec<Wanted>> {
    if let Some(manifest) = contents.document("manifest.json") {
        return docker::images(contents, manifest);
    }
    if let Some(index) = contents.document("index.json") {
        return oci_layout::images(contents, index);
    }
    Err(Error::Archive("does not contain a manifest.json".into()))
}
