//! From layers' blobs to the documents that name them: manifests, attestations and the index. No I/O.

use std::collections::BTreeMap;

use ::build::attest::{self, Predicate};
use oci::manifest::REFERENCE_TYPE;
use oci::{Descriptor, Digest, Index, Platform, media_type};
use serde_json::json;
use store::{KeptManifest, Known, LayerBlob, PushPlan};

use super::{Annotations, ImageExport};
use crate::error::{Error, Result};
use crate::image::REFERENCE_DIGEST;

/// What an attestation's manifest is, by [`REFERENCE_TYPE`].
const ATTESTATION: &str = "attestation-manifest";
/// By which a layer of an attestation says what it is.
const PREDICATE: &str = "in-toto.io/predicate-type";
/// The system and processor of what is no image.
const UNKNOWN: &str = "unknown";

/// One platform's image.
pub(super) struct Part<'a> {
    pub(super) plan: &'a PushPlan,
    pub(super) blobs: Vec<LayerBlob>,
    pub(super) platform: Platform,
    pub(super) predicates: &'a [Predicate],
}

/// All documents of an export.
pub(super) struct Assembled {
    parts: Vec<AssembledPart>,
    index: Option<(Descriptor, Vec<u8>)>,
    /// The index, or the only manifest.
    pub(super) top: Descriptor,
}

struct AssembledPart {
    manifest: (Descriptor, Vec<u8>),
    blobs: Vec<LayerBlob>,
    companion: Option<Companion>,
}

/// An attestation: its manifest and what that names.
struct Companion {
    manifest: (Descriptor, Vec<u8>),
    parts: Vec<(Descriptor, Vec<u8>)>,
}

