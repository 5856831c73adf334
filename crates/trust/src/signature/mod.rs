//! Signatures as they lie beside an image, and what each of them is worth to a requirement.

mod bundle;
mod dsse;
mod simple;

pub(crate) use bundle::MEDIA_TYPE as BUNDLE_TYPE;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci::Digest;
use serde::{Deserialize, Serialize};

use crate::certificate::{Certificate, CertificateError};
use crate::json::JsonError;
use crate::judge::{Image, Proof};
use crate::key::{KeyError, PublicKey};
use crate::limits;
use crate::policy::{Fulcio, SignedBy, Signer, Subject};
use crate::rekor::{self, Demand, Entry, Logged, RekorError, Signed};

/// Something that may be a signature of an image. Nothing in it has been checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Candidate {
    /// A layer of a cosign signature, with its annotations.
    Simple(Simple),
    /// A sigstore bundle (`application/vnd.dev.sigstore.bundle…+json`): its text.
    Bundle(String),
}

/// A signature in cosign's first format.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Simple {
    /// The signed text (containers-signature(5)).
    pub payload: String,
    /// The signature, in base64.
    pub signature: String,
    /// The signer's certificate, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The certificates above it, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
    /// The log entry with its promise, in JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<String>,
}

/// Why a signature does not meet a requirement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Flaw {
    #[error("it is malformed: {0}")]
    Malformed(String),
    #[error("it has {what} of {size} bytes, the limit is {limit}")]
    TooLarge { what: &'static str, size: usize, limit: usize },
    #[error("it is not made by {0}")]
    OtherKey(&'static str),
    #[error("it has no certificate that says who signed")]
    NoCertificate,
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("the key in its certificate: {0}")]
    CertificateKey(KeyError),
    #[error("its certificate is for {found}, not for {wanted}")]
    OtherSubject { found: String, wanted: String },
    #[error("its signer was identified by {found}, not by {wanted}")]
    OtherIssuer { found: String, wanted: String },
    #[error(transparent)]
    Rekor(#[from] RekorError),
    #[error("it is of type {0:?}, which is no signature of an image")]
    Type(String),
    #[error("it is for {0}, another image")]
    OtherImage(String),
    #[error("it is for the name {found:?}, and the policy accepts {wanted}")]
    OtherName { found: String, wanted: String },
    #[error(
        "it names no repository, and the policy accepts {0} (signedIdentity \"matchDigest\" asks for none)"
    )]
    NoName(String),
    #[error("the text that it signs, the manifest, is not known here any more: pull the image again")]
    NoManifest,
}

impl Candidate {
    /// How many bytes it holds.
    pub fn size(&self) -> usize {
        let long = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        match self {
            Self::Bundle(text) => text.len(),
            Self::Simple(simple) => {
                let annotations = long(&simple.certificate) + long(&simple.chain) + long(&simple.bundle);
                simple.payload.len() + simple.signature.len() + annotations
            }
        }
    }

    /// What it proves about `image` to someone who asks for `wanted`.
    pub(crate) fn check(&self, wanted: &SignedBy, image: &Image) -> Result<Proof, Flaw> {
        match self {
            Self::Simple(simple) => simple.check(wanted, image),
            Self::Bundle(text) => bundle::check(text, wanted, image),
        }
    }
}

/// What comes with a signature to say whose it is.
struct Material<'a> {
    certificate: Option<&'a [u8]>,
    chain: &'a [Vec<u8>],
    entries: &'a [Entry],
    demand: Demand,
}

/// A signer who is who the policy wants.
struct Vouched {
    by: String,
    time: Option<i64>,
}

