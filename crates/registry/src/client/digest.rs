//! Is content what its digest says?

use oci::{Algorithm, Digest};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// A digest in the making.
#[derive(Clone)]
pub(crate) enum Hasher {
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl Hasher {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha384 => Self::Sha384(Sha384::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha384(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// The digits of the sum.
    pub(crate) fn hex(self) -> String {
        match self {
            Self::Sha256(hasher) => hex::encode(hasher.finalize()),
            Self::Sha384(hasher) => hex::encode(hasher.finalize()),
            Self::Sha512(hasher) => hex::encode(hasher.finalize()),
        }
    }
}

/// The digest of `bytes` by an algorithm, as text: it is compared with, or parsed into, a [`Digest`].
pub(crate) fn text(algorithm: Algorithm, bytes: &[u8]) -> String {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(bytes);
    format!("{}:{}", algorithm.as_str(), hasher.hex())
}

/// Checks `found` against `expected`, naming `what`.
pub(crate) fn compare(what: &str, expected: &Digest, found: &str) -> super::Result<()> {
    if found == expected.as_str() {
        return Ok(());
    }
    match found.parse() {
        Ok(found) => Err(super::Error::Digest { what: what.into(), expected: expected.clone(), found }),
        Err(error) => Err(super::Error::protocol(what, format!("digest {found:?}: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm() {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512] {
            let digest: Digest = text(algorithm, b"x").parse().unwrap();
            assert_eq!(digest.algorithm(), algorithm);
            compare("x", &digest, &text(algorithm, b"x")).unwrap();
            assert!(matches!(
                compare("x", &digest, &text(algorithm, b"y")),
                Err(crate::client::Error::Digest { .. })
            ));
        }
        assert_eq!(text(Algorithm::Sha256, b""), Digest::sha256(b"").as_str());
    }
}
