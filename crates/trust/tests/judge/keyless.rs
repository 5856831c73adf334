//! Identities: certificates of ten minutes, an authority, and a log that says when.

use serde_json::{Value, json};
use trust::{Candidate, Policy, Simple};

use super::workshop::*;

/// An authority (root, intermediate) and a log.
pub(crate) struct Authority {
    pub(crate) workshop: Workshop,
    pub(crate) log: Key,
}

pub(crate) struct Leaf {
    pub(crate) key: Key,
    pub(crate) pem: String,
}

/// What a certificate says.
#[derive(Clone, Copy)]
pub(crate) struct Says<'a> {
    pub(crate) names: &'a str,
    pub(crate) extensions: &'a str,
    pub(crate) usage: &'a str,
    pub(crate) by: &'a str,
    pub(crate) days: &'a str,
}

pub(crate) const GOOD: Says<'static> = Says {
    names: "email:build@example.com",
    extensions: "1.3.6.1.4.1.57264.1.8=ASN1:UTF8String:https://login.example\n",
    usage: "codeSigning",
    by: "intermediate",
    days: "1",
};

impl Authority {
    pub(crate) fn new() -> Self {
        let workshop = Workshop::new();
        let log = workshop.key("log", Kind::P256);
        for (name, days) in [("root", "3650"), ("stranger", "3650"), ("short", "1")] {
            workshop.key(name, Kind::P384);
            workshop.openssl(&[
                "req",
                "-x509",
                "-new",
                "-key",
                &format!("{name}.key"),
                "-subj",
                &format!("/CN={name}"),
                "-days",
                days,
                "-out",
                &format!("{name}.pem"),
                "-addext",
                "keyUsage=critical,keyCertSign",
            ]);
        }
        let authority = Self { workshop, log };
        authority.workshop.key("intermediate", Kind::P384);
        authority.certify(
            "intermediate",
            "root",
            "1000",
            "basicConstraints=critical,CA:true,pathlen:0\nkeyUsage=critical,keyCertSign\nextendedKeyUsage=codeSigning\n",
        );
        authority
    }

    fn certify(&self, name: &str, by: &str, days: &str, extensions: &str) -> String {
        let workshop = &self.workshop;
        workshop.write("extensions", format!("{extensions}subjectKeyIdentifier=hash\n"));
        workshop.openssl(&[
            "req",
            "-new",
            "-key",
            &format!("{name}.key"),
            "-subj",
            &format!("/CN={name}"),
            "-out",
            "request",
        ]);
        let pem = workshop.openssl(&[
            "x509",
            "-req",
            "-in",
            "request",
            "-CA",
            &format!("{by}.pem"),
            "-CAkey",
            &format!("{by}.key"),
            "-CAcreateserial",
            "-days",
            days,
            "-sha384",
            "-extfile",
            "extensions",
        ]);
        workshop.write(&format!("{name}.pem"), &pem);
        String::from_utf8(pem).unwrap()
    }

    pub(crate) fn leaf(&self, says: Says<'_>) -> Leaf {
        let key = self.workshop.key("leaf", Kind::P256);
        let Says { names, extensions, usage, by, days } = says;
        let pem = self.certify(
            "leaf",
            by,
            days,
            &format!(
                "keyUsage=critical,digitalSignature\nextendedKeyUsage={usage}\nsubjectAltName=critical,{names}\n{extensions}"
            ),
        );
        Leaf { key, pem }
    }

    pub(crate) fn policy(&self, subject: Value) -> Policy {
        let mut fulcio = json!({"caPath": "root.pem", "oidcIssuer": ISSUER});
        fulcio.as_object_mut().unwrap().extend(subject.as_object().unwrap().clone());
        self.workshop.policy(&json!({
            "type": "sigstoreSigned",
            "fulcio": fulcio,
            "rekorPublicKeyPath": "log.pub",
            "signedIdentity": {"type": "matchRepository"},
        }))
    }

    fn chain(&self) -> String {
        std::fs::read_to_string(self.workshop.path("intermediate.pem")).unwrap()
    }

    fn signed(&self, leaf: &Leaf, image: &trust::Image, time: i64) -> Simple {
        let text = payload(NAME, digest(image));
        let raw = self.workshop.sign(&leaf.key, text.as_bytes());
        let body = hashedrekord(text.as_bytes(), &raw, &leaf.pem);
        Simple {
            payload: text,
            signature: b64(raw),
            certificate: Some(leaf.pem.clone()),
            chain: Some(self.chain()),
            bundle: Some(self.workshop.log_annotation(&self.log, &body, time)),
        }
    }
}

