//! Sigstore bundles: messages and envelopes, keys and certificates, promises and inclusion.

use serde_json::{Value, json};
use trust::{Candidate, Evidence, Image};

use super::keyless::{Authority, GOOD, Leaf};
use super::workshop::*;

fn by_key() -> Value {
    json!({"type": "sigstoreSigned", "keyPath": "good.pub", "signedIdentity": {"type": "matchDigest"}})
}

fn statement(name: &str, image: &Image, predicate: &str) -> String {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": digest(image).hex()}}],
        "predicateType": predicate,
        "predicate": {},
    })
    .to_string()
}

const SIGN: &str = "https://sigstore.dev/cosign/sign/v1";

fn pae(kind: &str, payload: &str) -> Vec<u8> {
    format!("DSSEv1 {} {kind} {} {payload}", kind.len(), payload.len()).into_bytes()
}

fn envelope(workshop: &Workshop, key: &Key, kind: &str, payload: &str) -> (Value, Vec<u8>) {
    let signature = workshop.sign(key, &pae(kind, payload));
    let envelope = json!({"payloadType": kind, "payload": b64(payload), "signatures": [{"sig": b64(&signature), "keyid": ""}]});
    (envelope, signature)
}

fn bundle(version: &str, material: Value, content: (&str, Value)) -> Candidate {
    let media_type = match version {
        "0.3" => "application/vnd.dev.sigstore.bundle.v0.3+json".to_owned(),
        other => format!("application/vnd.dev.sigstore.bundle+json;version={other}"),
    };
    let mut bundle = json!({"mediaType": media_type, "verificationMaterial": material});
    bundle[content.0] = content.1;
    Candidate::Bundle(bundle.to_string())
}

fn hint() -> Value {
    json!({"publicKey": {"hint": "whatever"}})
}

const IN_TOTO: &str = "application/vnd.in-toto+json";

#[test]
fn envelopes_by_key() {
    let workshop = Workshop::new();
    let (key, evil) = (workshop.key("good", Kind::P256), workshop.key("evil", Kind::P256));
    let policy = workshop.policy(&by_key());
    let image_ = image(&format!("{NAME}:1"), "a");
    let other = image(&format!("{NAME}:1"), "other");
    let good = statement("", &image_, SIGN);
    let make = |key: &Key, kind: &str, text: &str| {
        bundle("0.3", hint(), ("dsseEnvelope", envelope(&workshop, key, kind, text).0))
    };
    judge(&policy, &image_, &[make(&key, IN_TOTO, &good)]).unwrap();
    for (candidate, words) in [
        (make(&evil, IN_TOTO, &good), "not made by a key"),
        (make(&key, "text/plain", &good), "no signature of an image"),
        (make(&key, IN_TOTO, &statement("", &other, SIGN)), "another image"),
        (
            make(&key, IN_TOTO, &statement("", &image_, "https://slsa.dev/provenance/v1")),
            "\"https://slsa.dev/provenance/v1\", which is no signature",
        ),
        (make(&key, IN_TOTO, &good.replace("Statement/v1", "Statement/v9")), "no signature of an image"),
        (
            make(&key, IN_TOTO, &good.replacen("\"subject\"", "\"subject\":[],\"subject\"", 1)),
            "stands there twice",
        ),
    ] {
        refused(&policy, &image_, candidate, words);
    }
    // a signature of the payload alone, without its type and length
    let (mut bare, _) = envelope(&workshop, &key, IN_TOTO, &good);
    bare["signatures"][0]["sig"] = b64(workshop.sign(&key, good.as_bytes())).into();
    refused(&policy, &image_, bundle("0.3", hint(), ("dsseEnvelope", bare)), "not made by a key");
    let (mut many, _) = envelope(&workshop, &key, IN_TOTO, &good);
    many["signatures"] = json!(vec![many["signatures"][0].clone(); 9]);
    refused(&policy, &image_, bundle("0.3", hint(), ("dsseEnvelope", many)), "9 signatures");
}

#[test]
fn the_name_in_a_statement_counts_when_the_policy_asks_for_one() {
    let workshop = Workshop::new();
    let key = workshop.key("good", Kind::P256);
    let policy = workshop.policy(&json!({"type": "sigstoreSigned", "keyPath": "good.pub"}));
    let image = image(&format!("{NAME}:1"), "a");
    let named = |name: &str| {
        let text = statement(name, &image, SIGN);
        bundle("0.3", hint(), ("dsseEnvelope", envelope(&workshop, &key, IN_TOTO, &text).0))
    };
    judge(&policy, &image, &[named(&format!("{NAME}:1"))]).unwrap();
    refused(&policy, &image, named(&format!("{NAME}:2")), "for the name");
    refused(&policy, &image, named(""), "it names no repository");
}

