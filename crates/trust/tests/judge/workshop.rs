//! A place where keys, certificates, log entries and signatures are made.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci::{Digest, Reference};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use trust::{Accepted, Candidate, Image, ManifestBytes, Origin, Policy, Simple};

pub(crate) const NAME: &str = "registry.example:5000/team/app";
pub(crate) const ISSUER: &str = "https://login.example";
pub(crate) const EMAIL: &str = "build@example.com";

pub(crate) struct Workshop {
    dir: tempfile::TempDir,
}

/// A private key in a file.
pub(crate) struct Key {
    pub(crate) path: PathBuf,
    pub(crate) public: String,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    P256,
    P384,
    P521,
    Ed25519,
    Rsa,
    RsaPss,
    SmallRsa,
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

pub(crate) fn sha256(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

impl Workshop {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name).to_str().unwrap().into()
    }

    pub(crate) fn openssl(&self, arguments: &[&str]) -> Vec<u8> {
        let output = Command::new("openssl")
            .args(arguments)
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    pub(crate) fn key(&self, name: &str, kind: Kind) -> Key {
        let path = self.path(&format!("{name}.key"));
        let file = path.to_str().unwrap();
        let options: &[&str] = match kind {
            Kind::P256 => &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            Kind::P384 => &["EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
            Kind::P521 => &["EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
            Kind::Ed25519 => &["ED25519"],
            Kind::Rsa | Kind::RsaPss => &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
            Kind::SmallRsa => &["RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
        };
        self.openssl(&[&["genpkey", "-out", file, "-algorithm"], options].concat());
        let public = String::from_utf8(self.openssl(&["pkey", "-in", file, "-pubout"])).unwrap();
        self.write(&format!("{name}.pub"), &public);
        Key { path, public, kind }
    }

    pub(crate) fn sign(&self, key: &Key, message: &[u8]) -> Vec<u8> {
        let file = self.write("message", message);
        let key_file = key.path.to_str().unwrap();
        match key.kind {
            Kind::Ed25519 => self.openssl(&["pkeyutl", "-sign", "-rawin", "-inkey", key_file, "-in", &file]),
            Kind::RsaPss => self.openssl(&[
                "dgst",
                "-sha256",
                "-sigopt",
                "rsa_padding_mode:pss",
                "-sigopt",
                "rsa_pss_saltlen:32",
                "-sign",
                key_file,
                &file,
            ]),
            Kind::P521 => self.openssl(&["dgst", "-sha512", "-sign", key_file, &file]),
            _ => self.openssl(&["dgst", "-sha256", "-sign", key_file, &file]),
        }
    }

    /// The SubjectPublicKeyInfo.
    pub(crate) fn spki(&self, key: &Key) -> Vec<u8> {
        self.openssl(&["pkey", "-in", key.path.to_str().unwrap(), "-pubout", "-outform", "DER"])
    }

    /// A policy for [`NAME`]'s registry that asks for one signature.
    pub(crate) fn policy(&self, requirement: &Value) -> Policy {
        self.try_policy(requirement).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn try_policy(&self, requirement: &Value) -> Result<Policy, trust::PolicyError> {
        let policy = json!({
            "default": [{"type": "reject"}],
            "transports": {"docker": {"registry.example:5000": [requirement]}},
        });
        self.parse(policy.to_string().as_bytes())
    }

    pub(crate) fn parse(&self, policy: &[u8]) -> Result<Policy, trust::PolicyError> {
        let dir = self.dir.path();
        Policy::parse(policy, &mut |path| {
            std::fs::read(Path::new(dir).join(path)).map_err(|error| error.to_string())
        })
    }

    /// An entry of a log: its signature over body, time, log and index.
    pub(crate) fn promise(&self, log: &Key, body: &str, time: i64, index: i64) -> Vec<u8> {
        let promised = format!(
            r#"{{"body":"{}","integratedTime":{time},"logID":"{}","logIndex":{index}}}"#,
            b64(body),
            hex::encode(sha256(&self.spki(log)))
        );
        self.sign(log, promised.as_bytes())
    }

    /// The annotation with a log entry, as cosign writes it.
    pub(crate) fn log_annotation(&self, log: &Key, body: &str, time: i64) -> String {
        json!({
            "SignedEntryTimestamp": b64(self.promise(log, body, time, 7)),
            "Payload": {
                "body": b64(body),
                "integratedTime": time,
                "logIndex": 7,
                "logID": hex::encode(sha256(&self.spki(log))),
            },
        })
        .to_string()
    }
}

/// What a log writes down of a signature.
pub(crate) fn hashedrekord(message: &[u8], signature: &[u8], pem: &str) -> String {
    json!({
        "apiVersion": "0.0.1",
        "kind": "hashedrekord",
        "spec": {
            "data": {"hash": {"algorithm": "sha256", "value": hex::encode(sha256(message))}},
            "signature": {"content": b64(signature), "publicKey": {"content": b64(pem)}},
        },
    })
    .to_string()
}

/// An image with a manifest of its own for each `seed`.
pub(crate) fn image(reference: &str, seed: &str) -> Image {
    Image {
        reference: Reference::parse(reference).unwrap().with_default_tag(),
        manifests: vec![ManifestBytes::whole(format!("{{\"seed\":{seed:?}}}").into_bytes())],
    }
}

pub(crate) fn digest(image: &Image) -> &Digest {
    &image.manifests[0].digest
}

/// What cosign signs.
pub(crate) fn payload(name: &str, digest: &Digest) -> String {
    json!({
        "critical": {
            "identity": {"docker-reference": name},
            "image": {"docker-manifest-digest": digest.as_str()},
            "type": "cosign container image signature",
        },
        "optional": {"creator": "somebody"},
    })
    .to_string()
}

pub(crate) fn simple(workshop: &Workshop, key: &Key, payload: &str) -> Simple {
    Simple {
        payload: payload.into(),
        signature: b64(workshop.sign(key, payload.as_bytes())),
        ..Simple::default()
    }
}

pub(crate) fn judge(policy: &Policy, image: &Image, candidates: &[Candidate]) -> Result<Accepted, String> {
    policy
        .rule(&image.reference, Origin::Registry)
        .judge(image, candidates)
        .map_err(|refusal| refusal.to_string())
}

#[track_caller]
pub(crate) fn refused(policy: &Policy, image: &Image, candidate: Candidate, words: &str) {
    match judge(policy, image, &[candidate]) {
        Ok(accepted) => panic!("accepted: {accepted:?}, though it should say {words:?}"),
        Err(refusal) => assert!(refusal.contains(words), "{refusal}\nlacks {words:?}"),
    }
}
