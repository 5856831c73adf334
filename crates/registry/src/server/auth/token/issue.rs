//! Tokens of our own.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, KeyPair as _, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;

use super::super::AuthError;
use super::keys::Key;
use super::{Access, Algorithm, Audience, Claims};
use crate::server::config;
use crate::server::random;

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// Signs tokens.
pub(in super::super) struct Issuer {
    pair: Pair,
    key: Key,
    issuer: String,
    service: String,
    /// Seconds that a token is valid.
    pub(in super::super) lifetime: i64,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer").field("key", &self.key.id()).finish_non_exhaustive()
    }
}

impl Issuer {
    /// Reads the key, or makes one.
    pub(in super::super) fn new(token: &config::Token, issue: &config::Issue) -> Result<Self, AuthError> {
        let random = SystemRandom::new();
        let (pkcs8, path) = match &issue.key {
            Some(path) => {
                let text = fs::read(path).map_err(|source| AuthError::Read { path: path.clone(), source })?;
                let key = PrivatePkcs8KeyDer::from_pem_slice(&text).map_err(|_pem| {
                    AuthError::wrong(
                        path,
                        "there is no key in it that begins with 'BEGIN PRIVATE KEY' (PKCS #8)",
                    )
                })?;
                (key.secret_pkcs8_der().to_vec(), path.clone())
            }
            None => {
                let made = EcdsaKeyPair::generate_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, &random);
                let made =
                    made.map_err(|_unspecified| AuthError::wrong("a new key".as_ref(), "cannot be made"))?;
                (made.as_ref().to_vec(), "a new key".into())
            }
        };
        let ecdsa = EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8, &random);
        let (pair, key) = match ecdsa {
            Ok(pair) => {
                let key = Key::new(Algorithm::Es256, pair.public_key().as_ref());
                (Pair::Ecdsa(pair), key)
            }
            Err(_) => {
                let pair = RsaKeyPair::from_pkcs8(&pkcs8).map_err(|_rejected| {
                    AuthError::wrong(
                        &path,
                        "the key is neither of the curve P-256 nor RSA of 2048 to 4096 bits",
                    )
                })?;
                let key = Key::new(Algorithm::Rs256, pair.public_key().as_ref());
                (Pair::Rsa(pair), key)
            }
        };
        let lifetime = i64::try_from(issue.lifetime.0.as_secs()).unwrap_or(i64::MAX);
        Ok(Self { pair, key, issuer: token.issuer.clone(), service: token.service.clone(), lifetime })
    }

    /// The key that verifies what this signs.
    pub(in super::super) fn key(&self) -> Key {
        self.key.clone()
    }

    /// A token that allows `access`.
    pub(in super::super) fn sign(
        &self,
        user: &str,
        access: Vec<Access>,
        now: i64,
    ) -> std::io::Result<String> {
        let algorithm = match self.pair {
            Pair::Ecdsa(_) => Algorithm::Es256,
            Pair::Rsa(_) => Algorithm::Rs256,
        };
        let header = json!({ "typ": "JWT", "alg": algorithm.as_str(), "kid": self.key.id() });
        let claims = Claims {
            iss: self.issuer.clone(),
            sub: user.into(),
            aud: Audience::One(self.service.clone()),
            exp: now.saturating_add(self.lifetime),
            nbf: now,
            iat: now,
            jti: hex::encode(random::bytes::<16>()?),
            access: Some(access),
        };
        let claims = serde_json::to_vec(&claims)?;
        let signed =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.signature(signed.as_bytes())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn signature(&self, message: &[u8]) -> std::io::Result<Vec<u8>> {
        let random = SystemRandom::new();
        let failed = |_unspecified| std::io::Error::other("a token can't be signed");
        match &self.pair {
            Pair::Ecdsa(pair) => Ok(pair.sign(&random, message).map_err(failed)?.as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut out = vec![0; pair.public().modulus_len()];
                pair.sign(&signature::RSA_PKCS1_SHA256, &random, message, &mut out).map_err(failed)?;
                Ok(out)
            }
        }
    }
}
