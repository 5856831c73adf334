//! Signatures beside images, as cosign puts them there: what is not signed by the right key does not come in.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};
use e2e::image::Image;
use e2e::programs;
use e2e::registry::picture::OCI_MANIFEST;
use e2e::registry::probe::encode64;
use e2e::registry::{Kind, Packing, Picture, Probe, Registry, Style};
use serde_json::{Value, json};

use super::{Policy, accept, daemon, refused, reject};

const REPOSITORY: &str = "team/app";
const SIMPLE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// A key of cosign's kind, made and used by openssl.
struct Key {
    private: PathBuf,
    public: PathBuf,
}

fn openssl(arguments: &[&str]) -> Result<String> {
    programs::run(Command::new("openssl").args(arguments))?.ok()
}

impl Key {
    fn new(policy: &Policy, name: &str) -> Result<Self> {
        let path = |end: &str| policy.path().join(format!("{name}.{end}"));
        let (private, public) = (path("key"), path("pub"));
        let (key, out) = (private.to_string_lossy(), public.to_string_lossy());
        openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", &key])?;
        openssl(&["pkey", "-in", &key, "-pubout", "-out", &out])?;
        Ok(Self { private, public })
    }

    fn sign(&self, message: &[u8]) -> Result<String> {
        let (text, signature) = (self.private.with_extension("text"), self.private.with_extension("sig"));
        std::fs::write(&text, message)?;
        let arguments = ["dgst", "-sha256", "-sign", &self.private.to_string_lossy(), "-out"];
        openssl(&[&arguments[..], &[&signature.to_string_lossy(), &text.to_string_lossy()]].concat())?;
        Ok(encode64(&std::fs::read(signature)?))
    }

    fn requirement(&self, identity: &str) -> Value {
        json!({"type": "sigstoreSigned", "keyPath": self.public, "signedIdentity": {"type": identity}})
    }
}

fn picture() -> Result<Picture> {
    Picture::of(&Image::busybox()?, Style::Oci, &[Packing::Gzip])
}

/// A manifest with one layer, as signatures have it.
fn artifact(layer: &str, bytes: Vec<u8>, annotations: Value) -> Result<(Picture, Value)> {
    let mut artifact = Picture::default();
    let config = artifact.blob(b"{}".to_vec(), "application/vnd.oci.image.config.v1+json");
    let mut layer = artifact.blob(bytes, layer);
    layer["annotations"] = annotations;
    let document =
        json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer]});
    Ok((artifact, document))
}

/// `cosign sign --key`: under the tag that is made of the digest.
fn sign_by_tag(probe: &Probe, key: &Key, name: &str, digest: &str) -> Result<()> {
    let payload = json!({
        "critical": {
            "identity": {"docker-reference": name},
            "image": {"docker-manifest-digest": digest},
            "type": "cosign container image signature",
        },
        "optional": null,
    })
    .to_string();
    let signature = key.sign(payload.as_bytes())?;
    let annotations = json!({"dev.cosignproject.cosign/signature": signature});
    let (mut artifact, document) = artifact(SIMPLE, payload.into_bytes(), annotations)?;
    artifact.manifest(OCI_MANIFEST, &document)?;
    artifact.push(probe, REPOSITORY, &format!("{}.sig", digest.replace(':', "-")))
}

/// What cosign 3 does: a bundle that refers to the image; with a list of its own where the registry keeps none.
fn sign_by_bundle(probe: &Probe, key: &Key, subject: &Value, predicate: &str, kind: Kind) -> Result<()> {
    let digest = subject["digest"].as_str().unwrap_or_default();
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": digest.trim_start_matches("sha256:")}}],
        "predicateType": predicate,
        "predicate": {},
    })
    .to_string();
    let payload_type = "application/vnd.in-toto+json";
    let signed = format!("DSSEv1 {} {payload_type} {} {statement}", payload_type.len(), statement.len());
    let bundle = json!({
        "mediaType": BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": ""}},
        "dsseEnvelope": {
            "payload": encode64(statement.as_bytes()),
            "payloadType": payload_type,
            "signatures": [{"sig": key.sign(signed.as_bytes())?, "keyid": ""}],
        },
    });
    let (mut artifact, mut document) = artifact(BUNDLE, bundle.to_string().into_bytes(), json!({}))?;
    document["artifactType"] = BUNDLE.into();
    document["subject"] = subject.clone();
    artifact.manifest(OCI_MANIFEST, &document)?;
    artifact.push(probe, REPOSITORY, &artifact.root.clone())?;
    if kind == Kind::Debian {
        let mut entry = artifact.descriptor()?;
        entry["artifactType"] = BUNDLE.into();
        let mut list = Picture::default();
        let index = e2e::registry::picture::OCI_INDEX;
        list.manifest(index, &json!({"schemaVersion": 2, "mediaType": index, "manifests": [entry]}))?;
        list.push(probe, REPOSITORY, &digest.replace(':', "-"))?;
    }
    Ok(())
}

