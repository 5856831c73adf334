//! Where signatures lie: under a tag made of the image's digest, and among its referrers.

use oci::{Descriptor, Digest, Manifest};

use crate::limits;
use crate::signature::{BUNDLE_TYPE, Candidate, Simple};

/// The media type of cosign's signed texts.
const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The artifact type of cosign's signatures as referrers.
const COSIGN_ARTIFACT: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";

const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const CHAIN: &str = "dev.sigstore.cosign/chain";
const LOG_ENTRY: &str = "dev.sigstore.cosign/bundle";

/// The tag under which cosign puts the signatures of an image.
pub fn tag(digest: &Digest) -> String {
    format!("{}-{}.sig", digest.algorithm().as_str(), digest.hex())
}

/// Whether a referrer of this artifact type may hold signatures.
pub fn is_signature(artifact_type: &str) -> bool {
    artifact_type == COSIGN_ARTIFACT || artifact_type.starts_with(BUNDLE_TYPE)
}

/// A blob that holds a signature, before it is fetched.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    /// What to fetch. Its size is within the limits.
    pub descriptor: &'a Descriptor,
    bundle: bool,
}

/// The blobs of a manifest that hold signatures. Larger ones than any signature are left out.
pub fn parts(manifest: &Manifest) -> Vec<Part<'_>> {
    manifest
        .layers
        .iter()
        .filter_map(|descriptor| {
            let bundle = descriptor.media_type.starts_with(BUNDLE_TYPE);
            let (known, limit) = match bundle {
                true => (true, limits::BUNDLE),
                false => (descriptor.media_type == SIMPLE_SIGNING, limits::PAYLOAD),
            };
            (known && descriptor.size <= limit as u64).then_some(Part { descriptor, bundle })
        })
        .take(limits::SIGNATURES)
        .collect()
}

impl Part<'_> {
    /// The signature, now that the blob is there; nothing if it is no text.
    pub fn candidate(&self, blob: Vec<u8>) -> Option<Candidate> {
        let text = String::from_utf8(blob).ok()?;
        if self.bundle {
            return Some(Candidate::Bundle(text));
        }
        let annotation = |name: &str| {
            self.descriptor.annotations.get(name).filter(|text| text.len() <= limits::ANNOTATION).cloned()
        };
        Some(Candidate::Simple(Simple {
            payload: text,
            signature: annotation(SIGNATURE).unwrap_or_default(),
            certificate: annotation(CERTIFICATE),
            chain: annotation(CHAIN),
            bundle: annotation(LOG_ENTRY),
        }))
    }
}