pub(super) fn assemble(parts: &[Part<'_>], export: &ImageExport, oci: bool) -> Result<Assembled> {
    let attested = parts.iter().any(|part| !part.predicates.is_empty());
    // Docker's media types have no names for attestations
    let oci = oci || attested;
    let mut done = Vec::with_capacity(parts.len());
    for part in parts {
        let annotations = Annotations::of(&export.annotations.manifest, &part.platform);
        let raw = part.plan.manifest_with(&part.blobs, oci, annotations)?;
        let digest = Digest::sha256(&raw.bytes);
        let mut descriptor = Descriptor::new(&raw.media_type, digest.clone(), raw.bytes.len() as u64);
        descriptor.platform = Some(part.platform.clone());
        descriptor.annotations = Annotations::of(&export.annotations.manifest_descriptor, &part.platform);
        let companion = match part.predicates {
            [] => None,
            predicates => {
                let statement = |predicate: &Predicate| {
                    (predicate.kind.clone(), predicate.statement(&export.names, &part.platform, &digest))
                };
                Some(companion(predicates.iter().map(statement).collect(), &digest)?)
            }
        };
        done.push(AssembledPart { manifest: (descriptor, raw.bytes), blobs: part.blobs.clone(), companion });
    }
    if done.len() == 1 && !attested {
        let mut top = done[0].manifest.0.clone();
        top.platform = None;
        done[0].manifest.0.platform = None;
        return Ok(Assembled { parts: done, index: None, top });
    }
    let images = done.iter().map(|part| part.manifest.0.clone());
    let companions = done.iter().filter_map(|part| Some(part.companion.as_ref()?.manifest.0.clone()));
    let kind = if oci { media_type::OCI_INDEX } else { media_type::DOCKER_MANIFEST_LIST };
    let index = Index {
        schema_version: 2,
        media_type: Some(kind.to_owned()),
        manifests: images.chain(companions).collect(),
        annotations: export.annotations.index.clone(),
    };
    let bytes = encode(&index)?;
    let top = descriptor(kind, &bytes);
    Ok(Assembled { parts: done, index: Some((top.clone(), bytes)), top })
}

fn encode(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::because("encode a manifest", error))
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Descriptor {
    Descriptor::new(media_type, Digest::sha256(bytes), bytes.len() as u64)
}

/// The attestation that holds these statements, as BuildKit writes it: an image of no platform, whose layers they are.
fn companion(statements: Vec<(String, Vec<u8>)>, about: &Digest) -> Result<Companion> {
    let digests: Vec<Digest> = statements.iter().map(|(_, bytes)| Digest::sha256(bytes)).collect();
    let config = encode(&json!({
        "architecture": UNKNOWN,
        "os": UNKNOWN,
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": digests },
    }))?;
    let mut parts = vec![(descriptor(media_type::OCI_CONFIG, &config), config)];
    for (kind, bytes) in statements {
        let mut layer = descriptor(attest::MEDIA_TYPE, &bytes);
        layer.annotations.insert(PREDICATE.to_owned(), kind);
        parts.push((layer, bytes));
    }
    let manifest = oci::Manifest {
        schema_version: 2,
        media_type: Some(media_type::OCI_MANIFEST.to_owned()),
        config: parts[0].0.clone(),
        layers: parts[1..].iter().map(|(descriptor, _)| descriptor.clone()).collect(),
        annotations: BTreeMap::new(),
    };
    let bytes = encode(&manifest)?;
    let mut descriptor = descriptor(media_type::OCI_MANIFEST, &bytes);
    descriptor.annotations.insert(REFERENCE_DIGEST.to_owned(), about.to_string());
    descriptor.annotations.insert(REFERENCE_TYPE.to_owned(), ATTESTATION.to_owned());
    descriptor.platform =
        Some(Platform { architecture: UNKNOWN.to_owned(), os: UNKNOWN.to_owned(), ..Platform::default() });
    Ok(Companion { manifest: (descriptor, bytes), parts })
}

impl Assembled {
    /// The bytes of everything but configurations and layers of images.
    pub(super) fn all(&self) -> impl Iterator<Item = &[u8]> {
        let companions = self.parts.iter().filter_map(|part| part.companion.as_ref());
        let parts = companions.clone().flat_map(|companion| &companion.parts);
        let parts = parts.map(|(_, bytes)| bytes.as_slice());
        let companions = companions.map(|companion| companion.manifest.1.as_slice());
        let manifests = self.parts.iter().map(|part| part.manifest.1.as_slice());
        let index = self.index.iter().map(|(_, bytes)| bytes.as_slice());
        parts.chain(companions).chain(manifests).chain(index)
    }

    /// The layers' blobs of an image.
    pub(super) fn blobs(&self, place: usize) -> &[LayerBlob] {
        self.parts.get(place).map(|part| part.blobs.as_slice()).unwrap_or_default()
    }

    /// What the store is to keep with an image.
    pub(super) fn known(&self, place: usize) -> Known {
        let part = &self.parts[place];
        let companions = part.companion.iter();
        let mut documents = vec![part.manifest.1.clone()];
        documents.extend(self.index.iter().map(|(_, bytes)| bytes.clone()));
        for companion in companions.clone() {
            documents.push(companion.manifest.1.clone());
            documents.extend(companion.parts.iter().map(|(_, bytes)| bytes.clone()));
        }
        let bare = |descriptor: &Descriptor| {
            Descriptor::new(&descriptor.media_type, descriptor.digest.clone(), descriptor.size)
        };
        let attachments = companions.clone().flat_map(|companion| &companion.parts);
        Known {
            manifest: KeptManifest {
                manifest: bare(&part.manifest.0),
                indexes: self.index.iter().map(|(index, _)| bare(index)).collect(),
                companions: companions.map(|companion| bare(&companion.manifest.0)).collect(),
                attachments: attachments.map(|(descriptor, _)| bare(descriptor)).collect(),
                repositories: Vec::new(),
            },
            documents,
            blobs: part.blobs.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attestation_is_an_image_of_no_platform() {
        let about = Digest::sha256(b"image");
        let statements = vec![
            ("https://slsa.dev/provenance/v0.2".to_owned(), b"{}".to_vec()),
            ("b".to_owned(), b"[]".to_vec()),
        ];
        let made = companion(statements, &about).unwrap();
        let oci::Document::Manifest(manifest) = oci::Document::parse(&made.manifest.1).unwrap() else {
            panic!("no manifest");
        };
        assert_eq!(manifest.layers.len(), 2);
        assert_eq!(manifest.layers[0].annotations[PREDICATE], "https://slsa.dev/provenance/v0.2");
        assert_eq!(manifest.layers[1].digest, Digest::sha256(b"[]"));
        let config = oci::Image::parse(made.parts[0].1.clone()).unwrap();
        assert_eq!(config.diff_ids(), [Digest::sha256(b"{}"), Digest::sha256(b"[]")]);
        let entry = &made.manifest.0;
        assert_eq!(entry.annotations[REFERENCE_DIGEST], about.to_string());
        assert_eq!(entry.platform.as_ref().unwrap().os, UNKNOWN);
    }
}
