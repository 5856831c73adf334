//! `GET /distribution/{name}/json`: what a registry says of an image, without pulling it.

use oci::manifest::MAX_DOCUMENT;
use oci::{Descriptor, Document, Platform, Reference};
use registry::client::{Repository, Target};

use crate::Engine;
use crate::error::{Error, Result};
use crate::registry::{Credentials, Doing, failed};

/// An image as its registry has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    /// Of the topmost document.
    pub descriptor: Descriptor,
    /// What it is for.
    pub platforms: Vec<Platform>,
}

impl Engine {
    /// Asks a registry about an image.
    ///
    /// # Errors
    /// The reference is malformed; the registry doesn't have it, or can't be asked.
    pub async fn image_distribution(&self, name: &str, credentials: Credentials) -> Result<Distribution> {
        let reference = match oci::AnyReference::parse(name) {
            Ok(oci::AnyReference::Named(reference)) => reference.with_default_tag(),
            Ok(oci::AnyReference::Id(_)) => {
                return Err(Error::bad_parameter(format!("unknown image reference format: {name}")));
            }
            Err(error) => return Err(Error::bad_parameter(error.to_string())),
        };
        let current = self.0.registries.current();
        let repository = current.repository(&reference, &credentials);
        ask(&repository, &reference).await
    }
}

async fn ask(repository: &Repository, reference: &Reference) -> Result<Distribution> {
    let failed = |error| failed(error, Doing::Asking);
    let found = repository.manifest(&Target::of(reference)).await.map_err(failed)?;
    let platforms = match found.document {
        Document::Index(index) => {
            index.manifests.into_iter().filter_map(|descriptor| descriptor.platform).collect()
        }
        Document::Manifest(manifest) if oci::media_type::is_config(&manifest.config.media_type) => {
            let config = repository.small_blob(&manifest.config, MAX_DOCUMENT).await.map_err(failed)?;
            let image =
                oci::Image::parse(config.to_vec()).map_err(|error| Error::system(error.to_string()))?;
            vec![image.platform()]
        }
        // something else than an image is for no platform
        Document::Manifest(_) => Vec::new(),
    };
    Ok(Distribution { descriptor: found.descriptor, platforms })
}