#[test]
fn only_what_the_right_key_has_signed_comes_in_and_runs() -> Result<()> {
    for kind in Kind::ALL {
        let mut registry = Registry::start(kind)?;
        let (probe, name) = (registry.probe_of(REPOSITORY)?, registry.site().name(REPOSITORY));
        let (mut berth, policy) = daemon()?;
        let (good, evil) = (Key::new(&policy, "good")?, Key::new(&policy, "evil")?);
        let address = registry.site().address.clone();
        let rule = |key: &Key| {
            let signed = [key.requirement("matchRepository")];
            json!({"default": reject(), "transports": {"docker": {address.clone(): signed}}})
        };
        policy.write(&rule(&good))?;
        let picture = picture()?;
        picture.push(&probe, REPOSITORY, "1")?;
        let image = format!("{name}:1");
        refused(
            &berth.docker(["pull", &image])?,
            &[&image, "requires a signature by key sha256:", "no signature was found"],
        )?;
        sign_by_tag(&probe, &evil, &name, &picture.root)?;
        refused(&berth.docker(["pull", &image])?, &["not made by a key that the policy names"])?;
        sign_by_tag(&probe, &good, "registry.example/other/app", &picture.root)?;
        refused(&berth.docker(["pull", &image])?, &["for the name \"registry.example/other/app\""])?;
        ensure!(berth.docker(["images", "-aq"])?.ok()?.is_empty());

        sign_by_tag(&probe, &good, &name, &picture.root)?;
        berth.docker(["pull", &image])?.ok()?;
        ensure!(berth.docker(["run", "--rm", &image, "echo", "hi"])?.ok()? == "hi");
        let verdict = berth.berth(["image", "verify", &image])?.ok()?;
        ensure!(verdict.contains("Signed by: key sha256:") && verdict.contains(&picture.root), "{verdict}");
        let by_digest = format!("{name}@{}", picture.root);
        berth.docker(["run", "--rm", &by_digest, "true"])?.ok()?;

        // the signatures are kept, whatever becomes of the registry and the daemon, and judged anew
        registry.terminate()?;
        berth.kill()?;
        berth.spawn()?;
        berth.docker(["run", "--rm", &image, "true"])?.ok()?;
        policy.write(&rule(&evil))?;
        refused(
            &berth.docker(["run", "--rm", &image, "true"])?,
            &["not made by a key that the policy names"],
        )?;
        let kept = berth.data_root().join("signatures");
        ensure!(std::fs::read_dir(&kept)?.count() == 1);
        berth.docker(["rmi", &image])?.ok()?;
        ensure!(std::fs::read_dir(&kept)?.count() == 0, "signatures stay when their image goes");
        berth.finish()?;
    }
    Ok(())
}

#[test]
fn a_bundle_that_refers_to_the_image_is_a_signature_and_provenance_is_none() -> Result<()> {
    for kind in Kind::ALL {
        let mut registry = Registry::start(kind)?;
        let (probe, name) = (registry.probe_of(REPOSITORY)?, registry.site().name(REPOSITORY));
        let (berth, policy) = daemon()?;
        let key = Key::new(&policy, "good")?;
        policy.write(&json!({"default": [key.requirement("matchDigest")]}))?;
        let index = Picture::index(
            Style::Oci,
            &[
                (e2e::image::ARCHITECTURE, picture()?),
                ("s390x", Picture::made_for(&Image::busybox()?, "s390x", Style::Oci, &[Packing::Gzip])?),
            ],
        )?;
        index.push(&probe, REPOSITORY, "1")?;
        let image = format!("{name}:1");
        let subject = index.descriptor()?;
        sign_by_bundle(&probe, &key, &subject, "https://slsa.dev/provenance/v1", kind)?;
        refused(
            &berth.docker(["pull", &image])?,
            &["\"https://slsa.dev/provenance/v1\", which is no signature of an image"],
        )?;
        sign_by_bundle(&probe, &key, &subject, "https://sigstore.dev/cosign/sign/v1", kind)?;
        berth.docker(["pull", &image])?.ok()?;
        berth.docker(["run", "--rm", &image, "true"])?.ok()?;
        registry.terminate()?;
        berth.finish()?;
    }
    Ok(())
}

#[test]
fn pinned_digests_and_a_policy_that_came_after_the_image() -> Result<()> {
    let mut registry = Registry::start(Kind::Debian)?;
    let (probe, name) = (registry.probe_of(REPOSITORY)?, registry.site().name(REPOSITORY));
    let (berth, policy) = daemon()?;
    let key = Key::new(&policy, "good")?;
    let old = picture()?;
    old.push(&probe, REPOSITORY, "1")?;
    let image = format!("{name}:1");
    let pinned = |more: Value| json!({"default": accept(), "transports": {"docker": {name.clone(): [more]}}});
    policy.write(&pinned(json!({"type": "digestPinned"})))?;
    refused(&berth.docker(["pull", &image])?, &["requires a name with a digest", &old.root])?;
    berth.docker(["pull", &format!("{name}@{}", old.root)])?.ok()?;
    policy.write(&pinned(json!({"type": "digestPinned", "digests": [old.root]})))?;
    berth.docker(["pull", &image])?.ok()?;
    berth.docker(["run", "--rm", &image, "true"])?.ok()?;
    let new = old.altered(|document| document["annotations"] = json!({"moved": "on"}))?;
    new.push(&probe, REPOSITORY, "1")?;
    refused(&berth.docker(["pull", &image])?, &["requires sha256:", &format!("leads to {}", new.root)])?;

    policy.write(&json!({"default": [key.requirement("matchRepository")]}))?;
    refused(&berth.docker(["run", "--rm", &image, "true"])?, &["pull it again once it is signed"])?;
    sign_by_tag(&probe, &key, &name, &new.root)?;
    berth.docker(["pull", &image])?.ok()?;
    berth.docker(["run", "--rm", &image, "true"])?.ok()?;
    registry.terminate()?;
    berth.finish()
}
