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

/// Blobs, manifests and subject. None: it can't be read.
pub(crate) fn references(bytes: &[u8]) -> Option<Vec<Digest>> {
    let fields: Fields = serde_json::from_slice(bytes).ok()?;
    let lists = [fields.layers, fields.manifests].into_iter().flatten().flatten();
    Some([fields.config, fields.subject].into_iter().flatten().chain(lists).map(|one| one.digest).collect())
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
        let mut found = references(text.as_bytes()).unwrap();
        found.sort_by_key(ToString::to_string);
        let mut expected = ["a", "b", "c", "d"].map(digest).to_vec();
        expected.sort_by_key(ToString::to_string);
        assert_eq!(found, expected);
        let text = format!(r#"{{"manifests":[{}],"layers":null}}"#, one("e"));
        assert_eq!(references(text.as_bytes()).unwrap(), [digest("e")]);
        assert!(references(b"{\"config\":{\"digest\":\"sha256:x\"}}").is_none());
    }
}
