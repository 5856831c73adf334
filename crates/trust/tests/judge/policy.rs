//! The policy file: which rule is for which name, and what is refused in it.

use oci::Reference;
use serde_json::{Value, json};
use trust::{Origin, Policy};

use super::workshop::*;

fn reject() -> Value {
    json!([{"type": "reject"}])
}

fn accept() -> Value {
    json!([{"type": "insecureAcceptAnything"}])
}

fn parse(policy: &Value) -> Policy {
    Workshop::new().parse(policy.to_string().as_bytes()).unwrap()
}

fn scope(policy: &Policy, name: &str, origin: Origin) -> String {
    policy.rule(&Reference::parse(name).unwrap().with_default_tag(), origin).scope
}

#[test]
fn the_most_specific_scope_alone() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let by_digest = format!("quay.io/team/app@{digest}");
    let policy = parse(&json!({
        "default": reject(),
        "transports": {"docker": {
            "quay.io": accept(), "quay.io/team": accept(), "quay.io/team/app": accept(), "quay.io/team/app:1": accept(),
            by_digest.clone(): accept(),
            "docker.io/library": accept(), "docker.io/library/busybox:latest": accept(),
            "*.example.com": accept(), "*.b.example.com": accept(), "localhost:5000": accept(), "localhost": accept(),
        }},
    }));
    for (name, want) in [
        ("quay.io/team/app:1", "docker \"quay.io/team/app:1\""),
        ("quay.io/team/app:2", "docker \"quay.io/team/app\""),
        (&by_digest, &format!("docker {by_digest:?}")),
        // asked for by digest, the tag is of no account
        (&format!("quay.io/team/app:1@{digest}"), &format!("docker {by_digest:?}")),
        ("quay.io/team/app2", "docker \"quay.io/team\""),
        ("quay.io/teams/app", "docker \"quay.io\""),
        ("quay.io:443/team/app", "default"),
        ("busybox", "docker \"docker.io/library/busybox:latest\""),
        ("index.docker.io/library/busybox", "docker \"docker.io/library/busybox:latest\""),
        ("busybox:1", "docker \"docker.io/library\""),
        ("team/busybox", "default"),
        ("a.example.com/x", "docker \"*.example.com\""),
        ("a.b.example.com:8443/x", "docker \"*.b.example.com\""),
        ("example.com/x", "default"),
        ("a.example.com.evil/x", "default"),
        ("localhost:5000/x", "docker \"localhost:5000\""),
        ("localhost/x", "docker \"localhost\""),
        ("localhost:5001/x", "default"),
    ] {
        assert_eq!(scope(&policy, name, Origin::Registry), want, "{name}");
    }
}

#[test]
fn what_was_made_here_has_rules_of_its_own_and_no_way_around_the_others() {
    let policy = parse(&json!({
        "default": accept(),
        "transports": {
            "docker": {"quay.io/team": reject(), "": accept()},
            "docker-daemon": {"quay.io/team/local": accept()},
        },
    }));
    assert_eq!(scope(&policy, "quay.io/team/local", Origin::Registry), "docker \"quay.io/team\"");
    assert_eq!(scope(&policy, "quay.io/team/local", Origin::Local), "docker-daemon \"quay.io/team/local\"");
    assert_eq!(scope(&policy, "quay.io/team/app", Origin::Local), "docker \"quay.io/team\"");
    assert_eq!(scope(&policy, "app", Origin::Local), "docker \"\"");
    assert_eq!(policy.rule_for_nameless().scope, "default");
    let policy = parse(&json!({"default": reject(), "transports": {"docker-daemon": {"": accept()}}}));
    assert_eq!(scope(&policy, "quay.io/team/app", Origin::Local), "docker-daemon \"\"");
    assert_eq!(scope(&policy, "quay.io/team/app", Origin::Registry), "default");
    assert_eq!(policy.rule_for_nameless().scope, "docker-daemon \"\"");
}

