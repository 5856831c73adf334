//! DSSE envelopes (github.com/secure-systems-lab/dsse) around in-toto statements (in-toto.io/Statement/v1).

use oci::Digest;

use super::{Flaw, decode, decode_signature, digest_of};
use crate::json::{self, Object};
use crate::judge::Image;
use crate::limits;
use crate::policy::SignedBy;

const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
const STATEMENTS: &[&str] = &["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"];
/// The predicate by which cosign says "signed". Others (provenance, reports of scanners) say something about an
/// image, not that it is good: they are signed by the same keys and must not count.
const SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";

pub(super) struct Envelope {
    kind: String,
    pub(super) payload: Vec<u8>,
    pub(super) signatures: Vec<Vec<u8>>,
}

impl Envelope {
    pub(super) fn read(mut envelope: Object) -> Result<Self, Flaw> {
        let signatures = envelope.array("signatures")?;
        if signatures.len() > limits::ENVELOPE_SIGNATURES {
            return Err(Flaw::Malformed(format!("an envelope with {} signatures", signatures.len())));
        }
        Ok(Self {
            kind: envelope.need_text("payloadType")?,
            payload: decode("the payload", &envelope.need_text("payload")?)?,
            signatures: signatures
                .into_iter()
                .map(|signature| decode_signature(&signature.into_object("signatures")?.need_text("sig")?))
                .collect::<Result<_, Flaw>>()?,
        })
    }

    /// What is signed: the type and the payload with their lengths (PAE).
    pub(super) fn signed(&self) -> Vec<u8> {
        let head = format!("DSSEv1 {} {} {} ", self.kind.len(), self.kind, self.payload.len());
        [head.as_bytes(), &self.payload].concat()
    }

    /// Which manifest of `image` the statement is about, and the name it calls it by. To be asked only once the
    /// signature is known to be good.
    pub(super) fn claim(&self, wanted: &SignedBy, image: &Image) -> Result<(Digest, Option<String>), Flaw> {
        if self.kind != PAYLOAD_TYPE {
            return Err(Flaw::Type(self.kind.clone()));
        }
        let mut statement = json::object(&self.payload)?;
        let kind = statement.need_text("_type")?;
        if !STATEMENTS.contains(&kind.as_str()) {
            return Err(Flaw::Type(kind));
        }
        let predicate = statement.need_text("predicateType")?;
        if predicate != SIGNATURE {
            return Err(Flaw::Type(predicate));
        }
        let subjects = statement.array("subject")?;
        if subjects.len() > limits::SUBJECTS {
            return Err(Flaw::Malformed(format!("a statement about {} subjects", subjects.len())));
        }
        let mut flaw = Flaw::OtherImage("nothing".into());
        for subject in subjects {
            let mut subject = subject.into_object("subject")?;
            let name = subject.text("name")?.filter(|name| !name.is_empty());
            let hex = subject.need_object("digest")?.text("sha256")?.unwrap_or_default();
            let claim = digest_of(image, &format!("sha256:{hex}"))
                .and_then(|digest| wanted.accept_name(name.as_deref(), image).map(|()| digest));
            match claim {
                Ok(digest) => return Ok((digest, name)),
                Err(error) => flaw = error,
            }
        }
        Err(flaw)
    }
}
