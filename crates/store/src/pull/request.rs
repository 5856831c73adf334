//! What a registry says of an image, checked before a byte of it is fetched.

use std::sync::Arc;

use oci::{Algorithm, Descriptor, Digest, Document, Image, Manifest, Reference, media_type};

use crate::image::KeptManifest;
use crate::limits::Limits;
use crate::{Error, Result};

/// Indexes within indexes, and manifests that accompany one.
const MAX_DOCUMENTS: usize = 64;

/// A document as a registry has sent it.
#[derive(Clone, Debug)]
pub struct RawDocument {
    /// Its media type.
    pub media_type: String,
    /// Its exact bytes.
    pub bytes: Vec<u8>,
}

impl RawDocument {
    fn descriptor(&self) -> Descriptor {
        Descriptor::new(&self.media_type, Digest::sha256(&self.bytes), self.bytes.len() as u64)
    }

    fn parse(&self) -> Result<Document> {
        let digest = Digest::sha256(&self.bytes);
        let document = Document::parse(&self.bytes).map_err(|e| Error::Document(format!("{digest}: {e}")))?;
        let fits = match &document {
            Document::Manifest(_) => media_type::is_manifest(&self.media_type),
            Document::Index(_) => media_type::is_index(&self.media_type),
        };
        if fits { Ok(document) } else { Err(unexpected(&digest, &self.media_type)) }
    }
}

/// An image to be pulled.
#[derive(Clone, Debug)]
pub struct PullRequest {
    /// The name that was asked for: the image gets its tag, if there is one, and the repository's digest of it.
    pub name: Reference,
    /// The image's config.
    pub config: Vec<u8>,
    /// Its manifest.
    pub manifest: RawDocument,
    /// The indexes that led to the manifest, topmost first.
    pub indexes: Vec<RawDocument>,
    /// Manifests of the last index that say something about this one (attestations).
    pub companions: Vec<RawDocument>,
    /// What the companions are made of, as far as it is to be kept.
    pub attachments: Vec<(Descriptor, Vec<u8>)>,
}

/// A request whose parts belong together.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) image: Arc<Image>,
    pub(super) layers: Vec<Descriptor>,
    pub(super) names: Vec<Reference>,
    pub(super) repository: String,
    pub(super) kept: KeptManifest,
    pub(super) documents: Vec<(Digest, Vec<u8>)>,
}

fn unexpected(digest: &Digest, media_type: &str) -> Error {
    Error::Document(format!("{digest}: unsupported media type {media_type:?}: not an image"))
}

pub(super) fn check(request: PullRequest, limits: &Limits) -> Result<Checked> {
    let count = request.indexes.len() + request.companions.len();
    if count > MAX_DOCUMENTS {
        let what = "number of indexes and attestations".into();
        return Err(Error::Limit { what, limit: MAX_DOCUMENTS as u64 });
    }
    let Document::Manifest(manifest) = request.manifest.parse()? else {
        return Err(unexpected(&Digest::sha256(&request.manifest.bytes), &request.manifest.media_type));
    };
    let image = config(&request, &manifest)?;
    layers(&manifest.layers, limits)?;
    let kept = KeptManifest {
        manifest: request.manifest.descriptor(),
        indexes: request.indexes.iter().map(RawDocument::descriptor).collect(),
        companions: request.companions.iter().map(RawDocument::descriptor).collect(),
        attachments: request.attachments.iter().map(|(descriptor, _)| descriptor.clone()).collect(),
        repositories: vec![request.name.name()],
    };
    chain(&request, &kept)?;
    attachments(&request)?;
    let top = kept.top().digest.clone();
    if let Some(expected) = request.name.digest().filter(|digest| **digest != top) {
        let (what, expected) = (request.name.familiar(), expected.clone());
        return Err(Error::DigestMismatch { what, expected, actual: top });
    }
    let tagged = request.name.tag().filter(|_| request.name.digest().is_none());
    let mut names = vec![request.name.clone().with_digest(top)];
    names.extend(tagged.map(|tag| request.name.clone().with_tag(tag)).transpose()?);
    let attached = request.attachments.into_iter().map(|(descriptor, bytes)| (descriptor.digest, bytes));
    let all = [request.manifest].into_iter().chain(request.indexes).chain(request.companions);
    let all = all.map(|document| (Digest::sha256(&document.bytes), document.bytes));
    Ok(Checked {
        image,
        layers: manifest.layers,
        names,
        repository: request.name.name(),
        kept,
        documents: all.chain(attached).collect(),
    })
}