#[test]
fn digests_are_pinned() {
    let workshop = Workshop::new();
    let (tagged, other) = (image(&format!("{NAME}:1"), "a"), image(&format!("{NAME}:1"), "b"));
    let by_digest = image(&format!("{NAME}@{}", digest(&tagged)), "a");
    let any = workshop.policy(&json!({"type": "digestPinned"}));
    assert!(judge(&any, &by_digest, &[]).is_ok());
    let refusal = judge(&any, &tagged, &[]).unwrap_err();
    assert!(refusal.contains("requires a name with a digest"), "{refusal}");
    let one = workshop.policy(&json!({"type": "digestPinned", "digests": [digest(&tagged).as_str()]}));
    assert!(judge(&one, &tagged, &[]).is_ok());
    let refusal = judge(&one, &other, &[]).unwrap_err();
    assert!(refusal.contains(&format!("leads to {}", digest(&other))), "{refusal}");
}

#[test]
fn all_requirements_of_a_scope_must_be_met() {
    let workshop = Workshop::new();
    let (vendor, house) = (workshop.key("vendor", Kind::P256), workshop.key("house", Kind::Ed25519));
    let signed = |key: &str| json!({"type": "sigstoreSigned", "keyPath": format!("{key}.pub"), "signedIdentity": {"type": "matchRepository"}});
    let policy = workshop
        .parse(json!({"default": [signed("vendor"), signed("house")]}).to_string().as_bytes())
        .unwrap();
    let image = image(&format!("{NAME}:1"), "a");
    let text = payload(NAME, digest(&image));
    let by_vendor = trust::Candidate::Simple(simple(&workshop, &vendor, &text));
    let by_house = trust::Candidate::Simple(simple(&workshop, &house, &text));
    assert!(judge(&policy, &image, std::slice::from_ref(&by_vendor)).is_err());
    assert!(judge(&policy, &image, std::slice::from_ref(&by_house)).is_err());
    assert_eq!(judge(&policy, &image, &[by_house, by_vendor]).unwrap().proofs.len(), 2);
}

fn signed(more: Value) -> String {
    let mut requirement = json!({"type": "sigstoreSigned"});
    requirement.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"default": [requirement]}).to_string()
}

#[test]
fn what_is_unknown_unsupported_or_said_twice_is_refused_by_its_place() {
    let workshop = Workshop::new();
    workshop.key("good", Kind::P256);
    workshop.write("empty", "");
    for (text, words) in [
        (String::new(), "policy: invalid JSON"),
        ("{}".into(), "\"default\" is missing"),
        (json!({"default": []}).to_string(), "default: no requirement"),
        (json!({"default": reject(), "defualt": accept()}).to_string(), "unknown key \"defualt\""),
        (r#"{"default":[{"type":"reject"}],"default":[{"type":"insecureAcceptAnything"}]}"#.into(), "twice"),
        (json!({"default": [{"type": "reject", "more": 1}]}).to_string(), "default[0]: unknown key \"more\""),
        (
            json!({"default": [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "x"}]}).to_string(),
            "default[0].type: \"signedBy\" (GPG signatures) is not supported",
        ),
        (
            json!({"default": [{"type": "signedBaseLayer"}]}).to_string(),
            "\"signedBaseLayer\" is not supported",
        ),
        (json!({"default": [{"type": "signd"}]}).to_string(), "unknown requirement \"signd\""),
        (
            json!({"default": reject(), "transports": {"oci": {"": accept()}}}).to_string(),
            "transports.oci: this transport does not exist here",
        ),
        (" ".repeat(2 << 20), "the limit is"),
    ] {
        let error = workshop.parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}\nlacks {words:?}");
    }
}