#[test]
fn messages_sign_the_manifest_itself() {
    let workshop = Workshop::new();
    let key = workshop.key("good", Kind::P384);
    let policy = workshop.policy(&by_key());
    let (image_, other) = (image(&format!("{NAME}:1"), "a"), image(&format!("{NAME}:1"), "other"));
    let manifest = image_.manifests[0].bytes().unwrap();
    let message = json!({"signature": b64(workshop.sign(&key, manifest)), "messageDigest": {"algorithm": "SHA2_256", "digest": b64(sha256(manifest))}});
    let candidate = bundle("0.3", hint(), ("messageSignature", message));
    judge(&policy, &image_, std::slice::from_ref(&candidate)).unwrap();
    refused(&policy, &other, candidate.clone(), "not made by a key");
    let unknown = Image {
        reference: image_.reference.clone(),
        manifests: vec![trust::ManifestBytes::digest(digest(&image_).clone())],
    };
    refused(&policy, &unknown, candidate.clone(), "not known here any more");
    // what is kept proves the same later
    let kept = Evidence { image: image_, candidates: vec![candidate] }.to_json().unwrap();
    let again = Evidence::from_json(&kept).unwrap();
    judge(&policy, &again.image, &again.candidates).unwrap();
    let damaged =
        String::from_utf8(kept).unwrap().replacen(digest(&again.image).hex(), digest(&other).hex(), 1);
    assert!(Evidence::from_json(damaged.as_bytes()).is_err());
}

/// An entry of a log with two leaves, ours and another, and its checkpoint.
fn entry(workshop: &Workshop, log: &Key, body: &str, time: i64) -> Value {
    let leaf = sha256(&[&[0], body.as_bytes()].concat());
    let other = sha256(&[&[0][..], b"other"].concat());
    let root = sha256(&[&[1], other.as_slice(), &leaf].concat());
    let text = format!("log.example - 1\n2\n{}\n", b64(&root));
    let note = b64([b"\0\0\0\0".as_slice(), &workshop.sign(log, text.as_bytes())].concat());
    json!({
        "logIndex": "7",
        "logId": {"keyId": b64(sha256(&workshop.spki(log)))},
        "kindVersion": {"kind": "hashedrekord", "version": "0.0.1"},
        "integratedTime": time.to_string(),
        "inclusionPromise": {"signedEntryTimestamp": b64(workshop.promise(log, body, time, 7))},
        "inclusionProof": {
            "logIndex": "1",
            "rootHash": b64(&root),
            "treeSize": "2",
            "hashes": [b64(&other)],
            "checkpoint": {"envelope": format!("{text}\n\u{2014} log.example {note}\n")},
        },
        "canonicalizedBody": b64(body),
    })
}

fn der(pem: &str) -> String {
    pem.lines().filter(|line| !line.starts_with("-----")).collect()
}

fn dsse_entry(payload: &str, signature: &[u8], leaf: &Leaf) -> String {
    json!({
        "apiVersion": "0.0.1",
        "kind": "dsse",
        "spec": {
            "envelopeHash": {"algorithm": "sha256", "value": "00"},
            "payloadHash": {"algorithm": "sha256", "value": hex::encode(sha256(payload.as_bytes()))},
            "signatures": [{"signature": b64(signature), "verifier": b64(&leaf.pem)}],
        },
    })
    .to_string()
}

/// A keyless bundle, its log entry changed by `change`.
fn keyless(authority: &Authority, image: &Image, version: &str, change: impl Fn(&mut Value)) -> Candidate {
    let leaf = authority.leaf(crate::keyless::Says { by: "root", ..GOOD });
    let text = statement("", image, SIGN);
    let (envelope, signature) = envelope(&authority.workshop, &leaf.key, IN_TOTO, &text);
    let body = dsse_entry(&text, &signature, &leaf);
    let mut entry = entry(&authority.workshop, &authority.log, &body, now() + 60);
    change(&mut entry);
    let mut material = if version == "0.3" {
        json!({"certificate": {"rawBytes": der(&leaf.pem)}})
    } else {
        json!({"x509CertificateChain": {"certificates": [{"rawBytes": der(&leaf.pem)}]}})
    };
    material["tlogEntries"] = json!([entry]);
    bundle(version, material, ("dsseEnvelope", envelope))
}

