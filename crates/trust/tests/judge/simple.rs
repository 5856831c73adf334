//! cosign's first format with configured keys.

use serde_json::json;
use trust::{Candidate, ManifestBytes, Simple};

use super::workshop::*;

fn by_key() -> serde_json::Value {
    json!({"type": "sigstoreSigned", "keyPath": "good.pub"})
}

fn by_key_for(identity: &serde_json::Value) -> serde_json::Value {
    json!({"type": "sigstoreSigned", "keyPath": "good.pub", "signedIdentity": identity})
}

#[test]
fn every_kind_of_key_verifies_what_openssl_signs_with_it() {
    let image = image(&format!("{NAME}:1"), "a");
    for kind in [Kind::P256, Kind::P384, Kind::Ed25519, Kind::Rsa, Kind::RsaPss] {
        let workshop = Workshop::new();
        let key = workshop.key("good", kind);
        let policy = workshop.policy(&by_key());
        let signature = simple(&workshop, &key, &payload(&format!("{NAME}:1"), digest(&image)));
        let accepted = judge(&policy, &image, &[Candidate::Simple(signature)]).unwrap();
        assert_eq!(accepted.scope, r#"docker "registry.example:5000""#);
        assert_eq!(accepted.proofs.len(), 1);
        assert_eq!(
            accepted.proofs[0].by,
            format!("key sha256:{}", hex::encode(sha256(&workshop.spki(&key))))
        );
        assert_eq!(&accepted.proofs[0].digest, digest(&image));
    }
}

#[test]
fn keys_that_cannot_be_verified_with_are_refused_by_name() {
    for (kind, words) in [(Kind::P521, "ECDSA P-521"), (Kind::SmallRsa, "1024 bits")] {
        let workshop = Workshop::new();
        workshop.key("good", kind);
        let error = workshop.try_policy(&by_key()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert!(error.starts_with(r#"transports.docker["registry.example:5000"][0].keyPath: "#), "{error}");
    }
}

#[test]
fn a_signature_by_another_key_or_of_another_text_is_refused() {
    let workshop = Workshop::new();
    let good = workshop.key("good", Kind::P256);
    let evil = workshop.key("evil", Kind::P256);
    let policy = workshop.policy(&by_key());
    let image = image(&format!("{NAME}:1"), "a");
    let text = payload(&format!("{NAME}:1"), digest(&image));
    let other_key = simple(&workshop, &evil, &text);
    refused(&policy, &image, Candidate::Simple(other_key), "not made by a key that the policy names");

    let signed = simple(&workshop, &good, &text);
    let other_text = Simple { payload: text.replace("somebody", "somebodY"), ..signed.clone() };
    refused(&policy, &image, Candidate::Simple(other_text), "not made by a key");
    // of several, one good one is enough, and the order does not matter
    let other_key = simple(&workshop, &evil, &text);
    judge(&policy, &image, &[Candidate::Simple(other_key), Candidate::Simple(signed)]).unwrap();
    let refusal = judge(&policy, &image, &[]).unwrap_err();
    assert!(refusal.contains("no signature was found"), "{refusal}");
    assert!(refusal.contains(&format!("image {NAME}:1 is refused")), "{refusal}");
}

#[test]
fn a_signature_of_another_image_is_refused() {
    let workshop = Workshop::new();
    let key = workshop.key("good", Kind::P256);
    let policy = workshop.policy(&by_key());
    let (old, new) = (image(&format!("{NAME}:1"), "old"), image(&format!("{NAME}:1"), "new"));
    let replayed = simple(&workshop, &key, &payload(&format!("{NAME}:1"), digest(&old)));
    refused(&policy, &new, Candidate::Simple(replayed), "another image");
}

#[test]
fn a_signature_of_the_index_or_of_the_chosen_manifest_counts_and_of_another_platform_does_not() {
    let workshop = Workshop::new();
    let key = workshop.key("good", Kind::P256);
    let policy = workshop.policy(&by_key());
    let mut chosen = image(&format!("{NAME}:1"), "index");
    chosen.manifests.push(ManifestBytes::whole(b"amd64".to_vec()));
    for (bytes, good) in [(&b"amd64"[..], true), (b"arm64", false), (b"{\"seed\":\"index\"}", true)] {
        let text = payload(&format!("{NAME}:1"), &oci::Digest::sha256(bytes));
        let verdict = judge(&policy, &chosen, &[Candidate::Simple(simple(&workshop, &key, &text))]);
        assert_eq!(verdict.is_ok(), good, "{verdict:?}");
    }
}

#[test]
fn the_signed_name_must_be_the_one_that_the_policy_accepts() {
    let workshop = Workshop::new();
    let key = workshop.key("good", Kind::P256);
    let tagged = image(&format!("{NAME}:1"), "a");
    let by_digest = image(&format!("{NAME}@{}", digest(&tagged)), "a");
    let try_name = |identity: serde_json::Value, image: &trust::Image, name: &str| {
        let requirement = if identity.is_null() { by_key() } else { by_key_for(&identity) };
        let signature = simple(&workshop, &key, &payload(name, digest(image)));
        judge(&workshop.policy(&requirement), image, &[Candidate::Simple(signature)]).is_ok()
    };
    let exact = format!("{NAME}:1");
    let (other_tag, other_name) = (format!("{NAME}:2"), "registry.example:5000/team/other:1");
    let default = json!(null);
    let kind = |kind: &str| json!({"type": kind});
    for (identity, image, name, good) in [
        (default.clone(), &tagged, exact.as_str(), true),
        (default.clone(), &tagged, &other_tag, false),
        (default.clone(), &tagged, NAME, false),
        (default.clone(), &tagged, other_name, false),
        (default.clone(), &by_digest, &other_tag, true),
        (default.clone(), &by_digest, NAME, true),
        (default.clone(), &by_digest, other_name, false),
        (default, &by_digest, "Not A Name", false),
        (kind("matchExact"), &by_digest, &exact, false),
        (kind("matchExact"), &tagged, &exact, true),
        (kind("matchRepository"), &tagged, NAME, true),
        (kind("matchRepository"), &tagged, &other_tag, true),
        (kind("matchRepository"), &tagged, other_name, false),
        (kind("matchRepository"), &tagged, "registry.example:5000/team/app2", false),
        (kind("matchDigest"), &tagged, other_name, true),
        (
            json!({"type": "exactReference", "dockerReference": "vendor.example/x:9"}),
            &tagged,
            "vendor.example/x:9",
            true,
        ),
        (
            json!({"type": "exactReference", "dockerReference": "vendor.example/x:9"}),
            &tagged,
            "vendor.example/x:8",
            false,
        ),
        (json!({"type": "exactReference", "dockerReference": "vendor.example/x:9"}), &tagged, &exact, false),
        (
            json!({"type": "exactRepository", "dockerRepository": "vendor.example/x"}),
            &tagged,
            "vendor.example/x:8",
            true,
        ),
        (json!({"type": "exactRepository", "dockerRepository": "vendor.example/x"}), &tagged, &exact, false),
        (
            json!({"type": "remapIdentity", "prefix": "registry.example:5000/team", "signedPrefix": "vendor.example"}),
            &tagged,
            "vendor.example/app:1",
            true,
        ),
        (
            json!({"type": "remapIdentity", "prefix": "registry.example:5000/team", "signedPrefix": "vendor.example"}),
            &tagged,
            &exact,
            false,
        ),
        (
            // no component is cut in two
            json!({"type": "remapIdentity", "prefix": "registry.example:5000/te", "signedPrefix": "vendor.example"}),
            &tagged,
            &exact,
            true,
        ),
    ] {
        assert_eq!(try_name(identity.clone(), image, name), good, "{identity} {} {name}", image.reference);
    }
}

#[test]
fn a_payload_says_one_thing_and_is_a_signature() {
    let workshop = Workshop::new();
    let key = workshop.key("good", Kind::P256);
    let policy = workshop.policy(&by_key());
    let image = image(&format!("{NAME}:1"), "a");
    let good = payload(&format!("{NAME}:1"), digest(&image));
    let other = oci::Digest::sha256(b"other");
    let twice = good.replacen(
        r#""docker-manifest-digest""#,
        &format!(r#""docker-manifest-digest":"{other}","docker-manifest-digest""#),
        1,
    );
    for (text, words) in [
        (twice, "stands there twice"),
        (good.replace("cosign container image signature", "cosign attestation"), "no signature of an image"),
        (
            good.replace("docker-manifest-digest", "Docker-manifest-digest"),
            "\"docker-manifest-digest\" is missing",
        ),
        (good.replacen("\"critical\"", "\"more\":1,\"critical\"", 1), "unknown key \"more\""),
        (good.replacen("\"type\"", "\"expires\":1,\"type\"", 1), "unknown key \"expires\""),
        (format!("{good} {good}"), "invalid JSON"),
        (format!("[{good}]"), "not an object"),
    ] {
        refused(&policy, &image, Candidate::Simple(simple(&workshop, &key, &text)), words);
    }
}

#[test]
fn base64_has_one_form_and_sizes_have_limits() {
    let workshop = Workshop::new();
    let key = workshop.key("good", Kind::Ed25519);
    let policy = workshop.policy(&by_key());
    let image = image(&format!("{NAME}:1"), "a");
    let good = simple(&workshop, &key, &payload(&format!("{NAME}:1"), digest(&image)));
    judge(&policy, &image, &[Candidate::Simple(good.clone())]).unwrap();
    let with = |signature: String| Candidate::Simple(Simple { signature, ..good.clone() });
    // 64 bytes end in "==", with four bits that mean nothing
    let unpadded = good.signature.trim_end_matches('=').to_owned();
    let mut loose = unpadded.clone();
    let last = loose.pop().unwrap();
    loose.push(char::from(last as u8 + 1));
    for signature in [
        String::new(),
        unpadded,
        format!("{loose}=="),
        format!("{}\n", good.signature),
        format!(" {}", good.signature),
        good.signature.replace(['+', '/'], "-") + "-",
    ] {
        assert!(judge(&policy, &image, &[with(signature.clone())]).is_err(), "{signature:?}");
    }
    refused(&policy, &image, with("A".repeat(1 << 20)), "the limit is");
    let large = Simple { payload: " ".repeat(1 << 20), ..good.clone() };
    refused(&policy, &image, Candidate::Simple(large), "the limit is");
    let chained = Simple { chain: Some("x".repeat(1 << 20)), ..good };
    refused(&policy, &image, Candidate::Simple(chained), "the limit is");
}

#[test]
fn only_so_many_signatures_are_looked_at_and_what_they_say_is_shown_shortly() {
    let workshop = Workshop::new();
    let key = workshop.key("good", Kind::P256);
    let policy = workshop.policy(&by_key());
    let image = image(&format!("{NAME}:1"), "a");
    let good = simple(&workshop, &key, &payload(&format!("{NAME}:1"), digest(&image)));
    let mut many = vec![Candidate::Bundle("{}".into()); trust::limits::SIGNATURES];
    many.push(Candidate::Simple(good));
    let refusal = judge(&policy, &image, &many).unwrap_err();
    assert!(refusal.len() < 2000 && refusal.contains("and so on"), "{refusal}");
    let text = payload(&format!("{}\u{1b}[2J", "x".repeat(100_000)), digest(&image));
    let refusal = judge(&policy, &image, &[Candidate::Simple(simple(&workshop, &key, &text))]).unwrap_err();
    assert!(refusal.len() < 2000 && !refusal.contains('\u{1b}'), "{refusal}");
}

#[test]
fn with_a_log_configured_the_signature_must_be_in_it() {
    let workshop = Workshop::new();
    let (key, log) = (workshop.key("good", Kind::P256), workshop.key("log", Kind::P256));
    let other_log = workshop.key("otherlog", Kind::P256);
    let policy = workshop
        .policy(&json!({"type": "sigstoreSigned", "keyPath": "good.pub", "rekorPublicKeyPath": "log.pub"}));
    let image = image(&format!("{NAME}:1"), "a");
    let text = payload(&format!("{NAME}:1"), digest(&image));
    let signed = simple(&workshop, &key, &text);
    let raw = workshop.sign(&key, text.as_bytes());
    let fresh = Simple { signature: b64(&raw), ..signed.clone() };
    let body = hashedrekord(text.as_bytes(), &raw, &key.public);
    let entry = workshop.log_annotation(&log, &body, 1_700_000_000);
    let with = |entry: String| Candidate::Simple(Simple { bundle: Some(entry), ..fresh.clone() });
    let accepted = judge(&policy, &image, &[with(entry.clone())]).unwrap();
    assert_eq!(accepted.proofs[0].time, Some(1_700_000_000));

    refused(&policy, &image, Candidate::Simple(signed), "no entry of a transparency log");
    refused(
        &policy,
        &image,
        with(entry.replace("1700000000", "1700000001")),
        "not signed by the configured log",
    );
    refused(
        &policy,
        &image,
        with(entry.replace("\"logIndex\":7", "\"logIndex\":8")),
        "not signed by the configured log",
    );
    refused(
        &policy,
        &image,
        with(workshop.log_annotation(&other_log, &body, 1)),
        "which the policy does not name",
    );
    let stranger = workshop.log_annotation(&other_log, &body, 1).replace(
        &hex::encode(sha256(&workshop.spki(&other_log))),
        &hex::encode(sha256(&workshop.spki(&log))),
    );
    refused(&policy, &image, with(stranger), "not signed by the configured log");
    for (body, words) in [
        (hashedrekord(b"other", &raw, &key.public), "another payload"),
        (hashedrekord(text.as_bytes(), b"other", &key.public), "another signature"),
        (hashedrekord(text.as_bytes(), &raw, &log.public), "another key"),
        (body.replace("hashedrekord", "rekord"), "of kind rekord 0.0.1"),
        (body.replace("\"sha256\"", "\"sha1\""), "hash algorithm"),
        (body.replacen("\"spec\"", "\"kind\":\"x\",\"spec\"", 1), "stands there twice"),
    ] {
        refused(&policy, &image, with(workshop.log_annotation(&log, &body, 1)), words);
    }
}
