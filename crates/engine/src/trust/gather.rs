//! Signatures from the registry that an image is pulled from, before any of its layers is fetched.

use std::sync::Arc;

use ::trust::{Candidate, Evidence, Image, ManifestBytes, Origin, discover, limits};
use oci::{Digest, Document, Reference};
use registry::client::{Repository, Target};

use super::evidence;
use crate::container::task::blocking;
use crate::engine::Inner;
use crate::error::{Error, Result};

/// Whether the policy lets an image in: `manifests` are the bytes of what the reference leads to, then those of
/// what was chosen from it, down to the manifest of `image`. Signatures that it rests on are kept.
///
/// # Errors
/// The policy refuses it; the registry fails to say which signatures there are.
pub(crate) async fn admit(
    engine: &Arc<Inner>,
    repository: &Repository,
    reference: &Reference,
    manifests: Vec<Vec<u8>>,
    image: &Digest,
) -> Result<()> {
    let reading = Arc::clone(engine);
    let Some(policy) = blocking(move || reading.policy()).await? else { return Ok(()) };
    let manifests: Vec<_> = manifests.into_iter().map(ManifestBytes::whole).collect();
    let wanted = policy.rule(reference, Origin::Registry).wants_signatures();
    let mut candidates = Vec::new();
    if wanted {
        for manifest in &manifests {
            Gathering { repository, candidates: &mut candidates }
                .about(&manifest.digest)
                .await
                .map_err(|error| Error::because(format!("look for signatures of {reference}"), error))?;
        }
    }
    // what a former daemon left is swept first: this is for an image that is not here yet
    engine.swept().await;
    let (engine, reference, image) = (Arc::clone(engine), reference.clone(), image.clone());
    blocking(move || {
        let judged = Image { reference, manifests };
        policy
            .rule(&judged.reference, Origin::Registry)
            .judge(&judged, &candidates)
            .map_err(|refusal| Error::forbidden(refusal.to_string()))?;
        if wanted {
            evidence::keep(&engine, &image, Evidence { image: judged, candidates })?;
        }
        Ok(())
    })
    .await
}

/// Collects what may be signatures, within the limits.
struct Gathering<'a> {
    repository: &'a Repository,
    candidates: &'a mut Vec<Candidate>,
}

impl Gathering<'_> {
    /// Everything about one manifest: what lies under cosign's tag, and what refers to it.
    async fn about(&mut self, digest: &Digest) -> registry::client::Result<()> {
        let tag = Target::Tag(discover::tag(digest));
        let (tagged, referrers) =
            tokio::join!(self.repository.manifest(&tag), self.repository.referrers(digest, None));
        match tagged {
            Ok(found) => self.take(found.document).await?,
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        let signatures = referrers?.into_iter().take(limits::REFERRERS);
        for referrer in signatures.filter(|one| discover::is_signature(&one.artifact_type)) {
            let found = self.repository.manifest(&Target::Digest(referrer.descriptor.digest)).await;
            match found {
                Ok(found) => self.take(found.document).await?,
                // one that has been deleted may stand in a list that a client keeps
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The signatures of one manifest.
    async fn take(&mut self, document: Document) -> registry::client::Result<()> {
        let Document::Manifest(manifest) = document else { return Ok(()) };
        for part in discover::parts(&manifest) {
            let size: usize = self.candidates.iter().map(Candidate::size).sum();
            if self.candidates.len() >= limits::SIGNATURES || size >= limits::EVIDENCE / 2 {
                return Ok(());
            }
            match self.repository.small_blob(part.descriptor, limits::BUNDLE as u64).await {
                Ok(blob) => self.candidates.extend(part.candidate(blob.to_vec())),
                // A signature whose text is gone is none; whether one is needed is for the policy to say.
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