#[test]
fn identities_in_every_version_of_the_format() {
    let authority = Authority::new();
    let policy = authority.workshop.policy(&json!({
        "type": "sigstoreSigned",
        "fulcio": {"caPath": "root.pem", "oidcIssuer": ISSUER, "subjectEmail": EMAIL},
        "rekorPublicKeyPath": "log.pub",
        "signedIdentity": {"type": "matchDigest"},
    }));
    let image = image(&format!("{NAME}:1"), "a");
    for version in ["0.1", "0.2", "0.3"] {
        judge(&policy, &image, &[keyless(&authority, &image, version, |_| ())]).unwrap();
    }
    refused(&policy, &image, keyless(&authority, &image, "0.4", |_| ()), "not supported");
    let without = |name: &'static str| {
        move |entry: &mut Value| {
            entry.as_object_mut().unwrap().remove(name);
        }
    };
    refused(
        &policy,
        &image,
        keyless(&authority, &image, "0.1", without("inclusionPromise")),
        "no inclusion promise",
    );
    judge(&policy, &image, &[keyless(&authority, &image, "0.1", without("inclusionProof"))]).unwrap();
    refused(
        &policy,
        &image,
        keyless(&authority, &image, "0.3", without("inclusionProof")),
        "no inclusion proof",
    );
    // included, but the time is only said
    refused(&policy, &image, keyless(&authority, &image, "0.3", without("inclusionPromise")), "RFC 3161");

    type Change = (&'static [&'static str], Value, &'static str);
    let hash = b64(sha256(b"x"));
    let changes: [Change; 9] = [
        (&["inclusionProof", "rootHash"], json!(hash), "does not lead to the root"),
        (&["inclusionProof", "hashes"], json!([hash]), "does not lead to the root"),
        (&["inclusionProof", "hashes"], json!([]), "does not lead to the root"),
        (&["inclusionProof", "hashes"], json!(vec![hash.clone(); 65]), "65 hashes"),
        (&["inclusionProof", "logIndex"], json!("0"), "does not lead to the root"),
        (&["inclusionProof", "logIndex"], json!("-1"), "not a whole number"),
        (
            &["inclusionProof", "checkpoint", "envelope"],
            json!("a\n2\nb\n\n\u{2014} log AAAAAAAA\n"),
            "not signed",
        ),
        (&["integratedTime"], json!((now() + 1000).to_string()), "not signed by the configured log"),
        (&["logIndex"], json!("8"), "not signed by the configured log"),
    ];
    for (path, value, words) in changes {
        let candidate = keyless(&authority, &image, "0.3", |entry| {
            let mut place = entry;
            for part in path {
                place = &mut place[part];
            }
            *place = value.clone();
        });
        refused(&policy, &image, candidate, words);
    }
}

#[test]
fn a_key_and_a_log_need_a_proof_of_inclusion_and_no_time() {
    let workshop = Workshop::new();
    let (key, log) = (workshop.key("good", Kind::P256), workshop.key("log", Kind::P256));
    let policy = workshop.policy(&json!({
        "type": "sigstoreSigned",
        "keyPath": "good.pub",
        "rekorPublicKeyPath": "log.pub",
        "signedIdentity": {"type": "matchDigest"},
    }));
    let image = image(&format!("{NAME}:1"), "a");
    let manifest = image.manifests[0].bytes().unwrap();
    let signature = workshop.sign(&key, manifest);
    let make = |body: &str, promised: bool| {
        let mut entry = entry(&workshop, &log, body, 5);
        if !promised {
            entry.as_object_mut().unwrap().remove("inclusionPromise");
        }
        let material = json!({"publicKey": {"hint": ""}, "tlogEntries": [entry]});
        bundle("0.3", material, ("messageSignature", json!({"signature": b64(&signature)})))
    };
    let body = hashedrekord(manifest, &signature, &key.public);
    assert_eq!(judge(&policy, &image, &[make(&body, false)]).unwrap().proofs[0].time, None);
    assert_eq!(judge(&policy, &image, &[make(&body, true)]).unwrap().proofs[0].time, Some(5));
    refused(&policy, &image, make(&hashedrekord(b"x", &signature, &key.public), true), "another payload");
    let none = bundle("0.3", hint(), ("messageSignature", json!({"signature": b64(&signature)})));
    refused(&policy, &image, none, "no entry of a transparency log");
}

#[test]
fn what_is_no_bundle() {
    let workshop = Workshop::new();
    workshop.key("good", Kind::P256);
    let policy = workshop.policy(&by_key());
    let image = image(&format!("{NAME}:1"), "a");
    let both = json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {}},
        "messageSignature": {"signature": ""},
        "dsseEnvelope": {"payloadType": "", "payload": "", "signatures": []},
    });
    let two = json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {}, "certificate": {"rawBytes": ""}},
        "messageSignature": {"signature": ""},
    });
    for (text, words) in [
        (String::new(), "invalid JSON"),
        ("[]".into(), "not an object"),
        ("{}".into(), "\"mediaType\" is missing"),
        ("[".repeat(200_000), "invalid JSON"),
        (" ".repeat(600 << 10), "the limit is"),
        (both.to_string(), "a message signature or an envelope"),
        (two.to_string(), "a certificate, a chain or a public key"),
    ] {
        refused(&policy, &image, Candidate::Bundle(text), words);
    }
}
