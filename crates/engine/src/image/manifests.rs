//! The manifests of an image: what the index that it came with lists, and what of that is here.

use std::collections::HashMap;
use std::sync::Arc;

use oci::manifest::REFERENCE_TYPE;
use oci::{Descriptor, Digest, Document, Index, Platform};
use store::{ImageSummary, KeptManifest};

use crate::Engine;
use crate::container::task::blocking;
use crate::engine::Inner;
use crate::error::{Error, Result};

/// What an attestation's descriptor says it is about.
pub(crate) const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";

/// An image's manifests.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Manifests {
    /// The index, or the manifest of an image without one; `None` for an image that was made here and never pushed.
    pub descriptor: Option<Descriptor>,
    /// All that the index lists, in its order.
    pub all: Vec<ManifestSummary>,
}

/// One manifest of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct ManifestSummary {
    /// As the index lists it.
    pub descriptor: Descriptor,
    /// All that it refers to is here.
    pub available: bool,
    /// Bytes of its documents that are here; layers are unpacked, and do not count.
    pub content: u64,
    /// What it is.
    pub kind: ManifestKind,
}

/// What a manifest is.
#[derive(Debug, Clone, PartialEq)]
pub enum ManifestKind {
    /// An image for a platform.
    Image {
        /// What for.
        platform: Platform,
        /// Ids of containers that use it.
        containers: Vec<String>,
        /// Bytes of its layers, unpacked; 0 when it is not here.
        unpacked: u64,
    },
    /// Says something about another one.
    Attestation {
        /// Digest of that one.
        about: String,
    },
}

impl Engine {
    /// The manifests of these images, in the same order.
    ///
    /// # Errors
    /// One of them is not here any more; a document can't be read.
    pub async fn image_manifests(&self, ids: Vec<String>) -> Result<Vec<Manifests>> {
        let engine = Arc::clone(&self.0);
        blocking(move || {
            let here = Here::read(&engine);
            ids.iter().map(|id| here.manifests(id)).collect()
        })
        .await
    }
}

/// The manifests that are here, and whose they are.
struct Here<'a> {
    engine: &'a Inner,
    images: HashMap<Digest, ImageSummary>,
    owners: HashMap<Digest, Digest>,
}

impl<'a> Here<'a> {
    fn read(engine: &'a Inner) -> Self {
        let images = engine.store.images();
        let owners = images.iter().flat_map(|image| {
            // one that goes meanwhile has none
            let kept = engine.store.manifests(&image.id).unwrap_or_default();
            kept.into_iter().map(|kept| (kept.manifest.digest, image.id.clone()))
        });
        let owners = owners.collect();
        Self { engine, images: images.into_iter().map(|image| (image.id.clone(), image)).collect(), owners }
    }

    fn manifests(&self, id: &str) -> Result<Manifests> {
        let image = super::parse_id(id).ok_or_else(|| Error::no_such_image(id))?;
        let kept = self.engine.store.manifests(&image)?;
        let Some(kept) = kept.into_iter().next() else { return Ok(Manifests::default()) };
        let descriptor = Some(kept.top().clone());
        let all = match kept.indexes.last() {
            Some(index) => self.listed(&kept, &index.digest)?,
            None => vec![self.image(&kept.manifest)],
        };
        Ok(Manifests { descriptor, all })
    }

    fn listed(&self, kept: &KeptManifest, index: &Digest) -> Result<Vec<ManifestSummary>> {
        let bytes = self.engine.store.document(index)?;
        let index: Index = match Document::parse(&bytes) {
            Ok(Document::Index(index)) => index,
            _ => return Err(Error::system(format!("{index} is no index any more"))),
        };
        let one = |entry: &Descriptor| {
            if !entry.annotations.contains_key(REFERENCE_TYPE) {
                return self.image(entry);
            }
            let here = kept.companions.iter().any(|companion| companion.digest == entry.digest);
            let parts = |digest: &Digest| match Document::parse(&self.engine.store.document(digest)?) {
                Ok(Document::Manifest(manifest)) => {
                    let parts = [manifest.config].into_iter().chain(manifest.layers);
                    Ok::<_, Error>(parts.map(|part| part.digest).collect::<Vec<_>>())
                }
                _ => Ok(Vec::new()),
            };
            let parts = if here { parts(&entry.digest).unwrap_or_default() } else { Vec::new() };
            let kept = |part: &Digest| kept.attachments.iter().any(|kept| kept.digest == *part);
            ManifestSummary {
                descriptor: entry.clone(),
                available: !parts.is_empty() && parts.iter().all(kept),
                content: if here { entry.size } else { 0 },
                kind: ManifestKind::Attestation {
                    about: entry.annotations.get(REFERENCE_DIGEST).cloned().unwrap_or_default(),
                },
            }
        };
        Ok(index.manifests.iter().map(one).collect())
    }

    fn image(&self, descriptor: &Descriptor) -> ManifestSummary {
        let owner = self.owners.get(&descriptor.digest).and_then(|id| self.images.get(id));
        let platform = descriptor.platform.clone();
        let Some(image) = owner else {
            let platform = platform.unwrap_or_default();
            let kind = ManifestKind::Image { platform, containers: Vec::new(), unpacked: 0 };
            return ManifestSummary { descriptor: descriptor.clone(), available: false, content: 0, kind };
        };
        let users = super::verb::uses(self.engine, &image.id);
        ManifestSummary {
            descriptor: descriptor.clone(),
            available: true,
            content: descriptor.size + image.image.raw().len() as u64,
            kind: ManifestKind::Image {
                platform: platform.unwrap_or_else(|| image.image.platform()),
                containers: users.into_iter().map(|user| user.container).collect(),
                unpacked: image.size,
            },
        }
    }
}
