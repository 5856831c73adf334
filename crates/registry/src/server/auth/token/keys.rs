//! Keys that sign tokens: from PEM files and JSON Web Key Sets.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, UnparsedPublicKey};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::super::AuthError;
use super::{Algorithm, der};

/// The most bytes of a file of keys.
const MAX: u64 = 1 << 20;

/// A key that signs tokens.
#[derive(Clone, Debug)]
pub(in super::super) struct Key {
    /// What tokens may call it.
    ids: Vec<String>,
    algorithm: Algorithm,
    /// RFC 8017's `RSAPublicKey`, or an uncompressed point.
    bytes: Vec<u8>,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Keys(Vec<Key>);

impl Key {
    pub(super) fn new(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let id = libtrust_id(&der::info_of(algorithm, bytes));
        Self { ids: vec![id], algorithm, bytes: bytes.to_vec() }
    }

    /// The name by which Docker's registry knows it.
    pub(super) fn id(&self) -> &str {
        self.ids.first().map_or("", String::as_str)
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let algorithm: &dyn signature::VerificationAlgorithm = match self.algorithm {
            Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Algorithm::Es256 => &signature::ECDSA_P256_SHA256_FIXED,
        };
        UnparsedPublicKey::new(algorithm, &self.bytes).verify(message, signature).is_ok()
    }
}

impl Keys {
    pub(in super::super) fn add(&mut self, key: Key) {
        self.0.push(key);
    }

    /// Adds the keys of a PEM file.
    pub(in super::super) fn add_pem(&mut self, path: &Path) -> Result<(), AuthError> {
        let text = read(path)?;
        let wrong = |reason: &str| AuthError::wrong(path, reason);
        let before = self.0.len();
        let certificates = CertificateDer::pem_slice_iter(text.as_bytes()).map(|one| {
            let one = one.map_err(|error| wrong(&error.to_string()))?;
            der::key_of_certificate(&one)
                .map(<[u8]>::to_vec)
                .ok_or_else(|| wrong("a certificate is malformed"))
        });
        let keys = SubjectPublicKeyInfoDer::pem_slice_iter(text.as_bytes())
            .map(|one| Ok(one.map_err(|error| wrong(&error.to_string()))?.to_vec()));
        for info in certificates.chain(keys) {
            let info = info?;
            let (algorithm, bytes) =
                der::public_key(&info).ok_or_else(|| wrong("a key is neither RSA nor of the curve P-256"))?;
            self.0.push(Key::new(algorithm, bytes));
        }
        if self.0.len() == before {
            return Err(wrong("there is neither a public key nor a certificate in it"));
        }
        Ok(())
    }

    /// Adds the keys of a JSON Web Key Set (RFC 7517) that are of a known kind.
    pub(in super::super) fn add_jwks(&mut self, path: &Path) -> Result<(), AuthError> {
        let set: Set =
            serde_json::from_str(&read(path)?).map_err(|error| AuthError::wrong(path, error.to_string()))?;
        let before = self.0.len();
        self.0.extend(set.keys.iter().filter_map(Jwk::key));
        if self.0.len() == before {
            return Err(AuthError::wrong(path, "there is no RSA key and none of the curve P-256 in it"));
        }
        Ok(())
    }

    /// One of them signed it: the one of that name, or any if none is called so.
    pub(super) fn verify(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let fitting = || self.0.iter().filter(|key| key.algorithm == algorithm);
        let is_named = |key: &&Key| id.is_some_and(|id| key.ids.iter().any(|one| one == id));
        if fitting().any(|key| is_named(&key)) {
            return fitting().filter(is_named).any(|key| key.verifies(message, signature));
        }
        fitting().any(|key| key.verifies(message, signature))
    }
}

fn read(path: &Path) -> Result<String, AuthError> {
    let file = |source| AuthError::Read { path: path.into(), source };
    if fs::metadata(path).map_err(file)?.len() > MAX {
        return Err(AuthError::wrong(path, format!("has more than {MAX} bytes")));
    }
    fs::read_to_string(path).map_err(file)
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl Jwk {
    fn key(&self) -> Option<Key> {
        let number =
            |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_ref()?.trim_end_matches('=')).ok();
        let mut key = match (self.kty.as_str(), self.crv.as_deref()) {
            ("EC", Some("P-256")) => {
                let (x, y) = (number(&self.x)?, number(&self.y)?);
                let point = [&[4], &x[..], &y[..]].concat();
                (point.len() == 65).then(|| Key::new(Algorithm::Es256, &point))?
            }
            ("RSA", _) => Key::new(Algorithm::Rs256, &der::rsa_key(&number(&self.n)?, &number(&self.e)?)),
            _ => return None,
        };
        key.ids.extend(self.kid.clone());
        Some(key)
    }
}

/// libtrust's name of a key: 240 bits of a hash, in groups of four characters of base32.
fn libtrust_id(info: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let hash = Sha256::digest(info);
    let mut text = String::new();
    for five in hash[..30].chunks(5) {
        let bits = five.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        for at in (0..8).rev() {
            if text.len() % 5 == 4 {
                text.push(':');
            }
            text.push(char::from(ALPHABET[(bits >> (at * 5) & 31) as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_look_as_libtrust_writes_them() {
        let id = libtrust_id(b"x");
        assert_eq!(id.len(), 12 * 4 + 11);
        assert!(id.split(':').all(|group| group.len() == 4), "{id}");
    }
}