#[test]
fn an_identity_signs_for_the_minutes_of_its_certificate() {
    let authority = Authority::new();
    let policy = authority.policy(json!({"subjectEmail": EMAIL}));
    let image = image(&format!("{NAME}:1"), "a");
    let leaf = authority.leaf(GOOD);
    let good = authority.signed(&leaf, &image, now() + 60);
    let accepted = judge(&policy, &image, &[Candidate::Simple(good.clone())]).unwrap();
    assert_eq!(accepted.proofs[0].by, "build@example.com (identified by https://login.example)");

    let late = authority.signed(&leaf, &image, now() + 3 * 86_400);
    refused(&policy, &image, Candidate::Simple(late), "at the time of the signature");
    let early = authority.signed(&leaf, &image, now() - 86_400);
    refused(&policy, &image, Candidate::Simple(early), "at the time of the signature");
    let negative = authority.signed(&leaf, &image, -5);
    refused(&policy, &image, Candidate::Simple(negative), "at the time of the signature");
    for (flawed, words) in [
        (Simple { certificate: None, ..good.clone() }, "no certificate"),
        (Simple { chain: None, ..good.clone() }, "does not lead to the configured authority"),
        (Simple { bundle: None, ..good.clone() }, "no entry of a transparency log"),
        (
            Simple {
                certificate: Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".into()),
                ..good.clone()
            },
            "not valid PEM or DER",
        ),
        (Simple { chain: Some(authority.chain().repeat(20)), ..good.clone() }, "more than 8 certificates"),
    ] {
        refused(&policy, &image, Candidate::Simple(flawed), words);
    }
    // the certificate of someone else beside a signature of ours, and the other way round
    let other = authority.leaf(GOOD);
    let mixed = Simple { certificate: Some(other.pem.clone()), ..good.clone() };
    refused(&policy, &image, Candidate::Simple(mixed), "not made by the key in its certificate");
    let borrowed = Simple { bundle: authority.signed(&other, &image, now() + 60).bundle, ..good };
    refused(&policy, &image, Candidate::Simple(borrowed), "another signature");
}

#[test]
fn the_issuer_and_the_subject_are_those_of_the_policy() {
    let authority = Authority::new();
    let policy = authority.policy(json!({"subjectEmail": EMAIL}));
    let image = image(&format!("{NAME}:1"), "a");
    let v1 = "1.3.6.1.4.1.57264.1.1=DER:68:74:74:70:73:3a:2f:2f:6c:6f:67:69:6e:2e:65:78:61:6d:70:6c:65\n";
    let other_v1 = "1.3.6.1.4.1.57264.1.1=DER:68:74:74:70:73:3a:2f:2f:65:76:69:6c\n";
    let both = format!("{}{other_v1}", GOOD.extensions);
    for (says, words) in [
        (GOOD, None),
        (Says { extensions: v1, ..GOOD }, None),
        (Says { names: "email:other@example.com,email:build@example.com", ..GOOD }, None),
        (Says { extensions: other_v1, ..GOOD }, Some("identified by https://evil")),
        (Says { extensions: &both, ..GOOD }, Some("two different issuers")),
        (Says { extensions: "", ..GOOD }, Some("identified by nobody")),
        (Says { names: "email:evil@example.com", ..GOOD }, Some("for evil@example.com")),
        (Says { names: "DNS:build@example.com", ..GOOD }, Some("for nobody")),
        (Says { names: "URI:build@example.com", ..GOOD }, Some("for build@example.com, not")),
        (Says { usage: "serverAuth", ..GOOD }, Some("does not lead")),
        (Says { by: "stranger", ..GOOD }, Some("does not lead")),
        (Says { by: "root", ..GOOD }, None),
    ] {
        let leaf = authority.leaf(says);
        let signed = Candidate::Simple(authority.signed(&leaf, &image, now() + 60));
        match words {
            None => drop(judge(&policy, &image, &[signed]).unwrap()),
            Some(words) => refused(&policy, &image, signed, words),
        }
    }
}

#[test]
fn builds_are_identified_by_uri() {
    let authority = Authority::new();
    let uri = "https://forge.example/team/app/.build.yml@refs/heads/main";
    let policy = authority.policy(json!({"subjectURI": uri}));
    let image = image(&format!("{NAME}:1"), "a");
    let names = format!("URI:{uri}");
    let leaf = authority.leaf(Says { names: &names, ..GOOD });
    judge(&policy, &image, &[Candidate::Simple(authority.signed(&leaf, &image, now() + 60))]).unwrap();
    let names = format!("URI:{uri}2");
    let leaf = authority.leaf(Says { names: &names, ..GOOD });
    refused(
        &policy,
        &image,
        Candidate::Simple(authority.signed(&leaf, &image, now() + 60)),
        "not for https://forge",
    );
}

#[test]
fn a_leaf_is_no_authority() {
    let authority = Authority::new();
    let policy = authority.policy(json!({"subjectEmail": EMAIL}));
    let image = image(&format!("{NAME}:1"), "a");
    // somebody with a good certificate makes one for somebody else
    let evil = authority.leaf(Says { names: "email:evil@example.com", ..GOOD });
    std::fs::copy(&evil.key.path, authority.workshop.path("evil.key")).unwrap();
    authority.workshop.write("evil.pem", &evil.pem);
    let forged = authority.leaf(Says { by: "evil", ..GOOD });
    let mut signed = authority.signed(&forged, &image, now() + 60);
    signed.chain = Some(format!("{}{}", evil.pem, authority.chain()));
    refused(&policy, &image, Candidate::Simple(signed), "does not lead to the configured authority");
}

#[test]
fn an_authority_vouches_for_nobody_after_its_end() {
    let authority = Authority::new();
    let policy = authority.workshop.policy(&json!({
        "type": "sigstoreSigned",
        "fulcio": {"caPath": "short.pem", "oidcIssuer": ISSUER, "subjectEmail": EMAIL},
        "rekorPublicKeyPath": "log.pub",
        "signedIdentity": {"type": "matchRepository"},
    }));
    let image = image(&format!("{NAME}:1"), "a");
    let leaf = authority.leaf(Says { by: "short", days: "30", ..GOOD });
    let signed = |time| [Candidate::Simple(authority.signed(&leaf, &image, time))];
    judge(&policy, &image, &signed(now() + 60)).unwrap();
    let late = judge(&policy, &image, &signed(now() + 3 * 86_400)).unwrap_err();
    assert!(late.contains("does not lead to the configured authority"), "{late}");
}