impl SignedBy {
    /// Whether `signature` over `message` is of the signer that the policy wants, and logged if it wants that.
    /// `what` is the same message as the log names it.
    fn vouch(
        &self,
        material: &Material<'_>,
        message: &[u8],
        what: Signed<'_>,
        signature: &[u8],
    ) -> Result<Vouched, Flaw> {
        match &self.signer {
            Signer::Keys(keys) => {
                let key = keys
                    .iter()
                    .find(|key| key.verifies(message, signature))
                    .ok_or(Flaw::OtherKey("a key that the policy names"))?;
                let logged = Logged { what, signature, key: rekor::Signer::Key(key) };
                let time = if self.rekor.is_empty() { None } else { self.logged(material, &logged)? };
                Ok(Vouched { by: format!("key {}", key.name()), time })
            }
            Signer::Fulcio(fulcio) => {
                let der = material.certificate.ok_or(Flaw::NoCertificate)?;
                let certificate = Certificate::from_der(der)?;
                let key = PublicKey::from_spki(&certificate.spki).map_err(Flaw::CertificateKey)?;
                if !key.verifies(message, signature) {
                    return Err(Flaw::OtherKey("the key in its certificate"));
                }
                let logged = Logged { what, signature, key: rekor::Signer::Certificate(der) };
                let time = self.logged(material, &logged)?.ok_or(RekorError::NoTime)?;
                certificate.check_chain(material.chain, &fulcio.authority, time)?;
                let by = fulcio.identify(&certificate)?;
                Ok(Vouched { by, time: Some(time) })
            }
        }
    }

    /// Whether one of the entries is good and about this signature; the time if the log vouches for it.
    fn logged(&self, material: &Material<'_>, logged: &Logged<'_>) -> Result<Option<i64>, RekorError> {
        let mut flaw = RekorError::Missing;
        for entry in material.entries {
            match entry.verify(&self.rekor, material.demand).and_then(|time| {
                logged.check(&entry.body)?;
                Ok(time)
            }) {
                Ok(time) => return Ok(time),
                Err(error) => flaw = error,
            }
        }
        Err(flaw)
    }

    /// Whether the name that a signature claims is one that the policy accepts for `image`.
    fn accept_name(&self, claimed: Option<&str>, image: &Image) -> Result<(), Flaw> {
        if self.identity.asks_for_no_name() {
            return Ok(());
        }
        let wanted = || self.identity.wanted(&image.reference);
        let Some(found) = claimed else { return Err(Flaw::NoName(wanted())) };
        if self.identity.accepts(&image.reference, found) {
            return Ok(());
        }
        Err(Flaw::OtherName { found: found.into(), wanted: wanted() })
    }
}

impl Fulcio {
    fn identify(&self, certificate: &Certificate) -> Result<String, Flaw> {
        let issuer = certificate.issuer.as_deref().unwrap_or("nobody");
        if certificate.issuer.as_ref() != Some(&self.issuer) {
            return Err(Flaw::OtherIssuer { found: issuer.into(), wanted: self.issuer.clone() });
        }
        let (names, wanted) = match &self.subject {
            Subject::Email(email) => (&certificate.emails, email),
            Subject::Uri(uri) => (&certificate.uris, uri),
        };
        if !names.contains(wanted) {
            let all: Vec<&str> =
                certificate.emails.iter().chain(&certificate.uris).map(String::as_str).collect();
            let found = if all.is_empty() { "nobody".into() } else { all.join(", ") };
            return Err(Flaw::OtherSubject { found, wanted: wanted.clone() });
        }
        Ok(format!("{wanted} (identified by {issuer})"))
    }
}

/// The digest of the image that `text` names.
fn digest_of(image: &Image, text: &str) -> Result<Digest, Flaw> {
    image
        .manifests
        .iter()
        .map(|manifest| &manifest.digest)
        .find(|digest| digest.as_str() == text)
        .cloned()
        .ok_or_else(|| Flaw::OtherImage(text.into()))
}

fn within(what: &'static str, size: usize, limit: usize) -> Result<(), Flaw> {
    if size > limit { Err(Flaw::TooLarge { what, size, limit }) } else { Ok(()) }
}

/// Standard base64 in its one form: with padding, and without bits that mean nothing.
fn decode(what: &'static str, text: &str) -> Result<Vec<u8>, Flaw> {
    STANDARD.decode(text).map_err(|error| Flaw::Malformed(format!("{what}: {error}")))
}

fn decode_signature(text: &str) -> Result<Vec<u8>, Flaw> {
    within("a signature", text.len(), limits::SIGNATURE * 2)?;
    decode("the signature", text)
}

impl From<JsonError> for Flaw {
    fn from(error: JsonError) -> Self {
        Self::Malformed(error.to_string())
    }
}
