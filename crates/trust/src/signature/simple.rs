//! cosign's first format: a signed text that names the digest (containers-signature(5)), its signature in an
//! annotation (github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md).

use super::{Flaw, Material, Simple, decode, decode_signature, digest_of, within};
use crate::certificate;
use crate::json;
use crate::judge::{Image, Proof};
use crate::limits;
use crate::policy::SignedBy;
use crate::rekor::{Demand, Entry, Signed};

/// What `critical.type` must say; anything else was signed to say something else.
const TYPE: &str = "cosign container image signature";

impl Simple {
    pub(super) fn check(&self, wanted: &SignedBy, image: &Image) -> Result<Proof, Flaw> {
        within("a payload", self.payload.len(), limits::PAYLOAD)?;
        for annotation in [&self.certificate, &self.chain, &self.bundle].into_iter().flatten() {
            within("an annotation", annotation.len(), limits::ANNOTATION)?;
        }
        let signature = decode_signature(&self.signature)?;
        let certificates = self.certificate.as_deref().map(str::as_bytes).map(certificate::from_pem);
        let certificates = certificates.transpose()?.unwrap_or_default();
        let chain = self.chain.as_deref().map(str::as_bytes).map(certificate::from_pem);
        let chain = chain.transpose()?.unwrap_or_default();
        let entries = match &self.bundle {
            Some(bundle) => vec![entry(bundle)?],
            None => Vec::new(),
        };
        let material = Material {
            certificate: certificates.first().map(Vec::as_slice),
            chain: &chain,
            entries: &entries,
            demand: Demand::Promise,
        };
        let message = self.payload.as_bytes();
        let vouched = wanted.vouch(&material, message, Signed::Message(message), &signature)?;
        let claim = Claim::read(message)?;
        let digest = digest_of(image, &claim.digest)?;
        wanted.accept_name(Some(&claim.name), image)?;
        Ok(Proof { by: vouched.by, digest, name: Some(claim.name), time: vouched.time })
    }
}

/// What a payload says.
struct Claim {
    digest: String,
    name: String,
}

impl Claim {
    /// Reads a payload whose signature is good. Only `optional` may hold what we don't know.
    fn read(payload: &[u8]) -> Result<Self, Flaw> {
        let mut payload = json::object(payload)?;
        let mut critical = payload.need_object("critical")?;
        payload.take("optional");
        payload.finish()?;
        let kind = critical.need_text("type")?;
        if kind != TYPE {
            return Err(Flaw::Type(kind));
        }
        let mut identity = critical.need_object("identity")?;
        let name = identity.need_text("docker-reference")?;
        identity.finish()?;
        let mut image = critical.need_object("image")?;
        let digest = image.need_text("docker-manifest-digest")?;
        image.finish()?;
        critical.finish()?;
        Ok(Self { digest, name })
    }
}

/// The annotation `dev.sigstore.cosign/bundle`.
fn entry(text: &str) -> Result<Entry, Flaw> {
    let mut bundle = json::object(text.as_bytes())?;
    let promise = decode("SignedEntryTimestamp", &bundle.need_text("SignedEntryTimestamp")?)?;
    let mut payload = bundle.need_object("Payload")?;
    let log = hex::decode(payload.need_text("logID")?).ok().and_then(|log| log.try_into().ok());
    Ok(Entry {
        body: decode("the body of the log entry", &payload.need_text("body")?)?,
        integrated: Some(payload.need_integer("integratedTime")?),
        log: log.ok_or_else(|| Flaw::Malformed("logID".into()))?,
        index: payload.need_integer("logIndex")?,
        promise: Some(promise),
        inclusion: None,
    })
}
