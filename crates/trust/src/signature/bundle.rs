//! Sigstore bundles 0.1 to 0.3 (github.com/sigstore/protobuf-specs, sigstore_bundle.proto, as protobuf's JSON).

use super::dsse::Envelope;
use super::{Flaw, Material, decode, decode_signature, within};
use crate::json::{self, Json, Object};
use crate::judge::{Image, Proof};
use crate::limits;
use crate::policy::SignedBy;
use crate::rekor::{Demand, Entry, Inclusion, Signed};

/// How every version's media type begins.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle";

/// Says whether `text` is a bundle by which the wanted signer vouches for `image`.
pub(super) fn check(text: &str, wanted: &SignedBy, image: &Image) -> Result<Proof, Flaw> {
    within("a bundle", text.len(), limits::BUNDLE)?;
    let bundle = Bundle::read(text.as_bytes())?;
    let material = Material {
        certificate: bundle.certificates.first().map(Vec::as_slice),
        chain: bundle.certificates.get(1..).unwrap_or_default(),
        entries: &bundle.entries,
        demand: bundle.demand,
    };
    match &bundle.content {
        Content::Message(signature) => {
            // what is signed is the manifest itself; which of them, the signature alone can say
            let mut flaw = Flaw::NoManifest;
            for manifest in &image.manifests {
                let Some(bytes) = manifest.bytes() else { continue };
                match wanted.vouch(&material, bytes, Signed::Message(bytes), signature) {
                    Ok(vouched) => {
                        wanted.accept_name(None, image)?;
                        let digest = manifest.digest.clone();
                        return Ok(Proof { by: vouched.by, digest, name: None, time: vouched.time });
                    }
                    Err(error) => flaw = error,
                }
            }
            Err(flaw)
        }
        Content::Envelope(envelope) => {
            let message = envelope.signed();
            let mut flaw = Flaw::Malformed("an envelope without signatures".into());
            for signature in &envelope.signatures {
                match wanted.vouch(&material, &message, Signed::Envelope(&envelope.payload), signature) {
                    Ok(vouched) => {
                        let (digest, name) = envelope.claim(wanted, image)?;
                        return Ok(Proof { by: vouched.by, digest, name, time: vouched.time });
                    }
                    Err(error) => flaw = error,
                }
            }
            Err(flaw)
        }
    }
}

struct Bundle {
    demand: Demand,
    /// The signer's, then those above it.
    certificates: Vec<Vec<u8>>,
    entries: Vec<Entry>,
    content: Content,
}

enum Content {
    /// A signature over the manifest.
    Message(Vec<u8>),
    Envelope(Envelope),
}

impl Bundle {
    fn read(text: &[u8]) -> Result<Self, Flaw> {
        let mut bundle = json::object(text)?;
        let media_type = bundle.need_text("mediaType")?;
        let demand = match media_type.strip_prefix(MEDIA_TYPE) {
            Some("+json;version=0.1") => Demand::Promise,
            Some("+json;version=0.2" | "+json;version=0.3" | ".v0.3+json") => Demand::Inclusion,
            _ => return Err(Flaw::Malformed(format!("bundles of type {media_type:?} are not supported"))),
        };
        let mut material = bundle.need_object("verificationMaterial")?;
        let content = match (bundle.object("messageSignature")?, bundle.object("dsseEnvelope")?) {
            (Some(mut message), None) => {
                Content::Message(decode_signature(&message.need_text("signature")?)?)
            }
            (None, Some(envelope)) => Content::Envelope(Envelope::read(envelope)?),
            _ => return Err(Flaw::Malformed("a bundle has a message signature or an envelope".into())),
        };
        let entries = material.array("tlogEntries")?;
        if entries.len() > limits::LOG_ENTRIES {
            return Err(Flaw::Malformed(format!("{} log entries", entries.len())));
        }
        Ok(Self {
            demand,
            certificates: certificates(&mut material)?,
            entries: entries.into_iter().map(entry).collect::<Result<_, _>>()?,
            content,
        })
    }
}

/// 0.1 and 0.2 carry a chain, 0.3 one certificate; with a key there is only a hint, which says nothing.
fn certificates(material: &mut Object) -> Result<Vec<Vec<u8>>, Flaw> {
    let one = |mut certificate: Object| decode("a certificate", &certificate.need_text("rawBytes")?);
    let chain = material.object("x509CertificateChain")?;
    match (material.object("certificate")?, chain, material.object("publicKey")?) {
        (Some(certificate), None, None) => Ok(vec![one(certificate)?]),
        (None, Some(mut chain), None) => {
            let links = chain.array("certificates")?;
            within("a chain", links.len(), limits::CERTIFICATES)?;
            links.into_iter().map(|link| one(link.into_object("certificates")?)).collect()
        }
        (None, None, Some(_)) => Ok(Vec::new()),
        _ => Err(Flaw::Malformed("a bundle has a certificate, a chain or a public key".into())),
    }
}

fn entry(entry: Json) -> Result<Entry, Flaw> {
    let mut entry = entry.into_object("tlogEntries")?;
    let promise = match entry.object("inclusionPromise")? {
        Some(mut promise) => Some(decode("a promise", &promise.need_text("signedEntryTimestamp")?)?),
        None => None,
    };
    let log = entry.need_object("logId")?.need_text("keyId")?;
    Ok(Entry {
        body: decode("the body of the log entry", &entry.need_text("canonicalizedBody")?)?,
        integrated: entry
            .take("integratedTime")
            .map(|time| time.into_integer("integratedTime"))
            .transpose()?,
        log: hash("keyId", &log)?,
        index: entry.need_integer("logIndex")?,
        promise,
        inclusion: entry.object("inclusionProof")?.map(inclusion).transpose()?,
    })
}

fn inclusion(mut proof: Object) -> Result<Inclusion, Flaw> {
    let path = proof.array("hashes")?;
    if path.len() > limits::PROOF_HASHES {
        return Err(Flaw::Malformed(format!("an inclusion proof of {} hashes", path.len())));
    }
    let number = |name: &'static str, value: i64| {
        u64::try_from(value).map_err(|error| Flaw::Malformed(format!("{name}: {error}")))
    };
    Ok(Inclusion {
        // protobuf leaves out what is zero
        index: proof
            .take("logIndex")
            .map_or(Ok(0), |index| number("logIndex", index.into_integer("logIndex")?))?,
        size: number("treeSize", proof.need_integer("treeSize")?)?,
        root: hash("rootHash", &proof.need_text("rootHash")?)?,
        path: path
            .into_iter()
            .map(|sibling| hash("hashes", &sibling.into_text("hashes")?))
            .collect::<Result<_, _>>()?,
        checkpoint: proof.need_object("checkpoint")?.need_text("envelope")?,
    })
}

fn hash(what: &'static str, text: &str) -> Result<[u8; 32], Flaw> {
    decode(what, text)?.try_into().ok().ok_or_else(|| Flaw::Malformed(format!("{what} has not 32 bytes")))
}
