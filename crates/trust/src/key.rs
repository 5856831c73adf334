//! Public keys. The type of the key decides the algorithm: a signature has no say in it.

use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};

use crate::der::{self, Cursor, DerError};
use crate::limits;

const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const ED25519_OID: &[u8] = &[0x2b, 0x65, 0x70];

/// Why bytes are no key that we can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No `-----BEGIN PUBLIC KEY-----`.
    #[error("there is no PEM-encoded public key in it")]
    Pem,
    /// Not a SubjectPublicKeyInfo.
    #[error("the public key is not valid DER")]
    Der,
    /// A key of a kind that we do not verify with.
    #[error("public keys of type {0} are not supported: use ECDSA P-256 or P-384, Ed25519, or RSA")]
    Unsupported(String),
    /// RSA out of 2048..=8192 bits.
    #[error("the RSA key has {0} bits: 2048 to 8192 are accepted")]
    RsaSize(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    P256,
    P384,
    Ed25519,
    Rsa,
}

/// A public key that signatures are checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    kind: Kind,
    /// The SubjectPublicKeyInfo, by which keys are compared.
    spki: Vec<u8>,
    /// What `ring` wants: the point, the raw key, or an RSAPublicKey.
    raw: Vec<u8>,
}

impl PublicKey {
    /// Reads the first `PUBLIC KEY` of a PEM text.
    ///
    /// # Errors
    /// [`KeyError`], naming what is not supported.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let spki = SubjectPublicKeyInfoDer::from_pem_slice(pem).ok().ok_or(KeyError::Pem)?;
        Self::from_spki(&spki)
    }

    /// Reads a SubjectPublicKeyInfo (RFC 5280 4.1.2.7).
    ///
    /// # Errors
    /// [`KeyError`], naming what is not supported.
    pub fn from_spki(spki: &[u8]) -> Result<Self, KeyError> {
        let parts = Parts::read(spki).ok().ok_or(KeyError::Der)?;
        let kind = match (parts.algorithm, parts.curve) {
            (EC_PUBLIC_KEY, Some(P256)) => Kind::P256,
            (EC_PUBLIC_KEY, Some(P384)) => Kind::P384,
            (EC_PUBLIC_KEY, Some(P521)) => return Err(KeyError::Unsupported("ECDSA P-521".into())),
            (EC_PUBLIC_KEY, _) => return Err(KeyError::Unsupported("ECDSA of another curve".into())),
            (ED25519_OID, None) => Kind::Ed25519,
            (RSA, None) => Kind::Rsa,
            (other, _) => return Err(KeyError::Unsupported(format!("OID {}", hex::encode(other)))),
        };
        let right_length = match kind {
            Kind::P256 => parts.key.len() == 65 && parts.key.first() == Some(&4),
            Kind::P384 => parts.key.len() == 97 && parts.key.first() == Some(&4),
            Kind::Ed25519 => parts.key.len() == 32,
            Kind::Rsa => {
                let bits = rsa_bits(parts.key).ok().ok_or(KeyError::Der)?;
                if !(2048..=8192).contains(&bits) {
                    return Err(KeyError::RsaSize(bits));
                }
                true
            }
        };
        if !right_length {
            return Err(KeyError::Der);
        }
        Ok(Self { kind, spki: spki.into(), raw: parts.key.into() })
    }

    /// SHA-256 of the SubjectPublicKeyInfo: how a key is named in messages, and how a Rekor log names itself.
    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(&self.spki).into()
    }

    /// The fingerprint for people: `sha256:<hex>`.
    pub fn name(&self) -> String {
        format!("sha256:{}", hex::encode(self.fingerprint()))
    }

    /// Whether `signature` over `message` was made by this key.
    ///
    /// The hash is the one that cosign uses with the key: SHA-256, or the one that fits the size of the key (P-384
    /// with SHA-384, RSA with SHA-512); all are collision-resistant, so that trying both weakens nothing.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        if signature.len() > limits::SIGNATURE {
            return false;
        }
        let algorithms: &[&'static dyn VerificationAlgorithm] = match self.kind {
            Kind::P256 => &[&ECDSA_P256_SHA256_ASN1],
            Kind::P384 => &[&ECDSA_P384_SHA256_ASN1, &ECDSA_P384_SHA384_ASN1],
            Kind::Ed25519 => &[&ED25519],
            Kind::Rsa => &[
                &RSA_PKCS1_2048_8192_SHA256,
                &RSA_PSS_2048_8192_SHA256,
                &RSA_PKCS1_2048_8192_SHA512,
                &RSA_PSS_2048_8192_SHA512,
            ],
        };
        algorithms
            .iter()
            .any(|algorithm| UnparsedPublicKey::new(*algorithm, &self.raw).verify(message, signature).is_ok())
    }
}

/// A SubjectPublicKeyInfo taken apart.
struct Parts<'a> {
    algorithm: &'a [u8],
    curve: Option<&'a [u8]>,
    key: &'a [u8],
}

impl<'a> Parts<'a> {
    fn read(spki: &'a [u8]) -> Result<Self, DerError> {
        let mut outer = Cursor::new(spki);
        let mut inner = Cursor::new(outer.expect(der::SEQUENCE)?);
        outer.finish()?;
        let mut algorithm = Cursor::new(inner.expect(der::SEQUENCE)?);
        let key = der::whole_bits(inner.expect(der::BIT_STRING)?)?;
        inner.finish()?;
        let oid = algorithm.expect(der::OID)?;
        let curve = algorithm.optional(der::OID)?;
        let parameters = algorithm.optional(der::NULL)?;
        algorithm.finish()?;
        if parameters.is_some_and(|null| !null.is_empty()) {
            return Err(DerError);
        }
        Ok(Self { algorithm: oid, curve, key })
    }
}

fn rsa_bits(key: &[u8]) -> Result<usize, DerError> {
    let mut outer = Cursor::new(key);
    let mut inner = Cursor::new(outer.expect(der::SEQUENCE)?);
    outer.finish()?;
    let modulus = inner.expect(der::INTEGER)?;
    inner.expect(der::INTEGER)?;
    inner.finish()?;
    let modulus = modulus.strip_prefix(&[0]).unwrap_or(modulus);
    let first = modulus.first().ok_or(DerError)?;
    Ok(modulus.len() * 8 - first.leading_zeros() as usize)
}