fn config(request: &PullRequest, manifest: &Manifest) -> Result<Arc<Image>> {
    let (config, bytes) = (&manifest.config, &request.config);
    if !media_type::is_config(&config.media_type) {
        return Err(unexpected(&config.digest, &config.media_type));
    }
    let actual = Digest::sha256(bytes);
    if actual != config.digest || bytes.len() as u64 != config.size {
        let (what, expected) = ("image config".into(), config.digest.clone());
        return Err(Error::DigestMismatch { what, expected, actual });
    }
    let image = Image::parse(bytes.clone()).map_err(|error| Error::Document(error.to_string()))?;
    let (found, expected) = (manifest.layers.len(), image.diff_ids().len());
    if found != expected {
        return Err(Error::Document(format!(
            "invalid manifest: it has {found} layers, and the image config has {expected}"
        )));
    }
    if let Some(id) = image.diff_ids().iter().find(|id| id.algorithm() != Algorithm::Sha256) {
        return Err(Error::Document(format!("diffID {id}: unsupported digest algorithm")));
    }
    Ok(Arc::new(image))
}

fn layers(layers: &[Descriptor], limits: &Limits) -> Result<()> {
    for layer in layers {
        if !media_type::is_layer(&layer.media_type) {
            return Err(unexpected(&layer.digest, &layer.media_type));
        }
        if layer.digest.algorithm() != Algorithm::Sha256 {
            return Err(Error::Document(format!("layer {}: unsupported digest algorithm", layer.digest)));
        }
        if layer.size > limits.tar.bytes {
            let what = format!("size of layer {}", layer.digest);
            return Err(Error::Limit { what, limit: limits.tar.bytes });
        }
    }
    Ok(())
}

/// Each is what its descriptor says, and a part of a companion.
fn attachments(request: &PullRequest) -> Result<()> {
    let mut named = Vec::new();
    for companion in &request.companions {
        if let Document::Manifest(manifest) = companion.parse()? {
            named.extend([manifest.config].into_iter().chain(manifest.layers));
        }
    }
    for (descriptor, bytes) in &request.attachments {
        let actual = Digest::sha256(bytes);
        if actual != descriptor.digest || bytes.len() as u64 != descriptor.size {
            let (what, expected) = ("attestation".into(), descriptor.digest.clone());
            return Err(Error::DigestMismatch { what, expected, actual });
        }
        if !named.iter().any(|named| named.digest == descriptor.digest) {
            return Err(Error::Document(format!("no attestation names {}", descriptor.digest)));
        }
    }
    Ok(())
}

/// Each index lists what follows it.
fn chain(request: &PullRequest, kept: &KeptManifest) -> Result<()> {
    let following = kept.indexes.iter().skip(1).chain([&kept.manifest]);
    for (position, (raw, next)) in request.indexes.iter().zip(following).enumerate() {
        let Document::Index(index) = raw.parse()? else {
            return Err(unexpected(&kept.indexes[position].digest, &raw.media_type));
        };
        let lists = |wanted: &Descriptor| {
            index.manifests.iter().any(|d| d.digest == wanted.digest && d.size == wanted.size)
        };
        let last = position + 1 == request.indexes.len();
        let mut wanted = std::iter::once(next).chain(kept.companions.iter().filter(|_| last));
        if let Some(stranger) = wanted.find(|wanted| !lists(wanted)) {
            let index = &kept.indexes[position].digest;
            return Err(Error::Document(format!("index {index} does not list {}", stranger.digest)));
        }
    }
    match kept.companions.first() {
        Some(companion) if kept.indexes.is_empty() => {
            Err(Error::Document(format!("{}: an attestation without an index", companion.digest)))
        }
        _ => Ok(()),
    }
}
