//! What is kept of an image's signatures, so that they can be judged again without the registry.
//!
//! The signatures themselves are kept, not a verdict: whatever the policy says the next time, it is judged anew,
//! and a file that somebody has written over proves nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci::{Digest, Reference};
use serde::{Deserialize, Serialize};

use crate::judge::{Image, ManifestBytes};
use crate::limits;
use crate::signature::Candidate;

/// The version of the format.
const VERSION: u32 = 1;

/// The signatures of an image that was pulled, and what they are about.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The name it was pulled by and what that led to.
    pub image: Image,
    /// What lay beside it.
    pub candidates: Vec<Candidate>,
}

/// Why a text is no evidence.
#[derive(Debug, thiserror::Error)]
#[error("the record of signatures can't be read: {0}")]
pub struct EvidenceError(String);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Record {
    version: u32,
    reference: String,
    manifests: Vec<ManifestRecord>,
    candidates: Vec<Candidate>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ManifestRecord {
    digest: Digest,
    /// In base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<String>,
}

impl Evidence {
    /// The text to keep.
    ///
    /// # Errors
    /// Never, unless memory is short.
    pub fn to_json(&self) -> Result<Vec<u8>, EvidenceError> {
        let mut room = limits::EVIDENCE;
        let record = Record {
            version: VERSION,
            reference: self.image.reference.to_string(),
            manifests: self
                .image
                .manifests
                .iter()
                .map(|manifest| ManifestRecord {
                    digest: manifest.digest.clone(),
                    bytes: manifest.bytes().map(|bytes| STANDARD.encode(bytes)),
                })
                .collect(),
            candidates: self
                .candidates
                .iter()
                .take(limits::SIGNATURES)
                .take_while(|candidate| {
                    let fits = candidate.size() <= room;
                    room = room.saturating_sub(candidate.size());
                    fits
                })
                .cloned()
                .collect(),
        };
        serde_json::to_vec(&record).map_err(|error| EvidenceError(error.to_string()))
    }

    /// Reads what was kept.
    ///
    /// # Errors
    /// When it is of another version or damaged.
    pub fn from_json(text: &[u8]) -> Result<Self, EvidenceError> {
        let record: Record =
            serde_json::from_slice(text).map_err(|error| EvidenceError(error.to_string()))?;
        if record.version != VERSION {
            return Err(EvidenceError(format!("version {}, not {VERSION}", record.version)));
        }
        let reference =
            Reference::parse(&record.reference).map_err(|error| EvidenceError(error.to_string()))?;
        let mut manifests = Vec::new();
        for ManifestRecord { digest, bytes } in record.manifests {
            let Some(bytes) = bytes else {
                manifests.push(ManifestBytes::digest(digest));
                continue;
            };
            let bytes = STANDARD.decode(bytes).map_err(|error| EvidenceError(error.to_string()))?;
            let manifest = ManifestBytes::whole(bytes);
            if manifest.digest != digest {
                return Err(EvidenceError(format!("the manifest {digest} is damaged")));
            }
            manifests.push(manifest);
        }
        Ok(Self { image: Image { reference, manifests }, candidates: record.candidates })
    }
}
