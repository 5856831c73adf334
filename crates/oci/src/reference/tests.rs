use super::*;

const HEX: &str = "b80af381528182d973f8a46ad4970af1f8beea8af9350f9be189c457807606a4";

#[test]
fn short_forms_become_full() {
    for (text, full, familiar) in [
        ("alpine", "docker.io/library/alpine", "alpine"),
        ("alpine:3.20", "docker.io/library/alpine:3.20", "alpine:3.20"),
        ("library/alpine", "docker.io/library/alpine", "alpine"),
        ("docker.io/alpine", "docker.io/library/alpine", "alpine"),
        ("index.docker.io/library/alpine", "docker.io/library/alpine", "alpine"),
        ("me/thing", "docker.io/me/thing", "me/thing"),
        ("library/a/b", "docker.io/library/a/b", "library/a/b"),
        ("localhost/thing", "localhost/thing", "localhost/thing"),
        ("localhost:5000/thing:x", "localhost:5000/thing:x", "localhost:5000/thing:x"),
        ("[::1]:5000/thing:x", "[::1]:5000/thing:x", "[::1]:5000/thing:x"),
        ("Host/thing", "Host/thing", "Host/thing"),
        ("a.b/c__d/e---f.g", "a.b/c__d/e---f.g", "a.b/c__d/e---f.g"),
    ] {
        let reference = Reference::parse(text).unwrap();
        assert_eq!(reference.to_string(), full);
        assert_eq!(reference.familiar(), familiar);
    }
}

#[test]
fn tags_and_digests() {
    let both = Reference::parse(&format!("alpine:3.20@sha256:{HEX}")).unwrap();
    assert_eq!(both.tag(), Some("3.20"));
    assert_eq!(both.digest().unwrap().hex(), HEX);
    assert_eq!(both.clone().with_default_tag(), both);
    let plain = Reference::parse("alpine").unwrap();
    assert_eq!(plain.clone().with_default_tag().familiar(), "alpine:latest");
    assert_eq!(plain.clone().with_tag("-x").unwrap_err(), ReferenceError::Tag);
    assert_eq!(plain.with_tag("x").unwrap().familiar(), "alpine:x");
}

#[test]
fn refuses_in_dockers_words() {
    for (text, error) in [
        ("", "invalid reference format"),
        (":", "invalid reference format"),
        ("a:", "invalid reference format"),
        ("a:b:c", "invalid reference format"),
        ("a//b", "invalid reference format"),
        ("-a", "invalid reference format"),
        ("a_-b", "invalid reference format"),
        ("a___b", "invalid reference format"),
        ("a..b", "invalid reference format"),
        ("../a", "invalid reference format"),
        ("a/../b", "invalid reference format"),
        ("a b", "invalid reference format"),
        ("a\nb", "invalid reference format"),
        ("a@sha256:abc", "invalid reference format"),
        ("http://x/y", "invalid reference format"),
        ("Alpine", "invalid reference format: repository name (library/Alpine) must be lowercase"),
        ("x.y/Alpine:T", "invalid reference format: repository name (Alpine) must be lowercase"),
    ] {
        assert_eq!(Reference::parse(text).unwrap_err().to_string(), error, "{text:?}");
    }
    let long_tag = format!("a:{}", "t".repeat(129));
    assert_eq!(Reference::parse(&long_tag).unwrap_err(), ReferenceError::Format);
    assert_eq!(Reference::parse(&"a".repeat(256)).unwrap_err(), ReferenceError::TooLong);
    let id = Reference::parse(HEX).unwrap_err().to_string();
    assert_eq!(id, format!("invalid repository name ({HEX}), cannot specify 64-byte hexadecimal strings"));
    let algorithm = Reference::parse(&format!("a@md5:{HEX}")).unwrap_err();
    assert_eq!(algorithm.to_string(), "unsupported digest algorithm");
}

#[test]
fn any_reference_knows_ids() {
    let id = Digest::from_sha256_hex(HEX).unwrap();
    assert_eq!(AnyReference::parse(HEX).unwrap(), AnyReference::Id(id.clone()));
    assert_eq!(AnyReference::parse(id.as_str()).unwrap(), AnyReference::Id(id));
    assert!(matches!(AnyReference::parse("alpine").unwrap(), AnyReference::Named(_)));
}
