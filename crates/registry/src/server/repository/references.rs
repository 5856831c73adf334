//! What a manifest or an index refers to, read with less care than when it is put: every digest in it counts.

use oci::Digest;
use serde::Deserialize;

/// A descriptor, of which only this matters.
#[derive(Deserialize)]
struct Pointer {
    digest: Digest,
}

#[derive(Deserialize)]
struct Fields {
    config: Option<Pointer>,
    layers: Option<Vec<Pointer>>,
    manifests: Option<Vec<Pointer>>,
    subject: Option<Pointer>,
}

/// What a manifest refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct References {
    /// Config and layers.
    pub(crate) blobs: Vec<Digest>,
    /// Manifests of an index.
    pub(crate) manifests: Vec<Digest>,
    /// What it is about.
    pub(crate) subject: Option<Digest>,
}

/// By kind. None: it can't be read.
pub(crate) fn read(bytes: &[u8]) -> Option<References> {
    let fields: Fields = serde_json::from_slice(bytes).ok()?;
    let digests = |list: Option<Vec<Pointer>>| list.into_iter().flatten().map(|one| one.digest);
    Some(References {
        blobs: fields.config.into_iter().map(|one| one.digest).chain(digests(fields.layers)).collect(),
        manifests: digests(fields.manifests).collect(),
        subject: fields.subject.map(|one| one.digest),
    })
}

/// All of it. None: it can't be read.
pub(crate) fn references(bytes: &[u8]) -> Option<Vec<Digest>> {
    let mut found = read(bytes)?;
    found.blobs.append(&mut found.manifests);
    found.blobs.extend(found.subject);
    Some(found.blobs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digest_counts() {
        let digest = |seed: &str| Digest::sha256(seed.as_bytes());
        let one = |seed: &str| format!(r#"{{"digest":"{}","size":1,"urls":["x"]}}"#, digest(seed));
        let text = format!(
            r#"{{"config":{},"layers":[{},{}],"subject":{}}}"#,
            one("a"),
            one("b"),
            one("c"),
            one("d")
        );
        assert_eq!(references(text.as_bytes()).unwrap(), ["a", "b", "c", "d"].map(digest));
        let text = format!(r#"{{"manifests":[{}],"layers":null}}"#, one("e"));
        assert_eq!(references(text.as_bytes()).unwrap(), [digest("e")]);
        assert!(references(b"{\"config\":{\"digest\":\"sha256:x\"}}").is_none());
    }
}
