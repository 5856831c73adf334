//! From a reference to the documents of one image: index, manifest, config.

use oci::manifest::{MAX_DOCUMENT, REFERENCE_TYPE};
use oci::{Descriptor, Digest, Document, Index, Platform, Reference};
use registry::client::{Repository, Target};
use store::{PullRequest, RawDocument};

use crate::container::task::blocking;
use crate::engine::Inner;
use crate::error::{Error, Result};
use crate::image::manifests::REFERENCE_DIGEST;
use crate::registry::{Doing, failed};

/// Indexes that may lie within each other.
const DEPTH: usize = 4;
/// Manifests that accompany one and are fetched with it.
const COMPANIONS: usize = 16;
/// Longest statement of an attestation that is kept, and most bytes of all of an image's.
const MAX_STATEMENT: u64 = 32 << 20;
const MAX_STATEMENTS: u64 = 128 << 20;
/// Platforms that an error names.
const NAMED: usize = 12;

/// Asks for documents; those that the store has are not fetched.
pub(super) struct Documents<'a> {
    pub(super) engine: &'a Inner,
    pub(super) repository: &'a Repository,
    pub(super) reference: &'a Reference,
}

/// What a reference leads to.
pub(super) struct Found {
    pub(super) request: PullRequest,
    /// Digest of the topmost document: the repository's digest of the image.
    pub(super) top: Digest,
    /// Digest of the config: the image's id.
    pub(super) config: Digest,
}

impl Documents<'_> {
    /// Finds the image for a platform, below (or in) the document that the reference means.
    pub(super) async fn find(&self, top: RawDocument, wanted: &Platform) -> Result<Found> {
        let mut raw = top;
        let top = Digest::sha256(&raw.bytes);
        let mut indexes = Vec::new();
        let mut companions = Vec::new();
        loop {
            let digest = Digest::sha256(&raw.bytes);
            let document =
                Document::parse(&raw.bytes).map_err(|error| Error::system(format!("{digest}: {error}")))?;
            match document {
                Document::Index(_) if indexes.len() == DEPTH => {
                    return Err(Error::system(format!("{top}: more than {DEPTH} indexes within each other")));
                }
                Document::Index(index) => {
                    let chosen = choose(&index, wanted)?;
                    companions = accompanying(&index, &chosen.digest);
                    indexes.push(std::mem::replace(&mut raw, self.document(chosen).await?));
                }
                Document::Manifest(manifest) => {
                    let config = self.config(&manifest.config).await?;
                    runs_here(&config)?;
                    let mut documents = Vec::with_capacity(companions.len());
                    for companion in &companions {
                        documents.push(self.document(companion).await?);
                    }
                    let attachments = self.attachments(&documents).await?;
                    let request = PullRequest {
                        name: self.reference.clone(),
                        config,
                        manifest: raw,
                        indexes,
                        companions: documents,
                        attachments,
                    };
                    return Ok(Found { request, top, config: manifest.config.digest });
                }
            }
        }
    }

    /// The document that the reference itself means. Where something is known of it, its digest is asked for first.
    pub(super) async fn top(&self) -> Result<RawDocument> {
        if let Some(digest) = self.reference.digest() {
            // The registry is asked even so: not everybody may have what is here.
            let target = Target::Digest(digest.clone());
            let descriptor = self.repository.resolve(&target).await.map_err(|e| self.failed(e))?;
            return self.document(&descriptor).await;
        }
        let target = Target::of(self.reference);
        if super::known(self.engine, self.reference).is_some() {
            let descriptor = self.repository.resolve(&target).await.map_err(|e| self.failed(e))?;
            return self.document(&descriptor).await;
        }
        self.fetch(&target).await
    }

    async fn fetch(&self, target: &Target) -> Result<RawDocument> {
        let found = self.repository.manifest(target).await.map_err(|error| self.failed(error))?;
        Ok(RawDocument { media_type: found.descriptor.media_type, bytes: found.bytes.to_vec() })
    }

    /// A manifest or index by its digest.
    async fn document(&self, descriptor: &Descriptor) -> Result<RawDocument> {
        match self.stored(&descriptor.digest).await {
            Some(bytes) => Ok(RawDocument { media_type: descriptor.media_type.clone(), bytes }),
            None => self.fetch(&Target::Digest(descriptor.digest.clone())).await,
        }
    }

    /// What attestations are made of. One that is larger than any honest one, or that the registry doesn't have, is
    /// left out: the image runs without it.
    async fn attachments(&self, companions: &[RawDocument]) -> Result<Vec<(Descriptor, Vec<u8>)>> {
        let mut all: Vec<(Descriptor, Vec<u8>)> = Vec::new();
        let mut left = MAX_STATEMENTS;
        for companion in companions {
            let Ok(Document::Manifest(manifest)) = Document::parse(&companion.bytes) else { continue };
            for part in [manifest.config].into_iter().chain(manifest.layers) {
                let known = all.iter().any(|(known, _)| known.digest == part.digest);
                if known || part.size > MAX_STATEMENT.min(left) {
                    continue;
                }
                left -= part.size;
                if let Some(bytes) = self.stored(&part.digest).await {
                    all.push((part, bytes));
                    continue;
                }
                match self.repository.small_blob(&part, MAX_STATEMENT).await {
                    Ok(bytes) => all.push((part, bytes.to_vec())),
                    Err(error) if error.is_not_found() => {
                        tracing::info!(blob = %part.digest, "an attestation's part is not in its registry");
                    }
                    Err(error) => {
                        return Err(failed(error, Doing::Fetching(self.reference, &part.digest)));
                    }
                }
            }
        }
        Ok(all)
    }

    async fn config(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        if let Some(bytes) = self.stored(&descriptor.digest).await {
            return Ok(bytes);
        }
        let fetched = self.repository.small_blob(descriptor, MAX_DOCUMENT).await;
        let doing = Doing::Fetching(self.reference, &descriptor.digest);
        Ok(fetched.map_err(|error| failed(error, doing))?.to_vec())
    }

    async fn stored(&self, digest: &Digest) -> Option<Vec<u8>> {
        let (store, digest) = (self.engine.store.clone(), digest.clone());
        blocking(move || Ok(store.document(&digest).ok())).await.ok().flatten()
    }

    fn failed(&self, error: registry::client::Error) -> Error {
        failed(error, Doing::Pulling(self.reference))
    }
}

