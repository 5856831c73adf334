//! What a log entry is about: `hashedrekord` 0.0.1 (a hash, a signature, a key) and `dsse` 0.0.1 (an envelope).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::RekorError;
use crate::certificate;
use crate::json::{self, JsonError, Object};
use crate::key::PublicKey;
use crate::limits;

/// What we hold in our hands and the log must have seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Logged<'a> {
    /// What was signed.
    pub(crate) what: Signed<'a>,
    pub(crate) signature: &'a [u8],
    pub(crate) key: Signer<'a>,
}

/// What was signed, in the way the log names it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signed<'a> {
    /// A message: its hash is logged.
    Message(&'a [u8]),
    /// The payload of a DSSE envelope.
    Envelope(&'a [u8]),
}

/// Whose signature it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signer<'a> {
    Key(&'a PublicKey),
    Certificate(&'a [u8]),
}

impl Logged<'_> {
    /// Whether the entry is about this signature and no other.
    pub(crate) fn check(&self, body: &[u8]) -> Result<(), RekorError> {
        let mut entry = json::object(body)?;
        let kind = format!("{} {}", entry.need_text("kind")?, entry.need_text("apiVersion")?);
        let spec = entry.need_object("spec")?;
        match (self.what, kind.as_str()) {
            (Signed::Message(message), "hashedrekord 0.0.1") => self.record(spec, message),
            (Signed::Envelope(payload), "dsse 0.0.1") => self.envelope(spec, payload),
            _ => Err(RekorError::Kind(kind)),
        }
    }

    fn record(&self, mut spec: Object, message: &[u8]) -> Result<(), RekorError> {
        let hash = spec.need_object("data")?.need_object("hash")?;
        check_hash(hash, message)?;
        let mut signature = spec.need_object("signature")?;
        if decode(&signature.need_text("content")?)? != self.signature {
            return Err(RekorError::About("signature"));
        }
        let key = signature.need_object("publicKey")?.need_text("content")?;
        self.check_key(&decode(&key)?)
    }

    fn envelope(&self, mut spec: Object, payload: &[u8]) -> Result<(), RekorError> {
        check_hash(spec.need_object("payloadHash")?, payload)?;
        for signature in spec.array("signatures")?.into_iter().take(limits::ENVELOPE_SIGNATURES) {
            let mut signature = signature.into_object("signatures")?;
            if decode(&signature.need_text("signature")?)? == self.signature {
                return self.check_key(&decode(&signature.need_text("verifier")?)?);
            }
        }
        Err(RekorError::About("signature"))
    }

    fn check_key(&self, pem: &[u8]) -> Result<(), RekorError> {
        let same = match self.key {
            Signer::Key(key) => PublicKey::from_pem(pem).is_ok_and(|logged| logged == *key),
            Signer::Certificate(der) => certificate::from_pem(pem)
                .is_ok_and(|logged| logged.first().is_some_and(|first| first == der)),
        };
        if same { Ok(()) } else { Err(RekorError::About("key")) }
    }
}

fn check_hash(mut hash: Object, message: &[u8]) -> Result<(), RekorError> {
    let algorithm = hash.need_text("algorithm")?;
    if algorithm != "sha256" {
        return Err(RekorError::Malformed(format!("hash algorithm {algorithm:?}")));
    }
    if hash.need_text("value")? != hex::encode(Sha256::digest(message)) {
        return Err(RekorError::About("payload"));
    }
    Ok(())
}

fn decode(text: &str) -> Result<Vec<u8>, RekorError> {
    STANDARD.decode(text).map_err(|error| RekorError::Malformed(error.to_string()))
}

impl From<JsonError> for RekorError {
    fn from(error: JsonError) -> Self {
        Self::Malformed(error.to_string())
    }
}