#[test]
fn a_scope_that_no_name_is_in_is_refused() {
    let workshop = Workshop::new();
    let docker =
        |scope: &str| json!({"default": reject(), "transports": {"docker": {scope: accept()}}}).to_string();
    for (text, words) in [
        (docker("busybox"), "write it in full, as in \"docker.io/library/busybox\""),
        (docker("index.docker.io/library/busybox"), "as in \"docker.io/library/busybox\""),
        (docker("quay.io/Team"), "lowercase"),
        (docker("quay.*/team"), "a wildcard stands for subdomains only"),
        (docker("*.example.com/team"), "a wildcard stands for subdomains only"),
        (docker(&format!("quay.io/a:1@sha256:{}", "a".repeat(64))), "without its tag"),
    ] {
        let error = workshop.parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}\nlacks {words:?}");
    }
}

#[test]
fn a_signer_is_said_wholly_and_once() {
    let workshop = Workshop::new();
    workshop.key("good", Kind::P256);
    workshop.write("empty", "");
    let fulcio = |fulcio: Value| signed(json!({"fulcio": fulcio, "rekorPublicKeyPath": "good.pub"}));
    for (text, words) in [
        (signed(json!({})), "exactly one of"),
        (signed(json!({"keyPath": "good.pub", "keyData": "eA=="})), "only one of keyPath"),
        (signed(json!({"keyPath": "good.pub", "fulcio": {}})), "exactly one of"),
        (signed(json!({"keyPath": "none.pub"})), "default[0].keyPath: none.pub: No such file"),
        (signed(json!({"keyPath": "empty"})), "no PEM-encoded public key"),
        (signed(json!({"keyPath": "good.key"})), "no PEM-encoded public key"),
        (signed(json!({"keyPaths": []})), "keyPaths: one to"),
        (signed(json!({"keyData": "not base64"})), "no base64"),
        (signed(json!({"pki": {}})), "certificates that are not of Fulcio"),
        (
            signed(json!({"keyPath": "good.pub", "signedIdentity": {"type": "x"}})),
            "default[0].signedIdentity.type: unknown identity",
        ),
        (
            signed(
                json!({"keyPath": "good.pub", "signedIdentity": {"type": "exactReference", "dockerReference": "quay.io/a"}}),
            ),
            "needs a tag or a digest",
        ),
        (
            signed(
                json!({"keyPath": "good.pub", "signedIdentity": {"type": "exactRepository", "dockerRepository": "quay.io/a:1"}}),
            ),
            "no tag",
        ),
        (
            signed(
                json!({"keyPath": "good.pub", "signedIdentity": {"type": "remapIdentity", "prefix": "", "signedPrefix": "quay.io"}}),
            ),
            "prefix: it is a registry",
        ),
        (signed(json!({"fulcio": {}})), "\"fulcio\" needs a \"rekorPublicKeyPath\""),
        (fulcio(json!({"oidcIssuer": "x", "subjectEmail": "y"})), "exactly one of \"caPath\""),
        (
            fulcio(json!({"caPath": "empty", "oidcIssuer": "x", "subjectEmail": "y"})),
            "no PEM-encoded certificate",
        ),
        (
            json!({"default": [{"type": "digestPinned", "digests": ["sha256:12"]}]}).to_string(),
            "default[0].digests: invalid checksum digest length",
        ),
        (json!({"default": [{"type": "digestPinned", "digests": []}]}).to_string(), "digests: one to"),
    ] {
        let error = workshop.parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}\nlacks {words:?}");
    }
}

#[test]
fn keys_come_from_files_and_from_the_policy_itself() {
    let workshop = Workshop::new();
    let (one, two) = (workshop.key("one", Kind::P256), workshop.key("two", Kind::P256));
    let image = image(&format!("{NAME}:1"), "a");
    let text = payload(&format!("{NAME}:1"), digest(&image));
    for more in [
        json!({"keyPaths": ["one.pub", "two.pub"]}),
        json!({"keyDatas": [b64(&one.public), b64(&two.public)]}),
        json!({"keyData": b64(&two.public)}),
    ] {
        let mut requirement = json!({"type": "sigstoreSigned"});
        requirement.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let policy = workshop.policy(&requirement);
        let signed = trust::Candidate::Simple(simple(&workshop, &two, &text));
        judge(&policy, &image, &[signed]).unwrap();
    }
}