/// An image without an index to choose from may be for another system altogether.
fn runs_here(config: &[u8]) -> Result<()> {
    // what is no image's configuration is refused with a reason later on
    let Ok(image) = oci::Image::parse(config.to_vec()) else { return Ok(()) };
    match image.platform().os.as_str() {
        "" | "linux" => Ok(()),
        other => Err(Error::bad_parameter(format!(
            "image operating system {other:?} cannot be used on this platform: no matching manifest for linux"
        ))),
    }
}

/// The entry of an index that serves a platform best; one that names no platform serves any.
fn choose<'a>(index: &'a Index, wanted: &Platform) -> Result<&'a Descriptor> {
    let rank = |entry: &Descriptor| match &entry.platform {
        Some(platform) => wanted.rank(platform),
        None => Some(usize::MAX),
    };
    let images = index.manifests.iter().filter(|entry| !entry.annotations.contains_key(REFERENCE_TYPE));
    let best = images.clone().filter_map(|entry| Some((rank(entry)?, entry))).min_by_key(|(rank, _)| *rank);
    best.map(|(_, entry)| entry).ok_or_else(|| {
        let mut platforms: Vec<String> =
            images.filter_map(|entry| entry.platform.as_ref()).map(ToString::to_string).collect();
        platforms.dedup();
        let more = if platforms.len() > NAMED { ", …" } else { "" };
        platforms.truncate(NAMED);
        let list = if platforms.is_empty() { "none".to_owned() } else { platforms.join(", ") };
        Error::not_found(format!(
            "no matching manifest for {wanted} in the manifest list entries (there are: {list}{more})"
        ))
    })
}

/// What an index says about one of its manifests (attestations).
fn accompanying(index: &Index, digest: &Digest) -> Vec<Descriptor> {
    let about = |entry: &&Descriptor| {
        entry.annotations.contains_key(REFERENCE_TYPE)
            && entry.annotations.get(REFERENCE_DIGEST).is_some_and(|about| about == digest.as_str())
    };
    index.manifests.iter().filter(about).take(COMPANIONS).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(n: u8, platform: &str) -> Descriptor {
        let mut entry = Descriptor::new("m", Digest::sha256(&[n]), 1);
        entry.platform = (!platform.is_empty()).then(|| Platform {
            os: "linux".into(),
            architecture: platform.into(),
            ..Platform::default()
        });
        entry
    }

    fn index(manifests: Vec<Descriptor>) -> Index {
        Index { schema_version: 2, media_type: None, manifests, annotations: Default::default() }
    }

    #[test]
    fn the_platform_is_chosen_or_all_are_named() {
        let all = index(vec![entry(1, "arm64"), entry(2, "amd64"), entry(3, "")]);
        let amd64 = Platform::parse("linux/amd64").unwrap();
        assert_eq!(choose(&all, &amd64).unwrap().digest, entry(2, "").digest);
        assert_eq!(
            choose(&all, &Platform::parse("linux/s390x").unwrap()).unwrap().digest,
            entry(3, "").digest
        );
        let two = index(vec![entry(1, "arm64"), entry(2, "386")]);
        let error = choose(&two, &Platform::parse("linux/s390x").unwrap());
        assert_eq!(
            error.unwrap_err().to_string(),
            "no matching manifest for linux/s390x in the manifest list entries (there are: linux/arm64, linux/386)"
        );
        assert!(choose(&index(Vec::new()), &amd64).unwrap_err().to_string().contains("there are: none"));
    }

    #[test]
    fn attestations_are_no_images() {
        let mut attestation = entry(9, "");
        attestation.annotations.insert(REFERENCE_TYPE.into(), "attestation-manifest".into());
        attestation.annotations.insert(REFERENCE_DIGEST.into(), entry(1, "").digest.to_string());
        let all = index(vec![attestation.clone(), entry(1, "amd64"), entry(2, "arm64")]);
        let wanted = Platform::parse("linux/amd64").unwrap();
        assert_eq!(choose(&all, &wanted).unwrap().digest, entry(1, "").digest);
        assert_eq!(accompanying(&all, &entry(1, "").digest), [attestation]);
        assert!(accompanying(&all, &entry(2, "").digest).is_empty());
    }
}
